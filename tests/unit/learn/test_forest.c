/* SPDX-License-Identifier: Apache-2.0 */
/* Forests and single trees on small tables whose answers are known. */
#include "base/alloc.h"
#include "base/rng.h"
#include "learn/learner.h"
#include "learn/tree/bins.h"
#include "model/tree_model.h"

#include "check.h"

enum { ROWS = 600, COLUMNS = 4 };

/* A tree view made by hand: three numbers in steps of 0.1 and a category of five levels. */
struct world {
    qn_dataset data;
    qn_feature features[COLUMNS];
    qn_matrix x;
};

static void make_world(struct world *w, qn_task task, double noise)
{
    qn_error err = {0};
    qn_rng rng;
    *w = (struct world){0};
    qn_rng_init(&rng, 9, 1);
    CHECK_OK(qn_matrix_init(&w->x, ROWS, COLUMNS, &err));
    qn_dataset *d = &w->data;
    d->task = task;
    d->n_classes = task == QN_TASK_REGRESSION ? 0 : task == QN_TASK_BINARY ? 2 : 3;
    d->n_outputs = task == QN_TASK_MULTICLASS ? 3 : 1;
    d->train.target = qn_alloc_array(ROWS, sizeof(double));
    for (int64_t i = 0; i < ROWS; i++) {
        double *row = w->x.dense + i;
        for (int f = 0; f < 3; f++) {
            row[f * w->x.stride] = (double)qn_rng_below(&rng, 60) / 10;
        }
        const int64_t level = qn_rng_below(&rng, 5);
        row[3 * w->x.stride] = (double)level;
        const double y = row[0] + (double)(level % 2 * 3) + noise * qn_rng_normal(&rng);
        d->train.target[i] = task == QN_TASK_REGRESSION ? y : (y > 4) + (d->n_classes > 2 && y > 6);
    }
    w->features[3] = (qn_feature){.categorical = true, .n_levels = 5};
    d->n_features[QN_VIEW_TREE] = d->n_dense[QN_VIEW_TREE] = COLUMNS;
    d->features[QN_VIEW_TREE] = w->features;
    d->train.n_rows = ROWS;
    d->train.views[QN_VIEW_TREE] = w->x;
    CHECK_OK(qn_bins_create(d, 255, NULL, &d->bins, &err));
}

static void release_world(struct world *w)
{
    qn_bins_free(w->data.bins);
    qn_free(w->data.train.target);
    qn_free(w->data.train.weights);
    qn_matrix_release(&w->x);
}

static qn_status go_on(const struct world *w, const char *name, const char *settings,
                       const qn_estimator *from, qn_learn_result *result, qn_error *err)
{
    const qn_learner *learner = qn_learner_find(name);
    void *params = qn_alloc_array(1, learner->params_bytes);
    if (!params) return QN_ERR_NOMEM;
    qn_params_init(learner, params);
    CHECK_INT(qn_params_set(learner, params, settings, err), QN_OK);
    const qn_learn_request request = {.data = &w->data, .params = params, .seed = 4, .from = from};
    *result = (qn_learn_result){0};
    const qn_status status = learner->fit(&request, result, err);
    qn_free(params);
    return status;
}

static qn_status try_fit(const struct world *w, const char *name, const char *settings,
                         qn_learn_result *result, qn_error *err)
{
    return go_on(w, name, settings, NULL, result, err);
}

static void release_result(qn_learn_result *result)
{
    qn_estimator_free(result->estimator);
    qn_free(result->importance);
    qn_free(result->oob);
}

static void fit_predict(const struct world *w, const char *name, const char *settings, double *out)
{
    qn_error err = {0};
    qn_learn_result result;
    CHECK_OK(try_fit(w, name, settings, &result, &err));
    CHECK_OK(qn_estimator_predict(result.estimator, &w->x, NULL, out, &err));
    release_result(&result);
}

static double rmse(const struct world *w, const double *out)
{
    double sum = 0;
    for (int i = 0; i < ROWS; i++) {
        sum += (out[i] - w->data.train.target[i]) * (out[i] - w->data.train.target[i]);
    }
    return sqrt(sum / ROWS);
}

static void rows_out_of_the_bag_are_predicted_by_the_other_trees(void **state)
{
    (void)state;
    struct world w;
    qn_error err = {0};
    qn_learn_result result;
    double seen[ROWS];
    make_world(&w, QN_TASK_REGRESSION, 1);
    CHECK_OK(try_fit(&w, "random_forest", "n_estimators=100,oob_score=true,min_data_in_leaf=1",
                     &result, &err));
    CHECK_OK(qn_estimator_predict(result.estimator, &w.x, NULL, seen, &err));
    CHECK_NEAR(rmse(&w, result.oob), result.oob_score, 1e-9);
    /* Noise of deviation 1 is not to be predicted, but rows once seen are known by heart. */
    CHECK(result.oob_score > 1 && result.oob_score < 1.4);
    CHECK(rmse(&w, seen) < 0.6);
    release_result(&result);
    release_world(&w);
}

static void one_tree_leaves_a_third_of_the_rows_out(void **state)
{
    (void)state;
    struct world w;
    qn_error err = {0};
    qn_learn_result result;
    double out[ROWS * 3];
    make_world(&w, QN_TASK_MULTICLASS, 0.5);
    CHECK_OK(try_fit(&w, "random_forest", "n_estimators=1,oob_score=true", &result, &err));
    CHECK_OK(qn_estimator_predict(result.estimator, &w.x, NULL, out, &err));
    int n_out = 0;
    for (int i = 0; i < ROWS; i++) {
        if (isnan(result.oob[3 * i])) continue;
        n_out++;
        for (int c = 0; c < 3; c++) { /* the only tree is the one that has not seen it */
            CHECK_NEAR(result.oob[3 * i + c], out[3 * i + c], 0);
        }
    }
    CHECK(n_out > ROWS * 0.32 && n_out < ROWS * 0.42); /* 1 / e = 0.37 */
    release_result(&result);
    CHECK_OK(try_fit(&w, "extra_trees", "n_estimators=1,oob_score=true", &result, &err));
    CHECK(!result.oob); /* without bootstrap every row is seen */
    release_result(&result);
    release_world(&w);
}

static void levels_are_parted_by_their_mean(void **state)
{
    (void)state;
    struct world w;
    double out[ROWS];
    make_world(&w, QN_TASK_REGRESSION, 0);
    for (int i = 0; i < ROWS; i++) { /* the odd levels are 3 above the even ones */
        w.data.train.target[i] -= w.x.dense[i];
    }
    fit_predict(&w, "decision_tree", "max_depth=1,leaf_smoothing=0", out);
    CHECK(rmse(&w, out) < 1e-9);
    release_world(&w);
}

static void smoothing_draws_leaves_to_the_mean(void **state)
{
    (void)state;
    struct world w;
    double plain[ROWS], smooth[ROWS], mean = 0;
    make_world(&w, QN_TASK_BINARY, 1);
    for (int i = 0; i < ROWS; i++) {
        mean += w.data.train.target[i] / ROWS;
    }
    fit_predict(&w, "decision_tree", "min_data_in_leaf=1,leaf_smoothing=0", plain);
    fit_predict(&w, "decision_tree", "min_data_in_leaf=1,leaf_smoothing=2", smooth);
    for (int i = 0; i < ROWS; i++) {
        const double share = (smooth[i] - mean) / (plain[i] - mean); /* n / (n + 2) of n rows */
        CHECK(share > 0.33 && share < 1);
    }
    release_world(&w);
}

static void classes_of_equal_weight_have_equal_shares(void **state)
{
    (void)state;
    struct world w;
    double out[ROWS];
    make_world(&w, QN_TASK_BINARY, 1);
    for (int i = 0; i < ROWS; i++) {
        w.data.train.target[i] = i % 10 == 0;
    }
    fit_predict(&w, "decision_tree", "min_data_in_leaf=600", out);
    CHECK_NEAR(out[0], 0.1, 1e-12);
    fit_predict(&w, "decision_tree", "min_data_in_leaf=600,class_weight=balanced", out);
    CHECK_NEAR(out[0], 0.5, 1e-6);
    release_world(&w);
}

/* A row of weight 3 is three rows, up to what a leaf may hold. */
static void weights_count_as_rows(void **state)
{
    (void)state;
    struct world w;
    qn_error err = {0};
    double weighted[ROWS], repeated[ROWS];
    make_world(&w, QN_TASK_BINARY, 1);
    w.data.train.weights = qn_alloc_array(ROWS, sizeof(double));
    for (int i = 0; i < ROWS; i++) { /* the same 200 rows three times */
        const int of = i % 200;
        w.data.train.weights[i] = i < 200 ? 3 : 0;
        w.data.train.target[i] = w.data.train.target[of];
        for (int f = 0; f < COLUMNS; f++) {
            w.x.dense[f * w.x.stride + i] = w.x.dense[f * w.x.stride + of];
        }
    }
    qn_bins_free(w.data.bins);
    CHECK_OK(qn_bins_create(&w.data, 255, NULL, &w.data.bins, &err));
    const char *const settings = "min_data_in_leaf=1,max_depth=4,leaf_smoothing=0";
    fit_predict(&w, "decision_tree", settings, weighted);
    for (int i = 0; i < ROWS; i++) {
        w.data.train.weights[i] = 1;
    }
    fit_predict(&w, "decision_tree", settings, repeated);
    for (int i = 0; i < ROWS; i++) {
        CHECK_NEAR(weighted[i], repeated[i], 1e-9);
    }
    release_world(&w);
}

static void a_criterion_of_another_task_is_refused(void **state)
{
    (void)state;
    struct world w;
    qn_learn_result result;
    qn_error err = {0};
    make_world(&w, QN_TASK_REGRESSION, 1);
    CHECK_FAILS(QN_ERR_ARG, try_fit(&w, "decision_tree", "criterion=gini", &result, &err));
    CHECK_CONTAINS(err.message, "squared_error");
    release_world(&w);
    make_world(&w, QN_TASK_BINARY, 1);
    CHECK_FAILS(QN_ERR_ARG, try_fit(&w, "decision_tree", "criterion=squared_error", &result, &err));
    CHECK_CONTAINS(err.message, "gini");
    release_world(&w);
}

/* Where few features matter, nodes that draw none of these go on looking. */
static void nodes_look_on_until_some_feature_can_be_cut(void **state)
{
    (void)state;
    qn_error err = {0};
    struct world w;
    double out[ROWS];
    make_world(&w, QN_TASK_BINARY, 0);
    for (int i = 0; i < ROWS; i++) {
        for (int f = 1; f < 3; f++) {
            w.x.dense[f * w.x.stride + i] = i == 0; /* of next to no use */
        }
    }
    qn_bins_free(w.data.bins);
    CHECK_OK(qn_bins_create(&w.data, 255, NULL, &w.data.bins, &err));
    fit_predict(&w, "random_forest",
                "n_estimators=1,bootstrap=false,max_features=0.25,min_data_in_leaf=1", out);
    CHECK(rmse(&w, out) < 1e-9);
    release_world(&w);
}

static void forests_with_estimates_survive_running_out_of_memory(void **state)
{
    (void)state;
    struct world w;
    qn_learn_result result;
    make_world(&w, QN_TASK_BINARY, 1);
    CHECK_SURVIVES_NO_MEMORY_RELEASING(
        try_fit(&w, "random_forest", "n_estimators=3,oob_score=true,class_weight=balanced", &result,
                NULL),
        release_result(&result));
    release_result(&result);
    release_world(&w);
}

/* Five trees and seven more are twelve: the same predictions, bit for bit, and importances. */
static void check_going_on(const char *name, qn_task task)
{
    struct world w;
    qn_error err = {0};
    qn_learn_result begun, more, whole;
    double out[ROWS * 3], expected[ROWS * 3];
    make_world(&w, task, 1);
    const size_t bytes = ROWS * (size_t)w.data.n_outputs * sizeof *out;
    CHECK_OK(try_fit(&w, name, "n_estimators=5", &begun, &err));
    CHECK_OK(go_on(&w, name, "n_estimators=7", begun.estimator, &more, &err));
    CHECK_OK(try_fit(&w, name, "n_estimators=12", &whole, &err));
    CHECK_INT(more.n_rounds, 12);
    CHECK_OK(qn_estimator_predict(more.estimator, &w.x, NULL, out, &err));
    CHECK_OK(qn_estimator_predict(whole.estimator, &w.x, NULL, expected, &err));
    assert_memory_equal(out, expected, bytes);
    CHECK_OK(qn_estimator_predict(begun.estimator, &w.x, NULL, out, &err));
    CHECK(memcmp(out, expected, bytes) != 0);
    for (int f = 0; f < COLUMNS; f++) {
        CHECK_NEAR(more.importance[f], whole.importance[f], 1e-6);
    }
    release_result(&begun);
    release_result(&more);
    release_result(&whole);
    release_world(&w);
}

static void forests_that_go_on_are_those_grown_at_once(void **state)
{
    (void)state;
    check_going_on("random_forest", QN_TASK_MULTICLASS);
    check_going_on("random_forest", QN_TASK_REGRESSION);
    check_going_on("extra_trees", QN_TASK_BINARY);
}

static void forests_go_on_from_forests_of_such_a_target_alone(void **state)
{
    (void)state;
    struct world w, numbers;
    qn_error err = {0};
    qn_learn_result boosted, forest, result;
    make_world(&w, QN_TASK_MULTICLASS, 1);
    make_world(&numbers, QN_TASK_REGRESSION, 1);
    CHECK_OK(try_fit(&w, "gbdt", "n_estimators=2", &boosted, &err));
    CHECK_OK(try_fit(&numbers, "extra_trees", "n_estimators=2", &forest, &err));
    CHECK_FAILS(QN_ERR_ARG, go_on(&w, "extra_trees", "", boosted.estimator, &result, &err));
    CHECK_CONTAINS(err.message, "is not a forest");
    CHECK_FAILS(QN_ERR_ARG, go_on(&w, "extra_trees", "", forest.estimator, &result, &err));
    CHECK_OK(go_on(&numbers, "decision_tree", "", forest.estimator, &result, &err));
    CHECK_INT(qn_tree_model_of(result.estimator)->n_trees,
              1); /* of one tree, whatever came before */
    release_result(&result);
    release_result(&forest);
    release_result(&boosted);
    release_world(&numbers);
    release_world(&w);
}

static void forests_that_go_on_survive_running_out_of_memory(void **state)
{
    (void)state;
    struct world w;
    qn_error err = {0};
    qn_learn_result begun, result;
    make_world(&w, QN_TASK_MULTICLASS, 1);
    CHECK_OK(try_fit(&w, "random_forest", "n_estimators=2,max_depth=4", &begun, &err));
    CHECK_SURVIVES_NO_MEMORY_RELEASING(
        go_on(&w, "random_forest", "n_estimators=2,max_depth=4", begun.estimator, &result, NULL),
        release_result(&result));
    release_result(&result);
    release_result(&begun);
    release_world(&w);
}

RUN_TESTS(TEST(rows_out_of_the_bag_are_predicted_by_the_other_trees),
          TEST(one_tree_leaves_a_third_of_the_rows_out), TEST(levels_are_parted_by_their_mean),
          TEST(smoothing_draws_leaves_to_the_mean), TEST(classes_of_equal_weight_have_equal_shares),
          TEST(weights_count_as_rows), TEST(a_criterion_of_another_task_is_refused),
          TEST(nodes_look_on_until_some_feature_can_be_cut),
          TEST(forests_with_estimates_survive_running_out_of_memory),
          TEST(forests_that_go_on_are_those_grown_at_once),
          TEST(forests_go_on_from_forests_of_such_a_target_alone),
          TEST(forests_that_go_on_survive_running_out_of_memory))
