/* SPDX-License-Identifier: Apache-2.0 */
/* Files with secrets: read whole, and only when nobody else can read or change them.
 *
 * Threads: calls are independent. */
#ifndef QN_CRYPTO_PRIVATE_FILE_H
#define QN_CRYPTO_PRIVATE_FILE_H

#include "base/error.h"

#include <stddef.h>

/* Refuses (QN_ERR_DATA) what is no regular file, and a file that others than its owner and group
 * can read, or others than its owner can change: at most mode 0640. QN_ERR_IO when it is not there.
 * The group may read because Kubernetes gives secrets to a process by its group. */
QN_MUST_CHECK
qn_status qn_private_file_check(const char *path, qn_error *err);
/* Reads a file of at most `bytes_max` bytes that passes the check; the text is terminated, the
 * caller's, to be wiped and freed with qn_private_text_free(). */
QN_MUST_CHECK
qn_status qn_private_file_read(const char *path, size_t bytes_max, char **out, size_t *bytes,
                               qn_error *err);
void qn_private_text_free(char *text, size_t bytes); /* accepts NULL */

#endif
