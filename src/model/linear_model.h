/* SPDX-License-Identifier: Apache-2.0 */
/* Linear: a weighted sum of the dense view's features per output, and a link.
 *
 * Threads: immutable once built; share freely. */
#ifndef QN_MODEL_LINEAR_MODEL_H
#define QN_MODEL_LINEAR_MODEL_H

#include "model/estimator.h"

/* Stored in bundles: never renumber. */
typedef enum qn_linear_link {
    QN_LINEAR_IDENTITY,
    QN_LINEAR_LOGISTIC,
    QN_LINEAR_SOFTMAX,
    QN_LINEAR_LOG,         /* the sum is the logarithm of the prediction */
    QN_LINEAR_ONE_VS_REST, /* a logistic function of each sum, made to add up to one */
    QN_N_LINEAR_LINKS
} qn_linear_link;

extern const qn_family qn_family_linear;

/* `coefficients`: n_outputs × n_features (dense, then sparse); `intercepts`: n_outputs. Copied. */
QN_MUST_CHECK
qn_status qn_linear_create(qn_linear_link link, const double *coefficients,
                           const double *intercepts, int64_t n_dense, int64_t n_sparse,
                           int32_t n_outputs, qn_estimator **out, qn_error *err);

/* Standard errors of the coefficients, then of the intercept (n_features + 1; NaN: it has none), of
 * a model with one output fitted with so many degrees of freedom left. Copied. */
QN_MUST_CHECK
qn_status qn_linear_set_errors(qn_estimator *estimator, const double *std_errors,
                               int64_t degrees_of_freedom, qn_error *err);

/* What a linear model adds up. Borrowed. */
typedef struct qn_linear_terms {
    int64_t n_dense, n_sparse;
    const double *coefficients; /* n_outputs × (n_dense + n_sparse) */
    const double *intercepts;   /* n_outputs */
    const double *std_errors;   /* n_features + 1, or NULL */
    int64_t degrees_of_freedom;
} qn_linear_terms;

/* False when the estimator is of another family. */
bool qn_linear_terms_of(const qn_estimator *estimator, qn_linear_terms *out);

#endif
