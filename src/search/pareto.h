/* SPDX-License-Identifier: Apache-2.0 */
/* Several objectives: fronts of trials that none dominates, and crowding.
 *
 * Threads: pure functions. */
#ifndef QN_SEARCH_PARETO_H
#define QN_SEARCH_PARETO_H

#include "search/history.h"

/* Positions of the n_best best of n trials: front after front, the last one by crowding distance
 * (Deb et al. 2002, NSGA-II), the less crowded first; ties by position. n_best <= n. `fronts` and
 * `distances` may be NULL; else [n_best], the front and crowding of each chosen. */
QN_MUST_CHECK
qn_status qn_pareto_select(const qn_trial_record *const *trials, int64_t n, int64_t n_objectives,
                           int64_t n_best, int32_t *best, int32_t *fronts, double *distances,
                           qn_error *err);

#endif
