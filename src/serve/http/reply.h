/* SPDX-License-Identifier: Apache-2.0 */
/* Reply: one response, written straight into what will be sent. The head comes first with room for
 * the length, which is filled in at the end; what was written can be thrown away for an error as
 * long as nothing was sent.
 *
 * Threads: one thread at a time. */
#ifndef QN_SERVE_HTTP_REPLY_H
#define QN_SERVE_HTTP_REPLY_H

#include "base/error.h"
#include "base/str.h"

#include <stdint.h>

typedef struct qn_reply {
    qn_str *out;
    const char *date;   /* the Date header's value */
    const char *common; /* lines of every reply of this server; NULL: none */
    const char *origin; /* lines for pages of other origins; NULL: none */
    const char *trace;  /* lines that name the request; NULL: none */
    bool http_1_1, keep_alive;
    bool without_body; /* HEAD */
    bool in_parts;     /* the body is JSON with binary tensors behind it */
    int status;        /* 0: not begun */
    size_t start, length_at, json_length_at, body_at;
} qn_reply;

/* Begins at the end of *out. `lines` are further header lines, each with its "\r\n"; may be NULL.
 */
void qn_reply_begin(qn_reply *reply, int status, const char *content_type, const char *lines);
/* Of a body in parts: the JSON is there. */
void qn_reply_end_json(qn_reply *reply);
/* The body is added to reply->out in between. */
void qn_reply_end(qn_reply *reply);

/* After the end, of a reply that would let its connection stay: it is the connection's last. */
void qn_reply_make_last(qn_reply *reply);

/* After the end: the body is replaced by what a content coding makes of it. */
void qn_reply_recode(qn_reply *reply, const char *coding, const char *body, size_t bytes);

/* A whole reply of text that is there already. */
void qn_reply_text(qn_reply *reply, int status, const char *content_type, const char *lines,
                   const char *body);
/* Throws away what was begun and answers {"error": message, "row": …, "column": …}; row 0 and
 * column NULL are left out. 503 comes with Retry-After. */
void qn_reply_error(qn_reply *reply, int status, const char *message, int64_t row,
                    const char *column, const char *lines);

#endif
