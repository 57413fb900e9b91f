/* SPDX-License-Identifier: Apache-2.0 */
/* Micro-batch: small requests that came together are predicted together, since rows side by side
 * cost a third to a thirtieth of the same rows one by one. Nobody waits for it: rows are gathered
 * while the loop still has requests to read in its turn, and predicted as soon as it has none. A
 * row's prediction does not depend on its neighbours, so replies are the same, byte for byte.
 *
 * Threads: one thread, the loop's. */
#ifndef QN_SERVE_MODELS_MICRO_BATCH_H
#define QN_SERVE_MODELS_MICRO_BATCH_H

#include "serve/models/workspace.h"
#include "serve/rows/rows.h"

/* More rows a request: it is large enough to be predicted by itself. */
enum { QN_GATHERED_ROWS_MAX = 16 };

/* The rows of one request, in its memory; the model and the cells' texts are the request's, too. */
typedef struct qn_gathered {
    const qn_served_model *model;
    qn_rows_block block;
    double *outputs; /* n_rows × n_outputs, once it is predicted */
    bool predicted;
    struct qn_gathered *previous, *next; /* in the batch, until it is predicted */
} qn_gathered;

typedef struct qn_micro_batch {
    qn_gathered *first, *last;
    int64_t n_rows;
} qn_micro_batch; /* zero-initialise; owns nothing */

/* Copies a block of at most QN_GATHERED_ROWS_MAX rows into the batch. NULL: the batch is full, or
 * there is no memory; the caller then predicts by itself. */
qn_gathered *qn_micro_batch_add(qn_micro_batch *batch, const qn_served_model *model,
                                const qn_rows_block *block, qn_arena *memory);
/* Forgets one that is not predicted yet. */
void qn_micro_batch_remove(qn_micro_batch *batch, qn_gathered *gathered);
/* Predicts all and empties the batch. The workspace has room for blocks of each of the models. */
void qn_micro_batch_predict(qn_micro_batch *batch, const qn_workspace *workspace);

#endif
