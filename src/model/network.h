/* SPDX-License-Identifier: Apache-2.0 */
/* Network: an encoder and a list of layers, each fed by the one before it. The list is data: a
 * search may change it, training and inference only follow it.
 *   dense       y = x W + b                    W: n_in × width, row after row, then b: width
 *   activation  y = f(x)
 *   layer_norm  Ba, Kiros & Hinton 2016        gain, bias: width each
 *   batch_norm  Ioffe & Szegedy 2015           gain, bias, running mean, running variance
 *   dropout     Srivastava et al. 2014; nothing at inference
 *   add         y = x + output of layer `from`, -1 being the inputs: a residual connection
 * All parameters stand in one array of floats: the encoder's, then each layer's in order.
 *
 * Threads: immutable once built; share freely. */
#ifndef QN_MODEL_NETWORK_H
#define QN_MODEL_NETWORK_H

#include "model/activation.h"
#include "model/encoder.h"

/* Stored in bundles: never renumber. */
typedef enum qn_layer_kind {
    QN_LAYER_DENSE,
    QN_LAYER_ACTIVATION,
    QN_LAYER_LAYER_NORM,
    QN_LAYER_BATCH_NORM,
    QN_LAYER_DROPOUT,
    QN_LAYER_ADD,
    QN_N_LAYER_KINDS
} qn_layer_kind;

typedef struct qn_layer {
    int32_t kind;
    int32_t width;      /* of its output; DENSE chooses it, the others keep that of their input */
    int32_t from;       /* ADD */
    int32_t activation; /* ACTIVATION */
    float rate;         /* DROPOUT: share of values set to zero, [0, 1) */
    int32_t slot;       /* set by qn_network_plan(), like what follows: where inference puts it */
    int32_t n_in;
    int64_t first_param, n_params;
    int64_t first_panel; /* DENSE: where its panels begin */
} qn_layer;

typedef struct qn_network {
    qn_encoder encoder;
    int32_t n_layers;
    qn_layer *layers;
    float *params;
    int64_t n_params; /* set by qn_network_plan(), like what follows */
    int64_t n_panels; /* floats of all panels */
    int32_t n_slots, slot_width;
} qn_network; /* zero-initialise; release with qn_network_release() */

/* Under the square root of both norms. */
#define QN_NORM_EPSILON 1e-5F

/* Checks the list and fills what follows from it. `params` is left alone: allocate it afterwards.
 * False when a layer is unknown, has no width, or adds what does not fit. */
bool qn_network_plan(qn_network *network);
/* Zeroed parameters of a planned network. */
QN_MUST_CHECK
qn_status qn_network_alloc_params(qn_network *network, qn_error *err);
QN_MUST_CHECK
qn_status qn_network_copy(const qn_network *from, qn_network *out, qn_error *err);
void qn_network_release(qn_network *network);
/* Width of the last layer. */
int32_t qn_network_n_outputs(const qn_network *network);

/* The dense layers' weights as the product kernels want them: n_panels floats, aligned. */
void qn_network_pack(const qn_network *network, float *panels);
size_t qn_network_scratch_bytes(const qn_network *network, int64_t n_rows);
/* Outputs for a block of rows, n_rows × n_outputs, somewhere in `scratch` (aligned to 64 bytes).
 * Allocates nothing. */
const float *qn_network_forward(const qn_network *network, const float *panels,
                                const qn_encoder_rows *rows, float *scratch);

/* Layers that training shares. `params` is the layer's own; `out` may be `in`. */
void qn_layer_norm_forward(const qn_layer *layer, const float *params, const float *in,
                           int64_t n_rows, float *out);
void qn_batch_norm_forward(const qn_layer *layer, const float *params, const float *in,
                           int64_t n_rows, float *out);

void qn_network_write(const qn_network *network, qn_writer *writer);
QN_MUST_CHECK
qn_status qn_network_read(qn_reader *reader, int64_t n_features, qn_network *out, qn_error *err);

#endif
