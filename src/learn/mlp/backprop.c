/* SPDX-License-Identifier: Apache-2.0 */
#include "learn/mlp/backprop.h"

#include "base/alloc.h"
#include "base/rng.h"
#include "linalg/gemm.h"

#include <math.h>
#include <string.h>

static int32_t width_at(const qn_network *network, int32_t value)
{
    return value == 0 ? network->encoder.n_inputs : network->layers[value - 1].width;
}

static int64_t max64(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* A product needs its right side in panels: weights, transposed weights, or deltas of a batch. */
static int64_t panels_floats(const qn_network *network, int64_t rows_max)
{
    int64_t most = 0;
    for (int32_t at = 0; at < network->n_layers; at++) {
        const qn_layer *layer = &network->layers[at];
        if (layer->kind != QN_LAYER_DENSE) continue;
        most = max64(most, qn_panels_floats(layer->n_in, layer->width));
        most = max64(most, qn_panels_floats(layer->width, layer->n_in));
        most = max64(most, qn_panels_floats(rows_max, layer->width));
    }
    return most;
}

/* Arrays begin at multiples of 64 bytes. */
static int64_t padded(int64_t n_floats)
{
    return (n_floats + 15) / 16 * 16;
}

qn_status qn_pass_init(qn_pass *pass, qn_network *network, int64_t rows_max, qn_error *err)
{
    const int32_t n_values = network->n_layers + 1;
    int64_t n_floats = padded(panels_floats(network, rows_max)), widest = 0;
    for (int32_t i = 0; i < n_values; i++) {
        n_floats += 2 * padded(rows_max * width_at(network, i));
        widest = max64(widest, width_at(network, i));
    }
    n_floats += padded(rows_max * widest);
    *pass = (qn_pass){.network = network, .rows_max = rows_max, .momentum = 0.1F};
    pass->values = qn_alloc_array(n_values, sizeof *pass->values);
    pass->deltas = qn_alloc_array(n_values, sizeof *pass->deltas);
    pass->pending = qn_alloc_array(n_values, sizeof *pass->pending);
    pass->memory = qn_alloc_aligned(n_floats, sizeof *pass->memory);
    if (!pass->values || !pass->deltas || !pass->pending || !pass->memory) {
        qn_pass_release(pass);
        return qn_fail(err, QN_ERR_NOMEM, "no memory to train a neural network");
    }
    float *at = pass->memory;
    for (int32_t i = 0; i < n_values; i++) {
        pass->values[i] = at;
        at += padded(rows_max * width_at(network, i));
        pass->deltas[i] = at;
        at += padded(rows_max * width_at(network, i));
    }
    pass->spare = at;
    pass->panels = at + padded(rows_max * widest);
    return QN_OK;
}

void qn_pass_release(qn_pass *pass)
{
    qn_free(pass->values);
    qn_free(pass->deltas);
    qn_free(pass->pending);
    qn_free(pass->memory);
    *pass = (qn_pass){0};
}

float *qn_pass_output_deltas(qn_pass *pass)
{
    return pass->deltas[pass->network->n_layers];
}

/* Its own transpose, so deltas go back the same way. */
void qn_mix_rows(float mixed, int64_t n_rows, int32_t width, float *values)
{
    for (int64_t i = 0; i < n_rows / 2; i++) {
        float *a = values + i * width, *b = values + (n_rows - 1 - i) * width;
        for (int32_t j = 0; j < width; j++) {
            const float x = a[j], y = b[j];
            a[j] = (1 - mixed) * x + mixed * y;
            b[j] = (1 - mixed) * y + mixed * x;
        }
    }
}

static void dense_forward(qn_pass *pass, const qn_layer *layer, const float *in, int64_t n_rows,
                          float *out)
{
    const float *weights = pass->network->params + layer->first_param;
    qn_panels_pack(weights, layer->width, 1, layer->n_in, layer->width, pass->panels);
    const qn_gemm product = {.m = n_rows,
                             .n = layer->width,
                             .k = layer->n_in,
                             .a = in,
                             .a_row_step = layer->n_in,
                             .a_col_step = 1,
                             .panels = pass->panels,
                             .start = weights + (int64_t)layer->n_in * layer->width,
                             .c = out,
                             .c_row_step = layer->width};
    qn_gemm_run(&product, pass->pool);
}

/* out[j] = sum over rows of in[:, j] (times other[:, j], unless NULL). */
static void column_sums(const float *in, const float *other, int64_t n_rows, int32_t width,
                        float *out)
{
    memset(out, 0, (size_t)width * sizeof *out);
    for (int64_t i = 0; i < n_rows; i++) {
        const float *row = in + i * width;
        if (other) {
            for (int32_t j = 0; j < width; j++) {
                out[j] += row[j] * other[i * width + j];
            }
        } else {
            for (int32_t j = 0; j < width; j++) {
                out[j] += row[j];
            }
        }
    }
}

/* W gets X^T D, b the sums of D, and the input D W^T. */
static void dense_backward(qn_pass *pass, const qn_layer *layer, const float *in,
                           const float *delta, int64_t n_rows, float *gradient, float *delta_in)
{
    const float *weights = pass->network->params + layer->first_param;
    qn_panels_pack(delta, layer->width, 1, n_rows, layer->width, pass->panels);
    const qn_gemm by_weights = {.m = layer->n_in,
                                .n = layer->width,
                                .k = n_rows,
                                .a = in,
                                .a_row_step = 1,
                                .a_col_step = layer->n_in,
                                .panels = pass->panels,
                                .c = gradient,
                                .c_row_step = layer->width};
    qn_gemm_run(&by_weights, pass->pool);
    column_sums(delta, NULL, n_rows, layer->width, gradient + (int64_t)layer->n_in * layer->width);
    if (!delta_in) return;
    qn_panels_pack(weights, 1, layer->width, layer->width, layer->n_in, pass->panels);
    const qn_gemm by_input = {.m = n_rows,
                              .n = layer->n_in,
                              .k = layer->width,
                              .a = delta,
                              .a_row_step = layer->width,
                              .a_col_step = 1,
                              .panels = pass->panels,
                              .c = delta_in,
                              .c_row_step = layer->n_in};
    qn_gemm_run(&by_input, pass->pool);
}

/* With h = (x - mean) / sd along one row of n values and d = gain × delta, the derivative by x is
 * (d - mean(d) - h mean(d h)) / sd. */
static void layer_norm_backward(const qn_layer *layer, const float *params, const float *in,
                                const float *delta, int64_t n_rows, float *gradient,
                                float *delta_in)
{
    const int32_t n = layer->width;
    memset(gradient, 0, 2 * (size_t)n * sizeof *gradient);
    for (int64_t i = 0; i < n_rows; i++, in += n, delta += n, delta_in += n) {
        float sum = 0, squares = 0, sum_d = 0, sum_dh = 0;
        for (int32_t j = 0; j < n; j++) {
            sum += in[j];
        }
        const float mean = sum / (float)n;
        for (int32_t j = 0; j < n; j++) {
            squares += (in[j] - mean) * (in[j] - mean);
        }
        const float inverse = 1 / sqrtf(squares / (float)n + QN_NORM_EPSILON);
        for (int32_t j = 0; j < n; j++) {
            const float h = (in[j] - mean) * inverse, d = delta[j] * params[j];
            gradient[j] += delta[j] * h;
            gradient[n + j] += delta[j];
            sum_d += d;
            sum_dh += d * h;
        }
        for (int32_t j = 0; j < n; j++) {
            const float h = (in[j] - mean) * inverse, d = delta[j] * params[j];
            delta_in[j] = (d - sum_d / (float)n - h * sum_dh / (float)n) * inverse;
        }
    }
}

/* Mean and 1 / sd of each column of a batch, into `out` (2 × width). */
static void batch_moments(const qn_layer *layer, const float *in, int64_t n_rows, float *out)
{
    const int32_t n = layer->width;
    float *mean = out, *inverse = out + n;
    column_sums(in, NULL, n_rows, n, mean);
    for (int32_t j = 0; j < n; j++) {
        mean[j] /= (float)n_rows;
        inverse[j] = 0;
    }
    for (int64_t i = 0; i < n_rows; i++) {
        for (int32_t j = 0; j < n; j++) {
            inverse[j] += (in[i * n + j] - mean[j]) * (in[i * n + j] - mean[j]);
        }
    }
    for (int32_t j = 0; j < n; j++) {
        inverse[j] = 1 / sqrtf(inverse[j] / (float)n_rows + QN_NORM_EPSILON);
    }
}

static void batch_norm_forward(qn_pass *pass, const qn_layer *layer, const float *in,
                               int64_t n_rows, float *out)
{
    const int32_t n = layer->width;
    float *params = pass->network->params + layer->first_param;
    float *mean = pass->spare, *inverse = pass->spare + n;
    float *running_mean = params + 2 * n, *running_variance = params + 3 * n;
    if (n_rows < 2) { /* no variance to speak of */
        qn_batch_norm_forward(layer, params, in, n_rows, out);
        return;
    }
    batch_moments(layer, in, n_rows, mean);
    for (int64_t i = 0; i < n_rows; i++) {
        for (int32_t j = 0; j < n; j++) {
            out[i * n + j] = (in[i * n + j] - mean[j]) * inverse[j] * params[j] + params[n + j];
        }
    }
    const float unbiased = (float)n_rows / (float)(n_rows - 1);
    for (int32_t j = 0; j < n; j++) {
        const float variance = 1 / (inverse[j] * inverse[j]) - QN_NORM_EPSILON;
        running_mean[j] += pass->momentum * (mean[j] - running_mean[j]);
        running_variance[j] += pass->momentum * (unbiased * variance - running_variance[j]);
    }
}

/* As layer norm, along columns. */
static void batch_norm_backward(qn_pass *pass, const qn_layer *layer, const float *in,
                                const float *delta, int64_t n_rows, float *gradient,
                                float *delta_in)
{
    const int32_t n = layer->width;
    const float *gain = pass->network->params + layer->first_param;
    float *mean = gradient + 2 * n, *inverse = gradient + 3 * n; /* room for a moment */
    float *by_gain = gradient, *by_bias = gradient + n;
    batch_moments(layer, in, n_rows, mean);
    for (int32_t j = 0; n_rows < 2 && j < n; j++) {
        mean[j] = gain[2 * n + j];
        inverse[j] = 1 / sqrtf(gain[3 * n + j] + QN_NORM_EPSILON);
    }
    memset(by_gain, 0, 2 * (size_t)n * sizeof *by_gain);
    for (int64_t i = 0; i < n_rows; i++) {
        for (int32_t j = 0; j < n; j++) {
            const float h = (in[i * n + j] - mean[j]) * inverse[j];
            by_gain[j] += delta[i * n + j] * h;
            by_bias[j] += delta[i * n + j];
        }
    }
    const float share = n_rows < 2 ? 0 : 1 / (float)n_rows;
    for (int64_t i = 0; i < n_rows; i++) {
        for (int32_t j = 0; j < n; j++) {
            const float h = (in[i * n + j] - mean[j]) * inverse[j];
            delta_in[i * n + j] =
                gain[j] * inverse[j] * (delta[i * n + j] - share * (by_bias[j] + h * by_gain[j]));
        }
    }
    memset(mean, 0, 2 * (size_t)n * sizeof *mean); /* running statistics are not trained */
}

/* Keeps each value with probability 1 - rate, then divided by it: sixteen random bits a value.
 * Drawn again for the way back, in the same order. */
static void dropout(const qn_pass *pass, int32_t at, const float *in, int64_t n, float *out)
{
    const float rate = pass->network->layers[at].rate, scale = 1 / (1 - rate);
    const uint64_t threshold = (uint64_t)(rate * 65536.0F);
    qn_rng rng;
    qn_rng_init(&rng, pass->seed, (uint64_t)at);
    for (int64_t i = 0; i < n; i += 4) {
        const uint64_t bits = qn_rng_next(&rng);
        const int64_t end = n - i < 4 ? n : i + 4;
        for (int64_t j = i; j < end; j++) {
            const uint64_t below = (bits >> 16 * (j - i) & 0xffff) - threshold;
            out[j] = qn_kept_if(!(below >> 63), in[j] * scale);
        }
    }
}

static void forward_layer(qn_pass *pass, int32_t at, int64_t n_rows)
{
    const qn_network *network = pass->network;
    const qn_layer *layer = &network->layers[at];
    const float *params = network->params + layer->first_param;
    const float *in = pass->values[at];
    float *out = pass->values[at + 1];
    const int64_t n = n_rows * layer->width;
    switch ((qn_layer_kind)layer->kind) {
    case QN_LAYER_DENSE:
        dense_forward(pass, layer, in, n_rows, out);
        break;
    case QN_LAYER_ACTIVATION:
        qn_activate((qn_activation)layer->activation, in, out, n);
        break;
    case QN_LAYER_LAYER_NORM:
        qn_layer_norm_forward(layer, params, in, n_rows, out);
        break;
    case QN_LAYER_BATCH_NORM:
        batch_norm_forward(pass, layer, in, n_rows, out);
        break;
    case QN_LAYER_DROPOUT:
        dropout(pass, at, in, n, out);
        break;
    case QN_LAYER_ADD:
        for (int64_t i = 0; i < n; i++) {
            out[i] = in[i] + pass->values[layer->from + 1][i];
        }
        break;
    case QN_N_LAYER_KINDS:
        break;
    }
}

const float *qn_pass_forward(qn_pass *pass, const qn_encoder_rows *rows)
{
    const qn_network *network = pass->network;
    qn_encoder_apply(&network->encoder, network->params, rows, pass->values[0]);
    if (pass->mixed > 0) {
        qn_mix_rows(pass->mixed, rows->n_rows, network->encoder.n_inputs, pass->values[0]);
    }
    for (int32_t at = 0; at < network->n_layers; at++) {
        forward_layer(pass, at, rows->n_rows);
    }
    return pass->values[network->n_layers];
}

static void add_to(const float *values, int64_t n, float *out)
{
    for (int64_t i = 0; i < n; i++) {
        out[i] += values[i];
    }
}

/* The first contribution to a value's delta is written, later ones are added. */
static void contribute(qn_pass *pass, int32_t value, const float *delta, int64_t n)
{
    if (pass->pending[value]) {
        add_to(delta, n, pass->deltas[value]);
    } else {
        memcpy(pass->deltas[value], delta, (size_t)n * sizeof *delta);
        pass->pending[value] = true;
    }
}

static void backward_layer(qn_pass *pass, int32_t at, int64_t n_rows, float *gradient)
{
    const qn_network *network = pass->network;
    const qn_layer *layer = &network->layers[at];
    const float *params = network->params + layer->first_param;
    const float *in = pass->values[at], *delta = pass->deltas[at + 1];
    const int64_t n = n_rows * layer->width;
    float *own = gradient + layer->first_param;
    float *delta_in = pass->pending[at] ? pass->spare : pass->deltas[at];
    if (at == 0 && network->encoder.n_params == 0) delta_in = NULL; /* nobody asks */
    switch ((qn_layer_kind)layer->kind) {
    case QN_LAYER_DENSE:
        dense_backward(pass, layer, in, delta, n_rows, own, delta_in);
        break;
    case QN_LAYER_ACTIVATION:
        if (delta_in) qn_activate_slope((qn_activation)layer->activation, in, delta, delta_in, n);
        break;
    case QN_LAYER_LAYER_NORM:
        layer_norm_backward(layer, params, in, delta, n_rows, own,
                            delta_in ? delta_in : pass->spare);
        break;
    case QN_LAYER_BATCH_NORM:
        batch_norm_backward(pass, layer, in, delta, n_rows, own, delta_in ? delta_in : pass->spare);
        break;
    case QN_LAYER_DROPOUT:
        if (delta_in) dropout(pass, at, delta, n, delta_in);
        break;
    case QN_LAYER_ADD:
        contribute(pass, layer->from + 1, delta, n);
        contribute(pass, at, delta, n);
        return;
    case QN_N_LAYER_KINDS:
        break;
    }
    if (delta_in && delta_in == pass->spare)
        add_to(delta_in, n_rows * layer->n_in, pass->deltas[at]);
    pass->pending[at] = true;
}

void qn_pass_backward(qn_pass *pass, const qn_encoder_rows *rows, float *gradient)
{
    const qn_network *network = pass->network;
    memset(gradient, 0, (size_t)network->n_params * sizeof *gradient);
    memset(pass->pending, 0, ((size_t)network->n_layers + 1) * sizeof *pass->pending);
    for (int32_t at = network->n_layers; at-- > 0;) {
        backward_layer(pass, at, rows->n_rows, gradient);
    }
    if (network->encoder.n_params == 0) return;
    if (pass->mixed > 0) {
        qn_mix_rows(pass->mixed, rows->n_rows, network->encoder.n_inputs, pass->deltas[0]);
    }
    qn_encoder_backward(&network->encoder, rows, pass->deltas[0], gradient);
}
