/* SPDX-License-Identifier: Apache-2.0 */
/* Shadows: requests that were answered by one version are given to another one, too, to see what it
 * would have said. A thread of low priority does it, from copies in a bounded queue: a shadow that
 * is slow, fails or falls behind changes nothing about the answers; what the queue cannot take is
 * counted and forgotten. Predictions go to the prediction log, marked, under the request's id, and
 * are held against the answer (shadow_answers.h).
 *
 * Threads: internally locked. */
#ifndef QN_SERVE_ROUTES_SHADOW_H
#define QN_SERVE_ROUTES_SHADOW_H

#include "serve/models/catalog.h"
#include "serve/rows/rows.h"
#include "serve/telemetry/line_log.h"
#include "serve/telemetry/request_trace.h"

typedef struct qn_shadows qn_shadows; /* destroy with qn_shadows_free() */

typedef qn_status (*qn_rows_opener)(qn_rows *rows, const char *body, size_t bytes, qn_error *err);

/* A request to be given to a shadow. */
typedef struct qn_shadow_request {
    const qn_catalog_entry *entry; /* loaded; counted in the slot's counters behind the loops' */
    qn_rows_opener open;
    qn_rows rows; /* as the answering handler initialised its own, but for model and memory */
    qn_span body;
    const qn_request_trace *trace;
    qn_served_model *answering; /* the version that answers */
    qn_line_log *log;           /* NULL: its predictions are counted alone */
    int counters;               /* which of the slot's counters are the shadows' */
} qn_shadow_request;

/* Starts the thread, which inherits the caller's sandbox. Fails with QN_ERR_NOMEM. */
QN_MUST_CHECK
qn_status qn_shadows_start(qn_shadows **out, qn_error *err);
/* A request for its shadow, to be given to qn_shadows_add(). Copies what it needs; NULL where it
 * cannot be, which is counted. */
typedef struct qn_shadow_task qn_shadow_task;
qn_shadow_task *qn_shadows_copy(qn_shadows *shadows, const qn_shadow_request *request);
/* What was answered for its next rows. */
void qn_shadow_task_answer(qn_shadow_task *task, const double *outputs, int64_t n_rows);
/* Takes the task once its request has ended; accepts NULL. */
void qn_shadows_add(qn_shadows *shadows, qn_shadow_task *task);
/* How many requests were not given to their shadow. */
uint64_t qn_shadows_dropped(const qn_shadows *shadows);
/* Finishes the one that runs and forgets those that wait. Accepts NULL. */
void qn_shadows_free(qn_shadows *shadows);

#endif
