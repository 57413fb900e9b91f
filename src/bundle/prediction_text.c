/* SPDX-License-Identifier: Apache-2.0 */
#include "bundle/prediction_text.h"

#include "base/alloc.h"
#include "base/arena.h"
#include "base/json.h"
#include "bundle/bundle.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

struct quoted {
    const char *text;
    size_t bytes;
};

/* What a prediction can decide for: a class or a cluster. */
struct label_text {
    struct quoted csv, json;
};

/* A column of numbers. */
struct column_text {
    struct quoted csv_name; /* p_<class>, for the header */
    struct quoted json_key; /* "p_<class>": */
};

struct qn_prediction_text {
    const qn_model *model;
    qn_arena arena;     /* holds every text below */
    bool decides;       /* there is a column "prediction" */
    bool probabilities; /* the columns are those of the classes, else the outputs */
    int32_t n_labels, n_columns;
    struct label_text *labels;
    struct column_text *columns;
};

void qn_csv_add_field(qn_str *out, const char *text, size_t bytes)
{
    bool quote = bytes > 0 && (text[0] == ' ' || text[bytes - 1] == ' ');
    for (size_t i = 0; i < bytes; i++) {
        quote |= text[i] == ',' || text[i] == '"' || text[i] == '\n' || text[i] == '\r';
    }
    if (!quote) {
        qn_str_add_bytes(out, text, bytes);
        return;
    }
    qn_str_add_char(out, '"');
    for (size_t i = 0; i < bytes; i++) {
        if (text[i] == '"') qn_str_add_char(out, '"');
        qn_str_add_char(out, text[i]);
    }
    qn_str_add_char(out, '"');
}

/* Moves what `scratch` holds into the arena, and clears it. */
static struct quoted keep(qn_arena *arena, qn_str *scratch)
{
    const struct quoted kept = {
        scratch->failed
            ? NULL
            : qn_arena_strndup(arena, scratch->text ? scratch->text : "", scratch->bytes),
        scratch->bytes};
    qn_str_clear(scratch);
    return kept;
}

static bool quote_label(const char *label, qn_arena *arena, struct label_text *out)
{
    qn_str scratch = {0};
    qn_json_writer json = {.out = &scratch};
    qn_csv_add_field(&scratch, label, strlen(label));
    out->csv = keep(arena, &scratch);
    qn_json_text(&json, label);
    out->json = keep(arena, &scratch);
    qn_str_release(&scratch);
    return out->csv.text && out->json.text;
}

static void name_column(const qn_prediction_text *text, int32_t c, qn_str *out)
{
    const qn_task task = qn_model_schema(text->model)->task;
    if (task == QN_TASK_REDUCTION) {
        qn_str_addf(out, "component_%d", (int)c + 1);
    } else if (task == QN_TASK_OUTLIERS) {
        qn_str_add(out, "score");
    } else {
        qn_str_addf(out, "%s_%s", text->probabilities ? "p" : "distance",
                    qn_model_class(text->model, c));
    }
}

static bool quote_column(qn_prediction_text *text, int32_t c)
{
    qn_str name = {0}, scratch = {0};
    qn_json_writer json = {.out = &scratch};
    struct column_text *column = &text->columns[c];
    name_column(text, c, &name);
    const char *terminated = name.failed ? "" : name.text;
    qn_csv_add_field(&scratch, terminated, strlen(terminated));
    column->csv_name = keep(&text->arena, &scratch);
    qn_json_key(&json, terminated);
    column->json_key = keep(&text->arena, &scratch);
    const bool whole = !name.failed && column->csv_name.text && column->json_key.text;
    qn_str_release(&name);
    qn_str_release(&scratch);
    return whole;
}

static bool quote_all(qn_prediction_text *text)
{
    text->labels = qn_arena_array(&text->arena, text->n_labels, sizeof *text->labels);
    text->columns = qn_arena_array(&text->arena, text->n_columns, sizeof *text->columns);
    if (!text->labels || !text->columns) return false;
    for (int32_t c = 0; c < text->n_labels; c++) {
        if (!quote_label(qn_model_class(text->model, c), &text->arena, &text->labels[c])) {
            return false;
        }
    }
    for (int32_t c = 0; c < text->n_columns; c++) {
        if (!quote_column(text, c)) return false;
    }
    return true;
}

qn_status qn_prediction_text_create(const qn_model *model, qn_prediction_text **out, qn_error *err)
{
    *out = NULL;
    qn_prediction_text *text = qn_alloc_array(1, sizeof *text);
    if (!text) return qn_fail(err, QN_ERR_NOMEM, "no memory for the predictions");
    text->model = model;
    const qn_task task = qn_model_schema(model)->task;
    text->decides = task != QN_TASK_REDUCTION;
    text->probabilities = qn_task_is_supervised(task);
    text->n_labels = qn_model_n_classes(model);
    text->n_columns = text->probabilities ? text->n_labels : qn_model_n_outputs(model);
    if (!quote_all(text)) {
        qn_prediction_text_free(text);
        return qn_fail(err, QN_ERR_NOMEM, "no memory for the predictions");
    }
    *out = text;
    return QN_OK;
}

void qn_prediction_text_free(qn_prediction_text *text)
{
    if (!text) return;
    qn_arena_release(&text->arena);
    qn_free(text);
}

static void add(qn_str *out, struct quoted text)
{
    qn_str_add_bytes(out, text.text, text.bytes);
}

static void add_json_number(qn_str *out, double value)
{
    if (isfinite(value)) {
        qn_str_add_double(out, value);
    } else {
        qn_str_add(out, "null");
    }
}

/* The value of column c; a binary model's outputs hold the probability of class 1 alone. */
static double value_of(const qn_prediction_text *text, const double *outputs, int32_t c)
{
    if (!text->probabilities || qn_model_n_outputs(text->model) > 1) return outputs[c];
    return c == 1 ? outputs[0] : 1 - outputs[0];
}

void qn_prediction_add_csv_header(const qn_prediction_text *text, qn_str *out)
{
    if (text->decides) qn_str_add(out, "prediction");
    for (int32_t c = 0; c < text->n_columns; c++) {
        if (text->decides || c > 0) qn_str_add_char(out, ',');
        add(out, text->columns[c].csv_name);
    }
}

void qn_prediction_add_csv(const qn_prediction_text *text, const double *outputs, qn_str *out)
{
    if (text->n_columns == 0) {
        qn_str_add_double(out, outputs[0]);
    } else if (text->decides) {
        add(out, text->labels[qn_model_decide(text->model, outputs)].csv);
    }
    for (int32_t c = 0; c < text->n_columns; c++) {
        if (text->decides || c > 0) qn_str_add_char(out, ',');
        qn_str_add_double(out, value_of(text, outputs, c));
    }
}

void qn_prediction_add_json_value(const qn_prediction_text *text, const double *outputs,
                                  qn_str *out)
{
    if (text->n_columns == 0 || !text->decides) {
        add_json_number(out, outputs[0]);
    } else {
        add(out, text->labels[qn_model_decide(text->model, outputs)].json);
    }
}

void qn_prediction_add_json(const qn_prediction_text *text, const double *outputs, qn_str *out)
{
    if (text->decides) {
        qn_str_add(out, "\"prediction\":");
        qn_prediction_add_json_value(text, outputs, out);
    }
    for (int32_t c = 0; c < text->n_columns; c++) {
        if (text->decides || c > 0) qn_str_add_char(out, ',');
        add(out, text->columns[c].json_key);
        add_json_number(out, value_of(text, outputs, c));
    }
}

void qn_prediction_add_json_columns(const qn_prediction_text *text, const double *outputs,
                                    int64_t n_rows, qn_str *out)
{
    const int32_t n_outputs = qn_model_n_outputs(text->model);
    if (text->decides) qn_str_add(out, "\"prediction\":[");
    for (int64_t row = 0; text->decides && row < n_rows; row++) {
        if (row > 0) qn_str_add_char(out, ',');
        qn_prediction_add_json_value(text, outputs + row * n_outputs, out);
    }
    if (text->decides) qn_str_add_char(out, ']');
    for (int32_t c = 0; c < text->n_columns; c++) {
        if (text->decides || c > 0) qn_str_add_char(out, ',');
        add(out, text->columns[c].json_key);
        qn_str_add_char(out, '[');
        for (int64_t row = 0; row < n_rows; row++) {
            if (row > 0) qn_str_add_char(out, ',');
            add_json_number(out, value_of(text, outputs + row * n_outputs, c));
        }
        qn_str_add_char(out, ']');
    }
}

/* Intervals. */

static const char *const end_names[2] = {"lower_bound", "upper_bound"};

static void ends_of(const qn_prediction_text *text, int level, const double *outputs,
                    double ends[2])
{
    qn_predictor_interval(qn_model_predictor(text->model), level, outputs, &ends[0], &ends[1]);
}

void qn_prediction_add_csv_interval_header(qn_str *out)
{
    qn_str_addf(out, ",%s,%s", end_names[0], end_names[1]);
}

void qn_prediction_add_csv_interval(const qn_prediction_text *text, int level,
                                    const double *outputs, qn_str *out)
{
    double ends[2];
    ends_of(text, level, outputs, ends);
    for (int e = 0; e < 2; e++) {
        qn_str_add_char(out, ',');
        qn_str_add_double(out, ends[e]);
    }
}

void qn_prediction_add_json_interval(const qn_prediction_text *text, int level,
                                     const double *outputs, qn_str *out)
{
    double ends[2];
    ends_of(text, level, outputs, ends);
    for (int e = 0; e < 2; e++) {
        qn_str_addf(out, ",\"%s\":", end_names[e]);
        add_json_number(out, ends[e]);
    }
}

void qn_prediction_add_json_interval_columns(const qn_prediction_text *text, int level,
                                             const double *outputs, int64_t n_rows, qn_str *out)
{
    const int32_t n_outputs = qn_model_n_outputs(text->model);
    for (int e = 0; e < 2; e++) {
        qn_str_addf(out, ",\"%s\":[", end_names[e]);
        for (int64_t row = 0; row < n_rows; row++) {
            double ends[2];
            ends_of(text, level, outputs + row * n_outputs, ends);
            if (row > 0) qn_str_add_char(out, ',');
            add_json_number(out, ends[e]);
        }
        qn_str_add_char(out, ']');
    }
}

const char *qn_tensor_output_name(const qn_prediction_text *text, int output)
{
    if (output == QN_TENSOR_PREDICTION) return text->decides ? "prediction" : NULL;
    if (output == QN_TENSOR_INTERVAL) {
        return qn_model_require_intervals(text->model, NULL) == QN_OK ? "interval" : NULL;
    }
    if (text->n_columns == 0) return NULL;
    const qn_task task = qn_model_schema(text->model)->task;
    if (task == QN_TASK_REDUCTION) return "components";
    if (task == QN_TASK_OUTLIERS) return "scores";
    return text->probabilities ? "probabilities" : "distances";
}

int32_t qn_tensor_n_columns(const qn_prediction_text *text, int output)
{
    return output == QN_TENSOR_INTERVAL ? 2 : text->n_columns;
}

void qn_tensor_row(const qn_prediction_text *text, int output, int level, const double *outputs,
                   double *row)
{
    if (output == QN_TENSOR_INTERVAL) {
        ends_of(text, level, outputs, row);
        return;
    }
    for (int32_t c = 0; c < text->n_columns; c++) {
        row[c] = value_of(text, outputs, c);
    }
}

const char *qn_tensor_label(const qn_prediction_text *text, const double *outputs)
{
    if (text->n_columns == 0 || !text->decides) return NULL;
    return qn_model_class(text->model, qn_model_decide(text->model, outputs));
}
