/* SPDX-License-Identifier: Apache-2.0 */
/* Exporters and their receivers, which here are threads that say what a test wants said. */
#include "serve/telemetry/tracing.h"

#include "check.h"

#include "base/clock.h"
#include "base/file.h"

#include <netinet/in.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { REQUESTS_MAX = 4, REQUEST_BYTES = 1 << 20 };

/* Answers the n-th request by the n-th of `answers` – the last one for all that follow – and then
 * ends the connection where it says so. */
typedef struct receiver {
    const char *const *answers;
    int listening;
    char url[64];
    pthread_t thread;
    pthread_mutex_t lock;
    int n_requests, n_connections;
    char requests[REQUESTS_MAX][REQUEST_BYTES];
} receiver;

/* A whole request, or false when the client has gone. */
static bool read_request(int fd, char *out)
{
    size_t n = 0;
    for (;;) {
        out[n] = '\0';
        const char *end = strstr(out, "\r\n\r\n"), *length = strstr(out, "content-length: ");
        if (end && n >= (size_t)(end + 4 - out) + strtoul(length + 16, NULL, 10)) return true;
        const ssize_t got = recv(fd, out + n, REQUEST_BYTES - 1 - n, 0);
        if (got <= 0) return false;
        n += (size_t)got;
    }
}

static void *receive(void *of_receiver)
{
    receiver *r = of_receiver;
    static _Thread_local char request[REQUEST_BYTES];
    for (int fd; (fd = accept(r->listening, NULL, NULL)) >= 0; close(fd)) {
        r->n_connections++;
        while (read_request(fd, request)) {
            pthread_mutex_lock(&r->lock);
            memcpy(r->requests[r->n_requests % REQUESTS_MAX], request, sizeof request);
            int which = 0;
            while (which < r->n_requests && r->answers[which + 1]) {
                which++;
            }
            const char *answer = r->answers[which];
            r->n_requests++;
            pthread_mutex_unlock(&r->lock);
            (void)!send(fd, answer, strlen(answer), MSG_NOSIGNAL);
            if (strstr(answer, "close")) break;
        }
    }
    return NULL;
}

static receiver *receiver_start(const char *const *answers)
{
    receiver *r = calloc(1, sizeof *r);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t bytes = sizeof address;
    r->answers = answers;
    pthread_mutex_init(&r->lock, NULL);
    r->listening = socket(AF_INET, SOCK_STREAM, 0);
    CHECK_INT(bind(r->listening, (struct sockaddr *)&address, sizeof address), 0);
    CHECK_INT(listen(r->listening, 16), 0);
    CHECK_INT(getsockname(r->listening, (struct sockaddr *)&address, &bytes), 0);
    snprintf(r->url, sizeof r->url, "http://127.0.0.1:%d", ntohs(address.sin_port));
    CHECK_INT(pthread_create(&r->thread, NULL, receive, r), 0);
    return r;
}

/* After its client has gone. */
static void receiver_stop(receiver *r)
{
    shutdown(r->listening, SHUT_RDWR);
    pthread_join(r->thread, NULL);
    close(r->listening);
    pthread_mutex_destroy(&r->lock);
    free(r);
}

static qn_tracing *tracing_to(const char *url, double limit_s)
{
    qn_tracing *tracing;
    qn_error err = {0};
    const qn_tracing_options options = {.otlp = url, .headers = "x-key=a%20b", .limit_s = limit_s};
    CHECK_OK(qn_tracing_create(&options, "https://[::1]:8443", 2, &tracing, &err));
    CHECK_OK(qn_tracing_start(tracing, &err));
    return tracing;
}

static void put(qn_tracing *tracing, int loop, int n)
{
    const qn_span_record span = {.trace = "0af7651916cd43dd8448eb211c80319c",
                                 .span = "b7ad6b7169203331",
                                 .method = "GET",
                                 .path = "/",
                                 .status = 200};
    for (int i = 0; i < n; i++) {
        qn_tracing_put(tracing, loop, &span);
    }
}

static int count_text(const char *text, const char *part)
{
    int n = 0;
    for (; (text = strstr(text, part)); text++) {
        n++;
    }
    return n;
}

static void spans_of_all_loops_are_sent_and_the_connection_kept(void **state)
{
    (void)state;
    const char *const answers[] = {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", NULL};
    receiver *r = receiver_start(answers);
    qn_tracing *tracing = tracing_to(r->url, 5);
    put(tracing, 0, 700);
    put(tracing, 1, 1);
    qn_tracing_close(tracing, 10);
    const qn_export_counts counts = qn_tracing_count(tracing, 0);
    CHECK_INT(counts.taken, 701);
    CHECK_INT(counts.sent, 701);
    CHECK(counts.requests >= 2); /* 512 and the rest, or in more batches */
    qn_tracing_free(tracing);
    CHECK_INT(r->n_connections, 1);
    CHECK_CONTAINS(r->requests[0], "POST /v1/traces HTTP/1.1\r\nhost: 127.0.0.1:");
    CHECK_CONTAINS(r->requests[0], "x-key: a b\r\n");
    CHECK_CONTAINS(r->requests[0],
                   "{\"key\":\"server.address\",\"value\":{\"stringValue\":\"::1\"}}");
    CHECK_CONTAINS(r->requests[0], "\"stringValue\":\"https\"");
    receiver_stop(r);
}

/* A connection that the receiver ended between two batches is no failure. */
static void a_connection_that_was_ended_is_made_anew(void **state)
{
    (void)state;
    const char *const answers[] = {"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX: close\r\n\r\n",
                                   NULL};
    receiver *r = receiver_start(answers);
    qn_tracing *tracing = tracing_to(r->url, 5);
    put(tracing, 0, 600);
    qn_tracing_close(tracing, 10);
    const qn_export_counts counts = qn_tracing_count(tracing, 0);
    CHECK_INT(counts.sent, 600);
    CHECK_INT(counts.n_failures, 0);
    qn_tracing_free(tracing);
    CHECK_INT(r->n_connections, counts.requests);
    receiver_stop(r);
}

static void what_is_refused_is_counted_and_not_sent_again(void **state)
{
    (void)state;
    const char *const answers[] = {
        "HTTP/1.1 400 no\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: "
        "43\r\n\r\n{\"partialSuccess\":{\"rejectedSpans\":\"1000\"}}",
        "HTTP/1.1 200 OK\r\nContent-Length: "
        "41\r\n\r\n{\"partialSuccess\":{\"rejectedSpans\":\"-1\"}}",
        "HTTP/1.1 302 x\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n", NULL};
    receiver *r = receiver_start(answers);
    qn_tracing *tracing = tracing_to(r->url, 5);
    put(tracing, 0, 2000);
    qn_tracing_close(tracing, 10);
    const qn_export_counts counts = qn_tracing_count(tracing, 0);
    CHECK(counts.requests >= 4 && counts.n_failures == counts.requests - 2);
    CHECK_INT(counts.sent, 0);
    CHECK_INT(counts.refused, 2000);
    qn_tracing_free(tracing);
    receiver_stop(r);
}

/* Ending is in time, whatever the receiver does. */
static void a_receiver_that_hangs_holds_nothing_up(void **state)
{
    (void)state;
    const char *const answers[] = {"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", NULL};
    receiver *r = receiver_start(answers);
    qn_tracing *tracing = tracing_to(r->url, 100);
    put(tracing, 0, QN_EXPORT_WAITING_MAX);
    put(tracing, 0, QN_EXPORT_WAITING_MAX); /* more than there is room for */
    const double begun = qn_clock_s();
    qn_tracing_close(tracing, 0.2);
    CHECK(qn_clock_s() - begun < 30);
    const qn_export_counts counts = qn_tracing_count(tracing, 0);
    CHECK_INT(counts.taken, 2 * QN_EXPORT_WAITING_MAX);
    CHECK_INT(counts.sent, 0);
    CHECK(counts.full > 0);
    CHECK_INT(counts.full + counts.failed, counts.taken); /* nothing is lost uncounted */
    qn_tracing_free(tracing);
    receiver_stop(r);
}

static void what_passes_is_tried_again(void **state)
{
    (void)state;
    const char *const answers[] = {"HTTP/1.1 503 x\r\nContent-Length: 0\r\n\r\n",
                                   "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", NULL};
    receiver *r = receiver_start(answers);
    qn_tracing *tracing = tracing_to(r->url, 5);
    put(tracing, 0, 3);
    for (int i = 0; i < 1000 && qn_tracing_count(tracing, 0).sent < 3; i++) {
        usleep(10000);
    }
    const qn_export_counts counts = qn_tracing_count(tracing, 0);
    CHECK_INT(counts.sent, 3);
    CHECK_INT(counts.requests, 2);
    CHECK_INT(counts.n_failures, 1);
    qn_tracing_close(tracing, 1);
    qn_tracing_free(tracing);
    CHECK_INT(count_text(r->requests[1], "\"spanId\""), 3);
    receiver_stop(r);
}

static void headers_that_cannot_be_are_refused(void **state)
{
    (void)state;
    const char *const bad[] = {"a b=c", "a=x%0d%0ab: c", "host=x", "Content-Length=1",
                               "a=%7f", "a:=x"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        const qn_tracing_options options = {.otlp = "http://127.0.0.1:1", .headers = bad[i]};
        qn_tracing *tracing;
        qn_error err = {0};
        CHECK_FAILS(QN_ERR_ARG, qn_tracing_create(&options, "unix:x", 1, &tracing, &err));
        CHECK_CONTAINS(err.message, "the traces' headers");
    }
}

static void without_a_receiver_there_is_nothing(void **state)
{
    (void)state;
    const qn_tracing_options options = {.sampler = "not looked at"};
    qn_tracing *tracing;
    qn_error err = {0};
    CHECK_OK(qn_tracing_create(&options, "http://127.0.0.1:1", 1, &tracing, &err));
    CHECK(tracing == NULL && qn_tracing_sampler(tracing) == NULL);
    CHECK_INT(qn_tracing_n_exporters(tracing), 0);
    CHECK_OK(qn_tracing_start(tracing, &err));
    qn_tracing_close(tracing, 1);
    qn_tracing_free(tracing);
}

static const char certificate[] =
    "-----BEGIN CERTIFICATE-----\n"
    "MIIBbDCCAROgAwIBAgIUYREVffqH1XVTQ7C0SpEdaPR5efkwCgYIKoZIzj0EAwIw\n"
    "DDEKMAgGA1UEAwwBYTAeFw0yNjExMjEyMDU2NTFaFw0yNjExMjIyMDU2NTFaMAwx\n"
    "CjAIBgNVBAMMAWEwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAATUFdivJU0YDle+\n"
    "/lZqGaJjZTLQa/bvBwieNxqM/6n85Z5hFl0E/u5Flic3OPWATG/87svRSbCzIoko\n"
    "UcQ113qQo1MwUTAdBgNVHQ4EFgQUx1LYRj93I9DH0u8Tv4MsvurIDegwHwYDVR0j\n"
    "BBgwFoAUx1LYRj93I9DH0u8Tv4MsvurIDegwDwYDVR0TAQH/BAUwAwEB/zAKBggq\n"
    "hkjOPQQDAgNHADBEAiAgiJ6oOComYcpxX0s0px0BLktmmin/gSJBf80vIuvH5QIg\n"
    "IsQLt4nD9BsDB24340mrixVPKHDoxx6LJpYAqLY6l4s=\n"
    "-----END CERTIFICATE-----\n";

/* The file of authorities is read again when it is another one; a bad one leaves all as it was. */
static void authorities_are_read_again(void **state)
{
    (void)state;
    char path[] = "/tmp/quern-authorities-XXXXXX";
    const int fd = mkstemp(path);
    qn_tracing *tracing;
    qn_error err = {0};
    qn_str said = {0};
    bool changed = true;
    CHECK(fd >= 0 && close(fd) == 0);
    CHECK_OK(qn_file_write(path, certificate, strlen(certificate), &err));
    const qn_tracing_options options = {
        .otlp = "https://127.0.0.1:1", .zipkin = "http://127.0.0.1:1", .ca = path};
    CHECK_OK(qn_tracing_create(&options, "unix:x", 1, &tracing, &err));
    CHECK(!qn_tracing_may_move(tracing));
    CHECK_INT(qn_tracing_renew(tracing, &said, &changed), 0);
    CHECK(!changed && said.bytes == 0);
    CHECK_OK(qn_file_write(path, "nothing", 7, &err));
    CHECK_INT(qn_tracing_renew(tracing, &said, &changed), 1);
    CHECK_CONTAINS(said.text, "no certificates in PEM can be read from it");
    CHECK_CONTAINS(said.text, "; traces go on as before\n");
    CHECK(!changed);
    qn_str_clear(&said);
    CHECK_OK(qn_file_write(path, certificate, strlen(certificate), &err));
    CHECK_INT(qn_tracing_renew(tracing, &said, &changed), 0);
    CHECK(changed);
    CHECK_TEXT(said.text, "traces: otlp found anew\n");
    CHECK_OK(qn_file_write(path, certificate, strlen(certificate), &err));
    CHECK_INT(qn_tracing_renew(tracing, NULL, &changed), 0); /* though nobody took the one before */
    CHECK(changed);
    qn_tracing_free(tracing);
    qn_str_release(&said);
    unlink(path);
}

static void renewing_survives_running_out_of_memory(void **state)
{
    (void)state;
    char path[] = "/tmp/quern-authorities-XXXXXX";
    const int fd = mkstemp(path);
    qn_span_exporter *exporter;
    qn_span_source source = {0};
    qn_error err = {0};
    bool changed = false;
    CHECK(fd >= 0 && close(fd) == 0);
    CHECK_OK(qn_file_write(path, certificate, strlen(certificate), &err));
    const qn_export_request request = {.url = "https://127.0.0.1:1",
                                       .path = "/",
                                       .ca = path,
                                       .lines = "",
                                       .source = &source,
                                       .n_loops = 1};
    CHECK_OK(qn_span_exporter_create(&request, &exporter, &err));
    CHECK_OK(qn_file_write(path, certificate, strlen(certificate), &err));
    CHECK_SURVIVES_NO_MEMORY(qn_span_exporter_renew(exporter, &changed, NULL));
    CHECK(changed);
    qn_span_exporter_free(exporter);
    unlink(path);
}

static void making_survives_running_out_of_memory(void **state)
{
    (void)state;
    const qn_tracing_options options = {.otlp = "http://127.0.0.1:1",
                                        .zipkin = "http://[::1]:2",
                                        .headers = "a=b",
                                        .attributes = "c=d",
                                        .service = "s"};
    qn_tracing *tracing;
    CHECK_SURVIVES_NO_MEMORY(qn_tracing_create(&options, "http://127.0.0.1:1", 3, &tracing, NULL));
    CHECK_INT(qn_tracing_n_exporters(tracing), 2);
    CHECK_INT(qn_tracing_port(tracing, 1), 2);
    qn_tracing_free(tracing);
}

RUN_TESTS(TEST(spans_of_all_loops_are_sent_and_the_connection_kept),
          TEST(a_connection_that_was_ended_is_made_anew),
          TEST(what_is_refused_is_counted_and_not_sent_again),
          TEST(a_receiver_that_hangs_holds_nothing_up), TEST(what_passes_is_tried_again),
          TEST(headers_that_cannot_be_are_refused), TEST(without_a_receiver_there_is_nothing),
          TEST(authorities_are_read_again), TEST(renewing_survives_running_out_of_memory),
          TEST(making_survives_running_out_of_memory))
