/* SPDX-License-Identifier: Apache-2.0 */
/* Trials: every candidate fitted on every fold, in parallel, in the order of the list, until all
 * are done or the time is up. Validation predictions are kept for the ensemble.
 *
 * Time only ends trials: a fit that is told to stop keeps the rounds it has, and the number is
 * recorded.
 *
 * Threads: one thread at a time; the pool does the rest. */
#ifndef QN_AUTOML_TRIAL_H
#define QN_AUTOML_TRIAL_H

#include "automl/candidate.h"
#include "automl/fold.h"
#include "metric/metric.h"

/* One candidate's results. */
typedef struct qn_trial {
    const qn_candidate *candidate;
    qn_estimator **estimators; /* one per fold; NULL where the fit did not happen */
    double *fold_scores; /* the metric on each fold's validation rows; QN_NA where undefined */
    double *oob_scores;  /* the same out of bag; QN_NA where not asked for */
    int64_t *n_rounds;   /* per fold */
    int32_t n_done;
    bool complete;       /* every fold is done: fit for the ensemble */
    double *predictions; /* n_covered × n_outputs: mean over rounds of folds; NULL if incomplete */
    double value;        /* the metric over all covered rows together; QN_NA if undefined */
    double score, std_error; /* mean over folds and its standard error */
    double fit_seconds;      /* of one thread, all folds */
    double predict_us_per_row;
} qn_trial;

/* What the trials are measured on. */
typedef struct qn_trial_data {
    const qn_fold_set *folds;
    qn_task task;
    int32_t n_classes, n_outputs;
    const qn_metric *metric;
    int64_t n_covered;    /* training rows that some fold validates */
    int64_t *covered_of;  /* position in the training rows -> covered row, -1 */
    int32_t *n_predicted; /* per covered row: how many folds validate it */
    double *target;       /* per covered row */
    double *weights;      /* per covered row or NULL */
    int32_t *groups;      /* per covered row or NULL (ranking) */
} qn_trial_data;          /* release with qn_trial_data_release() */

/* `target`, `weights` and `groups` (the latter may be NULL) are per position of the training rows.
 */
QN_MUST_CHECK
qn_status qn_trial_data_create(const qn_fold_set *folds, const qn_schema *schema,
                               const qn_metric *metric, int64_t n_rows, const double *target,
                               const double *weights, const int32_t *groups, qn_trial_data *out,
                               qn_error *err);
void qn_trial_data_release(qn_trial_data *data);
/* The metric's input for predictions of all covered rows. */
qn_metric_input qn_trial_data_input(const qn_trial_data *data, const double *predictions);

typedef struct qn_trials_request {
    const qn_trial_data *data;
    const qn_candidates *candidates;
    int64_t first; /* candidate to begin with; those before have been run */
    uint64_t seed;
    qn_pool *pool;
    const qn_stop *stop;      /* deadline_s 0: every candidate is tried */
    int64_t n_rows_after;     /* rows the ensemble will have to predict before the deadline */
    int32_t n_ensemble_steps; /* to be done before the deadline, too */
    bool more_follow;         /* the last candidate is not to take what time is left */
    /* Called under a lock after each finished fit. */
    void (*finished)(const qn_trial *trial, int64_t n_complete, void *context);
    void *context;
} qn_trials_request;

/* `trials` has one entry per candidate, zeroed from `first` on. A candidate that fails is left
 * incomplete and its reason appended to `warnings`; the call itself fails only for want of memory.
 */
QN_MUST_CHECK
qn_status qn_trials_run(const qn_trials_request *request, qn_trial *trials, qn_str *warnings,
                        qn_error *err);
void qn_trials_release(qn_trial *trials, int64_t n_trials, int32_t n_folds);

/* Mean over folds of the metric for any predictions of the covered rows. */
QN_MUST_CHECK
qn_status qn_trial_data_fold_score(const qn_trial_data *data, const double *predictions,
                                   double *mean, double *std_error, qn_error *err);

#endif
