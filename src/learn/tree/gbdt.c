/* SPDX-License-Identifier: Apache-2.0 */
/* Gradient boosting (Friedman 2001) with Newton leaves, in the form LightGBM gave it: leaf-wise
 * histogram trees, one per output and round, stopped when the validation loss has not improved for
 * a while. */
#include "learn/tree/tree_learners.h"

#include "base/alloc.h"
#include "learn/tree/grow.h"

#include <math.h>
#include <string.h>

struct gbdt_params {
    qn_grow_params grow;
    int64_t n_estimators, bagging_freq, early_stopping_rounds;
    double bagging_fraction;
};

#define AT(member) offsetof(struct gbdt_params, member)

static const qn_param params_table[] = {
    {"n_estimators", QN_PARAM_INT, AT(n_estimators), 1, 100000, 0, 0, false, 4000, NULL,
     "rounds at most; with validation rows, early stopping ends sooner"},
    {"learning_rate", QN_PARAM_FLOAT, AT(grow.learning_rate), 1e-4, 1, 0.015, 0.12, true, 0.05,
     NULL, "shrinkage of each tree; lower is better and slower"},
    {"num_leaves", QN_PARAM_INT, AT(grow.num_leaves), 2, 65536, 4, 200, true, 31, NULL,
     "leaves of a tree: its complexity"},
    {"max_depth", QN_PARAM_INT, AT(grow.max_depth), 0, 1000, 0, 0, false, 0, NULL,
     "depth of a tree; 0: bounded by num_leaves alone"},
    {"min_data_in_leaf", QN_PARAM_INT, AT(grow.min_data_in_leaf), 1, 1e9, 1, 64, true, 20, NULL,
     "rows in a leaf"},
    {"min_sum_hessian_in_leaf", QN_PARAM_FLOAT, AT(grow.min_sum_hessian_in_leaf), 0, 1e9, 0, 0,
     false, 1e-3, NULL, "weight of evidence in a leaf"},
    {"feature_fraction", QN_PARAM_FLOAT, AT(grow.feature_fraction), 0.001, 1, 0.4, 1, false, 1,
     NULL, "share of features that each tree may use"},
    {"feature_fraction_bynode", QN_PARAM_FLOAT, AT(grow.feature_fraction_bynode), 0.001, 1, 0, 0,
     false, 1, NULL, "share of those that each split may use"},
    {"bagging_fraction", QN_PARAM_FLOAT, AT(bagging_fraction), 0.01, 1, 0.7, 1, false, 1, NULL,
     "share of rows that each tree sees"},
    {"bagging_freq", QN_PARAM_INT, AT(bagging_freq), 0, 1000, 0, 0, false, 1, NULL,
     "rounds between draws of rows"},
    {"reg_alpha", QN_PARAM_FLOAT, AT(grow.reg_alpha), 0, 1e6, 1e-4, 1, false, 0, NULL,
     "L1 penalty of leaf values"},
    {"reg_lambda", QN_PARAM_FLOAT, AT(grow.reg_lambda), 0, 1e6, 1e-4, 2, false, 0, NULL,
     "L2 penalty of leaf values"},
    {"min_split_gain", QN_PARAM_FLOAT, AT(grow.min_split_gain), 0, 1e9, 0, 0, false, 0, NULL,
     "gain that a split must bring"},
    {"max_delta_step", QN_PARAM_FLOAT, AT(grow.max_delta_step), 0, 1e9, 0, 0, false, 0, NULL,
     "bound on leaf values before shrinkage; 0: none"},
    {"path_smooth", QN_PARAM_FLOAT, AT(grow.path_smooth), 0, 1e9, 0, 0, false, 0, NULL,
     "rows by which a leaf's value is drawn to its parent's"},
    {"depthwise", QN_PARAM_BOOL, AT(grow.depthwise), 0, 1, 0, 0, false, 0, NULL,
     "grow level by level rather than where the gain is largest"},
    {"extra_trees", QN_PARAM_BOOL, AT(grow.extra_trees), 0, 1, 0, 1, false, 0, NULL,
     "try one random threshold per feature: faster, and more varied trees"},
    {"cat_smooth", QN_PARAM_FLOAT, AT(grow.cat_smooth), 0, 1e6, 1e-1, 100, true, 10, NULL,
     "rows that a level is smoothed by when levels are sorted"},
    {"cat_l2", QN_PARAM_FLOAT, AT(grow.cat_l2), 0, 1e6, 0, 0, false, 10, NULL,
     "L2 penalty of splits of categories"},
    {"max_cat_threshold", QN_PARAM_INT, AT(grow.max_cat_threshold), 1, 254, 0, 0, false, 32, NULL,
     "levels on the smaller side of a split"},
    {"max_cat_to_onehot", QN_PARAM_INT, AT(grow.max_cat_to_onehot), 1, 254, 0, 0, false, 4, NULL,
     "levels up to which one is split from the rest"},
    {"early_stopping_rounds", QN_PARAM_INT, AT(early_stopping_rounds), 0, 100000, 0, 0, false, 0,
     NULL, "rounds without improvement before stopping; 0: grows with the best round"},
    {0}};

/* Everything one fit works with. */
struct boosting {
    const qn_learn_request *request;
    const qn_dataset *data;
    const struct gbdt_params *params;
    int32_t k; /* trees a round */
    int64_t n_train, n_valid;
    double *scores, *valid_scores; /* row after row, k each */
    double *gradients, *hessians;  /* output after output, n_train each */
    int32_t *rows;                 /* sampled ones, increasing */
    uint8_t *sampled;              /* per training row */
    int64_t n_sampled;
    int32_t n_growers; /* each grows every n_growers-th output of a round */
    qn_grower **growers;
    qn_tree_builder *builders; /* of this round, one per output */
    double **gains;            /* per output, per feature */
    double *init;
    bool *grown;
    int64_t round;
};

static double weight_of(const qn_dataset_part *part, int64_t i)
{
    return part->weights ? part->weights[i] : 1;
}

static void release(struct boosting *b)
{
    for (int32_t i = 0; b->growers && i < b->n_growers; i++) {
        qn_grower_free(b->growers[i]);
    }
    for (int32_t c = 0; c < b->k; c++) {
        if (b->builders) qn_tree_builder_release(&b->builders[c]);
        if (b->gains) qn_free(b->gains[c]);
    }
    qn_free(b->growers);
    qn_free(b->builders);
    qn_free(b->rows);
    qn_free(b->gains);
    qn_free(b->grown);
    qn_free(b->scores);
    qn_free(b->valid_scores);
    qn_free(b->gradients);
    qn_free(b->hessians);
    qn_free(b->sampled);
    qn_free(b->init);
}

static bool is_class_task(const struct boosting *b)
{
    return b->data->task == QN_TASK_BINARY || b->data->task == QN_TASK_MULTICLASS;
}

/* Where the sums begin: the log-odds, log-frequencies or mean of training. */
static void set_init(struct boosting *b)
{
    double total = 0, sums[QN_CLASSES_MAX] = {0};
    const qn_dataset_part *train = &b->data->train;
    for (int64_t i = 0; i < b->n_train; i++) {
        const double w = weight_of(train, i);
        total += w;
        if (b->data->task == QN_TASK_MULTICLASS) {
            sums[(int32_t)train->target[i]] += w;
        } else {
            sums[0] += w * train->target[i];
        }
    }
    for (int32_t c = 0; c < b->k; c++) {
        const double share = sums[c] / total;
        if (!is_class_task(b)) {
            b->init[c] = share;
        } else if (b->data->task == QN_TASK_BINARY) {
            const double p = fmin(fmax(share, 1e-6), 1 - 1e-6);
            b->init[c] = log(p / (1 - p));
        } else {
            b->init[c] = log(fmax(share, 1e-6));
        }
    }
}

static qn_status allocate(struct boosting *b, qn_error *err)
{
    const int32_t k = b->k;
    b->scores = qn_alloc_aligned(b->n_train * k, sizeof(double));
    b->valid_scores = qn_alloc_aligned(b->n_valid * k, sizeof(double));
    b->gradients = qn_alloc_aligned(b->n_train * k, sizeof(double));
    b->hessians = qn_alloc_aligned(b->n_train * k, sizeof(double));
    b->rows = qn_alloc_aligned(b->n_train, sizeof *b->rows);
    b->sampled = qn_alloc_array(b->n_train, 1);
    b->init = qn_alloc_array(k, sizeof *b->init);
    b->growers = qn_alloc_array(b->n_growers, sizeof *b->growers);
    b->builders = qn_alloc_array(k, sizeof *b->builders);
    b->gains = qn_alloc_array(k, sizeof *b->gains);
    b->grown = qn_alloc_array(k, sizeof *b->grown);
    bool complete = b->scores && b->valid_scores && b->gradients && b->hessians && b->rows &&
                    b->sampled && b->init && b->growers && b->builders && b->gains && b->grown;
    for (int32_t c = 0; complete && c < k; c++) {
        b->gains[c] = qn_alloc_array(b->data->bins->n_features, sizeof **b->gains);
        complete = b->gains[c] != NULL;
    }
    for (int32_t i = 0; complete && i < b->n_growers; i++) {
        QN_TRY(qn_grower_create(b->data->bins, &b->params->grow,
                                b->n_growers == 1 ? b->request->pool : NULL, &b->growers[i], err));
    }
    if (!complete) return qn_fail(err, QN_ERR_NOMEM, "no memory to boost trees");
    set_init(b);
    for (int64_t i = 0; i < b->n_train * k; i++) {
        b->scores[i] = b->init[i % k];
    }
    for (int64_t i = 0; i < b->n_valid * k; i++) {
        b->valid_scores[i] = b->init[i % k];
    }
    b->n_sampled = b->n_train;
    memset(b->sampled, 1, (size_t)b->n_train);
    return QN_OK;
}

/* Gradients of the loss and its second derivatives, at the current sums. */
static void differentiate(struct boosting *b)
{
    const qn_dataset_part *train = &b->data->train;
    const int32_t k = b->k;
    const double factor = (double)k / (k > 1 ? k - 1 : 1); /* Friedman 2001, section 4.6 */
    for (int64_t i = 0; i < b->n_train; i++) {
        const double w = weight_of(train, i), y = train->target[i];
        const double *score = b->scores + i * k;
        if (b->data->task == QN_TASK_BINARY) {
            const double p = 1 / (1 + exp(-score[0]));
            b->gradients[i] = w * (p - y);
            b->hessians[i] = w * fmax(p * (1 - p), 1e-16);
        } else if (b->data->task == QN_TASK_MULTICLASS) {
            double most = score[0], sum = 0, p[QN_CLASSES_MAX];
            for (int32_t c = 1; c < k; c++) {
                most = fmax(most, score[c]);
            }
            for (int32_t c = 0; c < k; c++) {
                sum += p[c] = exp(score[c] - most);
            }
            for (int32_t c = 0; c < k; c++) {
                const double q = p[c] / sum;
                b->gradients[c * b->n_train + i] = w * (q - (y == c));
                b->hessians[c * b->n_train + i] = w * factor * fmax(q * (1 - q), 1e-16);
            }
        } else {
            b->gradients[i] = w * (score[0] - y);
            b->hessians[i] = w;
        }
    }
}

static double validation_loss(const struct boosting *b)
{
    const qn_dataset_part *valid = &b->data->valid;
    double loss = 0, weights = 0;
    for (int64_t i = 0; i < b->n_valid; i++) {
        const double w = weight_of(valid, i), y = valid->target[i];
        const double *score = b->valid_scores + i * b->k;
        double row;
        if (b->data->task == QN_TASK_BINARY) {
            const double margin = y == 1 ? score[0] : -score[0];
            row = margin > 0 ? log1p(exp(-margin)) : log1p(exp(margin)) - margin;
        } else if (b->data->task == QN_TASK_MULTICLASS) {
            double most = score[0], sum = 0;
            for (int32_t c = 1; c < b->k; c++) {
                most = fmax(most, score[c]);
            }
            for (int32_t c = 0; c < b->k; c++) {
                sum += exp(score[c] - most);
            }
            row = log(sum) + most - score[(int32_t)y];
        } else {
            row = (score[0] - y) * (score[0] - y);
        }
        loss += w * row;
        weights += w;
    }
    return loss / weights;
}

/* Draws the rows of the next rounds, in increasing order. */
static void draw_rows(struct boosting *b, qn_rng *rng)
{
    const double fraction = b->params->bagging_fraction;
    if (fraction >= 1 || b->params->bagging_freq == 0) return;
    if (b->round % b->params->bagging_freq != 0) return;
    b->n_sampled = 0;
    for (int64_t i = 0; i < b->n_train; i++) {
        b->sampled[i] = qn_rng_uniform(rng) < fraction;
        if (b->sampled[i]) b->rows[b->n_sampled++] = (int32_t)i;
    }
    if (b->n_sampled == 0) {
        b->sampled[0] = 1;
        b->rows[b->n_sampled++] = 0;
    }
}

static void grow_output(struct boosting *b, qn_grower *grower, int32_t c)
{
    const qn_grow_request request = {
        .rows = b->n_sampled < b->n_train ? b->rows : NULL,
        .n_rows = b->n_sampled,
        .gradients = b->gradients + c * b->n_train,
        .hessians = b->hessians + c * b->n_train,
        .seed = qn_seed_child(b->request->seed, (uint64_t)(b->round * b->k + c)),
        .stop = b->request->stop};
    b->grown[c] =
        qn_grower_grow(grower, &request, &b->builders[c], b->scores + c, b->k, b->gains[c]);
    if (!b->grown[c] || b->builders[c].failed) return;
    if (b->n_sampled < b->n_train) {
        qn_grower_walk(grower, 0, b->n_train, b->sampled, b->scores + c, b->k);
    }
    qn_grower_walk(grower, b->n_train, b->n_valid, NULL, b->valid_scores + c, b->k);
}

static void grow_outputs(void *context, int64_t i)
{
    struct boosting *b = context;
    for (int32_t c = (int32_t)i; c < b->k; c += b->n_growers) {
        grow_output(b, b->growers[i], c);
    }
}

/* Appends the round's trees to the model, output by output, renumbering what they refer to. */
static void append_round(struct boosting *b, qn_tree_builder *model)
{
    for (int32_t c = 0; c < b->k; c++) {
        qn_tree_builder *tree = &b->builders[c];
        const int64_t first_node = model->n_nodes, first_value = model->n_values;
        for (int64_t i = 0; i < tree->n_values; i++) {
            qn_tree_builder_add_values(model, &tree->values[i], 1);
        }
        for (int64_t i = 0; i < tree->n_nodes; i++) {
            qn_tree_node node = tree->nodes[i];
            if (node.flags & QN_NODE_CATEGORY) {
                node.threshold = (double)qn_tree_builder_add_set(
                    model, tree->sets + (int64_t)node.threshold * QN_SET_WORDS);
            }
            node.left = node.left >= 0 ? (int32_t)first_node + node.left
                                       : ~(int32_t)(first_value + ~node.left);
            node.right = node.right >= 0 ? (int32_t)first_node + node.right
                                         : ~(int32_t)(first_value + ~node.right);
            qn_tree_builder_add_node(model, &node);
        }
        const int32_t root = tree->roots ? tree->roots[0] : ~0;
        qn_tree_builder_add_tree(model, root >= 0 ? (int32_t)first_node + root
                                                  : ~(int32_t)(first_value + ~root));
        model->failed |= tree->failed;
        tree->n_trees = 0;
        tree->n_nodes = tree->n_values = tree->n_sets = 0;
    }
}

/* Rounds to wait for an improvement: more when steps are small, and the later the best came. */
static int64_t patience_of(const struct boosting *b, int64_t best_round)
{
    if (b->params->early_stopping_rounds > 0) return b->params->early_stopping_rounds;
    const double steps = 0.05 / b->params->grow.learning_rate;
    const double base = 40 * fmin(fmax(steps, 0.4), 2);
    return (int64_t)(base + 0.15 * (double)best_round);
}

struct progress {
    int64_t n_kept; /* rounds */
    bool stopped;
};

static struct progress boost(struct boosting *b, qn_tree_builder *model)
{
    const double fidelity = b->request->fidelity > 0 ? b->request->fidelity : 1;
    const int64_t n_rounds = (int64_t)ceil(fidelity * (double)b->params->n_estimators);
    struct progress done = {0};
    double best = QN_INF;
    qn_rng rng;
    qn_rng_init(&rng, b->request->seed, UINT64_MAX);
    for (b->round = 0; b->round < n_rounds; b->round++) {
        if (qn_stop_requested(b->request->stop)) {
            done.stopped = true;
            break;
        }
        draw_rows(b, &rng);
        differentiate(b);
        qn_pool_run(b->request->pool, b->n_growers, grow_outputs, b);
        for (int32_t c = 0; c < b->k; c++) {
            done.stopped |= !b->grown[c];
        }
        if (done.stopped) break;
        append_round(b, model);
        if (model->failed) break;
        if (b->n_valid == 0) {
            done.n_kept = b->round + 1;
            continue;
        }
        const double loss = validation_loss(b);
        if (loss < best - 1e-9 * fabs(best == QN_INF ? 0 : best)) {
            best = loss;
            done.n_kept = b->round + 1;
        } else if (b->round + 1 - done.n_kept >= patience_of(b, done.n_kept)) {
            break;
        }
    }
    return done;
}

static double *importance_of(const struct boosting *b)
{
    const int64_t n = b->data->bins->n_features;
    double *importance = qn_alloc_array(b->data->n_features[QN_VIEW_TREE], sizeof *importance);
    double sum = 0;
    for (int64_t f = 0; importance && f < n; f++) {
        for (int32_t c = 0; c < b->k; c++) {
            importance[f] += b->gains[c][f];
        }
        sum += importance[f];
    }
    for (int64_t f = 0; importance && sum > 0 && f < n; f++) {
        importance[f] /= sum;
    }
    return importance;
}

static qn_status fit(const qn_learn_request *request, qn_learn_result *result, qn_error *err)
{
    const qn_dataset *data = request->data;
    struct boosting b = {.request = request,
                         .data = data,
                         .params = request->params,
                         .k = data->task == QN_TASK_MULTICLASS ? data->n_classes : 1,
                         .n_train = data->train.n_rows,
                         .n_valid = data->valid.n_rows};
    const int n_threads = qn_pool_n_threads(request->pool);
    b.n_growers = b.k < n_threads ? b.k : n_threads;
    if (b.k == 1) b.n_growers = 1;
    *result = (qn_learn_result){0};
    qn_tree_builder model = {0};
    qn_status status = allocate(&b, err);
    struct progress done = {0};
    if (status == QN_OK) {
        done = boost(&b, &model);
        if (done.n_kept == 0 && done.stopped) {
            status = qn_fail(err, QN_ERR_INTERRUPTED, "stopped before the first round was done");
        }
    }
    if (status == QN_OK) {
        const qn_link link = data->task == QN_TASK_BINARY       ? QN_LINK_LOGISTIC
                             : data->task == QN_TASK_MULTICLASS ? QN_LINK_SOFTMAX
                                                                : QN_LINK_IDENTITY;
        status = qn_tree_builder_finish(&model, (int32_t)(done.n_kept * b.k), link, false, b.init,
                                        b.k, &result->estimator, err);
        result->n_rounds = done.n_kept;
        result->stopped = done.stopped;
        result->importance = importance_of(&b);
    }
    qn_tree_builder_release(&model);
    release(&b);
    return status;
}

static void cost(const qn_dataset *data, const void *params, double *bytes, double *work)
{
    const struct gbdt_params *p = params;
    const double n = (double)data->train.n_rows, k = data->n_outputs;
    const double cells = n * (double)data->n_dense[QN_VIEW_TREE];
    *bytes = k * (n * 44 + (double)p->grow.num_leaves * 2048 * (double)data->n_dense[QN_VIEW_TREE]);
    *work = cells * k * 10 / p->grow.learning_rate;
}

const qn_learner qn_learner_gbdt = {
    .name = "gbdt",
    .help = "gradient-boosted trees on histograms",
    .tasks = 1u << QN_TASK_BINARY | 1u << QN_TASK_MULTICLASS | 1u << QN_TASK_REGRESSION |
             1u << QN_TASK_RANKING,
    .capabilities =
        QN_LEARNER_WEIGHTS | QN_LEARNER_EARLY_STOP | QN_LEARNER_PARTIAL | QN_LEARNER_THREADS,
    .view = QN_VIEW_TREE,
    .params = params_table,
    .params_bytes = sizeof(struct gbdt_params),
    .fit = fit,
    .cost = cost,
};
