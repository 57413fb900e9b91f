/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the neural network's trainer share: its parameters, the plan of a network for
 * a dataset, and the training loop. */
#ifndef QN_LEARN_MLP_MLP_INTERNAL_H
#define QN_LEARN_MLP_MLP_INTERNAL_H

#include "learn/learner.h"
#include "model/mlp_model.h"

enum { QN_BLOCK_PLAIN, QN_BLOCK_RESIDUAL };
enum { QN_NUMBERS_PLAIN, QN_NUMBERS_QUANTILE, QN_NUMBERS_PIECEWISE };
enum { QN_NORM_NONE, QN_NORM_BATCH, QN_NORM_LAYER };

struct qn_mlp_params {
    int64_t n_layers, hidden;
    int32_t block, activation, norm, numeric_embedding;
    int64_t n_bins, embedding_dim, text_dim;
    double dropout;
    int32_t optimizer, schedule;
    double learning_rate, momentum, weight_decay, clip;
    int64_t epochs, batch_size, patience;
    double label_smoothing, mixup, averaging;
    int32_t class_weight; /* qn_class_weight */
};

/* What outputs are compared with: n_rows × n_outputs, in the units of the network. */
struct qn_mlp_targets {
    qn_mlp_link link;
    double offset, scale; /* numbers: target = offset + scale × output */
    int32_t n_outputs;
    double class_weights[QN_CLASSES_MAX]; /* not of numbers */
};

void qn_mlp_targets_init(struct qn_mlp_targets *targets, const qn_dataset *data,
                         const struct qn_mlp_params *params);
/* What a row weighs, its class included. */
double qn_mlp_row_weight(const struct qn_mlp_targets *targets, const qn_dataset_part *part,
                         int64_t row);

/* A network for the dataset with freshly drawn parameters: encoder by the kinds of columns, layers
 * by the parameters. */
QN_MUST_CHECK
qn_status qn_mlp_plan(const qn_dataset *data, const struct qn_mlp_params *params,
                      const struct qn_mlp_targets *targets, uint64_t seed, qn_network *out,
                      qn_error *err);

/* Trains `network` in place: what it holds afterwards is the best average that validation saw, or
 * the last one. *n_epochs counts those done up to there. QN_ERR_INTERRUPTED when stopped before
 * the first step. */
QN_MUST_CHECK
qn_status qn_mlp_train(const qn_learn_request *request, const struct qn_mlp_params *params,
                       const struct qn_mlp_targets *targets, qn_network *network, int64_t *n_epochs,
                       bool *stopped, qn_error *err);

#endif
