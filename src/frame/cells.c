/* SPDX-License-Identifier: Apache-2.0 */
#include "frame/cells.h"

#include "base/alloc.h"
#include "base/map.h"

#include <string.h>

static const char *const missing_texts[] = {"",     "NA",   "NaN", "nan", "N/A", "n/a",
                                            "null", "NULL", "?",   "-",   "None"};

/* Whether the training table read this text as missing. An empty text always is. */
static bool is_marker(const qn_schema_column *column, const char *text, size_t bytes)
{
    if (bytes == 0) return true;
    for (const char *at = column->markers; at && *at;) {
        const size_t n = strcspn(at, ",");
        if (n == bytes && memcmp(at, text, n) == 0) return true;
        at += n + (at[n] == ',');
    }
    return false;
}

/* Whether a text that stands where a number or date should be means "missing": one of the markers
 * of the training table, or one everybody uses. */
static bool means_missing(const qn_schema_column *column, const char *text, size_t bytes)
{
    for (size_t i = 0; i < sizeof missing_texts / sizeof *missing_texts; i++) {
        if (strlen(missing_texts[i]) == bytes && memcmp(missing_texts[i], text, bytes) == 0) {
            return true;
        }
    }
    return is_marker(column, text, bytes);
}

static bool wants_text(qn_kind kind)
{
    return kind == QN_KIND_CATEGORICAL || kind == QN_KIND_TEXT;
}

static void trim(const char **text, size_t *bytes)
{
    while (*bytes > 0 && (**text == ' ' || **text == '\t')) {
        (*text)++;
        (*bytes)--;
    }
    while (*bytes > 0 && ((*text)[*bytes - 1] == ' ' || (*text)[*bytes - 1] == '\t')) {
        (*bytes)--;
    }
}

/* The number that a text means in a column of numbers, dates or booleans. */
static bool number_of_text(const qn_schema_column *column, const char *text, size_t bytes,
                           double *out)
{
    trim(&text, &bytes);
    *out = QN_NA;
    if (means_missing(column, text, bytes)) return true;
    if (column->kind == QN_KIND_DATETIME) {
        /* A bare number such as 20110131 is no date: as microseconds it would be a wrong one. */
        int64_t micros;
        if (!qn_timestamp_parse(text, bytes, &micros)) return false;
        *out = (double)micros;
        return true;
    }
    if (qn_parse_double(text, bytes, out)) return true;
    const bool yes = bytes == 4 && strncasecmp(text, "true", 4) == 0;
    const bool no = bytes == 5 && strncasecmp(text, "false", 5) == 0;
    if (yes || no) *out = yes;
    return yes || no;
}

static qn_status not_a_number(const qn_schema_column *column, const char *text, size_t bytes,
                              qn_error *err)
{
    return qn_fail(err, QN_ERR_DATA, "column '%s': found '%.*s', expected a %s", column->name,
                   (int)(bytes > 60 ? 60 : bytes), text,
                   column->kind == QN_KIND_DATETIME ? "date" : "number");
}

/* Labels are the text of the type the column had in training, so that 1 means "true" where the
 * training table had bools, and a date is written as one. */
static size_t label_of_number(qn_type type, double number, char *scratch)
{
    const bool fits = fabs(number) < 9e18;
    if (type == QN_TYPE_BOOL) {
        strcpy(scratch, number != 0 ? "true" : "false");
        return strlen(scratch);
    }
    if (type == QN_TYPE_TIMESTAMP && fits) return qn_timestamp_format((int64_t)number, scratch);
    if (type == QN_TYPE_INT64 && fits && number == floor(number)) {
        return qn_format_int64((int64_t)number, scratch);
    }
    return qn_format_double(number, scratch);
}

qn_status qn_cell_normalise(const qn_schema_column *column, const qn_cell *given, char *scratch,
                            qn_cell *out, qn_error *err)
{
    *out = (qn_cell){.number = QN_NA};
    if (wants_text(column->kind)) {
        if (given->text) {
            if (is_marker(column, given->text, given->text_bytes)) return QN_OK;
            out->text = given->text;
            out->text_bytes = given->text_bytes;
        } else if (!isnan(given->number)) {
            out->text_bytes = label_of_number(column->type, given->number, scratch);
            out->text = scratch;
        }
        return QN_OK;
    }
    if (!given->text) {
        out->number = given->number;
        return QN_OK;
    }
    if (!number_of_text(column, given->text, given->text_bytes, &out->number)) {
        return not_a_number(column, given->text, given->text_bytes, err);
    }
    return QN_OK;
}

/* Binding. */

enum load_mode {
    LOAD_NUMBER, /* of a bool, int, double or timestamp column */
    LOAD_PARSED, /* a string column where numbers are wanted: one number per dictionary entry */
    LOAD_TEXT,   /* of a string column */
    LOAD_FORMAT, /* of a column of numbers where text is wanted, of the type it had in training */
    LOAD_CONVERT /* the same, of another type: written as the training table's would be */
};

struct feature_binding {
    const qn_column *column;
    enum load_mode mode;
    qn_type trained; /* the column's type in training */
    double *parsed;
    uint8_t *missing; /* LOAD_TEXT: 1 for each dictionary entry that is a marker; NULL if none is */
};

struct qn_binding {
    int64_t n_features;
    int64_t n_formatted; /* how many need scratch */
    struct feature_binding *features;
};

void qn_binding_free(qn_binding *binding)
{
    if (!binding) return;
    for (int64_t f = 0; binding->features && f < binding->n_features; f++) {
        qn_free(binding->features[f].parsed);
        qn_free(binding->features[f].missing);
    }
    qn_free(binding->features);
    qn_free(binding);
}

static qn_status parse_dictionary(const qn_schema_column *column, const qn_frame *frame,
                                  struct feature_binding *feature, qn_error *err)
{
    const qn_dictionary *dictionary = &feature->column->dictionary;
    feature->parsed = qn_alloc_array(dictionary->n, sizeof *feature->parsed);
    if (!feature->parsed) {
        return qn_fail(err, QN_ERR_NOMEM, "no memory to read column '%s'", column->name);
    }
    for (int64_t code = 0; code < dictionary->n; code++) {
        size_t bytes;
        const char *text = qn_dictionary_text(dictionary, code, &bytes);
        if (number_of_text(column, text, bytes, &feature->parsed[code])) continue;
        for (int64_t row = 0; row < frame->n_rows; row++) {
            if (feature->column->data.codes[row] != code) continue;
            const qn_status status = not_a_number(column, text, bytes, err);
            return qn_fail_context(err, status, "%s: row %" PRId64,
                                   frame->source ? frame->source : "table", row + 1);
        }
    }
    return QN_OK;
}

/* Marks the dictionary entries that mean "missing", so that a table in which they stand as texts
 * gives what a row with the same texts gives. */
static qn_status find_markers(const qn_schema_column *column, struct feature_binding *feature,
                              qn_error *err)
{
    const qn_dictionary *dictionary = &feature->column->dictionary;
    for (int64_t code = 0; code < dictionary->n; code++) {
        size_t bytes;
        const char *text = qn_dictionary_text(dictionary, code, &bytes);
        if (!is_marker(column, text, bytes)) continue;
        if (!feature->missing) feature->missing = qn_alloc_array(dictionary->n, 1);
        if (!feature->missing) {
            return qn_fail(err, QN_ERR_NOMEM, "no memory to read column '%s'", column->name);
        }
        feature->missing[code] = 1;
    }
    return QN_OK;
}

static qn_status missing_column(const qn_schema *schema, const qn_frame *frame, const char *name,
                                qn_error *err)
{
    const char **names = qn_alloc_array(frame->n_cols, sizeof *names);
    const char *near = NULL;
    if (names) {
        for (int64_t col = 0; col < frame->n_cols; col++) {
            const char *other = frame->columns[col].name;
            names[col] = qn_schema_find(schema, other) < 0 ? other : "";
        }
        near = qn_nearest_name(name, names, frame->n_cols);
    }
    const qn_status status =
        near && *near ? qn_fail(err, QN_ERR_DATA,
                                "%s: column '%s' is missing; the model needs it (is it '%s'?)",
                                frame->source ? frame->source : "table", name, near)
                      : qn_fail(err, QN_ERR_DATA, "%s: column '%s' is missing; the model needs it",
                                frame->source ? frame->source : "table", name);
    qn_free(names);
    return status;
}

static qn_status bind_feature(const qn_schema *schema, int64_t col, const qn_frame *frame,
                              struct feature_binding *feature, qn_error *err)
{
    const qn_schema_column *column = &schema->columns[col];
    const bool same_place = col < frame->n_cols && frame->columns[col].name &&
                            strcmp(frame->columns[col].name, column->name) == 0;
    const int64_t at = same_place ? col : qn_frame_find(frame, column->name);
    if (at < 0) return missing_column(schema, frame, column->name, err);
    feature->column = &frame->columns[at];
    const bool strings = feature->column->type == QN_TYPE_STRING;
    feature->trained = column->type;
    if (wants_text(column->kind)) {
        feature->mode = LOAD_CONVERT;
        if (strings) {
            feature->mode = LOAD_TEXT;
            return find_markers(column, feature, err);
        }
        if (column->type == QN_TYPE_STRING || column->type == feature->column->type) {
            feature->mode = LOAD_FORMAT;
        }
        return QN_OK;
    }
    feature->mode = strings ? LOAD_PARSED : LOAD_NUMBER;
    if (!strings) {
        const bool date = feature->column->type == QN_TYPE_TIMESTAMP;
        const bool all_missing = feature->column->n_missing == frame->n_rows;
        if (!all_missing && date != (column->kind == QN_KIND_DATETIME) &&
            column->type != feature->column->type) {
            return qn_fail(err, QN_ERR_DATA,
                           "%s: column '%s' holds %s, the model was trained on %s",
                           frame->source ? frame->source : "table", column->name,
                           date ? "dates" : "numbers", date ? "numbers" : "dates");
        }
        return QN_OK;
    }
    return parse_dictionary(column, frame, feature, err);
}

qn_status qn_binding_create(const qn_schema *schema, const qn_frame *frame, qn_binding **out,
                            qn_error *err)
{
    *out = NULL;
    const int64_t n = qn_schema_n_features(schema);
    qn_binding *binding = qn_alloc_array(1, sizeof *binding);
    if (binding) binding->features = qn_alloc_array(n, sizeof *binding->features);
    if (!binding || !binding->features) {
        qn_binding_free(binding);
        return qn_fail(err, QN_ERR_NOMEM, "no memory to find the columns");
    }
    binding->n_features = n;
    int64_t col = -1;
    for (int64_t f = 0; f < n; f++) {
        col = qn_schema_next_feature(schema, col);
        const qn_status status = bind_feature(schema, col, frame, &binding->features[f], err);
        if (status != QN_OK) {
            qn_binding_free(binding);
            return status;
        }
        const enum load_mode mode = binding->features[f].mode;
        binding->n_formatted += mode == LOAD_FORMAT || mode == LOAD_CONVERT;
    }
    *out = binding;
    return QN_OK;
}

size_t qn_binding_scratch_bytes(const qn_binding *binding, int64_t n_rows)
{
    return (size_t)(binding->n_formatted * n_rows) * QN_VALUE_TEXT_BYTES;
}

/* One value; `*scratch` moves on past a text that was formatted. */
static inline qn_cell load_cell(const struct feature_binding *feature, int64_t row, char **scratch)
{
    const qn_column *column = feature->column;
    qn_cell cell = {.number = QN_NA};
    if (feature->mode == LOAD_NUMBER) {
        cell.number = qn_column_number(column, row);
    } else if (!qn_column_is_missing(column, row)) {
        if (feature->mode == LOAD_PARSED) {
            cell.number = feature->parsed[column->data.codes[row]];
        } else if (feature->mode == LOAD_TEXT) {
            if (feature->missing && feature->missing[column->data.codes[row]]) return cell;
            cell.text =
                qn_dictionary_text(&column->dictionary, column->data.codes[row], &cell.text_bytes);
        } else if (feature->mode == LOAD_CONVERT) {
            cell.text_bytes =
                label_of_number(feature->trained, qn_column_number(column, row), *scratch);
            cell.text = *scratch;
            *scratch += QN_VALUE_TEXT_BYTES;
        } else {
            const char *text = qn_column_text(column, row, *scratch, &cell.text_bytes);
            if (text != *scratch) memcpy(*scratch, text, cell.text_bytes); /* a constant */
            cell.text = *scratch;
            *scratch += QN_VALUE_TEXT_BYTES;
        }
    }
    return cell;
}

static char *load_feature(const struct feature_binding *feature, const int32_t *rows, int64_t first,
                          int64_t n_rows, qn_cell *cells, char *text)
{
    for (int64_t i = 0; i < n_rows; i++) {
        cells[i] = load_cell(feature, rows ? rows[first + i] : first + i, &text);
    }
    return text;
}

void qn_binding_load(const qn_binding *binding, const int32_t *rows, int64_t first, int64_t n_rows,
                     qn_cell *cells, void *scratch)
{
    char *text = scratch;
    for (int64_t f = 0; f < binding->n_features; f++) {
        text = load_feature(&binding->features[f], rows, first, n_rows, cells + f * n_rows, text);
    }
}

void qn_binding_load_feature(const qn_binding *binding, int64_t feature, const int32_t *rows,
                             int64_t first, int64_t n_rows, qn_cell *cells, void *scratch)
{
    load_feature(&binding->features[feature], rows, first, n_rows, cells, scratch);
}

/* Targets. */

static qn_status unknown_labels(const qn_schema *schema, const qn_frame *frame, const char *name,
                                const qn_str *unknown, qn_error *err)
{
    qn_str known = {0};
    for (int32_t c = 0; c < schema->n_classes && c < 8; c++) {
        qn_str_addf(&known, "%s'%s'", c ? ", " : "", schema->classes[c]);
    }
    if (schema->n_classes > 8) qn_str_add(&known, ", …");
    qn_str_add(&known, "");
    const qn_status status = qn_fail(
        err, QN_ERR_DATA,
        "%s: target '%s' has labels that training did not: %s (known: %s); rename them with "
        "--label-map FROM=TO,… or trim characters with --strip CHARS",
        frame->source ? frame->source : "table", name, unknown->text ? unknown->text : "",
        known.text ? known.text : "");
    qn_str_release(&known);
    return status;
}

struct label_reader {
    const qn_schema *schema;
    const qn_column *column;
    qn_map *classes;        /* text → class; a label that is none is added as -1 when first met */
    int32_t *class_of_code; /* strings: class per dictionary code, -2 not looked up yet */
    qn_str unknown;
    int n_unknown;
    bool failed; /* out of memory */
};

static void name_unknown(struct label_reader *reader, const char *text, size_t bytes)
{
    enum { NAMED_MAX = 8 };
    if (++reader->n_unknown > NAMED_MAX + 1) return;
    if (reader->n_unknown > NAMED_MAX) {
        qn_str_add(&reader->unknown, ", …");
        return;
    }
    qn_str_addf(&reader->unknown, "%s'%.*s'", reader->n_unknown > 1 ? ", " : "",
                (int)(bytes > 60 ? 60 : bytes), text);
}

static qn_status start_labels(struct label_reader *reader, qn_error *err)
{
    const qn_schema *schema = reader->schema;
    const qn_dictionary *dictionary = &reader->column->dictionary;
    reader->classes = qn_map_create(schema->n_classes);
    bool complete = reader->classes != NULL;
    for (int32_t c = 0; complete && c < schema->n_classes; c++) {
        const char *label = schema->classes[c];
        complete = qn_map_set(reader->classes, label, strlen(label), c);
    }
    if (complete && reader->column->type == QN_TYPE_STRING) {
        reader->class_of_code = qn_alloc_array(dictionary->n, sizeof *reader->class_of_code);
        complete = reader->class_of_code != NULL;
    }
    for (int64_t code = 0; complete && reader->class_of_code && code < dictionary->n; code++) {
        reader->class_of_code[code] = -2;
    }
    return complete ? QN_OK : qn_fail(err, QN_ERR_NOMEM, "no memory for the target");
}

static double label_of(struct label_reader *reader, int64_t row)
{
    const qn_column *column = reader->column;
    char scratch[QN_VALUE_TEXT_BYTES];
    size_t bytes;
    int32_t *slot = reader->class_of_code ? &reader->class_of_code[column->data.codes[row]] : NULL;
    if (slot && *slot != -2) return *slot < 0 ? QN_NA : *slot;
    const char *text = qn_column_text(column, row, scratch, &bytes);
    trim(&text, &bytes);
    enum { NEVER_MET = -2 };
    int32_t found = (int32_t)qn_map_get(reader->classes, text, bytes, NEVER_MET);
    if (found == NEVER_MET) {
        double number; /* "1.0" where training had "1" */
        if (qn_parse_double(text, bytes, &number)) {
            char plain[QN_DOUBLE_TEXT_BYTES];
            const size_t n = qn_format_double(number, plain);
            found = (int32_t)qn_map_get(reader->classes, plain, n, NEVER_MET);
        }
        if (found < 0) found = -1;
        reader->failed |= !qn_map_set(reader->classes, text, bytes, found);
        if (found < 0) name_unknown(reader, text, bytes);
    }
    if (slot) *slot = found;
    return found >= 0 ? found : QN_NA;
}

static qn_status read_labels(const qn_schema *schema, const qn_frame *frame,
                             const qn_column *column, bool unknown_ok, double *out, qn_error *err)
{
    struct label_reader reader = {.schema = schema, .column = column};
    qn_status status = start_labels(&reader, err);
    for (int64_t row = 0; status == QN_OK && row < frame->n_rows; row++) {
        out[row] = qn_column_is_missing(column, row) ? QN_NA : label_of(&reader, row);
    }
    if (status == QN_OK && (reader.failed || reader.unknown.failed)) {
        status = qn_fail(err, QN_ERR_NOMEM, "no memory for the target");
    } else if (status == QN_OK && reader.n_unknown > 0 && !unknown_ok) {
        status = unknown_labels(schema, frame, column->name, &reader.unknown, err);
    }
    qn_map_free(reader.classes);
    qn_free(reader.class_of_code);
    qn_str_release(&reader.unknown);
    return status;
}

static qn_status read_numbers(const qn_schema *schema, const qn_frame *frame,
                              const qn_column *column, double *out, qn_error *err)
{
    if (column->type != QN_TYPE_STRING) {
        for (int64_t row = 0; row < frame->n_rows; row++) {
            out[row] = qn_column_number(column, row);
        }
        return QN_OK;
    }
    struct feature_binding parsed = {.column = column};
    const qn_status status =
        parse_dictionary(&schema->columns[schema->target], frame, &parsed, err);
    for (int64_t row = 0; status == QN_OK && row < frame->n_rows; row++) {
        const int32_t code = column->data.codes[row];
        out[row] = code < 0 ? QN_NA : parsed.parsed[code];
    }
    qn_free(parsed.parsed);
    return status;
}

qn_status qn_schema_target(const qn_schema *schema, const qn_frame *frame, bool unknown_ok,
                           double **out, qn_error *err)
{
    *out = NULL;
    const char *name = schema->columns[schema->target].name;
    const int64_t col = qn_frame_find(frame, name);
    if (col < 0) return missing_column(schema, frame, name, err);
    double *target = qn_alloc_array(frame->n_rows, sizeof *target);
    if (!target) return qn_fail(err, QN_ERR_NOMEM, "no memory for the target");
    const qn_column *column = &frame->columns[col];
    const qn_status status = schema->n_classes > 0
                                 ? read_labels(schema, frame, column, unknown_ok, target, err)
                                 : read_numbers(schema, frame, column, target, err);
    if (status != QN_OK) {
        qn_free(target);
        return status;
    }
    *out = target;
    return QN_OK;
}
