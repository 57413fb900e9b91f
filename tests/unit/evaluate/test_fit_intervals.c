/* SPDX-License-Identifier: Apache-2.0 */
/* Prediction intervals: the ends against MAPIE's (tests/golden/intervals), coverage by simulation.
 */
#include "evaluate/fit_intervals.h"

#include "base/rng.h"

#include "golden.h"

enum { N = 5000, N_GOLDEN_MAX = 500 };

static double target[N], predicted[N], weights[N];

static qn_metric_input input_of(int64_t n)
{
    return (qn_metric_input){
        .task = QN_TASK_REGRESSION, .n_rows = n, .target = target, .predicted = predicted};
}

static void read_numbers(qn_json_value list, double *out)
{
    CHECK(qn_json_size(list) <= N_GOLDEN_MAX);
    for (int64_t i = 0; i < qn_json_size(list); i++) {
        out[i] = qn_json_as_double(qn_json_at(list, i), QN_NA);
    }
}

static void ends_are_those_of_mapie(void **state)
{
    (void)state;
    qn_error err = {0};
    qn_json *json = read_golden("intervals");
    int n_compared = 0;
    for (int64_t c = 0; c < qn_json_size(qn_json_root(json)); c++) {
        const qn_json_value golden = qn_json_at(qn_json_root(json), c);
        const qn_json_value levels = qn_json_get(golden, "levels");
        const int64_t n = qn_json_size(qn_json_get(golden, "target"));
        qn_intervals intervals;
        read_numbers(qn_json_get(golden, "target"), target);
        read_numbers(qn_json_get(golden, "predicted"), predicted);
        const qn_metric_input input = input_of(n);
        CHECK_OK(qn_intervals_fit(&input, &intervals, &err));
        CHECK_INT(intervals.n_groups, 1);
        for (int64_t i = 0; i < qn_json_size(levels); i++, n_compared++) {
            const qn_json_value ends = qn_json_at(qn_json_get(golden, "ends"), i);
            const int level = qn_interval_level_find(qn_json_as_double(qn_json_at(levels, i), 0));
            CHECK_NEAR(intervals.offsets[2 * level], qn_json_as_double(qn_json_at(ends, 0), QN_NA),
                       1e-12);
            CHECK_NEAR(intervals.offsets[2 * level + 1],
                       qn_json_as_double(qn_json_at(ends, 1), QN_NA), 1e-12);
        }
        qn_intervals_release(&intervals);
    }
    CHECK(n_compared >= 20);
    qn_json_free(json);
}

/* Errors that grow with the prediction and lean to one side. */
static void draw(qn_rng *rng, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        predicted[i] = 10 * qn_rng_uniform(rng);
        target[i] = predicted[i] + (0.1 + predicted[i]) * (-log(1 - qn_rng_uniform(rng)) - 1);
        weights[i] = 1;
    }
}

static void new_rows_are_covered_as_promised(void **state)
{
    (void)state;
    qn_error err = {0};
    qn_rng rng;
    qn_intervals intervals;
    qn_predictor predictor = {.low = QN_NA, .high = QN_NA};
    qn_rng_init(&rng, 5, 0);
    draw(&rng, N);
    qn_metric_input input = input_of(N);
    CHECK_OK(qn_intervals_fit(&input, &intervals, &err));
    CHECK_INT(intervals.n_groups, QN_INTERVAL_GROUPS_MAX);
    predictor.intervals = intervals;
    draw(&rng, N);
    for (int level = 0; level < QN_INTERVAL_LEVELS; level++) {
        const double wanted = qn_interval_levels[level];
        int64_t n_held[2] = {0}, n_rows[2] = {0};
        for (int64_t i = 0; i < N; i++) {
            double low, high;
            const int half = predicted[i] > 5;
            qn_predictor_interval(&predictor, level, &predicted[i], &low, &high);
            CHECK(low <= predicted[i] && predicted[i] <= high);
            n_held[half] += low <= target[i] && target[i] <= high;
            n_rows[half]++;
        }
        for (int half = 0; half < 2; half++) { /* not only on the whole */
            CHECK_NEAR((double)n_held[half] / (double)n_rows[half], wanted,
                       0.015 + 4 * sqrt(wanted * (1 - wanted) / (double)n_rows[half]));
        }
    }
    qn_evaluation evaluation = {.interval_coverage = QN_NA, .interval_width = QN_NA};
    input = input_of(N);
    qn_intervals_assess(&predictor, &input, &evaluation);
    CHECK_NEAR(evaluation.interval_coverage, 0.95, 0.025); /* errors differ within a group */
    CHECK(evaluation.interval_width > 0);
    predictor.intervals = (qn_intervals){0};
    evaluation.interval_coverage = QN_NA;
    qn_intervals_assess(&predictor, &input, &evaluation);
    CHECK(isnan(evaluation.interval_coverage));
    qn_intervals_release(&intervals);
}

/* A row of weight 0 counts for nothing; the others as if it were not there, but for the place that
 * the new row takes. */
static void weights_count(void **state)
{
    (void)state;
    qn_error err = {0};
    qn_rng rng;
    qn_intervals plain, weighted;
    qn_rng_init(&rng, 6, 0);
    draw(&rng, 200);
    qn_metric_input input = input_of(200);
    CHECK_OK(qn_intervals_fit(&input, &plain, &err));
    input.weights = weights;
    CHECK_OK(qn_intervals_fit(&input, &weighted, &err));
    CHECK(memcmp(plain.offsets, weighted.offsets, 2 * QN_INTERVAL_LEVELS * sizeof(double)) == 0);
    qn_intervals_release(&weighted);
    for (int i = 0; i < 200; i++) {
        weights[i] = target[i] > predicted[i] ? 0.001 : 1;
    }
    CHECK_OK(qn_intervals_fit(&input, &weighted, &err));
    CHECK(weighted.offsets[1] < plain.offsets[1]); /* the upper end of level 0.5 */
    qn_intervals_release(&weighted);
    qn_intervals_release(&plain);
}

static void what_tells_nothing_gives_none(void **state)
{
    (void)state;
    qn_error err = {0};
    qn_rng rng;
    qn_intervals intervals;
    qn_rng_init(&rng, 7, 0);
    draw(&rng, 300);
    qn_metric_input input = input_of(QN_INTERVAL_ROWS_MIN - 1);
    CHECK_OK(qn_intervals_fit(&input, &intervals, &err));
    CHECK_INT(intervals.n_groups, 0);
    predicted[250] = QN_INF;
    input = input_of(300);
    CHECK_OK(qn_intervals_fit(&input, &intervals, &err));
    CHECK_INT(intervals.n_groups, 0);
    for (int i = 0; i < 300; i++) {
        predicted[i] = 1; /* one centre: groups of the same prediction */
        target[i] = 1;
    }
    CHECK_OK(qn_intervals_fit(&input, &intervals, &err));
    double low, high;
    qn_intervals_at(&intervals, 3, 1, &low, &high);
    CHECK(low == 1 && high == 1);
    qn_intervals_at(&intervals, 3, QN_NA, &low, &high);
    CHECK(isnan(low) && isnan(high));
    qn_intervals_release(&intervals);
}

/* Two groups with centres 0 and 10: between them the ends move in a straight line. */
static qn_intervals two_groups(void)
{
    qn_intervals intervals = {0};
    CHECK(qn_intervals_reserve(&intervals, 2));
    intervals.centres[0] = 0;
    intervals.centres[1] = 10;
    for (int i = 0; i < 2 * QN_INTERVAL_LEVELS; i++) {
        intervals.offsets[i] = i % 2 ? 1 : -1;
        intervals.offsets[2 * QN_INTERVAL_LEVELS + i] = i % 2 ? 3 : -5;
    }
    return intervals;
}

static void ends_do_not_jump(void **state)
{
    (void)state;
    static const double at[][3] = {{-7, -8, -6}, {0, -1, 1},   {5, 2, 7},
                                   {10, 5, 13},  {20, 15, 23}, {2.5, 0.5, 4}};
    qn_intervals intervals = two_groups();
    for (size_t i = 0; i < sizeof at / sizeof *at; i++) {
        double low, high;
        qn_intervals_at(&intervals, 1, at[i][0], &low, &high);
        CHECK_NEAR(low, at[i][1], 1e-12);
        CHECK_NEAR(high, at[i][2], 1e-12);
    }
    intervals.offsets[2] = 0.5; /* all targets of level 0.8 lay above */
    double low, high;
    qn_intervals_at(&intervals, 1, 0, &low, &high);
    CHECK(low == 0 && high == 1);
    qn_intervals_release(&intervals);
}

static void they_outlive_a_file_and_damage_is_refused(void **state)
{
    (void)state;
    qn_error err = {0};
    qn_writer writer = {0};
    qn_intervals intervals = two_groups(), back = {0};
    qn_intervals_write(&intervals, &writer);
    qn_reader reader = {.data = writer.data, .bytes = writer.bytes};
    CHECK_OK(qn_intervals_read(&reader, &back, &err));
    CHECK_INT(back.n_groups, 2);
    CHECK(memcmp(back.offsets, intervals.offsets, 4 * QN_INTERVAL_LEVELS * sizeof(double)) == 0);
    qn_intervals_release(&back);
    for (size_t n = 0; n < writer.bytes; n++) {
        reader = (qn_reader){.data = writer.data, .bytes = n};
        CHECK_FAILS(QN_ERR_DATA, qn_intervals_read(&reader, &back, &err));
        CHECK_INT(back.n_groups, 0);
    }
    qn_writer_release(&writer);
    intervals.centres[1] = -1; /* not ascending */
    qn_intervals_write(&intervals, &writer);
    reader = (qn_reader){.data = writer.data, .bytes = writer.bytes};
    CHECK_FAILS(QN_ERR_DATA, qn_intervals_read(&reader, &back, &err));
    qn_writer_release(&writer);
    qn_intervals_release(&intervals);
}

static void levels_are_read(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int level;
    } good[] = {{"", 3}, {"true", 3}, {"0.5", 0}, {"0.80", 1}, {"90%", 2}, {"99%", 4}, {".95", 3}};
    static const char *const bad[] = {"0.7", "1", "nan", "95", "%", "0.9x", "-0.9"};
    qn_error err = {0};
    int level;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        CHECK_OK(qn_interval_level_read(good[i].text, strlen(good[i].text), &level, &err));
        CHECK_INT(level, good[i].level);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        CHECK_FAILS(QN_ERR_ARG, qn_interval_level_read(bad[i], strlen(bad[i]), &level, &err));
        CHECK_CONTAINS(err.message, "is none of 0.5, 0.8, 0.9, 0.95, 0.99");
    }
}

static void fitting_survives_running_out_of_memory(void **state)
{
    (void)state;
    qn_rng rng;
    qn_intervals intervals;
    qn_rng_init(&rng, 8, 0);
    draw(&rng, 600);
    const qn_metric_input input = input_of(600);
    CHECK_SURVIVES_NO_MEMORY(qn_intervals_fit(&input, &intervals, NULL));
    qn_intervals_release(&intervals);
}

RUN_TESTS(TEST(ends_are_those_of_mapie), TEST(new_rows_are_covered_as_promised),
          TEST(weights_count), TEST(what_tells_nothing_gives_none), TEST(ends_do_not_jump),
          TEST(they_outlive_a_file_and_damage_is_refused), TEST(levels_are_read),
          TEST(fitting_survives_running_out_of_memory))
