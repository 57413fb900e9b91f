/* SPDX-License-Identifier: Apache-2.0 */
/* Spans as JSON for those who collect traces:
 *
 * - OTLP (OpenTelemetry protocol 1.x, "JSON Protobuf Encoding"): ids are hexadecimal digits, enums
 *   numbers, integers of 64 bits texts. Attributes have the names of OpenTelemetry's semantic
 *   conventions for HTTP servers, and quern.model, quern.version, quern.rows;
 * - Zipkin, version 2 of its API: the same attributes as tags.
 *
 * Threads: immutable once read; pure functions. */
#ifndef QN_SERVE_TELEMETRY_SPAN_JSON_H
#define QN_SERVE_TELEMETRY_SPAN_JSON_H

#include "base/error.h"
#include "base/str.h"
#include "serve/telemetry/span.h"

/* What is the same for all spans of a server. */
typedef struct qn_span_source {
    qn_str resource;     /* OTLP: the attributes as JSON objects with commas between them */
    char *service;       /* the service's name */
    const char *scheme;  /* "http" or "https" */
    const char *address; /* that the server listens on; NULL: a socket of the file system */
    int port;
} qn_span_source; /* release with qn_span_source_release() */

/* `attributes` is "name=value,…" with percent-escapes in values (OTEL_RESOURCE_ATTRIBUTES), or
 * NULL; `service` NULL: the attribute service.name, or "quern". The other members are the
 * caller's. Fails with QN_ERR_ARG (not of that form) or QN_ERR_NOMEM. */
QN_MUST_CHECK
qn_status qn_span_source_read(const char *service, const char *attributes, qn_span_source *out,
                              qn_error *err);
void qn_span_source_release(qn_span_source *source);

/* The body of a request that tells of `n` spans. */
typedef void (*qn_span_writer)(const qn_span_source *source, const qn_span_record *spans, int64_t n,
                               qn_str *out);
void qn_spans_write_otlp(const qn_span_source *source, const qn_span_record *spans, int64_t n,
                         qn_str *out);
void qn_spans_write_zipkin(const qn_span_source *source, const qn_span_record *spans, int64_t n,
                           qn_str *out);

#endif
