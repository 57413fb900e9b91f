/* SPDX-License-Identifier: Apache-2.0 */
#include "model/linear_model.h"

#include "base/alloc.h"
#include "linalg/kernels.h"

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
    const double *std_errors; /* n_features + 1, or NULL */
    int64_t degrees_of_freedom;
};

/* Added to the link as it is stored, when standard errors follow. */
enum { WITH_ERRORS = 256 };

static const char *const link_names[] = {"identity", "logistic", "softmax", "log", "one_vs_rest"};

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

qn_status qn_linear_set_errors(qn_estimator *estimator, const double *std_errors,
                               int64_t degrees_of_freedom, qn_error *err)
{
    struct linear *model = (struct linear *)estimator;
    const int64_t n = model->n_dense + model->n_sparse + 1;
    double *copy = qn_alloc_array(n, sizeof *copy);
    if (!copy) return qn_fail(err, QN_ERR_NOMEM, "no memory for a linear model");
    memcpy(copy, std_errors, (size_t)n * sizeof *copy);
    model->std_errors = copy;
    model->degrees_of_freedom = degrees_of_freedom;
    return QN_OK;
}

static double logistic(double x)
{
    return 1 / (1 + exp(-x));
}

/* Each score's own probability, over their sum; equal ones where all have vanished. */
static void link_one_vs_rest(double *row, int32_t k)
{
    double sum = 0;
    for (int32_t c = 0; c < k; c++) {
        sum += row[c] = logistic(row[c]);
    }
    for (int32_t c = 0; c < k; c++) {
        row[c] = sum > 0 ? row[c] / sum : 1.0 / k;
    }
}

static void link_row(const qn_estimator *estimator, double *row)
{
    const struct linear *model = (const struct linear *)estimator;
    const int32_t k = estimator->n_outputs;
    if (model->link == QN_LINEAR_LOGISTIC) {
        row[0] = logistic(row[0]);
    } else if (model->link == QN_LINEAR_ONE_VS_REST) {
        link_one_vs_rest(row, k);
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
    if (model->link == QN_LINEAR_LOGISTIC) gradient[0] *= predictions[0] * (1 - predictions[0]);
    if (model->link == QN_LINEAR_LOG) gradient[0] *= predictions[0];
    if (model->link != QN_LINEAR_SOFTMAX && model->link != QN_LINEAR_ONE_VS_REST) return;
    for (int32_t c = 0; c < k; c++) {
        mean += gradient[c] * predictions[c];
    }
    for (int32_t c = 0; c < k; c++) {
        /* d log q / d score of q the logistic function of the score is 1 - q; of softmax, 1. */
        const double rest = model->link == QN_LINEAR_SOFTMAX ? 1 : logistic(-row_scores[c]);
        gradient[c] = predictions[c] * rest * (gradient[c] - mean);
    }
}

enum { CHUNK_ROWS = 128, FEW_ROWS = 8 };

/* sums += the dense part of n scores. Many rows add up side by side, column after column, few one
 * after the other: each adds its features in the same order. */
static void add_dense(const double *w, int64_t n_dense, const qn_matrix *x, int64_t first,
                      int64_t n, double *sums)
{
    const double *rows = x->dense + first;
    if (n >= FEW_ROWS) {
        for (int64_t f = 0; f < n_dense; f++) {
            qn_add_scaled(w[f], rows + f * x->stride, sums, n);
        }
        return;
    }
    for (int64_t i = 0; i < n; i++) {
        for (int64_t f = 0; f < n_dense; f++) {
            sums[i] += w[f] * rows[f * x->stride + i];
        }
    }
}

static void add_sparse(const double *w, const qn_matrix *x, int64_t first, int64_t n, double *sums)
{
    for (int64_t i = 0; i < n; i++) {
        for (int64_t j = x->sparse_starts[first + i]; j < x->sparse_starts[first + i + 1]; j++) {
            sums[i] += w[x->sparse_cols[j]] * (double)x->sparse_values[j];
        }
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
    double sums[CHUNK_ROWS];
    for (int64_t first = 0; first < features->n_rows; first += CHUNK_ROWS) {
        const int64_t left = features->n_rows - first, n = left < CHUNK_ROWS ? left : CHUNK_ROWS;
        for (int32_t c = 0; c < k; c++) {
            const double *w = model->coefficients + c * n_features;
            for (int64_t i = 0; i < n; i++) {
                sums[i] = model->intercepts[c];
            }
            add_dense(w, model->n_dense, features, first, n, sums);
            if (features->n_sparse > 0) add_sparse(w + model->n_dense, features, first, n, sums);
            for (int64_t i = 0; i < n; i++) {
                out[(first + i) * k + c] = sums[i];
            }
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
    *out = (qn_linear_terms){model->n_dense,    model->n_sparse,   model->coefficients,
                             model->intercepts, model->std_errors, model->degrees_of_freedom};
    return true;
}

static void write_model(const qn_estimator *estimator, qn_writer *writer)
{
    const struct linear *model = (const struct linear *)estimator;
    qn_write_i32(writer, (int32_t)model->link + (model->std_errors ? WITH_ERRORS : 0));
    qn_write_i64(writer, model->n_dense);
    qn_write_i64(writer, model->n_sparse);
    qn_write_array(writer, model->intercepts, estimator->n_outputs, sizeof *model->intercepts);
    qn_write_array(writer, model->coefficients,
                   (model->n_dense + model->n_sparse) * estimator->n_outputs,
                   sizeof *model->coefficients);
    if (!model->std_errors) return;
    qn_write_i64(writer, model->degrees_of_freedom);
    qn_write_array(writer, model->std_errors, model->n_dense + model->n_sparse + 1,
                   sizeof *model->std_errors);
}

static qn_status read_model(qn_reader *reader, int64_t n_features, qn_estimator **out,
                            qn_error *err)
{
    struct linear *model = qn_alloc_array(1, sizeof *model);
    if (!model) return qn_fail(err, QN_ERR_NOMEM, "no memory for a linear model");
    int64_t n_outputs, n, n_errors = n_features + 1;
    const int32_t stored = qn_read_i32(reader), link = stored & (WITH_ERRORS - 1);
    model->n_dense = qn_read_i64(reader);
    model->n_sparse = qn_read_i64(reader);
    model->intercepts = qn_read_array(reader, sizeof *model->intercepts, &n_outputs);
    model->coefficients = qn_read_array(reader, sizeof *model->coefficients, &n);
    model->borrowed = true;
    if (stored & WITH_ERRORS) {
        model->degrees_of_freedom = qn_read_i64(reader);
        model->std_errors = qn_read_array(reader, sizeof *model->std_errors, &n_errors);
    }
    if (reader->failed || stored < 0 || stored >= 2 * WITH_ERRORS || n_errors != n_features + 1 ||
        link >= QN_N_LINEAR_LINKS || n_outputs < 1 || n_outputs > QN_CLASSES_MAX ||
        model->n_dense < 0 || model->n_sparse < 0 || model->n_dense > n_features ||
        model->n_sparse != n_features - model->n_dense || n != n_features * n_outputs) {
        qn_free(model);
        return qn_fail(err, QN_ERR_DATA, "model: a linear model is damaged");
    }
    model->link = (qn_linear_link)link;
    model->head.n_outputs = (int32_t)n_outputs;
    model->head.n_dense = model->n_dense;
    *out = &model->head;
    return QN_OK;
}

static void describe(const qn_estimator *estimator, qn_json_writer *json)
{
    const struct linear *model = (const struct linear *)estimator;
    qn_json_put_int(json, "features", model->n_dense + model->n_sparse);
    qn_json_put_text(json, "link", link_names[model->link]);
}

static void describe_term(const struct linear *model, double value, int64_t at,
                          qn_json_writer *json)
{
    qn_json_put_double(json, "coefficient", value);
    qn_json_put_double(json, "std_error", model->std_errors[at]);
    qn_json_put_double(json, "t_value", value / model->std_errors[at]);
}

static void describe_features(const qn_estimator *estimator, const qn_feature *features,
                              qn_json_writer *json)
{
    const struct linear *model = (const struct linear *)estimator;
    const int64_t n = model->n_dense + model->n_sparse;
    if (!model->std_errors) return;
    qn_json_put_int(json, "degrees_of_freedom", model->degrees_of_freedom);
    qn_json_key(json, "coefficients");
    qn_json_begin_array(json);
    for (int64_t f = 0; f <= n; f++) {
        qn_json_begin_object(json);
        qn_json_put_text(json, "feature", f < n ? features[f].name : "intercept");
        describe_term(model, f < n ? model->coefficients[f] : model->intercepts[0], f, json);
        qn_json_end_object(json);
    }
    qn_json_end_array(json);
}

static void free_model(qn_estimator *estimator)
{
    struct linear *model = (struct linear *)estimator;
    if (!model->borrowed) {
        qn_free((void *)(uintptr_t)model->coefficients);
        qn_free((void *)(uintptr_t)model->std_errors);
    }
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
                                    .describe_features = describe_features,
                                    .free = free_model};
