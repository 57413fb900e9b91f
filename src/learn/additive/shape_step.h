/* SPDX-License-Identifier: Apache-2.0 */
/* One step of boosting a term: a tree of a few leaves over its cells, found from the sums of
 * derivatives in each, with Newton's value in a leaf.
 *   - Cells of a number are cut in their order; bin 0, of missing values, is a leaf of its own.
 *   - Cells of a category are put in the order of their own values (Fisher 1958), then cut.
 *   - Cells of a pair are cut in two along one feature, and both halves along the other.
 *
 * Threads: one at a time per workspace. */
#ifndef QN_LEARN_ADDITIVE_SHAPE_STEP_H
#define QN_LEARN_ADDITIVE_SHAPE_STEP_H

#include "learn/additive/terms.h"

enum { QN_SHAPE_LEAVES_MAX = 64 };

typedef struct qn_shape_params {
    double learning_rate, reg_lambda, cat_smooth, min_sum_hessian;
    double step_max; /* of a leaf's value before shrinkage, either way; 0: none */
    int64_t max_leaves, min_data_in_leaf;
} qn_shape_params;

/* Sums over the rows of a cell. */
typedef struct qn_shape_sums {
    double gradient, hessian;
    int64_t n_rows;
} qn_shape_sums;

typedef struct qn_shape_workspace qn_shape_workspace; /* destroy with qn_shape_workspace_free() */

/* For terms of up to `n_cells` cells; NULL when out of memory. */
qn_shape_workspace *qn_shape_workspace_create(int32_t n_cells);
void qn_shape_workspace_free(qn_shape_workspace *workspace); /* accepts NULL */

/* Writes what the step adds to the score of each cell to step[cell * stride]: 0 everywhere when
 * nothing is worth a cut. Returns the gain of its cuts. */
double qn_shape_step(const qn_term *term, const qn_shape_params *params, const qn_shape_sums *sums,
                     qn_shape_workspace *workspace, double *step, int32_t stride);

#endif
