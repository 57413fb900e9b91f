/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/http/http_reader.h"

#include "base/alloc.h"

#include <assert.h>
#include <llhttp.h>
#include <string.h>

enum {
    FIRST_BYTES = 16 * 1024,
    KEPT_BYTES = 4 * 1024,
    /* Bodies in chunks may carry this many bytes of frame in all and for each byte of body. */
    FRAME_BYTES_MAX = 64 * 1024,
    FRAME_BYTES_PER_BYTE = 16
};

static_assert(sizeof(llhttp_t) <= QN_HTTP_PARSER_BYTES, "room for llhttp's state");

static llhttp_t *parser_of(qn_http_reader *reader)
{
    return (llhttp_t *)(void *)reader->parser;
}

static qn_http_slice slice_at(const qn_http_reader *reader, const char *at, size_t bytes)
{
    return (qn_http_slice){(uint32_t)((size_t)(at - reader->data) - reader->begin),
                           (uint32_t)bytes};
}

static qn_span span_of(const qn_http_reader *reader, qn_http_slice slice)
{
    return (qn_span){reader->data + reader->begin + slice.at, slice.bytes};
}

static int refuse(qn_http_reader *reader, int status, const char *wrong)
{
    if (reader->status == 0) {
        reader->status = status;
        reader->wrong = wrong;
    }
    return HPE_USER;
}

/* Makes a part longer. llhttp hands parts over in pieces when reads cut them; pieces that do not
 * touch are the lines of a folded header, which nobody should send (RFC 9112, 5.2). */
static int extend(qn_http_reader *reader, qn_http_slice *slice, const char *at, size_t bytes)
{
    const qn_http_slice more = slice_at(reader, at, bytes);
    if (more.at + more.bytes > reader->limits->head_bytes_max) {
        return reader->n_headers == 0 ? refuse(reader, 414, "the target is too long")
                                      : refuse(reader, 431, "the headers are too long");
    }
    if (slice->bytes == 0) {
        *slice = more;
    } else if (slice->at + slice->bytes == more.at) {
        slice->bytes += more.bytes;
    } else {
        return refuse(reader, 400, "a header goes over several lines");
    }
    return 0;
}

static int on_url(llhttp_t *parser, const char *at, size_t bytes)
{
    qn_http_reader *reader = parser->data;
    return extend(reader, &reader->target, at, bytes);
}

static int on_header_field(llhttp_t *parser, const char *at, size_t bytes)
{
    qn_http_reader *reader = parser->data;
    if (reader->head_done) return 0; /* behind a body in chunks: nothing here needs them */
    if (reader->in_value || reader->n_headers == 0) {
        if (reader->n_headers == QN_HTTP_HEADERS_MAX) {
            return refuse(reader, 431, "more than 100 headers");
        }
        reader->headers[reader->n_headers].name = (qn_http_slice){0};
        reader->headers[reader->n_headers++].value = (qn_http_slice){0};
        reader->in_value = false;
    }
    return extend(reader, &reader->headers[reader->n_headers - 1].name, at, bytes);
}

static int on_header_value(llhttp_t *parser, const char *at, size_t bytes)
{
    qn_http_reader *reader = parser->data;
    if (reader->head_done) return 0;
    reader->in_value = true;
    return extend(reader, &reader->headers[reader->n_headers - 1].value, at, bytes);
}

/* An empty value comes without a piece of it. */
static int on_header_value_complete(llhttp_t *parser)
{
    qn_http_reader *reader = parser->data;
    reader->in_value = true;
    return 0;
}

static bool equals(qn_span span, const char *text)
{
    return span.text && strlen(text) == span.bytes && strncasecmp(span.text, text, span.bytes) == 0;
}

/* What RFC 9112 asks of a server and llhttp leaves to it. */
static int check_head(qn_http_reader *reader, const llhttp_t *parser)
{
    const qn_span encoding = qn_http_header(reader, "transfer-encoding");
    const qn_span expect = qn_http_header(reader, "expect");
    const int n_hosts = qn_http_count_headers(reader, "host");
    if (parser->http_major != 1 || parser->http_minor > 1) {
        return refuse(reader, 505, "this server speaks HTTP/1.1 and HTTP/1.0");
    }
    if (n_hosts > 1) return refuse(reader, 400, "several Host headers");
    if (n_hosts == 0 && reader->http_1_1) return refuse(reader, 400, "the Host header is missing");
    if (encoding.text && !reader->http_1_1) {
        return refuse(reader, 400, "HTTP/1.0 has no Transfer-Encoding");
    }
    if (encoding.text &&
        (qn_http_count_headers(reader, "transfer-encoding") > 1 || !equals(encoding, "chunked"))) {
        return refuse(reader, 501, "of transfer encodings only 'chunked' is known");
    }
    if (expect.text && !equals(expect, "100-continue")) {
        return refuse(reader, 417, "of expectations only '100-continue' is known");
    }
    reader->wants_continue = expect.text && reader->http_1_1;
    if ((parser->flags & F_CONTENT_LENGTH) &&
        parser->content_length > reader->limits->body_bytes_max) {
        return refuse(reader, 413, "the body is larger than this server takes");
    }
    return 0;
}

static qn_http_method method_of(uint8_t method)
{
    switch (method) {
    case HTTP_GET:
        return QN_HTTP_GET;
    case HTTP_HEAD:
        return QN_HTTP_HEAD;
    case HTTP_POST:
        return QN_HTTP_POST;
    case HTTP_PUT:
        return QN_HTTP_PUT;
    case HTTP_DELETE:
        return QN_HTTP_DELETE;
    case HTTP_OPTIONS:
        return QN_HTTP_OPTIONS;
    default:
        return QN_HTTP_OTHER;
    }
}

const char *qn_http_method_name(qn_http_method method)
{
    static const char *const names[] = {"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "OTHER"};
    return names[method];
}

static int on_headers_complete(llhttp_t *parser)
{
    qn_http_reader *reader = parser->data;
    reader->head_done = true;
    reader->method = method_of(parser->method);
    reader->http_1_1 = parser->http_major == 1 && parser->http_minor == 1;
    reader->keep_alive = llhttp_should_keep_alive(parser);
    reader->chunked = parser->flags & F_CHUNKED;
    if (parser->method == HTTP_CONNECT) return refuse(reader, 405, "this is no proxy");
    parser->upgrade = 0; /* an offer to speak another protocol may be passed over */
    return check_head(reader, parser);
}

/* A body in chunks is put together where its first byte stands. */
static int on_body(llhttp_t *parser, const char *at, size_t bytes)
{
    qn_http_reader *reader = parser->data;
    if (reader->body_bytes == 0) reader->body_at = (size_t)(at - reader->data) - reader->begin;
    char *end = reader->data + reader->begin + reader->body_at + reader->body_bytes;
    if (end != at) memmove(end, at, bytes);
    reader->body_bytes += bytes;
    if (reader->body_bytes > reader->limits->body_bytes_max) {
        return refuse(reader, 413, "the body is larger than this server takes");
    }
    return 0;
}

static int on_message_complete(llhttp_t *parser)
{
    qn_http_reader *reader = parser->data;
    reader->done = true;
    return HPE_PAUSED;
}

static const llhttp_settings_t settings = {.on_url = on_url,
                                           .on_header_field = on_header_field,
                                           .on_header_value = on_header_value,
                                           .on_headers_complete = on_headers_complete,
                                           .on_body = on_body,
                                           .on_message_complete = on_message_complete,
                                           .on_header_value_complete = on_header_value_complete};

static void begin_message(qn_http_reader *reader)
{
    reader->method = QN_HTTP_OTHER;
    reader->http_1_1 = reader->keep_alive = reader->head_done = reader->done = false;
    reader->chunked = reader->wants_continue = reader->told_continue = reader->in_value = false;
    reader->target = (qn_http_slice){0};
    reader->n_headers = 0;
    reader->body_at = reader->body_bytes = reader->chunk_bytes = 0;
    reader->status = 0;
    reader->wrong = NULL;
    llhttp_init(parser_of(reader), HTTP_REQUEST, &settings);
    parser_of(reader)->data = reader;
}

void qn_http_reader_init(qn_http_reader *reader, const qn_http_limits *limits)
{
    reader->limits = limits;
    reader->data = NULL;
    reader->room = 0;
    qn_http_reader_clear(reader);
}

void qn_http_reader_clear(qn_http_reader *reader)
{
    reader->bytes = reader->begin = reader->parsed = 0;
    begin_message(reader);
}

void qn_http_reader_release(qn_http_reader *reader)
{
    qn_free(reader->data);
    reader->data = NULL;
    reader->bytes = reader->room = 0;
}

/* Moves the message to the front of the buffer. */
static void move_to_front(qn_http_reader *reader)
{
    if (reader->begin == 0) return;
    memmove(reader->data, reader->data + reader->begin, reader->bytes - reader->begin);
    reader->bytes -= reader->begin;
    reader->parsed -= reader->begin;
    reader->begin = 0;
}

char *qn_http_reader_space(qn_http_reader *reader, size_t *room)
{
    if (reader->bytes == reader->room) {
        move_to_front(reader);
        if (reader->bytes == reader->room) {
            const size_t wanted = reader->room ? reader->room * 2 : FIRST_BYTES;
            char *data = qn_realloc_array(reader->data, (int64_t)wanted, 1);
            if (!data) return NULL;
            reader->data = data;
            reader->room = wanted;
        }
    }
    *room = reader->room - reader->bytes;
    return reader->data + reader->bytes;
}

void qn_http_reader_add(qn_http_reader *reader, size_t bytes)
{
    reader->bytes += bytes;
}

void qn_http_reader_shrink(qn_http_reader *reader)
{
    move_to_front(reader);
    if (reader->bytes > KEPT_BYTES / 2 || reader->room <= KEPT_BYTES) return;
    char *data = qn_realloc_array(reader->data, KEPT_BYTES, 1);
    if (!data) return;
    reader->data = data;
    reader->room = KEPT_BYTES;
}

/* Bytes of chunk frames behind the body are of no more use once they are parsed. */
static void drop_frames(qn_http_reader *reader, size_t fed)
{
    reader->chunk_bytes += fed;
    if (reader->chunk_bytes / FRAME_BYTES_PER_BYTE > reader->body_bytes + FRAME_BYTES_MAX / 16) {
        refuse(reader, 400, "chunks that are almost empty");
    }
    if (reader->body_bytes == 0) return;
    reader->bytes = reader->parsed = reader->begin + reader->body_at + reader->body_bytes;
}

static qn_http_progress bad(qn_http_reader *reader, int status, const char *wrong)
{
    refuse(reader, status, wrong);
    return QN_HTTP_BAD;
}

static qn_http_progress go_on(qn_http_reader *reader)
{
    const size_t n = reader->parsed - reader->begin;
    if (!reader->head_done && n > reader->limits->head_bytes_max) {
        return reader->n_headers == 0 ? bad(reader, 414, "the target is too long")
                                      : bad(reader, 431, "the headers are too long");
    }
    if (reader->head_done && reader->wants_continue && !reader->told_continue &&
        reader->body_bytes == 0) {
        reader->told_continue = true;
        return QN_HTTP_CONTINUE;
    }
    return QN_HTTP_MORE;
}

/* The status of what llhttp refuses. */
static int status_of(llhttp_errno_t code)
{
    return code == HPE_INVALID_VERSION || code == HPE_PAUSED_H2_UPGRADE ? 505 : 400;
}

qn_http_progress qn_http_reader_parse(qn_http_reader *reader)
{
    llhttp_t *parser = parser_of(reader);
    const char *from = reader->data + reader->parsed;
    const size_t fed = reader->bytes - reader->parsed;
    if (fed == 0) return QN_HTTP_MORE;
    const bool in_body = reader->head_done;
    const llhttp_errno_t code = llhttp_execute(parser, from, fed);
    if (reader->status != 0) return QN_HTTP_BAD;
    if (reader->done) {
        reader->parsed += (size_t)(llhttp_get_error_pos(parser) - from);
        return QN_HTTP_DONE;
    }
    if (code != HPE_OK) return bad(reader, status_of(code), llhttp_get_error_reason(parser));
    reader->parsed = reader->bytes;
    if (in_body && reader->chunked) {
        drop_frames(reader, fed);
        if (reader->status != 0) return QN_HTTP_BAD;
    }
    return go_on(reader);
}

bool qn_http_reader_next(qn_http_reader *reader)
{
    reader->begin = reader->parsed;
    if (reader->begin == reader->bytes) reader->begin = reader->parsed = reader->bytes = 0;
    begin_message(reader);
    return reader->bytes > reader->begin;
}

bool qn_http_reader_has_begun(const qn_http_reader *reader)
{
    return reader->bytes > reader->begin;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static qn_span trimmed(qn_span span)
{
    while (span.bytes > 0 && is_blank(*span.text)) {
        span.text++;
        span.bytes--;
    }
    while (span.bytes > 0 && is_blank(span.text[span.bytes - 1])) {
        span.bytes--;
    }
    return span;
}

qn_span qn_http_target(const qn_http_reader *reader)
{
    return span_of(reader, reader->target);
}

qn_span qn_http_body(const qn_http_reader *reader)
{
    return (qn_span){reader->data + reader->begin + reader->body_at, reader->body_bytes};
}

qn_span qn_http_header(const qn_http_reader *reader, const char *name)
{
    for (int i = 0; i < reader->n_headers; i++) {
        if (equals(span_of(reader, reader->headers[i].name), name)) {
            return trimmed(span_of(reader, reader->headers[i].value));
        }
    }
    return (qn_span){0};
}

int qn_http_count_headers(const qn_http_reader *reader, const char *name)
{
    int n = 0;
    for (int i = 0; i < reader->n_headers; i++) {
        n += equals(span_of(reader, reader->headers[i].name), name);
    }
    return n;
}
