/* SPDX-License-Identifier: Apache-2.0 */
/* JSON lines → frame, by a pull parser that goes over the bytes once. Strict JSON (RFC 8259); one
 * object a line; a key may come and go. */
#include "base/alloc.h"
#include "base/json_escape.h"
#include "base/utf8.h"
#include "source/column_builder.h"
#include "source/connectors.h"

#include <stdio.h>
#include <string.h>

enum { DEPTH_MAX = 64, COLUMNS_MAX = 100000 };

struct lines {
    const char *name, *begin, *at, *end;
    int64_t row;
    qn_map *columns; /* name → index */
    qn_column_builder *builders;
    int64_t n_cols, room;
    qn_str key;     /* dotted name of where we are */
    qn_str scratch; /* a text without its escapes */
    qn_error *err;
};

static qn_status fail_at(const struct lines *l, const char *message)
{
    int64_t line = 1;
    const char *start = l->begin;
    for (const char *c = l->begin; c < l->at && c < l->end; c++) {
        if (*c == '\n') {
            line++;
            start = c + 1;
        }
    }
    return qn_fail(l->err, QN_ERR_DATA, "%s:%" PRId64 ":%" PRId64 ": %s", l->name, line,
                   (int64_t)(l->at - start) + 1, message);
}

static qn_status no_memory(const struct lines *l)
{
    return qn_fail(l->err, QN_ERR_NOMEM, "%s: no memory to read it", l->name);
}

static void skip_blanks(struct lines *l)
{
    while (l->at < l->end && (*l->at == ' ' || *l->at == '\t' || *l->at == '\r')) {
        l->at++;
    }
}

/* A string at l->at, its quotes included, appended to `out` without escapes. */
static qn_status parse_string(struct lines *l, qn_str *out)
{
    l->at++;
    for (;;) {
        const char *plain = l->at;
        while (l->at < l->end && *l->at != '"' && *l->at != '\\' && (unsigned char)*l->at >= 0x20) {
            l->at++;
        }
        const char *wrong = qn_utf8_first_invalid(plain, (size_t)(l->at - plain));
        if (wrong) {
            l->at = wrong;
            return fail_at(l, "found bytes that are not UTF-8 (RFC 8259 asks for it)");
        }
        qn_str_add_bytes(out, plain, (size_t)(l->at - plain));
        if (l->at == l->end || *l->at == '\n') return fail_at(l, "a string is not closed");
        if (*l->at == '"') break;
        if (*l->at != '\\') return fail_at(l, "found a control character in a string");
        if (++l->at == l->end) return fail_at(l, "a string is not closed");
        char meant[QN_JSON_ESCAPE_MAX];
        size_t bytes;
        const char *fault = qn_json_escape(&l->at, l->end, meant, &bytes);
        if (fault) return fail_at(l, fault);
        qn_str_add_bytes(out, meant, bytes);
    }
    l->at++;
    return out->failed ? no_memory(l) : QN_OK;
}

/* The column called l->key. */
static qn_status find_column(struct lines *l, qn_column_builder **out)
{
    const char *key = l->key.text ? l->key.text : "";
    const int64_t known = qn_map_get(l->columns, key, l->key.bytes, -1);
    if (known >= 0) {
        *out = &l->builders[known];
        if ((*out)->n_rows > l->row) return fail_at(l, "a key comes twice in one object");
    } else {
        if (l->n_cols == COLUMNS_MAX) return fail_at(l, "more than 100,000 different keys");
        if (l->n_cols == l->room) {
            const int64_t room = l->room ? l->room * 2 : 16;
            qn_column_builder *builders = qn_realloc_array(l->builders, room, sizeof *builders);
            if (!builders) return no_memory(l);
            l->builders = builders;
            l->room = room;
        }
        *out = &l->builders[l->n_cols];
        **out = (qn_column_builder){0};
        l->n_cols++;
        if (!qn_column_builder_init(*out, key, l->key.bytes, l->row) ||
            !qn_map_set(l->columns, key, l->key.bytes, l->n_cols - 1)) {
            return no_memory(l);
        }
    }
    while ((*out)->n_rows < l->row && !(*out)->failed) {
        qn_column_builder_add_missing(*out);
    }
    return QN_OK;
}

/* Steps over an array (or an object inside one), checking brackets and strings. */
static qn_status skip_nested(struct lines *l)
{
    char open[DEPTH_MAX];
    int depth = 0;
    do {
        if (l->at == l->end || *l->at == '\n') return fail_at(l, "an array is not closed");
        const char c = *l->at;
        if (c == '"') {
            qn_str_clear(&l->scratch);
            QN_TRY(parse_string(l, &l->scratch));
            continue;
        }
        if (c == '[' || c == '{') {
            if (depth == DEPTH_MAX) return fail_at(l, "nested deeper than 64 levels");
            open[depth++] = c;
        } else if (c == ']' || c == '}') {
            if (open[--depth] != (c == ']' ? '[' : '{'))
                return fail_at(l, "a wrong bracket closes");
        }
        l->at++;
    } while (depth > 0);
    return QN_OK;
}

static bool word(struct lines *l, const char *text)
{
    const size_t n = strlen(text);
    if ((size_t)(l->end - l->at) < n || memcmp(l->at, text, n) != 0) return false;
    l->at += n;
    return true;
}

/* RFC 8259: no zeros in front, and digits on both sides of a point. */
static bool is_json_number(const char *at, const char *end)
{
    at += at < end && *at == '-';
    if (at == end || *at < '0' || *at > '9') return false;
    if (*at == '0' && at + 1 < end && at[1] >= '0' && at[1] <= '9') return false;
    const char *point = memchr(at, '.', (size_t)(end - at));
    return !point || (point + 1 < end && point[1] >= '0' && point[1] <= '9');
}

static qn_status parse_number(struct lines *l, qn_column_builder *column)
{
    const char *start = l->at;
    while (l->at < l->end && *l->at && strchr("+-.eE0123456789", *l->at)) {
        l->at++;
    }
    const size_t bytes = (size_t)(l->at - start);
    int64_t whole;
    double number;
    const char first = bytes ? *start : '\0';
    if (!((first >= '0' && first <= '9') || first == '-')) {
        return fail_at(l, "expected a value");
    }
    const bool strict = is_json_number(start, l->at);
    if (strict && qn_parse_int64(start, bytes, &whole)) {
        qn_column_builder_add_int(column, whole);
    } else if (strict && qn_parse_double(start, bytes, &number)) {
        if (isinf(number)) {
            qn_column_builder_add_text(column, start, bytes); /* beyond doubles: nothing is lost */
        } else {
            qn_column_builder_add_double(column, number);
        }
    } else {
        l->at = start;
        return fail_at(l, "expected a number as JSON writes it");
    }
    return QN_OK;
}

static qn_status parse_scalar(struct lines *l)
{
    qn_column_builder *column = NULL;
    QN_TRY(find_column(l, &column));
    const char *start = l->at;
    if (l->at < l->end && *l->at == '"') {
        qn_str_clear(&l->scratch);
        QN_TRY(parse_string(l, &l->scratch));
        qn_column_builder_add_text(column, l->scratch.text ? l->scratch.text : "",
                                   l->scratch.bytes);
    } else if (l->at < l->end && *l->at == '[') {
        QN_TRY(skip_nested(l));
        qn_column_builder_add_text(column, start, (size_t)(l->at - start));
    } else if (word(l, "null")) {
        qn_column_builder_add_missing(column);
    } else if (word(l, "true")) {
        qn_column_builder_add_bool(column, true);
    } else if (word(l, "false")) {
        qn_column_builder_add_bool(column, false);
    } else {
        QN_TRY(parse_number(l, column));
    }
    return column->failed ? no_memory(l) : QN_OK;
}

static qn_status expect(struct lines *l, char c, const char *message)
{
    skip_blanks(l);
    if (l->at == l->end || *l->at != c) return fail_at(l, message);
    l->at++;
    return QN_OK;
}

/* An object and the objects in it, without recursion: `lengths` holds how long the dotted name was
 * where each object began. */
static qn_status parse_object(struct lines *l)
{
    size_t lengths[DEPTH_MAX];
    int depth = 0;
    bool first = true;
    qn_str_clear(&l->key);
    QN_TRY(expect(l, '{', "expected an object: one JSON object a line"));
    lengths[depth++] = 0;
    while (depth > 0) {
        skip_blanks(l);
        if (l->at < l->end && *l->at == '}') {
            l->at++;
            depth--;
            first = false;
            continue;
        }
        if (!first) QN_TRY(expect(l, ',', "expected ',' or '}'"));
        skip_blanks(l);
        if (l->at == l->end || *l->at != '"') return fail_at(l, "expected a key in quotes");
        l->key.bytes = lengths[depth - 1];
        if (l->key.bytes > 0) qn_str_add_char(&l->key, '.');
        QN_TRY(parse_string(l, &l->key));
        QN_TRY(expect(l, ':', "expected ':'"));
        skip_blanks(l);
        if (l->at < l->end && *l->at == '{') {
            if (depth == DEPTH_MAX) return fail_at(l, "nested deeper than 64 levels");
            lengths[depth++] = l->key.bytes;
            l->at++;
            first = true;
        } else {
            QN_TRY(parse_scalar(l));
            first = false;
        }
    }
    return QN_OK;
}

static qn_status parse_lines(struct lines *l, const qn_stop *stop)
{
    while (l->at < l->end) {
        skip_blanks(l);
        if (l->at == l->end) break;
        if (*l->at == '\n') {
            l->at++;
            continue;
        }
        QN_TRY(parse_object(l));
        skip_blanks(l);
        if (l->at < l->end && *l->at != '\n') {
            return fail_at(l, "expected the end of the line: one JSON object a line");
        }
        l->row++;
        if (l->row % 4096 == 0 && qn_stop_requested(stop)) {
            return qn_fail(l->err, QN_ERR_INTERRUPTED, "%s: stopped while reading", l->name);
        }
    }
    return QN_OK;
}

qn_status qn_jsonl_read(const qn_read_request *request, const char *name, const qn_content *content,
                        qn_frame **out, qn_str *warnings, qn_error *err)
{
    (void)warnings;
    *out = NULL;
    struct lines l = {.name = name,
                      .begin = content->data,
                      .at = content->data,
                      .end = content->data + content->bytes,
                      .columns = qn_map_create(64),
                      .err = err};
    qn_markers markers = {0};
    qn_status status = l.columns ? qn_markers_init(&markers, request->markers, err) : no_memory(&l);
    if (content->bytes >= 3 && memcmp(content->data, "\xef\xbb\xbf", 3) == 0) {
        l.begin = l.at += 3;
    }
    if (status == QN_OK) status = parse_lines(&l, request->stop);
    if (status == QN_OK) {
        status = qn_column_builders_finish(l.builders, l.n_cols, l.row, name, &markers, out, err);
    }
    for (int64_t col = 0; col < l.n_cols; col++) {
        qn_column_builder_release(&l.builders[col]);
    }
    qn_free(l.builders);
    qn_map_free(l.columns);
    qn_str_release(&l.key);
    qn_str_release(&l.scratch);
    qn_markers_release(&markers);
    return status;
}
