/* SPDX-License-Identifier: Apache-2.0 */
#include "frame/labels.h"

#include "frames.h"

static qn_frame *incomes(void)
{
    qn_frame *frame = frame_create(4, 2);
    frame_texts(frame, 0, "income", (const char *const[]){">50K.", "<=50K.", NULL, ">50K."});
    frame_ints(frame, 1, "code", (const int64_t[]){1, 2, 3, 1});
    return frame;
}

static void check_text(const qn_frame *frame, int64_t col, int64_t row, const char *expected)
{
    char scratch[QN_VALUE_TEXT_BYTES];
    size_t bytes;
    const char *text = qn_column_text(&frame->columns[col], row, scratch, &bytes);
    CHECK_INT(bytes, strlen(expected));
    CHECK(memcmp(text, expected, bytes) == 0);
}

static void characters_are_stripped_before_labels_are_renamed(void **state)
{
    (void)state;
    qn_frame *frame = incomes(), *mapped = NULL;
    qn_error err = {0};
    CHECK_OK(qn_frame_map_labels(frame, 0, ">50K=rich", ".", &mapped, &err));
    check_text(mapped, 0, 0, "rich");
    check_text(mapped, 0, 1, "<=50K");
    CHECK(qn_column_is_missing(&mapped->columns[0], 2));
    CHECK_INT(mapped->columns[0].data.codes[3], mapped->columns[0].data.codes[0]);
    check_text(frame, 0, 0, ">50K."); /* the original is as it was */
    qn_frame_free(mapped);
    qn_frame_free(frame);
}

static void labels_with_equals_in_them_are_renamed(void **state)
{
    (void)state;
    qn_frame *frame = incomes(), *mapped = NULL;
    qn_error err = {0};
    CHECK_OK(qn_frame_map_labels(frame, 0, "<=50K.=<=50K,>50K.=>50K", NULL, &mapped, &err));
    check_text(mapped, 0, 0, ">50K");
    check_text(mapped, 0, 1, "<=50K");
    qn_frame_free(mapped);
    qn_frame_free(frame);
}

static void numbers_are_renamed_by_their_text(void **state)
{
    (void)state;
    qn_frame *frame = incomes(), *mapped = NULL;
    qn_error err = {0};
    CHECK_OK(qn_frame_map_labels(frame, 1, "1=one,2=two", NULL, &mapped, &err));
    CHECK_INT(mapped->columns[1].type, QN_TYPE_STRING);
    check_text(mapped, 1, 0, "one");
    check_text(mapped, 1, 2, "3");
    qn_frame_free(mapped);
    qn_frame_free(frame);
}

static void a_map_without_equals_is_refused(void **state)
{
    (void)state;
    qn_frame *frame = incomes(), *mapped = NULL;
    qn_error err = {0};
    CHECK_FAILS(QN_ERR_ARG, qn_frame_map_labels(frame, 0, "a=b,c", NULL, &mapped, &err));
    CHECK_CONTAINS(err.message, "--label-map 'c'");
    CHECK(mapped == NULL);
    qn_frame_free(frame);
}

static void renaming_survives_running_out_of_memory(void **state)
{
    (void)state;
    qn_frame *frame = incomes(), *mapped = NULL;
    CHECK_SURVIVES_NO_MEMORY(qn_frame_map_labels(frame, 0, "a=b", ".", &mapped, NULL));
    qn_frame_free(mapped);
    qn_frame_free(frame);
}

RUN_TESTS(TEST(characters_are_stripped_before_labels_are_renamed),
          TEST(labels_with_equals_in_them_are_renamed), TEST(numbers_are_renamed_by_their_text),
          TEST(a_map_without_equals_is_refused), TEST(renaming_survives_running_out_of_memory))
