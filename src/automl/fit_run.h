/* SPDX-License-Identifier: Apache-2.0 */
/* One run of qn_fit(): what its steps share. Each step is a file: fit_inputs (loading),
 * fit_request, fit_folds, fit_trials, fit_ensemble, fit_evaluation, fit_writing; fit.c is their
 * order.
 *
 * Threads: one thread at a time; steps use the pool. */
#ifndef QN_AUTOML_FIT_RUN_H
#define QN_AUTOML_FIT_RUN_H

#include "automl/ensemble.h"
#include "automl/fit_inputs.h"
#include "bundle/record.h"
#include "quern/fit.h"
#include "recipe/derive.h"
#include "report/report.h"

enum { QN_FIT_STAGES_MAX = 8 };

typedef struct qn_fit_run {
    qn_fit_request request; /* with the defaults filled in */
    qn_fit_result *result;
    double begun_s;
    qn_stop stop;
    qn_preset preset;
    qn_derive_step steps[QN_DERIVED_MAX];
    int32_t n_steps;
    qn_cleaning cleaning;
    qn_pool *pool;
    qn_fit_inputs inputs;
    const qn_metric *metric;
    qn_candidates candidates;
    qn_constraints constraints;
    qn_fold_set folds;
    qn_trial_data data;
    qn_trial *trials;
    qn_str notes; /* warnings of the search */
    qn_ensemble ensemble;
    double ensemble_score, ensemble_std_error;
    qn_predictor *predictor;
    double *importance, *importance_error;
    qn_evaluation *test, *test_baseline, *cv;
    qn_record record;
    const char *best_name; /* for progress */
    double best_score;
    char *model_path, *report_path;
    qn_stage_time stages[QN_FIT_STAGES_MAX];
    int32_t n_stages;
    double stage_begun_s;
} qn_fit_run;

/* fit.c: what several steps need. */

/* Progress: `message` may be NULL. */
void qn_fit_tell(qn_fit_run *fit, const char *message, int64_t n_trials);
/* What was done since the last call was the stage of this name. */
void qn_fit_end_stage(qn_fit_run *fit, const char *name);
/* A part of what is left of the budget, writing spared; never when trials are counted. */
qn_stop qn_fit_stop_after(const qn_fit_run *fit, double share);
/* Whether some feature is of this kind. */
bool qn_fit_has_kind(const qn_schema *schema, qn_kind kind);
/* The failure of a run told to stop with no model to show for it. */
QN_MUST_CHECK
qn_status qn_fit_nothing_ready(qn_fit_run *fit, qn_error *err);

/* The steps, in their order. */

/* Checks the request and fills in its defaults; chooses model_path and report_path, both of which
 * can be written. */
QN_MUST_CHECK
qn_status qn_fit_check_request(qn_fit_run *fit, qn_error *err);
/* The metric asked for, or the task's. */
QN_MUST_CHECK
qn_status qn_fit_choose_metric(qn_fit_run *fit, qn_error *err);
QN_MUST_CHECK
qn_status qn_fit_create_candidates(qn_fit_run *fit, qn_error *err);
/* With `--outliers`: what stands out, among the findings. */
QN_MUST_CHECK
qn_status qn_fit_find_outliers(qn_fit_run *fit, qn_error *err);
/* `folds`: as many as leave room for a handful of candidates, in the memory allowed. */
QN_MUST_CHECK
qn_status qn_fit_prepare_folds(qn_fit_run *fit, qn_error *err);
/* `data`: the training rows as trials want them. */
QN_MUST_CHECK
qn_status qn_fit_prepare_data(qn_fit_run *fit, qn_error *err);
/* `trials`: the list of candidates, then batches near the best while the budget lasts. */
QN_MUST_CHECK
qn_status qn_fit_run_trials(qn_fit_run *fit, qn_error *err);
/* Trials with all their folds, the baseline left out. */
int64_t qn_fit_n_complete(const qn_fit_run *fit);
/* Steps of the selection: 1 leaves the best model alone. */
int32_t qn_fit_ensemble_steps(const qn_fit_run *fit);
/* `ensemble`, then `predictor` of its members. */
QN_MUST_CHECK
qn_status qn_fit_build_ensemble(qn_fit_run *fit, qn_error *err);
/* Temperature, threshold, range and intervals, from the validation predictions of the ensemble;
 * `cv`, their evaluation. */
QN_MUST_CHECK
qn_status qn_fit_calibrate(qn_fit_run *fit, qn_error *err);
/* `test` and `test_baseline`, and the importances. */
QN_MUST_CHECK
qn_status qn_fit_evaluate(qn_fit_run *fit, qn_error *err);
/* Bundle, report and summary; the result takes over the paths. */
QN_MUST_CHECK
qn_status qn_fit_write(qn_fit_run *fit, qn_error *err);

#endif
