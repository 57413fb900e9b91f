/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes of a connection → the response to a request that this program sent, by llhttp. A sender
 * that means ill, or is no HTTP server at all, costs no more than a fixed number of bytes.
 *
 * Threads: one thread at a time. */
#ifndef QN_SERVE_HTTP_HTTP_RESPONSE_H
#define QN_SERVE_HTTP_HTTP_RESPONSE_H

#include <stdbool.h>
#include <stddef.h>

enum {
    QN_RESPONSE_PARSER_BYTES = 128,
    QN_RESPONSE_BYTES_MAX = 64 * 1024, /* of head and body; more is refused */
    QN_RESPONSE_KEPT_BYTES = 4096,     /* of the body */
    QN_RESPONSE_HEADER_BYTES = 32      /* of names and values that are looked at */
};

typedef enum qn_response_progress {
    QN_RESPONSE_MORE,
    QN_RESPONSE_DONE,
    QN_RESPONSE_BAD
} qn_response_progress;

typedef struct qn_http_response {
    int status;           /* once the head is there */
    bool keep_alive;      /* once it is done */
    double retry_after_s; /* 0: not said, or as a date */
    char body[QN_RESPONSE_KEPT_BYTES];
    size_t body_bytes; /* kept */
    /* The reader's. */
    size_t n_read;
    bool done;
    char name[QN_RESPONSE_HEADER_BYTES], value[QN_RESPONSE_HEADER_BYTES];
    size_t name_bytes, value_bytes; /* more than there is room for: none that is looked at */
    _Alignas(16) unsigned char parser[QN_RESPONSE_PARSER_BYTES]; /* an llhttp_t */
} qn_http_response;

void qn_http_response_begin(qn_http_response *response);
/* The next bytes of the connection; none: it ended. */
qn_response_progress qn_http_response_add(qn_http_response *response, const char *bytes, size_t n);

#endif
