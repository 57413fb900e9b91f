/* SPDX-License-Identifier: Apache-2.0 */
/* A network of every kind of layer, trained on real tables, against PyTorch: tests/golden/mlp. */
#include "learn/learner.h"
#include "model/mlp_model.h"

#include "real_tables.h"

/* Relative to the spread of the predictions. Sums run in another order there, in float, and forty
 * steps of an optimiser that divides by the gradient's size amplify that. */
static const double before_tolerance = 1e-5, after_tolerance = 2e-4;

enum { WIDTH = 12, N_LAYERS = 12 };

static void make_network(const real_table *t, qn_network *network)
{
    const qn_layer layers[N_LAYERS] = {
        {.kind = QN_LAYER_DENSE, .width = WIDTH},
        {.kind = QN_LAYER_LAYER_NORM, .width = WIDTH},
        {.kind = QN_LAYER_ACTIVATION, .width = WIDTH, .activation = QN_ACTIVATION_GELU},
        {.kind = QN_LAYER_DENSE, .width = WIDTH},
        {.kind = QN_LAYER_ACTIVATION, .width = WIDTH, .activation = QN_ACTIVATION_SILU},
        {.kind = QN_LAYER_BATCH_NORM, .width = WIDTH},
        {.kind = QN_LAYER_ADD, .width = WIDTH, .from = 2},
        {.kind = QN_LAYER_DENSE, .width = WIDTH},
        {.kind = QN_LAYER_ACTIVATION, .width = WIDTH, .activation = QN_ACTIVATION_SELU},
        {.kind = QN_LAYER_DENSE, .width = WIDTH},
        {.kind = QN_LAYER_ACTIVATION, .width = WIDTH, .activation = QN_ACTIVATION_RELU},
        {.kind = QN_LAYER_DENSE, .width = t->data.n_outputs}};
    const int32_t n_cols = (int32_t)t->data.n_dense[QN_VIEW_DENSE];
    *network = (qn_network){.encoder = {.n_dense = n_cols, .n_fields = 1}, .n_layers = N_LAYERS};
    network->encoder.fields = qn_alloc_array(1, sizeof(qn_field));
    network->encoder.knots = qn_alloc_array(0, sizeof(float));
    network->layers = qn_alloc_array(N_LAYERS, sizeof(qn_layer));
    network->encoder.fields[0] = (qn_field){.kind = QN_FIELD_COPY, .n = n_cols, .width = n_cols};
    memcpy(network->layers, layers, sizeof layers);
    CHECK(qn_network_plan(network));
    CHECK_INT(qn_network_alloc_params(network, NULL), QN_OK);
    for (int32_t at = 0; at < N_LAYERS; at++) {
        const qn_layer *layer = &network->layers[at];
        for (int64_t i = layer->first_param; i < layer->first_param + layer->n_params; i++) {
            const int64_t part = (i - layer->first_param) / layer->width;
            network->params[i] = layer->kind == QN_LAYER_DENSE
                                     ? (float)(0.4 * sin(1 + 0.7 * (double)i))
                                     : part == 0 || part == 3;
        }
    }
}

static void check_predictions(const real_table *t, qn_json_value golden, const qn_estimator *model,
                              const char *key, double tolerance)
{
    const qn_matrix *x = &t->data.train.views[QN_VIEW_DENSE];
    const qn_json_value expected = qn_json_get(golden, key);
    const int64_t k = t->data.n_outputs;
    double *out = qn_alloc_array(x->n_rows * k, sizeof *out), low = QN_INF, high = -QN_INF;
    CHECK_INT(qn_estimator_predict(model, x, NULL, out, NULL), QN_OK);
    for (int64_t i = 0; i < qn_json_size(expected); i++) {
        low = fmin(low, qn_json_as_double(qn_json_at(expected, i), QN_NA));
        high = fmax(high, qn_json_as_double(qn_json_at(expected, i), QN_NA));
    }
    for (int64_t i = 0; i < qn_json_size(expected); i++) {
        CHECK_NEAR(out[i / k * 20 * k + i % k], qn_json_as_double(qn_json_at(expected, i), QN_NA),
                   tolerance * (high - low));
    }
    qn_free(out);
}

static void check_case(const real_table *t, qn_json_value golden)
{
    qn_error err = {0};
    qn_network network;
    qn_estimator *before = NULL;
    qn_learn_result result = {0};
    const qn_learner *learner = qn_learner_find("mlp");
    double offset = 0, scale = 1;
    if (t->data.task == QN_TASK_REGRESSION) {
        const int64_t n = t->data.train.n_rows;
        scale = 0;
        for (int64_t i = 0; i < n; i++) {
            offset += t->data.train.target[i] / (double)n;
        }
        for (int64_t i = 0; i < n; i++) {
            scale += pow(t->data.train.target[i] - offset, 2) / (double)n;
        }
        scale = sqrt(scale);
    }
    make_network(t, &network);
    CHECK_OK(qn_mlp_create(t->data.task == QN_TASK_REGRESSION   ? QN_MLP_IDENTITY
                           : t->data.task == QN_TASK_MULTICLASS ? QN_MLP_SOFTMAX
                                                                : QN_MLP_LOGISTIC,
                           offset, scale, &network, &before, &err));
    check_predictions(t, golden, before, "before", before_tolerance);
    void *params = qn_alloc_array(1, learner->params_bytes);
    qn_params_init(learner, params);
    CHECK_OK(qn_params_set(learner, params, case_text(golden, "params"), &err));
    const qn_learn_request request = {
        .data = &t->data, .params = params, .seed = 1, .from = before};
    CHECK_OK(learner->fit(&request, &result, &err));
    check_predictions(t, golden, result.estimator, "after", after_tolerance);
    qn_estimator_free(result.estimator);
    qn_estimator_free(before);
    qn_free(params);
}

static void training_follows_pytorch(void **state)
{
    (void)state;
    check_real_tables("mlp", check_case);
}

RUN_TESTS(TEST(training_follows_pytorch))
