/* SPDX-License-Identifier: Apache-2.0 */
#include "base/json.h"

#include "base/alloc.h"
#include "base/number.h"
#include "base/utf8.h"

#include <assert.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Writer. */

static void new_line(qn_json_writer *json)
{
    if (!json->indent) return;
    qn_str_add_char(json->out, '\n');
    for (int i = 0; i < json->depth; i++) {
        qn_str_add(json->out, "  ");
    }
}

static void before_value(qn_json_writer *json)
{
    if (json->after_key) {
        json->after_key = false;
        return;
    }
    if (json->depth == 0) return;
    if (json->needs_comma[json->depth - 1]) qn_str_add_char(json->out, ',');
    json->needs_comma[json->depth - 1] = true;
    new_line(json);
}

static void begin(qn_json_writer *json, char bracket)
{
    before_value(json);
    qn_str_add_char(json->out, bracket);
    assert(json->depth < QN_JSON_DEPTH_MAX);
    json->needs_comma[json->depth++] = false;
}

static void end(qn_json_writer *json, char bracket)
{
    assert(json->depth > 0);
    const bool had_items = json->needs_comma[--json->depth];
    if (had_items) new_line(json);
    qn_str_add_char(json->out, bracket);
}

void qn_json_begin_object(qn_json_writer *json)
{
    begin(json, '{');
}

void qn_json_end_object(qn_json_writer *json)
{
    end(json, '}');
}

void qn_json_begin_array(qn_json_writer *json)
{
    begin(json, '[');
}

void qn_json_end_array(qn_json_writer *json)
{
    end(json, ']');
}

/* Control characters, U+0080 to U+009F among them, and the ends of lines U+2028 and U+2029: JSON
 * takes them as they are, YAML and JavaScript do not. */
static bool needs_escape(const char *text, size_t n, unsigned *code)
{
    const unsigned char *u = (const unsigned char *)text;
    *code = u[0];
    if (n == 1) return u[0] < 0x20 || u[0] == 0x7f;
    *code = n == 2 ? u[1] : 0x2000u + u[2] - 0x80;
    if (n == 2) return u[0] == 0xc2 && u[1] < 0xa0;
    return n == 3 && u[0] == 0xe2 && u[1] == 0x80 && (u[2] == 0xa8 || u[2] == 0xa9);
}

static void quote(qn_str *out, const char *text, size_t bytes)
{
    qn_str_add_char(out, '"');
    for (size_t i = 0; i < bytes;) {
        const unsigned char c = (unsigned char)text[i];
        const size_t n = qn_utf8_character(text + i, bytes - i);
        unsigned code;
        if (n == 0) {
            qn_str_add(out, "\\ufffd"); /* JSON has no other way to say: not a character */
        } else if (c == '"' || c == '\\') {
            qn_str_addf(out, "\\%c", c);
        } else if (c == '\n') {
            qn_str_add(out, "\\n");
        } else if (c == '\t') {
            qn_str_add(out, "\\t");
        } else if (needs_escape(text + i, n, &code)) {
            qn_str_addf(out, "\\u%04x", code);
        } else {
            qn_str_add_bytes(out, text + i, n);
        }
        i += n ? n : 1;
    }
    qn_str_add_char(out, '"');
}

void qn_json_key(qn_json_writer *json, const char *key)
{
    before_value(json);
    quote(json->out, key, strlen(key));
    qn_str_add(json->out, json->indent ? ": " : ":");
    json->after_key = true;
}

void qn_json_text_bytes(qn_json_writer *json, const char *text, size_t bytes)
{
    before_value(json);
    quote(json->out, text, bytes);
}

void qn_json_text(qn_json_writer *json, const char *text)
{
    if (text) {
        qn_json_text_bytes(json, text, strlen(text));
    } else {
        qn_json_null(json);
    }
}

void qn_json_int(qn_json_writer *json, int64_t value)
{
    char text[QN_INT64_TEXT_BYTES];
    before_value(json);
    qn_str_add_bytes(json->out, text, qn_format_int64(value, text));
}

void qn_json_double(qn_json_writer *json, double value)
{
    if (!isfinite(value)) {
        qn_json_null(json);
        return;
    }
    before_value(json);
    qn_str_add_double(json->out, value);
}

void qn_json_bool(qn_json_writer *json, bool value)
{
    before_value(json);
    qn_str_add(json->out, value ? "true" : "false");
}

void qn_json_null(qn_json_writer *json)
{
    before_value(json);
    qn_str_add(json->out, "null");
}

void qn_json_raw(qn_json_writer *json, const char *text)
{
    before_value(json);
    qn_str_add(json->out, text);
}

void qn_json_put_text(qn_json_writer *json, const char *key, const char *text)
{
    qn_json_key(json, key);
    qn_json_text(json, text);
}

void qn_json_put_int(qn_json_writer *json, const char *key, int64_t value)
{
    qn_json_key(json, key);
    qn_json_int(json, value);
}

void qn_json_put_double(qn_json_writer *json, const char *key, double value)
{
    qn_json_key(json, key);
    qn_json_double(json, value);
}

void qn_json_put_bool(qn_json_writer *json, const char *key, bool value)
{
    qn_json_key(json, key);
    qn_json_bool(json, value);
}

/* Reader: a qn_json_value is a json_t seen through an opaque pointer. */

struct qn_json {
    json_t *root;
};

static const json_t *json_of(qn_json_value value)
{
    return (const json_t *)value;
}

static qn_json_value value_of(const json_t *json)
{
    return (qn_json_value)json;
}

qn_status qn_json_parse(const char *text, size_t bytes, const char *name, qn_json **out,
                        qn_error *err)
{
    *out = NULL;
    qn_json *json = qn_alloc_array(1, sizeof *json);
    if (!json) return qn_fail(err, QN_ERR_NOMEM, "%s: no memory to read it", name);
    json_error_t error;
    json->root = json_loadb(text, bytes, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
    if (!json->root) {
        qn_free(json);
        return qn_fail(err, QN_ERR_DATA, "%s:%d:%d: %s", name, error.line, error.column,
                       error.text);
    }
    *out = json;
    return QN_OK;
}

void qn_json_free(qn_json *json)
{
    if (!json) return;
    json_decref(json->root);
    qn_free(json);
}

qn_json_value qn_json_root(const qn_json *json)
{
    return value_of(json->root);
}

qn_json_value qn_json_get(qn_json_value object, const char *key)
{
    return value_of(json_object_get(json_of(object), key));
}

int64_t qn_json_size(qn_json_value value)
{
    const json_t *json = json_of(value);
    return (int64_t)(json_is_object(json) ? json_object_size(json) : json_array_size(json));
}

qn_json_value qn_json_at(qn_json_value array, int64_t i)
{
    return value_of(json_array_get(json_of(array), (size_t)i));
}

qn_json_value qn_json_member(qn_json_value object, int64_t i, const char **key)
{
    json_t *json = (json_t *)(uintptr_t)object;
    void *at = json_object_iter(json);
    while (at && i-- > 0) {
        at = json_object_iter_next(json, at);
    }
    *key = at ? json_object_iter_key(at) : NULL;
    return at ? value_of(json_object_iter_value(at)) : NULL;
}

void qn_json_write_value(qn_json_writer *json, qn_json_value value)
{
    char *text = value ? json_dumps(json_of(value), JSON_COMPACT | JSON_ENCODE_ANY) : NULL;
    if (text) {
        qn_json_raw(json, text);
    } else {
        json->out->failed = true;
    }
    free(text);
}

bool qn_json_is_null(qn_json_value value)
{
    return !value || json_is_null(json_of(value));
}

bool qn_json_is_array(qn_json_value value)
{
    return value && json_is_array(json_of(value));
}

bool qn_json_is_object(qn_json_value value)
{
    return value && json_is_object(json_of(value));
}

const char *qn_json_as_text(qn_json_value value, const char *otherwise)
{
    const char *text = json_string_value(json_of(value));
    return text ? text : otherwise;
}

int64_t qn_json_as_int(qn_json_value value, int64_t otherwise)
{
    return value && json_is_integer(json_of(value)) ? json_integer_value(json_of(value))
                                                    : otherwise;
}

double qn_json_as_double(qn_json_value value, double otherwise)
{
    return value && json_is_number(json_of(value)) ? json_number_value(json_of(value)) : otherwise;
}

bool qn_json_as_bool(qn_json_value value, bool otherwise)
{
    return value && json_is_boolean(json_of(value)) ? json_is_true(json_of(value)) : otherwise;
}
