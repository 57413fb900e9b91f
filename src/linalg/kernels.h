/* SPDX-License-Identifier: Apache-2.0 */
/* Dense and sparse kernels, and a minimiser of smooth functions.
 *
 * Threads: pure functions of their arguments. */
#ifndef QN_LINALG_KERNELS_H
#define QN_LINALG_KERNELS_H

#include "base/clock.h"
#include "base/error.h"

#include <stdint.h>

/* Sums run in eight fixed lanes: the same result on every machine that follows IEEE 754. */
double qn_dot(const double *restrict a, const double *restrict b, int64_t n);
double qn_sum(const double *a, int64_t n);
double qn_least(const double *a, int64_t n); /* +infinity of none; NaN are passed over */
void qn_add_scaled(double scale, const double *restrict a, double *restrict out, int64_t n);
/* out += sum_k scales[k * step] × vector k, which begins at a[k * stride]: one after the other, in
 * fewer passes over `out`. */
void qn_add_combination(const double *scales, int64_t step, const double *a, int64_t stride,
                        int64_t n_vectors, double *restrict out, int64_t n);

/* out[i] = e^-x[i], to 2 units in the last place, kept within 2e-300 … 8e307; the same on every
 * machine. `out` may be `x`. */
void qn_exp_negative(const double *x, double *out, int64_t n);
/* out[i] = e^x[i] in float, to 3 units in the last place, x kept within -87 … 88; the same on every
 * machine. `out` may be `x`. */
void qn_exp_float(const float *x, float *out, int64_t n);

/* Value of a function of n variables; writes its gradient. */
typedef double (*qn_function)(void *context, const double *x, double *gradient);

typedef struct qn_minimise_request {
    qn_function objective;
    void *context;
    int64_t n;
    int64_t iterations_max;
    double
        tolerance; /* on the largest part of the gradient, and on the relative fall of the value */
    const qn_stop *stop;
} qn_minimise_request;

/* L-BFGS (Liu & Nocedal 1989) with ten pairs and a backtracking line search, from *x on. Writes
 * the best point found; stopping early only makes it less exact. */
QN_MUST_CHECK
qn_status qn_minimise(const qn_minimise_request *request, double *x, int64_t *n_iterations,
                      qn_error *err);

#endif
