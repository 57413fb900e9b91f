/* SPDX-License-Identifier: Apache-2.0 */
/* From trials and evaluations to the record in the bundle and the summary of `fit --json`. */
#ifndef QN_AUTOML_FIT_RECORD_H
#define QN_AUTOML_FIT_RECORD_H

#include "automl/ensemble.h"
#include "automl/fit_inputs.h"
#include "bundle/record.h"
#include "report/report.h"

typedef struct qn_fit_outcome {
    const qn_fit_request *request;
    const qn_fit_inputs *inputs;
    const qn_trial_data *data;
    const qn_trial *trials; /* the first is the baseline */
    int64_t n_trials;
    const qn_ensemble *ensemble;                 /* weights of all trials */
    double ensemble_score, ensemble_std_error;   /* mean over folds */
    const char *notes;                           /* warnings of the search, a line each */
    const double *importance, *importance_error; /* per feature of the schema; NULL: none */
    qn_evaluation *test, *test_baseline, *cv;    /* taken over by the record; may be NULL */
    const qn_stage_time *stages;                 /* so far, in order */
    int32_t n_stages;
    double seconds;
    bool interrupted;
} qn_fit_outcome;

/* The record owns copies of everything but `profile` and `findings` of the inputs and the
 * evaluations, which it takes. `for_bundle` leaves out what differs from run to run when trials
 * are counted, so that the same request gives the same bytes. */
QN_MUST_CHECK
qn_status qn_fit_record_create(const qn_fit_outcome *outcome, bool for_bundle, qn_record *out,
                               qn_error *err);

/* The object that `quern fit --json` prints. */
QN_MUST_CHECK
qn_status qn_fit_summary(const qn_fit_outcome *outcome, const qn_record *record,
                         const char *model_path, char **out, qn_error *err);

#endif
