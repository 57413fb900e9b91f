/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/telemetry/tracing.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/str.h"
#include "crypto/secret.h"
#include "serve/telemetry/pair_list.h"

#include <stdlib.h>
#include <string.h>

static const double default_limit_s = 10;

struct qn_tracing {
    qn_trace_sampler sampler;
    qn_span_source source;
    char host[256];
    qn_str lines; /* of requests by OTLP */
    int n;
    const char *names[QN_TRACE_EXPORTERS_MAX];
    qn_span_exporter *exporters[QN_TRACE_EXPORTERS_MAX];
};

/* A header's name is a token, its value without control characters (RFC 9110, 5.1 and 5.5); the
 * poster's own are not to be given. */
static bool take_header(void *taker, const char *name, const char *value)
{
    static const char token[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
                                "!#$%&'*+-.^_`|~";
    static const char *const own[] = {"host", "content-length", "content-type", "transfer-encoding",
                                      "connection"};
    if (name[strspn(name, token)] != '\0') return false;
    for (const char *at = value; *at; at++) {
        if ((unsigned char)*at < ' ' || *at == 0x7f) return false;
    }
    for (size_t i = 0; i < sizeof own / sizeof *own; i++) {
        if (strcasecmp(name, own[i]) == 0) return false;
    }
    qn_str_addf(taker, "%s: %s\r\n", name, value);
    return true;
}

/* Scheme, address and port out of the server's URL, "https://[::1]:8080" or "unix:PATH". */
static void describe_server(qn_tracing *tracing, const char *url)
{
    const char *host = strstr(url, "://"), *colon = strrchr(url, ':');
    tracing->source.scheme = strncmp(url, "https", 5) == 0 ? "https" : "http";
    if (!host || strncmp(url, "http", 4) != 0) return;
    host += 3;
    if (!colon || colon <= host) return;
    size_t bytes = (size_t)(colon - host);
    if (*host == '[' && bytes > 2) {
        host++;
        bytes -= 2;
    }
    if (bytes >= sizeof tracing->host) return;
    memcpy(tracing->host, host, bytes);
    tracing->source.address = tracing->host;
    tracing->source.port = (int)strtol(colon + 1, NULL, 10);
}

static qn_status add_exporter(qn_tracing *tracing, const char *name, qn_export_request *request,
                              qn_error *err)
{
    if (!request->url) return QN_OK;
    qn_random_bytes(&request->seed, sizeof request->seed);
    QN_TRY(qn_span_exporter_create(request, &tracing->exporters[tracing->n], err));
    tracing->names[tracing->n++] = name;
    return QN_OK;
}

static qn_status fill(qn_tracing *tracing, const qn_tracing_options *options, const char *url,
                      int n_loops, qn_error *err)
{
    QN_TRY(qn_crypto_begin(err));
    QN_TRY(
        qn_trace_sampler_read(options->sampler, options->sampler_argument, &tracing->sampler, err));
    QN_TRY(qn_span_source_read(options->service, options->attributes, &tracing->source, err));
    describe_server(tracing, url);
    if (options->headers) {
        QN_TRY(qn_pair_list_read("the traces' headers", options->headers, take_header,
                                 &tracing->lines, err));
    }
    if (tracing->lines.failed) return qn_fail(err, QN_ERR_NOMEM, "no memory for the traces");
    const double limit_s = options->limit_s > 0 ? options->limit_s : default_limit_s;
    qn_export_request otlp = {.url = options->otlp,
                              .path = "/v1/traces",
                              .ca = options->ca,
                              .lines = tracing->lines.text ? tracing->lines.text : "",
                              .write = qn_spans_write_otlp,
                              .source = &tracing->source,
                              .limit_s = limit_s,
                              .n_loops = n_loops};
    qn_export_request zipkin = otlp;
    zipkin.url = options->zipkin;
    zipkin.path = "/api/v2/spans";
    zipkin.lines = "";
    zipkin.write = qn_spans_write_zipkin;
    QN_TRY(add_exporter(tracing, "otlp", &otlp, err));
    return add_exporter(tracing, "zipkin", &zipkin, err);
}

qn_status qn_tracing_create(const qn_tracing_options *options, const char *url, int n_loops,
                            qn_tracing **out, qn_error *err)
{
    *out = NULL;
    if (!options->otlp && !options->zipkin) return QN_OK;
    qn_tracing *tracing = qn_alloc_array(1, sizeof *tracing);
    if (!tracing) return qn_fail(err, QN_ERR_NOMEM, "no memory for the traces");
    const qn_status status = fill(tracing, options, url, n_loops, err);
    if (status != QN_OK) {
        qn_tracing_free(tracing);
        return status;
    }
    *out = tracing;
    return QN_OK;
}

qn_status qn_tracing_start(qn_tracing *tracing, qn_error *err)
{
    for (int i = 0; i < qn_tracing_n_exporters(tracing); i++) {
        QN_TRY(qn_span_exporter_start(tracing->exporters[i], err));
    }
    return QN_OK;
}

const qn_trace_sampler *qn_tracing_sampler(const qn_tracing *tracing)
{
    return tracing ? &tracing->sampler : NULL;
}

void qn_tracing_put(qn_tracing *tracing, int loop, const qn_span_record *span)
{
    for (int i = 0; i < tracing->n; i++) {
        qn_span_exporter_put(tracing->exporters[i], loop, span);
    }
}

int qn_tracing_n_exporters(const qn_tracing *tracing)
{
    return tracing ? tracing->n : 0;
}

const char *qn_tracing_name(const qn_tracing *tracing, int exporter)
{
    return tracing->names[exporter];
}

int qn_tracing_port(const qn_tracing *tracing, int exporter)
{
    return qn_span_exporter_port(tracing->exporters[exporter]);
}

bool qn_tracing_may_move(const qn_tracing *tracing)
{
    bool may = false;
    for (int i = 0; i < qn_tracing_n_exporters(tracing); i++) {
        may |= qn_span_exporter_may_move(tracing->exporters[i]);
    }
    return may;
}

int qn_tracing_renew(qn_tracing *tracing, qn_str *messages, bool *changed)
{
    int n_failed = 0;
    *changed = false;
    for (int i = 0; i < qn_tracing_n_exporters(tracing); i++) {
        qn_error err = {0};
        bool one = false;
        const bool renewed = qn_span_exporter_renew(tracing->exporters[i], &one, &err) == QN_OK;
        n_failed += !renewed;
        *changed |= one;
        if (messages && !renewed) {
            qn_str_addf(messages, "%s; traces go on as before\n", err.message);
        }
        if (messages && one) qn_str_addf(messages, "traces: %s found anew\n", tracing->names[i]);
    }
    return n_failed;
}

qn_export_counts qn_tracing_count(const qn_tracing *tracing, int exporter)
{
    return qn_span_exporter_count(tracing->exporters[exporter]);
}

void qn_tracing_close(qn_tracing *tracing, double limit_s)
{
    const double by_s = qn_clock_s() + limit_s;
    for (int i = 0; i < qn_tracing_n_exporters(tracing); i++) {
        qn_span_exporter_end(tracing->exporters[i], by_s);
    }
    for (int i = 0; i < qn_tracing_n_exporters(tracing); i++) {
        qn_span_exporter_close(tracing->exporters[i]);
    }
}

void qn_tracing_free(qn_tracing *tracing)
{
    if (!tracing) return;
    for (int i = 0; i < QN_TRACE_EXPORTERS_MAX; i++) {
        qn_span_exporter_free(tracing->exporters[i]);
    }
    qn_span_source_release(&tracing->source);
    qn_str_release(&tracing->lines);
    qn_free(tracing);
}
