/* SPDX-License-Identifier: Apache-2.0 */
/* String builder with a sticky failure: append freely, check `failed` once at the end.
 *
 * Threads: one thread at a time. */
#ifndef QN_BASE_STR_H
#define QN_BASE_STR_H

#include "quern/error.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

typedef struct qn_str {
    char *text; /* NULL until the first append, then always terminated */
    size_t bytes;
    size_t room;
    bool failed; /* an append ran out of memory; later ones do nothing */
} qn_str;        /* zero-initialise; release with qn_str_release() */

void qn_str_add(qn_str *str, const char *text);
void qn_str_add_bytes(qn_str *str, const char *text, size_t bytes);
void qn_str_add_char(qn_str *str, char c);
void qn_str_addf(qn_str *str, const char *format, ...) QN_PRINTF(2, 3);
/* The shortest decimal that reads back as the same double; see qn_format_double(). */
void qn_str_add_double(qn_str *str, double value);
void qn_str_clear(qn_str *str);
/* Hands the terminated text to the caller, to qn_free(); NULL when an append failed. */
char *qn_str_take_text(qn_str *str);
void qn_str_release(qn_str *str);

#endif
