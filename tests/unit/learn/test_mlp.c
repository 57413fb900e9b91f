/* SPDX-License-Identifier: Apache-2.0 */
/* Gradients of every kind of layer and field against finite differences, changes that keep what a
 * network computes, optimisers and schedules by hand. */
#include "base/rng.h"
#include "learn/mlp/backprop.h"
#include "learn/mlp/morph.h"
#include "learn/mlp/optimiser.h"

#include "check.h"

enum { N_ROWS = 6, N_DENSE = 6, N_SPARSE = 3, N_OUTPUTS = 2 };

static float dense[N_ROWS * N_DENSE];
static int64_t sparse_starts[N_ROWS + 1] = {0, 2, 2, 3, 5, 6, 7};
static int32_t sparse_cols[] = {0, 2, 1, 0, 1, 2, 0};
static float sparse_values[] = {0.5F, -1, 0.7F, 1.5F, 0.2F, 1, -0.4F};
static const qn_matrix sparse = {.n_rows = N_ROWS,
                                 .n_sparse = N_SPARSE,
                                 .sparse_starts = sparse_starts,
                                 .sparse_cols = sparse_cols,
                                 .sparse_values = sparse_values};

/* Numbers in columns 0 to 2, indicators of one category in 3 to 5. */
static qn_encoder_rows make_rows(void)
{
    qn_rng rng;
    qn_rng_init(&rng, 11, 0);
    for (int i = 0; i < N_ROWS; i++) {
        for (int j = 0; j < N_DENSE; j++) {
            dense[i * N_DENSE + j] = j < 3 ? (float)qn_rng_normal(&rng) : j - 3 == i % 3;
        }
    }
    return (qn_encoder_rows){.n_rows = N_ROWS, .dense = dense, .sparse = &sparse};
}

/* Every kind of field, then the layers given. */
static void make_network(const qn_layer *layers, int32_t n_layers, qn_network *network)
{
    static const qn_field fields[] = {
        {.kind = QN_FIELD_COPY, .first = 0, .n = 2, .width = 2},
        {.kind = QN_FIELD_QUANTILE, .first = 1, .n = 1, .n_knots = 3, .width = 1},
        {.kind = QN_FIELD_PIECEWISE, .first = 2, .n = 1, .n_knots = 4, .width = 3},
        {.kind = QN_FIELD_EMBED, .first = 3, .n = 3, .width = 2},
        {.kind = QN_FIELD_BAG, .first = 0, .n = 3, .width = 2}};
    static const float knots[] = {-1, 0, 1.5F, -1, -0.2F, 0.3F, 1};
    qn_rng rng;
    qn_rng_init(&rng, 5, 1);
    *network = (qn_network){.encoder = {.n_dense = N_DENSE,
                                        .n_sparse = N_SPARSE,
                                        .n_fields = sizeof fields / sizeof *fields,
                                        .n_knots = sizeof knots / sizeof *knots},
                            .n_layers = n_layers};
    network->encoder.fields = qn_alloc_array(1, sizeof fields);
    network->encoder.knots = qn_alloc_array(1, sizeof knots);
    network->layers = qn_alloc_array(n_layers, sizeof *layers);
    memcpy(network->encoder.fields, fields, sizeof fields);
    memcpy(network->encoder.knots, knots, sizeof knots);
    memcpy(network->layers, layers, (size_t)n_layers * sizeof *layers);
    CHECK(qn_network_plan(network));
    CHECK_INT(network->encoder.n_inputs, 10);
    CHECK_INT(qn_network_alloc_params(network, NULL), QN_OK);
    for (int64_t i = 0; i < network->n_params; i++) {
        network->params[i] = (float)(0.5 * qn_rng_normal(&rng));
    }
    for (int32_t at = 0; at < n_layers; at++) { /* running variances are positive */
        const qn_layer *layer = &network->layers[at];
        for (int32_t j = 0; layer->kind == QN_LAYER_BATCH_NORM && j < layer->width; j++) {
            network->params[layer->first_param + 3 * layer->width + j] = 0.8F;
        }
    }
}

/* A loss that is linear in the outputs, so that its slopes are known. */
static float slope_of(int64_t i)
{
    return (float)(i % 5) * 0.3F - 0.5F;
}

static double loss_of(qn_pass *pass, const qn_encoder_rows *rows)
{
    double loss = 0;
    const float *outputs = qn_pass_forward(pass, rows);
    for (int64_t i = 0; i < rows->n_rows * N_OUTPUTS; i++) {
        loss += (double)slope_of(i) * (double)outputs[i];
    }
    return loss;
}

/* Central differences: in float they hold about three digits. */
static void check_gradient(const qn_layer *layers, int32_t n_layers, float mixed)
{
    const double step = 4e-3;
    qn_network network;
    qn_pass pass;
    const qn_encoder_rows rows = make_rows();
    make_network(layers, n_layers, &network);
    CHECK_INT(qn_pass_init(&pass, &network, N_ROWS, NULL), QN_OK);
    pass.seed = 77;
    pass.mixed = mixed;
    float *gradient = qn_alloc_array(network.n_params, sizeof *gradient);
    loss_of(&pass, &rows);
    for (int64_t i = 0; i < N_ROWS * N_OUTPUTS; i++) {
        qn_pass_output_deltas(&pass)[i] = slope_of(i);
    }
    qn_pass_backward(&pass, &rows, gradient);
    double largest = 0;
    for (int64_t i = 0; i < network.n_params; i++) {
        const float kept = network.params[i];
        network.params[i] = kept + (float)step;
        const double above = loss_of(&pass, &rows);
        network.params[i] = kept - (float)step;
        const double below = loss_of(&pass, &rows);
        network.params[i] = kept;
        const double expected = (above - below) / (2 * step);
        CHECK_NEAR((double)gradient[i], expected, 2e-3 + 5e-3 * fabs(expected));
        largest = fmax(largest, fabs(expected));
    }
    CHECK(largest > 0.1);
    qn_free(gradient);
    qn_pass_release(&pass);
    qn_network_release(&network);
}

static const qn_layer first = {.kind = QN_LAYER_DENSE, .width = 5};
static const qn_layer last = {.kind = QN_LAYER_DENSE, .width = N_OUTPUTS};

static void check_layer(qn_layer layer)
{
    layer.width = first.width;
    check_gradient((qn_layer[]){first, layer, last}, 3, 0);
}

static void gradients_of_dense_layers_and_encodings_are_right(void **state)
{
    (void)state;
    check_gradient((qn_layer[]){last}, 1, 0);
    check_gradient((qn_layer[]){first, last}, 2, 0);
}

static void gradients_of_activations_are_right(void **state)
{
    (void)state;
    for (int32_t a = 0; a < QN_N_ACTIVATIONS; a++) {
        check_layer((qn_layer){.kind = QN_LAYER_ACTIVATION, .activation = a});
    }
}

static void gradients_of_norms_are_right(void **state)
{
    (void)state;
    check_layer((qn_layer){.kind = QN_LAYER_LAYER_NORM});
    const qn_layer activation = {
        .kind = QN_LAYER_ACTIVATION, .width = 5, .activation = QN_ACTIVATION_SILU};
    const qn_layer norm = {.kind = QN_LAYER_BATCH_NORM, .width = 5};
    check_gradient((qn_layer[]){first, norm, activation, last}, 4, 0);
}

static void gradient_of_dropout_is_right(void **state)
{
    (void)state;
    check_layer((qn_layer){.kind = QN_LAYER_DROPOUT, .rate = 0.4F});
}

static void gradients_of_residual_connections_are_right(void **state)
{
    (void)state;
    const qn_layer activation = {
        .kind = QN_LAYER_ACTIVATION, .width = 5, .activation = QN_ACTIVATION_GELU};
    check_gradient((qn_layer[]){first,
                                activation,
                                {.kind = QN_LAYER_DENSE, .width = 5},
                                {.kind = QN_LAYER_ADD, .width = 5, .from = 0},
                                {.kind = QN_LAYER_ADD, .width = 5, .from = 0},
                                activation,
                                last},
                   7, 0);
    check_gradient(
        (qn_layer[]){{.kind = QN_LAYER_ACTIVATION, .width = 10, .activation = QN_ACTIVATION_SILU},
                     {.kind = QN_LAYER_DENSE, .width = 10},
                     {.kind = QN_LAYER_ADD, .width = 10, .from = -1},
                     last},
        4, 0);
}

static void gradient_under_mixup_is_right(void **state)
{
    (void)state;
    const qn_layer activation = {
        .kind = QN_LAYER_ACTIVATION, .width = 5, .activation = QN_ACTIVATION_SILU};
    check_gradient((qn_layer[]){first, activation, last}, 3, 0.3F);
}

static void predict(const qn_network *network, float *out)
{
    const qn_encoder_rows rows = make_rows();
    float *panels = qn_alloc_aligned(network->n_panels, sizeof *panels);
    float *scratch = qn_alloc_aligned((int64_t)qn_network_scratch_bytes(network, N_ROWS), 1);
    qn_network_pack(network, panels);
    memcpy(out, qn_network_forward(network, panels, &rows, scratch),
           N_ROWS * N_OUTPUTS * sizeof *out);
    qn_free(panels);
    qn_free(scratch);
}

/* dense 5, batch norm, SELU, dropout, dense 5, GELU, + SELU's, dense. */
static void make_deep(qn_network *network)
{
    const qn_layer layers[] = {
        first,
        {.kind = QN_LAYER_BATCH_NORM, .width = 5},
        {.kind = QN_LAYER_ACTIVATION, .width = 5, .activation = QN_ACTIVATION_SELU},
        {.kind = QN_LAYER_DROPOUT, .width = 5, .rate = 0.2F},
        {.kind = QN_LAYER_DENSE, .width = 5},
        {.kind = QN_LAYER_ACTIVATION, .width = 5, .activation = QN_ACTIVATION_GELU},
        {.kind = QN_LAYER_DENSE, .width = 5},
        {.kind = QN_LAYER_ADD, .width = 5, .from = 5},
        last};
    make_network(layers, sizeof layers / sizeof *layers, network);
}

static void check_same(const qn_network *network, const float *expected)
{
    float out[N_ROWS * N_OUTPUTS];
    predict(network, out);
    for (int i = 0; i < N_ROWS * N_OUTPUTS; i++) {
        CHECK_NEAR((double)out[i], (double)expected[i], 1e-6);
    }
}

static void morphs_keep_what_a_network_computes(void **state)
{
    (void)state;
    qn_network network, wide, deep, skipped;
    float expected[N_ROWS * N_OUTPUTS];
    make_deep(&network);
    predict(&network, expected);

    CHECK_INT(qn_network_widen(&network, 0, 9, 3, &wide, NULL), QN_OK);
    CHECK_INT(wide.layers[3].width, 9);
    check_same(&wide, expected);
    CHECK_INT(qn_network_deepen(&wide, 5, QN_ACTIVATION_GELU, 4, &deep, NULL), QN_OK);
    CHECK_INT(deep.n_layers, wide.n_layers + 4);
    CHECK_INT(deep.layers[11].from, 5);
    check_same(&deep, expected);
    CHECK_INT(qn_network_skip(&deep, 10, &skipped, NULL), QN_OK);
    CHECK_INT(skipped.n_layers, deep.n_layers + 1);
    check_same(&skipped, expected);
    qn_network_release(&wide);
    qn_network_release(&deep);
    qn_network_release(&skipped);

    CHECK_INT(qn_network_deepen(&network, -1, QN_ACTIVATION_RELU, 4, &deep, NULL), QN_OK);
    CHECK_INT(deep.layers[11].from, 9);
    check_same(&deep, expected);
    qn_network_release(&deep);
    qn_network_release(&network);
}

static void morphs_that_cannot_be_are_refused(void **state)
{
    (void)state;
    qn_network network, out;
    qn_error err = {0};
    make_deep(&network);
    CHECK_FAILS(QN_ERR_ARG, qn_network_widen(&network, 4, 9, 1, &out, &err)); /* read by an add */
    CHECK_CONTAINS(err.message, "layer 4");
    CHECK_FAILS(QN_ERR_ARG, qn_network_widen(&network, 0, 5, 1, &out, &err));
    CHECK_FAILS(QN_ERR_ARG, qn_network_widen(&network, 8, 9, 1, &out, &err)); /* the last */
    CHECK_FAILS(QN_ERR_ARG, qn_network_skip(&network, 0, &out, &err));        /* another width */
    CHECK_FAILS(QN_ERR_ARG, qn_network_skip(&network, 1, &out, &err));        /* not dense */
    CHECK_FAILS(QN_ERR_ARG, qn_network_deepen(&network, 8, QN_ACTIVATION_RELU, 1, &out, &err));
    qn_network_release(&network);
}

static void morphs_survive_running_out_of_memory(void **state)
{
    (void)state;
    qn_network network, out;
    make_deep(&network);
    CHECK_SURVIVES_NO_MEMORY(qn_network_widen(&network, 0, 7, 1, &out, NULL));
    qn_network_release(&out);
    CHECK_SURVIVES_NO_MEMORY(qn_network_deepen(&network, 2, QN_ACTIVATION_RELU, 1, &out, NULL));
    qn_network_release(&out);
    CHECK_SURVIVES_NO_MEMORY(qn_network_skip(&network, 4, &out, NULL));
    qn_network_release(&out);
    qn_network_release(&network);
}

static void one_row_alone_is_predicted_as_in_a_block(void **state)
{
    (void)state;
    qn_network network;
    float expected[N_ROWS * N_OUTPUTS];
    qn_encoder_rows rows = make_rows();
    make_deep(&network);
    predict(&network, expected);
    float *panels = qn_alloc_aligned(network.n_panels, sizeof *panels);
    float *scratch = qn_alloc_aligned((int64_t)qn_network_scratch_bytes(&network, 1), 1);
    qn_network_pack(&network, panels);
    for (int32_t i = 0; i < N_ROWS; i++) {
        rows = (qn_encoder_rows){
            .n_rows = 1, .dense = dense + i * N_DENSE, .sparse = &sparse, .rows = &i};
        assert_memory_equal(qn_network_forward(&network, panels, &rows, scratch),
                            expected + i * N_OUTPUTS, N_OUTPUTS * sizeof *expected);
    }
    qn_free(panels);
    qn_free(scratch);
    qn_network_release(&network);
}

static void lists_of_layers_that_do_not_fit_are_refused(void **state)
{
    (void)state;
    static const qn_layer wrong[] = {{.kind = QN_N_LAYER_KINDS, .width = 5},
                                     {.kind = -1, .width = 5},
                                     {.kind = QN_LAYER_DENSE, .width = 0},
                                     {.kind = QN_LAYER_ACTIVATION, .width = 4},
                                     {.kind = QN_LAYER_ACTIVATION, .width = 5, .activation = 9},
                                     {.kind = QN_LAYER_DROPOUT, .width = 5, .rate = 1},
                                     {.kind = QN_LAYER_ADD, .width = 5, .from = 1},
                                     {.kind = QN_LAYER_ADD, .width = 5, .from = -1}};
    qn_network network;
    make_network((qn_layer[]){first, {.kind = QN_LAYER_LAYER_NORM, .width = 5}, last}, 3, &network);
    const qn_layer right = network.layers[1];
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        network.layers[1] = wrong[i];
        CHECK(!qn_network_plan(&network));
    }
    network.layers[1] = right;
    CHECK(qn_network_plan(&network));
    qn_network_release(&network);
}

static void schedules_go_as_they_say(void **state)
{
    (void)state;
    CHECK_NEAR(qn_schedule_factor(QN_SCHEDULE_CONSTANT, 7, 10, 3), 1, 0);
    CHECK_NEAR(qn_schedule_factor(QN_SCHEDULE_PLATEAU, 7, 10, 3), 0.125, 0);
    CHECK_NEAR(qn_schedule_factor(QN_SCHEDULE_COSINE, 509, 1000, 0), 0.5, 2e-3);
    CHECK(qn_schedule_factor(QN_SCHEDULE_COSINE, 999, 1000, 0) < 1e-5);
    CHECK(qn_schedule_factor(QN_SCHEDULE_COSINE, 0, 1000, 0) < 0.05);
    CHECK_NEAR(qn_schedule_factor(QN_SCHEDULE_ONE_CYCLE, 0, 1000, 0), 0.04, 1e-3);
    CHECK_NEAR(qn_schedule_factor(QN_SCHEDULE_ONE_CYCLE, 300, 1000, 0), 1, 1e-3);
    CHECK(qn_schedule_factor(QN_SCHEDULE_ONE_CYCLE, 999, 1000, 0) < 1e-5);
}

/* The first step of AdamW moves every parameter by the rate, against the sign of its slope. */
static void optimisers_step_and_clip(void **state)
{
    (void)state;
    qn_network network, before;
    qn_optimiser optimiser = {.kind = QN_OPTIMISER_ADAMW, .weight_decay = 0.5F, .clip = 1};
    make_network((qn_layer[]){last}, 1, &network);
    CHECK_INT(qn_network_copy(&network, &before, NULL), QN_OK);
    CHECK_INT(qn_optimiser_init(&optimiser, network.n_params, NULL), QN_OK);
    float *gradient = qn_alloc_array(network.n_params, sizeof *gradient);
    for (int64_t i = 0; i < network.n_params; i++) {
        gradient[i] = i % 2 ? 3 : -3;
    }
    CHECK_NEAR(qn_optimiser_step(&optimiser, &network, gradient, 0.01),
               3 * sqrt((double)network.n_params), 1e-4);
    for (int64_t i = 0; i < network.n_params; i++) {
        const double shrink = i < network.n_params - N_OUTPUTS ? 1 - 0.01 * 0.5 : 1;
        CHECK_NEAR((double)network.params[i],
                   (double)before.params[i] * shrink + (i % 2 ? -0.01 : 0.01), 1e-6);
    }
    qn_optimiser_release(&optimiser);
    optimiser = (qn_optimiser){.kind = QN_OPTIMISER_SGD, .momentum = 0.5F, .clip = 1};
    CHECK_INT(qn_optimiser_init(&optimiser, network.n_params, NULL), QN_OK);
    memcpy(network.params, before.params, (size_t)network.n_params * sizeof(float));
    CHECK(qn_optimiser_step(&optimiser, &network, gradient, 0.1) > 1);
    const double clipped = 1 / sqrt((double)network.n_params);
    for (int64_t i = 0; i < network.n_params; i++) {
        CHECK_NEAR((double)network.params[i],
                   (double)before.params[i] + (i % 2 ? -0.15 : 0.15) * clipped, 1e-6);
    }
    qn_optimiser_release(&optimiser);
    qn_free(gradient);
    qn_network_release(&before);
    qn_network_release(&network);
}

RUN_TESTS(TEST(gradients_of_dense_layers_and_encodings_are_right),
          TEST(gradients_of_activations_are_right), TEST(gradients_of_norms_are_right),
          TEST(gradient_of_dropout_is_right), TEST(gradients_of_residual_connections_are_right),
          TEST(gradient_under_mixup_is_right), TEST(morphs_keep_what_a_network_computes),
          TEST(morphs_that_cannot_be_are_refused), TEST(morphs_survive_running_out_of_memory),
          TEST(one_row_alone_is_predicted_as_in_a_block),
          TEST(lists_of_layers_that_do_not_fit_are_refused), TEST(schedules_go_as_they_say),
          TEST(optimisers_step_and_clip))
