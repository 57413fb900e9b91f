/* SPDX-License-Identifier: Apache-2.0 */
/* Which pairs of features say most beside the features themselves: FAST (Lou et al. 2013, section
 * 4). A pair's strength is the gain of one step on what the features have left, with cuts of both
 * along their coarse bins: a pass over the rows and one over the cells. */
#ifndef QN_LEARN_ADDITIVE_FAST_PAIRS_H
#define QN_LEARN_ADDITIVE_FAST_PAIRS_H

#include "learn/additive/shape_step.h"
#include "learn/tree/objective.h"

#include "base/pool.h"

enum { QN_FAST_FEATURES_MAX = 64 };

typedef struct qn_fast_request {
    const qn_terms *terms;
    const qn_shape_params *shape;
    const qn_objective_rows *rows; /* training rows */
    const double *scores;          /* n × k: of the features */
    const double *importance; /* per feature: with more than QN_FAST_FEATURES_MAX, those of most
                                 importance are tried */
    const qn_stop *stop;
    qn_pool *pool;
} qn_fast_request;

/* Writes the features of the strongest pairs, strongest first, to pairs[2 * i]: at most n_most.
 * None when told to stop. Fails with QN_ERR_NOMEM. */
QN_MUST_CHECK
qn_status qn_fast_pairs(const qn_fast_request *request, int64_t n_most, int32_t *pairs, int64_t *n,
                        qn_error *err);

#endif
