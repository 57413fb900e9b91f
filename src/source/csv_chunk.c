/* SPDX-License-Identifier: Apache-2.0 */
#include "source/csv_chunk.h"

#include "base/alloc.h"
#include "base/utf8.h"

#include <string.h>

enum { STOP_CHECK_ROWS = 4096, UNESCAPED_BYTES = 512 };

static bool ends_field(const qn_csv_dialect *dialect, const char *at)
{
    if (at == dialect->end) return false;
    return *at == dialect->delimiter || *at == dialect->newline ||
           qn_csv_at_record_end(dialect, at);
}

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
    if (!ends_field(dialect, at)) return NULL;
    if (n_digits == 0 || n_digits > 19 || mantissa > UINT64_C(1) << 53) return NULL;
    if (*start == '0' && n_fraction == 0 && n_digits > 3) return NULL; /* as in quick_int() */
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
    if (!ends_field(dialect, at)) return NULL;
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

static qn_status add_text(const qn_csv_field *field, const char *text, size_t bytes,
                          qn_csv_finding *finding, int32_t *out)
{
    const int64_t n_before = finding->texts.texts.n;
    *out = qn_interner_code(&finding->texts, text, bytes);
    if (*out < 0) return QN_ERR_NOMEM;
    /* Only a text seen for the first time needs a look at its bytes. */
    if (*out == n_before && !finding->first_invalid && qn_utf8_first_invalid(text, bytes)) {
        finding->first_invalid = field->text;
    }
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
        return qn_field_type_of(text, bytes) == QN_FIELD_INT && qn_parse_int64(text, bytes, value);
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
    const bool quick = !pass->markers->given; /* a marker of the user's may be a number */
    for (int64_t col = 0;; col++) {
        qn_csv_column *column = &pass->columns[col];
        const char *stop = NULL;
        if (col == pass->n_cols) return wrong_count(pass, *at, p, col + 1, &chunk->err);
        if (quick && column->active && column->type == QN_FIELD_DOUBLE) {
            stop = quick_double(dialect, p, (double *)column->values + row);
        } else if (quick && column->active && column->type == QN_FIELD_INT) {
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

/* The texts of a column, repaired where they were no UTF-8. Two may become one, so the rows get
 * new codes. */
static bool repair_texts(const qn_csv_column *column, qn_csv_chunk *chunk, qn_csv_finding *finding)
{
    const int64_t n_texts = finding->texts.texts.n;
    int32_t *codes = (int32_t *)column->values + chunk->first_row;
    int32_t *new_codes = qn_alloc_array(n_texts, sizeof *new_codes);
    bool *wrong = qn_alloc_array(n_texts, sizeof *wrong);
    qn_interner repaired = {0};
    bool complete = new_codes && wrong;
    for (int64_t i = 0; complete && i < n_texts; i++) {
        size_t bytes;
        const char *text = qn_dictionary_text(&finding->texts.texts, i, &bytes);
        wrong[i] = qn_utf8_first_invalid(text, bytes) != NULL;
        char *copy = wrong[i] ? qn_utf8_repair(text, bytes, &bytes) : NULL;
        new_codes[i] =
            wrong[i] && !copy ? -1 : qn_interner_code(&repaired, copy ? copy : text, bytes);
        complete = new_codes[i] >= 0;
        qn_free(copy);
    }
    for (int64_t row = 0; complete && row < chunk->n_rows; row++) {
        if (codes[row] < 0) continue;
        finding->n_invalid += wrong[codes[row]];
        codes[row] = new_codes[codes[row]];
    }
    qn_free(new_codes);
    qn_free(wrong);
    qn_interner_release(complete ? &finding->texts : &repaired);
    if (complete) finding->texts = repaired;
    return complete;
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
        const qn_csv_column *column = &pass->columns[col];
        if (column->active && finding->first_invalid && !repair_texts(column, chunk, finding)) {
            chunk->status =
                qn_fail(&chunk->err, QN_ERR_NOMEM, "%s: no memory to read it", pass->dialect->name);
        }
    }
}
