/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/telemetry/trace_sampler.h"

#include "check.h"

#include "base/rng.h"

#include <inttypes.h>

static qn_trace_sampler sampler_of(const char *name, const char *argument)
{
    qn_trace_sampler sampler;
    qn_error err = {0};
    CHECK_OK(qn_trace_sampler_read(name, argument, &sampler, &err));
    return sampler;
}

static bool takes(const char *name, const char *trace, bool has_parent, bool parent_sampled)
{
    const qn_trace_sampler sampler = sampler_of(name, NULL);
    return qn_trace_sampler_takes(&sampler, trace, has_parent, parent_sampled);
}

static const char last[] = "00000000000000000000000000000001",
                  high[] = "0123456789abcdefffffffffffffffff";

static void parents_are_asked_where_the_name_says_so(void **state)
{
    (void)state;
    CHECK(takes(NULL, high, false, false));
    CHECK(takes(NULL, high, true, true) && !takes(NULL, high, true, false));
    CHECK(takes("always_on", high, true, false) && takes("always_on", high, false, false));
    CHECK(!takes("always_off", last, true, true) && !takes("always_off", last, false, false));
    CHECK(takes("parentbased_always_off", last, true, true));
    CHECK(!takes("parentbased_always_off", last, false, false));
    CHECK(takes("traceidratio", high, true, false)); /* a ratio of 1 */
    CHECK(!takes("parentbased_traceidratio", high, true, false));
}

/* A larger ratio takes what a smaller one does: services along a trace agree. */
static void ratios_are_kept_by_the_id(void **state)
{
    (void)state;
    const qn_trace_sampler tenth = sampler_of("traceidratio", "0.1");
    const qn_trace_sampler half = sampler_of("parentbased_traceidratio", "0.5");
    const qn_trace_sampler none = sampler_of("traceidratio", "0");
    int n_tenth = 0, n_half = 0;
    qn_rng rng;
    qn_rng_init(&rng, 1, 0);
    for (int i = 0; i < 10000; i++) {
        char trace[33];
        const uint64_t a = qn_rng_next(&rng), b = qn_rng_next(&rng);
        snprintf(trace, sizeof trace, "%016" PRIx64 "%016" PRIx64, a, b);
        const bool in_tenth = qn_trace_sampler_takes(&tenth, trace, false, false);
        const bool in_half = qn_trace_sampler_takes(&half, trace, false, false);
        CHECK(!in_tenth || in_half);
        CHECK(!qn_trace_sampler_takes(&none, trace, false, false));
        n_tenth += in_tenth;
        n_half += in_half;
    }
    CHECK(n_tenth > 900 && n_tenth < 1100 && n_half > 4800 && n_half < 5200);
}

static void what_is_not_known_is_refused(void **state)
{
    (void)state;
    const char *const bad[][2] = {{"jaeger_remote", NULL},
                                  {"parentbased_", NULL},
                                  {"", NULL},
                                  {"traceidratio", "1.5"},
                                  {"traceidratio", "-0.1"},
                                  {"traceidratio", "nan"},
                                  {"parentbased_traceidratio", "half"}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        qn_trace_sampler sampler;
        qn_error err = {0};
        CHECK_FAILS(QN_ERR_ARG, qn_trace_sampler_read(bad[i][0], bad[i][1], &sampler, &err));
        CHECK_CONTAINS(err.message, "the traces' ");
    }
}

RUN_TESTS(TEST(parents_are_asked_where_the_name_says_so), TEST(ratios_are_kept_by_the_id),
          TEST(what_is_not_known_is_refused))
