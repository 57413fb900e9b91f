/* SPDX-License-Identifier: Apache-2.0 */
/* Rows as CSV: read with the model's schema and bound to it, as `quern predict` does with a file.
 */
#include "serve/rows/rows_internal.h"

#include "base/alloc.h"
#include "source/csv.h"

static void close_csv(qn_rows *rows)
{
    qn_binding_free(rows->binding);
    qn_frame_free(rows->frame);
    qn_free(rows->formatted);
}

static qn_status read_csv(qn_rows *rows, qn_rows_block *block, qn_error *err)
{
    (void)err;
    const int64_t left = qn_frame_n_rows(rows->frame) - rows->n_rows;
    block->n_rows = left < QN_BLOCK_ROWS ? left : QN_BLOCK_ROWS;
    block->by_row = false;
    qn_binding_load(rows->binding, NULL, rows->n_rows, block->n_rows, block->cells,
                    rows->formatted);
    rows->n_rows += block->n_rows;
    return QN_OK;
}

qn_status qn_rows_open_csv(qn_rows *rows, const char *body, size_t bytes, qn_error *err)
{
    const qn_read_request request = {
        .uri = "body", .schema = rows->model->schema, .delimiter = ',', .header = 1};
    const qn_content content = {.data = body, .bytes = bytes};
    rows->form = QN_FORM_CSV;
    rows->read = read_csv;
    rows->close = close_csv;
    QN_TRY(qn_csv_read(&request, "body", &content, &rows->frame, NULL, err));
    if (qn_frame_n_rows(rows->frame) > rows->n_rows_max) return qn_rows_fail_too_many(rows, err);
    QN_TRY(qn_binding_create(rows->model->schema, rows->frame, &rows->binding, err));
    rows->formatted =
        qn_alloc_array((int64_t)qn_binding_scratch_bytes(rows->binding, QN_BLOCK_ROWS), 1);
    return rows->formatted ? QN_OK : qn_rows_fail_memory(err);
}
