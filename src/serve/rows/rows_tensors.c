/* SPDX-License-Identifier: Apache-2.0 */
/* Rows as tensors: a request of the Open Inference Protocol, version 2.
 *
 *     {"id": "7", "inputs": [{"name": "a", "shape": [2], "datatype": "FP64", "data": [1, 2]},
 *                            {"name": "b", "shape": [2, 1], "datatype": "BYTES", "data": […]}],
 *      "outputs": [{"name": "prediction", "parameters": {"binary_data": true}}]}
 *
 * or one tensor of shape [rows, columns]. Data are in row-major order, flat or nested; values are
 * taken as JSON has them, whatever the datatype. In place of "data" a tensor may have "parameters":
 * {"binary_data_size": N}: its values are the next N bytes behind the JSON. */
#include "serve/rows/tensor_data.h"

#include <math.h>
#include <string.h>

/* What one element of "inputs" says. */
struct input {
    qn_span name, datatype;
    const qn_datatype *type;
    qn_pull data;
    const char *bytes; /* binary data */
    int64_t n_bytes;   /* -1: the data are JSON */
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

/* A whole number of things. */
static bool read_count(qn_pull *pull, int64_t *out)
{
    double number;
    if (qn_pull_peek(pull) != QN_PULL_NUMBER || !qn_pull_number(pull, &number, NULL)) return false;
    if (!(number >= 0 && number <= INT32_MAX) || number != trunc(number)) return false;
    *out = (int64_t)number;
    return true;
}

static qn_status read_shape(qn_rows *rows, qn_pull *pull, struct input *input, qn_error *err)
{
    bool first = true;
    if (qn_pull_peek(pull) != QN_PULL_ARRAY) return wrong(rows, pull, "expected a shape", err);
    qn_pull_enter(pull);
    while (qn_pull_next(pull, &first)) {
        if (input->n_dimensions == 2) {
            return wrong(rows, pull, "expected a shape of one or two dimensions", err);
        }
        if (!read_count(pull, &input->shape[input->n_dimensions++])) {
            return wrong(rows, pull, "expected the size of a dimension", err);
        }
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

/* The parameters of one tensor of "inputs". */
static qn_status read_parameters(qn_rows *rows, qn_pull *pull, struct input *input, qn_error *err)
{
    bool first = true;
    qn_span key;
    if (qn_pull_peek(pull) != QN_PULL_OBJECT) return wrong(rows, pull, "expected an object", err);
    qn_pull_enter(pull);
    while (qn_pull_key(pull, &first, &key)) {
        if (is_key(key, "binary_data_size")) {
            if (!read_count(pull, &input->n_bytes)) {
                return wrong(rows, pull, "expected a number of bytes", err);
            }
        } else if (is_key(key, "shared_memory_region")) {
            return wrong(rows, pull, "shared memory is not offered; send the data", err);
        } else if (!qn_pull_skip(pull)) {
            break;
        }
    }
    return pull->wrong ? qn_rows_fail_json(rows, pull, err) : QN_OK;
}

static qn_status read_member(qn_rows *rows, qn_pull *pull, qn_span key, struct input *input,
                             qn_error *err)
{
    if (is_key(key, "name")) return read_name(rows, pull, &input->name, &input->has_name, err);
    if (is_key(key, "datatype")) {
        return read_name(rows, pull, &input->datatype, &input->has_datatype, err);
    }
    if (is_key(key, "shape") && !input->has_shape) return read_shape(rows, pull, input, err);
    if (is_key(key, "parameters")) return read_parameters(rows, pull, input, err);
    if (is_key(key, "data")) {
        if (qn_pull_peek(pull) != QN_PULL_ARRAY) return wrong(rows, pull, "expected a list", err);
        input->data = *pull;
        input->has_data = true;
    }
    return qn_pull_skip(pull) ? QN_OK : qn_rows_fail_json(rows, pull, err);
}

/* What `binary` begins with is the data of the tensor. */
static qn_status take_bytes(qn_rows *rows, struct input *input, qn_error *err)
{
    const int shown = (int)(input->name.bytes > 60 ? 60 : input->name.bytes);
    int64_t wanted = (int64_t)input->type->bytes;
    for (int i = 0; i < input->n_dimensions; i++) {
        if (__builtin_mul_overflow(wanted, input->shape[i], &wanted)) wanted = INT64_MAX;
    }
    if (input->type->bytes > 0 && wanted != input->n_bytes) {
        return qn_fail(err, QN_ERR_ARG,
                       "inputs: '%.*s' has a binary_data_size of %" PRId64
                       ", its shape says %" PRId64,
                       shown, input->name.text, input->n_bytes, wanted);
    }
    if ((uint64_t)input->n_bytes > rows->binary.bytes) {
        return qn_fail(err, QN_ERR_ARG,
                       "inputs: '%.*s' has a binary_data_size of %" PRId64
                       ", but only %zu bytes came for it",
                       shown, input->name.text, input->n_bytes, rows->binary.bytes);
    }
    input->bytes = rows->binary.text;
    rows->binary.text += input->n_bytes;
    rows->binary.bytes -= (size_t)input->n_bytes;
    return QN_OK;
}

static qn_status read_input(qn_rows *rows, qn_pull *pull, struct input *input, qn_error *err)
{
    bool first = true;
    qn_span key;
    *input = (struct input){.n_bytes = -1};
    if (qn_pull_peek(pull) != QN_PULL_OBJECT) return wrong(rows, pull, "expected a tensor", err);
    qn_pull_enter(pull);
    while (qn_pull_key(pull, &first, &key)) {
        QN_TRY(read_member(rows, pull, key, input, err));
    }
    if (pull->wrong) return qn_rows_fail_json(rows, pull, err);
    const bool binary = input->n_bytes >= 0;
    if (!input->has_name || !input->has_datatype || !input->has_shape ||
        input->has_data == binary) {
        return wrong(rows, pull,
                     "a tensor has a name, a shape, a datatype, and either data or a "
                     "binary_data_size",
                     err);
    }
    input->type = qn_datatype_find(input->datatype);
    if (!input->type) return wrong(rows, pull, "the datatype is unknown", err);
    return binary ? take_bytes(rows, input, err) : QN_OK;
}

static qn_rows_tensor tensor_of(const struct input *input)
{
    return input->n_bytes < 0
               ? qn_tensor_of_json(input->data)
               : qn_tensor_of_bytes(input->type, input->bytes, (size_t)input->n_bytes);
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
    rows->tensors[0] = tensor_of(input);
    return set_rows(rows, input, true, err);
}

static qn_status take_column(qn_rows *rows, const struct input *input, int64_t column,
                             int64_t n_before, qn_error *err)
{
    const qn_rows_place place = {0, column};
    if (input->n_dimensions == 2 && input->shape[1] != 1) {
        return qn_rows_fail_place(rows, place, err, "has a tensor of several columns");
    }
    if (rows->tensors[column].given) return qn_rows_fail_place(rows, place, err, "is given twice");
    rows->tensors[column] = tensor_of(input);
    return set_rows(rows, input, n_before == 0, err);
}

static qn_status check_columns(qn_rows *rows, int64_t n_columns, qn_error *err)
{
    for (int64_t i = 0; n_columns < rows->model->n_inputs && i < rows->model->n_inputs; i++) {
        if (rows->tensors[i].given) continue;
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
        struct input input;
        QN_TRY(read_input(rows, pull, &input, err));
        const int64_t column = qn_rows_find_input(rows, input.name);
        if (column >= 0) QN_TRY(take_column(rows, &input, column, n_columns++, err));
        if (n++ == 0) alone = input;
    }
    if (pull->wrong) return qn_rows_fail_json(rows, pull, err);
    if (n == 1 && n_columns == 0) return take_matrix(rows, &alone, err);
    return check_columns(rows, n_columns, err);
}

static qn_status read_tensors(qn_rows *rows, qn_rows_block *block, qn_error *err)
{
    const int64_t n_inputs = rows->model->n_inputs;
    const int64_t left = rows->n_tensor_rows - rows->n_rows;
    block->n_rows = left < QN_BLOCK_ROWS ? left : QN_BLOCK_ROWS;
    for (int64_t row = 0; row < block->n_rows; row++) {
        for (int64_t input = 0; input < n_inputs; input++) {
            qn_rows_tensor *tensor = &rows->tensors[rows->n_tensors == 1 ? 0 : input];
            const qn_rows_place place = {rows->n_rows + row + 1, input};
            QN_TRY(qn_tensor_read(rows, tensor, place, &block->cells[row * n_inputs + input], err));
        }
    }
    rows->n_rows += block->n_rows;
    for (int64_t i = 0; block->n_rows < QN_BLOCK_ROWS && i < rows->n_tensors; i++) {
        if (qn_tensor_is_at_end(&rows->tensors[i])) continue;
        return qn_rows_fail_place(rows, (qn_rows_place){0, i}, err,
                                  "has more values than its shape says");
    }
    return QN_OK;
}

/* What the sender wants back. */

/* {"binary_data": true} of an output, {"binary_data_output": true} of all; {"level": 0.9} of the
 * interval. */
static qn_status read_wishes(qn_rows *rows, qn_pull *pull, const char *binary, qn_rows_output *out,
                             qn_error *err)
{
    bool first = true;
    qn_span key;
    if (qn_pull_peek(pull) != QN_PULL_OBJECT) return wrong(rows, pull, "expected an object", err);
    qn_pull_enter(pull);
    while (qn_pull_key(pull, &first, &key)) {
        const qn_pull_type type = qn_pull_peek(pull);
        if (is_key(key, binary)) {
            if (type != QN_PULL_TRUE && type != QN_PULL_FALSE) {
                return wrong(rows, pull, "expected true or false", err);
            }
            out->binary = type == QN_PULL_TRUE ? QN_CHOICE_YES : QN_CHOICE_NO;
        } else if (is_key(key, "level")) {
            double level;
            if (type != QN_PULL_NUMBER) return wrong(rows, pull, "expected a level", err);
            if (!qn_pull_number(pull, &level, NULL)) break;
            out->level = qn_interval_level_find(level);
            if (out->level >= 0) continue;
            return wrong(rows, pull, "the level is none of 0.5, 0.8, 0.9, 0.95, 0.99", err);
        }
        if (!qn_pull_skip(pull)) break;
    }
    return pull->wrong ? qn_rows_fail_json(rows, pull, err) : QN_OK;
}

static qn_status read_output(qn_rows *rows, qn_pull *pull, qn_error *err)
{
    bool first = true, has_name = false;
    qn_rows_output output = {.wanted = true, .level = QN_INTERVAL_LEVEL_DEFAULT};
    qn_span key, name = {0};
    if (qn_pull_peek(pull) != QN_PULL_OBJECT) return wrong(rows, pull, "expected an output", err);
    qn_pull_enter(pull);
    while (qn_pull_key(pull, &first, &key)) {
        if (is_key(key, "name")) {
            QN_TRY(read_name(rows, pull, &name, &has_name, err));
        } else if (is_key(key, "parameters")) {
            QN_TRY(read_wishes(rows, pull, "binary_data", &output, err));
        } else if (!qn_pull_skip(pull)) {
            break;
        }
    }
    if (pull->wrong) return qn_rows_fail_json(rows, pull, err);
    for (int i = 0; has_name && i < QN_TENSOR_OUTPUTS; i++) {
        const char *known = qn_tensor_output_name(rows->model->text, i);
        if (!known || !is_key(name, known)) continue;
        rows->outputs[i] = output;
        return QN_OK;
    }
    return wrong(rows, pull, "the model has no output of this name", err);
}

static qn_status read_outputs(qn_rows *rows, qn_pull *pull, qn_error *err)
{
    bool first = true;
    if (qn_pull_peek(pull) != QN_PULL_ARRAY) return wrong(rows, pull, "expected a list", err);
    qn_pull_enter(pull);
    while (qn_pull_next(pull, &first)) {
        QN_TRY(read_output(rows, pull, err));
    }
    return pull->wrong ? qn_rows_fail_json(rows, pull, err) : QN_OK;
}

/* Those that were not chosen are not given; none chosen means all but the interval. */
static void settle_outputs(qn_rows *rows, qn_choice binary)
{
    bool any = false;
    for (int i = 0; i < QN_TENSOR_OUTPUTS; i++) {
        any |= rows->outputs[i].wanted;
    }
    for (int i = 0; i < QN_TENSOR_OUTPUTS; i++) {
        qn_rows_output *output = &rows->outputs[i];
        output->wanted |= !any && i != QN_TENSOR_INTERVAL;
        if (!qn_tensor_output_name(rows->model->text, i)) output->wanted = false;
        if (!output->wanted) continue;
        if (output->binary == QN_CHOICE_OPEN) output->binary = binary;
        if (output->binary == QN_CHOICE_YES) rows->form = QN_FORM_BINARY_TENSORS;
    }
}

static qn_status read_request(qn_rows *rows, qn_pull *pull, qn_error *err)
{
    bool first = true, has_id = false;
    qn_rows_output all = {.binary = QN_CHOICE_OPEN};
    qn_span key;
    if (qn_pull_peek(pull) != QN_PULL_OBJECT) return wrong(rows, pull, "expected an object", err);
    qn_pull_enter(pull);
    while (qn_pull_key(pull, &first, &key)) {
        if (is_key(key, "id")) {
            QN_TRY(read_name(rows, pull, &rows->id, &has_id, err));
        } else if (is_key(key, "inputs")) {
            QN_TRY(read_inputs(rows, pull, err));
        } else if (is_key(key, "outputs")) {
            QN_TRY(read_outputs(rows, pull, err));
        } else if (is_key(key, "parameters")) {
            QN_TRY(read_wishes(rows, pull, "binary_data_output", &all, err));
        } else if (!qn_pull_skip(pull)) {
            return qn_rows_fail_json(rows, pull, err);
        }
    }
    if (pull->wrong) return qn_rows_fail_json(rows, pull, err);
    if (qn_pull_peek(pull) != QN_PULL_END) return wrong(rows, pull, "expected the end", err);
    if (!rows->tensors) return wrong(rows, pull, "\"inputs\" are missing", err);
    settle_outputs(rows, all.binary);
    return QN_OK;
}

qn_status qn_rows_open_tensors(qn_rows *rows, const char *body, size_t bytes, qn_error *err)
{
    const size_t json_bytes = rows->json_bytes > 0 ? rows->json_bytes : bytes;
    if (json_bytes > bytes) {
        return qn_fail(err, QN_ERR_ARG,
                       "Inference-Header-Content-Length is %zu, but the body has %zu bytes",
                       json_bytes, bytes);
    }
    rows->form = QN_FORM_TENSORS;
    rows->read = read_tensors;
    rows->binary = (qn_span){body + json_bytes, bytes - json_bytes};
    QN_TRY(qn_rows_start_json(rows, body, json_bytes, err));
    rows->pull.arena = rows->memory; /* names and the id outlive the first block */
    QN_TRY(read_request(rows, &rows->pull, err));
    if (rows->binary.bytes > 0) {
        return qn_fail(err, QN_ERR_ARG, "body: %zu bytes follow that belong to no tensor",
                       rows->binary.bytes);
    }
    return QN_OK;
}
