/* SPDX-License-Identifier: Apache-2.0 */
/* Folds made ready: what each trains on, and that nothing of its validation rows is in it. */
#include "automl/fold.h"

#include "tables.h"

enum { N = 120 };

/* Level "only here" is in one row of each hundred or so; `row` tells rows apart. */
static table make_table(void)
{
    qn_str csv = {0};
    qn_str_add(&csv, "row,level,y\n");
    for (int i = 0; i < N; i++) {
        qn_str_addf(&csv, "%d.5,L%d,%d\n", i, i / 2, i * 7 % 3 == 0);
    }
    const char *const kinds[] = {"row=numeric", "level=categorical", NULL};
    table t = table_from_csv(csv.text, "y", "binary", kinds);
    qn_str_release(&csv);
    return t;
}

static qn_fold_set create(const table *t, const double *weights, int64_t n_folds, int64_t n_rounds,
                          qn_pool *pool)
{
    qn_error err = {0};
    qn_fold_set set;
    const qn_fold_request request = {.frame = t->frame,
                                     .schema = t->schema,
                                     .target = t->target,
                                     .weights = weights,
                                     .rows = t->rows,
                                     .n_rows = t->n_rows,
                                     .n_folds = n_folds,
                                     .n_rounds = n_rounds,
                                     .seed = 4,
                                     .pool = pool};
    CHECK_OK(qn_fold_set_create(&request, &set, &err));
    return set;
}

/* The one row that weighs anything is in the validation part of some fold. */
static void a_fold_whose_rows_weigh_nothing_is_refused(void **state)
{
    (void)state;
    qn_error err = {0};
    table t = make_table();
    double weights[N] = {[17] = 3};
    qn_fold_set set;
    const qn_fold_request request = {.frame = t.frame,
                                     .schema = t.schema,
                                     .target = t.target,
                                     .weights = weights,
                                     .rows = t.rows,
                                     .n_rows = t.n_rows,
                                     .n_folds = 4,
                                     .n_rounds = 1,
                                     .seed = 4};
    CHECK_FAILS(QN_ERR_DATA, qn_fold_set_create(&request, &set, &err));
    CHECK_CONTAINS(err.message, "all 90 rows that train in fold");
    table_release(&t);
}

static void each_round_validates_every_row_once(void **state)
{
    (void)state;
    table t = make_table();
    qn_fold_set set = create(&t, NULL, 4, 3, NULL);
    CHECK_INT(set.n_folds, 12);
    CHECK_INT(set.n_rounds, 3);
    for (int round = 0; round < 3; round++) {
        int seen[N] = {0};
        for (int f = round * 4; f < round * 4 + 4; f++) {
            const qn_fold *fold = &set.folds[f];
            CHECK_INT(fold->data.train.n_rows + fold->n_valid, N);
            CHECK_INT(fold->data.valid.n_rows, fold->n_valid);
            for (int64_t i = 0; i < fold->n_valid; i++) {
                seen[fold->valid[i]]++;
                CHECK(fold->data.valid.target[i] == t.target[fold->valid[i]]);
                /* The first feature of the tree view is the row's own number. */
                CHECK(fold->data.valid.views[QN_VIEW_TREE].dense[i] == fold->valid[i] + 0.5);
            }
        }
        for (int row = 0; row < N; row++) {
            CHECK_INT(seen[row], 1);
        }
    }
    CHECK(memcmp(set.folds[0].valid, set.folds[4].valid, 20 * sizeof(int32_t)) != 0);
    qn_fold_set_release(&set);
    table_release(&t);
}

static void a_level_of_validation_rows_alone_is_unknown(void **state)
{
    (void)state;
    table t = make_table();
    qn_fold_set set = create(&t, NULL, 4, 1, NULL);
    int n_unknown = 0, n_known = 0;
    for (int f = 0; f < 4; f++) {
        const qn_fold *fold = &set.folds[f];
        const qn_matrix *m = &fold->data.valid.views[QN_VIEW_TREE];
        bool validates[N] = {0};
        for (int64_t i = 0; i < fold->n_valid; i++) {
            validates[fold->valid[i]] = true;
        }
        for (int64_t i = 0; i < fold->n_valid; i++) {
            /* A level has two rows; one left for training is too rare to be numbered as well. */
            const bool unknown = isnan(m->dense[m->stride + i]);
            n_unknown += unknown;
            n_known += !unknown;
        }
        double mean = 0;
        for (int row = 0; row < N; row++) {
            if (!validates[row]) mean += (row + 0.5) / (double)fold->data.train.n_rows;
        }
        /* Scaled by the moments of the training rows: those of validation do not average to 0. */
        double scaled = 0;
        const qn_matrix *train = &fold->data.train.views[QN_VIEW_DENSE];
        for (int64_t i = 0; i < train->n_rows; i++) {
            scaled += train->dense[i] / (double)train->n_rows;
        }
        CHECK_NEAR(scaled, 0, 1e-12);
        const qn_matrix *valid = &fold->data.valid.views[QN_VIEW_DENSE];
        double first = valid->dense[0], second = valid->dense[1];
        const double step = (second - first) / (fold->valid[1] - fold->valid[0]);
        CHECK_NEAR(first, (fold->valid[0] + 0.5 - mean) * step, 1e-9);
    }
    CHECK_INT(n_known, 0);
    CHECK_INT(n_unknown, N);
    qn_fold_set_release(&set);
    table_release(&t);
}

static void weights_have_a_mean_of_one_in_each_part(void **state)
{
    (void)state;
    double weights[N];
    table t = make_table();
    for (int row = 0; row < N; row++) {
        weights[row] = row % 5;
    }
    qn_fold_set set = create(&t, weights, 3, 1, NULL);
    for (int f = 0; f < 3; f++) {
        const qn_fold *fold = &set.folds[f];
        const qn_dataset_part *parts[2] = {&fold->data.train, &fold->data.valid};
        for (int p = 0; p < 2; p++) {
            double sum = 0;
            for (int64_t i = 0; i < parts[p]->n_rows; i++) {
                sum += parts[p]->weights[i];
            }
            CHECK_NEAR(sum, (double)parts[p]->n_rows, 1e-9);
        }
        const double ratio = fold->data.valid.weights[1] * weights[fold->valid[2]] -
                             fold->data.valid.weights[2] * weights[fold->valid[1]];
        CHECK_NEAR(ratio, 0, 1e-12);
    }
    qn_fold_set_release(&set);
    table_release(&t);
}

static void threads_change_nothing(void **state)
{
    (void)state;
    table t = make_table();
    qn_pool *pool = qn_pool_create(3);
    qn_fold_set one = create(&t, NULL, 5, 2, NULL), three = create(&t, NULL, 5, 2, pool);
    CHECK_INT(one.n_folds, three.n_folds);
    CHECK_TEXT(one.reason, three.reason);
    for (int f = 0; f < one.n_folds; f++) {
        const qn_matrix *a = &one.folds[f].data.train.views[QN_VIEW_DENSE];
        const qn_matrix *b = &three.folds[f].data.train.views[QN_VIEW_DENSE];
        CHECK(a->n_dense == b->n_dense && a->n_rows == b->n_rows);
        assert_memory_equal(a->dense, b->dense, (size_t)(a->n_rows * a->n_dense) * sizeof(double));
    }
    qn_fold_set_release(&one);
    qn_fold_set_release(&three);
    qn_pool_free(pool);
    table_release(&t);
}

static void few_rows_have_two_rounds_and_many_folds(void **state)
{
    (void)state;
    table t = make_table();
    qn_fold_set set = create(&t, NULL, 0, 0, NULL);
    CHECK_INT(set.n_rounds, 2);
    CHECK_INT(set.n_folds, 20);
    qn_fold_set_release(&set);
    set = create(&t, NULL, 1, 0, NULL); /* one holdout: nothing to repeat */
    CHECK_INT(set.n_rounds, 1);
    CHECK_INT(set.n_folds, 1);
    CHECK(set.folds[0].n_valid > 0 && set.folds[0].n_valid < N / 2);
    qn_fold_set_release(&set);
    table_release(&t);
}

static void each_row_keeps_the_number_of_its_query(void **state)
{
    (void)state;
    qn_error err = {0};
    qn_fold_set set;
    table t = make_table();
    int32_t groups[N];
    for (int i = 0; i < N; i++) {
        groups[i] = i * 11 % 17;
    }
    const qn_fold_request request = {.frame = t.frame,
                                     .schema = t.schema,
                                     .target = t.target,
                                     .groups = groups,
                                     .rows = t.rows,
                                     .n_rows = N,
                                     .n_folds = 3,
                                     .n_rounds = 1,
                                     .seed = 4};
    CHECK_OK(qn_fold_set_create(&request, &set, &err));
    for (int32_t f = 0; f < set.n_folds; f++) {
        const qn_fold *fold = &set.folds[f];
        int64_t n_valid = 0, n_train = 0;
        for (int32_t row = 0; row < N; row++) {
            const bool valid = n_valid < fold->n_valid && fold->valid[n_valid] == row;
            CHECK_INT(valid ? fold->data.valid.groups[n_valid++]
                            : fold->data.train.groups[n_train++],
                      groups[row]);
        }
    }
    qn_fold_set_release(&set);
    set = create(&t, NULL, 3, 1, NULL);
    CHECK(!set.folds[0].data.train.groups && !set.folds[0].data.valid.groups);
    qn_fold_set_release(&set);
    table_release(&t);
}

RUN_TESTS(TEST(a_fold_whose_rows_weigh_nothing_is_refused),
          TEST(each_round_validates_every_row_once),
          TEST(a_level_of_validation_rows_alone_is_unknown),
          TEST(weights_have_a_mean_of_one_in_each_part), TEST(threads_change_nothing),
          TEST(few_rows_have_two_rounds_and_many_folds),
          TEST(each_row_keeps_the_number_of_its_query))
