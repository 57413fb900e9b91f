/* SPDX-License-Identifier: Apache-2.0 */
#include "learn/tree/isolation.h"

#include "base/rng.h"
#include "base/sort.h"
#include "model/tree_model.h"

#include "check.h"
#include "real_tables.h"

#include <math.h>
#include <string.h>

enum { SEEDS = 5 };

static qn_estimator *fit(const qn_isolation_request *request)
{
    qn_error err = {0};
    qn_estimator *forest = NULL;
    CHECK_OK(qn_isolation_fit(request, &forest, &err));
    CHECK(forest->view == QN_VIEW_TREE && forest->n_outputs == 1);
    return forest;
}

static void score(const qn_isolation_request *request, double *scores)
{
    qn_error err = {0};
    qn_estimator *forest = fit(request);
    CHECK_OK(qn_estimator_predict(forest, request->features, request->pool, scores, &err));
    qn_estimator_free(forest);
}

static void depths_are_those_of_the_paper(void **state)
{
    (void)state;
    CHECK(qn_isolation_depth(0) == 0 && qn_isolation_depth(1) == 0);
    CHECK_NEAR(qn_isolation_depth(2), 1, 1e-15);
    CHECK_NEAR(qn_isolation_depth(3), 2 * 1.5 - 4.0 / 3, 1e-15);
    double harmonic = 0; /* the series takes over from the sum within this range */
    for (int64_t n = 2; n <= 5000; n++) {
        harmonic += 1 / (double)(n - 1);
        CHECK_NEAR(qn_isolation_depth(n), 2 * harmonic - 2 * (double)(n - 1) / (double)n, 1e-12);
    }
}

static void two_rows_score_a_half(void **state)
{
    (void)state;
    double values[2] = {1, 2}, scores[2];
    const qn_matrix x = {.n_rows = 2, .n_dense = 1, .stride = 2, .dense = values};
    score(&(qn_isolation_request){.features = &x}, scores);
    CHECK(scores[0] == 0.5 && scores[1] == 0.5);
}

static void one_row_is_refused(void **state)
{
    (void)state;
    double value = 1;
    qn_error err = {0};
    qn_estimator *forest = NULL;
    const qn_matrix x = {.n_rows = 1, .n_dense = 1, .stride = 1, .dense = &value};
    CHECK_FAILS(QN_ERR_DATA,
                qn_isolation_fit(&(qn_isolation_request){.features = &x}, &forest, &err));
    CHECK(forest == NULL);
}

static void columns_that_do_not_vary_isolate_nothing(void **state)
{
    (void)state;
    enum { N = 50 };
    double values[3 * N], scores[N], savings[3];
    for (int i = 0; i < N; i++) {
        values[i] = 7;
        values[N + i] = QN_NA;
        values[2 * N + i] = i % 2 ? 3 : QN_NA; /* nothing but one number */
    }
    const qn_matrix x = {.n_rows = N, .n_dense = 3, .stride = N, .dense = values};
    const qn_isolation_request request = {.features = &x};
    score(&request, scores);
    for (int i = 0; i < N; i++) {
        CHECK_NEAR(scores[i], 0.5, 1e-12);
    }
    qn_estimator *forest = fit(&request);
    qn_isolation_savings(forest, &x, 0, savings);
    CHECK(savings[0] == 0 && savings[1] == 0 && savings[2] == 0);
    qn_estimator_free(forest);
}

enum { CROWD = 1000, PLANTED = 4, COLUMNS = 4, ROWS = CROWD + PLANTED };

/* A crowd of normal numbers, some missing; the last rows are far away in columns p and p + 1,
 * modulo COLUMNS. */
static void plant(double *values)
{
    qn_rng rng;
    qn_rng_init(&rng, 1, 2);
    for (int i = 0; i < ROWS * COLUMNS; i++) {
        values[i] = qn_rng_below(&rng, 20) == 0 ? QN_NA : qn_rng_normal(&rng);
    }
    for (int p = 0; p < PLANTED; p++) {
        values[p % COLUMNS * ROWS + CROWD + p] = p % 2 ? -15 : 12;
        values[(p + 1) % COLUMNS * ROWS + CROWD + p] = p < 2 ? -12 : 15;
    }
}

static void planted_outliers_are_found_and_explained(void **state)
{
    (void)state;
    double values[ROWS * COLUMNS], scores[ROWS], savings[COLUMNS], most = 0;
    plant(values);
    const qn_matrix x = {.n_rows = ROWS, .n_dense = COLUMNS, .stride = ROWS, .dense = values};
    const qn_isolation_request request = {.features = &x, .n_estimators = 200};
    score(&request, scores);
    for (int i = 0; i < CROWD; i++) {
        most = scores[i] > most ? scores[i] : most;
    }
    qn_estimator *forest = fit(&request);
    for (int p = 0; p < PLANTED; p++) {
        const int64_t row = CROWD + p;
        double sum = 0;
        CHECK(scores[row] > most && scores[row] > 0.6);
        qn_isolation_savings(forest, &x, row, savings);
        for (int c = 0; c < COLUMNS; c++) {
            sum += savings[c];
            const bool planted = c == p % COLUMNS || c == (p + 1) % COLUMNS;
            CHECK(planted ? savings[c] > 1 : savings[c] < 0.5);
        }
        CHECK_NEAR(pow(2, sum / qn_isolation_depth(256) - 1), scores[row], 1e-12);
    }
    qn_estimator_free(forest);
}

static void rare_levels_and_unknown_ones_are_set_apart(void **state)
{
    (void)state;
    enum { N = 600 };
    double values[2 * N], scores[N];
    const qn_feature described[2] = {{.categorical = true, .n_levels = 3}, {0}};
    for (int i = 0; i < N; i++) {
        values[i] = i == 0 ? QN_NA : i == 1 ? 2 : i % 2;
        values[N + i] = i == 2 ? QN_NA : i % 7;
    }
    const qn_matrix x = {.n_rows = N, .n_dense = 2, .stride = N, .dense = values};
    score(&(qn_isolation_request){.features = &x, .described = described, .max_samples = N},
          scores);
    for (int i = 2; i < N; i++) {
        CHECK(scores[i] < scores[0] && scores[i] < scores[1]);
        CHECK(scores[2] <= scores[0]); /* a missing number says nothing */
    }
    CHECK(scores[2] < 0.55);
}

/* Of 600 rows 300 have level 0, 200 none, 99 level 1 and one level 2: to have none is as common as
 * its rank says. */
static void a_category_that_is_often_missing_is_no_outlier(void **state)
{
    (void)state;
    enum { N = 600 };
    double values[N], scores[N];
    const qn_feature described = {.categorical = true, .n_levels = 3};
    for (int i = 0; i < N; i++) {
        values[i] = i < 300 ? 0 : i < 500 ? QN_NA : i < 599 ? 1 : 2;
    }
    const qn_matrix x = {.n_rows = N, .n_dense = 1, .stride = N, .dense = values};
    score(&(qn_isolation_request){.features = &x, .described = &described}, scores);
    CHECK(scores[599] > scores[500] && scores[500] > scores[300]);
}

static void any_number_of_threads_gives_the_same_bytes(void **state)
{
    (void)state;
    double values[ROWS * COLUMNS], one[ROWS], two[ROWS];
    plant(values);
    const qn_matrix x = {.n_rows = ROWS, .n_dense = COLUMNS, .stride = ROWS, .dense = values};
    qn_pool *pool = qn_pool_create(3);
    score(&(qn_isolation_request){.features = &x, .seed = 7}, one);
    score(&(qn_isolation_request){.features = &x, .seed = 7, .pool = pool}, two);
    CHECK(memcmp(one, two, sizeof one) == 0);
    score(&(qn_isolation_request){.features = &x, .seed = 8}, two);
    CHECK(memcmp(one, two, sizeof one) != 0);
    qn_pool_free(pool);
}

static void endless_values_are_no_trouble(void **state)
{
    (void)state;
    double values[6] = {-QN_INF, 1, 2, 3, QN_INF, 1e308}, scores[6];
    const qn_matrix x = {.n_rows = 6, .n_dense = 1, .stride = 6, .dense = values};
    score(&(qn_isolation_request){.features = &x}, scores);
    for (int i = 0; i < 6; i++) {
        CHECK(scores[i] > 0 && scores[i] < 1);
    }
}

static void thresholds_let_a_share_pass(void **state)
{
    (void)state;
    double scores[10] = {0.5, 0.4, 0.9, 0.1, 0.7, 0.2, 0.3, 0.7, 0.6, 0.15}, threshold;
    qn_error err = {0};
    CHECK_OK(qn_isolation_threshold(scores, 10, 0.1, &threshold, &err));
    CHECK_NEAR(threshold, 0.8, 1e-12);
    CHECK_OK(qn_isolation_threshold(scores, 10, 0.2, &threshold, &err)); /* two tie: one is left */
    CHECK(threshold > 0.7 && threshold < 0.9);
    CHECK_OK(qn_isolation_threshold(scores, 10, 0.01, &threshold, &err)); /* less than a row */
    CHECK(threshold > 0.9 && threshold < 0.91);
    CHECK_OK(qn_isolation_threshold(scores, 1, 0.5, &threshold, &err));
    CHECK(threshold > scores[0]);
}

static void stopping_at_once_is_reported(void **state)
{
    (void)state;
    double values[2] = {1, 2};
    qn_error err = {0};
    qn_estimator *forest = NULL;
    const volatile sig_atomic_t interrupted = 1;
    const qn_stop stop = {.interrupted = &interrupted};
    const qn_matrix x = {.n_rows = 2, .n_dense = 1, .stride = 2, .dense = values};
    const qn_isolation_request request = {.features = &x, .stop = &stop};
    CHECK_FAILS(QN_ERR_INTERRUPTED, qn_isolation_fit(&request, &forest, &err));
}

static void running_out_of_memory_leaves_nothing(void **state)
{
    (void)state;
    double values[12] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 99}, scores[12], threshold;
    const qn_matrix x = {.n_rows = 12, .n_dense = 1, .stride = 12, .dense = values};
    const qn_isolation_request request = {.features = &x, .n_estimators = 20};
    qn_estimator *forest = NULL;
    CHECK_SURVIVES_NO_MEMORY(qn_isolation_fit(&request, &forest, NULL));
    qn_estimator_free(forest);
    memcpy(scores, values, sizeof scores);
    CHECK_SURVIVES_NO_MEMORY(qn_isolation_threshold(scores, 12, 0.1, &threshold, NULL));
}

/* Numbers of the golden case's columns, as they are. */
static void take_columns(const real_table *t, qn_json_value names, qn_matrix *x)
{
    qn_error err = {0};
    CHECK_OK(qn_matrix_init(x, t->frame->n_rows, qn_json_size(names), &err));
    for (int64_t f = 0; f < x->n_dense; f++) {
        const qn_column *column = real_column(t, qn_json_as_text(qn_json_at(names, f), ""));
        for (int64_t i = 0; i < x->n_rows; i++) {
            x->dense[f * x->stride + i] = qn_column_number(column, i);
        }
    }
}

static bool is_odd(const qn_column *label, int64_t row, const char *odd)
{
    char scratch[QN_VALUE_TEXT_BYTES];
    size_t bytes;
    const char *text = qn_column_text(label, row, scratch, &bytes);
    if (bytes > 1 && *text == '\'') {
        text++;
        bytes -= 2;
    }
    return bytes == strlen(odd) && memcmp(text, odd, bytes) == 0;
}

/* Ranks from 1, those of equal values their mean, as scipy.stats.rankdata() gives them. */
static void rank(const double *values, int64_t n, double *ranks)
{
    int32_t *order = qn_alloc_array(n, sizeof *order);
    CHECK(qn_sort_order(values, n, order));
    for (int64_t i = 0, end; i < n; i = end) {
        for (end = i + 1; end < n && values[order[end]] == values[order[i]];) {
            end++;
        }
        for (int64_t j = i; j < end; j++) {
            ranks[order[j]] = 0.5 * (double)(i + 1 + end);
        }
    }
    qn_free(order);
}

static double area(const double *scores, const real_table *t, const qn_column *label,
                   const char *odd)
{
    const int64_t n = t->frame->n_rows;
    double *ranks = qn_alloc_array(n, sizeof *ranks), sum = 0, n_odd = 0;
    rank(scores, n, ranks);
    for (int64_t i = 0; i < n; i++) {
        if (!is_odd(label, i, odd)) continue;
        sum += ranks[i];
        n_odd++;
    }
    qn_free(ranks);
    return (sum - n_odd * (n_odd + 1) / 2) / (n_odd * ((double)n - n_odd));
}

static double mean_of(const double *values, double *variance)
{
    double mean = 0, squares = 0;
    for (int i = 0; i < SEEDS; i++) {
        mean += values[i] / SEEDS;
    }
    for (int i = 0; i < SEEDS; i++) {
        squares += (values[i] - mean) * (values[i] - mean);
    }
    *variance = squares / (SEEDS - 1);
    return mean;
}

/* Means over seeds differ by no more than three standard errors of their difference. */
static void check_areas(const double *own, qn_json_value reference, const char *table)
{
    double theirs[SEEDS], own_variance, their_variance;
    CHECK_INT(qn_json_size(reference), SEEDS);
    for (int s = 0; s < SEEDS; s++) {
        theirs[s] = qn_json_as_double(qn_json_at(reference, s), QN_NA);
    }
    const double mean = mean_of(own, &own_variance), other = mean_of(theirs, &their_variance);
    const double error = sqrt((own_variance + their_variance) / SEEDS);
    if (!(fabs(mean - other) <= 3 * error)) {
        fail_msg("%s: area %.4f, scikit-learn's %.4f +- %.4f", table, mean, other, error);
    }
}

static void check_ranks(const double *scores, qn_json_value reference, const char *table)
{
    const int64_t n = qn_json_size(reference);
    double *ranks = qn_alloc_array(n, sizeof *ranks), product = 0, own = 0, theirs = 0;
    rank(scores, n, ranks);
    for (int64_t i = 0; i < n; i++) {
        const double a = ranks[i] - 0.5 * (double)(n + 1);
        const double b = qn_json_as_double(qn_json_at(reference, i), QN_NA) - 0.5 * (double)(n + 1);
        product += a * b;
        own += a * a;
        theirs += b * b;
    }
    qn_free(ranks);
    const double correlation = product / sqrt(own * theirs);
    if (!(correlation >= 0.95)) fail_msg("%s: rank correlation %.4f", table, correlation);
}

static void check_case(qn_json_value golden, const char *path)
{
    real_table t = {0};
    qn_error err = {0};
    qn_matrix x;
    const char *table = case_text(golden, "table"), *odd = case_text(golden, "odd");
    CHECK_OK(qn_frame_read(path, 1, &t.frame, &err));
    const int64_t n = t.frame->n_rows;
    CHECK_INT(n, qn_json_as_int(qn_json_get(golden, "rows"), 0));
    take_columns(&t, qn_json_get(golden, "columns"), &x);
    const qn_column *label = real_column(&t, case_text(golden, "label"));
    double *scores = qn_alloc_aligned(n, sizeof *scores), *means = qn_alloc_array(n, sizeof *means);
    double areas[SEEDS];
    for (int s = 0; s < SEEDS; s++) {
        score(&(qn_isolation_request){.features = &x, .seed = (uint64_t)s + 1}, scores);
        areas[s] = area(scores, &t, label, odd);
        for (int64_t i = 0; i < n; i++) {
            means[i] += scores[i] / SEEDS;
        }
    }
    check_areas(areas, qn_json_get(golden, "auc"), table);
    check_ranks(means, qn_json_get(golden, "ranks"), table);
    qn_free(scores);
    qn_free(means);
    qn_matrix_release(&x);
    qn_frame_free(t.frame);
}

static void scores_on_real_tables_are_scikit_learns(void **state)
{
    (void)state;
    qn_json *json = read_golden("isolation");
    const qn_json_value cases = qn_json_root(json);
    for (int64_t i = 0; i < qn_json_size(cases); i++) {
        char path[512];
        if (has_real_table(qn_json_at(cases, i), path, sizeof path)) {
            check_case(qn_json_at(cases, i), path);
        } else {
            printf("%s is not there: skipped\n", path);
        }
    }
    qn_json_free(json);
}

RUN_TESTS(TEST(depths_are_those_of_the_paper), TEST(two_rows_score_a_half),
          TEST(one_row_is_refused), TEST(columns_that_do_not_vary_isolate_nothing),
          TEST(planted_outliers_are_found_and_explained),
          TEST(rare_levels_and_unknown_ones_are_set_apart),
          TEST(a_category_that_is_often_missing_is_no_outlier),
          TEST(any_number_of_threads_gives_the_same_bytes), TEST(endless_values_are_no_trouble),
          TEST(thresholds_let_a_share_pass), TEST(stopping_at_once_is_reported),
          TEST(running_out_of_memory_leaves_nothing), TEST(scores_on_real_tables_are_scikit_learns))
