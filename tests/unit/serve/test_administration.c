/* SPDX-License-Identifier: Apache-2.0 */
/* Changing what is served over HTTP: aliases, loading, unloading, Triton's repository – while
 * requests go on. */
#include "serve/server.h"

#include "http_client.h"
#include "served.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>

static char folder[] = "/tmp/quern-admin-XXXXXX";
static char model_path[128], other_path[128], models_dir[160], keys_path[160], audit_path[160];
static char admin_line[200], client_line[200], narrow_line[200];

static void shell(const char *format, ...) QN_PRINTF(1, 2);

static void shell(const char *format, ...)
{
    char command[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(command, sizeof command, format, arguments);
    va_end(arguments);
    CHECK_INT(system(command), 0);
}

static void make_key(unsigned roles, const char *model, char *line)
{
    char text[QN_KEY_TEXT_BYTES];
    qn_error err = {0};
    const char *const models[] = {model, NULL};
    const qn_key_request request = {
        .path = keys_path, .name = "k", .models = models, .roles = roles, .expires_us = INT64_MAX};
    CHECK_OK(qn_key_create(&request, text, &err));
    snprintf(line, 200, "Authorization: Bearer %s\r\n", text);
}

static int make_all(void **state)
{
    (void)state;
    if (!mkdtemp(folder)) return -1;
    served_fit(folder, "binary", 1, model_path, sizeof model_path);
    served_fit(folder, "regression", 2, other_path, sizeof other_path);
    snprintf(models_dir, sizeof models_dir, "%s/models", folder);
    snprintf(keys_path, sizeof keys_path, "%s/keys.json", folder);
    snprintf(audit_path, sizeof audit_path, "%s/audit.jsonl", folder);
    make_key(QN_ACCESS_ADMIN | QN_ACCESS_READ | QN_ACCESS_PREDICT, NULL, admin_line);
    make_key(QN_ACCESS_READ | QN_ACCESS_PREDICT, NULL, client_line);
    make_key(QN_ACCESS_ADMIN | QN_ACCESS_READ | QN_ACCESS_PREDICT, "n", narrow_line);
    return 0;
}

static int remove_all(void **state)
{
    (void)state;
    shell("rm -r %s", folder);
    return 0;
}

typedef struct running {
    qn_serve_options options;
    qn_server *server;
    int port;
} running;

/* m@1 tells classes, m@2 numbers; n@1 is as m@1. */
static void start(running *r)
{
    qn_error err = {0};
    shell("rm -rf %s && mkdir -p %s/m %s/n && cp %s %s/m/1.quern && cp %s %s/m/2.quern && "
          "cp %s %s/n/1.quern",
          models_dir, models_dir, models_dir, model_path, models_dir, other_path, models_dir,
          model_path, models_dir);
    r->options.model_dir = models_dir;
    r->options.credentials.keys = keys_path;
    r->options.listen = "127.0.0.1:0";
    if (r->options.n_threads == 0) r->options.n_threads = 2;
    CHECK_OK(qn_server_start(&r->options, &r->server, &err));
    CHECK_INT(qn_server_load(r->server, NULL), 0);
    r->port = (int)strtol(strrchr(qn_server_url(r->server), ':') + 1, NULL, 10);
}

static void stop(running *r)
{
    CHECK(qn_server_close(r->server));
    qn_server_free(r->server);
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
    return http_read(client, false);
}

static void check(int port, const char *method, const char *path, const char *lines,
                  const char *body, int status, const char *part)
{
    http_client *client = malloc(sizeof *client);
    CHECK(http_connect(client, port));
    const http_reply reply = ask(client, method, path, lines, body);
    if (reply.status != status || !strstr(reply.body, part)) {
        fail_msg("%s %s: %d %s: not %d with \"%s\"", method, path, reply.status, reply.body, status,
                 part);
    }
    free(reply.body);
    close(client->fd);
    free(client);
}

static const char row[] =
    "{\"size\":31.5,\"colour\":\"red\",\"shop\":101,\"when\":\"2020-03-04\",\"open\":true}";

static void an_alias_is_a_name_of_a_version(void **state)
{
    (void)state;
    running r = {.options = {.audit = audit_path}};
    static const char *const paths[] = {"/v1/models/m@champion", "/v1/models/m%40champion:predict",
                                        "/v1/models/m/versions/champion"};
    start(&r);
    check(r.port, "POST", paths[0], admin_line, row, 404, "no such model or version");
    check(r.port, "PUT", "/v1/models/m/aliases/champion", admin_line, "{\"version\":\"1\"}", 200,
          "{\"model\":\"m\",\"version\":\"1\",\"alias\":\"champion\"");
    for (int i = 0; i < 3; i++) {
        check(r.port, "POST", paths[i], client_line, row, 200, "\"version\":\"1\",\"prediction\"");
    }
    check(r.port, "POST", "/v1/models/m@2", client_line, row, 200, "\"version\":\"2\"");
    check(r.port, "GET", "/v1/models/m@champion", client_line, "", 200, "\"version\": \"1\"");
    check(r.port, "GET", "/v1/models", client_line, "", 200, "\"champion\": \"1\"");
    check(r.port, "PUT", "/v1/models/m/aliases/champion", admin_line, "{\"version\":2}", 200, "");
    check(r.port, "POST", paths[0], client_line, row, 200, "\"version\":\"2\"");
    check(r.port, "PUT", "/v1/models/m/aliases/champion", admin_line, "{\"version\":\"9\"}", 409,
          "is not loaded; load it first");
    check(r.port, "PUT", "/v1/models/m/aliases/champion", admin_line, "{\"version\":\"\"}", 400,
          "version");
    check(r.port, "PUT", "/v1/models/m/aliases/champion", admin_line, "{", 400, "the body");
    check(r.port, "PUT", "/v1/models/m/aliases/a%2fb", admin_line, "{\"version\":1}", 400, "names");
    check(r.port, "DELETE", "/v1/models/m/aliases/champion", admin_line, "", 200, "removed");
    check(r.port, "POST", paths[0], client_line, row, 404, "no such model or version");
    stop(&r);
    shell("grep -q '\"path\":\"/v1/models/m/aliases/champion\",\"status\":200,\"action\":\"alias\","
          "\"detail\":\"2\"' %s",
          audit_path);
}

static void roles_are_of_the_model_whatever_the_alias(void **state)
{
    (void)state;
    running r = {0};
    start(&r);
    check(r.port, "POST", "/v1/models/n@1", narrow_line, row, 200, "p_yes");
    static const char *const paths[] = {"/v1/models/m@1",
                                        "/v1/models/m%401",
                                        "/v1/models/m@n",
                                        "/v1/models/m@n:predict",
                                        "/v1/models/m:unload",
                                        "/v1/models/m:load",
                                        "/v2/repository/models/m/unload"};
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        check(r.port, "POST", paths[i], narrow_line, row, 403, "do not allow it");
    }
    check(r.port, "POST", "/v1/models/n:unload", client_line, "", 403, "do not allow it");
    check(r.port, "POST", "/v1/models/n:unload", "", "", 401, "");
    check(r.port, "POST", "/v1/models/n:unload", narrow_line, "", 200, "\"done\":\"unload\"");
    stop(&r);
}

static void models_are_loaded_and_unloaded(void **state)
{
    (void)state;
    running r = {0};
    start(&r);
    check(r.port, "POST", "/v1/models/m/versions/2:unload", admin_line, "", 200, "unload");
    check(r.port, "POST", "/v1/models/m", client_line, row, 200, "\"version\":\"1\"");
    check(r.port, "POST", "/v1/models/m@2", client_line, row, 404, "unloaded");
    shell("cp %s %s/m/3.quern", model_path, models_dir);
    check(r.port, "POST", "/v1/models/m@3", client_line, row, 404, "no such");
    check(r.port, "POST", "/v1/models/m:load", admin_line, "", 200, "\"done\":\"load\"");
    check(r.port, "POST", "/v1/models/m", client_line, row, 200, "\"version\":\"3\"");
    check(r.port, "POST", "/v1/models/m@2", client_line, row, 200, "\"version\":\"2\"");
    shell("echo damaged >%s/m/4.quern", models_dir);
    check(r.port, "POST", "/v1/models/m/versions/4:load", admin_line, "", 409, "4.quern");
    check(r.port, "POST", "/v1/models/m", client_line, row, 200, "\"version\":\"3\"");
    check(r.port, "POST", "/v1/models/x:load", admin_line, "", 409, "no file of model 'x'");
    check(r.port, "POST", "/v1/models/..:load", admin_line, "", 409, "no file of model '..'");
    stop(&r);
}

static void the_repository_is_spoken_to_as_tritons(void **state)
{
    (void)state;
    running r = {0};
    start(&r);
    check(r.port, "POST", "/v2/repository/index", client_line, "", 200,
          "{\"name\":\"m\",\"version\":\"1\",\"state\":\"READY\",\"reason\":\"\"}");
    check(r.port, "POST", "/v2/repository/models/n/unload", admin_line,
          "{\"parameters\":{\"unload_dependents\":false}}", 200,
          "{\"name\":\"n\",\"unload\":true}");
    check(r.port, "POST", "/v2/repository/index", client_line, "{}", 200,
          "{\"name\":\"n\",\"version\":\"1\",\"state\":\"UNAVAILABLE\",\"reason\":\"unloaded\"}");
    check(r.port, "POST", "/v2/repository/index", client_line, "{\"ready\":true}", 200,
          "\"version\":\"2\",\"state\":\"READY\",\"reason\":\"\"}]\n");
    check(r.port, "POST", "/v2/repository/index", client_line, "{", 400, "the body");
    check(r.port, "POST", "/v2/repository/models/n/load", admin_line,
          "{\"parameters\":{\"config\":\"{}\"}}", 400, "send no 'config'");
    check(r.port, "POST", "/v2/repository/models/n/load", admin_line,
          "{\"parameters\":{\"file:1/model.quern\":\"\"}}", 400, "send no 'config'");
    check(r.port, "POST", "/v2/repository/models/n/load", admin_line, "{}", 200, "\"load\":true");
    check(r.port, "POST", "/v1/models/n", client_line, row, 200, "p_yes");
    check(r.port, "POST", "/v2/repository/index", narrow_line, "", 200, "[{\"name\":\"n\"");
    stop(&r);
}

static void routes_are_put_and_followed(void **state)
{
    (void)state;
    running r = {.options = {.audit = audit_path}};
    static const char split[] = "models: {m: {aliases: {a: 1, b: 2}, split: {a: 1, b: 1}, "
                                "key: header x-user}}";
    char lines[300], head[40];
    int n_second = 0;
    http_client *client = malloc(sizeof *client);
    start(&r);
    check(r.port, "GET", "/v1/routes", client_line, "", 200, "\"models\": {}");
    check(r.port, "PUT", "/v1/routes", admin_line, split, 200, "routes");
    check(r.port, "GET", "/v1/routes", client_line, "", 200, "\"key\": \"header x-user\"");
    check(r.port, "GET", "/v1/models/m", client_line, "", 200, "\"split\": {");
    CHECK(http_connect(client, r.port));
    for (int user = 0; user < 400; user++) {
        snprintf(lines, sizeof lines, "%sx-user: %d\r\n", client_line, user);
        int version = 0;
        for (int again = 0; again < 3; again++) {
            const http_reply reply = ask(client, "POST", "/v1/models/m", lines, row);
            CHECK_INT(reply.status, 200);
            const int got = strstr(reply.body, "\"version\":\"2\"") ? 2 : 1;
            CHECK(again == 0 || got == version); /* the same user, the same version */
            version = got;
            snprintf(head, sizeof head, "quern-model: m@%d ", got);
            CHECK_CONTAINS(reply.head, head);
            free(reply.body);
        }
        n_second += version == 2;
    }
    CHECK_NEAR(n_second / 400.0, 0.5, 0.12); /* 4.8 standard deviations */
    char counted[120];
    snprintf(counted, sizeof counted,
             "quern_route_requests_total{model=\"m\",version=\"2\",arm=\"b\"} %d\n", 3 * n_second);
    check(r.port, "GET", "/metrics", client_line, "", 200, counted);
    check(r.port, "POST", "/v1/models/m@1", lines, row, 200, "\"version\":\"1\"");
    check(r.port, "PUT", "/v1/routes", admin_line, "models: {m: {to: c}}", 409, "not loaded");
    check(r.port, "PUT", "/v1/routes", admin_line, "models: {m: {too: 1}}", 400,
          "routes:1:14: 'too' is not known");
    check(r.port, "PUT", "/v1/routes", client_line, "{}", 403, "do not allow it");
    check(r.port, "PUT", "/v1/routes", admin_line, "models: {m: {to: 1}}", 200, "routes");
    check(r.port, "POST", "/v1/models/m", client_line, row, 200, "\"version\":\"1\"");
    check(r.port, "POST", "/v1/models/m/versions/1:unload", admin_line, "", 409,
          "leads to version");
    close(client->fd);
    free(client);
    stop(&r);
}

static void a_canary_goes_back_by_itself(void **state)
{
    (void)state;
    running r = {.options = {.audit = audit_path}};
    static const char errors[] = "models: {m: {canary: {from: 1, to: 2, percent: 100}, rollback: "
                                 "{window: 20, errors: 0.25}}}";
    static const char latency[] = "models: {m: {canary: {from: 1, to: 2, percent: 100}, rollback: "
                                  "{window: 20, latency: 0.000001}}}";
    start(&r);
    check(r.port, "PUT", "/v1/routes", admin_line, errors, 200, "routes");
    for (int i = 0; i < 6; i++) {
        check(r.port, "POST", "/v1/models/m", client_line, row, 200, "\"version\":\"2\"");
        check(r.port, "POST", "/v1/models/m", client_line, "{\"size\":1}", 422, "is missing");
    }
    check(r.port, "POST", "/v1/models/m", client_line, row, 200, "\"version\":\"1\"");
    check(r.port, "GET", "/v1/models/m", client_line, "", 200, "\"rolled_back\": true");
    check(r.port, "GET", "/metrics", client_line, "", 200,
          "quern_route_rolled_back{model=\"m\"} 1\n");
    shell("grep -q '\"who\":\"server\",\"action\":\"rollback\",\"detail\":\"m: 6 of the last 12 "
          "requests of the canary had errors\"' %s",
          audit_path);
    /* An alias of another model does not begin it anew, a routes file does. */
    check(r.port, "PUT", "/v1/models/n/aliases/live", admin_line, "{\"version\":1}", 200, "");
    check(r.port, "POST", "/v1/models/m", client_line, row, 200, "\"version\":\"1\"");
    check(r.port, "PUT", "/v1/routes", admin_line, latency, 200, "routes");
    for (int i = 0; i < 2; i++) { /* 5 % of 20 is one; the second is too many */
        check(r.port, "POST", "/v1/models/m", client_line, row, 200, "\"version\":\"2\"");
    }
    check(r.port, "POST", "/v1/models/m", client_line, row, 200, "\"version\":\"1\"");
    stop(&r);
}

/* The answer to row, by its request's id. */
static int version_for(http_client *client, const char *id)
{
    char lines[400];
    snprintf(lines, sizeof lines, "%sx-request-id: %s\r\n", client_line, id);
    const http_reply reply = ask(client, "POST", "/v1/models/m", lines, row);
    CHECK_INT(reply.status, 200);
    const int version = strstr(reply.body, "\"version\":\"2\"") ? 2 : 1;
    free(reply.body);
    return version;
}

/* Version 2 is worth nothing; the order of requests and rewards being the same, so are choices. */
static void feedback_teaches_a_bandit(void **state)
{
    (void)state;
    enum { N = 300 };
    running r = {0};
    http_client *client = malloc(sizeof *client);
    char id[32], body[100];
    int first[N], n_second = 0;
    for (int round = 0; round < 2; round++) {
        start(&r);
        check(r.port, "POST", "/feedback", client_line, "{\"id\":\"a\",\"reward\":1}", 202,
              "\"known\":0");
        check(r.port, "PUT", "/v1/routes", admin_line,
              "models: {m: {bandit: {arms: [1, 2], seed: 5}}}", 200, "");
        CHECK(http_connect(client, r.port));
        for (int i = 0; i < N; i++) {
            snprintf(id, sizeof id, "r-%d", i);
            const int version = version_for(client, id);
            if (round == 0) first[i] = version;
            CHECK_INT(version, first[i]);
            n_second += version == 2;
            snprintf(body, sizeof body, "[{\"id\":\"%s\",\"reward\":%d}]", id, version == 1);
            const http_reply reply = ask(client, "POST", "/feedback", client_line, body);
            CHECK_INT(reply.status, 202);
            CHECK_CONTAINS(reply.body, "{\"feedback\":1,\"known\":1}");
            free(reply.body);
        }
        CHECK(n_second > 0 && n_second < (round + 1) * N / 10);
        check(r.port, "GET", "/metrics", client_line, "", 200,
              "quern_route_rewards_total{model=\"m\",arm=\"1\"} ");
        check(r.port, "POST", "/feedback", client_line, "{\"id\":\"a\",\"reward\":2}", 422,
              "from 0 to 1");
        check(r.port, "POST", "/feedback", client_line, "[{\"id\":\"a b\",\"reward\":1}]", 422,
              "x-request-id");
        check(r.port, "POST", "/feedback", client_line, "", 400, "the body");
        check(r.port, "POST", "/feedback", narrow_line, "{\"id\":\"r-1\",\"reward\":1}", 202,
              "\"known\":0");
        close(client->fd);
        stop(&r);
    }
    free(client);
}

/* m@1 tells labels, and is always right here; the canary, m@2, tells numbers, and is not. */
static void outcomes_roll_a_canary_back(void **state)
{
    (void)state;
    running r = {.options = {.audit = audit_path}};
    http_client *client = malloc(sizeof *client);
    char id[32], body[200];
    int n = 0;
    start(&r);
    check(r.port, "POST", "/v1/outcomes", client_line, "{\"id\":\"a\",\"outcome\":1}", 404,
          "no canary is held against outcomes");
    check(r.port, "PUT", "/v1/routes", admin_line,
          "models: {m: {canary: {from: 1, to: 2, percent: 50}, rollback: {outcomes: 20}}}", 200,
          "");
    CHECK(http_connect(client, r.port));
    for (int i = 0; i < 200; i++) {
        snprintf(id, sizeof id, "o-%d", i);
        const int version = version_for(client, id);
        n += version == 2;
        if (version == 1) {
            const http_reply told = ask(client, "POST", "/v1/models/m@1", client_line, row);
            const char *label = strstr(told.body, "\"prediction\":\"") + 14;
            snprintf(body, sizeof body, "{\"id\":\"%s\",\"outcome\":\"%.*s\"}", id,
                     (int)strcspn(label, "\""), label);
            free(told.body);
        } else {
            snprintf(body, sizeof body, "{\"id\":\"%s\",\"row\":1,\"outcome\":-1e6}", id);
        }
        const http_reply reply = ask(client, "POST", "/v1/outcomes", client_line, body);
        CHECK_INT(reply.status, 202);
        free(reply.body);
    }
    CHECK(n >= 20 && n < 45); /* then all go back: some 160 more, of which half would go there */
    shell("grep -q '\"action\":\"rollback\",\"detail\":\"m: the canary.s mean loss' %s",
          audit_path);
    close(client->fd);
    free(client);
    stop(&r);
}

/* What a log has: waited for, because nobody waits for the shadow. */
static void wait_for_log(const char *path, const char *pattern, int n)
{
    shell("for i in $(seq 200); do test \"$(grep -c '%s' %s)\" = %d && exit 0; sleep 0.05; done; "
          "cat %s; exit 1",
          pattern, path, n, path);
}

static void shadows_change_no_answer(void **state)
{
    (void)state;
    char log_path[200];
    snprintf(log_path, sizeof log_path, "%s/predictions.jsonl", folder);
    running r = {.options = {.prediction_log = log_path}};
    http_client *client = malloc(sizeof *client);
    start(&r);
    check(r.port, "PUT", "/v1/routes", admin_line, "models: {m: {to: 1, shadow: {to: 2}}}", 200,
          "");
    CHECK(http_connect(client, r.port));
    for (int i = 0; i < 50; i++) {
        const http_reply reply = ask(client, "POST", "/v1/models/m", client_line, row);
        CHECK_INT(reply.status, 200);
        CHECK_CONTAINS(reply.body, "\"version\":\"1\"");
        free(reply.body);
    }
    check(r.port, "POST", "/v1/models/m@1", client_line, row, 200, ""); /* no route: no shadow */
    wait_for_log(log_path, "\"version\":\"2\",.*\"shadow\":true", 50);
    wait_for_log(log_path, "\"version\":\"1\"", 51);
    check(r.port, "GET", "/metrics", client_line, "", 200,
          "quern_shadow_requests_total{model=\"m\",version=\"2\",outcome=\"ok\"} 50\n");
    check(r.port, "GET", "/metrics", client_line, "", 200,
          "quern_predict_requests_total{model=\"m\",version=\"2\",outcome=\"ok\"} 0\n");
    check(r.port, "GET", "/metrics", client_line, "", 200, "quern_shadow_dropped_total 0\n");
    close(client->fd);
    free(client);
    check(r.port, "PUT", "/v1/routes", admin_line,
          "models: {m: {to: 1, shadow: {to: 2, share: 0}}}", 200, "");
    check(r.port, "POST", "/v1/models/m", client_line, row, 200, "\"version\":\"1\"");
    check(r.port, "POST", "/v1/models/m/versions/2:unload", admin_line, "", 409, "leads to");
    stop(&r);
}

static void an_empty_server_waits_for_models(void **state)
{
    (void)state;
    running r = {0};
    start(&r);
    check(r.port, "POST", "/v1/models/m:unload", admin_line, "", 200, "");
    shell("rm -r %s/m %s/n", models_dir, models_dir);
    CHECK_INT(qn_server_load(r.server, NULL), 0);
    check(r.port, "GET", "/v1/models", client_line, "", 200, "\"models\": []");
    check(r.port, "POST", "/invocations", client_line, row, 404, "no model is served");
    check(r.port, "GET", "/metrics", client_line, "", 200, "quern_http_requests_total");
    shell("mkdir %s/m && cp %s %s/m/1.quern", models_dir, model_path, models_dir);
    check(r.port, "POST", "/v2/repository/models/m/load", admin_line, "", 200, "");
    check(r.port, "POST", "/invocations", client_line, row, 200, "p_yes");
    stop(&r);
}

/* Switching while 64 clients ask. */

struct load {
    int port;
    _Atomic bool stop;
    int64_t n_requests, n_wrong, n_versions[2];
};

/* Every reply is one version's, whole: header, version and form of the answer go together. */
static void *keep_asking(void *argument)
{
    struct load *load = argument;
    http_client *client = malloc(sizeof *client);
    const bool connected = http_connect(client, load->port);
    while (!atomic_load(&load->stop)) {
        const http_reply reply = connected
                                     ? ask(client, "POST", "/v1/models/m@live", client_line, row)
                                     : (http_reply){0};
        const bool one = reply.body && strstr(reply.body, "\"version\":\"1\"");
        const bool good = reply.status == 200 &&
                          strstr(reply.head, one ? "quern-model: m@1 " : "quern-model: m@2 ") &&
                          (strstr(reply.body, "p_yes") != NULL) == one;
        load->n_requests++;
        load->n_wrong += !good;
        load->n_versions[one]++;
        free(reply.body);
        if (!good) break;
    }
    close(client->fd);
    free(client);
    return NULL;
}

static void switching_an_alias_fails_no_request(void **state)
{
    (void)state;
    enum { CLIENTS = 64, SWITCHES = 1000 };
    running r = {0};
    pthread_t threads[CLIENTS];
    static struct load loads[CLIENTS];
    static const char *const bodies[] = {"{\"version\":\"1\"}", "{\"version\":\"2\"}"};
    http_client *admin = malloc(sizeof *admin);
    int64_t seen[2] = {0};
    start(&r);
    CHECK(http_connect(admin, r.port));
    free(ask(admin, "PUT", "/v1/models/m/aliases/live", admin_line, bodies[0]).body);
    for (int i = 0; i < CLIENTS; i++) {
        loads[i].port = r.port;
        CHECK_INT(pthread_create(&threads[i], NULL, keep_asking, &loads[i]), 0);
    }
    for (int i = 0; i < SWITCHES; i++) {
        const http_reply reply =
            ask(admin, "PUT", "/v1/models/m/aliases/live", admin_line, bodies[(i + 1) % 2]);
        CHECK_INT(reply.status, 200);
        free(reply.body);
    }
    for (int i = 0; i < CLIENTS; i++) {
        atomic_store(&loads[i].stop, true);
    }
    for (int i = 0; i < CLIENTS; i++) {
        pthread_join(threads[i], NULL);
        CHECK_INT(loads[i].n_wrong, 0);
        CHECK(loads[i].n_requests > 0);
        seen[0] += loads[i].n_versions[0];
        seen[1] += loads[i].n_versions[1];
    }
    CHECK(seen[0] > 0 && seen[1] > 0);
    close(admin->fd);
    free(admin);
    stop(&r);
}

/* Clients that go away while their operation runs, and a server that ends meanwhile. */
static void operations_outlive_their_clients(void **state)
{
    (void)state;
    running r = {0};
    http_client *client = malloc(sizeof *client);
    char text[400];
    start(&r);
    for (int i = 0; i < 100; i++) {
        snprintf(text, sizeof text,
                 "POST /v1/models/m:%s HTTP/1.1\r\nHost: a\r\n%sContent-Length: 0\r\n\r\n",
                 i % 2 ? "load" : "unload", admin_line);
        CHECK(http_connect(client, r.port));
        CHECK(http_send(client, text, strlen(text)));
        close(client->fd);
    }
    stop(&r);
    free(client);
}

static void operations_survive_a_lack_of_memory(void **state)
{
    (void)state;
    running r = {.options = {.n_threads = 1}};
    static const char *const requests[][3] = {
        {"PUT", "/v1/models/m/aliases/a", "{\"version\":\"1\"}"},
        {"POST", "/v1/models/n:load", ""},
        {"PUT", "/v1/routes", "models: {m: {split: {1: 1, 2: 1}, key: column size}}"},
        {"POST", "/v1/models/m", row},
        {"PUT", "/v1/routes", "models: {m: {bandit: {arms: [1, 2]}, shadow: {to: 2}}}"},
        {"POST", "/v1/models/m", row},
        {"POST", "/feedback", "{\"id\": \"a\", \"reward\": 1}"},
        {"PUT", "/v1/routes",
         "models: {m: {canary: {from: 1, to: 2, percent: 50}, rollback: {outcomes: 10}}}"},
        {"POST", "/v1/models/m", row},
        {"POST", "/v1/outcomes", "{\"id\": \"a\", \"outcome\": 1}"},
        {"POST", "/v2/repository/index", "{\"ready\":true}"}};
    char path[200];
    http_client *client = malloc(sizeof *client);
    start(&r);
    snprintf(path, sizeof path, "%s/n/1.quern", models_dir);
    for (size_t i = 0; i < sizeof requests / sizeof *requests; i++) {
        bool made_it = false;
        for (int64_t nth = 1; nth < 5000 && !made_it; nth++) {
            const struct timespec changed[2] = {{.tv_sec = nth}, {.tv_sec = nth}};
            CHECK_INT(utimensat(AT_FDCWD, path, changed, 0), 0);
            CHECK(http_connect(client, r.port));
            qn_alloc_fail_at(nth, false);
            const http_reply reply =
                ask(client, requests[i][0], requests[i][1], admin_line, requests[i][2]);
            made_it = qn_alloc_fail_at(0, false) < nth;
            /* 401: there was no memory to check the key. */
            CHECK(reply.status / 100 == 2 || reply.status == 503 || reply.status == 0 ||
                  reply.status == 409 || reply.status == 401 || reply.status == 429);
            CHECK(!made_it || reply.status / 100 == 2);
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
    const struct CMUnitTest tests[] = {TEST(an_alias_is_a_name_of_a_version),
                                       TEST(roles_are_of_the_model_whatever_the_alias),
                                       TEST(models_are_loaded_and_unloaded),
                                       TEST(the_repository_is_spoken_to_as_tritons),
                                       TEST(routes_are_put_and_followed),
                                       TEST(a_canary_goes_back_by_itself),
                                       TEST(feedback_teaches_a_bandit),
                                       TEST(outcomes_roll_a_canary_back),
                                       TEST(shadows_change_no_answer),
                                       TEST(an_empty_server_waits_for_models),
                                       TEST(switching_an_alias_fails_no_request),
                                       TEST(operations_outlive_their_clients),
                                       TEST(operations_survive_a_lack_of_memory)};
    return cmocka_run_group_tests(tests, make_all, remove_all);
}
