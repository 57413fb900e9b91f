/* SPDX-License-Identifier: Apache-2.0 */
/* The columns of sparse rows that several rows share. Those of one value, most of the words of
 * texts, matter to that row alone: all they add to the products X X' of rows is its value's square
 * on the diagonal. Methods that live in the space of rows leave them out:
 *     X X' = S S' + diagonal(alone)
 *
 * Threads: immutable once built; share freely. */
#ifndef QN_LINALG_SHARED_COLUMNS_H
#define QN_LINALG_SHARED_COLUMNS_H

#include "base/error.h"

#include <stdint.h>

/* Rows one after the other: the values of row i are those from starts[i] up to starts[i + 1]. */
typedef struct qn_sparse_rows {
    int64_t n_rows, n_cols;
    const int64_t *starts; /* n_rows + 1 */
    const int32_t *cols;   /* increasing within a row */
    const float *values;
} qn_sparse_rows;

typedef struct qn_shared_columns {
    int64_t n_cols; /* of S, in their order in X */
    int64_t *starts;
    int32_t *cols;
    float *values;
    double *alone;   /* n_rows */
} qn_shared_columns; /* release with qn_shared_columns_release() */

/* Fails with QN_ERR_NOMEM. */
QN_MUST_CHECK
qn_status qn_shared_columns_init(qn_shared_columns *shared, const qn_sparse_rows *x, qn_error *err);
void qn_shared_columns_release(qn_shared_columns *shared);

#endif
