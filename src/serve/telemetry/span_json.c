/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/telemetry/span_json.h"

#include "base/alloc.h"
#include "base/json.h"
#include "base/number.h"
#include "base/utf8.h"
#include "serve/telemetry/pair_list.h"

#include <stdio.h>
#include <string.h>

enum { KIND_SERVER = 2, STATUS_ERROR = 2, NAME_BYTES = 160 };

/* What is the same for all. */

static void write_attribute_text(qn_json_writer *json, const char *name, const char *value)
{
    qn_json_begin_object(json);
    qn_json_put_text(json, "key", name);
    qn_json_key(json, "value");
    qn_json_begin_object(json);
    qn_json_put_text(json, "stringValue", value);
    qn_json_end_object(json);
    qn_json_end_object(json);
}

static bool take_attribute(void *taker, const char *name, const char *value)
{
    qn_span_source *source = taker;
    if (qn_utf8_first_invalid(name, strlen(name)) || qn_utf8_first_invalid(value, strlen(value))) {
        return false;
    }
    if (strcmp(name, "service.name") == 0) {
        if (source->service) return true;
        source->service = qn_strdup(value);
        source->resource.failed |= !source->service;
        return true;
    }
    qn_json_writer json = {.out = &source->resource};
    qn_str_add_char(&source->resource, ',');
    write_attribute_text(&json, name, value);
    return true;
}

qn_status qn_span_source_read(const char *service, const char *attributes, qn_span_source *out,
                              qn_error *err)
{
    *out = (qn_span_source){.scheme = "http"};
    qn_status status = QN_OK;
    if (service) out->service = qn_strdup(service);
    out->resource.failed = service && !out->service;
    if (attributes) {
        status = qn_pair_list_read("the traces' resource attributes", attributes, take_attribute,
                                   out, err);
    }
    if (status == QN_OK && !out->service) {
        out->service = qn_strdup("quern");
        out->resource.failed |= !out->service;
    }
    if (status == QN_OK && out->resource.failed) {
        status = qn_fail(err, QN_ERR_NOMEM, "no memory for the traces");
    }
    if (status != QN_OK) qn_span_source_release(out);
    return status;
}

void qn_span_source_release(qn_span_source *source)
{
    qn_str_release(&source->resource);
    qn_free(source->service);
    *source = (qn_span_source){0};
}

/* Attributes, by their names in the conventions: to be written one way or the other. */

typedef struct writing {
    qn_json_writer json;
    void (*text)(qn_json_writer *json, const char *name, const char *value);
    void (*number)(qn_json_writer *json, const char *name, int64_t value);
} writing;

static void write_attributes(writing *w, const qn_span_source *source, const qn_span_record *span)
{
    qn_json_writer *json = &w->json;
    char status[QN_INT64_TEXT_BYTES];
    qn_format_int64(span->status, status);
    w->text(json, "http.request.method", span->method);
    w->text(json, "url.scheme", source->scheme);
    w->text(json, "url.path", span->path);
    if (span->route) w->text(json, "http.route", span->route);
    w->number(json, "http.response.status_code", span->status);
    if (span->status >= 500) w->text(json, "error.type", status);
    if (source->address) {
        w->text(json, "server.address", source->address);
        w->number(json, "server.port", source->port);
    }
    if (!span->model[0]) return;
    w->text(json, "quern.model", span->model);
    w->text(json, "quern.version", span->version);
    w->number(json, "quern.rows", span->n_rows);
}

/* "POST /v1/models/{}:predict"; without a route the method alone: names are to be few. */
static void name_of(const qn_span_record *span, char out[NAME_BYTES])
{
    snprintf(out, NAME_BYTES, "%s%s%s", span->method, span->route ? " " : "",
             span->route ? span->route : "");
}

/* OTLP. */

static void put_wide(qn_json_writer *json, const char *key, int64_t value)
{
    char text[QN_INT64_TEXT_BYTES];
    qn_format_int64(value, text);
    qn_json_put_text(json, key, text);
}

static void write_attribute_number(qn_json_writer *json, const char *name, int64_t value)
{
    qn_json_begin_object(json);
    qn_json_put_text(json, "key", name);
    qn_json_key(json, "value");
    qn_json_begin_object(json);
    put_wide(json, "intValue", value);
    qn_json_end_object(json);
    qn_json_end_object(json);
}

static void write_otlp_span(writing *w, const qn_span_source *source, const qn_span_record *span)
{
    qn_json_writer *json = &w->json;
    char name[NAME_BYTES];
    name_of(span, name);
    qn_json_begin_object(json);
    qn_json_put_text(json, "traceId", span->trace);
    qn_json_put_text(json, "spanId", span->span);
    if (span->parent[0]) qn_json_put_text(json, "parentSpanId", span->parent);
    qn_json_put_text(json, "name", name);
    qn_json_put_int(json, "kind", KIND_SERVER);
    put_wide(json, "startTimeUnixNano", span->begun_ns);
    put_wide(json, "endTimeUnixNano", span->ended_ns);
    qn_json_key(json, "attributes");
    qn_json_begin_array(json);
    write_attributes(w, source, span);
    qn_json_end_array(json);
    qn_json_key(json, "status");
    qn_json_begin_object(json);
    if (span->status >= 500) qn_json_put_int(json, "code", STATUS_ERROR);
    qn_json_end_object(json);
    qn_json_end_object(json);
}

void qn_spans_write_otlp(const qn_span_source *source, const qn_span_record *spans, int64_t n,
                         qn_str *out)
{
    writing w = {.text = write_attribute_text, .number = write_attribute_number};
    qn_str_add(out, "{\"resourceSpans\":[{\"resource\":{\"attributes\":[");
    w.json = (qn_json_writer){.out = out};
    write_attribute_text(&w.json, "service.name", source->service);
    qn_str_add_bytes(out, source->resource.text, source->resource.bytes);
    qn_str_add(out, "]},\"scopeSpans\":[{\"scope\":{\"name\":\"quern\",\"version\":\"" QN_VERSION
                    "\"},\"spans\":");
    w.json = (qn_json_writer){.out = out};
    qn_json_begin_array(&w.json);
    for (int64_t i = 0; i < n; i++) {
        write_otlp_span(&w, source, &spans[i]);
    }
    qn_json_end_array(&w.json);
    qn_str_add(out, "}]}]}");
}

/* Zipkin. */

static void write_zipkin_span(writing *w, const qn_span_source *source, const qn_span_record *span)
{
    qn_json_writer *json = &w->json;
    const int64_t lasted_us = (span->ended_ns - span->begun_ns) / 1000;
    char name[NAME_BYTES];
    name_of(span, name);
    qn_json_begin_object(json);
    qn_json_put_text(json, "traceId", span->trace);
    qn_json_put_text(json, "id", span->span);
    if (span->parent[0]) qn_json_put_text(json, "parentId", span->parent);
    qn_json_put_text(json, "name", name);
    qn_json_put_text(json, "kind", "SERVER");
    qn_json_put_int(json, "timestamp", span->begun_ns / 1000);
    qn_json_put_int(json, "duration", lasted_us > 0 ? lasted_us : 1);
    qn_json_key(json, "localEndpoint");
    qn_json_begin_object(json);
    qn_json_put_text(json, "serviceName", source->service);
    qn_json_end_object(json);
    qn_json_key(json, "tags");
    qn_json_begin_object(json);
    write_attributes(w, source, span);
    qn_json_end_object(json);
    qn_json_end_object(json);
}

void qn_spans_write_zipkin(const qn_span_source *source, const qn_span_record *spans, int64_t n,
                           qn_str *out)
{
    writing w = {.json = {.out = out}, .text = qn_json_put_text, .number = put_wide};
    qn_json_begin_array(&w.json);
    for (int64_t i = 0; i < n; i++) {
        write_zipkin_span(&w, source, &spans[i]);
    }
    qn_json_end_array(&w.json);
}
