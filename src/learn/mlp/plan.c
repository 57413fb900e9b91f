/* SPDX-License-Identifier: Apache-2.0 */
/* The plan of a network. Columns of the dense view are of two sorts, told apart by their values:
 * indicators (0 or 1) of a category, which stand side by side, and numbers. Numbers are copied
 * and, on request, encoded by quantiles; a category of more than a few levels gets an embedding;
 * text, the sparse part, one too. */
#include "learn/mlp/mlp_internal.h"

#include "base/alloc.h"
#include "base/rng.h"
#include "base/sort.h"

#include <math.h>
#include <string.h>

enum {
    EMBEDDED_FROM = 9, /* levels from which a category has an embedding rather than columns */
    KNOT_ROWS = 20000  /* rows that quantiles are taken from */
};

/* Two layers at the end, and up to seven a block. */
enum { LAYERS_PER_BLOCK = 7, LAYERS_BESIDE = 4 };

static bool is_indicator(const double *column, int64_t n_rows)
{
    for (int64_t i = 0; i < n_rows; i++) {
        if (column[i] != 0 && column[i] != 1) return false;
    }
    return true;
}

/* Distinct quantiles at equal steps, of evenly spread rows. Returns how many there are. */
static int32_t find_knots(const double *column, int64_t n_rows, int64_t n_bins, double *sorted,
                          float *knots)
{
    const int64_t n = n_rows < KNOT_ROWS ? n_rows : KNOT_ROWS;
    for (int64_t i = 0; i < n; i++) {
        sorted[i] = column[i * n_rows / n];
    }
    if (!qn_sort_doubles(sorted, n)) return -1;
    int32_t n_knots = 0;
    for (int64_t b = 0; b <= n_bins; b++) {
        const float knot = (float)sorted[b * (n - 1) / n_bins];
        if (n_knots == 0 || knot > knots[n_knots - 1]) knots[n_knots++] = knot;
    }
    return n_knots;
}

static int32_t embedding_width(const struct qn_mlp_params *params, int32_t n_levels)
{
    if (params->embedding_dim > 0) return (int32_t)params->embedding_dim;
    const int32_t width = (int32_t)(1.6 * pow(n_levels, 0.56) + 0.5); /* fastai's rule */
    return width < 32 ? width : 32;
}

struct planner {
    const qn_dataset *data;
    const struct qn_mlp_params *params;
    qn_encoder *encoder;
    double *sorted;
};

static void add_field(qn_encoder *encoder, qn_field field)
{
    qn_field *last = encoder->n_fields > 0 ? &encoder->fields[encoder->n_fields - 1] : NULL;
    if (field.kind == QN_FIELD_COPY && last && last->kind == QN_FIELD_COPY &&
        last->first + last->n == field.first) {
        last->n += field.n;
        last->width += field.width;
        return;
    }
    encoder->fields[encoder->n_fields++] = field;
}

/* Indicators of one input that follow `first`: how many, with itself. */
static int32_t group_of(const struct planner *p, int32_t first)
{
    const qn_matrix *x = &p->data->train.views[QN_VIEW_DENSE];
    const qn_feature *features = p->data->features[QN_VIEW_DENSE];
    int32_t n = 0;
    while (first + n < x->n_dense && features[first + n].input == features[first].input &&
           is_indicator(x->dense + (first + n) * x->stride, x->n_rows)) {
        n++;
    }
    return n;
}

static bool add_columns(struct planner *p)
{
    const qn_matrix *x = &p->data->train.views[QN_VIEW_DENSE];
    qn_encoder *e = p->encoder;
    for (int32_t f = 0; f < x->n_dense;) {
        const int32_t n = group_of(p, f);
        if (n >= EMBEDDED_FROM) {
            const int32_t width = embedding_width(p->params, n);
            add_field(e, (qn_field){.kind = QN_FIELD_EMBED, .first = f, .n = n, .width = width});
        } else {
            const int32_t copied = n > 0 ? n : 1;
            add_field(e,
                      (qn_field){.kind = QN_FIELD_COPY, .first = f, .n = copied, .width = copied});
        }
        if (n == 0 && p->params->numeric_embedding != QN_NUMBERS_PLAIN) {
            const bool vector = p->params->numeric_embedding == QN_NUMBERS_PIECEWISE;
            const int32_t n_knots = find_knots(x->dense + f * x->stride, x->n_rows,
                                               p->params->n_bins, p->sorted, e->knots + e->n_knots);
            if (n_knots < 0) return false;
            if (n_knots > 2) {
                add_field(e, (qn_field){.kind = vector ? QN_FIELD_PIECEWISE : QN_FIELD_QUANTILE,
                                        .first = f,
                                        .n = 1,
                                        .n_knots = n_knots,
                                        .width = vector ? n_knots - 1 : 1});
                e->n_knots += n_knots;
            }
        }
        f += n > 0 ? n : 1;
    }
    if (e->n_sparse > 0) {
        add_field(e, (qn_field){.kind = QN_FIELD_BAG,
                                .n = e->n_sparse,
                                .width = (int32_t)p->params->text_dim});
    }
    return true;
}

static qn_status no_memory(qn_error *err)
{
    return qn_fail(err, QN_ERR_NOMEM, "no memory for a neural network");
}

static qn_status plan_encoder(const qn_dataset *data, const struct qn_mlp_params *params,
                              qn_encoder *out, qn_error *err)
{
    const qn_matrix *x = &data->train.views[QN_VIEW_DENSE];
    const int64_t n_knots_max =
        params->numeric_embedding == QN_NUMBERS_PLAIN ? 0 : x->n_dense * (params->n_bins + 1);
    out->n_dense = (int32_t)x->n_dense;
    out->n_sparse = (int32_t)x->n_sparse;
    out->fields = qn_alloc_array(2 * x->n_dense + 1, sizeof *out->fields);
    out->knots = qn_alloc_array(n_knots_max, sizeof *out->knots);
    double *sorted = qn_alloc_array(x->n_rows < KNOT_ROWS ? x->n_rows : KNOT_ROWS, sizeof *sorted);
    struct planner p = {data, params, out, sorted};
    const bool complete = out->fields && out->knots && sorted && add_columns(&p);
    qn_free(sorted);
    return complete ? QN_OK : no_memory(err);
}

static void add_layer(qn_network *network, qn_layer layer)
{
    const int32_t before = network->n_layers > 0 ? network->layers[network->n_layers - 1].width : 0;
    if (layer.width == 0) layer.width = before;
    network->layers[network->n_layers++] = layer;
}

static void add_norm(qn_network *network, const struct qn_mlp_params *params)
{
    if (params->norm == QN_NORM_NONE) return;
    add_layer(network, (qn_layer){.kind = params->norm == QN_NORM_BATCH ? QN_LAYER_BATCH_NORM
                                                                        : QN_LAYER_LAYER_NORM});
}

static void add_activation(qn_network *network, const struct qn_mlp_params *params)
{
    add_layer(network, (qn_layer){.kind = QN_LAYER_ACTIVATION, .activation = params->activation});
    if (params->dropout > 0) {
        add_layer(network, (qn_layer){.kind = QN_LAYER_DROPOUT, .rate = (float)params->dropout});
    }
}

/* plain: dense, norm, activation, dropout, n_layers times. residual: x + dense(activation(dense(
 * norm(x)))), n_layers times, after one dense layer (Gorishniy et al. 2021, section 3.2). */
static void plan_layers(const struct qn_mlp_params *params, int32_t n_outputs, qn_network *network)
{
    const int32_t hidden = (int32_t)params->hidden;
    const qn_layer dense = {.kind = QN_LAYER_DENSE, .width = hidden};
    if (params->block == QN_BLOCK_RESIDUAL) add_layer(network, dense);
    for (int64_t i = 0; i < params->n_layers; i++) {
        const int32_t from = network->n_layers - 1;
        if (params->block == QN_BLOCK_PLAIN) {
            add_layer(network, dense);
            add_norm(network, params);
            add_activation(network, params);
            continue;
        }
        add_norm(network, params);
        add_layer(network, dense);
        add_activation(network, params);
        add_layer(network, dense);
        add_layer(network, (qn_layer){.kind = QN_LAYER_ADD, .from = from});
    }
    if (params->block == QN_BLOCK_RESIDUAL) {
        add_norm(network, params);
        add_layer(network,
                  (qn_layer){.kind = QN_LAYER_ACTIVATION, .activation = params->activation});
    }
    add_layer(network, (qn_layer){.kind = QN_LAYER_DENSE, .width = n_outputs});
}

static void draw_normal(qn_rng *rng, double deviation, int64_t n, float *out)
{
    for (int64_t i = 0; i < n; i++) {
        out[i] = (float)(deviation * qn_rng_normal(rng));
    }
}

/* Dense layers after He et al. 2015 (SELU: LeCun's variance); embeddings of length about one. */
static void draw_params(qn_network *network, const struct qn_mlp_params *params, uint64_t seed)
{
    qn_rng rng;
    qn_rng_init(&rng, seed, 0x6d6c70);
    for (int32_t i = 0; i < network->encoder.n_fields; i++) {
        const qn_field *f = &network->encoder.fields[i];
        if (f->kind != QN_FIELD_EMBED && f->kind != QN_FIELD_BAG) continue;
        draw_normal(&rng, 1 / sqrt(f->width), (int64_t)f->n * f->width,
                    network->params + f->first_param);
    }
    for (int32_t at = 0; at < network->n_layers; at++) {
        const qn_layer *layer = &network->layers[at];
        float *own = network->params + layer->first_param;
        const bool is_last = at == network->n_layers - 1;
        if (layer->kind == QN_LAYER_DENSE) {
            const double gain = is_last || params->activation == QN_ACTIVATION_SELU ? 1 : 2;
            draw_normal(&rng, sqrt(gain / layer->n_in), (int64_t)layer->n_in * layer->width, own);
        }
        const bool is_norm = layer->n_params > 0 && layer->kind != QN_LAYER_DENSE;
        for (int32_t j = 0; is_norm && j < layer->width; j++) {
            own[j] = 1;
            if (layer->kind == QN_LAYER_BATCH_NORM) own[3 * layer->width + j] = 1;
        }
    }
}

/* The last bias begins at what the constant model would say. */
static void set_prior(const qn_dataset *data, const struct qn_mlp_targets *targets,
                      qn_network *network)
{
    const qn_dataset_part *train = &data->train;
    float *bias = network->params + network->n_params - targets->n_outputs;
    for (int32_t c = 0; targets->link != QN_MLP_IDENTITY && c < targets->n_outputs; c++) {
        double own = 0.5, total = 1; /* as if half a row more were of the class */
        for (int64_t i = 0; i < train->n_rows; i++) {
            const double w = qn_mlp_row_weight(targets, train, i);
            const double wanted = targets->link == QN_MLP_LOGISTIC ? 1 : c;
            own += train->target[i] == wanted ? w : 0;
            total += w;
        }
        const double p = own / total;
        bias[c] = (float)(targets->link == QN_MLP_LOGISTIC ? log(p / (1 - p)) : log(p));
    }
}

qn_status qn_mlp_plan(const qn_dataset *data, const struct qn_mlp_params *params,
                      const struct qn_mlp_targets *targets, uint64_t seed, qn_network *out,
                      qn_error *err)
{
    *out = (qn_network){0};
    qn_status status = plan_encoder(data, params, &out->encoder, err);
    if (status == QN_OK) {
        out->layers = qn_alloc_array(LAYERS_BESIDE + LAYERS_PER_BLOCK * params->n_layers,
                                     sizeof *out->layers);
        if (!out->layers) status = no_memory(err);
    }
    if (status == QN_OK) {
        plan_layers(params, targets->n_outputs, out);
        status = qn_network_plan(out)
                     ? qn_network_alloc_params(out, err)
                     : qn_fail(err, QN_ERR_UNSUPPORTED,
                               "mlp: these columns and widths make too large a network");
    }
    if (status == QN_OK) {
        draw_params(out, params, seed);
        set_prior(data, targets, out);
    } else {
        qn_network_release(out);
    }
    return status;
}
