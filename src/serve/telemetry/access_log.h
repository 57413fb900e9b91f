/* SPDX-License-Identifier: Apache-2.0 */
/* Access log: a JSON line for each request – when, its ids, who and from where, what, with what
 * result, how large, how long. Neither headers nor query strings are written.
 *
 * Threads: one thread, the loop's; the log is locked. */
#ifndef QN_SERVE_TELEMETRY_ACCESS_LOG_H
#define QN_SERVE_TELEMETRY_ACCESS_LOG_H

#include "serve/http/exchange.h"

/* Once the reply is written. Without such a log nothing happens. */
void qn_access_log_request(const qn_exchange *x, const qn_peer *peer);

#endif
