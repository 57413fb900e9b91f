/* SPDX-License-Identifier: Apache-2.0 */
/* Loop: epoll over one listening socket and its connections. Connections stand in one list for each
 * stage they can be in; every stage has one time limit, so each list is in order of deadlines and
 * nothing has to be sorted or searched.
 *
 * Threads: one thread; qn_loop_wake() from any. */
#ifndef QN_SERVE_HTTP_LOOP_H
#define QN_SERVE_HTTP_LOOP_H

#include "serve/http/exchange.h"

typedef enum qn_stage {
    QN_STAGE_SHAKING,   /* TLS is being agreed on */
    QN_STAGE_IDLE,      /* between requests */
    QN_STAGE_HEAD,      /* a request has begun */
    QN_STAGE_BODY,      /* its head is there */
    QN_STAGE_WORKING,   /* its handler has more to do */
    QN_STAGE_GATHERED,  /* its rows are in the micro-batch, until the end of the turn */
    QN_STAGE_WAITING,   /* its handler waits for another thread */
    QN_STAGE_WRITING,   /* the socket takes no more for now */
    QN_STAGE_LINGERING, /* all is said; what still comes is passed over, so that it arrives */
    QN_N_STAGES
} qn_stage;

typedef struct qn_connection {
    qn_peer peer;
    qn_stage stage;
    uint32_t interest; /* epoll's */
    bool closing;      /* once all is sent */
    double deadline_s;
    struct qn_connection *previous, *next; /* of its stage */
    qn_exchange *exchange;                 /* NULL while idle */
} qn_connection;

/* What loops share. */
typedef struct qn_loop_sources {
    qn_model_store *models;
    qn_credential_store *credentials;
    qn_rate_limit *rate, *failures; /* rate may be NULL */
    const char *common_lines;       /* of every reply */
} qn_loop_sources;

typedef struct qn_loop {
    qn_worker worker;
    const qn_loop_sources *sources;
    qn_http_limits limits;
    int epoll_fd, wake_fd, listen_fd; /* -1: none (any more) */
    bool accepting;                   /* listen_fd is in epoll */
    double accept_again_s;            /* after a shortage of descriptors */
    double now_s;
    bool took_all; /* the turn had all that was ready when it began */
    int64_t n_connections, connections_max;
    size_t buffered_bytes, buffered_bytes_max; /* of requests being received */
    double stage_s[QN_N_STAGES];
    struct {
        qn_connection *first, *last;
    } stages[QN_N_STAGES];
    qn_exchange *free_exchanges;
    double close_idle_at_s;
    double close_by_s; /* when closing: what is left is cut off then; 0: not closing */
    int64_t n_cut_off;
} qn_loop;

/* Takes the listening socket. `sources` must outlive the loop. */
QN_MUST_CHECK
qn_status qn_loop_init(qn_loop *loop, qn_server *server, const qn_serve_options *options, int index,
                       int listen_fd, const qn_loop_sources *sources, qn_loop_counters *counters,
                       qn_error *err);
/* Runs until the server is closing and the last connection is gone. */
void qn_loop_run(qn_loop *loop);
void qn_loop_release(qn_loop *loop);
/* Makes the loop look at the server's state and catalog. */
void qn_loop_wake(const qn_loop *loop);

/* Connections, for loop.c. */
void qn_connection_open(qn_loop *loop, int fd, const struct sockaddr_storage *address);
void qn_connection_event(qn_loop *loop, qn_connection *connection, uint32_t events);
/* The next step of a connection that is working. */
void qn_connection_work(qn_loop *loop, qn_connection *connection);
/* One that waited for another thread goes on working. */
void qn_connection_resume(qn_loop *loop, qn_connection *connection);
void qn_connection_time_out(qn_loop *loop, qn_connection *connection);
void qn_connection_close(qn_loop *loop, qn_connection *connection);

#endif
