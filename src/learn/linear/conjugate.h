/* SPDX-License-Identifier: Apache-2.0 */
/* Squared errors on many columns by conjugate gradients (Hestenes & Stiefel 1952) on the normal
 * equations, divided by their diagonal, without forming them: each iteration is one product with
 * the rows and one with their transpose.
 *
 * Threads: pure functions; the pool is used inside. */
#ifndef QN_LEARN_LINEAR_CONJUGATE_H
#define QN_LEARN_LINEAR_CONJUGATE_H

#include "learn/linear/glm.h"

/* QN_GLM_SQUARED, from `point` on, as qn_glm_minimise(). */
QN_MUST_CHECK
qn_status qn_conjugate_minimise(const qn_glm *glm, double *point, int64_t *n_iterations,
                                qn_error *err);
/* The same in the space of the rows, for fewer rows than columns; wants a penalty above 0. What
 * `point` holds is not used. */
QN_MUST_CHECK
qn_status qn_conjugate_minimise_rows(const qn_glm *glm, double *point, int64_t *n_iterations,
                                     qn_error *err);

#endif
