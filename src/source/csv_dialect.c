/* SPDX-License-Identifier: Apache-2.0 */
#include "source/csv_dialect.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

enum { SNIFF_BYTES = 1 << 16, SNIFF_RECORDS = 200 };

qn_status qn_csv_fail_at(const qn_csv_dialect *dialect, const char *at, qn_error *err,
                         const char *format, ...)
{
    char message[512];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);

    int64_t line = 1;
    const char *line_start = dialect->first;
    for (const char *c = dialect->first; c < at; c++) {
        if (*c == dialect->newline) {
            line++;
            line_start = c + 1;
        }
    }
    return qn_fail(err, QN_ERR_DATA, "%s:%" PRId64 ":%" PRId64 ": %s", dialect->name, line,
                   (int64_t)(at - line_start) + 1, message);
}

qn_status qn_csv_fail_field(const qn_csv_dialect *dialect, const qn_csv_field *field, qn_error *err)
{
    switch (field->fault) {
    case QN_CSV_UNCLOSED_QUOTE:
        return qn_csv_fail_at(dialect, field->at, err, "a quote opens here and is never closed");
    case QN_CSV_AFTER_QUOTE:
        return qn_csv_fail_at(dialect, field->at, err,
                              "found text after a closing quote; double a quote to have it inside "
                              "a quoted field");
    case QN_CSV_NUL:
        return qn_csv_fail_at(dialect, field->at, err,
                              "found a zero byte; this is no text, or it is damaged");
    case QN_CSV_OK:
        break;
    }
    return QN_OK;
}

/* First byte at or after `at` that is one of the three, or zero. */
static const char *find_stop(const char *at, const char *end, char a, char b)
{
#ifdef __SSE2__
    const __m128i va = _mm_set1_epi8(a), vb = _mm_set1_epi8(b), vr = _mm_set1_epi8('\r'),
                  zero = _mm_setzero_si128();
    for (; end - at >= 16; at += 16) {
        const __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)at);
        const __m128i hit =
            _mm_or_si128(_mm_or_si128(_mm_cmpeq_epi8(bytes, va), _mm_cmpeq_epi8(bytes, vb)),
                         _mm_or_si128(_mm_cmpeq_epi8(bytes, vr), _mm_cmpeq_epi8(bytes, zero)));
        const int mask = _mm_movemask_epi8(hit);
        if (mask) return at + __builtin_ctz((unsigned)mask);
    }
#endif
    while (at < end && *at != a && *at != b && *at != '\r' && *at != '\0') {
        at++;
    }
    return at;
}

static bool is_blank(const qn_csv_dialect *dialect, char c)
{
    return (c == ' ' || c == '\t') && c != dialect->delimiter;
}

bool qn_csv_at_record_end(const qn_csv_dialect *dialect, const char *at)
{
    if (at == dialect->end || *at == dialect->newline) return true;
    return *at == '\r' && at + 1 < dialect->end && at[1] == '\n';
}

const char *qn_csv_skip_newline(const qn_csv_dialect *dialect, const char *at)
{
    if (at < dialect->end && *at == '\r' && dialect->newline == '\n') at++;
    return at < dialect->end ? at + 1 : at;
}

static const char *quoted_field(const qn_csv_dialect *dialect, const char *at, qn_csv_field *field)
{
    const char *open = at++;
    *field = (qn_csv_field){.text = at, .quoted = true};
    for (;;) {
        const char *quote = memchr(at, '"', (size_t)(dialect->end - at));
        if (!quote) {
            field->fault = QN_CSV_UNCLOSED_QUOTE;
            field->at = open;
            return dialect->end;
        }
        if (quote + 1 < dialect->end && quote[1] == '"') {
            field->doubled = true;
            at = quote + 2;
            continue;
        }
        field->bytes = (size_t)(quote - field->text);
        at = quote + 1;
        break;
    }
    const char *zero = field->bytes ? memchr(field->text, '\0', field->bytes) : NULL;
    if (zero) {
        field->fault = QN_CSV_NUL;
        field->at = zero;
    }
    while (at < dialect->end && is_blank(dialect, *at)) {
        at++;
    }
    if (at < dialect->end && *at != dialect->delimiter && !qn_csv_at_record_end(dialect, at)) {
        field->fault = QN_CSV_AFTER_QUOTE;
        field->at = at;
    }
    return at;
}

const char *qn_csv_next_field(const qn_csv_dialect *dialect, const char *at, qn_csv_field *field)
{
    while (at < dialect->end && is_blank(dialect, *at)) {
        at++;
    }
    if (at < dialect->end && *at == '"') return quoted_field(dialect, at, field);

    *field = (qn_csv_field){.text = at};
    const char *stop = at;
    for (;;) {
        stop = find_stop(stop, dialect->end, dialect->delimiter, dialect->newline);
        if (stop == dialect->end || *stop == dialect->delimiter ||
            qn_csv_at_record_end(dialect, stop)) {
            break;
        }
        if (*stop == '\0') {
            field->fault = QN_CSV_NUL;
            field->at = stop;
            break;
        }
        stop++; /* a lone CR within a line */
    }
    const char *last = stop;
    while (last > at && is_blank(dialect, last[-1])) {
        last--;
    }
    field->bytes = (size_t)(last - at);
    return stop;
}

size_t qn_csv_unescape(const qn_csv_field *field, char *out)
{
    size_t n = 0;
    for (size_t i = 0; i < field->bytes; i++) {
        out[n++] = field->text[i];
        if (field->text[i] == '"') i++;
    }
    return n;
}

/* Sniffing. */

static int64_t count_fields(const qn_csv_dialect *dialect, const char **at)
{
    int64_t n = 0;
    for (;;) {
        qn_csv_field field;
        *at = qn_csv_next_field(dialect, *at, &field);
        n++;
        if (field.fault != QN_CSV_OK || *at == dialect->end || **at != dialect->delimiter) break;
        (*at)++;
    }
    const bool stuck = !qn_csv_at_record_end(dialect, *at);
    *at = qn_csv_skip_newline(dialect, *at);
    return stuck ? -1 : n;
}

/* How well a delimiter explains the first records: those that have the first one's number of
 * fields, times that number; 0 when it cuts nothing. */
static double delimiter_score(const qn_csv_dialect *dialect, const char *stop)
{
    const char *at = dialect->begin;
    int64_t n_first = 0, n_same = 0, n_records = 0;
    for (; at < stop && n_records < SNIFF_RECORDS; n_records++) {
        const char *begin = at;
        const int64_t n = count_fields(dialect, &at);
        if (at >= stop && stop < dialect->end && n_records > 0) break; /* cut by the sample's end */
        if (qn_csv_at_record_end(dialect, begin)) continue;            /* blank */
        if (n_records == 0) n_first = n;
        n_same += n == n_first;
    }
    if (n_first < 2) return 0;
    const double share = (double)n_same / (double)(n_records > 0 ? n_records : 1);
    return share * share * share * (1 + 0.01 * (double)(n_first > 100 ? 100 : n_first));
}

static char sniff_delimiter(qn_csv_dialect dialect, const char *stop)
{
    static const char candidates[] = {',', ';', '\t', '|'};
    char best = ',';
    double best_score = 0;
    for (size_t i = 0; i < sizeof candidates; i++) {
        dialect.delimiter = candidates[i];
        const double score = delimiter_score(&dialect, stop);
        if (score > best_score * 1.0001) {
            best = candidates[i];
            best_score = score;
        }
    }
    return best;
}

enum { HEADER_FIELDS = 256 };

/* A first record is a header unless it fits the columns below it: some column of numbers or dates
 * has a text there, or all are texts and none of its names comes again as a value. */
static bool sniff_header(const qn_csv_dialect *dialect, const char *stop)
{
    qn_field_type first[HEADER_FIELDS], below[HEADER_FIELDS] = {QN_FIELD_EMPTY};
    qn_csv_field names[HEADER_FIELDS];
    const int64_t n =
        dialect->n_fields < HEADER_FIELDS ? dialect->n_fields : (int64_t)HEADER_FIELDS;
    const char *at = dialect->begin;
    bool repeated = false;
    for (int64_t record = 0; at < stop && record < SNIFF_RECORDS; record++) {
        for (int64_t i = 0;; i++) {
            qn_csv_field field;
            at = qn_csv_next_field(dialect, at, &field);
            const qn_field_type type = qn_field_type_of(field.text, field.bytes);
            if (record == 0 && i < n) {
                first[i] = type;
                names[i] = field;
            } else if (i < n) {
                below[i] = qn_field_type_join(below[i], type);
                repeated |= field.bytes == names[i].bytes && field.bytes > 0 &&
                            memcmp(field.text, names[i].text, field.bytes) == 0;
            }
            if (field.fault != QN_CSV_OK || at == dialect->end || *at != dialect->delimiter) break;
            at++;
        }
        at = qn_csv_skip_newline(dialect, at);
        if (record == 0 && at >= dialect->end) return true; /* nothing below to tell by */
    }
    bool all_texts = true, all_named = true;
    for (int64_t i = 0; i < n; i++) {
        if (first[i] == QN_FIELD_TEXT && below[i] != QN_FIELD_TEXT && below[i] != QN_FIELD_EMPTY) {
            return true;
        }
        all_texts &= first[i] == QN_FIELD_TEXT;
        all_named &=
            first[i] == QN_FIELD_TEXT || first[i] == QN_FIELD_EMPTY || below[i] == QN_FIELD_TEXT;
    }
    return (all_texts || all_named) && !repeated;
}

qn_status qn_csv_sniff(const char *name, const char *data, size_t bytes, char delimiter, int header,
                       qn_csv_dialect *out, qn_error *err)
{
    *out = (qn_csv_dialect){.name = name, .begin = data, .end = data + bytes, .newline = '\n'};
    if (bytes >= 2 && (memcmp(data, "\xff\xfe", 2) == 0 || memcmp(data, "\xfe\xff", 2) == 0)) {
        return qn_fail(err, QN_ERR_DATA,
                       "%s: the text is UTF-16; convert it first: iconv -f UTF-16 -t UTF-8", name);
    }
    if (bytes >= 3 && memcmp(data, "\xef\xbb\xbf", 3) == 0) out->begin += 3;
    out->first = out->begin;
    while (out->begin < out->end && (*out->begin == '\n' || *out->begin == '\r')) {
        out->begin++;
    }
    if (out->begin == out->end) return qn_fail(err, QN_ERR_DATA, "%s: the file is empty", name);

    const size_t n = (size_t)(out->end - out->begin);
    const char *stop = out->begin + (n < SNIFF_BYTES ? n : SNIFF_BYTES);
    if (!memchr(out->begin, '\n', (size_t)(stop - out->begin)) &&
        memchr(out->begin, '\r', (size_t)(stop - out->begin))) {
        out->newline = '\r';
    }
    out->delimiter = delimiter ? delimiter : sniff_delimiter(*out, stop);
    const char *at = out->begin;
    qn_csv_field field;
    do {
        at = qn_csv_next_field(out, at, &field);
        if (field.fault != QN_CSV_OK) return qn_csv_fail_field(out, &field, err);
        out->n_fields++;
    } while (at < out->end && *at == out->delimiter && at++);
    out->has_header = header ? header > 0 : sniff_header(out, stop);
    return QN_OK;
}
