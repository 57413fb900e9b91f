/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes of a connection → requests, by llhttp (strict) and what it leaves to its caller: limits on
 * head and body, Host, Expect, Transfer-Encoding. One message at a time; what follows it (pipelined
 * requests) waits. Head and body stand together in one buffer, the body in one piece even when it
 * came in chunks, so that nothing is copied between the socket and the reader of the body.
 *
 * llhttp.h is included by http_reader.c and http_response.c alone.
 *
 * Threads: one thread at a time. */
#ifndef QN_SERVE_HTTP_HTTP_READER_H
#define QN_SERVE_HTTP_HTTP_READER_H

#include "base/json_pull.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { QN_HTTP_HEADERS_MAX = 100, QN_HTTP_PARSER_BYTES = 128 };

typedef enum qn_http_method {
    QN_HTTP_GET,
    QN_HTTP_HEAD,
    QN_HTTP_POST,
    QN_HTTP_PUT,
    QN_HTTP_DELETE,
    QN_HTTP_OPTIONS,
    QN_HTTP_OTHER
} qn_http_method;

/* "GET"; QN_HTTP_OTHER is "OTHER". */
const char *qn_http_method_name(qn_http_method method);

typedef enum qn_http_progress {
    QN_HTTP_MORE,     /* the message goes on */
    QN_HTTP_CONTINUE, /* the same, and its sender waits for "100 Continue"; told once */
    QN_HTTP_DONE,     /* a whole message */
    QN_HTTP_BAD       /* `status` and `wrong` say why; the connection cannot go on */
} qn_http_progress;

typedef struct qn_http_limits {
    size_t head_bytes_max, body_bytes_max;
} qn_http_limits;

/* A part of the buffer, from where the message begins. */
typedef struct qn_http_slice {
    uint32_t at, bytes;
} qn_http_slice;

typedef struct qn_http_reader {
    const qn_http_limits *limits;
    char *data;
    size_t bytes, room; /* of data */
    size_t begin;       /* of the message, in data */
    size_t parsed;      /* what llhttp has seen of data */
    /* The message. */
    qn_http_method method;
    bool http_1_1, keep_alive, head_done, done, chunked, wants_continue;
    qn_http_slice target;
    int n_headers;
    struct {
        qn_http_slice name, value;
    } headers[QN_HTTP_HEADERS_MAX];
    size_t body_at, body_bytes; /* from where the message begins */
    size_t chunk_bytes;         /* what came of a body in chunks, its frame included */
    int status;                 /* QN_HTTP_BAD: what to answer */
    const char *wrong;
    bool in_value, told_continue;
    _Alignas(16) unsigned char parser[QN_HTTP_PARSER_BYTES]; /* an llhttp_t */
} qn_http_reader; /* initialise with qn_http_reader_init(), release with qn_http_reader_release() */

void qn_http_reader_init(qn_http_reader *reader, const qn_http_limits *limits);
/* Forgets all it has read; its memory stays. */
void qn_http_reader_clear(qn_http_reader *reader);
void qn_http_reader_release(qn_http_reader *reader);

/* Where the next bytes of the connection go: room for at least one. NULL when out of memory. */
char *qn_http_reader_space(qn_http_reader *reader, size_t *room);
void qn_http_reader_add(qn_http_reader *reader, size_t bytes);
qn_http_progress qn_http_reader_parse(qn_http_reader *reader);
/* Forgets a message that is done; true when bytes of a next one are there already. */
bool qn_http_reader_next(qn_http_reader *reader);
/* Before the reader is kept for a slow sender: gives memory back that it does not need. */
void qn_http_reader_shrink(qn_http_reader *reader);

/* Borrowed until qn_http_reader_next(). Bytes of a header are trimmed; a name is compared without
 * case. Absent: text NULL. */
qn_span qn_http_target(const qn_http_reader *reader);
qn_span qn_http_body(const qn_http_reader *reader);
qn_span qn_http_header(const qn_http_reader *reader, const char *name);
/* How many headers of that name there are. */
int qn_http_count_headers(const qn_http_reader *reader, const char *name);
/* Whether a message has begun. */
bool qn_http_reader_has_begun(const qn_http_reader *reader);

#endif
