/* SPDX-License-Identifier: Apache-2.0 */
#include "source/field.h"

#include "base/alloc.h"

#include <string.h>
#include <strings.h>

/* Texts that mean "missing" by custom. The last ones do so only where numbers or dates are
 * expected: among texts they are levels ("None" a type of veneer, "-" a grade). */
static const struct {
    const char *text;
    bool typed_only;
} usual_markers[] = {{"", false},     {"NA", false},   {"NaN", false},  {"nan", false},
                     {"null", false}, {"NULL", false}, {"N/A", false},  {"n/a", false},
                     {"?", false},    {"<NA>", false}, {"#N/A", false}, {"NAN", true},
                     {"-", true},     {"--", true},    {".", true},     {"None", true},
                     {"none", true},  {"Null", true},  {"na", true},    {"N.A.", true}};

qn_status qn_markers_init(qn_markers *markers, const char *list, qn_error *err)
{
    *markers = (qn_markers){0};
    if (!list) {
        markers->n = (int)(sizeof usual_markers / sizeof *usual_markers);
        for (int i = 0; i < markers->n; i++) {
            markers->texts[i] = usual_markers[i].text;
            markers->bytes[i] = (uint8_t)strlen(usual_markers[i].text);
            markers->typed_only[i] = usual_markers[i].typed_only;
        }
        return QN_OK;
    }
    markers->given = true;
    markers->owned = qn_strdup(list);
    if (!markers->owned) return qn_fail(err, QN_ERR_NOMEM, "no memory for the missing markers");
    markers->texts[markers->n++] = ""; /* an empty field is always missing */
    for (const char *at = markers->owned; *at;) {
        const size_t n = strcspn(at, ",");
        if (n > 255 || markers->n == QN_MARKERS_MAX) {
            qn_markers_release(markers);
            return n > 255 ? qn_fail(err, QN_ERR_ARG, "a missing marker is longer than 255 bytes")
                           : qn_fail(err, QN_ERR_ARG, "more than %d missing markers",
                                     QN_MARKERS_MAX - 1);
        }
        markers->texts[markers->n] = at;
        markers->bytes[markers->n++] = (uint8_t)n;
        at += n + (at[n] == ',');
    }
    return QN_OK;
}

void qn_markers_release(qn_markers *markers)
{
    qn_free(markers->owned);
    *markers = (qn_markers){0};
}

int qn_markers_find(const qn_markers *markers, const char *text, size_t bytes, qn_field_type type)
{
    if (bytes == 0) return 0;
    if (!markers->given && bytes > 4) return -1;
    for (int i = 1; i < markers->n; i++) {
        if (markers->bytes[i] != bytes || memcmp(markers->texts[i], text, bytes) != 0) continue;
        if (markers->typed_only[i] && type == QN_FIELD_TEXT) return -1;
        return i;
    }
    return -1;
}

bool qn_field_parse_bool(const char *text, size_t bytes, uint8_t *out)
{
    if (bytes == 4 && strncasecmp(text, "true", 4) == 0) {
        *out = 1;
        return true;
    }
    if (bytes == 5 && strncasecmp(text, "false", 5) == 0) {
        *out = 0;
        return true;
    }
    return false;
}

/* One or two digits. */
static bool small_number(const char **at, const char *end, int32_t *out)
{
    int n = 0;
    *out = 0;
    while (*at < end && n < 3 && **at >= '0' && **at <= '9') {
        *out = *out * 10 + (**at - '0');
        (*at)++;
        n++;
    }
    return n == 1 || n == 2;
}

/* Day and month in either order, then a year of four digits, then perhaps a clock time. */
static bool parse_short_date(bool month_first, const char *text, size_t bytes, int64_t *out)
{
    const char *at = text, *end = text + bytes;
    qn_civil_time t = {0};
    int32_t first, second, zone = 0;
    if (bytes < 8 || !small_number(&at, end, &first) || at == end) return false;
    const char separator = *at++;
    if (separator != '/' && separator != '-' && separator != '.') return false;
    if (!small_number(&at, end, &second) || end - at < 5 || *at++ != separator) return false;
    for (int i = 0; i < 4; i++) {
        if (at[i] < '0' || at[i] > '9') return false;
        t.year = t.year * 10 + (at[i] - '0');
    }
    at += 4;
    t.month = month_first ? first : second;
    t.day = month_first ? second : first;
    if (at < end) {
        if (*at != ' ' && *at != 'T') return false;
        at++;
        qn_civil_time clock = {0};
        char padded[32] = "0";
        if (end - at > 30 || end - at < 4) return false;
        const bool short_hour = at[1] == ':';
        memcpy(padded + short_hour, at, (size_t)(end - at));
        if (!qn_clock_time_parse(padded, padded + short_hour + (end - at), &clock, &zone)) {
            return false;
        }
        t.hour = clock.hour;
        t.minute = clock.minute;
        t.second = clock.second;
        t.micros = clock.micros;
    }
    if (!qn_civil_is_valid(&t)) return false;
    *out = qn_timestamp_from_civil(&t) - zone * INT64_C(60000000);
    return true;
}

bool qn_field_parse_date(qn_field_type type, const char *text, size_t bytes, int64_t *out)
{
    if (type == QN_FIELD_DATE_ISO) return qn_timestamp_parse(text, bytes, out);
    return parse_short_date(type == QN_FIELD_DATE_MDY, text, bytes, out);
}

qn_field_type qn_field_type_of(const char *text, size_t bytes)
{
    int64_t micros;
    double number;
    uint8_t flag;
    if (bytes == 0) return QN_FIELD_EMPTY;
    const char c = *text;
    if ((c >= '0' && c <= '9') || c == '-' || c == '+' || c == '.') {
        if (qn_parse_int64(text, bytes, &micros)) {
            /* A code such as 00123 loses its zeros as a number. */
            const size_t sign = c == '-' || c == '+';
            const bool padded = bytes > sign + 3 && text[sign] == '0';
            /* The least int64 stands for a missing value: see csv_chunk.h. */
            return padded || micros == INT64_MIN ? QN_FIELD_TEXT : QN_FIELD_INT;
        }
        if (qn_parse_double(text, bytes, &number)) {
            /* Digits beyond 64 bits are a key, and 1e999 is no number that can be computed with:
             * as text neither loses anything. */
            bool whole = true;
            for (size_t i = c == '-' || c == '+'; i < bytes; i++) {
                whole = whole && text[i] >= '0' && text[i] <= '9';
            }
            return whole || isinf(number) ? QN_FIELD_TEXT : QN_FIELD_DOUBLE;
        }
        if (bytes >= 8 && qn_timestamp_parse(text, bytes, &micros)) return QN_FIELD_DATE_ISO;
        if (parse_short_date(true, text, bytes, &micros)) return QN_FIELD_DATE_MDY;
        if (parse_short_date(false, text, bytes, &micros)) return QN_FIELD_DATE_DMY;
        return QN_FIELD_TEXT;
    }
    return qn_field_parse_bool(text, bytes, &flag) ? QN_FIELD_BOOL : QN_FIELD_TEXT;
}

qn_field_type qn_field_type_join(qn_field_type a, qn_field_type b)
{
    if (a == b || b == QN_FIELD_EMPTY) return a;
    if (a == QN_FIELD_EMPTY) return b;
    if (a > b) {
        const qn_field_type swap = a;
        a = b;
        b = swap;
    }
    if (a == QN_FIELD_INT && b == QN_FIELD_DOUBLE) return b;
    /* Readable as month first as well as day first: then day first decides. */
    if (a == QN_FIELD_DATE_MDY && b == QN_FIELD_DATE_DMY) return b;
    return QN_FIELD_TEXT;
}

qn_type qn_field_frame_type(qn_field_type type)
{
    switch (type) {
    case QN_FIELD_BOOL:
        return QN_TYPE_BOOL;
    case QN_FIELD_INT:
        return QN_TYPE_INT64;
    case QN_FIELD_EMPTY: /* all missing: any type will do; doubles need no validity to show it */
    case QN_FIELD_DOUBLE:
        return QN_TYPE_FLOAT64;
    case QN_FIELD_DATE_ISO:
    case QN_FIELD_DATE_MDY:
    case QN_FIELD_DATE_DMY:
        return QN_TYPE_TIMESTAMP;
    case QN_FIELD_TEXT:
        break;
    }
    return QN_TYPE_STRING;
}

qn_field_type qn_field_of_frame_type(qn_type type)
{
    switch (type) {
    case QN_TYPE_BOOL:
        return QN_FIELD_BOOL;
    case QN_TYPE_INT64:
        return QN_FIELD_INT;
    case QN_TYPE_FLOAT64:
        return QN_FIELD_DOUBLE;
    case QN_TYPE_TIMESTAMP:
        return QN_FIELD_DATE_ISO;
    case QN_TYPE_STRING:
        break;
    }
    return QN_FIELD_TEXT;
}
