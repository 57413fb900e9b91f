/* SPDX-License-Identifier: Apache-2.0 */
/* All work but the small triangles on the diagonal is C -= A B in tiles of six rows by eight
 * columns, kept in registers. Factoring goes through blocks of rows of the upper triangle: the
 * triangle of a block, the rest of its rows by substitution, then what it takes off the rows
 * below (the right-looking variant). */
#include "linalg/cholesky.h"

#include <math.h>

enum {
    TILE_ROWS = 6,
    TILE_COLS = 8,
    BLOCK = 48,      /* rows factored at once: a multiple of both sides of a tile */
    STRIP_COLS = 32, /* of right-hand sides: one task of the pool */
    MIRROR_ROWS = 64
};

/* C (n_rows × n_cols) -= A B over `depth`. Steps may be negative: a substitution from the last row
 * on is one from the first over the matrix turned round. */
struct update {
    int64_t depth;
    const double *a; /* element (i, k) at a[i * a_row_step + k * a_col_step] */
    int64_t a_row_step, a_col_step;
    const double *b; /* element (k, j) at b[k * b_row_step + j] */
    int64_t b_row_step;
    double *c; /* element (i, j) at c[i * c_row_step + j] */
    int64_t c_row_step;
};

static void update_plain(const struct update *u, int64_t n_rows, int64_t n_cols)
{
    for (int64_t i = 0; i < n_rows; i++) {
        for (int64_t j = 0; j < n_cols; j++) {
            double sum = u->c[i * u->c_row_step + j];
            for (int64_t k = 0; k < u->depth; k++) {
                sum = fma(-u->a[i * u->a_row_step + k * u->a_col_step], u->b[k * u->b_row_step + j],
                          sum);
            }
            u->c[i * u->c_row_step + j] = sum;
        }
    }
}

/* X of the triangle T X = C, n × n_cols in place, n <= BLOCK. */
static inline __attribute__((always_inline)) void solve_triangle(int64_t n, const double *t,
                                                                 int64_t row_step, int64_t col_step,
                                                                 double *x, int64_t x_step,
                                                                 int64_t n_cols)
{
    for (int64_t i = 0; i < n; i++) {
        double *row = x + i * x_step;
        const double pivot = t[i * (row_step + col_step)];
        for (int64_t k = 0; k < i; k++) {
            const double scale = -t[i * row_step + k * col_step];
            const double *other = x + k * x_step;
            for (int64_t j = 0; j < n_cols; j++) {
                row[j] = fma(scale, other[j], row[j]);
            }
        }
        for (int64_t j = 0; j < n_cols; j++) {
            row[j] /= pivot;
        }
    }
}

/* Rows of U with A = Uᵀ U for one block on the diagonal. */
static inline __attribute__((always_inline)) bool factor_triangle(double *a, int64_t n,
                                                                  int64_t stride)
{
    for (int64_t k = 0; k < n; k++) {
        double *row = a + k * stride;
        if (!(row[k] > 0) || !isfinite(row[k])) return false;
        row[k] = sqrt(row[k]);
        for (int64_t j = k + 1; j < n; j++) {
            row[j] /= row[k];
        }
        for (int64_t i = k + 1; i < n; i++) {
            double *below = a + i * stride;
            for (int64_t j = i; j < n; j++) {
                below[j] = fma(-row[i], row[j], below[j]);
            }
        }
    }
    return true;
}

#if defined __x86_64__ && defined __GNUC__
#include <immintrin.h>

#define WIDE __attribute__((target("avx2,fma")))
#define WIDE_INLINE static inline __attribute__((target("avx2,fma"), always_inline))

static bool is_wide(void)
{
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}

/* The first `width` of four lanes. */
WIDE_INLINE __m256i lanes_below(int64_t width)
{
    return _mm256_cmpgt_epi64(_mm256_set1_epi64x(width), _mm256_setr_epi64x(0, 1, 2, 3));
}

WIDE_INLINE __m256d load(const double *from, bool is_whole, __m256i mask)
{
    return is_whole ? _mm256_loadu_pd(from) : _mm256_maskload_pd(from, mask);
}

/* n_rows and is_whole are constants where it is inlined; a tile that is not whole has `width`
 * columns. Without the unrolling asked for, gcc 12 keeps the sums in memory. */
WIDE_INLINE void tile(const struct update *u, int n_rows, bool is_whole, int64_t width)
{
    const __m256i low = lanes_below(width), high = lanes_below(width - 4);
    __m256d sums[TILE_ROWS][2];
#pragma GCC unroll 6
    for (int i = 0; i < n_rows; i++) {
        sums[i][0] = load(u->c + i * u->c_row_step, is_whole, low);
        sums[i][1] = load(u->c + i * u->c_row_step + 4, is_whole, high);
    }
    const int64_t row_step = u->a_row_step, col_step = u->a_col_step, b_step = u->b_row_step;
    const double *a = u->a, *b = u->b;
    for (int64_t k = u->depth; k > 0; k--, a += col_step, b += b_step) {
        const __m256d b0 = load(b, is_whole, low), b1 = load(b + 4, is_whole, high);
#pragma GCC unroll 6
        for (int i = 0; i < n_rows; i++) {
            const __m256d value = _mm256_broadcast_sd(a + i * row_step);
            sums[i][0] = _mm256_fnmadd_pd(value, b0, sums[i][0]);
            sums[i][1] = _mm256_fnmadd_pd(value, b1, sums[i][1]);
        }
    }
#pragma GCC unroll 6
    for (int i = 0; i < n_rows; i++) {
        if (is_whole) {
            _mm256_storeu_pd(u->c + i * u->c_row_step, sums[i][0]);
            _mm256_storeu_pd(u->c + i * u->c_row_step + 4, sums[i][1]);
        } else {
            _mm256_maskstore_pd(u->c + i * u->c_row_step, low, sums[i][0]);
            _mm256_maskstore_pd(u->c + i * u->c_row_step + 4, high, sums[i][1]);
        }
    }
}

WIDE static void rows_of_tile(const struct update *u, int64_t n_rows, int64_t width)
{
    if (n_rows == TILE_ROWS && width == TILE_COLS) {
        tile(u, TILE_ROWS, true, TILE_COLS);
        return;
    }
    if (n_rows == TILE_ROWS) {
        tile(u, TILE_ROWS, false, width);
        return;
    }
    struct update row = *u;
    for (int64_t i = 0; i < n_rows; i++, row.a += u->a_row_step, row.c += u->c_row_step) {
        tile(&row, 1, false, width);
    }
}

static void update_wide(const struct update *u, int64_t n_rows, int64_t n_cols)
{
    for (int64_t row = 0; row < n_rows; row += TILE_ROWS) {
        for (int64_t col = 0; col < n_cols; col += TILE_COLS) {
            struct update part = *u;
            part.a += row * u->a_row_step;
            part.b += col;
            part.c += row * u->c_row_step + col;
            rows_of_tile(&part, n_rows - row < TILE_ROWS ? n_rows - row : TILE_ROWS,
                         n_cols - col < TILE_COLS ? n_cols - col : TILE_COLS);
        }
    }
}

WIDE static void solve_triangle_wide(int64_t n, const double *t, int64_t row_step, int64_t col_step,
                                     double *x, int64_t x_step, int64_t n_cols)
{
    solve_triangle(n, t, row_step, col_step, x, x_step, n_cols);
}

WIDE static bool factor_triangle_wide(double *a, int64_t n, int64_t stride)
{
    return factor_triangle(a, n, stride);
}
#else
static bool is_wide(void)
{
    return false;
}
#define update_wide update_plain
#define solve_triangle_wide solve_triangle
#define factor_triangle_wide factor_triangle
#endif

static void subtract(const struct update *u, int64_t n_rows, int64_t n_cols)
{
    (is_wide() ? update_wide : update_plain)(u, n_rows, n_cols);
}

/* x becomes T⁻¹ x, T of n rows lower triangular with element (i, k) at
 * t[i * row_step + k * col_step]. */
static void substitute(int64_t n, const double *t, int64_t row_step, int64_t col_step, double *x,
                       int64_t x_step, int64_t n_cols)
{
    for (int64_t i = 0; i < n; i += TILE_ROWS) {
        const int64_t n_rows = n - i < TILE_ROWS ? n - i : TILE_ROWS;
        const double *corner = t + i * (row_step + col_step);
        subtract(&(struct update){i, t + i * row_step, row_step, col_step, x, x_step,
                                  x + i * x_step, x_step},
                 n_rows, n_cols);
        if (is_wide()) {
            solve_triangle_wide(n_rows, corner, row_step, col_step, x + i * x_step, x_step, n_cols);
        } else {
            solve_triangle(n_rows, corner, row_step, col_step, x + i * x_step, x_step, n_cols);
        }
    }
}

struct factoring {
    double *a;
    int64_t n, stride;
    int64_t first, n_block; /* rows being factored */
};

/* The block's rows from column first + n_block + strip × STRIP_COLS on. */
static void factor_strip(void *context, int64_t strip)
{
    const struct factoring *f = context;
    const int64_t col = f->first + f->n_block + strip * STRIP_COLS;
    double *row = f->a + f->first * f->stride;
    substitute(f->n_block, row + f->first, 1, f->stride, row + col, f->stride,
               f->n - col < STRIP_COLS ? f->n - col : STRIP_COLS);
}

/* What the block takes off BLOCK rows below it, from the diagonal on; the little that a tile writes
 * left of the diagonal is nobody's to read. */
static void update_rows(void *context, int64_t part)
{
    const struct factoring *f = context;
    const int64_t begin = f->first + f->n_block + part * BLOCK;
    const int64_t end = begin + BLOCK < f->n ? begin + BLOCK : f->n;
    const double *block = f->a + f->first * f->stride;
    for (int64_t row = begin; row < end; row += TILE_ROWS) {
        const struct update u = {f->n_block,
                                 block + row,
                                 1,
                                 f->stride,
                                 block + row,
                                 f->stride,
                                 f->a + row * f->stride + row,
                                 f->stride};
        subtract(&u, end - row < TILE_ROWS ? end - row : TILE_ROWS, f->n - row);
    }
}

/* The lower triangle becomes the upper one turned, or the other way round. */
struct mirror {
    double *a;
    int64_t n, stride;
    bool from_lower;
};

static void mirror_rows(void *context, int64_t part)
{
    const struct mirror *m = context;
    const int64_t first = part * MIRROR_ROWS;
    const int64_t end = first + MIRROR_ROWS < m->n ? first + MIRROR_ROWS : m->n;
    for (int64_t col = 0; col < end; col += TILE_COLS) {
        for (int64_t i = first > col ? first : col; i < end; i++) {
            for (int64_t j = col; j < col + TILE_COLS && j < i; j++) {
                double *low = m->a + i * m->stride + j, *high = m->a + j * m->stride + i;
                if (m->from_lower) {
                    *high = *low;
                } else {
                    *low = *high;
                }
            }
        }
    }
}

static int64_t n_parts(int64_t n, int64_t size)
{
    return (n + size - 1) / size;
}

bool qn_cholesky_factor(double *a, int64_t n, int64_t stride, qn_pool *pool)
{
    for (int64_t first = 0; first < n; first += BLOCK) {
        struct factoring f = {a, n, stride, first, n - first < BLOCK ? n - first : BLOCK};
        double *corner = a + first * (stride + 1);
        const bool is_good = is_wide() ? factor_triangle_wide(corner, f.n_block, stride)
                                       : factor_triangle(corner, f.n_block, stride);
        if (!is_good) return false;
        const int64_t rest = n - first - f.n_block;
        qn_pool_run(pool, n_parts(rest, STRIP_COLS), factor_strip, &f);
        qn_pool_run(pool, n_parts(rest, BLOCK), update_rows, &f);
    }
    struct mirror m = {a, n, stride, false};
    qn_pool_run(pool, n_parts(n, MIRROR_ROWS), mirror_rows, &m);
    return true;
}

bool qn_cholesky_extend(double *a, int64_t n, int64_t stride)
{
    double *column = a + n, *row = a + n * stride, pivot = row[n];
    substitute(n, a, stride, 1, column, stride, 1);
    for (int64_t k = 0; k < n; k++) {
        row[k] = column[k * stride];
        pivot = fma(-row[k], row[k], pivot);
    }
    if (!(pivot > 0) || !isfinite(pivot)) return false;
    row[n] = sqrt(pivot);
    return true;
}

struct solving {
    const double *factor;
    int64_t n, stride;
    double *b;
    int64_t n_cols, b_stride;
    bool forward_only;
};

/* Lᵀ x = b from the last row on. */
static void substitute_back(const double *factor, int64_t n, int64_t stride, double *x,
                            int64_t x_stride, int64_t n_cols)
{
    substitute(n, factor + (n - 1) * (stride + 1), -stride, -1, x + (n - 1) * x_stride, -x_stride,
               n_cols);
}

static void solve_strip(void *context, int64_t strip)
{
    const struct solving *s = context;
    const int64_t col = strip * STRIP_COLS;
    const int64_t width = s->n_cols - col < STRIP_COLS ? s->n_cols - col : STRIP_COLS;
    substitute(s->n, s->factor, s->stride, 1, s->b + col, s->b_stride, width);
    if (s->forward_only) return;
    substitute_back(s->factor, s->n, s->stride, s->b + col, s->b_stride, width);
}

void qn_cholesky_forward(const double *factor, int64_t n, int64_t stride, double *b, int64_t n_cols,
                         int64_t b_stride, qn_pool *pool)
{
    struct solving s = {factor, n, stride, b, n_cols, b_stride, true};
    qn_pool_run(pool, n_parts(n_cols, STRIP_COLS), solve_strip, &s);
}

void qn_cholesky_solve(const double *factor, int64_t n, int64_t stride, double *b, int64_t n_cols,
                       int64_t b_stride, qn_pool *pool)
{
    struct solving s = {factor, n, stride, b, n_cols, b_stride, false};
    qn_pool_run(pool, n_parts(n_cols, STRIP_COLS), solve_strip, &s);
}

/* Columns of the inverse from their first diagonal element down: neither substitution needs what
 * is above it. */
static void invert_strip(void *context, int64_t strip)
{
    const struct solving *s = context;
    const int64_t col = strip * STRIP_COLS, n = s->n - col;
    const int64_t width = n < STRIP_COLS ? n : STRIP_COLS;
    const double *corner = s->factor + col * (s->stride + 1);
    double *x = s->b + col * (s->b_stride + 1);
    for (int64_t i = 0; i < n; i++) {
        for (int64_t j = 0; j < width; j++) {
            x[i * s->b_stride + j] = i == j;
        }
    }
    substitute(n, corner, s->stride, 1, x, s->b_stride, width);
    substitute_back(corner, n, s->stride, x, s->b_stride, width);
}

void qn_cholesky_invert(const double *factor, int64_t n, int64_t stride, double *out, qn_pool *pool)
{
    struct solving s = {factor, n, stride, out, n, n, false};
    struct mirror m = {out, n, n, true};
    qn_pool_run(pool, n_parts(n, STRIP_COLS), invert_strip, &s);
    qn_pool_run(pool, n_parts(n, MIRROR_ROWS), mirror_rows, &m);
}

double qn_cholesky_log_det(const double *factor, int64_t n, int64_t stride)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++) {
        sum += log(factor[i * (stride + 1)]);
    }
    return 2 * sum;
}
