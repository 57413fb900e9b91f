/* SPDX-License-Identifier: Apache-2.0 */
#include "source/csv_chunk.h"

#include "base/alloc.h"

#include <string.h>

enum { STOP_CHECK_ROWS = 4096, UNESCAPED_BYTES = 512 };

/* A number at `at` that ends at a delimiter or newline, in the form almost every number has; NULL
 * sends the field to the general way. Same rounding as qn_parse_double(): at most 19 digits whose
 * value is below 2^53, scaled once by an exact power of ten. */
static const char *quick_double(const qn_csv_dialect *dialect, const char *at, double *out)
{
    static const double powers[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                    1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                    1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    const char *end = dialect->end;
    const bool negative = at < end && *at == '-';
    at += negative;
    const char *start = at;
    uint64_t mantissa = 0;
    unsigned digit;
    while (at < end && (digit = (unsigned)(*at - '0')) <= 9) {
        mantissa = mantissa * 10 + digit;
        at++;
    }
    int64_t n_digits = at - start, n_fraction = 0;
    if (at < end && *at == '.') {
        const char *point = ++at;
        while (at < end && (digit = (unsigned)(*at - '0')) <= 9) {
            mantissa = mantissa * 10 + digit;
            at++;
        }
        n_fraction = at - point;
        n_digits += n_fraction;
    }
    if (at == end || (*at != dialect->delimiter && *at != dialect->newline && *at != '\r')) {
        return NULL;
    }
    if (n_digits == 0 || n_digits > 19 || mantissa > UINT64_C(1) << 53) return NULL;
    const double value = (double)mantissa / powers[n_fraction];
    *out = negative ? -value : value;
    return at;
}

static const char *quick_int(const qn_csv_dialect *dialect, const char *at, int64_t *out)
{
    const char *end = dialect->end;
    const bool negative = at < end && *at == '-';
    at += negative;
    const char *start = at;
    uint64_t value = 0;
    unsigned digit;
    while (at < end && (digit = (unsigned)(*at - '0')) <= 9) {
        value = value * 10 + digit;
        at++;
    }
    if (at == start || at - start > 18) return NULL;
    if (*start == '0' && at - start > 3) return NULL; /* perhaps a code: the general way tells */
    if (at == end || (*at != dialect->delimiter && *at != dialect->newline && *at != '\r')) {
        return NULL;
    }
    *out = negative ? -(int64_t)value : (int64_t)value;
    return at;
}

static void store_missing(const qn_csv_column *column, int64_t row)
{
    switch (qn_field_frame_type(column->type)) {
    case QN_TYPE_BOOL:
        ((uint8_t *)column->values)[row] = QN_BOOL_MISSING;
        break;
    case QN_TYPE_INT64:
    case QN_TYPE_TIMESTAMP:
        ((int64_t *)column->values)[row] = INT64_MIN;
        break;
    case QN_TYPE_FLOAT64:
        ((double *)column->values)[row] = QN_NA;
        break;
    case QN_TYPE_STRING:
        ((int32_t *)column->values)[row] = -1;
        break;
    }
}

/* Position of the first byte that is not valid UTF-8 (RFC 3629), or NULL. */
static const char *first_invalid_utf8(const char *text, size_t bytes)
{
    const unsigned char *at = (const unsigned char *)text, *end = at + bytes;
    while (at < end) {
        if (*at < 0x80) {
            at++;
            continue;
        }
        const unsigned char c = *at;
        const int n = c >= 0xc2 && c < 0xe0   ? 2
                      : (c & 0xf0) == 0xe0    ? 3
                      : c >= 0xf0 && c < 0xf5 ? 4
                                              : 0;
        if (n == 0 || end - at < n) return (const char *)at;
        for (int i = 1; i < n; i++) {
            if ((at[i] & 0xc0) != 0x80) return (const char *)at;
        }
        if ((c == 0xe0 && at[1] < 0xa0) || (c == 0xed && at[1] > 0x9f) ||
            (c == 0xf0 && at[1] < 0x90) || (c == 0xf4 && at[1] > 0x8f)) {
            return (const char *)at;
        }
        at += n;
    }
    return NULL;
}

/* A copy in which every byte that is no UTF-8 has become U+FFFD. */
static char *repair_utf8(const char *text, size_t bytes, size_t *out_bytes)
{
    char *repaired = qn_alloc_array((int64_t)bytes * 3, 1);
    size_t n = 0;
    while (repaired && bytes > 0) {
        const char *wrong = first_invalid_utf8(text, bytes);
        const size_t good = wrong ? (size_t)(wrong - text) : bytes;
        memcpy(repaired + n, text, good);
        n += good;
        if (!wrong) break;
        memcpy(repaired + n, "\xef\xbf\xbd", 3);
        n += 3;
        text += good + 1;
        bytes -= good + 1;
    }
    *out_bytes = n;
    return repaired;
}

static qn_status add_text(const qn_csv_field *field, const char *text, size_t bytes,
                          qn_csv_finding *finding, int32_t *out)
{
    const int64_t n_before = finding->texts.texts.n;
    *out = qn_interner_code(&finding->texts, text, bytes);
    if (*out < 0) return QN_ERR_NOMEM;
    /* Only a text seen for the first time needs a look at its bytes. */
    if (*out != n_before || !first_invalid_utf8(text, bytes)) return QN_OK;
    finding->n_invalid++;
    if (!finding->first_invalid) finding->first_invalid = field->text;
    return QN_OK;
}

static qn_status store_text(const qn_csv_field *field, qn_csv_finding *finding, int32_t *out)
{
    if (!field->doubled) return add_text(field, field->text, field->bytes, finding, out);
    char short_text[UNESCAPED_BYTES];
    char *text =
        field->bytes <= UNESCAPED_BYTES ? short_text : qn_alloc_array((int64_t)field->bytes, 1);
    if (!text) return QN_ERR_NOMEM;
    const qn_status status = add_text(field, text, qn_csv_unescape(field, text), finding, out);
    if (text != short_text) qn_free(text);
    return status;
}

/* Reads a value that is no marker; false when the column's type cannot hold it. */
static bool store_typed(const qn_csv_column *column, const qn_csv_field *field, int64_t row)
{
    const char *text = field->text;
    const size_t bytes = field->bytes;
    switch (column->type) {
    case QN_FIELD_BOOL:
        return qn_field_parse_bool(text, bytes, (uint8_t *)column->values + row);
    case QN_FIELD_INT: {
        int64_t *value = (int64_t *)column->values + row;
        return qn_field_type_of(text, bytes) == QN_FIELD_INT &&
               qn_parse_int64(text, bytes, value) && *value != INT64_MIN;
    }
    case QN_FIELD_DOUBLE: {
        const qn_field_type type = qn_field_type_of(text, bytes);
        return (type == QN_FIELD_DOUBLE || type == QN_FIELD_INT) &&
               qn_parse_double(text, bytes, (double *)column->values + row);
    }
    case QN_FIELD_DATE_ISO:
    case QN_FIELD_DATE_MDY:
    case QN_FIELD_DATE_DMY:
        return qn_field_parse_date(column->type, text, bytes, (int64_t *)column->values + row);
    case QN_FIELD_EMPTY:
    case QN_FIELD_TEXT:
        break;
    }
    return false;
}

static qn_status store_field(const qn_csv_pass *pass, const qn_csv_column *column,
                             qn_csv_finding *finding, const qn_csv_field *field, int64_t row)
{
    const int marker = qn_markers_find(pass->markers, field->text, field->bytes, column->type);
    if (marker >= 0) {
        finding->markers |= 1u << marker;
        store_missing(column, row);
        return QN_OK;
    }
    if (column->type == QN_FIELD_TEXT) {
        return store_text(field, finding, (int32_t *)column->values + row);
    }
    if (store_typed(column, field, row)) return QN_OK;
    store_missing(column, row);
    qn_field_type wanted =
        qn_field_type_join(column->type, qn_field_type_of(field->text, field->bytes));
    if (wanted == column->type) wanted = QN_FIELD_TEXT; /* a date of the other order, say */
    finding->needed = qn_field_type_join(finding->needed, wanted);
    return QN_OK;
}

static qn_status wrong_count(const qn_csv_pass *pass, const char *record, const char *at,
                             int64_t n_found, qn_error *err)
{
    const qn_csv_dialect *dialect = pass->dialect;
    return qn_csv_fail_at(
        dialect, n_found > pass->n_cols ? at : record, err,
        "found %s%" PRId64 " field%s, expected %" PRId64 " as in the first line (delimiter '%s')",
        n_found > pass->n_cols ? "more than " : "", n_found > pass->n_cols ? pass->n_cols : n_found,
        n_found == 1 ? "" : "s", pass->n_cols,
        dialect->delimiter == '\t' ? "tab" : (char[]){dialect->delimiter, '\0'});
}

/* Parses the record at *at into `row`, and moves *at behind it. */
static qn_status parse_record(const qn_csv_pass *pass, qn_csv_chunk *chunk, const char **at,
                              int64_t row)
{
    const qn_csv_dialect *dialect = pass->dialect;
    const char *p = *at;
    for (int64_t col = 0;; col++) {
        qn_csv_column *column = &pass->columns[col];
        const char *stop = NULL;
        if (col == pass->n_cols) return wrong_count(pass, *at, p, col + 1, &chunk->err);
        if (column->active && column->type == QN_FIELD_DOUBLE) {
            stop = quick_double(dialect, p, (double *)column->values + row);
        } else if (column->active && column->type == QN_FIELD_INT) {
            stop = quick_int(dialect, p, (int64_t *)column->values + row);
        }
        if (!stop) {
            qn_csv_field field;
            stop = qn_csv_next_field(dialect, p, &field);
            if (field.fault != QN_CSV_OK) return qn_csv_fail_field(dialect, &field, &chunk->err);
            if (column->active) {
                const qn_status status =
                    store_field(pass, column, &chunk->findings[col], &field, row);
                if (status != QN_OK) {
                    return qn_fail(&chunk->err, status, "%s: no memory to read it", dialect->name);
                }
            }
        }
        p = stop;
        if (p < dialect->end && *p == dialect->delimiter) {
            p++;
            continue;
        }
        if (col + 1 < pass->n_cols) return wrong_count(pass, *at, p, col + 1, &chunk->err);
        break;
    }
    *at = qn_csv_skip_newline(dialect, p);
    return QN_OK;
}

/* A chunk's texts, repaired where they were no UTF-8. Two texts may become one: codes then point
 * to the first, which the merge of dictionaries sees to. */
static qn_status repair_texts(qn_csv_finding *finding)
{
    qn_interner repaired = {0};
    for (int32_t i = 0; i < finding->texts.texts.n; i++) {
        size_t bytes;
        const char *text = qn_dictionary_text(&finding->texts.texts, i, &bytes);
        char *copy = NULL;
        if (first_invalid_utf8(text, bytes)) {
            copy = repair_utf8(text, bytes, &bytes);
            if (!copy) goto fail;
            text = copy;
        }
        /* A clash keeps its place in the list under a name that no text can have. */
        int32_t code;
        while ((code = qn_interner_code(&repaired, text, bytes)) >= 0 && code < i) {
            char *longer = qn_alloc_array((int64_t)bytes + 3, 1);
            if (!longer) {
                qn_free(copy);
                goto fail;
            }
            memcpy(longer, text, bytes);
            memcpy(longer + bytes, "\xef\xbf\xbd", 3);
            qn_free(copy);
            copy = longer;
            text = copy;
            bytes += 3;
        }
        qn_free(copy);
        if (code < 0) goto fail;
    }
    qn_interner_release(&finding->texts);
    finding->texts = repaired;
    return QN_OK;

fail:
    qn_interner_release(&repaired);
    return QN_ERR_NOMEM;
}

void qn_csv_chunk_parse(const qn_csv_pass *pass, qn_csv_chunk *chunk)
{
    const char *at = chunk->begin;
    chunk->n_rows = 0;
    chunk->status = QN_OK;
    while (at < chunk->end && chunk->status == QN_OK) {
        /* A blank line is a record only where there is one column: an empty value. */
        if (qn_csv_at_record_end(pass->dialect, at) && pass->n_cols > 1) {
            at = qn_csv_skip_newline(pass->dialect, at);
            continue;
        }
        if (chunk->n_rows == chunk->room) break; /* begun within a quoted field: see csv.c */
        chunk->status = parse_record(pass, chunk, &at, chunk->first_row + chunk->n_rows);
        chunk->n_rows++;
        if (chunk->n_rows % STOP_CHECK_ROWS == 0 && qn_stop_requested(pass->stop)) {
            chunk->status = qn_fail(&chunk->err, QN_ERR_INTERRUPTED, "%s: stopped while reading",
                                    pass->dialect->name);
        }
    }
    chunk->stopped_at = at;
    qn_content_drop(pass->content, chunk->begin, chunk->end);
    for (int64_t col = 0; col < pass->n_cols && chunk->status == QN_OK; col++) {
        qn_csv_finding *finding = &chunk->findings[col];
        if (finding->n_invalid > 0 && repair_texts(finding) != QN_OK) {
            chunk->status =
                qn_fail(&chunk->err, QN_ERR_NOMEM, "%s: no memory to read it", pass->dialect->name);
        }
    }
}
