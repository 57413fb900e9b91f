/* SPDX-License-Identifier: Apache-2.0 */
/* Who may do what: every route by every method with every kind of credentials. A route that is
 * added to router.c without a row here fails the first test. */
#include "serve/http/exchange.h"
#include "serve/server.h"

#include "http_client.h"
#include "served.h"
#include "tokens.h"

#include <sys/stat.h>

static char folder[] = "/tmp/quern-access-XXXXXX";
static char model_path[128], model_spec[160], keys_path[128], jwks_path[128], audit_path[128];
static token_maker maker;

/* The rows. `role`: '-' anyone, 'p' predict, 'r' read, 'a' admin. `reach`: 's' the role for all
 * models, 'm' for the model 'm', 'c' for any model. */
static const struct row {
    qn_http_method method;
    const char *pattern;
    const char *path;
    char role, reach;
} rows[] = {
    {QN_HTTP_GET, "/", "/", 'r', 'c'},
    {QN_HTTP_GET, "/openapi.json", "/openapi.json", 'r', 'c'},
    {QN_HTTP_GET, "/docs", "/docs", '-', 's'},
    {QN_HTTP_GET, "/docs/try.css", "/docs/try.css", '-', 's'},
    {QN_HTTP_GET, "/docs/try.js", "/docs/try.js", '-', 's'},
    {QN_HTTP_GET, "/livez", "/livez", '-', 's'},
    {QN_HTTP_GET, "/readyz", "/readyz", '-', 's'},
    {QN_HTTP_GET, "/startupz", "/startupz", '-', 's'},
    {QN_HTTP_GET, "/metrics", "/metrics", 'r', 's'},
    {QN_HTTP_GET, "/v1/models", "/v1/models", 'r', 'c'},
    {QN_HTTP_GET, "/v1/models/{}", "/v1/models/m", 'r', 'm'},
    {QN_HTTP_GET, "/v1/models/{}/versions/{}", "/v1/models/m/versions/1", 'r', 'm'},
    {QN_HTTP_POST, "/v1/models/{}:predict", "/v1/models/m:predict", 'p', 'm'},
    {QN_HTTP_POST, "/v1/models/{}", "/v1/models/m", 'p', 'm'},
    {QN_HTTP_POST, "/v1/models/{}/versions/{}:predict", "/v1/models/m/versions/1:predict", 'p',
     'm'},
    {QN_HTTP_POST, "/v1/models/{}/versions/{}", "/v1/models/m/versions/1", 'p', 'm'},
    {QN_HTTP_POST, "/v1/models/{}:unload", "/v1/models/m:unload", 'a', 'm'},
    {QN_HTTP_POST, "/v1/models/{}:load", "/v1/models/m:load", 'a', 'm'},
    {QN_HTTP_POST, "/v1/models/{}/versions/{}:unload", "/v1/models/m/versions/1:unload", 'a', 'm'},
    {QN_HTTP_POST, "/v1/models/{}/versions/{}:load", "/v1/models/m/versions/1:load", 'a', 'm'},
    {QN_HTTP_PUT, "/v1/models/{}/aliases/{}", "/v1/models/m/aliases/a", 'a', 'm'},
    {QN_HTTP_DELETE, "/v1/models/{}/aliases/{}", "/v1/models/m/aliases/a", 'a', 'm'},
    {QN_HTTP_POST, "/v2/repository/index", "/v2/repository/index", 'r', 'c'},
    {QN_HTTP_POST, "/v2/repository/models/{}/unload", "/v2/repository/models/m/unload", 'a', 'm'},
    {QN_HTTP_POST, "/v2/repository/models/{}/load", "/v2/repository/models/m/load", 'a', 'm'},
    {QN_HTTP_GET, "/v1/routes", "/v1/routes", 'r', 's'},
    {QN_HTTP_PUT, "/v1/routes", "/v1/routes", 'a', 's'},
    {QN_HTTP_POST, "/v1/outcomes", "/v1/outcomes", 'p', 'c'},
    {QN_HTTP_POST, "/feedback", "/feedback", 'p', 'c'},
    {QN_HTTP_POST, "/invocations", "/invocations", 'p', 'm'},
    {QN_HTTP_GET, "/ping", "/ping", '-', 's'},
    {QN_HTTP_GET, "/health", "/health", '-', 's'},
    {QN_HTTP_GET, "/version", "/version", 'r', 'c'},
    {QN_HTTP_GET, "/v2", "/v2", 'r', 'c'},
    {QN_HTTP_GET, "/v2/health/live", "/v2/health/live", '-', 's'},
    {QN_HTTP_GET, "/v2/health/ready", "/v2/health/ready", '-', 's'},
    {QN_HTTP_GET, "/v2/models/stats", "/v2/models/stats", 'r', 'c'},
    {QN_HTTP_GET, "/v2/models/{}/stats", "/v2/models/m/stats", 'r', 'm'},
    {QN_HTTP_GET, "/v2/models/{}/versions/{}/stats", "/v2/models/m/versions/1/stats", 'r', 'm'},
    {QN_HTTP_GET, "/v2/models/{}", "/v2/models/m", 'r', 'm'},
    {QN_HTTP_GET, "/v2/models/{}/versions/{}", "/v2/models/m/versions/1", 'r', 'm'},
    {QN_HTTP_GET, "/v2/models/{}/ready", "/v2/models/m/ready", 'r', 'm'},
    {QN_HTTP_GET, "/v2/models/{}/versions/{}/ready", "/v2/models/m/versions/1/ready", 'r', 'm'},
    {QN_HTTP_POST, "/v2/models/{}/infer", "/v2/models/m/infer", 'p', 'm'},
    {QN_HTTP_POST, "/v2/models/{}/versions/{}/infer", "/v2/models/m/versions/1/infer", 'p', 'm'},
};

enum { N_ROWS = sizeof rows / sizeof *rows };

/* Kinds of credentials: the header lines that carry them, and what they are good for. */
static struct kind {
    const char *name;
    char *lines;
    const char *roles; /* NULL: no good credentials */
    char reach;        /* 's': for all models; 'm': for the model 'm'; 'o': for another */
} kinds[32];
static int n_kinds;

static void add_kind(const char *name, const char *roles, char reach, const char *format, ...)
    QN_PRINTF(4, 5);

static void add_kind(const char *name, const char *roles, char reach, const char *format, ...)
{
    char lines[4096];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(lines, sizeof lines, format, arguments);
    va_end(arguments);
    kinds[n_kinds++] = (struct kind){name, qn_strdup(lines), roles, reach};
}

static void make_key(const char *roles, const char *model, int64_t expires_us, char *text)
{
    qn_error err = {0};
    const char *const models[] = {model, NULL};
    qn_key_request request = {
        .path = keys_path, .name = "k", .models = models, .expires_us = expires_us};
    for (; *roles; roles++) {
        request.roles |= *roles == 'p'   ? QN_ACCESS_PREDICT
                         : *roles == 'r' ? QN_ACCESS_READ
                                         : QN_ACCESS_ADMIN;
    }
    CHECK_OK(qn_key_create(&request, text, &err));
}

static void add_key_kind(const char *name, const char *roles, char reach)
{
    char text[QN_KEY_TEXT_BYTES];
    make_key(roles, reach == 's' ? NULL : reach == 'm' ? "m" : "other", INT64_MAX, text);
    add_kind(name, roles, reach, "Authorization: Bearer %s\r\n", text);
}

static void add_token_kind(const char *name, const char *roles, char reach, const char *header,
                           const char *claims, const char *how)
{
    char *text = token_make(&maker, header, claims, how);
    add_kind(name, roles, reach, "Authorization: Bearer %s\r\n", text);
    qn_free(text);
}

static void make_kinds(void)
{
    char key[QN_KEY_TEXT_BYTES], expired[QN_KEY_TEXT_BYTES];
    make_key("pra", NULL, INT64_MAX, key);
    make_key("pra", NULL, 1, expired);
    add_kind("none", NULL, 's', "%s", "");
    add_kind("empty", NULL, 's', "Authorization:\r\n");
    add_kind("another scheme", NULL, 's', "Authorization: Basic %s\r\n", key);
    add_kind("no scheme", NULL, 's', "Authorization: %s\r\n", key);
    add_kind("scheme alone", NULL, 's', "Authorization: Bearer \r\n");
    add_kind("unknown", NULL, 's', "Authorization: Bearer quern_0123456789abcdef_%s\r\n", key + 23);
    add_kind("other secret", NULL, 's', "Authorization: Bearer %.23s%s\r\n", key, expired + 23);
    add_kind("cut", NULL, 's', "Authorization: Bearer %.60s\r\n", key);
    add_kind("longer", NULL, 's', "Authorization: Bearer %sA\r\n", key);
    add_kind("expired", NULL, 's', "Authorization: Bearer %s\r\n", expired);
    add_kind("twice", NULL, 's', "Authorization: Bearer %s\r\nAuthorization: Bearer %s\r\n", key,
             key);
    add_kind("good, then bad", NULL, 's', "Authorization: Bearer %s\r\nauthorization: x\r\n", key);
    add_kind("two in one", NULL, 's', "Authorization: Bearer %s, Bearer %s\r\n", key, key);
    add_kind("elsewhere", NULL, 's', "X-Api-Key: %s\r\nCookie: key=%s\r\n", key, key);
    add_kind("all", "pra", 's', "Authorization: Bearer %s\r\n", key);
    add_kind("all, in other words", "pra", 's', "aUTHORIZATION:  bEARER   %s \r\n", key);
    add_key_kind("predict", "p", 's');
    add_key_kind("read", "r", 's');
    add_key_kind("admin", "a", 's');
    add_key_kind("predict m", "p", 'm');
    add_key_kind("read m", "r", 'm');
    add_key_kind("predict and read another", "pr", 'o');
#define CLAIMS(scope) "{\"iss\":\"us\",\"aud\":\"quern\",\"exp\":4e9,\"scope\":\"" scope "\"}"
    add_token_kind("token predict", "p", 's', "{\"alg\":\"EdDSA\",\"kid\":\"e\"}",
                   CLAIMS("predict"), "EdDSA");
    add_token_kind("token read m", "r", 'm', "{\"alg\":\"HS256\",\"kid\":\"h\"}", CLAIMS("read:m"),
                   "HS256");
    add_token_kind("token of nothing", "", 's', "{\"alg\":\"HS256\",\"kid\":\"h\"}", CLAIMS("x"),
                   "HS256");
    add_token_kind("token expired", NULL, 's', "{\"alg\":\"HS256\",\"kid\":\"h\"}",
                   "{\"iss\":\"us\",\"aud\":\"quern\",\"exp\":1,\"scope\":\"predict read\"}",
                   "HS256");
    add_token_kind("token none", NULL, 's', "{\"alg\":\"none\"}", CLAIMS("predict read"), "empty");
}

static int make_all(void **state)
{
    (void)state;
    if (!mkdtemp(folder)) return -1;
    served_fit(folder, "binary", 1, model_path, sizeof model_path);
    snprintf(model_spec, sizeof model_spec, "m=%s", model_path);
    snprintf(keys_path, sizeof keys_path, "%s/keys.json", folder);
    snprintf(jwks_path, sizeof jwks_path, "%s/jwks.json", folder);
    snprintf(audit_path, sizeof audit_path, "%s/audit.jsonl", folder);
    token_maker_init(&maker);
    FILE *file = fopen(jwks_path, "w");
    if (!file || fputs(maker.jwks, file) < 0 || fclose(file) != 0) return -1;
    if (chmod(jwks_path, 0600) != 0) return -1;
    make_kinds();
    return 0;
}

static int remove_all(void **state)
{
    (void)state;
    char command[160];
    for (int i = 0; i < n_kinds; i++) {
        qn_free(kinds[i].lines);
    }
    token_maker_release(&maker);
    snprintf(command, sizeof command, "rm -r %s", folder);
    return system(command);
}

/* The server. */

typedef struct running {
    qn_serve_options options;
    qn_server *server;
    int port;
} running;

static void start(running *r)
{
    static const char *models[2];
    qn_error err = {0};
    models[0] = model_spec;
    r->options.models = models;
    r->options.listen = "127.0.0.1:0";
    r->options.n_threads = 1;
    CHECK_OK(qn_server_start(&r->options, &r->server, &err));
    CHECK_INT(qn_server_load(r->server, NULL), 0);
    r->port = (int)strtol(strrchr(qn_server_url(r->server), ':') + 1, NULL, 10);
}

static void start_guarded(running *r)
{
    r->options.credentials = (qn_credential_files){
        .keys = keys_path, .jwks = jwks_path, .issuer = "us", .audience = "quern"};
    start(r);
}

static void stop(running *r)
{
    CHECK(qn_server_close(r->server));
    qn_server_free(r->server);
}

/* A connection from another address of this machine each time, so that no rate of failures is
 * reached. */
static void connect_afresh(http_client *client, int port)
{
    static uint32_t n;
    const struct sockaddr_in from = {.sin_family = AF_INET,
                                     .sin_addr.s_addr = htonl(0x7f010001 + n++)};
    const struct sockaddr_in to = {.sin_family = AF_INET,
                                   .sin_port = htons((uint16_t)port),
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    client->n = 0;
    client->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(bind(client->fd, (const struct sockaddr *)&from, sizeof from) == 0);
    CHECK(connect(client->fd, (const struct sockaddr *)&to, sizeof to) == 0);
}

static http_reply ask(http_client *client, const char *method, const char *path, const char *lines,
                      const char *body)
{
    char text[8192];
    const int n = snprintf(text, sizeof text,
                           "%s %s HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n%s"
                           "Content-Length: %zu\r\n\r\n%s",
                           method, path, lines, strlen(body), body);
    CHECK(n < (int)sizeof text && http_send(client, text, (size_t)n));
    return http_read(client, strcmp(method, "HEAD") == 0);
}

static const char prediction_row[] =
    "{\"size\":31.5,\"colour\":\"red\",\"shop\":101,\"when\":\"2020-03-04\",\"open\":true}";

/* The matrix. */

static const struct row *row_of(const char *method, const char *path)
{
    const char *wanted = strcmp(method, "HEAD") == 0 ? "GET" : method;
    for (int i = 0; i < N_ROWS; i++) {
        if (strcmp(qn_http_method_name(rows[i].method), wanted) == 0 &&
            strcmp(rows[i].path, path) == 0) {
            return &rows[i];
        }
    }
    return NULL;
}

/* What must be answered, from the table alone: 401, 403, or 0 for neither. */
static int expected_status(const struct row *row, const struct kind *kind)
{
    if (row && row->role == '-') return 0;
    if (!kind->roles) return 401;
    if (!row) return 0;
    const bool has_role = strchr(kind->roles, row->role) != NULL;
    const bool reaches =
        kind->reach == 's' || row->reach == 'c' || (row->reach == 'm' && kind->reach == 'm');
    return has_role && reaches ? 0 : 403;
}

static void check_reply(const http_reply *reply, const struct row *row, const struct kind *kind,
                        const char *method, const char *path)
{
    const int expected = expected_status(row, kind);
    const bool as_expected = expected ? reply->status == expected
                                      : reply->status != 401 && reply->status != 403 &&
                                            reply->status != 429 && reply->status != 0;
    if (!as_expected) {
        fail_msg("%s %s with %s: %d, not %d", method, path, kind->name, reply->status, expected);
    }
    /* No other method of a route gets at what it answers. */
    if (!row && reply->status != 401) {
        CHECK(reply->status == 405 || reply->status == 204 || reply->status == 404);
    }
    if (expected) {
        CHECK_CONTAINS(reply->head, "www-authenticate: Bearer");
        CHECK(!strstr(reply->head, "quern-model"));
    }
}

static void every_route_is_in_the_matrix(void **state)
{
    (void)state;
    int n = 0;
    for (const qn_route *route = qn_routes; route->name; route++, n++) {
        int found = 0;
        for (int i = 0; i < N_ROWS; i++) {
            if (strcmp(rows[i].pattern, route->pattern) == 0 && rows[i].method == route->method) {
                const char *letters = "_pr_a___-";
                CHECK_INT(rows[i].role, letters[route->role]);
                found++;
            }
        }
        if (found != 1) fail_msg("%s has %d rows in test_access.c", route->pattern, found);
    }
    CHECK_INT(n, N_ROWS);
}

static void every_route_method_and_credential_is_answered_as_it_should(void **state)
{
    (void)state;
    static const char *const methods[] = {"GET",    "HEAD",    "POST", "PUT",
                                          "DELETE", "OPTIONS", "PATCH"};
    running r = {0};
    http_client *client = malloc(sizeof *client);
    start_guarded(&r);
    for (int k = 0; k < n_kinds; k++) {
        for (int i = 0; i < N_ROWS; i++) {
            connect_afresh(client, r.port);
            for (size_t m = 0; m < sizeof methods / sizeof *methods; m++) {
                const http_reply reply = ask(client, methods[m], rows[i].path, kinds[k].lines, "");
                check_reply(&reply, row_of(methods[m], rows[i].path), &kinds[k], methods[m],
                            rows[i].path);
                free(reply.body);
            }
            close(client->fd);
        }
    }
    free(client);
    stop(&r);
}

/* Other ways to write a path lead nowhere, and strangers do not learn even that. */
static void paths_in_other_words_do_not_pass(void **state)
{
    (void)state;
    static const char *const paths[] = {"//v1/models/m",
                                        "/./v1/models/m",
                                        "/v1//models/m",
                                        "/v1/models/m/",
                                        "/v1/models/m/.",
                                        "/v1/./models/m",
                                        "/livez/../metrics",
                                        "/livez/%2e%2e/metrics",
                                        "/v1%2fmodels%2fm",
                                        "/v1/models/m%00",
                                        "/V1/MODELS/m",
                                        "/v1/models/%6d",
                                        "/v1\\models\\m",
                                        "/metrics/",
                                        "/metrics;a",
                                        "/livez;/metrics",
                                        "/v1/models/m:predict/",
                                        "/v1/models/m::predict",
                                        "/nothing",
                                        "/v1/models/../../etc/passwd"};
    running r = {0};
    http_client *client = malloc(sizeof *client);
    start_guarded(&r);
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        for (int k = 0; k < n_kinds; k++) {
            connect_afresh(client, r.port);
            const http_reply reply = ask(client, "GET", paths[i], kinds[k].lines, "");
            if (kinds[k].roles ? reply.status / 100 != 4 : reply.status != 401) {
                fail_msg("%s with %s: %d", paths[i], kinds[k].name, reply.status);
            }
            free(reply.body);
            close(client->fd);
        }
    }
    free(client);
    stop(&r);
}

static void lists_have_the_models_one_may_see(void **state)
{
    (void)state;
    running r = {0};
    http_client *client = malloc(sizeof *client);
    start_guarded(&r);
    for (int k = 0; k < n_kinds; k++) {
        if (!kinds[k].roles || !strchr(kinds[k].roles, 'r')) continue;
        connect_afresh(client, r.port);
        const http_reply reply = ask(client, "GET", "/v1/models", kinds[k].lines, "");
        CHECK_INT(reply.status, 200);
        CHECK_INT(strstr(reply.body, "\"name\": \"m\"") != NULL, kinds[k].reach != 'o');
        free(reply.body);
        close(client->fd);
    }
    free(client);
    stop(&r);
}

/* A body that will not be used is not waited for. */
static void strangers_are_refused_before_their_body(void **state)
{
    (void)state;
    static const char *const heads[] = {
        "POST /v1/models/m HTTP/1.1\r\nHost: a\r\nContent-Length: 60000000\r\n\r\n{",
        "POST /v1/models/m HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\nExpect: "
        "100-continue\r\n\r\n",
        "POST /v1/models/m HTTP/1.0\r\nContent-Length: 60000000\r\n\r\n",
        "POST /v1/models/m HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nffff\r\nab"};
    running r = {0};
    http_client *client = malloc(sizeof *client);
    start_guarded(&r);
    for (int i = 0; i < 4; i++) {
        connect_afresh(client, r.port);
        CHECK(http_send(client, heads[i], strlen(heads[i])));
        const http_reply reply = http_read(client, false);
        CHECK_INT(reply.status, 401);
        free(reply.body);
        CHECK(http_is_closed(client));
        close(client->fd);
    }
    free(client);
    stop(&r);
}

static const char *lines_of(const char *name)
{
    for (int k = 0; k < n_kinds; k++) {
        if (strcmp(kinds[k].name, name) == 0) return kinds[k].lines;
    }
    fail_msg("no kind %s", name);
    return NULL;
}

/* A request in pieces passes the gate once, and is answered as one in a whole. */
static void good_requests_may_come_slowly(void **state)
{
    (void)state;
    running r = {.options = {.rate = 0.001, .rate_burst = 3}};
    http_client *client = malloc(sizeof *client);
    char text[1024];
    start_guarded(&r);
    const int n = snprintf(text, sizeof text,
                           "POST /v1/models/m HTTP/1.1\r\nHost: a\r\nContent-Type: "
                           "application/json\r\n%sContent-Length: %zu\r\n\r\n%s",
                           lines_of("predict"), sizeof prediction_row - 1, prediction_row);
    connect_afresh(client, r.port);
    for (int times = 0; times < 4; times++) {
        for (int i = 0; i < n; i += 40) {
            CHECK(http_send(client, text + i, (size_t)(n - i < 40 ? n - i : 40)));
            usleep(500);
        }
        const http_reply reply = http_read(client, false);
        CHECK_INT(reply.status, times < 3 ? 200 : 429);
        free(reply.body);
    }
    close(client->fd);
    free(client);
    stop(&r);
}

static void clients_have_a_rate(void **state)
{
    (void)state;
    running r = {.options = {.rate = 0.01, .rate_burst = 3}};
    http_client *client = malloc(sizeof *client);
    start_guarded(&r);
    static const char *const names[] = {"predict", "token predict", "predict m"};
    for (int i = 0; i < 3; i++) { /* each has its own, wherever it comes from */
        for (int times = 0; times < 5; times++) {
            connect_afresh(client, r.port);
            const http_reply reply =
                ask(client, "POST", "/v1/models/m", lines_of(names[i]), prediction_row);
            CHECK_INT(reply.status, times < 3 ? 200 : 429);
            if (times >= 3) CHECK_CONTAINS(reply.head, "retry-after: 100\r\n");
            free(reply.body);
            close(client->fd);
        }
    }
    for (int times = 0; times < 20; times++) { /* probes are asked often */
        connect_afresh(client, r.port);
        const http_reply reply = ask(client, "GET", "/livez", "", "");
        CHECK_INT(reply.status, 200);
        free(reply.body);
        close(client->fd);
    }
    free(client);
    stop(&r);
    running open = {.options = {.rate = 0.01, .rate_burst = 2}};
    start(&open);
    client = malloc(sizeof *client);
    CHECK(http_connect(client, open.port)); /* without credentials: by address */
    for (int times = 0; times < 3; times++) {
        const http_reply reply = ask(client, "GET", "/v1/models", "", "");
        CHECK_INT(reply.status, times < 2 ? 200 : 429);
        free(reply.body);
    }
    close(client->fd);
    free(client);
    stop(&open);
}

static void guessing_is_slowed_down(void **state)
{
    (void)state;
    running r = {0};
    http_client *client = malloc(sizeof *client);
    int n_401 = 0, n_429 = 0;
    start_guarded(&r);
    CHECK(http_connect(client, r.port));
    for (int i = 0; i < 60; i++) {
        const http_reply reply = ask(client, "GET", "/v1/models", lines_of("unknown"), "");
        n_401 += reply.status == 401;
        n_429 += reply.status == 429;
        free(reply.body);
    }
    CHECK(n_401 >= 20 && n_401 < 40 && n_401 + n_429 == 60);
    /* … but whoever has a key is let in from the same address. */
    const http_reply reply = ask(client, "GET", "/v1/models", lines_of("read"), "");
    CHECK_INT(reply.status, 200);
    free(reply.body);
    close(client->fd);
    free(client);
    stop(&r);
}

/* Credentials that are asked for elsewhere do not make an administrator here. */
static void without_credentials_nobody_is_an_administrator(void **state)
{
    (void)state;
    running r = {0};
    http_client *client = malloc(sizeof *client);
    start(&r);
    connect_afresh(client, r.port);
    for (int i = 0; i < N_ROWS; i++) {
        const http_reply reply =
            ask(client, qn_http_method_name(rows[i].method), rows[i].path, "", prediction_row);
        CHECK_INT(reply.status == 403, rows[i].role == 'a');
        CHECK(reply.status != 401);
        free(reply.body);
    }
    close(client->fd);
    free(client);
    stop(&r);
}

static char *read_audit(void)
{
    char *text = calloc(1, 1 << 20);
    FILE *file = fopen(audit_path, "r");
    CHECK(file != NULL);
    CHECK(fread(text, 1, (1 << 20) - 1, file) > 0);
    fclose(file);
    return text;
}

static void the_audit_log_tells_who_was_refused_and_no_secret(void **state)
{
    (void)state;
    running r = {.options = {.audit = audit_path}};
    http_client *client = malloc(sizeof *client);
    start_guarded(&r);
    for (int k = 0; k < n_kinds; k++) {
        connect_afresh(client, r.port);
        const http_reply reply =
            ask(client, "GET", "/metrics?key=canary_in_query", kinds[k].lines, "");
        free(reply.body);
        close(client->fd);
    }
    connect_afresh(client, r.port);
    free(ask(client, "GET", "/v1/\"quoted\"", "", "").body);
    close(client->fd);
    stop(&r);
    free(client);
    char *text = read_audit();
    CHECK_CONTAINS(text, "\"event\":\"refused\",\"who\":null,\"address\":\"127.1.");
    CHECK_CONTAINS(text, "\"method\":\"GET\",\"path\":\"/metrics\",\"status\":401");
    CHECK_CONTAINS(text, " k\",\"address\":");
    CHECK_CONTAINS(text, "\"status\":403,\"action\":\"metrics\"");
    CHECK_CONTAINS(text, "the key has expired");
    CHECK_CONTAINS(text, "\"/v1/\\\"quoted\\\"\"");
    CHECK(!strstr(text, "canary_in_query"));
    for (int k = 0; k < n_kinds; k++) {
        const char *bearer = strstr(kinds[k].lines, "earer ");
        if (!bearer || strlen(bearer) < 60) continue;
        char secret[24] = "";
        memcpy(secret, bearer + strlen(bearer) - 25, 20);
        CHECK(!strstr(text, secret));
    }
    free(text);
    struct stat info;
    CHECK_INT(stat(audit_path, &info), 0);
    CHECK_INT(info.st_mode & 0777, 0600);
}

static void pages_of_listed_origins_may_ask(void **state)
{
    (void)state;
    const char *const origins[] = {"https://app.example", "http://localhost:3000", NULL};
    running r = {.options = {.cors_origins = origins}};
    http_client *client = malloc(sizeof *client);
    start_guarded(&r);
    static const struct {
        const char *origin;
        int status;
        bool allowed;
    } cases[] = {{"https://app.example", 204, true},     {"http://localhost:3000", 204, true},
                 {"http://app.example", 401, false},     {"https://app.example.evil", 401, false},
                 {"https://evil.example", 401, false},   {"null", 401, false},
                 {"https://app.example:443", 401, false}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char lines[512];
        connect_afresh(client, r.port);
        snprintf(lines, sizeof lines, "Origin: %s\r\nAccess-Control-Request-Method: POST\r\n",
                 cases[i].origin);
        http_reply reply = ask(client, "OPTIONS", "/v1/models/m", lines, "");
        CHECK_INT(reply.status, cases[i].status);
        CHECK_INT(strstr(reply.head, "access-control-allow-origin: ") != NULL, cases[i].allowed);
        free(reply.body);
        snprintf(lines, sizeof lines, "Origin: %s\r\n%s", cases[i].origin, lines_of("predict"));
        reply = ask(client, "POST", "/v1/models/m", lines, prediction_row);
        CHECK_INT(reply.status, 200);
        CHECK_INT(strstr(reply.head, "access-control-allow-origin: ") != NULL, cases[i].allowed);
        CHECK(!strstr(reply.head, "access-control-allow-credentials"));
        free(reply.body);
        close(client->fd);
    }
    free(client);
    stop(&r);
    static const char *const wrong[] = {"app.example", "https://", "https://a/path", "://a", ""};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        qn_error err = {0};
        qn_server *server;
        const char *const list[] = {wrong[i], NULL}, *const models[] = {model_spec, NULL};
        const qn_serve_options options = {
            .models = models, .listen = "127.0.0.1:0", .cors_origins = list};
        CHECK_FAILS(QN_ERR_ARG, qn_server_start(&options, &server, &err));
        CHECK_CONTAINS(err.message, "--cors-origin");
    }
}

static void keys_are_revoked_without_a_restart(void **state)
{
    (void)state;
    qn_error err = {0};
    char text[QN_KEY_TEXT_BYTES], lines[256], id[QN_KEY_ID_BYTES + 1] = "";
    running r = {0};
    http_client *client = malloc(sizeof *client);
    start_guarded(&r);
    make_key("p", NULL, INT64_MAX, text);
    memcpy(id, text + 6, QN_KEY_ID_BYTES);
    snprintf(lines, sizeof lines, "Authorization: Bearer %s\r\n", text);
    connect_afresh(client, r.port);
    static const int statuses[] = {401, 200, 401};
    for (int i = 0; i < 3; i++) { /* over one connection */
        if (i == 2) CHECK_OK(qn_key_revoke(keys_path, id, &err));
        if (i > 0) CHECK_INT(qn_server_load(r.server, NULL), 0);
        usleep(20000);
        const http_reply reply = ask(client, "POST", "/v1/models/m", lines, prediction_row);
        CHECK_INT(reply.status, statuses[i]);
        free(reply.body);
    }
    close(client->fd);
    free(client);
    stop(&r);
}

static void addresses_of_others_need_credentials_and_tls(void **state)
{
    (void)state;
    const char *const models[] = {model_spec, NULL};
    static const struct {
        bool keys, open, insecure;
        const char *part; /* NULL: it starts */
    } cases[] = {{false, false, false, "nothing asks them who they are"},
                 {false, false, true, "nothing asks them who they are"},
                 {true, false, false, "could be overheard"},
                 {true, true, false, "could be overheard"},
                 {true, false, true, NULL},
                 {false, true, false, NULL}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        qn_error err = {0};
        qn_server *server;
        const qn_serve_options options = {.models = models,
                                          .listen = "0.0.0.0:0",
                                          .n_threads = 1,
                                          .open_to_all = cases[i].open,
                                          .insecure_http = cases[i].insecure,
                                          .credentials.keys = cases[i].keys ? keys_path : NULL};
        const qn_status status = qn_server_start(&options, &server, &err);
        CHECK_INT(status, cases[i].part ? QN_ERR_ARG : QN_OK);
        if (cases[i].part) CHECK_CONTAINS(err.message, cases[i].part);
        qn_server_free(server);
    }
}

static qn_status start_and_free(void)
{
    qn_server *server = NULL;
    const char *const models[] = {model_spec, NULL};
    const qn_serve_options options = {
        .models = models,
        .listen = "127.0.0.1:0",
        .n_threads = 1,
        .rate = 10,
        .audit = audit_path,
        .credentials = {.keys = keys_path, .jwks = jwks_path, .issuer = "us", .audience = "q"}};
    const qn_status status = qn_server_start(&options, &server, NULL);
    qn_server_free(server);
    return status;
}

static void starting_survives_running_out_of_memory(void **state)
{
    (void)state;
    CHECK_SURVIVES_NO_MEMORY(start_and_free());
}

/* Good credentials are not called bad because there is no memory to look at them: 503, and the
 * client is not held for one that guesses. A probe goes first: what is then the first allocation of
 * a request is what the credentials are copied to. */
static void a_lack_of_memory_is_not_the_clients_fault(void **state)
{
    (void)state;
    static const char *const names[] = {"read", "token read m"};
    http_client *client = malloc(sizeof *client);
    for (int i = 0; i < 2; i++) {
        static const int statuses[] = {503, 200};
        running r = {0};
        start_guarded(&r);
        connect_afresh(client, r.port);
        http_reply reply = ask(client, "GET", "/livez", "", "");
        CHECK_INT(reply.status, 200);
        free(reply.body);
        for (int k = 0; k < 2; k++) {
            qn_alloc_fail_at(k == 0, false);
            reply = ask(client, "GET", "/version", lines_of(names[i]), "");
            qn_alloc_fail_at(0, false);
            CHECK_INT(reply.status, statuses[k]);
            if (k == 0) CHECK_CONTAINS(reply.body, "no memory to check the credentials");
            if (k == 0) CHECK_CONTAINS(reply.head, "retry-after: ");
            free(reply.body);
        }
        close(client->fd);
        stop(&r);
    }
    free(client);
}

/* Without memory nobody is let in who should not be. */
static void a_lack_of_memory_opens_nothing(void **state)
{
    (void)state;
    running r = {0};
    http_client *client = malloc(sizeof *client);
    start_guarded(&r);
    static const char *const names[] = {"token read m", "unknown", "predict m", "none"};
    for (int i = 0; i < 4; i++) {
        bool made_it = false;
        for (int64_t nth = 1; nth < 200 && !made_it; nth++) {
            connect_afresh(client, r.port);
            qn_alloc_fail_at(nth, false);
            char text[4096];
            const int n = snprintf(text, sizeof text, "GET /metrics HTTP/1.1\r\nHost: a\r\n%s\r\n",
                                   lines_of(names[i]));
            http_send(client, text, (size_t)n);
            const http_reply reply = http_read(client, false);
            made_it = qn_alloc_fail_at(0, false) < nth;
            CHECK(reply.status != 200);
            free(reply.body);
            close(client->fd);
        }
        CHECK(made_it);
    }
    free(client);
    stop(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(every_route_is_in_the_matrix),
        TEST(every_route_method_and_credential_is_answered_as_it_should),
        TEST(paths_in_other_words_do_not_pass),
        TEST(lists_have_the_models_one_may_see),
        TEST(strangers_are_refused_before_their_body),
        TEST(good_requests_may_come_slowly),
        TEST(clients_have_a_rate),
        TEST(guessing_is_slowed_down),
        TEST(without_credentials_nobody_is_an_administrator),
        TEST(the_audit_log_tells_who_was_refused_and_no_secret),
        TEST(pages_of_listed_origins_may_ask),
        TEST(keys_are_revoked_without_a_restart),
        TEST(addresses_of_others_need_credentials_and_tls),
        TEST(starting_survives_running_out_of_memory),
        TEST(a_lack_of_memory_is_not_the_clients_fault),
        TEST(a_lack_of_memory_opens_nothing)};
    return cmocka_run_group_tests(tests, make_all, remove_all);
}
