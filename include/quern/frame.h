/* SPDX-License-Identifier: Apache-2.0 */
/* Tables in memory: read one from a file, look at its columns.
 *
 * Threads: a frame is immutable; any number of threads may use it. */
#ifndef QUERN_FRAME_H
#define QUERN_FRAME_H

#include "quern/error.h"

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct qn_frame qn_frame; /* destroy with qn_frame_free() */

typedef enum qn_type {
    QN_TYPE_BOOL,
    QN_TYPE_INT64,
    QN_TYPE_FLOAT64,
    QN_TYPE_STRING,
    QN_TYPE_TIMESTAMP /* microseconds since 1970-01-01T00:00:00 UTC */
} qn_type;

/* Reads a whole table. `uri` is a path (.csv .tsv .jsonl .ndjson, any of them .gz or .zst), "-"
 * for standard input, or "sqlite:FILE?table=T" / "sqlite:FILE?query=SELECT…". `n_threads` 0 uses
 * every core. On success the caller owns *out; on failure it is NULL.
 * Fails with QN_ERR_IO, QN_ERR_DATA (the message names file:line:column), QN_ERR_NOMEM. */
QN_API QN_MUST_CHECK qn_status qn_frame_read(const char *uri, int n_threads, qn_frame **out,
                                             qn_error *err);
QN_API void qn_frame_free(qn_frame *frame); /* accepts NULL */

QN_API int64_t qn_frame_n_rows(const qn_frame *frame);
QN_API int64_t qn_frame_n_cols(const qn_frame *frame);
/* Borrowed until the frame is freed. */
QN_API const char *qn_frame_name(const qn_frame *frame, int64_t col);
QN_API qn_type qn_frame_type(const qn_frame *frame, int64_t col);
QN_API int64_t qn_frame_n_missing(const qn_frame *frame, int64_t col);

#ifdef __cplusplus
}
#endif

#endif
