/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/rows/explained_block.h"

#include "base/alloc.h"
#include "base/clock.h"

static qn_status no_memory(qn_error *err)
{
    return qn_fail(err, QN_ERR_NOMEM, "no memory to explain");
}

qn_status qn_explained_block_create(qn_served_model *model, qn_arena *memory,
                                    qn_explained_block **out, qn_error *err)
{
    const int64_t n = QN_BLOCK_ROWS, n_inputs = model->n_inputs;
    qn_explained_block *made = qn_arena_array(memory, 1, sizeof *made);
    if (!made) return no_memory(err);
    *out = made;
    made->model = model;
    QN_TRY(qn_served_model_explainer(model, &made->explainer, err));
    made->block.cells = qn_arena_array(memory, n * n_inputs, sizeof(qn_cell));
    made->row = qn_arena_array(memory, n_inputs, sizeof(qn_cell));
    made->parts.outputs = qn_arena_array(memory, n * model->n_outputs, sizeof(double));
    made->parts.classes = qn_arena_array(memory, n, sizeof(int32_t));
    made->parts.expected = qn_arena_array(memory, n, sizeof(double));
    made->parts.columns = qn_arena_array(memory, n * n_inputs, sizeof(double));
    made->scratch = qn_alloc_aligned((int64_t)qn_explainer_scratch_bytes(made->explainer), 1);
    const bool whole = made->block.cells && made->row && made->parts.outputs &&
                       made->parts.classes && made->parts.expected && made->parts.columns &&
                       made->scratch;
    return whole ? QN_OK : no_memory(err);
}

void qn_explained_block_release(qn_explained_block *explained)
{
    if (explained) qn_free(explained->scratch);
}

bool qn_explained_block_goes_on(const qn_explained_block *explained)
{
    return explained->n_explained < explained->block.n_rows;
}

/* The cells of row k, one behind the other. */
static const qn_cell *cells_of(const qn_explained_block *explained, int64_t k)
{
    const qn_rows_block *block = &explained->block;
    const int64_t n_inputs = explained->model->n_inputs;
    if (block->by_row) return block->cells + k * n_inputs;
    for (int64_t i = 0; i < n_inputs; i++) {
        explained->row[i] = block->cells[i * block->n_rows + k];
    }
    return explained->row;
}

qn_status qn_explained_block_step(qn_explained_block *explained, double until_s, qn_error *err)
{
    const qn_parts *all = &explained->parts;
    const qn_served_model *model = explained->model;
    do {
        const int64_t k = explained->n_explained;
        const qn_parts one = {all->outputs + k * model->n_outputs, all->classes + k,
                              all->expected + k, all->columns + k * model->n_inputs};
        QN_TRY(qn_explainer_row(explained->explainer, cells_of(explained, k), &one,
                                explained->scratch, err));
        explained->n_explained++;
    } while (qn_explained_block_goes_on(explained) && qn_clock_s() < until_s);
    return QN_OK;
}
