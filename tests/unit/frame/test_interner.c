/* SPDX-License-Identifier: Apache-2.0 */
#include "frame/interner.h"

#include "check.h"

static void texts_get_codes_in_order_of_first_appearance(void **state)
{
    (void)state;
    qn_interner interner = {0};
    char text[32];
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 5000; i++) {
            const int bytes = snprintf(text, sizeof text, "text %d", i);
            CHECK_INT(qn_interner_code(&interner, text, (size_t)bytes), i);
        }
    }
    CHECK_INT(qn_interner_code(&interner, "", 0), 5000);
    CHECK_INT(qn_interner_code(&interner, "", 0), 5000);
    CHECK_INT(qn_interner_code(&interner, "a\0b", 3), 5001);
    CHECK_INT(qn_interner_code(&interner, "a\0c", 3), 5002);

    qn_dictionary texts = {0};
    CHECK(qn_interner_take(&interner, &texts));
    CHECK_INT(texts.n, 5003);
    size_t bytes;
    CHECK(memcmp(qn_dictionary_text(&texts, 4999, &bytes), "text 4999", 9) == 0 && bytes == 9);
    qn_dictionary_text(&texts, 5000, &bytes);
    CHECK_INT(bytes, 0);
    CHECK_INT(interner.texts.n, 0);
    interner.texts = texts;
    qn_interner_release(&interner);
}

static void a_text_longer_than_all_before_is_kept_whole(void **state)
{
    (void)state;
    static char text[100000];
    memset(text, 'x', sizeof text);
    qn_interner interner = {0};
    CHECK_INT(qn_interner_code(&interner, "short", 5), 0);
    CHECK_INT(qn_interner_code(&interner, text, sizeof text), 1);
    CHECK_INT(qn_interner_code(&interner, text, sizeof text - 1), 2);
    CHECK_INT(qn_interner_code(&interner, text, sizeof text), 1);
    qn_interner_close(&interner);
    size_t bytes;
    const char *kept = qn_dictionary_text(&interner.texts, 1, &bytes);
    CHECK(bytes == sizeof text && memcmp(kept, text, bytes) == 0);
    qn_interner_release(&interner);
}

static void no_texts_are_a_dictionary_too(void **state)
{
    (void)state;
    qn_interner interner = {0};
    qn_dictionary texts = {0};
    CHECK(qn_interner_take(&interner, &texts));
    CHECK_INT(texts.n, 0);
    interner.texts = texts;
    qn_interner_release(&interner);
}

static qn_status fill_and_take(int n, qn_dictionary *out)
{
    qn_interner interner = {0};
    for (int i = 0; i < n; i++) {
        char text[300];
        const int bytes = snprintf(text, sizeof text, "%0*d", i % 290 + 1, i);
        if (qn_interner_code(&interner, text, (size_t)bytes) < 0) {
            qn_interner_release(&interner);
            return QN_ERR_NOMEM;
        }
    }
    if (qn_interner_take(&interner, out)) return QN_OK;
    qn_interner_release(&interner);
    qn_interner empty = {.texts = *out};
    qn_interner_release(&empty);
    return QN_ERR_NOMEM;
}

static void interning_survives_running_out_of_memory(void **state)
{
    (void)state;
    for (int n = 0; n < 400; n += 399) {
        qn_dictionary texts = {0};
        CHECK_SURVIVES_NO_MEMORY_RELEASING(fill_and_take(n, &texts),
                                           qn_interner_release(&(qn_interner){.texts = texts}));
        CHECK_INT(texts.n, n);
        qn_interner holder = {.texts = texts};
        qn_interner_release(&holder);
    }
}

RUN_TESTS(TEST(texts_get_codes_in_order_of_first_appearance),
          TEST(a_text_longer_than_all_before_is_kept_whole), TEST(no_texts_are_a_dictionary_too),
          TEST(interning_survives_running_out_of_memory))
