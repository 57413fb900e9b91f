/* SPDX-License-Identifier: Apache-2.0 */
/* Rows laid out for inner products with many other rows: the dense part in panels of the matrix
 * product, the sparse part as it is in a matrix.
 *
 * Threads: immutable once filled; share freely. */
#ifndef QN_MODEL_KERNEL_ROWS_H
#define QN_MODEL_KERNEL_ROWS_H

#include "model/kernel_function.h"
#include "recipe/matrix.h"

#include <stddef.h>

typedef struct qn_kernel_rows {
    int64_t n, n_dense, n_sparse;
    float *panels;   /* n_dense × n */
    float *squares;  /* n */
    int64_t *starts; /* n + 1; NULL without sparse columns */
    int32_t *cols;
    float *values;
} qn_kernel_rows; /* release with qn_kernel_rows_release() unless borrowed */

/* Copies rows chosen[0 … n) of `x`. */
QN_MUST_CHECK
qn_status qn_kernel_rows_fill(const qn_matrix *x, const int32_t *chosen, int64_t n,
                              qn_kernel_rows *out, qn_error *err);
void qn_kernel_rows_release(qn_kernel_rows *rows);

/* One row to compare with: its dense part, and its sparse part spread out over n_sparse floats. */
typedef struct qn_kernel_point {
    const float *dense, *sparse;
    float square;
} qn_kernel_point;

/* out[i - first]: kernel of the point with rows first … first + n - 1; `first` a multiple of
 * QN_PANEL_COLS. */
void qn_kernel_rows_apply(const qn_kernel_rows *rows, const qn_kernel *kernel,
                          const qn_kernel_point *point, int64_t first, int64_t n, float *out);
/* The second half of that: `values` are inner products of the dense parts. */
void qn_kernel_rows_finish(const qn_kernel_rows *rows, const qn_kernel *kernel,
                           const qn_kernel_point *point, int64_t first, int64_t n, float *values);

/* Writes row `row` of `x` to `dense` (n_dense) and `sparse` (n_sparse, zeros); returns |row|². */
float qn_kernel_point_spread(const qn_matrix *x, int64_t row, float *dense, float *sparse);
/* Puts the zeros back. */
void qn_kernel_point_clear(const qn_matrix *x, int64_t row, float *sparse);

#endif
