/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/telemetry/request_trace.h"

#include "base/utf8.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum {
    PATH_BYTES_MAX = 200,
    TRACEPARENT_BYTES = 55 /* 00-<32 digits>-<16 digits>-<2 digits> */
};

bool qn_request_id_is_valid(const char *id, size_t bytes)
{
    static const char allowed[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
    if (bytes == 0 || bytes > QN_REQUEST_ID_BYTES_MAX) return false;
    for (size_t i = 0; i < bytes; i++) {
        if (!memchr(allowed, id[i], sizeof allowed - 1)) return false;
    }
    return true;
}

/* Lower-case digits, not all of them zero (Trace Context, 3.2.2). */
static bool is_hex_id(const char *text, size_t bytes)
{
    bool zero = true;
    for (size_t i = 0; i < bytes; i++) {
        if (!memchr("0123456789abcdef", text[i], 16)) return false;
        zero = zero && text[i] == '0';
    }
    return !zero;
}

static bool is_hex(const char *text, size_t bytes)
{
    return strspn(text, "0123456789abcdef") >= bytes;
}

/* Later versions may be longer, behind another dash; version ff is none. */
static bool is_traceparent(qn_span header)
{
    char text[TRACEPARENT_BYTES + 1];
    if (header.bytes < TRACEPARENT_BYTES) return false;
    memcpy(text, header.text, TRACEPARENT_BYTES);
    text[TRACEPARENT_BYTES] = '\0';
    const bool ends = header.bytes == TRACEPARENT_BYTES ||
                      (strncmp(text, "00", 2) != 0 && header.text[TRACEPARENT_BYTES] == '-');
    return ends && is_hex(text, 2) && strncmp(text, "ff", 2) != 0 && text[2] == '-' &&
           is_hex_id(text + 3, 32) && text[35] == '-' && is_hex_id(text + 36, 16) &&
           text[52] == '-' && is_hex(text + 53, 2);
}

static void copy(char *out, const char *text, size_t bytes)
{
    memcpy(out, text, bytes);
    out[bytes] = '\0';
}

static void take_id(qn_request_trace *trace, qn_span given, qn_rng *rng)
{
    if (given.text && qn_request_id_is_valid(given.text, given.bytes)) {
        copy(trace->id, given.text, given.bytes);
        return;
    }
    const uint64_t high = qn_rng_next(rng), low = qn_rng_next(rng);
    snprintf(trace->id, sizeof trace->id, "%016" PRIx64 "%016" PRIx64, high, low);
}

/* The flags of a traceparent: the lowest bit says that the trace is sampled (3.2.2.5.1). */
static bool is_sampled(qn_span parent)
{
    return strchr("13579bdf", parent.text[54]) != NULL;
}

static void begin_trace(qn_request_trace *trace, qn_rng *rng)
{
    const uint64_t high = qn_rng_next(rng), low = qn_rng_next(rng) | 1; /* all zero is no id */
    snprintf(trace->trace, sizeof trace->trace, "%016" PRIx64 "%016" PRIx64, high, low);
}

void qn_request_trace_begin(qn_request_trace *trace, const qn_http_reader *reader, qn_rng *rng,
                            const qn_trace_sampler *sampler)
{
    const qn_span parent = qn_http_header(reader, "traceparent");
    const bool has_parent = parent.text && is_traceparent(parent);
    trace->trace[0] = trace->parent[0] = trace->span[0] = '\0';
    trace->sampled = false;
    take_id(trace, qn_http_header(reader, "x-request-id"), rng);
    int n = snprintf(trace->lines, sizeof trace->lines, "x-request-id: %s\r\n", trace->id);
    if (!has_parent && !sampler) return;
    if (has_parent) {
        copy(trace->trace, parent.text + 3, 32);
        copy(trace->parent, parent.text + 36, 16);
    } else {
        begin_trace(trace, rng);
    }
    char flags[3] = "00";
    if (sampler) {
        trace->sampled = qn_trace_sampler_takes(sampler, trace->trace, has_parent,
                                                has_parent && is_sampled(parent));
        flags[1] = trace->sampled ? '1' : '0';
    } else {
        copy(flags, parent.text + 53, 2);
    }
    snprintf(trace->span, sizeof trace->span, "%016" PRIx64, qn_rng_next(rng) | 1);
    snprintf(trace->lines + n, sizeof trace->lines - (size_t)n, "traceparent: 00-%s-%s-%s\r\n",
             trace->trace, trace->span, flags);
}

void qn_request_put_trace(qn_json_writer *json, const qn_request_trace *trace)
{
    qn_json_put_text(json, "id", trace->id[0] ? trace->id : NULL);
    if (!trace->trace[0]) return;
    qn_json_put_text(json, "trace", trace->trace);
    qn_json_put_text(json, "span", trace->span);
    if (trace->parent[0]) qn_json_put_text(json, "parent", trace->parent);
}

void qn_request_put_path(qn_json_writer *json, qn_span path)
{
    const size_t bytes = path.bytes < PATH_BYTES_MAX ? path.bytes : PATH_BYTES_MAX;
    const char *bad = qn_utf8_first_invalid(path.text, bytes);
    qn_json_key(json, "path");
    qn_json_text_bytes(json, path.text, bad ? (size_t)(bad - path.text) : bytes);
}
