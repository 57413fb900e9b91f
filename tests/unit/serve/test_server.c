/* SPDX-License-Identifier: Apache-2.0 */
/* A server in this process, and clients on real sockets. */
#include "serve/server.h"

#include "http_client.h"
#include "served.h"

#include <pthread.h>

static char folder[] = "/tmp/quern-server-XXXXXX";
static char model_path[128], other_path[128], served_path[160];

static int make_models(void **state)
{
    (void)state;
    if (!mkdtemp(folder)) return -1;
    served_fit(folder, "binary", 1, model_path, sizeof model_path);
    served_fit(folder, "regression", 2, other_path, sizeof other_path);
    snprintf(served_path, sizeof served_path, "%s/served.quern", folder);
    return 0;
}

static int remove_models(void **state)
{
    (void)state;
    char command[160];
    snprintf(command, sizeof command, "rm -r %s", folder);
    return system(command);
}

/* A copy put in place by rename, as a deployment does. */
static void put_in_place(const char *from)
{
    char command[1024];
    snprintf(command, sizeof command, "cp %s %s.new && mv %s.new %s", from, served_path,
             served_path, served_path);
    CHECK_INT(system(command), 0);
}

typedef struct running {
    qn_serve_options options;
    const char *models[3];
    char spec[256];
    qn_server *server;
    int port;
} running;

/* Options not set get short times, so that tests of them are quick. */
static void start(running *r)
{
    qn_error err = {0};
    put_in_place(model_path);
    snprintf(r->spec, sizeof r->spec, "m=%s", served_path);
    r->models[0] = r->spec;
    r->options.models = r->models;
    r->options.listen = "127.0.0.1:0";
    if (r->options.n_threads == 0) r->options.n_threads = 2;
    CHECK_OK(qn_server_start(&r->options, &r->server, &err));
    CHECK_INT(qn_server_get_state(r->server), QN_SERVER_STARTING);
    CHECK_INT(qn_server_load(r->server, NULL), 0);
    CHECK_INT(qn_server_get_state(r->server), QN_SERVER_READY);
    r->port = (int)strtol(strrchr(qn_server_url(r->server), ':') + 1, NULL, 10);
}

static void stop(running *r)
{
    CHECK(qn_server_close(r->server));
    qn_server_free(r->server);
}

static const char row[] =
    "{\"size\":31.5,\"colour\":\"red\",\"shop\":101,\"when\":\"2020-03-04\",\"open\":true}";

static http_reply post(http_client *client, const char *path, const char *body)
{
    return http_request(client, "POST", path, "application/json", body, strlen(body));
}

/* A request on a connection of its own. */
static http_reply once(int port, const char *method, const char *path, const char *type,
                       const char *body)
{
    http_client *client = malloc(sizeof *client);
    CHECK(http_connect(client, port));
    const http_reply reply = http_request(client, method, path, type, body, strlen(body));
    close(client->fd);
    free(client);
    return reply;
}

static void check_status(http_reply reply, int status, const char *part)
{
    if (reply.status != status || !strstr(reply.body, part)) {
        fail_msg("%d %s%s: not %d with \"%s\"", reply.status, reply.head, reply.body, status, part);
    }
    free(reply.body);
}

static void every_route_answers(void **state)
{
    (void)state;
    running r = {0};
    start(&r);
    check_status(once(r.port, "GET", "/livez", NULL, ""), 200, "ok");
    check_status(once(r.port, "GET", "/readyz?verbose", NULL, ""), 200, "ok");
    check_status(once(r.port, "GET", "/startupz", NULL, ""), 200, "ok");
    check_status(once(r.port, "GET", "/", NULL, ""), 200, "/v1/models/{}:predict");
    check_status(once(r.port, "GET", "http://host/livez", NULL, ""), 200, "ok");
    check_status(once(r.port, "GET", "/v1/models", NULL, ""), 200, "\"AVAILABLE\"");
    check_status(once(r.port, "GET", "/v1/models/m", NULL, ""), 200, "\"name\": \"colour\"");
    check_status(once(r.port, "GET", "/v1/models/m/versions/1", NULL, ""), 200, "\"yes\"");
    const char *const paths[] = {"/v1/models/m", "/v1/models/m:predict", "/v1/models/m/versions/1",
                                 "/v1/models/m/versions/1:predict"};
    for (int i = 0; i < 4; i++) {
        check_status(once(r.port, "POST", paths[i], "application/json", row), 200,
                     "{\"model\":\"m\",\"version\":\"1\",\"prediction\":\"");
    }
    check_status(once(r.port, "GET", "/metrics", NULL, ""), 200,
                 "quern_predict_requests_total{model=\"m\",version=\"1\",outcome=\"ok\"} 4\n");
    stop(&r);
}

/* What clients of MLflow, SageMaker, KServe and Triton ask. */
static void other_protocols_are_spoken(void **state)
{
    (void)state;
    running r = {0};
    start(&r);
    check_status(once(r.port, "GET", "/ping", NULL, ""), 200, "ok");
    check_status(once(r.port, "GET", "/health", NULL, ""), 200, "ok");
    check_status(once(r.port, "GET", "/version", NULL, ""), 200, qn_version());
    check_status(once(r.port, "POST", "/invocations", "application/json", row), 200, "p_yes");
    check_status(once(r.port, "POST", "/invocations", "application/json", "{}"), 400, "is missing");
    check_status(once(r.port, "GET", "/v2", NULL, ""), 200,
                 "\"extensions\":[\"binary_tensor_data\"");
    check_status(once(r.port, "GET", "/v2/health/live", NULL, ""), 200, "{\"live\":true}");
    check_status(once(r.port, "GET", "/v2/health/ready", NULL, ""), 200, "{\"ready\":true}");
    check_status(once(r.port, "GET", "/v2/models/m", NULL, ""), 200,
                 "{\"name\":\"size\",\"datatype\":\"FP64\",\"shape\":[-1]}");
    check_status(
        once(r.port, "GET", "/v2/models/m/versions/1", NULL, ""), 200,
        "{\"name\":\"probabilities\",\"datatype\":\"FP64\",\"shape\":[-1,2],\"parameters\":"
        "{\"labels\":[\"no\",\"yes\"]}}");
    check_status(once(r.port, "GET", "/v2/models/m/ready", NULL, ""), 200, "\"ready\":true");
    check_status(once(r.port, "GET", "/v2/models/x/ready", NULL, ""), 404, "no such model");
    static const char tensors[] = "{\"id\":\"a\\\"b\",\"inputs\":[{\"name\":\"x\",\"shape\":[2,5],"
                                  "\"datatype\":\"FP64\",\"data\":"
                                  "[1,null,1,null,1,2,null,2,null,0]}]}";
    http_reply reply = once(r.port, "POST", "/v2/models/m/infer", "application/json", tensors);
    CHECK_CONTAINS(reply.body,
                   "{\"model_name\":\"m\",\"model_version\":\"1\",\"id\":\"a\\\"b\","
                   "\"outputs\":[{\"name\":\"prediction\",\"shape\":[2],\"datatype\":\"BYTES\","
                   "\"data\":[\"");
    check_status(reply, 200,
                 "\"probabilities\",\"shape\":[2,2],\"datatype\":\"FP64\",\"data\":[0.");
    check_status(once(r.port, "POST", "/v2/models/m/versions/1/infer", "application/json", "{}"),
                 400, "\"error\":\"body:1:3: ");
    check_status(once(r.port, "POST", "/v2/models/m/infer", "application/octet-stream", ""), 415,
                 "");
    static const char wish[] =
        "{\"parameters\":{\"binary_data_output\":true},\"inputs\":[{\"name\":"
        "\"x\",\"shape\":[1,5],\"datatype\":\"FP64\",\"data\":"
        "[1,null,1,null,1]}]}";
    reply = once(r.port, "POST", "/v2/models/m/infer", "application/json", wish);
    CHECK_CONTAINS(reply.head, "content-type: application/octet-stream\r\n");
    const char *length = strstr(reply.head, "inference-header-content-length: ");
    CHECK(length != NULL);
    const size_t json_bytes = strtoul(length + 33, NULL, 10);
    CHECK_CONTAINS(reply.body, "\"probabilities\",\"shape\":[1,2],\"datatype\":\"FP64\","
                               "\"parameters\":{\"binary_data_size\":16}}]}\n");
    CHECK_INT(strstr(reply.body, "]}\n") + 3 - reply.body, (long)json_bytes);
    check_status(reply, 200, "");
    check_status(once(r.port, "GET", "/v2/models/m/stats", NULL, ""), 200,
                 "{\"model_stats\":[{\"name\":\"m\",\"version\":\"1\",\"inference_count\":4,"
                 "\"execution_count\":3,\"inference_stats\":{\"success\":{\"count\":3,\"ns\":");
    check_status(once(r.port, "GET", "/v2/models/stats", NULL, ""), 200, "\"fail\":{\"count\":2,");
    check_status(once(r.port, "GET", "/v2/models/m/versions/9/stats", NULL, ""), 404, "no such");
    stop(&r);
}

static void unseen_categories_are_refused_where_that_is_asked_for(void **state)
{
    (void)state;
    static const char pink[] =
        "[{\"size\":1,\"colour\":\"pink\",\"shop\":101,\"when\":null,\"open\":true}]";
    running r = {.options = {.known_only = true}};
    start(&r);
    check_status(once(r.port, "POST", "/v1/models/m", "application/json", row), 200, "p_yes");
    check_status(once(r.port, "POST", "/v1/models/m", "application/json", pink), 422,
                 "\"row\":1,\"column\":\"colour\"}");
    check_status(once(r.port, "POST", "/invocations", "application/json", pink), 400,
                 "has 'pink', a category that training never saw");
    check_status(once(r.port, "GET", "/metrics", NULL, ""), 200,
                 "quern_predict_requests_total{model=\"m\",version=\"1\",outcome=\"invalid\"} 2\n");
    stop(&r);
}

static void requests_that_cannot_be_are_told_why(void **state)
{
    (void)state;
    running r = {.options = {.body_bytes_max = 3000, .rows_max = 2}};
    start(&r);
    static const struct {
        const char *method, *path, *type, *body;
        int status;
        const char *part;
    } cases[] = {
        {"GET", "/nothing", NULL, "", 404, "nothing at this path"},
        {"GET", "//livez", NULL, "", 404, "nothing at this path"},
        {"GET", "/livez/", NULL, "", 404, "nothing at this path"},
        {"GET", "/v1/models/../../etc/passwd", NULL, "", 404, "nothing at this path"},
        {"GET", "/v1/models/%2e%2e", NULL, "", 404, "no such model"},
        {"GET", "livez", NULL, "", 400, "error"},
        {"POST", "/livez", NULL, "", 405, "no such method"},
        {"DELETE", "/v1/models/m", NULL, "", 405, "no such method"},
        {"BREW", "/livez", NULL, "", 400, "error"},
        {"POST", "/v1/models/x", "application/json", row, 404, "no such model"},
        {"POST", "/v1/models/m/versions/2", "application/json", row, 404, "no such model"},
        {"POST", "/v1/models/m", NULL, row, 415, "Content-Type: application/json"},
        {"POST", "/v1/models/m", "text/plain", row, 415, "Content-Type: application/json"},
        {"POST", "/v1/models/m", "application/json; charset=latin1", row, 415, "UTF-8"},
        {"POST", "/v1/models/m", "application/json", "", 400, "the body is empty"},
        {"POST", "/v1/models/m", "application/json", "{\"size\":1", 400, "body:1:10: "},
        {"POST", "/v1/models/m", "application/json", "\xff", 400, "error"},
        {"POST", "/v1/models/m", "application/json", "{}", 422, "\"row\":1,\"column\":\"size\"}"},
        {"POST", "/v1/models/m", "application/json", "[[1],[2],[3]]", 422, "\"row\":1"},
        {"POST", "/v1/models/m", "application/json",
         "[[1,null,1,null,1],[1,null,1,null,1],[1,null,1,null,1]]", 413, "more than 2 rows"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        check_status(once(r.port, cases[i].method, cases[i].path, cases[i].type, cases[i].body),
                     cases[i].status, cases[i].part);
    }
    char large[3001];
    memset(large, ' ', sizeof large);
    large[3000] = '\0';
    check_status(once(r.port, "POST", "/v1/models/m", "application/json", large), 400, "empty");
    char larger[4001];
    memset(larger, ' ', sizeof larger);
    larger[4000] = '\0';
    check_status(once(r.port, "POST", "/v1/models/m", "application/json", larger), 413, "larger");
    stop(&r);
}

static void head_and_options_have_no_body(void **state)
{
    (void)state;
    running r = {0};
    http_client *client = malloc(sizeof *client);
    start(&r);
    CHECK(http_connect(client, r.port));
    http_reply reply = http_request(client, "HEAD", "/livez", NULL, "", 0);
    CHECK_INT(reply.status, 200);
    CHECK(strtoul(strstr(reply.head, "content-length:") + 15, NULL, 10) == 3);
    free(reply.body);
    reply = http_request(client, "OPTIONS", "/v1/models/m", NULL, "", 0);
    CHECK_INT(reply.status, 204);
    CHECK_CONTAINS(reply.head, "allow: GET, HEAD, POST, OPTIONS\r\n");
    free(reply.body);
    check_status(http_request(client, "GET", "/livez", NULL, "", 0), 200, "ok");
    close(client->fd);
    free(client);
    stop(&r);
}

static void pipelined_requests_are_answered_in_order(void **state)
{
    (void)state;
    running r = {0};
    http_client *client = malloc(sizeof *client);
    qn_str text = {0};
    start(&r);
    enum { N = 3000 };
    for (int i = 0; i < N; i++) {
        if (i % 3 == 0) {
            qn_str_add(&text, "GET /livez HTTP/1.1\r\nHost: a\r\n\r\n");
        } else {
            qn_str_addf(
                &text,
                "POST /v1/models/m HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
                "Content-Length: %zu\r\n\r\n%s",
                i % 3 == 1 ? sizeof row - 1 : (size_t)2, i % 3 == 1 ? row : "{}");
        }
    }
    CHECK(http_connect(client, r.port));
    /* Replies are read late, so that the server has to wait for its client, too. */
    for (size_t at = 0, read = 0; read < N;) {
        const size_t piece = text.bytes - at < 40000 ? text.bytes - at : 40000;
        CHECK(http_send(client, text.text + at, piece));
        at += piece;
        const size_t answered = at == text.bytes ? N : read + 50;
        for (; read < answered; read++) {
            static const int statuses[] = {200, 200, 422};
            const http_reply reply = http_read(client, false);
            CHECK_INT(reply.status, statuses[read % 3]);
            free(reply.body);
        }
    }
    close(client->fd);
    free(client);
    qn_str_release(&text);
    stop(&r);
}

static void slow_clients_are_closed_in_time(void **state)
{
    (void)state;
    running r = {.options = {.read_s = 0.15, .idle_s = 0.3, .n_threads = 1}};
    http_client *client = malloc(sizeof *client);
    start(&r);
    static const char *const parts[] = {
        "GET /li", "POST /v1/models/m HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n{"};
    for (int i = 0; i < 2; i++) {
        CHECK(http_connect(client, r.port));
        CHECK(http_send(client, parts[i], strlen(parts[i])));
        check_status(http_read(client, false), 408, "too long to arrive");
        CHECK(http_is_closed(client));
        close(client->fd);
    }
    CHECK(http_connect(client, r.port)); /* says nothing */
    CHECK(http_is_closed(client));
    close(client->fd);
    free(client);
    stop(&r);
}

static void an_expecting_client_is_told_to_go_on(void **state)
{
    (void)state;
    running r = {0};
    http_client *client = malloc(sizeof *client);
    char head[300];
    start(&r);
    snprintf(head, sizeof head,
             "POST /v1/models/m HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
             "Expect: 100-continue\r\nContent-Length: %zu\r\n\r\n",
             sizeof row - 1);
    CHECK(http_connect(client, r.port));
    CHECK(http_send(client, head, strlen(head)));
    const http_reply told = http_read(client, false);
    CHECK_INT(told.status, 100);
    free(told.body);
    CHECK(http_send(client, row, sizeof row - 1));
    check_status(http_read(client, false), 200, "\"prediction\"");
    close(client->fd);
    free(client);
    stop(&r);
}

static void connections_beyond_the_limit_are_refused(void **state)
{
    (void)state;
    running r = {.options = {.connections_max = 3, .n_threads = 1}};
    http_client *clients = calloc(8, sizeof *clients);
    start(&r);
    int n_refused = 0;
    for (int i = 0; i < 8; i++) {
        CHECK(http_connect(&clients[i], r.port));
        http_reply reply = http_request(&clients[i], "GET", "/livez", NULL, "", 0);
        n_refused += reply.status != 200; /* the refusal may come as an end of the connection */
        if (i < 4) CHECK_INT(reply.status, 200);
        free(reply.body);
    }
    CHECK_INT(n_refused, 4);
    for (int i = 0; i < 8; i++) {
        close(clients[i].fd);
    }
    free(clients);
    stop(&r);
}

/* Enough rows for a second of work or so. */
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
enum { N_LONG = 80000 };
#else
enum { N_LONG = 400000 };
#endif

/* A body of very many rows does not hold up its neighbours on the same loop. */
static void long_requests_give_way(void **state)
{
    (void)state;
    running r = {.options = {.n_threads = 1, .request_s = 100, .read_s = 100}};
    http_client *slow = malloc(sizeof *slow), *quick = malloc(sizeof *quick);
    qn_str body = {0};
    start(&r);
    for (int i = 0; i < N_LONG; i++) {
        qn_str_addf(&body, "%s[%d,\"red\",100,null,true]", i ? "," : "[", i % 50);
    }
    qn_str_add_char(&body, ']');
    char head[300];
    snprintf(head, sizeof head,
             "POST /v1/models/m HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
             "Content-Length: %zu\r\n\r\n",
             body.bytes);
    CHECK(http_connect(slow, r.port) && http_connect(quick, r.port));
    CHECK(http_send(slow, head, strlen(head)) && http_send(slow, body.text, body.bytes));
    for (int i = 0; i < 3; i++) {
        check_status(post(quick, "/v1/models/m", row), 200, "\"prediction\"");
    }
    char byte; /* the long reply has not begun to come */
    CHECK(recv(slow->fd, &byte, 1, MSG_DONTWAIT | MSG_PEEK) < 0);
    const http_reply reply = http_read(slow, false);
    CHECK_INT(reply.status, 200);
    int64_t n = -1; /* of the object around them all */
    for (const char *at = reply.body; *at; at++) {
        n += *at == '{';
    }
    CHECK_INT(n, N_LONG);
    free(reply.body);
    close(slow->fd);
    close(quick->fd);
    free(slow);
    free(quick);
    qn_str_release(&body);
    stop(&r);
}

static void requests_that_take_too_long_end(void **state)
{
    (void)state;
    running r = {.options = {.request_s = 1e-9}};
    start(&r);
    const http_reply reply = once(r.port, "POST", "/v1/models/m", "application/json", row);
    CHECK_CONTAINS(reply.head, "retry-after: 1\r\n");
    check_status(reply, 503, "took too long");
    stop(&r);
}

/* Swaps. */

struct load {
    int port;
    _Atomic bool stop;
    int64_t n_requests, n_wrong;
};

/* Every reply is one model's, whole: the hash in its header and what it says go together. */
static void *keep_asking(void *argument)
{
    struct load *load = argument;
    http_client *client = malloc(sizeof *client);
    char classes_hash[17] = "", values_hash[17] = "";
    bool connected = http_connect(client, load->port);
    while (!atomic_load(&load->stop)) {
        const http_reply reply = connected ? post(client, "/v1/models/m", row) : (http_reply){0};
        const char *header = strstr(reply.head, "quern-model: m@1 ");
        load->n_requests++;
        if (reply.status == 200 && header) {
            char *known = strstr(reply.body, "p_yes") ? classes_hash : values_hash;
            if (!known[0]) memcpy(known, header + 17, 16);
            load->n_wrong += memcmp(known, header + 17, 16) != 0;
        } else {
            load->n_wrong++;
        }
        free(reply.body);
        connected = reply.status != 0 || http_connect(client, load->port);
    }
    load->n_wrong += strcmp(classes_hash, values_hash) == 0;
    close(client->fd);
    free(client);
    return NULL;
}

static void models_are_swapped_without_a_failed_request(void **state)
{
    (void)state;
    enum { CLIENTS = 64, SWAPS = 1000 };
    running r = {0};
    pthread_t threads[CLIENTS];
    struct load loads[CLIENTS] = {0};
    char one[200], two[200];
    start(&r);
    for (int i = 0; i < CLIENTS; i++) {
        loads[i].port = r.port;
        CHECK_INT(pthread_create(&threads[i], NULL, keep_asking, &loads[i]), 0);
    }
    for (int i = 0; i < SWAPS; i++) {
        /* Hard links, renamed over the served name: another file each time. */
        snprintf(one, sizeof one, "%s", i % 2 ? model_path : other_path);
        snprintf(two, sizeof two, "%s/next.quern", folder);
        CHECK_INT(link(one, two), 0);
        CHECK_INT(rename(two, served_path), 0);
        qn_str messages = {0};
        CHECK_INT(qn_server_load(r.server, &messages), 0);
        CHECK_CONTAINS(messages.text, "loaded");
        qn_str_release(&messages);
    }
    for (int i = 0; i < CLIENTS; i++) {
        atomic_store(&loads[i].stop, true);
        pthread_join(threads[i], NULL);
        CHECK(loads[i].n_requests > 0);
        CHECK_INT(loads[i].n_wrong, 0);
    }
    stop(&r);
}

static void a_damaged_file_leaves_the_old_model(void **state)
{
    (void)state;
    running r = {0};
    qn_str messages = {0};
    start(&r);
    CHECK_INT(truncate(served_path, 100), 0);
    CHECK_INT(qn_server_load(r.server, &messages), 1);
    CHECK_CONTAINS(messages.text, "the model loaded before goes on");
    check_status(once(r.port, "POST", "/v1/models/m", "application/json", row), 200, "p_yes");
    check_status(once(r.port, "GET", "/v1/models/m", NULL, ""), 200, "\"problem\": \"");
    check_status(once(r.port, "GET", "/metrics", NULL, ""), 200,
                 "quern_model_problem{model=\"m\",version=\"1\"} 1\n");
    CHECK_INT(unlink(served_path), 0);
    qn_str_clear(&messages);
    CHECK_INT(qn_server_load(r.server, &messages), 1);
    check_status(once(r.port, "POST", "/v1/models/m", "application/json", row), 200, "p_yes");
    put_in_place(other_path);
    CHECK_INT(qn_server_load(r.server, NULL), 0);
    check_status(once(r.port, "POST", "/v1/models/m", "application/json", row), 200,
                 "\"prediction\":");
    qn_str_release(&messages);
    stop(&r);
}

static void versions_stand_side_by_side(void **state)
{
    (void)state;
    char first[160], second[160], third[160];
    qn_error err = {0};
    qn_server *server = NULL;
    snprintf(first, sizeof first, "m@9=%s", model_path);
    snprintf(second, sizeof second, "m@10=%s", other_path);
    snprintf(third, sizeof third, "n=%s", model_path);
    const char *const models[] = {second, first, third, NULL};
    const qn_serve_options options = {.models = models, .listen = "127.0.0.1:0", .n_threads = 1};
    CHECK_OK(qn_server_start(&options, &server, &err));
    const int port = (int)strtol(strrchr(qn_server_url(server), ':') + 1, NULL, 10);
    check_status(once(port, "POST", "/v1/models/m", "application/json", row), 503, "being loaded");
    check_status(once(port, "GET", "/readyz", NULL, ""), 503, "being loaded");
    check_status(once(port, "GET", "/startupz", NULL, ""), 503, "being loaded");
    CHECK_INT(qn_server_load(server, NULL), 0);
    check_status(once(port, "POST", "/v1/models/m", "application/json", row), 200,
                 "\"version\":\"10\",\"prediction\":");
    check_status(once(port, "POST", "/v1/models/m/versions/9", "application/json", row), 200,
                 "p_yes");
    check_status(once(port, "POST", "/v1/models/n", "application/json", row), 200,
                 "\"model\":\"n\"");
    qn_server_free(server);
    const char *const twice[] = {first, first, NULL};
    const qn_serve_options wrong = {.models = twice, .listen = "127.0.0.1:0"};
    CHECK_FAILS(QN_ERR_ARG, qn_server_start(&wrong, &server, &err));
    CHECK_CONTAINS(err.message, "would both be 'm@9'");
}

static void a_draining_server_finishes_what_it_has(void **state)
{
    (void)state;
    running r = {.options = {.n_threads = 1}};
    http_client *half = malloc(sizeof *half), *idle = malloc(sizeof *idle);
    char head[300];
    start(&r);
    snprintf(head, sizeof head,
             "POST /v1/models/m HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
             "Content-Length: %zu\r\n\r\n",
             sizeof row - 1);
    CHECK(http_connect(half, r.port) && http_connect(idle, r.port));
    check_status(http_request(idle, "GET", "/readyz", NULL, "", 0), 200, "ok");
    CHECK(http_send(half, head, strlen(head)));
    qn_server_drain(r.server);
    check_status(once(r.port, "GET", "/readyz", NULL, ""), 503, "ending");
    const http_reply last = post(idle, "/v1/models/m", row);
    CHECK_CONTAINS(last.head, "connection: close\r\n");
    check_status(last, 200, "\"prediction\"");
    CHECK(http_send(half, row, sizeof row - 1));
    CHECK(qn_server_close(r.server));
    const http_reply reply = http_read(half, false);
    CHECK_CONTAINS(reply.head, "\r\n");
    check_status(reply, 200, "\"prediction\"");
    CHECK(http_is_closed(half));
    CHECK(http_is_closed(idle));
    http_client *late = malloc(sizeof *late);
    CHECK(!http_connect(late, r.port));
    close(late->fd);
    close(half->fd);
    close(idle->fd);
    free(late);
    free(half);
    free(idle);
    qn_server_free(r.server);
}

static void a_server_lives_through_a_lack_of_memory(void **state)
{
    (void)state;
    running r = {.options = {.n_threads = 1}};
    static const char *const requests[][2] = {
        {"POST", row},
        {"POST", "{\"inputs\":{\"size\":[1],\"colour\":[\"\\n\"],\"shop\":[1.5],\"when\":[null],"
                 "\"open\":[1]}}"},
        {"GET", ""}};
    start(&r);
    for (int i = 0; i < 3; i++) {
        bool made_it = false;
        for (int64_t nth = 1; nth < 200 && !made_it; nth++) {
            qn_alloc_fail_at(nth, false);
            const http_reply reply =
                once(r.port, requests[i][0], "/v1/models/m", "application/json", requests[i][1]);
            made_it = qn_alloc_fail_at(0, false) < nth;
            CHECK(reply.status == 200 || reply.status == 503 || reply.status == 0);
            CHECK(!made_it || reply.status == 200);
            free(reply.body);
        }
        CHECK(made_it);
    }
    stop(&r);
}

static qn_status start_and_free(void)
{
    qn_server *server = NULL;
    const char *const models[] = {model_path, NULL};
    const qn_serve_options options = {.models = models, .listen = "127.0.0.1:0", .n_threads = 2};
    const qn_status status = qn_server_start(&options, &server, NULL);
    qn_server_free(server);
    return status;
}

static void starting_survives_running_out_of_memory(void **state)
{
    (void)state;
    CHECK_SURVIVES_NO_MEMORY(start_and_free());
}

static void check_refused(const char *listen, const char *part)
{
    const char *const models[] = {model_path, NULL};
    const qn_serve_options options = {.models = models, .listen = listen, .n_threads = 1};
    qn_server *server = NULL;
    qn_error err = {0};
    CHECK_FAILS(QN_ERR_ARG, qn_server_start(&options, &server, &err));
    CHECK_CONTAINS(err.message, part);
    CHECK(server == NULL);
}

static void addresses_are_checked(void **state)
{
    (void)state;
    check_refused("0.0.0.0:0", "others could reach this address");
    check_refused("[::]:0", "others could reach this address");
    check_refused("*:0", "others could reach this address");
    check_refused("127.0.0.1", "expected HOST:PORT");
    check_refused("::1:80", "expected HOST:PORT");
    check_refused(":80", "expected HOST:PORT");
    check_refused("127.0.0.1:port", "--listen");
    running r = {0};
    start(&r);
    const char *const models[] = {model_path, NULL};
    const qn_serve_options options = {
        .models = models, .listen = strstr(qn_server_url(r.server), "127"), .n_threads = 1};
    qn_server *second = NULL;
    qn_error err = {0};
    CHECK_FAILS(QN_ERR_IO, qn_server_start(&options, &second, &err));
    CHECK_CONTAINS(err.message, "in use");
    stop(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(every_route_answers),
                                       TEST(other_protocols_are_spoken),
                                       TEST(requests_that_cannot_be_are_told_why),
                                       TEST(unseen_categories_are_refused_where_that_is_asked_for),
                                       TEST(head_and_options_have_no_body),
                                       TEST(pipelined_requests_are_answered_in_order),
                                       TEST(slow_clients_are_closed_in_time),
                                       TEST(an_expecting_client_is_told_to_go_on),
                                       TEST(connections_beyond_the_limit_are_refused),
                                       TEST(long_requests_give_way),
                                       TEST(requests_that_take_too_long_end),
                                       TEST(models_are_swapped_without_a_failed_request),
                                       TEST(a_damaged_file_leaves_the_old_model),
                                       TEST(versions_stand_side_by_side),
                                       TEST(a_draining_server_finishes_what_it_has),
                                       TEST(a_server_lives_through_a_lack_of_memory),
                                       TEST(starting_survives_running_out_of_memory),
                                       TEST(addresses_are_checked)};
    return cmocka_run_group_tests(tests, make_models, remove_models);
}
