/* SPDX-License-Identifier: Apache-2.0 */
/* Rows inside a JSON object that says how they are written:
 *
 *     {"columns": {"a": [1, 2], "b": ["x", "y"]}}                    lists of values by column
 *     {"columns": ["a", "b"], "data": [[1, "x"], [2, "y"]]}          lists of values by row
 *     {"instances": [{"a": 1, "b": "x"}, …]}                         TensorFlow Serving, KServe v1
 *     {"inputs": {"a": [1, 2], "b": ["x", "y"]}}                     the same by column
 *     {"dataframe_split": {"columns": […], "data": […]}}             MLflow
 *     {"dataframe_records": [{"a": 1, "b": "x"}, …]}                 MLflow
 *
 * The object is gone over once to check it and to find the members, since their order is the
 * sender's; then each is read from where it stands. */
#include "serve/rows/rows_internal.h"

#include <string.h>

struct qn_rows_column {
    qn_pull pull;
    bool first;
};

enum member { COLUMNS, DATA, INSTANCES, INPUTS, SPLIT, RECORDS, N_MEMBERS };

static const char *const member_names[N_MEMBERS] = {
    "columns", "data", "instances", "inputs", "dataframe_split", "dataframe_records"};

struct form {
    qn_pull values[N_MEMBERS]; /* where each value begins */
    bool given[N_MEMBERS];
};

static int find_member(qn_span key)
{
    for (int m = 0; m < N_MEMBERS; m++) {
        if (strlen(member_names[m]) == key.bytes &&
            memcmp(member_names[m], key.text, key.bytes) == 0) {
            return m;
        }
    }
    return -1;
}

bool qn_rows_is_form_member(qn_span key)
{
    return find_member(key) >= 0;
}

/* Goes over an object, the whole body or a part of it, from its opening bracket on. */
static qn_status find_members(qn_rows *rows, qn_pull *pull, struct form *form, qn_error *err)
{
    bool first = true;
    qn_span key;
    qn_pull_enter(pull);
    while (qn_pull_key(pull, &first, &key)) {
        const int m = find_member(key);
        if (m >= 0 && form->given[m]) {
            qn_pull_refuse(pull, "a key is given twice");
            break;
        }
        if (m >= 0) {
            (void)qn_pull_peek(pull); /* to where the value itself begins */
            form->given[m] = true;
            form->values[m] = *pull;
        }
        if (!qn_pull_skip(pull)) break;
    }
    return pull->wrong ? qn_rows_fail_json(rows, pull, err) : QN_OK;
}

static qn_status wrong_form(qn_rows *rows, qn_pull *at, const char *what, qn_error *err)
{
    qn_pull_refuse(at, what);
    return qn_rows_fail_json(rows, at, err);
}

/* Columns. */

/* One value, which may stand in a list of its own: [[1], [2]]. */
static qn_status read_column_value(qn_rows *rows, struct qn_rows_column *column,
                                   qn_rows_place place, qn_cell *out, qn_error *err)
{
    qn_pull *pull = &column->pull;
    if (qn_pull_peek(pull) != QN_PULL_ARRAY) return qn_rows_read_cell(rows, pull, place, out, err);
    bool first = true;
    qn_pull_enter(pull);
    if (!qn_pull_next(pull, &first)) {
        return qn_rows_fail_place(rows, place, err, "has an empty list, expected a value");
    }
    QN_TRY(qn_rows_read_cell(rows, pull, place, out, err));
    if (qn_pull_next(pull, &first)) {
        return qn_rows_fail_place(rows, place, err, "has a list of several values, expected one");
    }
    return QN_OK;
}

static qn_status read_columns(qn_rows *rows, qn_rows_block *block, qn_error *err)
{
    const int64_t n_inputs = rows->model->n_inputs;
    for (int64_t input = 0; input < n_inputs; input++) {
        struct qn_rows_column *column = &rows->columns[input];
        int64_t n = 0;
        while (n < QN_BLOCK_ROWS && qn_pull_next(&column->pull, &column->first)) {
            const qn_rows_place place = {rows->n_rows + n + 1, input};
            if (place.row > rows->n_rows_max) return qn_rows_fail_too_many(rows, err);
            if (input > 0 && n == block->n_rows) {
                return qn_rows_fail_place(rows, place, err, "has more values than column '%s'",
                                          rows->model->columns[0]->name);
            }
            QN_TRY(
                read_column_value(rows, column, place, &block->cells[n * n_inputs + input], err));
            n++;
        }
        if (input == 0) block->n_rows = n;
        if (n == block->n_rows) continue;
        return qn_rows_fail_place(rows, (qn_rows_place){rows->n_rows + n + 1, input}, err,
                                  "has fewer values than column '%s'",
                                  rows->model->columns[0]->name);
    }
    rows->n_rows += block->n_rows;
    return QN_OK;
}

/* {"a": […], "b": […]}: finds where each input's list begins. */
static qn_status open_columns(qn_rows *rows, qn_pull at, qn_error *err)
{
    const int64_t n_inputs = rows->model->n_inputs;
    bool first = true;
    qn_span key;
    rows->columns = qn_arena_array(rows->memory, n_inputs, sizeof *rows->columns);
    if (!rows->columns) return qn_rows_fail_memory(err);
    qn_pull_enter(&at);
    while (qn_pull_key(&at, &first, &key)) {
        const int64_t input = qn_rows_find_input(rows, key);
        if (input >= 0) {
            struct qn_rows_column *column = &rows->columns[input];
            const qn_rows_place place = {0, input};
            if (column->pull.at) return qn_rows_fail_place(rows, place, err, "is given twice");
            if (qn_pull_peek(&at) != QN_PULL_ARRAY) {
                return qn_rows_fail_place(rows, place, err, "is no list of values");
            }
            *column = (struct qn_rows_column){.pull = at, .first = true};
            qn_pull_enter(&column->pull);
        }
        if (!qn_pull_skip(&at)) return qn_rows_fail_json(rows, &at, err);
    }
    for (int64_t input = 0; input < n_inputs; input++) {
        if (rows->columns[input].pull.at) continue;
        return qn_rows_fail_place(rows, (qn_rows_place){0, input}, err,
                                  "is missing; the model needs it");
    }
    rows->read = read_columns;
    return QN_OK;
}

/* Lists. */

static qn_status open_items(qn_rows *rows, qn_pull at, qn_error *err)
{
    if (qn_pull_peek(&at) != QN_PULL_ARRAY) {
        return wrong_form(rows, &at, "expected a list of rows", err);
    }
    qn_pull_enter(&at);
    rows->pull = at;
    rows->first = true;
    rows->read = qn_rows_read_items;
    return QN_OK;
}

/* ["a", "b"]: what the values of a row are called. */
static qn_status read_names(qn_rows *rows, qn_pull at, qn_error *err)
{
    qn_pull count = at;
    int64_t n = 0;
    bool first = true;
    qn_pull_enter(&count);
    while (qn_pull_next(&count, &first) && qn_pull_skip(&count)) {
        n++;
    }
    rows->order = qn_arena_array(rows->memory, n, sizeof *rows->order);
    if (!rows->order) return qn_rows_fail_memory(err);
    rows->n_order = 0;
    first = true;
    qn_pull_enter(&at);
    while (qn_pull_next(&at, &first)) {
        qn_span name;
        if (qn_pull_peek(&at) != QN_PULL_TEXT) {
            return wrong_form(rows, &at, "expected the name of a column", err);
        }
        if (!qn_pull_text(&at, &name)) return qn_rows_fail_json(rows, &at, err);
        const int64_t input = qn_rows_find_input(rows, name);
        if (input >= 0 && rows->seen[input]++ > 0) {
            return qn_rows_fail_place(rows, (qn_rows_place){0, input}, err, "is given twice");
        }
        rows->order[rows->n_order++] = input;
    }
    for (int64_t input = 0; input < rows->model->n_inputs; input++) {
        if (rows->seen[input] > 0) continue;
        return qn_rows_fail_place(rows, (qn_rows_place){0, input}, err,
                                  "is missing; the model needs it");
    }
    return QN_OK;
}

/* {"columns": ["a", "b"], "data": [[1, "x"], …]} */
static qn_status open_split(qn_rows *rows, const struct form *form, qn_error *err)
{
    if (!form->given[DATA]) {
        return qn_fail(err, QN_ERR_ARG,
                       "body: a list of \"columns\" comes with a list of \"data\"");
    }
    memset(rows->seen, 0, (size_t)rows->model->n_inputs * sizeof *rows->seen);
    QN_TRY(read_names(rows, form->values[COLUMNS], err));
    return open_items(rows, form->values[DATA], err);
}

static qn_status open_dataframe_split(qn_rows *rows, qn_pull at, qn_error *err)
{
    struct form form = {0};
    if (qn_pull_peek(&at) != QN_PULL_OBJECT) {
        return wrong_form(rows, &at, "expected an object of \"columns\" and \"data\"", err);
    }
    qn_pull inside = at;
    QN_TRY(find_members(rows, &inside, &form, err));
    if (form.given[COLUMNS] && qn_pull_peek(&form.values[COLUMNS]) == QN_PULL_ARRAY) {
        return open_split(rows, &form, err);
    }
    return wrong_form(rows, &at, "expected a list of \"columns\" and a list of \"data\"", err);
}

static qn_status open_named(qn_rows *rows, const struct form *form, qn_error *err)
{
    if (form->given[SPLIT]) return open_dataframe_split(rows, form->values[SPLIT], err);
    if (form->given[RECORDS]) return open_items(rows, form->values[RECORDS], err);
    if (form->given[INSTANCES]) {
        rows->form = QN_FORM_INSTANCES;
        return open_items(rows, form->values[INSTANCES], err);
    }
    const enum member by_column = form->given[INPUTS] ? INPUTS : COLUMNS;
    qn_pull at = form->values[by_column];
    rows->form = by_column == INPUTS ? QN_FORM_INPUTS : QN_FORM_LIST;
    if (qn_pull_peek(&at) == QN_PULL_OBJECT) return open_columns(rows, at, err);
    if (by_column == INPUTS) return open_items(rows, at, err);
    if (qn_pull_peek(&at) == QN_PULL_ARRAY) return open_split(rows, form, err);
    return wrong_form(rows, &at, "expected an object or a list", err);
}

qn_status qn_rows_open_form(qn_rows *rows, qn_error *err)
{
    struct form form = {0};
    QN_TRY(find_members(rows, &rows->pull, &form, err));
    if (qn_pull_peek(&rows->pull) != QN_PULL_END) {
        return wrong_form(rows, &rows->pull, "expected the end", err);
    }
    rows->form = QN_FORM_LIST;
    const int n = form.given[COLUMNS] + form.given[INSTANCES] + form.given[INPUTS] +
                  form.given[SPLIT] + form.given[RECORDS];
    if (n == 1) return open_named(rows, &form, err);
    return qn_fail(err, QN_ERR_ARG,
                   n > 1 ? "body: expected one of \"columns\", \"instances\", \"inputs\", "
                           "\"dataframe_split\" and \"dataframe_records\""
                         : "body: \"data\" comes with a list of \"columns\"");
}
