/* SPDX-License-Identifier: Apache-2.0 */
#include "base/number.h"

#include "check.h"

#include <locale.h>
#include <stdlib.h>

static void doubles_read_back_exactly(void **state)
{
    (void)state;
    static const double values[] = {0.1, 1.0 / 3, 1e300, 5e-324, 123456789012345680.0, -2.5, 1e22};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        char text[QN_DOUBLE_TEXT_BYTES];
        double back = 0;
        CHECK(qn_parse_double(text, qn_format_double(values[i], text), &back));
        CHECK(back == values[i]);
    }
}

/* Doubles of all sizes; every eighth a power of two, where the interval is not symmetric. */
static double any_double(uint64_t i)
{
    uint64_t bits = (i + 1) * UINT64_C(0x9e3779b97f4a7c15);
    bits ^= bits >> 29;
    bits = bits * UINT64_C(0xbf58476d1ce4e5b9) & INT64_MAX;
    if (i % 8 == 0) bits &= UINT64_C(0x7ff) << 52;
    double value;
    memcpy(&value, &bits, sizeof value);
    return isfinite(value) ? value : 1.5;
}

/* The C library as reference: fewer digits do not read back, and of as many none is closer. */
static void no_shorter_and_no_closer_decimal_reads_back(void **state)
{
    (void)state;
    for (uint64_t i = 0; i < 20000; i++) {
        const double value = any_double(i);
        char text[QN_DOUBLE_TEXT_BYTES], other[64];
        qn_format_double(value, text);
        if (strtod(text, NULL) != value) fail_msg("%.17g was written as %s", value, text);
        int n = 0;
        for (const char *c = text; *c && *c != 'e'; c++) {
            n += *c >= (n > 0 ? '0' : '1') && *c <= '9';
        }
        snprintf(other, sizeof other, "%.*e", n - 1, value);
        const bool as_short = strtod(other, NULL) == value;
        if (as_short && strtold(other, NULL) != strtold(text, NULL)) {
            fail_msg("%s is closer than %s", other, text);
        }
        if (n > 1) {
            snprintf(other, sizeof other, "%.*e", n - 2, value);
            if (strtod(other, NULL) == value) fail_msg("%s is shorter than %s", other, text);
        }
    }
}

/* Digits of any number, at the points halfway between doubles too. */
static void digits_are_read_as_strtod_reads_them(void **state)
{
    (void)state;
    for (uint64_t i = 0; i < 100000; i++) {
        const double value = any_double(i);
        double read;
        char text[800];
        snprintf(text, sizeof text, "%.*e", (int)(i % 24), value);
        CHECK(qn_parse_double(text, strlen(text), &read));
        if (read != strtod(text, NULL)) fail_msg("%s was read as %.17g", text, read);
        if (i % 64 || !(value < 1e300) || !(value > 1e-5)) continue;
        snprintf(text, sizeof text, "%.760Le",
                 ((long double)value + (long double)nextafter(value, QN_INF)) / 2);
        CHECK(qn_parse_double(text, strlen(text), &read));
        if (read != strtod(text, NULL)) fail_msg("%s was read as %.17g", text, read);
    }
}

/* Between zero and ten, with all their digits or nearly so, as they stand within a longer text. */
static void doubles_within_a_text_are_read_as_strtod_reads_them(void **state)
{
    (void)state;
    static const char *const behind[] = {", \"next\": -1.23456789012345678",
                                         "e-7, 1.234567890123456", "}0123456789012345678901234567",
                                         "E5 and so on and so forth"};
    for (uint64_t i = 0; i < 200000; i++) {
        const double size = (double)((i + 1) * UINT64_C(0x9e3779b97f4a7c15) >> 11) * 0x1p-53;
        const double value = (i % 2 ? -10 : 10) * size;
        char text[128], *end;
        int n = snprintf(text, sizeof text, "%.*f", 12 + (int)(i / 4 % 9), value);
        if (i % 64 == 0) n = snprintf(text, sizeof text, "%.16f", (double)(i % 80) / 8);
        snprintf(text + n, sizeof text - (size_t)n, "%s", behind[i % 4]);
        double read = QN_NA;
        const size_t bytes = qn_scan_double(text, strlen(text), &read);
        const double expected = strtod(text, &end);
        if (bytes != (size_t)(end - text) || read != expected ||
            signbit(read) != signbit(expected)) {
            fail_msg("%s was read as %.17g, %zu bytes", text, read, bytes);
        }
    }
}

static void texts_that_are_not_numbers_are_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {"",   "-",    ".",   "e5",  "1e", "1e+",
                                        "1x", "0x10", "nan", "inf", " 1"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        double value;
        CHECK(!qn_parse_double(texts[i], strlen(texts[i]), &value));
    }
}

static void integers_beyond_64_bits_are_refused(void **state)
{
    (void)state;
    int64_t value;
    CHECK(qn_parse_int64("-9223372036854775808", 20, &value) && value == INT64_MIN);
    CHECK(qn_parse_int64("9223372036854775807", 19, &value) && value == INT64_MAX);
    CHECK(!qn_parse_int64("9223372036854775808", 19, &value));
    CHECK(!qn_parse_int64("99999999999999999999", 20, &value));
    CHECK(!qn_parse_int64("18446744073709551619", 20, &value));
    CHECK(!qn_parse_int64("-9223372036854775809", 20, &value));
    CHECK(!qn_parse_int64("", 0, &value) && !qn_parse_int64("+", 1, &value));
    CHECK(!qn_parse_int64("1.", 2, &value));
    CHECK(qn_parse_int64("+7", 2, &value) && value == 7);
}

/* Beyond 19 digits and powers of ten above 22 the C library decides; it is correctly rounded. */
static void doubles_of_every_form_are_rounded_correctly(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        double value;
    } cases[] = {{"+1.5", 1.5},
                 {"1.", 1},
                 {".5", 0.5},
                 {"1E3", 1000},
                 {"1e+3", 1000},
                 {"-1e-3", -0.001},
                 {"9007199254740993", 9007199254740992.0},
                 {"9007199254740993.000000000000000000001", 9007199254740994.0},
                 {"1e23", 1e23},
                 {"8.5e-23", 8.5e-23},
                 {"000000000000000000000000000001.25", 1.25},
                 {"2.2250738585072014e-308", 0x1p-1022},
                 {"4.9406564584124654e-324", 0x1p-1074},
                 {"2e-324", 0},
                 {"0e99999999999999999999", 0},
                 {"1.7976931348623157e308", 0x1.fffffffffffffp1023},
                 {"0.000000000000000000000000000000", 0}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        double value = QN_NA;
        CHECK(qn_parse_double(cases[i].text, strlen(cases[i].text), &value));
        if (value != cases[i].value) fail_msg("%s was read as %.17g", cases[i].text, value);
    }
    double value;
    CHECK(qn_parse_double("-0", 2, &value) && value == 0 && signbit(value));
    CHECK(qn_parse_double("-1e999", 6, &value) && value == -QN_INF);
    CHECK(qn_parse_double("1e99999999999999999999", 22, &value) && value == QN_INF);
    CHECK(!qn_parse_double("1e5x", 4, &value));
    CHECK(!qn_parse_double("1..5", 4, &value));
}

/* 1 + 2^-53 lies between two doubles; one digit behind any number of zeros decides upwards. */
static void no_digit_is_too_far_behind_to_count(void **state)
{
    (void)state;
    static const char half[] = "1.00000000000000011102230246251565404236316680908203125";
    char text[5000];
    for (size_t zeros = 0; zeros < 4000; zeros += 499) {
        const size_t n = sizeof half - 1 + zeros;
        memcpy(text, half, sizeof half - 1);
        memset(text + sizeof half - 1, '0', zeros);
        double value;
        CHECK(qn_parse_double(text, n, &value) && value == 1);
        text[n] = '1';
        CHECK(qn_parse_double(text, n + 1, &value) && value == 1 + 0x1p-52);
    }
    /* Zeros on both ends of an exponent that undoes them. */
    memset(text, '0', sizeof text);
    text[1] = '.';
    memcpy(text + 3000, "25e3000", 7);
    double value;
    CHECK(qn_parse_double(text, 3007, &value));
    CHECK_NEAR(value, 25, 0);
    memset(text, '0', sizeof text);
    text[0] = '3';
    memcpy(text + 2001, "e-2000", 6);
    CHECK(qn_parse_double(text, 2007, &value));
    CHECK_NEAR(value, 3, 0);
}

static void numbers_are_read_without_allocating(void **state)
{
    (void)state;
    char text[300];
    memset(text, '7', sizeof text);
    double value;
    qn_alloc_fail_at(1, true);
    CHECK(qn_parse_double(text, sizeof text, &value));
    CHECK_INT(qn_alloc_fail_at(0, false), 0);
    CHECK(value > 7.7e299 && value < 7.8e299);
}

static void numbers_are_written_in_their_shortest_usual_form(void **state)
{
    (void)state;
    static const struct {
        double value;
        const char *text;
    } cases[] = {{0, "0"},
                 {-0.0, "-0"},
                 {1e14, "100000000000000"},
                 {1e15, "1e+15"},
                 {-2.5, "-2.5"},
                 {QN_INF, "inf"},
                 {-QN_INF, "-inf"},
                 {0.1, "0.1"},
                 {1e300, "1e+300"},
                 {-1234.5, "-1234.5"},
                 {0.0001, "0.0001"},
                 {0.00001, "1e-05"},
                 {1.5e-7, "1.5e-07"},
                 {123456789012345.6, "123456789012345.6"},
                 {1234567890123456, "1234567890123456"},
                 {5e-324, "5e-324"},
                 {0x1.fffffffffffffp1023, "1.7976931348623157e+308"},
                 {0x1p-1022, "2.2250738585072014e-308"},
                 {1.0 / 3, "0.3333333333333333"}};
    char text[QN_DOUBLE_TEXT_BYTES];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        CHECK_INT(qn_format_double(cases[i].value, text), strlen(cases[i].text));
        CHECK_TEXT(text, cases[i].text);
    }
    qn_format_double(QN_NA, text);
    CHECK_TEXT(text, "nan");
    char digits[QN_INT64_TEXT_BYTES];
    CHECK_INT(qn_format_int64(INT64_MIN, digits), 20);
    CHECK_TEXT(digits, "-9223372036854775808");
    qn_format_int64(0, digits);
    CHECK_TEXT(digits, "0");
}

static void a_locale_with_a_decimal_comma_changes_nothing(void **state)
{
    (void)state;
    static const char *const names[] = {"de_DE.UTF-8", "de_DE.utf8", "fr_FR.UTF-8", "fr_FR.utf8"};
    const char *set = NULL;
    for (size_t i = 0; !set && i < sizeof names / sizeof *names; i++) {
        set = setlocale(LC_ALL, names[i]);
    }
    if (!set) {
        print_message("skipped: no locale with a decimal comma is installed\n");
        skip();
    }
    char text[QN_DOUBLE_TEXT_BYTES];
    double value;
    qn_format_double(0.1, text);
    const bool parsed = qn_parse_double("1.25e-200", 9, &value);
    setlocale(LC_ALL, "C");
    CHECK_TEXT(text, "0.1");
    CHECK(parsed && value == 1.25e-200);
}

RUN_TESTS(TEST(doubles_read_back_exactly), TEST(no_shorter_and_no_closer_decimal_reads_back),
          TEST(digits_are_read_as_strtod_reads_them),
          TEST(doubles_within_a_text_are_read_as_strtod_reads_them),
          TEST(texts_that_are_not_numbers_are_refused), TEST(integers_beyond_64_bits_are_refused),
          TEST(doubles_of_every_form_are_rounded_correctly),
          TEST(no_digit_is_too_far_behind_to_count), TEST(numbers_are_read_without_allocating),
          TEST(numbers_are_written_in_their_shortest_usual_form),
          TEST(a_locale_with_a_decimal_comma_changes_nothing))
