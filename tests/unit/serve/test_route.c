/* SPDX-License-Identifier: Apache-2.0 */
/* Routes at work: shares of the traffic, who gets what, and when a canary is rolled back. */
#include "serve/routes/routing.h"

#include "check.h"

#include <pthread.h>
#include <stdlib.h>

enum { N_KEYS = 100000 };

static qn_routing *read_text(const char *text)
{
    qn_routing *routing = NULL;
    qn_error err = {0};
    CHECK_OK(qn_routing_read("r.yaml", text, strlen(text), &routing, &err));
    return routing;
}

/* The arm that each of the keys "user-0", "user-1" … gets from the first model's route. */
static unsigned char *deal(const char *text)
{
    qn_routing *routing = read_text(text);
    unsigned char *arms = calloc(N_KEYS, 1);
    char key[32];
    for (int i = 0; i < N_KEYS; i++) {
        const int bytes = snprintf(key, sizeof key, "user-%d", i);
        arms[i] = (unsigned char)qn_route_choose(routing->models[0].route, key, (size_t)bytes);
    }
    qn_routing_unref(routing);
    return arms;
}

static double share_of(const unsigned char *arms, int arm)
{
    int n = 0;
    for (int i = 0; i < N_KEYS; i++) {
        n += arms[i] == arm;
    }
    return (double)n / N_KEYS;
}

/* Within 4.5 standard deviations of a binomial share; for 100,000 keys 0.7 points at most. */
static void check_share(const unsigned char *arms, int arm, double share)
{
    CHECK_NEAR(share_of(arms, arm), share, 4.5 * sqrt(share * (1 - share) / N_KEYS));
}

static void shares_are_as_they_are_given(void **state)
{
    (void)state;
    unsigned char *arms = deal("models: {m: {split: {a: 90, b: 9, c: 1}}}");
    check_share(arms, 0, 0.9);
    check_share(arms, 1, 0.09);
    check_share(arms, 2, 0.01);
    free(arms);
    arms = deal("models: {m: {split: {a: 0, b: 0.5, c: 0, d: 0.5, e: 0}}}");
    check_share(arms, 1, 0.5);
    check_share(arms, 3, 0.5);
    CHECK(share_of(arms, 0) + share_of(arms, 2) + share_of(arms, 4) == 0);
    free(arms);
    arms = deal("models: {m: {canary: {from: a, to: b, percent: 5}}}");
    check_share(arms, 1, 0.05);
    free(arms);
    arms = deal("models: {m: {to: a}}");
    CHECK(share_of(arms, 0) == 1);
    free(arms);
}

static void a_key_keeps_its_arm(void **state)
{
    (void)state;
    unsigned char *first = deal("models: {m: {split: {a: 60, b: 40}}}");
    unsigned char *again = deal("models: {m: {split: {a: 6, b: 4}}}");
    CHECK(memcmp(first, again, N_KEYS) == 0);
    free(first);
    free(again);
}

static void a_canary_that_grows_keeps_whom_it_has(void **state)
{
    (void)state;
    unsigned char *small = deal("models: {m: {canary: {from: a, to: b, percent: 5}}}");
    unsigned char *large = deal("models: {m: {canary: {from: a, to: b, percent: 20}}}");
    for (int i = 0; i < N_KEYS; i++) {
        CHECK(!small[i] || large[i]);
    }
    check_share(large, 1, 0.2);
    free(small);
    free(large);
}

/* Two experiments with different salts are independent: a quarter is in both. */
static void another_salt_deals_anew(void **state)
{
    (void)state;
    unsigned char *one = deal("models: {m: {split: {a: 1, b: 1}}}");
    unsigned char *two = deal("models: {m: {split: {a: 1, b: 1}, salt: spring}}");
    unsigned char *other = deal("models: {n: {split: {a: 1, b: 1}}}");
    int with_salt = 0, with_name = 0;
    for (int i = 0; i < N_KEYS; i++) {
        with_salt += one[i] && two[i];
        with_name += one[i] && other[i];
    }
    const double deviation = 4.5 * sqrt(0.25 * 0.75 / N_KEYS);
    CHECK_NEAR((double)with_salt / N_KEYS, 0.25, deviation);
    CHECK_NEAR((double)with_name / N_KEYS, 0.25, deviation);
    free(one);
    free(two);
    free(other);
}

static void who_has_no_key_gets_the_first(void **state)
{
    (void)state;
    qn_routing *routing = read_text("models: {m: {split: {a: 0, b: 1}}}");
    qn_route_state *route = routing->models[0].route;
    CHECK_INT(qn_route_choose(route, NULL, 0), 0);
    CHECK_INT(qn_route_choose(route, "x", 1), 1);
    CHECK_INT(qn_route_count(route, 0), 1);
    CHECK_INT(qn_route_count(route, 1), 1);
    qn_routing_unref(routing);
}

static const char canary[] = "models: {m: {canary: {from: a, to: b, percent: 100}, rollback: "
                             "{window: 100, errors: 0.1, latency: 0.02}}}";

/* Tells of requests until the canary is rolled back, which is the `n`-th; `kinds` says in turn what
 * they were: '.' good, 'e' an error, 's' slow. */
static void check_rolled_back_after(const char *kinds, int n, const char *part)
{
    qn_routing *routing = read_text(canary);
    qn_route_state *route = routing->models[0].route;
    char reason[QN_ROUTE_REASON_BYTES] = "";
    int at = 0;
    for (bool done = false; !done && at < 10000; at++) {
        const char kind = kinds[(size_t)at % strlen(kinds)];
        CHECK_INT(qn_route_choose(route, "x", 1), 1);
        CHECK(!qn_route_note(route, 0, true, 9, reason)); /* the other arm's do not count */
        done = qn_route_note(route, 1, kind == 'e', kind == 's' ? 0.03 : 0.001, reason);
    }
    CHECK_INT(at, n);
    CHECK_INT(qn_route_is_rolled_back(route), n < 10000);
    CHECK_INT(qn_route_choose(route, "x", 1), n == 10000);
    CHECK_CONTAINS(reason, part);
    CHECK(!qn_route_note(route, 1, true, 9, reason)); /* told once */
    qn_routing_unref(routing);
}

/* With a window of 100, 10 % of errors and 5 % of slow requests are good; one more is not. */
static void a_canary_is_rolled_back_in_time(void **state)
{
    (void)state;
    check_rolled_back_after("e", 11, "11 of the last 11 requests of the canary had errors");
    check_rolled_back_after("s", 6, "6 of the last 6 requests of the canary took longer than");
    check_rolled_back_after("e....", 51, "11 of the last 51");
    check_rolled_back_after(".s....", 32, "6 of the last 32");
}

static void a_canary_that_is_good_enough_stays(void **state)
{
    (void)state;
    qn_routing *routing = read_text(canary);
    char reason[QN_ROUTE_REASON_BYTES] = "";
    for (int i = 0; i < 10000; i++) {
        const bool failed = i % 10 == 3;
        const double seconds = i % 20 == 7 ? 0.03 : 0.001;
        CHECK(!qn_route_note(routing->models[0].route, 1, failed, seconds, reason));
    }
    CHECK(!qn_route_is_rolled_back(routing->models[0].route));
    qn_routing_unref(routing);
}

static void roll_back(qn_routing *routing)
{
    char reason[QN_ROUTE_REASON_BYTES];
    for (int i = 0; i < 11; i++) {
        (void)qn_route_note(routing->models[0].route, 1, true, 0, reason);
    }
    CHECK(qn_route_is_rolled_back(routing->models[0].route));
}

/* The state a route of `text` is in when it takes the place of the canary above, rolled back. */
static bool is_rolled_back_after(const char *text, bool anew)
{
    qn_routing *before = read_text(canary), *routing = read_text(text);
    roll_back(before);
    qn_routing_inherit(routing, before, anew);
    qn_routing_unref(before);
    const bool rolled_back = qn_route_is_rolled_back(routing->models[0].route);
    qn_routing_unref(routing);
    return rolled_back;
}

static void what_was_rolled_back_stays_so_until_it_is_changed(void **state)
{
    (void)state;
    static const char other[] = "models: {m: {canary: {from: a, to: b, percent: 50}, rollback: "
                                "{window: 100, errors: 0.1, latency: 0.02}}}";
    static const char moved[] =
        "models: {m: {aliases: {b: 2}, canary: {from: a, to: b, percent: 100}, rollback: "
        "{window: 100, errors: 0.1, latency: 0.02}}}";
    static const char unrelated[] =
        "models: {m: {aliases: {c: 2}, canary: {from: a, to: b, percent: 100}, rollback: "
        "{window: 100, errors: 0.1, latency: 0.02}}, n: {aliases: {a: 1}}}";
    CHECK(is_rolled_back_after(canary, false));
    CHECK(is_rolled_back_after(unrelated, false));
    CHECK(!is_rolled_back_after(canary, true)); /* given anew */
    CHECK(!is_rolled_back_after(other, false));
    CHECK(!is_rolled_back_after(moved, false));
}

static const char compared[] = "models: {m: {canary: {from: a, to: b, percent: 50}, rollback: "
                               "{outcomes: 20}}}";

/* Predictions of both arms, and what became of them; the canary's are wrong from row 20 on.
 * Returns after how many outcomes of the canary it is rolled back; 0: not within 200. */
static int compare(qn_route_state *route, bool labels)
{
    char reason[QN_ROUTE_REASON_BYTES] = "", id[32];
    for (int i = 1; i <= 200; i++) {
        const double off = i >= 20 ? 3 : 0;
        const char *wrong = i >= 20 ? "no" : "yes";
        snprintf(id, sizeof id, "request-%d", i);
        qn_route_remember(route, 0, id, 1, labels ? "yes" : NULL, 5 + i % 2);
        qn_route_remember(route, 1, id, 2, labels ? wrong : NULL, 5 + i % 2 + off);
        CHECK(!qn_route_outcome(route, id, 3, "no", 9, reason)); /* not asked */
        CHECK(!qn_route_outcome(route, id, 1, "yes", 5, reason));
        if (qn_route_outcome(route, id, 2, "yes", 5, reason)) {
            CHECK_CONTAINS(reason, "the canary's mean loss is ");
            CHECK(qn_route_is_rolled_back(route));
            return i;
        }
        CHECK(!qn_route_outcome(route, id, 2, "no", 99, reason)); /* each counts once */
    }
    return 0;
}

static void a_canary_is_rolled_back_by_its_outcomes(void **state)
{
    (void)state;
    for (int labels = 0; labels < 2; labels++) {
        qn_routing *routing = read_text(compared);
        CHECK(qn_route_compares(routing->models[0].route));
        CHECK_INT(compare(routing->models[0].route, labels), 40); /* the second look */
        qn_routing_unref(routing);
    }
    qn_routing *other = read_text(canary);
    CHECK(!qn_route_compares(other->models[0].route));
    qn_routing_unref(other);
}

static void a_bandit_learns_from_rewards(void **state)
{
    (void)state;
    qn_routing *routing = read_text("models: {m: {bandit: {arms: [a, b, c], seed: 3}}}");
    qn_route_state *route = routing->models[0].route;
    char id[32];
    double sum = 0;
    for (int i = 0; i < 5000; i++) {
        const int bytes = snprintf(id, sizeof id, "r%d", i);
        const int arm = qn_route_choose(route, id, (size_t)bytes);
        CHECK(qn_route_reward(route, id, arm == 1 ? 0.9 : 0.3));
        CHECK(!qn_route_reward(route, id, 1)); /* once */
    }
    CHECK(!qn_route_reward(route, "stranger", 1));
    CHECK(qn_route_count(route, 1) > 4700);
    CHECK(qn_route_count(route, 0) > 0 && qn_route_count(route, 2) > 0);
    CHECK_INT(qn_route_rewards(route, 1, &sum), qn_route_count(route, 1));
    CHECK_NEAR(sum, 0.9 * (double)qn_route_count(route, 1), 1e-6);
    qn_routing_unref(routing);
}

struct crowd {
    qn_route_state *route;
    _Atomic int n_told;
};

static void *note_errors(void *argument)
{
    struct crowd *crowd = argument;
    char reason[QN_ROUTE_REASON_BYTES];
    for (int i = 0; i < 1000; i++) {
        const int arm = qn_route_choose(crowd->route, "x", 1);
        if (qn_route_note(crowd->route, arm, true, 0.5, reason)) crowd->n_told++;
    }
    return NULL;
}

static void one_of_many_threads_rolls_back(void **state)
{
    (void)state;
    qn_routing *routing = read_text(canary);
    struct crowd crowd = {.route = routing->models[0].route};
    pthread_t threads[4];
    for (int i = 0; i < 4; i++) {
        CHECK_INT(pthread_create(&threads[i], NULL, note_errors, &crowd), 0);
    }
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
    }
    CHECK_INT(crowd.n_told, 1);
    /* Those under way when it happened, and no others. */
    CHECK(qn_route_count(crowd.route, 1) >= 6 && qn_route_count(crowd.route, 1) <= 6 + 3);
    qn_routing_unref(routing);
}

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(shares_are_as_they_are_given),
                                       TEST(a_key_keeps_its_arm),
                                       TEST(a_canary_that_grows_keeps_whom_it_has),
                                       TEST(another_salt_deals_anew),
                                       TEST(who_has_no_key_gets_the_first),
                                       TEST(a_canary_is_rolled_back_in_time),
                                       TEST(a_canary_that_is_good_enough_stays),
                                       TEST(what_was_rolled_back_stays_so_until_it_is_changed),
                                       TEST(a_canary_is_rolled_back_by_its_outcomes),
                                       TEST(a_bandit_learns_from_rewards),
                                       TEST(one_of_many_threads_rolls_back)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
