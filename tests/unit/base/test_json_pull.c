/* SPDX-License-Identifier: Apache-2.0 */
#include "base/json_pull.h"

#include "base/json.h"

#include "check.h"

#include <stdlib.h>

static qn_pull over(const char *text, qn_arena *arena)
{
    return (qn_pull){.begin = text, .at = text, .end = text + strlen(text), .arena = arena};
}

/* Whether `text` is one JSON value and nothing else. */
static bool accepts(const char *text, size_t bytes)
{
    qn_arena arena = {0};
    qn_pull pull = {.begin = text, .at = text, .end = text + bytes, .arena = &arena};
    const bool whole = qn_pull_skip(&pull) && qn_pull_peek(&pull) == QN_PULL_END;
    qn_arena_release(&arena);
    return whole;
}

static void json_by_the_grammar_is_accepted(void **state)
{
    (void)state;
    static const char *const good[] = {"0",
                                       "-0",
                                       "1.5e+10",
                                       "1E-2",
                                       "-12.25",
                                       "1e999",
                                       "\"\"",
                                       "\"\\u00e9\\n\\\\\\\"\\/\"",
                                       "\"\\ud83d\\ude00\"",
                                       "\"\xc3\xa9\"",
                                       "true",
                                       "false",
                                       "null",
                                       "[]",
                                       "{}",
                                       " [ 1 , 2 ] ",
                                       "{\"a\":{\"b\":[1,{\"c\":null}]}}",
                                       "\t\r\n{\"\":0}",
                                       "[[[[]]]]",
                                       "\"\x7f\"",
                                       "[1,\"a\",true,{\"x\":[]}]"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        if (!accepts(good[i], strlen(good[i]))) fail_msg("refused: %s", good[i]);
    }
}

static void what_is_not_json_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"",
                                      " ",
                                      "01",
                                      "-",
                                      "+1",
                                      "1.",
                                      ".5",
                                      "1e",
                                      "1e+",
                                      "0x10",
                                      "NaN",
                                      "Infinity",
                                      "-Infinity",
                                      "nan",
                                      "tru",
                                      "True",
                                      "nul",
                                      "\"",
                                      "\"a",
                                      "'a'",
                                      "\"\\x\"",
                                      "\"\\u12\"",
                                      "\"\\u12g4\"",
                                      "\"\\ud800\"",
                                      "\"\\udc00\"",
                                      "\"\\ud800\\u0041\"",
                                      "\"\\u0000\"",
                                      "\"\t\"",
                                      "\"\n\"",
                                      "\"\xff\"",
                                      "\"\xc0\x80\"",
                                      "\"\xed\xa0\x80\"",
                                      "\"\\\"",
                                      "[",
                                      "]",
                                      "[1",
                                      "[1,",
                                      "[1,]",
                                      "[,1]",
                                      "[1 2]",
                                      "{",
                                      "}",
                                      "{\"a\"}",
                                      "{\"a\":}",
                                      "{\"a\":1,}",
                                      "{a:1}",
                                      "{1:2}",
                                      "{\"a\" 1}",
                                      "{\"a\":1 \"b\":2}",
                                      "[1}",
                                      "{\"a\":1]",
                                      "1 2",
                                      "[] []",
                                      "// c\n1",
                                      "/* c */ 1",
                                      "\xef\xbb\xbf"
                                      "1",
                                      "[1]x",
                                      "\"\\",
                                      "{\"a\":1,,\"b\":2}",
                                      "{,}",
                                      "--1",
                                      "1-",
                                      "1e5.5",
                                      "\f1"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        if (accepts(bad[i], strlen(bad[i]))) fail_msg("accepted: %s", bad[i]);
    }
}

static void depth_is_limited(void **state)
{
    (void)state;
    char text[2 * 70];
    memset(text, '[', 70);
    memset(text + 70, ']', 70);
    CHECK(accepts(text + 6, 128));
    CHECK(!accepts(text + 5, 130));
    char *deep = malloc(100000);
    memset(deep, '[', 100000);
    CHECK(!accepts(deep, 100000));
    free(deep);
}

/* Every cut of a document is refused, and the reader never goes past the end. */
static void cut_documents_are_refused(void **state)
{
    (void)state;
    static const char text[] =
        "{\"a\":[1.5e3,\"\\u00e9\\ud83d\\ude00x\"],\"b\":{\"c\":[true,null,{}]}}";
    for (size_t n = 0; n < sizeof text - 1; n++) {
        char *exact = malloc(n + 1); /* of that size, for the address sanitizer to see */
        memcpy(exact, text, n);
        CHECK(!accepts(exact, n));
        free(exact);
    }
    CHECK(accepts(text, sizeof text - 1));
}

/* What is accepted or refused here is what jansson accepts or refuses: one byte changed at a time.
 */
static void agrees_with_the_other_reader(void **state)
{
    (void)state;
    static const char seed[] =
        "{\"ab\":[1.5e3,-0,\"\\u00e9\\n\xc3\xa9\"],\"b\":{\"c\":[true,null]}}";
    static const char bytes[] = "\"\\{}[]:,.0159eE+-tfn u\n\x01\x80\xc3\xff";
    char text[sizeof seed];
    for (size_t at = 0; at < sizeof seed - 1; at++) {
        for (size_t b = 0; b < sizeof bytes - 1; b++) {
            qn_json *json = NULL;
            memcpy(text, seed, sizeof seed);
            text[at] = bytes[b];
            const bool other = qn_json_parse(text, sizeof text - 1, "x", &json, NULL) == QN_OK;
            qn_json_free(json);
            if (accepts(text, sizeof text - 1) != other) fail_msg("%s: %d", text, other);
        }
    }
}

static void values_are_read_one_by_one(void **state)
{
    (void)state;
    qn_arena arena = {0};
    qn_pull pull = over("{\"x\": 2.5, \"y\\n\": [\"a\\u0062\", null, true]}", &arena);
    qn_span key, text;
    double number;
    bool first = true, first_item = true;
    CHECK_INT(qn_pull_peek(&pull), QN_PULL_OBJECT);
    qn_pull_enter(&pull);
    CHECK(qn_pull_key(&pull, &first, &key));
    CHECK(key.bytes == 1 && key.text[0] == 'x');
    CHECK_INT(qn_pull_peek(&pull), QN_PULL_NUMBER);
    CHECK(qn_pull_number(&pull, &number, &text));
    CHECK(number == 2.5 && text.bytes == 3);
    CHECK(qn_pull_key(&pull, &first, &key));
    CHECK(key.bytes == 2 && memcmp(key.text, "y\n", 2) == 0);
    CHECK_INT(qn_pull_peek(&pull), QN_PULL_ARRAY);
    qn_pull_enter(&pull);
    CHECK(qn_pull_next(&pull, &first_item));
    CHECK_INT(qn_pull_peek(&pull), QN_PULL_TEXT);
    CHECK(qn_pull_text(&pull, &text));
    CHECK(text.bytes == 2 && memcmp(text.text, "ab", 2) == 0);
    CHECK(qn_pull_next(&pull, &first_item));
    CHECK_INT(qn_pull_peek(&pull), QN_PULL_NULL);
    CHECK(qn_pull_word(&pull));
    CHECK(qn_pull_next(&pull, &first_item));
    CHECK_INT(qn_pull_peek(&pull), QN_PULL_TRUE);
    CHECK(qn_pull_word(&pull));
    CHECK(!qn_pull_next(&pull, &first_item));
    CHECK(!qn_pull_key(&pull, &first, &key));
    CHECK_INT(qn_pull_peek(&pull), QN_PULL_END);
    CHECK(!pull.wrong);
    qn_arena_release(&arena);
}

static void a_key_is_known_by_its_name(void **state)
{
    (void)state;
    static const char *const same[] = {"{\"ab\":1}", " {  \"ab\" \n: 1}"};
    static const char *const others[] = {"{\"abc\":1}",      "{\"a\":1}",   "{\"ab",     "{\"ab\"",
                                         "{\"ab\" 1}",       "{ab:1}",      "{}",        "{",
                                         "{\"a\\u0062\":1}", "{,\"ab\":1}", "{\"bb\":1}"};
    const qn_span name = {"ab", 2};
    qn_arena arena = {0};
    for (size_t i = 0; i < sizeof same / sizeof *same; i++) {
        qn_pull pull = over(same[i], &arena);
        bool first = true;
        double number;
        CHECK_INT(qn_pull_peek(&pull), QN_PULL_OBJECT);
        qn_pull_enter(&pull);
        CHECK(qn_pull_key_is(&pull, &first, name));
        CHECK_INT(qn_pull_peek(&pull), QN_PULL_NUMBER);
        CHECK(qn_pull_number(&pull, &number, NULL));
        CHECK(!qn_pull_key_is(&pull, &first, name));
    }
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        qn_pull pull = over(others[i], &arena);
        bool first = true;
        CHECK_INT(qn_pull_peek(&pull), QN_PULL_OBJECT);
        qn_pull_enter(&pull);
        const char *at = pull.at;
        if (qn_pull_key_is(&pull, &first, name)) fail_msg("%s", others[i]);
        CHECK(pull.at == at && first && !pull.wrong);
    }
    qn_pull pull = over("{\"x\":1 , \"ab\":2}", &arena);
    bool first = true;
    qn_pull_enter(&pull);
    CHECK(!qn_pull_key_is(&pull, &first, name) && qn_pull_key_is(&pull, &first, (qn_span){"x", 1}));
    CHECK(qn_pull_skip(&pull) && qn_pull_key_is(&pull, &first, name));
    pull = over("{\"x\":1 \"ab\":2}", &arena);
    first = true;
    qn_pull_enter(&pull);
    CHECK(qn_pull_key_is(&pull, &first, (qn_span){"x", 1}) && qn_pull_skip(&pull));
    CHECK(!qn_pull_key_is(&pull, &first, name));
    qn_arena_release(&arena);
}

static void bytes_are_passed_only_when_all_are_the_same(void **state)
{
    (void)state;
    static const char text[] = "0123456789abcdefghij";
    const size_t n_max = sizeof text - 1;
    for (size_t n = 0; n <= n_max; n++) {
        char same[sizeof text];
        memcpy(same, text, sizeof text);
        for (size_t wrong = 0; wrong <= n; wrong++) { /* at the end: nothing is */
            qn_pull pull = {.begin = text, .at = text, .end = text + n};
            if (wrong < n) same[wrong]++;
            CHECK_INT(qn_pull_pass(&pull, (qn_span){same, n}), wrong == n);
            CHECK_INT(pull.at - text, wrong == n ? (int64_t)n : 0);
            if (wrong < n) same[wrong]--;
        }
        qn_pull pull = {.begin = text, .at = text, .end = text + n};
        CHECK(!qn_pull_pass(&pull, (qn_span){text, n + 1}));
        qn_pull_refuse(&pull, "before");
        CHECK(!qn_pull_pass(&pull, (qn_span){text, n}));
    }
}

static void messages_name_line_and_column(void **state)
{
    (void)state;
    qn_arena arena = {0};
    qn_error err = {0};
    qn_pull pull = over("{\n  \"a\": 1,\n  \"b\": tru\n}", &arena);
    CHECK(!qn_pull_skip(&pull));
    CHECK_FAILS(QN_ERR_DATA, qn_pull_fail(&pull, "body", &err));
    CHECK_TEXT(err.message, "body:3:8: expected a value");
    CHECK_INT(qn_pull_peek(&pull), QN_PULL_ERROR);
    qn_arena_release(&arena);
}

static qn_status read_escaped(void)
{
    qn_arena arena = {0};
    qn_pull pull = over("\"a\\n\"", &arena);
    qn_span text;
    const bool good = qn_pull_text(&pull, &text);
    const qn_status status = good ? QN_OK : qn_pull_fail(&pull, "body", NULL);
    qn_arena_release(&arena);
    return status;
}

static void reading_survives_running_out_of_memory(void **state)
{
    (void)state;
    CHECK_SURVIVES_NO_MEMORY(read_escaped());
}

RUN_TESTS(TEST(json_by_the_grammar_is_accepted), TEST(what_is_not_json_is_refused),
          TEST(depth_is_limited), TEST(cut_documents_are_refused),
          TEST(agrees_with_the_other_reader), TEST(values_are_read_one_by_one),
          TEST(a_key_is_known_by_its_name), TEST(bytes_are_passed_only_when_all_are_the_same),
          TEST(messages_name_line_and_column), TEST(reading_survives_running_out_of_memory))
