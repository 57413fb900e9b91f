/* SPDX-License-Identifier: Apache-2.0 */
/* The learners of forests and single trees, all of them means of trees of cart.h. */
#include "learn/tree/tree_learners.h"

#include "base/alloc.h"
#include "learn/class_weight.h"
#include "learn/tree/cart.h"
#include "model/tree_prune.h"

#include <math.h>
#include <string.h>

struct forest_params {
    int64_t n_estimators, max_depth, min_data_in_leaf;
    double max_features, ccp_alpha, leaf_smoothing;
    int32_t criterion;
    bool bootstrap, random_cuts, oob_score;
    int32_t class_weight;
};

enum { AUTO = 0 };

static const char *const criteria[] = {"auto", "gini", "entropy", "squared_error", NULL};

#define AT(member) offsetof(struct forest_params, member)
#define FLAG(name, member, fallback, help)                                       \
    {                                                                            \
        name, QN_PARAM_BOOL, AT(member), 0, 1, 0, 0, false, fallback, NULL, help \
    }
#define CRITERION                                                                       \
    {                                                                                   \
        "criterion", QN_PARAM_CHOICE, AT(criterion), 0, QN_N_CRITERIA - 1, 0, 0, false, \
            QN_CRITERION_AUTO, criteria,                                                \
            "what splits make small; auto: gini for classes, squared_error for numbers" \
    }
#define MAX_DEPTH                                                                \
    {                                                                            \
        "max_depth", QN_PARAM_INT, AT(max_depth), 0, 1000, 0, 0, false, 0, NULL, \
            "depth of a tree; 0: no limit"                                       \
    }
#define CCP_ALPHA(most)                                                                            \
    {                                                                                              \
        "ccp_alpha", QN_PARAM_FLOAT, AT(ccp_alpha), 0, 1e300, most > 0 ? 1e-5 : 0, most, most > 0, \
            0, NULL,                                                                               \
            "cost of a leaf in pruning: impurity a split must take away; 0: trees are not "        \
            "pruned"                                                                               \
    }
#define LEAF_SMOOTHING(fallback)                                                                   \
    {                                                                                              \
        "leaf_smoothing", QN_PARAM_FLOAT, AT(leaf_smoothing), 0, 1e6, 0, 0, false, fallback, NULL, \
            "rows' worth of the overall mean in each leaf, which calibrates the "                  \
            "probabilities of small ones (the m-estimate, Cestnik 1990)"                           \
    }
#define FOREST_PARAMS(drawn, cuts)                                                                 \
    {"n_estimators",                                                                               \
     QN_PARAM_INT,                                                                                 \
     AT(n_estimators),                                                                             \
     0,                                                                                            \
     10000,                                                                                        \
     0,                                                                                            \
     0,                                                                                            \
     false,                                                                                        \
     AUTO,                                                                                         \
     NULL,                                                                                         \
     "trees; 0: from 200 for small tables to 50 for very long ones"},                              \
        {"max_features",                                                                           \
         QN_PARAM_FLOAT,                                                                           \
         AT(max_features),                                                                         \
         0,                                                                                        \
         1,                                                                                        \
         0.1,                                                                                      \
         1,                                                                                        \
         false,                                                                                    \
         0,                                                                                        \
         NULL,                                                                                     \
         "share of features looked at in a node; 0: the square root of their number; for "         \
         "numbers three quarters of them, or with random cuts all"},                               \
        MAX_DEPTH, CCP_ALPHA(0),                                                                   \
        {"min_data_in_leaf",                                                                       \
         QN_PARAM_INT,                                                                             \
         AT(min_data_in_leaf),                                                                     \
         0,                                                                                        \
         1e9,                                                                                      \
         1,                                                                                        \
         20,                                                                                       \
         true,                                                                                     \
         AUTO,                                                                                     \
         NULL,                                                                                     \
         "rows in a leaf; 0: 3 of two classes, 1 of more, 2 of numbers; up to 5 for long tables"}, \
        CRITERION, LEAF_SMOOTHING(0), QN_PARAM_CLASS_WEIGHT(AT(class_weight)),                     \
        FLAG("bootstrap", bootstrap, drawn, "draw rows with replacement for each tree"),           \
        FLAG("random_cuts", random_cuts, cuts, "one random cut per feature"),                      \
        FLAG("oob_score", oob_score, 0,                                                            \
             "with bootstrap: predict each training row by the trees that have not seen it "       \
             "(Breiman 1996); quern inspect and the report show its score")

static const qn_param extra_params[] = {FOREST_PARAMS(0, 1), {0}};
static const qn_param random_params[] = {FOREST_PARAMS(1, 0), {0}};
static const qn_param single_params[] = {CRITERION,
                                         MAX_DEPTH,
                                         {"min_data_in_leaf", QN_PARAM_INT, AT(min_data_in_leaf), 0,
                                          1e9, 2, 100, true, AUTO, NULL,
                                          "rows in a leaf; 1 grows until leaves are pure; 0: 1 of "
                                          "more than two classes, else 10"},
                                         CCP_ALPHA(0.02),
                                         LEAF_SMOOTHING(1),
                                         QN_PARAM_CLASS_WEIGHT(AT(class_weight)),
                                         {0}};

/* A fit. */
struct forest {
    const qn_learn_request *request;
    const qn_cart_plan *plan;
    struct forest_params params; /* with the automatic values filled in */
    qn_tree_builder model;
    double *gain;       /* per feature of the view */
    double *oob;        /* per training row and output: sums of the trees; NULL: not asked for */
    int32_t *oob_trees; /* per training row */
    int64_t n_grown;    /* the trees of `from` among them */
    bool stopped;
};

/* Numbers want more features than classes do, as bench/README.md measures; random cuts are random
 * enough with all of them (Geurts, Ernst & Wehenkel 2006, section 3.2). */
static int64_t n_tried(const qn_dataset *data, const struct forest_params *params)
{
    const double n = (double)data->bins->n_features;
    double tried = params->max_features * n;
    if (params->max_features == 0) {
        tried = data->n_classes > 0 ? sqrt(n) + 1 : params->random_cuts ? n : n * 0.75;
    }
    return tried < 1 ? 1 : (int64_t)(tried + 0.5);
}

static void fill_automatic(const qn_dataset *data, struct forest_params *params)
{
    const int64_t n = data->train.n_rows;
    if (params->n_estimators == AUTO) {
        params->n_estimators = n <= 5000 ? 200 : n <= 30000 ? 120 : n <= 100000 ? 80 : 50;
    }
    if (params->min_data_in_leaf == AUTO) {
        /* Measured on the tables of bench/learn: single rows make poor means and poor shares of two
         * classes; among many classes they tell best. */
        const int64_t least = n <= 30000 ? 1 : n <= 100000 ? 2 : 4;
        const int64_t noisy = data->n_classes == 0 ? least + 1 : least < 3 ? 3 : least;
        params->min_data_in_leaf = data->n_classes > 2 ? least : noisy;
    }
}

struct batch {
    const struct forest *forest;
    qn_cart *trees;
    bool *grown;
};

static void grow_one(void *context, int64_t i)
{
    struct batch *batch = context;
    const struct forest *f = batch->forest;
    batch->grown[i] = qn_cart_grow(f->plan, f->request->seed, f->n_grown + i, f->oob != NULL,
                                   f->request->stop, &batch->trees[i]);
}

/* Appends a finished tree; sets keep their numbers. */
static void append(const qn_tree_builder *tree, int32_t width, qn_tree_builder *model)
{
    const int64_t first_node = model->n_nodes, first_leaf = model->n_values / width;
    const int64_t n_leaves = tree->n_values / width;
    for (int64_t i = 0; i < n_leaves; i++) {
        qn_tree_builder_add_values(model, tree->values + i * width, width);
    }
    for (int64_t i = 0; i < tree->n_nodes; i++) {
        qn_tree_node node = tree->nodes[i];
        node.left += (int32_t)(node.left >= 0 ? first_node : -first_leaf);
        node.right += (int32_t)(node.right >= 0 ? first_node : -first_leaf);
        qn_tree_builder_add_node(model, &node);
    }
    const int32_t root = tree->roots[0];
    qn_tree_builder_add_tree(model, root + (int32_t)(root >= 0 ? first_node : -first_leaf));
}

static void append_pruned(const qn_tree_builder *tree, int32_t width, double alpha,
                          qn_tree_builder *model)
{
    const qn_tree_span span = {.nodes = tree->nodes,
                               .n_nodes = tree->n_nodes,
                               .values = tree->values,
                               .width = width,
                               .root = tree->roots[0]};
    if (qn_tree_prune_into(&span, alpha, model, NULL) != QN_OK) model->failed = true;
}

static void add_out_of_bag(const qn_cart *tree, struct forest *f)
{
    const int32_t k = f->request->data->n_outputs;
    for (int64_t row = 0; tree->out_of_bag && row < f->request->data->train.n_rows; row++) {
        if (tree->out_of_bag[row] < 0) continue;
        const double *leaf = tree->builder.values + (int64_t)tree->out_of_bag[row] * k;
        for (int32_t c = 0; c < k; c++) {
            f->oob[row * k + c] += leaf[c];
        }
        f->oob_trees[row]++;
    }
}

static void add_tree(const qn_cart *tree, struct forest *f)
{
    const int32_t width = f->request->data->n_outputs;
    if (f->params.ccp_alpha > 0) {
        append_pruned(&tree->builder, width, f->params.ccp_alpha, &f->model);
    } else {
        append(&tree->builder, width, &f->model);
    }
    for (int64_t j = 0; j < f->request->data->bins->n_features; j++) {
        f->gain[j] += tree->gain[j];
    }
    add_out_of_bag(tree, f);
    f->n_grown++;
}

enum { BATCH = 8 }; /* trees grown at a time when there are idle threads */

/* Trees have numbers, by which they draw: a forest that goes on is one grown at once. */
static qn_status begin(struct forest *f, qn_error *err)
{
    const qn_dataset *data = f->request->data;
    qn_cart_plan_add_sets(f->plan, &f->model);
    if (!f->request->from) return QN_OK;
    const qn_tree_model *from = qn_tree_model_of(f->request->from);
    const int64_t n_features = data->n_features[QN_VIEW_TREE];
    if (!from || !from->averaged || !from->vector_leaves || from->link != QN_LINK_IDENTITY ||
        from->line_starts || from->head.n_outputs != data->n_outputs ||
        from->n_features > n_features) {
        return qn_fail(err, QN_ERR_ARG,
                       "the model to go on from is not a forest of such columns and "
                       "such a target; fit one with the same schema");
    }
    int64_t *n_splits = qn_alloc_array(n_features, sizeof *n_splits);
    if (!n_splits) return qn_fail(err, QN_ERR_NOMEM, "no memory to grow trees");
    qn_tree_model_importance(from, f->gain, n_splits);
    qn_free(n_splits);
    qn_tree_builder_add_model(&f->model, from);
    f->n_grown = from->n_trees;
    return QN_OK;
}

static qn_status grow_all(struct forest *f, qn_error *err)
{
    QN_TRY(begin(f, err));
    const double fidelity = f->request->fidelity > 0 ? f->request->fidelity : 1;
    const int64_t wanted = f->n_grown + (int64_t)ceil(fidelity * (double)f->params.n_estimators);
    while (f->n_grown < wanted && !f->stopped) {
        qn_cart trees[BATCH];
        bool grown[BATCH], no_memory = false;
        struct batch batch = {f, trees, grown};
        const int64_t n = wanted - f->n_grown < BATCH ? wanted - f->n_grown : BATCH;
        qn_pool_run(f->request->pool, n, grow_one, &batch);
        for (int64_t i = 0; i < n; i++) {
            no_memory |= trees[i].builder.failed;
            f->stopped |= !grown[i];
            if (!f->stopped && !no_memory) add_tree(&trees[i], f);
            qn_cart_release(&trees[i]);
        }
        if (no_memory || f->model.failed) {
            return qn_fail(err, QN_ERR_NOMEM, "no memory to grow trees");
        }
        f->stopped |= qn_stop_requested(f->request->stop);
    }
    return f->n_grown > 0
               ? QN_OK
               : qn_fail(err, QN_ERR_INTERRUPTED, "stopped before the first tree was done");
}

/* The rows that some tree has not seen, their predictions first, measured. */
static qn_status measure_rest(const struct forest *f, const qn_dataset_part *rest,
                              const double *predicted, double *score, qn_error *err)
{
    const qn_dataset *data = f->request->data;
    const qn_metric *metric =
        f->request->oob_metric ? f->request->oob_metric : qn_metric_default(data->task);
    const qn_metric_input input = {.task = data->task,
                                   .n_classes = data->n_classes,
                                   .n_rows = rest->n_rows,
                                   .target = rest->target,
                                   .predicted = predicted,
                                   .weights = rest->weights,
                                   .groups = rest->groups};
    return metric->compute(&input, score, err);
}

/* Means of the trees that have not seen a row, QN_NA where all have; and what they are worth. */
static qn_status finish_out_of_bag(struct forest *f, double *score, qn_error *err)
{
    const qn_dataset_part *train = &f->request->data->train;
    const int32_t k = f->request->data->n_outputs;
    const int64_t n = train->n_rows;
    qn_dataset_part rest = {.target = qn_alloc_array(n, sizeof(double)),
                            .weights = qn_alloc_array(n, sizeof(double)),
                            .groups = train->groups ? qn_alloc_array(n, sizeof(int32_t)) : NULL};
    double *predicted = qn_alloc_array(n * k, sizeof *predicted);
    const bool complete =
        rest.target && rest.weights && predicted && (!train->groups || rest.groups);
    for (int64_t row = 0; complete && row < n; row++) {
        for (int32_t c = 0; c < k; c++) {
            double *mean = &f->oob[row * k + c];
            *mean = f->oob_trees[row] > 0 ? *mean / f->oob_trees[row] : QN_NA;
            predicted[rest.n_rows * k + c] = *mean;
        }
        if (f->oob_trees[row] == 0) continue;
        rest.target[rest.n_rows] = train->target[row];
        rest.weights[rest.n_rows] = train->weights ? train->weights[row] : 1;
        if (rest.groups) rest.groups[rest.n_rows] = train->groups[row];
        rest.n_rows++;
    }
    qn_status status = complete ? QN_OK : qn_fail(err, QN_ERR_NOMEM, "no memory to grow trees");
    if (status == QN_OK && rest.n_rows > 0) status = measure_rest(f, &rest, predicted, score, err);
    qn_free(rest.target);
    qn_free(rest.weights);
    qn_free(rest.groups);
    qn_free(predicted);
    return status;
}

static void share_gains(double *gain, int64_t n)
{
    double sum = 0;
    for (int64_t j = 0; j < n; j++) {
        sum += gain[j];
    }
    for (int64_t j = 0; sum > 0 && j < n; j++) {
        gain[j] /= sum;
    }
}

static qn_status run(struct forest *f, qn_learn_result *result, qn_error *err)
{
    const qn_dataset *data = f->request->data;
    const double init[QN_CLASSES_MAX] = {0};
    double score = QN_NA;
    QN_TRY(grow_all(f, err));
    if (f->oob) QN_TRY(finish_out_of_bag(f, &score, err));
    QN_TRY(qn_tree_builder_finish(&f->model, (int32_t)f->n_grown, QN_LINK_MEAN, true, init,
                                  data->n_outputs, &result->estimator, err));
    share_gains(f->gain, data->bins->n_features);
    result->importance = f->gain;
    result->oob = f->oob;
    result->oob_score = score;
    f->gain = f->oob = NULL;
    result->n_rounds = f->n_grown;
    result->stopped = f->stopped;
    return QN_OK;
}

/* `params` are those of a forest or of a single tree, with the automatic ones filled in. */
static qn_status grow(const qn_learn_request *request, const struct forest_params *params,
                      qn_learn_result *result, qn_error *err)
{
    const qn_dataset *data = request->data;
    const bool oob = params->oob_score && params->bootstrap;
    const int64_t n = data->train.n_rows;
    double class_weights[QN_CLASSES_MAX];
    *result = (qn_learn_result){0};
    struct forest f = {.request = request, .params = *params};
    const qn_cart_params cart = {.max_depth = params->max_depth,
                                 .min_data_in_leaf = params->min_data_in_leaf,
                                 .n_tried = n_tried(data, params),
                                 .leaf_smoothing = params->leaf_smoothing,
                                 .criterion = params->criterion,
                                 .bootstrap = params->bootstrap,
                                 .random_cuts = params->random_cuts};
    const bool balanced = qn_class_weights(data, params->class_weight, class_weights);
    qn_cart_plan *plan;
    QN_TRY(qn_cart_plan_create(data, &cart, balanced ? class_weights : NULL, &plan, err));
    f.plan = plan;
    f.gain = qn_alloc_array(data->n_features[QN_VIEW_TREE], sizeof *f.gain);
    if (oob) {
        f.oob = qn_alloc_array(n * data->n_outputs, sizeof *f.oob);
        f.oob_trees = qn_alloc_array(n, sizeof *f.oob_trees);
    }
    qn_status status = f.gain && (!oob || (f.oob && f.oob_trees))
                           ? run(&f, result, err)
                           : qn_fail(err, QN_ERR_NOMEM, "no memory to grow trees");
    qn_cart_plan_free(plan);
    qn_tree_builder_release(&f.model);
    qn_free(f.gain);
    qn_free(f.oob);
    qn_free(f.oob_trees);
    return status;
}

static qn_status fit_forest(const qn_learn_request *request, qn_learn_result *result, qn_error *err)
{
    struct forest_params params = *(const struct forest_params *)request->params;
    fill_automatic(request->data, &params);
    return grow(request, &params, result, err);
}

static qn_status fit_single(const qn_learn_request *request, qn_learn_result *result, qn_error *err)
{
    struct forest_params params = *(const struct forest_params *)request->params;
    qn_learn_request afresh = *request;
    afresh.from = NULL;
    const bool many_classes = request->data->task == QN_TASK_MULTICLASS;
    params.n_estimators = 1;
    params.max_features = 1;
    if (params.min_data_in_leaf == AUTO) params.min_data_in_leaf = many_classes ? 1 : 10;
    return grow(&afresh, &params, result, err);
}

static double n_trees(const qn_dataset *data, const void *params)
{
    struct forest_params filled = *(const struct forest_params *)params;
    fill_automatic(data, &filled);
    return (double)filled.n_estimators;
}

static void cost_forest(const qn_dataset *data, const void *params, double *bytes, double *work)
{
    const double n = (double)data->train.n_rows, trees = n_trees(data, params);
    *bytes = n * 40 * BATCH + trees * n * 48;
    *work = trees * n * log2(n + 2) * sqrt((double)data->n_dense[QN_VIEW_TREE]);
}

static void cost_single(const qn_dataset *data, const void *params, double *bytes, double *work)
{
    (void)params;
    const double n = (double)data->train.n_rows;
    *bytes = n * 88;
    *work = n * log2(n + 2) * (double)data->n_dense[QN_VIEW_TREE];
}

#define TASKS                                                                     \
    (1u << QN_TASK_BINARY | 1u << QN_TASK_MULTICLASS | 1u << QN_TASK_REGRESSION | \
     1u << QN_TASK_RANKING)

const qn_learner qn_learner_extra_trees = {
    .name = "extra_trees",
    .help = "forest of extremely randomised trees",
    .source = "Geurts, Ernst and Wehenkel 2006, Machine Learning 63",
    .tasks = TASKS,
    .capabilities =
        QN_LEARNER_WEIGHTS | QN_LEARNER_PARTIAL | QN_LEARNER_CONTINUE | QN_LEARNER_THREADS,
    .view = QN_VIEW_TREE,
    .params = extra_params,
    .params_bytes = sizeof(struct forest_params),
    .fit = fit_forest,
    .cost = cost_forest};

const qn_learner qn_learner_random_forest = {.name = "random_forest",
                                             .help = "forest of bootstrapped trees",
                                             .source = "Breiman 2001, Machine Learning 45",
                                             .tasks = TASKS,
                                             .capabilities =
                                                 QN_LEARNER_WEIGHTS | QN_LEARNER_PARTIAL |
                                                 QN_LEARNER_CONTINUE | QN_LEARNER_THREADS,
                                             .view = QN_VIEW_TREE,
                                             .params = random_params,
                                             .params_bytes = sizeof(struct forest_params),
                                             .fit = fit_forest,
                                             .cost = cost_forest};

const qn_learner qn_learner_decision_tree = {.name = "decision_tree",
                                             .help = "one classification or regression tree",
                                             .source = "Breiman, Friedman, Olshen and Stone 1984",
                                             .tasks = TASKS,
                                             .capabilities = QN_LEARNER_WEIGHTS,
                                             .view = QN_VIEW_TREE,
                                             .params = single_params,
                                             .params_bytes = sizeof(struct forest_params),
                                             .fit = fit_single,
                                             .cost = cost_single};
