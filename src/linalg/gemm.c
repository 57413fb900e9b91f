/* SPDX-License-Identifier: Apache-2.0 */
/* After Goto & van de Geijn (2008): a panel of B stays in the first cache while the rows of a block
 * of A pass over it, six at a time, with twelve vectors of C in registers. A is read in place where
 * its rows are contiguous, and copied into strips where they are not. */
#include "linalg/gemm.h"

#include <math.h>
#include <string.h>

enum {
    TILE_ROWS = 6,
    BLOCK_ROWS = 48,  /* of A: one task of the pool */
    BLOCK_DEPTH = 256 /* of k: the block of A then fits the second cache */
};

int64_t qn_panels_floats(int64_t k, int64_t n)
{
    return (n + QN_PANEL_COLS - 1) / QN_PANEL_COLS * QN_PANEL_COLS * k;
}

void qn_panels_pack(const float *b, int64_t row_step, int64_t col_step, int64_t k, int64_t n,
                    float *panels)
{
    for (int64_t first = 0; first < n; first += QN_PANEL_COLS, panels += k * QN_PANEL_COLS) {
        const int64_t width = n - first < QN_PANEL_COLS ? n - first : QN_PANEL_COLS;
        const float *from = b + first * col_step;
        if (width == QN_PANEL_COLS && col_step == 1) {
            for (int64_t l = 0; l < k; l++) {
                memcpy(panels + l * QN_PANEL_COLS, from + l * row_step,
                       QN_PANEL_COLS * sizeof *panels);
            }
            continue;
        }
        if (width < QN_PANEL_COLS) memset(panels, 0, (size_t)(k * QN_PANEL_COLS) * sizeof *panels);
        for (int64_t j = 0; j < width; j++) {
            for (int64_t l = 0; l < k; l++) {
                panels[l * QN_PANEL_COLS + j] = from[l * row_step + j * col_step];
            }
        }
    }
}

static float start_of(const qn_gemm *g, int64_t i, int64_t j)
{
    if (g->accumulate) return g->c[i * g->c_row_step + j];
    return g->start ? g->start[j] : 0;
}

void qn_gemm_plain(const qn_gemm *g)
{
    for (int64_t i = 0; i < g->m; i++) {
        for (int64_t j = 0; j < g->n; j++) {
            const float *panel = g->panels + j / QN_PANEL_COLS * QN_PANEL_COLS * g->k;
            float sum = start_of(g, i, j);
            for (int64_t l = 0; l < g->k; l++) {
                sum = fmaf(g->a[i * g->a_row_step + l * g->a_col_step],
                           panel[l * QN_PANEL_COLS + j % QN_PANEL_COLS], sum);
            }
            g->c[i * g->c_row_step + j] = sum;
        }
    }
}

#if defined __x86_64__ && defined __GNUC__
#include <immintrin.h>

#define WIDE __attribute__((target("avx2,fma")))
#define WIDE_INLINE static inline __attribute__((target("avx2,fma"), always_inline))

enum { LANES = 8 };

/* n_rows × (n_panels × 16) of C, kept in registers: both are constants where it is inlined. */
WIDE_INLINE void tile(int n_rows, int n_panels, int64_t depth, const float *a, int64_t a_row_step,
                      int64_t a_col_step, const float *panel, int64_t panel_step, float *c,
                      int64_t c_row_step)
{
    __m256 sums[TILE_ROWS][8];
    const int n_vectors = 2 * n_panels;
    for (int i = 0; i < n_rows; i++) {
        for (int v = 0; v < n_vectors; v++) {
            sums[i][v] = _mm256_loadu_ps(c + i * c_row_step + v * LANES);
        }
    }
    for (int64_t l = 0; l < depth; l++) {
        __m256 b[8];
        for (int v = 0; v < n_vectors; v++) {
            b[v] = _mm256_load_ps(panel + v / 2 * panel_step + l * QN_PANEL_COLS + v % 2 * LANES);
        }
        for (int i = 0; i < n_rows; i++) {
            const __m256 value = _mm256_broadcast_ss(a + i * a_row_step + l * a_col_step);
            for (int v = 0; v < n_vectors; v++) {
                sums[i][v] = _mm256_fmadd_ps(value, b[v], sums[i][v]);
            }
        }
    }
    for (int i = 0; i < n_rows; i++) {
        for (int v = 0; v < n_vectors; v++) {
            _mm256_storeu_ps(c + i * c_row_step + v * LANES, sums[i][v]);
        }
    }
}

WIDE static void tile_of(int64_t n_rows, int64_t depth, const float *a, int64_t a_row_step,
                         int64_t a_col_step, const float *panel, float *c, int64_t c_row_step)
{
    switch (n_rows) {
    case 6:
        tile(6, 1, depth, a, a_row_step, a_col_step, panel, 0, c, c_row_step);
        break;
    case 5:
        tile(5, 1, depth, a, a_row_step, a_col_step, panel, 0, c, c_row_step);
        break;
    case 4:
        tile(4, 1, depth, a, a_row_step, a_col_step, panel, 0, c, c_row_step);
        break;
    case 3:
        tile(3, 1, depth, a, a_row_step, a_col_step, panel, 0, c, c_row_step);
        break;
    case 2:
        tile(2, 1, depth, a, a_row_step, a_col_step, panel, 0, c, c_row_step);
        break;
    default:
        tile(1, 1, depth, a, a_row_step, a_col_step, panel, 0, c, c_row_step);
        break;
    }
}

/* One row alone: four panels side by side, since two vectors would wait for each other. */
WIDE static void row_of(int64_t depth, const float *a, int64_t a_col_step, const float *panel,
                        int64_t panel_step, float *c)
{
    tile(1, 4, depth, a, 0, a_col_step, panel, panel_step, c, 0);
}

/* A block of A as strips of six rows: element (i, l) of a strip at l * 6 + i. */
static const float *pack_strips(const qn_gemm *g, int64_t first_row, int64_t n_rows,
                                int64_t first_depth, int64_t depth, float *out)
{
    for (int64_t strip = 0; strip < n_rows; strip += TILE_ROWS) {
        const int64_t height = n_rows - strip < TILE_ROWS ? n_rows - strip : TILE_ROWS;
        const float *from =
            g->a + (first_row + strip) * g->a_row_step + first_depth * g->a_col_step;
        float *to = out + strip * depth;
        for (int64_t l = 0; l < depth; l++) {
            for (int64_t i = 0; i < height; i++) {
                to[l * TILE_ROWS + i] = from[i * g->a_row_step + l * g->a_col_step];
            }
        }
    }
    return out;
}

struct strip {
    const float *a;
    int64_t row_step, col_step;
};

/* The rows of one strip against the columns from `col` on: `width` of them. */
static void strip_by_panel(const qn_gemm *g, const struct strip *s, int64_t n_rows, int64_t depth,
                           const float *panel, int64_t width, float *c)
{
    if (width == QN_PANEL_COLS) {
        tile_of(n_rows, depth, s->a, s->row_step, s->col_step, panel, c, g->c_row_step);
        return;
    }
    float edge[TILE_ROWS * QN_PANEL_COLS] = {0};
    for (int64_t i = 0; i < n_rows; i++) {
        memcpy(edge + i * QN_PANEL_COLS, c + i * g->c_row_step, (size_t)width * sizeof *edge);
    }
    tile_of(n_rows, depth, s->a, s->row_step, s->col_step, panel, edge, QN_PANEL_COLS);
    for (int64_t i = 0; i < n_rows; i++) {
        memcpy(c + i * g->c_row_step, edge + i * QN_PANEL_COLS, (size_t)width * sizeof *edge);
    }
}

static void block_by_depth(const qn_gemm *g, int64_t first_row, int64_t n_rows, int64_t first_depth,
                           int64_t depth)
{
    float strips[BLOCK_ROWS * BLOCK_DEPTH];
    const int64_t panel_step = g->k * QN_PANEL_COLS;
    struct strip s = {g->a + first_row * g->a_row_step + first_depth * g->a_col_step, g->a_row_step,
                      g->a_col_step};
    int64_t strip_step = TILE_ROWS * g->a_row_step;
    if (g->a_col_step != 1) {
        s = (struct strip){pack_strips(g, first_row, n_rows, first_depth, depth, strips), 1,
                           TILE_ROWS};
        strip_step = TILE_ROWS * depth;
    }
    const float *first = s.a;
    for (int64_t col = 0; col < g->n; col += QN_PANEL_COLS) {
        const float *panel =
            g->panels + col / QN_PANEL_COLS * panel_step + first_depth * QN_PANEL_COLS;
        float *c = g->c + first_row * g->c_row_step + col;
        const int64_t width = g->n - col < QN_PANEL_COLS ? g->n - col : QN_PANEL_COLS;
        if (n_rows == 1 && g->n - col >= 4 * QN_PANEL_COLS) {
            row_of(depth, first, s.col_step, panel, panel_step, c);
            col += 3 * QN_PANEL_COLS;
            continue;
        }
        s.a = first;
        for (int64_t row = 0; row < n_rows; row += TILE_ROWS, s.a += strip_step) {
            strip_by_panel(g, &s, n_rows - row < TILE_ROWS ? n_rows - row : TILE_ROWS, depth, panel,
                           width, c + row * g->c_row_step);
        }
    }
}

static void run_block(void *context, int64_t block)
{
    const qn_gemm *g = context;
    const int64_t first = block * BLOCK_ROWS;
    const int64_t n_rows = g->m - first < BLOCK_ROWS ? g->m - first : BLOCK_ROWS;
    for (int64_t i = first; !g->accumulate && i < first + n_rows; i++) {
        float *row = g->c + i * g->c_row_step;
        if (g->start) {
            memcpy(row, g->start, (size_t)g->n * sizeof *row);
        } else {
            memset(row, 0, (size_t)g->n * sizeof *row);
        }
    }
    for (int64_t l = 0; l < g->k; l += BLOCK_DEPTH) {
        block_by_depth(g, first, n_rows, l, g->k - l < BLOCK_DEPTH ? g->k - l : BLOCK_DEPTH);
    }
}
#endif

void qn_gemm_run(const qn_gemm *g, qn_pool *pool)
{
#if defined __x86_64__ && defined __GNUC__
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
        qn_gemm context = *g;
        qn_pool_run(pool, (g->m + BLOCK_ROWS - 1) / BLOCK_ROWS, run_block, &context);
        return;
    }
#endif
    (void)pool;
    qn_gemm_plain(g);
}
