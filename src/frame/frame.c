/* SPDX-License-Identifier: Apache-2.0 */
#include "frame/frame.h"

#include "base/alloc.h"

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
