/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/http/reply.h"

#include "base/json.h"
#include "base/number.h"

#include <string.h>

enum { LENGTH_DIGITS = 12 };

static const char *reason(int status)
{
    switch (status) {
    case 200:
        return "OK";
    case 202:
        return "Accepted";
    case 204:
        return "No Content";
    case 400:
        return "Bad Request";
    case 401:
        return "Unauthorized";
    case 403:
        return "Forbidden";
    case 404:
        return "Not Found";
    case 405:
        return "Method Not Allowed";
    case 408:
        return "Request Timeout";
    case 413:
        return "Content Too Large";
    case 414:
        return "URI Too Long";
    case 415:
        return "Unsupported Media Type";
    case 417:
        return "Expectation Failed";
    case 422:
        return "Unprocessable Content";
    case 429:
        return "Too Many Requests";
    case 431:
        return "Request Header Fields Too Large";
    case 500:
        return "Internal Server Error";
    case 501:
        return "Not Implemented";
    case 503:
        return "Service Unavailable";
    case 505:
        return "HTTP Version Not Supported";
    default:
        return "Unknown";
    }
}

static void add_line(qn_str *out, const char *name, const char *value)
{
    qn_str_add(out, name);
    qn_str_add(out, value);
    qn_str_add(out, "\r\n");
}

/* A header whose value is written later; returns where. */
static size_t add_length(qn_str *out, const char *name)
{
    static const char room[] = "            "; /* LENGTH_DIGITS blanks, for the number behind */
    qn_str_add(out, name);
    const size_t at = out->bytes;
    qn_str_add_bytes(out, room, LENGTH_DIGITS);
    qn_str_add(out, "\r\n");
    return at;
}

static void set_length(qn_str *out, size_t at, size_t length)
{
    char digits[QN_INT64_TEXT_BYTES];
    const size_t n = qn_format_int64((int64_t)length, digits);
    memset(out->text + at, ' ', LENGTH_DIGITS);
    memcpy(out->text + at + LENGTH_DIGITS - n, digits, n);
}

void qn_reply_begin(qn_reply *reply, int status, const char *content_type, const char *lines)
{
    qn_str *out = reply->out;
    char code[QN_INT64_TEXT_BYTES];
    reply->status = status;
    reply->start = out->bytes;
    qn_format_int64(status, code);
    qn_str_add(out, "HTTP/1.1 ");
    qn_str_add(out, code);
    qn_str_add_char(out, ' ');
    add_line(out, reason(status), "");
    if (content_type) add_line(out, "content-type: ", content_type);
    reply->length_at = add_length(out, "content-length: ");
    if (reply->in_parts) {
        reply->json_length_at = add_length(out, "inference-header-content-length: ");
    }
    add_line(out, "date: ", reply->date);
    if (!reply->keep_alive) {
        qn_str_add(out, "connection: close\r\n");
    } else if (!reply->http_1_1) {
        qn_str_add(out, "connection: keep-alive\r\n");
    }
    if (reply->common) qn_str_add(out, reply->common);
    if (reply->origin) qn_str_add(out, reply->origin);
    if (reply->trace) qn_str_add(out, reply->trace);
    if (lines) qn_str_add(out, lines);
    qn_str_add(out, "\r\n");
    reply->body_at = out->bytes;
}

void qn_reply_end_json(qn_reply *reply)
{
    if (reply->out->failed) return;
    set_length(reply->out, reply->json_length_at, reply->out->bytes - reply->body_at);
}

void qn_reply_end(qn_reply *reply)
{
    qn_str *out = reply->out;
    if (out->failed) return;
    set_length(out, reply->length_at, out->bytes - reply->body_at);
    if (reply->without_body) {
        out->bytes = reply->body_at;
        out->text[out->bytes] = '\0';
    }
}

/* HTTP/1.0 has said "keep-alive" in its place already; there the end of the connection must do. */
void qn_reply_make_last(qn_reply *reply)
{
    static const char line[] = "connection: close\r\n";
    const size_t bytes = sizeof line - 1, at = reply->body_at - 2; /* before the empty line */
    qn_str *out = reply->out;
    reply->keep_alive = false;
    if (!reply->http_1_1 || out->failed) return;
    const size_t moved = out->bytes - at;
    qn_str_add_bytes(out, line, bytes);
    if (out->failed) return;
    memmove(out->text + at + bytes, out->text + at, moved);
    memcpy(out->text + at, line, bytes);
    reply->body_at += bytes;
}

void qn_reply_recode(qn_reply *reply, const char *coding, const char *body, size_t bytes)
{
    qn_str *out = reply->out;
    out->bytes = reply->body_at - 2; /* the empty line goes behind these two */
    add_line(out, "content-encoding: ", coding);
    add_line(out, "vary: accept-encoding", "");
    add_line(out, "", "");
    reply->body_at = out->bytes;
    qn_str_add_bytes(out, body, bytes);
    qn_reply_end(reply);
}

void qn_reply_text(qn_reply *reply, int status, const char *content_type, const char *lines,
                   const char *body)
{
    qn_reply_begin(reply, status, content_type, lines);
    qn_str_add(reply->out, body);
    qn_reply_end(reply);
}

void qn_reply_error(qn_reply *reply, int status, const char *message, int64_t row,
                    const char *column, const char *lines)
{
    qn_str *out = reply->out;
    qn_json_writer json = {.out = out};
    if (reply->status != 0 && !out->failed) {
        out->bytes = reply->start;
        out->text[out->bytes] = '\0';
    }
    reply->in_parts = false;
    if (!lines && status == 503) lines = "retry-after: 1\r\n";
    qn_reply_begin(reply, status, "application/json", lines);
    qn_json_begin_object(&json);
    qn_json_put_text(&json, "error", message);
    if (row > 0) qn_json_put_int(&json, "row", row);
    if (column) qn_json_put_text(&json, "column", column);
    qn_json_end_object(&json);
    qn_str_add_char(out, '\n');
    qn_reply_end(reply);
}
