/* SPDX-License-Identifier: Apache-2.0 */
/* Queries of a ranking table: numbered in order of first appearance, rows brought side by side. */
#include "evaluate/queries.h"

#include "frames.h"

static const char *const texts[] = {"b", "a", NULL, "b", "c", NULL, "a"};
enum { N = 7 };

static qn_frame *make_frame(void)
{
    qn_frame *frame = frame_create(N, 1);
    frame_texts(frame, 0, "query", texts);
    return frame;
}

static qn_schema schema_of(qn_schema_column *column, qn_role role)
{
    static char name[] = "query";
    *column = (qn_schema_column){.name = name, .role = role};
    return (qn_schema){.columns = column, .n_cols = 1};
}

static void queries_are_numbered_as_they_appear_and_rows_brought_together(void **state)
{
    (void)state;
    qn_error err = {0};
    qn_frame *frame = make_frame();
    qn_schema_column column;
    const qn_schema schema = schema_of(&column, QN_ROLE_GROUP);
    int32_t *queries = NULL, rows[N] = {6, 5, 4, 3, 2, 1, 0};
    CHECK_OK(qn_queries_number(&schema, frame, &queries, &err));
    const int32_t numbers[N] = {0, 1, 2, 0, 3, 2, 1}, ordered[N] = {0, 3, 1, 6, 2, 5, 4};
    assert_memory_equal(queries, numbers, sizeof numbers);
    CHECK_OK(qn_queries_sort(rows, N, queries, &err));
    assert_memory_equal(rows, ordered, sizeof ordered);
    qn_free(queries);
    qn_frame_free(frame);
}

static void without_a_group_column_there_are_none(void **state)
{
    (void)state;
    qn_error err = {0};
    qn_frame *frame = make_frame();
    qn_schema_column column;
    qn_schema schema = schema_of(&column, QN_ROLE_FEATURE);
    int32_t *queries = NULL;
    CHECK_OK(qn_queries_number(&schema, frame, &queries, &err));
    CHECK(!queries);
    schema = schema_of(&column, QN_ROLE_GROUP);
    static char other[] = "session";
    column.name = other;
    CHECK_FAILS(QN_ERR_DATA, qn_queries_number(&schema, frame, &queries, &err));
    CHECK_TEXT(err.message, "table.csv: there is no group column 'session'");
    qn_frame_free(frame);
}

static void numbering_and_sorting_survive_running_out_of_memory(void **state)
{
    (void)state;
    qn_frame *frame = make_frame();
    qn_schema_column column;
    const qn_schema schema = schema_of(&column, QN_ROLE_GROUP);
    int32_t *queries = NULL, rows[N] = {6, 5, 4, 3, 2, 1, 0};
    CHECK_SURVIVES_NO_MEMORY(qn_queries_number(&schema, frame, &queries, NULL));
    CHECK_SURVIVES_NO_MEMORY(qn_queries_sort(rows, N, queries, NULL));
    qn_free(queries);
    qn_frame_free(frame);
}

RUN_TESTS(TEST(queries_are_numbered_as_they_appear_and_rows_brought_together),
          TEST(without_a_group_column_there_are_none),
          TEST(numbering_and_sorting_survive_running_out_of_memory))
