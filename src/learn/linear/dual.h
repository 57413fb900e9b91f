/* SPDX-License-Identifier: Apache-2.0 */
/* Dual coordinate descent for linear support vector machines (Hsieh, Chang, Lin, Keerthi &
 * Sundararajan 2008; for regression Ho & Lin 2012), for rows that are sparse and many columns. In
 * the form of both at once, for penalty / 2 |point|^2 that includes the intercept:
 *     minimise  1/2 |point|^2 + sum_i d_i beta_i^2 / 2 - t_i beta_i + epsilon |beta_i|
 *     point = sum_i beta_i x_i,   low_i <= beta_i <= high_i
 * One variable at a time is set to its best; variables that rest at a bound are passed over until
 * the others have converged. The order is drawn anew for every pass from the seed.
 *
 * Threads: one thread at a time; the pool is used for the last product alone. */
#ifndef QN_LEARN_LINEAR_DUAL_H
#define QN_LEARN_LINEAR_DUAL_H

#include "learn/linear/glm.h"

/* Hinge and insensitive losses, squared or not; `glm->penalises_intercept` must hold. Ends when the
 * gap between the objective and its dual is at most `tol` of it. What `point` holds is not used. */
QN_MUST_CHECK
qn_status qn_dual_minimise(const qn_glm *glm, double *point, int64_t *n_iterations, qn_error *err);

#endif
