/* SPDX-License-Identifier: Apache-2.0 */
#include "linalg/kernels.h"

#include "base/number.h"

#include <string.h>

/* Compiled twice, here as below: same operations, same results. */
static inline __attribute__((always_inline)) double dot(const double *restrict a,
                                                        const double *restrict b, int64_t n)
{
    double lanes[8] = {0};
    int64_t i = 0;
    for (; i + 8 <= n; i += 8) {
        for (int lane = 0; lane < 8; lane++) {
            lanes[lane] += a[i + lane] * b[i + lane];
        }
    }
    for (int lane = 0; i < n; i++, lane++) {
        lanes[lane] += a[i] * b[i];
    }
    return ((lanes[0] + lanes[1]) + (lanes[2] + lanes[3])) +
           ((lanes[4] + lanes[5]) + (lanes[6] + lanes[7]));
}

#if defined __x86_64__ && defined __GNUC__
__attribute__((target("avx2"))) static double dot_wide(const double *restrict a,
                                                       const double *restrict b, int64_t n)
{
    return dot(a, b, n);
}
#endif

double qn_dot(const double *restrict a, const double *restrict b, int64_t n)
{
#if defined __x86_64__ && defined __GNUC__
    if (__builtin_cpu_supports("avx2")) return dot_wide(a, b, n);
#endif
    return dot(a, b, n);
}

double qn_sum(const double *a, int64_t n)
{
    double lanes[8] = {0};
    int64_t i = 0;
    for (; i + 8 <= n; i += 8) {
        for (int lane = 0; lane < 8; lane++) {
            lanes[lane] += a[i + lane];
        }
    }
    for (int lane = 0; i < n; i++, lane++) {
        lanes[lane] += a[i];
    }
    return ((lanes[0] + lanes[1]) + (lanes[2] + lanes[3])) +
           ((lanes[4] + lanes[5]) + (lanes[6] + lanes[7]));
}

double qn_least(const double *a, int64_t n)
{
    double lanes[8], least = QN_INF;
    for (int lane = 0; lane < 8; lane++) {
        lanes[lane] = QN_INF;
    }
    int64_t i = 0;
    for (; i + 8 <= n; i += 8) {
        for (int lane = 0; lane < 8; lane++) {
            lanes[lane] = a[i + lane] < lanes[lane] ? a[i + lane] : lanes[lane];
        }
    }
    for (; i < n; i++) {
        least = a[i] < least ? a[i] : least;
    }
    for (int lane = 0; lane < 8; lane++) {
        least = lanes[lane] < least ? lanes[lane] : least;
    }
    return least;
}

static inline __attribute__((always_inline)) void add_scaled(double scale, const double *restrict a,
                                                             double *restrict out, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        out[i] += scale * a[i];
    }
}

#if defined __x86_64__ && defined __GNUC__
__attribute__((target("avx2"))) static void add_scaled_wide(double scale, const double *restrict a,
                                                            double *restrict out, int64_t n)
{
    add_scaled(scale, a, out, n);
}
#endif

void qn_add_scaled(double scale, const double *restrict a, double *restrict out, int64_t n)
{
#if defined __x86_64__ && defined __GNUC__
    if (__builtin_cpu_supports("avx2")) {
        add_scaled_wide(scale, a, out, n);
        return;
    }
#endif
    add_scaled(scale, a, out, n);
}

static inline __attribute__((always_inline)) void add_combination(const double *scales,
                                                                  int64_t step, const double *a,
                                                                  int64_t stride, int64_t n_vectors,
                                                                  double *restrict out, int64_t n)
{
    int64_t k = 0;
    for (; k + 4 <= n_vectors; k += 4) {
        const double *restrict a0 = a + k * stride, *restrict a1 = a0 + stride;
        const double *restrict a2 = a1 + stride, *restrict a3 = a2 + stride;
        const double s0 = scales[k * step], s1 = scales[(k + 1) * step];
        const double s2 = scales[(k + 2) * step], s3 = scales[(k + 3) * step];
        for (int64_t i = 0; i < n; i++) {
            out[i] = (((out[i] + s0 * a0[i]) + s1 * a1[i]) + s2 * a2[i]) + s3 * a3[i];
        }
    }
    for (; k < n_vectors; k++) {
        add_scaled(scales[k * step], a + k * stride, out, n);
    }
}

#if defined __x86_64__ && defined __GNUC__
__attribute__((target("avx2"))) static void add_combination_wide(const double *scales, int64_t step,
                                                                 const double *a, int64_t stride,
                                                                 int64_t n_vectors,
                                                                 double *restrict out, int64_t n)
{
    add_combination(scales, step, a, stride, n_vectors, out, n);
}
#endif

void qn_add_combination(const double *scales, int64_t step, const double *a, int64_t stride,
                        int64_t n_vectors, double *restrict out, int64_t n)
{
#if defined __x86_64__ && defined __GNUC__
    if (__builtin_cpu_supports("avx2")) {
        add_combination_wide(scales, step, a, stride, n_vectors, out, n);
        return;
    }
#endif
    add_combination(scales, step, a, stride, n_vectors, out, n);
}

/* e^y = 2^k e^r with |r| <= ln 2 / 2 (Cody & Waite 1980); e^r by its Taylor series to r^13, whose
 * rest is below 4e-18. */
static inline __attribute__((always_inline)) void exp_negative(const double *x, double *out,
                                                               int64_t n)
{
    const double rounder = 6755399441055744.0; /* 1.5 × 2^52 */
    for (int64_t i = 0; i < n; i++) {
        double y = -x[i];
        y = y < -690 ? -690 : y;
        y = y > 709 ? 709 : y;
        const double shifted = y * 1.4426950408889634 + rounder;
        const double k = shifted - rounder;
        const double r = (y - k * 6.93147180369123816490e-01) - k * 1.90821492927058770002e-10;
        double p = 1.0 / 6227020800;
        p = p * r + 1.0 / 479001600;
        p = p * r + 1.0 / 39916800;
        p = p * r + 1.0 / 3628800;
        p = p * r + 1.0 / 362880;
        p = p * r + 1.0 / 40320;
        p = p * r + 1.0 / 5040;
        p = p * r + 1.0 / 720;
        p = p * r + 1.0 / 120;
        p = p * r + 1.0 / 24;
        p = p * r + 1.0 / 6;
        p = p * r + 0.5;
        p = p * r + 1;
        p = p * r + 1;
        uint64_t bits;
        double power;
        memcpy(&bits, &shifted, sizeof bits);
        bits = (bits + 1023) << 52;
        memcpy(&power, &bits, sizeof power);
        out[i] = p * power;
    }
}

#if defined __x86_64__ && defined __GNUC__
__attribute__((target("avx2"))) static void exp_negative_wide(const double *x, double *out,
                                                              int64_t n)
{
    exp_negative(x, out, n);
}
#endif

void qn_exp_negative(const double *x, double *out, int64_t n)
{
#if defined __x86_64__ && defined __GNUC__
    if (__builtin_cpu_supports("avx2")) {
        exp_negative_wide(x, out, n);
        return;
    }
#endif
    exp_negative(x, out, n);
}

/* As above; the Taylor series to r^7 leaves 5e-9. */
static inline __attribute__((always_inline)) void exp_float(const float *x, float *out, int64_t n)
{
    const float rounder = 12582912.0F; /* 1.5 × 2^23 */
    for (int64_t i = 0; i < n; i++) {
        float y = x[i];
        y = y < -87 ? -87 : y;
        y = y > 88 ? 88 : y;
        const float shifted = y * 1.44269504F + rounder;
        const float k = shifted - rounder;
        const float r = (y - k * 0.693359375F) + k * 2.12194440e-4F;
        float p = 1.0F / 5040;
        p = p * r + 1.0F / 720;
        p = p * r + 1.0F / 120;
        p = p * r + 1.0F / 24;
        p = p * r + 1.0F / 6;
        p = p * r + 0.5F;
        p = p * r + 1;
        p = p * r + 1;
        uint32_t bits;
        float power;
        memcpy(&bits, &shifted, sizeof bits);
        bits = (bits + 127) << 23;
        memcpy(&power, &bits, sizeof power);
        out[i] = p * power;
    }
}

#if defined __x86_64__ && defined __GNUC__
__attribute__((target("avx2"))) static void exp_float_wide(const float *x, float *out, int64_t n)
{
    exp_float(x, out, n);
}
#endif

void qn_exp_float(const float *x, float *out, int64_t n)
{
#if defined __x86_64__ && defined __GNUC__
    if (__builtin_cpu_supports("avx2")) {
        exp_float_wide(x, out, n);
        return;
    }
#endif
    exp_float(x, out, n);
}
