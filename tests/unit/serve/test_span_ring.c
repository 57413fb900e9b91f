/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/telemetry/span_ring.h"

#include "check.h"

#include <pthread.h>
#include <sched.h>

static qn_span_record numbered(int64_t i)
{
    qn_span_record span = {.n_rows = i, .begun_ns = -i};
    snprintf(span.path, sizeof span.path, "/%lld", (long long)i);
    return span;
}

static void spans_come_out_as_they_went_in_until_it_is_full(void **state)
{
    (void)state;
    qn_span_ring ring;
    qn_span_record out[8];
    CHECK(qn_span_ring_init(&ring, 4));
    for (int round = 0; round < 5; round++) { /* around the end and on */
        for (int64_t i = 0; i < 6; i++) {
            const qn_span_record span = numbered(i);
            CHECK_INT(qn_span_ring_put(&ring, &span), i == 1);
        }
        CHECK_INT(atomic_load(&ring.n_dropped), 2 * (round + 1));
        CHECK_INT(qn_span_ring_take(&ring, out, 3), 3);
        CHECK(out[0].n_rows == 0 && out[2].begun_ns == -2);
        CHECK_INT(qn_span_ring_take(&ring, out, 8), 1);
        CHECK_TEXT(out[0].path, "/3");
        CHECK_INT(qn_span_ring_take(&ring, out, 8), 0);
    }
    qn_span_ring_release(&ring);
}

enum { N_SPANS = 200000 };

static void *put_many(void *of_ring)
{
    for (int64_t i = 1; i <= N_SPANS; i++) {
        const qn_span_record span = numbered(i);
        (void)qn_span_ring_put(of_ring, &span);
        if (i % 64 == 0) sched_yield();
    }
    return NULL;
}

/* Each is whole and in order, however the threads meet; what is missing is what was counted. */
static void two_threads_need_no_lock(void **state)
{
    (void)state;
    qn_span_ring ring;
    qn_span_record out[16];
    pthread_t thread;
    int64_t last = 0, n_seen = 0;
    CHECK(qn_span_ring_init(&ring, 64));
    CHECK_INT(pthread_create(&thread, NULL, put_many, &ring), 0);
    while (n_seen + (int64_t)atomic_load(&ring.n_dropped) < N_SPANS) {
        const int64_t n = qn_span_ring_take(&ring, out, 16);
        for (int64_t i = 0; i < n; i++) {
            char path[32];
            snprintf(path, sizeof path, "/%lld", (long long)out[i].n_rows);
            CHECK(out[i].n_rows > last && out[i].begun_ns == -out[i].n_rows);
            CHECK_TEXT(out[i].path, path);
            last = out[i].n_rows;
        }
        n_seen += n;
    }
    pthread_join(thread, NULL);
    CHECK_INT(n_seen, atomic_load(&ring.n_put));
    qn_span_ring_release(&ring);
}

RUN_TESTS(TEST(spans_come_out_as_they_went_in_until_it_is_full), TEST(two_threads_need_no_lock))
