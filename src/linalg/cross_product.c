/* SPDX-License-Identifier: Apache-2.0 */
/* Few columns of many rows are laid out as rows, block by block, whose Gram matrices add up. Of
 * other shapes, a task makes 16 × 16 entries: chunks of 256 rows of both sets of columns, centred,
 * stay in the first caches, and 4 × 2 products at a time in registers. An entry takes its products
 * in four lanes over each chunk, each by one fused multiply-add, chunk after chunk, whatever the
 * threads.
 */
#include "linalg/cross_product.h"

#include "base/alloc.h"
#include "linalg/gram.h"

#include <math.h>
#include <string.h>

enum { TILE = 16, CHUNK = 256, LANES = 4, HIGH = 4, WIDE = 2 };

struct product {
    const double *columns, *means;
    int64_t stride, n_rows, n_cols;
    double *out;
};

/* Columns first … of a chunk, centred; what is beyond the matrix is zero. */
static void load(const struct product *p, int64_t first, int64_t row, int64_t n_rows,
                 double *restrict to)
{
    for (int64_t f = 0; f < TILE; f++, to += CHUNK) {
        const int64_t col = first + f;
        const int64_t n = col < p->n_cols ? n_rows : 0;
        const double mean = n > 0 && p->means ? p->means[col] : 0;
        for (int64_t i = 0; i < n; i++) {
            to[i] = p->columns[col * p->stride + row + i] - mean;
        }
        memset(to + n, 0, (size_t)(CHUNK - n) * sizeof *to);
    }
}

/* sums[HIGH][WIDE] += products of columns a … and b …, over a chunk. */
static inline __attribute__((always_inline)) void
multiply(const double *restrict a, const double *restrict b, double *restrict sums)
{
    double lanes[HIGH][WIDE][LANES] = {0};
    for (int64_t i = 0; i < CHUNK; i += LANES) {
        for (int64_t h = 0; h < HIGH; h++) {
            for (int64_t w = 0; w < WIDE; w++) {
                for (int64_t lane = 0; lane < LANES; lane++) {
                    lanes[h][w][lane] =
                        fma(a[h * CHUNK + i + lane], b[w * CHUNK + i + lane], lanes[h][w][lane]);
                }
            }
        }
    }
    for (int64_t h = 0; h < HIGH; h++) {
        for (int64_t w = 0; w < WIDE; w++) {
            const double *l = lanes[h][w];
            sums[h * TILE + w] += (l[0] + l[1]) + (l[2] + l[3]);
        }
    }
}

static inline __attribute__((always_inline)) void make_tile(const struct product *p,
                                                            int64_t first_a, int64_t first_b)
{
    double a[TILE * CHUNK], b[TILE * CHUNK], sums[TILE * TILE] = {0};
    for (int64_t row = 0; row < p->n_rows; row += CHUNK) {
        const int64_t n = p->n_rows - row < CHUNK ? p->n_rows - row : CHUNK;
        load(p, first_a, row, n, a);
        if (first_a != first_b) load(p, first_b, row, n, b);
        const double *other = first_a == first_b ? a : b;
        for (int64_t i = 0; i < TILE; i += HIGH) {
            for (int64_t j = 0; j < TILE; j += WIDE) {
                multiply(a + i * CHUNK, other + j * CHUNK, sums + i * TILE + j);
            }
        }
    }
    for (int64_t i = 0; i < TILE && first_a + i < p->n_cols; i++) {
        for (int64_t j = 0; j < TILE && first_b + j < p->n_cols; j++) {
            p->out[(first_a + i) * p->n_cols + first_b + j] = sums[i * TILE + j];
            p->out[(first_b + j) * p->n_cols + first_a + i] = sums[i * TILE + j];
        }
    }
}

/* Compiled twice: same operations, same results. */
#if defined __x86_64__ && defined __GNUC__
__attribute__((target("avx2,fma"))) static void make_tile_wide(const struct product *p,
                                                               int64_t first_a, int64_t first_b)
{
    make_tile(p, first_a, first_b);
}
#endif

/* Task t is the t-th pair of tiles a >= b, row after row. */
static void run_task(void *context, int64_t task)
{
    const struct product *p = context;
    int64_t a = 0;
    while (task > a) {
        task -= ++a;
    }
#if defined __x86_64__ && defined __GNUC__
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
        make_tile_wide(p, a * TILE, task * TILE);
        return;
    }
#endif
    make_tile(p, a * TILE, task * TILE);
}

/* ---- few columns ---- */

enum { FEW_COLS = 256, LAID_ROWS = 128, BLOCK_ROWS_MIN = 1024, BLOCKS_MAX = 8 };

struct blocks {
    const struct product *product;
    int64_t n, width; /* blocks; columns with padding */
    double *parts;    /* n × (width × width + LAID_ROWS × width): a sum, and rows laid out */
};

static double *part_of(const struct blocks *b, int64_t block)
{
    return b->parts + block * (b->width + LAID_ROWS) * b->width;
}

/* n rows from `row` on, centred, row after row; padding is zero from the beginning. */
static void lay_out(const struct product *p, int64_t row, int64_t n, int64_t width, double *to)
{
    for (int64_t f = 0; f < p->n_cols; f++) {
        const double *from = p->columns + f * p->stride + row;
        const double mean = p->means ? p->means[f] : 0;
        for (int64_t i = 0; i < n; i++) {
            to[i * width + f] = from[i] - mean;
        }
    }
}

static void run_block(void *context, int64_t block)
{
    const struct blocks *b = context;
    const struct product *p = b->product;
    double *part = part_of(b, block), *rows = part + b->width * b->width;
    const int64_t last = p->n_rows * (block + 1) / b->n;
    for (int64_t row = p->n_rows * block / b->n; row < last; row += LAID_ROWS) {
        const int64_t n = last - row < LAID_ROWS ? last - row : LAID_ROWS;
        lay_out(p, row, n, b->width, rows);
        qn_gram_add(rows, b->width, NULL, n, part, b->width);
    }
}

static bool multiply_few(const struct product *p, qn_pool *pool)
{
    struct blocks b = {
        .product = p, .n = p->n_rows / BLOCK_ROWS_MIN, .width = (p->n_cols + 3) / 4 * 4};
    if (b.n < 1) b.n = 1;
    if (b.n > BLOCKS_MAX) b.n = BLOCKS_MAX;
    b.parts = qn_alloc_array(b.n * (b.width + LAID_ROWS) * b.width, sizeof *b.parts);
    if (!b.parts) return false;
    qn_pool_run(pool, b.n, run_block, &b);
    for (int64_t i = 0; i < p->n_cols; i++) {
        for (int64_t j = 0; j <= i; j++) {
            double sum = 0;
            for (int64_t block = 0; block < b.n; block++) {
                sum += part_of(&b, block)[i * b.width + j];
            }
            p->out[i * p->n_cols + j] = p->out[j * p->n_cols + i] = sum;
        }
    }
    qn_free(b.parts);
    return true;
}

/* ---- */

bool qn_cross_product(const double *columns, int64_t stride, int64_t n_rows, int64_t n_cols,
                      const double *means, qn_pool *pool, double *out)
{
    struct product p = {.columns = columns,
                        .means = means,
                        .stride = stride,
                        .n_rows = n_rows,
                        .n_cols = n_cols,
                        .out = out};
    if (n_cols <= FEW_COLS && n_rows >= n_cols) return multiply_few(&p, pool);
    const int64_t n_tiles = (n_cols + TILE - 1) / TILE;
    qn_pool_run(pool, n_tiles * (n_tiles + 1) / 2, run_task, &p);
    return true;
}
