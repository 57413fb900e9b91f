/* SPDX-License-Identifier: Apache-2.0 */
#include "model/svm_model.h"

#include "base/alloc.h"
#include "linalg/gemm.h"

#include <math.h>
#include <string.h>

enum { TILE_VECTORS = 256, COUPLING_STEPS_MAX = 100 };

struct svm {
    qn_estimator head;
    qn_kernel kernel;
    bool borrowed;
    int32_t n_classes;
    qn_kernel_rows vectors;
    const int64_t *class_ends;
    const double *coefficients, *machines;
};

static const char *const kernel_names[] = {"linear", "poly", "rbf", "sigmoid"};

int64_t qn_svm_n_machines(int32_t n_classes)
{
    return n_classes < 2 ? 1 : (int64_t)n_classes * (n_classes - 1) / 2;
}

/* Coefficients of one vector. */
static int64_t n_roles(int32_t n_classes)
{
    return n_classes < 2 ? 1 : n_classes - 1;
}

static void free_model(qn_estimator *estimator)
{
    struct svm *model = (struct svm *)estimator;
    if (!model->borrowed) {
        qn_kernel_rows_release(&model->vectors);
        qn_free((void *)(uintptr_t)model->class_ends);
        qn_free((void *)(uintptr_t)model->coefficients);
        qn_free((void *)(uintptr_t)model->machines);
    }
    qn_free(model);
}

static void *copy_of(const void *from, int64_t n, size_t item_bytes)
{
    void *copy = qn_alloc_array(n, item_bytes);
    if (copy && n > 0) memcpy(copy, from, (size_t)n * item_bytes);
    return copy;
}

qn_status qn_svm_create(const qn_svm_model *from, qn_estimator **out, qn_error *err)
{
    *out = NULL;
    struct svm *model = qn_alloc_array(1, sizeof *model);
    if (!model) return qn_fail(err, QN_ERR_NOMEM, "no memory for a support vector machine");
    *model = (struct svm){
        .head = {.family = &qn_family_svm, .view = QN_VIEW_DENSE, .n_outputs = from->n_outputs},
        .kernel = from->kernel,
        .n_classes = from->n_classes,
        .class_ends = copy_of(from->class_ends, from->n_classes, sizeof(int64_t)),
        .coefficients =
            copy_of(from->coefficients, n_roles(from->n_classes) * from->n_vectors, sizeof(double)),
        .machines =
            copy_of(from->machines, 3 * qn_svm_n_machines(from->n_classes), sizeof(double))};
    qn_status status = QN_OK;
    if (!model->class_ends || !model->coefficients || !model->machines) {
        status = qn_fail(err, QN_ERR_NOMEM, "no memory for a support vector machine");
    }
    if (status == QN_OK) {
        status = qn_kernel_rows_fill(from->x, from->rows, from->n_vectors, &model->vectors, err);
    }
    if (status != QN_OK) {
        free_model(&model->head);
        return status;
    }
    *out = &model->head;
    return QN_OK;
}

/* Parts of scratch for a block of rows. */
struct work {
    double *sums;  /* n_rows × n_classes × n_roles: by class of the vectors and role */
    double *pairs; /* probabilities of pairs, then room to couple them: k (2 k + 1) */
    float *rows;   /* n_rows × n_dense */
    float *tile;   /* n_rows × TILE_VECTORS */
    float *dense, *sparse;
};

static size_t lay_out(const struct svm *model, int64_t n_rows, void *scratch, struct work *work)
{
    const size_t n = (size_t)n_rows, k = (size_t)model->n_classes;
    const size_t n_sums = n * k * (size_t)n_roles(model->n_classes), n_pairs = k * (2 * k + 1);
    const size_t n_dense = (size_t)model->vectors.n_dense;
    double *doubles = scratch;
    float *floats = scratch ? (float *)(doubles + n_sums + n_pairs) : NULL;
    if (scratch) {
        work->sums = doubles;
        work->pairs = doubles + n_sums;
        work->rows = floats;
        work->tile = work->rows + n * n_dense;
        work->dense = work->tile + n * TILE_VECTORS;
        work->sparse = work->dense + n_dense;
    }
    return (n_sums + n_pairs) * sizeof(double) +
           (n * n_dense + n * TILE_VECTORS + n_dense + (size_t)model->vectors.n_sparse) *
               sizeof(float);
}

static size_t scratch_bytes(const qn_estimator *estimator, int64_t n_rows)
{
    struct work work;
    return lay_out((const struct svm *)estimator, n_rows, NULL, &work);
}

/* Adds the kernels of one row with vectors first … first + n - 1 to its sums. */
static void add_tile(const struct svm *model, const float *kernels, int64_t first, int64_t n,
                     double *sums)
{
    const int64_t roles = n_roles(model->n_classes);
    int64_t begin = 0;
    for (int32_t c = 0; c < model->n_classes; c++) {
        const int64_t from = begin > first ? begin : first;
        const int64_t end = model->class_ends[c] < first + n ? model->class_ends[c] : first + n;
        for (int64_t role = 0; role < roles; role++) {
            const double *coefficients = model->coefficients + role * model->vectors.n;
            double sum = sums[c * roles + role];
            for (int64_t i = from; i < end; i++) {
                sum += coefficients[i] * (double)kernels[i - first];
            }
            sums[c * roles + role] = sum;
        }
        begin = model->class_ends[c];
    }
}

static void find_sums(const struct svm *model, const qn_matrix *features, struct work *work)
{
    const int64_t n_rows = features->n_rows, n_dense = model->vectors.n_dense;
    const int64_t n_sums = model->n_classes * n_roles(model->n_classes);
    qn_matrix_gather(features, 0, n_rows, n_dense, work->rows);
    memset(work->sums, 0, (size_t)(n_rows * n_sums) * sizeof *work->sums);
    memset(work->sparse, 0, (size_t)model->vectors.n_sparse * sizeof *work->sparse);
    for (int64_t first = 0; first < model->vectors.n; first += TILE_VECTORS) {
        const int64_t rest = model->vectors.n - first;
        const qn_gemm product = {.m = n_rows,
                                 .n = rest < TILE_VECTORS ? rest : TILE_VECTORS,
                                 .k = n_dense,
                                 .a = work->rows,
                                 .a_row_step = n_dense,
                                 .a_col_step = 1,
                                 .panels = model->vectors.panels + first * n_dense,
                                 .c = work->tile,
                                 .c_row_step = TILE_VECTORS};
        qn_gemm_run(&product, NULL);
        for (int64_t i = 0; i < n_rows; i++) {
            qn_kernel_point point = {.dense = work->dense, .sparse = work->sparse};
            float *kernels = work->tile + i * TILE_VECTORS;
            point.square = qn_kernel_point_spread(features, i, work->dense, work->sparse);
            qn_kernel_rows_finish(&model->vectors, &model->kernel, &point, first, product.n,
                                  kernels);
            qn_kernel_point_clear(features, i, work->sparse);
            add_tile(model, kernels, first, product.n, work->sums + i * n_sums);
        }
    }
}

/* Decision of the machine of classes i < j. */
static double decision(const struct svm *model, const double *sums, int32_t i, int32_t j,
                       int64_t machine)
{
    const int64_t roles = n_roles(model->n_classes);
    return sums[i * roles + j - 1] + sums[j * roles + i] + model->machines[3 * machine];
}

/* Wu, Lin & Weng 2004, algorithm 2: minimises sum_ij (r_ji p_i - r_ij p_j)², r being the pairs'
 * probabilities, one p_t at a time. `q`: room for k (k + 1). */
static void couple(int32_t k, const double *r, double *q, double *p)
{
    double *qp = q + (size_t)k * (size_t)k;
    for (int32_t t = 0; t < k; t++) {
        p[t] = 1.0 / k;
        q[t * k + t] = 0;
        for (int32_t j = 0; j < k; j++) {
            if (j == t) continue;
            q[t * k + t] += r[j * k + t] * r[j * k + t];
            q[t * k + j] = -r[j * k + t] * r[t * k + j];
        }
    }
    for (int step = 0; step < COUPLING_STEPS_MAX; step++) {
        double pqp = 0, worst = 0;
        for (int32_t t = 0; t < k; t++) {
            qp[t] = 0;
            for (int32_t j = 0; j < k; j++) {
                qp[t] += q[t * k + j] * p[j];
            }
            pqp += p[t] * qp[t];
        }
        for (int32_t t = 0; t < k; t++) {
            worst = fmax(worst, fabs(qp[t] - pqp));
        }
        if (worst < 1e-6 / k) break;
        for (int32_t t = 0; t < k; t++) {
            const double change = (pqp - qp[t]) / q[t * k + t];
            p[t] += change;
            pqp = (pqp + change * (change * q[t * k + t] + 2 * qp[t])) /
                  ((1 + change) * (1 + change));
            for (int32_t j = 0; j < k; j++) {
                qp[j] = (qp[j] + change * q[t * k + j]) / (1 + change);
                p[j] /= 1 + change;
            }
        }
    }
}

static void link_row(const struct svm *model, const double *sums, double *room, double *out)
{
    const int32_t k = model->n_classes;
    const double *m = model->machines;
    if (k < 2) {
        out[0] = m[2] + m[1] * (sums[0] + m[0]);
        return;
    }
    if (k == 2) {
        out[0] = 1 - 1 / (1 + exp(m[1] * decision(model, sums, 0, 1, 0) + m[2]));
        return;
    }
    int64_t machine = 0;
    double *r = room, *q = room + (size_t)k * (size_t)k;
    for (int32_t i = 0; i < k; i++) {
        for (int32_t j = i + 1; j < k; j++, machine++) {
            const double f = decision(model, sums, i, j, machine);
            double p = 1 / (1 + exp(m[3 * machine + 1] * f + m[3 * machine + 2]));
            p = fmin(fmax(p, 1e-7), 1 - 1e-7);
            r[i * k + j] = p;
            r[j * k + i] = 1 - p;
        }
    }
    couple(k, r, q, out);
}

static void predict(const qn_estimator *estimator, const qn_matrix *features, double *out,
                    void *scratch)
{
    const struct svm *model = (const struct svm *)estimator;
    const int64_t n_sums = model->n_classes * n_roles(model->n_classes);
    struct work work;
    lay_out(model, features->n_rows, scratch, &work);
    find_sums(model, features, &work);
    for (int64_t i = 0; i < features->n_rows; i++) {
        link_row(model, work.sums + i * n_sums, work.pairs, out + i * estimator->n_outputs);
    }
}

void qn_svm_decide(const qn_estimator *estimator, const qn_matrix *features, double *out,
                   void *scratch)
{
    const struct svm *model = (const struct svm *)estimator;
    const int32_t k = model->n_classes;
    const int64_t n_sums = k * n_roles(k);
    struct work work;
    lay_out(model, features->n_rows, scratch, &work);
    find_sums(model, features, &work);
    for (int64_t row = 0; row < features->n_rows; row++) {
        const double *sums = work.sums + row * n_sums;
        double *to = out + row * qn_svm_n_machines(k);
        int64_t machine = 0;
        if (k < 2) to[0] = sums[0] + model->machines[0];
        for (int32_t i = 0; i < k; i++) {
            for (int32_t j = i + 1; j < k; j++, machine++) {
                to[machine] = decision(model, sums, i, j, machine);
            }
        }
    }
}

static void write_model(const qn_estimator *estimator, qn_writer *writer)
{
    const struct svm *model = (const struct svm *)estimator;
    const qn_kernel_rows *v = &model->vectors;
    qn_write_i32(writer, (int32_t)model->kernel.kind);
    qn_write_i32(writer, model->kernel.degree);
    qn_write_f64(writer, (double)model->kernel.gamma);
    qn_write_f64(writer, (double)model->kernel.coef0);
    qn_write_i64(writer, v->n_dense);
    qn_write_i64(writer, v->n_sparse);
    qn_write_array(writer, model->class_ends, model->n_classes, sizeof(int64_t));
    qn_write_array(writer, v->squares, v->n, sizeof(float));
    qn_write_array(writer, v->panels, qn_panels_floats(v->n_dense, v->n), sizeof(float));
    qn_write_array(writer, v->starts, v->n_sparse > 0 ? v->n + 1 : 0, sizeof(int64_t));
    const int64_t n_values = v->n_sparse > 0 ? v->starts[v->n] : 0;
    qn_write_array(writer, v->cols, n_values, sizeof(int32_t));
    qn_write_array(writer, v->values, n_values, sizeof(float));
    qn_write_array(writer, model->coefficients, n_roles(model->n_classes) * v->n, sizeof(double));
    qn_write_array(writer, model->machines, 3 * qn_svm_n_machines(model->n_classes),
                   sizeof(double));
}

/* Arrays of the lengths they must have, indices within them. */
struct lengths {
    int64_t panels, starts, cols, values, coefficients, machines;
};

static bool is_sparse_sound(const qn_kernel_rows *v, const struct lengths *n)
{
    if (v->n_sparse == 0) return n->starts == 0 && n->cols == 0 && n->values == 0;
    if (n->starts != v->n + 1 || n->cols != n->values || v->starts[0] != 0) return false;
    for (int64_t i = 0; i < v->n; i++) {
        if (v->starts[i + 1] < v->starts[i] || v->starts[i + 1] > n->values) return false;
    }
    for (int64_t p = 0; p < n->cols; p++) {
        if (v->cols[p] < 0 || v->cols[p] >= v->n_sparse) return false;
    }
    return v->starts[v->n] == n->values;
}

static bool is_sound(const struct svm *model, int64_t n_features, const struct lengths *n)
{
    const qn_kernel_rows *v = &model->vectors;
    const int32_t k = model->n_classes;
    if (k < 1 || v->n < 0 || v->n > INT32_MAX || v->n_dense < 0 || v->n_sparse < 0 ||
        v->n_dense > n_features || v->n_sparse != n_features - v->n_dense ||
        n->panels != qn_panels_floats(v->n_dense, v->n) || n->coefficients != n_roles(k) * v->n ||
        n->machines != 3 * qn_svm_n_machines(k)) {
        return false;
    }
    for (int32_t c = 0; c < k; c++) {
        if (model->class_ends[c] < (c > 0 ? model->class_ends[c - 1] : 0)) return false;
    }
    return model->class_ends[k - 1] == v->n && is_sparse_sound(v, n);
}

static qn_status read_model(qn_reader *reader, int64_t n_features, qn_estimator **out,
                            qn_error *err)
{
    struct svm *model = qn_alloc_array(1, sizeof *model);
    if (!model) return qn_fail(err, QN_ERR_NOMEM, "no memory for a support vector machine");
    struct lengths n;
    int64_t n_classes;
    qn_kernel_rows *v = &model->vectors;
    const int32_t kind = qn_read_i32(reader);
    model->borrowed = true;
    model->kernel.degree = qn_read_i32(reader);
    model->kernel.gamma = (float)qn_read_f64(reader);
    model->kernel.coef0 = (float)qn_read_f64(reader);
    v->n_dense = qn_read_i64(reader);
    v->n_sparse = qn_read_i64(reader);
    model->class_ends = qn_read_array(reader, sizeof(int64_t), &n_classes);
    v->squares = (float *)(uintptr_t)qn_read_array(reader, sizeof(float), &v->n);
    v->panels = (float *)(uintptr_t)qn_read_array(reader, sizeof(float), &n.panels);
    v->starts = (int64_t *)(uintptr_t)qn_read_array(reader, sizeof(int64_t), &n.starts);
    v->cols = (int32_t *)(uintptr_t)qn_read_array(reader, sizeof(int32_t), &n.cols);
    v->values = (float *)(uintptr_t)qn_read_array(reader, sizeof(float), &n.values);
    model->coefficients = qn_read_array(reader, sizeof(double), &n.coefficients);
    model->machines = qn_read_array(reader, sizeof(double), &n.machines);
    const bool good_head = !reader->failed && kind >= 0 && kind <= QN_KERNEL_SIGMOID &&
                           model->kernel.degree >= 1 && model->kernel.degree <= 16 &&
                           n_classes <= QN_CLASSES_MAX;
    model->n_classes = (int32_t)(good_head ? n_classes : 0);
    model->kernel.kind = (qn_kernel_kind)(good_head ? kind : 0);
    model->head.n_outputs = model->n_classes > 2 ? model->n_classes : 1;
    if (!good_head || !is_sound(model, n_features, &n)) {
        qn_free(model);
        return qn_fail(err, QN_ERR_DATA, "model: a support vector machine is damaged");
    }
    model->head.n_dense = v->n_dense;
    *out = &model->head;
    return QN_OK;
}

static void describe(const qn_estimator *estimator, qn_json_writer *json)
{
    const struct svm *model = (const struct svm *)estimator;
    qn_json_put_text(json, "kernel", kernel_names[model->kernel.kind]);
    qn_json_put_int(json, "vectors", model->vectors.n);
    qn_json_put_int(json, "machines", qn_svm_n_machines(model->n_classes));
}

const qn_family qn_family_svm = {.name = "svm",
                                 .predict = predict,
                                 .scratch_bytes = scratch_bytes,
                                 .write = write_model,
                                 .read = read_model,
                                 .describe = describe,
                                 .free = free_model};
