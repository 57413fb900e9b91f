/* SPDX-License-Identifier: Apache-2.0 */
/* Gate: what stands before every handler. Once a request's head is there – before its body is read
 * – it is known who sends it, and whether they may use the route they name (router.c says which
 * role a route needs). In this order:
 *
 *     cross-origin preflight      answered here (Fetch standard, 4.8)
 *     a route for anyone          goes on
 *     credentials                 401, with WWW-Authenticate (RFC 6750, 3)
 *     rate of the client          429, with Retry-After
 *     role for the route, model   403
 *
 * A path that is no route is told only to those who have shown who they are. Where a server asks
 * for no credentials, everybody may predict and read, and nobody is an administrator.
 *
 * Threads: one thread, the loop's. */
#ifndef QN_SERVE_SECURITY_GATE_H
#define QN_SERVE_SECURITY_GATE_H

#include "serve/http/exchange.h"

/* True: the request goes on, and x->identity says who sends it. False: it is answered. */
bool qn_gate_pass(qn_exchange *x);
/* For handlers whose answer holds several models: whether this one may be in it. */
bool qn_gate_shows(const qn_exchange *x, const char *model);
/* For handlers that find out themselves which model is meant: false, and answered, when the client
 * may not use it. */
bool qn_gate_demand(qn_exchange *x, const char *model);
/* After the reply: tells the audit log of what an administrator did. */
void qn_gate_end(const qn_exchange *x);

#endif
