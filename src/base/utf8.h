/* SPDX-License-Identifier: Apache-2.0 */
/* UTF-8 as RFC 3629 has it: no overlong forms, no surrogates, nothing above U+10FFFF.
 *
 * Threads: pure functions. */
#ifndef QN_BASE_UTF8_H
#define QN_BASE_UTF8_H

#include <stddef.h>

/* Length of the character at `text`, 1 to 4; 0 when the bytes are none. `bytes` is at least 1. */
size_t qn_utf8_character(const char *text, size_t bytes);

/* The first byte that begins no character, or NULL. */
const char *qn_utf8_first_invalid(const char *text, size_t bytes);

/* A terminated copy in which every byte that begins no character has become U+FFFD; NULL when out
 * of memory. */
char *qn_utf8_repair(const char *text, size_t bytes, size_t *out_bytes);

#endif
