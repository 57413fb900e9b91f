/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/security/rate_limit.h"

#include "check.h"
#include "crypto/secret.h"

#include <pthread.h>
#include <stdatomic.h>

static bool take(qn_rate_limit *limit, int client, double now_s)
{
    return qn_rate_limit_take(limit, &client, sizeof client, now_s) == 0;
}

static void a_burst_then_the_rate(void **state)
{
    (void)state;
    qn_rate_limit *limit = qn_rate_limit_create(10, 5);
    for (int client = 0; client < 100; client++) {
        int n = 0;
        while (take(limit, client, 1000)) {
            n++;
        }
        CHECK_INT(n, 5);
        CHECK_NEAR(qn_rate_limit_take(limit, &client, sizeof client, 1000), 0.1, 1e-5);
        CHECK(!take(limit, client, 1000.09));
        CHECK(take(limit, client, 1000.11));
        CHECK(!take(limit, client, 1000.11));
        n = 0;
        while (take(limit, client, 2000)) {
            n++;
        }
        CHECK_INT(n, 5); /* never more than the burst */
    }
    qn_rate_limit_free(limit);
}

static void slow_rates_and_single_tokens(void **state)
{
    (void)state;
    qn_rate_limit *limit = qn_rate_limit_create(0.01, 1);
    CHECK(take(limit, 1, 5));
    CHECK(!take(limit, 1, 104));
    CHECK(take(limit, 2, 104));
    CHECK(take(limit, 1, 105.1));
    qn_rate_limit_free(limit);
}

/* A flood of other clients gives a busy client no new burst, unless eight of them are as busy. */
static void strangers_do_not_refill_a_bucket(void **state)
{
    (void)state;
    qn_rate_limit *limit = qn_rate_limit_create(1, 100);
    int n = 0;
    while (take(limit, -1, 1000)) {
        n++;
    }
    CHECK_INT(n, 100);
    for (int client = 0; client < 200000; client++) {
        CHECK(take(limit, client, 1000));
    }
    CHECK(!take(limit, -1, 1000));
    qn_rate_limit_free(limit);
}

static qn_rate_limit *shared;

static void *take_many(void *argument)
{
    _Atomic int *n = argument;
    for (int i = 0; i < 20000; i++) {
        if (take(shared, 7, 1000)) atomic_fetch_add(n, 1);
    }
    return NULL;
}

static void threads_share_a_bucket(void **state)
{
    (void)state;
    pthread_t threads[4];
    _Atomic int n = 0;
    shared = qn_rate_limit_create(1, 30000);
    for (int i = 0; i < 4; i++) {
        CHECK_INT(pthread_create(&threads[i], NULL, take_many, &n), 0);
    }
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
    }
    CHECK_INT(n, 30000);
    qn_rate_limit_free(shared);
    qn_alloc_fail_at(1, false);
    CHECK(qn_rate_limit_create(1, 1) == NULL);
    qn_alloc_fail_at(0, false);
}

RUN_TESTS(TEST(a_burst_then_the_rate), TEST(slow_rates_and_single_tokens),
          TEST(strangers_do_not_refill_a_bucket), TEST(threads_share_a_bucket))
