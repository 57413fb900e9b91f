/* SPDX-License-Identifier: Apache-2.0 */
/* Hinge and epsilon-insensitive losses on few columns by the method of multipliers (Hestenes 1969,
 * Powell 1969; for these machines Yan & Li 2020, "An efficient augmented Lagrangian method for
 * support vector machine"). With one multiplier a row, which is the variable of the dual,
 *     low_i <= beta_i <= high_i,
 * the loss is replaced by its Moreau envelope about beta_i / sigma, whose slope is the next beta_i.
 * The envelopes are minimised by Newton's method: only rows between the bends have a second
 * derivative, a tenth of them or fewer in the end, so a step costs little more than a product with
 * the rows. Then sigma grows, and the bends become steeper. Some thirty steps give seven digits.
 *
 * Threads: pure functions; the pool is used inside. */
#ifndef QN_LEARN_LINEAR_MULTIPLIERS_H
#define QN_LEARN_LINEAR_MULTIPLIERS_H

#include "learn/linear/glm.h"

enum { QN_MULTIPLIERS_COLS_MAX = 1000 }; /* beyond it factors cost more than dual.h's passes */

/* QN_GLM_HINGE and QN_GLM_INSENSITIVE; `glm->penalises_intercept` and a penalty above 0 must hold.
 * Ends when the gap between the objective and its dual is at most `tol` of it. What `point` holds
 * is not used. */
QN_MUST_CHECK
qn_status qn_multipliers_minimise(const qn_glm *glm, double *point, int64_t *n_iterations,
                                  qn_error *err);

#endif
