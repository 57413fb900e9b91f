/* SPDX-License-Identifier: Apache-2.0 */
/* Naive Bayes: for each class c the sum over features of a log-probability, which is linear in an
 * indicator or a count and quadratic in a number:
 *     score_c = b_c + sum_f a_cf x_f - 1/2 sum_f v_cf (x_f - m_cf)^2,   p = softmax(score)
 *
 * Threads: immutable once built; share freely. */
#ifndef QN_MODEL_BAYES_MODEL_H
#define QN_MODEL_BAYES_MODEL_H

#include "model/estimator.h"

extern const qn_family qn_family_bayes;

typedef struct qn_bayes_parts {
    int32_t n_classes; /* 2: one output, p of class 1 */
    int64_t n_dense, n_sparse;
    bool presence;        /* sparse values count as 1 where they are above 0 */
    double *intercepts;   /* n_classes: b */
    double *coefficients; /* n_classes × (n_dense + n_sparse): a */
    double *means;        /* n_classes × n_dense: m */
    double *precisions;   /* n_classes × n_dense: v >= 0; 0: not a number */
} qn_bayes_parts;

/* Takes the arrays of `parts`, also on failure. */
QN_MUST_CHECK
qn_status qn_bayes_create(qn_bayes_parts *parts, qn_estimator **out, qn_error *err);
void qn_bayes_parts_release(qn_bayes_parts *parts);

#endif
