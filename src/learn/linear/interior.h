/* SPDX-License-Identifier: Apache-2.0 */
/* Interior points for the quantile loss (Portnoy & Koenker 1997; predictor and corrector of
 * Mehrotra 1992). It is a sum of pieces
 *     up_i max(0, s_i) + down_i max(0, -s_i),   s_i = t_i - a_i . point
 * a_i being a row or a single coefficient (absolute values in the penalty). The dual has one
 * bounded variable per piece: -down_i <= alpha_i <= up_i,   sum_i alpha_i a_i = 0. Each iteration
 * factors one Gram matrix; some twenty give nine digits.
 *
 * Threads: pure functions; the pool is used inside. */
#ifndef QN_LEARN_LINEAR_INTERIOR_H
#define QN_LEARN_LINEAR_INTERIOR_H

#include "learn/linear/glm.h"

enum { QN_INTERIOR_COLS_MAX = 1000 };

/* QN_GLM_QUANTILE, as qn_glm_minimise(). What `point` holds is not used. */
QN_MUST_CHECK
qn_status qn_interior_minimise(const qn_glm *glm, double *point, int64_t *n_iterations,
                               qn_error *err);

#endif
