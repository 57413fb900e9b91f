/* SPDX-License-Identifier: Apache-2.0 */
/* What the environment says of traces, by the variables that OpenTelemetry's SDKs read. */
#ifndef QN_CLI_TRACING_ENVIRONMENT_H
#define QN_CLI_TRACING_ENVIRONMENT_H

#include "base/error.h"
#include "base/str.h"
#include "serve/telemetry/tracing.h"

/* Fills in what the command line left open: OTEL_EXPORTER_OTLP_[TRACES_]ENDPOINT, _HEADERS,
 * _CERTIFICATE, _TIMEOUT (ms) and _PROTOCOL, OTEL_EXPORTER_ZIPKIN_ENDPOINT, OTEL_SERVICE_NAME,
 * OTEL_RESOURCE_ATTRIBUTES, OTEL_TRACES_SAMPLER and _ARG. With OTEL_SDK_DISABLED=true none of them
 * counts. `url` holds a text that *options then points into. Fails with QN_ERR_ARG (a value that
 * cannot be) or QN_ERR_NOMEM. */
QN_MUST_CHECK
qn_status cli_tracing_environment(qn_tracing_options *options, qn_str *url, qn_error *err);

#endif
