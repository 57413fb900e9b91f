/* SPDX-License-Identifier: Apache-2.0 */
#include "learn/linear/design.h"

#include "base/alloc.h"
#include "linalg/gram.h"
#include "linalg/kernels.h"

#include <string.h>

enum {
    SPARSE_SHARE = 4, /* a dense column with at most one non-zero in so many rows is sparse */
    BLOCKS_MAX = 8,   /* of rows, for sums */
    BLOCK_ROWS_MIN = 1024
};

/* ---- building ---- */

/* Non-zeros of a dense column; -1 when it stays dense: too many, or not exact as floats. */
static int64_t count_sparse(const double *column, int64_t n)
{
    int64_t count = 0;
    for (int64_t i = 0; i < n; i++) {
        if (column[i] == 0) continue;
        if (++count * SPARSE_SHARE > n || (double)(float)column[i] != column[i]) return -1;
    }
    return count;
}

/* The intercept follows n_dense features, then padding. */
static void close_dense(qn_design *d, int64_t n_dense)
{
    d->intercept = n_dense;
    d->features[n_dense++] = QN_COLUMN_INTERCEPT;
    while (n_dense % 4 > 0) {
        d->features[n_dense++] = QN_COLUMN_PADDING;
    }
    d->width = d->n_cols = n_dense;
}

/* Numbers the columns; counts the non-zeros of the sparse ones. */
static void choose_columns(qn_design *d, const qn_matrix *x, int64_t *n_values)
{
    int64_t n_dense = 0;
    *n_values = x->n_sparse > 0 ? x->sparse_starts[x->n_rows] - x->sparse_starts[0] : 0;
    for (int64_t f = 0; f < x->n_dense; f++) {
        const int64_t count = count_sparse(x->dense + f * x->stride, x->n_rows);
        if (count >= 0) {
            *n_values += count;
        } else {
            d->features[n_dense++] = (int32_t)f;
        }
    }
    close_dense(d, n_dense);
    for (int64_t f = 0, next = 0; f < x->n_dense; f++) {
        if (d->features[next] == f) {
            next++;
        } else {
            d->features[d->n_cols++] = (int32_t)f;
        }
    }
    for (int64_t f = 0; f < x->n_sparse; f++) {
        d->features[d->n_cols++] = (int32_t)(x->n_dense + f);
    }
}

static void fill_dense(qn_design *d, const qn_matrix *x)
{
    for (int64_t i = 0; i < d->n_rows; i++) {
        double *row = d->dense + i * d->width;
        for (int64_t c = 0; c < d->intercept; c++) {
            row[c] = x->dense[d->features[c] * x->stride + i];
        }
        row[d->intercept] = 1;
        for (int64_t c = d->intercept + 1; c < d->width; c++) {
            row[c] = 0;
        }
    }
}

static void fill_sparse(qn_design *d, const qn_matrix *x)
{
    const int64_t n_moved = d->n_cols - d->width - x->n_sparse;
    const int32_t *moved = d->features + d->width;
    int64_t at = 0;
    for (int64_t i = 0; i < d->n_rows; i++) {
        for (int64_t c = 0; c < n_moved; c++) {
            const double value = x->dense[moved[c] * x->stride + i];
            if (value == 0) continue;
            d->cols[at] = (int32_t)c;
            d->values[at++] = (float)value;
        }
        for (int64_t j = x->n_sparse > 0 ? x->sparse_starts[i] : 0;
             x->n_sparse > 0 && j < x->sparse_starts[i + 1]; j++) {
            d->cols[at] = (int32_t)n_moved + x->sparse_cols[j];
            d->values[at++] = x->sparse_values[j];
        }
        d->starts[i + 1] = at;
    }
}

/* Room for what choose_columns() or close_dense() asked for. */
static qn_status allocate(qn_design *d, int64_t n_values, qn_error *err)
{
    d->dense = qn_alloc_aligned(d->n_rows * d->width, sizeof *d->dense);
    d->starts = qn_alloc_array(d->n_rows + 1, sizeof *d->starts);
    d->cols = qn_alloc_array(n_values, sizeof *d->cols);
    d->values = qn_alloc_array(n_values, sizeof *d->values);
    if (d->dense && d->starts && d->cols && d->values) return QN_OK;
    qn_design_release(d);
    return qn_fail(err, QN_ERR_NOMEM, "no memory for the rows of a linear model");
}

qn_status qn_design_init(qn_design *d, const qn_matrix *x, qn_error *err)
{
    int64_t n_values = 0;
    *d = (qn_design){.n_rows = x->n_rows};
    d->features = qn_alloc_array(x->n_dense + x->n_sparse + 5, sizeof *d->features);
    if (!d->features) {
        return qn_fail(err, QN_ERR_NOMEM, "no memory for the rows of a linear model");
    }
    choose_columns(d, x, &n_values);
    QN_TRY(allocate(d, n_values, err));
    fill_dense(d, x);
    fill_sparse(d, x);
    return QN_OK;
}

qn_status qn_design_init_dense(qn_design *d, int64_t n_rows, int64_t n_features, qn_error *err)
{
    *d = (qn_design){.n_rows = n_rows};
    d->features = qn_alloc_array(n_features + 5, sizeof *d->features);
    if (!d->features) {
        return qn_fail(err, QN_ERR_NOMEM, "no memory for the rows of a linear model");
    }
    for (int64_t f = 0; f < n_features; f++) {
        d->features[f] = (int32_t)f;
    }
    close_dense(d, n_features);
    QN_TRY(allocate(d, 0, err));
    for (int64_t i = 0; i < n_rows; i++) {
        double *row = d->dense + i * d->width;
        for (int64_t c = 0; c < d->width; c++) {
            row[c] = c == d->intercept;
        }
    }
    return QN_OK;
}

void qn_design_release(qn_design *d)
{
    qn_free(d->features);
    qn_free(d->dense);
    qn_free(d->starts);
    qn_free(d->cols);
    qn_free(d->values);
    *d = (qn_design){0};
}

/* ---- rows ---- */

double qn_design_row_dot(const qn_design *d, int64_t row, const double *point)
{
    const double *dense = d->dense + row * d->width, *sparse = point + d->width;
    double lanes[4] = {0}, sum = 0;
    for (int64_t c = 0; c < d->width; c += 4) {
        for (int lane = 0; lane < 4; lane++) {
            lanes[lane] += dense[c + lane] * point[c + lane];
        }
    }
    for (int64_t j = d->starts[row]; j < d->starts[row + 1]; j++) {
        sum += (double)d->values[j] * sparse[d->cols[j]];
    }
    return ((lanes[0] + lanes[1]) + (lanes[2] + lanes[3])) + sum;
}

void qn_design_row_add(const qn_design *d, int64_t row, double scale, double *point)
{
    double *sparse = point + d->width;
    qn_add_scaled(scale, d->dense + row * d->width, point, d->width);
    for (int64_t j = d->starts[row]; j < d->starts[row + 1]; j++) {
        sparse[d->cols[j]] += scale * (double)d->values[j];
    }
}

void qn_design_unpack(const qn_design *d, const double *point, double *coefficients,
                      double *intercept)
{
    for (int64_t c = 0; c < d->n_cols; c++) {
        if (d->features[c] >= 0) coefficients[d->features[c]] = point[c];
    }
    *intercept = point[d->intercept];
}

/* ---- blocks of rows ---- */

struct sums {
    const qn_design *design;
    const double *weights; /* of rows; multiply: the point */
    int64_t n_blocks;
    double *out;   /* of the first block, and of all in the end */
    double *parts; /* of the other blocks */
    int64_t part;  /* doubles in each */
};

static int64_t n_blocks_of(int64_t n_rows)
{
    const int64_t n = n_rows / BLOCK_ROWS_MIN;
    return n < 1 ? 1 : n > BLOCKS_MAX ? BLOCKS_MAX : n;
}

/* For sums of a value a column: fewer where clearing and adding up parts would cost more than the
 * rows. */
static int64_t n_blocks_of_columns(const qn_design *d)
{
    const int64_t work = (d->starts[d->n_rows] + d->n_rows * d->width) / (4 * d->n_cols);
    const int64_t n = n_blocks_of(d->n_rows);
    return work < 1 ? 1 : work < n ? work : n;
}

static int64_t first_row(const struct sums *s, int64_t block)
{
    return s->design->n_rows * block / s->n_blocks;
}

static double *part_of(const struct sums *s, int64_t block)
{
    return block == 0 ? s->out : s->parts + (block - 1) * s->part;
}

/* Runs `task` over the blocks and adds their parts up. */
static qn_status add_up(struct sums *s, qn_pool_task task, qn_pool *pool, qn_error *err)
{
    s->parts = qn_alloc_array((s->n_blocks - 1) * s->part, sizeof *s->parts);
    if (!s->parts) return qn_fail(err, QN_ERR_NOMEM, "no memory for the sums of a linear model");
    memset(s->out, 0, (size_t)s->part * sizeof *s->out);
    qn_pool_run(pool, s->n_blocks, task, s);
    for (int64_t b = 1; b < s->n_blocks; b++) {
        qn_add_scaled(1, part_of(s, b), s->out, s->part);
    }
    qn_free(s->parts);
    return QN_OK;
}

static void multiply_block(void *context, int64_t block)
{
    const struct sums *s = context;
    for (int64_t i = first_row(s, block); i < first_row(s, block + 1); i++) {
        s->out[i] = qn_design_row_dot(s->design, i, s->weights);
    }
}

void qn_design_multiply(const qn_design *d, const double *point, qn_pool *pool, double *out)
{
    struct sums s = {.design = d, .weights = point, .n_blocks = n_blocks_of(d->n_rows), .out = out};
    qn_pool_run(pool, s.n_blocks, multiply_block, &s);
}

static void transpose_block(void *context, int64_t block)
{
    const struct sums *s = context;
    double *out = part_of(s, block);
    for (int64_t i = first_row(s, block); i < first_row(s, block + 1); i++) {
        if (s->weights[i] != 0) qn_design_row_add(s->design, i, s->weights[i], out);
    }
}

qn_status qn_design_transposed(const qn_design *d, const double *r, qn_pool *pool, double *out,
                               qn_error *err)
{
    struct sums s = {.design = d,
                     .weights = r,
                     .n_blocks = n_blocks_of_columns(d),
                     .out = out,
                     .part = d->n_cols};
    return add_up(&s, transpose_block, pool, err);
}

static void diagonal_block(void *context, int64_t block)
{
    const struct sums *s = context;
    const qn_design *d = s->design;
    double *out = part_of(s, block), *sparse = out + d->width;
    for (int64_t i = first_row(s, block); i < first_row(s, block + 1); i++) {
        const double omega = s->weights[i], *dense = d->dense + i * d->width;
        for (int64_t c = 0; c < d->width; c++) {
            out[c] += omega * dense[c] * dense[c];
        }
        for (int64_t j = d->starts[i]; j < d->starts[i + 1]; j++) {
            sparse[d->cols[j]] += omega * (double)d->values[j] * (double)d->values[j];
        }
    }
}

qn_status qn_design_diagonal(const qn_design *d, const double *omega, qn_pool *pool, double *out,
                             qn_error *err)
{
    struct sums s = {.design = d,
                     .weights = omega,
                     .n_blocks = n_blocks_of_columns(d),
                     .out = out,
                     .part = d->n_cols};
    return add_up(&s, diagonal_block, pool, err);
}

/* ---- Gram matrix ---- */

/* Products of a row's sparse columns with its dense ones and with one another. */
static void add_sparse(const qn_design *d, int64_t i, double omega, double *out)
{
    const double *dense = d->dense + i * d->width;
    const int64_t begin = d->starts[i], end = d->starts[i + 1];
    for (int64_t j = begin; j < end; j++) {
        double *row = out + (d->width + d->cols[j]) * d->n_cols;
        const double scaled = omega * (double)d->values[j];
        for (int64_t c = 0; c < d->width; c++) {
            row[c] += scaled * dense[c];
        }
        row += d->width;
        for (int64_t l = begin; l <= j; l++) {
            row[d->cols[l]] += scaled * (double)d->values[l];
        }
    }
}

static void gram_block(void *context, int64_t block)
{
    const struct sums *s = context;
    const qn_design *d = s->design;
    const int64_t first = first_row(s, block), last = first_row(s, block + 1);
    double *out = part_of(s, block);
    qn_gram_add(d->dense + first * d->width, d->width, s->weights + first, last - first, out,
                d->n_cols);
    for (int64_t i = first; i < last; i++) {
        if (s->weights[i] != 0) add_sparse(d, i, s->weights[i], out);
    }
}

qn_status qn_design_gram(const qn_design *d, const double *omega, qn_pool *pool, double *out,
                         qn_error *err)
{
    struct sums s = {.design = d,
                     .weights = omega,
                     .n_blocks = n_blocks_of(d->n_rows),
                     .out = out,
                     .part = d->n_cols * d->n_cols};
    return add_up(&s, gram_block, pool, err);
}
