/* SPDX-License-Identifier: Apache-2.0 */
/* Selection by reference points, for three objectives and more (Deb & Jain 2014, "An evolutionary
 * many-objective optimization algorithm using reference-point-based nondominated sorting approach,
 * part I", section IV). Points are spread evenly over the plane on which the objectives, from 0 at
 * the best to 1 at the intercepts of the extreme trials, sum to 1; of the front that is not taken
 * whole, those trials are taken that lie near directions to which few others belong.
 *
 * Threads: pure functions; one thread at a time per stream of random numbers. */
#ifndef QN_SEARCH_SAMPLERS_REFERENCE_POINTS_H
#define QN_SEARCH_SAMPLERS_REFERENCE_POINTS_H

#include "search/study/history.h"

enum { QN_REFERENCE_POINTS_MAX = 100000 };

/* The points of Das & Dennis (1998): all whose coordinates are multiples of 1/n_divisions and sum
 * to 1. With n_divisions 0, the most divisions that give at most n_wanted points, at least 1.
 * Returns [*n][n_objectives], the caller's (qn_free). Fails with QN_ERR_ARG (more than
 * QN_REFERENCE_POINTS_MAX) or QN_ERR_NOMEM. */
QN_MUST_CHECK
qn_status qn_reference_points(int64_t n_objectives, int64_t n_divisions, int64_t n_wanted,
                              double **points, int64_t *n, qn_error *err);

typedef struct qn_reference_request {
    const qn_trial_record *const *trials; /* [n], all with losses */
    int64_t n, n_objectives;
    const double *points; /* [n_points][n_objectives] */
    int64_t n_points;
    qn_rng *rng; /* ties, and which member of a direction that has some already */
} qn_reference_request;

/* Positions of the n_best <= n that go on, and the front of each. Fails with QN_ERR_NOMEM. */
QN_MUST_CHECK
qn_status qn_reference_select(const qn_reference_request *request, int64_t n_best, int32_t *best,
                              int32_t *fronts, qn_error *err);

#endif
