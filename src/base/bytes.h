/* SPDX-License-Identifier: Apache-2.0 */
/* Binary sections of a bundle: a little-endian writer that grows, and a bounds-checked reader over
 * borrowed memory. Both have a sticky failure: read or write everything, then check once. Arrays
 * are aligned to 64 bytes from the start of the section, so a reader hands out pointers into the
 * mapped file.
 *
 * Threads: one thread at a time. */
#ifndef QN_BASE_BYTES_H
#define QN_BASE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct qn_writer {
    uint8_t *data;
    size_t bytes, room;
    bool failed;
} qn_writer; /* zero-initialise; release with qn_writer_release() */

void qn_write_u8(qn_writer *writer, uint8_t value);
void qn_write_i32(qn_writer *writer, int32_t value);
void qn_write_i64(qn_writer *writer, int64_t value);
void qn_write_f64(qn_writer *writer, double value);
void qn_write_text(qn_writer *writer, const char *text, size_t bytes);
/* Length, padding to 64 bytes, items. */
void qn_write_array(qn_writer *writer, const void *items, int64_t n, size_t item_bytes);
void qn_writer_release(qn_writer *writer);

typedef struct qn_reader {
    const uint8_t *data; /* aligned to 64 bytes */
    size_t bytes, at;
    bool failed; /* something was out of bounds; every later read gives zero */
} qn_reader;

uint8_t qn_read_u8(qn_reader *reader);
int32_t qn_read_i32(qn_reader *reader);
int64_t qn_read_i64(qn_reader *reader);
double qn_read_f64(qn_reader *reader);
/* Borrowed; not terminated. Never NULL. */
const char *qn_read_text(qn_reader *reader, size_t *bytes);
/* Borrowed pointer to the items, or NULL with *n = 0 on failure (an empty array gives a pointer
 * that must not be followed). */
const void *qn_read_array(qn_reader *reader, size_t item_bytes, int64_t *n);

#endif
