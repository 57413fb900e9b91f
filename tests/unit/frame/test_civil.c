/* SPDX-License-Identifier: Apache-2.0 */
#include "frame/frame.h"

#include "check.h"

static const int64_t second = 1000000;

/* Every day of 800 years, against a calendar that counts day by day. */
static void every_day_has_its_date(void **state)
{
    (void)state;
    static const int lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int year = 1600, month = 1, day = 1, weekday = 0, day_of_year = 1;
    qn_civil_time t = {.year = 1600, .month = 1, .day = 1};
    const int64_t first = qn_timestamp_from_civil(&t);
    for (int64_t i = 0; year < 2400; i++) {
        const int64_t micros = first + i * 86400 * second;
        qn_timestamp_civil(micros, &t);
        CHECK(t.year == year && t.month == month && t.day == day);
        CHECK_INT(t.day_of_year, day_of_year);
        if (i == 0) weekday = t.weekday;
        CHECK_INT(t.weekday, (weekday + i) % 7);
        CHECK(qn_timestamp_from_civil(&t) == micros);
        const bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        day_of_year++;
        if (++day > lengths[month - 1] + (leap && month == 2)) {
            day = 1;
            if (++month > 12) {
                month = 1;
                year++;
                day_of_year = 1;
            }
        }
    }
    qn_timestamp_civil(0, &t);
    CHECK_INT(t.weekday, 3); /* 1970-01-01 was a Thursday; Monday is 0 */
}

static void timestamps_are_written_as_they_are_read(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "1970-01-01",          "0000-01-01",          "9999-12-31", "1969-12-31T23:59:59.999999",
        "2020-02-29T00:00:01", "2020-01-01T12:00:00", "1900-02-28", "2000-02-29T01:02:03.000004"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        int64_t micros;
        char text[QN_VALUE_TEXT_BYTES];
        CHECK(qn_timestamp_parse(texts[i], strlen(texts[i]), &micros));
        CHECK_INT(qn_timestamp_format(micros, text), strlen(texts[i]));
        CHECK_TEXT(text, texts[i]);
    }
}

static void clock_times_and_zones_are_read(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t seconds;
    } cases[] = {{"1970-01-01T00:00Z", 0},         {"1970-01-01t01:00z", 3600},
                 {"1970/01/01 00:00:60", 60},      {"1970-01-01 02:00+02", 0},
                 {"1970-01-01 02:00 +0200", 0},    {"1970-01-01 02:30+02:30", 0},
                 {"1970-01-01 00:00-01:30", 5400}, {"1970-01-01 00:00:01,0000000009Z", 1}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int64_t micros = -1;
        CHECK(qn_timestamp_parse(cases[i].text, strlen(cases[i].text), &micros));
        CHECK_INT(micros, cases[i].seconds * second);
    }
}

static void what_is_no_time_is_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {"",
                                        "2020",
                                        "2020-",
                                        "2020.01.01",
                                        "2020-1-01",
                                        "2020-01",
                                        "2020-01.01",
                                        "2020-01-0",
                                        "2020-00-01",
                                        "2020-13-01",
                                        "2020-01-00",
                                        "2020-01-32",
                                        "2021-02-29",
                                        "1900-02-29",
                                        "2020-04-31",
                                        "2020-01-01x",
                                        "2020-01-01T",
                                        "2020-01-01T1",
                                        "2020-01-01T10",
                                        "2020-01-01T10:",
                                        "2020-01-01T10:5",
                                        "2020-01-01T24:00",
                                        "2020-01-01T10:60",
                                        "2020-01-01T10:00:",
                                        "2020-01-01T10:00:61",
                                        "2020-01-01T10:00:00.",
                                        "2020-01-01T10:00:00.x",
                                        "2020-01-01T10:00x",
                                        "2020-01-01T10:00+",
                                        "2020-01-01T10:00+0",
                                        "2020-01-01T10:00+02:0",
                                        "2020-01-01T10:00+02:00x",
                                        "2020-01-01T10:00Zx",
                                        "20a0-01-01"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        int64_t micros;
        if (qn_timestamp_parse(texts[i], strlen(texts[i]), &micros)) {
            fail_msg("'%s' was read as a time", texts[i]);
        }
    }
    /* A zero byte is not the end of the list of separators. */
    int64_t micros;
    CHECK(!qn_timestamp_parse("2020\0"
                              "01-01",
                              10, &micros));
}

RUN_TESTS(TEST(every_day_has_its_date), TEST(timestamps_are_written_as_they_are_read),
          TEST(clock_times_and_zones_are_read), TEST(what_is_no_time_is_refused))
