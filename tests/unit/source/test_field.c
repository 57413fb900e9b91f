/* SPDX-License-Identifier: Apache-2.0 */
#include "source/field.h"

#include "check.h"

static const int64_t day = INT64_C(86400000000);

static void every_text_has_its_lowest_type(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        qn_field_type type;
    } cases[] = {{"", QN_FIELD_EMPTY},
                 {"true", QN_FIELD_BOOL},
                 {"FALSE", QN_FIELD_BOOL},
                 {"trues", QN_FIELD_TEXT},
                 {"yes", QN_FIELD_TEXT},
                 {"0", QN_FIELD_INT},
                 {"-12", QN_FIELD_INT},
                 {"+12", QN_FIELD_INT},
                 {"007", QN_FIELD_INT},
                 {"0070", QN_FIELD_TEXT},
                 {"-0070", QN_FIELD_TEXT},
                 {"9223372036854775807", QN_FIELD_INT},
                 {"-9223372036854775807", QN_FIELD_INT},
                 {"-9223372036854775808", QN_FIELD_TEXT},
                 {"9223372036854775808", QN_FIELD_TEXT},
                 {"1.5", QN_FIELD_DOUBLE},
                 {".5", QN_FIELD_DOUBLE},
                 {"0070.5", QN_FIELD_DOUBLE},
                 {"1e5", QN_FIELD_DOUBLE},
                 {"1e999", QN_FIELD_TEXT},
                 {"-1e999", QN_FIELD_TEXT},
                 {"-.5", QN_FIELD_DOUBLE},
                 {"5.", QN_FIELD_DOUBLE},
                 {"+99999999999999999999", QN_FIELD_TEXT},
                 {"-", QN_FIELD_TEXT},
                 {"2020-01-31", QN_FIELD_DATE_ISO},
                 {"2020/01/31", QN_FIELD_DATE_ISO},
                 {"2020-01-31T10:00:00Z", QN_FIELD_DATE_ISO},
                 {"2020-02-30", QN_FIELD_TEXT},
                 {"1/2/2020", QN_FIELD_DATE_MDY},
                 {"12/31/2020", QN_FIELD_DATE_MDY},
                 {"31/12/2020", QN_FIELD_DATE_DMY},
                 {"31.12.2020 23:59", QN_FIELD_DATE_DMY},
                 {"1-2-2020T1:05", QN_FIELD_DATE_MDY},
                 {"32/12/2020", QN_FIELD_TEXT},
                 {"nan", QN_FIELD_TEXT},
                 {"inf", QN_FIELD_TEXT}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        if (qn_field_type_of(cases[i].text, strlen(cases[i].text)) != cases[i].type) {
            fail_msg("'%s' is not of type %d", cases[i].text, (int)cases[i].type);
        }
    }
}

static void short_dates_are_read_in_both_orders(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t mdy, dmy; /* days after 1970-01-01, -1: refused */
    } cases[] = {{"1/2/1970", 1, 31},
                 {"01.02.1970", 1, 31},
                 {"1-13-1970", 12, -1},
                 {"13/1/1970", -1, 12},
                 {"1/2/70", -1, -1},
                 {"1/2.1970", -1, -1},
                 {"1/2/197x", -1, -1},
                 {"100/2/1970", -1, -1},
                 {"1/200/1970", -1, -1},
                 {"1/2/1970x", -1, -1},
                 {"1_2_1970", -1, -1},
                 {"/1/2/1970", -1, -1},
                 {"12345678", -1, -1},
                 {"1/2/1970 ", -1, -1},
                 {"1/2/1970 1:0", -1, -1},
                 {"1/2/1970 25:00", -1, -1},
                 {"1/2//1970", -1, -1},
                 {"12/", -1, -1},
                 {"1/2/1970 00:00:00.0000000000000000000000", -1, -1}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const size_t bytes = strlen(cases[i].text);
        int64_t mdy = -1, dmy = -1;
        if (qn_field_parse_date(QN_FIELD_DATE_MDY, cases[i].text, bytes, &mdy)) mdy /= day;
        if (qn_field_parse_date(QN_FIELD_DATE_DMY, cases[i].text, bytes, &dmy)) dmy /= day;
        if (mdy != cases[i].mdy || dmy != cases[i].dmy) {
            fail_msg("'%s' was read as %d and %d", cases[i].text, (int)mdy, (int)dmy);
        }
    }
    int64_t micros;
    CHECK(qn_field_parse_date(QN_FIELD_DATE_MDY, "1/1/1970 1:30", 13, &micros));
    CHECK_INT(micros, INT64_C(5400000000));
    CHECK(qn_field_parse_date(QN_FIELD_DATE_DMY, "1/1/1970T01:30:01.5+01:00", 25, &micros));
    CHECK_INT(micros, INT64_C(1801500000));
    CHECK(qn_field_parse_date(QN_FIELD_DATE_ISO, "1970-01-02", 10, &micros) && micros == day);
}

static void two_types_join_to_the_lowest_that_holds_both(void **state)
{
    (void)state;
    for (int a = QN_FIELD_EMPTY; a <= QN_FIELD_TEXT; a++) {
        for (int b = QN_FIELD_EMPTY; b <= QN_FIELD_TEXT; b++) {
            const qn_field_type joined = qn_field_type_join((qn_field_type)a, (qn_field_type)b);
            CHECK_INT(joined, qn_field_type_join((qn_field_type)b, (qn_field_type)a));
            if (a == b || b == QN_FIELD_EMPTY) CHECK_INT(joined, a);
            if (a == QN_FIELD_INT && b == QN_FIELD_DOUBLE) CHECK_INT(joined, QN_FIELD_DOUBLE);
            if (a == QN_FIELD_DATE_MDY && b == QN_FIELD_DATE_DMY) {
                CHECK_INT(joined, QN_FIELD_DATE_DMY);
            }
            if (a == QN_FIELD_BOOL && b == QN_FIELD_INT) CHECK_INT(joined, QN_FIELD_TEXT);
            if (a == QN_FIELD_DATE_ISO && b == QN_FIELD_DATE_MDY) CHECK_INT(joined, QN_FIELD_TEXT);
        }
        /* What the frame keeps reads back as a type that holds the same values. */
        const qn_type type = qn_field_frame_type((qn_field_type)a);
        CHECK_INT(qn_field_frame_type(qn_field_of_frame_type(type)), type);
    }
}

static void bools_have_two_words(void **state)
{
    (void)state;
    uint8_t value = 9;
    CHECK(qn_field_parse_bool("TrUe", 4, &value) && value == 1);
    CHECK(qn_field_parse_bool("fAlse", 5, &value) && value == 0);
    CHECK(!qn_field_parse_bool("truth", 5, &value) && !qn_field_parse_bool("fals", 4, &value));
    CHECK(!qn_field_parse_bool("1", 1, &value));
}

static void the_usual_markers_hold_where_they_should(void **state)
{
    (void)state;
    qn_markers markers;
    CHECK_INT(qn_markers_init(&markers, NULL, NULL), QN_OK);
    CHECK_INT(qn_markers_find(&markers, "", 0, QN_FIELD_TEXT), 0);
    CHECK(qn_markers_find(&markers, "NA", 2, QN_FIELD_TEXT) > 0);
    CHECK(qn_markers_find(&markers, "None", 4, QN_FIELD_INT) > 0);
    CHECK_INT(qn_markers_find(&markers, "None", 4, QN_FIELD_TEXT), -1);
    CHECK_INT(qn_markers_find(&markers, "NAs", 3, QN_FIELD_INT), -1);
    CHECK_INT(qn_markers_find(&markers, "#N/A!", 5, QN_FIELD_INT), -1);
    qn_markers_release(&markers);
}

static void given_markers_replace_the_usual_ones(void **state)
{
    (void)state;
    qn_error err = {0};
    qn_markers markers;
    CHECK_OK(qn_markers_init(&markers, "-99,not known", &err));
    CHECK_INT(qn_markers_find(&markers, "", 0, QN_FIELD_INT), 0);
    CHECK_INT(qn_markers_find(&markers, "-99", 3, QN_FIELD_TEXT), 1);
    CHECK_INT(qn_markers_find(&markers, "not known", 9, QN_FIELD_INT), 2);
    CHECK_INT(qn_markers_find(&markers, "NA", 2, QN_FIELD_INT), -1);
    qn_markers_release(&markers);

    char list[400];
    memset(list, 'x', sizeof list);
    list[255] = '\0';
    CHECK_OK(qn_markers_init(&markers, list, &err));
    CHECK_INT(qn_markers_find(&markers, list, 255, QN_FIELD_TEXT), 1);
    qn_markers_release(&markers);
    list[255] = 'x';
    list[256] = '\0';
    CHECK_FAILS(QN_ERR_ARG, qn_markers_init(&markers, list, &err));
    CHECK_CONTAINS(err.message, "255 bytes");
    CHECK_SURVIVES_NO_MEMORY(qn_markers_init(&markers, "a,b", NULL));
    qn_markers_release(&markers);
}

static void more_markers_than_there_is_room_for_are_refused(void **state)
{
    (void)state;
    qn_error err = {0};
    qn_markers markers;
    char list[2 * QN_MARKERS_MAX + 2] = "";
    for (int i = 0; i < QN_MARKERS_MAX - 1; i++) {
        strcat(list, i == 0 ? "a" : ",a");
    }
    CHECK_OK(qn_markers_init(&markers, list, &err));
    CHECK_INT(markers.n, QN_MARKERS_MAX);
    qn_markers_release(&markers);
    strcat(list, ",b");
    CHECK_FAILS(QN_ERR_ARG, qn_markers_init(&markers, list, &err));
    CHECK_CONTAINS(err.message, "30");
}

RUN_TESTS(TEST(every_text_has_its_lowest_type), TEST(short_dates_are_read_in_both_orders),
          TEST(two_types_join_to_the_lowest_that_holds_both), TEST(bools_have_two_words),
          TEST(the_usual_markers_hold_where_they_should),
          TEST(given_markers_replace_the_usual_ones),
          TEST(more_markers_than_there_is_room_for_are_refused))
