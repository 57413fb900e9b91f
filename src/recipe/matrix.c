/* SPDX-License-Identifier: Apache-2.0 */
#include "recipe/matrix.h"

#include "base/alloc.h"

qn_status qn_matrix_init(qn_matrix *matrix, int64_t n_rows, int64_t n_dense, qn_error *err)
{
    *matrix = (qn_matrix){.n_rows = n_rows, .n_dense = n_dense, .stride = n_rows};
    int64_t n_values;
    if (__builtin_mul_overflow(n_rows, n_dense, &n_values) ||
        !(matrix->dense = qn_alloc_aligned(n_values, sizeof *matrix->dense))) {
        *matrix = (qn_matrix){0};
        return qn_fail(err, QN_ERR_NOMEM, "no memory for %" PRId64 " rows of %" PRId64 " features",
                       n_rows, n_dense);
    }
    return QN_OK;
}

void qn_matrix_release(qn_matrix *matrix)
{
    qn_free(matrix->dense);
    qn_free(matrix->sparse_starts);
    qn_free(matrix->sparse_cols);
    qn_free(matrix->sparse_values);
    *matrix = (qn_matrix){0};
}

void qn_matrix_gather(const qn_matrix *matrix, int64_t first, int64_t n_rows, int64_t n_cols,
                      float *out)
{
    for (int64_t i = 0; i < n_rows; i++) {
        const double *from = matrix->dense + first + i;
        for (int64_t f = 0; f < n_cols; f++) {
            out[i * n_cols + f] = (float)from[f * matrix->stride];
        }
    }
}
