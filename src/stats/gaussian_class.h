/* SPDX-License-Identifier: Apache-2.0 */
/* Gaussian process for two classes: p(class 1 | x) = σ(f(x)), f with mean zero and a covariance
 * function with one length for each coordinate, σ the logistic function. The posterior of f is
 * taken to be normal about its mode (Laplace's approximation: Rasmussen & Williams 2006, algorithms
 * 3.1 and 3.2), and hyperparameters maximise the approximate marginal likelihood (5.1), times a
 * log-normal prior of lengths where given, with L-BFGS from a few starts. They stand in one array
 * of n_dims + 1, in natural logarithms:  log variance, log length of each coordinate.
 *
 * A step of that search takes a factor of n × n for each step of Newton's method towards the mode,
 * begun from the last mode, and one inverse: O(n³), and O(n² n_dims) beside.
 *
 * Threads: immutable once fitted; share freely. The same bytes on any number of threads. */
#ifndef QN_STATS_GAUSSIAN_CLASS_H
#define QN_STATS_GAUSSIAN_CLASS_H

#include "stats/gaussian_process.h"

typedef struct qn_gaussian_class_request {
    qn_covariance_kind kind;
    bool isotropic;         /* one length for all coordinates */
    int64_t n, n_dims;      /* n >= 1, 1 <= n_dims <= QN_COVARIANCE_DIMS_MAX */
    const double *x;        /* n × n_dims, row after row, finite */
    const double *y;        /* n: 0 or 1 */
    const double *weights;  /* n, >= 0: how often a row counts; NULL: 1 */
    const double *start;    /* n_dims + 1 hyperparameters to start from */
    int n_starts;           /* at least 1: after the first, lengths are drawn by `seed` */
    int64_t iterations_max; /* of L-BFGS, for each start; 0: `start` is taken as it is */
    qn_log_prior length;
    uint64_t seed;
    const qn_stop *stop; /* ends the search with the best found */
    qn_pool *pool;
} qn_gaussian_class_request;

/* The posterior of f at a point of correlations c with the rows:  mean  variance c · gradient,
 * variance  variance - |L⁻¹ (variance c √W)|². */
typedef struct qn_gaussian_class {
    int64_t n;
    double *hyperparameters; /* n_dims + 1 */
    double *gradient;        /* n: of the log-likelihood of the classes by f, at the mode */
    double *root_w;          /* n: √W, W its negative second derivatives */
    double *factor;          /* n × n: of I + √W K √W; see linalg/cholesky.h */
    double log_likelihood;   /* log q(y | x, hyperparameters), without the prior */
} qn_gaussian_class;         /* release with qn_gaussian_class_release() */

/* Fails with QN_ERR_NOMEM, QN_ERR_DATA (x is not finite). */
QN_MUST_CHECK
qn_status qn_gaussian_class_fit(const qn_gaussian_class_request *request, qn_gaussian_class *out,
                                qn_error *err);
void qn_gaussian_class_release(qn_gaussian_class *process);

/* log q(y | x, θ) and its gradient by the n_dims + 1 hyperparameters: what is maximised, for tests.
 * Fails as fitting does. */
QN_MUST_CHECK
qn_status qn_gaussian_class_evaluate(const qn_gaussian_class_request *request,
                                     const double *hyperparameters, double *log_likelihood,
                                     double *gradient, qn_error *err);

#endif
