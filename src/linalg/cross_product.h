/* SPDX-License-Identifier: Apache-2.0 */
/* Products of every column with every other: C = (A - 1 m')' (A - 1 m'), a covariance but for its
 * divisor, or the Gram matrix of rows that stand as columns.
 *
 * Threads: a pure function; the same bytes on any number of threads. */
#ifndef QN_LINALG_CROSS_PRODUCT_H
#define QN_LINALG_CROSS_PRODUCT_H

#include "base/error.h"
#include "base/pool.h"

#include <stdbool.h>
#include <stdint.h>

/* Entry i of column f stands at columns[f * stride + i], i < n_rows, f < n_cols. `means`, n_cols,
 * is taken off each column; NULL: nothing is. `out`: n_cols × n_cols, both halves. `pool` NULL: on
 * this thread alone. False: out of memory. */
QN_MUST_CHECK
bool qn_cross_product(const double *columns, int64_t stride, int64_t n_rows, int64_t n_cols,
                      const double *means, qn_pool *pool, double *out);

#endif
