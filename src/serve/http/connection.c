/* SPDX-License-Identifier: Apache-2.0 */
/* One client: reads requests, has them pass the gate and handled, sends the replies, in the order
 * of the requests. */
#include "base/alloc.h"
#include "base/clock.h"
#include "serve/http/cross_origin.h"
#include "serve/http/loop.h"
#include "serve/security/gate.h"
#include "serve/telemetry/access_log.h"
#include "serve/telemetry/request_span.h"

#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

enum {
    SEND_BYTES = 64 * 1024, /* replies are gathered up to this size */
    KEPT_BYTES = 64 * 1024  /* buffers up to this size are kept for the next request */
};

static const char no_memory[] = "no memory for the request; send it again later";

/* Exchanges. */

static qn_exchange *take_exchange(qn_loop *loop)
{
    qn_exchange *x = loop->free_exchanges;
    if (x) {
        loop->free_exchanges = x->next;
        x->next = NULL;
        loop->buffered_bytes += x->reader.room + x->recoded.room;
        return x;
    }
    x = qn_alloc_array(1, sizeof *x);
    if (!x) return NULL;
    qn_http_reader_init(&x->reader, &loop->limits);
    x->worker = &loop->worker;
    return x;
}

/* Ends what belongs to one request. */
static void end_request(qn_loop *loop, qn_exchange *x)
{
    loop->buffered_bytes -= x->recoded.room;
    qn_exchange_clear(x);
    loop->buffered_bytes += x->recoded.room;
}

static void give_exchange(qn_loop *loop, qn_exchange *x)
{
    end_request(loop, x);
    loop->buffered_bytes -= x->reader.room + x->recoded.room;
    if (x->reader.room > KEPT_BYTES) qn_http_reader_release(&x->reader);
    qn_http_reader_clear(&x->reader);
    if (x->out.room > KEPT_BYTES || x->out.failed) qn_str_release(&x->out);
    qn_str_clear(&x->out);
    x->sent = 0;
    x->next = loop->free_exchanges;
    loop->free_exchanges = x;
}

/* Stages. */

static void leave_stage(qn_loop *loop, qn_connection *c)
{
    if (c->previous) {
        c->previous->next = c->next;
    } else {
        loop->stages[c->stage].first = c->next;
    }
    if (c->next) {
        c->next->previous = c->previous;
    } else {
        loop->stages[c->stage].last = c->previous;
    }
}

/* Goes to the end of the stage's list, with the stage's whole time ahead. */
static void enter_stage(qn_loop *loop, qn_connection *c, qn_stage stage)
{
    c->stage = stage;
    c->deadline_s = loop->now_s + loop->stage_s[stage];
    c->previous = loop->stages[stage].last;
    c->next = NULL;
    if (c->previous) {
        c->previous->next = c;
    } else {
        loop->stages[stage].first = c;
    }
    loop->stages[stage].last = c;
}

static uint32_t interest_of(qn_stage stage)
{
    if (stage == QN_STAGE_WRITING) return EPOLLOUT;
    return stage == QN_STAGE_WORKING || stage == QN_STAGE_WAITING ? 0 : EPOLLIN;
}

/* Of a handler that is not done. */
static qn_stage stage_after(qn_step step)
{
    if (step == QN_STEP_WAIT) return QN_STAGE_WAITING;
    return step == QN_STEP_GATHER ? QN_STAGE_GATHERED : QN_STAGE_WORKING;
}

static void set_interest(const qn_loop *loop, qn_connection *c, uint32_t interest)
{
    if (interest == c->interest) return;
    struct epoll_event event = {.events = interest, .data.ptr = c};
    c->interest = interest;
    epoll_ctl(loop->epoll_fd, EPOLL_CTL_MOD, c->peer.fd, &event);
}

static void change_stage(qn_loop *loop, qn_connection *c, qn_stage stage)
{
    leave_stage(loop, c);
    enter_stage(loop, c, stage);
    set_interest(loop, c, interest_of(stage));
}

void qn_connection_open(qn_loop *loop, int fd, const struct sockaddr_storage *address)
{
    qn_connection *c = qn_alloc_array(1, sizeof *c);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
    if (!c || !qn_peer_open(&c->peer, fd, address, loop->worker.credentials->tls)) {
        qn_free(c);
        close(fd);
        return;
    }
    if (epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, fd, &event) != 0) {
        qn_peer_close(&c->peer);
        qn_free(c);
        return;
    }
    c->interest = EPOLLIN;
    loop->n_connections++;
    qn_count_add(&loop->worker.counters->accepted, 1);
    enter_stage(loop, c, c->peer.shaken ? QN_STAGE_IDLE : QN_STAGE_SHAKING);
}

void qn_connection_close(qn_loop *loop, qn_connection *c)
{
    leave_stage(loop, c);
    if (c->exchange) give_exchange(loop, c->exchange);
    /* Closing is not enough where a process forked off just now still has the descriptor: epoll
     * would go on telling of it. */
    epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, c->peer.fd, NULL);
    qn_peer_close(&c->peer);
    qn_free(c);
    loop->n_connections--;
    qn_count_add(&loop->worker.counters->closed, 1);
}

/* Sending. */

/* All is sent. A connection that ends is first half closed: closed at once, bytes of the client
 * still under way would make the kernel throw the reply away. */
static void finish_sending(qn_loop *loop, qn_connection *c)
{
    qn_exchange *x = c->exchange;
    qn_str_clear(&x->out);
    x->sent = 0;
    if (!c->closing) return;
    c->exchange = NULL;
    give_exchange(loop, x);
    qn_peer_end(&c->peer);
    change_stage(loop, c, QN_STAGE_LINGERING);
}

typedef enum sending { SENT, SENDING, GONE } sending;

/* GONE: the connection is closed and freed. */
static sending send_out(qn_loop *loop, qn_connection *c)
{
    qn_exchange *x = c->exchange;
    while (x->sent < x->out.bytes) {
        size_t n = 0;
        const qn_io io = qn_peer_write(&c->peer, x->out.text + x->sent, x->out.bytes - x->sent, &n);
        x->sent += n;
        if (io == QN_IO_WANTS_WRITE) {
            change_stage(loop, c, QN_STAGE_WRITING); /* the time is anew: some was sent */
            return SENDING;
        }
        if (io != QN_IO_DONE) { /* without renegotiation, writing never waits for reading */
            qn_connection_close(loop, c);
            return GONE;
        }
    }
    finish_sending(loop, c);
    return SENT;
}

/* Handling. */

static void start_reply(qn_loop *loop, qn_exchange *x)
{
    const bool known = x->reader.head_done;
    if (known && !x->trace.id[0]) {
        qn_request_trace_begin(&x->trace, &x->reader, &loop->worker.ids,
                               qn_tracing_sampler(qn_server_tracing(loop->worker.server)));
    }
    const bool ending = qn_server_get_state(loop->worker.server) >= QN_SERVER_DRAINING;
    x->reply = (qn_reply){.out = &x->out,
                          .date = loop->worker.date,
                          .common = loop->sources->common_lines,
                          .origin = known ? qn_cross_origin_lines(x) : NULL,
                          .trace = known ? x->trace.lines : NULL,
                          .http_1_1 = x->reader.http_1_1,
                          .keep_alive = x->reader.keep_alive && !ending,
                          .without_body = x->reader.method == QN_HTTP_HEAD};
}

/* "/path?query" of the target, which may also be "http://host/path?query". */
static bool split_target(qn_exchange *x)
{
    qn_span target = qn_http_target(&x->reader);
    if (target.bytes > 7 && strncasecmp(target.text, "http://", 7) == 0) {
        const char *slash = memchr(target.text + 7, '/', target.bytes - 7);
        if (!slash) return false;
        target.bytes -= (size_t)(slash - target.text);
        target.text = slash;
    }
    if (target.bytes == 0 || target.text[0] != '/') return false;
    const char *mark = memchr(target.text, '?', target.bytes);
    x->path = (qn_span){target.text, mark ? (size_t)(mark - target.text) : target.bytes};
    x->query = (qn_span){mark ? mark + 1 : NULL, mark ? target.bytes - x->path.bytes - 1 : 0};
    return true;
}

/* No route: the path is unknown, or has other methods. */
static void refuse_route(qn_exchange *x, qn_http_method method, qn_str *allow)
{
    qn_str lines = {0};
    if (allow->bytes == 0) {
        qn_reply_error(&x->reply, 404, "there is nothing at this path; see GET /", 0, NULL, NULL);
        return;
    }
    qn_str_addf(&lines, "allow: %s\r\n", allow->text);
    const char *text = lines.failed ? NULL : lines.text;
    if (method == QN_HTTP_OPTIONS) {
        qn_reply_text(&x->reply, 204, NULL, text, "");
    } else {
        qn_reply_error(&x->reply, 405, "this path has no such method; see the header 'allow'", 0,
                       NULL, text);
    }
    qn_str_release(&lines);
}

/* Who sends it, and whether they may: told once, as soon as the head is there. False: the request
 * is answered; if it is not `whole`, the connection ends. The route is found anew each time,
 * because what it points to may have moved. */
static bool admit(qn_loop *loop, qn_connection *c, bool whole, qn_str *allow)
{
    qn_exchange *x = c->exchange;
    const qn_http_method method = x->reader.method;
    start_reply(loop, x);
    x->reply.keep_alive &= whole;
    x->peer = &c->peer;
    if (!split_target(x)) {
        qn_reply_error(&x->reply, 400, "the target is no path", 0, NULL, NULL);
        return false;
    }
    x->route = qn_route_find(x, method == QN_HTTP_HEAD ? QN_HTTP_GET : method, allow);
    if (!x->admitted) x->admitted = qn_gate_pass(x);
    return x->admitted;
}

static void count_request(qn_loop *loop, const qn_exchange *x)
{
    const int route = x->route ? (int)(x->route - qn_routes) : QN_ROUTES_MAX - 1;
    qn_count_add(&loop->worker.counters->requests[route][qn_status_index(x->reply.status)], 1);
}

/* The reply is written. Without memory for it, another one is, if it is the only one that waits.
 * The server may have begun to end since the reply was begun: the client must know that its
 * connection does. */
static void finish_request(qn_loop *loop, qn_connection *c)
{
    qn_exchange *x = c->exchange;
    if (x->reply.keep_alive && qn_server_get_state(loop->worker.server) >= QN_SERVER_DRAINING) {
        qn_reply_make_last(&x->reply);
    }
    if (x->out.failed) {
        const bool alone = x->reply.start == 0 && x->sent == 0;
        qn_str_release(&x->out);
        x->reply.status = 0;
        x->reply.keep_alive = false;
        if (alone) {
            qn_reply_error(&x->reply, 503, "no memory for the reply", 0, NULL, NULL);
            if (x->out.failed) qn_str_release(&x->out);
        }
    }
    count_request(loop, x);
    qn_gate_end(x);
    qn_access_log_request(x, &c->peer);
    qn_request_span_put(x);
    if (!x->reply.keep_alive) c->closing = true;
    end_request(loop, x);
}

/* True when the reply is written; else the connection waits for its next turn. */
static bool take_step(qn_loop *loop, qn_connection *c)
{
    qn_exchange *x = c->exchange;
    const size_t room = x->recoded.room;
    const qn_step step = qn_exchange_step(x);
    loop->buffered_bytes += x->recoded.room - room;
    if (step == QN_STEP_MORE && loop->buffered_bytes > loop->buffered_bytes_max) {
        qn_reply_error(&x->reply, 503, no_memory, 0, NULL, NULL);
    } else if (step != QN_STEP_DONE) {
        change_stage(loop, c, stage_after(step));
        return false;
    }
    finish_request(loop, c);
    return true;
}

static bool begin_request(qn_loop *loop, qn_connection *c)
{
    qn_exchange *x = c->exchange;
    qn_str allow = {0};
    x->begun_s = loop->now_s;
    const bool admitted = admit(loop, c, true, &allow);
    if (admitted && !x->route) refuse_route(x, x->reader.method, &allow);
    qn_str_release(&allow);
    if (admitted && x->route) return take_step(loop, c);
    finish_request(loop, c);
    return true;
}

/* The head is there, the body is not: a body that will not be used is not waited for. */
static void look_at_head(qn_loop *loop, qn_connection *c)
{
    qn_exchange *x = c->exchange;
    qn_str allow = {0};
    if (!x->reader.head_done || x->admitted) return;
    if (admit(loop, c, false, &allow)) {
        x->route = NULL; /* until the body is there */
    } else {
        finish_request(loop, c);
    }
    qn_str_release(&allow);
}

/* The message is bad: this is said, and the connection ends. */
static void refuse_message(qn_loop *loop, qn_connection *c, int status, const char *wrong)
{
    qn_exchange *x = c->exchange;
    start_reply(loop, x);
    /* For the log; what was read of it before may have moved. */
    if (!x->reader.head_done || !split_target(x)) x->path = x->query = (qn_span){0};
    x->reply.keep_alive = false;
    qn_reply_error(&x->reply, status, wrong, 0, NULL, NULL);
    finish_request(loop, c);
}

/* Between requests a connection has no exchange. */
static void lay_down(qn_loop *loop, qn_connection *c)
{
    give_exchange(loop, c->exchange);
    c->exchange = NULL;
}

/* The end of what was read so far: waits for more. */
static void wait_for_more(qn_loop *loop, qn_connection *c)
{
    qn_exchange *x = c->exchange;
    if (!qn_http_reader_has_begun(&x->reader)) {
        lay_down(loop, c);
        change_stage(loop, c, QN_STAGE_IDLE);
        return;
    }
    const size_t room = x->reader.room;
    qn_http_reader_shrink(&x->reader);
    loop->buffered_bytes -= room - x->reader.room;
    const qn_stage stage = x->reader.head_done ? QN_STAGE_BODY : QN_STAGE_HEAD;
    /* A stage's time runs from its beginning, however the bytes trickle in. */
    if (c->stage != stage) change_stage(loop, c, stage);
}

/* Handles the requests that are there, until one is incomplete, has more work to do, or the socket
 * is full. */
static void go_on(qn_loop *loop, qn_connection *c)
{
    qn_exchange *x = c->exchange;
    bool more = true;
    while (more && !c->closing && x->out.bytes < SEND_BYTES) {
        switch (qn_http_reader_parse(&x->reader)) {
        case QN_HTTP_DONE:
            if (!begin_request(loop, c)) return;
            qn_http_reader_next(&x->reader);
            break;
        case QN_HTTP_BAD:
            refuse_message(loop, c, x->reader.status, x->reader.wrong);
            break;
        case QN_HTTP_CONTINUE:
            look_at_head(loop, c);
            if (!c->closing) qn_str_add(&x->out, "HTTP/1.1 100 Continue\r\n\r\n");
            break;
        case QN_HTTP_MORE:
            look_at_head(loop, c);
            more = false;
            break;
        }
    }
    if (send_out(loop, c) != SENT || c->closing) return;
    if (more) {
        change_stage(loop, c, QN_STAGE_WORKING); /* others get their turn */
    } else {
        wait_for_more(loop, c);
    }
}

void qn_connection_work(qn_loop *loop, qn_connection *c)
{
    if (c->exchange->route) {
        if (!take_step(loop, c)) return;
        qn_http_reader_next(&c->exchange->reader);
    }
    go_on(loop, c);
}

void qn_connection_resume(qn_loop *loop, qn_connection *c)
{
    change_stage(loop, c, QN_STAGE_WORKING);
}

/* Reading. */

static bool has_memory(qn_loop *loop, qn_connection *c, size_t room_before)
{
    loop->buffered_bytes += c->exchange->reader.room - room_before;
    return loop->buffered_bytes <= loop->buffered_bytes_max;
}

/* Reads once; *n grows by what came. */
static qn_io read_some(qn_loop *loop, qn_connection *c, size_t *n)
{
    qn_http_reader *reader = &c->exchange->reader;
    size_t room, got = 0;
    const size_t room_before = reader->room;
    char *space = qn_http_reader_space(reader, &room);
    if (!space || !has_memory(loop, c, room_before)) {
        refuse_message(loop, c, 503, no_memory);
        return QN_IO_ENDED;
    }
    const qn_io io = qn_peer_read(&c->peer, space, room, &got);
    qn_http_reader_add(reader, got);
    *n += got;
    return io;
}

static void read_in(qn_loop *loop, qn_connection *c)
{
    if (!c->exchange) c->exchange = take_exchange(loop);
    if (!c->exchange) {
        qn_connection_close(loop, c);
        return;
    }
    size_t n = 0;
    qn_io io;
    set_interest(loop, c, EPOLLIN);
    do {
        io = read_some(loop, c, &n);
    } while (io == QN_IO_DONE && qn_peer_pending(&c->peer) > 0);
    if (c->closing) {
        send_out(loop, c);
    } else if (n > 0) {
        go_on(loop, c);
    } else if (io == QN_IO_ENDED) {
        qn_connection_close(loop, c);
    } else {
        if (io == QN_IO_WANTS_WRITE) set_interest(loop, c, EPOLLOUT);
        if (c->stage == QN_STAGE_IDLE) lay_down(loop, c);
    }
}

/* What comes after the last reply is passed over. */
static void pass_over(qn_loop *loop, qn_connection *c)
{
    if (qn_peer_pass_over(&c->peer) == QN_IO_ENDED) qn_connection_close(loop, c);
}

static void shake_hands(qn_loop *loop, qn_connection *c)
{
    switch (qn_peer_handshake(&c->peer)) {
    case QN_IO_DONE:
        change_stage(loop, c, QN_STAGE_IDLE);
        break;
    case QN_IO_WANTS_READ:
        set_interest(loop, c, EPOLLIN);
        break;
    case QN_IO_WANTS_WRITE:
        set_interest(loop, c, EPOLLOUT);
        break;
    case QN_IO_ENDED:
        qn_connection_close(loop, c);
        break;
    }
}

void qn_connection_event(qn_loop *loop, qn_connection *c, uint32_t events)
{
    if ((events & (EPOLLERR | EPOLLHUP)) && !(events & EPOLLIN)) {
        qn_connection_close(loop, c);
    } else if (c->stage == QN_STAGE_SHAKING) {
        shake_hands(loop, c);
    } else if (c->stage == QN_STAGE_WRITING) {
        if (send_out(loop, c) == SENT && !c->closing) go_on(loop, c);
    } else if (c->stage == QN_STAGE_LINGERING) {
        pass_over(loop, c);
    } else if (c->stage != QN_STAGE_WORKING && c->stage != QN_STAGE_WAITING) {
        read_in(loop, c);
    }
}

void qn_connection_time_out(qn_loop *loop, qn_connection *c)
{
    if (c->stage != QN_STAGE_IDLE && c->stage != QN_STAGE_LINGERING) {
        qn_count_add(&loop->worker.counters->timed_out, 1);
    }
    if (c->stage == QN_STAGE_HEAD || c->stage == QN_STAGE_BODY) {
        refuse_message(loop, c, 408, "the request took too long to arrive");
        send_out(loop, c);
    } else {
        qn_connection_close(loop, c);
    }
}
