/* SPDX-License-Identifier: Apache-2.0 */
#include "recipe/reduce/row_operator.h"

#include "base/alloc.h"
#include "linalg/kernels.h"

#include <string.h>

enum { TASK_ROWS = 256, TASK_COLS = 64 };

void qn_row_operator_release(qn_row_operator *op)
{
    qn_free(op->col_starts);
    qn_free(op->col_rows);
    qn_free(op->col_values);
    *op = (qn_row_operator){0};
}

/* The sparse part by columns, by counting; rows of a column increase. */
static bool turn_sparse(qn_row_operator *op)
{
    const qn_matrix *m = op->rows;
    if (m->n_sparse == 0) return true;
    const int64_t n = m->sparse_starts[m->n_rows];
    const int64_t first = m->sparse_starts[0];
    op->col_starts = qn_alloc_array(m->n_sparse + 2, sizeof *op->col_starts);
    op->col_rows = qn_alloc_array(n - first, sizeof *op->col_rows);
    op->col_values = qn_alloc_array(n - first, sizeof *op->col_values);
    if (!op->col_starts || !op->col_rows || !op->col_values) return false;
    int64_t *next = op->col_starts + 1; /* becomes the end of each column, its start at first */
    for (int64_t i = first; i < n; i++) {
        next[m->sparse_cols[i] + 1]++;
    }
    for (int64_t c = 1; c <= m->n_sparse; c++) {
        next[c] += next[c - 1];
    }
    for (int64_t row = 0; row < m->n_rows; row++) {
        for (int64_t i = m->sparse_starts[row]; i < m->sparse_starts[row + 1]; i++) {
            const int64_t at = next[m->sparse_cols[i]]++;
            op->col_rows[at] = (int32_t)row;
            op->col_values[at] = m->sparse_values[i];
        }
    }
    return true;
}

qn_status qn_row_operator_init(qn_row_operator *op, const qn_matrix *rows, const double *means,
                               qn_pool *pool, qn_error *err)
{
    *op = (qn_row_operator){.rows = rows,
                            .means = means,
                            .n_rows = rows->n_rows,
                            .n_features = rows->n_dense + rows->n_sparse,
                            .pool = pool};
    if (turn_sparse(op)) return QN_OK;
    qn_row_operator_release(op);
    return qn_fail(err, QN_ERR_NOMEM, "no memory for the columns of words");
}

struct product {
    const qn_row_operator *op;
    const double *from;
    int64_t width;
    double *to;
    double *shift; /* width: means' x, or sums of y */
};

/* Adds values times the rows of `from`, `width` numbers each, that `places` name. */
static inline __attribute__((always_inline)) void gather(const float *values, const int32_t *places,
                                                         int64_t n, const double *from,
                                                         int64_t width, double *to)
{
    for (int64_t at = 0; at < n; at++) {
        const double value = (double)values[at], *row = from + places[at] * width;
        for (int64_t c = 0; c < width; c++) {
            to[c] += value * row[c];
        }
    }
}

/* The same sums, those of blocks of four in registers. */
static void add_gathered(const float *values, const int32_t *places, int64_t n, const double *from,
                         int64_t width, double *to)
{
    if (width == 4) {
        double sums[4] = {to[0], to[1], to[2], to[3]};
        gather(values, places, n, from, 4, sums);
        memcpy(to, sums, sizeof sums);
    } else {
        gather(values, places, n, from, width, to);
    }
}

static void apply_rows(void *context, int64_t task)
{
    const struct product *p = context;
    const qn_matrix *m = p->op->rows;
    const int64_t first = task * TASK_ROWS, width = p->width;
    const int64_t end = first + TASK_ROWS < m->n_rows ? first + TASK_ROWS : m->n_rows;
    for (int64_t i = first; i < end; i++) {
        for (int64_t c = 0; c < width; c++) {
            p->to[i * width + c] = p->shift ? -p->shift[c] : 0;
        }
    }
    for (int64_t f = 0; f < m->n_dense; f++) {
        for (int64_t i = first; i < end; i++) {
            const double value = m->dense[f * m->stride + i];
            if (value != 0) qn_add_scaled(value, p->from + f * width, p->to + i * width, width);
        }
    }
    for (int64_t i = first; i < end && m->n_sparse > 0; i++) {
        const int64_t at = m->sparse_starts[i];
        add_gathered(m->sparse_values + at, m->sparse_cols + at, m->sparse_starts[i + 1] - at,
                     p->from + m->n_dense * width, width, p->to + i * width);
    }
}

static void apply_columns(void *context, int64_t task)
{
    const struct product *p = context;
    const qn_row_operator *op = p->op;
    const qn_matrix *m = op->rows;
    const int64_t first = task * TASK_COLS, width = p->width;
    const int64_t end = first + TASK_COLS < op->n_features ? first + TASK_COLS : op->n_features;
    for (int64_t f = first; f < end; f++) {
        double *to = p->to + f * width;
        for (int64_t c = 0; c < width; c++) {
            to[c] = p->shift ? -op->means[f] * p->shift[c] : 0;
        }
        for (int64_t i = 0; f < m->n_dense && i < m->n_rows; i++) {
            const double value = m->dense[f * m->stride + i];
            if (value != 0) qn_add_scaled(value, p->from + i * width, to, width);
        }
        const int64_t sparse = f - m->n_dense;
        if (sparse < 0) continue;
        const int64_t at = op->col_starts[sparse];
        add_gathered(op->col_values + at, op->col_rows + at, op->col_starts[sparse + 1] - at,
                     p->from, width, to);
    }
}

/* The sum of rows of `values`, n × width, each times its factor; NULL: times one. */
static void sum_rows(const double *values, const double *factors, int64_t n, int64_t width,
                     double *out)
{
    memset(out, 0, (size_t)width * sizeof *out);
    for (int64_t i = 0; i < n; i++) {
        qn_add_scaled(factors ? factors[i] : 1, values + i * width, out, width);
    }
}

bool qn_row_operator_apply(const qn_row_operator *op, const double *x, int64_t width, double *y)
{
    struct product p = {.op = op, .from = x, .width = width, .to = y};
    if (op->means) {
        p.shift = qn_alloc_array(width, sizeof *p.shift);
        if (!p.shift) return false;
        sum_rows(x, op->means, op->n_features, width, p.shift);
    }
    qn_pool_run(op->pool, (op->n_rows + TASK_ROWS - 1) / TASK_ROWS, apply_rows, &p);
    qn_free(p.shift);
    return true;
}

bool qn_row_operator_apply_transposed(const qn_row_operator *op, const double *y, int64_t width,
                                      double *x)
{
    struct product p = {.op = op, .from = y, .width = width, .to = x};
    if (op->means) {
        p.shift = qn_alloc_array(width, sizeof *p.shift);
        if (!p.shift) return false;
        sum_rows(y, NULL, op->n_rows, width, p.shift);
    }
    qn_pool_run(op->pool, (op->n_features + TASK_COLS - 1) / TASK_COLS, apply_columns, &p);
    qn_free(p.shift);
    return true;
}
