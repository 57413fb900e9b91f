/* SPDX-License-Identifier: Apache-2.0 */
/* Exchange: one request and its reply, from the first byte read to the last byte sent. Connections
 * that wait have none: loops lend exchanges out and take them back, buffers included, so that ten
 * thousand idle connections cost little.
 *
 * Threads: one thread, the loop's. */
#ifndef QN_SERVE_HTTP_EXCHANGE_H
#define QN_SERVE_HTTP_EXCHANGE_H

#include "serve/http/http_reader.h"
#include "serve/http/peer.h"
#include "serve/http/reply.h"
#include "serve/security/identity.h"
#include "serve/telemetry/request_trace.h"
#include "serve/worker.h"
#include "source/recoder.h"

typedef struct qn_exchange qn_exchange;

/* A handler is called until it is done, and gives the loop back after a millisecond or so of work:
 * a request of a million rows does not hold up its neighbours. One that waits for another thread is
 * called again when the loop is woken. What it needs between calls is its `job`. It writes the
 * reply, or an error, by x->reply. */
typedef enum qn_step {
    QN_STEP_DONE,
    QN_STEP_MORE,   /* others get their turn first */
    QN_STEP_GATHER, /* once the loop has no other requests to read in this turn */
    QN_STEP_WAIT    /* once another thread wakes the loop */
} qn_step;
typedef qn_step (*qn_handler)(qn_exchange *x);

/* Which models a route is about, and so for which of them its client needs the role. */
typedef enum qn_reach {
    QN_REACH_SERVER, /* the server as a whole: the role must be for all models */
    QN_REACH_MODEL,  /* the model that the first {} names */
    QN_REACH_CHECKED /* the handler asks qn_gate_shows() or qn_gate_demand(): several models, or one
                        not named */
} qn_reach;

/* Forgotten fields are safe: no role is nobody's, no reach is the widest. */
typedef struct qn_route {
    const char *name; /* in metrics: "predict" */
    qn_http_method method;
    const char *pattern; /* a path, where {} stands for one or more bytes other than '/' and ':' */
    qn_access role;
    qn_reach reach;
    qn_handler handle;
    const char *summary; /* one line for people */
} qn_route;

enum { QN_PARAMS_MAX = 2 };

/* What a request goes through, a step at a time. */
typedef enum qn_phase {
    QN_PHASE_DECODE, /* its body, where that has a content coding */
    QN_PHASE_HANDLE,
    QN_PHASE_ENCODE /* the reply's body, where the client takes one */
} qn_phase;

struct qn_exchange {
    qn_http_reader reader;
    qn_str out;  /* replies not sent yet */
    size_t sent; /* bytes of `out` */
    qn_reply reply;
    qn_arena memory; /* lives as long as the request */
    qn_worker *worker;
    const qn_peer *peer;    /* while it is handled */
    bool admitted;          /* it has passed the gate */
    qn_identity identity;   /* who sent it; grants are in `memory`, or static */
    qn_request_trace trace; /* once the head is there; no id: not yet */
    const qn_route *route;  /* NULL: none was found */
    qn_span path, query;
    qn_span params[QN_PARAMS_MAX]; /* what stood for {}; NAME@VERSION gives both */
    double begun_s;                /* on qn_clock_s(): when the request was there */
    const char *told;              /* what an administrator's request did, for the audit log */
    const qn_served_model *model;  /* that predicts for it, for its span; the job's; NULL: none */
    int64_t n_rows;                /* that it has predicted */
    qn_phase phase;
    qn_recoder *recoder;        /* of the phase; NULL: none */
    qn_coding coding;           /* of the request's body */
    qn_str recoded;             /* the request's body, or the reply's */
    void *job;                  /* the handler's, NULL at first */
    void (*release)(void *job); /* called when the request ends, however it does */
    qn_exchange *next;          /* of those that are free */
};

/* All routes, ended by a NULL name. */
extern const qn_route qn_routes[];
/* Finds the route of x->path and fills x->params; for a path that is known by other methods alone,
 * NULL and those methods in `allow`. */
const qn_route *qn_route_find(qn_exchange *x, qn_http_method method, qn_str *allow);

/* The next step of a request that has a route: QN_STEP_DONE when the reply is written. */
qn_step qn_exchange_step(qn_exchange *x);
/* The body, decoded. */
qn_span qn_exchange_body(const qn_exchange *x);
/* What follows `name` and '=' in the query, as it was sent; .text NULL: the name is not there. */
qn_span qn_exchange_query(const qn_exchange *x, const char *name);
/* Whether the query has `name`, by itself or as true or 1. */
bool qn_exchange_asks_for(const qn_exchange *x, const char *name);
/* Forgets the request; its buffers stay for the next one. */
void qn_exchange_clear(qn_exchange *x);

/* Answers a failure by its status: QN_ERR_ARG 400, QN_ERR_DATA 422, QN_ERR_BUDGET 413, else 503. */
void qn_exchange_fail(qn_exchange *x, const qn_error *err, int64_t row, const char *column);

#endif
