/* SPDX-License-Identifier: Apache-2.0 */
/* quern serve: models over HTTP, until a signal ends it. */
#include "cli/commands.h"
#include "cli/tracing_environment.h"
#include "serve/server.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { MODELS_MAX = 256 };

struct serve_request {
    const char *arguments[MODELS_MAX + 1]; /* ended by NULL */
    qn_serve_options serve;
    double watch_s, drain_delay_s;
    const char *sandbox, *unseen;
    bool quiet;
};

#define AT(member) offsetof(struct serve_request, member)

static const cli_option options[] = {
    {"listen", CLI_TEXT, AT(serve.listen), "ADDRESS",
     "HOST:PORT (default: 127.0.0.1:8080; port 0: one that is free), unix:PATH, or systemd", NULL,
     false},
    {"open-to-all", CLI_FLAG, AT(serve.open_to_all), NULL,
     "let anybody who can reach the address use it, when it is not this machine's own", NULL,
     false},
    {"insecure-http", CLI_FLAG, AT(serve.insecure_http), NULL,
     "let keys and tokens come there without TLS: a proxy in front has it", NULL, false},
    {"threads", CLI_COUNT, AT(serve.n_threads), "N", "threads (default: all cores)", NULL, false},
    {"watch", CLI_DURATION, AT(watch_s), "SECONDS",
     "load a model again when its file has changed; looks this often (default: on SIGHUP alone)",
     NULL, false},
    {"model-dir", CLI_TEXT, AT(serve.model_dir), "FOLDER",
     "serve what is in it: NAME/VERSION.quern, NAME/VERSION/model.quern", NULL, false},
    {"alias", CLI_LIST, AT(serve.aliases), "NAME@ALIAS=VERSION",
     "another name of a version, such as champion; may be repeated", NULL, false},
    {"routes", CLI_TEXT, AT(serve.routes), "FILE",
     "aliases, splits, canaries, bandits as YAML; what administrators change is written to it",
     NULL, false},
    {"routes-state", CLI_TEXT, AT(serve.routes_state), "FILE",
     "keep there what routes learn, such as that a canary was rolled back", NULL, false},
    {"unseen", CLI_TEXT, AT(unseen), "POLICY",
     "rows with a category that training never saw: accept (default) or reject", NULL, false},
    {"prediction-cache", CLI_SIZE, AT(serve.prediction_cache_bytes), "SIZE",
     "keep what was predicted for single rows, in so much memory (default: nothing)", NULL, false},
    {"no-compression", CLI_FLAG, AT(serve.no_compression), NULL,
     "send replies as they are, though clients take gzip or zstd", NULL, false},
    {"quiet", CLI_FLAG, AT(quiet), NULL, "say nothing but errors", NULL, false},
    {"keys", CLI_TEXT, AT(serve.credentials.keys), "FILE",
     "API keys that clients must have, see 'quern keys'", "security", false},
    {"jwks", CLI_TEXT, AT(serve.credentials.jwks), "FILE",
     "keys of JSON Web Tokens (HS256, EdDSA, RS256) that clients may have instead", NULL, false},
    {"jwt-issuer", CLI_TEXT, AT(serve.credentials.issuer), "TEXT", "who must have made a token",
     NULL, false},
    {"jwt-audience", CLI_TEXT, AT(serve.credentials.audience), "TEXT",
     "for whom it must have been made", NULL, false},
    {"tls-cert", CLI_TEXT, AT(serve.credentials.tls.certificate), "FILE",
     "certificate chain in PEM: serve by TLS 1.2 and 1.3", NULL, false},
    {"tls-key", CLI_TEXT, AT(serve.credentials.tls.key), "FILE", "its private key in PEM", NULL,
     false},
    {"tls-client-ca", CLI_TEXT, AT(serve.credentials.tls.client_ca), "FILE",
     "take only clients that have a certificate of these authorities", NULL, false},
    {"audit", CLI_TEXT, AT(serve.audit), "FILE",
     "log refused requests and administration as JSON lines; -: standard error", NULL, false},
    {"access-log", CLI_TEXT, AT(serve.access_log), "FILE",
     "log every request as a JSON line; -: standard error", "logs", false},
    {"prediction-log", CLI_TEXT, AT(serve.prediction_log), "FILE",
     "log every predicted row, and outcomes sent later, as a JSON line", NULL, false},
    {"prediction-share", CLI_DOUBLE, AT(serve.prediction_share), "P",
     "of the requests, this share is in it (default: 1)", NULL, false},
    {"otlp-endpoint", CLI_TEXT, AT(serve.tracing.otlp), "URL",
     "send spans by OTLP/HTTP: http://HOST:4318 (default: what the environment's OTEL_… say)",
     "traces", false},
    {"zipkin-endpoint", CLI_TEXT, AT(serve.tracing.zipkin), "URL",
     "send spans by Zipkin's API: http://HOST:9411", NULL, false},
    {"trace-ca", CLI_TEXT, AT(serve.tracing.ca), "FILE",
     "authorities believed of https there, in PEM (default: the system's)", NULL, false},
    {"trace-sampler", CLI_TEXT, AT(serve.tracing.sampler), "NAME",
     "which requests leave a span (default: parentbased_always_on), see docs/serve.md", NULL,
     false},
    {"trace-ratio", CLI_TEXT, AT(serve.tracing.sampler_argument), "P",
     "the share that the samplers by traceidratio take (default: 1)", NULL, false},
    {"sandbox", CLI_TEXT, AT(sandbox), "MODE",
     "auto: what the kernel has (default); on: all of it, or not at all; off", "protection", false},
    {"read-folder", CLI_LIST, AT(serve.read_folders), "FOLDER",
     "models may come from here later, too: links may lead here; may be repeated", NULL, false},
    {"rate", CLI_DOUBLE, AT(serve.rate), "N", "requests a second for each client (default: any)",
     NULL, false},
    {"rate-burst", CLI_DOUBLE, AT(serve.rate_burst), "N",
     "requests at once for each client (default: those of a second)", NULL, false},
    {"cors-origin", CLI_LIST, AT(serve.cors_origins), "ORIGIN",
     "web pages of this origin may ask, too; may be repeated; *: of any", NULL, false},
    {"connections-max", CLI_COUNT, AT(serve.connections_max), "N",
     "more are answered 503 (default: 16384)", "limits", false},
    {"head-max", CLI_SIZE, AT(serve.head_bytes_max), "SIZE",
     "of a request's line and headers (default: 32k)", NULL, false},
    {"body-max", CLI_SIZE, AT(serve.body_bytes_max), "SIZE",
     "of a request's body (default: 64 MiB)", NULL, false},
    {"memory-max", CLI_SIZE, AT(serve.memory_bytes_max), "SIZE",
     "of all requests being received (default: 1 GiB)", NULL, false},
    {"rows-max", CLI_COUNT, AT(serve.rows_max), "N", "in a request (default: 1000000)", NULL,
     false},
    {"request-time", CLI_DURATION, AT(serve.request_s), "SECONDS",
     "from a request to its reply (default: 30s)", NULL, false},
    {"queue-time", CLI_DURATION, AT(serve.queue_s), "SECONDS",
     "before a request's turn; one that has waited longer is answered 503 (default: 1s)", NULL,
     false},
    {"read-time", CLI_DURATION, AT(serve.read_s), "SECONDS",
     "to send a request's head, and again its body (default: 20s)", NULL, false},
    {"write-time", CLI_DURATION, AT(serve.write_s), "SECONDS",
     "for a client to take any more of its reply (default: 20s)", NULL, false},
    {"idle-time", CLI_DURATION, AT(serve.idle_s), "SECONDS",
     "between the requests of a connection (default: 75s)", NULL, false},
    {"drain-delay", CLI_DELAY, AT(drain_delay_s), "SECONDS",
     "serve on, but not ready, when told to end, for balancers to notice (default: 0)", NULL,
     false},
    {"drain-time", CLI_DURATION, AT(serve.drain_s), "SECONDS",
     "for requests under way when the server ends (default: 10s)", NULL, false},
    {0}};

/* A line on stderr for each line of `text`. */
static void say(const struct serve_request *request, bool problem, const char *text)
{
    while (*text && (problem || !request->quiet)) {
        const size_t bytes = strcspn(text, "\n");
        fprintf(stderr, "quern serve: %.*s\n", (int)bytes, text);
        text += bytes + (text[bytes] == '\n');
    }
}

static int64_t load(qn_server *server, const struct serve_request *request, bool asked)
{
    qn_str messages = {0};
    const int64_t n_failed =
        asked ? qn_server_reload(server, &messages) : qn_server_load(server, &messages);
    if (messages.text && !messages.failed) say(request, n_failed > 0, messages.text);
    qn_str_release(&messages);
    return n_failed;
}

/* The next of the signals that the server takes, or 0 after `seconds` (0: no limit). */
static int wait_for_signal(const sigset_t *signals, double seconds)
{
    const struct timespec limit = {(time_t)seconds,
                                   (long)((seconds - (double)(time_t)seconds) * 1e9)};
    for (;;) {
        const int signal = sigtimedwait(signals, NULL, seconds > 0 ? &limit : NULL);
        if (signal > 0) return signal;
        if (errno == EAGAIN) return 0;
        if (errno != EINTR) return SIGTERM;
    }
}

static void serve_until_ended(qn_server *server, const struct serve_request *request,
                              const sigset_t *signals)
{
    for (;;) {
        const int signal = wait_for_signal(signals, request->watch_s);
        if (signal == SIGTERM || signal == SIGINT) return;
        load(server, request, signal == SIGHUP);
    }
}

/* In order: not ready, time for others to notice, no new connections, the last replies. A second
 * signal ends the process at once. */
static int end(qn_server *server, const struct serve_request *request, const sigset_t *signals)
{
    say(request, false, "ending; requests under way are finished");
    qn_server_drain(server);
    if (request->drain_delay_s > 0) wait_for_signal(signals, request->drain_delay_s);
    pthread_sigmask(SIG_UNBLOCK, signals, NULL);
    const bool whole = qn_server_close(server);
    if (!whole) say(request, true, "some requests took longer than --drain-time and were cut off");
    return whole ? CLI_OK : CLI_FAILED;
}

static bool parse_sandbox(const char *text, qn_sandbox_mode *out)
{
    static const char *const words[] = {
        [QN_SANDBOX_OFF] = "off", [QN_SANDBOX_AUTO] = "auto", [QN_SANDBOX_ON] = "on"};
    *out = QN_SANDBOX_AUTO;
    for (int i = 0; text && i < 3; i++) {
        *out = (qn_sandbox_mode)i;
        if (strcmp(text, words[i]) == 0) return true;
    }
    return text == NULL;
}

static bool parse_unseen(const char *text, bool *known_only)
{
    *known_only = text && strcmp(text, "reject") == 0;
    return !text || *known_only || strcmp(text, "accept") == 0;
}

static int serve(struct serve_request *request)
{
    qn_error err = {0};
    qn_server *server = NULL;
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGHUP);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    signal(SIGPIPE, SIG_IGN);
    request->serve.models = request->arguments;
    if (qn_server_start(&request->serve, &server, &err) != QN_OK) {
        return cli_fail(&cmd_serve, &err);
    }
    char line[300];
    snprintf(line, sizeof line, "listening on %s; sandbox: %s", qn_server_url(server),
             qn_server_sandbox(server));
    say(request, false, line);
    int code = CLI_DATA;
    if (load(server, request, false) == 0) {
        say(request, false, "ready");
        serve_until_ended(server, request, &signals);
        code = end(server, request, &signals);
    }
    qn_server_free(server);
    return code;
}

static int serve_run(int argc, char **argv)
{
    struct serve_request request = {0};
    const int parsed = cli_parse(&cmd_serve, argc, argv, &request);
    if (parsed != CLI_OK) return parsed == CLI_HELP_SHOWN ? CLI_OK : parsed;
    if (!parse_sandbox(request.sandbox, &request.serve.sandbox)) {
        fprintf(stderr, "quern serve: --sandbox %s: it is auto, on or off\n", request.sandbox);
        return CLI_USAGE;
    }
    if (!parse_unseen(request.unseen, &request.serve.known_only)) {
        fprintf(stderr, "quern serve: --unseen %s: it is accept or reject\n", request.unseen);
        return CLI_USAGE;
    }
    qn_error err = {0};
    qn_str url = {0};
    const int code = cli_tracing_environment(&request.serve.tracing, &url, &err) == QN_OK
                         ? serve(&request)
                         : cli_fail(&cmd_serve, &err);
    qn_str_release(&url);
    return code;
}

const cli_command cmd_serve = {
    .name = "serve",
    .summary = "answer prediction requests over HTTP",
    .synopsis = "[NAME[@VERSION]=]MODEL... [options]",
    .details =
        "POST rows to /v1/models/NAME as JSON, NDJSON or CSV. NAME is the file's unless given.\n"
        "SIGHUP loads files that have changed; what cannot be loaded leaves the old model in\n"
        "place. SIGTERM and Ctrl-C finish the requests under way. See docs/serve.md.",
    .examples = "    quern serve credit.quern\n"
                "    quern serve credit@1=old.quern credit@2=new.quern --listen 127.0.0.1:9000",
    .options = options,
    .n_arguments_min = 0,
    .n_arguments_max = MODELS_MAX,
    .arguments_offset = AT(arguments),
    .run = serve_run};
