/* SPDX-License-Identifier: Apache-2.0 */
/* What a route has learned at work, as a value: to be kept while no server runs (routes_state.h).
 *
 * Threads: values. */
#ifndef QN_SERVE_ROUTES_ROUTE_LEARNED_H
#define QN_SERVE_ROUTES_ROUTE_LEARNED_H

#include "base/json.h"
#include "serve/routes/route_plan.h"

typedef struct qn_route_learned {
    bool rolled_back; /* of a canary */
    int n_arms;
    struct {
        int64_t n_requests;
        int64_t n_chosen, n_rewards; /* of a bandit; those rewards add up to `sum` */
        double sum;
    } arms[QN_ARMS_MAX];
    int64_t next_look; /* of the watch over a canary's losses, and the losses: loss_watch.h */
    struct {
        int64_t n;
        double mean, squares;
    } losses[2];
    const char *decisions; /* whose rewards or outcomes are still to come: a text as
                              decision_table.h has it, borrowed; NULL: none */
} qn_route_learned;

/* Adds its members to an object. */
void qn_route_learned_write(const qn_route_learned *learned, qn_json_writer *json);
/* From such an object, from which *out borrows; false when anything is missing, or cannot be. */
bool qn_route_learned_read(qn_json_value object, qn_route_learned *out);

#endif
