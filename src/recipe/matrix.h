/* SPDX-License-Identifier: Apache-2.0 */
/* Matrix: features as learners and models see them. Dense columns stand one after the other
 * (feature f of row r at dense[f * stride + r]), followed by sparse columns in CSR form, whose
 * numbers go on after the dense ones. One row and a block of rows have the same layout.
 *
 * Threads: immutable once built; share freely. */
#ifndef QN_RECIPE_MATRIX_H
#define QN_RECIPE_MATRIX_H

#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct qn_matrix {
    int64_t n_rows;
    int64_t n_dense;
    int64_t n_sparse;       /* sparse columns; 0 for most tables */
    int64_t stride;         /* >= n_rows */
    double *dense;          /* QN_NA = missing (tree view only) */
    int64_t *sparse_starts; /* n_rows + 1, NULL when n_sparse is 0 */
    int32_t *sparse_cols;   /* increasing within a row, from 0 */
    float *sparse_values;
} qn_matrix; /* zero-initialise; release with qn_matrix_release() if it owns its arrays */

/* Room for n_rows × n_dense values (no sparse part). */
QN_MUST_CHECK
qn_status qn_matrix_init(qn_matrix *matrix, int64_t n_rows, int64_t n_dense, qn_error *err);
void qn_matrix_release(qn_matrix *matrix);

/* The first `n_cols` dense columns of rows `first` … `first` + n_rows - 1, row after row in float:
 * out[i * n_cols + f]. */
void qn_matrix_gather(const qn_matrix *matrix, int64_t first, int64_t n_rows, int64_t n_cols,
                      float *out);

#endif
