/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/server.h"

#include "base/alloc.h"
#include "serve/http/cross_origin.h"
#include "serve/http/listener.h"
#include "serve/http/loop.h"
#include "serve/security/sandbox_folders.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum { LOOPS_MAX = 256, SPARE_DESCRIPTORS = 64, FAILURES_BURST = 20 };

/* Of one address, without good credentials, after a burst. */
static const double failures_per_s = 1;

/* For the last spans, once the last request is answered. */
static const double flush_s = 5;

struct qn_server {
    qn_serve_options options;
    _Atomic int state; /* qn_server_state */
    double started_s;
    char url[QN_URL_BYTES];
    qn_loop_sources sources;
    qn_model_sources models;
    qn_operations *operations;
    qn_shadows *shadows;
    qn_tracing *tracing;
    qn_str common_lines;
    char sandbox[QN_SANDBOX_REPORT_BYTES];
    qn_server_logs logs;
    qn_loop_counters *counters;
    int n_loops;   /* initialised */
    int n_threads; /* running */
    qn_loop *loops;
    pthread_t *threads;
};

static int available_threads(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) != 0) return 1;
    return CPU_COUNT(&set);
}

static void default_count(int64_t *value, int64_t otherwise)
{
    if (*value == 0) *value = otherwise;
}

static void default_time(double *value, double otherwise)
{
    if (*value == 0) *value = otherwise;
}

static qn_serve_options with_defaults(const qn_serve_options *given)
{
    qn_serve_options options = *given;
    if (!options.listen) options.listen = "127.0.0.1:8080";
    default_count(&options.n_threads, available_threads());
    default_count(&options.connections_max, 16384);
    default_count(&options.head_bytes_max, 32 * 1024);
    default_count(&options.body_bytes_max, 64 * 1024 * 1024);
    default_count(&options.memory_bytes_max, INT64_C(1) << 30);
    default_count(&options.rows_max, 1000000);
    default_time(&options.request_s, 30);
    default_time(&options.queue_s, 1);
    default_time(&options.read_s, 20);
    default_time(&options.write_s, 20);
    default_time(&options.idle_s, 75);
    default_time(&options.drain_s, 10);
    default_time(&options.prediction_share, 1);
    default_time(&options.rate_burst, options.rate < 1 ? 1 : options.rate);
    if (options.n_threads > LOOPS_MAX) options.n_threads = LOOPS_MAX;
    return options;
}

/* Offsets within a request are 32 bits. */
static qn_status check_options(const qn_serve_options *options, qn_error *err)
{
    const int64_t most = INT64_C(1) << 31;
    if (options->body_bytes_max > most || options->head_bytes_max > most) {
        return qn_fail(err, QN_ERR_ARG, "--body-max: a request is at most 2 GiB");
    }
    if (options->rate != 0 && !(options->rate >= 0.001 && options->rate <= 1e5 &&
                                options->rate_burst >= 1 && options->rate_burst <= 1e6)) {
        return qn_fail(err, QN_ERR_ARG,
                       "--rate is 0.001 to 100000 requests a second, --rate-burst 1 to 1000000");
    }
    if (options->prediction_cache_bytes > 0 &&
        options->prediction_cache_bytes / options->n_threads < QN_PREDICTION_CACHE_BYTES_MIN) {
        return qn_fail(err, QN_ERR_ARG, "--prediction-cache is at least 256k for each thread");
    }
    if (!(options->prediction_share > 0 && options->prediction_share <= 1)) {
        return qn_fail(err, QN_ERR_ARG, "--prediction-share is above 0 and at most 1");
    }
    if (!options->model_dir && (!options->models || !options->models[0])) {
        return qn_fail(err, QN_ERR_ARG, "there is no model to serve: name a file, or --model-dir");
    }
    return QN_OK;
}

/* As many descriptors as connections may need, if the system lets us. */
static void raise_descriptor_limit(int64_t connections_max)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
    const rlim_t wanted = (rlim_t)connections_max + SPARE_DESCRIPTORS;
    if (limit.rlim_cur >= wanted) return;
    limit.rlim_cur = wanted < limit.rlim_max ? wanted : limit.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
}

static void *run_loop(void *loop)
{
    qn_loop_run(loop);
    return NULL;
}

/* Signals are for the thread that started the server. */
static qn_status start_threads(qn_server *server, qn_error *err)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int code = 0;
    for (int i = 0; code == 0 && i < server->n_loops; i++) {
        code = pthread_create(&server->threads[i], NULL, run_loop, &server->loops[i]);
        server->n_threads += code == 0;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (code == 0) return QN_OK;
    return qn_fail(err, QN_ERR_NOMEM, "threads for the server: %s", strerror(code));
}

/* Takes the sockets one by one: those of loops that were not made are closed. */
static qn_status make_loops(qn_server *server, const int *fds, qn_error *err)
{
    const int n = (int)server->options.n_threads;
    qn_status status = QN_OK;
    for (int i = 0; i < n; i++) {
        if (status != QN_OK) {
            close(fds[i]);
            continue;
        }
        status = qn_loop_init(&server->loops[i], server, &server->options, i, fds[i],
                              &server->sources, &server->counters[i], err);
        server->n_loops++;
    }
    return status;
}

/* Lines of every reply: browsers must neither guess its type nor run or frame any of it, and once
 * they came by TLS, must not come without. */
static qn_status write_common_lines(qn_server *server, qn_error *err)
{
    qn_str *lines = &server->common_lines;
    qn_str_add(lines, "cache-control: no-store\r\nx-content-type-options: nosniff\r\n");
    if (server->options.credentials.tls.certificate) {
        qn_str_add(lines, "strict-transport-security: max-age=31536000\r\n");
    }
    server->sources.common_lines = lines->text;
    return lines->failed ? qn_fail(err, QN_ERR_NOMEM, "no memory for the server") : QN_OK;
}

/* Everything that tells who may do what. */
static qn_status make_guards(qn_server *server, qn_error *err)
{
    const qn_serve_options *options = &server->options;
    qn_loop_sources *sources = &server->sources;
    QN_TRY(qn_cross_origin_check(options->cors_origins, err));
    QN_TRY(qn_credential_store_create(&options->credentials, &sources->credentials, err));
    sources->failures = qn_rate_limit_create(failures_per_s, FAILURES_BURST);
    if (options->rate > 0) sources->rate = qn_rate_limit_create(options->rate, options->rate_burst);
    if (!sources->failures || (options->rate > 0 && !sources->rate)) {
        return qn_fail(err, QN_ERR_NOMEM, "no memory for the server");
    }
    return write_common_lines(server, err);
}

static qn_status open_logs(qn_server *server, qn_error *err)
{
    const qn_serve_options *options = &server->options;
    qn_server_logs *logs = &server->logs;
    if (options->audit) QN_TRY(qn_audit_open(options->audit, &logs->audit, err));
    if (options->access_log) {
        QN_TRY(qn_line_log_open("--access-log", options->access_log, &logs->access, err));
    }
    if (options->prediction_log) {
        QN_TRY(
            qn_line_log_open("--prediction-log", options->prediction_log, &logs->predictions, err));
    }
    return QN_OK;
}

static qn_status start_logs(const qn_server *server, qn_error *err)
{
    if (server->logs.access) QN_TRY(qn_line_log_start(server->logs.access, err));
    if (server->logs.predictions) QN_TRY(qn_line_log_start(server->logs.predictions, err));
    return QN_OK;
}

/* Returns how many could not be opened anew. */
static int64_t reopen_logs(const qn_server *server, qn_str *messages)
{
    const qn_server_logs *logs = &server->logs;
    qn_error errors[3] = {{0}, {0}, {0}};
    const qn_status statuses[] = {
        logs->audit ? qn_audit_reopen(logs->audit, &errors[0]) : QN_OK,
        logs->access ? qn_line_log_reopen(logs->access, &errors[1]) : QN_OK,
        logs->predictions ? qn_line_log_reopen(logs->predictions, &errors[2]) : QN_OK};
    int64_t n_failed = 0;
    for (int i = 0; i < 3; i++) {
        if (statuses[i] == QN_OK) continue;
        if (messages) {
            qn_str_addf(messages, "%s; the log goes on in the old file\n", errors[i].message);
        }
        n_failed++;
    }
    return n_failed;
}

static qn_status listen_on(qn_server *server, int n, int *fds, qn_error *err)
{
    const qn_serve_options *options = &server->options;
    const qn_credential_files *files = &options->credentials;
    const qn_exposure exposure = {.credentials = files->keys || files->jwks || files->tls.client_ca,
                                  .open_to_all = options->open_to_all,
                                  .tls = files->tls.certificate != NULL,
                                  .insecure_http = options->insecure_http};
    return qn_listen(options->listen, &exposure, n, fds, server->url, err);
}

/* Before there are loops, which inherit it, and before any model is read. */
static qn_status enter_sandbox(qn_server *server, qn_error *err)
{
    qn_sandbox_folders folders = {0};
    const bool whole = qn_sandbox_folders_fill(&folders, &server->options);
    int ports[QN_TRACE_EXPORTERS_MAX];
    const int n_ports = qn_tracing_n_exporters(server->tracing);
    for (int i = 0; i < n_ports; i++) {
        ports[i] = qn_tracing_port(server->tracing, i);
    }
    const qn_sandbox_request request = {.mode = server->options.sandbox,
                                        .read_folders = folders.read.list,
                                        .write_folders = folders.write.list,
                                        .replace_folders = folders.replace.list,
                                        .connect_ports = ports,
                                        .n_connect_ports = n_ports,
                                        .resolves = qn_tracing_may_move(server->tracing)};
    const qn_status status = whole ? qn_sandbox_enter(&request, server->sandbox, err)
                                   : qn_fail(err, QN_ERR_NOMEM, "no memory for the sandbox");
    qn_sandbox_folders_release(&folders);
    return status;
}

static void wake_all(const qn_server *server)
{
    for (int i = 0; i < server->n_loops; i++) {
        qn_loop_wake(&server->loops[i]);
    }
}

static void wake_server(void *server)
{
    wake_all(server);
}

static qn_status start(qn_server *server, qn_error *err)
{
    int fds[LOOPS_MAX];
    const int n = (int)server->options.n_threads;
    QN_TRY(check_options(&server->options, err));
    QN_TRY(make_guards(server, err));
    QN_TRY(open_logs(server, err));
    if (server->options.routes_state) {
        QN_TRY(qn_routes_state_open(server->options.routes_state, &server->models.state, err));
    }
    QN_TRY(qn_model_store_create(&server->models, n, &server->sources.models, err));
    server->loops = qn_alloc_aligned(n, sizeof *server->loops);
    server->threads = qn_alloc_array(n, sizeof *server->threads);
    server->counters = qn_alloc_aligned(n, sizeof *server->counters);
    if (!server->loops || !server->threads || !server->counters) {
        return qn_fail(err, QN_ERR_NOMEM, "no memory for the server");
    }
    memset(server->counters, 0, (size_t)n * sizeof *server->counters);
    raise_descriptor_limit(server->options.connections_max);
    QN_TRY(listen_on(server, n, fds, err));
    QN_TRY(make_loops(server, fds, err));
    QN_TRY(qn_tracing_create(&server->options.tracing, server->url, n, &server->tracing, err));
    QN_TRY(enter_sandbox(server, err));
    QN_TRY(start_logs(server, err));
    QN_TRY(qn_tracing_start(server->tracing, err));
    QN_TRY(qn_shadows_start(&server->shadows, err));
    if (server->models.state) {
        QN_TRY(qn_routes_state_start(server->models.state, server->sources.models, err));
    }
    QN_TRY(
        qn_operations_start(&(qn_operations_request){server->sources.models, wake_server, server},
                            &server->operations, err));
    return start_threads(server, err);
}

qn_status qn_server_start(const qn_serve_options *options, qn_server **out, qn_error *err)
{
    *out = NULL;
    qn_server *server = qn_alloc_array(1, sizeof *server);
    if (!server) return qn_fail(err, QN_ERR_NOMEM, "no memory for the server");
    server->options = with_defaults(options);
    server->models = (qn_model_sources){.specs = options->models,
                                        .folder = options->model_dir,
                                        .aliases = options->aliases,
                                        .routes = options->routes};
    atomic_init(&server->state, QN_SERVER_STARTING);
    server->started_s = (double)time(NULL);
    const qn_status status = start(server, err);
    if (status != QN_OK) {
        qn_server_free(server);
        return status;
    }
    *out = server;
    return QN_OK;
}

static void set_state(qn_server *server, qn_server_state state)
{
    atomic_store(&server->state, state);
    wake_all(server);
}

/* Credentials and logs; returns how many of them could not be opened. */
static int64_t reload_guards(qn_server *server, qn_str *messages, bool *changed)
{
    const bool read = qn_credential_store_reload(server->sources.credentials, messages, changed);
    return (read ? 0 : 1) + reopen_logs(server, messages);
}

int64_t qn_server_load(qn_server *server, qn_str *messages)
{
    qn_reload reload;
    bool changed = false;
    qn_model_store_reload(server->sources.models, &reload);
    if (messages && reload.messages.text) {
        qn_str_add_bytes(messages, reload.messages.text, reload.messages.bytes);
    }
    qn_str_release(&reload.messages);
    if (atomic_load(&server->state) != QN_SERVER_STARTING) {
        reload.n_failed += reload_guards(server, messages, &changed);
    } else if (reload.n_failed == 0) {
        if (server->models.state) qn_routes_state_begin(server->models.state);
        set_state(server, QN_SERVER_READY);
    }
    changed |= reload.changed;
    if (changed) {
        wake_all(server); /* idle loops let go of what was replaced */
        qn_operations_tidy(server->operations);
        qn_audit_write(server->logs.audit, &(qn_audit_event){.who = "server", .action = "load"});
    }
    return reload.n_failed;
}

int64_t qn_server_reload(qn_server *server, qn_str *messages)
{
    bool changed;
    const int64_t n_failed = qn_server_load(server, messages);
    return n_failed + qn_tracing_renew(server->tracing, messages, &changed);
}

const char *qn_server_url(const qn_server *server)
{
    return server->url;
}

const char *qn_server_sandbox(const qn_server *server)
{
    return server->sandbox;
}

qn_server_state qn_server_get_state(const qn_server *server)
{
    return (qn_server_state)atomic_load_explicit(&((qn_server *)(uintptr_t)server)->state,
                                                 memory_order_acquire);
}

void qn_server_drain(qn_server *server)
{
    set_state(server, QN_SERVER_DRAINING);
}

bool qn_server_close(qn_server *server)
{
    int64_t n_cut_off = 0;
    set_state(server, QN_SERVER_CLOSING);
    for (int i = 0; i < server->n_threads; i++) {
        pthread_join(server->threads[i], NULL);
        n_cut_off += server->loops[i].n_cut_off;
    }
    server->n_threads = 0;
    qn_tracing_close(server->tracing, flush_s);
    return n_cut_off == 0;
}

void qn_server_free(qn_server *server)
{
    if (!server) return;
    qn_server_close(server);
    qn_operations_free(server->operations);
    qn_routes_state_close(server->models.state);
    qn_shadows_free(server->shadows);
    qn_tracing_free(server->tracing);
    for (int i = 0; i < server->n_loops; i++) {
        qn_loop_release(&server->loops[i]);
    }
    qn_free(server->loops);
    qn_free(server->threads);
    qn_free(server->counters);
    qn_model_store_free(server->sources.models);
    qn_credential_store_free(server->sources.credentials);
    qn_rate_limit_free(server->sources.rate);
    qn_rate_limit_free(server->sources.failures);
    qn_audit_close(server->logs.audit);
    qn_line_log_close(server->logs.access);
    qn_line_log_close(server->logs.predictions);
    qn_str_release(&server->common_lines);
    qn_free(server);
}

int qn_server_n_loops(const qn_server *server)
{
    return server->n_loops;
}

const qn_loop_counters *qn_server_counters(const qn_server *server, int loop)
{
    return &server->counters[loop];
}

const qn_server_logs *qn_server_logs_of(const qn_server *server)
{
    return &server->logs;
}

qn_shadows *qn_server_shadows(const qn_server *server)
{
    return server->shadows;
}

const qn_routes_state *qn_server_routes_state(const qn_server *server)
{
    return server->models.state;
}

qn_tracing *qn_server_tracing(const qn_server *server)
{
    return server->tracing;
}

qn_operations *qn_server_operations(const qn_server *server)
{
    return server->operations;
}

double qn_server_started_s(const qn_server *server)
{
    return server->started_s;
}
