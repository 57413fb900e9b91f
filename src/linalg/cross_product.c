/* SPDX-License-Identifier: Apache-2.0 */
/* A task makes 16 × 16 entries: chunks of 256 rows of both sets of columns, centred, stay in the
 * first caches, and 4 × 2 products at a time in registers. An entry takes its products in four
 * lanes over each chunk, each by one fused multiply-add, chunk after chunk, whatever the threads.
 */
#include "linalg/cross_product.h"

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

void qn_cross_product(const double *columns, int64_t stride, int64_t n_rows, int64_t n_cols,
                      const double *means, qn_pool *pool, double *out)
{
    struct product p = {.columns = columns,
                        .means = means,
                        .stride = stride,
                        .n_rows = n_rows,
                        .n_cols = n_cols,
                        .out = out};
    const int64_t n_tiles = (n_cols + TILE - 1) / TILE;
    qn_pool_run(pool, n_tiles * (n_tiles + 1) / 2, run_task, &p);
}
