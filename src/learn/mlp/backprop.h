/* SPDX-License-Identifier: Apache-2.0 */
/* Backprop: one batch forward through a network as training sees it (dropout, the batch's own
 * statistics), and the gradient of its loss backward. All memory is taken at the start.
 *
 * Threads: one thread at a time per pass; the pool shares the products. */
#ifndef QN_LEARN_MLP_BACKPROP_H
#define QN_LEARN_MLP_BACKPROP_H

#include "model/network.h"

#include "base/pool.h"

typedef struct qn_pass {
    qn_network *network; /* borrowed; batch norm moves its running statistics */
    int64_t rows_max;
    uint64_t seed;  /* of dropout: the caller sets it anew for every batch */
    float momentum; /* batch norm: running += momentum × (batch - running) */
    float mixed;    /* mixup: inputs become (1 - mixed) x_i + mixed x_(n-1-i); 0: none */
    qn_pool *pool;
    float **values; /* inputs, then each layer's output: rows × width */
    float **deltas; /* the loss by them */
    bool *pending;  /* per delta: a residual connection has added to it already */
    float *spare;   /* rows_max × the largest width */
    float *panels;
    float *memory;
} qn_pass; /* release with qn_pass_release() */

QN_MUST_CHECK
qn_status qn_pass_init(qn_pass *pass, qn_network *network, int64_t rows_max, qn_error *err);
void qn_pass_release(qn_pass *pass);

/* Outputs of up to rows_max rows: n_rows × n_outputs, borrowed until the next call. */
const float *qn_pass_forward(qn_pass *pass, const qn_encoder_rows *rows);
/* After forward, with the loss by the outputs in qn_pass_output_deltas(): fills `gradient`
 * (n_params). */
void qn_pass_backward(qn_pass *pass, const qn_encoder_rows *rows, float *gradient);
float *qn_pass_output_deltas(qn_pass *pass);

/* Mixup: rows i and n-1-i exchange the share `mixed` of their values. */
void qn_mix_rows(float mixed, int64_t n_rows, int32_t width, float *values);

#endif
