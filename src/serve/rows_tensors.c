/* SPDX-License-Identifier: Apache-2.0 */
/* Rows as tensors: the JSON of the Open Inference Protocol, version 2.
 *
 *     {"id": "7", "inputs": [{"name": "a", "shape": [2], "datatype": "FP64", "data": [1, 2]},
 *                            {"name": "b", "shape": [2, 1], "datatype": "BYTES", "data": […]}]}
 *
 * or one tensor of shape [rows, columns]. Data are in row-major order, flat or nested. The datatype
 * must be one of the protocol's; values are taken as JSON has them. */
#include "serve/rows_internal.h"

#include <string.h>

/* Where reading goes on in one tensor's data. */
struct qn_rows_tensor {
    qn_pull pull;
    int depth; /* of nested lists: 0 or 1 */
    bool first[2];
};

/* What one element of "inputs" says. */
struct input {
    qn_span name, datatype;
    qn_pull data;
    int64_t shape[2];
    int n_dimensions;
    bool has_name, has_datatype, has_data, has_shape;
};

static qn_status wrong(qn_rows *rows, qn_pull *at, const char *what, qn_error *err)
{
    qn_pull_refuse(at, what);
    return qn_rows_fail_json(rows, at, err);
}

static bool is_key(qn_span key, const char *name)
{
    return strlen(name) == key.bytes && memcmp(key.text, name, key.bytes) == 0;
}

static qn_status read_shape(qn_rows *rows, qn_pull *pull, struct input *input, qn_error *err)
{
    bool first = true;
    if (qn_pull_peek(pull) != QN_PULL_ARRAY) return wrong(rows, pull, "expected a shape", err);
    qn_pull_enter(pull);
    while (qn_pull_next(pull, &first)) {
        double number;
        if (input->n_dimensions == 2) {
            return wrong(rows, pull, "expected a shape of one or two dimensions", err);
        }
        if (qn_pull_peek(pull) != QN_PULL_NUMBER || !qn_pull_number(pull, &number, NULL) ||
            !(number >= 0 && number <= INT32_MAX) || number != (double)(int64_t)number) {
            return wrong(rows, pull, "expected the size of a dimension", err);
        }
        input->shape[input->n_dimensions++] = (int64_t)number;
    }
    if (pull->wrong) return qn_rows_fail_json(rows, pull, err);
    if (input->n_dimensions == 0) return wrong(rows, pull, "the shape is empty", err);
    input->has_shape = true;
    return QN_OK;
}

static qn_status read_name(qn_rows *rows, qn_pull *pull, qn_span *out, bool *has, qn_error *err)
{
    if (qn_pull_peek(pull) != QN_PULL_TEXT) return wrong(rows, pull, "expected a text", err);
    if (!qn_pull_text(pull, out)) return qn_rows_fail_json(rows, pull, err);
    *has = true;
    return QN_OK;
}

static bool is_datatype(qn_span name)
{
    static const char *const known[] = {"BOOL", "UINT8", "UINT16", "UINT32", "UINT64",
                                        "INT8", "INT16", "INT32",  "INT64",  "FP16",
                                        "FP32", "FP64",  "BYTES"};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (is_key(name, known[i])) return true;
    }
    return false;
}

static qn_status read_input(qn_rows *rows, qn_pull *pull, struct input *input, qn_error *err)
{
    bool first = true;
    qn_span key;
    if (qn_pull_peek(pull) != QN_PULL_OBJECT) return wrong(rows, pull, "expected a tensor", err);
    qn_pull_enter(pull);
    while (qn_pull_key(pull, &first, &key)) {
        if (is_key(key, "name")) {
            QN_TRY(read_name(rows, pull, &input->name, &input->has_name, err));
        } else if (is_key(key, "datatype")) {
            QN_TRY(read_name(rows, pull, &input->datatype, &input->has_datatype, err));
        } else if (is_key(key, "shape") && !input->has_shape) {
            QN_TRY(read_shape(rows, pull, input, err));
        } else {
            if (is_key(key, "data")) {
                if (qn_pull_peek(pull) != QN_PULL_ARRAY)
                    return wrong(rows, pull, "expected a list", err);
                input->data = *pull;
                input->has_data = true;
            }
            if (!qn_pull_skip(pull)) return qn_rows_fail_json(rows, pull, err);
        }
    }
    if (pull->wrong) return qn_rows_fail_json(rows, pull, err);
    if (!input->has_name || !input->has_datatype || !input->has_shape || !input->has_data) {
        return wrong(rows, pull, "a tensor has a name, a shape, a datatype and data", err);
    }
    return is_datatype(input->datatype) ? QN_OK : wrong(rows, pull, "the datatype is unknown", err);
}

static struct qn_rows_tensor tensor_over(qn_pull data)
{
    qn_pull_enter(&data);
    return (struct qn_rows_tensor){.pull = data, .first = {true, true}};
}

static qn_status set_rows(qn_rows *rows, const struct input *input, bool first, qn_error *err)
{
    if (input->shape[0] > rows->n_rows_max) return qn_rows_fail_too_many(rows, err);
    if (!first && input->shape[0] != rows->n_tensor_rows) {
        return qn_fail(err, QN_ERR_ARG,
                       "inputs: '%.*s' has %" PRId64 " rows, those before have %" PRId64,
                       (int)(input->name.bytes > 60 ? 60 : input->name.bytes), input->name.text,
                       input->shape[0], rows->n_tensor_rows);
    }
    rows->n_tensor_rows = input->shape[0];
    return QN_OK;
}

/* A tensor of all columns, when it is the only one and no column is called so. */
static qn_status take_matrix(qn_rows *rows, const struct input *input, qn_error *err)
{
    if (input->n_dimensions != 2 || input->shape[1] != rows->model->n_inputs) {
        return qn_fail(
            err, QN_ERR_ARG,
            "inputs: '%.*s' is no column of the model, nor a tensor of shape [rows, %" PRId64 "]",
            (int)(input->name.bytes > 60 ? 60 : input->name.bytes), input->name.text,
            rows->model->n_inputs);
    }
    rows->n_tensors = 1;
    rows->tensors[0] = tensor_over(input->data);
    return set_rows(rows, input, true, err);
}

static qn_status take_column(qn_rows *rows, const struct input *input, int64_t column,
                             int64_t n_before, qn_error *err)
{
    const qn_rows_place place = {0, column};
    if (input->n_dimensions == 2 && input->shape[1] != 1) {
        return qn_rows_fail_place(rows, place, err, "has a tensor of several columns");
    }
    if (rows->tensors[column].pull.at)
        return qn_rows_fail_place(rows, place, err, "is given twice");
    rows->tensors[column] = tensor_over(input->data);
    return set_rows(rows, input, n_before == 0, err);
}

static qn_status check_columns(qn_rows *rows, int64_t n_columns, qn_error *err)
{
    for (int64_t i = 0; n_columns < rows->model->n_inputs && i < rows->model->n_inputs; i++) {
        if (rows->tensors[i].pull.at) continue;
        return qn_rows_fail_place(rows, (qn_rows_place){0, i}, err,
                                  "is missing; the model needs it");
    }
    return QN_OK;
}

/* The list of tensors; those that no column is called by are passed over, unless they are alone. */
static qn_status read_inputs(qn_rows *rows, qn_pull *pull, qn_error *err)
{
    bool first = true;
    int64_t n = 0, n_columns = 0;
    struct input alone = {0};
    if (qn_pull_peek(pull) != QN_PULL_ARRAY) return wrong(rows, pull, "expected a list", err);
    if (rows->tensors) return wrong(rows, pull, "a key is given twice", err);
    rows->n_tensors = rows->model->n_inputs;
    rows->tensors = qn_arena_array(rows->memory, rows->n_tensors + 1, sizeof *rows->tensors);
    if (!rows->tensors) return qn_rows_fail_memory(err);
    qn_pull_enter(pull);
    while (qn_pull_next(pull, &first)) {
        struct input input = {0};
        QN_TRY(read_input(rows, pull, &input, err));
        const int64_t column = qn_rows_find_input(rows, input.name);
        if (column >= 0) QN_TRY(take_column(rows, &input, column, n_columns++, err));
        if (n++ == 0) alone = input;
    }
    if (pull->wrong) return qn_rows_fail_json(rows, pull, err);
    if (n == 1 && n_columns == 0) return take_matrix(rows, &alone, err);
    return check_columns(rows, n_columns, err);
}

/* Passes to the next value, whatever lists it stands in; false at the end. */
static bool next_value(struct qn_rows_tensor *tensor)
{
    for (;;) {
        if (!qn_pull_next(&tensor->pull, &tensor->first[tensor->depth])) {
            if (tensor->depth == 0 || tensor->pull.wrong) return false;
            tensor->depth--;
        } else if (tensor->depth == 0 && qn_pull_peek(&tensor->pull) == QN_PULL_ARRAY) {
            qn_pull_enter(&tensor->pull);
            tensor->first[++tensor->depth] = true;
        } else {
            return true;
        }
    }
}

static qn_status read_tensors(qn_rows *rows, qn_rows_block *block, qn_error *err)
{
    const int64_t n_inputs = rows->model->n_inputs;
    const int64_t left = rows->n_tensor_rows - rows->n_rows;
    block->n_rows = left < QN_BLOCK_ROWS ? left : QN_BLOCK_ROWS;
    for (int64_t row = 0; row < block->n_rows; row++) {
        for (int64_t input = 0; input < n_inputs; input++) {
            struct qn_rows_tensor *tensor = &rows->tensors[rows->n_tensors == 1 ? 0 : input];
            const qn_rows_place place = {rows->n_rows + row + 1, input};
            if (!next_value(tensor)) {
                return qn_rows_fail_place(rows, place, err, "has fewer values than its shape says");
            }
            qn_cell *cell = &block->cells[row * n_inputs + input];
            QN_TRY(qn_rows_read_cell(rows, &tensor->pull, place, cell, err));
        }
    }
    rows->n_rows += block->n_rows;
    for (int64_t i = 0; block->n_rows < QN_BLOCK_ROWS && i < rows->n_tensors; i++) {
        if (!next_value(&rows->tensors[i])) continue;
        return qn_rows_fail_place(rows, (qn_rows_place){0, i}, err,
                                  "has more values than its shape says");
    }
    return QN_OK;
}

qn_status qn_rows_open_tensors(qn_rows *rows, const char *body, size_t bytes, qn_error *err)
{
    bool first = true, has_id = false;
    qn_span key;
    rows->form = QN_FORM_TENSORS;
    rows->read = read_tensors;
    QN_TRY(qn_rows_start_json(rows, body, bytes, err));
    qn_pull *pull = &rows->pull;
    pull->arena = rows->memory; /* names and the id outlive the first block */
    if (qn_pull_peek(pull) != QN_PULL_OBJECT) return wrong(rows, pull, "expected an object", err);
    qn_pull_enter(pull);
    while (qn_pull_key(pull, &first, &key)) {
        if (is_key(key, "id")) {
            QN_TRY(read_name(rows, pull, &rows->id, &has_id, err));
        } else if (is_key(key, "inputs")) {
            QN_TRY(read_inputs(rows, pull, err));
        } else if (!qn_pull_skip(pull)) {
            return qn_rows_fail_json(rows, pull, err);
        }
    }
    if (pull->wrong) return qn_rows_fail_json(rows, pull, err);
    if (qn_pull_peek(pull) != QN_PULL_END) return wrong(rows, pull, "expected the end", err);
    if (!rows->tensors) return wrong(rows, pull, "\"inputs\" are missing", err);
    return QN_OK;
}
