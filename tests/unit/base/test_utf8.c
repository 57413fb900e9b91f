/* SPDX-License-Identifier: Apache-2.0 */
#include "base/utf8.h"

#include "check.h"

/* The boundaries of RFC 3629, section 4. */
static void characters_are_told_from_other_bytes(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t length;
    } cases[] = {{"a", 1},
                 {"\x7f", 1},
                 {"\x80", 0},
                 {"\xc1\xbf", 0},
                 {"\xc2\x80", 2},
                 {"\xdf\xbf", 2},
                 {"\xc3(", 0},
                 {"\xe0\x9f\xbf", 0},
                 {"\xe0\xa0\x80", 3},
                 {"\xed\x9f\xbf", 3},
                 {"\xed\xa0\x80", 0},
                 {"\xee\x80\x80", 3},
                 {"\xe2\x82(", 0},
                 {"\xf0\x8f\xbf\xbf", 0},
                 {"\xf0\x90\x80\x80", 4},
                 {"\xf1\x80\x80\x80", 4},
                 {"\xf4\x8f\xbf\xbf", 4},
                 {"\xf4\x90\x80\x80", 0},
                 {"\xf5\x80\x80\x80", 0},
                 {"\xff", 0}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        CHECK_INT(qn_utf8_character(cases[i].text, strlen(cases[i].text)), cases[i].length);
        /* Cut short, no character of several bytes is one. */
        if (cases[i].length > 1)
            CHECK_INT(qn_utf8_character(cases[i].text, cases[i].length - 1), 0);
    }
}

static void the_first_wrong_byte_is_found(void **state)
{
    (void)state;
    const char *text = "caf\xc3\xa9 \xe2\x82\xac \xe2\x82";
    CHECK(qn_utf8_first_invalid(text, 10) == NULL);
    CHECK(qn_utf8_first_invalid(text, strlen(text)) == text + 10);
    CHECK(qn_utf8_first_invalid("", 0) == NULL);
}

static void wrong_bytes_are_replaced_and_nothing_else(void **state)
{
    (void)state;
    static const char *const cases[][2] = {{"", ""},
                                           {"plain", "plain"},
                                           {"\xff", "\xef\xbf\xbd"},
                                           {"\xff\xfe", "\xef\xbf\xbd\xef\xbf\xbd"},
                                           {"a\xe9z", "a\xef\xbf\xbdz"},
                                           {"\xc3\xa9\xc3", "\xc3\xa9\xef\xbf\xbd"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t bytes = 99;
        char *repaired = qn_utf8_repair(cases[i][0], strlen(cases[i][0]), &bytes);
        CHECK_TEXT(repaired, cases[i][1]);
        CHECK_INT(bytes, strlen(cases[i][1]));
        qn_free(repaired);
    }
    size_t bytes;
    qn_alloc_fail_at(1, false);
    CHECK(qn_utf8_repair("a", 1, &bytes) == NULL);
    qn_alloc_fail_at(0, false);
}

RUN_TESTS(TEST(characters_are_told_from_other_bytes), TEST(the_first_wrong_byte_is_found),
          TEST(wrong_bytes_are_replaced_and_nothing_else))
