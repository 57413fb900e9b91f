/* SPDX-License-Identifier: Apache-2.0 */
#include "model/activation.h"

#include "linalg/kernels.h"

#include <stddef.h>

enum { CHUNK = 256 };

static const float selu_scale = 1.05070098735548f, selu_alpha = 1.67326324235438f;
static const float gelu_slope = 1.59576912160573f; /* 2 sqrt(2 / pi) */
static const float gelu_cube = 0.044715f;

const char *const qn_activation_names[] = {"relu", "gelu", "selu", "silu", NULL};

/* e[i] = e^-t(x[i]), from which f and f' of all but RELU follow. */
static void exponentials(qn_activation kind, const float *x, float *e, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        if (kind == QN_ACTIVATION_SELU) {
            e[i] = x[i] < 0 ? x[i] : 0;
        } else if (kind == QN_ACTIVATION_SILU) {
            e[i] = -x[i];
        } else {
            e[i] = -gelu_slope * (x[i] + gelu_cube * x[i] * x[i] * x[i]);
        }
    }
    qn_exp_float(e, e, n);
}

static void activate_chunk(qn_activation kind, const float *x, float *out, int64_t n)
{
    float e[CHUNK];
    exponentials(kind, x, e, n);
    if (kind == QN_ACTIVATION_SELU) {
        for (int64_t i = 0; i < n; i++) {
            out[i] = selu_scale * (x[i] > 0 ? x[i] : selu_alpha * (e[i] - 1));
        }
        return;
    }
    for (int64_t i = 0; i < n; i++) {
        out[i] = x[i] / (1 + e[i]);
    }
}

void qn_activate(qn_activation kind, const float *x, float *out, int64_t n)
{
    if (kind == QN_ACTIVATION_RELU) {
        for (int64_t i = 0; i < n; i++) {
            out[i] = qn_kept_if(x[i] > 0, x[i]);
        }
        return;
    }
    for (int64_t i = 0; i < n; i += CHUNK) {
        activate_chunk(kind, x + i, out + i, n - i < CHUNK ? n - i : CHUNK);
    }
}

/* With s = 1 / (1 + e^-t): (x s)' = s + x s (1 - s) t'. */
static void slope_chunk(qn_activation kind, const float *x, const float *delta, float *out,
                        int64_t n)
{
    float e[CHUNK];
    exponentials(kind, x, e, n);
    for (int64_t i = 0; i < n; i++) {
        const float s = 1 / (1 + e[i]);
        float slope;
        if (kind == QN_ACTIVATION_SELU) {
            slope = selu_scale * (x[i] > 0 ? 1 : selu_alpha * e[i]);
        } else if (kind == QN_ACTIVATION_SILU) {
            slope = s + x[i] * s * (1 - s);
        } else {
            slope = s + x[i] * s * (1 - s) * gelu_slope * (1 + 3 * gelu_cube * x[i] * x[i]);
        }
        out[i] = delta[i] * slope;
    }
}

void qn_activate_slope(qn_activation kind, const float *x, const float *delta, float *out,
                       int64_t n)
{
    if (kind == QN_ACTIVATION_RELU) {
        for (int64_t i = 0; i < n; i++) {
            out[i] = qn_kept_if(x[i] > 0, delta[i]);
        }
        return;
    }
    for (int64_t i = 0; i < n; i += CHUNK) {
        slope_chunk(kind, x + i, delta + i, out + i, n - i < CHUNK ? n - i : CHUNK);
    }
}
