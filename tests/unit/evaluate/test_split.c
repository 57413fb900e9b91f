/* SPDX-License-Identifier: Apache-2.0 */
#include "evaluate/split.h"

#include "frames.h"

enum { ROWS = 1000 };

/* Row i has class i % 10 == 0 (or value i), group i / 7, time i / 5 in falling order. */
struct table {
    qn_frame *frame;
    qn_schema schema;
    qn_schema_column columns[3];
    double target[ROWS];
};

static char name_group[] = "who", name_time[] = "when", name_split[] = "part";
static char label_a[] = "a", label_b[] = "b";
static char *labels[] = {label_a, label_b};

static void table_init(struct table *t, int32_t n_classes)
{
    static int64_t groups[ROWS], times[ROWS];
    static const char *parts[ROWS];
    *t = (struct table){.frame = frame_create(ROWS, 3)};
    for (int i = 0; i < ROWS; i++) {
        t->target[i] = n_classes ? i % 10 == 0 : i;
        groups[i] = i / 7;
        times[i] = (ROWS - i) / 5;
        parts[i] = i % 4 == 0 ? "Test" : i % 4 == 1 ? "validation" : "train";
    }
    frame_ints(t->frame, 0, name_group, groups);
    frame_ints(t->frame, 1, name_time, times);
    frame_texts(t->frame, 2, name_split, parts);
    t->columns[0] = (qn_schema_column){.name = name_group, .role = QN_ROLE_DROPPED};
    t->columns[1] = (qn_schema_column){.name = name_time, .role = QN_ROLE_DROPPED};
    t->columns[2] = (qn_schema_column){.name = name_split, .role = QN_ROLE_DROPPED};
    t->schema = (qn_schema){.n_cols = 3,
                            .columns = t->columns,
                            .target = -1,
                            .task = n_classes ? QN_TASK_BINARY : QN_TASK_REGRESSION,
                            .n_classes = n_classes,
                            .classes = n_classes ? labels : NULL,
                            .positive = 1};
}

static qn_split_request request_of(const struct table *t)
{
    return (qn_split_request){.frame = t->frame,
                              .schema = &t->schema,
                              .target = t->target,
                              .test_fraction = 0.2,
                              .seed = 1};
}

/* Every row stands in one part, and rows are in increasing order. */
static void check_parts(const qn_split *split)
{
    bool seen[ROWS] = {false};
    CHECK_INT(split->n_train + split->n_test, ROWS);
    for (int part = 0; part < 2; part++) {
        const int32_t *rows = part ? split->test : split->train;
        const int64_t n = part ? split->n_test : split->n_train;
        for (int64_t i = 0; i < n; i++) {
            CHECK(!seen[rows[i]]);
            seen[rows[i]] = true;
            CHECK(i == 0 || rows[i] > rows[i - 1]);
        }
    }
}

static void a_stratified_test_part_has_its_share_of_every_class(void **state)
{
    (void)state;
    struct table t;
    table_init(&t, 2);
    qn_split split;
    qn_error err = {0};
    const qn_split_request request = request_of(&t);
    CHECK_OK(qn_split_test(&request, &split, &err));
    check_parts(&split);
    CHECK_INT(split.kind, QN_SPLIT_STRATIFIED);
    CHECK_INT(split.n_test, 200);
    double n = 0;
    for (int64_t i = 0; i < split.n_test; i++) {
        n += t.target[split.test[i]];
    }
    CHECK_NEAR(n, 20, 1);
    CHECK_CONTAINS(split.reason, "20 %");
    qn_split_release(&split);
    qn_frame_free(t.frame);
}

static void numbers_are_stratified_by_their_order(void **state)
{
    (void)state;
    struct table t;
    table_init(&t, 0);
    qn_split split;
    qn_error err = {0};
    const qn_split_request request = request_of(&t);
    CHECK_OK(qn_split_test(&request, &split, &err));
    check_parts(&split);
    int tenths[10] = {0};
    for (int64_t i = 0; i < split.n_test; i++) {
        tenths[split.test[i] / 100]++;
    }
    for (int i = 0; i < 10; i++) {
        CHECK_NEAR(tenths[i], 20, 2);
    }
    qn_split_release(&split);
    qn_frame_free(t.frame);
}

static void the_seed_alone_decides(void **state)
{
    (void)state;
    struct table t;
    table_init(&t, 2);
    qn_split splits[3];
    qn_error err = {0};
    qn_split_request request = request_of(&t);
    for (int i = 0; i < 3; i++) {
        request.seed = i < 2 ? 1 : 2;
        CHECK_OK(qn_split_test(&request, &splits[i], &err));
    }
    CHECK(memcmp(splits[0].test, splits[1].test, 200 * sizeof(int32_t)) == 0);
    CHECK(memcmp(splits[0].test, splits[2].test, 200 * sizeof(int32_t)) != 0);
    for (int i = 0; i < 3; i++) {
        qn_split_release(&splits[i]);
    }
    qn_frame_free(t.frame);
}

static void groups_stay_whole_and_near_the_size_asked_for(void **state)
{
    (void)state;
    static const double fractions[] = {0.05, 0.2, 0.3, 0.4, 0.7};
    struct table t;
    table_init(&t, 0);
    t.columns[0].role = QN_ROLE_GROUP;
    for (size_t f = 0; f < sizeof fractions / sizeof *fractions; f++) {
        qn_split split;
        qn_error err = {0};
        qn_split_request request = request_of(&t);
        request.test_fraction = fractions[f];
        CHECK_OK(qn_split_test(&request, &split, &err));
        check_parts(&split);
        CHECK_INT(split.kind, QN_SPLIT_GROUP);
        CHECK_NEAR((double)split.n_test, fractions[f] * ROWS, 7);
        bool tests[ROWS] = {false};
        for (int64_t i = 0; i < split.n_test; i++) {
            tests[split.test[i] / 7] = true;
        }
        for (int64_t i = 0; i < split.n_train; i++) {
            CHECK(!tests[split.train[i] / 7]);
        }
        qn_split_release(&split);
    }
    qn_frame_free(t.frame);
}

static void the_latest_rows_test_and_moments_stay_whole(void **state)
{
    (void)state;
    struct table t;
    table_init(&t, 0);
    t.columns[1].role = QN_ROLE_TIME;
    qn_split split;
    qn_error err = {0};
    qn_split_request request = request_of(&t);
    request.test_fraction = 0.203;
    CHECK_OK(qn_split_test(&request, &split, &err));
    check_parts(&split);
    CHECK_INT(split.kind, QN_SPLIT_TIME);
    const int64_t *times = t.frame->columns[1].data.ints;
    int64_t first_test = INT64_MAX, last_train = INT64_MIN;
    for (int64_t i = 0; i < split.n_test; i++) {
        if (times[split.test[i]] < first_test) first_test = times[split.test[i]];
    }
    for (int64_t i = 0; i < split.n_train; i++) {
        if (times[split.train[i]] > last_train) last_train = times[split.train[i]];
    }
    CHECK(last_train < first_test);
    qn_split_release(&split);
    qn_frame_free(t.frame);
}

static void a_column_says_who_tests_and_who_validates(void **state)
{
    (void)state;
    struct table t;
    table_init(&t, 0);
    t.columns[2].role = QN_ROLE_SPLIT;
    qn_split split;
    qn_folds folds;
    qn_error err = {0};
    qn_split_request request = request_of(&t);
    CHECK_OK(qn_split_test(&request, &split, &err));
    check_parts(&split);
    CHECK_INT(split.n_test, 250);
    request.rows = split.train;
    request.n_rows = split.n_train;
    CHECK_OK(qn_folds_create(&request, &folds, &err));
    CHECK_INT(folds.n_folds, 1);
    for (int64_t i = 0; i < split.n_train; i++) {
        CHECK_INT(folds.fold_of[i], split.train[i] % 4 == 1 ? 0 : -1);
    }
    qn_folds_release(&folds);
    qn_split_release(&split);
    qn_frame_free(t.frame);
}

static void a_class_that_could_not_be_trained_on_is_named(void **state)
{
    (void)state;
    struct table t;
    table_init(&t, 2);
    t.columns[1].role = QN_ROLE_TIME;
    for (int i = 0; i < ROWS; i++) {
        t.target[i] = i < 50; /* times fall, so these rows are the latest */
    }
    qn_split split;
    qn_error err = {0};
    const qn_split_request request = request_of(&t);
    CHECK_FAILS(QN_ERR_DATA, qn_split_test(&request, &split, &err));
    CHECK_CONTAINS(err.message, "class 'b'");
    CHECK(split.train == NULL && split.test == NULL);
    qn_frame_free(t.frame);
}

static void fractions_out_of_range_are_refused(void **state)
{
    (void)state;
    static const double fractions[] = {0, 1, -0.5, 2};
    struct table t;
    table_init(&t, 2);
    for (size_t i = 0; i < 4; i++) {
        qn_split split;
        qn_error err = {0};
        qn_split_request request = request_of(&t);
        request.test_fraction = fractions[i];
        CHECK_FAILS(QN_ERR_ARG, qn_split_test(&request, &split, &err));
        CHECK_CONTAINS(err.message, "--test-fraction");
    }
    qn_frame_free(t.frame);
}

static void every_row_validates_once_and_classes_are_spread(void **state)
{
    (void)state;
    struct table t;
    table_init(&t, 2);
    qn_folds folds;
    qn_error err = {0};
    const qn_split_request request = request_of(&t);
    CHECK_OK(qn_folds_create(&request, &folds, &err));
    CHECK_INT(folds.n_folds, 10);
    int64_t total = 0;
    for (int32_t f = 0; f < folds.n_folds; f++) {
        int32_t *valid = NULL, *train = NULL;
        int64_t n_valid, n_train;
        double n_positive = 0;
        CHECK_OK(qn_folds_rows(&folds, ROWS, f, true, &valid, &n_valid, &err));
        CHECK_OK(qn_folds_rows(&folds, ROWS, f, false, &train, &n_train, &err));
        CHECK_INT(n_valid + n_train, ROWS);
        for (int64_t i = 0; i < n_valid; i++) {
            n_positive += t.target[valid[i]];
        }
        CHECK_NEAR(n_positive, 10, 1);
        total += n_valid;
        qn_free(valid);
        qn_free(train);
    }
    CHECK_INT(total, ROWS);
    qn_folds_release(&folds);
    qn_frame_free(t.frame);
}

static void rare_classes_are_trained_on_in_every_fold(void **state)
{
    (void)state;
    for (int n_rare = 1; n_rare <= 3; n_rare++) {
        struct table t;
        table_init(&t, 2);
        for (int i = 0; i < ROWS; i++) {
            t.target[i] = i < n_rare;
        }
        qn_folds folds;
        qn_error err = {0};
        const qn_split_request request = request_of(&t);
        CHECK_OK(qn_folds_create(&request, &folds, &err));
        for (int32_t f = 0; f < folds.n_folds; f++) {
            int n_trained = 0;
            for (int i = 0; i < n_rare; i++) {
                n_trained += folds.fold_of[i] != f;
            }
            CHECK(n_trained > 0);
        }
        if (n_rare == 1) CHECK_INT(folds.fold_of[0], -1);
        qn_folds_release(&folds);
        qn_frame_free(t.frame);
    }
}

static void time_folds_train_on_the_past_alone(void **state)
{
    (void)state;
    for (int64_t n_folds = 1; n_folds <= 5; n_folds += 4) {
        struct table t;
        table_init(&t, 0);
        t.columns[1].role = QN_ROLE_TIME;
        qn_folds folds;
        qn_error err = {0};
        qn_split_request request = request_of(&t);
        request.n_folds = n_folds;
        CHECK_OK(qn_folds_create(&request, &folds, &err));
        CHECK_INT(folds.n_folds, n_folds);
        const int64_t *times = t.frame->columns[1].data.ints;
        for (int32_t f = 0; f < folds.n_folds; f++) {
            int32_t *valid = NULL, *train = NULL;
            int64_t n_valid, n_train, last = INT64_MIN, first = INT64_MAX;
            CHECK_OK(qn_folds_rows(&folds, ROWS, f, true, &valid, &n_valid, &err));
            CHECK_OK(qn_folds_rows(&folds, ROWS, f, false, &train, &n_train, &err));
            CHECK(n_valid > 0 && n_train > 0);
            if (n_folds == 1) CHECK_NEAR((double)n_valid, ROWS / 10.0, 5);
            for (int64_t i = 0; i < n_train; i++) {
                if (times[train[i]] > last) last = times[train[i]];
            }
            for (int64_t i = 0; i < n_valid; i++) {
                if (times[valid[i]] < first) first = times[valid[i]];
            }
            CHECK(last < first);
            qn_free(valid);
            qn_free(train);
        }
        qn_folds_release(&folds);
        qn_frame_free(t.frame);
    }
}

static void folds_keep_groups_whole(void **state)
{
    (void)state;
    struct table t;
    table_init(&t, 2);
    t.columns[0].role = QN_ROLE_GROUP;
    qn_folds folds;
    qn_error err = {0};
    const qn_split_request request = request_of(&t);
    CHECK_OK(qn_folds_create(&request, &folds, &err));
    for (int i = 1; i < ROWS; i++) {
        if (i / 7 == (i - 1) / 7) CHECK_INT(folds.fold_of[i], folds.fold_of[i - 1]);
    }
    qn_folds_release(&folds);
    qn_frame_free(t.frame);
}

static qn_status cut_and_fold(const qn_split_request *request)
{
    qn_split split = {0};
    qn_folds folds = {0};
    qn_status status = qn_split_test(request, &split, NULL);
    if (status == QN_OK) status = qn_folds_create(request, &folds, NULL);
    qn_split_release(&split);
    qn_folds_release(&folds);
    return status;
}

static void splitting_survives_running_out_of_memory(void **state)
{
    (void)state;
    for (int col = -1; col < 3; col++) {
        static const qn_role roles[] = {QN_ROLE_GROUP, QN_ROLE_TIME, QN_ROLE_SPLIT};
        struct table t;
        table_init(&t, 0);
        if (col >= 0) t.columns[col].role = roles[col];
        const qn_split_request request = request_of(&t);
        CHECK_SURVIVES_NO_MEMORY(cut_and_fold(&request));
        qn_frame_free(t.frame);
    }
}

RUN_TESTS(TEST(a_stratified_test_part_has_its_share_of_every_class),
          TEST(numbers_are_stratified_by_their_order), TEST(the_seed_alone_decides),
          TEST(groups_stay_whole_and_near_the_size_asked_for),
          TEST(the_latest_rows_test_and_moments_stay_whole),
          TEST(a_column_says_who_tests_and_who_validates),
          TEST(a_class_that_could_not_be_trained_on_is_named),
          TEST(fractions_out_of_range_are_refused),
          TEST(every_row_validates_once_and_classes_are_spread),
          TEST(rare_classes_are_trained_on_in_every_fold), TEST(time_folds_train_on_the_past_alone),
          TEST(folds_keep_groups_whole), TEST(splitting_survives_running_out_of_memory))
