/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/rows/predict_format.h"

#include "base/json.h"

#include <math.h>
#include <string.h>

static void begin_nothing(const qn_predictions *p, qn_str *out)
{
    (void)p;
    (void)out;
}

static void begin_object(const qn_predictions *p, qn_str *out)
{
    qn_str_add(out, "{\"model\":\"");
    qn_str_add(out, p->model->name); /* names need no escapes */
    qn_str_add(out, "\",\"version\":\"");
    qn_str_add(out, p->model->version);
    qn_str_add(out, "\",");
}

/* The members of row k of the block, with its parts where they are asked for. */
static void add_members(const qn_predictions *p, const double *outputs, int64_t k, qn_str *out)
{
    outputs += k * p->model->n_outputs;
    qn_prediction_add_json(p->model->text, outputs, out);
    if (p->level >= 0) qn_prediction_add_json_interval(p->model->text, p->level, outputs, out);
    if (!p->parts) return;
    qn_json_writer json = {.out = out};
    qn_str_add(out, ",\"explain_expected\":");
    qn_json_double(&json, p->parts->expected[k]);
    qn_str_add(out, ",\"explain\":");
    json = (qn_json_writer){.out = out};
    qn_json_begin_object(&json);
    for (int64_t i = 0; i < p->model->n_inputs; i++) {
        qn_json_put_double(&json, p->model->columns[i]->name,
                           p->parts->columns[k * p->model->n_inputs + i]);
    }
    qn_json_end_object(&json);
}

static void one_row(const qn_predictions *p, const double *outputs, int64_t first, int64_t n,
                    qn_str *out)
{
    (void)first;
    if (n == 1) add_members(p, outputs, 0, out);
}

static void end_object(const qn_predictions *p, qn_str *out)
{
    (void)p;
    qn_str_add(out, "}\n");
}

static void begin_list(const qn_predictions *p, qn_str *out)
{
    begin_object(p, out);
    qn_str_add(out, "\"predictions\":[");
}

static void list_rows(const qn_predictions *p, const double *outputs, int64_t first, int64_t n,
                      qn_str *out)
{
    for (int64_t row = 0; row < n; row++) {
        qn_str_add(out, first + row > 0 ? ",{" : "{");
        add_members(p, outputs, row, out);
        qn_str_add_char(out, '}');
    }
}

static void end_list(const qn_predictions *p, qn_str *out)
{
    (void)p;
    qn_str_add(out, "]}\n");
}

static void no_rows(const qn_predictions *p, const double *outputs, int64_t first, int64_t n,
                    qn_str *out)
{
    (void)p;
    (void)outputs;
    (void)first;
    (void)n;
    (void)out;
}

static void begin_columns(const qn_predictions *p, qn_str *out)
{
    begin_object(p, out);
    qn_str_add(out, "\"outputs\":{");
}

static void end_columns(const qn_predictions *p, qn_str *out)
{
    const int64_t n = p->rows->n_rows;
    qn_prediction_add_json_columns(p->model->text, p->kept, n, out);
    if (p->level >= 0) {
        qn_prediction_add_json_interval_columns(p->model->text, p->level, p->kept, n, out);
    }
    qn_str_add(out, "}}\n");
}

static void line_rows(const qn_predictions *p, const double *outputs, int64_t first, int64_t n,
                      qn_str *out)
{
    (void)first;
    for (int64_t row = 0; row < n; row++) {
        qn_str_add_char(out, '{');
        add_members(p, outputs, row, out);
        qn_str_add(out, "}\n");
    }
}

static void begin_csv(const qn_predictions *p, qn_str *out)
{
    qn_prediction_add_csv_header(p->model->text, out);
    if (p->level >= 0) qn_prediction_add_csv_interval_header(out);
    qn_str_add_char(out, '\n');
}

static void csv_rows(const qn_predictions *p, const double *outputs, int64_t first, int64_t n,
                     qn_str *out)
{
    (void)first;
    for (int64_t row = 0; row < n; row++, outputs += p->model->n_outputs) {
        qn_prediction_add_csv(p->model->text, outputs, out);
        if (p->level >= 0) qn_prediction_add_csv_interval(p->model->text, p->level, outputs, out);
        qn_str_add_char(out, '\n');
    }
}

/* Tensors of the Open Inference Protocol. */

static const char *datatype_of(const qn_served_model *model, int output)
{
    const bool labels = output == QN_TENSOR_PREDICTION && qn_model_n_classes(model->model) > 0;
    return labels ? "BYTES" : "FP64";
}

static void begin_tensors(const qn_predictions *p, qn_str *out)
{
    qn_str_addf(out, "{\"model_name\":\"%s\",\"model_version\":\"%s\",", p->model->name,
                p->model->version);
    if (p->rows->id.text) {
        qn_json_writer json = {.out = out};
        qn_str_add(out, "\"id\":");
        qn_json_text_bytes(&json, p->rows->id.text, p->rows->id.bytes);
        qn_str_add_char(out, ',');
    }
    qn_str_add(out, "\"outputs\":[");
}

/* One row of a tensor that is no list of labels. */
static int32_t row_of(const qn_predictions *p, int output, const double *outputs,
                      double row[QN_CLASSES_MAX])
{
    if (output == QN_TENSOR_PREDICTION) {
        row[0] = outputs[0];
        return 1;
    }
    qn_tensor_row(p->model->text, output, p->rows->outputs[output].level, outputs, row);
    return qn_tensor_n_columns(p->model->text, output);
}

static void add_json_values(const qn_predictions *p, int output, qn_str *out)
{
    double values[QN_CLASSES_MAX];
    for (int64_t row = 0; row < p->rows->n_rows; row++) {
        const double *outputs = p->kept + row * p->model->n_outputs;
        if (output == QN_TENSOR_PREDICTION) {
            if (row > 0) qn_str_add_char(out, ',');
            qn_prediction_add_json_value(p->model->text, outputs, out);
            continue;
        }
        const int32_t n = row_of(p, output, outputs, values);
        for (int32_t c = 0; c < n; c++) {
            if (row + c > 0) qn_str_add_char(out, ',');
            if (isfinite(values[c])) {
                qn_str_add_double(out, values[c]);
            } else {
                qn_str_add(out, "null");
            }
        }
    }
}

static void add_double_bytes(double value, qn_str *out)
{
    uint64_t bits;
    char bytes[sizeof bits];
    memcpy(&bits, &value, sizeof bits);
    for (size_t i = 0; i < sizeof bits; i++) {
        bytes[i] = (char)(bits >> (8 * i) & 0xff);
    }
    qn_str_add_bytes(out, bytes, sizeof bytes);
}

static void add_text_bytes(const char *text, qn_str *out)
{
    const size_t bytes = strlen(text);
    for (size_t i = 0; i < 4; i++) {
        qn_str_add_char(out, (char)(bytes >> (8 * i) & 0xff));
    }
    qn_str_add_bytes(out, text, bytes);
}

static void add_binary_values(const qn_predictions *p, int output, qn_str *out)
{
    double values[QN_CLASSES_MAX];
    for (int64_t row = 0; row < p->rows->n_rows; row++) {
        const double *outputs = p->kept + row * p->model->n_outputs;
        const char *label = qn_tensor_label(p->model->text, outputs);
        if (output == QN_TENSOR_PREDICTION && label) {
            add_text_bytes(label, out);
            continue;
        }
        const int32_t n = row_of(p, output, outputs, values);
        for (int32_t c = 0; c < n; c++) {
            add_double_bytes(values[c], out);
        }
    }
}

static size_t count_binary_values(const qn_predictions *p, int output)
{
    const qn_prediction_text *text = p->model->text;
    const size_t n_rows = (size_t)p->rows->n_rows;
    size_t bytes = 0;
    if (output != QN_TENSOR_PREDICTION) {
        return n_rows * (size_t)qn_tensor_n_columns(text, output) * sizeof(double);
    }
    if (qn_model_n_classes(p->model->model) == 0) return n_rows * sizeof(double);
    for (size_t row = 0; row < n_rows; row++) {
        bytes += 4 + strlen(qn_tensor_label(text, p->kept + (int64_t)row * p->model->n_outputs));
    }
    return bytes;
}

static void end_tensors(const qn_predictions *p, qn_str *out)
{
    bool first = true;
    for (int i = 0; i < QN_TENSOR_OUTPUTS; i++) {
        const qn_rows_output *output = &p->rows->outputs[i];
        if (!output->wanted) continue;
        qn_str_addf(out, "%s{\"name\":\"%s\",\"shape\":[%lld", first ? "" : ",",
                    qn_tensor_output_name(p->model->text, i), (long long)p->rows->n_rows);
        if (i != QN_TENSOR_PREDICTION) {
            qn_str_addf(out, ",%d", (int)qn_tensor_n_columns(p->model->text, i));
        }
        qn_str_addf(out, "],\"datatype\":\"%s\",", datatype_of(p->model, i));
        if (output->binary == QN_CHOICE_YES) {
            qn_str_addf(out, "\"parameters\":{\"binary_data_size\":%zu}}",
                        count_binary_values(p, i));
        } else {
            qn_str_add(out, "\"data\":[");
            add_json_values(p, i, out);
            qn_str_add(out, "]}");
        }
        first = false;
    }
    qn_str_add(out, "]}\n");
}

static void append_tensors(const qn_predictions *p, qn_str *out)
{
    for (int i = 0; i < QN_TENSOR_OUTPUTS; i++) {
        const qn_rows_output *output = &p->rows->outputs[i];
        if (output->wanted && output->binary == QN_CHOICE_YES) add_binary_values(p, i, out);
    }
}

static const qn_format format_row = {"application/json", false, true, begin_object, one_row,
                                     end_object,         NULL};
static const qn_format format_list = {"application/json", false,    true, begin_list,
                                      list_rows,          end_list, NULL};
static const qn_format format_columns = {"application/json", true, false, begin_columns, no_rows,
                                         end_columns,        NULL};
static const qn_format format_tensors = {"application/json", true, false, begin_tensors, no_rows,
                                         end_tensors,        NULL};
static const qn_format format_binary_tensors = {
    "application/octet-stream", true, false, begin_tensors, no_rows, end_tensors, append_tensors};
static const qn_format format_lines = {
    "application/x-ndjson", false, true, begin_nothing, line_rows, begin_nothing, NULL};
static const qn_format format_csv = {
    "text/csv; charset=utf-8", false, false, begin_csv, csv_rows, begin_nothing, NULL};

const qn_format *qn_format_of(qn_rows_form form)
{
    switch (form) {
    case QN_FORM_ROW:
        return &format_row;
    case QN_FORM_INPUTS:
        return &format_columns;
    case QN_FORM_LINES:
        return &format_lines;
    case QN_FORM_CSV:
        return &format_csv;
    case QN_FORM_TENSORS:
        return &format_tensors;
    case QN_FORM_BINARY_TENSORS:
        return &format_binary_tensors;
    case QN_FORM_LIST:
    case QN_FORM_INSTANCES:
        break;
    }
    return &format_list;
}
