/* SPDX-License-Identifier: Apache-2.0 */
/* Delimited text that is wrong or odd: every message with its line and column, and the same frame
 * or message however the text is cut into chunks. */
#include "source/csv.h"

#include "check.h"

#include <stdlib.h>

static qn_status read_as(const qn_read_request *request, const char *text, size_t bytes,
                         qn_frame **out, qn_str *warnings, qn_error *err)
{
    return qn_csv_read(request, "t.csv", &(qn_content){.data = text, .bytes = bytes}, out, warnings,
                       err);
}

static qn_frame *read_text(const char *text)
{
    qn_error err = {0};
    qn_frame *frame = NULL;
    CHECK_OK(read_as(&(qn_read_request){.uri = "t.csv"}, text, strlen(text), &frame, NULL, &err));
    return frame;
}

static void check_text(const qn_frame *frame, int64_t col, int64_t row, const char *expected)
{
    char scratch[QN_VALUE_TEXT_BYTES];
    size_t bytes;
    CHECK(!qn_column_is_missing(&frame->columns[col], row));
    const char *text = qn_column_text(&frame->columns[col], row, scratch, &bytes);
    if (bytes != strlen(expected) || memcmp(text, expected, bytes) != 0) {
        fail_msg("row %d of column %d is '%.*s', not '%s'", (int)row, (int)col, (int)bytes, text,
                 expected);
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
    } cases[] = {CASE("", "t.csv: the file is empty"),
                 CASE("\xef\xbb\xbf", "t.csv: the file is empty"),
                 CASE("\r\n\r\n", "t.csv: the file is empty"),
                 CASE("\xff\xfe"
                      "a\0,\0",
                      "UTF-16"),
                 CASE("\xfe\xff\0a", "UTF-16"),
                 CASE("a,b\n", "there is a header and no row"),
                 CASE("a,b", "there is a header and no row"),
                 CASE("a,b\n\n\r\n", "there is a header and no row"),
                 CASE("a,\"b\n1,2\n", "t.csv:1:3: a quote opens here"),
                 CASE("\"a\"x,b\n1,2\n", "t.csv:1:4: found text after a closing quote"),
                 CASE("a,\0b\n1,2\n", "t.csv:1:3: found a zero byte"),
                 CASE("a,\"b\0\"\n1,2\n", "t.csv:1:5: found a zero byte"),
                 CASE("a,b\n1,\"2\n3,4\n", "t.csv:2:3: a quote opens here"),
                 CASE("a,b\n1,\"2\" x\n", "t.csv:2:7: found text after a closing quote"),
                 CASE("a,b\n1,\"2\"\"\" \"\n", "t.csv:2:9: found text after a closing quote"),
                 CASE("a,b\n1,2\n3,x\0y\n", "t.csv:3:4: found a zero byte"),
                 CASE("a,b\n1,2\n3,\"x\0\"\n", "t.csv:3:5: found a zero byte"),
                 CASE("a,b\n1,2\n3\n", "t.csv:3:1: found 1 field, expected 2"),
                 CASE("a,b,c\n1,2,3\n3,4\n", "t.csv:3:1: found 2 fields, expected 3"),
                 CASE("a,b\n1,2\n3,4,5\n", "t.csv:3:5: found more than 2 fields, expected 2"),
                 CASE("a,b\n1,2\n3,\n\n5,6,", "t.csv:5:5: found more than 2 fields"),
                 CASE("a\tb\n1\t2\n3\n", "(delimiter 'tab')"),
                 CASE("\n\n\na,b\n1\n", "t.csv:5:1: found 1 field"),
                 CASE("\xef\xbb\xbf\n\na,\"b\n1,2\n", "t.csv:3:3: a quote opens here"),
                 CASE("a,b\r1,2\r3\r", "t.csv:3:1: found 1 field"),
                 CASE("a,b\r\n\"x\ny\",2\r\n3\r\n", "t.csv:4:1: found 1 field")};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        qn_error err = {0};
        qn_frame *f = NULL;
        const qn_read_request request = {.uri = "t.csv"};
        CHECK_FAILS(QN_ERR_DATA, read_as(&request, cases[i].text, cases[i].bytes, &f, NULL, &err));
        CHECK_CONTAINS(err.message, cases[i].says);
        CHECK(f == NULL);
        CHECK_INT(err.status, QN_ERR_DATA);
        CHECK_FAILS(QN_ERR_DATA, read_as(&request, cases[i].text, cases[i].bytes, &f, NULL, NULL));
    }
}

static void the_caller_may_know_better_than_the_sniffing(void **state)
{
    (void)state;
    qn_error err = {0};
    qn_frame *f = NULL;
    const char *text = "a;b,c\n1;2,3\n";
    CHECK_OK(read_as(&(qn_read_request){.uri = "t", .delimiter = ';'}, text, 12, &f, NULL, &err));
    check_text(f, 1, 0, "2,3");
    qn_frame_free(f);
    CHECK_OK(
        read_as(&(qn_read_request){.uri = "t", .header = -1}, "a,b\n1,2\n", 8, &f, NULL, &err));
    CHECK_INT(qn_frame_n_rows(f), 2);
    CHECK_TEXT(qn_frame_name(f, 0), "column_1");
    qn_frame_free(f);
    CHECK_OK(read_as(&(qn_read_request){.uri = "t", .header = 1}, "5,6\n1,2\n", 8, &f, NULL, &err));
    CHECK_INT(qn_frame_n_rows(f), 1);
    CHECK_TEXT(qn_frame_name(f, 1), "6");
    qn_frame_free(f);
    CHECK_OK(read_as(&(qn_read_request){.uri = "t", .markers = "9,x"}, "a,b\n9,NA\n1,x\n", 13, &f,
                     NULL, &err));
    CHECK(qn_column_is_missing(&f->columns[0], 0) && qn_column_is_missing(&f->columns[1], 1));
    check_text(f, 1, 0, "NA");
    qn_frame_free(f);
    char marker[300];
    memset(marker, 'x', sizeof marker - 1);
    marker[sizeof marker - 1] = '\0';
    CHECK_FAILS(QN_ERR_ARG, read_as(&(qn_read_request){.uri = "t", .markers = marker}, text, 12, &f,
                                    NULL, &err));
}

static void headers_are_told_from_rows(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t n_rows;
    } cases[] = {{"a,b\nc,d\n", 1},         {"a,b\na,d\n", 2},  {"x,1\ny,2\nx,3\n", 3},
                 {"name,1\ny,2\nz,3\n", 3}, {"a,\n1,2\n", 1},   {"2020-01-01\n2020-01-02\n", 2},
                 {"when\n2020-01-02\n", 1}, {"a\n", 0},         {"true\nfalse\n", 2},
                 {"a,2020\nb,5\nc,6\n", 3}, {"a b\n\n\n7\n", 3}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        qn_frame *f = NULL;
        const qn_read_request request = {.uri = "t"};
        const qn_status status =
            read_as(&request, cases[i].text, strlen(cases[i].text), &f, NULL, NULL);
        if (cases[i].n_rows == 0) {
            CHECK_INT(status, QN_ERR_DATA);
        } else {
            CHECK_INT(status, QN_OK);
            if (qn_frame_n_rows(f) != cases[i].n_rows) {
                fail_msg("'%s' has %d rows", cases[i].text, (int)qn_frame_n_rows(f));
            }
        }
        qn_frame_free(f);
    }
}

static void no_two_columns_have_one_name(void **state)
{
    (void)state;
    qn_error err = {0};
    qn_frame *f = NULL;
    qn_str warnings = {0};
    const char *text = "a_2,a,a,a,column_5,,\"q\"\"q\",\n1,2,3,4,5,6,7,8\n";
    CHECK_OK(read_as(&(qn_read_request){.uri = "t", .header = 1}, text, strlen(text), &f, &warnings,
                     &err));
    static const char *const names[] = {"a_2",      "a",        "a_3",  "a_4",
                                        "column_5", "column_6", "q\"q", "column_8"};
    for (int64_t col = 0; col < 8; col++) {
        CHECK_TEXT(qn_frame_name(f, col), names[col]);
        CHECK_INT(qn_frame_find(f, names[col]), col);
    }
    CHECK_CONTAINS(warnings.text, "t.csv: column 3 is a second 'a'; it is called 'a_3' here\n");
    qn_frame_free(f);
    qn_str_release(&warnings);
}

static void names_that_are_not_utf8_are_repaired(void **state)
{
    (void)state;
    qn_frame *f = read_text("caf\xe9,\"x\"\"\xff\"\n1,2\n");
    CHECK_TEXT(qn_frame_name(f, 0), "caf\xef\xbf\xbd");
    CHECK_TEXT(qn_frame_name(f, 1), "x\"\xef\xbf\xbd");
    qn_frame_free(f);
}

/* A CR alone is a byte like any other where lines end in LF; behind a number too. */
static void a_lone_cr_does_not_end_a_record(void **state)
{
    (void)state;
    qn_frame *f = read_text("a,b,c\n1,5\r9,x\r\n2,6,\"y\"\r\n3.5,7\r,z\r\r\n");
    CHECK_INT(qn_frame_n_rows(f), 3);
    check_text(f, 1, 0, "5\r9");
    check_text(f, 0, 2, "3.5");
    check_text(f, 1, 2, "7\r");
    check_text(f, 2, 0, "x");
    check_text(f, 2, 2, "z\r");
    qn_frame_free(f);
}

static void a_value_is_one_type_wherever_it_stands(void **state)
{
    (void)state;
    /* In the sample and far behind it; below a column that began as whole numbers or as others. */
    static const struct {
        const char *first, *late;
        qn_type type;
    } cases[] = {{"1", "00123", QN_TYPE_STRING},
                 {"1.5", "00123", QN_TYPE_STRING},
                 {"1", "-9223372036854775808", QN_TYPE_STRING},
                 {"1.5", "-9223372036854775808", QN_TYPE_STRING},
                 {"1", ".5", QN_TYPE_FLOAT64},
                 {"1.5", "7", QN_TYPE_FLOAT64},
                 {"1.5", "12345678901234567890", QN_TYPE_STRING},
                 {"1", "12345678901234567890.5", QN_TYPE_FLOAT64},
                 {"1.5", "9007199254740993", QN_TYPE_FLOAT64},
                 {"1", "1e999", QN_TYPE_STRING},
                 {"1", "x", QN_TYPE_STRING},
                 {"true", "0", QN_TYPE_STRING},
                 {"true", "False", QN_TYPE_BOOL},
                 {"1/2/2020", "31/12/2020", QN_TYPE_TIMESTAMP},
                 {"12/31/2020", "31/12/2020", QN_TYPE_STRING},
                 {"31/12/2020", "12/31/2020", QN_TYPE_STRING},
                 {"2020-01-01", "1/2/2020", QN_TYPE_STRING},
                 {"NA", "3", QN_TYPE_INT64},
                 {"-", "3", QN_TYPE_INT64},
                 {"NA", "2020-01-01", QN_TYPE_TIMESTAMP}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        for (int n_before = 1; n_before < 1000; n_before += 998) {
            for (int turned = 0; turned < 2; turned++) {
                qn_str text = {0};
                qn_str_add(&text, "x,y\n");
                for (int row = 0; row < n_before; row++) {
                    qn_str_addf(&text, "%s,1\n", turned ? cases[i].late : cases[i].first);
                }
                qn_str_addf(&text, "%s,1\n", turned ? cases[i].first : cases[i].late);
                qn_frame *f = read_text(text.text);
                if (qn_frame_type(f, 0) != cases[i].type) {
                    fail_msg("%s with %s is of type %d", cases[i].first, cases[i].late,
                             (int)qn_frame_type(f, 0));
                }
                CHECK_INT(qn_frame_n_rows(f), n_before + 1);
                qn_frame_free(f);
                qn_str_release(&text);
            }
        }
    }
}

struct outcome {
    qn_status status;
    uint64_t hash;
    qn_error err;
    qn_str warnings;
};

static struct outcome outcome_of(const qn_str *text, qn_pool *pool, size_t chunk_bytes)
{
    struct outcome o = {0};
    qn_frame *f = NULL;
    const qn_read_request request = {.uri = "t.csv", .pool = pool, .chunk_bytes = chunk_bytes};
    o.status = read_as(&request, text->text, text->bytes, &f, &o.warnings, &o.err);
    if (o.status == QN_OK) o.hash = qn_frame_hash(f);
    qn_frame_free(f);
    return o;
}

/* Records of every kind, drawn at random; `faulty` adds stray quotes, short records and the like.
 */
static void draw_text(uint64_t *draw, bool faulty, qn_str *text)
{
    static const char *const good[] = {"1,2.5,abc\n",
                                       "2,,\"a,b\"\n",
                                       "3,7,\"line\nbreak\"\n",
                                       "4,.5,\"say \"\"x\"\"\"\r\n",
                                       "5,1e3,caf\xe9\n",
                                       "6,NA,caf\xff\n",
                                       "\n",
                                       "7,-,\" \"\n",
                                       "8,2,\"\n\n\"\"\n\"\n",
                                       "9,3,\xff\xfe\n",
                                       "10, 4 , x \n",
                                       "11,5,\"\"\n"};
    static const char *const bad[] = {"1,2,5\" pipe\n", "1,2,\"\"x\n",   "1,2\n", "1,2,3,4\n",
                                      "x,y,\"z\n",      "1,2,a\"b\"c\n", "\"\n",  "1,\",\"\n"};
    qn_str_add(text, "i,d,s\n");
    for (int row = 0; row < 60; row++) {
        *draw = *draw * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        const unsigned drawn = (unsigned)(*draw >> 40);
        if (faulty && drawn % 41 == 0) {
            qn_str_add(text, bad[drawn / 64 % (sizeof bad / sizeof *bad)]);
        } else {
            qn_str_add(text, good[drawn / 64 % (sizeof good / sizeof *good)]);
        }
    }
}

static void chunks_do_not_change_what_is_read(void **state)
{
    (void)state;
    qn_pool *pool = qn_pool_create(2);
    uint64_t draw = 1;
    int n_ok = 0, n_refused = 0;
    for (int i = 0; i < 600; i++) {
        qn_str text = {0};
        draw_text(&draw, i % 2 == 1, &text);
        struct outcome whole = outcome_of(&text, NULL, text.bytes + 1);
        for (size_t chunk_bytes = 64; chunk_bytes < text.bytes; chunk_bytes *= 2) {
            struct outcome parts = outcome_of(&text, pool, chunk_bytes);
            CHECK_INT(parts.status, whole.status);
            CHECK(parts.hash == whole.hash);
            CHECK_TEXT(parts.err.message, whole.err.message);
            CHECK_TEXT(parts.warnings.text ? parts.warnings.text : "",
                       whole.warnings.text ? whole.warnings.text : "");
            qn_str_release(&parts.warnings);
        }
        n_ok += whole.status == QN_OK;
        n_refused += whole.status == QN_ERR_DATA;
        qn_str_release(&whole.warnings);
        qn_str_release(&text);
    }
    CHECK(n_ok > 300 && n_refused > 50);
    qn_pool_free(pool);
}

/* Two texts that differ in wrong bytes alone are one text once those are replaced. */
static void texts_alike_after_repair_are_one(void **state)
{
    (void)state;
    qn_error err = {0};
    qn_frame *f = NULL;
    qn_str warnings = {0};
    const char *text =
        "s,n\n\"x\xff\"\"\",1\n\"x\xfe\"\"\",2\n,3\nx\xef\xbf\xbd,4\nx\xff,5\n\"y\",6\n";
    CHECK_OK(read_as(&(qn_read_request){.uri = "t"}, text, strlen(text), &f, &warnings, &err));
    CHECK_INT(f->columns[0].dictionary.n, 3);
    check_text(f, 0, 0, "x\xef\xbf\xbd\"");
    check_text(f, 0, 1, "x\xef\xbf\xbd\"");
    check_text(f, 0, 3, "x\xef\xbf\xbd");
    check_text(f, 0, 4, "x\xef\xbf\xbd");
    CHECK_INT(qn_frame_n_missing(f, 0), 1);
    CHECK_CONTAINS(warnings.text, "t.csv:2:2: 3 values are not UTF-8");
    qn_frame_free(f);
    qn_str_release(&warnings);
}

static void a_long_text_with_doubled_quotes_is_kept_whole(void **state)
{
    (void)state;
    qn_str text = {0};
    qn_str_add(&text, "s,n\n\"");
    for (int i = 0; i < 1000; i++) {
        qn_str_add(&text, "ab\"\"");
    }
    qn_str_add(&text, "\",1\n");
    qn_frame *f = read_text(text.text);
    size_t bytes;
    const char *kept = qn_dictionary_text(&f->columns[0].dictionary, 0, &bytes);
    CHECK_INT(bytes, 3000);
    CHECK(memcmp(kept + 2997, "ab\"", 3) == 0);
    qn_frame_free(f);
    qn_str_release(&text);
}

static void a_schema_does_not_bend_what_the_data_show(void **state)
{
    (void)state;
    qn_error err = {0};
    char a[] = "a", b[] = "b", c[] = "c", d[] = "d";
    qn_schema_column columns[] = {{.name = a, .type = QN_TYPE_BOOL},
                                  {.name = b, .type = QN_TYPE_TIMESTAMP},
                                  {.name = c, .type = QN_TYPE_TIMESTAMP},
                                  {.name = d, .type = QN_TYPE_BOOL}};
    const qn_schema schema = {.n_cols = 4, .columns = columns, .target = -1};
    qn_frame *f = NULL;
    const char *text = "a,b,c,d,e\ntrue,31/12/2020,x,,1\nfalse,1/2/2020,y,,2\n";
    CHECK_OK(read_as(&(qn_read_request){.uri = "t", .schema = &schema}, text, strlen(text), &f,
                     NULL, &err));
    static const qn_type types[] = {QN_TYPE_BOOL, QN_TYPE_TIMESTAMP, QN_TYPE_STRING, QN_TYPE_BOOL,
                                    QN_TYPE_INT64};
    for (int64_t col = 0; col < 5; col++) {
        CHECK_INT(qn_frame_type(f, col), types[col]);
    }
    CHECK_INT(qn_frame_n_missing(f, 3), 2);
    check_text(f, 1, 0, "2020-12-31");
    check_text(f, 1, 1, "2020-02-01");
    qn_frame_free(f);
}

static void missing_values_of_every_type_are_marked(void **state)
{
    (void)state;
    qn_frame *f = read_text("b,i,d,t,s\ntrue,1,1.5,2020-01-01,x\nNA,NA,NA,NA,NA\n"
                            "false,2,2.5,2020-01-02,y\n");
    for (int64_t col = 0; col < 5; col++) {
        CHECK_INT(qn_frame_n_missing(f, col), 1);
        CHECK(qn_column_is_missing(&f->columns[col], 1));
        CHECK(!qn_column_is_missing(&f->columns[col], 2));
        CHECK_TEXT(f->columns[col].markers, "NA");
    }
    qn_frame_free(f);
}

static void one_column_keeps_its_blank_lines(void **state)
{
    (void)state;
    qn_frame *f = read_text("x\n1\n\n3\r\n\r\n5");
    CHECK_INT(qn_frame_n_rows(f), 5);
    CHECK_INT(qn_frame_n_missing(f, 0), 2);
    check_text(f, 0, 4, "5");
    qn_frame_free(f);
}

static void reading_stops_when_asked(void **state)
{
    (void)state;
    qn_str text = {0};
    qn_error err = {0};
    qn_frame *f = NULL;
    const volatile sig_atomic_t flag = 1;
    const qn_stop stop = {.interrupted = &flag};
    qn_str_add(&text, "a,b\n");
    for (int i = 0; i < 5000; i++) {
        qn_str_add(&text, "1,2\n");
    }
    CHECK_FAILS(QN_ERR_INTERRUPTED, read_as(&(qn_read_request){.uri = "t", .stop = &stop},
                                            text.text, text.bytes, &f, NULL, &err));
    CHECK_CONTAINS(err.message, "t.csv: stopped");
    qn_str_release(&text);
}

/* Every kind of column, chunks, wrong bytes, names that come twice, warnings. */
static qn_status read_much(const qn_str *text, qn_frame **out)
{
    qn_str warnings = {0};
    const qn_read_request request = {.uri = "t", .chunk_bytes = 300, .markers = "x,NA"};
    const qn_status status = read_as(&request, text->text, text->bytes, out, &warnings, NULL);
    qn_str_release(&warnings);
    return status;
}

static void reading_survives_running_out_of_memory(void **state)
{
    (void)state;
    for (int stray = 0; stray < 2; stray++) {
        qn_str text = {0};
        qn_str_add(&text, "i,i,d\xff,s,\"t\"\"\",b\n");
        for (int row = 0; row < 30; row++) {
            qn_str_addf(&text, "%d,%d,%d.5,\"text\xff %d\n\",2020-01-%02d,true\n\n", row, row, row,
                        row % 7, row % 28 + 1);
        }
        if (stray) qn_str_add(&text, "1,2,3,5\" pipe,NA,false\n");
        qn_str_add(&text, "1,2,3,\"");
        for (int i = 0; i < 300; i++) {
            qn_str_add(&text, "\"\"x\n");
        }
        qn_str_add(&text, "\",NA,false\n1.5,x,x,x,x,x\n");
        qn_frame *f = NULL;
        CHECK_SURVIVES_NO_MEMORY_RELEASING(read_much(&text, &f), qn_frame_free(f));
        CHECK_INT(qn_frame_n_rows(f), 32 + stray);
        qn_frame_free(f);
        qn_str_release(&text);
    }
}

RUN_TESTS(TEST(every_fault_has_its_place), TEST(the_caller_may_know_better_than_the_sniffing),
          TEST(headers_are_told_from_rows), TEST(no_two_columns_have_one_name),
          TEST(names_that_are_not_utf8_are_repaired), TEST(a_lone_cr_does_not_end_a_record),
          TEST(a_value_is_one_type_wherever_it_stands), TEST(chunks_do_not_change_what_is_read),
          TEST(texts_alike_after_repair_are_one),
          TEST(a_long_text_with_doubled_quotes_is_kept_whole),
          TEST(a_schema_does_not_bend_what_the_data_show),
          TEST(missing_values_of_every_type_are_marked), TEST(one_column_keeps_its_blank_lines),
          TEST(reading_stops_when_asked), TEST(reading_survives_running_out_of_memory))
