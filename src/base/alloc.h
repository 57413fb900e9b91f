/* SPDX-License-Identifier: Apache-2.0 */
/* Allocation: overflow-checked, never aborting, and able to fail on demand for the tests that
 * make every allocation fail in turn. Memory is released with qn_free().
 *
 * Threads: all calls are safe from any thread. */
#ifndef QN_BASE_ALLOC_H
#define QN_BASE_ALLOC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Zeroed memory for `count` items; NULL when out of memory or when the size overflows.
 * A count of zero gives a valid pointer. */
void *qn_alloc_array(int64_t count, size_t item_bytes);

/* As qn_alloc_array, but not zeroed and aligned to 64 bytes: for large numeric arrays. */
void *qn_alloc_aligned(int64_t count, size_t item_bytes);

/* Grows or shrinks; on failure returns NULL and leaves the old memory as it was. Added bytes are
 * not zeroed. Not for memory from qn_alloc_aligned(). */
void *qn_realloc_array(void *memory, int64_t count, size_t item_bytes);

/* A terminated copy of `bytes` bytes of text. */
char *qn_strndup(const char *text, size_t bytes);
char *qn_strdup(const char *text);

void qn_free(void *memory); /* accepts NULL */

/* Fault injection, for tests: the n-th allocation from now fails (1 = the next), and with
 * `onwards` every later one too; 0 turns it off. Returns how many were counted since the last
 * call. */
int64_t qn_alloc_fail_at(int64_t nth, bool onwards);

#endif
