/* SPDX-License-Identifier: Apache-2.0 */
/* Content codings of HTTP (RFC 9110, 8.4): gzip, deflate and zstd, as streams that a caller takes a
 * step at a time. What a body grows to is bounded by the caller, the window of zstd by 8 MB (RFC
 * 8878), so a small body cannot claim much memory.
 *
 * Threads: one thread at a time for each recoder; the rest is pure. */
#ifndef QN_SERVE_RECODER_H
#define QN_SERVE_RECODER_H

#include "base/error.h"
#include "base/json_pull.h"
#include "base/str.h"

typedef enum qn_coding {
    QN_CODING_IDENTITY,
    QN_CODING_GZIP,
    QN_CODING_DEFLATE, /* zlib's format (RFC 1950); read, not offered */
    QN_CODING_ZSTD,
    QN_CODING_UNKNOWN
} qn_coding;

/* "gzip" */
const char *qn_coding_name(qn_coding coding);
/* The coding that a header Content-Encoding names; none (text NULL) is identity, more than one are
 * unknown. */
qn_coding qn_coding_of_body(qn_span content_encoding);
/* The one to answer by: the best that a header Accept-Encoding allows, zstd before gzip where both
 * are as welcome. */
qn_coding qn_coding_for_reply(qn_span accept_encoding);

typedef struct qn_recoder qn_recoder; /* destroy with qn_recoder_free() */

/* NULL when out of memory. The coding is not identity. */
qn_recoder *qn_recoder_create(qn_coding coding, bool encode);
void qn_recoder_free(qn_recoder *recoder); /* accepts NULL */

/* Reads some of `all` from where the last call stopped and adds to `out`: a few hundred kilobytes
 * at most. *done when all of it is read and written. Fails with QN_ERR_DATA when it is damaged or
 * ends too early, QN_ERR_BUDGET when `out` would be larger than `bytes_max`, or QN_ERR_NOMEM. */
QN_MUST_CHECK
qn_status qn_recoder_step(qn_recoder *recoder, qn_span all, size_t bytes_max, qn_str *out,
                          bool *done, qn_error *err);

#endif
