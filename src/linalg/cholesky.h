/* SPDX-License-Identifier: Apache-2.0 */
/* Cholesky factors of symmetric positive definite matrices in double: A = L Lᵀ. A factor is kept
 * with both its triangles, L below and Lᵀ above the diagonal, so that either substitution reads
 * rows; a matrix is n × n with element (i, j) at a[i * stride + j], stride >= n.
 *
 * Every element takes its products in the order of k, each by one fused multiply-add, and is then
 * divided by its pivot (Golub & Van Loan 2013, 4.2.5 and 4.2.6: by blocks). So a factor, a solution
 * and an extension have the same bytes whatever the blocks, the threads or the machine, and a
 * factor extended row by row is that of the whole matrix, bit for bit.
 *
 * Threads: pure functions of their arguments; they allocate nothing. `pool` NULL: on this thread
 * alone. */
#ifndef QN_LINALG_CHOLESKY_H
#define QN_LINALG_CHOLESKY_H

#include "base/pool.h"

#include <stdbool.h>
#include <stdint.h>

/* Factors in place; reads only the upper triangle of A. False, with `a` spoilt, unless A is
 * positive definite in double: the caller may add to its diagonal and try again. */
bool qn_cholesky_factor(double *a, int64_t n, int64_t stride, qn_pool *pool);

/* The factor of n rows becomes that of n + 1, in O(n²): element (i, n) of A stands at
 * a[i * stride + n] for i = 0 … n, stride > n. False unless the larger matrix is positive
 * definite: the factor of n rows is then as it was. */
bool qn_cholesky_extend(double *a, int64_t n, int64_t stride);

/* b becomes L⁻¹ b: n × n_cols, row k at b[k * b_stride]. */
void qn_cholesky_forward(const double *factor, int64_t n, int64_t stride, double *b, int64_t n_cols,
                         int64_t b_stride, qn_pool *pool);
/* b becomes A⁻¹ b. */
void qn_cholesky_solve(const double *factor, int64_t n, int64_t stride, double *b, int64_t n_cols,
                       int64_t b_stride, qn_pool *pool);
/* out: A⁻¹, n × n, both triangles, in a third of the work of solving for the unit vectors. */
void qn_cholesky_invert(const double *factor, int64_t n, int64_t stride, double *out,
                        qn_pool *pool);
/* log det A. */
double qn_cholesky_log_det(const double *factor, int64_t n, int64_t stride);

#endif
