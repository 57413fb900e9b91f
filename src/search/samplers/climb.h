/* SPDX-License-Identifier: Apache-2.0 */
/* Climb: looks for the configuration of a space that promises most, by any measure that can be
 * taken of many at a time: among random draws and neighbours of good trials, and then by steps from
 * the best of these, which double or halve with success (an evolution strategy with one parent).
 * Steps are taken on configurations: conditions, steps of values and constraints hold at each.
 *
 * Threads: those of `measure`. */
#ifndef QN_SEARCH_SAMPLERS_CLIMB_H
#define QN_SEARCH_SAMPLERS_CLIMB_H

#include "search/study/history.h"

/* Writes what n configurations (n × space->n) promise. */
typedef qn_status qn_climb_measure(void *context, const double *configurations, int64_t n,
                                   double *promises, qn_error *err);

typedef struct qn_climb_request {
    const qn_space *space; /* with a parameter at least */
    const qn_trial_record *const *near;
    int64_t n_near; /* at least 1 */
    qn_climb_measure *measure;
    void *context;
    qn_rng *rng;
} qn_climb_request;

/* Writes the configuration (space->n) and, unless NULL, what it promises. Fails with QN_ERR_NOMEM
 * or as `measure` does. */
QN_MUST_CHECK
qn_status qn_climb(const qn_climb_request *request, double *values, double *promise, qn_error *err);

#endif
