/* SPDX-License-Identifier: Apache-2.0 */
#include "bundle/prediction_text.h"

#include "base/alloc.h"
#include "base/arena.h"
#include "base/json.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

struct quoted {
    const char *text;
    size_t bytes;
};

/* A class, a cluster or a component. */
struct column_text {
    struct quoted csv, json; /* the label */
    struct quoted csv_name;  /* p_<label>, for the header */
    struct quoted json_key;  /* "p_<label>": */
};

struct qn_prediction_text {
    const qn_model *model;
    qn_arena arena; /* holds every text below */
    bool decides;   /* there is a column "prediction" */
    int32_t n_columns;
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

static bool quote_column(const char *prefix, const char *label, qn_arena *arena,
                         struct column_text *out)
{
    qn_str name = {0}, scratch = {0};
    qn_json_writer json = {.out = &scratch}, key = {.out = &scratch};
    qn_str_addf(&name, "%s_%s", prefix, label);
    const char *text = name.failed ? "" : name.text;
    qn_csv_add_field(&scratch, label, strlen(label));
    out->csv = keep(arena, &scratch);
    qn_csv_add_field(&scratch, text, strlen(text));
    out->csv_name = keep(arena, &scratch);
    qn_json_text(&json, label);
    out->json = keep(arena, &scratch);
    qn_json_key(&key, text);
    out->json_key = keep(arena, &scratch);
    const bool whole =
        !name.failed && out->csv.text && out->csv_name.text && out->json.text && out->json_key.text;
    qn_str_release(&name);
    qn_str_release(&scratch);
    return whole;
}

static bool quote_columns(const qn_model *model, qn_prediction_text *text)
{
    const bool clusters = strcmp(qn_model_task(model), "clustering") == 0;
    for (int32_t c = 0; c < text->n_columns; c++) {
        char number[16];
        snprintf(number, sizeof number, "%d", c + 1);
        const char *prefix = text->decides ? clusters ? "distance" : "p" : "component";
        const char *label = text->decides ? qn_model_class(model, c) : number;
        if (!quote_column(prefix, label, &text->arena, &text->columns[c])) return false;
    }
    return true;
}

qn_status qn_prediction_text_create(const qn_model *model, qn_prediction_text **out, qn_error *err)
{
    *out = NULL;
    qn_prediction_text *text = qn_alloc_array(1, sizeof *text);
    if (!text) return qn_fail(err, QN_ERR_NOMEM, "no memory for the predictions");
    text->model = model;
    text->decides = strcmp(qn_model_task(model), "reduction") != 0;
    text->n_columns = text->decides ? qn_model_n_classes(model) : qn_model_n_outputs(model);
    text->columns = qn_arena_array(&text->arena, text->n_columns, sizeof *text->columns);
    if (!text->columns || !quote_columns(model, text)) {
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

double qn_prediction_probability(const qn_model *model, const double *outputs, int32_t c)
{
    if (qn_model_n_outputs(model) > 1) return outputs[c];
    return c == 1 ? outputs[0] : 1 - outputs[0];
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

/* The value of column c. */
static double value_of(const qn_prediction_text *text, const double *outputs, int32_t c)
{
    return text->decides ? qn_prediction_probability(text->model, outputs, c) : outputs[c];
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
        add(out, text->columns[qn_model_decide(text->model, outputs)].csv);
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
        add(out, text->columns[qn_model_decide(text->model, outputs)].json);
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
