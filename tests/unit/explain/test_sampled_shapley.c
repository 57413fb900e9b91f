/* SPDX-License-Identifier: Apache-2.0 */
/* Sampled Shapley values. An order and its reverse together are exact where no more than two
 * columns act together, so trees of depth two have the values of the definition. */
#include "explain/sampled_shapley.h"

#include "base/rng.h"
#include "model/tree_model.h"

#include "check.h"

#include <stdlib.h>

enum { N_INPUTS = 5, N_SUBSETS = 1 << N_INPUTS, N_TREES = 30, N_ROWS = 40 };

struct world {
    qn_schema schema;
    qn_schema_column columns[N_INPUTS + 1];
    qn_frame *frame;
    qn_recipe *recipe;
    qn_estimator *model;
    qn_column_orders orders;
};

/* Numbers that the recipe passes through as they are. */
static void make_recipe(struct world *w)
{
    static char *names[] = {"a", "b", "c", "d", "e", "y"};
    const double target = 0;
    qn_error err = {0};
    w->frame = qn_frame_create(1, N_INPUTS);
    for (int i = 0; i <= N_INPUTS; i++) {
        w->columns[i] = (qn_schema_column){.name = names[i],
                                           .type = QN_TYPE_FLOAT64,
                                           .kind = QN_KIND_NUMERIC,
                                           .role = i < N_INPUTS ? QN_ROLE_FEATURE : QN_ROLE_TARGET};
        if (i == N_INPUTS) continue;
        w->frame->columns[i].type = QN_TYPE_FLOAT64;
        w->frame->columns[i].name = qn_strdup(names[i]);
        w->frame->columns[i].data.doubles = qn_alloc_array(1, sizeof(double));
    }
    w->schema = (qn_schema){.task = QN_TASK_REGRESSION,
                            .n_cols = N_INPUTS + 1,
                            .columns = w->columns,
                            .target = N_INPUTS};
    const qn_recipe_request request = {
        .frame = w->frame, .schema = &w->schema, .target = &target, .skip_dense = true};
    CHECK_OK(qn_recipe_fit(&request, &w->recipe, NULL, &err));
}

static int32_t grow(qn_tree_builder *builder, qn_rng *rng, int depth)
{
    if (depth == 0) {
        const double value = (double)qn_rng_below(rng, 1000) / 100 - 5;
        return ~(int32_t)qn_tree_builder_add_values(builder, &value, 1);
    }
    const qn_tree_node node = {.feature = (int32_t)qn_rng_below(rng, N_INPUTS),
                               .threshold = (double)qn_rng_below(rng, 10),
                               .flags = (int32_t)qn_rng_below(rng, 2) * QN_NODE_DEFAULT_LEFT};
    const int64_t at = qn_tree_builder_add_node(builder, &node);
    const int32_t left = grow(builder, rng, depth - 1), right = grow(builder, rng, depth - 1);
    builder->nodes[at].left = left;
    builder->nodes[at].right = right;
    return (int32_t)at;
}

static void make_world(struct world *w, int depth, int32_t n_outputs)
{
    qn_tree_builder builder = {0};
    qn_error err = {0};
    qn_rng rng;
    *w = (struct world){0};
    make_recipe(w);
    qn_rng_init(&rng, 7, 0);
    for (int t = 0; t < N_TREES; t++) {
        /* Below a root two features at most: both children test the same one. */
        const int32_t root = grow(&builder, &rng, depth);
        if (depth == 2) {
            const qn_tree_node *at = &builder.nodes[root];
            builder.nodes[at->right].feature = builder.nodes[at->left].feature;
        }
        qn_tree_builder_add_tree(&builder, root);
    }
    CHECK_OK(qn_tree_builder_finish(&builder, N_TREES, QN_LINK_IDENTITY, false, (double[2]){1, 2},
                                    n_outputs, &w->model, &err));
    CHECK_OK(qn_column_orders_init(N_INPUTS, &w->orders, &err));
}

static void release_world(struct world *w)
{
    qn_column_orders_release(&w->orders);
    qn_estimator_free(w->model);
    qn_recipe_free(w->recipe);
    qn_frame_free(w->frame);
}

/* The score of output c when only a subset of the columns is there. */
static double score(const struct world *w, const double *x, unsigned subset, int32_t c)
{
    double known[N_INPUTS], out[2];
    qn_error err = {0};
    const qn_matrix row = {.n_rows = 1, .n_dense = N_INPUTS, .stride = 1, .dense = known};
    for (int i = 0; i < N_INPUTS; i++) {
        known[i] = subset >> i & 1 ? x[i] : QN_NA;
    }
    CHECK_OK(qn_estimator_predict(w->model, &row, NULL, out, &err));
    return out[c];
}

static double factorial(int n)
{
    return n < 2 ? 1 : n * factorial(n - 1);
}

static double shapley(const struct world *w, const double *x, int i, int32_t c)
{
    double value = 0;
    for (unsigned s = 0; s < N_SUBSETS; s++) {
        const int n = __builtin_popcount(s);
        if (s >> i & 1) continue;
        value += factorial(n) * factorial(N_INPUTS - 1 - n) / factorial(N_INPUTS) *
                 (score(w, x, s | 1u << i, c) - score(w, x, s, c));
    }
    return value;
}

static void explain(const struct world *w, const double *x, double *expected, double *values)
{
    const qn_sampled sampled = {w->recipe, w->model, &w->orders};
    qn_cell cells[N_INPUTS * 3] = {0};
    double scores[2];
    void *scratch = qn_alloc_aligned((int64_t)qn_sampled_scratch_bytes(&sampled), 1);
    CHECK(scratch != NULL);
    for (int i = 0; i < N_INPUTS; i++) {
        cells[3 * i].number = x[i];
    }
    for (int32_t c = 0; c < w->model->n_outputs; c++) {
        scores[c] = score(w, x, N_SUBSETS - 1, c);
    }
    qn_sampled_expected(&sampled, expected, scratch);
    qn_sampled_row(&sampled, cells, 3, expected, scores, values, scratch);
    qn_free(scratch);
}

static void check(int depth, int32_t n_outputs, double tolerance)
{
    struct world w;
    qn_rng rng;
    make_world(&w, depth, n_outputs);
    qn_rng_init(&rng, 8, 0);
    for (int row = 0; row < N_ROWS; row++) {
        double x[N_INPUTS], expected[2], values[2 * N_INPUTS];
        for (int i = 0; i < N_INPUTS; i++) {
            x[i] = qn_rng_below(&rng, 8) ? (double)qn_rng_below(&rng, 11) : QN_NA;
        }
        explain(&w, x, expected, values);
        for (int32_t c = 0; c < n_outputs; c++) {
            double sum = expected[c];
            CHECK_NEAR(expected[c], score(&w, x, 0, c), 0);
            for (int i = 0; i < N_INPUTS; i++) {
                CHECK_NEAR(values[c * N_INPUTS + i], shapley(&w, x, i, c), tolerance);
                sum += values[c * N_INPUTS + i];
            }
            CHECK_NEAR(sum, score(&w, x, N_SUBSETS - 1, c), 1e-12);
        }
    }
    release_world(&w);
}

static void where_two_columns_act_together_values_are_exact(void **state)
{
    (void)state;
    check(1, 1, 1e-12);
    check(2, 1, 1e-12);
    check(2, 2, 1e-12);
}

/* With five columns at once the orders are a sample: near, and the sum still exact. */
static void where_more_do_values_are_near(void **state)
{
    (void)state;
    check(4, 1, 4);
}

static void orders_are_each_others_reverse_and_complete(void **state)
{
    (void)state;
    qn_column_orders orders;
    qn_error err = {0};
    CHECK_OK(qn_column_orders_init(9, &orders, &err));
    for (int64_t o = 0; o < orders.n_orders; o++) {
        for (int i = 0; i < 9; i++) {
            const int32_t column = orders.columns[o * 9 + i];
            CHECK(column >= 0 && column < 9);
            CHECK_INT(orders.places[o * 9 + column], i);
            if (o % 2 == 1) CHECK_INT(column, orders.columns[(o - 1) * 9 + 8 - i]);
        }
    }
    qn_column_orders_release(&orders);
}

RUN_TESTS(TEST(where_two_columns_act_together_values_are_exact),
          TEST(where_more_do_values_are_near), TEST(orders_are_each_others_reverse_and_complete))
