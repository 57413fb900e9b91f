/* SPDX-License-Identifier: Apache-2.0 */
/* Pruning against scikit-learn's, on its own trees (tests/golden/prune). */
#include "model/tree_prune.h"

#include "golden.h"

#include <stdlib.h>

static double number_at(qn_json_value of, const char *key, int64_t i)
{
    const double value = qn_json_as_double(qn_json_at(qn_json_get(of, key), i), QN_NA);
    CHECK(!isnan(value));
    return value;
}

/* The tree as scikit-learn numbers it, parents first; a node's gain is what its impurity loses,
 * times its weight. */
static qn_estimator *tree_of(qn_json_value of, int32_t *width)
{
    qn_tree_builder builder = {0};
    qn_estimator *model = NULL;
    qn_error err = {0};
    const int64_t n = qn_json_size(qn_json_get(of, "left"));
    int32_t *place = calloc((size_t)n, sizeof *place), n_nodes = 0;
    *width = (int32_t)qn_json_size(qn_json_at(qn_json_get(of, "values"), 0));
    for (int64_t i = 0; i < n; i++) {
        double values[8];
        if (number_at(of, "left", i) >= 0) {
            place[i] = n_nodes++;
            continue;
        }
        for (int32_t c = 0; c < *width; c++) {
            values[c] =
                qn_json_as_double(qn_json_at(qn_json_at(qn_json_get(of, "values"), i), c), QN_NA);
        }
        place[i] = ~(int32_t)qn_tree_builder_add_values(&builder, values, *width);
    }
    for (int64_t i = 0; i < n; i++) {
        if (place[i] < 0) continue;
        const int64_t left = (int64_t)number_at(of, "left", i),
                      right = (int64_t)number_at(of, "right", i);
        const double lost = number_at(of, "weight", i) * number_at(of, "impurity", i) -
                            number_at(of, "weight", left) * number_at(of, "impurity", left) -
                            number_at(of, "weight", right) * number_at(of, "impurity", right);
        const qn_tree_node node = {.threshold = number_at(of, "threshold", i),
                                   .feature = (int32_t)number_at(of, "feature", i),
                                   .left = place[left],
                                   .right = place[right],
                                   .left_cover = (float)number_at(of, "weight", left),
                                   .right_cover = (float)number_at(of, "weight", right),
                                   .gain = qn_tree_gain(lost)};
        (void)qn_tree_builder_add_node(&builder, &node);
    }
    qn_tree_builder_add_tree(&builder, place[0]);
    free(place);
    CHECK_OK(qn_tree_builder_finish(&builder, 1, QN_LINK_IDENTITY, true, (double[8]){0}, *width,
                                    &model, &err));
    return model;
}

static qn_tree_span span_of(const qn_estimator *estimator)
{
    const qn_tree_model *model = qn_tree_model_of(estimator);
    return (qn_tree_span){.nodes = model->nodes,
                          .n_nodes = model->n_nodes,
                          .values = model->values,
                          .width = model->head.n_outputs,
                          .root = model->roots[0]};
}

/* scikit-learn's list begins with 0 and has an entry for each cut; ties are told apart or not by
 * rounding on both sides. */
static int64_t distinct(const double *values, int64_t n, double *out)
{
    int64_t n_out = 0;
    for (int64_t i = 0; i < n; i++) {
        if (values[i] < 1e-9) continue;
        if (n_out == 0 || values[i] > out[n_out - 1] * (1 + 1e-6)) out[n_out++] = values[i];
    }
    return n_out;
}

static void alphas_of_the_path_are_those_of_scikit_learn(void **state)
{
    (void)state;
    qn_json *json = read_golden("prune");
    for (int64_t i = 0; i < qn_json_size(qn_json_root(json)); i++) {
        const qn_json_value of = qn_json_at(qn_json_root(json), i);
        const int64_t n_theirs = qn_json_size(qn_json_get(of, "ccp_alphas"));
        double theirs[200], ours[200], expected[200], found[200];
        int64_t n_leaves[200], n_ours;
        int32_t width;
        qn_error err = {0};
        qn_estimator *model = tree_of(of, &width);
        const qn_tree_span span = span_of(model);
        CHECK(span.n_nodes < 200 && n_theirs < 200);
        for (int64_t k = 0; k < n_theirs; k++) {
            theirs[k] = number_at(of, "ccp_alphas", k);
        }
        CHECK_OK(qn_tree_prune_path(&span, ours, n_leaves, &n_ours, &err));
        const int64_t n = distinct(theirs, n_theirs, expected);
        CHECK_INT(distinct(ours, n_ours, found), n);
        for (int64_t k = 0; k < n; k++) {
            CHECK_NEAR(found[k], expected[k], 1e-6 * expected[k]);
        }
        CHECK_INT(n_leaves[n_ours - 1], 1);
        qn_estimator_free(model);
    }
    qn_json_free(json);
}

static void check_pruned(qn_json_value of, qn_json_value pruned, const qn_estimator *model,
                         int32_t width)
{
    qn_estimator *small = NULL;
    qn_error err = {0};
    const double alpha = qn_json_as_double(qn_json_get(pruned, "alpha"), QN_NA);
    const qn_json_value rows = qn_json_get(of, "rows");
    CHECK_OK(qn_tree_model_prune(qn_tree_model_of(model), alpha, &small, &err));
    const qn_tree_model *trees = qn_tree_model_of(small);
    CHECK_INT(trees->n_nodes + 1, qn_json_as_int(qn_json_get(pruned, "n_leaves"), -1));
    CHECK_INT(trees->n_values, (trees->n_nodes + 1) * width);
    CHECK(qn_tree_model_is_good(trees));
    for (int64_t row = 0; row < qn_json_size(rows); row++) {
        double x[8], out[8];
        const qn_matrix one = {.n_rows = 1, .n_dense = 4, .stride = 1, .dense = x};
        for (int f = 0; f < 4; f++) {
            x[f] = qn_json_as_double(qn_json_at(qn_json_at(rows, row), f), QN_NA);
        }
        CHECK_OK(qn_estimator_predict(small, &one, NULL, out, &err));
        const qn_json_value expected = qn_json_at(qn_json_get(pruned, "predictions"), row);
        for (int32_t c = 0; c < width; c++) {
            CHECK_NEAR(out[c], qn_json_as_double(qn_json_at(expected, c), QN_NA), 1e-12);
        }
    }
    qn_estimator_free(small);
}

static void pruned_trees_are_those_of_scikit_learn(void **state)
{
    (void)state;
    qn_json *json = read_golden("prune");
    int n = 0;
    for (int64_t i = 0; i < qn_json_size(qn_json_root(json)); i++) {
        const qn_json_value of = qn_json_at(qn_json_root(json), i);
        const qn_json_value pruned = qn_json_get(of, "pruned");
        int32_t width;
        qn_estimator *model = tree_of(of, &width);
        for (int64_t k = 0; k < qn_json_size(pruned); k++, n++) {
            check_pruned(of, qn_json_at(pruned, k), model, width);
        }
        qn_estimator_free(model);
    }
    CHECK(n >= 20);
    qn_json_free(json);
}

/* The path says what pruning for an alpha on it leaves. */
static void the_path_and_pruning_agree(void **state)
{
    (void)state;
    qn_json *json = read_golden("prune");
    int32_t width;
    qn_error err = {0};
    double alphas[200];
    int64_t n_leaves[200], n;
    qn_estimator *model = tree_of(qn_json_at(qn_json_root(json), 0), &width);
    const qn_tree_span span = span_of(model);
    CHECK_OK(qn_tree_prune_path(&span, alphas, n_leaves, &n, &err));
    for (int64_t k = 0; k < n; k++) {
        const double beyond = k + 1 < n ? (alphas[k] + alphas[k + 1]) / 2 : alphas[k] * 2;
        qn_estimator *small = NULL;
        CHECK_OK(qn_tree_model_prune(qn_tree_model_of(model), beyond, &small, &err));
        CHECK_INT(qn_tree_model_of(small)->n_nodes + 1, n_leaves[k]);
        qn_estimator_free(small);
    }
    qn_estimator_free(model);
    qn_json_free(json);
}

static void trees_that_do_not_tell_enough_are_refused(void **state)
{
    (void)state;
    const double value = 1;
    for (int shared = 0; shared < 2; shared++) {
        qn_tree_builder builder = {0};
        qn_estimator *model = NULL, *out = NULL;
        qn_error err = {0};
        const int32_t leaf = ~(int32_t)qn_tree_builder_add_values(&builder, &value, 1);
        for (int i = 0; i < 40; i++) {
            const int32_t next = i < 39 ? i + 1 : leaf;
            const qn_tree_node node = {.left = next,
                                       .right = shared ? next : leaf,
                                       .left_cover = (float)shared,
                                       .gain = 1};
            (void)qn_tree_builder_add_node(&builder, &node);
        }
        qn_tree_builder_add_tree(&builder, 0);
        CHECK_OK(
            qn_tree_builder_finish(&builder, 1, QN_LINK_IDENTITY, false, &value, 1, &model, &err));
        CHECK_FAILS(QN_ERR_DATA, qn_tree_model_prune(qn_tree_model_of(model), 0.1, &out, &err));
        CHECK_CONTAINS(err.message, shared ? "share nodes" : "rows");
        CHECK(out == NULL);
        qn_estimator_free(model);
    }
}

static void pruning_survives_running_out_of_memory(void **state)
{
    (void)state;
    qn_json *json = read_golden("prune");
    int32_t width;
    qn_estimator *model = tree_of(qn_json_at(qn_json_root(json), 1), &width), *out = NULL;
    CHECK_SURVIVES_NO_MEMORY(qn_tree_model_prune(qn_tree_model_of(model), 0.004, &out, NULL));
    qn_estimator_free(out);
    qn_estimator_free(model);
    qn_json_free(json);
}

RUN_TESTS(TEST(alphas_of_the_path_are_those_of_scikit_learn),
          TEST(pruned_trees_are_those_of_scikit_learn), TEST(the_path_and_pruning_agree),
          TEST(trees_that_do_not_tell_enough_are_refused),
          TEST(pruning_survives_running_out_of_memory))
