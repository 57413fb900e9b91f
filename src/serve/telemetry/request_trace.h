/* SPDX-License-Identifier: Apache-2.0 */
/* Request trace: by which names a request is known elsewhere. Its id is the client's header
 * 'x-request-id' (1 to 64 of A-Z a-z 0-9 . _ -) or is drawn; it is given back in every reply, and
 * joins log lines and, later, outcomes. A client's 'traceparent' (W3C Trace Context, level 1, 3.2)
 * is continued: the reply and the logs have the trace, with the span that the server is. Where
 * spans are sent to somebody, a request without one begins a trace.
 *
 * Threads: pure functions over the caller's memory. */
#ifndef QN_SERVE_TELEMETRY_REQUEST_TRACE_H
#define QN_SERVE_TELEMETRY_REQUEST_TRACE_H

#include "base/json.h"
#include "base/json_pull.h"
#include "base/rng.h"
#include "serve/http/http_reader.h"
#include "serve/telemetry/trace_sampler.h"

enum { QN_REQUEST_ID_BYTES_MAX = 64, QN_TRACE_LINES_BYTES = 192 };

typedef struct qn_request_trace {
    char id[QN_REQUEST_ID_BYTES_MAX + 1];
    char trace[33], parent[17], span[17]; /* hexadecimal digits; "": there is no trace, or parent */
    bool sampled;                         /* its span is to be sent */
    char lines[QN_TRACE_LINES_BYTES];     /* of the reply's head */
} qn_request_trace;

/* Whether `id` could be a request's. */
bool qn_request_id_is_valid(const char *id, size_t bytes);
/* From the request's head; what is not well-formed is as if it were not there. `sampler` NULL:
 * spans are not sent, and a trace that is not the client's is not begun. */
void qn_request_trace_begin(qn_request_trace *trace, const qn_http_reader *reader, qn_rng *rng,
                            const qn_trace_sampler *sampler);

/* For logs. The id, and the trace if there is one. */
void qn_request_put_trace(qn_json_writer *json, const qn_request_trace *trace);
/* The beginning of a path as the client sent it, up to bytes that are no UTF-8: those would make
 * the line no JSON. */
void qn_request_put_path(qn_json_writer *json, qn_span path);

#endif
