/* SPDX-License-Identifier: Apache-2.0 */
/* Sources: a table URI becomes a frame. The connectors stand in one table in source.c; each has
 * its own file.
 *
 * Threads: calls are independent. */
#ifndef QN_SOURCE_SOURCE_H
#define QN_SOURCE_SOURCE_H

#include "base/clock.h"
#include "base/pool.h"
#include "frame/schema.h"

/* Zero means the default. */
typedef struct qn_read_request {
    const char *uri;
    const qn_schema *schema; /* read columns of the same name with the types it gives; types that
                                the data contradict are widened all the same. NULL: guess all */
    const char *markers;     /* missing markers, comma-separated, instead of the guessed ones */
    char delimiter;          /* 0: sniffed */
    int header;              /* 0 sniffed, 1 yes, -1 no (names are then column_1 …) */
    const char *named;       /* a column that is asked for by name: whatever else is sniffed, a
                                first record with this text is the header. NULL: the schema's first */
    qn_pool *pool;
    const qn_stop *stop;
    size_t chunk_bytes; /* a thread gets at least as many bytes of a CSV file to parse; 0: 256 KB */
} qn_read_request;

/* Reads the whole table. On success the caller owns *out. Warnings worth showing (invalid UTF-8
 * replaced, duplicate names renamed, types widened) go to `warnings`, one line each, unless NULL.
 * Fails with QN_ERR_DATA ("file:line:column: …"), QN_ERR_IO, QN_ERR_NOMEM, QN_ERR_INTERRUPTED. */
QN_MUST_CHECK
qn_status qn_source_read(const qn_read_request *request, qn_frame **out, qn_str *warnings,
                         qn_error *err);

#endif
