/* SPDX-License-Identifier: Apache-2.0 */
/* MLP: a neural network on the dense view, and a link.
 *
 * Threads: immutable once built; share freely. */
#ifndef QN_MODEL_MLP_MODEL_H
#define QN_MODEL_MLP_MODEL_H

#include "model/estimator.h"
#include "model/network.h"

extern const qn_family qn_family_mlp;

/* Stored in bundles: never renumber. */
typedef enum qn_mlp_link {
    QN_MLP_IDENTITY, /* prediction = offset + scale × output */
    QN_MLP_LOGISTIC,
    QN_MLP_SOFTMAX
} qn_mlp_link;

/* Takes what `network` owns, also on failure. It has one output per output of the model. */
QN_MUST_CHECK
qn_status qn_mlp_create(qn_mlp_link link, double offset, double scale, qn_network *network,
                        qn_estimator **out, qn_error *err);
/* The network inside, borrowed; NULL when the estimator is of another family. */
const qn_network *qn_mlp_network(const qn_estimator *estimator);

/* Turns one row's outputs, n of them, into the prediction. */
void qn_mlp_link_row(qn_mlp_link link, double offset, double scale, const float *outputs, int32_t n,
                     double *out);

#endif
