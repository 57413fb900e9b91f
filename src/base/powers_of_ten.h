/* SPDX-License-Identifier: Apache-2.0 */
/* Powers of ten as 128-bit numbers, for reading and writing doubles.
 *
 * 10^k lies in [t, t + 1) × 2^(e - 127), where e is the floor of log2(10^k) and
 * t = high × 2^64 + low, its highest bit being set.
 *
 * Threads: a constant. */
#ifndef QN_BASE_POWERS_OF_TEN_H
#define QN_BASE_POWERS_OF_TEN_H

#include <stdint.h>

enum { QN_POWER_MIN = -342, QN_POWER_MAX = 324 };

typedef struct qn_power_of_ten {
    uint64_t high, low;
} qn_power_of_ten;

extern const qn_power_of_ten qn_powers_of_ten[QN_POWER_MAX - QN_POWER_MIN + 1];

#endif
