/* SPDX-License-Identifier: Apache-2.0 */
#include "model/bayes_model.h"

#include "base/alloc.h"

#include <math.h>
#include <string.h>

struct bayes {
    qn_estimator head;
    bool borrowed;
    qn_bayes_parts parts;
};

void qn_bayes_parts_release(qn_bayes_parts *parts)
{
    qn_free(parts->intercepts);
    qn_free(parts->coefficients);
    qn_free(parts->means);
    qn_free(parts->precisions);
    *parts = (qn_bayes_parts){0};
}

qn_status qn_bayes_create(qn_bayes_parts *parts, qn_estimator **out, qn_error *err)
{
    struct bayes *model = qn_alloc_array(1, sizeof *model);
    *out = NULL;
    if (!model) {
        qn_bayes_parts_release(parts);
        return qn_fail(err, QN_ERR_NOMEM, "no memory for naive Bayes");
    }
    *model = (struct bayes){.head = {.family = &qn_family_bayes,
                                     .view = QN_VIEW_DENSE,
                                     .n_outputs = parts->n_classes == 2 ? 1 : parts->n_classes},
                            .parts = *parts};
    *parts = (qn_bayes_parts){0};
    *out = &model->head;
    return QN_OK;
}

static double score(const qn_bayes_parts *p, int32_t c, const qn_matrix *x, int64_t row)
{
    const double *a = p->coefficients + c * (p->n_dense + p->n_sparse);
    const double *m = p->means + c * p->n_dense, *v = p->precisions + c * p->n_dense;
    double sum = p->intercepts[c];
    for (int64_t f = 0; f < p->n_dense; f++) {
        const double value = x->dense[f * x->stride + row], d = value - m[f];
        sum += a[f] * value - 0.5 * v[f] * d * d;
    }
    if (x->n_sparse == 0 || p->n_sparse == 0) return sum;
    for (int64_t j = x->sparse_starts[row]; j < x->sparse_starts[row + 1]; j++) {
        const double value = (double)x->sparse_values[j];
        sum += a[p->n_dense + x->sparse_cols[j]] * (p->presence ? value > 0 : value);
    }
    return sum;
}

static void predict(const qn_estimator *estimator, const qn_matrix *features, double *out,
                    void *scratch)
{
    (void)scratch;
    const qn_bayes_parts *p = &((const struct bayes *)estimator)->parts;
    const int32_t k = estimator->n_outputs;
    for (int64_t i = 0; i < features->n_rows; i++) {
        double *row = out + i * k;
        if (k == 1) {
            row[0] = 1 / (1 + exp(score(p, 0, features, i) - score(p, 1, features, i)));
            continue;
        }
        double most = -QN_INF, sum = 0;
        for (int32_t c = 0; c < k; c++) {
            most = fmax(most, row[c] = score(p, c, features, i));
        }
        for (int32_t c = 0; c < k; c++) {
            sum += row[c] = exp(row[c] - most);
        }
        for (int32_t c = 0; c < k; c++) {
            row[c] /= sum;
        }
    }
}

static void write_model(const qn_estimator *estimator, qn_writer *writer)
{
    const qn_bayes_parts *p = &((const struct bayes *)estimator)->parts;
    qn_write_i64(writer, p->n_dense);
    qn_write_i64(writer, p->n_sparse);
    qn_write_i32(writer, p->presence);
    qn_write_array(writer, p->intercepts, p->n_classes, sizeof(double));
    qn_write_array(writer, p->coefficients, p->n_classes * (p->n_dense + p->n_sparse),
                   sizeof(double));
    qn_write_array(writer, p->means, p->n_classes * p->n_dense, sizeof(double));
    qn_write_array(writer, p->precisions, p->n_classes * p->n_dense, sizeof(double));
}

static double *borrow(qn_reader *reader, int64_t *n)
{
    return (double *)(uintptr_t)qn_read_array(reader, sizeof(double), n);
}

static bool all_finite(const double *values, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        if (!isfinite(values[i])) return false;
    }
    return true;
}

static qn_status read_model(qn_reader *reader, int64_t n_features, qn_estimator **out,
                            qn_error *err)
{
    struct bayes *model = qn_alloc_array(1, sizeof *model);
    if (!model) return qn_fail(err, QN_ERR_NOMEM, "no memory for naive Bayes");
    qn_bayes_parts *p = &model->parts;
    int64_t n_classes, n_coefficients, n_means, n_precisions;
    model->borrowed = true;
    p->n_dense = qn_read_i64(reader);
    p->n_sparse = qn_read_i64(reader);
    p->presence = qn_read_i32(reader) != 0;
    p->intercepts = borrow(reader, &n_classes);
    p->coefficients = borrow(reader, &n_coefficients);
    p->means = borrow(reader, &n_means);
    p->precisions = borrow(reader, &n_precisions);
    if (reader->failed || n_classes < 2 || n_classes > QN_CLASSES_MAX || p->n_dense < 0 ||
        p->n_sparse < 0 || p->n_dense > n_features || p->n_sparse != n_features - p->n_dense ||
        n_coefficients != n_classes * n_features || n_means != n_classes * p->n_dense ||
        n_precisions != n_means || !all_finite(p->intercepts, n_classes) ||
        !all_finite(p->coefficients, n_coefficients) || !all_finite(p->means, n_means) ||
        !all_finite(p->precisions, n_precisions)) {
        qn_free(model);
        return qn_fail(err, QN_ERR_DATA, "model: naive Bayes is damaged");
    }
    p->n_classes = (int32_t)n_classes;
    model->head.n_outputs = n_classes == 2 ? 1 : (int32_t)n_classes;
    model->head.n_dense = p->n_dense;
    *out = &model->head;
    return QN_OK;
}

static void describe(const qn_estimator *estimator, qn_json_writer *json)
{
    const qn_bayes_parts *p = &((const struct bayes *)estimator)->parts;
    qn_json_put_int(json, "features", p->n_dense + p->n_sparse);
}

static void free_model(qn_estimator *estimator)
{
    struct bayes *model = (struct bayes *)estimator;
    if (!model->borrowed) qn_bayes_parts_release(&model->parts);
    qn_free(model);
}

const qn_family qn_family_bayes = {.name = "naive_bayes",
                                   .predict = predict,
                                   .write = write_model,
                                   .read = read_model,
                                   .describe = describe,
                                   .free = free_model};
