/* SPDX-License-Identifier: Apache-2.0 */
/* JSON lines, right and wrong, to the letter of RFC 8259. */
#include "source/connectors.h"

#include "check.h"

static qn_status read_bytes(const char *text, size_t bytes, qn_frame **out, qn_error *err)
{
    const qn_read_request request = {.uri = "t.jsonl"};
    return qn_jsonl_read(&request, "t.jsonl", &(qn_content){.data = text, .bytes = bytes}, out,
                         NULL, err);
}

static qn_frame *read_text(const char *text)
{
    qn_error err = {0};
    qn_frame *frame = NULL;
    CHECK_OK(read_bytes(text, strlen(text), &frame, &err));
    return frame;
}

static void check_text(const qn_frame *frame, const char *name, int64_t row, const char *expected)
{
    char scratch[QN_VALUE_TEXT_BYTES];
    size_t bytes;
    const int64_t col = qn_frame_find(frame, name);
    CHECK(col >= 0);
    if (!expected) {
        CHECK(qn_column_is_missing(&frame->columns[col], row));
        return;
    }
    CHECK(!qn_column_is_missing(&frame->columns[col], row));
    const char *text = qn_column_text(&frame->columns[col], row, scratch, &bytes);
    if (bytes != strlen(expected) || memcmp(text, expected, bytes) != 0) {
        fail_msg("row %d of %s is '%.*s', not '%s'", (int)row, name, (int)bytes, text, expected);
    }
}

static void every_fault_has_its_place(void **state)
{
    (void)state;
#define CASE(text, says)             \
    {                                \
        text, sizeof(text) - 1, says \
    }
    static const struct {
        const char *text;
        size_t bytes;
        const char *says;
    } cases[] = {
        CASE("", "t.jsonl: there is no row"),
        CASE(" \n\t\r\n", "t.jsonl: there is no row"),
        CASE("1\n", "t.jsonl:1:1: expected an object"),
        CASE("{}\n[]\n", "t.jsonl:2:1: expected an object"),
        CASE("{", "t.jsonl:1:2: expected a key in quotes"),
        CASE("{,", "t.jsonl:1:2: expected a key in quotes"),
        CASE("{\"a\"", "t.jsonl:1:5: expected ':'"),
        CASE("{\"a\" 1}", "t.jsonl:1:6: expected ':'"),
        CASE("{\"a\":", "t.jsonl:1:6: expected a value"),
        CASE("{\"a\":\n1}", "t.jsonl:1:6: expected a value"),
        CASE("{\"a\":1", "t.jsonl:1:7: expected ',' or '}'"),
        CASE("{\"a\":1 \"b\":2}", "t.jsonl:1:8: expected ',' or '}'"),
        CASE("{\"a\":1,}", "t.jsonl:1:8: expected a key in quotes"),
        CASE("{\"a\":{}\"b\":2}", "t.jsonl:1:8: expected ',' or '}'"),
        CASE("{\"a\":1}x", "t.jsonl:1:8: expected the end of the line"),
        CASE("{\"a\":1}\n{\"a\":2} {\"a\":3}", "t.jsonl:2:9: expected the end of the line"),
        CASE("{\"a\":1,\"a\":2}", "t.jsonl:1:12: a key comes twice"),
        CASE("{\"a.b\":1,\"a\":{\"b\":2}}", "a key comes twice"),
        CASE("{\"a", "t.jsonl:1:4: a string is not closed"),
        CASE("{\"a\n\":1}", "t.jsonl:1:4: a string is not closed"),
        CASE("{\"a\":\"b\\", "t.jsonl:1:9: a string is not closed"),
        CASE("{\"a\":\"\t\"}", "t.jsonl:1:7: found a control character"),
        CASE("{\"a\":\"\x01\"}", "found a control character"),
        CASE("{\"a\":\"\\x\"}", "found an unknown escape"),
        CASE("{\"a\":\"\\\0\"}", "found an unknown escape"),
        CASE("{\"a\":\"\\u12\"}", "expected four hex digits"),
        CASE("{\"a\":\"\\u12", "expected four hex digits"),
        CASE("{\"a\":\"\\u12g4\"}", "expected four hex digits"),
        CASE("{\"a\":\"\\u12:4\"}", "expected four hex digits"),
        CASE("{\"a\":\"\\u0000\"}", "found a zero character"),
        CASE("{\"a\\u0000\":1}", "found a zero character"),
        CASE("{\"a\":\"\\ud800\"}", "half of a surrogate pair"),
        CASE("{\"a\":\"\\ud800\\n12345\"}", "half of a surrogate pair"),
        CASE("{\"a\":\"\\ud800 u12345\"}", "half of a surrogate pair"),
        CASE("{\"a\":\"\\ud800\\u00zz\"}", "half of a surrogate pair"),
        CASE("{\"a\":\"\\ud800\\u0041\"}", "half of a surrogate pair"),
        CASE("{\"a\":\"\\ud800\\ue000\"}", "half of a surrogate pair"),
        CASE("{\"a\":\"\\udc00\"}", "half of a surrogate pair"),
        CASE("{\"a\":1}\n{\"a\":\"caf\xe9\"}", "t.jsonl:2:10: found bytes that are not UTF-8"),
        CASE("{\"\xff\":1}", "t.jsonl:1:3: found bytes that are not UTF-8"),
        CASE("{\"a\":\"\xed\xa0\x80\"}", "not UTF-8"),
        CASE("{\"a\":[1", "an array is not closed"),
        CASE("{\"a\":[1\n]}", "t.jsonl:1:8: an array is not closed"),
        CASE("{\"a\":[1}", "a wrong bracket closes"),
        CASE("{\"a\":[{]}", "a wrong bracket closes"),
        CASE("{\"a\":[\"x]}", "a string is not closed"),
        CASE("{\"a\":tru}", "expected a value"),
        CASE("{\"a\":nul", "expected a value"),
        CASE("{\"a\":NaN}", "expected a value"),
        CASE("{\"a\":+1}", "expected a value"),
        CASE("{\"a\":.5}", "expected a value"),
        CASE("{\"a\":-}", "t.jsonl:1:6: expected a number"),
        CASE("{\"a\":-.5}", "t.jsonl:1:6: expected a number"),
        CASE("{\"a\":01}", "t.jsonl:1:6: expected a number"),
        CASE("{\"a\":-00}", "t.jsonl:1:6: expected a number"),
        CASE("{\"a\":1.}", "t.jsonl:1:6: expected a number"),
        CASE("{\"a\":1.e5}", "t.jsonl:1:6: expected a number"),
        CASE("{\"a\":1e}", "t.jsonl:1:6: expected a number"),
        CASE("{\"a\":1-2}", "t.jsonl:1:6: expected a number"),
        CASE("{\"a\":1.2.3}", "t.jsonl:1:6: expected a number"),
        CASE("{\"a\":1\0}", "t.jsonl:1:7: expected ',' or '}'"),
        CASE("{\"a\":0x10}", "expected ',' or '}'")};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        qn_error err = {0};
        qn_frame *f = NULL;
        CHECK_FAILS(QN_ERR_DATA, read_bytes(cases[i].text, cases[i].bytes, &f, &err));
        CHECK_CONTAINS(err.message, cases[i].says);
        CHECK(f == NULL);
    }
}

/* Whatever is cut off the end of a line is missed, and named in line 2. */
static void a_line_cut_anywhere_is_refused(void **state)
{
    (void)state;
    static const char text[] =
        "{\"k\":0}\n{\"a\":-1.5e3,\"b\":{\"c\":\"x\\u00e9\\ud83d\\ude00\\n\"},\"d\":[{\"e\":[1]},"
        "\"]\"],\"f\":true,\"g\":null}";
    for (size_t bytes = 9; bytes < sizeof text - 1; bytes++) {
        qn_error err = {0};
        qn_frame *f = NULL;
        CHECK_FAILS(QN_ERR_DATA, read_bytes(text, bytes, &f, &err));
        CHECK_CONTAINS(err.message, "t.jsonl:2:");
    }
    qn_frame_free(read_text(text));
}

static void nesting_has_a_limit(void **state)
{
    (void)state;
    for (int object = 0; object < 2; object++) {
        for (int depth = 62; depth < 67; depth++) {
            qn_str text = {0};
            qn_error err = {0};
            qn_frame *f = NULL;
            qn_str_add(&text, "{\"a\":");
            for (int i = 0; i < depth; i++) {
                qn_str_add(&text, object ? "{\"a\":" : "[");
            }
            qn_str_add(&text, "1");
            for (int i = 0; i < depth; i++) {
                qn_str_add_char(&text, object ? '}' : ']');
            }
            qn_str_add(&text, "}\n");
            const qn_status status = read_bytes(text.text, text.bytes, &f, &err);
            if (depth + object <= 64) {
                CHECK_INT(status, QN_OK);
            } else {
                CHECK_INT(status, QN_ERR_DATA);
                CHECK_CONTAINS(err.message, "nested deeper than 64 levels");
            }
            qn_frame_free(f);
            qn_str_release(&text);
        }
    }
}

static void escapes_stand_for_their_characters(void **state)
{
    (void)state;
    qn_frame *f = read_text("\xef\xbb\xbf{\"a\\u0062\":\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"}\r\n"
                            "{\"ab\":\"\\u0041\\u00E9\\u20aC\\uD83D\\uDE00\\udbff\\udfff\"}\n"
                            "{ \"ab\" : \"\" } \t\r\n\n{}\n{\"ab\":\"\\u07ff\\u0800\\uffff\"}");
    CHECK_INT(qn_frame_n_rows(f), 5);
    check_text(f, "ab", 0, "\"\\/\b\f\n\r\t");
    check_text(f, "ab", 1, "A\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\xf4\x8f\xbf\xbf");
    check_text(f, "ab", 2, NULL);
    check_text(f, "ab", 3, NULL);
    check_text(f, "ab", 4, "\xdf\xbf\xe0\xa0\x80\xef\xbf\xbf");
    qn_frame_free(f);
}

static void objects_within_objects_become_dotted_columns(void **state)
{
    (void)state;
    qn_frame *f = read_text("{\"a\":{\"b\":{\"c\":1},\"d\":2},\"\":{\"\":3},\"e\":{}}\n"
                            "{\"e\":{\"f\":{}},\"a\":{\"d\":4}}\n");
    CHECK_INT(qn_frame_n_cols(f), 3);
    check_text(f, "a.b.c", 0, "1");
    check_text(f, "a.b.c", 1, NULL);
    check_text(f, "a.d", 1, "4");
    CHECK_INT(qn_frame_n_missing(f, qn_frame_find(f, "")), 1);
    qn_frame_free(f);
}

static void numbers_keep_their_types(void **state)
{
    (void)state;
    qn_frame *f = read_text(
        "{\"i\":0,\"d\":1e2,\"huge\":1e999,\"big\":12345678901234567890,\"m\":1,\"b\":true}\n"
        "{\"i\":-9223372036854775808,\"d\":-0.5E-1,\"huge\":-2E+999,\"big\":1,\"m\":2.5,\"b\":"
        "false}\n"
        "{\"i\":9223372036854775807,\"d\":3,\"m\":null}\n");
    CHECK_INT(qn_frame_type(f, qn_frame_find(f, "i")), QN_TYPE_INT64);
    CHECK_INT(qn_frame_type(f, qn_frame_find(f, "d")), QN_TYPE_FLOAT64);
    CHECK_INT(qn_frame_type(f, qn_frame_find(f, "big")), QN_TYPE_FLOAT64);
    CHECK_INT(qn_frame_type(f, qn_frame_find(f, "b")), QN_TYPE_BOOL);
    check_text(f, "i", 1, "-9223372036854775808");
    check_text(f, "i", 2, "9223372036854775807");
    check_text(f, "d", 1, "-0.05");
    check_text(f, "huge", 0, "1e999"); /* no number to compute with: its text is kept */
    check_text(f, "huge", 1, "-2E+999");
    check_text(f, "m", 1, "2.5");
    check_text(f, "b", 1, "false");
    check_text(f, "b", 2, NULL);
    qn_frame_free(f);
}

static void texts_become_dates_and_markers_and_nothing_else(void **state)
{
    (void)state;
    qn_frame *f = read_text(
        "{\"t\":\"2020-01-02\",\"n\":\"1\",\"m\":\"NA\",\"mixed\":\"2020-01-02\",\"x\":\"NA\"}\n"
        "{\"t\":\"NA\",\"n\":\"2\",\"m\":5,\"mixed\":7,\"x\":\"?\"}\n"
        "{\"t\":\"2020-01-03T00:00:01Z\",\"n\":\"3\",\"m\":6,\"mixed\":false}\n");
    CHECK_INT(qn_frame_type(f, qn_frame_find(f, "t")), QN_TYPE_TIMESTAMP);
    CHECK_INT(qn_frame_type(f, qn_frame_find(f, "n")), QN_TYPE_STRING);
    CHECK_INT(qn_frame_type(f, qn_frame_find(f, "m")), QN_TYPE_INT64);
    CHECK_INT(qn_frame_type(f, qn_frame_find(f, "mixed")), QN_TYPE_STRING);
    CHECK_INT(qn_frame_n_missing(f, qn_frame_find(f, "x")), 3);
    check_text(f, "t", 1, NULL);
    check_text(f, "t", 2, "2020-01-03T00:00:01");
    check_text(f, "m", 0, NULL);
    check_text(f, "mixed", 1, "7");
    check_text(f, "mixed", 2, "false");
    qn_frame_free(f);
}

static void a_column_of_more_keys_than_the_limit_is_refused(void **state)
{
    (void)state;
    qn_str text = {0};
    qn_error err = {0};
    qn_frame *f = NULL;
    qn_str_add(&text, "{\"k\":1");
    for (int i = 0; i < 100000; i++) {
        qn_str_addf(&text, ",\"%d\":1", i);
    }
    qn_str_add(&text, "}");
    CHECK_FAILS(QN_ERR_DATA, read_bytes(text.text, text.bytes, &f, &err));
    CHECK_CONTAINS(err.message, "100,000 different keys");
    qn_str_release(&text);
}

static void reading_stops_when_asked(void **state)
{
    (void)state;
    qn_str text = {0};
    qn_error err = {0};
    qn_frame *f = NULL;
    const volatile sig_atomic_t flag = 1;
    const qn_stop stop = {.interrupted = &flag};
    for (int i = 0; i < 5000; i++) {
        qn_str_add(&text, "{\"a\":1}\n");
    }
    const qn_read_request request = {.uri = "t", .stop = &stop};
    CHECK_FAILS(QN_ERR_INTERRUPTED,
                qn_jsonl_read(&request, "t.jsonl",
                              &(qn_content){.data = text.text, .bytes = text.bytes}, &f, NULL,
                              &err));
    CHECK_CONTAINS(err.message, "t.jsonl: stopped");
    qn_str_release(&text);
}

static void given_markers_are_missing(void **state)
{
    (void)state;
    qn_error err = {0};
    qn_frame *f = NULL;
    const char *text = "{\"a\":\"none\",\"b\":\"NA\"}\n{\"a\":\"x\",\"b\":\"y\"}\n";
    qn_read_request request = {.uri = "t", .markers = "none"};
    const qn_content content = {.data = text, .bytes = strlen(text)};
    CHECK_OK(qn_jsonl_read(&request, "t", &content, &f, NULL, &err));
    check_text(f, "a", 0, NULL);
    check_text(f, "b", 0, "NA");
    qn_frame_free(f);
    char marker[300];
    memset(marker, 'x', sizeof marker - 1);
    marker[sizeof marker - 1] = '\0';
    request.markers = marker;
    CHECK_FAILS(QN_ERR_ARG, qn_jsonl_read(&request, "t", &content, &f, NULL, &err));
}

/* Columns that come late, mixed columns, long keys and texts, more rows than there is room for. */
static void reading_survives_running_out_of_memory(void **state)
{
    (void)state;
    qn_str text = {0};
    for (int i = 0; i < 130; i++) {
        qn_str_addf(&text, "{\"a\":%d,\"b\":{\"c%d\":\"text %d\\n\"},\"d\":%s,\"e\":[\"%d\"]", i,
                    i / 7, i,
                    i % 3 == 0   ? "true"
                    : i % 3 == 1 ? "1.5"
                                 : "\"x\"",
                    i);
        if (i > 100) qn_str_add(&text, ",\"late\":\"2020-01-01\",\"some rather long name\":1");
        qn_str_add(&text, "}\n");
    }
    qn_frame *f = NULL;
    CHECK_SURVIVES_NO_MEMORY_RELEASING(read_bytes(text.text, text.bytes, &f, NULL),
                                       qn_frame_free(f));
    CHECK_INT(qn_frame_n_rows(f), 130);
    CHECK_INT(qn_frame_n_missing(f, qn_frame_find(f, "late")), 101);
    qn_frame_free(f);
    qn_str_release(&text);
}

RUN_TESTS(TEST(every_fault_has_its_place), TEST(a_line_cut_anywhere_is_refused),
          TEST(nesting_has_a_limit), TEST(escapes_stand_for_their_characters),
          TEST(objects_within_objects_become_dotted_columns), TEST(numbers_keep_their_types),
          TEST(texts_become_dates_and_markers_and_nothing_else),
          TEST(a_column_of_more_keys_than_the_limit_is_refused), TEST(reading_stops_when_asked),
          TEST(given_markers_are_missing), TEST(reading_survives_running_out_of_memory))
