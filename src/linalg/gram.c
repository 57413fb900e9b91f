/* SPDX-License-Identifier: Apache-2.0 */
#include "linalg/gram.h"

#include <math.h>
#if defined __x86_64__ && defined __GNUC__
#include <immintrin.h>
#endif

enum { TILE_ROWS = 128 }; /* rows whose dense part stays in cache while its tiles are made */

/* out[r][c] += sum_i left_ir x_ic of four columns by 4 n_vectors, each product by one fused
 * multiply-add: the same in both. Row i begins at dense[starts[i]]. */
typedef void tile_function(const double *left, const double *dense, const int64_t *starts,
                           int64_t n, int n_vectors, double *out, int64_t stride);

static void add_tile_plain(const double *left, const double *dense, const int64_t *starts,
                           int64_t n, int n_vectors, double *out, int64_t stride)
{
    for (int r = 0; r < 4; r++) {
        for (int c = 0; c < 4 * n_vectors; c++) {
            double sum = 0;
            for (int64_t i = 0; i < n; i++) {
                sum = fma(left[4 * i + r], dense[starts[i] + c], sum);
            }
            out[r * stride + c] += sum;
        }
    }
}

#if defined __x86_64__ && defined __GNUC__
__attribute__((target("avx2,fma"), always_inline)) static inline void
add_vectors(const double *left, const double *dense, const int64_t *starts, int64_t n,
            int n_vectors, double *out, int64_t stride)
{
    __m256d sums[8];
#pragma GCC unroll 8
    for (int k = 0; k < 4 * n_vectors; k++) {
        sums[k] = _mm256_setzero_pd();
    }
    for (int64_t i = 0; i < n; i++) {
#pragma GCC unroll 8
        for (int k = 0; k < 4 * n_vectors; k++) {
            sums[k] = _mm256_fmadd_pd(_mm256_broadcast_sd(left + 4 * i + k % 4),
                                      _mm256_loadu_pd(dense + starts[i] + k / 4 * 4), sums[k]);
        }
    }
#pragma GCC unroll 8
    for (int k = 0; k < 4 * n_vectors; k++) {
        double *to = out + k % 4 * stride + k / 4 * 4;
        _mm256_storeu_pd(to, _mm256_add_pd(_mm256_loadu_pd(to), sums[k]));
    }
}

__attribute__((target("avx2,fma"))) static void
add_tile_wide(const double *left, const double *dense, const int64_t *starts, int64_t n,
              int n_vectors, double *out, int64_t stride)
{
    if (n_vectors == 2) {
        add_vectors(left, dense, starts, n, 2, out, stride);
    } else {
        add_vectors(left, dense, starts, n, 1, out, stride);
    }
}
#endif

static tile_function *choose_tile(void)
{
#if defined __x86_64__ && defined __GNUC__
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return add_tile_wide;
#endif
    return add_tile_plain;
}

void qn_gram_add(const double *rows, int64_t width, const double *omega, int64_t n, double *out,
                 int64_t stride)
{
    tile_function *const add_tile = choose_tile();
    double left[4 * TILE_ROWS], weights[TILE_ROWS];
    int64_t starts[TILE_ROWS];
    for (int64_t next = 0; next < n;) {
        int64_t n_tile = 0;
        for (; next < n && n_tile < TILE_ROWS; next++) {
            starts[n_tile] = next * width;
            weights[n_tile] = omega ? omega[next] : 1;
            n_tile += weights[n_tile] != 0;
        }
        for (int64_t a = 0; a < width; a += 4) {
            for (int64_t i = 0; i < n_tile; i++) {
                for (int r = 0; r < 4; r++) {
                    left[4 * i + r] = weights[i] * rows[starts[i] + a + r];
                }
            }
            double *to = out + a * stride;
            int64_t b = 0;
            for (; b < a; b += 8) {
                add_tile(left, rows + b, starts, n_tile, 2, to + b, stride);
            }
            if (b == a) add_tile(left, rows + b, starts, n_tile, 1, to + b, stride);
        }
    }
}
