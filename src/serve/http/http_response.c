/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/http/http_response.h"

#include "base/number.h"

#include <assert.h>
#include <llhttp.h>
#include <string.h>

static_assert(sizeof(llhttp_t) <= QN_RESPONSE_PARSER_BYTES, "room for llhttp's state");

static llhttp_t *parser_of(qn_http_response *response)
{
    return (llhttp_t *)(void *)response->parser;
}

/* Appends what there is room for; what is longer is only counted. */
static void keep(char *out, size_t room, size_t *kept, const char *at, size_t bytes)
{
    if (*kept + bytes <= room) memcpy(out + *kept, at, bytes);
    *kept += bytes;
}

static int on_header_field(llhttp_t *parser, const char *at, size_t bytes)
{
    qn_http_response *response = parser->data;
    keep(response->name, sizeof response->name, &response->name_bytes, at, bytes);
    return 0;
}

static int on_header_value(llhttp_t *parser, const char *at, size_t bytes)
{
    qn_http_response *response = parser->data;
    keep(response->value, sizeof response->value, &response->value_bytes, at, bytes);
    return 0;
}

static int on_header_value_complete(llhttp_t *parser)
{
    static const char retry_after[] = "retry-after";
    qn_http_response *response = parser->data;
    int64_t seconds;
    while (response->value_bytes > 0 && response->value_bytes <= sizeof response->value &&
           response->value[response->value_bytes - 1] == ' ') {
        response->value_bytes--;
    }
    if (response->name_bytes == sizeof retry_after - 1 &&
        strncasecmp(response->name, retry_after, sizeof retry_after - 1) == 0 &&
        response->value_bytes <= sizeof response->value &&
        qn_parse_int64(response->value, response->value_bytes, &seconds) && seconds > 0) {
        response->retry_after_s = (double)seconds;
    }
    response->name_bytes = response->value_bytes = 0;
    return 0;
}

static int on_headers_complete(llhttp_t *parser)
{
    qn_http_response *response = parser->data;
    response->status = llhttp_get_status_code(parser);
    return 0;
}

static int on_body(llhttp_t *parser, const char *at, size_t bytes)
{
    qn_http_response *response = parser->data;
    const size_t room = sizeof response->body - response->body_bytes;
    const size_t kept = bytes < room ? bytes : room;
    memcpy(response->body + response->body_bytes, at, kept);
    response->body_bytes += kept;
    return 0;
}

/* An interim response, 100 to 199, goes before the one that is waited for (RFC 9110, 15.2). */
static int on_message_complete(llhttp_t *parser)
{
    qn_http_response *response = parser->data;
    if (response->status < 200) {
        response->retry_after_s = 0;
        return 0;
    }
    response->keep_alive = llhttp_should_keep_alive(parser);
    response->done = true;
    return HPE_PAUSED;
}

static const llhttp_settings_t settings = {.on_header_field = on_header_field,
                                           .on_header_value = on_header_value,
                                           .on_header_value_complete = on_header_value_complete,
                                           .on_headers_complete = on_headers_complete,
                                           .on_body = on_body,
                                           .on_message_complete = on_message_complete};

void qn_http_response_begin(qn_http_response *response)
{
    response->status = 0;
    response->keep_alive = response->done = false;
    response->retry_after_s = 0;
    response->body_bytes = response->n_read = 0;
    response->name_bytes = response->value_bytes = 0;
    llhttp_init(parser_of(response), HTTP_RESPONSE, &settings);
    parser_of(response)->data = response;
}

qn_response_progress qn_http_response_add(qn_http_response *response, const char *bytes, size_t n)
{
    llhttp_t *parser = parser_of(response);
    const llhttp_errno_t code = n > 0 ? llhttp_execute(parser, bytes, n) : llhttp_finish(parser);
    response->n_read += n;
    if (response->done) return QN_RESPONSE_DONE;
    if (n == 0 || code != HPE_OK || response->n_read > QN_RESPONSE_BYTES_MAX) {
        return QN_RESPONSE_BAD;
    }
    return QN_RESPONSE_MORE;
}
