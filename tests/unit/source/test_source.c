/* SPDX-License-Identifier: Apache-2.0 */
/* JSON lines, and the choice among sources. */
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
    static const char text[] =
        "{\"a\":1,\"b\":{\"c\":\"x\"}}\n{\"a\":\"y\",\"d\":\"2020-01-01\"}\n";
    CHECK_SURVIVES_NO_MEMORY_RELEASING(read_lines(text, &f, NULL), qn_frame_free(f));
    qn_frame_free(f);
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

static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "wb");
    CHECK(file && fputs(text, file) >= 0);
    fclose(file);
}

static void the_first_bytes_choose_the_format(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t n_cols;
    } cases[] = {{"{\"a\":1}\n", 1},
                 {" \t\r\n{\"a\":1}\n", 1},
                 {"\xef\xbb\xbf{\"a\":1,\"b\":2}\n", 2},
                 {"a,{b\n1,2\n", 2},
                 {"a,b,c\n1,2,3\n", 3}};
    char folder[] = "/tmp/quern-source-XXXXXX", path[64], uri[80];
    CHECK(mkdtemp(folder) != NULL);
    snprintf(path, sizeof path, "%s/table", folder);
    snprintf(uri, sizeof uri, "file://%s", path);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        qn_error err = {0};
        qn_frame *f = NULL;
        write_file(path, cases[i].text);
        CHECK_OK(qn_frame_read(i % 2 ? uri : path, 1, &f, &err));
        CHECK_INT(qn_frame_n_cols(f), cases[i].n_cols);
        CHECK_INT(qn_frame_n_rows(f), 1);
        CHECK_TEXT(f->source, path);
        qn_frame_free(f);
    }
    qn_error err = {0};
    qn_frame *f = NULL;
    write_file(path, "  \n");
    CHECK_FAILS(QN_ERR_DATA, qn_frame_read(path, 1, &f, &err));
    CHECK_CONTAINS(err.message, path);
    unlink(path);
    rmdir(folder);
}

/* "a:b" and "://" far behind are names of files, not of schemes. */
static void a_colon_alone_makes_no_scheme(void **state)
{
    (void)state;
    static const char *const paths[] = {"sqlite", "/nowhere/a:b.csv", "/nowhere/and/farther/x://y"};
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        qn_error err = {0};
        qn_frame *f = NULL;
        CHECK_FAILS(QN_ERR_IO, qn_frame_read(paths[i], 1, &f, &err));
        CHECK_CONTAINS(err.message, paths[i]);
    }
}

static void standard_input_is_a_table_too(void **state)
{
    (void)state;
    qn_error err = {0};
    qn_frame *f = NULL;
    int ends[2];
    CHECK_INT(pipe(ends), 0);
    CHECK_INT(write(ends[1], "a,b\n1,2\n3\n", 10), 10);
    close(ends[1]);
    const int saved = dup(STDIN_FILENO);
    dup2(ends[0], STDIN_FILENO);
    close(ends[0]);
    const qn_status status = qn_frame_read("-", 1, &f, &err);
    dup2(saved, STDIN_FILENO);
    close(saved);
    CHECK_INT(status, QN_ERR_DATA);
    CHECK_CONTAINS(err.message, "standard input:3:1: found 1 field");
}

static void a_file_survives_running_out_of_memory(void **state)
{
    (void)state;
    char path[] = "/tmp/quern-source-XXXXXX";
    const int fd = mkstemp(path);
    CHECK(fd >= 0);
    close(fd);
    write_file(path, "a,b\n1,x\n2,y\n");
    qn_frame *f = NULL;
    CHECK_SURVIVES_NO_MEMORY_RELEASING(qn_frame_read(path, 1, &f, NULL), qn_frame_free(f));
    qn_frame_free(f);
    unlink(path);
}

RUN_TESTS(TEST(objects_become_columns_with_dotted_names), TEST(mixed_types_become_text),
          TEST(what_is_no_json_is_refused_with_its_place),
          TEST(lines_survive_running_out_of_memory),
          TEST(unknown_schemes_and_missing_files_are_named),
          TEST(the_first_bytes_choose_the_format), TEST(a_colon_alone_makes_no_scheme),
          TEST(standard_input_is_a_table_too), TEST(a_file_survives_running_out_of_memory))
