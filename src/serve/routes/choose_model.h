/* SPDX-License-Identifier: Apache-2.0 */
/* Which model answers a request: the version it names, or the one that the model's route chooses.
 *
 * Threads: one thread, the loop's. */
#ifndef QN_SERVE_ROUTES_CHOOSE_MODEL_H
#define QN_SERVE_ROUTES_CHOOSE_MODEL_H

#include "serve/http/exchange.h"
#include "serve/routes/shadow.h"

/* How it was chosen, to be told to the route what became of it. */
typedef struct qn_routed {
    const qn_catalog_entry *shadow; /* that is given the request, too; NULL: none. The worker's
                                       catalog's: for the request's first step alone */
    qn_route_state *route;          /* NULL: there was nothing to choose */
    const char *model;              /* the catalog's slot's */
    int arm;
} qn_routed; /* zero-initialise; release with qn_routed_release() */

/* As qn_exchange_find_model(); where x->params name no version, by the route of the model. The body
 * must be there; `open` is how its rows are written, NULL: nobody knows. */
const qn_catalog_entry *qn_exchange_choose_model(qn_exchange *x, qn_rows_opener open,
                                                 qn_routed *routed);
/* The length of the JSON before binary tensors, from its header: 0 without one, -1 when that is no
 * length. */
int64_t qn_exchange_json_length(const qn_exchange *x);
/* That header's name. */
extern const char qn_json_length_header[];
/* After the reply was written. Tells the audit log of a canary that was rolled back. */
void qn_routed_note(const qn_routed *routed, const qn_exchange *x, bool failed, double seconds);
/* Rows that were predicted, the first being row `first` from 0: remembered where they are compared
 * with outcomes. `outputs` is n × the model's outputs. */
void qn_routed_remember(const qn_routed *routed, const qn_exchange *x, const qn_served_model *model,
                        const double *outputs, int64_t first, int64_t n);
/* Tells the audit log that a canary of `model` was rolled back. */
void qn_exchange_tell_rollback(const qn_exchange *x, const char *model, const char *reason);
void qn_routed_release(qn_routed *routed);

#endif
