/* SPDX-License-Identifier: Apache-2.0 */
/* Kernels of support vector machines, of the inner product <a, b>:
 *   linear   <a, b>
 *   poly     (gamma <a, b> + coef0)^degree
 *   rbf      exp(-gamma |a - b|²), from <a, b> and the squares |a|², |b|²
 *   sigmoid  tanh(gamma <a, b> + coef0)
 *
 * Threads: pure functions of their arguments. The same bytes on every machine. */
#ifndef QN_MODEL_KERNEL_FUNCTION_H
#define QN_MODEL_KERNEL_FUNCTION_H

#include <stdint.h>

/* Stored in bundles: never renumber. */
typedef enum qn_kernel_kind {
    QN_KERNEL_LINEAR,
    QN_KERNEL_POLY,
    QN_KERNEL_RBF,
    QN_KERNEL_SIGMOID
} qn_kernel_kind;

typedef struct qn_kernel {
    qn_kernel_kind kind;
    int32_t degree; /* POLY: 1 … 16 */
    float gamma, coef0;
} qn_kernel;

/* values[i]: in, <a, b_i>; out, the kernel. `square` is |a|², squares[i] is |b_i|². */
void qn_kernel_apply(const qn_kernel *kernel, float square, const float *squares, int64_t n,
                     float *values);

#endif
