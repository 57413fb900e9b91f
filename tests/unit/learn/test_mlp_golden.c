/* SPDX-License-Identifier: Apache-2.0 */
/* A network of every kind of layer, trained on real tables, against PyTorch: tests/golden/mlp. */
#include "base/file.h"
#include "frame/frame.h"
#include "learn/learner.h"
#include "model/mlp_model.h"
#include "quern/frame.h"

#include "tables.h"

#include <unistd.h>

/* Relative to the spread of the predictions. Sums run in another order there, in float, and forty
 * steps of an optimiser that divides by the gradient's size amplify that. */
static const double before_tolerance = 1e-5, after_tolerance = 2e-4;

enum { WIDTH = 12, COLS_MAX = 16, N_LAYERS = 12 };

struct world {
    qn_json_value golden;
    qn_dataset data;
    int64_t n_cols;
};

static const char *text_of(qn_json_value object, const char *key)
{
    const char *text = qn_json_as_text(qn_json_get(object, key), NULL);
    if (!text) fail_msg("a case has no %s", key);
    return text;
}

static qn_json *read_cases(void)
{
    char path[512];
    qn_error err = {0};
    qn_file_map map;
    qn_json *json = NULL;
    snprintf(path, sizeof path, "%s/tests/golden/mlp/cases.json", getenv("QUERN_SOURCE"));
    CHECK_OK(qn_file_map_open(path, &map, &err));
    CHECK_OK(qn_json_parse((const char *)map.data, map.bytes, path, &json, &err));
    qn_file_unmap(&map);
    return json;
}

static void standardise(double *values, int64_t n)
{
    double mean = 0, squares = 0;
    for (int64_t i = 0; i < n; i++) {
        mean += values[i] / (double)n;
    }
    for (int64_t i = 0; i < n; i++) {
        squares += (values[i] - mean) * (values[i] - mean) / (double)n;
    }
    for (int64_t i = 0; i < n; i++) {
        values[i] = (values[i] - mean) / sqrt(squares);
    }
}

/* The column's cell as a label's number, or as it is when there are no classes. */
static double label_of(const qn_column *column, int64_t row, qn_json_value classes)
{
    char text[64];
    if (qn_json_size(classes) == 0) return qn_column_number(column, row);
    if (column->type == QN_TYPE_STRING) {
        const qn_dictionary *d = &column->dictionary;
        const int32_t code = column->data.codes[row];
        snprintf(text, sizeof text, "%.*s", (int)(d->offsets[code + 1] - d->offsets[code]),
                 d->bytes + d->offsets[code]);
    } else {
        snprintf(text, sizeof text, "%g", qn_column_number(column, row));
    }
    for (int64_t c = 0; c < qn_json_size(classes); c++) {
        if (strcmp(qn_json_as_text(qn_json_at(classes, c), ""), text) == 0) return (double)c;
    }
    fail_msg("no class is called %s", text);
    return 0;
}

static void load(struct world *w, qn_json_value golden)
{
    char path[512];
    qn_error err = {0};
    qn_frame *frame = NULL;
    const qn_json_value columns = qn_json_get(golden, "columns");
    const char *task = text_of(golden, "task");
    snprintf(path, sizeof path, "%s/%s", getenv("QUERN_DATA"), text_of(golden, "table"));
    CHECK_OK(qn_frame_read(path, 1, &frame, &err));
    *w = (struct world){.golden = golden, .n_cols = qn_json_size(columns)};
    qn_dataset *d = &w->data;
    const int64_t n = qn_json_as_int(qn_json_get(golden, "rows"), 0);
    d->task = strcmp(task, "binary") == 0       ? QN_TASK_BINARY
              : strcmp(task, "multiclass") == 0 ? QN_TASK_MULTICLASS
                                                : QN_TASK_REGRESSION;
    d->n_classes = (int32_t)qn_json_size(qn_json_get(golden, "classes"));
    d->n_outputs = (int32_t)qn_json_as_int(qn_json_get(golden, "n_outputs"), 0);
    d->n_features[QN_VIEW_DENSE] = d->n_dense[QN_VIEW_DENSE] = w->n_cols;
    d->train.n_rows = n;
    d->train.target = qn_alloc_array(n, sizeof(double));
    CHECK_OK(qn_matrix_init(&d->train.views[QN_VIEW_DENSE], n, w->n_cols, &err));
    for (int64_t c = 0; c < w->n_cols; c++) {
        const int64_t col = qn_frame_find(frame, qn_json_as_text(qn_json_at(columns, c), ""));
        double *out = d->train.views[QN_VIEW_DENSE].dense + c * n;
        CHECK(col >= 0);
        for (int64_t i = 0; i < n; i++) {
            out[i] = qn_column_number(&frame->columns[col], i);
        }
        standardise(out, n);
    }
    const int64_t target = qn_frame_find(frame, text_of(golden, "target"));
    CHECK(target >= 0);
    for (int64_t i = 0; i < n; i++) {
        d->train.target[i] = label_of(&frame->columns[target], i, qn_json_get(golden, "classes"));
    }
    qn_frame_free(frame);
}

static void release(struct world *w)
{
    qn_matrix_release(&w->data.train.views[QN_VIEW_DENSE]);
    qn_free(w->data.train.target);
}

static void make_network(const struct world *w, qn_network *network)
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
        {.kind = QN_LAYER_DENSE, .width = w->data.n_outputs}};
    *network = (qn_network){.encoder = {.n_dense = (int32_t)w->n_cols, .n_fields = 1},
                            .n_layers = N_LAYERS};
    network->encoder.fields = qn_alloc_array(1, sizeof(qn_field));
    network->encoder.knots = qn_alloc_array(0, sizeof(float));
    network->layers = qn_alloc_array(N_LAYERS, sizeof(qn_layer));
    network->encoder.fields[0] =
        (qn_field){.kind = QN_FIELD_COPY, .n = (int32_t)w->n_cols, .width = (int32_t)w->n_cols};
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

static void check_predictions(const struct world *w, const qn_estimator *model, const char *key,
                              double tolerance)
{
    const qn_matrix *x = &w->data.train.views[QN_VIEW_DENSE];
    const qn_json_value expected = qn_json_get(w->golden, key);
    const int64_t k = w->data.n_outputs;
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

static void check_case(const struct world *w)
{
    qn_error err = {0};
    qn_network network;
    qn_estimator *before = NULL;
    qn_learn_result result = {0};
    const qn_learner *learner = qn_learner_find("mlp");
    double offset = 0, scale = 1;
    if (w->data.task == QN_TASK_REGRESSION) {
        const int64_t n = w->data.train.n_rows;
        scale = 0;
        for (int64_t i = 0; i < n; i++) {
            offset += w->data.train.target[i] / (double)n;
        }
        for (int64_t i = 0; i < n; i++) {
            scale += pow(w->data.train.target[i] - offset, 2) / (double)n;
        }
        scale = sqrt(scale);
    }
    make_network(w, &network);
    CHECK_OK(qn_mlp_create(w->data.task == QN_TASK_REGRESSION   ? QN_MLP_IDENTITY
                           : w->data.task == QN_TASK_MULTICLASS ? QN_MLP_SOFTMAX
                                                                : QN_MLP_LOGISTIC,
                           offset, scale, &network, &before, &err));
    check_predictions(w, before, "before", before_tolerance);
    void *params = qn_alloc_array(1, learner->params_bytes);
    qn_params_init(learner, params);
    CHECK_OK(qn_params_set(learner, params, text_of(w->golden, "params"), &err));
    const qn_learn_request request = {
        .data = &w->data, .params = params, .seed = 1, .from = before};
    CHECK_OK(learner->fit(&request, &result, &err));
    check_predictions(w, result.estimator, "after", after_tolerance);
    qn_estimator_free(result.estimator);
    qn_estimator_free(before);
    qn_free(params);
}

static void training_follows_pytorch(void **state)
{
    (void)state;
    int n_checked = 0;
    qn_json *json = read_cases();
    for (int64_t i = 0; i < qn_json_size(qn_json_root(json)); i++) {
        char path[512];
        struct world w;
        const qn_json_value golden = qn_json_at(qn_json_root(json), i);
        snprintf(path, sizeof path, "%s/%s", getenv("QUERN_DATA"), text_of(golden, "table"));
        if (access(path, R_OK) != 0) continue;
        load(&w, golden);
        check_case(&w);
        release(&w);
        n_checked++;
    }
    qn_json_free(json);
    if (n_checked == 0) {
        fprintf(stderr, "no tables in QUERN_DATA: skipped\n");
        skip();
    }
}

RUN_TESTS(TEST(training_follows_pytorch))
