/* SPDX-License-Identifier: Apache-2.0 */
#include "learn/mlp/morph.h"

#include "base/alloc.h"
#include "base/rng.h"

#include <math.h>
#include <string.h>

/* The list of `from` with room for `n_more` layers after layer `at`, which are zeroed; layers that
 * add an output beyond `at` are renumbered. No parameters yet. */
static qn_status copy_list(const qn_network *from, int32_t at, int32_t n_more, qn_network *out,
                           qn_error *err)
{
    *out = (qn_network){0};
    QN_TRY(qn_encoder_copy(&from->encoder, &out->encoder, err));
    out->n_layers = from->n_layers + n_more;
    out->layers = qn_alloc_array(out->n_layers, sizeof *out->layers);
    if (!out->layers) {
        qn_network_release(out);
        return qn_fail(err, QN_ERR_NOMEM, "no memory for a neural network");
    }
    for (int32_t i = 0; i < from->n_layers; i++) {
        qn_layer *layer = &out->layers[i > at ? i + n_more : i];
        *layer = from->layers[i];
        if (layer->kind == QN_LAYER_ADD && layer->from > at) layer->from += n_more;
    }
    return QN_OK;
}

/* Plans, and copies the parameters of the layers that are in both networks unchanged. */
static qn_status fill_params(const qn_network *from, int32_t at, int32_t n_more, qn_network *out,
                             qn_error *err)
{
    qn_status status = qn_network_plan(out)
                           ? qn_network_alloc_params(out, err)
                           : qn_fail(err, QN_ERR_ARG, "the network does not allow this change");
    if (status != QN_OK) {
        qn_network_release(out);
        return status;
    }
    memcpy(out->params, from->params, (size_t)from->encoder.n_params * sizeof *out->params);
    for (int32_t i = 0; i < from->n_layers; i++) {
        const qn_layer *layer = &out->layers[i > at ? i + n_more : i];
        if (layer->n_params != from->layers[i].n_params) continue;
        memcpy(out->params + layer->first_param, from->params + from->layers[i].first_param,
               (size_t)layer->n_params * sizeof *out->params);
    }
    return QN_OK;
}

static qn_status check_dense(const qn_network *network, int32_t at, qn_error *err)
{
    if (at < 0 || at >= network->n_layers || network->layers[at].kind != QN_LAYER_DENSE) {
        return qn_fail(err, QN_ERR_ARG, "layer %d is no dense layer", (int)at);
    }
    return QN_OK;
}

/* The next dense layer, if all between works unit by unit and nobody else reads it; or -1. */
static int32_t reader_of(const qn_network *network, int32_t at)
{
    int32_t next = at + 1;
    while (next < network->n_layers && network->layers[next].kind != QN_LAYER_DENSE) {
        const int32_t kind = network->layers[next].kind;
        if (kind == QN_LAYER_ADD || kind == QN_LAYER_LAYER_NORM) return -1;
        next++;
    }
    if (next == network->n_layers) return -1;
    for (int32_t i = next + 1; i < network->n_layers; i++) {
        const qn_layer *layer = &network->layers[i];
        if (layer->kind == QN_LAYER_ADD && layer->from >= at && layer->from < next) return -1;
    }
    return next;
}

/* Unit j of the wider layers is unit source[j] of the old ones; copies[s] counts them. */
static void widen_params(const qn_network *from, int32_t at, int32_t reader, const int32_t *source,
                         const int32_t *copies, qn_network *out)
{
    const int32_t old_width = from->layers[at].width, width = out->layers[at].width;
    for (int32_t i = at; i < reader; i++) {
        const qn_layer *layer = &from->layers[i];
        const float *old = from->params + layer->first_param;
        float *new = out->params + out->layers[i].first_param;
        for (int64_t row = 0; row < layer->n_params / old_width; row++) {
            for (int32_t j = 0; j < width; j++) {
                new[row * width + j] = old[row * old_width + source[j]];
            }
        }
    }
    const qn_layer *layer = &from->layers[reader];
    const float *old = from->params + layer->first_param;
    float *new = out->params + out->layers[reader].first_param;
    for (int32_t j = 0; j < width; j++) {
        for (int32_t c = 0; c < layer->width; c++) {
            new[(int64_t)j * layer->width + c] =
                old[(int64_t)source[j] * layer->width + c] / (float)copies[source[j]];
        }
    }
    memcpy(new + (int64_t)width * layer->width, old + (int64_t)old_width * layer->width,
           (size_t)layer->width * sizeof *new);
}

qn_status qn_network_widen(const qn_network *from, int32_t at, int32_t width, uint64_t seed,
                           qn_network *out, qn_error *err)
{
    *out = (qn_network){0};
    QN_TRY(check_dense(from, at, err));
    const int32_t reader = reader_of(from, at), old_width = from->layers[at].width;
    if (reader < 0 || width <= old_width) {
        return qn_fail(err, QN_ERR_ARG, "layer %d cannot be widened from %d to %d units", (int)at,
                       (int)old_width, (int)width);
    }
    int32_t *source = qn_alloc_array(width, sizeof *source);
    int32_t *copies = qn_alloc_array(old_width, sizeof *copies);
    qn_status status = source && copies ? copy_list(from, at, 0, out, err)
                                        : qn_fail(err, QN_ERR_NOMEM, "no memory for a network");
    if (status == QN_OK) {
        for (int32_t i = at; i < reader; i++) {
            out->layers[i].width = width;
        }
        status = fill_params(from, at, 0, out, err);
    }
    if (status == QN_OK) {
        qn_rng rng;
        qn_rng_init(&rng, seed, 0x77696465);
        for (int32_t j = 0; j < width; j++) {
            source[j] = j < old_width ? j : (int32_t)qn_rng_below(&rng, old_width);
            copies[source[j]]++;
        }
        widen_params(from, at, reader, source, copies, out);
    }
    qn_free(source);
    qn_free(copies);
    return status;
}

qn_status qn_network_deepen(const qn_network *from, int32_t at, qn_activation activation,
                            uint64_t seed, qn_network *out, qn_error *err)
{
    enum { N_MORE = 4 };
    *out = (qn_network){0};
    if (at < -1 || at >= from->n_layers - 1) {
        return qn_fail(err, QN_ERR_ARG, "a block cannot follow layer %d", (int)at);
    }
    const int32_t width = at < 0 ? from->encoder.n_inputs : from->layers[at].width;
    QN_TRY(copy_list(from, at, N_MORE, out, err));
    const qn_layer block[N_MORE] = {
        {.kind = QN_LAYER_DENSE, .width = width},
        {.kind = QN_LAYER_ACTIVATION, .width = width, .activation = (int32_t)activation},
        {.kind = QN_LAYER_DENSE, .width = width},
        {.kind = QN_LAYER_ADD, .width = width, .from = at}};
    memcpy(out->layers + at + 1, block, sizeof block);
    QN_TRY(fill_params(from, at, N_MORE, out, err));
    qn_rng rng;
    qn_rng_init(&rng, seed, 0x64656570);
    float *weights = out->params + out->layers[at + 1].first_param;
    for (int64_t i = 0; i < (int64_t)width * width; i++) {
        weights[i] = (float)(sqrt(2.0 / width) * qn_rng_normal(&rng));
    }
    return QN_OK;
}

qn_status qn_network_skip(const qn_network *from, int32_t at, qn_network *out, qn_error *err)
{
    *out = (qn_network){0};
    QN_TRY(check_dense(from, at, err));
    const int32_t width = from->layers[at].width;
    if (from->layers[at].n_in != width) {
        return qn_fail(err, QN_ERR_ARG, "layer %d is not as wide as its input", (int)at);
    }
    QN_TRY(copy_list(from, at, 1, out, err));
    out->layers[at + 1] = (qn_layer){.kind = QN_LAYER_ADD, .width = width, .from = at - 1};
    QN_TRY(fill_params(from, at, 1, out, err));
    float *weights = out->params + out->layers[at].first_param;
    for (int64_t j = 0; j < width; j++) {
        weights[j * width + j] -= 1;
    }
    return QN_OK;
}
