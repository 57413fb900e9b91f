/* SPDX-License-Identifier: Apache-2.0 */
/* Dates: days since 1970, and the parts of the calendar that vary in training. Tree view: the
 * parts as numbers. Dense view: the same, scaled, the cyclic ones as sine and cosine, and an
 * indicator of missing if training had any. */
#include "recipe/transform.h"

#include "base/alloc.h"

enum { N_PARTS = 9 };
static const struct {
    const char *suffix;
    double period; /* 0: not cyclic */
} parts[N_PARTS] = {{".days", 0},    {".year", 0},          {".month", 12},
                    {".day", 31},    {".weekday", 7},       {".hour", 24},
                    {".minute", 60}, {".day_of_year", 366}, {".second_of_day", 86400}};

struct datetime {
    uint32_t used; /* bit i: part i varies in training */
    bool has_indicator;
    qn_scale scales[N_PARTS];
};

static void take_apart(double micros, double *out)
{
    if (isnan(micros) || fabs(micros) > 8e18) {
        for (int p = 0; p < N_PARTS; p++) {
            out[p] = QN_NA;
        }
        return;
    }
    qn_civil_time t;
    qn_timestamp_civil((int64_t)micros, &t);
    const int32_t seconds = (t.hour * 60 + t.minute) * 60 + t.second;
    const double values[N_PARTS] = {
        floor(micros / 86400e6), t.year, t.month, t.day, t.weekday, t.hour, t.minute,
        t.day_of_year,           seconds};
    for (int p = 0; p < N_PARTS; p++) {
        out[p] = values[p];
    }
}

static qn_status add_features(const char *name, uint32_t used, qn_step *step, qn_error *err)
{
    for (int p = 0; p < N_PARTS; p++) {
        if (!(used >> p & 1)) continue;
        QN_TRY(qn_step_add_feature(step, QN_VIEW_TREE, name, parts[p].suffix, 0, err));
        QN_TRY(qn_step_add_feature(step, QN_VIEW_DENSE, name, parts[p].suffix, 0, err));
        if (parts[p].period == 0) continue;
        qn_str suffix = {0};
        qn_str_addf(&suffix, "%s.sin", parts[p].suffix);
        qn_status status =
            suffix.failed ? QN_ERR_NOMEM
                          : qn_step_add_feature(step, QN_VIEW_DENSE, name, suffix.text, 0, err);
        qn_str_clear(&suffix);
        qn_str_addf(&suffix, "%s.cos", parts[p].suffix);
        if (status == QN_OK && !suffix.failed) {
            status = qn_step_add_feature(step, QN_VIEW_DENSE, name, suffix.text, 0, err);
        }
        qn_str_release(&suffix);
        if (status != QN_OK) return qn_fail(err, status, "no memory for a column of dates");
    }
    return QN_OK;
}

static qn_status fit(const qn_fit_column *column, qn_step *step, qn_error *err)
{
    const int64_t n = column->n_rows;
    struct datetime *state = qn_alloc_array(1, sizeof *state);
    double *values = qn_alloc_array(n * N_PARTS, sizeof *values);
    step->state = state;
    qn_status status = QN_OK;
    if (!state || !values) status = qn_fail(err, QN_ERR_NOMEM, "no memory for a column of dates");
    for (int64_t i = 0; status == QN_OK && i < n; i++) {
        double row[N_PARTS];
        take_apart(column->cells[i].number, row);
        state->has_indicator |= isnan(row[0]);
        for (int p = 0; p < N_PARTS; p++) {
            values[p * n + i] = row[p];
        }
    }
    for (int p = 0; status == QN_OK && p < N_PARTS; p++) {
        double low = QN_INF, high = -QN_INF;
        for (int64_t i = 0; i < n; i++) {
            low = fmin(low, values[p * n + i]);
            high = fmax(high, values[p * n + i]);
        }
        if (!(low < high)) continue;
        state->used |= 1u << p;
        status = qn_scale_fit(values + p * n, n, false, &state->scales[p], err);
    }
    qn_free(values);
    const char *name = column->schema_column->name;
    if (status == QN_OK) status = add_features(name, state->used, step, err);
    if (status == QN_OK && state->has_indicator) {
        status = qn_step_add_feature(step, QN_VIEW_DENSE, name, " is missing", 0, err);
    }
    return status;
}

static void apply(const qn_step *step, qn_view view, const qn_cell *cells, int64_t n_rows,
                  double *out, int64_t stride)
{
    const struct datetime *state = step->state;
    for (int64_t i = 0; i < n_rows; i++) {
        double row[N_PARTS];
        int64_t at = i;
        take_apart(cells[i].number, row);
        for (int p = 0; p < N_PARTS; p++) {
            if (!(state->used >> p & 1)) continue;
            out[at] = view == QN_VIEW_TREE ? row[p] : qn_scale_apply(&state->scales[p], row[p]);
            at += stride;
            if (view == QN_VIEW_TREE || parts[p].period == 0) continue;
            const double angle = row[p] / parts[p].period * 6.283185307179586;
            out[at] = isnan(angle) ? 0 : sin(angle);
            out[at + stride] = isnan(angle) ? 0 : cos(angle);
            at += 2 * stride;
        }
        if (view == QN_VIEW_DENSE && state->has_indicator) out[at] = isnan(row[0]);
    }
}

static void write_state(const qn_step *step, qn_writer *writer)
{
    const struct datetime *state = step->state;
    qn_write_i32(writer, (int32_t)state->used);
    for (int p = 0; p < N_PARTS; p++) {
        qn_scale_write(&state->scales[p], writer);
    }
}

static qn_status read_state(qn_reader *reader, qn_step *step, qn_error *err)
{
    struct datetime *state = qn_alloc_array(1, sizeof *state);
    step->state = state;
    if (!state) return qn_fail(err, QN_ERR_NOMEM, "no memory for a column of dates");
    state->used = (uint32_t)qn_read_i32(reader);
    bool good = state->used < 1u << N_PARTS;
    int32_t n_tree = 0, n_dense = 0;
    for (int p = 0; p < N_PARTS; p++) {
        good = good && qn_scale_read(reader, &state->scales[p]);
        const int32_t used = state->used >> p & 1;
        n_tree += used;
        n_dense += used * (parts[p].period > 0 ? 3 : 1);
    }
    /* The number of features tells whether there is an indicator. */
    state->has_indicator = step->n_dense[QN_VIEW_DENSE] == n_dense + 1;
    if (!good || step->n_dense[QN_VIEW_TREE] != n_tree ||
        step->n_dense[QN_VIEW_DENSE] != n_dense + state->has_indicator) {
        return qn_fail(err, QN_ERR_DATA, "recipe: a column of dates is damaged");
    }
    return QN_OK;
}

const qn_transform qn_transform_datetime = {
    .name = "datetime",
    .kinds = 1u << QN_KIND_DATETIME,
    .fit = fit,
    .apply = apply,
    .write = write_state,
    .read = read_state,
    .free_state = qn_free,
};
