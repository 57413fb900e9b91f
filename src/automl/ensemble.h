/* SPDX-License-Identifier: Apache-2.0 */
/* Greedy ensemble selection with replacement (Caruana et al. 2004) on validation predictions:
 * each step adds the trial that makes the metric of the running mean best; the best prefix is
 * kept. Ties go to trials already in, then to the earlier trial.
 *
 * Threads: one thread at a time; the pool does the rest. */
#ifndef QN_AUTOML_ENSEMBLE_H
#define QN_AUTOML_ENSEMBLE_H

#include "automl/trial.h"

enum { QN_ENSEMBLE_STEPS = 25 }; /* above, no measurable gain (TabRepo 2024) */

typedef struct qn_ensemble {
    double *weights;     /* per trial, summing to 1 */
    double *predictions; /* of the covered rows */
    double value;        /* the metric over all of them */
} qn_ensemble;           /* release with qn_ensemble_release() */

/* At least one trial must be complete. `n_steps` 1 picks the best single one. */
QN_MUST_CHECK
qn_status qn_ensemble_select(const qn_trial_data *data, const qn_trial *trials, int64_t n_trials,
                             int32_t n_steps, qn_pool *pool, qn_ensemble *out, qn_error *err);
void qn_ensemble_release(qn_ensemble *ensemble);

#endif
