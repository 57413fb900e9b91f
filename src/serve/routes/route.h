/* SPDX-License-Identifier: Apache-2.0 */
/* Route: a plan at work. It deals requests to the plan's arms and watches what becomes of those of
 * a canary. A value of the key always gets the same arm: its hash is a number from 0 to 1, and the
 * arms share that range out in their order. So a canary that grows keeps whom it has.
 *
 * Rolled back, a canary gets nothing any more, from the next request on, until its plan or an alias
 * in it is changed, or the routes are given anew.
 *
 * Threads: internally locked; a plain split takes no lock. */
#ifndef QN_SERVE_ROUTES_ROUTE_H
#define QN_SERVE_ROUTES_ROUTE_H

#include "serve/routes/route_learned.h"
#include "serve/routes/route_plan.h"

#include <stdatomic.h>

typedef struct qn_route_state qn_route_state; /* let go with qn_route_unref() */

/* `identity` is a text that differs where the plan does, or where its aliases lead. `plan` is
 * copied but for its texts, of which none is kept. With one reference; NULL when out of memory. */
qn_route_state *qn_route_create(const qn_route_plan *plan, const char *model, const char *identity);
qn_route_state *qn_route_ref(qn_route_state *route);
void qn_route_unref(qn_route_state *route); /* accepts NULL */
const char *qn_route_identity(const qn_route_state *route);

/* The arm for a request with that key; text NULL: it has none, and gets the first. Counts it. For a
 * bandit the key is the request's id, and remembered until its reward. */
int qn_route_choose(qn_route_state *route, const char *key, size_t bytes);

/* What became of a request, told once it is answered. True when this was what rolled the canary
 * back: `reason` (QN_ROUTE_REASON_BYTES) then says why. */
enum { QN_ROUTE_REASON_BYTES = 128 };
bool qn_route_note(qn_route_state *route, int arm, bool failed, double seconds, char *reason);

/* Whether qn_route_remember() is to be told of predictions. */
bool qn_route_compares(const qn_route_state *route);
/* What an arm predicted for a row, from 1: a label, or (NULL) a number. */
void qn_route_remember(qn_route_state *route, int arm, const char *id, int64_t row,
                       const char *label, double number);
/* What the row's label or number turned out to be; `text` is how it is written, `number` QN_NA
 * where it is none. True as in qn_route_note(). */
bool qn_route_outcome(qn_route_state *route, const char *id, int64_t row, const char *text,
                      double number, char *reason);
/* A reward, from 0 to 1, for the bandit's choice of that request; false when it is not known (any
 * more), or has its reward. */
bool qn_route_reward(qn_route_state *route, const char *id, double reward);
/* How many rewards that arm of a bandit got, and their sum. */
uint64_t qn_route_rewards(qn_route_state *route, int arm, double *sum);

/* What it has learned so far, out->decisions being the text that is put into `decisions`, which
 * fails when out of memory; and, before its first request, what one with the same identity had. */
void qn_route_get_learned(qn_route_state *route, qn_str *decisions, qn_route_learned *out);
void qn_route_take_learned(qn_route_state *route, const qn_route_learned *learned);

bool qn_route_is_rolled_back(const qn_route_state *route);
/* How many requests that arm got. */
uint64_t qn_route_count(const qn_route_state *route, int arm);

#endif
