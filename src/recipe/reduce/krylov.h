/* SPDX-License-Identifier: Apache-2.0 */
/* The largest eigenvalues of AA' or A'A, whichever is the smaller matrix, by randomised block
 * Krylov iteration: see decompose.h.
 *
 * Threads: calls are independent; the same bytes on any number of threads. */
#ifndef QN_RECIPE_REDUCE_KRYLOV_H
#define QN_RECIPE_REDUCE_KRYLOV_H

#include "base/clock.h"
#include "recipe/reduce/row_operator.h"

/* Writes the `k` largest values, decreasing, and their unit vectors, k × m, m being the smaller of
 * rows and features. Fails with QN_ERR_INTERRUPTED or QN_ERR_NOMEM. */
QN_MUST_CHECK
qn_status qn_krylov_largest(const qn_row_operator *op, int32_t k, uint64_t seed,
                            const qn_stop *stop, double *values, double *vectors, qn_error *err);

#endif
