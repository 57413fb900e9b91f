/* SPDX-License-Identifier: Apache-2.0 */
/* Importances of a model made by hand, so that what each column is worth is known. */
#include "explain/importance.h"

#include "model/tree_model.h"

#include "tables.h"

enum { N = 600 };

struct world {
    table table;
    qn_predictor *predictor;
    qn_binding *binding;
    qn_importance_request request;
};

/* y is 1 where `used` > 50; `noise` and `level` say nothing; the model is that one split. */
static void make_world(struct world *w)
{
    qn_str csv = {0};
    unsigned state = 3;
    qn_str_add(&csv, "noise,used,level,y\n");
    for (int i = 0; i < N; i++) {
        state = state * 1103515245 + 12345;
        const unsigned a = (state >> 16) % 101, b = (state >> 8) % 97;
        qn_str_addf(&csv, "%u.5,%u.25,%c,%s\n", b, a, "abc"[b % 3], a > 50 ? "yes" : "no");
    }
    *w = (struct world){.table = table_from_csv(csv.text, "y", "binary", NULL)};
    qn_str_release(&csv);
    qn_error err = {0};
    const qn_recipe_request recipe = {.frame = w->table.frame,
                                      .schema = w->table.schema,
                                      .n_rows = N,
                                      .target = w->table.target,
                                      .seed = 1,
                                      .skip_dense = true};
    w->predictor = qn_alloc_array(1, sizeof *w->predictor);
    *w->predictor = (qn_predictor){.schema = w->table.schema,
                                   .n_outputs = 1,
                                   .n_recipes = 1,
                                   .recipes = qn_alloc_array(1, sizeof(qn_recipe *)),
                                   .n_members = 1,
                                   .members = qn_alloc_array(1, sizeof(qn_member)),
                                   .temperature = 1,
                                   .threshold = 0.5};
    CHECK_OK(qn_recipe_fit(&recipe, &w->predictor->recipes[0], NULL, &err));
    qn_tree_builder builder = {0};
    const double leaves[2] = {0.1, 0.9};
    const int32_t left = ~(int32_t)qn_tree_builder_add_values(&builder, &leaves[0], 1);
    const int32_t right = ~(int32_t)qn_tree_builder_add_values(&builder, &leaves[1], 1);
    const qn_tree_node split = {.threshold = 50.5, .feature = 1, .left = left, .right = right};
    qn_tree_builder_add_tree(&builder, (int32_t)qn_tree_builder_add_node(&builder, &split));
    w->predictor->members[0] = (qn_member){.name = qn_strdup("hand"), .weight = 1};
    CHECK_OK(qn_tree_builder_finish(&builder, 1, QN_LINK_IDENTITY, false, (double[]){0}, 1,
                                    &w->predictor->members[0].estimator, &err));
    CHECK_OK(qn_binding_create(w->table.schema, w->table.frame, &w->binding, &err));
    w->request = (qn_importance_request){.predictor = w->predictor,
                                         .binding = w->binding,
                                         .n_rows = N,
                                         .target = w->table.target,
                                         .metric = qn_metric_find("accuracy"),
                                         .seed = 7};
}

static void release_world(struct world *w)
{
    qn_binding_free(w->binding);
    qn_predictor_free(w->predictor);
    table_release(&w->table);
}

static void only_the_column_the_model_looks_at_matters(void **state)
{
    (void)state;
    struct world w;
    double importance[3], error[3];
    qn_error err = {0};
    make_world(&w);
    w.request.n_repeats = 16;
    CHECK_OK(qn_permutation_importance(&w.request, importance, error, &err));
    CHECK(importance[0] == 0 && error[0] == 0);
    CHECK(importance[2] == 0 && error[2] == 0);
    /* A shuffled column is right as often as two rows agree: q² + (1-q)². */
    double q = 0;
    for (int i = 0; i < N; i++) {
        q += w.table.target[i] / N;
    }
    const double agreement = q * q + (1 - q) * (1 - q);
    CHECK(error[1] > 0 && error[1] < 0.02);
    CHECK_NEAR(importance[1], 1 - agreement, 5 * error[1]);
    release_world(&w);
}

static void a_metric_of_loss_gives_a_positive_importance_too(void **state)
{
    (void)state;
    struct world w;
    double importance[3], error[3];
    qn_error err = {0};
    make_world(&w);
    w.request.metric = qn_metric_find("log_loss");
    CHECK_OK(qn_permutation_importance(&w.request, importance, error, &err));
    CHECK(importance[1] > 0.5);
    CHECK(importance[0] == 0);
    release_world(&w);
}

static void weights_of_zero_leave_rows_out(void **state)
{
    (void)state;
    struct world w;
    double importance[3], error[3], weights[N];
    qn_error err = {0};
    make_world(&w);
    for (int i = 0; i < N; i++) { /* rows of one class alone: the rest cannot be told wrong */
        weights[i] = w.table.target[i] == 1;
    }
    w.request.weights = weights;
    w.request.n_repeats = 16;
    CHECK_OK(qn_permutation_importance(&w.request, importance, error, &err));
    double q = 0;
    for (int i = 0; i < N; i++) {
        q += w.table.target[i] / N;
    }
    CHECK_NEAR(importance[1], 1 - q, 5 * error[1]);
    release_world(&w);
}

static void rows_chosen_are_the_rows_measured(void **state)
{
    (void)state;
    struct world w;
    double importance[3], error[3], target[N];
    int32_t rows[N];
    int64_t n = 0;
    qn_error err = {0};
    make_world(&w);
    for (int i = N; i-- > 0;) { /* one class, backwards: shuffling among them changes nothing */
        if (w.table.target[i] != 1) continue;
        target[n] = 1;
        rows[n++] = i;
    }
    w.request.rows = rows;
    w.request.n_rows = n;
    w.request.target = target;
    CHECK_OK(qn_permutation_importance(&w.request, importance, error, &err));
    CHECK(importance[1] == 0);
    release_world(&w);
}

static void a_sample_threads_and_seeds(void **state)
{
    (void)state;
    struct world w;
    double one[3], two[3], other[3], error[3];
    qn_error err = {0};
    make_world(&w);
    w.request.n_rows_max = 200;
    CHECK_OK(qn_permutation_importance(&w.request, one, error, &err));
    qn_pool *pool = qn_pool_create(3);
    w.request.pool = pool;
    CHECK_OK(qn_permutation_importance(&w.request, two, error, &err));
    assert_memory_equal(one, two, sizeof one);
    w.request.seed = 8;
    CHECK_OK(qn_permutation_importance(&w.request, other, error, &err));
    CHECK(one[1] != other[1]);
    CHECK_NEAR(one[1], other[1], 0.2);
    qn_pool_free(pool);
    release_world(&w);
}

static void stopping_leaves_what_was_not_reached_missing(void **state)
{
    (void)state;
    struct world w;
    double importance[3], error[3];
    const volatile sig_atomic_t raised = 1;
    const qn_stop stop = {.interrupted = &raised};
    qn_error err = {0};
    make_world(&w);
    w.request.stop = &stop;
    CHECK_OK(qn_permutation_importance(&w.request, importance, error, &err));
    for (int f = 0; f < 3; f++) {
        CHECK(isnan(importance[f]) && isnan(error[f]));
    }
    release_world(&w);
}

static void measuring_survives_running_out_of_memory(void **state)
{
    (void)state;
    struct world w;
    double importance[3], error[3];
    make_world(&w);
    w.request.n_rows_max = 50;
    CHECK_SURVIVES_NO_MEMORY(qn_permutation_importance(&w.request, importance, error, NULL));
    release_world(&w);
}

RUN_TESTS(TEST(only_the_column_the_model_looks_at_matters),
          TEST(a_metric_of_loss_gives_a_positive_importance_too),
          TEST(weights_of_zero_leave_rows_out), TEST(rows_chosen_are_the_rows_measured),
          TEST(a_sample_threads_and_seeds), TEST(stopping_leaves_what_was_not_reached_missing),
          TEST(measuring_survives_running_out_of_memory))
