/* SPDX-License-Identifier: Apache-2.0 */
#include "model/gaussian_process_model.h"

#include "base/alloc.h"
#include "linalg/kernels.h"

#include <math.h>
#include <string.h>

struct process {
    qn_estimator head;
    qn_covariance_kind kind;
    bool borrowed;
    int64_t n_rows, n_dense;
    double offset;
    const double *scales;       /* n_dense: 1 / length */
    const double *z;            /* n_dense × n_rows: scaled coordinates */
    const double *coefficients; /* n_rows */
};

static const char *const kind_names[] = {"rbf", "matern32", "matern52"};

qn_status qn_gaussian_process_create(const qn_gaussian_process_model *from, qn_estimator **out,
                                     qn_error *err)
{
    const int64_t n = from->n_rows, d = from->n_dense;
    *out = NULL;
    struct process *model = qn_alloc_array(1, sizeof *model);
    double *memory = qn_alloc_aligned(d + n * d + n, sizeof *memory);
    if (!model || !memory) {
        qn_free(model);
        qn_free(memory);
        return qn_fail(err, QN_ERR_NOMEM, "no memory for a Gaussian process");
    }
    double *scales = memory, *z = scales + d, *coefficients = z + n * d;
    const double variance = exp(from->hyperparameters[0]);
    for (int64_t f = 0; f < d; f++) {
        scales[f] = exp(-from->hyperparameters[1 + f]);
        for (int64_t i = 0; i < n; i++) {
            z[f * n + i] = from->x[i * d + f] * scales[f];
        }
    }
    for (int64_t i = 0; i < n; i++) {
        coefficients[i] = from->scale * variance * from->alpha[i];
    }
    *model = (struct process){
        .head = {.family = &qn_family_gaussian_process, .view = QN_VIEW_DENSE, .n_outputs = 1},
        .kind = from->kind,
        .n_rows = n,
        .n_dense = d,
        .offset = from->offset,
        .scales = scales,
        .z = z,
        .coefficients = coefficients};
    *out = &model->head;
    return QN_OK;
}

static void free_model(qn_estimator *estimator)
{
    struct process *model = (struct process *)estimator;
    if (!model->borrowed) qn_free((void *)(uintptr_t)model->scales);
    qn_free(model);
}

/* One row: its point, correlations and slopes. */
static size_t scratch_bytes(const qn_estimator *estimator, int64_t n_rows)
{
    const struct process *model = (const struct process *)estimator;
    (void)n_rows;
    return (size_t)(model->n_dense + 2 * model->n_rows) * sizeof(double);
}

static void predict(const qn_estimator *estimator, const qn_matrix *features, double *out,
                    void *scratch)
{
    const struct process *model = (const struct process *)estimator;
    const qn_covariance_points points = {model->kind, model->n_rows, model->n_dense, model->n_rows,
                                         model->z};
    double *row = scratch, *slope = row + model->n_rows, *point = slope + model->n_rows;
    for (int64_t i = 0; i < features->n_rows; i++) {
        for (int64_t f = 0; f < model->n_dense; f++) {
            point[f] = features->dense[f * features->stride + i] * model->scales[f];
        }
        qn_covariance_row(&points, point, model->n_rows, row, slope);
        out[i] = model->offset + qn_dot(row, model->coefficients, model->n_rows);
    }
}

static void write_model(const qn_estimator *estimator, qn_writer *writer)
{
    const struct process *model = (const struct process *)estimator;
    qn_write_i32(writer, (int32_t)model->kind);
    qn_write_f64(writer, model->offset);
    qn_write_array(writer, model->scales, model->n_dense, sizeof(double));
    qn_write_array(writer, model->coefficients, model->n_rows, sizeof(double));
    qn_write_array(writer, model->z, model->n_dense * model->n_rows, sizeof(double));
}

static bool is_finite(const double *values, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        if (!isfinite(values[i])) return false;
    }
    return true;
}

static qn_status read_model(qn_reader *reader, int64_t n_features, qn_estimator **out,
                            qn_error *err)
{
    struct process *model = qn_alloc_array(1, sizeof *model);
    int64_t n_z;
    if (!model) return qn_fail(err, QN_ERR_NOMEM, "no memory for a Gaussian process");
    const int32_t kind = qn_read_i32(reader);
    model->offset = qn_read_f64(reader);
    model->scales = qn_read_array(reader, sizeof(double), &model->n_dense);
    model->coefficients = qn_read_array(reader, sizeof(double), &model->n_rows);
    model->z = qn_read_array(reader, sizeof(double), &n_z);
    model->borrowed = true;
    model->kind = (qn_covariance_kind)kind;
    model->head.n_outputs = 1;
    if (reader->failed || kind < 0 || kind > QN_COVARIANCE_MATERN52 || model->n_dense < 1 ||
        model->n_dense > n_features || model->n_rows < 1 || n_z % model->n_dense != 0 ||
        n_z / model->n_dense != model->n_rows || !isfinite(model->offset) ||
        !is_finite(model->scales, model->n_dense) ||
        !is_finite(model->coefficients, model->n_rows) || !is_finite(model->z, n_z)) {
        qn_free(model);
        return qn_fail(err, QN_ERR_DATA, "model: a Gaussian process is damaged");
    }
    model->head.n_dense = model->n_dense;
    *out = &model->head;
    return QN_OK;
}

static void describe(const qn_estimator *estimator, qn_json_writer *json)
{
    const struct process *model = (const struct process *)estimator;
    qn_json_put_text(json, "kernel", kind_names[model->kind]);
    qn_json_put_int(json, "features", model->n_dense);
    qn_json_put_int(json, "rows", model->n_rows);
}

const qn_family qn_family_gaussian_process = {.name = "gaussian_process",
                                              .predict = predict,
                                              .scratch_bytes = scratch_bytes,
                                              .write = write_model,
                                              .read = read_model,
                                              .describe = describe,
                                              .free = free_model};
