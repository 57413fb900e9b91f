/* SPDX-License-Identifier: Apache-2.0 */
/* What Gaussian processes of numbers and of classes share. */
#ifndef QN_STATS_GAUSSIAN_INTERNAL_H
#define QN_STATS_GAUSSIAN_INTERNAL_H

#include "linalg/kernels.h"
#include "stats/gaussian_process.h"

/* Hyperparameters are kept to these ranges, the variance in units of the mean of y². */
extern const double qn_gaussian_variance_range[2];
extern const double qn_gaussian_length_range[2];
extern const double qn_gaussian_noise_range[2]; /* likewise in units of the mean of y² */

/* Coordinate f of point i of x (n × n_dims) over its length, exp(log_lengths[f]), to
 * z[f * stride + i]. */
void qn_gaussian_scale_points(const double *x, int64_t n, int64_t n_dims, const double *log_lengths,
                              double *z, int64_t stride);

/* -log of the prior (NULL: flat), and a parabola beyond the range; adds their slope to *gradient.
 * `offset` is that of the unit in which prior and range are given. */
double qn_gaussian_penalty(const qn_log_prior *prior, double offset, const double *range,
                           double value, double *gradient);

/* The search for hyperparameters by their likelihood. What is searched has one length where the
 * process is isotropic, and is in units in which a second derivative is of order one. */
typedef struct qn_gaussian_search {
    bool isotropic, has_noise;
    int64_t n_dims;
    double unit;   /* of what is searched, in steps of a hyperparameter */
    double offset; /* log of the unit that variance and noise are given in */
    qn_log_prior length, noise;
    qn_function objective; /* -log posterior; infinite where the covariances are of no use */
    void (*choose_start)(const void *context, int start, double *searched);
    void *context; /* of both */
    int n_starts;
    int64_t iterations_max; /* of each start */
    double tolerance;
    const qn_stop *stop;
} qn_gaussian_search;

/* Lengths that are searched: one, or n_dims. */
int64_t qn_gaussian_n_lengths(const qn_gaussian_search *search);
/* Hyperparameters of what is searched. */
void qn_gaussian_expand(const qn_gaussian_search *search, const double *searched, double *theta);
/* For objectives: `value` with the penalties of θ, and the gradient of what is searched from that
 * of the log likelihood by θ. */
double qn_gaussian_gather(const qn_gaussian_search *search, const double *theta,
                          const double *by_theta, double value, double *gradient);
/* The best hyperparameters of all starts to `theta`, which stay as they are where none is tried.
 * Fails with QN_ERR_NOMEM. */
QN_MUST_CHECK
qn_status qn_gaussian_maximise(const qn_gaussian_search *search, double *theta, qn_error *err);

#endif
