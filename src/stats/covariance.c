/* SPDX-License-Identifier: Apache-2.0 */
#include "stats/covariance.h"

#include "linalg/kernels.h"

#include <math.h>
#include <string.h>

enum { PART_ROWS = 32 }; /* one task of the pool */

#define SQRT3 1.7320508075688772
#define SQRT5 2.23606797749979

/* Loops over all points; compiled twice, with the same operations and results. */
#define KERNEL static inline __attribute__((always_inline))

/* out = r² for RBF, or s, scaled so that the correlation falls with e^-out. */
KERNEL void distances(const qn_covariance_points *p, const double *point, int64_t first, int64_t n,
                      double *restrict out)
{
    memset(out, 0, (size_t)n * sizeof *out);
    for (int64_t f = 0; f < p->n_dims; f++) {
        const double *restrict z = p->z + f * p->stride + first;
        const double at = point[f];
        for (int64_t j = 0; j < n; j++) {
            const double d = at - z[j];
            out[j] += d * d;
        }
    }
    const double scale = p->kind == QN_COVARIANCE_MATERN32 ? 3 : 5;
    for (int64_t j = 0; p->kind == QN_COVARIANCE_RBF && j < n; j++) {
        out[j] *= 0.5;
    }
    for (int64_t j = 0; p->kind != QN_COVARIANCE_RBF && j < n; j++) {
        out[j] = sqrt(scale * out[j]);
    }
}

/* From s and e^-s to correlations and slopes. */
KERNEL void correlations(qn_covariance_kind kind, int64_t n, double *restrict out,
                         double *restrict slope)
{
    if (kind == QN_COVARIANCE_RBF) {
        memcpy(out, slope, (size_t)n * sizeof *out);
    } else if (kind == QN_COVARIANCE_MATERN32) {
        for (int64_t j = 0; j < n; j++) {
            out[j] = (1 + out[j]) * slope[j];
            slope[j] *= 3;
        }
    } else {
        for (int64_t j = 0; j < n; j++) {
            const double s = out[j];
            out[j] = (1 + s + s * s * (1.0 / 3)) * slope[j];
            slope[j] *= (1 + s) * (5.0 / 3);
        }
    }
}

/* sum_j m[j] (at - z[j])² in eight lanes. */
KERNEL double weighted_squares(const double *restrict m, const double *restrict z, double at,
                               int64_t n)
{
    double lanes[8] = {0};
    int64_t j = 0;
    for (; j + 8 <= n; j += 8) {
        for (int lane = 0; lane < 8; lane++) {
            const double d = at - z[j + lane];
            lanes[lane] += m[j + lane] * (d * d);
        }
    }
    for (int lane = 0; j < n; j++, lane++) {
        const double d = at - z[j];
        lanes[lane] += m[j] * (d * d);
    }
    return ((lanes[0] + lanes[1]) + (lanes[2] + lanes[3])) +
           ((lanes[4] + lanes[5]) + (lanes[6] + lanes[7]));
}

KERNEL void gradient_rows(const qn_covariance_points *p, const double *m, int64_t stride,
                          int64_t begin, int64_t end, double *out)
{
    for (int64_t f = 0; f < p->n_dims; f++) {
        const double *z = p->z + f * p->stride;
        out[f] = 0;
        for (int64_t i = begin; i < end; i++) {
            out[f] += weighted_squares(m + i * stride + i + 1, z + i + 1, z[i], p->n - i - 1);
        }
    }
}

#if defined __x86_64__ && defined __GNUC__
#define WIDE __attribute__((target("avx2")))

static bool is_wide(void)
{
    return __builtin_cpu_supports("avx2");
}

WIDE static void distances_wide(const qn_covariance_points *p, const double *point, int64_t first,
                                int64_t n, double *out)
{
    distances(p, point, first, n, out);
}

WIDE static void correlations_wide(qn_covariance_kind kind, int64_t n, double *out, double *slope)
{
    correlations(kind, n, out, slope);
}

WIDE static void gradient_rows_wide(const qn_covariance_points *p, const double *m, int64_t stride,
                                    int64_t begin, int64_t end, double *out)
{
    gradient_rows(p, m, stride, begin, end, out);
}
#else
static bool is_wide(void)
{
    return false;
}
#define distances_wide distances
#define correlations_wide correlations
#define gradient_rows_wide gradient_rows
#endif

/* With the points from `first` on. */
static void row_from(const qn_covariance_points *p, const double *point, int64_t first, int64_t n,
                     double *out, double *slope)
{
    const bool wide = is_wide();
    if (wide) {
        distances_wide(p, point, first, n, out);
    } else {
        distances(p, point, first, n, out);
    }
    qn_exp_negative(out, slope, n);
    if (wide) {
        correlations_wide(p->kind, n, out, slope);
    } else {
        correlations(p->kind, n, out, slope);
    }
}

void qn_covariance_row(const qn_covariance_points *points, const double *point, int64_t n,
                       double *out, double *slope)
{
    row_from(points, point, 0, n, out, slope);
}

int64_t qn_covariance_parts(int64_t n)
{
    return (n + PART_ROWS - 1) / PART_ROWS;
}

struct pairs {
    const qn_covariance_points *points;
    double *out, *slopes;
    const double *m;
    int64_t stride;
    double *parts;
};

static void matrix_rows(void *context, int64_t part)
{
    const struct pairs *pairs = context;
    const qn_covariance_points *p = pairs->points;
    const int64_t begin = part * PART_ROWS;
    const int64_t end = begin + PART_ROWS < p->n ? begin + PART_ROWS : p->n;
    double point[QN_COVARIANCE_DIMS_MAX];
    for (int64_t i = begin; i < end; i++) {
        const int64_t at = i * (pairs->stride + 1);
        for (int64_t f = 0; f < p->n_dims; f++) {
            point[f] = p->z[f * p->stride + i];
        }
        row_from(p, point, i, p->n - i, pairs->out + at, pairs->slopes + at);
    }
}

void qn_covariance_matrix(const qn_covariance_points *points, double *out, double *slopes,
                          int64_t stride, qn_pool *pool)
{
    struct pairs pairs = {.points = points, .out = out, .slopes = slopes, .stride = stride};
    qn_pool_run(pool, qn_covariance_parts(points->n), matrix_rows, &pairs);
}

static void gradient_part(void *context, int64_t part)
{
    const struct pairs *pairs = context;
    const qn_covariance_points *p = pairs->points;
    const int64_t begin = part * PART_ROWS;
    const int64_t end = begin + PART_ROWS < p->n ? begin + PART_ROWS : p->n;
    double *out = pairs->parts + part * p->n_dims;
    if (is_wide()) {
        gradient_rows_wide(p, pairs->m, pairs->stride, begin, end, out);
    } else {
        gradient_rows(p, pairs->m, pairs->stride, begin, end, out);
    }
}

void qn_covariance_gradient(const qn_covariance_points *points, const double *m, int64_t stride,
                            double *parts, double *gradient, qn_pool *pool)
{
    const int64_t n_parts = qn_covariance_parts(points->n);
    struct pairs pairs = {.points = points, .m = m, .stride = stride, .parts = parts};
    qn_pool_run(pool, n_parts, gradient_part, &pairs);
    memset(gradient, 0, (size_t)points->n_dims * sizeof *gradient);
    for (int64_t part = 0; part < n_parts; part++) {
        for (int64_t f = 0; f < points->n_dims; f++) {
            gradient[f] += parts[part * points->n_dims + f];
        }
    }
}
