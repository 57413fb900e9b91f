/* SPDX-License-Identifier: Apache-2.0 */
/* Files: read-only mappings, and writing that either happens whole or not at all. */
#ifndef QN_BASE_FILE_H
#define QN_BASE_FILE_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct qn_file_map {
    const uint8_t *data; /* page aligned; NULL for an empty file */
    size_t bytes;
} qn_file_map; /* close with qn_file_unmap() */

QN_MUST_CHECK
qn_status qn_file_map_open(const char *path, qn_file_map *out, qn_error *err);
/* The same, of a copy in memory: what is done to the file afterwards does not reach it. */
QN_MUST_CHECK
qn_status qn_file_map_copy(const char *path, qn_file_map *out, qn_error *err);
/* Lets whole pages between begin and end go; a later access reads them again. */
void qn_file_map_drop(const qn_file_map *map, const void *begin, const void *end);
void qn_file_unmap(qn_file_map *map);

/* Which bytes a path leads to, without reading them. */
typedef struct qn_file_identity {
    uint64_t device, inode, bytes;
    int64_t changed_s, changed_ns;
    bool known; /* false: there is no such file */
} qn_file_identity;

qn_file_identity qn_file_identify(const char *path);
bool qn_file_is_same(const qn_file_identity *a, const qn_file_identity *b);

/* Writes to a temporary file beside `path`, syncs, renames: readers see the old file or the whole
 * new one, and a full disk leaves the old one in place. */
QN_MUST_CHECK
qn_status qn_file_write(const char *path, const void *data, size_t bytes, qn_error *err);
/* The same for secrets: whatever the umask, nobody but the owner may read the file. */
QN_MUST_CHECK
qn_status qn_file_write_private(const char *path, const void *data, size_t bytes, qn_error *err);

#endif
