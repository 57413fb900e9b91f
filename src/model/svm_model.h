/* SPDX-License-Identifier: Apache-2.0 */
/* Support vector machine: support vectors with a coefficient for each machine they belong to.
 * Regression is one machine. Of k classes each pair (i, j), i < j, has a machine whose decision
 *   f = sum of coefficient × kernel over the vectors of both classes + bias
 * speaks for i where it is positive, and a sigmoid that makes a probability of it (Platt 1999); the
 * probabilities of all pairs are coupled into those of the classes (Wu, Lin & Weng 2004, second
 * method).
 *
 * Threads: immutable once built; share freely. */
#ifndef QN_MODEL_SVM_MODEL_H
#define QN_MODEL_SVM_MODEL_H

#include "model/estimator.h"
#include "model/kernel_rows.h"

extern const qn_family qn_family_svm;

typedef struct qn_svm_model {
    int32_t n_classes; /* 1: regression */
    int32_t n_outputs;
    qn_kernel kernel;
    const qn_matrix *x;
    const int32_t *rows;       /* of x: n_vectors, class after class */
    const int64_t *class_ends; /* n_classes: where each class ends */
    int64_t n_vectors;
    const double *coefficients; /* (n_classes - 1, at least 1) × n_vectors: of a vector of class i,
                                   row j - 1 is for the machine with j > i, row j with j < i */
    const double *machines;     /* for each pair in order: bias, slope and intercept of the sigmoid
                                   1 / (1 + exp(slope f + intercept)); regression: bias, the
                                   scale and the offset of the target */
} qn_svm_model;

/* Machines of so many classes. */
int64_t qn_svm_n_machines(int32_t n_classes);

/* Copies everything. */
QN_MUST_CHECK
qn_status qn_svm_create(const qn_svm_model *model, qn_estimator **out, qn_error *err);

/* Decisions of all machines, n_rows × qn_svm_n_machines(), before any link: for tests. */
void qn_svm_decide(const qn_estimator *estimator, const qn_matrix *features, double *out,
                   void *scratch);

#endif
