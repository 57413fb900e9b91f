/* SPDX-License-Identifier: Apache-2.0 */
#include "learn/linear/columns.h"

#include "base/alloc.h"
#include "linalg/kernels.h"

#include <string.h>

qn_status qn_columns_init(qn_columns *columns, const qn_matrix *x, qn_error *err)
{
    *columns = (qn_columns){.matrix = x};
    if (x->n_sparse == 0) return QN_OK;
    const int64_t first = x->sparse_starts[0], n = x->sparse_starts[x->n_rows] - first;
    columns->starts = qn_alloc_array(x->n_sparse + 2, sizeof *columns->starts);
    columns->rows = qn_alloc_array(n, sizeof *columns->rows);
    columns->values = qn_alloc_array(n, sizeof *columns->values);
    if (!columns->starts || !columns->rows || !columns->values) {
        qn_columns_release(columns);
        return qn_fail(err, QN_ERR_NOMEM, "no memory for the columns of text");
    }
    /* Counted one place ahead, so that filling a column moves its start to where it belongs. */
    int64_t *next = columns->starts + 1;
    for (int64_t j = 0; j < n; j++) {
        next[x->sparse_cols[first + j] + 1]++;
    }
    for (int64_t c = 0; c < x->n_sparse; c++) {
        next[c + 1] += next[c];
    }
    for (int64_t i = 0; i < x->n_rows; i++) {
        for (int64_t j = x->sparse_starts[i]; j < x->sparse_starts[i + 1]; j++) {
            const int64_t at = next[x->sparse_cols[j]]++;
            columns->rows[at] = (int32_t)i;
            columns->values[at] = x->sparse_values[j];
        }
    }
    return QN_OK;
}

void qn_columns_release(qn_columns *columns)
{
    qn_free(columns->starts);
    qn_free(columns->rows);
    qn_free(columns->values);
    *columns = (qn_columns){0};
}

enum { LANES = 8 };

static double dense_dot(const double *restrict x, const double *restrict w,
                        const double *restrict r, double shift, int64_t n)
{
    double lanes[LANES] = {0}, sum = 0;
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES) {
        for (int lane = 0; lane < LANES; lane++) {
            lanes[lane] += w[i + lane] * x[i + lane] * (r[i + lane] + shift);
        }
    }
    for (int lane = 0; i < n; i++, lane++) {
        lanes[lane] += w[i] * x[i] * (r[i] + shift);
    }
    for (int lane = 0; lane < LANES; lane++) {
        sum += lanes[lane];
    }
    return sum;
}

static void dense_moments(const double *restrict x, const double *restrict w, int64_t n,
                          double *sum, double *squares)
{
    double first[LANES] = {0}, second[LANES] = {0};
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES) {
        for (int lane = 0; lane < LANES; lane++) {
            const double part = w[i + lane] * x[i + lane];
            first[lane] += part;
            second[lane] += part * x[i + lane];
        }
    }
    for (int lane = 0; i < n; i++, lane++) {
        first[lane] += w[i] * x[i];
        second[lane] += w[i] * x[i] * x[i];
    }
    for (int lane = 0; lane < LANES; lane++) {
        *sum += first[lane];
        *squares += second[lane];
    }
}

double qn_columns_dot(const qn_columns *columns, int64_t feature, const double *weights,
                      const double *r, double shift)
{
    const qn_matrix *x = columns->matrix;
    if (feature < x->n_dense) {
        return dense_dot(x->dense + feature * x->stride, weights, r, shift, x->n_rows);
    }
    const int64_t c = feature - x->n_dense;
    double sum = 0;
    for (int64_t j = columns->starts[c]; j < columns->starts[c + 1]; j++) {
        const int32_t i = columns->rows[j];
        sum += weights[i] * (double)columns->values[j] * (r[i] + shift);
    }
    return sum;
}

void qn_columns_add(const qn_columns *columns, int64_t feature, double scale, double *r)
{
    const qn_matrix *x = columns->matrix;
    if (feature < x->n_dense) {
        qn_add_scaled(scale, x->dense + feature * x->stride, r, x->n_rows);
        return;
    }
    const int64_t c = feature - x->n_dense;
    for (int64_t j = columns->starts[c]; j < columns->starts[c + 1]; j++) {
        r[columns->rows[j]] += scale * (double)columns->values[j];
    }
}

void qn_columns_moments(const qn_columns *columns, int64_t feature, const double *weights,
                        double *sum, double *squares)
{
    const qn_matrix *x = columns->matrix;
    *sum = *squares = 0;
    if (feature < x->n_dense) {
        dense_moments(x->dense + feature * x->stride, weights, x->n_rows, sum, squares);
        return;
    }
    const int64_t c = feature - x->n_dense;
    for (int64_t j = columns->starts[c]; j < columns->starts[c + 1]; j++) {
        const double value = (double)columns->values[j];
        *sum += weights[columns->rows[j]] * value;
        *squares += weights[columns->rows[j]] * value * value;
    }
}
