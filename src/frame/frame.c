/* SPDX-License-Identifier: Apache-2.0 */
#include "frame/frame.h"

#include "base/alloc.h"
#include "base/hash.h"
#include "base/nearest.h"

#include <string.h>

qn_frame *qn_frame_create(int64_t n_rows, int64_t n_cols)
{
    qn_frame *frame = qn_alloc_array(1, sizeof *frame);
    if (!frame) return NULL;
    frame->columns = qn_alloc_array(n_cols, sizeof *frame->columns);
    if (!frame->columns) {
        qn_free(frame);
        return NULL;
    }
    frame->n_rows = n_rows;
    frame->n_cols = n_cols;
    return frame;
}

void qn_frame_free(qn_frame *frame)
{
    if (!frame) return;
    for (int64_t col = 0; col < frame->n_cols; col++) {
        qn_column *column = &frame->columns[col];
        qn_free(column->name);
        qn_free(column->data.doubles);
        qn_free(column->valid);
        qn_free(column->dictionary.offsets);
        qn_free(column->dictionary.bytes);
        qn_free(column->markers);
    }
    qn_free(frame->columns);
    qn_free(frame->source);
    qn_free(frame);
}

int64_t qn_frame_n_rows(const qn_frame *frame)
{
    return frame->n_rows;
}

int64_t qn_frame_n_cols(const qn_frame *frame)
{
    return frame->n_cols;
}

const char *qn_frame_name(const qn_frame *frame, int64_t col)
{
    return frame->columns[col].name;
}

qn_type qn_frame_type(const qn_frame *frame, int64_t col)
{
    return frame->columns[col].type;
}

int64_t qn_frame_n_missing(const qn_frame *frame, int64_t col)
{
    return frame->columns[col].n_missing;
}

const char *qn_column_text(const qn_column *column, int64_t row, char *scratch, size_t *bytes)
{
    switch (column->type) {
    case QN_TYPE_BOOL:
        *bytes = column->data.bools[row] ? 4 : 5;
        return column->data.bools[row] ? "true" : "false";
    case QN_TYPE_INT64:
        *bytes = qn_format_int64(column->data.ints[row], scratch);
        return scratch;
    case QN_TYPE_FLOAT64:
        *bytes = qn_format_double(column->data.doubles[row], scratch);
        return scratch;
    case QN_TYPE_TIMESTAMP:
        *bytes = qn_timestamp_format(column->data.ints[row], scratch);
        return scratch;
    case QN_TYPE_STRING:
        break;
    }
    return qn_dictionary_text(&column->dictionary, column->data.codes[row], bytes);
}

int64_t qn_frame_find(const qn_frame *frame, const char *name)
{
    for (int64_t col = 0; col < frame->n_cols; col++) {
        if (strcmp(frame->columns[col].name, name) == 0) return col;
    }
    return -1;
}

qn_status qn_frame_require(const qn_frame *frame, const char *where, const char *name,
                           int64_t *column, qn_error *err)
{
    *column = qn_frame_find(frame, name);
    if (*column >= 0) return QN_OK;
    const char **names = qn_alloc_array(frame->n_cols, sizeof *names);
    if (!names) return qn_fail(err, QN_ERR_NOMEM, "%s: no memory to look up a column", where);
    for (int64_t col = 0; col < frame->n_cols; col++) {
        names[col] = frame->columns[col].name;
    }
    const char *near = qn_nearest_name(name, names, frame->n_cols);
    qn_free(names);
    return qn_fail(err, QN_ERR_ARG, "%s: there is no column '%s'%s%s%s", where, name,
                   near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
}

bool qn_dictionary_create(const qn_map *texts, qn_dictionary *out)
{
    int64_t n_bytes = 0;
    const int64_t n = qn_map_n(texts);
    for (int64_t i = 0; i < n; i++) {
        size_t bytes;
        qn_map_key(texts, i, &bytes);
        n_bytes += (int64_t)bytes;
    }
    out->offsets = qn_alloc_array(n + 1, sizeof *out->offsets);
    out->bytes = qn_alloc_array(n_bytes, 1);
    if (!out->offsets || !out->bytes) return false;
    out->n = n;
    for (int64_t i = 0; i < n; i++) {
        size_t bytes;
        const char *text = qn_map_key(texts, i, &bytes);
        if (bytes > 0) memcpy(out->bytes + out->offsets[i], text, bytes);
        out->offsets[i + 1] = out->offsets[i] + (int64_t)bytes;
    }
    return true;
}

static size_t item_bytes(qn_type type)
{
    switch (type) {
    case QN_TYPE_BOOL:
        return sizeof(uint8_t);
    case QN_TYPE_STRING:
        return sizeof(int32_t);
    case QN_TYPE_INT64:
    case QN_TYPE_FLOAT64:
    case QN_TYPE_TIMESTAMP:
        break;
    }
    return sizeof(int64_t);
}

static void gather(const qn_column *from, const int32_t *rows, int64_t n_rows, qn_column *to)
{
    for (int64_t i = 0; i < n_rows; i++) {
        const int32_t row = rows[i];
        switch (from->type) {
        case QN_TYPE_BOOL:
            to->data.bools[i] = from->data.bools[row];
            break;
        case QN_TYPE_STRING:
            to->data.codes[i] = from->data.codes[row];
            break;
        case QN_TYPE_FLOAT64:
            to->data.doubles[i] = from->data.doubles[row];
            break;
        case QN_TYPE_INT64:
        case QN_TYPE_TIMESTAMP:
            to->data.ints[i] = from->data.ints[row];
            break;
        }
        if (!from->valid) continue;
        if (qn_column_is_missing(from, row)) {
            to->n_missing++;
        } else {
            to->valid[i >> 3] |= (uint8_t)(1 << (i & 7));
        }
    }
}

static bool copy_dictionary(const qn_dictionary *from, qn_dictionary *to)
{
    const int64_t n_bytes = from->offsets[from->n];
    to->offsets = qn_alloc_array(from->n + 1, sizeof *to->offsets);
    to->bytes = qn_alloc_array(n_bytes, 1);
    if (!to->offsets || !to->bytes) return false;
    to->n = from->n;
    memcpy(to->offsets, from->offsets, (size_t)(from->n + 1) * sizeof *to->offsets);
    if (n_bytes > 0) memcpy(to->bytes, from->bytes, (size_t)n_bytes);
    return true;
}

static bool take_column(const qn_column *from, const int32_t *rows, int64_t n_rows, qn_column *to)
{
    to->type = from->type;
    to->name = qn_strdup(from->name);
    to->data.bools = qn_alloc_array(n_rows, item_bytes(from->type));
    if (from->markers) to->markers = qn_strdup(from->markers);
    if (from->valid) to->valid = qn_alloc_array((n_rows + 7) / 8, 1);
    if (!to->name || !to->data.bools || (from->markers && !to->markers) ||
        (from->valid && !to->valid)) {
        return false;
    }
    if (from->type == QN_TYPE_STRING && !copy_dictionary(&from->dictionary, &to->dictionary)) {
        return false;
    }
    gather(from, rows, n_rows, to);
    return true;
}

qn_status qn_frame_take(const qn_frame *frame, const int32_t *rows, int64_t n_rows, qn_frame **out,
                        qn_error *err)
{
    *out = NULL;
    qn_frame *taken = qn_frame_create(n_rows, frame->n_cols);
    bool complete = taken != NULL;
    if (complete && frame->source) complete = (taken->source = qn_strdup(frame->source)) != NULL;
    for (int64_t col = 0; complete && col < frame->n_cols; col++) {
        complete = take_column(&frame->columns[col], rows, n_rows, &taken->columns[col]);
    }
    if (!complete) {
        qn_frame_free(taken);
        return qn_fail(err, QN_ERR_NOMEM, "no memory for %" PRId64 " rows", n_rows);
    }
    *out = taken;
    return QN_OK;
}

uint64_t qn_frame_hash(const qn_frame *frame)
{
    uint64_t hash = qn_hash_mix(0, (uint64_t)frame->n_rows);
    for (int64_t col = 0; col < frame->n_cols; col++) {
        const qn_column *column = &frame->columns[col];
        const size_t n_rows = (size_t)frame->n_rows;
        hash = qn_hash_mix(hash, (uint64_t)column->type);
        hash = qn_hash64_seeded(column->name, strlen(column->name), hash);
        hash = qn_hash64_seeded(column->data.bools, n_rows * item_bytes(column->type), hash);
        if (column->valid) hash = qn_hash64_seeded(column->valid, (n_rows + 7) / 8, hash);
        if (column->type != QN_TYPE_STRING) continue;
        const qn_dictionary *dictionary = &column->dictionary;
        hash =
            qn_hash64_seeded(dictionary->bytes, (size_t)dictionary->offsets[dictionary->n], hash);
    }
    return hash;
}
