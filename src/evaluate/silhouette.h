/* SPDX-License-Identifier: Apache-2.0 */
/* Silhouette (Rousseeuw 1987): how much nearer rows are to their own cluster than to the next. Of a
 * row, (b - a) / max(a, b), where a is its mean distance to the others of its cluster and b the
 * least mean distance to another cluster; 0 when it is alone. The figure is the mean over rows.
 *
 * Threads: calls are independent; the same result on any number of threads. */
#ifndef QN_EVALUATE_SILHOUETTE_H
#define QN_EVALUATE_SILHOUETTE_H

#include "base/pool.h"
#include "recipe/matrix.h"

/* Time grows with the square of the rows: of more than these a random sample is looked at. */
enum { QN_SILHOUETTE_ROWS_MAX = 3000 };

/* Euclidean distances over the dense part; labels 0 … k - 1, one per row. QN_NA when fewer than two
 * clusters have rows. Fails with QN_ERR_NOMEM. */
QN_MUST_CHECK
qn_status qn_silhouette(const qn_matrix *rows, const int32_t *labels, int32_t k, uint64_t seed,
                        qn_pool *pool, double *out, qn_error *err);

#endif
