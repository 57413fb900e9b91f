/* SPDX-License-Identifier: Apache-2.0 */
/* Delimited text → frame: one pass over the bytes into typed columns, in parallel.
 *
 * Threads: calls are independent. */
#ifndef QN_SOURCE_CSV_H
#define QN_SOURCE_CSV_H

#include "source/content.h"
#include "source/source.h"

/* Reads text that is called `name` in messages. */
QN_MUST_CHECK
qn_status qn_csv_read(const qn_read_request *request, const char *name, const qn_content *content,
                      qn_frame **out, qn_str *warnings, qn_error *err);

#endif
