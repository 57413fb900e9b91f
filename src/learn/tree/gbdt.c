/* SPDX-License-Identifier: Apache-2.0 */
/* Gradient boosting (Friedman 2001) with Newton leaves, in the form LightGBM gave it: leaf-wise
 * histogram trees, one per output and round, stopped when the validation loss has not improved for
 * a while. */
#include "learn/tree/tree_learners.h"

#include "base/alloc.h"
#include "learn/tree/grow.h"
#include "learn/tree/objective.h"

#include <math.h>
#include <string.h>

struct gbdt_params {
    qn_grow_params grow;
    qn_objective_params objective;
    int64_t n_estimators, bagging_freq, early_stopping_rounds;
    double bagging_fraction, top_rate, other_rate;
    bool goss;
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
    {"goss", QN_PARAM_BOOL, AT(goss), 0, 1, 0, 0, false, 0, NULL,
     "sample rows by their gradients (Ke et al. 2017) instead of evenly: faster on long tables"},
    {"top_rate", QN_PARAM_FLOAT, AT(top_rate), 0.01, 1, 0, 0, false, 0.2, NULL,
     "goss: share of rows kept for their large gradients"},
    {"other_rate", QN_PARAM_FLOAT, AT(other_rate), 0.01, 1, 0, 0, false, 0.1, NULL,
     "goss: share of rows drawn from the others"},
    {"objective", QN_PARAM_CHOICE, AT(objective.objective), 0, 12, 0, 0, false, 0,
     qn_objective_names, "the loss; auto: regression, binary, multiclass or lambdarank"},
    {"alpha", QN_PARAM_FLOAT, AT(objective.alpha), 1e-9, 1e9, 0, 0, false, 0.9, NULL,
     "huber: where squares end; quantile: the level"},
    {"tweedie_variance_power", QN_PARAM_FLOAT, AT(objective.tweedie_variance_power), 1.001, 1.999,
     0, 0, false, 1.5, NULL, "tweedie: 1 is near Poisson, 2 near gamma"},
    {"lambdarank_truncation_level", QN_PARAM_INT, AT(objective.lambdarank_truncation_level), 1,
     100000, 0, 0, false, 30, NULL, "lambdarank: ranks whose order counts"},
    {"early_stopping_rounds", QN_PARAM_INT, AT(early_stopping_rounds), 0, 100000, 0, 0, false, 0,
     NULL, "rounds without improvement before stopping; 0: grows with the best round"},
    {0}};

/* Everything one fit works with. */
struct boosting {
    const qn_learn_request *request;
    const qn_dataset *data;
    const struct gbdt_params *params;
    qn_objective_rows train, valid;
    int32_t k; /* trees a round */
    int64_t n_train, n_valid;
    double *scores, *valid_scores; /* row after row, k each */
    qn_derivatives *derivatives;   /* output after output, n_train each */
    int32_t *rows;                 /* sampled ones, increasing */
    uint8_t *sampled;              /* per training row */
    double *magnitudes;            /* goss: per training row, and room to select in */
    int64_t n_sampled;
    int32_t n_growers; /* each grows every n_growers-th output of a round */
    qn_grower **growers;
    qn_tree_builder *builders; /* of this round, one per output */
    double **gains;            /* per output, per feature */
    double *init;
    bool *grown;
    int64_t round;
};

static void release(struct boosting *b)
{
    for (int32_t i = 0; b->growers && i < b->n_growers; i++) {
        qn_grower_free(b->growers[i]);
    }
    for (int32_t c = 0; c < b->k; c++) {
        if (b->builders) qn_tree_builder_release(&b->builders[c]);
        if (b->gains) qn_free(b->gains[c]);
    }
    qn_objective_rows_release(&b->train);
    qn_objective_rows_release(&b->valid);
    qn_free(b->growers);
    qn_free(b->builders);
    qn_free(b->gains);
    qn_free(b->grown);
    qn_free(b->scores);
    qn_free(b->valid_scores);
    qn_free(b->derivatives);
    qn_free(b->rows);
    qn_free(b->sampled);
    qn_free(b->magnitudes);
    qn_free(b->init);
}

static qn_status no_memory(qn_error *err)
{
    return qn_fail(err, QN_ERR_NOMEM, "no memory to boost trees");
}

static qn_status choose_objective(struct boosting *b, qn_error *err)
{
    const qn_objective *objective;
    const qn_objective_params *params = &b->params->objective;
    QN_TRY(qn_objective_choose(params, b->data, &objective, err));
    QN_TRY(qn_objective_rows_create(objective, params, b->data, &b->data->train, &b->train, err));
    return qn_objective_rows_create(objective, params, b->data, &b->data->valid, &b->valid, err);
}

static qn_status allocate(struct boosting *b, qn_error *err)
{
    const int32_t k = b->k;
    b->scores = qn_alloc_aligned(b->n_train * k, sizeof(double));
    b->valid_scores = qn_alloc_aligned(b->n_valid * k, sizeof(double));
    b->derivatives = qn_alloc_aligned(b->n_train * k, sizeof *b->derivatives);
    b->rows = qn_alloc_aligned(b->n_train, sizeof *b->rows);
    b->sampled = qn_alloc_array(b->n_train, 1);
    if (b->params->goss) b->magnitudes = qn_alloc_aligned(b->n_train * 2, sizeof(double));
    b->init = qn_alloc_array(k, sizeof *b->init);
    b->growers = qn_alloc_array(b->n_growers, sizeof *b->growers);
    b->builders = qn_alloc_array(k, sizeof *b->builders);
    b->gains = qn_alloc_array(k, sizeof *b->gains);
    b->grown = qn_alloc_array(k, sizeof *b->grown);
    bool complete = b->scores && b->valid_scores && b->derivatives && b->rows && b->sampled &&
                    b->init && b->growers && b->builders && b->gains && b->grown &&
                    (b->magnitudes || !b->params->goss);
    for (int32_t c = 0; complete && c < k; c++) {
        b->gains[c] = qn_alloc_array(b->data->bins->n_features, sizeof **b->gains);
        complete = b->gains[c] != NULL;
    }
    if (!complete) return no_memory(err);
    for (int32_t i = 0; i < b->n_growers; i++) {
        QN_TRY(qn_grower_create(b->data->bins, &b->params->grow,
                                b->n_growers == 1 ? b->request->pool : NULL, &b->growers[i], err));
    }
    return QN_OK;
}

static void begin(struct boosting *b)
{
    b->train.objective->init(&b->train, b->init);
    for (int64_t i = 0; i < b->n_train * b->k; i++) {
        b->scores[i] = b->init[i % b->k];
    }
    for (int64_t i = 0; i < b->n_valid * b->k; i++) {
        b->valid_scores[i] = b->init[i % b->k];
    }
    b->n_sampled = b->n_train;
    memset(b->sampled, 1, (size_t)b->n_train);
}

/* Rows of a round. */

static void list_sampled(struct boosting *b)
{
    b->n_sampled = 0;
    for (int64_t i = 0; i < b->n_train; i++) {
        if (b->sampled[i]) b->rows[b->n_sampled++] = (int32_t)i;
    }
    if (b->n_sampled == 0) {
        b->sampled[0] = 1;
        b->rows[b->n_sampled++] = 0;
    }
}

static void draw_rows(struct boosting *b, qn_rng *rng)
{
    const double fraction = b->params->bagging_fraction;
    if (b->params->goss || fraction >= 1 || b->params->bagging_freq == 0) return;
    if (b->round % b->params->bagging_freq != 0) return;
    for (int64_t i = 0; i < b->n_train; i++) {
        b->sampled[i] = qn_rng_uniform(rng) < fraction;
    }
    list_sampled(b);
}

/* The k-th largest of n values, which are reordered (Hoare 1961). */
static double select_largest(double *values, int64_t n, int64_t k)
{
    int64_t low = 0, high = n - 1;
    while (low < high) {
        const double pivot = values[low + (high - low) / 2];
        int64_t i = low, j = high;
        while (i <= j) {
            while (values[i] > pivot) {
                i++;
            }
            while (values[j] < pivot) {
                j--;
            }
            if (i > j) break;
            const double swap = values[i];
            values[i++] = values[j];
            values[j--] = swap;
        }
        if (k <= j) {
            high = j;
        } else if (k >= i) {
            low = i;
        } else {
            break;
        }
    }
    return values[k];
}

/* Keeps rows of large gradient × hessian, draws from the others and weighs those up. The first
 * 1 / learning_rate rounds see every row: their gradients say little yet. */
static void draw_by_gradient(struct boosting *b, qn_rng *rng)
{
    const double top = b->params->top_rate, other = b->params->other_rate;
    const int64_t n = b->n_train;
    if (top + other >= 1 || (double)b->round < 1 / b->params->grow.learning_rate) return;
    for (int64_t i = 0; i < n; i++) {
        double sum = 0;
        for (int32_t c = 0; c < b->k; c++) {
            const qn_derivatives *d = &b->derivatives[c * n + i];
            sum += fabs(d->gradient * d->hessian);
        }
        b->magnitudes[i] = b->magnitudes[n + i] = sum;
    }
    int64_t n_top = (int64_t)(top * (double)n);
    if (n_top < 1) n_top = 1;
    const double border = select_largest(b->magnitudes + n, n, n_top - 1);
    const double weight = (1 - top) / other;
    for (int64_t i = 0; i < n; i++) {
        b->sampled[i] = 1;
        if (b->magnitudes[i] >= border) continue;
        b->sampled[i] = qn_rng_uniform(rng) < other / (1 - top);
        for (int32_t c = 0; c < b->k && b->sampled[i]; c++) {
            b->derivatives[c * n + i].gradient *= weight;
            b->derivatives[c * n + i].hessian *= weight;
        }
    }
    list_sampled(b);
}

/* Trees of a round. */

static double renew(void *context, const int32_t *rows, int64_t n, int64_t place)
{
    const struct boosting *b = context;
    const double level = b->train.objective->quantile(b->train.params);
    return qn_objective_residual_quantile(&b->train, b->scores, level, rows, n, place);
}

static void grow_output(struct boosting *b, qn_grower *grower, int32_t c)
{
    const qn_grow_request request = {
        .rows = b->n_sampled < b->n_train ? b->rows : NULL,
        .n_rows = b->n_sampled,
        .derivatives = b->derivatives + c * b->n_train,
        .seed = qn_seed_child(b->request->seed, (uint64_t)(b->round * b->k + c)),
        .stop = b->request->stop,
        .renew = b->train.objective->quantile ? renew : NULL,
        .renew_context = b};
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
        qn_objective_derive(&b->train, b->request->pool, b->scores, b->derivatives);
        if (b->params->goss) draw_by_gradient(b, &rng);
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
        const double loss = qn_objective_loss(&b->valid, b->request->pool, b->valid_scores);
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
    qn_status status = choose_objective(&b, err);
    if (status == QN_OK) status = allocate(&b, err);
    struct progress done = {0};
    if (status == QN_OK) {
        begin(&b);
        done = boost(&b, &model);
        if (done.n_kept == 0 && done.stopped) {
            status = qn_fail(err, QN_ERR_INTERRUPTED, "stopped before the first round was done");
        }
    }
    if (status == QN_OK) {
        status =
            qn_tree_builder_finish(&model, (int32_t)(done.n_kept * b.k), b.train.objective->link,
                                   false, b.init, b.k, &result->estimator, err);
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
