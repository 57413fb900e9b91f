/* SPDX-License-Identifier: Apache-2.0 */
/* The learner of boosted trees: leaf-wise histogram trees in the form LightGBM gave them, one per
 * output and round, stopped when the validation loss has not improved for a while. */
#include "learn/tree/tree_learners.h"

#include "base/alloc.h"
#include "learn/class_weight.h"
#include "learn/tree/boosting.h"

static const char *const policies[] = {"lossguide", "depthwise", "symmetric", NULL};

#define AT(member) offsetof(qn_gbdt_params, member)

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
     "bound on leaf values before shrinkage; 0: none, or 10 where scores are logarithms"},
    {"path_smooth", QN_PARAM_FLOAT, AT(grow.path_smooth), 0, 1e9, 0, 0, false, 0, NULL,
     "rows by which a leaf's value is drawn to its parent's"},
    {"grow_policy", QN_PARAM_CHOICE, AT(grow.grow_policy), 0, QN_N_GROW_POLICIES - 1, 0, 0, false,
     QN_GROW_LOSSGUIDE, policies,
     "lossguide: where the gain is largest; depthwise: level by level; symmetric: one test a "
     "level"},
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
    {"dart", QN_PARAM_BOOL, AT(dart), 0, 1, 0, 0, false, 0, NULL,
     "leave out trees at random while a round is fitted (Rashmi & Gilad-Bachrach 2015): slower"},
    {"drop_rate", QN_PARAM_FLOAT, AT(drop_rate), 0, 1, 0, 0, false, 0.1, NULL,
     "dart: share of rounds left out"},
    {"max_drop", QN_PARAM_INT, AT(max_drop), 0, 100000, 0, 0, false, 50, NULL,
     "dart: rounds left out at most; 0: any number"},
    {"skip_drop", QN_PARAM_FLOAT, AT(skip_drop), 0, 1, 0, 0, false, 0.5, NULL,
     "dart: chance that a round leaves out none"},
    QN_PARAM_CLASS_WEIGHT(AT(class_weight)),
    {"scale_pos_weight", QN_PARAM_FLOAT, AT(scale_pos_weight), 1e-6, 1e6, 0, 0, false, 1, NULL,
     "weight of the positive class of two"},
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

/* Gains of all trees, those of a model gone on from not among them. */
static double *importance_of(const qn_boosting *b)
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
    qn_gbdt_params params = *(const qn_gbdt_params *)request->params;
    params.grow.monotone_constraints = request->data->monotone;
    params.grow.interaction_sets = request->data->interaction_sets;
    params.grow.columns = request->data->columns;
    *result = (qn_learn_result){0};
    qn_boosting b;
    QN_TRY(qn_boosting_create(request, &params, &b, err));
    qn_tree_builder model = {0};
    qn_boosting_end end;
    qn_status status = qn_boosting_run(&b, &model, &end, err);
    if (status == QN_OK) {
        status =
            qn_tree_builder_finish(&model, (int32_t)(end.n_kept * b.k), b.train.objective->link,
                                   false, b.init, b.k, &result->estimator, err);
    }
    if (status == QN_OK) {
        result->n_rounds = end.n_kept;
        result->stopped = end.stopped;
        result->importance = importance_of(&b);
    }
    qn_tree_builder_release(&model);
    qn_boosting_release(&b);
    return status;
}

static void cost(const qn_dataset *data, const void *params, double *bytes, double *work)
{
    const qn_gbdt_params *p = params;
    const double n = (double)data->train.n_rows, k = data->n_outputs;
    const double cells = n * (double)data->n_dense[QN_VIEW_TREE];
    *bytes = k * (n * 44 + (double)p->grow.num_leaves * 2048 * (double)data->n_dense[QN_VIEW_TREE]);
    *work = cells * k * 10 / p->grow.learning_rate;
}

const qn_learner qn_learner_gbdt = {
    .name = "gbdt",
    .help = "gradient-boosted trees on histograms",
    .source = "Friedman 2001, Ke et al. 2017 (LightGBM)",
    .tasks = 1u << QN_TASK_BINARY | 1u << QN_TASK_MULTICLASS | 1u << QN_TASK_REGRESSION |
             1u << QN_TASK_RANKING,
    .capabilities = QN_LEARNER_WEIGHTS | QN_LEARNER_EARLY_STOP | QN_LEARNER_PARTIAL |
                    QN_LEARNER_CONTINUE | QN_LEARNER_THREADS | QN_LEARNER_CONSTRAINTS,
    .view = QN_VIEW_TREE,
    .params = params_table,
    .params_bytes = sizeof(qn_gbdt_params),
    .fit = fit,
    .cost = cost,
};
