/* SPDX-License-Identifier: Apache-2.0 */
#include "model/mlp_model.h"

#include "base/alloc.h"

#include <math.h>

struct mlp {
    qn_estimator head;
    qn_mlp_link link;
    double offset, scale;
    qn_network network;
    float *panels;
};

static const char *const link_names[] = {"identity", "logistic", "softmax"};

static void free_model(qn_estimator *estimator)
{
    struct mlp *model = (struct mlp *)estimator;
    qn_network_release(&model->network);
    qn_free(model->panels);
    qn_free(model);
}

qn_status qn_mlp_create(qn_mlp_link link, double offset, double scale, qn_network *network,
                        qn_estimator **out, qn_error *err)
{
    *out = NULL;
    struct mlp *model = qn_alloc_array(1, sizeof *model);
    float *panels = qn_alloc_aligned(network->n_panels, sizeof *panels);
    if (!model || !panels) {
        qn_free(model);
        qn_free(panels);
        qn_network_release(network);
        return qn_fail(err, QN_ERR_NOMEM, "no memory for a neural network");
    }
    *model = (struct mlp){.head = {.family = &qn_family_mlp,
                                   .view = QN_VIEW_DENSE,
                                   .n_outputs = qn_network_n_outputs(network)},
                          .link = link,
                          .offset = offset,
                          .scale = scale,
                          .network = *network,
                          .panels = panels};
    *network = (qn_network){0};
    qn_network_pack(&model->network, panels);
    *out = &model->head;
    return QN_OK;
}

const qn_network *qn_mlp_network(const qn_estimator *estimator)
{
    return estimator->family == &qn_family_mlp ? &((const struct mlp *)estimator)->network : NULL;
}

void qn_mlp_link_row(qn_mlp_link link, double offset, double scale, const float *outputs, int32_t n,
                     double *out)
{
    if (link == QN_MLP_LOGISTIC) {
        out[0] = 1 / (1 + exp(-(double)outputs[0]));
        return;
    }
    if (link == QN_MLP_IDENTITY) {
        out[0] = offset + scale * (double)outputs[0];
        return;
    }
    double most = (double)outputs[0], sum = 0;
    for (int32_t c = 1; c < n; c++) {
        most = fmax(most, (double)outputs[c]);
    }
    for (int32_t c = 0; c < n; c++) {
        sum += out[c] = exp((double)outputs[c] - most);
    }
    for (int32_t c = 0; c < n; c++) {
        out[c] /= sum;
    }
}

/* The block's dense part first, then what the layers need: 64-byte aligned. */
static size_t gathered_bytes(const struct mlp *model, int64_t n_rows)
{
    return ((size_t)n_rows * (size_t)model->network.encoder.n_dense * sizeof(float) + 63) / 64 * 64;
}

static size_t scratch_bytes(const qn_estimator *estimator, int64_t n_rows)
{
    const struct mlp *model = (const struct mlp *)estimator;
    return gathered_bytes(model, n_rows) + qn_network_scratch_bytes(&model->network, n_rows);
}

static void predict(const qn_estimator *estimator, const qn_matrix *features, double *out,
                    void *scratch)
{
    const struct mlp *model = (const struct mlp *)estimator;
    const int32_t k = estimator->n_outputs;
    const int64_t n_rows = features->n_rows;
    float *gathered = scratch;
    float *work = (float *)((char *)scratch + gathered_bytes(model, n_rows));
    qn_matrix_gather(features, 0, n_rows, model->network.encoder.n_dense, gathered);
    const qn_encoder_rows rows = {.n_rows = n_rows, .dense = gathered, .sparse = features};
    const float *outputs = qn_network_forward(&model->network, model->panels, &rows, work);
    for (int64_t i = 0; i < n_rows; i++) {
        qn_mlp_link_row(model->link, model->offset, model->scale, outputs + i * k, k, out + i * k);
    }
}

static void write_model(const qn_estimator *estimator, qn_writer *writer)
{
    const struct mlp *model = (const struct mlp *)estimator;
    qn_write_i32(writer, (int32_t)model->link);
    qn_write_f64(writer, model->offset);
    qn_write_f64(writer, model->scale);
    qn_network_write(&model->network, writer);
}

static qn_status read_model(qn_reader *reader, int64_t n_features, qn_estimator **out,
                            qn_error *err)
{
    qn_network network;
    const int32_t link = qn_read_i32(reader);
    const double offset = qn_read_f64(reader), scale = qn_read_f64(reader);
    if (reader->failed || link < 0 || link > QN_MLP_SOFTMAX || !isfinite(offset) ||
        !isfinite(scale)) {
        return qn_fail(err, QN_ERR_DATA, "model: a neural network is damaged");
    }
    QN_TRY(qn_network_read(reader, n_features, &network, err));
    QN_TRY(qn_mlp_create((qn_mlp_link)link, offset, scale, &network, out, err));
    (*out)->n_dense = ((const struct mlp *)*out)->network.encoder.n_dense;
    return QN_OK;
}

static void describe(const qn_estimator *estimator, qn_json_writer *json)
{
    static const char *const kinds[] = {"dense",      "activation", "layer_norm",
                                        "batch_norm", "dropout",    "add"};
    const struct mlp *model = (const struct mlp *)estimator;
    qn_json_put_text(json, "link", link_names[model->link]);
    qn_json_put_int(json, "inputs", model->network.encoder.n_inputs);
    qn_json_put_int(json, "parameters", model->network.n_params);
    qn_json_key(json, "layers");
    qn_json_begin_array(json);
    for (int32_t at = 0; at < model->network.n_layers; at++) {
        const qn_layer *layer = &model->network.layers[at];
        qn_json_begin_object(json);
        qn_json_put_text(json, "kind",
                         layer->kind == QN_LAYER_ACTIVATION ? qn_activation_names[layer->activation]
                                                            : kinds[layer->kind]);
        qn_json_put_int(json, "width", layer->width);
        qn_json_end_object(json);
    }
    qn_json_end_array(json);
}

const qn_family qn_family_mlp = {.name = "mlp",
                                 .predict = predict,
                                 .scratch_bytes = scratch_bytes,
                                 .write = write_model,
                                 .read = read_model,
                                 .describe = describe,
                                 .free = free_model};
