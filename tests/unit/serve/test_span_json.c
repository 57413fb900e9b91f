/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/telemetry/span_json.h"

#include "check.h"

#include "base/json.h"

static const qn_span_record spans[] = {{.trace = "0af7651916cd43dd8448eb211c80319c",
                                        .span = "b7ad6b7169203331",
                                        .parent = "00f067aa0ba902b7",
                                        .begun_ns = INT64_C(1700000000123456789),
                                        .ended_ns = INT64_C(1700000000123956789),
                                        .status = 503,
                                        .n_rows = 7,
                                        .method = "POST",
                                        .route = "/v1/models/{}",
                                        .path = "/v1/models/\"m\\",
                                        .model = "m",
                                        .version = "2"},
                                       {.trace = "0af7651916cd43dd8448eb211c80319d",
                                        .span = "b7ad6b7169203332",
                                        .begun_ns = 1000,
                                        .ended_ns = 1000,
                                        .status = 404,
                                        .method = "_OTHER",
                                        .path = "/"}};

static qn_json *written(qn_span_writer write, const char *attributes)
{
    qn_span_source source;
    qn_error err = {0};
    qn_str out = {0};
    qn_json *json = NULL;
    CHECK_OK(qn_span_source_read(NULL, attributes, &source, &err));
    source.address = "::1";
    source.port = 8080;
    write(&source, spans, 2, &out);
    CHECK(!out.failed);
    CHECK_OK(qn_json_parse(out.text, out.bytes, "spans", &json, &err)); /* no key twice */
    qn_str_release(&out);
    qn_span_source_release(&source);
    return json;
}

static const char *text_at(qn_json_value object, const char *key)
{
    return qn_json_as_text(qn_json_get(object, key), "(none)");
}

static qn_json_value attribute(qn_json_value list, const char *name)
{
    for (int64_t i = 0; i < qn_json_size(list); i++) {
        if (strcmp(text_at(qn_json_at(list, i), "key"), name) == 0) {
            return qn_json_get(qn_json_at(list, i), "value");
        }
    }
    return NULL;
}

static void otlp_has_ids_as_digits_and_wide_numbers_as_texts(void **state)
{
    (void)state;
    qn_json *json = written(qn_spans_write_otlp, "service.name=loans,a=x%2Cy , b=,,");
    qn_json_value resource = qn_json_at(qn_json_get(qn_json_root(json), "resourceSpans"), 0);
    qn_json_value list = qn_json_get(qn_json_get(resource, "resource"), "attributes");
    CHECK_INT(qn_json_size(list), 3);
    CHECK_TEXT(text_at(attribute(list, "service.name"), "stringValue"), "loans");
    CHECK_TEXT(text_at(attribute(list, "a"), "stringValue"), "x,y");
    CHECK_TEXT(text_at(attribute(list, "b"), "stringValue"), "");
    qn_json_value all = qn_json_get(qn_json_at(qn_json_get(resource, "scopeSpans"), 0), "spans");
    CHECK_INT(qn_json_size(all), 2);
    qn_json_value first = qn_json_at(all, 0), second = qn_json_at(all, 1);
    CHECK_TEXT(text_at(first, "traceId"), "0af7651916cd43dd8448eb211c80319c");
    CHECK_TEXT(text_at(first, "parentSpanId"), "00f067aa0ba902b7");
    CHECK_TEXT(text_at(first, "name"), "POST /v1/models/{}");
    CHECK_TEXT(text_at(first, "startTimeUnixNano"), "1700000000123456789");
    CHECK_INT(qn_json_as_int(qn_json_get(first, "kind"), 0), 2);
    CHECK_INT(qn_json_as_int(qn_json_get(qn_json_get(first, "status"), "code"), 0), 2);
    list = qn_json_get(first, "attributes");
    CHECK_TEXT(text_at(attribute(list, "url.path"), "stringValue"), "/v1/models/\"m\\");
    CHECK_TEXT(text_at(attribute(list, "http.response.status_code"), "intValue"), "503");
    CHECK_TEXT(text_at(attribute(list, "error.type"), "stringValue"), "503");
    CHECK_TEXT(text_at(attribute(list, "quern.rows"), "intValue"), "7");
    CHECK_TEXT(text_at(attribute(list, "server.port"), "intValue"), "8080");
    CHECK(qn_json_get(second, "parentSpanId") == NULL);
    CHECK_INT(qn_json_size(qn_json_get(second, "status")), 0); /* 4xx is the client's fault */
    list = qn_json_get(second, "attributes");
    CHECK(!attribute(list, "http.route") && !attribute(list, "quern.model") &&
          !attribute(list, "error.type"));
    qn_json_free(json);
}

static void zipkin_has_microseconds_and_tags(void **state)
{
    (void)state;
    qn_json *json = written(qn_spans_write_zipkin, NULL);
    qn_json_value first = qn_json_at(qn_json_root(json), 0),
                  second = qn_json_at(qn_json_root(json), 1);
    CHECK(qn_json_as_int(qn_json_get(first, "timestamp"), 0) == INT64_C(1700000000123456));
    CHECK_INT(qn_json_as_int(qn_json_get(first, "duration"), 0), 500);
    CHECK_INT(qn_json_as_int(qn_json_get(second, "duration"), 0), 1);
    CHECK_TEXT(text_at(first, "parentId"), "00f067aa0ba902b7");
    CHECK_TEXT(text_at(qn_json_get(first, "localEndpoint"), "serviceName"), "quern");
    CHECK_TEXT(text_at(qn_json_get(first, "tags"), "quern.rows"), "7");
    CHECK_TEXT(text_at(qn_json_get(first, "tags"), "server.address"), "::1");
    CHECK(qn_json_get(second, "parentId") == NULL);
    qn_json_free(json);
}

static void attributes_that_cannot_be_are_refused(void **state)
{
    (void)state;
    const char *const bad[] = {"a",     "=b",    "a=%",   "a=%4",   "a=%zz",
                               "a=%00", "a=1,b", "a=%ff", "a\xff=1"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        qn_span_source source;
        qn_error err = {0};
        CHECK_FAILS(QN_ERR_ARG, qn_span_source_read(NULL, bad[i], &source, &err));
        CHECK_CONTAINS(err.message, "resource attributes");
    }
}

static void reading_survives_running_out_of_memory(void **state)
{
    (void)state;
    qn_span_source source;
    CHECK_SURVIVES_NO_MEMORY(qn_span_source_read(NULL, "service.name=x,a=b", &source, NULL));
    qn_span_source_release(&source);
    CHECK_SURVIVES_NO_MEMORY(qn_span_source_read("given", "service.name=x,a=b", &source, NULL));
    CHECK_TEXT(source.service, "given");
    qn_span_source_release(&source);
}

RUN_TESTS(TEST(otlp_has_ids_as_digits_and_wide_numbers_as_texts),
          TEST(zipkin_has_microseconds_and_tags), TEST(attributes_that_cannot_be_are_refused),
          TEST(reading_survives_running_out_of_memory))
