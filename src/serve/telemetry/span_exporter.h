/* SPDX-License-Identifier: Apache-2.0 */
/* Span exporter: gives spans to one receiver, by a thread of its own, so that no request waits for
 * it. Each loop puts its spans into a ring (span_ring.h); what a ring cannot take is dropped and
 * counted. The thread sends batches, a second's worth or QN_EXPORT_SPANS_MAX at a time, each within
 * a time limit. A receiver that cannot be reached, or answers 429, 502, 503 or 504, is asked again
 * after a pause that doubles each time (its Retry-After if that is longer; a random factor keeps
 * servers from asking in step), five times in all; other answers than 2xx are final (OTLP 1.x,
 * "OTLP/HTTP Response"). Either way the spans are dropped and counted, and later ones have their
 * turn.
 *
 * Where the receiver is – the addresses of its name – and which authorities its certificate is
 * believed by is found out when the exporter is made, and again when somebody asks for it; the
 * thread takes what is new before its next request.
 *
 * Threads: qn_span_exporter_put() for one loop is one thread's; counts are any thread's; all else
 * is the thread's that made it. */
#ifndef QN_SERVE_TELEMETRY_SPAN_EXPORTER_H
#define QN_SERVE_TELEMETRY_SPAN_EXPORTER_H

#include "serve/telemetry/span_json.h"

#include <stdint.h>

enum { QN_EXPORT_SPANS_MAX = 512, QN_EXPORT_WAITING_MAX = 8192 };

typedef struct qn_span_exporter qn_span_exporter; /* destroy with qn_span_exporter_free() */

typedef struct qn_export_request {
    const char *url, *path; /* of the receiver; the path of a URL without one */
    const char *ca;         /* see qn_tls_client_config_create() */
    const char *lines;      /* further header lines, each with its "\r\n" */
    qn_span_writer write;
    const qn_span_source *source;
    double limit_s; /* for each request to the receiver */
    int n_loops;
    uint64_t seed; /* of the pauses */
} qn_export_request;

/* Everything that a sandbox could forbid later: resolves the name, reads certificates. Texts and
 * source must outlive the exporter. Fails as qn_endpoint_open() and qn_tls_client_config_create()
 * do, or with QN_ERR_NOMEM. */
QN_MUST_CHECK
qn_status qn_span_exporter_create(const qn_export_request *request, qn_span_exporter **out,
                                  qn_error *err);
/* Starts the thread, which inherits the caller's sandbox. Fails with QN_ERR_NOMEM. */
QN_MUST_CHECK
qn_status qn_span_exporter_start(qn_span_exporter *exporter, qn_error *err);
int qn_span_exporter_port(const qn_span_exporter *exporter);
/* Whether the receiver's name may come to lead elsewhere. */
bool qn_span_exporter_may_move(const qn_span_exporter *exporter);
/* Finds out anew where the receiver is, and reads the file of authorities if it has changed; may
 * take as long as the resolver does. *changed tells whether there is anything new. Fails as
 * qn_span_exporter_create() does, and all stays as it was. */
QN_MUST_CHECK
qn_status qn_span_exporter_renew(qn_span_exporter *exporter, bool *changed, qn_error *err);

/* Never waits. */
void qn_span_exporter_put(qn_span_exporter *exporter, int loop, const qn_span_record *span);

typedef struct qn_export_counts {
    uint64_t taken;                /* spans that were given to it: those that follow, and waiting */
    uint64_t sent;                 /* that the receiver took */
    uint64_t full;                 /* dropped: too many waited */
    uint64_t refused;              /* dropped: the receiver does not want them */
    uint64_t failed;               /* dropped: it could not be reached in time, or memory */
    uint64_t requests, n_failures; /* to the receiver; those that were not answered 2xx */
} qn_export_counts;

qn_export_counts qn_span_exporter_count(const qn_span_exporter *exporter);

/* Has the thread send what waits and end; at that time (on qn_clock_s()) at the latest. Nothing may
 * be put any more. */
void qn_span_exporter_end(qn_span_exporter *exporter, double by_s);
/* Waits until it has. */
void qn_span_exporter_close(qn_span_exporter *exporter);
void qn_span_exporter_free(qn_span_exporter *exporter); /* accepts NULL; ends it at once */

#endif
