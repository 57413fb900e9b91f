/* SPDX-License-Identifier: Apache-2.0 */
/* Canaries held against outcomes: the worse are found, those as good hardly ever. */
#include "serve/routes/loss_watch.h"

#include "base/rng.h"
#include "check.h"

/* After how many of its outcomes a canary whose labels are wrong with that chance is found out; 0:
 * not within `n`. The other is wrong in one of five. */
static int64_t found_after(double chance, uint64_t seed, int64_t n)
{
    qn_loss_watch watch = {.n_min = 50};
    qn_rng rng;
    qn_rng_init(&rng, seed, 0);
    for (int64_t i = 1; i <= n; i++) {
        CHECK(!qn_loss_watch_add(&watch, 0, qn_rng_uniform(&rng) < 0.2));
        if (qn_loss_watch_add(&watch, 1, qn_rng_uniform(&rng) < chance)) return i;
    }
    return 0;
}

static void a_worse_canary_is_found(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 200; seed++) {
        const int64_t much = found_after(0.6, seed, 10000), little = found_after(0.25, seed, 10000);
        CHECK(much >= 50 && much <= 200);
        CHECK(little >= 50 && little <= 6400);
    }
}

/* Fewer than 3 of 100 that are as good, in eight looks; and a better one never. */
static void a_canary_that_is_as_good_stays(void **state)
{
    (void)state;
    int n_found = 0;
    for (uint64_t seed = 1; seed <= 1000; seed++) {
        n_found += found_after(0.2, seed, 6400) > 0;
        CHECK_INT(found_after(0.1, seed, 6400), 0);
    }
    CHECK(n_found <= 30);
}

static void losses_without_any_variance_are_compared(void **state)
{
    (void)state;
    qn_loss_watch worse = {.n_min = 10}, same = {.n_min = 10};
    bool found = false;
    for (int i = 0; i < 10; i++) {
        CHECK(!found);
        CHECK(!qn_loss_watch_add(&worse, 0, 0));
        found = qn_loss_watch_add(&worse, 1, 1);
        CHECK(!qn_loss_watch_add(&same, 0, 1));
        CHECK(!qn_loss_watch_add(&same, 1, 1));
    }
    CHECK(found);
}

/* The canary's outcomes alone say nothing. */
static void both_need_outcomes(void **state)
{
    (void)state;
    qn_loss_watch watch = {.n_min = 10};
    for (int i = 0; i < 1000; i++) {
        CHECK(!qn_loss_watch_add(&watch, 1, 1));
    }
    bool found = false;
    for (int i = 0; i < 10; i++) {
        CHECK(!found);
        found = qn_loss_watch_add(&watch, 0, 0);
    }
    CHECK(found);
}

RUN_TESTS(TEST(a_worse_canary_is_found), TEST(a_canary_that_is_as_good_stays),
          TEST(losses_without_any_variance_are_compared), TEST(both_need_outcomes))
