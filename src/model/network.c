/* SPDX-License-Identifier: Apache-2.0 */
#include "model/network.h"

#include "base/alloc.h"
#include "linalg/gemm.h"

#include <math.h>
#include <string.h>

enum { LAYERS_MAX = 1024, WIDTH_MAX = 1 << 20, PARAMS_MAX = 1 << 28 };

static int32_t width_of(const qn_network *network, int32_t layer)
{
    return layer < 0 ? network->encoder.n_inputs : network->layers[layer].width;
}

/* The numbers of parameters, or -1 for a layer that cannot be. */
static int64_t params_of(const qn_network *network, int32_t at)
{
    const qn_layer *layer = &network->layers[at];
    const int64_t n_in = width_of(network, at - 1), width = layer->width;
    if (layer->kind < 0 || layer->kind >= QN_N_LAYER_KINDS || width < 1 || width > WIDTH_MAX) {
        return -1;
    }
    if (layer->kind == QN_LAYER_DENSE) return (n_in + 1) * width;
    if (width != n_in) return -1;
    if (layer->kind == QN_LAYER_LAYER_NORM) return 2 * width;
    if (layer->kind == QN_LAYER_BATCH_NORM) return 4 * width;
    if (layer->kind == QN_LAYER_ACTIVATION) {
        return layer->activation >= 0 && layer->activation < QN_N_ACTIVATIONS ? 0 : -1;
    }
    if (layer->kind == QN_LAYER_DROPOUT) return layer->rate >= 0 && layer->rate < 1 ? 0 : -1;
    return layer->from >= -1 && layer->from < at && width_of(network, layer->from) == width ? 0
                                                                                            : -1;
}

/* The last layer that reads the output of `layer`. */
static int32_t last_use(const qn_network *network, int32_t layer)
{
    int32_t last = layer + 1;
    for (int32_t at = layer + 1; at < network->n_layers; at++) {
        if (network->layers[at].kind == QN_LAYER_ADD && network->layers[at].from == layer) {
            last = at;
        }
    }
    return last;
}

/* Inference keeps few outputs at a time: a layer overwrites its input where nobody reads that
 * later, or takes the first slot whose content is used up. Slot 0 begins with the inputs. */
static void assign_slots(qn_network *network)
{
    int32_t busy_until[LAYERS_MAX + 1] = {last_use(network, -1)}; /* per slot */
    int32_t current = 0;
    network->n_slots = 1;
    network->slot_width = network->encoder.n_inputs;
    for (int32_t at = 0; at < network->n_layers; at++) {
        qn_layer *layer = &network->layers[at];
        int32_t slot = 0;
        if (layer->kind != QN_LAYER_DENSE && busy_until[current] <= at) {
            slot = current;
        } else {
            while (slot < network->n_slots && (slot == current || busy_until[slot] >= at)) {
                slot++;
            }
        }
        if (slot == network->n_slots) network->n_slots++;
        layer->slot = current = slot;
        busy_until[slot] = last_use(network, at);
        if (layer->width > network->slot_width) network->slot_width = layer->width;
    }
}

bool qn_network_plan(qn_network *network)
{
    if (network->n_layers < 1 || network->n_layers > LAYERS_MAX) return false;
    if (!qn_encoder_plan(&network->encoder)) return false;
    network->n_params = network->encoder.n_params;
    network->n_panels = 0;
    for (int32_t at = 0; at < network->n_layers; at++) {
        qn_layer *layer = &network->layers[at];
        const int64_t n = params_of(network, at);
        if (n < 0 || n > PARAMS_MAX) return false;
        layer->n_in = width_of(network, at - 1);
        layer->first_param = network->n_params;
        layer->n_params = n;
        layer->first_panel = network->n_panels;
        network->n_params += n;
        if (layer->kind == QN_LAYER_DENSE) {
            network->n_panels += qn_panels_floats(layer->n_in, layer->width);
        }
        if (network->n_params > PARAMS_MAX) return false;
    }
    assign_slots(network);
    return true;
}

static qn_status no_memory(qn_error *err)
{
    return qn_fail(err, QN_ERR_NOMEM, "no memory for a neural network");
}

qn_status qn_network_alloc_params(qn_network *network, qn_error *err)
{
    network->params = qn_alloc_array(network->n_params, sizeof *network->params);
    return network->params ? QN_OK : no_memory(err);
}

qn_status qn_network_copy(const qn_network *from, qn_network *out, qn_error *err)
{
    *out = *from;
    out->layers = qn_alloc_array(from->n_layers, sizeof *out->layers);
    out->params = qn_alloc_array(from->n_params, sizeof *out->params);
    qn_status status = qn_encoder_copy(&from->encoder, &out->encoder, err);
    if (status == QN_OK && (!out->layers || !out->params)) status = no_memory(err);
    if (status != QN_OK) {
        qn_network_release(out);
        return status;
    }
    memcpy(out->layers, from->layers, (size_t)from->n_layers * sizeof *out->layers);
    memcpy(out->params, from->params, (size_t)from->n_params * sizeof *out->params);
    return QN_OK;
}

void qn_network_release(qn_network *network)
{
    qn_encoder_release(&network->encoder);
    qn_free(network->layers);
    qn_free(network->params);
    *network = (qn_network){0};
}

int32_t qn_network_n_outputs(const qn_network *network)
{
    return network->layers[network->n_layers - 1].width;
}

void qn_network_pack(const qn_network *network, float *panels)
{
    for (int32_t at = 0; at < network->n_layers; at++) {
        const qn_layer *layer = &network->layers[at];
        if (layer->kind != QN_LAYER_DENSE) continue;
        qn_panels_pack(network->params + layer->first_param, layer->width, 1, layer->n_in,
                       layer->width, panels + layer->first_panel);
    }
}

size_t qn_network_scratch_bytes(const qn_network *network, int64_t n_rows)
{
    return (size_t)(network->n_slots * n_rows) * (size_t)network->slot_width * sizeof(float);
}

void qn_layer_norm_forward(const qn_layer *layer, const float *params, const float *in,
                           int64_t n_rows, float *out)
{
    const int32_t n = layer->width;
    for (int64_t i = 0; i < n_rows; i++, in += n, out += n) {
        float sum = 0, squares = 0;
        for (int32_t j = 0; j < n; j++) {
            sum += in[j];
        }
        const float mean = sum / (float)n;
        for (int32_t j = 0; j < n; j++) {
            squares += (in[j] - mean) * (in[j] - mean);
        }
        const float inverse = 1 / sqrtf(squares / (float)n + QN_NORM_EPSILON);
        for (int32_t j = 0; j < n; j++) {
            out[j] = (in[j] - mean) * inverse * params[j] + params[n + j];
        }
    }
}

void qn_batch_norm_forward(const qn_layer *layer, const float *params, const float *in,
                           int64_t n_rows, float *out)
{
    const int32_t n = layer->width;
    const float *gain = params, *bias = params + n, *mean = params + 2 * n;
    const float *variance = params + 3 * n;
    for (int64_t i = 0; i < n_rows; i++, in += n, out += n) {
        for (int32_t j = 0; j < n; j++) {
            out[j] = (in[j] - mean[j]) / sqrtf(variance[j] + QN_NORM_EPSILON) * gain[j] + bias[j];
        }
    }
}

static void forward_layer(const qn_network *network, const qn_layer *layer, const float *panels,
                          const float *in, const float *added, int64_t n_rows, float *out)
{
    const float *params = network->params + layer->first_param;
    const int64_t n = n_rows * layer->width;
    switch ((qn_layer_kind)layer->kind) {
    case QN_LAYER_DENSE: {
        const qn_gemm product = {.m = n_rows,
                                 .n = layer->width,
                                 .k = layer->n_in,
                                 .a = in,
                                 .a_row_step = layer->n_in,
                                 .a_col_step = 1,
                                 .panels = panels + layer->first_panel,
                                 .start = params + (int64_t)layer->n_in * layer->width,
                                 .c = out,
                                 .c_row_step = layer->width};
        qn_gemm_run(&product, NULL);
        break;
    }
    case QN_LAYER_ACTIVATION:
        qn_activate((qn_activation)layer->activation, in, out, n);
        break;
    case QN_LAYER_LAYER_NORM:
        qn_layer_norm_forward(layer, params, in, n_rows, out);
        break;
    case QN_LAYER_BATCH_NORM:
        qn_batch_norm_forward(layer, params, in, n_rows, out);
        break;
    case QN_LAYER_DROPOUT:
        if (out != in) memcpy(out, in, (size_t)n * sizeof *out);
        break;
    case QN_LAYER_ADD:
        for (int64_t i = 0; i < n; i++) {
            out[i] = in[i] + added[i];
        }
        break;
    case QN_N_LAYER_KINDS:
        break;
    }
}

const float *qn_network_forward(const qn_network *network, const float *panels,
                                const qn_encoder_rows *rows, float *scratch)
{
    const int64_t step = rows->n_rows * network->slot_width;
    const float *in = scratch;
    qn_encoder_apply(&network->encoder, network->params, rows, scratch);
    for (int32_t at = 0; at < network->n_layers; at++) {
        const qn_layer *layer = &network->layers[at];
        float *out = scratch + layer->slot * step;
        const float *added = scratch;
        if (layer->kind == QN_LAYER_ADD && layer->from >= 0) {
            added += network->layers[layer->from].slot * step;
        }
        forward_layer(network, layer, panels, in, added, rows->n_rows, out);
        in = out;
    }
    return in;
}

void qn_network_write(const qn_network *network, qn_writer *writer)
{
    qn_encoder_write(&network->encoder, writer);
    qn_write_i32(writer, network->n_layers);
    for (int32_t at = 0; at < network->n_layers; at++) {
        const qn_layer *layer = &network->layers[at];
        qn_write_i32(writer, layer->kind);
        qn_write_i32(writer, layer->width);
        qn_write_i32(writer, layer->from);
        qn_write_i32(writer, layer->activation);
        qn_write_f64(writer, (double)layer->rate);
    }
    qn_write_array(writer, network->params, network->n_params, sizeof *network->params);
}

static qn_status damaged(qn_error *err)
{
    return qn_fail(err, QN_ERR_DATA, "model: a neural network is damaged");
}

static qn_status read_layers(qn_reader *reader, qn_network *network, qn_error *err)
{
    const int32_t n_layers = qn_read_i32(reader);
    if (reader->failed || n_layers < 1 || n_layers > LAYERS_MAX) return damaged(err);
    network->n_layers = n_layers;
    network->layers = qn_alloc_array(n_layers, sizeof *network->layers);
    if (!network->layers) return no_memory(err);
    for (int32_t at = 0; at < n_layers; at++) {
        qn_layer *layer = &network->layers[at];
        layer->kind = qn_read_i32(reader);
        layer->width = qn_read_i32(reader);
        layer->from = qn_read_i32(reader);
        layer->activation = qn_read_i32(reader);
        layer->rate = (float)qn_read_f64(reader);
    }
    return !reader->failed && qn_network_plan(network) ? QN_OK : damaged(err);
}

static qn_status read_params(qn_reader *reader, qn_network *network, qn_error *err)
{
    int64_t n;
    const float *params = qn_read_array(reader, sizeof *params, &n);
    if (reader->failed || n != network->n_params) return damaged(err);
    for (int64_t i = 0; i < n; i++) {
        if (!isfinite(params[i])) return damaged(err);
    }
    QN_TRY(qn_network_alloc_params(network, err));
    memcpy(network->params, params, (size_t)n * sizeof *params);
    return QN_OK;
}

qn_status qn_network_read(qn_reader *reader, int64_t n_features, qn_network *out, qn_error *err)
{
    *out = (qn_network){0};
    QN_TRY(qn_encoder_read(reader, n_features, &out->encoder, err));
    qn_status status = read_layers(reader, out, err);
    if (status == QN_OK) status = read_params(reader, out, err);
    if (status != QN_OK) qn_network_release(out);
    return status;
}
