/* SPDX-License-Identifier: Apache-2.0 */
#include "model/linear_model.h"

#include "base/alloc.h"

#include <float.h>
#include <math.h>
#include <string.h>

struct linear {
    qn_estimator head;
    qn_linear_link link;
    bool borrowed;
    int64_t n_dense, n_sparse;
    const double *coefficients;
    const double *intercepts;
};

static const char *const link_names[] = {"identity", "logistic", "softmax", "log"};

qn_status qn_linear_create(qn_linear_link link, const double *coefficients,
                           const double *intercepts, int64_t n_dense, int64_t n_sparse,
                           int32_t n_outputs, qn_estimator **out, qn_error *err)
{
    const int64_t n = (n_dense + n_sparse) * n_outputs;
    *out = NULL;
    struct linear *model = qn_alloc_array(1, sizeof *model);
    double *copy = qn_alloc_array(n + n_outputs, sizeof *copy);
    if (!model || !copy) {
        qn_free(model);
        qn_free(copy);
        return qn_fail(err, QN_ERR_NOMEM, "no memory for a linear model");
    }
    memcpy(copy, coefficients, (size_t)n * sizeof *copy);
    memcpy(copy + n, intercepts, (size_t)n_outputs * sizeof *copy);
    *model = (struct linear){
        .head = {.family = &qn_family_linear, .view = QN_VIEW_DENSE, .n_outputs = n_outputs},
        .link = link,
        .n_dense = n_dense,
        .n_sparse = n_sparse,
        .coefficients = copy,
        .intercepts = copy + n};
    *out = &model->head;
    return QN_OK;
}

static void link_row(const qn_estimator *estimator, double *row)
{
    const struct linear *model = (const struct linear *)estimator;
    const int32_t k = estimator->n_outputs;
    if (model->link == QN_LINEAR_LOGISTIC) {
        row[0] = 1 / (1 + exp(-row[0]));
    } else if (model->link == QN_LINEAR_LOG) {
        row[0] = fmin(exp(row[0]), DBL_MAX);
    } else if (model->link == QN_LINEAR_SOFTMAX) {
        double most = row[0], sum = 0;
        for (int32_t c = 1; c < k; c++) {
            most = fmax(most, row[c]);
        }
        for (int32_t c = 0; c < k; c++) {
            sum += row[c] = exp(row[c] - most);
        }
        for (int32_t c = 0; c < k; c++) {
            row[c] /= sum;
        }
    }
}

static void pull_back(const qn_estimator *estimator, const double *row_scores,
                      const double *predictions, double *gradient)
{
    const struct linear *model = (const struct linear *)estimator;
    const int32_t k = estimator->n_outputs;
    double mean = 0;
    (void)row_scores;
    if (model->link == QN_LINEAR_LOGISTIC) gradient[0] *= predictions[0] * (1 - predictions[0]);
    if (model->link == QN_LINEAR_LOG) gradient[0] *= predictions[0];
    if (model->link != QN_LINEAR_SOFTMAX) return;
    for (int32_t c = 0; c < k; c++) {
        mean += gradient[c] * predictions[c];
    }
    for (int32_t c = 0; c < k; c++) {
        gradient[c] = predictions[c] * (gradient[c] - mean);
    }
}

/* Each row adds its features in order, so a block changes nothing. */
static void scores(const qn_estimator *estimator, const qn_matrix *features, double *out,
                   void *scratch)
{
    (void)scratch;
    const struct linear *model = (const struct linear *)estimator;
    const int32_t k = estimator->n_outputs;
    const int64_t n_features = model->n_dense + model->n_sparse;
    for (int64_t row = 0; row < features->n_rows; row++) {
        for (int32_t c = 0; c < k; c++) {
            const double *w = model->coefficients + c * n_features;
            double sum = model->intercepts[c];
            for (int64_t f = 0; f < model->n_dense; f++) {
                sum += w[f] * features->dense[f * features->stride + row];
            }
            if (features->n_sparse > 0) {
                const double *sparse = w + model->n_dense;
                for (int64_t i = features->sparse_starts[row]; i < features->sparse_starts[row + 1];
                     i++) {
                    sum += sparse[features->sparse_cols[i]] * (double)features->sparse_values[i];
                }
            }
            out[row * k + c] = sum;
        }
    }
}

static void predict(const qn_estimator *estimator, const qn_matrix *features, double *out,
                    void *scratch)
{
    scores(estimator, features, out, scratch);
    for (int64_t row = 0; row < features->n_rows; row++) {
        link_row(estimator, out + row * estimator->n_outputs);
    }
}

bool qn_linear_terms_of(const qn_estimator *estimator, qn_linear_terms *out)
{
    const struct linear *model = (const struct linear *)estimator;
    if (estimator->family != &qn_family_linear) return false;
    *out =
        (qn_linear_terms){model->n_dense, model->n_sparse, model->coefficients, model->intercepts};
    return true;
}

static void write_model(const qn_estimator *estimator, qn_writer *writer)
{
    const struct linear *model = (const struct linear *)estimator;
    qn_write_i32(writer, (int32_t)model->link);
    qn_write_i64(writer, model->n_dense);
    qn_write_i64(writer, model->n_sparse);
    qn_write_array(writer, model->intercepts, estimator->n_outputs, sizeof *model->intercepts);
    qn_write_array(writer, model->coefficients,
                   (model->n_dense + model->n_sparse) * estimator->n_outputs,
                   sizeof *model->coefficients);
}

static qn_status read_model(qn_reader *reader, int64_t n_features, qn_estimator **out,
                            qn_error *err)
{
    struct linear *model = qn_alloc_array(1, sizeof *model);
    if (!model) return qn_fail(err, QN_ERR_NOMEM, "no memory for a linear model");
    int64_t n_outputs, n;
    const int32_t link = qn_read_i32(reader);
    model->n_dense = qn_read_i64(reader);
    model->n_sparse = qn_read_i64(reader);
    model->intercepts = qn_read_array(reader, sizeof *model->intercepts, &n_outputs);
    model->coefficients = qn_read_array(reader, sizeof *model->coefficients, &n);
    model->borrowed = true;
    if (reader->failed || link < 0 || link >= QN_N_LINEAR_LINKS || n_outputs < 1 ||
        n_outputs > QN_CLASSES_MAX || model->n_dense < 0 || model->n_sparse < 0 ||
        model->n_dense > n_features || model->n_sparse != n_features - model->n_dense ||
        n != n_features * n_outputs) {
        qn_free(model);
        return qn_fail(err, QN_ERR_DATA, "model: a linear model is damaged");
    }
    model->link = (qn_linear_link)link;
    model->head.n_outputs = (int32_t)n_outputs;
    *out = &model->head;
    return QN_OK;
}

static void describe(const qn_estimator *estimator, qn_json_writer *json)
{
    const struct linear *model = (const struct linear *)estimator;
    qn_json_put_int(json, "features", model->n_dense + model->n_sparse);
    qn_json_put_text(json, "link", link_names[model->link]);
}

static void free_model(qn_estimator *estimator)
{
    struct linear *model = (struct linear *)estimator;
    if (!model->borrowed) qn_free((void *)(uintptr_t)model->coefficients);
    qn_free(model);
}

const qn_family qn_family_linear = {.name = "linear",
                                    .predict = predict,
                                    .write = write_model,
                                    .read = read_model,
                                    .scores = scores,
                                    .link = link_row,
                                    .pull_back = pull_back,
                                    .describe = describe,
                                    .free = free_model};
