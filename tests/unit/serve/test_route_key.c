/* SPDX-License-Identifier: Apache-2.0 */
/* A column's value in the first row, however rows are written, well or badly. */
#include "serve/route_key.h"

#include "check.h"

#include <stdlib.h>

static void check_json(const char *body, const char *expected)
{
    qn_arena memory = {0};
    const qn_span key = qn_route_key_in_json((qn_span){body, strlen(body)}, "who", &memory);
    const bool as_expected = expected ? key.text && key.bytes == strlen(expected) &&
                                            memcmp(key.text, expected, key.bytes) == 0
                                      : !key.text;
    if (!as_expected) fail_msg("%s gave '%.*s'", body, (int)key.bytes, key.text ? key.text : "");
    qn_arena_release(&memory);
}

static void check_csv(const char *body, const char *expected)
{
    const qn_span key = qn_route_key_in_csv((qn_span){body, strlen(body)}, "who");
    const bool as_expected = expected ? key.text && key.bytes == strlen(expected) &&
                                            memcmp(key.text, expected, key.bytes) == 0
                                      : !key.text;
    if (!as_expected) fail_msg("%s gave '%.*s'", body, (int)key.bytes, key.text ? key.text : "");
}

static void json_is_looked_into(void **state)
{
    (void)state;
    check_json("{\"a\":1,\"who\":\"ann\"}", "ann");
    check_json(" {\"who\": 12.50 }", "12.50");
    check_json("{\"who\":true}", "true");
    check_json("{\"who\":\"a\\u00e9\"}", "a\xC3\xA9");
    check_json("[{\"a\":{\"who\":1},\"who\":2},{\"who\":3}]", "2");
    check_json("{\"instances\":[{\"who\":\"x\"},{\"who\":\"y\"}]}", "x");
    check_json("{\"dataframe_records\":[{\"who\":7}]}", "7");
    check_json("{\"columns\":{\"a\":[1,2],\"who\":[\"x\",\"y\"]}}", "x");
    check_json("{\"inputs\":{\"who\":[5]}}", "5");
    check_json("{\"who\":1}\n{\"who\":2}\n", "1");
    check_json("{\"inputs\":1,\"who\":\"ann\"}", "ann");
}

static void json_without_it_has_none(void **state)
{
    (void)state;
    static const char *const bodies[] = {"",
                                         "{",
                                         "[",
                                         "[]",
                                         "{}",
                                         "[[1,2]]",
                                         "5",
                                         "{\"who\":null}",
                                         "{\"who\":{}}",
                                         "{\"who\":[]}",
                                         "{\"who\":[[1]]}",
                                         "{\"who\":[null]}",
                                         "{\"who\"",
                                         "{\"who\":",
                                         "{\"who\":\"",
                                         "{\"a\":nul}",
                                         "{\"instances\":[]}",
                                         "{\"instances\":[{\"instances\":[{\"who\":1}]}]}",
                                         "{\"columns\":[\"who\"],\"data\":[[1]]}",
                                         "{\"Who\":1,\"whom\":2,\"wh\":3}",
                                         "[[[[[[[[[[",
                                         "who"};
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        check_json(bodies[i], NULL);
    }
}

static void csv_is_looked_into(void **state)
{
    (void)state;
    check_csv("who\nann\nbob\n", "ann");
    check_csv("a,who,b\r\n1,ann,2\r\n", "ann");
    check_csv("a,\"who\"\n\"x,\ny\",\"ann, or \"\"bob\"\"\"\n", "ann, or \"\"bob\"\"");
    check_csv("\xEF\xBB\xBFwho,a\nann,1", "ann");
    check_csv("a,who\n1,ann", "ann");
}

static void csv_without_it_has_none(void **state)
{
    (void)state;
    static const char *const bodies[] = {"",       "\n",          "who",         "who\n",
                                         "a\n1\n", "a,who\n1\n",  "a,who\n1,\n", "a,\"who\n1,2",
                                         "\"",     "who,\"\n\"1", "\r\r\r",      ",,,\n,,,"};
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        check_csv(bodies[i], NULL);
    }
}

/* Cut anywhere, nothing is read beyond the end (AddressSanitizer tells). */
static void what_is_cut_short_is_safe(void **state)
{
    (void)state;
    static const char *const bodies[] = {"{\"instances\":[{\"a\":\"x\\n\",\"who\":\"ann\"}]}",
                                         "a,\"who\"\r\n\"x \"\"y\"\"\",\"ann\"\r\n"};
    for (int i = 0; i < 2; i++) {
        for (size_t bytes = 0; bytes <= strlen(bodies[i]); bytes++) {
            qn_arena memory = {0};
            char *copy = malloc(bytes + 1);
            memcpy(copy + 1, bodies[i], bytes); /* ends where the memory ends */
            (void)qn_route_key_in_json((qn_span){copy + 1, bytes}, "who", &memory);
            (void)qn_route_key_in_csv((qn_span){copy + 1, bytes}, "who");
            qn_arena_release(&memory);
            free(copy);
        }
    }
}

RUN_TESTS(TEST(json_is_looked_into), TEST(json_without_it_has_none), TEST(csv_is_looked_into),
          TEST(csv_without_it_has_none), TEST(what_is_cut_short_is_safe))
