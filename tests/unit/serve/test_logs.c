/* SPDX-License-Identifier: Apache-2.0 */
/* What a server writes about its requests, read back. */
#include "base/json.h"
#include "serve/server.h"
#include "serve/telemetry/prediction_log.h"

#include "http_client.h"
#include "served.h"

#include <sys/stat.h>

static char folder[] = "/tmp/quern-logs-XXXXXX";
static char model_path[128], access_path[128], prediction_path[128];

static const char row[] =
    "{\"size\":31.5,\"colour\":\"red\",\"shop\":101,\"when\":\"2020-03-04\",\"open\":true}";

static int make_models(void **state)
{
    (void)state;
    if (!mkdtemp(folder)) return -1;
    served_fit(folder, "binary", 1, model_path, sizeof model_path);
    snprintf(access_path, sizeof access_path, "%s/access.jsonl", folder);
    snprintf(prediction_path, sizeof prediction_path, "%s/predictions.jsonl", folder);
    return 0;
}

static int remove_models(void **state)
{
    (void)state;
    char command[160];
    snprintf(command, sizeof command, "rm -r %s", folder);
    return system(command);
}

typedef struct running {
    qn_serve_options options;
    const char *models[2];
    char spec[160];
    qn_server *server;
    http_client client;
} running;

static void start(running *r)
{
    qn_error err = {0};
    snprintf(r->spec, sizeof r->spec, "m=%s", model_path);
    r->models[0] = r->spec;
    r->options.models = r->models;
    r->options.listen = "127.0.0.1:0";
    r->options.n_threads = 1;
    CHECK_OK(qn_server_start(&r->options, &r->server, &err));
    CHECK_INT(qn_server_load(r->server, NULL), 0);
    CHECK(http_connect(&r->client,
                       (int)strtol(strrchr(qn_server_url(r->server), ':') + 1, NULL, 10)));
}

static void stop(running *r)
{
    close(r->client.fd);
    CHECK(qn_server_close(r->server));
    qn_server_free(r->server);
    free(r);
}

/* POST with further header lines; the reply's status, its head in `head` (2,048 bytes). */
static int post(running *r, const char *path, const char *lines, const char *body, char *head)
{
    char text[1024];
    const int n = snprintf(text, sizeof text,
                           "POST %s HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\n"
                           "%sContent-Length: %zu\r\n\r\n",
                           path, lines, strlen(body));
    CHECK(http_send(&r->client, text, (size_t)n) && http_send(&r->client, body, strlen(body)));
    const http_reply reply = http_read(&r->client, false);
    if (head) memcpy(head, reply.head, sizeof reply.head);
    free(reply.body);
    return reply.status;
}

typedef struct lines {
    int n;
    qn_json *documents[16];
    qn_json_value roots[16];
} lines;

/* Each line is one JSON object. */
static lines read_lines(const char *path)
{
    lines all = {.n = 0};
    qn_error err = {0};
    char line[4096];
    FILE *file = fopen(path, "r");
    CHECK(file != NULL);
    while (fgets(line, sizeof line, file)) {
        CHECK(all.n < 16);
        CHECK_OK(qn_json_parse(line, strlen(line), path, &all.documents[all.n], &err));
        all.roots[all.n] = qn_json_root(all.documents[all.n]);
        CHECK(qn_json_is_object(all.roots[all.n++]));
    }
    fclose(file);
    return all;
}

static void free_lines(lines *all)
{
    for (int i = 0; i < all->n; i++) {
        qn_json_free(all->documents[i]);
    }
}

static const char *text_of(qn_json_value object, const char *key)
{
    return qn_json_as_text(qn_json_get(object, key), "(none)");
}

static void the_access_log_tells_of_every_request(void **state)
{
    (void)state;
    running *r = calloc(1, sizeof *r);
    char head[2048];
    r->options.access_log = access_path;
    start(r);
    CHECK_INT(post(r, "/v1/models/m?canary", "X-Request-Id: first\r\n", row, head), 200);
    CHECK_CONTAINS(head, "x-request-id: first\r\n");
    CHECK_INT(post(r, "/v1/models/m",
                   "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n", "{}",
                   NULL),
              422);
    CHECK_INT(post(r, "/nowhere", "", row, NULL), 404);
    CHECK(http_send(&r->client, "\x01\r\n\r\n", 5)); /* no request at all */
    const http_reply bad = http_read(&r->client, false);
    CHECK_INT(bad.status, 400);
    free(bad.body);
    stop(r);
    lines all = read_lines(access_path);
    CHECK_INT(all.n, 4);
    CHECK_TEXT(text_of(all.roots[0], "id"), "first");
    CHECK_TEXT(text_of(all.roots[0], "method"), "POST");
    CHECK_TEXT(text_of(all.roots[0], "path"), "/v1/models/m");
    CHECK_TEXT(text_of(all.roots[0], "route"), "predict");
    CHECK_TEXT(text_of(all.roots[0], "address"), "127.0.0.1");
    CHECK_INT(qn_json_as_int(qn_json_get(all.roots[0], "status"), 0), 200);
    CHECK_INT(qn_json_as_int(qn_json_get(all.roots[0], "body_bytes"), 0), strlen(row));
    CHECK(qn_json_as_int(qn_json_get(all.roots[0], "reply_bytes"), 0) > 40);
    const double seconds = qn_json_as_double(qn_json_get(all.roots[0], "seconds"), -1);
    CHECK(seconds > 0 && seconds < 60);
    CHECK_TEXT(text_of(all.roots[1], "trace"), "0af7651916cd43dd8448eb211c80319c");
    CHECK_TEXT(text_of(all.roots[1], "parent"), "b7ad6b7169203331");
    CHECK_INT(qn_json_as_int(qn_json_get(all.roots[1], "status"), 0), 422);
    CHECK_INT(qn_json_as_int(qn_json_get(all.roots[2], "status"), 0), 404);
    CHECK_INT(qn_json_as_int(qn_json_get(all.roots[3], "status"), 0), 400);
    CHECK(qn_json_is_null(qn_json_get(all.roots[3], "id")));
    free_lines(&all);
    struct stat info;
    CHECK_INT(stat(access_path, &info), 0);
    CHECK_INT(info.st_mode & 0777, 0600);
}

static void the_prediction_log_has_rows_and_their_outcomes(void **state)
{
    (void)state;
    running *r = calloc(1, sizeof *r);
    r->options.prediction_log = prediction_path;
    start(r);
    CHECK_INT(post(r, "/v1/models/m", "X-Request-Id: one\r\n", row, NULL), 200);
    CHECK_INT(post(r, "/v1/models/m", "X-Request-Id: two\r\n",
                   "{\"columns\":[\"size\",\"colour\",\"shop\",\"when\",\"open\"],\"data\":"
                   "[[null,\"a \\\"b\\\"\",null,null,null],[1e300,null,\"7\",\"2020-03-04\","
                   "false]]}",
                   NULL),
              200);
    CHECK_INT(post(r, "/v1/models/m", "", "[{\"size\":1}]", NULL), 422); /* leaves none */
    CHECK_INT(
        post(r, "/v1/outcomes", "",
             "[{\"id\":\"one\",\"outcome\":\"yes\"},{\"id\":\"two\",\"row\":2,\"outcome\":0.5}]",
             NULL),
        202);
    stop(r);
    lines all = read_lines(prediction_path);
    CHECK_INT(all.n, 5);
    qn_json_value inputs = qn_json_get(all.roots[0], "inputs");
    CHECK_TEXT(text_of(all.roots[0], "event"), "prediction");
    CHECK_TEXT(text_of(all.roots[0], "id"), "one");
    CHECK_TEXT(text_of(all.roots[0], "model"), "m");
    CHECK_INT(strlen(text_of(all.roots[0], "hash")), 16);
    CHECK(qn_json_as_double(qn_json_get(inputs, "size"), 0) == 31.5);
    CHECK_TEXT(text_of(inputs, "shop"), "101");
    CHECK_TEXT(text_of(inputs, "when"), "2020-03-04");
    CHECK(qn_json_as_bool(qn_json_get(inputs, "open"), false));
    CHECK(!qn_json_is_null(qn_json_get(all.roots[0], "prediction")));
    CHECK(qn_json_as_double(qn_json_get(all.roots[0], "p_yes"), -1) >= 0);
    CHECK_INT(qn_json_as_int(qn_json_get(all.roots[2], "row"), 0), 2);
    inputs = qn_json_get(all.roots[1], "inputs");
    CHECK_TEXT(text_of(inputs, "colour"), "a \"b\"");
    CHECK(qn_json_is_null(qn_json_get(inputs, "size")) && qn_json_size(inputs) == 5);
    CHECK_TEXT(text_of(all.roots[3], "event"), "outcome");
    CHECK_TEXT(text_of(all.roots[3], "outcome"), "yes");
    CHECK_INT(qn_json_as_int(qn_json_get(all.roots[4], "row"), 0), 2);
    free_lines(&all);
}

static void bad_outcomes_are_refused_whole(void **state)
{
    (void)state;
    running *r = calloc(1, sizeof *r);
    const char *const bad[] = {"{\"id\":\"a b\",\"outcome\":1}",
                               "{\"outcome\":1}",
                               "{\"id\":\"a\"}",
                               "{\"id\":\"a\",\"outcome\":null}",
                               "{\"id\":\"a\",\"outcome\":[1]}",
                               "{\"id\":\"a\",\"row\":0,\"outcome\":1}",
                               "{\"id\":\"a\",\"row\":\"1\",\"outcome\":1}",
                               "[{\"id\":\"a\",\"outcome\":1},{\"id\":\"a\"}]",
                               "[3]",
                               "3"};
    CHECK_INT(truncate(prediction_path, 0), 0);
    r->options.prediction_log = prediction_path;
    start(r);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        const int status = post(r, "/v1/outcomes", "", bad[i], NULL);
        CHECK(status == 422 || status == 400);
    }
    CHECK_INT(post(r, "/v1/outcomes", "", "{\"id\":", NULL), 400);
    stop(r);
    lines all = read_lines(prediction_path);
    CHECK_INT(all.n, 0);
    free_lines(&all);
    r = calloc(1, sizeof *r); /* without a log */
    start(r);
    CHECK_INT(post(r, "/v1/outcomes", "", "{\"id\":\"a\",\"outcome\":1}", NULL), 404);
    stop(r);
}

/* Predictions go on, and what was lost is told. */
static void a_full_disk_ends_no_prediction(void **state)
{
    (void)state;
    running *r = calloc(1, sizeof *r);
    r->options.prediction_log = "/dev/full";
    r->options.sandbox = QN_SANDBOX_OFF;
    start(r);
    for (int i = 0; i < 20; i++) {
        CHECK_INT(post(r, "/v1/models/m", "", row, NULL), 200);
    }
    bool told = false;
    for (int i = 0; i < 1000 && !told; i++) {
        const http_reply reply = http_request(&r->client, "GET", "/metrics", NULL, "", 0);
        told =
            strstr(reply.body, "quern_log_dropped_lines_total{log=\"predictions\"} 20\n") != NULL;
        free(reply.body);
        usleep(1000);
    }
    CHECK(told);
    stop(r);
}

static void a_share_of_requests_is_the_same_ones_each_time(void **state)
{
    (void)state;
    int n = 0;
    for (int i = 0; i < 10000; i++) {
        char id[16];
        snprintf(id, sizeof id, "r%d", i);
        n += qn_prediction_log_takes(id, 0.1);
        CHECK(!qn_prediction_log_takes(id, 0.1) || qn_prediction_log_takes(id, 0.2));
        CHECK(qn_prediction_log_takes(id, 1));
    }
    CHECK(n > 850 && n < 1150);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_access_log_tells_of_every_request),
        cmocka_unit_test(the_prediction_log_has_rows_and_their_outcomes),
        cmocka_unit_test(bad_outcomes_are_refused_whole),
        cmocka_unit_test(a_full_disk_ends_no_prediction),
        cmocka_unit_test(a_share_of_requests_is_the_same_ones_each_time)};
    return cmocka_run_group_tests(tests, make_models, remove_models);
}
