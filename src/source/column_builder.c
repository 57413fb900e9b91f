/* SPDX-License-Identifier: Apache-2.0 */
#include "source/column_builder.h"

#include "base/alloc.h"
#include "base/str.h"

#include <string.h>

enum value_kind { VALUE_MISSING, VALUE_BOOL, VALUE_INT, VALUE_DOUBLE, VALUE_TEXT };

bool qn_column_builder_init(qn_column_builder *builder, const char *name, size_t name_bytes,
                            int64_t n_before)
{
    *builder = (qn_column_builder){.name = qn_strndup(name, name_bytes)};
    builder->failed = !builder->name;
    for (int64_t row = 0; row < n_before && !builder->failed; row++) {
        qn_column_builder_add_missing(builder);
    }
    return !builder->failed;
}

void qn_column_builder_release(qn_column_builder *builder)
{
    qn_free(builder->name);
    qn_free(builder->kinds);
    qn_free(builder->ints);
    qn_interner_release(&builder->texts);
    *builder = (qn_column_builder){0};
}

/* One array of 8-byte slots holds whatever a row has: an int64, a double's bits, or a code. */
static int64_t *next_slot(qn_column_builder *builder, enum value_kind kind)
{
    if (builder->failed) return NULL;
    if (builder->n_rows == builder->room) {
        const int64_t room = builder->room ? builder->room * 2 : 64;
        uint8_t *kinds = qn_realloc_array(builder->kinds, room, sizeof *kinds);
        if (kinds) builder->kinds = kinds;
        int64_t *ints = kinds ? qn_realloc_array(builder->ints, room, sizeof *ints) : NULL;
        if (ints) builder->ints = ints;
        builder->failed = !ints;
        if (!ints) return NULL;
        builder->room = room;
    }
    builder->kinds[builder->n_rows] = (uint8_t)kind;
    return &builder->ints[builder->n_rows++];
}

void qn_column_builder_add_missing(qn_column_builder *builder)
{
    int64_t *slot = next_slot(builder, VALUE_MISSING);
    if (slot) *slot = 0;
}

void qn_column_builder_add_bool(qn_column_builder *builder, bool value)
{
    int64_t *slot = next_slot(builder, VALUE_BOOL);
    if (slot) *slot = value;
}

void qn_column_builder_add_int(qn_column_builder *builder, int64_t value)
{
    int64_t *slot = next_slot(builder, VALUE_INT);
    if (slot) *slot = value;
}

void qn_column_builder_add_double(qn_column_builder *builder, double value)
{
    if (isnan(value)) {
        qn_column_builder_add_missing(builder);
        return;
    }
    if (isinf(value)) {
        qn_column_builder_add_text(builder, value < 0 ? "-inf" : "inf", value < 0 ? 4 : 3);
        return;
    }
    int64_t *slot = next_slot(builder, VALUE_DOUBLE);
    if (slot) memcpy(slot, &value, sizeof value);
}

void qn_column_builder_add_text(qn_column_builder *builder, const char *text, size_t bytes)
{
    int64_t *slot = next_slot(builder, VALUE_TEXT);
    if (!slot) return;
    *slot = qn_interner_code(&builder->texts, text, bytes);
    builder->failed = *slot < 0;
}

static double double_of(const qn_column_builder *builder, int64_t row)
{
    if (builder->kinds[row] == VALUE_DOUBLE) {
        double value;
        memcpy(&value, &builder->ints[row], sizeof value);
        return value;
    }
    return (double)builder->ints[row];
}

/* The type of all texts together, markers left out. */
static qn_field_type type_of_texts(const qn_column_builder *builder, const qn_markers *markers)
{
    qn_field_type type = QN_FIELD_EMPTY;
    for (int64_t i = 0; i < builder->texts.texts.n; i++) {
        size_t bytes;
        const char *text = qn_dictionary_text(&builder->texts.texts, i, &bytes);
        if (qn_markers_find(markers, text, bytes, type) >= 0) continue;
        type = qn_field_type_join(type, qn_field_type_of(text, bytes));
    }
    return type;
}

static qn_field_type choose_type(const qn_column_builder *builder, const qn_markers *markers)
{
    bool seen[5] = {false};
    for (int64_t row = 0; row < builder->n_rows; row++) {
        seen[builder->kinds[row]] = true;
    }
    qn_field_type type = QN_FIELD_EMPTY;
    if (seen[VALUE_BOOL]) type = qn_field_type_join(type, QN_FIELD_BOOL);
    if (seen[VALUE_INT]) type = qn_field_type_join(type, QN_FIELD_INT);
    if (seen[VALUE_DOUBLE]) type = qn_field_type_join(type, QN_FIELD_DOUBLE);
    if (!seen[VALUE_TEXT]) return type;
    /* Quoted numbers stay texts, as whoever wrote the quotes wanted; quoted dates become dates,
     * since the format has no other way to write them. */
    const qn_field_type texts = type_of_texts(builder, markers);
    const bool dates = texts >= QN_FIELD_DATE_ISO && texts <= QN_FIELD_DATE_DMY;
    if (dates && type == QN_FIELD_EMPTY) return texts;
    return texts == QN_FIELD_EMPTY ? type : QN_FIELD_TEXT;
}

/* The text of a value that is not one, in a column that also has texts. */
static bool number_as_text(qn_column_builder *builder, int64_t row)
{
    char text[QN_DOUBLE_TEXT_BYTES];
    size_t bytes;
    if (builder->kinds[row] == VALUE_BOOL) {
        bytes = (size_t)(builder->ints[row] ? 4 : 5);
        memcpy(text, builder->ints[row] ? "true" : "false", bytes);
    } else if (builder->kinds[row] == VALUE_INT) {
        bytes = qn_format_int64(builder->ints[row], text);
    } else {
        bytes = qn_format_double(double_of(builder, row), text);
    }
    const int32_t code = qn_interner_code(&builder->texts, text, bytes);
    if (code < 0) return false;
    builder->ints[row] = code;
    builder->kinds[row] = VALUE_TEXT;
    return true;
}

static void set_valid(qn_column *column, int64_t row)
{
    column->valid[row >> 3] |= (uint8_t)(1 << (row & 7));
}

/* Stores the value of a present row; false when the row turns out to be missing. */
static bool store(const qn_column_builder *builder, const qn_markers *markers, qn_field_type type,
                  int64_t row, qn_column *column)
{
    size_t bytes = 0;
    const char *text = NULL;
    if (builder->kinds[row] == VALUE_TEXT) {
        text = qn_dictionary_text(&builder->texts.texts, builder->ints[row], &bytes);
        if (qn_markers_find(markers, text, bytes, type) >= 0) return false;
    }
    switch (column->type) {
    case QN_TYPE_BOOL:
        column->data.bools[row] = builder->ints[row] != 0;
        break;
    case QN_TYPE_INT64:
        column->data.ints[row] = builder->ints[row];
        break;
    case QN_TYPE_FLOAT64:
        column->data.doubles[row] = double_of(builder, row);
        break;
    case QN_TYPE_TIMESTAMP:
        return qn_field_parse_date(type, text, bytes, &column->data.ints[row]);
    case QN_TYPE_STRING:
        column->data.codes[row] = (int32_t)builder->ints[row];
        break;
    }
    return true;
}

static bool finish_column(qn_column_builder *builder, int64_t n_rows, const qn_markers *markers,
                          qn_column *column)
{
    while (builder->n_rows < n_rows && !builder->failed) {
        qn_column_builder_add_missing(builder);
    }
    const qn_field_type type = choose_type(builder, markers);
    column->type = qn_field_frame_type(type);
    column->name = builder->name;
    builder->name = NULL;
    column->data.ints = qn_alloc_array(n_rows, 8);
    column->valid = qn_alloc_array((n_rows + 7) / 8, 1);
    bool complete = !builder->failed && column->data.ints && column->valid;
    for (int64_t row = 0; complete && row < n_rows; row++) {
        if (builder->kinds[row] != VALUE_MISSING && builder->kinds[row] != VALUE_TEXT &&
            type == QN_FIELD_TEXT) {
            complete = number_as_text(builder, row);
        }
        if (builder->kinds[row] != VALUE_MISSING && store(builder, markers, type, row, column)) {
            set_valid(column, row);
            continue;
        }
        column->n_missing++;
        if (column->type == QN_TYPE_FLOAT64) column->data.doubles[row] = QN_NA;
        if (column->type == QN_TYPE_STRING) column->data.codes[row] = -1;
    }
    if (complete && column->type == QN_TYPE_STRING) {
        complete = qn_interner_take(&builder->texts, &column->dictionary);
    }
    if (complete && column->n_missing == 0) {
        qn_free(column->valid);
        column->valid = NULL;
    }
    return complete;
}

qn_status qn_column_builders_finish(qn_column_builder *builders, int64_t n_cols, int64_t n_rows,
                                    const char *source, const qn_markers *markers, qn_frame **out,
                                    qn_error *err)
{
    *out = NULL;
    if (n_rows == 0) return qn_fail(err, QN_ERR_DATA, "%s: there is no row", source);
    if (n_rows > INT32_MAX) {
        return qn_fail(err, QN_ERR_DATA, "%s: %" PRId64 " rows are more than the %d that fit",
                       source, n_rows, INT32_MAX);
    }
    qn_frame *frame = qn_frame_create(n_rows, n_cols);
    bool complete = frame && (frame->source = qn_strdup(source));
    for (int64_t col = 0; complete && col < n_cols; col++) {
        complete = finish_column(&builders[col], n_rows, markers, &frame->columns[col]);
    }
    if (!complete) {
        qn_frame_free(frame);
        return qn_fail(err, QN_ERR_NOMEM, "%s: no memory to read it", source);
    }
    *out = frame;
    return QN_OK;
}
