/* SPDX-License-Identifier: Apache-2.0 */
/* Recoder: gzip, deflate and zstd, a step at a time, of bytes that are all there. The only file
 * that includes zlib's and zstd's headers is recoder.c.
 *
 * Threads: one thread at a time. */
#ifndef QN_SOURCE_RECODER_H
#define QN_SOURCE_RECODER_H

#include "base/error.h"
#include "base/json_pull.h"
#include "base/str.h"

typedef enum qn_coding {
    QN_CODING_IDENTITY,
    QN_CODING_GZIP,
    QN_CODING_DEFLATE, /* as HTTP has it: zlib's format, RFC 1950 */
    QN_CODING_ZSTD,
    QN_CODING_UNKNOWN
} qn_coding;

/* "gzip" */
const char *qn_coding_name(qn_coding coding);

typedef struct qn_recoder qn_recoder; /* destroy with qn_recoder_free() */

/* NULL when out of memory. The coding is gzip, deflate or zstd. */
qn_recoder *qn_encoder_create(qn_coding coding);
/* `window_log_max`, 10 to 27: a frame of zstd that needs a window of more than 2^this bytes is
 * refused, so that a few bytes cannot claim much memory. */
qn_recoder *qn_decoder_create(qn_coding coding, int window_log_max);
void qn_recoder_free(qn_recoder *recoder); /* accepts NULL */

/* Reads some of `all` from where the last call stopped and adds to `out`: a few hundred kilobytes
 * at most. *done when all of it is read and written. Members of gzip and frames of zstd may follow
 * each other. Fails with QN_ERR_DATA when it is damaged or cut off, QN_ERR_BUDGET when `out` would
 * be larger than `bytes_max`, or QN_ERR_NOMEM. */
QN_MUST_CHECK
qn_status qn_recoder_step(qn_recoder *recoder, qn_span all, size_t bytes_max, qn_str *out,
                          bool *done, qn_error *err);

#endif
