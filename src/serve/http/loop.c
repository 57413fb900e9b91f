/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/http/loop.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/number.h"
#include "crypto/secret.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { EVENTS_MAX = 256, ACCEPTS_MAX = 64, TICK_MS = 1000, CLOSING_TICK_MS = 10 };

/* idle_grace_s: a client that was about to send its next request is answered, and told to close. */
static const double linger_s = 2, accept_pause_s = 0.1, idle_grace_s = 0.2;

/* Where loops share a socket, one of them is woken for a connection. */
static const uint32_t LISTENING = EPOLLIN | EPOLLEXCLUSIVE;

static qn_status watch(const qn_loop *loop, int fd, uint32_t events, const void *data,
                       qn_error *err)
{
    struct epoll_event event = {.events = events, .data.ptr = (void *)(uintptr_t)data};
    if (epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, fd, &event) == 0) return QN_OK;
    return qn_fail(err, QN_ERR_IO, "epoll: %s", strerror(errno));
}

qn_status qn_loop_init(qn_loop *loop, qn_server *server, const qn_serve_options *options, int index,
                       int listen_fd, const qn_loop_sources *sources, qn_loop_counters *counters,
                       qn_error *err)
{
    *loop =
        (qn_loop){.worker = {.index = index,
                             .server = server,
                             .options = options,
                             .rate = sources->rate,
                             .failures = sources->failures,
                             .counters = counters},
                  .sources = sources,
                  .limits = {(size_t)options->head_bytes_max, (size_t)options->body_bytes_max},
                  .epoll_fd = -1,
                  .wake_fd = -1,
                  .listen_fd = listen_fd,
                  .connections_max = options->connections_max / options->n_threads + 1,
                  .buffered_bytes_max = (size_t)(options->memory_bytes_max / options->n_threads)};
    loop->stage_s[QN_STAGE_SHAKING] = options->read_s;
    loop->stage_s[QN_STAGE_IDLE] = options->idle_s;
    loop->stage_s[QN_STAGE_HEAD] = loop->stage_s[QN_STAGE_BODY] = options->read_s;
    loop->stage_s[QN_STAGE_WORKING] = QN_INF; /* handlers look at the time themselves */
    loop->stage_s[QN_STAGE_GATHERED] = QN_INF;
    loop->stage_s[QN_STAGE_WAITING] = QN_INF;
    loop->stage_s[QN_STAGE_WRITING] = options->write_s;
    loop->stage_s[QN_STAGE_LINGERING] = linger_s;
    uint64_t seed;
    qn_random_bytes(&seed, sizeof seed);
    qn_rng_init(&loop->worker.ids, seed, (uint64_t)index);
    loop->worker.tokens = qn_token_cache_create();
    if (options->prediction_cache_bytes > 0) {
        loop->worker.cache =
            qn_prediction_cache_create(options->prediction_cache_bytes / options->n_threads);
    }
    if (!loop->worker.tokens || (options->prediction_cache_bytes > 0 && !loop->worker.cache)) {
        return qn_fail(err, QN_ERR_NOMEM, "no memory for the server");
    }
    loop->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (loop->wake_fd < 0 || loop->epoll_fd < 0) {
        return qn_fail(err, QN_ERR_IO, "epoll: %s", strerror(errno));
    }
    QN_TRY(watch(loop, loop->wake_fd, EPOLLIN, &loop->wake_fd, err));
    QN_TRY(watch(loop, loop->listen_fd, LISTENING, &loop->listen_fd, err));
    loop->accepting = true;
    return QN_OK;
}

void qn_loop_release(qn_loop *loop)
{
    for (qn_exchange *x = loop->free_exchanges; x;) {
        qn_exchange *next = x->next;
        qn_http_reader_release(&x->reader);
        qn_arena_release(&x->memory);
        qn_str_release(&x->out);
        qn_str_release(&x->recoded);
        qn_free(x);
        x = next;
    }
    loop->free_exchanges = NULL;
    if (loop->listen_fd >= 0) close(loop->listen_fd);
    if (loop->wake_fd >= 0) close(loop->wake_fd);
    if (loop->epoll_fd >= 0) close(loop->epoll_fd);
    loop->listen_fd = loop->wake_fd = loop->epoll_fd = -1;
    qn_catalog_unref(loop->worker.catalog);
    loop->worker.catalog = NULL;
    qn_credentials_unref(loop->worker.credentials);
    loop->worker.credentials = NULL;
    qn_token_cache_free(loop->worker.tokens);
    loop->worker.tokens = NULL;
    qn_prediction_cache_free(loop->worker.cache);
    loop->worker.cache = NULL;
    qn_workspace_release(&loop->worker.workspace);
    qn_str_release(&loop->worker.line);
}

void qn_loop_wake(const qn_loop *loop)
{
    const uint64_t one = 1;
    ssize_t n;
    do {
        n = write(loop->wake_fd, &one, sizeof one);
    } while (n < 0 && errno == EINTR);
}

/* The Date header's value (RFC 9110, 5.6.7), whatever the locale. */
static void format_date(char *out, size_t room)
{
    static const char days[] = "SunMonTueWedThuFriSat";
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    const time_t now = time(NULL);
    struct tm t;
    gmtime_r(&now, &t);
    snprintf(out, room, "%.3s, %02d %.3s %04d %02d:%02d:%02d GMT", days + 3 * t.tm_wday, t.tm_mday,
             months + 3 * t.tm_mon, t.tm_year + 1900, t.tm_hour, t.tm_min, t.tm_sec);
}

/* Accepting. */

static void pause_accepting(qn_loop *loop)
{
    if (!loop->accepting) return;
    epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, loop->listen_fd, NULL);
    loop->accepting = false;
    loop->accept_again_s = loop->now_s + accept_pause_s;
}

/* One connection too many is told so, without anything of it being read. */
static void refuse_connection(qn_loop *loop, int fd)
{
    static const char text[] = "HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\n"
                               "content-type: application/json\r\ncontent-length: 34\r\n"
                               "connection: close\r\n\r\n{\"error\": \"too many connections\"}\n";
    if (!loop->worker.credentials->tls) {
        (void)!send(fd, text, sizeof text - 1, MSG_NOSIGNAL | MSG_DONTWAIT);
    }
    shutdown(fd, SHUT_WR);
    close(fd);
    qn_count_add(&loop->worker.counters->refused, 1);
}

static void accept_all(qn_loop *loop)
{
    for (int i = 0; i < ACCEPTS_MAX; i++) {
        struct sockaddr_storage address = {0};
        socklen_t bytes = sizeof address;
        const int fd = accept4(loop->listen_fd, (struct sockaddr *)&address, &bytes,
                               SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            if (loop->n_connections >= loop->connections_max) {
                refuse_connection(loop, fd);
            } else {
                qn_connection_open(loop, fd, &address);
            }
        } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            pause_accepting(loop); /* else epoll would tell of it without end */
            return;
        } else if (errno != EINTR && errno != ECONNABORTED) {
            return;
        }
    }
}

static void accept_again(qn_loop *loop)
{
    if (loop->accepting || loop->listen_fd < 0 || loop->now_s < loop->accept_again_s) return;
    loop->accepting = watch(loop, loop->listen_fd, LISTENING, &loop->listen_fd, NULL) == QN_OK;
    if (!loop->accepting) loop->accept_again_s = loop->now_s + accept_pause_s;
}

/* Ending. */

static void begin_closing(qn_loop *loop)
{
    accept_all(loop); /* who was connected before gets an answer */
    if (loop->accepting) epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, loop->listen_fd, NULL);
    loop->accepting = false;
    close(loop->listen_fd);
    loop->listen_fd = -1;
    loop->close_idle_at_s = loop->now_s + idle_grace_s;
    loop->close_by_s = loop->now_s + loop->worker.options->drain_s;
}

static void close_all(qn_loop *loop, qn_stage stage)
{
    while (loop->stages[stage].first) {
        qn_connection_close(loop, loop->stages[stage].first);
    }
}

/* What is left when time is up: with an answer still due, it is counted as cut off. */
static void cut_off(qn_loop *loop)
{
    close_all(loop, QN_STAGE_LINGERING);
    loop->n_cut_off = loop->n_connections;
    for (int stage = 0; stage < QN_N_STAGES; stage++) {
        close_all(loop, (qn_stage)stage);
    }
}

/* True when the loop is to end. */
static bool look_after_closing(qn_loop *loop)
{
    if (qn_server_get_state(loop->worker.server) != QN_SERVER_CLOSING) return false;
    if (loop->close_by_s == 0) {
        begin_closing(loop);
        return false; /* what has arrived meanwhile is answered first */
    }
    if (loop->now_s > loop->close_idle_at_s) {
        close_all(loop, QN_STAGE_SHAKING);
        close_all(loop, QN_STAGE_IDLE);
    }
    if (loop->now_s > loop->close_by_s) cut_off(loop);
    return loop->n_connections == 0;
}

/* Turns. */

static void time_out(qn_loop *loop)
{
    for (int stage = 0; stage < QN_N_STAGES; stage++) {
        qn_connection *c;
        while ((c = loop->stages[stage].first) && c->deadline_s <= loop->now_s) {
            qn_connection_time_out(loop, c);
        }
    }
}

/* One step for each connection that was in this stage when it began. */
static void work(qn_loop *loop, qn_stage stage)
{
    qn_connection *const last = loop->stages[stage].last;
    for (bool more = last != NULL; more;) {
        qn_connection *c = loop->stages[stage].first;
        more = c != last;
        qn_connection_work(loop, c);
    }
}

static int wait_ms(const qn_loop *loop)
{
    if (loop->stages[QN_STAGE_WORKING].first) return 0;
    if (loop->close_by_s > 0) return CLOSING_TICK_MS;
    return loop->accepting || loop->listen_fd < 0 ? TICK_MS : (int)(accept_pause_s * 1000);
}

static void handle_event(qn_loop *loop, const struct epoll_event *event)
{
    if (event->data.ptr == &loop->wake_fd) {
        uint64_t n;
        (void)!read(loop->wake_fd, &n, sizeof n);
        while (loop->stages[QN_STAGE_WAITING].first) {
            qn_connection_resume(loop, loop->stages[QN_STAGE_WAITING].first);
        }
    } else if (event->data.ptr == &loop->listen_fd) {
        if (loop->listen_fd >= 0) accept_all(loop);
    } else {
        qn_connection_event(loop, event->data.ptr, event->events);
    }
}

static void take_news(qn_loop *loop)
{
    const qn_loop_sources *sources = loop->sources;
    qn_worker *worker = &loop->worker;
    if (qn_model_store_is_newer(sources->models, worker->catalog)) {
        qn_catalog_unref(worker->catalog);
        worker->catalog = qn_model_store_acquire(sources->models);
        if (worker->cache) qn_prediction_cache_clear(worker->cache);
    }
    if (qn_credential_store_is_newer(sources->credentials, worker->credentials)) {
        qn_credentials_unref(worker->credentials);
        worker->credentials = qn_credential_store_acquire(sources->credentials);
    }
}

void qn_loop_run(qn_loop *loop)
{
    struct epoll_event events[EVENTS_MAX];
    time_t dated = 0;
    for (;;) {
        const int n = epoll_wait(loop->epoll_fd, events, EVENTS_MAX, wait_ms(loop));
        const time_t second = time(NULL);
        if (loop->took_all) loop->worker.waiting_since_s = loop->now_s;
        loop->took_all = n < EVENTS_MAX;
        loop->now_s = qn_clock_s();
        if (second != dated) format_date(loop->worker.date, sizeof loop->worker.date);
        dated = second;
        take_news(loop);
        for (int i = 0; i < n; i++) {
            loop->worker.n_ahead = n - 1 - i;
            handle_event(loop, &events[i]);
        }
        work(loop, QN_STAGE_GATHERED); /* nothing is gathered now that n_ahead is 0 */
        work(loop, QN_STAGE_WORKING);
        time_out(loop);
        accept_again(loop);
        if (look_after_closing(loop)) return;
    }
}
