/* SPDX-License-Identifier: Apache-2.0 */
/* Morph: changes of a network that keep what it computes, to rounding, so that a search goes on
 * from what its parent has learned (Chen, Goodfellow & Shlens 2016; Wei et al. 2016). The morphed
 * network is fitted further by giving an estimator around it as `from` of a learn request.
 *
 * Threads: one thread at a time per network. */
#ifndef QN_LEARN_MLP_MORPH_H
#define QN_LEARN_MLP_MORPH_H

#include "model/network.h"

/* Each leaves `*out` as a new network of the caller's. They fail with QN_ERR_ARG, saying why, when
 * the layer is not one it can be done to, and with QN_ERR_NOMEM. */

/* Dense layer `at`, not the last, gets `width` units, more than it has: the new ones are copies of
 * others, drawn by `seed`, and share their outgoing weights. What follows up to the next dense
 * layer works unit by unit: activation, batch norm, dropout. */
QN_MUST_CHECK
qn_status qn_network_widen(const qn_network *from, int32_t at, int32_t width, uint64_t seed,
                           qn_network *out, qn_error *err);

/* After layer `at` (-1: the inputs) comes a residual block: x + dense(activation(dense(x))), its
 * last layer zero. */
QN_MUST_CHECK
qn_status qn_network_deepen(const qn_network *from, int32_t at, qn_activation activation,
                            uint64_t seed, qn_network *out, qn_error *err);

/* Dense layer `at`, as wide as its input, gets a connection past it: x + dense'(x), where dense'
 * is dense less the identity. */
QN_MUST_CHECK
qn_status qn_network_skip(const qn_network *from, int32_t at, qn_network *out, qn_error *err);

#endif
