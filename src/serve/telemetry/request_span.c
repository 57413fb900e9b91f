/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/telemetry/request_span.h"

#include "base/clock.h"
#include "base/utf8.h"

#include <stdio.h>
#include <string.h>

static void copy_path(char *out, qn_span path)
{
    const size_t bytes = path.bytes < QN_SPAN_PATH_BYTES_MAX ? path.bytes : QN_SPAN_PATH_BYTES_MAX;
    const char *bad = bytes > 0 ? qn_utf8_first_invalid(path.text, bytes) : NULL;
    const size_t good = bad ? (size_t)(bad - path.text) : bytes;
    if (good > 0) memcpy(out, path.text, good);
    out[good] = '\0';
}

static bool is_told(const qn_exchange *x)
{
    const qn_route *route = x->route;
    if (!route) return true;
    return route->role != QN_ACCESS_ANYONE && strcmp(route->name, "metrics") != 0;
}

void qn_request_span_put(const qn_exchange *x)
{
    if (!x->trace.sampled || !x->trace.id[0] || !is_told(x)) return;
    const int64_t now_ns = qn_clock_utc_us() * 1000;
    const double lasted_s = x->begun_s > 0 ? qn_clock_s() - x->begun_s : 0;
    qn_span_record span = {.begun_ns = now_ns - (int64_t)(lasted_s * 1e9),
                           .ended_ns = now_ns,
                           .status = x->reply.status,
                           .n_rows = x->n_rows,
                           .method = qn_http_method_name(x->reader.method),
                           .route = x->route ? x->route->pattern : NULL};
    memcpy(span.trace, x->trace.trace, sizeof span.trace);
    memcpy(span.span, x->trace.span, sizeof span.span);
    memcpy(span.parent, x->trace.parent, sizeof span.parent);
    copy_path(span.path, x->path);
    if (x->reader.method == QN_HTTP_OTHER) span.method = "_OTHER";
    if (x->model) {
        snprintf(span.model, sizeof span.model, "%s", x->model->name);
        snprintf(span.version, sizeof span.version, "%s", x->model->version);
    }
    qn_tracing_put(qn_server_tracing(x->worker->server), x->worker->index, &span);
}
