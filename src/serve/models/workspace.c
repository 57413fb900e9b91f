/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/models/workspace.h"

#include "base/alloc.h"

void qn_workspace_release(qn_workspace *workspace)
{
    qn_free(workspace->cells);
    qn_free(workspace->turned);
    qn_free(workspace->outputs);
    qn_free(workspace->missed);
    qn_free(workspace->scratch);
    *workspace = (qn_workspace){0};
}

bool qn_workspace_reserve(qn_workspace *workspace, const qn_served_model *model)
{
    const int64_t n_cells = model->n_inputs * QN_BLOCK_ROWS;
    const int64_t n_outputs = (int64_t)model->n_outputs * QN_BLOCK_ROWS;
    const size_t bytes = model->scratch_bytes;
    if (workspace->scratch && n_cells <= workspace->n_cells && n_outputs <= workspace->n_outputs &&
        bytes <= workspace->scratch_bytes) {
        return true;
    }
    qn_workspace wider = {
        .n_cells = n_cells > workspace->n_cells ? n_cells : workspace->n_cells,
        .n_outputs = n_outputs > workspace->n_outputs ? n_outputs : workspace->n_outputs,
        .scratch_bytes = bytes > workspace->scratch_bytes ? bytes : workspace->scratch_bytes};
    wider.cells = qn_alloc_array(wider.n_cells, sizeof *wider.cells);
    wider.turned = qn_alloc_array(wider.n_cells, sizeof *wider.turned);
    wider.outputs = qn_alloc_array(wider.n_outputs, sizeof *wider.outputs);
    wider.missed = qn_alloc_array(wider.n_outputs, sizeof *wider.missed);
    wider.scratch = qn_alloc_aligned((int64_t)wider.scratch_bytes, 1);
    if (!wider.cells || !wider.turned || !wider.outputs || !wider.missed || !wider.scratch) {
        qn_workspace_release(&wider);
        return false;
    }
    qn_workspace_release(workspace);
    *workspace = wider;
    return true;
}
