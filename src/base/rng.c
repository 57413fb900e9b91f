/* SPDX-License-Identifier: Apache-2.0 */
#include "base/rng.h"

#include <math.h>

static uint64_t splitmix64(uint64_t *state)
{
    uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

uint64_t qn_seed_child(uint64_t seed, uint64_t part)
{
    uint64_t state = seed;
    state = splitmix64(&state) ^ (part * UINT64_C(0xd1342543de82ef95) + 1);
    return splitmix64(&state);
}

void qn_rng_init(qn_rng *rng, uint64_t seed, uint64_t stream)
{
    uint64_t state = qn_seed_child(seed, stream);
    for (int i = 0; i < 4; i++) {
        rng->state[i] = splitmix64(&state);
    }
}

static uint64_t rotate(uint64_t x, int k)
{
    return (x << k) | (x >> (64 - k));
}

uint64_t qn_rng_next(qn_rng *rng)
{
    uint64_t *s = rng->state;
    const uint64_t result = rotate(s[0] + s[3], 23) + s[0];
    const uint64_t t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate(s[3], 45);
    return result;
}

double qn_rng_uniform(qn_rng *rng)
{
    return (double)(qn_rng_next(rng) >> 11) * 0x1p-53;
}

double qn_rng_normal(qn_rng *rng)
{
    const double radius = sqrt(-2 * log(1 - qn_rng_uniform(rng)));
    return radius * cos(6.283185307179586 * qn_rng_uniform(rng));
}

int64_t qn_rng_below(qn_rng *rng, int64_t n)
{
    const uint64_t bound = (uint64_t)n, threshold = -bound % bound;
    for (;;) {
        __extension__ const unsigned __int128 product = (unsigned __int128)qn_rng_next(rng) * bound;
        if ((uint64_t)product >= threshold) return (int64_t)(uint64_t)(product >> 64);
    }
}

void qn_rng_shuffle(qn_rng *rng, int32_t *items, int64_t n)
{
    for (int64_t i = n - 1; i > 0; i--) {
        const int64_t j = qn_rng_below(rng, i + 1);
        const int32_t item = items[i];
        items[i] = items[j];
        items[j] = item;
    }
}
