/* SPDX-License-Identifier: Apache-2.0 */
#include "model/projection_model.h"

#include "base/alloc.h"
#include "linalg/kernels.h"
#include "recipe/project.h"

#include <math.h>
#include <string.h>

struct projection {
    qn_estimator head;
    int64_t n_features;    /* of the view, dense and sparse */
    const double *columns; /* n_features × n_outputs: V, feature after feature */
    const double *origin;  /* n_outputs: m V, which is taken off */
    double *owned;         /* both; NULL: borrowed from a file */
};

static qn_status no_memory(qn_error *err)
{
    return qn_fail(err, QN_ERR_NOMEM, "no memory for a projection");
}

static struct projection *make(int64_t n_outputs, int64_t n_features)
{
    struct projection *model = qn_alloc_array(1, sizeof *model);
    if (!model) return NULL;
    model->head = (qn_estimator){
        .family = &qn_family_projection, .view = QN_VIEW_DENSE, .n_outputs = (int32_t)n_outputs};
    model->n_features = n_features;
    return model;
}

qn_status qn_projection_create(const double *components, const double *means, int32_t n_outputs,
                               int64_t n_features, qn_estimator **out, qn_error *err)
{
    *out = NULL;
    struct projection *model = make(n_outputs, n_features);
    double *owned = qn_alloc_array((n_features + 1) * n_outputs, sizeof *owned);
    if (!model || !owned) {
        qn_free(model);
        qn_free(owned);
        return no_memory(err);
    }
    double *origin = owned + n_features * n_outputs;
    for (int64_t c = 0; c < n_outputs; c++) {
        for (int64_t f = 0; f < n_features; f++) {
            owned[f * n_outputs + c] = components[c * n_features + f];
        }
        origin[c] = qn_dot(components + c * n_features, means, n_features);
    }
    model->owned = owned;
    model->columns = owned;
    model->origin = origin;
    *out = &model->head;
    return QN_OK;
}

static void predict(const qn_estimator *estimator, const qn_matrix *features, double *out,
                    void *scratch)
{
    (void)scratch;
    const struct projection *model = (const struct projection *)estimator;
    qn_project_rows(model->columns, model->origin, estimator->n_outputs, features, out);
}

static void write_model(const qn_estimator *estimator, qn_writer *writer)
{
    const struct projection *model = (const struct projection *)estimator;
    const int64_t k = estimator->n_outputs;
    qn_write_i64(writer, k);
    qn_write_array(writer, model->columns, model->n_features * k, sizeof(double));
    qn_write_array(writer, model->origin, k, sizeof(double));
}

static bool are_finite(const double *values, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        if (!isfinite(values[i])) return false;
    }
    return true;
}

static qn_status read_model(qn_reader *reader, int64_t n_features, qn_estimator **out,
                            qn_error *err)
{
    *out = NULL;
    int64_t n_columns, n_origin;
    const int64_t k = qn_read_i64(reader);
    const double *columns = qn_read_array(reader, sizeof *columns, &n_columns);
    const double *origin = qn_read_array(reader, sizeof *origin, &n_origin);
    if (reader->failed || k < 1 || k > QN_CLASSES_MAX || n_columns != k * n_features ||
        n_origin != k || !are_finite(columns, n_columns) || !are_finite(origin, n_origin)) {
        return qn_fail(err, QN_ERR_DATA, "model: a projection is damaged");
    }
    struct projection *model = make(k, n_features);
    if (!model) return no_memory(err);
    model->columns = columns;
    model->origin = origin;
    *out = &model->head;
    return QN_OK;
}

static void describe(const qn_estimator *estimator, qn_json_writer *json)
{
    qn_json_put_int(json, "components", estimator->n_outputs);
    qn_json_put_int(json, "features", ((const struct projection *)estimator)->n_features);
}

static void free_model(qn_estimator *estimator)
{
    qn_free(((struct projection *)estimator)->owned);
    qn_free(estimator);
}

const qn_family qn_family_projection = {.name = "projection",
                                        .predict = predict,
                                        .write = write_model,
                                        .read = read_model,
                                        .describe = describe,
                                        .free = free_model};
