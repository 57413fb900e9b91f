/* SPDX-License-Identifier: Apache-2.0 */
/* Weighted means of columns, and their Gram matrix about them:
 *     G_fg = sum_i w_i (x_if - mean_f) (x_ig - mean_g)
 * With it a squared error is known everywhere without the rows.
 *
 * Threads: pure functions; the pool is used inside, and changes nothing. */
#ifndef QN_LEARN_LINEAR_CENTRED_GRAM_H
#define QN_LEARN_LINEAR_CENTRED_GRAM_H

#include "base/pool.h"
#include "recipe/matrix.h"

/* `gram`: p × p, both triangles; `means`: p; p is what `x` has of dense and sparse columns.
 * `weights`: n_rows, of sum `total` > 0. Fails with QN_ERR_NOMEM. */
QN_MUST_CHECK
qn_status qn_centred_gram(const qn_matrix *x, const double *weights, double total, qn_pool *pool,
                          double *gram, double *means, qn_error *err);

#endif
