/* SPDX-License-Identifier: Apache-2.0 */
#include "stats/profile.h"

#include "frames.h"

static qn_profile *profile_of(const qn_frame *frame, const int32_t *rows, int64_t n_rows,
                              int n_threads)
{
    qn_profile *profile = NULL;
    qn_error err = {0};
    qn_pool *pool = qn_pool_create(n_threads);
    CHECK_OK(qn_profile_create(frame, rows, n_rows, pool, &profile, &err));
    qn_pool_free(pool);
    return profile;
}

static qn_frame *mixed(void)
{
    qn_frame *frame = frame_create(6, 3);
    frame_doubles(frame, 0, "x", (const double[]){1, 2, 2, -4, 0, QN_NA});
    frame_texts(frame, 1, "t", (const char *const[]){"b", "a a", "b", "12", NULL, "a a"});
    frame_ints(frame, 2, "n", (const int64_t[]){5, 5, 5, 5, 5, 5});
    return frame;
}

static void numbers_are_summed_up(void **state)
{
    (void)state;
    qn_frame *frame = mixed();
    qn_profile *profile = profile_of(frame, NULL, 0, 1);
    const qn_column_profile *x = &profile->columns[0];
    CHECK_INT(x->n_rows, 6);
    CHECK_INT(x->n_missing, 1);
    CHECK_INT(x->n_distinct, 4);
    CHECK_NEAR(x->mean, 0.2, 1e-15);
    CHECK_NEAR(x->std, sqrt((1 + 4 + 4 + 16) / 5.0 - 0.04), 1e-12);
    CHECK_NEAR(x->minimum, -4, 0);
    CHECK_NEAR(x->maximum, 2, 0);
    CHECK_NEAR(x->quantiles[3], 1, 0);
    CHECK_INT(x->n_zero, 1);
    CHECK_INT(x->n_negative, 1);
    CHECK(x->all_integers);
    CHECK_TEXT(x->top[0].text, "2");
    CHECK_INT(x->top[0].count, 2);
    int64_t n = 0;
    for (int32_t b = 0; b < x->n_bins; b++) {
        n += x->counts[b];
        CHECK(x->edges[b] < x->edges[b + 1]);
    }
    CHECK_INT(n, 5);
    CHECK_INT(profile->columns[2].n_distinct, 1);
    qn_profile_free(profile);
    qn_frame_free(frame);
}

static void texts_are_measured(void **state)
{
    (void)state;
    qn_frame *frame = mixed();
    qn_profile *profile = profile_of(frame, NULL, 0, 1);
    const qn_column_profile *t = &profile->columns[1];
    CHECK_INT(t->n_missing, 1);
    CHECK_INT(t->n_distinct, 3);
    CHECK_TEXT(t->top[0].text, "a a"); /* as frequent as "b", and first by its bytes */
    CHECK_TEXT(t->top[1].text, "b");
    CHECK_NEAR(t->words_mean, 7 / 5.0, 1e-15);
    CHECK_NEAR(t->length_mean, 10 / 5.0, 1e-15);
    CHECK_NEAR(t->length_max, 3, 0);
    CHECK_NEAR(t->numeric_fraction, 1 / 5.0, 1e-15);
    CHECK(isnan(t->mean));
    qn_profile_free(profile);
    qn_frame_free(frame);
}

static void only_the_chosen_rows_count(void **state)
{
    (void)state;
    qn_frame *frame = mixed();
    qn_profile *profile = profile_of(frame, (const int32_t[]){1, 2, 5}, 3, 1);
    CHECK_INT(profile->n_rows, 3);
    CHECK_INT(profile->columns[0].n_missing, 1);
    CHECK_INT(profile->columns[0].n_distinct, 1);
    CHECK_INT(profile->columns[1].n_distinct, 2);
    qn_profile_free(profile);
    qn_frame_free(frame);
}

static void rows_equal_to_an_earlier_one_are_counted(void **state)
{
    (void)state;
    qn_frame *frame = frame_create(5, 2);
    frame_doubles(frame, 0, "x", (const double[]){1, 1, QN_NA, QN_NA, 1});
    frame_texts(frame, 1, "t", (const char *const[]){"a", "a", NULL, NULL, "b"});
    qn_profile *profile = profile_of(frame, NULL, 0, 1);
    CHECK_INT(profile->n_duplicate_rows, 2);
    qn_profile_free(profile);
    qn_frame_free(frame);
}

static void infinite_values_do_no_harm(void **state)
{
    (void)state;
    const double inf = (double)INFINITY;
    qn_frame *frame = frame_create(4, 2);
    frame_doubles(frame, 0, "x", (const double[]){1, inf, 3, -inf});
    frame_doubles(frame, 1, "empty", (const double[]){QN_NA, QN_NA, QN_NA, QN_NA});
    qn_profile *profile = profile_of(frame, NULL, 0, 1);
    CHECK_INT(profile->columns[0].n_bins, 0);
    CHECK_INT(profile->columns[0].n_distinct, 4);
    CHECK_INT(profile->columns[1].n_missing, 4);
    CHECK_INT(profile->columns[1].n_distinct, 0);
    CHECK(isnan(profile->columns[1].mean));
    qn_profile_free(profile);
    qn_frame_free(frame);
}

static char *text_of(const qn_profile *profile)
{
    qn_str text = {0};
    qn_json_writer json = {.out = &text};
    qn_profile_write_json(profile, &json);
    char *written = qn_str_take_text(&text);
    CHECK(written != NULL);
    return written;
}

static void what_is_written_reads_back_byte_for_byte(void **state)
{
    (void)state;
    qn_frame *frame = mixed();
    qn_profile *profile = profile_of(frame, NULL, 0, 1), *back = NULL;
    qn_error err = {0};
    char *text = text_of(profile);
    qn_json *json = NULL;
    CHECK_OK(qn_json_parse(text, strlen(text), "profile", &json, &err));
    CHECK_OK(qn_profile_read_json(qn_json_root(json), &back, &err));
    char *again = text_of(back);
    CHECK_TEXT(again, text);
    qn_free(text);
    qn_free(again);
    qn_json_free(json);
    qn_profile_free(profile);
    qn_profile_free(back);
    qn_frame_free(frame);
}

static void threads_do_not_change_a_byte(void **state)
{
    (void)state;
    enum { ROWS = 20000 };
    static double values[ROWS];
    uint64_t x = 1;
    for (int i = 0; i < ROWS; i++) {
        x = x * UINT64_C(6364136223846793005) + 1442695040888963407;
        values[i] = (double)(x >> 40) / 977;
    }
    qn_frame *frame = frame_create(ROWS, 3);
    frame_doubles(frame, 0, "a", values);
    frame_doubles(frame, 1, "b", values);
    frame_doubles(frame, 2, "c", values);
    char *texts[3];
    for (int n = 0; n < 3; n++) {
        qn_profile *profile = profile_of(frame, NULL, 0, n + 1);
        texts[n] = text_of(profile);
        qn_profile_free(profile);
    }
    CHECK_TEXT(texts[1], texts[0]);
    CHECK_TEXT(texts[2], texts[0]);
    for (int n = 0; n < 3; n++) {
        qn_free(texts[n]);
    }
    qn_frame_free(frame);
}

static void profiling_survives_running_out_of_memory(void **state)
{
    (void)state;
    qn_frame *frame = mixed();
    qn_profile *profile = NULL;
    CHECK_SURVIVES_NO_MEMORY(qn_profile_create(frame, NULL, 0, NULL, &profile, NULL));
    qn_profile_free(profile);
    qn_frame_free(frame);
}

RUN_TESTS(TEST(numbers_are_summed_up), TEST(texts_are_measured), TEST(only_the_chosen_rows_count),
          TEST(rows_equal_to_an_earlier_one_are_counted), TEST(infinite_values_do_no_harm),
          TEST(what_is_written_reads_back_byte_for_byte), TEST(threads_do_not_change_a_byte),
          TEST(profiling_survives_running_out_of_memory))
