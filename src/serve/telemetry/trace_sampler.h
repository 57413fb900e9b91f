/* SPDX-License-Identifier: Apache-2.0 */
/* Trace sampler: which requests leave a span, by the names that OpenTelemetry's SDKs have for it
 * (OpenTelemetry specification, trace SDK, "Built-in samplers"): always_on, always_off,
 * traceidratio, and each of them behind "parentbased_", where a request that says in its
 * 'traceparent' whether it is sampled is done its will. A ratio is kept by the trace's id, so that
 * all services along a trace that use one ratio agree about it.
 *
 * Threads: immutable once read; pure functions. */
#ifndef QN_SERVE_TELEMETRY_TRACE_SAMPLER_H
#define QN_SERVE_TELEMETRY_TRACE_SAMPLER_H

#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct qn_trace_sampler {
    bool asks_parent;
    uint64_t below; /* of the lower 63 bits of a trace's id: these are sampled; 2^63: all */
} qn_trace_sampler;

/* `name` NULL: parentbased_always_on; `argument` is the ratio, 0 to 1 (NULL or "": 1). Fails with
 * QN_ERR_ARG. */
QN_MUST_CHECK
qn_status qn_trace_sampler_read(const char *name, const char *argument, qn_trace_sampler *out,
                                qn_error *err);
/* Of the trace with that id (32 lower-case hexadecimal digits); `parent_sampled` is looked at where
 * there is a parent. */
bool qn_trace_sampler_takes(const qn_trace_sampler *sampler, const char *trace, bool has_parent,
                            bool parent_sampled);

#endif
