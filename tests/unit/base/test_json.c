/* SPDX-License-Identifier: Apache-2.0 */
#include "base/json.h"

#include "check.h"

static void what_is_written_reads_back(void **state)
{
    (void)state;
    qn_error err = {0};
    qn_str text = {0};
    qn_json_writer json = {.out = &text};
    qn_json_begin_object(&json);
    qn_json_put_text(&json, "name", "a \"quoted\"\n\x01 \xc3\xa9");
    qn_json_put_double(&json, "third", 1.0 / 3);
    qn_json_put_double(&json, "none", QN_NA);
    qn_json_put_int(&json, "big", INT64_MIN);
    qn_json_key(&json, "list");
    qn_json_begin_array(&json);
    qn_json_bool(&json, true);
    qn_json_raw(&json, "{\"inside\":1}");
    qn_json_end_array(&json);
    qn_json_end_object(&json);

    qn_json *parsed = NULL;
    CHECK_OK(qn_json_parse(text.text, text.bytes, "text", &parsed, &err));
    const qn_json_value root = qn_json_root(parsed);
    CHECK_TEXT(qn_json_as_text(qn_json_get(root, "name"), ""), "a \"quoted\"\n\x01 \xc3\xa9");
    CHECK(qn_json_as_double(qn_json_get(root, "third"), 0) == 1.0 / 3);
    CHECK(qn_json_is_null(qn_json_get(root, "none")));
    CHECK(qn_json_as_int(qn_json_get(root, "big"), 0) == INT64_MIN);
    const qn_json_value list = qn_json_get(root, "list");
    CHECK(qn_json_as_bool(qn_json_at(list, 0), false));
    CHECK_INT(qn_json_as_int(qn_json_get(qn_json_at(list, 1), "inside"), 0), 1);
    const char *key = NULL;
    qn_json_member(root, 1, &key);
    CHECK_TEXT(key, "third");
    qn_json_free(parsed);
    qn_str_release(&text);
}

static void invalid_utf8_becomes_a_replacement_character(void **state)
{
    (void)state;
    qn_str text = {0};
    qn_json_writer json = {.out = &text};
    qn_json_text(&json, "a\xff\xc3(\xed\xa0\x80");
    CHECK_TEXT(text.text, "\"a\\ufffd\\ufffd(\\ufffd\\ufffd\\ufffd\"");
    qn_str_release(&text);
}

/* What YAML or JavaScript would not take as it is. */
static void ends_of_lines_and_controls_are_escaped(void **state)
{
    (void)state;
    qn_str text = {0};
    qn_json_text(&(qn_json_writer){.out = &text},
                 "\x01\x7f\xc2\x85\xc2\xa0\xe2\x80\xa7\xe2\x80\xa8\xe2\x80\xa9");
    CHECK_TEXT(text.text, "\"\\u0001\\u007f\\u0085\xc2\xa0\xe2\x80\xa7\\u2028\\u2029\"");
    qn_str_release(&text);
}

static void broken_json_is_refused_with_its_place(void **state)
{
    (void)state;
    static const char *const texts[] = {"", "{", "{\"a\":1,}", "{\"a\":1,\"a\":2}", "[1 2]", "nul"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        qn_error err = {0};
        qn_json *parsed = NULL;
        CHECK_FAILS(QN_ERR_DATA,
                    qn_json_parse(texts[i], strlen(texts[i]), "file.json", &parsed, &err));
        CHECK_CONTAINS(err.message, "file.json:");
        CHECK(parsed == NULL);
    }
}

static void look_ups_of_the_wrong_type_give_the_fall_back(void **state)
{
    (void)state;
    qn_error err = {0};
    qn_json *parsed = NULL;
    CHECK_OK(qn_json_parse("{\"a\":\"text\"}", 12, "text", &parsed, &err));
    const qn_json_value root = qn_json_root(parsed);
    CHECK_INT(qn_json_as_int(qn_json_get(root, "a"), 7), 7);
    CHECK_INT(qn_json_as_int(qn_json_get(qn_json_get(root, "a"), "b"), 8), 8);
    CHECK_INT(qn_json_size(NULL), 0);
    CHECK(qn_json_at(root, 0) == NULL);
    qn_json_free(parsed);
}

static void people_get_a_line_for_each_item(void **state)
{
    (void)state;
    qn_str text = {0};
    qn_json_writer json = {.out = &text, .indent = true};
    qn_json_begin_object(&json);
    qn_json_put_text(&json, "a", NULL);
    qn_json_put_bool(&json, "b", false);
    qn_json_key(&json, "c");
    qn_json_begin_array(&json);
    qn_json_end_array(&json);
    qn_json_key(&json, "d");
    qn_json_begin_array(&json);
    qn_json_double(&json, -QN_INF);
    qn_json_text(&json, "\\\t");
    qn_json_end_array(&json);
    qn_json_end_object(&json);
    CHECK_TEXT(text.text,
               "{\n  \"a\": null,\n  \"b\": false,\n  \"c\": [],\n  \"d\": [\n    null,\n"
               "    \"\\\\\\t\"\n  ]\n}");
    qn_str_release(&text);
}

static void every_look_up_has_a_fall_back(void **state)
{
    (void)state;
    qn_error err = {0};
    qn_json *parsed = NULL;
    static const char text[] = "{\"i\":1,\"d\":2.5,\"b\":true,\"n\":null,\"a\":[1,2,3],\"o\":{}}";
    CHECK_OK(qn_json_parse(text, sizeof text - 1, "text", &parsed, &err));
    const qn_json_value root = qn_json_root(parsed);
    const qn_json_value i = qn_json_get(root, "i"), d = qn_json_get(root, "d"),
                        b = qn_json_get(root, "b"), n = qn_json_get(root, "n"),
                        a = qn_json_get(root, "a"), none = qn_json_get(root, "none");
    CHECK_INT(qn_json_as_int(i, 9), 1);
    CHECK_INT(qn_json_as_int(d, 9), 9);
    CHECK_INT(qn_json_as_int(none, 9), 9);
    CHECK_NEAR(qn_json_as_double(i, 9), 1, 0);
    CHECK_NEAR(qn_json_as_double(b, 9), 9, 0);
    CHECK_NEAR(qn_json_as_double(none, 9), 9, 0);
    CHECK(qn_json_as_bool(b, false) && qn_json_as_bool(i, true) && !qn_json_as_bool(none, false));
    CHECK_TEXT(qn_json_as_text(i, "no text"), "no text");
    CHECK(qn_json_is_null(n) && qn_json_is_null(none) && !qn_json_is_null(i));
    CHECK(qn_json_is_array(a) && !qn_json_is_array(root) && !qn_json_is_array(none));
    CHECK(qn_json_is_object(root) && !qn_json_is_object(a) && !qn_json_is_object(none));
    CHECK_INT(qn_json_size(a), 3);
    CHECK_INT(qn_json_size(root), 6);
    CHECK(qn_json_at(a, 3) == NULL);
    const char *key = "";
    CHECK(qn_json_member(root, 6, &key) == NULL && key == NULL);
    qn_json_free(parsed);
    qn_json_free(NULL);
}

static void reading_survives_running_out_of_memory(void **state)
{
    (void)state;
    qn_json *parsed = NULL;
    CHECK_SURVIVES_NO_MEMORY(qn_json_parse("[1]", 3, "text", &parsed, NULL));
    qn_json_free(parsed);
}

static void a_writer_out_of_memory_says_so_at_the_end(void **state)
{
    (void)state;
    qn_str text = {0};
    qn_json_writer json = {.out = &text};
    qn_alloc_fail_at(1, true);
    qn_json_begin_object(&json);
    qn_json_put_text(&json, "key", "value");
    qn_json_end_object(&json);
    CHECK(qn_str_take_text(&text) == NULL);
    qn_alloc_fail_at(0, false);
}

RUN_TESTS(TEST(what_is_written_reads_back), TEST(ends_of_lines_and_controls_are_escaped),
          TEST(invalid_utf8_becomes_a_replacement_character),
          TEST(broken_json_is_refused_with_its_place),
          TEST(look_ups_of_the_wrong_type_give_the_fall_back),
          TEST(people_get_a_line_for_each_item), TEST(every_look_up_has_a_fall_back),
          TEST(reading_survives_running_out_of_memory),
          TEST(a_writer_out_of_memory_says_so_at_the_end))
