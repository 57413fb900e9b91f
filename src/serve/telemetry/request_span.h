/* SPDX-License-Identifier: Apache-2.0 */
/* Request span: tells the trace of a request that is answered. Probes and pages, which need no
 * credentials, and /metrics leave none: they would be most of all spans, and tell nothing.
 *
 * Threads: one thread, the loop's. */
#ifndef QN_SERVE_TELEMETRY_REQUEST_SPAN_H
#define QN_SERVE_TELEMETRY_REQUEST_SPAN_H

#include "serve/http/exchange.h"

/* Once the reply is written. Where its trace is not sampled nothing happens. */
void qn_request_span_put(const qn_exchange *x);

#endif
