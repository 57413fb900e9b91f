/* SPDX-License-Identifier: Apache-2.0 */
/* Directions of several objectives, and who survives by them. */
#include "search/samplers/reference_points.h"

#include "base/alloc.h"
#include "check.h"

static void points_are_all_multiples_that_sum_to_one(void **state)
{
    (void)state;
    /* objectives, divisions, wanted; how many: binomial(divisions + objectives - 1, divisions) */
    static const int64_t cases[][4] = {{3, 4, 0, 15},  {3, 12, 0, 91}, {2, 0, 50, 50},
                                       {3, 0, 91, 91}, {3, 0, 90, 78}, {5, 0, 1, 5},
                                       {1, 0, 50, 1},  {16, 1, 0, 16}};
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        qn_error err = {0};
        double *points;
        int64_t n;
        CHECK_OK(qn_reference_points(cases[c][0], cases[c][1], cases[c][2], &points, &n, &err));
        CHECK_INT(n, cases[c][3]);
        for (int64_t i = 0; i < n; i++) {
            double sum = 0;
            for (int64_t m = 0; m < cases[c][0]; m++) {
                const double x = points[i * cases[c][0] + m];
                CHECK(x >= 0 && x <= 1);
                sum += x;
            }
            CHECK_NEAR(sum, 1, 1e-12);
            const size_t bytes = (size_t)cases[c][0] * sizeof *points;
            if (i > 0) CHECK(memcmp(points + i * cases[c][0], points, bytes) != 0);
        }
        qn_free(points);
    }
}

static void too_many_points_are_refused(void **state)
{
    (void)state;
    qn_error err = {0};
    double *points;
    int64_t n;
    CHECK_FAILS(QN_ERR_ARG, qn_reference_points(8, 100000, 50, &points, &n, &err));
    CHECK_CONTAINS(err.message, "100000 divisions of 8 objectives");
    CHECK(!points && n == 0);
}

/* Trials on the front f1 + f2 = 10 at f1 = 0 … 10, crowded near 0 or not, and a dominated one. */
enum { N = 9 };
static double losses[N][2] = {{0, 100},  {0.1, 99}, {0.2, 98}, {0.3, 97}, {2.5, 75},
                              {5.1, 49}, {7.5, 25}, {10, 0},   {9, 90}};

static qn_status choose(int64_t n_best, int32_t *best, int32_t *fronts, qn_error *err)
{
    qn_trial_record records[N];
    const qn_trial_record *trials[N];
    for (int i = 0; i < N; i++) {
        records[i] = (qn_trial_record){.number = i, .losses = losses[i]};
        trials[i] = &records[i];
    }
    double *points;
    int64_t n_points;
    qn_rng rng;
    qn_rng_init(&rng, 3, 0);
    QN_TRY(qn_reference_points(2, 4, 0, &points, &n_points, err));
    const qn_status status = qn_reference_select(&(qn_reference_request){.trials = trials,
                                                                         .n = N,
                                                                         .n_objectives = 2,
                                                                         .points = points,
                                                                         .n_points = n_points,
                                                                         .rng = &rng},
                                                 n_best, best, fronts, err);
    qn_free(points);
    return status;
}

static void one_survives_for_each_direction(void **state)
{
    (void)state;
    qn_error err = {0};
    int32_t best[N], fronts[N];
    bool chosen[N] = {false};
    CHECK_OK(choose(5, best, fronts, &err));
    for (int i = 0; i < 5; i++) {
        CHECK(!chosen[best[i]]);
        CHECK_INT(fronts[i], 0);
        chosen[best[i]] = true;
    }
    /* The scales of the objectives differ by ten, which normalising undoes. */
    CHECK(chosen[0] && chosen[4] && chosen[5] && chosen[6] && chosen[7]);
}

static void earlier_fronts_survive_whole(void **state)
{
    (void)state;
    qn_error err = {0};
    int32_t best[N], fronts[N];
    CHECK_OK(choose(8, best, fronts, &err));
    for (int i = 0; i < 8; i++) {
        CHECK(best[i] != 8);
    }
    CHECK_OK(choose(9, best, fronts, &err));
    CHECK_INT(best[8], 8);
    CHECK_INT(fronts[8], 1);
}

/* Equal trials, one trial, losses that are not numbers for a plane. */
static void degenerate_fronts_are_no_trap(void **state)
{
    (void)state;
    static double flat[3][3] = {{1, 1, 1}, {1, 1, 1}, {1, 1, 1}};
    static double huge[3][3] = {{1e300, 0, 0}, {0, 1e300, 0}, {0, QN_INF, -1e300}};
    double(*const sets[])[3] = {flat, huge};
    for (int set = 0; set < 2; set++) {
        qn_trial_record records[3];
        const qn_trial_record *trials[3];
        qn_error err = {0};
        double *points;
        int64_t n_points;
        int32_t best[3], fronts[3];
        qn_rng rng;
        for (int i = 0; i < 3; i++) {
            records[i] = (qn_trial_record){.number = i, .losses = sets[set][i]};
            trials[i] = &records[i];
        }
        qn_rng_init(&rng, 1, 1);
        CHECK_OK(qn_reference_points(3, 2, 0, &points, &n_points, &err));
        for (int64_t n_best = 1; n_best <= 3; n_best++) {
            CHECK_OK(qn_reference_select(&(qn_reference_request){.trials = trials,
                                                                 .n = 3,
                                                                 .n_objectives = 3,
                                                                 .points = points,
                                                                 .n_points = n_points,
                                                                 .rng = &rng},
                                         n_best, best, fronts, &err));
            for (int64_t i = 0; i < n_best; i++) {
                CHECK(best[i] >= 0 && best[i] < 3 && (i == 0 || best[i] != best[i - 1]));
            }
        }
        qn_free(points);
    }
}

static qn_status choose_four(void)
{
    int32_t best[N], fronts[N];
    return choose(4, best, fronts, NULL);
}

static void selection_survives_running_out_of_memory(void **state)
{
    (void)state;
    CHECK_SURVIVES_NO_MEMORY(choose_four());
}

RUN_TESTS(TEST(points_are_all_multiples_that_sum_to_one), TEST(too_many_points_are_refused),
          TEST(one_survives_for_each_direction), TEST(earlier_fronts_survive_whole),
          TEST(degenerate_fronts_are_no_trap), TEST(selection_survives_running_out_of_memory))
