/* SPDX-License-Identifier: Apache-2.0 */
/* A block of rows and why each is predicted as it is: the part of each column, as `quern predict
 * --explain` tells it. A row may take a millisecond, so the block keeps what it needs while the
 * loop turns to others.
 *
 * Threads: one thread, the loop's. */
#ifndef QN_SERVE_ROWS_EXPLAINED_BLOCK_H
#define QN_SERVE_ROWS_EXPLAINED_BLOCK_H

#include "quern/explain.h"
#include "serve/rows/rows.h"

typedef struct qn_explained_block {
    const qn_served_model *model;
    const qn_explainer *explainer; /* the model's */
    qn_rows_block block;           /* its cells are here */
    qn_parts parts;                /* of its rows */
    qn_cell *row;                  /* one, for blocks that are not by row */
    void *scratch;
    int64_t n_explained; /* of the block's rows */
} qn_explained_block; /* in the request's memory, but for scratch: qn_explained_block_release() */

/* Fails with QN_ERR_NOMEM or QN_ERR_DATA (the model cannot be explained). */
QN_MUST_CHECK
qn_status qn_explained_block_create(qn_served_model *model, qn_arena *memory,
                                    qn_explained_block **out, qn_error *err);
void qn_explained_block_release(qn_explained_block *explained); /* accepts NULL */

/* Whether rows of the block are left. */
bool qn_explained_block_goes_on(const qn_explained_block *explained);
/* Explains the rows that are left, until the clock says `until_s`; at least one. */
QN_MUST_CHECK
qn_status qn_explained_block_step(qn_explained_block *explained, double until_s, qn_error *err);

#endif
