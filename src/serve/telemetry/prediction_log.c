/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/telemetry/prediction_log.h"

#include "base/clock.h"
#include "base/hash.h"
#include "frame/frame.h"
#include "serve/telemetry/line_log.h"

#include <string.h>

bool qn_prediction_log_takes(const char *id, double share)
{
    const uint64_t hash = qn_hash64(id, strlen(id));
    return share >= 1 || (double)(hash >> 11) * 0x1p-53 < share;
}

static void put_input(qn_json_writer *json, const qn_schema_column *column, const qn_cell *cell)
{
    char time[QN_VALUE_TEXT_BYTES];
    qn_json_key(json, column->name);
    if (cell->text) {
        qn_json_text_bytes(json, cell->text, cell->text_bytes);
    } else if (column->kind == QN_KIND_CATEGORICAL || column->kind == QN_KIND_TEXT ||
               !(cell->number == cell->number)) {
        qn_json_null(json);
    } else if (column->kind == QN_KIND_DATETIME) {
        qn_json_text_bytes(json, time, qn_timestamp_format((int64_t)cell->number, time));
    } else if (column->kind == QN_KIND_BOOLEAN) {
        qn_json_bool(json, cell->number != 0);
    } else {
        qn_json_double(json, cell->number);
    }
}

static void put_inputs(qn_json_writer *json, const qn_served_model *model,
                       const qn_rows_block *block, int64_t row)
{
    qn_json_key(json, "inputs");
    qn_json_begin_object(json);
    for (int64_t input = 0; input < model->n_inputs; input++) {
        const int64_t at =
            block->by_row ? row * model->n_inputs + input : input * block->n_rows + row;
        put_input(json, model->columns[input], &block->cells[at]);
    }
    qn_json_end_object(json);
}

void qn_prediction_lines_add(qn_prediction_lines *lines, const qn_request_trace *trace,
                             const qn_served_model *model, const qn_rows_block *block,
                             const double *outputs, int64_t first)
{
    qn_str *out = &lines->text;
    char time[QN_VALUE_TEXT_BYTES];
    qn_timestamp_format_utc(qn_clock_utc_us(), time);
    lines->n += block->n_rows;
    for (int64_t row = 0; row < block->n_rows && !lines->too_many; row++) {
        qn_json_writer json = {.out = out};
        qn_json_begin_object(&json);
        qn_json_put_text(&json, "time", time);
        qn_json_put_text(&json, "event", "prediction");
        qn_request_put_trace(&json, trace);
        qn_json_put_int(&json, "row", first + row + 1);
        qn_json_put_text(&json, "model", model->name);
        qn_json_put_text(&json, "version", model->version);
        qn_json_put_text(&json, "hash", model->hash);
        if (lines->shadow) qn_json_put_bool(&json, "shadow", true);
        put_inputs(&json, model, block, row);
        qn_str_add_char(out, ',');
        qn_prediction_add_json(model->text, outputs + row * model->n_outputs, out);
        qn_str_add(out, "}\n");
        lines->too_many = out->failed || out->bytes > QN_LINE_LOG_BYTES_MAX;
    }
    if (lines->too_many) qn_str_release(out);
}

void qn_prediction_lines_release(qn_prediction_lines *lines)
{
    qn_str_release(&lines->text);
    *lines = (qn_prediction_lines){0};
}
