/* SPDX-License-Identifier: Apache-2.0 */
/* The name most likely meant by an unknown one.
 *
 * Threads: pure functions. */
#ifndef QN_BASE_NEAREST_H
#define QN_BASE_NEAREST_H

#include <stdint.h>

/* The name among `names` closest to `wanted` by edit distance, for "did you mean"; NULL when none
 * is near. */
const char *qn_nearest_name(const char *wanted, const char *const *names, int64_t n_names);

#endif
