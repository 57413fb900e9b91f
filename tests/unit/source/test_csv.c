/* SPDX-License-Identifier: Apache-2.0 */
#include "source/csv.h"

#include "base/alloc.h"
#include "check.h"

#include <stdlib.h>

static qn_frame *read_text(const char *text)
{
    qn_error err = {0};
    qn_frame *frame = NULL;
    const qn_read_request request = {.uri = "t.csv"};
    CHECK_OK(qn_csv_read(&request, "t.csv", &(qn_content){.data = text, .bytes = strlen(text)},
                         &frame, NULL, &err));
    return frame;
}

static void check_text(const qn_frame *frame, int64_t col, int64_t row, const char *expected)
{
    char scratch[QN_VALUE_TEXT_BYTES];
    size_t bytes;
    if (!expected) {
        CHECK(qn_column_is_missing(&frame->columns[col], row));
        return;
    }
    CHECK(!qn_column_is_missing(&frame->columns[col], row));
    const char *text = qn_column_text(&frame->columns[col], row, scratch, &bytes);
    if (bytes != strlen(expected) || memcmp(text, expected, bytes) != 0) {
        fail_msg("row %d of column %d is '%.*s', not '%s'", (int)row, (int)col, (int)bytes, text,
                 expected);
    }
}

static void types_are_guessed_from_every_row(void **state)
{
    (void)state;
    qn_frame *f = read_text("i,d,b,s,t,e\n1,1.5,true,x,2020-01-31,\n-2,2,FALSE,y,2020-02-01,\n");
    static const qn_type types[] = {QN_TYPE_INT64,  QN_TYPE_FLOAT64,   QN_TYPE_BOOL,
                                    QN_TYPE_STRING, QN_TYPE_TIMESTAMP, QN_TYPE_FLOAT64};
    for (int64_t col = 0; col < 6; col++) {
        CHECK_INT(qn_frame_type(f, col), types[col]);
    }
    check_text(f, 0, 1, "-2");
    check_text(f, 1, 0, "1.5");
    check_text(f, 2, 1, "false");
    check_text(f, 4, 1, "2020-02-01");
    check_text(f, 5, 0, NULL);
    qn_frame_free(f);
}

/* 3,000 rows of numbers, then a text: the type must change and no value may be lost. */
static void a_late_value_widens_its_column_and_loses_nothing(void **state)
{
    (void)state;
    qn_str text = {0};
    qn_str_add(&text, "a,b,c\n");
    for (int i = 0; i < 3000; i++) {
        qn_str_addf(&text, "%d,%d,%d\n", i, i, i);
    }
    qn_str_add(&text, "3000.5,x,99999999999999999999\n");
    qn_frame *f = read_text(text.text);
    CHECK_INT(qn_frame_type(f, 0), QN_TYPE_FLOAT64);
    CHECK_INT(qn_frame_type(f, 1), QN_TYPE_STRING);
    CHECK_INT(qn_frame_type(f, 2), QN_TYPE_STRING);
    check_text(f, 0, 3000, "3000.5");
    check_text(f, 1, 2999, "2999");
    check_text(f, 1, 3000, "x");
    check_text(f, 2, 3000, "99999999999999999999");
    qn_frame_free(f);
    qn_str_release(&text);
}

static void markers_are_missing_and_listed(void **state)
{
    (void)state;
    qn_frame *f = read_text("n,s\n1,NA\n?,x\n-,-\n4,None\n");
    CHECK_INT(qn_frame_type(f, 0), QN_TYPE_INT64);
    CHECK_INT(qn_frame_n_missing(f, 0), 2);
    CHECK_TEXT(f->columns[0].markers, "?,-");
    check_text(f, 1, 0, NULL);
    check_text(f, 1, 2, "-");    /* a level among texts */
    check_text(f, 1, 3, "None"); /* likewise */
    qn_frame_free(f);
}

static void quotes_hold_delimiters_newlines_and_quotes(void **state)
{
    (void)state;
    qn_frame *f =
        read_text("a,b\n\"x,1\",\"say \"\"hi\"\"\"\n\"two\nlines\",  trimmed  \n\" kept \",z\n");
    check_text(f, 0, 0, "x,1");
    check_text(f, 1, 0, "say \"hi\"");
    check_text(f, 0, 1, "two\nlines");
    check_text(f, 1, 1, "trimmed");
    check_text(f, 0, 2, " kept ");
    qn_frame_free(f);
}

static void dates_of_one_column_agree_on_their_order(void **state)
{
    (void)state;
    qn_frame *f = read_text("us,eu,stamp\n01/02/2020,01/02/2020,2020-05-01T10:30:00Z\n"
                            "12/31/2020,31/12/2020,2020-05-01 12:30:00+02:00\n");
    check_text(f, 0, 0, "2020-01-02");
    check_text(f, 1, 0, "2020-02-01");
    check_text(f, 2, 0, "2020-05-01T10:30:00");
    check_text(f, 2, 1, "2020-05-01T10:30:00");
    qn_frame_free(f);
}

static void dialects_are_told_by_their_look(void **state)
{
    (void)state;
    static const char *const texts[] = {"a;b\n1,5;2\n2,5;3\n", "a\tb\n1\t2\n", "a|b\r\n1|2\r\n",
                                        ("\xef\xbb\xbf"
                                         "a,b\r1,2\r3,4")};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        qn_frame *f = read_text(texts[i]);
        CHECK_INT(qn_frame_n_cols(f), 2);
        CHECK_TEXT(qn_frame_name(f, 0), "a");
        CHECK_TEXT(qn_frame_name(f, 1), "b");
        qn_frame_free(f);
    }
    qn_frame *f = read_text("1,2\n3,4\n5,6\n");
    CHECK_INT(qn_frame_n_rows(f), 3); /* numbers above numbers are no header */
    CHECK_TEXT(qn_frame_name(f, 1), "column_2");
    qn_frame_free(f);
}

static void a_name_that_is_asked_for_tells_the_header(void **state)
{
    (void)state;
    static const char text[] = "x,y\nred,y\nred,n\nx,y\n";
    const qn_content content = {.data = text, .bytes = sizeof text - 1};
    qn_error err = {0};
    qn_frame *f = read_text(text);
    CHECK_INT(qn_frame_n_rows(f), 4); /* nothing in its look says header */
    qn_frame_free(f);
    CHECK_OK(qn_csv_read(&(qn_read_request){.uri = "t.csv", .named = "y"}, "t.csv", &content, &f,
                         NULL, &err));
    CHECK_INT(qn_frame_n_rows(f), 3);
    CHECK_TEXT(qn_frame_name(f, 1), "y");
    qn_frame_free(f);
    CHECK_OK(qn_csv_read(&(qn_read_request){.uri = "t.csv", .named = "z"}, "t.csv", &content, &f,
                         NULL, &err));
    CHECK_INT(qn_frame_n_rows(f), 4);
    qn_frame_free(f);
}

/* Quoted newlines everywhere, long enough for many chunks: the same frame on any number of
 * threads. Stray quotes mislead the cutting into chunks, and must not change the result either. */
static void threads_do_not_change_what_is_read(void **state)
{
    (void)state;
    for (int stray = 0; stray < 2; stray++) {
        qn_str text = {0};
        uint64_t hashes[3];
        qn_str_add(&text, "id,note,x,when\n");
        for (int i = 0; i < 60000; i++) {
            qn_str_addf(&text, "%d,\"note %d\nsecond, \"\"line\"\"\",%d.%d,2020-01-%02d\n", i,
                        i % 97, i % 13, i % 7, i % 28 + 1);
            if (stray && i % 1001 == 5) qn_str_add(&text, "7,5\" pipe,1.5,2020-01-01\n");
        }
        for (int n_threads = 1; n_threads <= 3; n_threads++) {
            qn_error err = {0};
            qn_pool *pool = qn_pool_create(n_threads);
            const qn_read_request request = {.uri = "t.csv", .pool = pool};
            qn_frame *frame = NULL;
            CHECK_OK(qn_csv_read(&request, "t.csv",
                                 &(qn_content){.data = text.text, .bytes = text.bytes}, &frame,
                                 NULL, &err));
            CHECK_INT(qn_frame_n_rows(frame), stray ? 60060 : 60000);
            hashes[n_threads - 1] = qn_frame_hash(frame);
            qn_frame_free(frame);
            qn_pool_free(pool);
        }
        CHECK(hashes[0] == hashes[1] && hashes[1] == hashes[2]);
        qn_str_release(&text);
    }
}

static void a_schema_gives_types_unless_the_data_contradict(void **state)
{
    (void)state;
    qn_error err = {0};
    char zip[] = "zip", n[] = "n", m[] = "m";
    qn_schema_column columns[] = {
        {.name = zip, .type = QN_TYPE_STRING, .kind = QN_KIND_CATEGORICAL},
        {.name = n, .type = QN_TYPE_FLOAT64, .kind = QN_KIND_NUMERIC},
        {.name = m, .type = QN_TYPE_INT64, .kind = QN_KIND_NUMERIC}};
    const qn_schema schema = {.n_cols = 3, .columns = columns, .target = -1};
    const qn_read_request request = {.uri = "t.csv", .schema = &schema};
    qn_frame *f = NULL;
    CHECK_OK(qn_csv_read(&request, "t.csv",
                         &(qn_content){.data = "zip,n,m\n01,1,1\n02,2,x\n", .bytes = 22}, &f, NULL,
                         &err));
    CHECK_INT(qn_frame_type(f, 0), QN_TYPE_STRING);
    CHECK_INT(qn_frame_type(f, 1), QN_TYPE_FLOAT64);
    CHECK_INT(qn_frame_type(f, 2), QN_TYPE_STRING);
    check_text(f, 0, 0, "01");
    qn_frame_free(f);
}

static void invalid_utf8_is_replaced_and_reported(void **state)
{
    (void)state;
    qn_error err = {0};
    qn_frame *f = NULL;
    qn_str warnings = {0};
    const qn_read_request request = {.uri = "t.csv"};
    const char *text = "a,b\ncaf\xe9,1\nx\xff\xfe,2\n";
    CHECK_OK(qn_csv_read(&request, "t.csv", &(qn_content){.data = text, .bytes = strlen(text)}, &f,
                         &warnings, &err));
    CHECK_CONTAINS(warnings.text, "t.csv:2:1: 2 values are not UTF-8");
    check_text(f, 0, 0, "caf\xef\xbf\xbd");
    check_text(f, 0, 1, "x\xef\xbf\xbd\xef\xbf\xbd");
    qn_frame_free(f);
    qn_str_release(&warnings);
}

static void reading_survives_running_out_of_memory(void **state)
{
    (void)state;
    static const char text[] = "a,b,c\n1,x,2020-01-01\n2,\"y\"\"\",2020-01-02\nz,caf\xe9,NA\n";
    const qn_read_request request = {.uri = "t.csv"};
    qn_frame *f = NULL;
    const qn_content content = {.data = text, .bytes = sizeof text - 1};
    CHECK_SURVIVES_NO_MEMORY_RELEASING(qn_csv_read(&request, "t.csv", &content, &f, NULL, NULL),
                                       qn_frame_free(f));
    qn_frame_free(f);
}

RUN_TESTS(TEST(types_are_guessed_from_every_row),
          TEST(a_late_value_widens_its_column_and_loses_nothing),
          TEST(markers_are_missing_and_listed), TEST(quotes_hold_delimiters_newlines_and_quotes),
          TEST(dates_of_one_column_agree_on_their_order), TEST(dialects_are_told_by_their_look),
          TEST(a_name_that_is_asked_for_tells_the_header), TEST(threads_do_not_change_what_is_read),
          TEST(a_schema_gives_types_unless_the_data_contradict),
          TEST(invalid_utf8_is_replaced_and_reported), TEST(reading_survives_running_out_of_memory))
