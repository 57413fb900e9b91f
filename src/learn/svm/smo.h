/* SPDX-License-Identifier: Apache-2.0 */
/* Sequential minimal optimisation of the dual of support vector machines, written for β_t = y_t
 * α_t:
 *
 *   minimise  β'Kβ / 2 - linear'β   with  low_t <= β_t <= high_t,  sum_t β_t = 0
 *
 * Pairs are chosen by second order information (Fan, Chen & Lin 2005, WSS 2), rows of K come from a
 * cache of those used last. Support vector regression has two variables for each row: variable t is
 * of row t mod n.
 *
 * Threads: one thread at a time for each problem. */
#ifndef QN_LEARN_SVM_SMO_H
#define QN_LEARN_SVM_SMO_H

#include "base/clock.h"
#include "model/kernel_rows.h"

typedef struct qn_smo_request {
    const qn_matrix *x;
    const int32_t *rows; /* of x: n */
    int64_t n;
    int32_t copies; /* variables of each row: 1 or 2 */
    qn_kernel kernel;
    const double *linear, *low, *high; /* copies × n; low <= 0 <= high */
    double tolerance;                  /* on the largest violation of the optimality conditions */
    double cache_bytes;                /* at least two rows are kept */
    const qn_stop *stop;               /* ends it with a feasible β */
} qn_smo_request;

typedef struct qn_smo_result {
    double *beta; /* n: summed over the copies of a row; the caller's room */
    double bias;
    double objective;
    int64_t n_steps;
    bool stopped;
} qn_smo_result;

QN_MUST_CHECK
qn_status qn_smo_solve(const qn_smo_request *request, qn_smo_result *result, qn_error *err);

#endif
