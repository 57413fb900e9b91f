/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/models/micro_batch.h"

#include <string.h>

qn_gathered *qn_micro_batch_add(qn_micro_batch *batch, const qn_served_model *model,
                                const qn_rows_block *block, qn_arena *memory)
{
    const int64_t n_cells = block->n_rows * model->n_inputs;
    if (batch->n_rows + block->n_rows > QN_BLOCK_ROWS) return NULL;
    qn_gathered *gathered = qn_arena_array(memory, 1, sizeof *gathered);
    if (!gathered) return NULL;
    *gathered = (qn_gathered){.model = model, .block = *block, .previous = batch->last};
    gathered->block.cells = qn_arena_array(memory, n_cells, sizeof(qn_cell));
    gathered->outputs = qn_arena_array(memory, block->n_rows * model->n_outputs, sizeof(double));
    if (!gathered->block.cells || !gathered->outputs) return NULL;
    memcpy(gathered->block.cells, block->cells, (size_t)n_cells * sizeof(qn_cell));
    if (batch->last) {
        batch->last->next = gathered;
    } else {
        batch->first = gathered;
    }
    batch->last = gathered;
    batch->n_rows += block->n_rows;
    return gathered;
}

void qn_micro_batch_remove(qn_micro_batch *batch, qn_gathered *gathered)
{
    *(gathered->previous ? &gathered->previous->next : &batch->first) = gathered->next;
    *(gathered->next ? &gathered->next->previous : &batch->last) = gathered->previous;
    batch->n_rows -= gathered->block.n_rows;
    gathered->previous = gathered->next = NULL;
}

/* Column after column, as the predictor takes them, n rows in all, these from `row` on. */
static void turn(const qn_gathered *gathered, int64_t row, int64_t n, qn_cell *turned)
{
    const qn_rows_block *block = &gathered->block;
    const int64_t n_inputs = gathered->model->n_inputs;
    for (int64_t i = 0; i < n_inputs; i++) {
        for (int64_t k = 0; k < block->n_rows; k++) {
            turned[i * n + row + k] = block->by_row ? block->cells[k * n_inputs + i]
                                                    : block->cells[i * block->n_rows + k];
        }
    }
}

/* Takes those of the first one's model out of the batch; their list goes by `next`. */
static qn_gathered *take_a_model(qn_micro_batch *batch, int64_t *n_rows)
{
    qn_gathered *taken = NULL, **end = &taken;
    const qn_served_model *model = batch->first->model;
    *n_rows = 0;
    for (qn_gathered *at = batch->first, *next; at; at = next) {
        next = at->next;
        if (at->model != model) continue;
        qn_micro_batch_remove(batch, at);
        *n_rows += at->block.n_rows;
        *end = at;
        end = &at->next;
    }
    return taken;
}

void qn_micro_batch_predict(qn_micro_batch *batch, const qn_workspace *workspace)
{
    while (batch->first) {
        int64_t n, row = 0;
        qn_gathered *const taken = take_a_model(batch, &n);
        const qn_served_model *model = taken->model;
        for (qn_gathered *at = taken; at; row += at->block.n_rows, at = at->next) {
            turn(at, row, n, workspace->turned);
        }
        qn_predictor_predict(model->predictor, workspace->turned, n, workspace->outputs,
                             workspace->scratch);
        const double *outputs = workspace->outputs;
        for (qn_gathered *at = taken, *next; at; at = next) {
            const int64_t n_values = at->block.n_rows * model->n_outputs;
            next = at->next;
            memcpy(at->outputs, outputs, (size_t)n_values * sizeof *outputs);
            outputs += n_values;
            at->next = NULL;
            at->predicted = true;
        }
    }
}
