/* SPDX-License-Identifier: Apache-2.0 */
/* The escapes of JSON strings (RFC 8259, section 7).
 *
 * Threads: pure functions. */
#ifndef QN_BASE_JSON_ESCAPE_H
#define QN_BASE_JSON_ESCAPE_H

#include <stddef.h>

enum { QN_JSON_ESCAPE_MAX = 4 }; /* bytes an escape may stand for */

/* Reads the escape whose backslash is before *at; something follows: *at < end. Puts what it stands
 * for, in UTF-8, to `out`, moves *at behind it and returns NULL; or returns what is wrong with it,
 * *at being where. Zero characters are refused, as halves of surrogate pairs are. */
const char *qn_json_escape(const char **at, const char *end, char out[QN_JSON_ESCAPE_MAX],
                           size_t *bytes);

#endif
