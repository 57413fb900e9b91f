/* SPDX-License-Identifier: Apache-2.0 */
/* GET /openapi.json: what this server answers, as OpenAPI 3.1 – every route of the table, and for
 * each model that the client may read, its rows. Made anew for each request, from what is loaded.
 */
#include "base/json.h"
#include "serve/handlers/handlers.h"
#include "serve/http/embedded_files.h"
#include "serve/security/gate.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { LEVELS_SHOWN_MAX = 20, PATH_BYTES = 160 };

/* What a route takes and gives, by its name; those not listed take nothing and give an object. */
struct content {
    const char *route;
    const char *request;  /* a schema; NULL: no body */
    const char *response; /* a schema; NULL: an object */
    int status;
    bool tables; /* rows as CSV and NDJSON, too */
};

static const struct content contents[] = {
    {"predict", "Rows", "Predictions", 200, true},
    {"invocations", "Rows", "Predictions", 200, true},
    {"infer", "InferRequest", "InferResponse", 200, false},
    {"outcomes", "Outcomes", NULL, 202, false},
    {"feedback", "Feedback", NULL, 202, false},
    {"routes", "Routes", "Routes", 200, false},
    {"alias", "Alias", NULL, 200, false},
    {"repository_index", NULL, "RepositoryIndex", 200, false},
};

static const struct content *content_of(const qn_route *route)
{
    static const struct content other = {.status = 200};
    for (size_t i = 0; i < sizeof contents / sizeof *contents; i++) {
        if (strcmp(contents[i].route, route->name) == 0) return &contents[i];
    }
    return &other;
}

/* What stands for the {} that ends at `end` of a pattern: the word before it, in the singular. */
static const char *parameter_name(const char *pattern, const char *end)
{
    static const struct {
        const char *ending, *name;
    } known[] = {{"/models/{}", "name"}, {"/versions/{}", "version"}, {"/aliases/{}", "alias"}};
    const size_t before = (size_t)(end - pattern);
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        const size_t bytes = strlen(known[i].ending);
        if (bytes <= before && memcmp(end - bytes, known[i].ending, bytes) == 0) {
            return known[i].name;
        }
    }
    return "id";
}

/* "/v1/models/{}" → "/v1/models/{name}" */
static void write_path(const char *pattern, char *out)
{
    size_t n = 0;
    for (const char *at = pattern; *at && n < PATH_BYTES - 16; at++) {
        if (*at == '{') {
            n += (size_t)snprintf(out + n, PATH_BYTES - n, "{%s}", parameter_name(pattern, at + 2));
            at++;
        } else {
            out[n++] = *at;
        }
    }
    out[n] = '\0';
}

/* Of the path, unless a model's own path has them filled in; and of the query. */
static void write_parameters(const char *pattern, bool in_path, bool explains, qn_json_writer *json)
{
    static const char explain[] =
        "{\"name\": \"explain\", \"in\": \"query\", \"schema\": {\"type\": \"boolean\"}, "
        "\"description\": \"with the part of each column, where rows are objects or lists\"}";
    static const char interval[] =
        "{\"name\": \"interval\", \"in\": \"query\", \"schema\": {\"type\": \"number\", "
        "\"enum\": [0.5, 0.8, 0.9, 0.95, 0.99]}, \"description\": \"with the interval that holds "
        "such a share of targets; of a regression\"}";
    qn_json_key(json, "parameters");
    qn_json_begin_array(json);
    if (explains) qn_json_raw(json, explain);
    if (explains) qn_json_raw(json, interval);
    for (const char *at = strchr(pattern, '{'); in_path && at; at = strchr(at + 1, '{')) {
        qn_json_begin_object(json);
        qn_json_put_text(json, "name", parameter_name(pattern, at + 2));
        qn_json_put_text(json, "in", "path");
        qn_json_put_bool(json, "required", true);
        qn_json_key(json, "schema");
        qn_json_raw(json,
                    "{\"type\": \"string\", \"pattern\": \"^[A-Za-z0-9_-][A-Za-z0-9._-]*$\"}");
        qn_json_end_object(json);
    }
    qn_json_end_array(json);
}

/* "application/json": {"schema": …}; without a schema, an object. */
static void write_media(const char *type, const char *schema, qn_json_writer *json)
{
    char reference[PATH_BYTES + 32];
    snprintf(reference, sizeof reference, "#/components/schemas/%s", schema ? schema : "");
    qn_json_key(json, type);
    qn_json_begin_object(json);
    qn_json_key(json, "schema");
    qn_json_begin_object(json);
    if (schema) {
        qn_json_put_text(json, "$ref", reference);
    } else {
        qn_json_put_text(json, "type", strstr(type, "json") ? "object" : "string");
    }
    qn_json_end_object(json);
    qn_json_end_object(json);
}

static void write_request(const struct content *content, const char *schema, qn_json_writer *json)
{
    qn_json_key(json, "requestBody");
    qn_json_begin_object(json);
    qn_json_put_bool(json, "required", true);
    qn_json_key(json, "content");
    qn_json_begin_object(json);
    write_media("application/json", schema, json);
    if (content->tables) {
        write_media("application/x-ndjson", NULL, json);
        write_media("text/csv", NULL, json);
    }
    qn_json_end_object(json);
    qn_json_end_object(json);
}

/* `media` is the type of what a route without schema gives. */
static void write_responses(const struct content *content, const char *media, qn_json_writer *json)
{
    static const char error[] =
        "{\"description\": \"it could not be answered\", \"content\": {\"application/json\": "
        "{\"schema\": {\"$ref\": \"#/components/schemas/Error\"}}}}";
    char status[8];
    snprintf(status, sizeof status, "%d", content->status);
    qn_json_key(json, "responses");
    qn_json_begin_object(json);
    qn_json_key(json, status);
    qn_json_begin_object(json);
    qn_json_put_text(json, "description", "done");
    qn_json_key(json, "content");
    qn_json_begin_object(json);
    write_media(media, content->response, json);
    if (content->tables) {
        write_media("application/x-ndjson", NULL, json);
        write_media("text/csv", NULL, json);
    }
    qn_json_end_object(json);
    qn_json_end_object(json);
    qn_json_key(json, "4XX");
    qn_json_raw(json, error);
    qn_json_key(json, "503");
    qn_json_raw(json, error);
    qn_json_end_object(json);
}

/* The type of what a GET gives: JSON, but for these. */
static const char *media_of(const qn_route *route)
{
    static const struct {
        const char *pattern, *type;
    } others[] = {{"/docs", "text/html"},
                  {"/docs/try.css", "text/css"},
                  {"/docs/try.js", "text/javascript"},
                  {"/metrics", "text/plain"},
                  {"/livez", "text/plain"},
                  {"/readyz", "text/plain"},
                  {"/startupz", "text/plain"},
                  {"/ping", "text/plain"},
                  {"/health", "text/plain"},
                  {"/version", "text/plain"}};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        if (strcmp(route->pattern, others[i].pattern) == 0) return others[i].type;
    }
    return "application/json";
}

static void write_operation(const qn_route *route, const char *path, const char *schema,
                            qn_json_writer *json)
{
    const struct content *content = content_of(route);
    char method[16], id[PATH_BYTES + sizeof method];
    size_t n = 0;
    for (const char *at = qn_http_method_name(route->method); *at; at++) {
        method[n++] = (char)(*at + ('a' - 'A'));
    }
    method[n] = '\0';
    memcpy(id, method, n + 1);
    for (const char *at = path; *at && n + 1 < sizeof id; at++) {
        const bool word = (*at >= 'a' && *at <= 'z') || (*at >= 'A' && *at <= 'Z') ||
                          (*at >= '0' && *at <= '9') || *at == '-' || *at == '.';
        if (word || id[n - 1] != '_') id[n++] = word ? *at : '_';
    }
    id[n] = '\0';
    qn_json_key(json, method);
    qn_json_begin_object(json);
    qn_json_put_text(json, "operationId", id);
    qn_json_put_text(json, "summary", route->summary);
    write_parameters(route->pattern, !schema, content->tables, json);
    const bool has_body = route->method == QN_HTTP_POST || route->method == QN_HTTP_PUT;
    if (content->request && has_body) {
        write_request(content, schema ? schema : content->request, json);
    }
    write_responses(content, media_of(route), json);
    if (route->role == QN_ACCESS_ANYONE) {
        qn_json_key(json, "security");
        qn_json_begin_array(json);
        qn_json_end_array(json);
    }
    qn_json_end_object(json);
}

/* Whether an earlier route has the same pattern: it is written with that one. */
static bool is_first_of_pattern(const qn_route *route)
{
    for (const qn_route *other = qn_routes; other < route; other++) {
        if (strcmp(other->pattern, route->pattern) == 0) return false;
    }
    return true;
}

static void write_routes(qn_json_writer *json)
{
    char path[PATH_BYTES];
    for (const qn_route *route = qn_routes; route->name; route++) {
        if (!is_first_of_pattern(route)) continue;
        write_path(route->pattern, path);
        qn_json_key(json, path);
        qn_json_begin_object(json);
        for (const qn_route *other = route; other->name; other++) {
            if (strcmp(other->pattern, route->pattern) == 0) {
                write_operation(other, path, NULL, json);
            }
        }
        qn_json_end_object(json);
    }
}

static const qn_route *predict_route(void)
{
    const qn_route *route = qn_routes;
    while (strcmp(route->pattern, "/v1/models/{}:predict") != 0) {
        route++;
    }
    return route;
}

/* The models the client may read: each its own path, with the schema of its rows. */
static void write_model_paths(const qn_exchange *x, qn_json_writer *json)
{
    char path[QN_MODEL_NAME_BYTES_MAX + 40], schema[QN_MODEL_NAME_BYTES_MAX + 8];
    for (int64_t i = 0; i < x->worker->catalog->n_entries; i++) {
        const qn_catalog_entry *entry = &x->worker->catalog->entries[i];
        if (!entry->model || !entry->is_default || !qn_gate_shows(x, entry->name)) continue;
        snprintf(path, sizeof path, "/v1/models/%s:predict", entry->name);
        snprintf(schema, sizeof schema, "%s.Rows", entry->name);
        qn_json_key(json, path);
        qn_json_begin_object(json);
        write_operation(predict_route(), path, schema, json);
        qn_json_end_object(json);
    }
}

static const char *type_of(qn_kind kind)
{
    switch (kind) {
    case QN_KIND_BOOLEAN:
        return "[\"boolean\", \"null\"]";
    case QN_KIND_DATETIME:
    case QN_KIND_TEXT:
        return "[\"string\", \"null\"]";
    case QN_KIND_CATEGORICAL:
        return "[\"string\", \"number\", \"boolean\", \"null\"]";
    case QN_KIND_NUMERIC:
    case QN_KIND_ID:
    case QN_KIND_CONSTANT:
        break;
    }
    return "[\"number\", \"null\"]";
}

static void write_column(const qn_schema_column *column, qn_json_writer *json)
{
    char range[96];
    qn_json_key(json, column->name);
    qn_json_begin_object(json);
    qn_json_key(json, "type");
    qn_json_raw(json, type_of(column->kind));
    if (column->kind == QN_KIND_NUMERIC && !isnan(column->minimum)) {
        snprintf(range, sizeof range, "%.6g to %.6g in training", column->minimum, column->maximum);
        qn_json_put_text(json, "description", range);
    } else if (column->kind != QN_KIND_NUMERIC) {
        qn_json_put_text(json, "description", qn_kind_name(column->kind));
    }
    if (column->kind == QN_KIND_CATEGORICAL) {
        qn_json_key(json, "examples");
        qn_json_begin_array(json);
        for (int64_t i = 0; i < column->n_levels && i < LEVELS_SHOWN_MAX; i++) {
            qn_json_text(json, column->levels[i]);
        }
        qn_json_end_array(json);
    }
    qn_json_end_object(json);
}

/* "m.Row", an object with every input, and "m.Rows", one of them or many. */
static void write_model_schemas(const qn_served_model *model, qn_json_writer *json)
{
    char name[QN_MODEL_NAME_BYTES_MAX + 8];
    snprintf(name, sizeof name, "%s.Row", model->name);
    qn_json_key(json, name);
    qn_json_begin_object(json);
    qn_json_put_text(json, "type", "object");
    qn_json_key(json, "required");
    qn_json_begin_array(json);
    for (int64_t i = 0; i < model->n_inputs; i++) {
        qn_json_text(json, model->columns[i]->name);
    }
    qn_json_end_array(json);
    qn_json_key(json, "properties");
    qn_json_begin_object(json);
    for (int64_t i = 0; i < model->n_inputs; i++) {
        write_column(model->columns[i], json);
    }
    qn_json_end_object(json);
    qn_json_end_object(json);

    char reference[QN_MODEL_NAME_BYTES_MAX + 40];
    snprintf(reference, sizeof reference, "#/components/schemas/%s", name);
    snprintf(name, sizeof name, "%s.Rows", model->name);
    qn_json_key(json, name);
    qn_json_begin_object(json);
    qn_json_key(json, "anyOf");
    qn_json_begin_array(json);
    qn_json_begin_object(json);
    qn_json_put_text(json, "$ref", reference);
    qn_json_end_object(json);
    qn_json_begin_object(json);
    qn_json_put_text(json, "type", "array");
    qn_json_key(json, "items");
    qn_json_begin_object(json);
    qn_json_put_text(json, "$ref", reference);
    qn_json_end_object(json);
    qn_json_end_object(json);
    qn_json_end_array(json);
    qn_json_end_object(json);
}

/* Those that are the same for all servers, then the models'. */
static qn_status write_schemas(const qn_exchange *x, qn_json_writer *json, qn_error *err)
{
    const char *fixed = qn_openapi_components_json;
    qn_json *parsed = NULL;
    QN_TRY(qn_json_parse(fixed, strlen(fixed), "openapi_components.json", &parsed, err));
    const qn_json_value root = qn_json_root(parsed);
    qn_json_begin_object(json);
    for (int64_t i = 0; i < qn_json_size(root); i++) {
        const char *name;
        const qn_json_value schema = qn_json_member(root, i, &name);
        qn_json_key(json, name);
        qn_json_write_value(json, schema);
    }
    qn_json_free(parsed);
    for (int64_t i = 0; i < x->worker->catalog->n_entries; i++) {
        const qn_catalog_entry *entry = &x->worker->catalog->entries[i];
        if (!entry->model || !entry->is_default || !qn_gate_shows(x, entry->name)) continue;
        write_model_schemas(entry->model, json);
    }
    qn_json_end_object(json);
    return QN_OK;
}

qn_step qn_handle_openapi(qn_exchange *x)
{
    qn_json_writer json = {.out = &x->out};
    qn_error err = {0};
    qn_reply_begin(&x->reply, 200, "application/json", NULL);
    qn_json_begin_object(&json);
    qn_json_put_text(&json, "openapi", "3.1.0");
    qn_json_key(&json, "info");
    qn_json_begin_object(&json);
    qn_json_put_text(&json, "title", "Quern");
    qn_json_put_text(&json, "version", qn_version());
    qn_json_put_text(&json, "description", "Predictions of models for tables. Try them at /docs.");
    qn_json_end_object(&json);
    if (x->worker->credentials->keys || x->worker->credentials->tokens) {
        qn_json_key(&json, "security");
        qn_json_raw(&json, "[{\"bearer\": []}]");
    }
    qn_json_key(&json, "paths");
    qn_json_begin_object(&json);
    write_model_paths(x, &json);
    write_routes(&json);
    qn_json_end_object(&json);
    qn_json_key(&json, "components");
    qn_json_begin_object(&json);
    qn_json_key(&json, "schemas");
    if (write_schemas(x, &json, &err) != QN_OK) {
        qn_exchange_fail(x, &err, 0, NULL);
        return QN_STEP_DONE;
    }
    qn_json_key(&json, "securitySchemes");
    qn_json_raw(&json, "{\"bearer\": {\"type\": \"http\", \"scheme\": \"bearer\", \"description\": "
                       "\"an API key or a JSON Web Token\"}}");
    qn_json_end_object(&json);
    qn_json_end_object(&json);
    qn_str_add_char(&x->out, '\n');
    qn_reply_end(&x->reply);
    return QN_STEP_DONE;
}
