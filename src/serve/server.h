/* SPDX-License-Identifier: Apache-2.0 */
/* Server: loops, one a thread, each with its own epoll and its own listening socket on the same
 * address (SO_REUSEPORT), so that loops share nothing but the models. See ARCHITECTURE.md, "How a
 * request is served".
 *
 * Threads: internally locked where it matters; start, drain and free are one thread's. */
#ifndef QN_SERVE_SERVER_H
#define QN_SERVE_SERVER_H

#include "base/error.h"
#include "base/str.h"
#include "serve/models/operations.h"
#include "serve/routes/shadow.h"
#include "serve/security/audit.h"
#include "serve/security/credentials.h"
#include "serve/security/sandbox.h"
#include "serve/telemetry/line_log.h"
#include "serve/telemetry/telemetry.h"
#include "serve/telemetry/tracing.h"

#include <stdbool.h>
#include <stdint.h>

/* Zero means the default. */
typedef struct qn_serve_options {
    const char *const *models;  /* "[NAME[@VERSION]=]PATH", ended by NULL; may be NULL */
    const char *model_dir;      /* FOLDER/NAME/VERSION.quern or …/VERSION/model.quern; or NULL */
    const char *const *aliases; /* "NAME@ALIAS=VERSION", ended by NULL; may be NULL */
    const char *routes;         /* aliases and routes, see routing.h; or NULL */
    const char *routes_state; /* a file that keeps what routes learn, see routes_state.h; or NULL */
    const char *listen;       /* "HOST:PORT"; default 127.0.0.1:8080; port 0: any that is free */
    bool open_to_all;         /* listen on other addresses than loopback without credentials */
    bool insecure_http;       /* … or with credentials that go there without TLS */
    qn_credential_files credentials; /* what clients are checked against; none by default */
    const char *audit;               /* the audit log's path, "-": standard error; default none */
    const char *access_log;          /* a line for each request; "-" as above; default none */
    const char *prediction_log;      /* a line for each row and outcome; default none */
    double prediction_share;         /* of requests that are logged there, 0 to 1; default 1 */
    qn_tracing_options tracing;      /* where spans are sent; default nowhere */
    double rate, rate_burst;         /* requests a second of a client; at once; default no limit */
    const char *const *cors_origins; /* ended by NULL: whose pages may ask; default nobody's */
    qn_sandbox_mode sandbox;         /* restricts the calling thread for ever; default off */
    const char *const *read_folders; /* ended by NULL: models may come from here later, too */
    int64_t n_threads;               /* loops; default: as many as the process may use */
    int64_t connections_max;         /* in all; default 16,384 */
    int64_t head_bytes_max;          /* of a request line and its headers; default 32 KB */
    int64_t body_bytes_max;          /* default 64 MiB */
    int64_t memory_bytes_max;        /* of all requests being received; default 1 GiB */
    int64_t rows_max;                /* of one request; default 1,000,000 */
    bool no_compression;             /* of replies, though clients take it */
    bool known_only;                 /* refuse categories that training never saw */
    int64_t prediction_cache_bytes;  /* of rows that were predicted before; default none */
    double request_s;                /* from a request to its reply; default 30 */
    double queue_s;                  /* before its turn, or it is refused; default 1 */
    double read_s;                   /* to send a request's head, and again its body; default 20 */
    double write_s;                  /* for a reply to get on; default 20 */
    double idle_s;                   /* between requests; default 75 */
    double drain_s;                  /* for requests under way when the server ends; default 10 */
} qn_serve_options;

/* What is written while the server runs; NULL: is not kept. */
typedef struct qn_server_logs {
    qn_audit *audit;
    qn_line_log *access, *predictions;
} qn_server_logs;

typedef enum qn_server_state {
    QN_SERVER_STARTING, /* models are being loaded */
    QN_SERVER_READY,
    QN_SERVER_DRAINING, /* not ready any more; connections are still accepted and served */
    QN_SERVER_CLOSING   /* no new connections; requests under way are finished */
} qn_server_state;

typedef struct qn_server qn_server; /* destroy with qn_server_free() */

/* Opens the sockets and starts the loops: from here on health is answered, with "not ready".
 * Fails with QN_ERR_ARG (options that make no sense; an address that is not loopback), QN_ERR_IO
 * (the address cannot be had), QN_ERR_UNSUPPORTED (a sandbox that must be and cannot),
 * QN_ERR_NOMEM. `options` must outlive the server. */
QN_MUST_CHECK
qn_status qn_server_start(const qn_serve_options *options, qn_server **out, qn_error *err);
/* Loads the models whose files are new or changed, and puts them in place; the same for credentials
 * and the audit log. Says what it did, a line each, in *messages (may be NULL). Returns how many
 * could not be loaded. The first call that loads all makes the server ready. */
int64_t qn_server_load(qn_server *server, qn_str *messages);
/* The same when somebody asks for it: finds out anew, too, where the receivers of traces are, and
 * which authorities they are believed by. May take as long as names take to be resolved. */
int64_t qn_server_reload(qn_server *server, qn_str *messages);
/* "http://127.0.0.1:8080", with the port that is really used. */
const char *qn_server_url(const qn_server *server);
/* What the sandbox is: "landlock and seccomp". */
const char *qn_server_sandbox(const qn_server *server);
qn_server_state qn_server_get_state(const qn_server *server);
/* Not ready from now on, though requests are served, each with "connection: close": balancers get
 * time to notice, and clients go elsewhere. */
void qn_server_drain(qn_server *server);
/* Accepts no more, finishes the requests under way within options.drain_s, ends the loops. True
 * when nothing was cut off. */
bool qn_server_close(qn_server *server);
void qn_server_free(qn_server *server); /* accepts NULL; closes first */

/* For handlers. */
int qn_server_n_loops(const qn_server *server);
const qn_loop_counters *qn_server_counters(const qn_server *server, int loop);
const qn_server_logs *qn_server_logs_of(const qn_server *server);
qn_operations *qn_server_operations(const qn_server *server);
qn_shadows *qn_server_shadows(const qn_server *server);
const qn_routes_state *qn_server_routes_state(const qn_server *server); /* NULL: is not kept */
qn_tracing *qn_server_tracing(const qn_server *server); /* NULL: spans are sent nowhere */
double qn_server_started_s(const qn_server *server);    /* seconds since 1970 */

#endif
