/* SPDX-License-Identifier: Apache-2.0 */
/* SHAP values against their definition, summed over all subsets of features, and against LightGBM
 * and XGBoost on the models of tests/golden/trees. */
#include "explain/tree_shap_internal.h"

#include "base/file.h"
#include "base/rng.h"
#include "model/import_model.h"

#include "check.h"

#include <dirent.h>
#include <stdlib.h>

enum { N_FEATURES = 5, N_SUBSETS = 1 << N_FEATURES, N_ROWS = 21, N_TREES = 12 };

/* Random trees that test features again and again, of every kind of test. */

static int32_t grow(qn_tree_builder *builder, qn_rng *rng, int depth, int32_t width)
{
    if (depth == 0 || qn_rng_below(rng, 8) == 0) {
        double values[3];
        for (int c = 0; c < 3; c++) {
            values[c] = (double)qn_rng_below(rng, 1000) / 100 - 5;
        }
        return ~(int32_t)qn_tree_builder_add_values(builder, values, width);
    }
    qn_tree_node node = {.feature = (int32_t)qn_rng_below(rng, N_FEATURES)};
    node.threshold = (double)qn_rng_below(rng, 12) / 2;
    node.flags = (int32_t)qn_rng_below(rng, 2) * QN_NODE_DEFAULT_LEFT;
    if (node.feature == 3) node.flags |= QN_NODE_ZERO_MISSING;
    if (node.feature == 4) {
        const uint64_t set[QN_SET_WORDS] = {(uint64_t)qn_rng_below(rng, 64)};
        node.threshold = (double)qn_tree_builder_add_set(builder, set);
        node.flags |= QN_NODE_CATEGORY;
    }
    /* Some sides have no rows, some nodes none at all. */
    node.left_cover = (float)qn_rng_below(rng, 5) * (float)(1 + qn_rng_below(rng, 9));
    node.right_cover = (float)qn_rng_below(rng, 5);
    const int64_t at = qn_tree_builder_add_node(builder, &node);
    const int32_t left = grow(builder, rng, depth - 1, width),
                  right = grow(builder, rng, depth - 1, width);
    builder->nodes[at].left = left;
    builder->nodes[at].right = right;
    return (int32_t)at;
}

static qn_estimator *random_model(uint64_t seed, bool vector_leaves, int32_t n_outputs,
                                  bool averaged)
{
    qn_tree_builder builder = {0};
    qn_estimator *model = NULL;
    qn_error err = {0};
    qn_rng rng;
    const double init[3] = {0.5, -1, 2};
    qn_rng_init(&rng, seed, 0);
    for (int t = 0; t < N_TREES; t++) {
        const int32_t root = grow(&builder, &rng, t % 7, vector_leaves ? n_outputs : 1);
        qn_tree_builder_add_tree(&builder, root);
    }
    builder.averaged = averaged;
    CHECK_OK(qn_tree_builder_finish(&builder, N_TREES, QN_LINK_IDENTITY, vector_leaves, init,
                                    n_outputs, &model, &err));
    return model;
}

static qn_matrix random_rows(uint64_t seed, int64_t n_rows, double *dense)
{
    qn_rng rng;
    qn_rng_init(&rng, seed, 1);
    for (int64_t i = 0; i < n_rows * N_FEATURES; i++) {
        dense[i] = qn_rng_below(&rng, 6) ? (double)qn_rng_below(&rng, 13) / 2 : QN_NA;
    }
    return (qn_matrix){.n_rows = n_rows, .n_dense = N_FEATURES, .stride = n_rows, .dense = dense};
}

/* What a tree gives when only the features of a subset are known. */
static double known(const qn_tree_model *model, int32_t at, unsigned subset, const qn_matrix *rows,
                    int64_t row, int32_t c)
{
    if (at < 0) return qn_tree_model_leaf_value(model, ~at, c, rows, row);
    const qn_tree_node *node = &model->nodes[at];
    const double left = known(model, node->left, subset, rows, row, c),
                 right = known(model, node->right, subset, rows, row, c);
    if (subset >> node->feature & 1) {
        const double value = rows->dense[node->feature * rows->stride + row];
        return qn_tree_model_goes_left(model, node, value) ? left : right;
    }
    const double sum = (double)node->left_cover + (double)node->right_cover;
    const double share = sum > 0 ? (double)node->left_cover / sum : 0.5;
    return share * left + (1 - share) * right;
}

static void known_sums(const qn_tree_model *model, const qn_matrix *rows, int64_t row, int32_t c,
                       double *sums)
{
    const int32_t k = model->head.n_outputs, per = model->vector_leaves ? 1 : k;
    for (unsigned subset = 0; subset < N_SUBSETS; subset++) {
        double sum = model->init[c];
        for (int32_t t = model->vector_leaves ? 0 : c; t < model->n_trees; t += per) {
            sum += known(model, model->roots[t], subset, rows, row, c);
        }
        sums[subset] = model->averaged ? sum / (double)(model->n_trees / per) : sum;
    }
}

static double factorial(int n)
{
    return n < 2 ? 1 : n * factorial(n - 1);
}

static int size_of(unsigned subset)
{
    return __builtin_popcount(subset);
}

static double shapley(const double *sums, int i)
{
    double value = 0;
    for (unsigned s = 0; s < N_SUBSETS; s++) {
        if (s >> i & 1) continue;
        value += factorial(size_of(s)) * factorial(N_FEATURES - 1 - size_of(s)) /
                 factorial(N_FEATURES) * (sums[s | 1u << i] - sums[s]);
    }
    return value;
}

static double interaction(const double *sums, int i, int j)
{
    double value = 0;
    for (unsigned s = 0; s < N_SUBSETS; s++) {
        if ((s >> i & 1) || (s >> j & 1)) continue;
        const unsigned a = 1u << i, b = 1u << j;
        value += factorial(size_of(s)) * factorial(N_FEATURES - 2 - size_of(s)) /
                 (2 * factorial(N_FEATURES - 1)) *
                 (sums[s | a | b] - sums[s | a] - sums[s | b] + sums[s]);
    }
    return value;
}

static void check_definition(const qn_estimator *estimator)
{
    const qn_tree_model *model = qn_tree_model_of(estimator);
    const int32_t k = estimator->n_outputs;
    const int64_t n = model->n_features;
    double dense[N_FEATURES * N_ROWS], sums[N_SUBSETS];
    double values[N_ROWS * 3 * N_FEATURES], pairs[N_ROWS * 3 * N_FEATURES * N_FEATURES];
    const qn_matrix rows = random_rows(9, N_ROWS, dense);
    qn_tree_shap *shap = NULL;
    qn_error err = {0};
    CHECK_OK(qn_tree_shap_create(model, &shap, &err));
    CHECK_OK(qn_tree_shap_values(shap, &rows, NULL, values, &err));
    CHECK_OK(qn_tree_shap_interactions(shap, &rows, NULL, pairs, &err));
    for (int64_t row = 0; row < N_ROWS; row++) {
        for (int32_t c = 0; c < k; c++) {
            const double *own = values + (row * k + c) * n;
            known_sums(model, &rows, row, c, sums);
            CHECK_NEAR(qn_tree_shap_expected(shap)[c], sums[0], 1e-12);
            for (int i = 0; i < n; i++) {
                const double *line = pairs + ((row * k + c) * n + i) * n;
                double sum = 0;
                CHECK_NEAR(own[i], shapley(sums, i), 1e-12);
                for (int j = 0; j < n; j++) {
                    if (j != i) CHECK_NEAR(line[j], interaction(sums, i, j), 1e-12);
                    sum += line[j];
                }
                CHECK_NEAR(sum, own[i], 1e-12);
            }
        }
    }
    qn_tree_shap_free(shap);
}

static void values_and_interactions_are_those_of_the_definition(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 6; seed++) {
        for (int form = 0; form < 4; form++) {
            qn_estimator *model = random_model(seed, form & 1, form & 1 ? 3 : 1 + form, form & 2);
            check_definition(model);
            qn_estimator_free(model);
        }
    }
}

static void a_row_has_the_same_bits_in_every_block_and_on_any_number_of_threads(void **state)
{
    (void)state;
    enum { MANY = 2 * QN_SHAP_ROWS + 77 };
    static double dense[N_FEATURES * MANY], all[N_FEATURES * MANY], again[N_FEATURES * MANY];
    qn_estimator *estimator = random_model(3, false, 1, false);
    const qn_tree_model *model = qn_tree_model_of(estimator);
    const qn_matrix rows = random_rows(4, MANY, dense);
    const size_t row_bytes = (size_t)model->n_features * sizeof *all;
    qn_tree_shap *shap = NULL;
    qn_error err = {0};
    CHECK_OK(qn_tree_shap_create(model, &shap, &err));
    CHECK_OK(qn_tree_shap_values(shap, &rows, NULL, all, &err));
    for (int threads = 2; threads <= 3; threads++) {
        qn_pool *pool = qn_pool_create(threads);
        CHECK_OK(qn_tree_shap_values(shap, &rows, pool, again, &err));
        assert_memory_equal(again, all, MANY * row_bytes);
        qn_pool_free(pool);
    }
    void *scratch = qn_alloc_aligned((int64_t)qn_tree_shap_scratch_bytes(shap), 1);
    for (int64_t first = 0; first < MANY; first += 5) {
        qn_matrix part = rows;
        part.dense = dense + first;
        part.n_rows = first + 5 < MANY ? 5 : MANY - first;
        qn_tree_shap_rows(shap, &part, again, scratch);
        assert_memory_equal(again, all + first * model->n_features,
                            (size_t)part.n_rows * row_bytes);
    }
    qn_free(scratch);
    qn_tree_shap_free(shap);
    qn_estimator_free(estimator);
}

static void both_kinds_of_vectors_give_the_same_bits(void **state)
{
    (void)state;
    double dense[N_FEATURES * N_ROWS], values[2][N_FEATURES * N_ROWS];
    double pairs[2][N_FEATURES * N_FEATURES * N_ROWS];
    qn_estimator *model = random_model(8, false, 1, false);
    const qn_matrix rows = random_rows(6, N_ROWS, dense);
    memset(values, 0, sizeof values);
    memset(pairs, 0, sizeof pairs);
    for (int portable = 0; portable < 2; portable++) {
        qn_tree_shap *shap = NULL;
        qn_error err = {0};
        CHECK_OK(qn_tree_shap_create(qn_tree_model_of(model), &shap, &err));
        shap->portable |= portable;
        CHECK_OK(qn_tree_shap_values(shap, &rows, NULL, values[portable], &err));
        CHECK_OK(qn_tree_shap_interactions(shap, &rows, NULL, pairs[portable], &err));
        qn_tree_shap_free(shap);
    }
    assert_memory_equal(values[0], values[1], sizeof values[0]);
    assert_memory_equal(pairs[0], pairs[1], sizeof pairs[0]);
    qn_estimator_free(model);
}

/* A chain of nodes that each test another feature: the most points there are. */
static void long_paths_still_add_up(void **state)
{
    (void)state;
    enum { LENGTH = 700 };
    qn_tree_builder builder = {0};
    qn_estimator *estimator = NULL;
    qn_error err = {0};
    double one = 1, zero = 0;
    const int32_t end = ~(int32_t)qn_tree_builder_add_values(&builder, &one, 1);
    const int32_t out = ~(int32_t)qn_tree_builder_add_values(&builder, &zero, 1);
    for (int i = 0; i < LENGTH; i++) {
        const qn_tree_node node = {0.5, i, 0, i + 1 < LENGTH ? i + 1 : end, out, 1, 1, 0, 0};
        (void)qn_tree_builder_add_node(&builder, &node);
    }
    qn_tree_builder_add_tree(&builder, 0);
    CHECK_OK(
        qn_tree_builder_finish(&builder, 1, QN_LINK_IDENTITY, false, &zero, 1, &estimator, &err));
    static double x[LENGTH], values[LENGTH];
    const qn_matrix row = {.n_rows = 1, .n_dense = LENGTH, .stride = 1, .dense = x};
    qn_tree_shap *shap = NULL;
    CHECK_OK(qn_tree_shap_create(qn_tree_model_of(estimator), &shap, &err));
    CHECK_OK(qn_tree_shap_values(shap, &row, NULL, values, &err));
    for (int i = 0; i < LENGTH; i++) { /* the row passes all of them: each has the same part */
        CHECK_NEAR(values[i], 1.0 / LENGTH, 1e-12);
    }
    qn_tree_shap_free(shap);
    qn_estimator_free(estimator);
}

static void trees_that_share_nodes_are_refused(void **state)
{
    (void)state;
    qn_tree_builder builder = {0};
    qn_estimator *estimator = NULL;
    qn_tree_shap *shap = NULL;
    qn_error err = {0};
    const double zero = 0;
    const int32_t leaf = ~(int32_t)qn_tree_builder_add_values(&builder, &zero, 1);
    for (int i = 0; i < 60; i++) { /* 2^60 ways down */
        const int32_t next = i < 59 ? i + 1 : leaf;
        const qn_tree_node node = {0.5, 0, 0, next, next, 1, 1, 0, 0};
        (void)qn_tree_builder_add_node(&builder, &node);
    }
    qn_tree_builder_add_tree(&builder, 0);
    CHECK_OK(
        qn_tree_builder_finish(&builder, 1, QN_LINK_IDENTITY, false, &zero, 1, &estimator, &err));
    CHECK_FAILS(QN_ERR_DATA, qn_tree_shap_create(qn_tree_model_of(estimator), &shap, &err));
    CHECK(shap == NULL);
    qn_estimator_free(estimator);
}

/* Golden files. */

static double *read_numbers(const char *folder, const char *name, const char *ending, int *n_rows,
                            int *n_outputs, int *width)
{
    char path[1024];
    snprintf(path, sizeof path, "%s/tests/golden/%s/%s%s", getenv("QUERN_SOURCE"), folder, name,
             ending);
    FILE *file = fopen(path, "r");
    if (!file) return NULL;
    CHECK(fscanf(file, "%d %d %d", n_rows, n_outputs, width) == 3);
    if (strcmp(ending, ".expected") == 0) { /* features, outputs, rows; then x and predictions */
        const int n_features = *n_rows;
        *n_rows = *width;
        *width = n_features + *n_outputs;
    } else {
        *width *= *n_outputs;
    }
    double *numbers = calloc((size_t)(*n_rows * *width), sizeof *numbers);
    for (int i = 0; i < *n_rows * *width; i++) {
        CHECK(fscanf(file, "%lf", &numbers[i]) == 1);
    }
    fclose(file);
    return numbers;
}

struct golden {
    qn_file_map map;
    qn_imported imported;
    qn_tree_shap *shap;
    double *x; /* column after column, of all rows */
    int n_rows;
};

static void open_golden(const char *name, struct golden *g)
{
    char path[1024];
    qn_error err = {0};
    int n_outputs, width;
    snprintf(path, sizeof path, "%s/tests/golden/trees/%s", getenv("QUERN_SOURCE"), name);
    CHECK_OK(qn_file_map_open(path, &g->map, &err));
    CHECK_OK(qn_import_model((const char *)g->map.data, g->map.bytes, path, &g->imported, &err));
    CHECK_OK(qn_tree_shap_create(qn_tree_model_of(g->imported.estimator), &g->shap, &err));
    double *rows = read_numbers("trees", name, ".expected", &g->n_rows, &n_outputs, &width);
    const int n_features = width - n_outputs;
    g->x = calloc((size_t)(n_features * g->n_rows), sizeof *g->x);
    for (int row = 0; row < g->n_rows; row++) {
        for (int f = 0; f < n_features; f++) {
            g->x[f * g->n_rows + row] = rows[row * width + f];
        }
    }
    free(rows);
}

static void close_golden(struct golden *g)
{
    qn_tree_shap_free(g->shap);
    qn_imported_release(&g->imported);
    qn_file_unmap(&g->map);
    free(g->x);
}

/* The libraries' values for a feature that no tree tests are 0, and ours are not there. */
static void check_values(const char *name)
{
    struct golden g = {0};
    int n_rows, k, width;
    qn_error err = {0};
    double *expected = read_numbers("explain", name, ".values", &n_rows, &k, &width);
    CHECK(expected != NULL);
    open_golden(name, &g);
    const qn_tree_model *model = qn_tree_model_of(g.imported.estimator);
    const int64_t n = model->n_features, n_all = width / k;
    double *values = calloc((size_t)(n_rows * k * (n + 1)), sizeof *values);
    const qn_matrix rows = {.n_rows = n_rows, .n_dense = n, .stride = g.n_rows, .dense = g.x};
    CHECK_OK(qn_tree_shap_values(g.shap, &rows, NULL, values, &err));
    for (int row = 0; row < n_rows; row++) {
        for (int c = 0; c < k; c++) {
            const double *line = expected + (row * k + c) * n_all;
            const double scale = fmax(1, fabs(line[n_all - 1]));
            for (int64_t f = 0; f + 1 < n_all; f++) {
                CHECK_NEAR(f < n ? values[(row * k + c) * n + f] : 0, line[f], 1e-6);
            }
            CHECK_NEAR(qn_tree_shap_expected(g.shap)[c], line[n_all - 1], 1e-6 * scale);
        }
    }
    free(values);
    free(expected);
    close_golden(&g);
}

static void check_interactions(const char *name)
{
    struct golden g = {0};
    int n_rows, k, width;
    qn_error err = {0};
    double *expected = read_numbers("explain", name, ".interactions", &n_rows, &k, &width);
    if (!expected) return;
    open_golden(name, &g);
    const int64_t n = qn_tree_model_of(g.imported.estimator)->n_features;
    const int64_t n_all = (int64_t)(sqrt((double)(width / k)) + 0.5);
    double *values = calloc((size_t)(n_rows * k * (n * n + 1)), sizeof *values);
    const qn_matrix rows = {.n_rows = n_rows, .n_dense = n, .stride = g.n_rows, .dense = g.x};
    CHECK_OK(qn_tree_shap_interactions(g.shap, &rows, NULL, values, &err));
    for (int line = 0; line < n_rows * k; line++) {
        for (int64_t i = 0; i < n; i++) {
            for (int64_t j = 0; j < n; j++) {
                CHECK_NEAR(values[(line * n + i) * n + j],
                           expected[line * n_all * n_all + i * n_all + j], 2e-6);
            }
        }
    }
    free(values);
    free(expected);
    close_golden(&g);
}

static void values_equal_those_of_lightgbm_and_xgboost(void **state)
{
    (void)state;
    char folder[512];
    int n = 0;
    snprintf(folder, sizeof folder, "%s/tests/golden/explain", getenv("QUERN_SOURCE"));
    DIR *names = opendir(folder);
    CHECK(names != NULL);
    for (const struct dirent *entry; (entry = readdir(names));) {
        char name[256];
        const char *end = strstr(entry->d_name, ".values");
        if (!end) continue;
        snprintf(name, sizeof name, "%.*s", (int)(end - entry->d_name), entry->d_name);
        check_values(name);
        check_interactions(name);
        n++;
    }
    closedir(names);
    CHECK(n >= 19);
}

static void linear_leaves_are_refused(void **state)
{
    (void)state;
    qn_tree_builder builder = {0};
    qn_estimator *estimator = NULL;
    qn_tree_shap *shap = NULL;
    qn_error err = {0};
    const double zero = 0, slope = 2;
    const int32_t feature = 0;
    qn_tree_builder_add_tree(&builder, ~(int32_t)qn_tree_builder_add_values(&builder, &zero, 1));
    qn_tree_builder_add_line(&builder, 1, &feature, &slope, 1);
    CHECK_OK(
        qn_tree_builder_finish(&builder, 1, QN_LINK_IDENTITY, false, &zero, 1, &estimator, &err));
    CHECK_FAILS(QN_ERR_UNSUPPORTED, qn_tree_shap_create(qn_tree_model_of(estimator), &shap, &err));
    CHECK_CONTAINS(err.message, "linear leaves");
    qn_estimator_free(estimator);
}

static qn_status explain_all(const qn_tree_model *model, const qn_matrix *rows, double *values,
                             double *pairs)
{
    qn_tree_shap *shap = NULL;
    qn_status status = qn_tree_shap_create(model, &shap, NULL);
    if (status == QN_OK) status = qn_tree_shap_values(shap, rows, NULL, values, NULL);
    if (status == QN_OK) status = qn_tree_shap_interactions(shap, rows, NULL, pairs, NULL);
    qn_tree_shap_free(shap);
    return status;
}

static void explaining_survives_running_out_of_memory(void **state)
{
    (void)state;
    double dense[N_FEATURES * 3], values[N_FEATURES * 3], pairs[N_FEATURES * N_FEATURES * 3];
    const qn_matrix rows = random_rows(2, 3, dense);
    qn_estimator *model = random_model(5, false, 1, true);
    CHECK_SURVIVES_NO_MEMORY(explain_all(qn_tree_model_of(model), &rows, values, pairs));
    qn_estimator_free(model);
}

RUN_TESTS(TEST(values_and_interactions_are_those_of_the_definition),
          TEST(a_row_has_the_same_bits_in_every_block_and_on_any_number_of_threads),
          TEST(both_kinds_of_vectors_give_the_same_bits), TEST(long_paths_still_add_up),
          TEST(trees_that_share_nodes_are_refused),
          TEST(values_equal_those_of_lightgbm_and_xgboost), TEST(linear_leaves_are_refused),
          TEST(explaining_survives_running_out_of_memory))
