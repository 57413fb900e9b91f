/* SPDX-License-Identifier: Apache-2.0 */
/* Decisions: found once, overwritten by later ones, kept as text. */
#include "serve/routes/decision_table.h"

#include "check.h"

#include "base/number.h"

static qn_decision decision_of(const char *id, int arm)
{
    return (qn_decision){.key = qn_decision_key(id, strlen(id), 0), .arm = arm};
}

static void a_decision_is_taken_once(void **state)
{
    (void)state;
    qn_decision_table *table = qn_decision_table_create();
    const qn_decision put = decision_of("a", 3);
    qn_decision got;
    CHECK(table != NULL);
    qn_decision_table_put(table, &put);
    CHECK(!qn_decision_table_take(table, qn_decision_key("b", 1, 0), &got));
    CHECK(!qn_decision_table_take(table, qn_decision_key("a", 1, 1), &got)); /* another row */
    CHECK(qn_decision_table_take(table, put.key, &got));
    CHECK_INT(got.arm, 3);
    CHECK(!qn_decision_table_take(table, put.key, &got));
    qn_decision_table_free(table);
}

static void text_gives_back_what_was_put(void **state)
{
    (void)state;
    const qn_decision put[] = {
        {.key = 1, .arm = 0},
        {.key = 0xfedcba9876543210, .arm = 9},
        {.key = 2, .arm = 1, .number = -0.1},
        {.key = 3, .arm = 2, .number = 1e300},
        {.key = 4, .arm = 1, .label = 0x0123456789abcdef, .number = 0.25},
    };
    enum { N = sizeof put / sizeof *put };
    qn_decision_table *table = qn_decision_table_create(), *read = qn_decision_table_create();
    qn_decision_table *copy = qn_decision_table_create();
    qn_str text = {0}, again = {0};
    qn_decision got;
    CHECK(table && read && copy);
    qn_decision_table_write(table, &text);
    CHECK_INT(text.bytes, 0);
    const qn_decision useless = {.key = 5, .number = QN_NA};
    qn_decision_table_put(table, &useless);
    for (int i = 0; i < N; i++) {
        qn_decision_table_put(table, &put[i]);
    }
    qn_decision_table_copy(table, copy);
    qn_decision_table_write(copy, &text);
    CHECK_TEXT(text.text, "0000000000000001:0 0000000000000002:1=-0.1 0000000000000003:2=1e+300 "
                          "0000000000000004:1:0123456789abcdef fedcba9876543210:9");
    CHECK(qn_decision_table_read(text.text, 10, read));
    qn_decision_table_write(read, &again);
    CHECK_TEXT(again.text, text.text);
    for (int i = 0; i < N; i++) {
        CHECK(qn_decision_table_take(read, put[i].key, &got));
        CHECK_INT(got.arm, put[i].arm);
        CHECK(got.label == put[i].label && got.number == (put[i].label ? 0 : put[i].number));
    }
    qn_str_release(&text);
    qn_str_release(&again);
    qn_decision_table_free(table);
    qn_decision_table_free(read);
    qn_decision_table_free(copy);
}

static void what_is_no_such_text_is_told(void **state)
{
    (void)state;
    static const char *const bad[] = {
        " ",
        "x",
        "1f00b3c59a0e7d24",
        "1f00b3c59a0e7d24:",
        "1f00b3c59a0e7d2:1",
        "1f00b3c59a0e7d245:1",
        "1F00B3C59A0E7D24:1",
        "0000000000000000:1",
        "1f00b3c59a0e7d24:-1",
        "1f00b3c59a0e7d24:3",
        "1f00b3c59a0e7d24:99999999999999999999",
        "1f00b3c59a0e7d24:1 ",
        "1f00b3c59a0e7d24:1  1f00b3c59a0e7d24:1",
        "1f00b3c59a0e7d24:1,1f00b3c59a0e7d24:1",
        "1f00b3c59a0e7d24:1=",
        "1f00b3c59a0e7d24:1=x",
        "1f00b3c59a0e7d24:1=nan",
        "1f00b3c59a0e7d24:1=1e999",
        "1f00b3c59a0e7d24:1=1=2",
        "1f00b3c59a0e7d24:1:",
        "1f00b3c59a0e7d24:1:0000000000000000",
        "1f00b3c59a0e7d24:1:1f00b3c59a0e7d2",
        "1f00b3c59a0e7d24:1:1f00b3c59a0e7d24:",
    };
    CHECK(qn_decision_table_read(NULL, 3, NULL));
    CHECK(qn_decision_table_read("", 3, NULL));
    CHECK(qn_decision_table_read("1f00b3c59a0e7d24:2", 3, NULL));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        if (qn_decision_table_read(bad[i], 3, NULL)) fail_msg("'%s' was taken", bad[i]);
    }
}

RUN_TESTS(TEST(a_decision_is_taken_once), TEST(text_gives_back_what_was_put),
          TEST(what_is_no_such_text_is_told))
