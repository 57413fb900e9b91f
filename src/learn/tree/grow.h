/* SPDX-License-Identifier: Apache-2.0 */
/* Growing one tree leaf by leaf on binned rows, from gradients and hessians.
 *
 * Both are fixed-point halves of one 64-bit integer: gradient above, hessian below. A histogram
 * cell takes one integer add for a row, the sum does not depend on the order of rows, and a
 * child's histogram is its parent's less its sibling's, exactly.
 *
 * Threads: one thread at a time per grower. */
#ifndef QN_LEARN_TREE_GROW_H
#define QN_LEARN_TREE_GROW_H

#include "base/clock.h"
#include "base/rng.h"
#include "learn/tree/bins.h"
#include "model/tree_model.h"

typedef struct qn_grow_params {
    int64_t num_leaves, max_depth, min_data_in_leaf, max_cat_to_onehot, max_cat_threshold;
    double learning_rate, min_sum_hessian_in_leaf, reg_alpha, reg_lambda, min_split_gain;
    double feature_fraction, cat_smooth, cat_l2;
    bool extra_trees;
} qn_grow_params;

typedef struct qn_grower qn_grower; /* destroy with qn_grower_free() */

QN_MUST_CHECK
qn_status qn_grower_create(const qn_bins *bins, const qn_grow_params *params, qn_grower **out,
                           qn_error *err);
void qn_grower_free(qn_grower *grower); /* accepts NULL */

/* Grows a tree on `rows` (n_rows training rows; reordered) from gradients[row], hessians[row] and
 * adds its leaf values, shrunk by learning_rate, to scores[row * stride] of those rows. The tree
 * goes into `builder`. `gain` (per feature) collects the gains of its splits. False when told to
 * stop, with nothing changed but the order of rows; out of memory shows in builder->failed. */
bool qn_grower_grow(qn_grower *grower, int32_t *rows, int64_t n_rows, const double *gradients,
                    const double *hessians, qn_rng *rng, const qn_stop *stop,
                    qn_tree_builder *builder, double *scores, int64_t stride, double *gain);

/* Adds the last grown tree's values to scores[i * stride] of rows first … first + n - 1 of the
 * bins (validation rows, or rows left out of the sample), by walking its bins. `skip` (per row, may
 * be NULL) marks rows that have theirs already. */
void qn_grower_walk(const qn_grower *grower, int64_t first, int64_t n, const uint8_t *skip,
                    double *scores, int64_t stride);

#endif
