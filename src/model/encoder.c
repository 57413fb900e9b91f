/* SPDX-License-Identifier: Apache-2.0 */
#include "model/encoder.h"

#include "base/alloc.h"

#include <math.h>
#include <string.h>

enum { WIDTH_MAX = 1 << 20, PARAMS_MAX = 1 << 28 };

static bool knots_rise(const float *knots, int32_t n)
{
    for (int32_t i = 0; i < n; i++) {
        if (!isfinite(knots[i]) || (i > 0 && !(knots[i] > knots[i - 1]))) return false;
    }
    return true;
}

static bool is_sound(const qn_encoder *e, const qn_field *f)
{
    const int32_t n_columns = f->kind == QN_FIELD_BAG ? e->n_sparse : e->n_dense;
    if (f->kind < 0 || f->kind >= QN_N_FIELD_KINDS || f->first < 0 || f->n < 1 ||
        f->n > n_columns || f->first > n_columns - f->n || f->width < 1 || f->width > WIDTH_MAX) {
        return false;
    }
    if (f->kind == QN_FIELD_COPY) return f->width == f->n && f->n_knots == 0;
    if (f->kind == QN_FIELD_EMBED || f->kind == QN_FIELD_BAG) {
        return f->n_knots == 0 && (int64_t)f->n * f->width <= PARAMS_MAX;
    }
    return f->n == 1 && f->n_knots >= 2 && f->n_knots <= e->n_knots &&
           f->width == (f->kind == QN_FIELD_QUANTILE ? 1 : f->n_knots - 1);
}

bool qn_encoder_plan(qn_encoder *e)
{
    int64_t n_inputs = 0, n_params = 0, n_knots = 0;
    for (int32_t i = 0; i < e->n_fields; i++) {
        qn_field *f = &e->fields[i];
        if (!is_sound(e, f) || n_knots + f->n_knots > e->n_knots) return false;
        if (!knots_rise(e->knots + n_knots, f->n_knots)) return false;
        f->first_knot = (int32_t)n_knots;
        f->first_input = (int32_t)n_inputs;
        f->first_param = (int32_t)n_params;
        n_knots += f->n_knots;
        n_inputs += f->width;
        if (f->kind == QN_FIELD_EMBED || f->kind == QN_FIELD_BAG) {
            n_params += (int64_t)f->n * f->width;
        }
        if (n_inputs > WIDTH_MAX || n_params > PARAMS_MAX) return false;
    }
    e->n_inputs = (int32_t)n_inputs;
    e->n_params = (int32_t)n_params;
    return n_inputs > 0 && n_knots == e->n_knots;
}

/* The interval between knots that x lies in: 0 … n - 2. */
static int32_t interval_of(const float *knots, int32_t n, float x)
{
    int32_t low = 0, high = n - 1;
    while (high - low > 1) {
        const int32_t middle = (low + high) / 2;
        if (x < knots[middle]) {
            high = middle;
        } else {
            low = middle;
        }
    }
    return low;
}

static void interpolate(const qn_field *f, const float *knots, float x, float *out)
{
    static const float spread = 1.7320508f; /* half of what is uniform with variance one */
    const int32_t at = interval_of(knots, f->n_knots, x);
    float share = (x - knots[at]) / (knots[at + 1] - knots[at]);
    share = share > 0 ? share < 1 ? share : 1 : 0;
    if (f->kind == QN_FIELD_QUANTILE) {
        *out = spread * (2 * ((float)at + share) / (float)(f->n_knots - 1) - 1);
        return;
    }
    for (int32_t t = 0; t < f->width; t++) {
        out[t] = t < at ? 1 : 0;
    }
    out[at] = share;
}

static void add_scaled(float scale, const float *a, float *out, int32_t n)
{
    for (int32_t i = 0; i < n; i++) {
        out[i] += scale * a[i];
    }
}

/* Calls for every entry of a learned field in row i: column c of the field holds x. */
typedef void visit_entry(void *context, int32_t c, float x);

struct entry_context {
    const float *table; /* n × width, or NULL */
    float *out;         /* inputs, or the gradient of the table */
    const float *delta;
    int32_t width;
};

static void add_vector(void *memory, int32_t c, float x)
{
    const struct entry_context *at = memory;
    add_scaled(x, at->table + (int64_t)c * at->width, at->out, at->width);
}

static void add_gradient(void *memory, int32_t c, float x)
{
    const struct entry_context *at = memory;
    add_scaled(x, at->delta, at->out + (int64_t)c * at->width, at->width);
}

static void visit(const qn_encoder *e, const qn_field *f, const qn_encoder_rows *rows, int64_t i,
                  visit_entry *entry, struct entry_context *context)
{
    if (f->kind == QN_FIELD_EMBED) {
        const float *x = rows->dense + i * e->n_dense + f->first;
        for (int32_t c = 0; c < f->n; c++) {
            if (x[c] != 0) entry(context, c, x[c]);
        }
        return;
    }
    const qn_matrix *sparse = rows->sparse;
    const int64_t row = rows->rows ? rows->rows[i] : i;
    for (int64_t j = sparse->sparse_starts[row]; j < sparse->sparse_starts[row + 1]; j++) {
        const int32_t c = sparse->sparse_cols[j] - f->first;
        if (c >= 0 && c < f->n) entry(context, c, sparse->sparse_values[j]);
    }
}

static void encode_row(const qn_encoder *e, const float *params, const qn_encoder_rows *rows,
                       int64_t i, float *out)
{
    const float *x = rows->dense + i * e->n_dense;
    for (int32_t at = 0; at < e->n_fields; at++) {
        const qn_field *f = &e->fields[at];
        float *to = out + f->first_input;
        if (f->kind == QN_FIELD_COPY) {
            memcpy(to, x + f->first, (size_t)f->n * sizeof *to);
        } else if (f->kind == QN_FIELD_QUANTILE || f->kind == QN_FIELD_PIECEWISE) {
            interpolate(f, e->knots + f->first_knot, x[f->first], to);
        } else {
            struct entry_context context = {params + f->first_param, to, NULL, f->width};
            memset(to, 0, (size_t)f->width * sizeof *to);
            visit(e, f, rows, i, add_vector, &context);
        }
    }
}

void qn_encoder_apply(const qn_encoder *e, const float *params, const qn_encoder_rows *rows,
                      float *out)
{
    for (int64_t i = 0; i < rows->n_rows; i++) {
        encode_row(e, params, rows, i, out + i * e->n_inputs);
    }
}

void qn_encoder_backward(const qn_encoder *e, const qn_encoder_rows *rows, const float *delta,
                         float *gradient)
{
    for (int32_t at = 0; at < e->n_fields; at++) {
        const qn_field *f = &e->fields[at];
        if (f->kind != QN_FIELD_EMBED && f->kind != QN_FIELD_BAG) continue;
        for (int64_t i = 0; i < rows->n_rows; i++) {
            struct entry_context context = {NULL, gradient + f->first_param,
                                            delta + i * e->n_inputs + f->first_input, f->width};
            visit(e, f, rows, i, add_gradient, &context);
        }
    }
}

static qn_status allocate(qn_encoder *e, qn_error *err)
{
    e->fields = qn_alloc_array(e->n_fields, sizeof *e->fields);
    e->knots = qn_alloc_array(e->n_knots, sizeof *e->knots);
    if (e->fields && e->knots) return QN_OK;
    qn_encoder_release(e);
    return qn_fail(err, QN_ERR_NOMEM, "no memory for the inputs of a network");
}

qn_status qn_encoder_copy(const qn_encoder *from, qn_encoder *out, qn_error *err)
{
    *out = *from;
    QN_TRY(allocate(out, err));
    memcpy(out->fields, from->fields, (size_t)from->n_fields * sizeof *out->fields);
    memcpy(out->knots, from->knots, (size_t)from->n_knots * sizeof *out->knots);
    return QN_OK;
}

void qn_encoder_release(qn_encoder *e)
{
    qn_free(e->fields);
    qn_free(e->knots);
    *e = (qn_encoder){0};
}

enum { FIELD_NUMBERS = 5 };

void qn_encoder_write(const qn_encoder *e, qn_writer *writer)
{
    qn_write_i32(writer, e->n_dense);
    qn_write_i32(writer, e->n_sparse);
    qn_write_i32(writer, e->n_fields);
    for (int32_t i = 0; i < e->n_fields; i++) {
        const qn_field *f = &e->fields[i];
        const int32_t numbers[FIELD_NUMBERS] = {f->kind, f->first, f->n, f->n_knots, f->width};
        for (int j = 0; j < FIELD_NUMBERS; j++) {
            qn_write_i32(writer, numbers[j]);
        }
    }
    qn_write_array(writer, e->knots, e->n_knots, sizeof *e->knots);
}

static bool read_parts(qn_reader *reader, qn_encoder *e)
{
    for (int32_t i = 0; i < e->n_fields; i++) {
        qn_field *f = &e->fields[i];
        int32_t *const numbers[FIELD_NUMBERS] = {&f->kind, &f->first, &f->n, &f->n_knots,
                                                 &f->width};
        for (int j = 0; j < FIELD_NUMBERS; j++) {
            *numbers[j] = qn_read_i32(reader);
        }
    }
    int64_t n_knots;
    const float *knots = qn_read_array(reader, sizeof *knots, &n_knots);
    if (reader->failed || n_knots > WIDTH_MAX) return false;
    e->n_knots = (int32_t)n_knots;
    qn_free(e->knots);
    e->knots = qn_alloc_array(n_knots, sizeof *e->knots);
    if (!e->knots) return false;
    memcpy(e->knots, knots, (size_t)n_knots * sizeof *knots);
    return qn_encoder_plan(e);
}

qn_status qn_encoder_read(qn_reader *reader, int64_t n_features, qn_encoder *out, qn_error *err)
{
    *out = (qn_encoder){0};
    out->n_dense = qn_read_i32(reader);
    out->n_sparse = qn_read_i32(reader);
    out->n_fields = qn_read_i32(reader);
    if (reader->failed || out->n_dense < 0 || out->n_sparse < 0 ||
        (int64_t)out->n_dense + out->n_sparse != n_features || out->n_fields < 1 ||
        (size_t)out->n_fields > (reader->bytes - reader->at) / (FIELD_NUMBERS * sizeof(int32_t))) {
        *out = (qn_encoder){0};
        return qn_fail(err, QN_ERR_DATA, "model: a neural network is damaged");
    }
    QN_TRY(allocate(out, err));
    if (read_parts(reader, out)) return QN_OK;
    const bool no_memory = !out->knots;
    qn_encoder_release(out);
    return no_memory ? qn_fail(err, QN_ERR_NOMEM, "no memory for the inputs of a network")
                     : qn_fail(err, QN_ERR_DATA, "model: a neural network is damaged");
}
