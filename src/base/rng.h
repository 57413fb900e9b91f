/* SPDX-License-Identifier: Apache-2.0 */
/* Random streams: xoshiro256++ (Blackman & Vigna 2019) seeded by splitmix64. A stream is named by
 * a seed and a path of numbers (trial, fold, tree …), so that the draws of one part never depend
 * on how many another made, nor on threads.
 *
 * Threads: one thread at a time per stream. */
#ifndef QN_BASE_RNG_H
#define QN_BASE_RNG_H

#include <stdint.h>

typedef struct qn_rng {
    uint64_t state[4];
} qn_rng;

void qn_rng_init(qn_rng *rng, uint64_t seed, uint64_t stream);
uint64_t qn_rng_next(qn_rng *rng);
double qn_rng_uniform(qn_rng *rng);           /* [0, 1), 53 bits */
double qn_rng_normal(qn_rng *rng);            /* mean 0, sd 1 (Box-Muller, one of the pair) */
int64_t qn_rng_below(qn_rng *rng, int64_t n); /* [0, n), unbiased (Lemire 2019); n >= 1 */
void qn_rng_shuffle(qn_rng *rng, int32_t *items, int64_t n); /* Fisher-Yates */

/* A seed for a part of a larger piece of work: seed -> child, order-sensitive. */
uint64_t qn_seed_child(uint64_t seed, uint64_t part);

#endif
