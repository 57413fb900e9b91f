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
void qn_content_close(qn_content *content);

#endif
