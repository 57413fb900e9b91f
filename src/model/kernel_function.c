/* SPDX-License-Identifier: Apache-2.0 */
#include "model/kernel_function.h"

#include "linalg/kernels.h"

static void apply_poly(const qn_kernel *kernel, int64_t n, float *values)
{
    for (int64_t i = 0; i < n; i++) {
        const float base = kernel->gamma * values[i] + kernel->coef0;
        float power = base;
        for (int32_t d = 1; d < kernel->degree; d++) {
            power *= base;
        }
        values[i] = power;
    }
}

static void apply_rbf(const qn_kernel *kernel, float square, const float *squares, int64_t n,
                      float *values)
{
    for (int64_t i = 0; i < n; i++) {
        const float distance = square + squares[i] - 2 * values[i];
        values[i] = -kernel->gamma * (distance > 0 ? distance : 0);
    }
    qn_exp_float(values, values, n);
}

/* tanh x = 1 - 2 / (1 + e^2x). */
static void apply_sigmoid(const qn_kernel *kernel, int64_t n, float *values)
{
    for (int64_t i = 0; i < n; i++) {
        values[i] = 2 * (kernel->gamma * values[i] + kernel->coef0);
    }
    qn_exp_float(values, values, n);
    for (int64_t i = 0; i < n; i++) {
        values[i] = 1 - 2 / (1 + values[i]);
    }
}

void qn_kernel_apply(const qn_kernel *kernel, float square, const float *squares, int64_t n,
                     float *values)
{
    switch (kernel->kind) {
    case QN_KERNEL_POLY:
        apply_poly(kernel, n, values);
        break;
    case QN_KERNEL_RBF:
        apply_rbf(kernel, square, squares, n, values);
        break;
    case QN_KERNEL_SIGMOID:
        apply_sigmoid(kernel, n, values);
        break;
    case QN_KERNEL_LINEAR:
        break;
    }
}
