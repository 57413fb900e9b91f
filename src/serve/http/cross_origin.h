/* SPDX-License-Identifier: Apache-2.0 */
/* Cross-origin requests (CORS, Fetch standard, 4.8): whether pages of other origins may have a
 * browser ask this server. None may unless its origin is listed; credentials are headers that the
 * page sets itself, never cookies, so "*" gives away nothing but what anybody could ask.
 *
 * Threads: one thread, the loop's. */
#ifndef QN_SERVE_HTTP_CROSS_ORIGIN_H
#define QN_SERVE_HTTP_CROSS_ORIGIN_H

#include "serve/http/exchange.h"

/* Each of `origins` (ended by NULL; may be NULL) is "*" or "https://app.example.org[:PORT]": scheme
 * and host, no path. Fails with QN_ERR_ARG. */
QN_MUST_CHECK
qn_status qn_cross_origin_check(const char *const *origins, qn_error *err);
/* Answers a browser that asks beforehand; true when it did. */
bool qn_cross_origin_preflight(qn_exchange *x);
/* Header lines that let the page read the reply: "" or static text or in x->memory. */
const char *qn_cross_origin_lines(qn_exchange *x);

#endif
