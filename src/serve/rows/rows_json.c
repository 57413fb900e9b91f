/* SPDX-License-Identifier: Apache-2.0 */
/* Rows as JSON objects and lists: one row, a list of rows, a row a line. */
#include "serve/rows/rows_internal.h"

#include "base/alloc.h"

#include <string.h>

/* Passes the k-th key of an object and finds the input that it names, or -1. Objects of one body
 * mostly are written alike, so what stood before the last row's k-th value is looked for first,
 * then the name that the model would give it. */
static bool next_field(qn_rows *rows, int64_t k, bool *first, qn_span *key, int64_t *input)
{
    qn_pull *pull = &rows->pull;
    if (k == rows->model->n_inputs) {
        if (!qn_pull_key(pull, first, key)) return false;
        *input = qn_rows_find_input(rows, *key);
        return true;
    }
    struct qn_rows_field *field = &rows->fields[k];
    const char *const start = pull->at;
    const bool was_first = *first;
    *input = field->input;
    *key = rows->model->names[*input];
    if (field->before.text && field->first == was_first && qn_pull_pass(pull, field->before)) {
        *first = false;
        return true;
    }
    if (!key->text || !qn_pull_key_is(pull, first, *key)) {
        if (!qn_pull_key(pull, first, key)) return false;
        *input = qn_rows_find_input(rows, *key);
        if (*input < 0) return true;
    }
    if (rows->form == QN_FORM_ROW) return true; /* no row comes after */
    *field = (struct qn_rows_field){*input, {start, (size_t)(pull->at - start)}, was_first};
    return true;
}

static qn_status missing_field(qn_rows *rows, int64_t row, qn_error *err)
{
    int64_t input = 0;
    while (rows->seen[input] == row) {
        input++;
    }
    const qn_rows_place place = {row, input};
    return qn_rows_fail_place(rows, place, err,
                              "is missing; the model needs it (null where it is not known)");
}

/* Whether the value that the reader stands at can be no cell. */
static bool is_nested(const qn_pull *pull)
{
    return pull->at < pull->end && (*pull->at == '{' || *pull->at == '[');
}

/* Reads the object that was peeked at into cells[0 … n_inputs). `nested`, unless NULL, is set and
 * reading stops when the object is a form rather than a row: it has a value no row has, under the
 * name of a form's member. */
static qn_status read_object(qn_rows *rows, int64_t row, qn_cell *cells, bool *nested,
                             qn_error *err)
{
    qn_pull *pull = &rows->pull;
    bool first = true;
    int64_t n_seen = 0, k = 0;
    qn_span key;
    qn_rows_place place = {row, -1};
    qn_pull_enter(pull);
    while (next_field(rows, k, &first, &key, &place.input)) {
        if (nested && is_nested(pull) && qn_rows_is_form_member(key)) {
            *nested = true;
            return QN_OK;
        }
        if (place.input < 0) {
            if (!qn_pull_skip(pull)) return qn_rows_fail_json(rows, pull, err);
            continue;
        }
        k++;
        if (rows->seen[place.input] == row) {
            return qn_rows_fail_place(rows, place, err, "is given twice");
        }
        rows->seen[place.input] = row;
        n_seen++;
        QN_TRY(qn_rows_read_cell(rows, pull, place, &cells[place.input], err));
    }
    if (pull->wrong) return qn_rows_fail_json(rows, pull, err);
    return n_seen == rows->model->n_inputs ? QN_OK : missing_field(rows, row, err);
}

static qn_status wrong_length(qn_rows *rows, int64_t row, int64_t n, qn_error *err)
{
    rows->bad_row = row;
    return qn_fail(err, QN_ERR_DATA,
                   "row %" PRId64 ": the list has %s%" PRId64 " values, expected %" PRId64, row,
                   n > rows->n_order ? "more than " : "", n > rows->n_order ? rows->n_order : n,
                   rows->n_order);
}

/* Reads the list that was peeked at, its values in rows->order. */
static qn_status read_list(qn_rows *rows, int64_t row, qn_cell *cells, qn_error *err)
{
    qn_pull *pull = &rows->pull;
    bool first = true;
    int64_t n = 0;
    qn_pull_enter(pull);
    while (qn_pull_next(pull, &first)) {
        if (n == rows->n_order) return wrong_length(rows, row, n + 1, err);
        const qn_rows_place place = {row, rows->order[n++]};
        if (place.input < 0) {
            if (!qn_pull_skip(pull)) return qn_rows_fail_json(rows, pull, err);
            continue;
        }
        QN_TRY(qn_rows_read_cell(rows, pull, place, &cells[place.input], err));
    }
    if (pull->wrong) return qn_rows_fail_json(rows, pull, err);
    return n == rows->n_order ? QN_OK : wrong_length(rows, row, n, err);
}

static qn_status read_item(qn_rows *rows, int64_t row, qn_cell *cells, qn_error *err)
{
    switch (qn_pull_peek(&rows->pull)) {
    case QN_PULL_OBJECT:
        return read_object(rows, row, cells, NULL, err);
    case QN_PULL_ARRAY:
        return read_list(rows, row, cells, err);
    case QN_PULL_ERROR:
    case QN_PULL_END:
        qn_pull_refuse(&rows->pull, "the text ends too early");
        return qn_rows_fail_json(rows, &rows->pull, err);
    case QN_PULL_TEXT:
    case QN_PULL_NUMBER:
    case QN_PULL_TRUE:
    case QN_PULL_FALSE:
    case QN_PULL_NULL:
    case QN_PULL_CLOSE:
        break;
    }
    /* A model of one input takes its bare values. */
    if (rows->model->n_inputs == 1) {
        return qn_rows_read_cell(rows, &rows->pull, (qn_rows_place){row, 0}, cells, err);
    }
    rows->bad_row = row;
    return qn_fail(err, QN_ERR_DATA, "row %" PRId64 ": expected an object or a list", row);
}

/* The end of the body, where nothing may follow. */
static qn_status check_end(qn_rows *rows, qn_error *err)
{
    const qn_pull_type type = qn_pull_peek(&rows->pull);
    if (type == QN_PULL_END) return QN_OK;
    qn_pull_refuse(&rows->pull, "expected the end");
    return qn_rows_fail_json(rows, &rows->pull, err);
}

qn_status qn_rows_read_items(qn_rows *rows, qn_rows_block *block, qn_error *err)
{
    const int64_t n_inputs = rows->model->n_inputs;
    while (block->n_rows < QN_BLOCK_ROWS && qn_pull_next(&rows->pull, &rows->first)) {
        if (rows->n_rows == rows->n_rows_max) return qn_rows_fail_too_many(rows, err);
        qn_cell *cells = block->cells + block->n_rows++ * n_inputs;
        QN_TRY(read_item(rows, ++rows->n_rows, cells, err));
    }
    return rows->pull.wrong ? qn_rows_fail_json(rows, &rows->pull, err) : QN_OK;
}

/* A list that is the whole body. */
static qn_status read_whole_list(qn_rows *rows, qn_rows_block *block, qn_error *err)
{
    QN_TRY(qn_rows_read_items(rows, block, err));
    return block->n_rows < QN_BLOCK_ROWS ? check_end(rows, err) : QN_OK;
}

/* An object that is the whole body: a row, unless it has a value that no row has. */
static qn_status read_whole_object(qn_rows *rows, qn_rows_block *block, qn_error *err)
{
    const qn_pull start = rows->pull;
    bool nested = false;
    block->n_rows = 1;
    QN_TRY(read_object(rows, 1, block->cells, &nested, err));
    if (nested) {
        rows->pull = start;
        QN_TRY(qn_rows_open_form(rows, err));
        memset(rows->seen, 0, (size_t)rows->model->n_inputs * sizeof *rows->seen);
        block->n_rows = 0;
        return rows->read(rows, block, err);
    }
    rows->n_rows = 1;
    return check_end(rows, err);
}

/* The model's own order, for lists. */
static qn_status order_as_model(qn_rows *rows, qn_error *err)
{
    rows->n_order = rows->model->n_inputs;
    rows->order = qn_arena_array(rows->memory, rows->n_order, sizeof *rows->order);
    if (!rows->order) return qn_rows_fail_memory(err);
    for (int64_t i = 0; i < rows->n_order; i++) {
        rows->order[i] = i;
    }
    return QN_OK;
}

qn_status qn_rows_open_json(qn_rows *rows, const char *body, size_t bytes, qn_error *err)
{
    QN_TRY(qn_rows_start_json(rows, body, bytes, err));
    QN_TRY(order_as_model(rows, err));
    switch (qn_pull_peek(&rows->pull)) {
    case QN_PULL_OBJECT:
        rows->form = QN_FORM_ROW;
        rows->read = read_whole_object;
        return QN_OK;
    case QN_PULL_ARRAY:
        rows->form = QN_FORM_LIST;
        rows->read = read_whole_list;
        qn_pull_enter(&rows->pull);
        return QN_OK;
    case QN_PULL_END:
        return qn_fail(err, QN_ERR_ARG, "the body is empty; expected a row, {\"%s\": …}, or a list",
                       rows->model->n_inputs > 0 ? rows->model->columns[0]->name : "column");
    case QN_PULL_ERROR:
    case QN_PULL_TEXT:
    case QN_PULL_NUMBER:
    case QN_PULL_TRUE:
    case QN_PULL_FALSE:
    case QN_PULL_NULL:
    case QN_PULL_CLOSE:
        break;
    }
    qn_pull_refuse(&rows->pull, "expected an object or a list");
    return qn_rows_fail_json(rows, &rows->pull, err);
}

static qn_status read_lines(qn_rows *rows, qn_rows_block *block, qn_error *err)
{
    const int64_t n_inputs = rows->model->n_inputs;
    while (block->n_rows < QN_BLOCK_ROWS && qn_pull_peek(&rows->pull) != QN_PULL_END) {
        if (rows->n_rows == rows->n_rows_max) return qn_rows_fail_too_many(rows, err);
        if (qn_pull_peek(&rows->pull) != QN_PULL_OBJECT) {
            qn_pull_refuse(&rows->pull, "expected an object a line");
            return qn_rows_fail_json(rows, &rows->pull, err);
        }
        qn_cell *cells = block->cells + block->n_rows++ * n_inputs;
        QN_TRY(read_object(rows, ++rows->n_rows, cells, NULL, err));
    }
    return QN_OK;
}

qn_status qn_rows_open_lines(qn_rows *rows, const char *body, size_t bytes, qn_error *err)
{
    rows->form = QN_FORM_LINES;
    rows->read = read_lines;
    return qn_rows_start_json(rows, body, bytes, err);
}
