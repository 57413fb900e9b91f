/* SPDX-License-Identifier: Apache-2.0 */
/* Samples of rows, for learners whose cost grows faster than their number.
 *
 * Threads: pure functions. */
#ifndef QN_LEARN_ROW_SAMPLE_H
#define QN_LEARN_ROW_SAMPLE_H

#include "base/error.h"

#include <stdint.h>

/* `n_max` of `n_rows` rows without replacement, in order of the table (Knuth's selection sampling);
 * the caller frees *rows. NULL, with *n = n_rows, when they are few enough. */
QN_MUST_CHECK
qn_status qn_row_sample(int64_t n_rows, int64_t n_max, uint64_t seed, uint64_t stream,
                        int32_t **rows, int64_t *n, qn_error *err);

#endif
