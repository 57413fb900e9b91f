/* SPDX-License-Identifier: Apache-2.0 */
#include "base/rng.h"

#include "check.h"

static void streams_repeat_and_differ(void **state)
{
    (void)state;
    qn_rng a, again, other, next_seed;
    qn_rng_init(&a, 1, 2);
    qn_rng_init(&again, 1, 2);
    qn_rng_init(&other, 1, 3);
    qn_rng_init(&next_seed, 2, 2);
    int n_equal = 0;
    for (int i = 0; i < 1000; i++) {
        const uint64_t value = qn_rng_next(&a);
        CHECK(value == qn_rng_next(&again));
        n_equal += value == qn_rng_next(&other);
        n_equal += value == qn_rng_next(&next_seed);
    }
    CHECK_INT(n_equal, 0);
}

/* 100,000 draws: five standard errors of the mean and variance. */
static void uniforms_and_normals_have_their_moments(void **state)
{
    (void)state;
    enum { N = 100000 };
    qn_rng rng;
    qn_rng_init(&rng, 42, 0);
    double sum = 0, sum_normal = 0, squares = 0;
    for (int i = 0; i < N; i++) {
        const double u = qn_rng_uniform(&rng), z = qn_rng_normal(&rng);
        CHECK(u >= 0 && u < 1);
        sum += u;
        sum_normal += z;
        squares += z * z;
    }
    CHECK_NEAR(sum / N, 0.5, 5 * 0.2887 / sqrt(N));
    CHECK_NEAR(sum_normal / N, 0, 5 / sqrt(N));
    CHECK_NEAR(squares / N, 1, 5 * sqrt(2.0 / N));
}

static void numbers_below_n_are_even(void **state)
{
    (void)state;
    int counts[7] = {0};
    qn_rng rng;
    qn_rng_init(&rng, 1, 0);
    for (int i = 0; i < 70000; i++) {
        counts[qn_rng_below(&rng, 7)]++;
    }
    for (int i = 0; i < 7; i++) {
        CHECK_NEAR(counts[i], 10000, 5 * sqrt(10000));
    }
    CHECK_INT(qn_rng_below(&rng, 1), 0);
}

static void a_shuffle_keeps_every_item(void **state)
{
    (void)state;
    int32_t items[100];
    int seen[100] = {0}, n_moved = 0;
    for (int i = 0; i < 100; i++) {
        items[i] = i;
    }
    qn_rng rng;
    qn_rng_init(&rng, 1, 0);
    qn_rng_shuffle(&rng, items, 100);
    for (int i = 0; i < 100; i++) {
        seen[items[i]]++;
        n_moved += items[i] != i;
    }
    for (int i = 0; i < 100; i++) {
        CHECK_INT(seen[i], 1);
    }
    CHECK(n_moved > 80);
}

RUN_TESTS(TEST(streams_repeat_and_differ), TEST(uniforms_and_normals_have_their_moments),
          TEST(numbers_below_n_are_even), TEST(a_shuffle_keeps_every_item))
