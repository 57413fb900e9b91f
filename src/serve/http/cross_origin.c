/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/http/cross_origin.h"

#include <stdio.h>
#include <string.h>

qn_status qn_cross_origin_check(const char *const *origins, qn_error *err)
{
    for (int i = 0; origins && origins[i]; i++) {
        const char *host = strstr(origins[i], "://");
        if (strcmp(origins[i], "*") == 0) continue;
        if (host && host > origins[i] && host[3] &&
            strcspn(host + 3, "/ \t\r\n,*") == strlen(host + 3)) {
            continue;
        }
        return qn_fail(err, QN_ERR_ARG,
                       "--cors-origin %s: expected an origin such as https://app.example.org, or *",
                       origins[i]);
    }
    return QN_OK;
}

/* The listed origin that is the request's, or NULL. */
static const char *origin_of(const qn_exchange *x)
{
    const char *const *origins = x->worker->options->cors_origins;
    if (!origins || !origins[0]) return NULL;
    const qn_span origin = qn_http_header(&x->reader, "origin");
    for (int i = 0; origin.text && origins[i]; i++) {
        if (strcmp(origins[i], "*") == 0) return origins[i];
        if (strlen(origins[i]) == origin.bytes &&
            strncasecmp(origins[i], origin.text, origin.bytes) == 0) {
            return origins[i];
        }
    }
    return NULL;
}

const char *qn_cross_origin_lines(qn_exchange *x)
{
    static const char format[] = "access-control-allow-origin: %s\r\n"
                                 "access-control-expose-headers: quern-model, retry-after\r\n"
                                 "vary: origin\r\n";
    const char *origin = origin_of(x);
    if (!origin) return "";
    const int64_t room = (int64_t)(sizeof format + strlen(origin));
    char *lines = qn_arena_array(&x->memory, room, 1);
    if (!lines) return ""; /* the browser keeps the reply to itself */
    snprintf(lines, (size_t)room, format, origin);
    return lines;
}

bool qn_cross_origin_preflight(qn_exchange *x)
{
    if (x->reader.method != QN_HTTP_OPTIONS) return false;
    if (!qn_http_header(&x->reader, "access-control-request-method").text) return false;
    if (!origin_of(x)) return false;
    qn_reply_text(&x->reply, 204, NULL,
                  "access-control-allow-methods: GET, HEAD, POST, PUT, DELETE\r\n"
                  "access-control-allow-headers: authorization, content-type, traceparent\r\n"
                  "access-control-max-age: 600\r\n",
                  "");
    return true;
}
