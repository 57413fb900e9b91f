/* SPDX-License-Identifier: Apache-2.0 */
#include "learn/linear/design.h"

#include "base/alloc.h"
#include "linalg/gram.h"
#include "linalg/kernels.h"

#include <string.h>

enum {
    SPARSE_SHARE = 4, /* a dense column with at most one non-zero in so many rows is sparse */
    BLOCKS_MAX = 8,   /* of rows, for sums */
    BLOCK_ROWS_MIN = 1024,
    LINE_ROWS = 64 /* visited in a column at a time: a bit each */
};

/* Blocks of rows depend on nothing but their number. */
static int64_t n_blocks_of(int64_t n_rows)
{
    const int64_t n = n_rows / BLOCK_ROWS_MIN;
    return n < 1 ? 1 : n > BLOCKS_MAX ? BLOCKS_MAX : n;
}

/* ---- building ---- */

struct building {
    qn_design *design;
    const qn_matrix *x;
    int64_t n_blocks;
    int32_t *counts; /* x->n_dense × n_blocks: non-zeros of each column in each block of rows */
    bool *is_sparse; /* x->n_dense */
    int64_t *begins; /* n_blocks: where the values of its rows begin */
    uint64_t *lines; /* n_blocks × x->n_dense: which rows of a line are not zero in a column */
};

static int64_t block_begin(const struct building *b, int64_t block)
{
    return b->x->n_rows * block / b->n_blocks;
}

/* Counts a column's non-zeros until it stays dense: too many, or not exact as floats. */
static void count_column(void *context, int64_t f)
{
    const struct building *b = context;
    const double *column = b->x->dense + f * b->x->stride;
    int64_t count = 0;
    for (int64_t block = 0; block < b->n_blocks; block++) {
        int32_t own = 0, inexact = 0;
        for (int64_t i = block_begin(b, block); i < block_begin(b, block + 1); i++) {
            own += column[i] != 0;
            inexact |= (double)(float)column[i] != column[i];
        }
        b->counts[f * b->n_blocks + block] = own;
        count += own;
        if (inexact || count * SPARSE_SHARE > b->x->n_rows) return;
    }
    b->is_sparse[f] = true;
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

/* Numbers the columns, and says where the values of each block begin; returns how many there are.
 */
static int64_t choose_columns(const struct building *b)
{
    qn_design *d = b->design;
    const qn_matrix *x = b->x;
    int64_t n_dense = 0, n_values = 0;
    for (int64_t f = 0; f < x->n_dense; f++) {
        if (!b->is_sparse[f]) d->features[n_dense++] = (int32_t)f;
    }
    close_dense(d, n_dense);
    for (int64_t f = 0; f < x->n_dense; f++) {
        if (b->is_sparse[f]) d->features[d->n_cols++] = (int32_t)f;
    }
    for (int64_t f = 0; f < x->n_sparse; f++) {
        d->features[d->n_cols++] = (int32_t)(x->n_dense + f);
    }
    for (int64_t block = 0; block < b->n_blocks; block++) {
        b->begins[block] = n_values;
        for (int64_t f = 0; f < x->n_dense; f++) {
            n_values += b->is_sparse[f] ? b->counts[f * b->n_blocks + block] : 0;
        }
        if (x->n_sparse == 0) continue;
        n_values +=
            x->sparse_starts[block_begin(b, block + 1)] - x->sparse_starts[block_begin(b, block)];
    }
    return n_values;
}

static void fill_dense(const struct building *b, int64_t first, int64_t n)
{
    const qn_design *d = b->design;
    double *rows = d->dense + first * d->width;
    for (int64_t c = 0; c < d->intercept; c++) {
        const double *column = b->x->dense + d->features[c] * b->x->stride + first;
        for (int64_t i = 0; i < n; i++) {
            rows[i * d->width + c] = column[i];
        }
    }
    for (int64_t i = 0; i < n; i++) {
        for (int64_t c = d->intercept; c < d->width; c++) {
            rows[i * d->width + c] = c == d->intercept;
        }
    }
}

/* The sparse part of n <= LINE_ROWS rows, whose values begin at `at`; returns where they end.
 * `lines`: of x->n_dense. */
static int64_t fill_sparse(const struct building *b, uint64_t *lines, int64_t first, int64_t n,
                           int64_t at)
{
    qn_design *d = b->design;
    const qn_matrix *x = b->x;
    const int64_t n_moved = d->n_cols - d->width - x->n_sparse;
    const int32_t *moved = d->features + d->width;
    int64_t next[LINE_ROWS] = {0}; /* first a row's non-zeros, then where its next one goes */
    for (int64_t c = 0; c < n_moved; c++) {
        const double *column = x->dense + moved[c] * x->stride + first;
        uint64_t line = 0;
        for (int64_t i = 0; i < n; i++) {
            line |= (uint64_t)(column[i] != 0) << i;
        }
        lines[c] = line;
        for (; line != 0; line &= line - 1) {
            next[__builtin_ctzll(line)]++;
        }
    }
    for (int64_t i = 0; i < n; i++) {
        const int64_t n_own = next[i];
        next[i] = at;
        at += n_own;
        if (x->n_sparse > 0) at += x->sparse_starts[first + i + 1] - x->sparse_starts[first + i];
        d->starts[first + i + 1] = at;
    }
    for (int64_t c = 0; c < n_moved; c++) {
        const double *column = x->dense + moved[c] * x->stride + first;
        for (uint64_t line = lines[c]; line != 0; line &= line - 1) {
            const int i = __builtin_ctzll(line);
            d->cols[next[i]] = (int32_t)c;
            d->values[next[i]++] = (float)column[i];
        }
    }
    for (int64_t i = 0; i < n && x->n_sparse > 0; i++) {
        for (int64_t j = x->sparse_starts[first + i]; j < x->sparse_starts[first + i + 1]; j++) {
            d->cols[next[i]] = (int32_t)n_moved + x->sparse_cols[j];
            d->values[next[i]++] = x->sparse_values[j];
        }
    }
    return at;
}

/* A line of each column at a time. */
static void fill_block(void *context, int64_t block)
{
    const struct building *b = context;
    const int64_t end = block_begin(b, block + 1);
    int64_t at = b->begins[block];
    for (int64_t first = block_begin(b, block); first < end; first += LINE_ROWS) {
        const int64_t n = end - first < LINE_ROWS ? end - first : LINE_ROWS;
        fill_dense(b, first, n);
        at = fill_sparse(b, b->lines + block * b->x->n_dense, first, n, at);
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

static qn_status build(struct building *b, qn_pool *pool, qn_error *err)
{
    const qn_matrix *x = b->x;
    b->design->features = qn_alloc_array(x->n_dense + x->n_sparse + 5, sizeof(int32_t));
    b->counts = qn_alloc_array(x->n_dense * b->n_blocks, sizeof *b->counts);
    b->is_sparse = qn_alloc_array(x->n_dense, sizeof *b->is_sparse);
    b->begins = qn_alloc_array(b->n_blocks, sizeof *b->begins);
    b->lines = qn_alloc_array(b->n_blocks * x->n_dense, sizeof *b->lines);
    if (!b->design->features || !b->counts || !b->is_sparse || !b->begins || !b->lines) {
        qn_design_release(b->design);
        return qn_fail(err, QN_ERR_NOMEM, "no memory for the rows of a linear model");
    }
    qn_pool_run(pool, x->n_dense, count_column, b);
    QN_TRY(allocate(b->design, choose_columns(b), err));
    qn_pool_run(pool, b->n_blocks, fill_block, b);
    return QN_OK;
}

qn_status qn_design_init(qn_design *d, const qn_matrix *x, qn_pool *pool, qn_error *err)
{
    *d = (qn_design){.n_rows = x->n_rows};
    struct building b = {.design = d, .x = x, .n_blocks = n_blocks_of(x->n_rows)};
    const qn_status status = build(&b, pool, err);
    qn_free(b.counts);
    qn_free(b.is_sparse);
    qn_free(b.begins);
    qn_free(b.lines);
    return status;
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

qn_status qn_design_share(const qn_design *d, qn_shared_columns *shared, qn_design *out,
                          qn_error *err)
{
    const qn_sparse_rows rows = {.n_rows = d->n_rows,
                                 .n_cols = d->n_cols - d->width,
                                 .starts = d->starts,
                                 .cols = d->cols,
                                 .values = d->values};
    QN_TRY(qn_shared_columns_init(shared, &rows, err));
    *out = (qn_design){.n_rows = d->n_rows,
                       .n_cols = d->width + shared->n_cols,
                       .width = d->width,
                       .intercept = d->intercept,
                       .dense = d->dense,
                       .starts = shared->starts,
                       .cols = shared->cols,
                       .values = shared->values};
    return QN_OK;
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
    int64_t j = d->starts[row];
    for (; j + 4 <= d->starts[row + 1]; j += 4) {
        for (int lane = 0; lane < 4; lane++) {
            lanes[lane] += (double)d->values[j + lane] * sparse[d->cols[j + lane]];
        }
    }
    for (; j < d->starts[row + 1]; j++) {
        sum += (double)d->values[j] * sparse[d->cols[j]];
    }
    return ((lanes[0] + lanes[1]) + (lanes[2] + lanes[3])) + sum;
}

void qn_design_row_add(const qn_design *d, int64_t row, double scale, double *point)
{
    const double *restrict dense = d->dense + row * d->width;
    double *sparse = point + d->width;
    for (int64_t c = 0; c < d->width; c++) {
        point[c] += scale * dense[c];
    }
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
