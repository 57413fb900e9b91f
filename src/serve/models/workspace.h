/* SPDX-License-Identifier: Apache-2.0 */
/* Workspace: memory that a loop predicts in.
 *
 * Threads: one thread, the loop's. */
#ifndef QN_SERVE_MODELS_WORKSPACE_H
#define QN_SERVE_MODELS_WORKSPACE_H

#include "serve/models/served_model.h"

/* Memory for one block of rows of the widest model so far; its contents last for one step. */
typedef struct qn_workspace {
    qn_cell *cells, *turned;
    double *outputs, *missed; /* the latter: of rows that the prediction cache did not have */
    void *scratch;
    int64_t n_cells, n_outputs;
    size_t scratch_bytes;
} qn_workspace; /* zero-initialise; release with qn_workspace_release() */

/* Makes it large enough for blocks of `model`; false when out of memory. */
bool qn_workspace_reserve(qn_workspace *workspace, const qn_served_model *model);
void qn_workspace_release(qn_workspace *workspace);

#endif
