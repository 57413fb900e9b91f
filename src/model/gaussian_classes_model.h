/* SPDX-License-Identifier: Apache-2.0 */
/* Gaussian processes for classes (stats/gaussian_class.h): one for two classes; one against the
 * rest for each of several, their probabilities divided by their sum. The probability is the mean
 * of the logistic function over the normal posterior of f, not its value at the mode, so it is
 * nearer to even where rows are far: each prediction solves a triangular system, O(n²) a process.
 *
 * Threads: immutable once built; share freely. */
#ifndef QN_MODEL_GAUSSIAN_CLASSES_MODEL_H
#define QN_MODEL_GAUSSIAN_CLASSES_MODEL_H

#include "model/estimator.h"
#include "stats/gaussian_class.h"

extern const qn_family qn_family_gaussian_classes;

typedef struct qn_gaussian_classes_model {
    qn_covariance_kind kind;
    int32_t n_outputs;                  /* 1: two classes */
    int64_t n_rows, n_dense;            /* n_rows <= QN_GAUSSIAN_CLASSES_ROWS_MAX */
    const double *x;                    /* n_rows × n_dense, row after row */
    const qn_gaussian_class *processes; /* n_outputs, of these rows */
} qn_gaussian_classes_model;

enum { QN_GAUSSIAN_CLASSES_ROWS_MAX = 20000 };

/* Copies everything. */
QN_MUST_CHECK
qn_status qn_gaussian_classes_create(const qn_gaussian_classes_model *model, qn_estimator **out,
                                     qn_error *err);

/* The mean of 1 / (1 + e^-f) over f normal with this mean and variance >= 0, to 1e-8. */
double qn_logistic_normal_mean(double mean, double variance);

#endif
