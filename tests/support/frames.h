/* SPDX-License-Identifier: Apache-2.0 */
/* Frames made by hand: columns are set one by one, and the test frees the frame. Running out of
 * memory here ends the test. */
#ifndef TESTS_SUPPORT_FRAMES_H
#define TESTS_SUPPORT_FRAMES_H

#include "check.h"

#include "base/map.h"
#include "frame/frame.h"

#include <string.h>

static inline qn_frame *frame_create(int64_t n_rows, int64_t n_cols)
{
    qn_frame *frame = qn_frame_create(n_rows, n_cols);
    CHECK(frame != NULL);
    frame->source = qn_strdup("table.csv");
    return frame;
}

/* Every row present until frame_set_missing() says otherwise. */
static inline qn_column *frame_column(qn_frame *frame, int64_t col, const char *name, qn_type type)
{
    qn_column *column = &frame->columns[col];
    column->name = qn_strdup(name);
    column->type = type;
    column->data.doubles = qn_alloc_array(frame->n_rows, sizeof(double));
    CHECK(column->name && column->data.doubles);
    return column;
}

static inline void frame_set_missing(qn_frame *frame, int64_t col, int64_t row)
{
    qn_column *column = &frame->columns[col];
    if (!column->valid) {
        column->valid = qn_alloc_array((frame->n_rows + 7) / 8, 1);
        CHECK(column->valid != NULL);
        memset(column->valid, 0xff, (size_t)(frame->n_rows + 7) / 8);
    }
    column->valid[row >> 3] &= (uint8_t) ~(1u << (row & 7));
    column->n_missing++;
    if (column->type == QN_TYPE_FLOAT64) column->data.doubles[row] = QN_NA;
    if (column->type == QN_TYPE_STRING) column->data.codes[row] = -1;
}

static inline void frame_doubles(qn_frame *frame, int64_t col, const char *name,
                                 const double *values)
{
    qn_column *column = frame_column(frame, col, name, QN_TYPE_FLOAT64);
    for (int64_t row = 0; row < frame->n_rows; row++) {
        column->data.doubles[row] = values[row];
        if (isnan(values[row])) frame_set_missing(frame, col, row);
    }
}

static inline void frame_ints(qn_frame *frame, int64_t col, const char *name, const int64_t *values)
{
    qn_column *column = frame_column(frame, col, name, QN_TYPE_INT64);
    memcpy(column->data.ints, values, (size_t)frame->n_rows * sizeof *values);
}

/* NULL is missing. */
static inline void frame_texts(qn_frame *frame, int64_t col, const char *name,
                               const char *const *texts)
{
    qn_column *column = frame_column(frame, col, name, QN_TYPE_STRING);
    qn_map *map = qn_map_create(16);
    CHECK(map != NULL);
    for (int64_t row = 0; row < frame->n_rows; row++) {
        if (!texts[row]) {
            frame_set_missing(frame, col, row);
            continue;
        }
        const int64_t *slot = qn_map_slot(map, texts[row], strlen(texts[row]), qn_map_n(map));
        CHECK(slot != NULL);
        column->data.codes[row] = (int32_t)*slot;
    }
    CHECK(qn_dictionary_create(map, &column->dictionary));
    qn_map_free(map);
}

#endif
