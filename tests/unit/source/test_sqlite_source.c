/* SPDX-License-Identifier: Apache-2.0 */
/* Tables and queries of an SQLite database made here. */
#include "source/source.h"

#include "check.h"

#include <sqlite3.h>
#include <stdlib.h>
#include <unistd.h>

static char path[] = "/tmp/quern-sqlite-XXXXXX";

static void run_sql(const char *sql)
{
    sqlite3 *database = NULL;
    CHECK_INT(sqlite3_open(path, &database), SQLITE_OK);
    char *message = NULL;
    if (sqlite3_exec(database, sql, NULL, NULL, &message) != SQLITE_OK) fail_msg("%s", message);
    sqlite3_close(database);
}

static int make_database(void **state)
{
    (void)state;
    const int fd = mkstemp(path);
    if (fd < 0) return -1;
    close(fd);
    run_sql("CREATE TABLE \"my t\"(a INT, b TEXT, c REAL);"
            "INSERT INTO \"my t\" VALUES(1,'x',1.5),(2,NULL,2),(3,'z',NULL);"
            "CREATE TABLE \"q\"\"t\"(a);INSERT INTO \"q\"\"t\" VALUES(5);"
            "CREATE TABLE empty(a);"
            "CREATE TABLE odd(a,b,c,d);INSERT INTO odd VALUES"
            "(x'6100ff62','2020-01-01',9e999,x''),(CAST(x'c3a9' AS TEXT),'2020-01-02',-9e999,''),"
            "('q',NULL,1,'NA');");
    return 0;
}

static int remove_database(void **state)
{
    (void)state;
    return unlink(path);
}

static qn_status read_rest(const char *rest, qn_frame **out, qn_str *warnings, qn_error *err)
{
    char uri[512];
    snprintf(uri, sizeof uri, "sqlite:%s%s", path, rest);
    const qn_read_request request = {.uri = uri};
    return qn_source_read(&request, out, warnings, err);
}

static qn_frame *read_table(const char *rest)
{
    qn_error err = {0};
    qn_frame *f = NULL;
    CHECK_OK(read_rest(rest, &f, NULL, &err));
    return f;
}

static void check_text(const qn_frame *frame, int64_t col, int64_t row, const char *expected)
{
    char scratch[QN_VALUE_TEXT_BYTES];
    size_t bytes;
    CHECK(!qn_column_is_missing(&frame->columns[col], row));
    const char *text = qn_column_text(&frame->columns[col], row, scratch, &bytes);
    CHECK_INT(bytes, strlen(expected));
    CHECK(memcmp(text, expected, bytes) == 0);
}

static void tables_keep_their_types(void **state)
{
    (void)state;
    qn_frame *f = read_table("?table=my%20t");
    CHECK_INT(qn_frame_n_rows(f), 3);
    CHECK_INT(qn_frame_type(f, 0), QN_TYPE_INT64);
    CHECK_INT(qn_frame_type(f, 1), QN_TYPE_STRING);
    CHECK_INT(qn_frame_n_missing(f, 1), 1);
    CHECK_INT(qn_frame_type(f, 2), QN_TYPE_FLOAT64);
    CHECK_INT(qn_frame_n_missing(f, 2), 1);
    qn_frame_free(f);
    f = read_table("?table=q\"t");
    check_text(f, 0, 0, "5");
    qn_frame_free(f);
}

/* '%' begins an escape only before two hex digits that are not zero. */
static void queries_may_have_percent_signs(void **state)
{
    (void)state;
    qn_frame *f = read_table("?query=SELECT a*2 AS twice, 7 % 4 AS rest FROM 'my t' WHERE b LIKE "
                             "'x%' OR '%4a' = 'J' OR '%4A%%00' = 'J%%00'");
    CHECK_TEXT(qn_frame_name(f, 0), "twice");
    CHECK_INT(qn_frame_n_rows(f), 3);
    check_text(f, 1, 0, "3");
    qn_frame_free(f);
}

static void two_columns_of_one_name_are_told_apart(void **state)
{
    (void)state;
    qn_error err = {0};
    qn_frame *f = NULL;
    qn_str warnings = {0};
    CHECK_OK(read_rest("?query=SELECT a, a, b AS a, c AS a_2 FROM 'my t'", &f, &warnings, &err));
    static const char *const names[] = {"a", "a_2", "a_3", "a_2_2"};
    for (int64_t col = 0; col < 4; col++) {
        CHECK_TEXT(qn_frame_name(f, col), names[col]);
    }
    CHECK_CONTAINS(warnings.text, "column 2 is a second 'a'; it is called 'a_2' here");
    qn_frame_free(f);
    qn_str_release(&warnings);
}

static void bytes_that_are_no_text_are_replaced(void **state)
{
    (void)state;
    qn_frame *f = read_table("?table=odd");
    check_text(f, 0, 0,
               "a\xef\xbf\xbd\xef\xbf\xbd"
               "b");
    check_text(f, 0, 1, "\xc3\xa9");
    CHECK_INT(qn_frame_type(f, 1), QN_TYPE_TIMESTAMP);
    CHECK_INT(qn_frame_type(f, 2), QN_TYPE_STRING); /* infinities are no numbers here */
    check_text(f, 2, 0, "inf");
    check_text(f, 2, 1, "-inf");
    check_text(f, 2, 2, "1");
    CHECK_INT(qn_frame_n_missing(f, 3), 3);
    qn_frame_free(f);
    f = read_table("?query=SELECT 1 AS \"\xff\"");
    CHECK_TEXT(qn_frame_name(f, 0), "\xef\xbf\xbd");
    qn_frame_free(f);
}

static void what_cannot_be_read_is_named(void **state)
{
    (void)state;
    static const struct {
        const char *rest;
        qn_status status;
        const char *says;
    } cases[] = {
        {"", QN_ERR_ARG, "expected sqlite:FILE?table=NAME"},
        {"?", QN_ERR_ARG, "expected sqlite:FILE?table=NAME"},
        {"?tables=t", QN_ERR_ARG, "expected sqlite:FILE?table=NAME"},
        {"?table=", QN_ERR_DATA, "no such table"},
        {"?table=none", QN_ERR_DATA, "no such table: none"},
        {"?table=empty", QN_ERR_DATA, "there is no row"},
        {"?query=SELEC", QN_ERR_DATA, "syntax error"},
        {"?query=", QN_ERR_DATA, "gives no columns"},
        {"?query=-- nothing", QN_ERR_DATA, "gives no columns"},
        {"?query=BEGIN", QN_ERR_DATA, "gives no columns"},
        {"?query=DELETE FROM odd RETURNING a", QN_ERR_DATA, "readonly"},
        {"?query=SELECT abs(-9223372036854775808)", QN_ERR_DATA, "row 1: integer overflow"},
        {".none?table=t", QN_ERR_IO, "unable to open"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        qn_error err = {0};
        qn_frame *f = NULL;
        CHECK_FAILS(cases[i].status, read_rest(cases[i].rest, &f, NULL, &err));
        CHECK_CONTAINS(err.message, path);
        CHECK_CONTAINS(err.message, cases[i].says);
        CHECK(f == NULL);
    }
    char text[] = "/tmp/quern-text-XXXXXX", uri[128];
    const int fd = mkstemp(text);
    CHECK(fd >= 0 && write(fd, "a,b\n1,2\n", 8) == 8);
    close(fd);
    snprintf(uri, sizeof uri, "sqlite:%s?table=t", text);
    qn_error err = {0};
    qn_frame *f = NULL;
    CHECK_FAILS(QN_ERR_DATA, qn_frame_read(uri, 1, &f, &err));
    CHECK_CONTAINS(err.message, "not a database");
    unlink(text);
}

static void reading_stops_when_asked(void **state)
{
    (void)state;
    char uri[256];
    const volatile sig_atomic_t flag = 1;
    const qn_stop stop = {.interrupted = &flag};
    snprintf(uri, sizeof uri,
             "sqlite:%s?query=WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n) SELECT "
             "i FROM n",
             path);
    const qn_read_request request = {.uri = uri, .stop = &stop};
    qn_error err = {0};
    qn_frame *f = NULL;
    CHECK_FAILS(QN_ERR_INTERRUPTED, qn_source_read(&request, &f, NULL, &err));
    CHECK_CONTAINS(err.message, "stopped while reading");
}

static void markers_may_be_given(void **state)
{
    (void)state;
    char uri[128], marker[300];
    snprintf(uri, sizeof uri, "sqlite:%s?table=odd", path);
    qn_read_request request = {.uri = uri, .markers = "q,NA"};
    qn_error err = {0};
    qn_frame *f = NULL;
    CHECK_OK(qn_source_read(&request, &f, NULL, &err));
    CHECK(qn_column_is_missing(&f->columns[0], 2));
    qn_frame_free(f);
    memset(marker, 'x', sizeof marker - 1);
    marker[sizeof marker - 1] = '\0';
    request.markers = marker;
    CHECK_FAILS(QN_ERR_ARG, qn_source_read(&request, &f, NULL, &err));
}

static qn_status read_all(const char *rest, qn_frame **out)
{
    qn_str warnings = {0};
    const qn_status status = read_rest(rest, out, &warnings, NULL);
    qn_str_release(&warnings);
    return status;
}

static void reading_survives_running_out_of_memory(void **state)
{
    (void)state;
    qn_frame *f = NULL;
    CHECK_SURVIVES_NO_MEMORY_RELEASING(read_all("?table=q\"t", &f), qn_frame_free(f));
    qn_frame_free(f);
    CHECK_SURVIVES_NO_MEMORY_RELEASING(read_all("?query=SELECT a, a, b, c, d FROM odd", &f),
                                       qn_frame_free(f));
    qn_frame_free(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(tables_keep_their_types),
                                       TEST(queries_may_have_percent_signs),
                                       TEST(two_columns_of_one_name_are_told_apart),
                                       TEST(bytes_that_are_no_text_are_replaced),
                                       TEST(what_cannot_be_read_is_named),
                                       TEST(reading_stops_when_asked),
                                       TEST(markers_may_be_given),
                                       TEST(reading_survives_running_out_of_memory)};
    return cmocka_run_group_tests(tests, make_database, remove_database);
}
