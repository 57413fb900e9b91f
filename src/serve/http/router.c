/* SPDX-License-Identifier: Apache-2.0 */
/* The table of routes: the one place that says which there are, by which methods, and which role
 * they need. To add one: a line here, a handler in handlers.h, a section in docs/serve.md, a row in
 * tests/unit/serve/test_access.c. */
#include "serve/handlers/handlers.h"

#include <assert.h>
#include <string.h>

const qn_route qn_routes[] = {
    {"index", QN_HTTP_GET, "/", QN_ACCESS_READ, QN_REACH_CHECKED, qn_handle_index, "this list"},
    {"openapi", QN_HTTP_GET, "/openapi.json", QN_ACCESS_READ, QN_REACH_CHECKED, qn_handle_openapi,
     "this list as OpenAPI 3.1, with the models' rows"},
    {"docs", QN_HTTP_GET, "/docs", QN_ACCESS_ANYONE, QN_REACH_SERVER, qn_handle_docs,
     "a page to try the models by"},
    {"docs", QN_HTTP_GET, "/docs/try.css", QN_ACCESS_ANYONE, QN_REACH_SERVER, qn_handle_docs_style,
     "its style"},
    {"docs", QN_HTTP_GET, "/docs/try.js", QN_ACCESS_ANYONE, QN_REACH_SERVER, qn_handle_docs_script,
     "its script"},
    {"livez", QN_HTTP_GET, "/livez", QN_ACCESS_ANYONE, QN_REACH_SERVER, qn_handle_live,
     "200 while the process runs"},
    {"readyz", QN_HTTP_GET, "/readyz", QN_ACCESS_ANYONE, QN_REACH_SERVER, qn_handle_ready,
     "200 while requests are welcome"},
    {"startupz", QN_HTTP_GET, "/startupz", QN_ACCESS_ANYONE, QN_REACH_SERVER, qn_handle_started,
     "200 once the models are loaded"},
    {"metrics", QN_HTTP_GET, "/metrics", QN_ACCESS_READ, QN_REACH_SERVER, qn_handle_metrics,
     "counters, for Prometheus"},
    {"models", QN_HTTP_GET, "/v1/models", QN_ACCESS_READ, QN_REACH_CHECKED, qn_handle_models,
     "the models that are served"},
    {"model", QN_HTTP_GET, "/v1/models/{}", QN_ACCESS_READ, QN_REACH_MODEL, qn_handle_model,
     "a model: columns, classes, versions"},
    {"model", QN_HTTP_GET, "/v1/models/{}/versions/{}", QN_ACCESS_READ, QN_REACH_MODEL,
     qn_handle_model, "a version of a model"},
    {"predict", QN_HTTP_POST, "/v1/models/{}:predict", QN_ACCESS_PREDICT, QN_REACH_MODEL,
     qn_handle_predict, "predict"},
    {"predict", QN_HTTP_POST, "/v1/models/{}", QN_ACCESS_PREDICT, QN_REACH_MODEL, qn_handle_predict,
     "predict"},
    {"predict", QN_HTTP_POST, "/v1/models/{}/versions/{}:predict", QN_ACCESS_PREDICT,
     QN_REACH_MODEL, qn_handle_predict, "predict with a version"},
    {"predict", QN_HTTP_POST, "/v1/models/{}/versions/{}", QN_ACCESS_PREDICT, QN_REACH_MODEL,
     qn_handle_predict, "predict with a version"},
    {"load", QN_HTTP_POST, "/v1/models/{}:load", QN_ACCESS_ADMIN, QN_REACH_MODEL, qn_handle_load,
     "load a model's new and changed files"},
    {"load", QN_HTTP_POST, "/v1/models/{}/versions/{}:load", QN_ACCESS_ADMIN, QN_REACH_MODEL,
     qn_handle_load, "load a version"},
    {"unload", QN_HTTP_POST, "/v1/models/{}:unload", QN_ACCESS_ADMIN, QN_REACH_MODEL,
     qn_handle_unload, "take a model away"},
    {"unload", QN_HTTP_POST, "/v1/models/{}/versions/{}:unload", QN_ACCESS_ADMIN, QN_REACH_MODEL,
     qn_handle_unload, "take a version away"},
    {"alias", QN_HTTP_PUT, "/v1/models/{}/aliases/{}", QN_ACCESS_ADMIN, QN_REACH_MODEL,
     qn_handle_set_alias, "let an alias lead to a version"},
    {"alias", QN_HTTP_DELETE, "/v1/models/{}/aliases/{}", QN_ACCESS_ADMIN, QN_REACH_MODEL,
     qn_handle_remove_alias, "take an alias away"},
    {"routes", QN_HTTP_GET, "/v1/routes", QN_ACCESS_READ, QN_REACH_SERVER, qn_handle_routes,
     "aliases and routes of all models"},
    {"routes", QN_HTTP_PUT, "/v1/routes", QN_ACCESS_ADMIN, QN_REACH_SERVER, qn_handle_set_routes,
     "put a routes file in place of what there is"},
    {"outcomes", QN_HTTP_POST, "/v1/outcomes", QN_ACCESS_PREDICT, QN_REACH_CHECKED,
     qn_handle_outcomes, "what became of predictions, for the prediction log"},
    {"feedback", QN_HTTP_POST, "/feedback", QN_ACCESS_PREDICT, QN_REACH_CHECKED, qn_handle_feedback,
     "rewards of requests, for bandits"},
    {"invocations", QN_HTTP_POST, "/invocations", QN_ACCESS_PREDICT, QN_REACH_CHECKED,
     qn_handle_invocations, "predict with the only model (MLflow, SageMaker)"},
    {"ping", QN_HTTP_GET, "/ping", QN_ACCESS_ANYONE, QN_REACH_SERVER, qn_handle_ready,
     "as /readyz (MLflow, SageMaker)"},
    {"ping", QN_HTTP_GET, "/health", QN_ACCESS_ANYONE, QN_REACH_SERVER, qn_handle_ready,
     "as /readyz (MLflow)"},
    {"version", QN_HTTP_GET, "/version", QN_ACCESS_READ, QN_REACH_CHECKED, qn_handle_version,
     "version of this server"},
    {"v2", QN_HTTP_GET, "/v2", QN_ACCESS_READ, QN_REACH_CHECKED, qn_handle_v2_server,
     "Open Inference Protocol: the server"},
    {"v2_health", QN_HTTP_GET, "/v2/health/live", QN_ACCESS_ANYONE, QN_REACH_SERVER,
     qn_handle_v2_live, "as /livez"},
    {"v2_health", QN_HTTP_GET, "/v2/health/ready", QN_ACCESS_ANYONE, QN_REACH_SERVER,
     qn_handle_v2_ready, "as /readyz"},
    {"v2_statistics", QN_HTTP_GET, "/v2/models/stats", QN_ACCESS_READ, QN_REACH_CHECKED,
     qn_handle_v2_statistics, "how many predictions, and how long they took"},
    {"v2_statistics", QN_HTTP_GET, "/v2/models/{}/stats", QN_ACCESS_READ, QN_REACH_MODEL,
     qn_handle_v2_model_statistics, "the same of a model"},
    {"v2_statistics", QN_HTTP_GET, "/v2/models/{}/versions/{}/stats", QN_ACCESS_READ,
     QN_REACH_MODEL, qn_handle_v2_model_statistics, "the same of a version"},
    {"v2_model", QN_HTTP_GET, "/v2/models/{}", QN_ACCESS_READ, QN_REACH_MODEL, qn_handle_v2_model,
     "a model's tensors"},
    {"v2_model", QN_HTTP_GET, "/v2/models/{}/versions/{}", QN_ACCESS_READ, QN_REACH_MODEL,
     qn_handle_v2_model, "a version's tensors"},
    {"v2_model_ready", QN_HTTP_GET, "/v2/models/{}/ready", QN_ACCESS_READ, QN_REACH_MODEL,
     qn_handle_v2_model_ready, "200 if the model is loaded"},
    {"v2_model_ready", QN_HTTP_GET, "/v2/models/{}/versions/{}/ready", QN_ACCESS_READ,
     QN_REACH_MODEL, qn_handle_v2_model_ready, "200 if the version is loaded"},
    {"infer", QN_HTTP_POST, "/v2/models/{}/infer", QN_ACCESS_PREDICT, QN_REACH_MODEL,
     qn_handle_infer, "predict from tensors"},
    {"infer", QN_HTTP_POST, "/v2/models/{}/versions/{}/infer", QN_ACCESS_PREDICT, QN_REACH_MODEL,
     qn_handle_infer, "predict from tensors with a version"},
    {"repository_index", QN_HTTP_POST, "/v2/repository/index", QN_ACCESS_READ, QN_REACH_CHECKED,
     qn_handle_repository_index, "which models there are, and their states (Triton)"},
    {"repository", QN_HTTP_POST, "/v2/repository/models/{}/load", QN_ACCESS_ADMIN, QN_REACH_MODEL,
     qn_handle_repository_load, "load a model's files (Triton)"},
    {"repository", QN_HTTP_POST, "/v2/repository/models/{}/unload", QN_ACCESS_ADMIN, QN_REACH_MODEL,
     qn_handle_repository_unload, "take a model away (Triton)"},
    {0}};

static_assert(sizeof qn_routes / sizeof *qn_routes < QN_ROUTES_MAX, "room for their counters");

static bool matches(const char *pattern, qn_span path, qn_span *params)
{
    const char *at = path.text, *end = path.text + path.bytes;
    int n = 0;
    while (*pattern) {
        if (*pattern == '{') {
            const char *begin = at;
            while (at < end && *at != '/' && *at != ':') {
                at++;
            }
            if (at == begin) return false;
            params[n++] = (qn_span){begin, (size_t)(at - begin)};
            pattern += 2;
        } else if (at < end && *at == *pattern) {
            at++;
            pattern++;
        } else {
            return false;
        }
    }
    for (; n < QN_PARAMS_MAX; n++) {
        params[n] = (qn_span){0};
    }
    return at == end;
}

/* "NAME@VERSION" in the place of a name, as "NAME%40VERSION" too: clients like to escape it. */
static void split_name(qn_span *params)
{
    const qn_span name = params[0];
    if (!name.text || params[1].text) return;
    const char *at = memchr(name.text, '@', name.bytes);
    const char *escaped = at ? NULL : memmem(name.text, name.bytes, "%40", 3);
    if (!at && !escaped) return;
    const char *version = at ? at + 1 : escaped + 3;
    params[0].bytes = (size_t)((at ? at : escaped) - name.text);
    params[1] = (qn_span){version, name.bytes - (size_t)(version - name.text)};
}

static const char *allowed_name(qn_http_method method)
{
    return method == QN_HTTP_GET ? "GET, HEAD" : qn_http_method_name(method);
}

const qn_route *qn_route_find(qn_exchange *x, qn_http_method method, qn_str *allow)
{
    for (const qn_route *route = qn_routes; route->name; route++) {
        if (!matches(route->pattern, x->path, x->params)) continue;
        split_name(x->params);
        if (route->method == method) {
            qn_str_clear(allow);
            return route;
        }
        if (allow->bytes > 0) qn_str_add(allow, ", ");
        qn_str_add(allow, allowed_name(route->method));
    }
    if (allow->bytes > 0) qn_str_add(allow, ", OPTIONS");
    return NULL;
}

void qn_exchange_fail(qn_exchange *x, const qn_error *err, int64_t row, const char *column)
{
    int status = 503;
    if (err->status == QN_ERR_ARG) status = 400;
    if (err->status == QN_ERR_DATA) status = 422;
    if (err->status == QN_ERR_BUDGET) status = 413;
    qn_reply_error(&x->reply, status, err->message, row, column, NULL);
}

const qn_catalog_entry *qn_exchange_find_model(qn_exchange *x)
{
    const qn_span *version = x->params[1].text ? &x->params[1] : NULL;
    const qn_catalog_entry *entry = qn_catalog_find(x->worker->catalog, x->params[0], version);
    if (!entry) {
        qn_reply_error(&x->reply, 404, "there is no such model or version; see GET /v1/models", 0,
                       NULL, NULL);
        return NULL;
    }
    if (entry->unloaded) {
        qn_reply_error(&x->reply, 404, "the model was unloaded by an administrator", 0, NULL, NULL);
        return NULL;
    }
    if (!entry->model) {
        qn_reply_error(&x->reply, 503,
                       entry->problem ? entry->problem : "the model is being loaded", 0, NULL,
                       NULL);
        return NULL;
    }
    return entry;
}
