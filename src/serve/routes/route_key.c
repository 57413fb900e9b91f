/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/routes/route_key.h"

#include "base/number.h"
#include "serve/rows/tensor_data.h"

#include <string.h>

static bool is_text(qn_span span, const char *text)
{
    return strlen(text) == span.bytes && (!span.bytes || memcmp(text, span.text, span.bytes) == 0);
}

/* JSON. */

/* A value, or the first in a list of values, or in a list of lists. */
static qn_span read_value(qn_pull *pull, int lists)
{
    qn_span value = {0};
    double number;
    qn_pull_type type = qn_pull_peek(pull);
    for (; type == QN_PULL_ARRAY && lists > 0; lists--) {
        bool first = true;
        qn_pull_enter(pull);
        if (!qn_pull_next(pull, &first)) return value;
        type = qn_pull_peek(pull);
    }
    if (type == QN_PULL_TEXT && qn_pull_text(pull, &value)) return value;
    if (type == QN_PULL_NUMBER && qn_pull_number(pull, &number, &value)) return value;
    if (type == QN_PULL_TRUE) return (qn_span){"true", 4};
    if (type == QN_PULL_FALSE) return (qn_span){"false", 5};
    return (qn_span){0};
}

/* Where else the column may be, in an object that does not have it itself; `at` NULL: nowhere. */
typedef struct places {
    qn_pull wrapper;     /* a value that holds rows: the first */
    qn_pull names, data; /* a list of names, and a list of rows in their order */
} places;

static bool is_wrapper(qn_span key)
{
    static const char *const wrappers[] = {"instances", "dataframe_records", "dataframe_split",
                                           "columns", "inputs"};
    for (size_t i = 0; i < sizeof wrappers / sizeof *wrappers; i++) {
        if (is_text(key, wrappers[i])) return true;
    }
    return false;
}

static void note_place(qn_pull *pull, qn_span key, places *found)
{
    const bool list = qn_pull_peek(pull) == QN_PULL_ARRAY;
    if (list && is_text(key, "columns")) {
        found->names = *pull;
    } else if (list && is_text(key, "data")) {
        found->data = *pull;
    } else if (!found->wrapper.at && is_wrapper(key)) {
        found->wrapper = *pull;
    }
}

/* In the object that comes; *found becomes what is met before. */
static qn_span find_in_object(qn_pull *pull, const char *column, places *found)
{
    bool first = true;
    qn_span key;
    qn_pull_enter(pull);
    while (qn_pull_key(pull, &first, &key)) {
        if (is_text(key, column)) return read_value(pull, 1);
        note_place(pull, key, found);
        if (!qn_pull_skip(pull)) break;
    }
    return (qn_span){0};
}

/* The value in the first of the rows that stands where the name does among the names. */
static qn_span find_in_table(qn_pull *names, qn_pull *rows, const char *column)
{
    bool first = true, first_row = true, first_value = true;
    qn_span name;
    qn_pull_enter(names);
    qn_pull_enter(rows);
    if (!qn_pull_next(rows, &first_row) || qn_pull_peek(rows) != QN_PULL_ARRAY) {
        return (qn_span){0};
    }
    qn_pull_enter(rows);
    while (qn_pull_next(names, &first) && qn_pull_next(rows, &first_value) &&
           qn_pull_peek(names) == QN_PULL_TEXT && qn_pull_text(names, &name)) {
        if (is_text(name, column)) return read_value(rows, 0);
        if (!qn_pull_skip(rows)) break;
    }
    return (qn_span){0};
}

/* In an object, or the first object of a list. What holds rows is looked into once. */
static qn_span find_in_rows(qn_pull *pull, const char *column, bool outermost)
{
    places found = {.wrapper = {0}};
    const bool list = qn_pull_peek(pull) == QN_PULL_ARRAY;
    if (list) {
        bool first = true;
        qn_pull_enter(pull);
        if (!qn_pull_next(pull, &first)) return (qn_span){0};
    }
    if (qn_pull_peek(pull) != QN_PULL_OBJECT) return (qn_span){0};
    const qn_span value = find_in_object(pull, column, &found);
    if (value.text || list) return value;
    if (found.names.at && found.data.at) {
        return find_in_table(&found.names, &found.data, column);
    }
    if (!outermost || !found.wrapper.at) return (qn_span){0};
    return find_in_rows(&found.wrapper, column, false);
}

qn_span qn_route_key_in_json(qn_span body, const char *column, qn_arena *memory)
{
    qn_pull pull = {
        .begin = body.text, .at = body.text, .end = body.text + body.bytes, .arena = memory};
    return find_in_rows(&pull, column, true);
}

/* Tensors. */

typedef struct tensor {
    qn_span name, datatype;
    int n_dimensions;
    double n_columns; /* the second of its dimensions */
    qn_pull data;     /* at NULL: its data are binary */
    qn_span bytes;    /* these */
    double n_bytes;   /* as the JSON tells */
} tensor;

static void read_parameters(qn_pull *pull, tensor *out)
{
    bool first = true;
    qn_span key;
    if (qn_pull_peek(pull) != QN_PULL_OBJECT) return;
    qn_pull_enter(pull);
    while (qn_pull_key(pull, &first, &key)) {
        if (is_text(key, "binary_data_size") && qn_pull_peek(pull) == QN_PULL_NUMBER) {
            if (!qn_pull_number(pull, &out->n_bytes, NULL)) return;
        } else if (!qn_pull_skip(pull)) {
            return;
        }
    }
}

static void read_shape(qn_pull *pull, tensor *out)
{
    bool first = true;
    double size;
    qn_pull_enter(pull);
    for (out->n_dimensions = 0; qn_pull_next(pull, &first); out->n_dimensions++) {
        if (qn_pull_peek(pull) != QN_PULL_NUMBER || !qn_pull_number(pull, &size, NULL)) return;
        if (out->n_dimensions == 1) out->n_columns = size;
    }
}

/* False when it is not well-formed. */
static bool read_tensor(qn_pull *pull, tensor *out)
{
    bool first = true;
    qn_span key;
    *out = (tensor){.n_bytes = 0};
    if (qn_pull_peek(pull) != QN_PULL_OBJECT) return false;
    qn_pull_enter(pull);
    while (qn_pull_key(pull, &first, &key)) {
        const qn_pull_type type = qn_pull_peek(pull);
        qn_span *text = is_text(key, "name")       ? &out->name
                        : is_text(key, "datatype") ? &out->datatype
                                                   : NULL;
        if (text && type == QN_PULL_TEXT) {
            if (!qn_pull_text(pull, text)) return false;
        } else if (is_text(key, "parameters")) {
            qn_pull parameters = *pull;
            read_parameters(&parameters, out);
            if (!qn_pull_skip(pull)) return false;
        } else {
            if (is_text(key, "data") && type == QN_PULL_ARRAY) out->data = *pull;
            if (is_text(key, "shape") && type == QN_PULL_ARRAY) {
                qn_pull shape = *pull;
                read_shape(&shape, out);
            }
            if (!qn_pull_skip(pull)) return false;
        }
    }
    return !pull->wrong;
}

/* The value at that index, counted within a list, or within the first of its lists. */
static qn_span value_of_json(qn_pull *data, int64_t index)
{
    bool first = true;
    qn_pull_enter(data);
    if (!qn_pull_next(data, &first)) return (qn_span){0};
    if (qn_pull_peek(data) == QN_PULL_ARRAY) {
        first = true;
        qn_pull_enter(data);
        if (!qn_pull_next(data, &first)) return (qn_span){0};
    }
    for (int64_t i = 0; i < index; i++) {
        if (!qn_pull_skip(data) || !qn_pull_next(data, &first)) return (qn_span){0};
    }
    return read_value(data, 0);
}

static qn_span value_of_tensor(tensor *t, int64_t index, qn_arena *memory)
{
    char digits[QN_DOUBLE_TEXT_BYTES];
    if (t->data.at) return value_of_json(&t->data, index);
    const qn_datatype *type = qn_datatype_find(t->datatype);
    if (!type) return (qn_span){0};
    const qn_span text = qn_tensor_text(type, t->bytes.text, t->bytes.bytes, index, digits);
    if (text.text != digits) return text;
    const char *kept = qn_arena_strndup(memory, digits, text.bytes);
    return (qn_span){kept, kept ? text.bytes : 0};
}

/* Has the tensor take its bytes, if it is one of bytes; false when there are fewer. */
static bool take_bytes(tensor *t, qn_span *binary)
{
    if (t->data.at) return true;
    if (!(t->n_bytes >= 0 && t->n_bytes <= (double)binary->bytes)) return false;
    t->bytes = (qn_span){binary->text, (size_t)t->n_bytes};
    binary->text += t->bytes.bytes;
    binary->bytes -= t->bytes.bytes;
    return true;
}

/* Tensor after tensor of the list that comes; one that is alone may have all columns. */
static qn_span find_in_tensors(qn_pull *pull, qn_span binary, const char *column,
                               qn_route_place place, qn_arena *memory)
{
    bool first = true;
    int64_t n = 0;
    tensor t = {.n_bytes = 0};
    qn_pull_enter(pull);
    for (; qn_pull_next(pull, &first); n++) {
        if (!read_tensor(pull, &t) || !take_bytes(&t, &binary)) return (qn_span){0};
        if (is_text(t.name, column)) return value_of_tensor(&t, 0, memory);
    }
    const bool all = n == 1 && t.n_dimensions == 2 && t.n_columns == (double)place.n_columns;
    return all && place.column >= 0 ? value_of_tensor(&t, place.column, memory) : (qn_span){0};
}

qn_span qn_route_key_in_tensors(qn_span body, size_t json_bytes, const char *column,
                                qn_route_place place, qn_arena *memory)
{
    if (json_bytes == 0 || json_bytes > body.bytes) json_bytes = body.bytes;
    qn_pull pull = {
        .begin = body.text, .at = body.text, .end = body.text + json_bytes, .arena = memory};
    const qn_span binary = {body.text + json_bytes, body.bytes - json_bytes};
    bool first = true;
    qn_span key;
    if (qn_pull_peek(&pull) != QN_PULL_OBJECT) return (qn_span){0};
    qn_pull_enter(&pull);
    while (qn_pull_key(&pull, &first, &key)) {
        if (is_text(key, "inputs") && qn_pull_peek(&pull) == QN_PULL_ARRAY) {
            return find_in_tensors(&pull, binary, column, place, memory);
        }
        if (!qn_pull_skip(&pull)) break;
    }
    return (qn_span){0};
}

/* CSV. */

/* The next field; *at is then behind its comma or line end, *last at the end of a line. */
static qn_span next_field(const char **at, const char *end, bool *last)
{
    const char *p = *at;
    const bool quoted = p < end && *p == '"';
    const char *begin = quoted ? ++p : p, *field_end;
    while (p < end && (quoted ? *p != '"' || (p + 1 < end && p[1] == '"')
                              : *p != ',' && *p != '\n' && *p != '\r')) {
        p += quoted && *p == '"' ? 2 : 1;
    }
    field_end = p;
    p += quoted && p < end;
    *last = p >= end || *p != ',';
    if (p < end && *p == '\r') p++;
    *at = p + (p < end);
    return (qn_span){begin, (size_t)(field_end - begin)};
}

qn_span qn_route_key_in_csv(qn_span body, const char *column)
{
    const char *at = body.text, *end = body.text + body.bytes;
    int64_t found = -1;
    bool last = false;
    if (body.bytes >= 3 && memcmp(at, "\xEF\xBB\xBF", 3) == 0) at += 3;
    for (int64_t i = 0; !last; i++) {
        if (is_text(next_field(&at, end, &last), column) && found < 0) found = i;
    }
    last = false;
    for (int64_t i = 0; found >= 0 && at < end && !last; i++) {
        const qn_span field = next_field(&at, end, &last);
        if (i == found && field.bytes > 0) return field;
    }
    return (qn_span){0};
}
