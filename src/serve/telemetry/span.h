/* SPDX-License-Identifier: Apache-2.0 */
/* Span: what a trace is told of one request – a record of a fixed size, because it waits in a ring
 * of them (span_ring.h) until span_json.h writes it for a receiver.
 *
 * It has no header, no query string, no value of a row and not who sent it.
 *
 * Threads: values. */
#ifndef QN_SERVE_TELEMETRY_SPAN_H
#define QN_SERVE_TELEMETRY_SPAN_H

#include "serve/models/served_model.h"

enum { QN_SPAN_PATH_BYTES_MAX = 128 };

typedef struct qn_span_record {
    char trace[33], span[17], parent[17]; /* hexadecimal digits; parent "": it is the first */
    int64_t begun_ns, ended_ns;           /* since 1970 */
    int status;                           /* HTTP's */
    int64_t n_rows;                       /* predicted */
    const char *method;                   /* static */
    const char *route;                    /* its pattern; static; NULL: none was found */
    char path[QN_SPAN_PATH_BYTES_MAX + 1];
    char model[QN_MODEL_NAME_BYTES_MAX + 1], version[QN_MODEL_NAME_BYTES_MAX + 1]; /* "": none */
} qn_span_record;

#endif
