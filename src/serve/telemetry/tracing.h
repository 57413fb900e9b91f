/* SPDX-License-Identifier: Apache-2.0 */
/* Tracing: which requests leave a span, and to whom spans are sent – a receiver of OTLP, one of
 * Zipkin's API, or both, each with an exporter of its own (span_exporter.h), so that neither holds
 * the other up.
 *
 * Threads: as span_exporter.h; create, start, renew, close and free are one thread's. */
#ifndef QN_SERVE_TELEMETRY_TRACING_H
#define QN_SERVE_TELEMETRY_TRACING_H

#include "serve/telemetry/span_exporter.h"
#include "serve/telemetry/trace_sampler.h"

/* Zero means the default. */
typedef struct qn_tracing_options {
    const char *otlp;       /* URL; without a path: /v1/traces. NULL: is not sent */
    const char *zipkin;     /* URL; without a path: /api/v2/spans */
    const char *ca;         /* PEM file of the authorities believed of https; the system's */
    const char *headers;    /* of OTLP, "name=value,…", values with percent-escapes */
    const char *service;    /* its name; "quern" */
    const char *attributes; /* of the resource; as headers */
    const char *sampler, *sampler_argument; /* see trace_sampler.h */
    double limit_s;                         /* for each request to a receiver; 10 */
} qn_tracing_options;

typedef struct qn_tracing qn_tracing; /* destroy with qn_tracing_free() */

enum { QN_TRACE_EXPORTERS_MAX = 2 };

/* *out is NULL where spans are sent nowhere. `options` must outlive it; `url` is the server's own.
 * Fails as qn_span_exporter_create() does, or with QN_ERR_ARG (a sampler or header that cannot be).
 */
QN_MUST_CHECK
qn_status qn_tracing_create(const qn_tracing_options *options, const char *url, int n_loops,
                            qn_tracing **out, qn_error *err);
/* Starts the threads. Accepts NULL. Fails with QN_ERR_NOMEM. */
QN_MUST_CHECK
qn_status qn_tracing_start(qn_tracing *tracing, qn_error *err);
/* NULL for NULL. */
const qn_trace_sampler *qn_tracing_sampler(const qn_tracing *tracing);
void qn_tracing_put(qn_tracing *tracing, int loop, const qn_span_record *span);

/* How many exporters there are, 0 for NULL; and of each "otlp" or "zipkin", the TCP port that it
 * connects to, and what it has counted. */
int qn_tracing_n_exporters(const qn_tracing *tracing);
const char *qn_tracing_name(const qn_tracing *tracing, int exporter);
int qn_tracing_port(const qn_tracing *tracing, int exporter);
/* Whether a receiver has a name that may come to lead elsewhere. */
bool qn_tracing_may_move(const qn_tracing *tracing);
/* As qn_span_exporter_renew(), of each; *changed and a line in `messages` (may be NULL) tell what
 * is new or could not be found out. Returns how many could not. Accepts NULL. */
int qn_tracing_renew(qn_tracing *tracing, qn_str *messages, bool *changed);
qn_export_counts qn_tracing_count(const qn_tracing *tracing, int exporter);

/* Sends what waits, for at most that long. Accepts NULL. */
void qn_tracing_close(qn_tracing *tracing, double limit_s);
void qn_tracing_free(qn_tracing *tracing); /* accepts NULL */

#endif
