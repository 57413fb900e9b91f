/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/route_key.h"

#include <string.h>

static bool is_text(qn_span span, const char *text)
{
    return strlen(text) == span.bytes && memcmp(text, span.text, span.bytes) == 0;
}

/* JSON. */

/* A value, or the first of a list of values. */
static qn_span read_value(qn_pull *pull)
{
    qn_span value = {0};
    double number;
    qn_pull_type type = qn_pull_peek(pull);
    if (type == QN_PULL_ARRAY) {
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

/* What holds rows: looked into where it is met. */
static bool is_wrapper(qn_span key)
{
    static const char *const wrappers[] = {"instances", "dataframe_records", "columns", "inputs"};
    for (size_t i = 0; i < sizeof wrappers / sizeof *wrappers; i++) {
        if (is_text(key, wrappers[i])) return true;
    }
    return false;
}

/* In the object that comes; *wrapper becomes the reader at the first value that holds rows. */
static qn_span find_in_object(qn_pull *pull, const char *column, qn_pull *wrapper)
{
    bool first = true;
    qn_span key;
    qn_pull_enter(pull);
    while (qn_pull_key(pull, &first, &key)) {
        if (is_text(key, column)) return read_value(pull);
        if (wrapper && !wrapper->at && is_wrapper(key)) {
            qn_pull_peek(pull);
            *wrapper = *pull;
        }
        if (!qn_pull_skip(pull)) break;
    }
    return (qn_span){0};
}

/* In an object, or the first object of a list. */
static qn_span find_in_rows(qn_pull *pull, const char *column, qn_pull *wrapper)
{
    if (qn_pull_peek(pull) == QN_PULL_ARRAY) {
        bool first = true;
        qn_pull_enter(pull);
        if (!qn_pull_next(pull, &first)) return (qn_span){0};
        wrapper = NULL;
    }
    if (qn_pull_peek(pull) != QN_PULL_OBJECT) return (qn_span){0};
    return find_in_object(pull, column, wrapper);
}

qn_span qn_route_key_in_json(qn_span body, const char *column, qn_arena *memory)
{
    qn_pull pull = {
        .begin = body.text, .at = body.text, .end = body.text + body.bytes, .arena = memory};
    qn_pull wrapper = {0};
    const qn_span found = find_in_rows(&pull, column, &wrapper);
    return found.text || !wrapper.at ? found : find_in_rows(&wrapper, column, NULL);
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
