/* SPDX-License-Identifier: Apache-2.0 */
/* Predicts the rows of a table one at a time, as a program that serves them would, for rows.py
 * beside it: prints the median and the 99th percentile of the microseconds of a call.
 *
 *     predict_row MODEL TABLE ROUNDS */
#include "base/alloc.h"
#include "base/clock.h"
#include "base/sort.h"
#include "frame/frame.h"
#include "quern/bundle.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int fail(const qn_error *err)
{
    fprintf(stderr, "%s\n", err->message);
    return 1;
}

static qn_cell cell_of(const qn_column *column, int64_t row)
{
    if (qn_column_is_missing(column, row)) return (qn_cell){.number = QN_NA};
    if (column->type != QN_TYPE_STRING) return (qn_cell){.number = qn_column_number(column, row)};
    qn_cell cell = {.number = QN_NA};
    char scratch[QN_VALUE_TEXT_BYTES]; /* strings do not use it */
    cell.text = qn_column_text(column, row, scratch, &cell.text_bytes);
    return cell;
}

/* n_rows × inputs of the model; NULL where the table lacks a column. */
static qn_cell *cells_of(const qn_model *model, const qn_frame *frame)
{
    const int64_t n = frame->n_rows, n_inputs = qn_model_n_inputs(model);
    qn_cell *cells = qn_alloc_array(n * n_inputs, sizeof *cells);
    for (int64_t input = 0; cells && input < n_inputs; input++) {
        const int64_t col = qn_frame_find(frame, qn_model_input_name(model, input));
        for (int64_t row = 0; row < n && col >= 0; row++) {
            cells[row * n_inputs + input] = cell_of(&frame->columns[col], row);
        }
        if (col >= 0) continue;
        qn_free(cells);
        return NULL;
    }
    return cells;
}

int main(int argc, char **argv)
{
    qn_error err = {0};
    qn_model *model = NULL;
    qn_frame *frame = NULL;
    if (argc != 4) {
        fputs("usage: predict_row MODEL TABLE ROUNDS\n", stderr);
        return 2;
    }
    if (qn_model_open(argv[1], &model, &err) != QN_OK) return fail(&err);
    if (qn_frame_read(argv[2], 1, &frame, &err) != QN_OK) return fail(&err);
    const int64_t n = frame->n_rows, n_inputs = qn_model_n_inputs(model);
    const int64_t rounds = strtol(argv[3], NULL, 10), n_calls = n * rounds;
    qn_cell *cells = cells_of(model, frame);
    double *us = qn_alloc_array(n_calls, sizeof *us), sum = 0;
    double *out = qn_alloc_array(qn_model_n_outputs(model), sizeof *out);
    void *scratch = qn_alloc_aligned((int64_t)qn_model_scratch_bytes(model), 1);
    if (!cells || !us || !out || !scratch || n_calls < 1) {
        fputs("the table has not the model's columns, or no rows\n", stderr);
        return 1;
    }
    for (int64_t call = 0; call < n_calls; call++) {
        const double begun = qn_clock_s();
        const qn_status status =
            qn_model_predict_row(model, cells + call % n * n_inputs, out, scratch, &err);
        us[call] = 1e6 * (qn_clock_s() - begun);
        if (status != QN_OK) return fail(&err);
        sum += out[0];
    }
    if (!qn_sort_doubles(us, n_calls)) return 1;
    printf("{\"us\": %.2f, \"us_99\": %.2f, \"mean\": %.9g}\n", us[n_calls / 2],
           us[n_calls * 99 / 100], sum / (double)n_calls);
    qn_free(scratch);
    qn_free(out);
    qn_free(us);
    qn_free(cells);
    qn_frame_free(frame);
    qn_model_close(model);
    return 0;
}
