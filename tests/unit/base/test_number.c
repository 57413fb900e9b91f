/* SPDX-License-Identifier: Apache-2.0 */
#include "base/number.h"

#include "check.h"

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
}

RUN_TESTS(TEST(doubles_read_back_exactly), TEST(texts_that_are_not_numbers_are_refused),
          TEST(integers_beyond_64_bits_are_refused))
