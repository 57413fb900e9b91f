/* SPDX-License-Identifier: Apache-2.0 */
/* Content codings as HTTP names them (RFC 9110, 8.4 and 12.5.3).
 *
 * Threads: pure functions. */
#ifndef QN_SERVE_HTTP_CONTENT_CODING_H
#define QN_SERVE_HTTP_CONTENT_CODING_H

#include "base/json_pull.h"
#include "source/recoder.h"

/* The coding that a header Content-Encoding names; none (text NULL) is identity, more than one are
 * unknown. */
qn_coding qn_content_coding_of_body(qn_span content_encoding);
/* The one to answer by: the best that a header Accept-Encoding allows, zstd before gzip where both
 * are as welcome. */
qn_coding qn_content_coding_for_reply(qn_span accept_encoding);

#endif
