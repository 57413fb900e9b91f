/* SPDX-License-Identifier: Apache-2.0 */
#include "base/bytes.h"

#include "base/alloc.h"

#include <string.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "sections are read in place");

enum { ALIGNMENT = 64 };

static void append(qn_writer *writer, const void *data, size_t bytes)
{
    if (writer->failed) return;
    if (writer->room - writer->bytes < bytes) {
        size_t room = writer->room ? writer->room : 256;
        while (room - writer->bytes < bytes) {
            room *= 2;
        }
        uint8_t *grown = qn_realloc_array(writer->data, (int64_t)room, 1);
        if (!grown) {
            writer->failed = true;
            return;
        }
        writer->data = grown;
        writer->room = room;
    }
    if (bytes > 0) memcpy(writer->data + writer->bytes, data, bytes);
    writer->bytes += bytes;
}

void qn_write_u8(qn_writer *writer, uint8_t value)
{
    append(writer, &value, sizeof value);
}

void qn_write_i32(qn_writer *writer, int32_t value)
{
    append(writer, &value, sizeof value);
}

void qn_write_i64(qn_writer *writer, int64_t value)
{
    append(writer, &value, sizeof value);
}

void qn_write_f64(qn_writer *writer, double value)
{
    append(writer, &value, sizeof value);
}

void qn_write_text(qn_writer *writer, const char *text, size_t bytes)
{
    qn_write_i64(writer, (int64_t)bytes);
    append(writer, text, bytes);
}

void qn_write_array(qn_writer *writer, const void *items, int64_t n, size_t item_bytes)
{
    static const uint8_t zeros[ALIGNMENT];
    qn_write_i64(writer, n);
    append(writer, zeros, (ALIGNMENT - writer->bytes % ALIGNMENT) % ALIGNMENT);
    append(writer, items, (size_t)n * item_bytes);
}

void qn_writer_release(qn_writer *writer)
{
    qn_free(writer->data);
    *writer = (qn_writer){0};
}

static const uint8_t *take(qn_reader *reader, size_t bytes)
{
    if (reader->failed || reader->bytes - reader->at < bytes) {
        reader->failed = true;
        return NULL;
    }
    const uint8_t *data = reader->data + reader->at;
    reader->at += bytes;
    return data;
}

static void copy_out(qn_reader *reader, void *value, size_t bytes)
{
    const uint8_t *data = take(reader, bytes);
    if (data) {
        memcpy(value, data, bytes);
    } else {
        memset(value, 0, bytes);
    }
}

uint8_t qn_read_u8(qn_reader *reader)
{
    uint8_t value;
    copy_out(reader, &value, sizeof value);
    return value;
}

int32_t qn_read_i32(qn_reader *reader)
{
    int32_t value;
    copy_out(reader, &value, sizeof value);
    return value;
}

int64_t qn_read_i64(qn_reader *reader)
{
    int64_t value;
    copy_out(reader, &value, sizeof value);
    return value;
}

double qn_read_f64(qn_reader *reader)
{
    double value;
    copy_out(reader, &value, sizeof value);
    return value;
}

const char *qn_read_text(qn_reader *reader, size_t *bytes)
{
    const int64_t n = qn_read_i64(reader);
    const uint8_t *data = n < 0 ? NULL : take(reader, (size_t)n);
    if (n < 0) reader->failed = true;
    *bytes = data ? (size_t)n : 0;
    return data ? (const char *)data : "";
}

const void *qn_read_array(qn_reader *reader, size_t item_bytes, int64_t *n)
{
    *n = 0;
    const int64_t count = qn_read_i64(reader);
    const size_t padding = (ALIGNMENT - reader->at % ALIGNMENT) % ALIGNMENT;
    size_t bytes;
    if (count < 0 || __builtin_mul_overflow((size_t)count, item_bytes, &bytes)) {
        reader->failed = true;
        return NULL;
    }
    take(reader, padding);
    const uint8_t *data = take(reader, bytes);
    if (data) *n = count;
    return data;
}
