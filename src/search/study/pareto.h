/* SPDX-License-Identifier: Apache-2.0 */
/* Several objectives: fronts of trials that none dominates, crowding, hypervolume.
 *
 * Threads: pure functions. */
#ifndef QN_SEARCH_STUDY_PARETO_H
#define QN_SEARCH_STUDY_PARETO_H

#include "search/study/history.h"

/* Positions of the n_best best of n trials: front after front, the last one by crowding distance
 * (Deb et al. 2002, NSGA-II), the less crowded first; ties by position. n_best <= n. `fronts` and
 * `distances` may be NULL; else [n_best], the front and crowding of each chosen. */
QN_MUST_CHECK
qn_status qn_pareto_select(const qn_trial_record *const *trials, int64_t n, int64_t n_objectives,
                           int64_t n_best, int32_t *best, int32_t *fronts, double *distances,
                           qn_error *err);

/* Takes a trial into a front, unless one of it dominates the trial, and leaves out those it
 * dominates; the others stay in order. `front` has room for one more. Whether it was taken. */
bool qn_pareto_insert(const qn_trial_record **front, int64_t *n, const qn_trial_record *trial,
                      int64_t n_objectives);

/* The volume that n points dominate within a reference point, exact: points[n][n_objectives] and
 * reference[n_objectives] are finite losses; points that are not below the reference in every
 * objective count for nothing. Work grows as n^(n_objectives - 1), so up to 4 or 5 objectives.
 * Fails with QN_ERR_NOMEM. */
QN_MUST_CHECK
qn_status qn_hypervolume(const double *points, int64_t n, int64_t n_objectives,
                         const double *reference, double *out, qn_error *err);

#endif
