/* SPDX-License-Identifier: Apache-2.0 */
/* Shadows: requests that were answered by one version are given to another one, too, to see what it
 * would have said. A thread of low priority does it, from copies in a bounded queue: a shadow that
 * is slow, fails or falls behind changes nothing about the answers; what the queue cannot take is
 * counted and forgotten. Predictions go to the prediction log, marked, under the request's id.
 *
 * Threads: internally locked. */
#ifndef QN_SERVE_SHADOW_H
#define QN_SERVE_SHADOW_H

#include "serve/catalog.h"
#include "serve/line_log.h"
#include "serve/request_trace.h"
#include "serve/rows.h"

typedef struct qn_shadows qn_shadows; /* destroy with qn_shadows_free() */

typedef qn_status (*qn_rows_opener)(qn_rows *rows, const char *body, size_t bytes, qn_error *err);

/* A request to be given to a shadow. */
typedef struct qn_shadow_request {
    const qn_catalog_entry *entry; /* loaded; counted in the slot's counters behind the loops' */
    qn_rows_opener open;
    qn_rows rows; /* as the answering handler initialised its own, but for model and memory */
    qn_span body;
    const qn_request_trace *trace;
    qn_line_log *log; /* NULL: its predictions are counted alone */
    int counters;     /* which of the slot's counters are the shadows' */
} qn_shadow_request;

/* Starts the thread, which inherits the caller's sandbox. Fails with QN_ERR_NOMEM. */
QN_MUST_CHECK
qn_status qn_shadows_start(qn_shadows **out, qn_error *err);
/* Copies what it needs. */
void qn_shadows_add(qn_shadows *shadows, const qn_shadow_request *request);
/* How many requests were not given to their shadow. */
uint64_t qn_shadows_dropped(const qn_shadows *shadows);
/* Finishes the one that runs and forgets those that wait. Accepts NULL. */
void qn_shadows_free(qn_shadows *shadows);

#endif
