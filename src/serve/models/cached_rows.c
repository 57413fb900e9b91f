/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/models/cached_rows.h"

#include <string.h>

/* The cells of one row side by side: where they are, or put together in `room`. */
static const qn_cell *row_of(const qn_served_model *model, const qn_rows_block *block, int64_t row,
                             qn_cell *room)
{
    if (block->by_row) return block->cells + row * model->n_inputs;
    for (int64_t i = 0; i < model->n_inputs; i++) {
        room[i] = block->cells[i * block->n_rows + row];
    }
    return room;
}

void qn_cached_rows_find(qn_prediction_cache *cache, const qn_served_model *model,
                         const qn_rows_block *block, const qn_workspace *workspace,
                         qn_missed_rows *missed)
{
    missed->n = 0;
    for (int64_t row = 0; row < block->n_rows; row++) {
        const qn_cell *cells = row_of(model, block, row, workspace->turned);
        double *outputs = workspace->outputs + row * model->n_outputs;
        if (!qn_prediction_cache_find(cache, model, cells, outputs)) {
            missed->rows[missed->n++] = row;
        }
    }
}

void qn_cached_rows_predict(const qn_served_model *model, const qn_rows_block *block,
                            const qn_missed_rows *missed, const qn_workspace *workspace)
{
    const int64_t n = missed->n, n_outputs = model->n_outputs;
    for (int64_t i = 0; i < model->n_inputs; i++) {
        for (int64_t k = 0; k < n; k++) {
            const int64_t row = missed->rows[k];
            workspace->turned[i * n + k] = block->by_row ? block->cells[row * model->n_inputs + i]
                                                         : block->cells[i * block->n_rows + row];
        }
    }
    qn_predictor_predict(model->predictor, workspace->turned, n, workspace->missed,
                         workspace->scratch);
    for (int64_t k = 0; k < n; k++) {
        memcpy(workspace->outputs + missed->rows[k] * n_outputs, workspace->missed + k * n_outputs,
               (size_t)n_outputs * sizeof(double));
    }
}

void qn_cached_rows_put(qn_prediction_cache *cache, const qn_served_model *model,
                        const qn_rows_block *block, const qn_missed_rows *missed,
                        const double *outputs, const qn_workspace *workspace)
{
    const int64_t n = missed ? missed->n : block->n_rows;
    for (int64_t k = 0; k < n; k++) {
        const int64_t row = missed ? missed->rows[k] : k;
        qn_prediction_cache_put(cache, model, row_of(model, block, row, workspace->turned),
                                outputs + row * model->n_outputs);
    }
}
