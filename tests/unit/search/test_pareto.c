/* SPDX-License-Identifier: Apache-2.0 */
#include "base/rng.h"
#include "search/study/pareto.h"

#include "check.h"

static double volume_of(const double *points, int64_t n, int64_t n_objectives,
                        const double *reference)
{
    qn_error err = {0};
    double volume;
    CHECK_OK(qn_hypervolume(points, n, n_objectives, reference, &volume, &err));
    return volume;
}

static void hypervolumes_of_a_few_points_are_known(void **state)
{
    (void)state;
    static const double ones[] = {1, 1, 1, 1};
    CHECK(volume_of(NULL, 0, 3, ones) == 0);
    CHECK(volume_of((double[]){0.25, 0.5}, 2, 1, ones) == 0.75);
    CHECK(volume_of((double[]){0.5, 0, 0, 0.5}, 2, 2, ones) == 0.75);
    /* Dominated, twice the same, outside, and just at the reference. */
    CHECK(volume_of((double[]){0.5, 0, 0, 0.5, 0.5, 0.5, 0, 0.5, 2, -9, 1, 0}, 6, 2, ones) == 0.75);
    /* Three slabs: 3 × 1/2 - 3 × 1/4 + 1/8. */
    CHECK(volume_of((double[]){0.5, 0, 0, 0, 0.5, 0, 0, 0, 0.5}, 3, 3, ones) == 0.875);
    CHECK(volume_of((double[]){0.5, 0, 0, 0, 0, 0.5, 0, 0}, 2, 4, ones) == 0.75);
}

/* The share of random points that some point dominates. */
static double estimate(const double *points, int64_t n, int64_t m, qn_rng *rng)
{
    enum { N_DRAWS = 40000 };
    int64_t hits = 0;
    for (int draw = 0; draw < N_DRAWS; draw++) {
        double x[5];
        bool hit = false;
        for (int64_t k = 0; k < m; k++) {
            x[k] = qn_rng_uniform(rng);
        }
        for (int64_t i = 0; i < n && !hit; i++) {
            hit = true;
            for (int64_t k = 0; k < m; k++) {
                hit &= points[i * m + k] <= x[k];
            }
        }
        hits += hit;
    }
    return (double)hits / N_DRAWS;
}

static void hypervolumes_are_what_random_points_estimate(void **state)
{
    (void)state;
    static const double ones[] = {1, 1, 1, 1, 1};
    qn_rng rng;
    qn_rng_init(&rng, 5, 0);
    for (int64_t m = 2; m <= 5; m++) {
        double points[12 * 5];
        for (int64_t i = 0; i < 12 * m; i++) {
            points[i] = qn_rng_uniform(&rng);
        }
        CHECK_NEAR(volume_of(points, 12, m, ones), estimate(points, 12, m, &rng), 0.01);
    }
}

static void a_front_keeps_what_nothing_dominates(void **state)
{
    (void)state;
    double losses[][2] = {{3, 3}, {1, 5}, {4, 4}, {2, 2}, {5, 1}, {2, 2}, {1, 1}};
    static const int64_t expected[] = {1, 2, 2, 2, 3, 4, 1};
    qn_trial_record trials[7];
    const qn_trial_record *front[7];
    int64_t n = 0;
    for (int i = 0; i < 7; i++) {
        trials[i] = (qn_trial_record){.number = i, .state = QN_TRIAL_COMPLETE, .losses = losses[i]};
        CHECK_INT(qn_pareto_insert(front, &n, &trials[i], 2), i != 2);
        CHECK_INT(n, expected[i]);
    }
    CHECK(front[0] == &trials[6]);
}

static void hypervolumes_survive_running_out_of_memory(void **state)
{
    (void)state;
    static const double points[] = {0, 1, 1, 0}, reference[] = {2, 2};
    double volume;
    CHECK_SURVIVES_NO_MEMORY(qn_hypervolume(points, 2, 2, reference, &volume, NULL));
    CHECK(volume == 3);
}

RUN_TESTS(TEST(hypervolumes_of_a_few_points_are_known),
          TEST(hypervolumes_are_what_random_points_estimate),
          TEST(a_front_keeps_what_nothing_dominates),
          TEST(hypervolumes_survive_running_out_of_memory))
