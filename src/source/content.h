/* SPDX-License-Identifier: Apache-2.0 */
/* Content: the bytes of a file or of standard input, decompressed if need be. Plain files are
 * mapped, not copied.
 *
 * Threads: immutable once opened. */
#ifndef QN_SOURCE_CONTENT_H
#define QN_SOURCE_CONTENT_H

#include "base/clock.h"
#include "base/file.h"

typedef struct qn_content {
    const char *data;
    size_t bytes;
    qn_file_map map; /* when mapped */
    char *owned;     /* when read or decompressed */
} qn_content;        /* close with qn_content_close() */

/* `path` "-" reads standard input to its end. gzip (all members) and zstd are told by their first
 * bytes, whatever the name. Damaged or truncated compression fails with QN_ERR_DATA. */
QN_MUST_CHECK
qn_status qn_content_open(const char *path, const qn_stop *stop, qn_content *out, qn_error *err);
/* The bytes between begin and end will not be needed soon: a mapped file's pages leave the
 * process's memory, to be read again if they are. */
void qn_content_drop(const qn_content *content, const char *begin, const char *end);
void qn_content_close(qn_content *content);

#endif
