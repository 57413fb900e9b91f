/* SPDX-License-Identifier: Apache-2.0 */
/* Rows as a linear operator: products of A, dense and sparse columns less their means, and of its
 * transpose with blocks of vectors. The means of sparse columns are never spread over their zeros.
 *
 * Threads: immutable once made; products share nothing. */
#ifndef QN_RECIPE_REDUCE_ROW_OPERATOR_H
#define QN_RECIPE_REDUCE_ROW_OPERATOR_H

#include "base/pool.h"
#include "recipe/matrix.h"

typedef struct qn_row_operator {
    const qn_matrix *rows;
    const double *means; /* n_features, or NULL */
    int64_t n_rows, n_features;
    int64_t *col_starts; /* n_sparse + 1: the sparse part once more, column after column */
    int32_t *col_rows;
    float *col_values;
    qn_pool *pool;
} qn_row_operator; /* release with qn_row_operator_release() */

QN_MUST_CHECK
qn_status qn_row_operator_init(qn_row_operator *op, const qn_matrix *rows, const double *means,
                               qn_pool *pool, qn_error *err);
void qn_row_operator_release(qn_row_operator *op);

/* y = A x: x is n_features × width, y is n_rows × width, row after row. False when out of memory.
 */
bool qn_row_operator_apply(const qn_row_operator *op, const double *x, int64_t width, double *y);
/* x = A' y. */
bool qn_row_operator_apply_transposed(const qn_row_operator *op, const double *y, int64_t width,
                                      double *x);

#endif
