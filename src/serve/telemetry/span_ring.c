/* SPDX-License-Identifier: Apache-2.0 */
/* Lamport's queue for one producer and one consumer (1983): each side writes its own counter alone,
 * after the record is written, or read. */
#include "serve/telemetry/span_ring.h"

#include "base/alloc.h"

bool qn_span_ring_init(qn_span_ring *ring, int64_t capacity)
{
    *ring = (qn_span_ring){.capacity = (uint64_t)capacity};
    ring->records = qn_alloc_array(capacity, sizeof *ring->records);
    return ring->records != NULL;
}

void qn_span_ring_release(qn_span_ring *ring)
{
    qn_free(ring->records);
    ring->records = NULL;
}

bool qn_span_ring_put(qn_span_ring *ring, const qn_span_record *record)
{
    const uint64_t n_put = atomic_load_explicit(&ring->n_put, memory_order_relaxed);
    const uint64_t waiting = n_put - atomic_load_explicit(&ring->n_taken, memory_order_acquire);
    if (waiting == ring->capacity) {
        atomic_fetch_add_explicit(&ring->n_dropped, 1, memory_order_relaxed);
        return false;
    }
    ring->records[n_put % ring->capacity] = *record;
    atomic_store_explicit(&ring->n_put, n_put + 1, memory_order_release);
    return waiting + 1 == ring->capacity / 2;
}

int64_t qn_span_ring_take(qn_span_ring *ring, qn_span_record *out, int64_t n_max)
{
    const uint64_t n_taken = atomic_load_explicit(&ring->n_taken, memory_order_relaxed);
    const uint64_t waiting = atomic_load_explicit(&ring->n_put, memory_order_acquire) - n_taken;
    const int64_t n = waiting < (uint64_t)n_max ? (int64_t)waiting : n_max;
    for (int64_t i = 0; i < n; i++) {
        out[i] = ring->records[(n_taken + (uint64_t)i) % ring->capacity];
    }
    atomic_store_explicit(&ring->n_taken, n_taken + (uint64_t)n, memory_order_release);
    return n;
}
