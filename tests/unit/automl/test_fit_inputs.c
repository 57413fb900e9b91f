/* SPDX-License-Identifier: Apache-2.0 */
/* What a fit knows before its first trial. */
#include "automl/fit_inputs.h"

#include "check.h"

#include <stdlib.h>
#include <unistd.h>

static char folder[] = "/tmp/quern-inputs-XXXXXX";

static int make_folder(void **state)
{
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    (void)state;
    return rmdir(folder);
}

/* A file of the test's folder; each test removes its own. */
static const char *path_of(const char *name)
{
    static char paths[4][80];
    static int turn;
    turn = (turn + 1) % 4;
    snprintf(paths[turn], sizeof paths[turn], "%s/%s", folder, name);
    return paths[turn];
}

enum { N = 120 };

/* Columns: a number, a level, the day, the query, the part, a weight, and a label. */
static void write_table(const char *path, int n, const char *first_label, const char *other_label)
{
    FILE *file = fopen(path, "w");
    CHECK(file != NULL);
    fputs("x,level,day,query,part,w,y\n", file);
    unsigned state = 1;
    for (int i = 0; i < n; i++) {
        state = state * 1103515245 + 12345;
        const unsigned draw = state >> 16;
        fprintf(file, "%u.5,%c,2024-%02d-%02d,q%d,%s,%d,%s\n", draw % 97, 'a' + (char)(draw % 4),
                i / 28 % 12 + 1, i % 28 + 1, i * 7 % 20, i % 10 ? "train" : "test", i % 3,
                draw % 97 > 40 ? first_label : other_label);
    }
    fclose(file);
}

static qn_status load(const qn_fit_request *request, qn_fit_inputs *inputs, qn_error *err)
{
    return qn_fit_inputs_load(request, NULL, NULL, inputs, err);
}

static void check_divides(const qn_fit_inputs *inputs)
{
    int seen[N] = {0};
    CHECK_INT(inputs->n_train + inputs->n_test, N);
    for (int64_t i = 0; i < inputs->n_train; i++) {
        seen[inputs->train[i]]++;
    }
    for (int64_t i = 0; i < inputs->n_test; i++) {
        seen[inputs->test[i]]++;
        CHECK(inputs->test_target[i] == inputs->target[inputs->test[i]]);
    }
    for (int row = 0; row < N; row++) {
        CHECK_INT(seen[row], 1);
    }
}

static void every_row_trains_or_tests(void **state)
{
    (void)state;
    static const double fractions[] = {0, 0.2, 0.5};
    const char *path = path_of("t.csv");
    write_table(path, N, "yes", "no");
    for (int i = 0; i < 3; i++) {
        qn_error err = {0};
        qn_fit_inputs inputs;
        const qn_fit_request request = {
            .table = path, .target = "y", .test_fraction = fractions[i], .seed = 1};
        CHECK_OK(load(&request, &inputs, &err));
        check_divides(&inputs);
        const double wanted = fractions[i] > 0 ? fractions[i] : 0.2;
        CHECK_NEAR((double)inputs.n_test / N, wanted, 0.02);
        /* Stratified: both classes in the same shares. */
        double train = 0, test = 0;
        for (int64_t r = 0; r < inputs.n_train; r++) {
            train += inputs.target[inputs.train[r]] / (double)inputs.n_train;
        }
        for (int64_t r = 0; r < inputs.n_test; r++) {
            test += inputs.test_target[r] / (double)inputs.n_test;
        }
        CHECK_NEAR(train, test, 0.05);
        qn_fit_inputs_release(&inputs);
    }
    unlink(path);
}

static void without_a_test_part_all_rows_train(void **state)
{
    (void)state;
    const char *path = path_of("t.csv");
    write_table(path, N, "yes", "no");
    for (int way = 0; way < 2; way++) {
        qn_error err = {0};
        qn_fit_inputs inputs;
        const qn_fit_request request = {
            .table = path, .target = "y", .no_test = way == 0, .test_fraction = way ? -1 : 0};
        CHECK_OK(load(&request, &inputs, &err));
        CHECK_INT(inputs.n_train, N);
        CHECK_INT(inputs.n_test, 0);
        CHECK_CONTAINS(inputs.split_reason, "none for testing");
        qn_fit_inputs_release(&inputs);
    }
    unlink(path);
}

static void a_table_of_its_own_tests(void **state)
{
    (void)state;
    qn_error err = {0};
    qn_fit_inputs inputs;
    const char *path = path_of("t.csv"), *test = path_of("test.csv");
    write_table(path, N, "yes", "no");
    write_table(test, 30, " yes.", "no"); /* as one data set spells its labels */
    qn_fit_request request = {.table = path, .target = "y", .test = test};
    CHECK_FAILS(QN_ERR_DATA, load(&request, &inputs, &err));
    CHECK_CONTAINS(err.message, "yes.");
    request.strip = ". ";
    CHECK_OK(load(&request, &inputs, &err));
    CHECK_INT(inputs.n_train, N);
    CHECK_INT(inputs.n_test, 30);
    CHECK(qn_fit_inputs_test_frame(&inputs) == inputs.test_frame);
    CHECK(inputs.test_frame != NULL && inputs.test_frame != inputs.frame);
    for (int64_t i = 0; i < 30; i++) { /* the same first rows as those of the table */
        CHECK(inputs.test_target[i] == inputs.target[i]);
    }
    qn_fit_inputs_release(&inputs);
    unlink(path);
    unlink(test);
}

static void labels_are_renamed_before_anything_else(void **state)
{
    (void)state;
    qn_error err = {0};
    qn_fit_inputs inputs;
    const char *path = path_of("t.csv");
    write_table(path, N, "yes", "no");
    const qn_fit_request request = {.table = path, .target = "y", .label_map = "yes=1,no=0"};
    CHECK_OK(load(&request, &inputs, &err));
    CHECK_TEXT(inputs.schema->classes[0], "0");
    CHECK_TEXT(inputs.schema->classes[1], "1");
    qn_fit_inputs_release(&inputs);
    unlink(path);
}

static void kinds_and_levels_come_from_training_rows_alone(void **state)
{
    (void)state;
    qn_error err = {0};
    qn_fit_inputs inputs;
    const char *path = path_of("t.csv");
    FILE *file = fopen(path, "w");
    fputs("x,level,part,y\n", file);
    for (int i = 0; i < N; i++) { /* test rows alone have level z and the number 1000 */
        const bool test = i % 6 == 0;
        fprintf(file, "%d,%s,%s,%d\n", test ? 1000 : i % 50,
                test    ? "z"
                : i % 2 ? "a"
                        : "b",
                test ? "test" : "train", i % 5 > 2);
    }
    fclose(file);
    const qn_fit_request request = {.table = path,
                                    .target = "y",
                                    .split = "column:part",
                                    .kinds = (const char *const[]){"x=numeric", NULL}};
    CHECK_OK(load(&request, &inputs, &err));
    CHECK_INT(inputs.n_test, N / 6);
    const qn_schema_column *x = &inputs.schema->columns[0], *level = &inputs.schema->columns[1];
    CHECK(x->maximum == 49);
    CHECK_INT(level->n_levels, 2);
    for (int64_t i = 0; i < level->n_levels; i++) {
        CHECK(strcmp(level->levels[i], "z") != 0);
    }
    CHECK_INT(inputs.profile->n_rows, inputs.n_train);
    CHECK_INT(inputs.schema->columns[2].role, QN_ROLE_SPLIT);
    qn_fit_inputs_release(&inputs);
    unlink(path);
}

static void the_latest_rows_test_a_split_by_time(void **state)
{
    (void)state;
    const char *path = path_of("t.csv");
    write_table(path, N, "yes", "no");
    for (int way = 0; way < 2; way++) {
        qn_error err = {0};
        qn_fit_inputs inputs;
        qn_fit_request request = {.table = path, .target = "y"};
        if (way == 0) request.time = "day";
        if (way == 1) request.split = "time:day";
        CHECK_OK(load(&request, &inputs, &err));
        check_divides(&inputs);
        const qn_column *day = &inputs.frame->columns[2];
        int64_t latest = 0;
        for (int64_t i = 0; i < inputs.n_train; i++) {
            if (day->data.ints[inputs.train[i]] > latest) latest = day->data.ints[inputs.train[i]];
        }
        for (int64_t i = 0; i < inputs.n_test; i++) {
            CHECK(day->data.ints[inputs.test[i]] >= latest);
        }
        qn_fit_inputs_release(&inputs);
    }
    unlink(path);
}

static void a_group_stays_on_one_side(void **state)
{
    (void)state;
    qn_error err = {0};
    qn_fit_inputs inputs;
    const char *path = path_of("t.csv");
    write_table(path, N, "yes", "no");
    const qn_fit_request request = {.table = path, .target = "y", .split = "group:query"};
    CHECK_OK(load(&request, &inputs, &err));
    check_divides(&inputs);
    const int32_t *codes = inputs.frame->columns[3].data.codes;
    for (int64_t i = 0; i < inputs.n_train; i++) {
        for (int64_t j = 0; j < inputs.n_test; j++) {
            CHECK(codes[inputs.train[i]] != codes[inputs.test[j]]);
        }
    }
    CHECK(inputs.groups == NULL); /* only ranking needs the numbers */
    qn_fit_inputs_release(&inputs);
    unlink(path);
}

static void ranking_keeps_the_rows_of_a_query_together(void **state)
{
    (void)state;
    qn_error err = {0};
    qn_fit_inputs inputs;
    const char *path = path_of("t.csv");
    write_table(path, N, "2", "0");
    qn_fit_request request = {.table = path, .target = "y", .task = "ranking"};
    CHECK_FAILS(QN_ERR_ARG, load(&request, &inputs, &err));
    CHECK_CONTAINS(err.message, "--group");
    request.group = "query";
    CHECK_OK(load(&request, &inputs, &err));
    check_divides(&inputs);
    int n_changes = 0;
    for (int64_t i = 1; i < inputs.n_train; i++) {
        const int32_t before = inputs.groups[inputs.train[i - 1]];
        const int32_t now = inputs.groups[inputs.train[i]];
        CHECK(now >= before);
        n_changes += now != before;
    }
    int n_test_changes = 0;
    for (int64_t i = 1; i < inputs.n_test; i++) {
        CHECK(inputs.test_groups[i] >= inputs.test_groups[i - 1]);
        n_test_changes += inputs.test_groups[i] != inputs.test_groups[i - 1];
    }
    CHECK_INT(n_changes + 1 + n_test_changes + 1, 20);
    qn_fit_inputs_release(&inputs);
    unlink(path);
}

static void weights_are_read_and_checked(void **state)
{
    (void)state;
    qn_error err = {0};
    qn_fit_inputs inputs;
    const char *path = path_of("t.csv");
    write_table(path, N, "yes", "no");
    qn_fit_request request = {.table = path, .target = "y", .weight = "w"};
    CHECK_OK(load(&request, &inputs, &err));
    for (int row = 0; row < N; row++) {
        CHECK(inputs.weights[row] == row % 3);
    }
    for (int64_t i = 0; i < inputs.n_test; i++) {
        CHECK(inputs.test_weights[i] == inputs.test[i] % 3);
    }
    CHECK_INT(inputs.schema->columns[5].role, QN_ROLE_WEIGHT);
    qn_fit_inputs_release(&inputs);
    FILE *file = fopen(path, "w");
    fputs("x,w,y\n", file);
    for (int i = 0; i < N; i++) {
        fprintf(file, "%d,%s,%d\n", i, i == 70 ? "-1" : "1", i % 2);
    }
    fclose(file);
    CHECK_FAILS(QN_ERR_DATA, load(&request, &inputs, &err));
    CHECK_CONTAINS(err.message, "row 71: weight column 'w'");
    unlink(path);
}

/* 120 rows of two columns and a weight, the first row's as given. */
static void write_numbers(const char *path, const char *first, double scale, int weight)
{
    FILE *file = fopen(path, "w");
    fputs("x,w,y\n", file);
    for (int i = 0; i < N; i++) {
        fprintf(file, "%d,%d,", i, weight);
        if (i == 0 && first) {
            fprintf(file, "%s\n", first);
        } else {
            fprintf(file, "%.17g\n", (1 + i % 37) * scale);
        }
    }
    fclose(file);
}

static void numbers_and_weights_that_nothing_can_be_learnt_from_are_refused(void **state)
{
    (void)state;
    const char *path = path_of("t.csv");
    static const struct {
        const char *first, *message;
        double scale;
        int weight;
    } wrong[] = {{"1e151", "row 1: target 'y' is 1e+151, whose square is no number", 1, 1},
                 {"-1e308", "row 1: target 'y' is -1e+308, whose square is no number", 1, 1},
                 {NULL, "whose square is no number", 1e150, 1},
                 {NULL, "values of target 'y' are at most 3.6e-159 apart", 1e-160, 1},
                 {NULL, "weights of the training rows sum to 0: there is nothing", 1, 0}};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        for (int own = 0; own < 2; own++) { /* a part of the table tests, or nothing does */
            qn_error err = {0};
            qn_fit_inputs inputs;
            const qn_fit_request request = {.table = path,
                                            .target = "y",
                                            .weight = "w",
                                            .task = "regression",
                                            .no_test = own == 1};
            write_numbers(path, wrong[i].first, wrong[i].scale, wrong[i].weight);
            CHECK_FAILS(QN_ERR_DATA, load(&request, &inputs, &err));
            CHECK_CONTAINS(err.message, wrong[i].message);
        }
    }
    static const double right[] = {1e148, 1e-140};
    for (size_t i = 0; i < 2; i++) {
        qn_error err = {0};
        qn_fit_inputs inputs;
        const qn_fit_request request = {.table = path, .target = "y", .task = "regression"};
        write_numbers(path, NULL, right[i], 1);
        CHECK_OK(load(&request, &inputs, &err));
        qn_fit_inputs_release(&inputs);
    }
    unlink(path);
}

static void wrong_requests_are_told_in_words(void **state)
{
    (void)state;
    const char *path = path_of("t.csv");
    write_table(path, N, "yes", "no");
    static const struct {
        const char *split, *target, *weight, *message;
    } wrong[] = {
        {"sideways", "y", NULL, "--split sideways: expected random, stratified"},
        {"group:", "y", NULL, "--split group:: expected random"},
        {"group:quarry", "y", NULL, "did you mean 'query'"},
        {NULL, "yy", NULL, "there is no column 'yy'"},
        {NULL, "y", "weight", "there is no column 'weight'"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        qn_error err = {0};
        qn_fit_inputs inputs;
        const qn_fit_request request = {.table = path,
                                        .target = wrong[i].target,
                                        .split = wrong[i].split,
                                        .weight = wrong[i].weight};
        CHECK_FAILS(QN_ERR_ARG, load(&request, &inputs, &err));
        CHECK_CONTAINS(err.message, wrong[i].message);
        CHECK(inputs.frame == NULL && inputs.schema == NULL);
    }
    unlink(path);
}

static void the_same_table_has_the_same_hash_and_split(void **state)
{
    (void)state;
    qn_error err = {0};
    qn_fit_inputs one, two, other;
    const char *path = path_of("t.csv");
    write_table(path, N, "yes", "no");
    qn_fit_request request = {.table = path, .target = "y", .seed = 1};
    qn_pool *pool = qn_pool_create(3);
    CHECK_OK(load(&request, &one, &err));
    CHECK_OK(qn_fit_inputs_load(&request, pool, NULL, &two, &err));
    request.seed = 2;
    CHECK_OK(load(&request, &other, &err));
    CHECK(one.data_hash == two.data_hash && one.data_hash == other.data_hash);
    CHECK_INT(one.n_test, two.n_test);
    assert_memory_equal(one.test, two.test, (size_t)one.n_test * sizeof *one.test);
    CHECK(memcmp(one.test, other.test, (size_t)one.n_test * sizeof *one.test) != 0);
    qn_fit_inputs_release(&one);
    qn_fit_inputs_release(&two);
    qn_fit_inputs_release(&other);
    qn_pool_free(pool);
    unlink(path);
}

static void loading_survives_running_out_of_memory(void **state)
{
    (void)state;
    qn_fit_inputs inputs;
    const char *path = path_of("t.csv"), *test = path_of("test.csv");
    write_table(path, 40, "2", "0");
    write_table(test, 30, "2", "0");
    const qn_fit_request request = {.table = path,
                                    .target = "y",
                                    .test = test,
                                    .task = "ranking",
                                    .group = "query",
                                    .weight = "w"};
    CHECK_SURVIVES_NO_MEMORY_RELEASING(load(&request, &inputs, NULL),
                                       qn_fit_inputs_release(&inputs));
    qn_fit_inputs_release(&inputs);
    unlink(path);
    unlink(test);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(every_row_trains_or_tests),
        TEST(without_a_test_part_all_rows_train),
        TEST(a_table_of_its_own_tests),
        TEST(labels_are_renamed_before_anything_else),
        TEST(kinds_and_levels_come_from_training_rows_alone),
        TEST(the_latest_rows_test_a_split_by_time),
        TEST(a_group_stays_on_one_side),
        TEST(ranking_keeps_the_rows_of_a_query_together),
        TEST(weights_are_read_and_checked),
        TEST(numbers_and_weights_that_nothing_can_be_learnt_from_are_refused),
        TEST(wrong_requests_are_told_in_words),
        TEST(the_same_table_has_the_same_hash_and_split),
        TEST(loading_survives_running_out_of_memory),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
