/* SPDX-License-Identifier: Apache-2.0 */
/* What all ways to write rows share: messages, cells from JSON values, prediction of a block. */
#include "serve/rows/rows.h"

#include "base/alloc.h"
#include "serve/rows/rows_internal.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { SHOWN_BYTES_MAX = 60 };

qn_status qn_rows_fail_json(qn_rows *rows, const qn_pull *pull, qn_error *err)
{
    qn_error found = {0};
    (void)rows;
    if (qn_pull_fail(pull, "body", &found) == QN_ERR_NOMEM) return qn_rows_fail_memory(err);
    return qn_fail(err, QN_ERR_ARG, "%s", found.message);
}

qn_status qn_rows_fail_place(qn_rows *rows, qn_rows_place place, qn_error *err, const char *format,
                             ...)
{
    char text[256];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    rows->bad_row = place.row;
    rows->bad_field = rows->model->columns[place.input]->name;
    return qn_fail(err, QN_ERR_DATA, "row %" PRId64 ": column '%s' %s", place.row, rows->bad_field,
                   text);
}

int qn_rows_shown_bytes(const qn_cell *cell)
{
    return (int)(cell->text_bytes > SHOWN_BYTES_MAX ? SHOWN_BYTES_MAX : cell->text_bytes);
}

qn_status qn_rows_fail_too_many(const qn_rows *rows, qn_error *err)
{
    return qn_fail(err, QN_ERR_BUDGET,
                   "more than %" PRId64 " rows; send fewer at a time, or raise --rows-max",
                   rows->n_rows_max);
}

qn_status qn_rows_fail_memory(qn_error *err)
{
    return qn_fail(err, QN_ERR_NOMEM, "no memory for the rows");
}

void qn_rows_release(qn_rows *rows)
{
    if (rows->close) rows->close(rows);
    rows->close = NULL;
    qn_arena_release(&rows->texts);
}

qn_status qn_rows_start_json(qn_rows *rows, const char *body, size_t bytes, qn_error *err)
{
    const int64_t n = rows->model->n_inputs;
    rows->pull = (qn_pull){.begin = body, .at = body, .end = body + bytes, .arena = &rows->texts};
    rows->first = true;
    rows->fields = qn_arena_array(rows->memory, n, sizeof *rows->fields);
    rows->seen = qn_arena_array(rows->memory, n, sizeof *rows->seen);
    if (!rows->fields || !rows->seen) return qn_rows_fail_memory(err);
    for (int64_t i = 0; i < n; i++) {
        rows->fields[i].input = i;
    }
    return QN_OK;
}

int64_t qn_rows_find_input(const qn_rows *rows, qn_span name)
{
    return qn_map_get(rows->model->inputs, name.text, name.bytes, -1);
}

static const char *wanted(const qn_schema_column *column)
{
    switch (column->kind) {
    case QN_KIND_CATEGORICAL:
    case QN_KIND_TEXT:
        return "text";
    case QN_KIND_DATETIME:
        return "date";
    case QN_KIND_NUMERIC:
    case QN_KIND_BOOLEAN:
    case QN_KIND_ID:
    case QN_KIND_CONSTANT:
        break;
    }
    return "number";
}

/* A whole number as written is its label where training had whole numbers or texts: exact beyond
 * 2^53, too. */
bool qn_rows_is_label(const qn_rows *rows, qn_rows_place place, qn_span token)
{
    const qn_schema_column *column = rows->model->columns[place.input];
    const bool text = column->kind == QN_KIND_CATEGORICAL || column->kind == QN_KIND_TEXT;
    if (!text || (column->type != QN_TYPE_INT64 && column->type != QN_TYPE_STRING)) return false;
    if (token.bytes == 2 && memcmp(token.text, "-0", 2) == 0) return false;
    return token.bytes < QN_VALUE_TEXT_BYTES && !memchr(token.text, '.', token.bytes) &&
           !memchr(token.text, 'e', token.bytes) && !memchr(token.text, 'E', token.bytes);
}

static qn_status read_finite(qn_rows *rows, qn_pull *pull, qn_rows_place place, double *number,
                             qn_span *token, qn_error *err)
{
    if (!qn_pull_number(pull, number, token)) return qn_rows_fail_json(rows, pull, err);
    if (!isinf(*number)) return QN_OK;
    return qn_rows_fail_place(
        rows, place, err, "has %.*s, beyond what a double can hold",
        (int)(token->bytes > SHOWN_BYTES_MAX ? SHOWN_BYTES_MAX : token->bytes), token->text);
}

static qn_status read_number(qn_rows *rows, qn_pull *pull, qn_rows_place place, qn_cell *given,
                             qn_error *err)
{
    qn_span token;
    QN_TRY(read_finite(rows, pull, place, &given->number, &token, err));
    if (qn_rows_is_label(rows, place, token)) {
        *given = (qn_cell){.number = QN_NA, .text = token.text, .text_bytes = token.bytes};
    }
    return QN_OK;
}

/* What stands in the JSON, before the column's kind is asked. */
static qn_status read_given(qn_rows *rows, qn_pull *pull, qn_rows_place place, qn_cell *given,
                            qn_error *err)
{
    const qn_schema_column *column = rows->model->columns[place.input];
    const qn_pull_type type = qn_pull_peek(pull);
    *given = (qn_cell){.number = QN_NA};
    switch (type) {
    case QN_PULL_NUMBER:
        return read_number(rows, pull, place, given, err);
    case QN_PULL_TEXT: {
        qn_span text;
        if (!qn_pull_text(pull, &text)) return qn_rows_fail_json(rows, pull, err);
        given->text = text.text;
        given->text_bytes = text.bytes;
        return QN_OK;
    }
    case QN_PULL_TRUE:
    case QN_PULL_FALSE:
        given->text = type == QN_PULL_TRUE ? "true" : "false";
        given->text_bytes = strlen(given->text);
        /* fallthrough */
    case QN_PULL_NULL:
        return qn_pull_word(pull) ? QN_OK : qn_rows_fail_json(rows, pull, err);
    case QN_PULL_OBJECT:
    case QN_PULL_ARRAY:
        return qn_rows_fail_place(rows, place, err, "has %s, expected a %s",
                                  type == QN_PULL_OBJECT ? "an object" : "a list", wanted(column));
    case QN_PULL_END:
    case QN_PULL_CLOSE:
        qn_pull_refuse(pull, type == QN_PULL_END ? "the text ends too early" : "expected a value");
        /* fallthrough */
    case QN_PULL_ERROR:
        break;
    }
    return qn_rows_fail_json(rows, pull, err);
}

qn_status qn_rows_normalise_cell(qn_rows *rows, qn_rows_place place, qn_cell *cell, qn_error *err)
{
    const qn_schema_column *column = rows->model->columns[place.input];
    if (column->kind == QN_KIND_NUMERIC && !cell->text) return QN_OK;
    const qn_cell given = *cell;
    char scratch[QN_VALUE_TEXT_BYTES];
    qn_error why;
    if (qn_cell_normalise(column, &given, scratch, cell, &why) != QN_OK) {
        return qn_rows_fail_place(rows, place, err, "has '%.*s', expected a %s",
                                  qn_rows_shown_bytes(&given), given.text, wanted(column));
    }
    if (cell->text == scratch) {
        cell->text = qn_arena_strndup(&rows->texts, scratch, cell->text_bytes);
        if (!cell->text) return qn_rows_fail_memory(err);
    }
    return QN_OK;
}

qn_status qn_rows_read_any_cell(qn_rows *rows, qn_pull *pull, qn_rows_place place, qn_cell *out,
                                qn_error *err)
{
    const bool numeric = rows->model->columns[place.input]->kind == QN_KIND_NUMERIC;
    if (numeric && qn_pull_is_at_number(pull)) { /* as below, without the detours */
        qn_span token;
        out->text = NULL;
        out->text_bytes = 0;
        return read_finite(rows, pull, place, &out->number, &token, err);
    }
    QN_TRY(read_given(rows, pull, place, out, err));
    return qn_rows_normalise_cell(rows, place, out, err);
}

qn_status qn_rows_next(qn_rows *rows, qn_rows_block *block, qn_error *err)
{
    qn_arena_reset(&rows->texts);
    block->n_rows = 0;
    block->by_row = true;
    QN_TRY(rows->read(rows, block, err));
    return rows->known_only ? qn_rows_check_known(rows, block, err) : QN_OK;
}

void qn_rows_predict(const qn_rows *rows, const qn_rows_block *block, qn_cell *turned,
                     double *outputs, void *scratch)
{
    const int64_t n_inputs = rows->model->n_inputs, n_rows = block->n_rows;
    const qn_cell *cells = block->cells;
    if (block->by_row && n_rows > 1) {
        for (int64_t row = 0; row < n_rows; row++) {
            for (int64_t i = 0; i < n_inputs; i++) {
                turned[i * n_rows + row] = block->cells[row * n_inputs + i];
            }
        }
        cells = turned;
    }
    qn_predictor_predict(rows->model->predictor, cells, n_rows, outputs, scratch);
}
