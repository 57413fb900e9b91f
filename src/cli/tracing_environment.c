/* SPDX-License-Identifier: Apache-2.0 */
/* OpenTelemetry specification, "Environment variable specification" and "OTLP exporter
 * configuration": an empty value is as if it were not there; a variable for traces goes before the
 * one for all signals. */
#include "cli/tracing_environment.h"

#include "base/number.h"

#include <stdlib.h>
#include <string.h>

static const char *value_of(const char *name)
{
    const char *value = getenv(name);
    return value && *value ? value : NULL;
}

/* Of OTEL_EXPORTER_OTLP_TRACES_… or OTEL_EXPORTER_OTLP_… */
static const char *otlp_value_of(const char *traces, const char *all)
{
    const char *value = value_of(traces);
    return value ? value : value_of(all);
}

/* The endpoint of all signals is what /v1/traces is appended to. */
static qn_status read_endpoint(qn_tracing_options *options, qn_str *url, qn_error *err)
{
    const char *base = value_of("OTEL_EXPORTER_OTLP_ENDPOINT");
    options->otlp = value_of("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT");
    if (options->otlp || !base) return QN_OK;
    size_t bytes = strlen(base);
    while (bytes > 0 && base[bytes - 1] == '/') {
        bytes--;
    }
    qn_str_add_bytes(url, base, bytes);
    qn_str_add(url, "/v1/traces");
    options->otlp = url->text;
    return url->failed ? qn_fail(err, QN_ERR_NOMEM, "no memory for the traces") : QN_OK;
}

static qn_status check_protocol(qn_error *err)
{
    const char *protocol =
        otlp_value_of("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL");
    if (!protocol || strncmp(protocol, "http/", 5) == 0) return QN_OK;
    return qn_fail(err, QN_ERR_ARG,
                   "OTEL_EXPORTER_OTLP_PROTOCOL is '%s': spans are sent by http/json alone; name "
                   "the receiver's endpoint for HTTP (port 4318)",
                   protocol);
}

static qn_status read_timeout(qn_tracing_options *options, qn_error *err)
{
    const char *text =
        otlp_value_of("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "OTEL_EXPORTER_OTLP_TIMEOUT");
    int64_t ms;
    if (!text) return QN_OK;
    if (!qn_parse_int64(text, strlen(text), &ms) || ms < 1 || ms > 600000) {
        return qn_fail(err, QN_ERR_ARG,
                       "OTEL_EXPORTER_OTLP_TIMEOUT is '%s', not milliseconds from 1 to 600000",
                       text);
    }
    options->limit_s = (double)ms / 1000;
    return QN_OK;
}

static void fill_in(const char **option, const char *value)
{
    if (!*option) *option = value;
}

qn_status cli_tracing_environment(qn_tracing_options *options, qn_str *url, qn_error *err)
{
    const char *disabled = value_of("OTEL_SDK_DISABLED");
    if (disabled && strcasecmp(disabled, "true") == 0) return QN_OK;
    if (!options->otlp) QN_TRY(read_endpoint(options, url, err));
    fill_in(&options->zipkin, value_of("OTEL_EXPORTER_ZIPKIN_ENDPOINT"));
    if (!options->otlp && !options->zipkin) return QN_OK;
    if (options->otlp) QN_TRY(check_protocol(err));
    fill_in(&options->ca, otlp_value_of("OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE",
                                        "OTEL_EXPORTER_OTLP_CERTIFICATE"));
    fill_in(&options->headers,
            otlp_value_of("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "OTEL_EXPORTER_OTLP_HEADERS"));
    fill_in(&options->service, value_of("OTEL_SERVICE_NAME"));
    fill_in(&options->attributes, value_of("OTEL_RESOURCE_ATTRIBUTES"));
    fill_in(&options->sampler, value_of("OTEL_TRACES_SAMPLER"));
    fill_in(&options->sampler_argument, value_of("OTEL_TRACES_SAMPLER_ARG"));
    return read_timeout(options, err);
}
