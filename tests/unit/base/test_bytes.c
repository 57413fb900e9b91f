/* SPDX-License-Identifier: Apache-2.0 */
#include "base/bytes.h"

#include "check.h"

#include <stdlib.h>

static void write_sample(qn_writer *writer)
{
    static const double values[] = {1.5, -2.5};
    qn_write_u8(writer, 7);
    qn_write_text(writer, "name", 4);
    qn_write_array(writer, values, 2, sizeof *values);
    qn_write_i64(writer, -1);
}

/* Reads the sample from a copy that is aligned as a mapped file is. */
static bool read_sample(const qn_writer *writer, size_t bytes)
{
    uint8_t *copy = aligned_alloc(64, (bytes + 64) / 64 * 64);
    memcpy(copy, writer->data, bytes);
    qn_reader reader = {.data = copy, .bytes = bytes};
    size_t text_bytes;
    int64_t n = 0;
    bool same = qn_read_u8(&reader) == 7;
    const char *text = qn_read_text(&reader, &text_bytes);
    same = same && text_bytes == 4 && memcmp(text, "name", 4) == 0;
    const double *values = qn_read_array(&reader, sizeof *values, &n);
    same = same && n == 2 && values[1] == -2.5 && (uintptr_t)values % 64 == 0;
    same = same && qn_read_i64(&reader) == -1 && !reader.failed;
    free(copy);
    return same;
}

static void sections_read_back_with_arrays_in_place(void **state)
{
    (void)state;
    qn_writer writer = {0};
    write_sample(&writer);
    CHECK(!writer.failed);
    CHECK(read_sample(&writer, writer.bytes));
    qn_writer_release(&writer);
}

static void every_truncation_fails_without_reading_beyond(void **state)
{
    (void)state;
    qn_writer writer = {0};
    write_sample(&writer);
    for (size_t bytes = 0; bytes < writer.bytes; bytes++) {
        CHECK(!read_sample(&writer, bytes));
    }
    qn_writer_release(&writer);
}

static void lengths_that_overflow_fail(void **state)
{
    (void)state;
    static const int64_t lengths[] = {-1, INT64_MAX, INT64_MAX / 8};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        qn_writer writer = {0};
        qn_write_i64(&writer, lengths[i]);
        qn_write_i64(&writer, 0);
        qn_reader reader = {.data = writer.data, .bytes = writer.bytes};
        int64_t n = 5;
        CHECK(qn_read_array(&reader, 8, &n) == NULL);
        CHECK(reader.failed && n == 0);
        reader = (qn_reader){.data = writer.data, .bytes = writer.bytes};
        size_t text_bytes = 5;
        CHECK(qn_read_text(&reader, &text_bytes) != NULL);
        CHECK(reader.failed && text_bytes == 0);
        qn_writer_release(&writer);
    }
}

static void a_failed_writer_stays_failed(void **state)
{
    (void)state;
    qn_writer writer = {0};
    qn_alloc_fail_at(1, false);
    qn_write_i64(&writer, 1);
    qn_alloc_fail_at(0, false);
    qn_write_i64(&writer, 2);
    CHECK(writer.failed);
    qn_writer_release(&writer);
}

RUN_TESTS(TEST(sections_read_back_with_arrays_in_place),
          TEST(every_truncation_fails_without_reading_beyond), TEST(lengths_that_overflow_fail),
          TEST(a_failed_writer_stays_failed))
