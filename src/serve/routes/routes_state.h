/* SPDX-License-Identifier: Apache-2.0 */
/* Routes state: what routes have learned at work – that a canary was rolled back, a bandit's
 * choices and rewards, losses of outcomes, requests dealt, and which arm a request got until its
 * reward or outcome comes –, kept in a file so that it outlives the process. A thread looks once a
 * second whether there is anything new, and then writes all of it: to a file beside it that is
 * synced and renamed. What a process that is killed loses is at most the last second; where tens of
 * thousands of requests wait for their rewards, and files are large, the last ten or twenty: the
 * disk is not to be kept busy by them.
 *
 *     {"format": 1, "routes": {"credit": {"identity": "…", "rolled_back": true, …}, …}}
 *
 * `identity` is qn_route_identity(): what was learned counts only for the same plan with the same
 * targets, as it does when routes are read again (routing.h). A file that cannot be read as this is
 * refused, not passed over: a server that forgot a rollback would send requests to a version that
 * was found bad.
 *
 * Threads: open, start, begin and close are one thread's; restoring is the store's, under its lock.
 */
#ifndef QN_SERVE_ROUTES_ROUTES_STATE_H
#define QN_SERVE_ROUTES_ROUTES_STATE_H

#include "base/json.h"
#include "serve/routes/routing.h"

typedef struct qn_routes_state qn_routes_state; /* destroy with qn_routes_state_close() */
struct qn_model_store;

/* Reads the file; one that is not there has nothing to tell. Fails with QN_ERR_IO, QN_ERR_DATA (it
 * is not what qn_routes_state_write() writes) or QN_ERR_NOMEM. */
QN_MUST_CHECK
qn_status qn_routes_state_open(const char *path, qn_routes_state **out, qn_error *err);
/* Gives routes what they had learned, once: later calls do nothing. */
void qn_routes_state_restore(qn_routes_state *state, const qn_routing *routing);
/* Starts the thread, which inherits the caller's sandbox. Fails with QN_ERR_NOMEM. */
QN_MUST_CHECK
qn_status qn_routes_state_start(qn_routes_state *state, struct qn_model_store *store,
                                qn_error *err);
/* The store's routes are what is to be kept from now on: nothing is written before. */
void qn_routes_state_begin(qn_routes_state *state);
/* Whether what is in the file is behind because it could not be written. */
bool qn_routes_state_is_behind(const qn_routes_state *state);
/* Writes what is new and ends the thread. Accepts NULL. */
void qn_routes_state_close(qn_routes_state *state);

/* The file's text. */
void qn_routes_state_write(const qn_routing *routing, qn_str *out);
/* Fails with QN_ERR_DATA when a document, read from `path`, is not such a text. */
QN_MUST_CHECK
qn_status qn_routes_state_check(const char *path, const qn_json *json, qn_error *err);

#endif
