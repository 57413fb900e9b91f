/* SPDX-License-Identifier: Apache-2.0 */
/* Span ring: spans on their way from one loop to one exporter's thread, without a lock and without
 * waiting. What finds it full is dropped and counted.
 *
 * Threads: one that puts, one that takes; any may read the counts. */
#ifndef QN_SERVE_TELEMETRY_SPAN_RING_H
#define QN_SERVE_TELEMETRY_SPAN_RING_H

#include "serve/telemetry/span.h"

#include <stdatomic.h>

typedef struct qn_span_ring {
    uint64_t capacity;
    qn_span_record *records;
    /* Ever since; apart, because either is written by another thread. */
    _Alignas(64) _Atomic uint64_t n_put;
    _Atomic uint64_t n_dropped;
    _Alignas(64) _Atomic uint64_t n_taken;
} qn_span_ring; /* release with qn_span_ring_release() */

/* Room for `capacity` spans; false when out of memory. */
bool qn_span_ring_init(qn_span_ring *ring, int64_t capacity);
void qn_span_ring_release(qn_span_ring *ring);

/* True when this filled half of the room: it is time to take some. */
bool qn_span_ring_put(qn_span_ring *ring, const qn_span_record *record);
/* Copies up to `n_max` of them, the oldest first; returns how many. */
int64_t qn_span_ring_take(qn_span_ring *ring, qn_span_record *out, int64_t n_max);

#endif
