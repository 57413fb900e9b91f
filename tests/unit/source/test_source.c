/* SPDX-License-Identifier: Apache-2.0 */
/* JSON lines, SQLite, and the choice among sources. */
#include "source/connectors.h"

#include "base/alloc.h"
#include "check.h"

#include <stdlib.h>
#include <unistd.h>

static qn_status read_lines(const char *text, qn_frame **out, qn_error *err)
{
    const qn_read_request request = {.uri = "t.jsonl"};
    return qn_jsonl_read(&request, "t.jsonl", &(qn_content){.data = text, .bytes = strlen(text)},
                         out, NULL, err);
}

static void objects_become_columns_with_dotted_names(void **state)
{
    (void)state;
    qn_error err = {0};
    qn_frame *f = NULL;
    CHECK_OK(read_lines("{\"a\":1,\"b\":{\"c\":\"x\",\"d\":[1,\"]\"]},\"when\":\"2020-01-02\"}\n"
                        "{\"b\":{\"c\":\"y\\u00e9\\ud83d\\ude00\\n\"},\"e\":true,\"a\":2.5}\n\n",
                        &f, &err));
    CHECK_INT(qn_frame_n_rows(f), 2);
    CHECK_INT(qn_frame_n_cols(f), 5);
    CHECK_INT(qn_frame_type(f, qn_frame_find(f, "a")), QN_TYPE_FLOAT64);
    CHECK_INT(qn_frame_type(f, qn_frame_find(f, "when")), QN_TYPE_TIMESTAMP);
    CHECK_INT(qn_frame_type(f, qn_frame_find(f, "e")), QN_TYPE_BOOL);
    CHECK_INT(qn_frame_n_missing(f, qn_frame_find(f, "e")), 1);
    size_t bytes;
    char scratch[QN_VALUE_TEXT_BYTES];
    const qn_column *c = &f->columns[qn_frame_find(f, "b.c")];
    const char *text = qn_column_text(c, 1, scratch, &bytes);
    CHECK(bytes == 8 && memcmp(text, "y\xc3\xa9\xf0\x9f\x98\x80\n", 8) == 0);
    const qn_column *d = &f->columns[qn_frame_find(f, "b.d")];
    text = qn_column_text(d, 0, scratch, &bytes);
    CHECK(bytes == 7 && memcmp(text, "[1,\"]\"]", 7) == 0);
    qn_frame_free(f);
}

static void mixed_types_become_text(void **state)
{
    (void)state;
    qn_error err = {0};
    qn_frame *f = NULL;
    CHECK_OK(read_lines("{\"a\":1}\n{\"a\":\"x\"}\n{\"a\":true}\n{\"a\":2.5}\n{\"a\":null}\n", &f,
                        &err));
    CHECK_INT(qn_frame_type(f, 0), QN_TYPE_STRING);
    CHECK_INT(qn_frame_n_missing(f, 0), 1);
    static const char *const texts[] = {"1", "x", "true", "2.5"};
    for (int64_t row = 0; row < 4; row++) {
        char scratch[QN_VALUE_TEXT_BYTES];
        size_t bytes;
        const char *text = qn_column_text(&f->columns[0], row, scratch, &bytes);
        CHECK(bytes == strlen(texts[row]) && memcmp(text, texts[row], bytes) == 0);
    }
    qn_frame_free(f);
}

static void what_is_no_json_is_refused_with_its_place(void **state)
{
    (void)state;
    static const struct {
        const char *text, *place;
    } cases[] = {{"{\"a\":1\n", "t.jsonl:1:7:"},  {"{\"a\":1}\n{\"a\"1}\n", "t.jsonl:2:5:"},
                 {"{a:1}\n", "t.jsonl:1:2:"},     {"{\"a\":\"\\q\"}\n", "unknown escape"},
                 {"{\"a\":\"\t\"}\n", "control"}, {"{\"a\":01x}\n", "t.jsonl:1:"},
                 {"{\"a\":[1,}]}\n", "bracket"},  {"{\"a\":\"\\u12g4\"}\n", "hex"},
                 {"{\"a\":-}\n", "number"},       {"{\"a\":1}}\n", "one JSON object"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        qn_error err = {0};
        qn_frame *f = NULL;
        CHECK_FAILS(QN_ERR_DATA, read_lines(cases[i].text, &f, &err));
        CHECK_CONTAINS(err.message, cases[i].place);
        CHECK(f == NULL);
    }
}

static void lines_survive_running_out_of_memory(void **state)
{
    (void)state;
    qn_frame *f = NULL;
    CHECK_SURVIVES_NO_MEMORY(read_lines(
        "{\"a\":1,\"b\":{\"c\":\"x\"}}\n{\"a\":\"y\",\"d\":\"2020-01-01\"}\n", &f, NULL));
    qn_frame_free(f);
}

static void sqlite_gives_tables_and_queries(void **state)
{
    (void)state;
    char path[] = "/tmp/quern-sqlite-XXXXXX", command[256], uri[128];
    const int fd = mkstemp(path);
    CHECK(fd >= 0);
    close(fd);
    snprintf(
        command, sizeof command,
        "sqlite3 %s \"CREATE TABLE \\\"my t\\\"(a INT, b TEXT, c REAL); INSERT INTO \\\"my t\\\" "
        "VALUES(1,'x',1.5),(2,NULL,2),(3,'z',NULL)\" 2>/dev/null",
        path);
    if (system(command) != 0) {
        unlink(path);
        print_message("skipped: the sqlite3 program is not installed\n");
        skip();
    }
    qn_error err = {0};
    qn_frame *f = NULL;
    snprintf(uri, sizeof uri, "sqlite:%s?table=my%%20t", path);
    CHECK_OK(qn_frame_read(uri, 1, &f, &err));
    CHECK_INT(qn_frame_n_rows(f), 3);
    CHECK_INT(qn_frame_type(f, 0), QN_TYPE_INT64);
    CHECK_INT(qn_frame_n_missing(f, 1), 1);
    CHECK_INT(qn_frame_type(f, 2), QN_TYPE_FLOAT64);
    qn_frame_free(f);
    snprintf(uri, sizeof uri, "sqlite:%s?query=SELECT a*2 AS twice FROM 'my t'", path);
    CHECK_OK(qn_frame_read(uri, 1, &f, &err));
    CHECK_TEXT(qn_frame_name(f, 0), "twice");
    qn_frame_free(f);
    snprintf(uri, sizeof uri, "sqlite:%s?query=SELEC", path);
    CHECK_FAILS(QN_ERR_DATA, qn_frame_read(uri, 1, &f, &err));
    snprintf(uri, sizeof uri, "sqlite:%s", path);
    CHECK_FAILS(QN_ERR_ARG, qn_frame_read(uri, 1, &f, &err));
    CHECK_FAILS(QN_ERR_IO, qn_frame_read("sqlite:/nowhere.db?table=t", 1, &f, &err));
    unlink(path);
}

static void unknown_schemes_and_missing_files_are_named(void **state)
{
    (void)state;
    qn_error err = {0};
    qn_frame *f = NULL;
    CHECK_FAILS(QN_ERR_UNSUPPORTED, qn_frame_read("s3://bucket/key.csv", 1, &f, &err));
    CHECK_CONTAINS(err.message, "s3://bucket/key.csv");
    CHECK_FAILS(QN_ERR_IO, qn_frame_read("/nowhere.csv", 1, &f, &err));
    CHECK_CONTAINS(err.message, "/nowhere.csv");
}

RUN_TESTS(TEST(objects_become_columns_with_dotted_names), TEST(mixed_types_become_text),
          TEST(what_is_no_json_is_refused_with_its_place),
          TEST(lines_survive_running_out_of_memory), TEST(sqlite_gives_tables_and_queries),
          TEST(unknown_schemes_and_missing_files_are_named))
