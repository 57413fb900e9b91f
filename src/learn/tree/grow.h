/* SPDX-License-Identifier: Apache-2.0 */
/* Growing one tree on binned rows, from gradients and hessians: leaf by leaf, the one of most gain
 * first, level by level, or symmetric.
 *
 * How the time is kept short:
 *   - the smaller child's histogram is counted, the larger's is what remains of the parent;
 *   - once a leaf fits a cache level its rows are copied together, so that later passes read memory
 *     in order: twice on the way down, not at every split;
 *   - large leaves are worked on by all threads at once, small ones several at a time. Work on a
 *     small leaf may be done ahead, before it is known whether its turn comes; what comes of it
 *     does not depend on that, nor on the order of rows (sums are of integers).
 *
 * Threads: one caller at a time per grower. */
#ifndef QN_LEARN_TREE_GROW_H
#define QN_LEARN_TREE_GROW_H

#include "base/clock.h"
#include "base/rng.h"
#include "learn/tree/best_split.h"
#include "learn/tree/bin_tree.h"

typedef struct qn_grower qn_grower; /* destroy with qn_grower_free() */

/* Works for every tree of a fit, with the pool's threads. */
QN_MUST_CHECK
qn_status qn_grower_create(const qn_bins *bins, const qn_grow_params *params, qn_pool *pool,
                           qn_grower **out, qn_error *err);
void qn_grower_free(qn_grower *grower); /* accepts NULL */

/* Of a row's loss by its score. */
typedef struct qn_derivatives {
    double gradient, hessian; /* the latter >= 0 */
} qn_derivatives;

/* What one tree is grown from. */
typedef struct qn_grow_request {
    const int32_t *rows; /* training rows, increasing; NULL: all of them */
    int64_t n_rows;
    const qn_derivatives *derivatives; /* per training row */
    double shrinkage;                  /* of leaf values */
    double step_max;                   /* of leaf values before that, either way; 0: no limit */
    uint64_t seed;
    const qn_stop *stop;
    /* The value of a leaf in place of the Newton step, for losses whose best value is a quantile;
     * NULL: none. Leaves are renewed in parallel; `place` … place + n - 1 is no other's range. */
    double (*renew)(void *context, const int32_t *rows, int64_t n, int64_t place);
    void *renew_context;
} qn_grow_request;

/* Grows a tree into `builder` and adds its leaf values, shrunk, to
 * scores[row * stride] of its rows. `gain` (per feature) collects the gains of its splits. False
 * when told to stop, with nothing changed; out of memory shows in builder->failed. */
bool qn_grower_grow(qn_grower *grower, const qn_grow_request *request, qn_tree_builder *builder,
                    double *scores, int64_t stride, double *gain);

/* The last grown tree: valid until the next. */
const qn_bin_tree *qn_grower_tree(const qn_grower *grower);

#endif
