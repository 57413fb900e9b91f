/* SPDX-License-Identifier: Apache-2.0 */
#include "model/gaussian_process_model.h"

#include "base/alloc.h"
#include "linalg/cholesky.h"
#include "linalg/kernels.h"

#include <math.h>
#include <string.h>

/* Files without a factor begin with the kind, others with this more. */
enum { WITH_FACTOR = 256 };

struct process {
    qn_estimator head;
    qn_covariance_kind kind;
    bool borrowed;
    int64_t n_rows, n_dense;
    double offset;
    const double *scales;       /* n_dense: 1 / length */
    const double *z;            /* n_dense × n_rows: scaled coordinates */
    const double *coefficients; /* n_rows */
    /* For standard deviations, in units of the target squared; factor NULL: not kept. */
    double variance, noise;
    const double *factor; /* n_rows × n_rows: of K + noise, see linalg/cholesky.h */
};

static const char *const kind_names[] = {"rbf", "matern32", "matern52"};

/* In units of the target: the factor scales as deviations do. */
static void copy_factor(const qn_gaussian_process_model *from, double *factor,
                        struct process *model)
{
    const int64_t n = from->n_rows;
    const double squared = from->scale * from->scale;
    for (int64_t i = 0; i < n; i++) {
        for (int64_t j = 0; j < n; j++) {
            factor[i * n + j] = from->scale * from->factor[i * from->factor_stride + j];
        }
    }
    model->factor = factor;
    model->variance = squared * exp(from->hyperparameters[0]);
    model->noise = squared * exp(from->hyperparameters[1 + from->n_dense]);
}

qn_status qn_gaussian_process_create(const qn_gaussian_process_model *from, qn_estimator **out,
                                     qn_error *err)
{
    const int64_t n = from->n_rows, d = from->n_dense;
    *out = NULL;
    struct process *model = qn_alloc_array(1, sizeof *model);
    const int64_t n_factor = from->factor ? n * n : 0;
    double *memory = qn_alloc_aligned(d + n * d + n + n_factor, sizeof *memory);
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
    if (from->factor) copy_factor(from, coefficients + n, model);
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

/* Correlations of a row of `features` with the rows learnt from; they stand first in scratch. */
static double *correlate(const struct process *model, const qn_matrix *features, int64_t i,
                         void *scratch)
{
    const qn_covariance_points points = {model->kind, model->n_rows, model->n_dense, model->n_rows,
                                         model->z};
    double *row = scratch, *slope = row + model->n_rows, *point = slope + model->n_rows;
    for (int64_t f = 0; f < model->n_dense; f++) {
        point[f] = features->dense[f * features->stride + i] * model->scales[f];
    }
    qn_covariance_row(&points, point, model->n_rows, row, slope);
    return row;
}

static void predict(const qn_estimator *estimator, const qn_matrix *features, double *out,
                    void *scratch)
{
    const struct process *model = (const struct process *)estimator;
    for (int64_t i = 0; i < features->n_rows; i++) {
        const double *row = correlate(model, features, i, scratch);
        out[i] = model->offset + qn_dot(row, model->coefficients, model->n_rows);
    }
}

static bool predict_std(const qn_estimator *estimator, const qn_matrix *features, double *out,
                        void *scratch)
{
    const struct process *model = (const struct process *)estimator;
    const int64_t n = model->n_rows;
    for (int64_t i = 0; model->factor && i < features->n_rows; i++) {
        double *row = correlate(model, features, i, scratch);
        for (int64_t k = 0; k < n; k++) {
            row[k] *= model->variance;
        }
        qn_cholesky_forward(model->factor, n, n, row, 1, 1, NULL);
        const double of_process = fmax(model->variance - qn_dot(row, row, n), 0); /* rounding */
        out[i] = sqrt(of_process + model->noise);
    }
    return model->factor != NULL;
}

static void write_model(const qn_estimator *estimator, qn_writer *writer)
{
    const struct process *model = (const struct process *)estimator;
    qn_write_i32(writer, (int32_t)model->kind + (model->factor ? WITH_FACTOR : 0));
    qn_write_f64(writer, model->offset);
    qn_write_array(writer, model->scales, model->n_dense, sizeof(double));
    qn_write_array(writer, model->coefficients, model->n_rows, sizeof(double));
    qn_write_array(writer, model->z, model->n_dense * model->n_rows, sizeof(double));
    if (!model->factor) return;
    qn_write_f64(writer, model->variance);
    qn_write_f64(writer, model->noise);
    qn_write_array(writer, model->factor, model->n_rows * model->n_rows, sizeof(double));
}

static bool is_finite(const double *values, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        if (!isfinite(values[i])) return false;
    }
    return true;
}

/* What is divided by is checked; true where there is nothing to read. */
static bool read_factor(qn_reader *reader, struct process *model)
{
    int64_t n_factor;
    const int64_t n = model->n_rows;
    model->variance = qn_read_f64(reader);
    model->noise = qn_read_f64(reader);
    model->factor = qn_read_array(reader, sizeof(double), &n_factor);
    if (reader->failed || n_factor % n != 0 || n_factor / n != n || !(model->variance > 0) ||
        !(model->noise >= 0) || !isfinite(model->variance + model->noise) ||
        !is_finite(model->factor, n_factor)) {
        return false;
    }
    for (int64_t i = 0; i < n; i++) {
        if (!(model->factor[i * (n + 1)] > 0)) return false;
    }
    return true;
}

static qn_status read_model(qn_reader *reader, int64_t n_features, qn_estimator **out,
                            qn_error *err)
{
    struct process *model = qn_alloc_array(1, sizeof *model);
    int64_t n_z;
    if (!model) return qn_fail(err, QN_ERR_NOMEM, "no memory for a Gaussian process");
    const int32_t stored = qn_read_i32(reader);
    const bool with_factor = stored >= WITH_FACTOR;
    const int32_t kind = with_factor ? stored - WITH_FACTOR : stored;
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
        !is_finite(model->coefficients, model->n_rows) || !is_finite(model->z, n_z) ||
        (with_factor && !read_factor(reader, model))) {
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
    qn_json_put_bool(json, "return_std", model->factor != NULL);
}

const qn_family qn_family_gaussian_process = {.name = "gaussian_process",
                                              .predict = predict,
                                              .predict_std = predict_std,
                                              .scratch_bytes = scratch_bytes,
                                              .write = write_model,
                                              .read = read_model,
                                              .describe = describe,
                                              .free = free_model};
