/* SPDX-License-Identifier: Apache-2.0 */
/* Stationary covariance functions of Gaussian processes (Rasmussen & Williams 2006, 4.2.1), with
 * r² = sum_f (a_f - b_f)² / length_f² and s = sqrt(3) r or sqrt(5) r:
 *   rbf        variance × exp(-r² / 2)             smooth without end
 *   matern32   variance × (1 + s) exp(-s)          once differentiable
 *   matern52   variance × (1 + s + s²/3) exp(-s)   twice
 *
 * Threads: pure functions of their arguments. The same bytes on any number of threads. */
#ifndef QN_STATS_COVARIANCE_H
#define QN_STATS_COVARIANCE_H

#include "base/pool.h"

#include <stdbool.h>
#include <stdint.h>

/* Stored in bundles: never renumber. */
typedef enum qn_covariance_kind {
    QN_COVARIANCE_RBF,
    QN_COVARIANCE_MATERN32,
    QN_COVARIANCE_MATERN52
} qn_covariance_kind;

enum { QN_COVARIANCE_DIMS_MAX = 1024 };

/* Points whose coordinates are divided by their lengths: coordinate f of point i at
 * z[f * stride + i]. */
typedef struct qn_covariance_points {
    qn_covariance_kind kind;
    int64_t n, n_dims, stride; /* n_dims <= QN_COVARIANCE_DIMS_MAX */
    const double *z;
} qn_covariance_points;

/* Correlations (variance 1) of one scaled point with the first `n` of `points`. `slope` becomes
 * what d correlation / d log length_f is for (a_f - b_f)² / length_f² of one. */
void qn_covariance_row(const qn_covariance_points *points, const double *point, int64_t n,
                       double *out, double *slope);

/* Correlations of all points, the upper triangle with the diagonal: (i, j) at out[i * stride + j],
 * and their slopes likewise. */
void qn_covariance_matrix(const qn_covariance_points *points, double *out, double *slopes,
                          int64_t stride, qn_pool *pool);

/* gradient[f] = sum over i < j of m[i * stride + j] (z_fi - z_fj)². `parts`: room for
 * qn_covariance_parts(n) × n_dims doubles. */
void qn_covariance_gradient(const qn_covariance_points *points, const double *m, int64_t stride,
                            double *parts, double *gradient, qn_pool *pool);
int64_t qn_covariance_parts(int64_t n);

#endif
