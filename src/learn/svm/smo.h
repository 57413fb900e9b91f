/* SPDX-License-Identifier: Apache-2.0 */
/* Sequential minimal optimisation of the dual of support vector machines, written for β_t = y_t
 * α_t:
 *
 *   minimise  β'Kβ / 2 - linear'β   with  low_t <= β_t <= high_t,  sum_t β_t = 0
 *
 * Pairs are chosen by second order information (Fan, Chen & Lin 2005, WSS 2). Variables at a bound
 * that the gradient holds there are set aside until the others have converged, and their gradients
 * then made anew (Chang & Lin 2011, section 5.1). Rows of K come from a cache that several problems
 * on the same rows may share. Support vector regression has two variables for each row: variable t
 * is of row t mod n.
 *
 * A row whose variables have low = high = 0 is not learnt from: it only gets its decision, which is
 * what a fold that leaves it out is fitted for.
 *
 * Threads: one thread at a time for each problem. */
#ifndef QN_LEARN_SVM_SMO_H
#define QN_LEARN_SVM_SMO_H

#include "base/clock.h"
#include "learn/svm/kernel_cache.h"

typedef struct qn_smo_request {
    const qn_matrix *x;
    const int32_t *rows; /* of x: n */
    int64_t n;
    int32_t copies; /* variables of each row: 1 or 2 */
    qn_kernel kernel;
    qn_kernel_cache *cache;            /* of these rows and this kernel; not for landmarks */
    const double *linear, *low, *high; /* copies × n; low <= 0 <= high */
    double tolerance;                  /* on the largest violation of the optimality conditions */
    const qn_stop *stop;               /* ends it with a feasible β */
} qn_smo_request;

typedef struct qn_smo_result {
    double *beta;      /* n: summed over the copies of a row; the caller's room */
    double *decisions; /* n: Kβ + bias; the caller's room */
    double bias;
    double objective;
    int64_t n_steps;
    bool stopped;
} qn_smo_result;

QN_MUST_CHECK
qn_status qn_smo_solve(const qn_smo_request *request, qn_smo_result *result, qn_error *err);

#endif
