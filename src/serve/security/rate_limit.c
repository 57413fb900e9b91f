/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/security/rate_limit.h"

#include "base/alloc.h"
#include "crypto/secret.h"

#include <math.h>
#include <stdatomic.h>
#include <stdbool.h>

enum { N_SETS = 8192, WAYS = 8, TIME_BITS = 48 };

static const uint64_t time_mask = (UINT64_C(1) << TIME_BITS) - 1;

/* A bucket: 16 bits that tell clients of the same set apart, and the microsecond at which it is
 * full again, on the monotonic clock, which 48 bits hold for nine years. */
struct qn_rate_limit {
    _Atomic uint64_t buckets[N_SETS][WAYS];
    uint8_t key[QN_SIP_KEY_BYTES];
    uint64_t token_us; /* what one request takes */
    uint64_t burst_us; /* what a full bucket holds */
};

qn_rate_limit *qn_rate_limit_create(double rate, double burst)
{
    qn_rate_limit *limit = qn_alloc_array(1, sizeof *limit);
    if (!limit) return NULL;
    qn_random_bytes(limit->key, sizeof limit->key);
    limit->token_us = (uint64_t)ceil(1e6 / rate);
    limit->burst_us = (uint64_t)(burst * (double)limit->token_us);
    return limit;
}

void qn_rate_limit_free(qn_rate_limit *limit)
{
    qn_free(limit);
}

/* The client's bucket, or the one to be given to it: a free one, else the fullest. */
static _Atomic uint64_t *bucket_of(_Atomic uint64_t *set, uint64_t tag, uint64_t *now_holds)
{
    _Atomic uint64_t *fullest = set;
    uint64_t least = UINT64_MAX;
    for (int i = 0; i < WAYS; i++) {
        const uint64_t bucket = atomic_load_explicit(&set[i], memory_order_relaxed);
        if (bucket >> TIME_BITS == tag && bucket != 0) {
            *now_holds = bucket;
            return &set[i];
        }
        if ((bucket & time_mask) < least) {
            least = bucket & time_mask;
            fullest = &set[i];
            *now_holds = bucket;
        }
    }
    return fullest;
}

double qn_rate_limit_take(qn_rate_limit *limit, const void *client, size_t bytes, double now_s)
{
    const uint64_t hash = qn_sip_hash(limit->key, client, bytes);
    const uint64_t tag = hash >> TIME_BITS, now = (uint64_t)(now_s * 1e6) & time_mask;
    _Atomic uint64_t *set = limit->buckets[hash % N_SETS];
    for (;;) {
        uint64_t holds = 0;
        _Atomic uint64_t *bucket = bucket_of(set, tag, &holds);
        const bool mine = holds >> TIME_BITS == tag;
        const uint64_t full_at = mine ? holds & time_mask : 0;
        const uint64_t next = (full_at > now ? full_at : now) + limit->token_us;
        if (next > now + limit->burst_us) return (double)(next - now - limit->burst_us) * 1e-6;
        if (atomic_compare_exchange_weak_explicit(bucket, &holds, tag << TIME_BITS | next,
                                                  memory_order_relaxed, memory_order_relaxed)) {
            return 0;
        }
    }
}
