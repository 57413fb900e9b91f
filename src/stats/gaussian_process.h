/* SPDX-License-Identifier: Apache-2.0 */
/* Gaussian process regression (Rasmussen & Williams 2006, algorithm 2.1): y = f(x) + noise, f with
 * mean zero and a covariance function with one length for each coordinate, noise independent with
 * variance noise / weight. Hyperparameters, all in natural logarithms, stand in one array of
 * n_dims + 2:  log variance, log length of each coordinate, log noise.  They are found by
 * maximising the marginal likelihood, times log-normal priors where given, with L-BFGS from a few
 * starts (5.4.1); the gradient takes one factor and one inverse, O(n³), and O(n² n_dims) beside.
 *
 * Inputs are of order one (a unit cube, or standard deviations), y is centred by the caller.
 *
 * A sampler would, for each proposal: qn_gaussian_process_fit() on all trials every so often, with
 * `start` the hyperparameters of the last fit and iterations_max about 5; between such fits add
 * each trial with qn_gaussian_process_add(), O(n²); for trials still running add the mean that is
 * predicted for them and take them away with qn_gaussian_process_truncate(). Mean and variance of a
 * few hundred points then give the acquisition function; the variance is that of f, and
 * exp(log noise) more for an observation.
 *
 * Threads: one thread at a time while it changes, any number of them to predict. The same bytes on
 * any number of threads of the pool. */
#ifndef QN_STATS_GAUSSIAN_PROCESS_H
#define QN_STATS_GAUSSIAN_PROCESS_H

#include "base/clock.h"
#include "base/error.h"
#include "stats/covariance.h"

typedef struct qn_gaussian_process qn_gaussian_process;

/* Normal, of the logarithm; sd 0: flat. */
typedef struct qn_log_prior {
    double mean, sd;
} qn_log_prior;

typedef struct qn_gaussian_process_request {
    qn_covariance_kind kind;
    bool isotropic;             /* one length for all coordinates */
    int64_t n, n_dims;          /* n >= 1, 1 <= n_dims <= QN_COVARIANCE_DIMS_MAX */
    const double *x;            /* n × n_dims, row after row, finite */
    const double *y;            /* n, finite */
    const double *weights;      /* n, > 0; NULL: 1 */
    const double *start;        /* n_dims + 2 hyperparameters to start from; NULL: guessed from y */
    int n_starts;               /* at least 1: after the first they are drawn by `seed` */
    int64_t iterations_max;     /* of L-BFGS, for each start; 0: `start` is taken as it is */
    double tolerance;           /* as qn_minimise_request; 0: 1e-3 */
    qn_log_prior length, noise; /* noise in units of the mean of y² */
    uint64_t seed;
    const qn_stop *stop; /* ends the search with the best found */
    qn_pool *pool;
} qn_gaussian_process_request;

/* What Hvarfner, Hellsten & Nardi (2024, section 4) give lengths in a unit cube: their square grows
 * with n_dims, as squared distances do, so that the function is no rougher in more dimensions. */
qn_log_prior qn_length_prior(int64_t n_dims);

/* Copies x, y and weights. Fails with QN_ERR_NOMEM, QN_ERR_DATA (no hyperparameters within reach
 * make the covariances positive definite: x or y are not finite). */
QN_MUST_CHECK
qn_status qn_gaussian_process_fit(const qn_gaussian_process_request *request,
                                  qn_gaussian_process **out, qn_error *err);
void qn_gaussian_process_free(qn_gaussian_process *process); /* accepts NULL */

/* One observation more, at the same hyperparameters, in O(n²). On failure the process is as it
 * was: QN_ERR_NOMEM, or QN_ERR_DATA where there is too little noise for a point that repeats. */
QN_MUST_CHECK
qn_status qn_gaussian_process_add(qn_gaussian_process *process, const double *x, double y,
                                  double weight, qn_error *err);
/* Only the first n observations, 1 <= n <= what it has, in O(n²). */
void qn_gaussian_process_truncate(qn_gaussian_process *process, int64_t n);

/* Scratch for predicting m points. */
int64_t qn_gaussian_process_scratch_doubles(const qn_gaussian_process *process, int64_t m);
/* Mean and, unless NULL, variance of f at m points (m × n_dims). A point's do not depend on those
 * beside it. Allocates nothing. */
void qn_gaussian_process_predict(const qn_gaussian_process *process, const double *x, int64_t m,
                                 double *mean, double *variance, double *scratch);

int64_t qn_gaussian_process_n(const qn_gaussian_process *process);
const double *qn_gaussian_process_hyperparameters(const qn_gaussian_process *process);
/* log p(y | x, hyperparameters), without priors. */
double qn_gaussian_process_log_likelihood(const qn_gaussian_process *process);
/* (K + noise)⁻¹ y: n. The mean at a point is variance × its correlations times these. */
const double *qn_gaussian_process_alpha(const qn_gaussian_process *process);

/* The Cholesky factor of K + noise (linalg/cholesky.h): n rows of `stride`. */
const double *qn_gaussian_process_factor(const qn_gaussian_process *process, int64_t *stride);

/* log p(y | x, θ) and, unless NULL, its gradient by the n_dims + 2 hyperparameters: what is
 * maximised, for tests. Fails as fitting does. */
QN_MUST_CHECK
qn_status qn_gaussian_process_evaluate(const qn_gaussian_process_request *request,
                                       const double *hyperparameters, double *log_likelihood,
                                       double *gradient, qn_error *err);

#endif
