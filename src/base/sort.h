/* SPDX-License-Identifier: Apache-2.0 */
/* Sorting of long arrays of doubles, by radix: linear, stable, the same everywhere. NaN must not
 * occur.
 *
 * Threads: pure functions. */
#ifndef QN_BASE_SORT_H
#define QN_BASE_SORT_H

#include <stdbool.h>
#include <stdint.h>

/* Ascending, in place; false when out of memory. */
bool qn_sort_doubles(double *values, int64_t n);
/* order[0 … n) becomes the positions of `values` from the least to the greatest; equal values keep
 * their order. False when out of memory. */
bool qn_sort_order(const double *values, int64_t n, int32_t *order);

#endif
