/* SPDX-License-Identifier: Apache-2.0 */
/* The neural network: parameters, and a fit from plan to estimator. */
#include "learn/mlp/mlp_internal.h"

#include "learn/class_weight.h"
#include "learn/mlp/mlp_learner.h"
#include "learn/mlp/optimiser.h"

#define AT(member) offsetof(struct qn_mlp_params, member)

static const char *const blocks[] = {"plain", "residual", NULL};
static const char *const norms[] = {"none", "batch", "layer", NULL};
static const char *const numbers[] = {"none", "quantile", "piecewise", NULL};
static const char *const optimizers[] = {"adamw", "sgd", NULL};
static const char *const schedules[] = {"constant", "cosine", "one_cycle", "plateau", NULL};

static const qn_param params_table[] = {
    {"n_layers", QN_PARAM_INT, AT(n_layers), 1, 64, 1, 4, false, 2, NULL,
     "hidden layers, or residual blocks"},
    {"hidden", QN_PARAM_INT, AT(hidden), 1, 8192, 64, 384, true, 192, NULL, "width of each"},
    {"block", QN_PARAM_CHOICE, AT(block), 0, 1, 0, 1.99, false, QN_BLOCK_PLAIN, blocks,
     "plain: dense layers in a row; residual: each block adds to its input"},
    {"activation", QN_PARAM_CHOICE, AT(activation), 0, 3, 0, 3.99, false, QN_ACTIVATION_RELU,
     qn_activation_names, "what makes it more than linear"},
    {"norm", QN_PARAM_CHOICE, AT(norm), 0, 2, 0, 2.99, false, QN_NORM_NONE, norms,
     "normalises what enters an activation"},
    {"numeric_embedding", QN_PARAM_CHOICE, AT(numeric_embedding), 0, 2, 1, 2.99, false,
     QN_NUMBERS_PIECEWISE, numbers,
     "numbers also by their quantiles, as a place or a piecewise linear vector"},
    {"n_bins", QN_PARAM_INT, AT(n_bins), 2, 256, 8, 48, true, 16, NULL,
     "quantiles of a number's encoding"},
    {"embedding_dim", QN_PARAM_INT, AT(embedding_dim), 0, 1024, 0, 0, false, 0, NULL,
     "width of a category's vector; 0: by its levels"},
    {"text_dim", QN_PARAM_INT, AT(text_dim), 1, 1024, 0, 0, false, 32, NULL,
     "width of the vector of all text"},
    {"dropout", QN_PARAM_FLOAT, AT(dropout), 0, 0.95, 0, 0.4, false, 0.1, NULL,
     "share of hidden values left out of a step"},
    {"optimizer", QN_PARAM_CHOICE, AT(optimizer), 0, 1, 0, 0, false, QN_OPTIMISER_ADAMW, optimizers,
     "how steps are made"},
    {"learning_rate", QN_PARAM_FLOAT, AT(learning_rate), 1e-7, 10, 5e-4, 8e-3, true, 0.002, NULL,
     "largest step"},
    {"schedule", QN_PARAM_CHOICE, AT(schedule), 0, 3, 0, 0, false, QN_SCHEDULE_COSINE, schedules,
     "how the learning rate moves"},
    {"momentum", QN_PARAM_FLOAT, AT(momentum), 0, 0.9999, 0, 0, false, 0.9, NULL, "of sgd"},
    {"weight_decay", QN_PARAM_FLOAT, AT(weight_decay), 0, 10, 1e-4, 0.3, true, 0.01, NULL,
     "shrinks weights by learning_rate times this at each step"},
    {"clip", QN_PARAM_FLOAT, AT(clip), 0, 1e9, 0, 0, false, 1, NULL,
     "largest norm of a gradient; 0: any"},
    {"epochs", QN_PARAM_INT, AT(epochs), 1, 100000, 0, 0, false, 16, NULL,
     "most passes over the rows"},
    {"batch_size", QN_PARAM_INT, AT(batch_size), 0, 1e6, 0, 0, false, 0, NULL,
     "rows of a step; 0: 32 to 512 by the number of rows"},
    {"patience", QN_PARAM_INT, AT(patience), 1, 100000, 0, 0, false, 8, NULL,
     "epochs without a better validation loss before it ends"},
    {"label_smoothing", QN_PARAM_FLOAT, AT(label_smoothing), 0, 0.9, 0, 0, false, 0, NULL,
     "share of a label spread over all classes; numbers to predict stay as they are"},
    {"mixup", QN_PARAM_FLOAT, AT(mixup), 0, 4, 0, 0, false, 0, NULL,
     "rows are mixed in pairs, targets with them, by a share drawn from Beta(mixup, mixup); 0: "
     "not"},
    {"averaging", QN_PARAM_FLOAT, AT(averaging), 0, 0.99999, 0, 0, false, 0.99, NULL,
     "decay of the running average of parameters that is kept; 0: the last ones"},
    QN_PARAM_CLASS_WEIGHT(AT(class_weight)),
    {0}};

/* A network to go on from brings its own layers; only the training parameters are heeded. */
static qn_status begin(const qn_learn_request *request, const struct qn_mlp_targets *targets,
                       qn_network *out, qn_error *err)
{
    const qn_dataset *data = request->data;
    if (!request->from) {
        return qn_mlp_plan(data, request->params, targets, request->seed, out, err);
    }
    const qn_network *from = qn_mlp_network(request->from);
    if (!from || from->encoder.n_dense != data->n_dense[QN_VIEW_DENSE] ||
        from->encoder.n_dense + from->encoder.n_sparse != data->n_features[QN_VIEW_DENSE] ||
        qn_network_n_outputs(from) != targets->n_outputs) {
        return qn_fail(err, QN_ERR_ARG,
                       "mlp: the model to go on from has other columns or classes");
    }
    return qn_network_copy(from, out, err);
}

static qn_status fit(const qn_learn_request *request, qn_learn_result *result, qn_error *err)
{
    const qn_dataset *data = request->data;
    struct qn_mlp_targets targets;
    qn_network network;
    *result = (qn_learn_result){0};
    if (data->n_features[QN_VIEW_DENSE] == 0 || !data->train.views[QN_VIEW_DENSE].dense) {
        return qn_fail(err, QN_ERR_UNSUPPORTED, "there is no dense view to fit on");
    }
    qn_mlp_targets_init(&targets, data, request->params);
    QN_TRY(begin(request, &targets, &network, err));
    const qn_status status = qn_mlp_train(request, request->params, &targets, &network,
                                          &result->n_rounds, &result->stopped, err);
    if (status != QN_OK) {
        qn_network_release(&network);
        return status;
    }
    return qn_mlp_create(targets.link, targets.offset, targets.scale, &network, &result->estimator,
                         err);
}

const qn_learner qn_learner_mlp = {
    .name = "mlp",
    .help = "neural network with embeddings of numbers, categories and text",
    .source = "Gorishniy et al. 2021 and 2022, Loshchilov & Hutter 2019",
    .tasks = 1u << QN_TASK_BINARY | 1u << QN_TASK_MULTICLASS | 1u << QN_TASK_REGRESSION |
             1u << QN_TASK_RANKING,
    .capabilities = QN_LEARNER_WEIGHTS | QN_LEARNER_EARLY_STOP | QN_LEARNER_PARTIAL |
                    QN_LEARNER_CONTINUE | QN_LEARNER_THREADS,
    .view = QN_VIEW_DENSE,
    .params = params_table,
    .params_bytes = sizeof(struct qn_mlp_params),
    .fit = fit,
};
