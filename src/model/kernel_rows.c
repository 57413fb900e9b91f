/* SPDX-License-Identifier: Apache-2.0 */
#include "model/kernel_rows.h"

#include "base/alloc.h"
#include "linalg/gemm.h"

#include <string.h>

void qn_kernel_rows_release(qn_kernel_rows *rows)
{
    qn_free(rows->panels);
    qn_free(rows->squares);
    qn_free(rows->starts);
    qn_free(rows->cols);
    qn_free(rows->values);
    *rows = (qn_kernel_rows){0};
}

static void fill_dense(const qn_matrix *x, const int32_t *chosen, qn_kernel_rows *out)
{
    memset(out->panels, 0, (size_t)qn_panels_floats(x->n_dense, out->n) * sizeof *out->panels);
    for (int64_t i = 0; i < out->n; i++) {
        float *to =
            out->panels + i / QN_PANEL_COLS * QN_PANEL_COLS * x->n_dense + i % QN_PANEL_COLS;
        float sum = 0;
        for (int64_t f = 0; f < x->n_dense; f++) {
            const float value = (float)x->dense[f * x->stride + chosen[i]];
            to[f * QN_PANEL_COLS] = value;
            sum += value * value;
        }
        out->squares[i] = sum;
    }
}

static void fill_sparse(const qn_matrix *x, const int32_t *chosen, qn_kernel_rows *out)
{
    int64_t at = 0;
    for (int64_t i = 0; i < out->n; i++) {
        float sum = 0;
        out->starts[i] = at;
        for (int64_t p = x->sparse_starts[chosen[i]]; p < x->sparse_starts[chosen[i] + 1]; p++) {
            out->cols[at] = x->sparse_cols[p];
            out->values[at++] = x->sparse_values[p];
            sum += x->sparse_values[p] * x->sparse_values[p];
        }
        out->squares[i] += sum;
    }
    out->starts[out->n] = at;
}

qn_status qn_kernel_rows_fill(const qn_matrix *x, const int32_t *chosen, int64_t n,
                              qn_kernel_rows *out, qn_error *err)
{
    int64_t n_values = 0;
    for (int64_t i = 0; x->n_sparse > 0 && i < n; i++) {
        n_values += x->sparse_starts[chosen[i] + 1] - x->sparse_starts[chosen[i]];
    }
    const bool sparse = x->n_sparse > 0;
    *out =
        (qn_kernel_rows){.n = n,
                         .n_dense = x->n_dense,
                         .n_sparse = x->n_sparse,
                         .panels = qn_alloc_aligned(qn_panels_floats(x->n_dense, n), sizeof(float)),
                         .squares = qn_alloc_array(n, sizeof(float)),
                         .starts = sparse ? qn_alloc_array(n + 1, sizeof(int64_t)) : NULL,
                         .cols = sparse ? qn_alloc_array(n_values, sizeof(int32_t)) : NULL,
                         .values = sparse ? qn_alloc_array(n_values, sizeof(float)) : NULL};
    if (!out->squares || !out->panels || (sparse && (!out->starts || !out->cols || !out->values))) {
        qn_kernel_rows_release(out);
        return qn_fail(err, QN_ERR_NOMEM, "no memory for the rows of a kernel");
    }
    fill_dense(x, chosen, out);
    if (sparse) fill_sparse(x, chosen, out);
    return QN_OK;
}

void qn_kernel_rows_finish(const qn_kernel_rows *rows, const qn_kernel *kernel,
                           const qn_kernel_point *point, int64_t first, int64_t n, float *values)
{
    for (int64_t i = 0; rows->n_sparse > 0 && i < n; i++) {
        float sum = 0;
        for (int64_t p = rows->starts[first + i]; p < rows->starts[first + i + 1]; p++) {
            sum += rows->values[p] * point->sparse[rows->cols[p]];
        }
        values[i] += sum;
    }
    qn_kernel_apply(kernel, point->square, rows->squares + first, n, values);
}

void qn_kernel_rows_apply(const qn_kernel_rows *rows, const qn_kernel *kernel,
                          const qn_kernel_point *point, int64_t first, int64_t n, float *out)
{
    const qn_gemm product = {.m = 1,
                             .n = n,
                             .k = rows->n_dense,
                             .a = point->dense,
                             .a_row_step = rows->n_dense,
                             .a_col_step = 1,
                             .panels = rows->panels + first * rows->n_dense,
                             .c = out,
                             .c_row_step = n};
    qn_gemm_run(&product, NULL);
    qn_kernel_rows_finish(rows, kernel, point, first, n, out);
}

float qn_kernel_point_spread(const qn_matrix *x, int64_t row, float *dense, float *sparse)
{
    float square = 0, sum = 0;
    for (int64_t f = 0; f < x->n_dense; f++) {
        dense[f] = (float)x->dense[f * x->stride + row];
        square += dense[f] * dense[f];
    }
    for (int64_t p = x->n_sparse > 0 ? x->sparse_starts[row] : 0;
         x->n_sparse > 0 && p < x->sparse_starts[row + 1]; p++) {
        sparse[x->sparse_cols[p]] = x->sparse_values[p];
        sum += x->sparse_values[p] * x->sparse_values[p];
    }
    return square + sum;
}

void qn_kernel_point_clear(const qn_matrix *x, int64_t row, float *sparse)
{
    for (int64_t p = x->n_sparse > 0 ? x->sparse_starts[row] : 0;
         x->n_sparse > 0 && p < x->sparse_starts[row + 1]; p++) {
        sparse[x->sparse_cols[p]] = 0;
    }
}
