/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/predict_format.h"

#include "base/json.h"

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

static void one_row(const qn_predictions *p, const double *outputs, int64_t first, int64_t n,
                    qn_str *out)
{
    (void)first;
    if (n == 1) qn_prediction_add_json(p->model->text, outputs, out);
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
        qn_prediction_add_json(p->model->text, outputs + row * p->model->n_outputs, out);
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
    qn_prediction_add_json_columns(p->model->text, p->kept, p->rows->n_rows, out);
    qn_str_add(out, "}}\n");
}

static void line_rows(const qn_predictions *p, const double *outputs, int64_t first, int64_t n,
                      qn_str *out)
{
    (void)first;
    for (int64_t row = 0; row < n; row++) {
        qn_str_add_char(out, '{');
        qn_prediction_add_json(p->model->text, outputs + row * p->model->n_outputs, out);
        qn_str_add(out, "}\n");
    }
}

static void begin_csv(const qn_predictions *p, qn_str *out)
{
    qn_prediction_add_csv_header(p->model->text, out);
    qn_str_add_char(out, '\n');
}

static void csv_rows(const qn_predictions *p, const double *outputs, int64_t first, int64_t n,
                     qn_str *out)
{
    (void)first;
    for (int64_t row = 0; row < n; row++) {
        qn_prediction_add_csv(p->model->text, outputs + row * p->model->n_outputs, out);
        qn_str_add_char(out, '\n');
    }
}

/* One output of the Open Inference Protocol: its head, up to the data. */
static void begin_tensor(const char *name, int64_t n_rows, int32_t n_columns, const char *datatype,
                         qn_str *out)
{
    qn_str_addf(out, "{\"name\":\"%s\",\"shape\":[%lld", name, (long long)n_rows);
    if (n_columns > 0) qn_str_addf(out, ",%d", (int)n_columns);
    qn_str_addf(out, "],\"datatype\":\"%s\",\"data\":[", datatype);
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

static void add_probabilities(const qn_predictions *p, int32_t n_classes, qn_str *out)
{
    begin_tensor("probabilities", p->rows->n_rows, n_classes, "FP64", out);
    for (int64_t row = 0; row < p->rows->n_rows; row++) {
        for (int32_t c = 0; c < n_classes; c++) {
            if (row + c > 0) qn_str_add_char(out, ',');
            const double *outputs = p->kept + row * p->model->n_outputs;
            qn_str_add_double(out, qn_prediction_probability(p->model->model, outputs, c));
        }
    }
    qn_str_add(out, "]}");
}

static void end_tensors(const qn_predictions *p, qn_str *out)
{
    const int32_t n_classes = qn_model_n_classes(p->model->model);
    begin_tensor("prediction", p->rows->n_rows, 0, n_classes > 0 ? "BYTES" : "FP64", out);
    for (int64_t row = 0; row < p->rows->n_rows; row++) {
        if (row > 0) qn_str_add_char(out, ',');
        qn_prediction_add_json_value(p->model->text, p->kept + row * p->model->n_outputs, out);
    }
    qn_str_add(out, "]}");
    if (n_classes > 0) {
        qn_str_add_char(out, ',');
        add_probabilities(p, n_classes, out);
    }
    qn_str_add(out, "]}\n");
}

static const qn_format format_row = {"application/json", false, begin_object, one_row, end_object};
static const qn_format format_list = {"application/json", false, begin_list, list_rows, end_list};
static const qn_format format_columns = {"application/json", true, begin_columns, no_rows,
                                         end_columns};
static const qn_format format_tensors = {"application/json", true, begin_tensors, no_rows,
                                         end_tensors};
static const qn_format format_lines = {"application/x-ndjson", false, begin_nothing, line_rows,
                                       begin_nothing};
static const qn_format format_csv = {"text/csv; charset=utf-8", false, begin_csv, csv_rows,
                                     begin_nothing};

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
    case QN_FORM_LIST:
    case QN_FORM_INSTANCES:
        break;
    }
    return &format_list;
}
