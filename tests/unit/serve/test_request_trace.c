/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/telemetry/request_trace.h"

#include "check.h"

static const qn_http_limits limits = {8192, 8192};

/* The trace of a request with these header lines. */
static qn_request_trace sampled_trace_of(const char *lines, const qn_trace_sampler *sampler)
{
    qn_http_reader reader;
    qn_request_trace trace = {.id = ""};
    char text[1024];
    size_t room;
    qn_rng rng;
    const int n = snprintf(text, sizeof text, "GET / HTTP/1.1\r\nHost: h\r\n%s\r\n", lines);
    qn_rng_init(&rng, 1, 1);
    qn_http_reader_init(&reader, &limits);
    memcpy(qn_http_reader_space(&reader, &room), text, (size_t)n);
    qn_http_reader_add(&reader, (size_t)n);
    CHECK_INT(qn_http_reader_parse(&reader), QN_HTTP_DONE);
    qn_request_trace_begin(&trace, &reader, &rng, sampler);
    qn_http_reader_release(&reader);
    return trace;
}

static qn_request_trace trace_of(const char *lines)
{
    return sampled_trace_of(lines, NULL);
}

static void an_id_is_kept_or_drawn(void **state)
{
    (void)state;
    const qn_request_trace given = trace_of("X-Request-Id: order-17.b_2\r\n");
    CHECK_TEXT(given.id, "order-17.b_2");
    CHECK_TEXT(given.lines, "x-request-id: order-17.b_2\r\n");
    const char *const bad[] = {"", "X-Request-Id: a b\r\n", "X-Request-Id: \r\n",
                               "X-Request-Id: a\"b\r\n",
                               "X-Request-Id: 0123456789012345678901234567890123456789012345678901"
                               "2345678901234\r\n"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        const qn_request_trace drawn = trace_of(bad[i]);
        CHECK_INT(strlen(drawn.id), 32);
        CHECK_INT(strspn(drawn.id, "0123456789abcdef"), 32);
    }
}

static void a_trace_is_continued_by_a_span_of_its_own(void **state)
{
    (void)state;
    const qn_request_trace trace =
        trace_of("X-Request-Id: q\r\n"
                 "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n");
    CHECK_TEXT(trace.trace, "0af7651916cd43dd8448eb211c80319c");
    CHECK_TEXT(trace.parent, "b7ad6b7169203331");
    CHECK_INT(strlen(trace.span), 16);
    char lines[QN_TRACE_LINES_BYTES];
    snprintf(lines, sizeof lines,
             "x-request-id: q\r\ntraceparent: 00-0af7651916cd43dd8448eb211c80319c-%s-01\r\n",
             trace.span);
    CHECK_TEXT(trace.lines, lines);
    CHECK_TEXT(trace_of("traceparent: "
                        "cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-later\r\n")
                   .trace,
               "0af7651916cd43dd8448eb211c80319c");
}

/* The cases of the W3C's own test suite for one header. */
static void what_is_no_traceparent_is_passed_over(void **state)
{
    (void)state;
    const char *const bad[] = {"00-00000000000000000000000000000000-b7ad6b7169203331-01",
                               "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
                               "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
                               "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
                               "0-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
                               "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
                               "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0",
                               "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more",
                               "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-011",
                               "00-0af7651916cd43dd8448eb211c80319c_b7ad6b7169203331-01",
                               "cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01.later",
                               "00-0af7651916cd43dd8448eb211c80319.-b7ad6b7169203331-01",
                               ""};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char line[128];
        snprintf(line, sizeof line, "traceparent: %s\r\n", bad[i]);
        const qn_request_trace trace = trace_of(line);
        CHECK_TEXT(trace.trace, "");
        CHECK(strstr(trace.lines, "traceparent") == NULL);
    }
}

/* Where spans are sent, a request without a trace begins one; the reply says what was decided. */
static void where_spans_are_sent_every_request_has_a_trace(void **state)
{
    (void)state;
    static const char given[] =
        "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-";
    const qn_trace_sampler all = {.asks_parent = true, .below = UINT64_C(1) << 63};
    const qn_trace_sampler none = {.asks_parent = true};
    const struct {
        const char *flags; /* NULL: no traceparent */
        const qn_trace_sampler *sampler;
        bool sampled;
    } cases[] = {{NULL, &all, true},  {NULL, &none, false}, {"00", &all, false},
                 {"01", &none, true}, {"03", &none, true},  {"02", &all, false}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char lines[128] = "", expected[128];
        if (cases[i].flags) snprintf(lines, sizeof lines, "%s%s\r\n", given, cases[i].flags);
        const qn_request_trace trace = sampled_trace_of(lines, cases[i].sampler);
        CHECK_INT(strlen(trace.trace), 32);
        CHECK_INT(strlen(trace.span), 16);
        CHECK_INT(strlen(trace.parent), cases[i].flags ? 16 : 0);
        CHECK_INT(trace.sampled, cases[i].sampled);
        snprintf(expected, sizeof expected, "traceparent: 00-%s-%s-0%d\r\n", trace.trace,
                 trace.span, cases[i].sampled);
        CHECK_CONTAINS(trace.lines, expected);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_id_is_kept_or_drawn),
        cmocka_unit_test(a_trace_is_continued_by_a_span_of_its_own),
        cmocka_unit_test(what_is_no_traceparent_is_passed_over),
        cmocka_unit_test(where_spans_are_sent_every_request_has_a_trace)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
