/* SPDX-License-Identifier: Apache-2.0 */
/* Cached rows: a block of rows is looked up in the prediction cache row by row, and the model
 * predicts those that were not there, side by side. So a request that has a few new rows among many
 * that came before costs what the few cost, and gives the same bytes.
 *
 * Threads: one thread, the loop's. */
#ifndef QN_SERVE_MODELS_CACHED_ROWS_H
#define QN_SERVE_MODELS_CACHED_ROWS_H

#include "serve/models/prediction_cache.h"
#include "serve/models/workspace.h"
#include "serve/rows/rows.h"

/* Which rows of a block were not there, from 0, in order. */
typedef struct qn_missed_rows {
    int64_t n;
    int64_t rows[QN_BLOCK_ROWS];
} qn_missed_rows;

/* The outputs of all that are there go to workspace->outputs, at their places. Turns cells in
 * workspace->turned; the workspace is the model's (qn_workspace_reserve()). */
void qn_cached_rows_find(qn_prediction_cache *cache, const qn_served_model *model,
                         const qn_rows_block *block, const qn_workspace *workspace,
                         qn_missed_rows *missed);
/* Predicts the missed rows, of which there is at least one, into workspace->outputs. */
void qn_cached_rows_predict(const qn_served_model *model, const qn_rows_block *block,
                            const qn_missed_rows *missed, const qn_workspace *workspace);
/* Keeps the missed rows' outputs (NULL: all rows were missed), out of n_rows × n_outputs. */
void qn_cached_rows_put(qn_prediction_cache *cache, const qn_served_model *model,
                        const qn_rows_block *block, const qn_missed_rows *missed,
                        const double *outputs, const qn_workspace *workspace);

#endif
