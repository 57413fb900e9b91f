/* SPDX-License-Identifier: Apache-2.0 */
/* What Gaussian processes of numbers and of classes share. */
#ifndef QN_STATS_GAUSSIAN_INTERNAL_H
#define QN_STATS_GAUSSIAN_INTERNAL_H

#include "stats/gaussian_process.h"

/* Hyperparameters are kept to these ranges, the variance in units of the mean of y². */
extern const double qn_gaussian_variance_range[2];
extern const double qn_gaussian_length_range[2];

/* Coordinate f of point i of x (n × n_dims) over its length, exp(log_lengths[f]), to
 * z[f * stride + i]. */
void qn_gaussian_scale_points(const double *x, int64_t n, int64_t n_dims, const double *log_lengths,
                              double *z, int64_t stride);

/* -log of the prior (NULL: flat), and a parabola beyond the range; adds their slope to *gradient.
 * `offset` is that of the unit in which prior and range are given. */
double qn_gaussian_penalty(const qn_log_prior *prior, double offset, const double *range,
                           double value, double *gradient);

#endif
