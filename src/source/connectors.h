/* SPDX-License-Identifier: Apache-2.0 */
/* Connectors: readers for URIs that are not files, and the readers of file formats that share
 * their builders. To add one: a file with a qn_connector, one line in source.c.
 *
 * Threads: calls are independent. */
#ifndef QN_SOURCE_CONNECTORS_H
#define QN_SOURCE_CONNECTORS_H

#include "source/content.h"
#include "source/source.h"

typedef struct qn_connector {
    const char *scheme; /* what stands before the ':' */
    qn_status (*read)(const qn_read_request *request, const char *uri, qn_frame **out,
                      qn_str *warnings, qn_error *err);
} qn_connector;

extern const qn_connector *const qn_connectors[]; /* ended by NULL */
extern const qn_connector qn_connector_sqlite;

/* JSON lines: one object a line. Nested objects become columns with dotted names, arrays become
 * their text. */
QN_MUST_CHECK
qn_status qn_jsonl_read(const qn_read_request *request, const char *name, const qn_content *content,
                        qn_frame **out, qn_str *warnings, qn_error *err);

#endif
