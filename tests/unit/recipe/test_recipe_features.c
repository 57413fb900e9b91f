/* SPDX-License-Identifier: Apache-2.0 */
/* Which features a recipe has: what it leaves out, and what it adds for categories. */
#include "recipe/recipe.h"

#include "base/bytes.h"
#include "base/str.h"
#include "tables.h"

struct fitted {
    table t;
    qn_recipe *recipe;
    qn_matrix views[QN_N_VIEWS];
};

static struct fitted fit_csv(const char *csv, const char *task, const char *const *kinds)
{
    qn_error err = {0};
    struct fitted f = {.t = table_from_csv(csv, "y", task, kinds)};
    const qn_recipe_request request = {
        .frame = f.t.frame, .schema = f.t.schema, .target = f.t.target, .seed = 1};
    CHECK_OK(qn_recipe_fit(&request, &f.recipe, f.views, &err));
    return f;
}

static void release(struct fitted *f)
{
    for (int view = 0; view < QN_N_VIEWS; view++) {
        qn_matrix_release(&f->views[view]);
    }
    qn_recipe_free(f->recipe);
    table_release(&f->t);
}

static int64_t find(const struct fitted *f, qn_view view, const char *name)
{
    int64_t n, n_dense;
    const qn_feature *features = qn_recipe_features(f->recipe, view, &n, &n_dense);
    for (int64_t i = 0; i < n_dense; i++) {
        if (strcmp(features[i].name, name) == 0) return i;
    }
    return -1;
}

static qn_matrix apply_to_all(const qn_recipe *recipe, const table *t, qn_view view)
{
    qn_error err = {0};
    qn_binding *binding = NULL;
    qn_matrix m = {0};
    CHECK_OK(qn_binding_create(t->schema, t->frame, &binding, &err));
    CHECK_OK(qn_recipe_transform(recipe, view, binding, NULL, t->n_rows, NULL, &m, &err));
    qn_binding_free(binding);
    return m;
}

/* Two columns missing together, dates of one month, and a number twice. */
static char *table_of_repetitions(void)
{
    qn_str csv = {0};
    qn_str_add(&csv, "a,b,c,again,when,y\n");
    for (int i = 0; i < 60; i++) {
        if (i % 7 == 2) {
            qn_str_addf(&csv, ",,%d,%d,2020-03-%02d,%d\n", i * i, i * i, 1 + i % 28, i % 2);
        } else {
            qn_str_addf(&csv, "%d,%d.5,%d,%d,2020-03-%02d,%d\n", i % 13, i % 17, i * i, i * i,
                        1 + i % 28, i % 2);
        }
    }
    return qn_str_take_text(&csv);
}

static void repeated_features_are_left_out_of_both_views(void **state)
{
    (void)state;
    char *csv = table_of_repetitions();
    struct fitted f = fit_csv(csv, NULL, NULL);
    CHECK(find(&f, QN_VIEW_TREE, "c") >= 0);
    CHECK_INT(find(&f, QN_VIEW_TREE, "again"), -1);
    CHECK(find(&f, QN_VIEW_TREE, "when.days") >= 0);
    CHECK(find(&f, QN_VIEW_TREE, "when.day") >= 0); /* counts from 1: other numbers */
    CHECK(find(&f, QN_VIEW_DENSE, "a is missing") >= 0);
    CHECK_INT(find(&f, QN_VIEW_DENSE, "b is missing"), -1);
    CHECK_INT(find(&f, QN_VIEW_DENSE, "again"), -1);
    qn_free(csv);
    release(&f);
}

static void what_does_not_vary_is_left_out(void **state)
{
    (void)state;
    qn_str csv = {0};
    qn_str_add(&csv, "x,colour,y\n");
    for (int i = 0; i < 40; i++) {
        qn_str_addf(&csv, "%d,%s,%d\n", i % 9, i % 3 ? "red" : "blue", i % 2);
    }
    struct fitted f = fit_csv(csv.text, NULL, NULL);
    CHECK(find(&f, QN_VIEW_DENSE, "colour=red") >= 0);
    CHECK_INT(find(&f, QN_VIEW_DENSE, "colour~rare"), -1);       /* there is none */
    CHECK_INT(find(&f, QN_VIEW_DENSE, "colour is missing"), -1); /* likewise */
    qn_str_release(&csv);
    release(&f);
}

/* Applying, and a recipe that was written and read, leave out the same. */
static void matrices_and_copies_have_the_features_kept(void **state)
{
    (void)state;
    qn_error err = {0};
    char *csv = table_of_repetitions();
    struct fitted f = fit_csv(csv, NULL, NULL);
    qn_writer writer = {0};
    qn_recipe_write(f.recipe, &writer);
    CHECK(!writer.failed);
    qn_reader reader = {.data = writer.data, .bytes = writer.bytes};
    qn_recipe *copy = NULL;
    CHECK_OK(qn_recipe_read(&reader, f.t.schema, &copy, &err));
    for (int view = 0; view < QN_N_VIEWS; view++) {
        int64_t n, n_dense;
        qn_recipe_features(f.recipe, (qn_view)view, &n, &n_dense);
        qn_matrix a = apply_to_all(f.recipe, &f.t, (qn_view)view);
        qn_matrix b = apply_to_all(copy, &f.t, (qn_view)view);
        CHECK_INT(a.n_dense, n_dense);
        CHECK_INT(b.n_dense, n_dense);
        CHECK_INT(f.views[view].n_dense, n_dense);
        for (int64_t c = 0; c < n_dense; c++) {
            const size_t bytes = (size_t)f.t.n_rows * sizeof(double);
            const double *column = a.dense + c * a.stride;
            CHECK(memcmp(column, b.dense + c * b.stride, bytes) == 0);
            /* No column of this table is encoded by the target. */
            const qn_matrix *training = &f.views[view];
            CHECK(memcmp(column, training->dense + c * training->stride, bytes) == 0);
        }
        qn_matrix_release(&a);
        qn_matrix_release(&b);
    }
    qn_recipe_free(copy);
    qn_writer_release(&writer);
    qn_free(csv);
    release(&f);
}

/* 2,000 rows of `n_levels` categories, and as many classes as asked for. */
static char *table_of_categories(int n_levels, int n_classes)
{
    qn_str csv = {0};
    qn_str_add(&csv, "city,x,y\n");
    for (int i = 0; i < 2000; i++) {
        qn_str_addf(&csv, "c%02d,%d,k%02d\n", i * 7 % n_levels, i % 10, i % n_classes);
    }
    return qn_str_take_text(&csv);
}

static void with_many_classes_categories_have_their_count(void **state)
{
    (void)state;
    static const char *const kinds[] = {"city=categorical", NULL};
    char *csv = table_of_categories(25, 12);
    struct fitted f = fit_csv(csv, "multiclass", kinds);
    /* Every city stands there equally often: its count says nothing. */
    CHECK_INT(find(&f, QN_VIEW_TREE, "city~count"), -1);
    release(&f);
    qn_free(csv);
    csv = table_of_categories(23, 12); /* 2000 / 23 leaves a rest */
    f = fit_csv(csv, "multiclass", kinds);
    const int64_t count = find(&f, QN_VIEW_TREE, "city~count");
    CHECK(count >= 0 && find(&f, QN_VIEW_DENSE, "city~count") >= 0);
    CHECK_INT(find(&f, QN_VIEW_TREE, "city~target=k00"), -1);
    CHECK_NEAR(f.views[QN_VIEW_TREE].dense[count * f.views[QN_VIEW_TREE].stride], log(87), 1e-12);
    qn_free(csv);
    release(&f);
}

static void frequent_levels_beyond_thirty_have_columns(void **state)
{
    (void)state;
    static const char *const kinds[] = {"city=categorical", NULL};
    char *csv = table_of_categories(50, 2); /* 40 rows each */
    struct fitted f = fit_csv(csv, NULL, kinds);
    CHECK(find(&f, QN_VIEW_DENSE, "city=c49") >= 0);
    release(&f);
    qn_free(csv);
    csv = table_of_categories(80, 2); /* 25 rows each: thirty have columns */
    f = fit_csv(csv, NULL, kinds);
    CHECK(find(&f, QN_VIEW_DENSE, "city=c29") >= 0);
    CHECK_INT(find(&f, QN_VIEW_DENSE, "city=c30"), -1);
    CHECK(find(&f, QN_VIEW_DENSE, "city~rare") >= 0);
    qn_free(csv);
    release(&f);
}

/* Codes that stand there once each, with a prefix that repeats. */
static void categories_of_single_rows_are_taken_to_pieces(void **state)
{
    (void)state;
    static const char *const kinds[] = {"ticket=categorical", NULL};
    for (int repeated = 0; repeated < 2; repeated++) {
        qn_str csv = {0};
        qn_str_add(&csv, "ticket,x,y\n");
        for (int i = 0; i < 200; i++) {
            qn_str_addf(&csv, "%s %d,%d,%d\n", i % 2 ? "PC" : "SOTON",
                        1000 + (repeated ? i % 40 : i), i % 10, i % 2);
        }
        struct fitted f = fit_csv(csv.text, NULL, kinds);
        CHECK((f.views[QN_VIEW_DENSE].n_sparse > 0) == !repeated);
        CHECK((find(&f, QN_VIEW_TREE, "ticket~length") >= 0) == !repeated);
        qn_str_release(&csv);
        release(&f);
    }
}

static void a_stop_ends_the_fit(void **state)
{
    (void)state;
    qn_error err = {0};
    char *csv = table_of_repetitions();
    table t = table_from_csv(csv, "y", NULL, NULL);
    const volatile sig_atomic_t interrupted = 1;
    const qn_stop stop = {.interrupted = &interrupted};
    const qn_recipe_request request = {
        .frame = t.frame, .schema = t.schema, .target = t.target, .seed = 1, .stop = &stop};
    qn_recipe *recipe = NULL;
    qn_matrix views[QN_N_VIEWS];
    CHECK_FAILS(QN_ERR_INTERRUPTED, qn_recipe_fit(&request, &recipe, views, &err));
    CHECK(recipe == NULL);
    CHECK_CONTAINS(err.message, "told to stop");
    qn_free(csv);
    table_release(&t);
}

RUN_TESTS(TEST(repeated_features_are_left_out_of_both_views), TEST(what_does_not_vary_is_left_out),
          TEST(matrices_and_copies_have_the_features_kept),
          TEST(with_many_classes_categories_have_their_count),
          TEST(frequent_levels_beyond_thirty_have_columns),
          TEST(categories_of_single_rows_are_taken_to_pieces), TEST(a_stop_ends_the_fit))
