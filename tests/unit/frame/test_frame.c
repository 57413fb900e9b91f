/* SPDX-License-Identifier: Apache-2.0 */
#include "frame/frame.h"

#include "frames.h"

static qn_frame *people(void)
{
    qn_frame *frame = frame_create(3, 2);
    frame_texts(frame, 0, "name", (const char *const[]){"Ada", NULL, "Grace"});
    frame_ints(frame, 1, "age", (const int64_t[]){36, 41, 85});
    return frame;
}

static void a_column_that_is_not_there_is_told_with_the_nearest(void **state)
{
    (void)state;
    qn_frame *frame = people();
    qn_error err = {0};
    int64_t col;
    CHECK_OK(qn_frame_require(frame, "--keep", "age", &col, &err));
    CHECK_INT(col, 1);
    CHECK_FAILS(QN_ERR_ARG, qn_frame_require(frame, "--keep", "Nmae", &col, &err));
    CHECK_TEXT(err.message, "--keep: there is no column 'Nmae'; did you mean 'name'?");
    CHECK_FAILS(QN_ERR_ARG, qn_frame_require(frame, "--keep", "telephone", &col, &err));
    CHECK_TEXT(err.message, "--keep: there is no column 'telephone'");
    qn_frame_free(frame);
}

static void rows_are_taken_in_the_order_asked(void **state)
{
    (void)state;
    qn_frame *frame = people(), *taken = NULL;
    qn_error err = {0};
    CHECK_OK(qn_frame_take(frame, (const int32_t[]){2, 1, 2}, 3, &taken, &err));
    CHECK_INT(qn_frame_n_rows(taken), 3);
    CHECK_INT(taken->columns[1].data.ints[0], 85);
    CHECK_INT(taken->columns[0].data.codes[0], taken->columns[0].data.codes[2]);
    CHECK(qn_column_is_missing(&taken->columns[0], 1));
    CHECK(!qn_column_is_missing(&taken->columns[0], 2));
    qn_frame_free(taken);
    CHECK_OK(qn_frame_take(frame, NULL, 0, &taken, &err));
    CHECK_INT(qn_frame_n_rows(taken), 0);
    qn_frame_free(taken);
    qn_frame_free(frame);
}

/* A look-up fails either way: for want of memory, or of the column. */
static qn_status look_up(const qn_frame *frame)
{
    int64_t col;
    const qn_status status = qn_frame_require(frame, "--keep", "nam", &col, NULL);
    return status == QN_ERR_ARG ? QN_OK : status;
}

static void looking_up_and_taking_survive_running_out_of_memory(void **state)
{
    (void)state;
    qn_frame *frame = people(), *taken = NULL;
    CHECK_SURVIVES_NO_MEMORY(look_up(frame));
    CHECK_SURVIVES_NO_MEMORY(qn_frame_take(frame, (const int32_t[]){2, 0}, 2, &taken, NULL));
    qn_frame_free(taken);
    qn_frame_free(frame);
}

RUN_TESTS(TEST(a_column_that_is_not_there_is_told_with_the_nearest),
          TEST(rows_are_taken_in_the_order_asked),
          TEST(looking_up_and_taking_survive_running_out_of_memory))
