/* SPDX-License-Identifier: Apache-2.0 */
/* A column's value in the first row, however rows are written, well or badly. */
#include "serve/routes/route_key.h"

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
    check_json("{\"columns\":[\"a\",\"who\"],\"data\":[[1,\"x\"],[2,\"y\"]]}", "x");
    check_json("{\"data\":[[{\"who\":3},2.50]],\"columns\":[\"a\",\"who\",\"b\"]}", "2.50");
    check_json("{\"dataframe_split\":{\"columns\":[\"who\"],\"index\":[0],\"data\":[[true]]}}",
               "true");
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
                                         "{\"columns\":[\"who\"],\"data\":[]}",
                                         "{\"columns\":[\"who\"],\"data\":[1]}",
                                         "{\"columns\":[\"who\"],\"data\":[[]]}",
                                         "{\"columns\":[\"who\"],\"data\":[[[1]]]}",
                                         "{\"columns\":[\"a\",\"who\"],\"data\":[[1],[2,3]]}",
                                         "{\"columns\":[1,\"who\"],\"data\":[[1,2]]}",
                                         "{\"columns\":[\"a\"],\"data\":[[1]]}",
                                         "{\"columns\":[\"who\"]}",
                                         "{\"data\":[[1]]}",
                                         "[{\"columns\":[\"who\"],\"data\":[[1]]}]",
                                         "{\"Who\":1,\"whom\":2,\"wh\":3}",
                                         "[[[[[[[[[[",
                                         "who"};
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        check_json(bodies[i], NULL);
    }
}

static const qn_route_place nowhere = {-1, 0};

static void check_placed_tensors(const char *json, const char *binary, size_t n_binary,
                                 qn_route_place place, const char *expected)
{
    qn_arena memory = {0};
    char body[512];
    const size_t n_json = strlen(json);
    memcpy(body, json, n_json);
    if (n_binary > 0) memcpy(body + n_json, binary, n_binary);
    const qn_span key = qn_route_key_in_tensors((qn_span){body, n_json + n_binary},
                                                n_binary > 0 ? n_json : 0, "who", place, &memory);
    const bool as_expected = expected ? key.text && key.bytes == strlen(expected) &&
                                            memcmp(key.text, expected, key.bytes) == 0
                                      : !key.text;
    if (!as_expected) fail_msg("%s gave '%.*s'", json, (int)key.bytes, key.text ? key.text : "");
    qn_arena_release(&memory);
}

static void check_tensors(const char *json, const char *binary, size_t n_binary,
                          const char *expected)
{
    check_placed_tensors(json, binary, n_binary, nowhere, expected);
}

#define TENSOR(name, type, rest) "{\"name\":\"" name "\",\"datatype\":\"" type "\"," rest "}"
#define BINARY(name, type, bytes) \
    TENSOR(name, type, "\"parameters\":{\"x\":{},\"binary_data_size\":" bytes "}")

static void tensors_are_looked_into(void **state)
{
    (void)state;
    check_tensors("{\"inputs\":[" TENSOR("a", "FP64", "\"data\":[1,2]") "," TENSOR(
                      "who", "BYTES", "\"data\":[\"ann\",\"bob\"]") "]}",
                  NULL, 0, "ann");
    check_tensors("{\"id\":\"who\",\"inputs\":[" TENSOR(
                      "who", "FP64", "\"shape\":[2,1],\"data\":[[1.50],[2]]") "]}",
                  NULL, 0, "1.50");
    check_tensors("{\"inputs\":[{\"data\":[7],\"name\":\"who\"}]}", NULL, 0, "7");
    check_tensors("{\"inputs\":[" BINARY("who", "BYTES", "7") "]}", "\3\0\0\0ann", 7, "ann");
    check_tensors("{\"inputs\":[" BINARY("a", "INT8", "2") "," BINARY("who", "INT16", "4") "]}",
                  "\1\2\xfe\xff\3\0", 6, "-2");
    check_tensors("{\"inputs\":[" BINARY("who", "UINT64", "8") "]}",
                  "\xff\xff\xff\xff\xff\xff\xff\xff", 8, "18446744073709551615");
    check_tensors("{\"inputs\":[" BINARY("who", "FP64", "8") "]}", "\0\0\0\0\0\0\xf8\x3f", 8,
                  "1.5");
    check_tensors("{\"inputs\":[" BINARY("who", "FP32", "4") "]}", "\0\0\x20\x41", 4, "10");
    check_tensors("{\"inputs\":[" BINARY("who", "BOOL", "1") "]}", "\1", 1, "true");
}

static void tensors_without_it_have_none(void **state)
{
    (void)state;
    static const char *const bodies[] = {"",
                                         "{",
                                         "[]",
                                         "{}",
                                         "5",
                                         "{\"inputs\":{}}",
                                         "{\"inputs\":[]}",
                                         "{\"inputs\":[3]}",
                                         "{\"inputs\":[{\"name\":\"who\"}]}",
                                         "{\"inputs\":[{\"name\":\"who\",\"data\":[]}]}",
                                         "{\"inputs\":[{\"name\":\"who\",\"data\":[[[1]]]}]}",
                                         "{\"inputs\":[{\"name\":\"who\",\"data\":[null]}]}",
                                         "{\"inputs\":[{\"name\":\"a\",\"data\":[1]}]}",
                                         "{\"inputs\":[{\"name\":5,\"data\":[1]}]}",
                                         "{\"inputs\":[{\"name\":\"who\",\"data\":[1],}]}",
                                         "{\"outputs\":[{\"name\":\"who\",\"data\":[1]}]}"};
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        check_tensors(bodies[i], NULL, 0, NULL);
    }
    static const char *const binary[] = {BINARY("who", "BYTES", "3"),
                                         BINARY("who", "BYTES", "4"),
                                         BINARY("who", "BYTES", "9"),
                                         BINARY("who", "FP64", "4"),
                                         BINARY("who", "FP64", "-1"),
                                         BINARY("who", "FP64", "1e300"),
                                         BINARY("who", "NONE", "4"),
                                         BINARY("who", "FP32", "4"),
                                         BINARY("a", "BYTES", "5") "," BINARY("who", "BOOL", "1")};
    for (size_t i = 0; i < sizeof binary / sizeof *binary; i++) {
        char json[300];
        snprintf(json, sizeof json, "{\"inputs\":[%s]}", binary[i]);
        check_tensors(json, "\xff\xff\xff\x7f", 4, NULL); /* a length beyond all; NaN */
    }
}

/* One tensor of three columns, the second being the key's. */
static void a_tensor_of_all_columns_is_looked_into(void **state)
{
    (void)state;
    static const qn_route_place second = {1, 3}, unknown = {-1, 3}, last = {2, 3};
    static const char *const taken[] = {
        TENSOR("x", "FP64", "\"shape\":[2,3],\"data\":[[1,2.50,3],[4,5,6]]"),
        TENSOR("x", "FP64", "\"data\":[1,2.50,3,4,5,6],\"shape\":[2,3]"),
        TENSOR("who", "FP64", "\"shape\":[2],\"data\":[2.50,3]")};
    static const char *const passed_over[] = {
        TENSOR("x", "FP64", "\"shape\":[1,4],\"data\":[1,2,3,4]"),
        TENSOR("x", "FP64", "\"shape\":[3],\"data\":[1,2,3]"),
        TENSOR("x", "FP64", "\"shape\":[1,1,3],\"data\":[1,2,3]"),
        TENSOR("x", "FP64", "\"shape\":[1,\"3\"],\"data\":[1,2,3]"),
        TENSOR("x", "FP64", "\"shape\":[1,3],\"data\":[1]"),
        TENSOR("x", "FP64", "\"shape\":[1,3],\"data\":[[1],[2],[3]]"),
        TENSOR("x", "FP64", "\"shape\":[1,3],\"data\":[]"),
        TENSOR("x", "FP64", "\"shape\":[1,3],\"data\":[[]]"),
        TENSOR("x", "FP64", "\"shape\":[1,3],\"data\":[1,null,3]"),
        TENSOR("x", "FP64", "\"shape\":[1,3],\"data\":[1,2,3]") "," TENSOR(
            "y", "FP64", "\"shape\":[1,3],\"data\":[1,2,3]")};
    char json[300];
    for (size_t i = 0; i < sizeof taken / sizeof *taken; i++) {
        snprintf(json, sizeof json, "{\"inputs\":[%s]}", taken[i]);
        check_placed_tensors(json, NULL, 0, second, "2.50");
    }
    for (size_t i = 0; i < sizeof passed_over / sizeof *passed_over; i++) {
        snprintf(json, sizeof json, "{\"inputs\":[%s]}", passed_over[i]);
        check_placed_tensors(json, NULL, 0, second, NULL);
    }
    snprintf(json, sizeof json, "{\"inputs\":[%s]}", taken[0]);
    check_placed_tensors(json, NULL, 0, unknown, NULL);
#define MATRIX(type, bytes)                                                   \
    "{\"inputs\":[{\"name\":\"x\",\"datatype\":\"" type "\",\"shape\":[1,3]," \
    "\"parameters\":{\"binary_data_size\":" bytes "}}]}"
    check_placed_tensors(MATRIX("INT16", "6"), "\1\0\xfe\xff\3\0", 6, second, "-2");
    check_placed_tensors(MATRIX("INT16", "5"), "\1\0\xfe\xff\3", 5, last, NULL);
    check_placed_tensors(MATRIX("INT16", "6"), "\1\0\xfe\xff\3", 5, second, NULL);
    check_placed_tensors(MATRIX("BYTES", "15"), "\1\0\0\0a\2\0\0\0bc\0\0\0\0", 15, second, "bc");
    check_placed_tensors(MATRIX("BYTES", "15"), "\1\0\0\0a\2\0\0\0bc\0\0\0\0", 15, last, "");
    check_placed_tensors(MATRIX("BYTES", "8"), "\1\0\0\0a\2\0\0", 8, second, NULL);
    check_placed_tensors(MATRIX("BYTES", "9"), "\1\0\0\0a\2\0\0\0", 9, second, NULL);
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
    static const char *const bodies[] = {
        "{\"instances\":[{\"a\":\"x\\n\",\"who\":\"ann\"}]}",
        "a,\"who\"\r\n\"x \"\"y\"\"\",\"ann\"\r\n",
        "{\"columns\":[\"a\",\"who\"],\"data\":[[1,\"x\\n\"]]}",
        "{\"inputs\":[" TENSOR("a", "FP64", "\"data\":[1]") "," BINARY("who", "INT8", "1") "]}x",
        "{\"inputs\":[" TENSOR("a", "FP64", "\"shape\":[1,3],\"data\":[1,2,3]") "]}"};
    for (int i = 0; i < 5; i++) {
        for (size_t bytes = 0; bytes <= strlen(bodies[i]); bytes++) {
            qn_arena memory = {0};
            char *copy = malloc(bytes + 1);
            memcpy(copy + 1, bodies[i], bytes); /* ends where the memory ends */
            (void)qn_route_key_in_json((qn_span){copy + 1, bytes}, "who", &memory);
            (void)qn_route_key_in_csv((qn_span){copy + 1, bytes}, "who");
            for (size_t n_json = 0; n_json <= bytes; n_json += 7) {
                (void)qn_route_key_in_tensors((qn_span){copy + 1, bytes}, n_json, "who",
                                              (qn_route_place){1, 3}, &memory);
            }
            qn_arena_release(&memory);
            free(copy);
        }
    }
}

RUN_TESTS(TEST(json_is_looked_into), TEST(json_without_it_has_none), TEST(csv_is_looked_into),
          TEST(tensors_are_looked_into), TEST(tensors_without_it_have_none),
          TEST(a_tensor_of_all_columns_is_looked_into), TEST(csv_without_it_has_none),
          TEST(what_is_cut_short_is_safe))
