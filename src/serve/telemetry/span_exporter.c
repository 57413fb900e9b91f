/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/telemetry/span_exporter.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/json.h"
#include "base/number.h"
#include "base/rng.h"
#include "serve/http/http_poster.h"
#include "serve/telemetry/span_ring.h"
#include "serve/telemetry/telemetry.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { ATTEMPTS_MAX = 5, RING_SPANS_MIN = 64, BODY_KEPT_BYTES = 1 << 20 };

static const double gather_s = 1, pause_s_min = 1, pause_s_max = 30, retry_after_s_max = 120;

/* Where spans go. */
typedef struct receiver {
    qn_endpoint endpoint;
    qn_tls_config *tls; /* NULL: none is spoken */
} receiver;

struct qn_span_exporter {
    qn_export_request request;
    receiver newest;          /* the maker's */
    qn_file_identity ca;      /* of the authorities in it */
    _Atomic(receiver *) next; /* a copy of the newest for the thread, which has not taken it yet */
    int n_rings;
    qn_span_ring *rings;
    int wake_fd;
    _Atomic double end_by_s;
    bool started;
    pthread_t thread;
    /* The thread's; counters are read by others. */
    receiver *taken;
    qn_http_poster poster;
    qn_rng rng;
    int n_failures; /* in a row */
    qn_span_record *batch;
    qn_str body;
    qn_count n_sent, n_refused, n_failed, n_requests, n_failed_requests;
};

/* Making and starting. */

static qn_status no_memory(qn_error *err)
{
    return qn_fail(err, QN_ERR_NOMEM, "no memory for the traces");
}

static bool make_rings(qn_span_exporter *exporter)
{
    const int n = exporter->request.n_loops;
    const int64_t share = QN_EXPORT_WAITING_MAX / n;
    exporter->rings = qn_alloc_aligned(n, sizeof *exporter->rings);
    if (!exporter->rings) return false;
    for (; exporter->n_rings < n; exporter->n_rings++) {
        if (!qn_span_ring_init(&exporter->rings[exporter->n_rings],
                               share > RING_SPANS_MIN ? share : RING_SPANS_MIN)) {
            return false;
        }
    }
    return true;
}

static receiver *copy_receiver(const receiver *from)
{
    receiver *copy = qn_alloc_array(1, sizeof *copy);
    if (!copy) return NULL;
    *copy = *from;
    if (copy->tls) qn_tls_config_ref(copy->tls);
    return copy;
}

static void free_receiver(receiver *old)
{
    if (!old) return;
    qn_tls_config_unref(old->tls);
    qn_free(old);
}

/* *newer becomes where the receiver is now, *ca the authorities' file; tls is NULL where it is that
 * of the newest: the system's authorities are read once, since a sandbox hides them. */
static qn_status look(const qn_span_exporter *exporter, receiver *newer, qn_file_identity *ca,
                      qn_error *err)
{
    const qn_export_request *request = &exporter->request;
    const bool first = !exporter->newest.tls;
    *newer = (receiver){.tls = NULL};
    if (request->ca) *ca = qn_file_identify(request->ca);
    QN_TRY(qn_endpoint_open(request->url, request->path, &newer->endpoint, err));
    if (!newer->endpoint.tls) return QN_OK;
    if (!first && (!request->ca || qn_file_is_same(ca, &exporter->ca))) return QN_OK;
    return qn_tls_client_config_create(request->ca, &newer->tls, err);
}

static qn_status fill(qn_span_exporter *exporter, qn_error *err)
{
    const qn_export_request *request = &exporter->request;
    QN_TRY(look(exporter, &exporter->newest, &exporter->ca, err));
    exporter->taken = copy_receiver(&exporter->newest);
    if (!exporter->taken) return no_memory(err);
    exporter->batch = qn_alloc_array(QN_EXPORT_SPANS_MAX, sizeof *exporter->batch);
    if (!exporter->batch || !make_rings(exporter)) return no_memory(err);
    exporter->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (exporter->wake_fd < 0) return qn_fail(err, QN_ERR_IO, "eventfd: %s", strerror(errno));
    exporter->poster = (qn_http_poster){.endpoint = &exporter->taken->endpoint,
                                        .tls = exporter->taken->tls,
                                        .lines = request->lines,
                                        .wake_fd = exporter->wake_fd,
                                        .end_by_s = &exporter->end_by_s,
                                        .peer = {.fd = -1}};
    return QN_OK;
}

qn_status qn_span_exporter_create(const qn_export_request *request, qn_span_exporter **out,
                                  qn_error *err)
{
    *out = NULL;
    qn_span_exporter *exporter = qn_alloc_array(1, sizeof *exporter);
    if (!exporter) return no_memory(err);
    exporter->request = *request;
    exporter->wake_fd = -1;
    exporter->poster.peer.fd = -1;
    atomic_init(&exporter->end_by_s, QN_INF);
    qn_rng_init(&exporter->rng, request->seed, 0);
    const qn_status status = fill(exporter, err);
    if (status != QN_OK) {
        qn_span_exporter_free(exporter);
        return status;
    }
    *out = exporter;
    return QN_OK;
}

int qn_span_exporter_port(const qn_span_exporter *exporter)
{
    return exporter->newest.endpoint.port;
}

bool qn_span_exporter_may_move(const qn_span_exporter *exporter)
{
    return qn_endpoint_may_move(&exporter->newest.endpoint);
}

qn_status qn_span_exporter_renew(qn_span_exporter *exporter, bool *changed, qn_error *err)
{
    receiver *newest = &exporter->newest, newer;
    qn_file_identity ca = exporter->ca;
    *changed = false;
    if (!qn_span_exporter_may_move(exporter) && !exporter->request.ca) return QN_OK;
    QN_TRY(look(exporter, &newer, &ca, err));
    if (!newer.tls && qn_endpoint_has_same_addresses(&newer.endpoint, &newest->endpoint)) {
        return QN_OK;
    }
    if (!newer.tls && newest->tls) newer.tls = qn_tls_config_ref(newest->tls);
    receiver *copy = copy_receiver(&newer);
    if (!copy) {
        qn_tls_config_unref(newer.tls);
        return no_memory(err);
    }
    qn_tls_config_unref(newest->tls);
    *newest = newer;
    exporter->ca = ca;
    free_receiver(atomic_exchange(&exporter->next, copy));
    *changed = true;
    return QN_OK;
}

/* Sending. */

static bool is_ending(const qn_span_exporter *exporter)
{
    return atomic_load(&((qn_span_exporter *)(uintptr_t)exporter)->end_by_s) < QN_INF;
}

/* How many of the spans an answer of 200 says were left out. */
static int64_t rejected_spans(const qn_http_response *response)
{
    qn_json *json = NULL;
    int64_t n = 0;
    if (qn_json_parse(response->body, response->body_bytes, "reply", &json, NULL) != QN_OK) {
        return 0;
    }
    qn_json_value value =
        qn_json_get(qn_json_get(qn_json_root(json), "partialSuccess"), "rejectedSpans");
    const char *text = qn_json_as_text(value, NULL);
    if (!text || !qn_parse_int64(text, strlen(text), &n)) n = qn_json_as_int(value, 0);
    qn_json_free(json);
    return n;
}

/* The receiver may have moved. */
static void take_next(qn_span_exporter *exporter)
{
    receiver *next = atomic_exchange(&exporter->next, NULL);
    if (!next) return;
    qn_http_poster_turn_to(&exporter->poster, &next->endpoint, next->tls);
    free_receiver(exporter->taken);
    exporter->taken = next;
}

typedef enum answer { TAKEN, REFUSED, AGAIN } answer;

static answer ask(qn_span_exporter *exporter, int64_t *rejected)
{
    const qn_http_response *response = &exporter->poster.response;
    take_next(exporter);
    qn_count_add(&exporter->n_requests, 1);
    const bool answered = qn_http_poster_send(&exporter->poster, exporter->body.text,
                                              exporter->body.bytes, exporter->request.limit_s);
    const int status = answered ? response->status : 0;
    *rejected = 0;
    if (status >= 200 && status < 300) {
        *rejected = rejected_spans(response);
        return TAKEN;
    }
    qn_count_add(&exporter->n_failed_requests, 1);
    const bool passes = status == 0 || status == 429 || (status >= 502 && status <= 504);
    return passes ? AGAIN : REFUSED;
}

static void pause_before_next(qn_span_exporter *exporter)
{
    double pause_s = pause_s_min;
    for (int i = 1; i < exporter->n_failures && pause_s < pause_s_max; i++) {
        pause_s *= 2;
    }
    pause_s =
        (pause_s < pause_s_max ? pause_s : pause_s_max) * (0.5 + qn_rng_uniform(&exporter->rng));
    const double asked_s = exporter->poster.response.retry_after_s;
    if (asked_s > pause_s) pause_s = asked_s < retry_after_s_max ? asked_s : retry_after_s_max;
    const double until_s = qn_clock_s() + pause_s;
    while (!is_ending(exporter) && qn_clock_s() < until_s) {
        qn_http_poster_wait(&exporter->poster, until_s);
    }
}

/* When the server ends, each batch is tried once. */
static answer send_batch(qn_span_exporter *exporter, int64_t *rejected)
{
    for (int attempt = 1;; attempt++) {
        const answer got = ask(exporter, rejected);
        exporter->n_failures = got == AGAIN ? exporter->n_failures + 1 : 0;
        if (got != AGAIN || is_ending(exporter) || attempt == ATTEMPTS_MAX) return got;
        pause_before_next(exporter);
    }
}

static void deliver(qn_span_exporter *exporter, int64_t n)
{
    qn_str *body = &exporter->body;
    int64_t rejected = 0;
    if (body->failed || body->room > BODY_KEPT_BYTES) qn_str_release(body);
    qn_str_clear(body);
    exporter->request.write(exporter->request.source, exporter->batch, n, body);
    const answer got = body->failed ? AGAIN : send_batch(exporter, &rejected);
    if (rejected < 0 || rejected > n) rejected = n;
    if (got == TAKEN) {
        qn_count_add(&exporter->n_sent, (uint64_t)(n - rejected));
        qn_count_add(&exporter->n_refused, (uint64_t)rejected);
    } else {
        qn_count_add(got == REFUSED ? &exporter->n_refused : &exporter->n_failed, (uint64_t)n);
    }
}

static int64_t take_batch(qn_span_exporter *exporter)
{
    int64_t n = 0;
    for (int i = 0; i < exporter->n_rings; i++) {
        n += qn_span_ring_take(&exporter->rings[i], exporter->batch + n, QN_EXPORT_SPANS_MAX - n);
    }
    return n;
}

static void *run(void *of_exporter)
{
    qn_span_exporter *exporter = of_exporter;
    for (;;) {
        const bool last = is_ending(exporter); /* before the rings are looked at */
        for (int64_t n; (n = take_batch(exporter)) > 0;) {
            deliver(exporter, n);
        }
        if (last) return NULL;
        qn_http_poster_wait(&exporter->poster, qn_clock_s() + gather_s);
    }
}

qn_status qn_span_exporter_start(qn_span_exporter *exporter, qn_error *err)
{
    const int code = pthread_create(&exporter->thread, NULL, run, exporter);
    if (code != 0) {
        return qn_fail(err, QN_ERR_NOMEM, "threads for the server: %s", strerror(code));
    }
    exporter->started = true;
    return QN_OK;
}

static void wake(const qn_span_exporter *exporter)
{
    const uint64_t one = 1;
    (void)!write(exporter->wake_fd, &one, sizeof one);
}

void qn_span_exporter_put(qn_span_exporter *exporter, int loop, const qn_span_record *span)
{
    if (qn_span_ring_put(&exporter->rings[loop], span)) wake(exporter);
}

qn_export_counts qn_span_exporter_count(const qn_span_exporter *exporter)
{
    qn_export_counts counts = {.sent = qn_count_get(&exporter->n_sent),
                               .refused = qn_count_get(&exporter->n_refused),
                               .failed = qn_count_get(&exporter->n_failed),
                               .requests = qn_count_get(&exporter->n_requests),
                               .n_failures = qn_count_get(&exporter->n_failed_requests)};
    for (int i = 0; i < exporter->n_rings; i++) {
        const uint64_t dropped = qn_count_get(&exporter->rings[i].n_dropped);
        counts.full += dropped;
        counts.taken += dropped + qn_count_get(&exporter->rings[i].n_put);
    }
    return counts;
}

void qn_span_exporter_end(qn_span_exporter *exporter, double by_s)
{
    atomic_store(&exporter->end_by_s, by_s);
    wake(exporter);
}

void qn_span_exporter_close(qn_span_exporter *exporter)
{
    if (!exporter->started) return;
    pthread_join(exporter->thread, NULL);
    exporter->started = false;
}

void qn_span_exporter_free(qn_span_exporter *exporter)
{
    if (!exporter) return;
    if (exporter->started) {
        qn_span_exporter_end(exporter, 0);
        qn_span_exporter_close(exporter);
    }
    qn_http_poster_release(&exporter->poster);
    for (int i = 0; i < exporter->n_rings; i++) {
        qn_span_ring_release(&exporter->rings[i]);
    }
    qn_free(exporter->rings);
    qn_free(exporter->batch);
    qn_str_release(&exporter->body);
    free_receiver(exporter->taken);
    free_receiver(atomic_load(&exporter->next));
    qn_tls_config_unref(exporter->newest.tls);
    if (exporter->wake_fd >= 0) close(exporter->wake_fd);
    qn_free(exporter);
}
