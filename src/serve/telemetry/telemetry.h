/* SPDX-License-Identifier: Apache-2.0 */
/* What a server counts about itself. Each loop has counters of its own, so counting shares no cache
 * line; a scrape adds them up.
 *
 * Threads: each set of counters has one writer; any thread may read. */
#ifndef QN_SERVE_TELEMETRY_TELEMETRY_H
#define QN_SERVE_TELEMETRY_TELEMETRY_H

#include "base/str.h"

#include <stdatomic.h>
#include <stdint.h>

enum { QN_TIME_BUCKETS = 17, QN_ROUTES_MAX = 64, QN_STATUSES_MAX = 22 };

typedef _Atomic uint64_t qn_count;

/* One writer: no locked instruction is needed. */
static inline void qn_count_add(qn_count *count, uint64_t n)
{
    const uint64_t now = atomic_load_explicit(count, memory_order_relaxed);
    atomic_store_explicit(count, now + n, memory_order_relaxed);
}

static inline uint64_t qn_count_get(const qn_count *count)
{
    return atomic_load_explicit((qn_count *)(uintptr_t)count, memory_order_relaxed);
}

/* A sum of doubles, of one writer. */
typedef _Atomic double qn_sum;

static inline void qn_sum_add(qn_sum *sum, double value)
{
    const double now = atomic_load_explicit(sum, memory_order_relaxed);
    atomic_store_explicit(sum, now + value, memory_order_relaxed);
}

static inline double qn_sum_get(const qn_sum *sum)
{
    return atomic_load_explicit((qn_sum *)(uintptr_t)sum, memory_order_relaxed);
}

/* Seconds, in buckets whose upper bounds are qn_time_bounds_s; the last bucket is the rest. */
extern const double qn_time_bounds_s[QN_TIME_BUCKETS];
typedef struct qn_durations {
    qn_count buckets[QN_TIME_BUCKETS + 1];
    qn_count sum_ns;
} qn_durations;

void qn_durations_add(qn_durations *durations, double seconds);

typedef enum qn_outcome {
    QN_OUTCOME_OK,
    QN_OUTCOME_INVALID, /* the sender's fault */
    QN_OUTCOME_FAILED,  /* the server's: no memory, deadline */
    QN_N_OUTCOMES
} qn_outcome;

/* Of one model and version, in one loop. */
typedef struct qn_model_counters {
    _Alignas(64) qn_count requests[QN_N_OUTCOMES];
    qn_count rows;
    qn_count cache_hits, cache_misses;   /* rows, where there is a cache */
    qn_count compared_rows, equal_rows;  /* of a shadow, with the answers */
    qn_sum difference_sum;               /* of outputs, over the rows compared */
    qn_durations seconds[QN_N_OUTCOMES]; /* from a request to its reply */
} qn_model_counters;

/* Of one loop. */
typedef struct qn_loop_counters {
    _Alignas(64) qn_count requests[QN_ROUTES_MAX][QN_STATUSES_MAX];
    qn_count accepted, closed; /* connections */
    qn_count refused;          /* connections beyond the limit */
    qn_count timed_out;        /* connections closed for being slow */
} qn_loop_counters;

/* Index of a status in qn_loop_counters.requests, and back. Statuses unknown share the last. */
int qn_status_index(int status);
int qn_status_at(int index); /* 0 past the end */

/* Lines of Prometheus' text format 0.0.4. `labels` is "a=\"b\"" or "". */
void qn_prometheus_head(qn_str *out, const char *name, const char *type, const char *help);
void qn_prometheus_value(qn_str *out, const char *name, const char *labels, double value);
/* `parts` are added up. */
void qn_prometheus_histogram(qn_str *out, const char *name, const char *labels,
                             const qn_durations *const *parts, int n_parts);

#endif
