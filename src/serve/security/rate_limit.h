/* SPDX-License-Identifier: Apache-2.0 */
/* Rate limit: so many requests a second for each client, and a burst at once, as a token bucket. A
 * bucket is one number, the time at which it would be full again (the generic cell rate algorithm,
 * ITU-T I.371), so taking a token is one compare-and-swap and no lock.
 *
 * Buckets stand in a table of fixed size, at a place that a keyed hash of the client chooses; a
 * full bucket needs no entry. When eight clients that are all below their burst want the same
 * place, the fullest bucket gives way, so that a flood of names cannot make the table grow.
 *
 * Threads: any number may take at once. */
#ifndef QN_SERVE_SECURITY_RATE_LIMIT_H
#define QN_SERVE_SECURITY_RATE_LIMIT_H

#include "base/error.h"

#include <stddef.h>
#include <stdint.h>

typedef struct qn_rate_limit qn_rate_limit; /* destroy with qn_rate_limit_free() */

/* `rate` requests a second (0.001 to 100,000), `burst` at once (1 to 1,000,000). NULL when out of
 * memory. */
qn_rate_limit *qn_rate_limit_create(double rate, double burst);
void qn_rate_limit_free(qn_rate_limit *limit); /* accepts NULL */
/* Takes a token of the client's at `now_s` (qn_clock_s()). Returns 0, or the seconds until there
 * is one. */
double qn_rate_limit_take(qn_rate_limit *limit, const void *client, size_t bytes, double now_s);

#endif
