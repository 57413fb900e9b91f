/* SPDX-License-Identifier: Apache-2.0 */
/* Gaussian process for regression: the training rows and one coefficient of each; the prediction is
 * the mean,  offset + sum_j coefficient_j correlation(x, x_j)  (Rasmussen & Williams 2006, equation
 * 2.25), over the dense part of the dense view. In double: coefficients may be large and cancel.
 * Where the factor of the rows' covariances is kept, 8 n² bytes, predict_std() gives the standard
 * deviation of an observation (equation 2.26, and the noise).
 *
 * Threads: immutable once built; share freely. */
#ifndef QN_MODEL_GAUSSIAN_PROCESS_MODEL_H
#define QN_MODEL_GAUSSIAN_PROCESS_MODEL_H

#include "model/estimator.h"
#include "stats/gaussian_process.h"

extern const qn_family qn_family_gaussian_process;

typedef struct qn_gaussian_process_model {
    qn_covariance_kind kind;
    int64_t n_rows, n_dense;
    const double *x;               /* n_rows × n_dense, row after row */
    const double *hyperparameters; /* as qn_gaussian_process_hyperparameters() */
    const double *alpha;           /* as qn_gaussian_process_alpha() */
    double offset, scale;          /* the target is offset + scale × the process */
    const double *factor; /* as qn_gaussian_process_factor(); NULL: predict_std() has none */
    int64_t factor_stride;
} qn_gaussian_process_model;

/* Copies everything. */
QN_MUST_CHECK
qn_status qn_gaussian_process_create(const qn_gaussian_process_model *model, qn_estimator **out,
                                     qn_error *err);

#endif
