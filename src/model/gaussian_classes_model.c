/* SPDX-License-Identifier: Apache-2.0 */
#include "model/gaussian_classes_model.h"

#include "base/alloc.h"
#include "linalg/kernels.h"

#include <math.h>
#include <string.h>

/* Arrays of process m begin at m times their length. */
struct classes {
    qn_estimator head;
    qn_covariance_kind kind;
    bool borrowed;
    int64_t n_rows, n_dense;
    const double *x;         /* n_dense × n_rows */
    const double *variances; /* one */
    const double *scales;    /* n_dense: 1 / length */
    const double *gradients; /* n_rows */
    const double *roots;     /* n_rows: √W */
    const double *factors;   /* n_rows (n_rows + 1) / 2: rows of the lower triangle */
};

static const char *const kind_names[] = {"rbf", "matern32", "matern52"};

/* Both sums are trapezoidal, of functions analytic within π of the real line, so that they err by
 * e^(-2π² / step): over f in steps of a quarter of its deviation while that is narrower than the
 * logistic function; else over t of logistic distribution, P(f > t). */
double qn_logistic_normal_mean(double mean, double variance)
{
    const double sd = sqrt(variance);
    double sum = 0, total = 0;
    if (sd < 1) {
        for (int i = -32; i <= 32; i++) {
            const double u = i * 0.25, w = exp(-0.5 * u * u);
            sum += w / (1 + exp(-(mean + sd * u)));
            total += w;
        }
        return sum / total;
    }
    for (int i = -48; i <= 48; i++) {
        const double t = i * 0.5, e = exp(-fabs(t)), w = e / ((1 + e) * (1 + e));
        sum += w * 0.5 * erfc((t - mean) / (sd * sqrt(2)));
        total += w;
    }
    return sum / total;
}

static int64_t triangle(int64_t n)
{
    return n * (n + 1) / 2;
}

/* Where create() writes what the model then only reads. */
struct parts {
    double *variances, *scales, *x, *gradients, *roots, *factors;
};

static void fill(const qn_gaussian_classes_model *from, const struct parts *to)
{
    const int64_t n = from->n_rows, d = from->n_dense;
    for (int64_t f = 0; f < d; f++) {
        for (int64_t i = 0; i < n; i++) {
            to->x[f * n + i] = from->x[i * d + f];
        }
    }
    for (int32_t m = 0; m < from->n_outputs; m++) {
        const qn_gaussian_class *process = &from->processes[m];
        double *factor = to->factors + m * triangle(n);
        to->variances[m] = exp(process->hyperparameters[0]);
        for (int64_t f = 0; f < d; f++) {
            to->scales[m * d + f] = exp(-process->hyperparameters[1 + f]);
        }
        memcpy(to->gradients + m * n, process->gradient, (size_t)n * sizeof(double));
        memcpy(to->roots + m * n, process->root_w, (size_t)n * sizeof(double));
        for (int64_t i = 0; i < n; i++, factor += i) {
            memcpy(factor, process->factor + i * n, (size_t)(i + 1) * sizeof(double));
        }
    }
}

qn_status qn_gaussian_classes_create(const qn_gaussian_classes_model *from, qn_estimator **out,
                                     qn_error *err)
{
    const int64_t n = from->n_rows, d = from->n_dense, k = from->n_outputs;
    *out = NULL;
    struct classes *model = qn_alloc_array(1, sizeof *model);
    double *at = qn_alloc_aligned(k * (1 + d + 2 * n + triangle(n)) + n * d, sizeof *at);
    if (!model || !at) {
        qn_free(model);
        qn_free(at);
        return qn_fail(err, QN_ERR_NOMEM, "no memory for a Gaussian process");
    }
    struct parts parts = {.variances = at};
    parts.scales = at += k;
    parts.x = at += k * d;
    parts.gradients = at += n * d;
    parts.roots = at += k * n;
    parts.factors = at + k * n;
    fill(from, &parts);
    *model = (struct classes){.head = {.family = &qn_family_gaussian_classes,
                                       .view = QN_VIEW_DENSE,
                                       .n_outputs = from->n_outputs},
                              .kind = from->kind,
                              .n_rows = n,
                              .n_dense = d,
                              .x = parts.x,
                              .variances = parts.variances,
                              .scales = parts.scales,
                              .gradients = parts.gradients,
                              .roots = parts.roots,
                              .factors = parts.factors};
    *out = &model->head;
    return QN_OK;
}

static void free_model(qn_estimator *estimator)
{
    struct classes *model = (struct classes *)estimator;
    if (!model->borrowed) qn_free((void *)(uintptr_t)model->variances);
    qn_free(model);
}

/* Scaled rows of a process, its point, correlations and slopes. */
static size_t scratch_bytes(const qn_estimator *estimator, int64_t n_rows)
{
    const struct classes *model = (const struct classes *)estimator;
    (void)n_rows;
    return (size_t)(model->n_dense * (model->n_rows + 1) + 2 * model->n_rows) * sizeof(double);
}

/* b becomes L⁻¹ b; returns its squared length. */
static double solve_forward(const double *factor, int64_t n, double *b)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++) {
        b[i] = (b[i] - qn_dot(factor, b, i)) / factor[i];
        sum += b[i] * b[i];
        factor += i + 1;
    }
    return sum;
}

/* Probabilities of process m for all rows; z, point, row and slope are scratch. */
static void predict_one(const struct classes *model, int32_t m, const qn_matrix *features,
                        double *out, double *scratch)
{
    const int64_t n = model->n_rows, d = model->n_dense, step = model->head.n_outputs;
    double *z = scratch, *point = z + d * n, *row = point + d, *slope = row + n;
    const double *scales = model->scales + m * d, *roots = model->roots + m * n;
    const double variance = model->variances[m];
    const qn_covariance_points points = {model->kind, n, d, n, z};
    for (int64_t f = 0; f < d; f++) {
        for (int64_t i = 0; i < n; i++) {
            z[f * n + i] = model->x[f * n + i] * scales[f];
        }
    }
    for (int64_t i = 0; i < features->n_rows; i++) {
        for (int64_t f = 0; f < d; f++) {
            point[f] = features->dense[f * features->stride + i] * scales[f];
        }
        qn_covariance_row(&points, point, n, row, slope);
        const double mean = variance * qn_dot(row, model->gradients + m * n, n);
        for (int64_t j = 0; j < n; j++) {
            row[j] *= variance * roots[j];
        }
        const double explained = solve_forward(model->factors + m * triangle(n), n, row);
        out[i * step + m] = qn_logistic_normal_mean(mean, fmax(variance - explained, 0));
    }
}

static void predict(const qn_estimator *estimator, const qn_matrix *features, double *out,
                    void *scratch)
{
    const struct classes *model = (const struct classes *)estimator;
    const int32_t k = estimator->n_outputs;
    for (int32_t m = 0; m < k; m++) {
        predict_one(model, m, features, out, scratch);
    }
    for (int64_t i = 0; k > 1 && i < features->n_rows; i++) {
        double sum = 0;
        for (int32_t c = 0; c < k; c++) {
            sum += out[i * k + c];
        }
        for (int32_t c = 0; c < k; c++) {
            out[i * k + c] = sum > 0 ? out[i * k + c] / sum : 1.0 / k;
        }
    }
}

static void write_model(const qn_estimator *estimator, qn_writer *writer)
{
    const struct classes *model = (const struct classes *)estimator;
    const int64_t n = model->n_rows, d = model->n_dense, k = estimator->n_outputs;
    qn_write_i32(writer, (int32_t)model->kind);
    qn_write_i64(writer, n);
    qn_write_i64(writer, d);
    qn_write_array(writer, model->variances, k, sizeof(double));
    qn_write_array(writer, model->scales, k * d, sizeof(double));
    qn_write_array(writer, model->x, n * d, sizeof(double));
    qn_write_array(writer, model->gradients, k * n, sizeof(double));
    qn_write_array(writer, model->roots, k * n, sizeof(double));
    qn_write_array(writer, model->factors, k * triangle(n), sizeof(double));
}

/* Numbers of exactly this many, finite; clears *good otherwise. */
static const double *read_numbers(qn_reader *reader, int64_t n, bool *good)
{
    int64_t n_found;
    const double *values = qn_read_array(reader, sizeof(double), &n_found);
    *good = *good && !reader->failed && n_found == n;
    for (int64_t i = 0; *good && i < n; i++) {
        *good = isfinite(values[i]);
    }
    return values;
}

/* Pivots of factors that are there are at least 1. */
static bool is_sound(const struct classes *model)
{
    const double *factor = model->factors;
    for (int32_t m = 0; m < model->head.n_outputs; m++) {
        if (!(model->variances[m] > 0)) return false;
        for (int64_t i = 0; i < model->n_rows; i++) {
            if (!(factor[i] >= 0.5)) return false;
            factor += i + 1;
        }
    }
    return true;
}

static bool read_parts(qn_reader *reader, int64_t n_features, struct classes *model)
{
    const int32_t kind = qn_read_i32(reader);
    const int64_t n = model->n_rows = qn_read_i64(reader);
    const int64_t d = model->n_dense = qn_read_i64(reader);
    if (reader->failed || kind < 0 || kind > QN_COVARIANCE_MATERN52 || d < 1 || d > n_features ||
        d > QN_COVARIANCE_DIMS_MAX || n < 1 || n > QN_GAUSSIAN_CLASSES_ROWS_MAX) {
        return false;
    }
    int64_t k;
    bool good = true;
    model->kind = (qn_covariance_kind)kind;
    model->variances = qn_read_array(reader, sizeof(double), &k);
    if (reader->failed || k < 1 || k > QN_CLASSES_MAX) return false;
    model->head.n_outputs = (int32_t)k;
    model->scales = read_numbers(reader, k * d, &good);
    model->x = read_numbers(reader, n * d, &good);
    model->gradients = read_numbers(reader, k * n, &good);
    model->roots = read_numbers(reader, k * n, &good);
    model->factors = read_numbers(reader, k * triangle(n), &good);
    return good && is_sound(model);
}

static qn_status read_model(qn_reader *reader, int64_t n_features, qn_estimator **out,
                            qn_error *err)
{
    struct classes *model = qn_alloc_array(1, sizeof *model);
    if (!model) return qn_fail(err, QN_ERR_NOMEM, "no memory for a Gaussian process");
    model->borrowed = true;
    if (!read_parts(reader, n_features, model)) {
        qn_free(model);
        return qn_fail(err, QN_ERR_DATA, "model: a Gaussian process is damaged");
    }
    model->head.n_dense = model->n_dense;
    *out = &model->head;
    return QN_OK;
}

static void describe(const qn_estimator *estimator, qn_json_writer *json)
{
    const struct classes *model = (const struct classes *)estimator;
    qn_json_put_text(json, "kernel", kind_names[model->kind]);
    qn_json_put_int(json, "processes", estimator->n_outputs);
    qn_json_put_int(json, "features", model->n_dense);
    qn_json_put_int(json, "rows", model->n_rows);
}

const qn_family qn_family_gaussian_classes = {.name = "gaussian_classes",
                                              .predict = predict,
                                              .scratch_bytes = scratch_bytes,
                                              .write = write_model,
                                              .read = read_model,
                                              .describe = describe,
                                              .free = free_model};
