/* SPDX-License-Identifier: Apache-2.0 */
/* Outliers among the rows that train: a heap of rows, and a few far from it. */
#include "automl/cleaning.h"

#include "automl/fold.h"

#include "tables.h"

enum { N = 200, N_FAR = 4 };

static bool is_far(int row)
{
    return row % 50 == 7;
}

/* Far rows are the only ones of class "rare", if that is asked for. */
static table make_table(bool rare)
{
    qn_str csv = {0};
    unsigned state = 11;
    qn_str_add(&csv, "a,b,colour,y\n");
    for (int i = 0; i < N; i++) {
        state = state * 1103515245 + 12345;
        const unsigned draw = state >> 16;
        if (is_far(i)) {
            qn_str_addf(&csv, "%d,%d,odd,%s\n", 900 + i, -700 - i, rare ? "rare" : "no");
        } else {
            qn_str_addf(&csv, "%.2f,%.2f,%s,%s\n", (draw % 100) / 10.0, (draw / 7 % 100) / 10.0,
                        draw % 2 ? "red" : "blue", draw % 3 ? "no" : "yes");
        }
    }
    const char *const kinds[] = {"a=numeric", "b=numeric", "colour=categorical", NULL};
    const table t = table_from_csv(csv.text, "y", rare ? "multiclass" : "binary", kinds);
    qn_str_release(&csv);
    return t;
}

static qn_cleaning_request request_of(const table *t, const char *text)
{
    qn_error err = {0};
    qn_cleaning_request request = {
        .frame = t->frame, .schema = t->schema, .target = t->target, .seed = 5};
    CHECK_OK(qn_cleaning_parse(text, &request.cleaning, &err));
    return request;
}

static void check_refused(const char *text)
{
    qn_cleaning cleaning;
    qn_error err = {0};
    CHECK_FAILS(QN_ERR_ARG, qn_cleaning_parse(text, &cleaning, &err));
    CHECK_CONTAINS(err.message, "expected flag, weight or drop");
}

static void treatments_are_read(void **state)
{
    (void)state;
    qn_cleaning cleaning;
    qn_error err = {0};
    CHECK_OK(qn_cleaning_parse(NULL, &cleaning, &err));
    CHECK_INT(cleaning.treatment, QN_OUTLIERS_KEEP);
    CHECK_OK(qn_cleaning_parse("weight", &cleaning, &err));
    CHECK_INT(cleaning.treatment, QN_OUTLIERS_WEIGHT);
    CHECK_NEAR(cleaning.contamination, 0.01, 0);
    CHECK_OK(qn_cleaning_parse("drop=0.2", &cleaning, &err));
    CHECK_INT(cleaning.treatment, QN_OUTLIERS_DROP);
    CHECK_NEAR(cleaning.contamination, 0.2, 0);
    check_refused("keep");
    check_refused("dro");
    check_refused("drop=0");
    check_refused("drop=0.6");
    check_refused("drop=");
    check_refused("drop=nan");
    check_refused("flag=1e-3x");
}

static void far_rows_are_dropped_and_the_others_stay_in_order(void **state)
{
    (void)state;
    table t = make_table(false);
    const qn_cleaning_request request = request_of(&t, "drop=0.02");
    int64_t n = N;
    double *factors;
    qn_error err = {0};
    CHECK_OK(qn_cleaning_apply(&request, t.rows, &n, &factors, &err));
    CHECK(factors == NULL);
    CHECK_INT(n, N - N_FAR);
    for (int64_t i = 0; i < n; i++) {
        CHECK(!is_far(t.rows[i]));
        CHECK(i == 0 || t.rows[i] > t.rows[i - 1]);
    }
    table_release(&t);
}

static void far_rows_weigh_less(void **state)
{
    (void)state;
    table t = make_table(false);
    const qn_cleaning_request request = request_of(&t, "weight=0.02");
    int64_t n = N;
    double *factors;
    qn_error err = {0};
    CHECK_OK(qn_cleaning_apply(&request, t.rows, &n, &factors, &err));
    CHECK_INT(n, N);
    for (int i = 0; i < N; i++) {
        CHECK(is_far(i) ? factors[i] > 0 && factors[i] < 1 : factors[i] == 1);
    }
    qn_free(factors);
    table_release(&t);
}

static void rows_that_validate_are_never_touched(void **state)
{
    (void)state;
    static const char *const treatments[] = {"drop=0.02", "weight=0.02"};
    for (int which = 0; which < 2; which++) {
        table t = make_table(false);
        qn_error err = {0};
        qn_fold_set set;
        const qn_fold_request request = {.frame = t.frame,
                                         .schema = t.schema,
                                         .target = t.target,
                                         .rows = t.rows,
                                         .n_rows = N,
                                         .n_folds = 4,
                                         .n_rounds = 1,
                                         .cleaning = request_of(&t, treatments[which]).cleaning,
                                         .seed = 4};
        CHECK_OK(qn_fold_set_create(&request, &set, &err));
        int n_validated = 0;
        for (int f = 0; f < set.n_folds; f++) {
            const qn_fold *fold = &set.folds[f];
            int n_far = 0;
            for (int64_t i = 0; i < fold->n_valid; i++) {
                n_far += is_far(fold->valid[i]);
            }
            n_validated += (int)fold->n_valid;
            CHECK_INT(fold->data.valid.n_rows, fold->n_valid);
            CHECK(fold->data.valid.weights == NULL);
            /* 2 % of 150 rows are three; far ones that train are among them. */
            const int64_t n_cut = N - fold->n_valid - fold->data.train.n_rows;
            if (which == 0) CHECK(n_cut >= N_FAR - n_far - 1 && n_cut <= 3);
            if (which == 1) {
                double sum = 0;
                CHECK_INT(n_cut, 0);
                for (int64_t i = 0; i < fold->data.train.n_rows; i++) {
                    sum += fold->data.train.weights[i];
                }
                CHECK_NEAR(sum, (double)fold->data.train.n_rows, 1e-9);
            }
        }
        CHECK_INT(n_validated, N);
        qn_fold_set_release(&set);
        table_release(&t);
    }
}

/* The forest is grown on the rows given: what stands in others changes nothing. */
static void other_rows_say_nothing(void **state)
{
    (void)state;
    table t = make_table(false);
    const qn_cleaning_request request = request_of(&t, "drop=0.05");
    int32_t before[N], after[N];
    int64_t n_before = 150, n_after = 150;
    double *factors;
    qn_error err = {0};
    memcpy(before, t.rows, sizeof before);
    memcpy(after, t.rows, sizeof after);
    CHECK_OK(qn_cleaning_apply(&request, before, &n_before, &factors, &err));
    for (int i = 150; i < N; i++) {
        t.frame->columns[1].data.doubles[i] = 1e5;
    }
    CHECK_OK(qn_cleaning_apply(&request, after, &n_after, &factors, &err));
    CHECK(n_before < 150);
    CHECK_INT(n_before, n_after);
    CHECK(memcmp(before, after, (size_t)n_before * sizeof *before) == 0);
    table_release(&t);
}

static void a_class_of_outliers_alone_stays(void **state)
{
    (void)state;
    table t = make_table(true);
    const qn_cleaning_request request = request_of(&t, "drop=0.02");
    int64_t n = N;
    double *factors;
    qn_error err = {0};
    CHECK_OK(qn_cleaning_apply(&request, t.rows, &n, &factors, &err));
    CHECK_INT(n, N);
    table_release(&t);
}

static void a_table_with_nothing_to_cut_has_no_outliers(void **state)
{
    (void)state;
    qn_str csv = {0};
    qn_str_add(&csv, "a,y\n");
    for (int i = 0; i < 30; i++) {
        qn_str_addf(&csv, "%d,%d\n", i >= 20, i % 2);
    }
    const char *const kinds[] = {"a=numeric", NULL};
    table t = table_from_csv(csv.text, "y", "binary", kinds);
    const qn_cleaning_request request = request_of(&t, "drop=0.3");
    int64_t n = 20; /* in which the column is constant */
    double *factors;
    qn_error err = {0};
    CHECK_OK(qn_cleaning_apply(&request, t.rows, &n, &factors, &err));
    CHECK_INT(n, 20);
    qn_str_release(&csv);
    table_release(&t);
}

static void findings_name_rows_and_columns(void **state)
{
    (void)state;
    table t = make_table(false);
    const qn_cleaning_request request = request_of(&t, "flag=0.02");
    int64_t n = N;
    double *factors;
    qn_error err = {0};
    CHECK_OK(qn_cleaning_apply(&request, t.rows, &n, &factors, &err));
    CHECK_INT(n, N); /* flagged rows train */
    qn_findings findings = {0};
    CHECK_OK(qn_cleaning_tell(&request, t.rows, N, &findings, &err));
    CHECK_INT(findings.n, 1 + N_FAR);
    CHECK_CONTAINS(findings.items[0].message, "4 of 200 training rows are outliers");
    CHECK_CONTAINS(findings.items[0].message, "they train as they are");
    for (int i = 1; i <= N_FAR; i++) {
        CHECK_INT(findings.items[i].kind, QN_FINDING_OUTLIER);
        CHECK(is_far(atoi(findings.items[i].message + 4) - 1));
        CHECK_CONTAINS(findings.items[i].message, "colour = odd (");
        CHECK_CONTAINS(findings.items[i].message, ", b = -");
    }
    qn_findings_release(&findings);
    table_release(&t);
}

static void threads_change_nothing(void **state)
{
    (void)state;
    table t = make_table(false);
    qn_cleaning_request request = request_of(&t, "weight=0.3");
    int64_t n = N;
    double *alone, *together;
    qn_error err = {0};
    CHECK_OK(qn_cleaning_apply(&request, t.rows, &n, &alone, &err));
    request.pool = qn_pool_create(3);
    CHECK_OK(qn_cleaning_apply(&request, t.rows, &n, &together, &err));
    CHECK(memcmp(alone, together, N * sizeof *alone) == 0);
    qn_free(alone);
    qn_free(together);
    qn_pool_free(request.pool);
    table_release(&t);
}

static void cleaning_survives_running_out_of_memory(void **state)
{
    (void)state;
    table t = make_table(false);
    const qn_cleaning_request request = request_of(&t, "weight");
    int64_t n = N;
    double *factors = NULL;
    CHECK_SURVIVES_NO_MEMORY(qn_cleaning_apply(&request, t.rows, &n, &factors, NULL));
    CHECK_INT(n, N);
    qn_free(factors);
    table_release(&t);
}

static void telling_survives_running_out_of_memory(void **state)
{
    (void)state;
    table t = make_table(false);
    const qn_cleaning_request request = request_of(&t, "flag");
    qn_findings findings = {0};
    CHECK_SURVIVES_NO_MEMORY(
        (qn_findings_release(&findings), qn_cleaning_tell(&request, t.rows, N, &findings, NULL)));
    CHECK_INT(findings.n, 3);
    qn_findings_release(&findings);
    table_release(&t);
}

RUN_TESTS(TEST(treatments_are_read), TEST(far_rows_are_dropped_and_the_others_stay_in_order),
          TEST(far_rows_weigh_less), TEST(rows_that_validate_are_never_touched),
          TEST(other_rows_say_nothing), TEST(a_class_of_outliers_alone_stays),
          TEST(a_table_with_nothing_to_cut_has_no_outliers), TEST(findings_name_rows_and_columns),
          TEST(threads_change_nothing), TEST(cleaning_survives_running_out_of_memory),
          TEST(telling_survives_running_out_of_memory))
