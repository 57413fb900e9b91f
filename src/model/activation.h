/* SPDX-License-Identifier: Apache-2.0 */
/* Activations of neural networks, and their slopes, over arrays.
 *
 * Threads: pure functions. */
#ifndef QN_MODEL_ACTIVATION_H
#define QN_MODEL_ACTIVATION_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* Stored in bundles: never renumber. */
typedef enum qn_activation {
    QN_ACTIVATION_RELU,
    QN_ACTIVATION_GELU, /* its tanh form (Hendrycks & Gimpel 2016) */
    QN_ACTIVATION_SELU, /* Klambauer et al. 2017 */
    QN_ACTIVATION_SILU, /* x / (1 + e^-x) */
    QN_N_ACTIVATIONS
} qn_activation;

/* The value, or 0: by its bits, since a branch on data of no pattern is mispredicted half the time.
 */
static inline float qn_kept_if(bool keep, float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    bits &= 0U - (uint32_t)keep;
    memcpy(&value, &bits, sizeof value);
    return value;
}

extern const char *const qn_activation_names[]; /* ended by NULL */

/* out[i] = f(x[i]); `out` may be `x`. */
void qn_activate(qn_activation kind, const float *x, float *out, int64_t n);
/* out[i] = delta[i] × f'(x[i]); `out` may be `delta`. */
void qn_activate_slope(qn_activation kind, const float *x, const float *delta, float *out,
                       int64_t n);

#endif
