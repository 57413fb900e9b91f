/* SPDX-License-Identifier: Apache-2.0 */
/* Generalised linear problems of the linear learners:
 *     minimise  1 / sum(w) sum_i w_i loss(y_i, x_i . point)  +  penalty(point)
 * where x_i holds a one for the intercept (design.h). The penalty is penalty / 2 |point|^2, or
 * penalty |point|_1 for the quantile loss, without the intercept unless it is said otherwise.
 *
 * Smooth losses are minimised by Newton's method on the Gram matrix while that is small, else
 * by conjugate gradients: squares in one go (conjugate.h), the others step by step. The piecewise
 * linear ones go to an interior-point method (quantile: interior.h) or the method of multipliers
 * (hinge, epsilon-insensitive: multipliers.h), hinges on many columns to dual coordinate descent
 * (dual.h).
 *
 * Threads: one thread at a time per problem; the pool is used inside. */
#ifndef QN_LEARN_LINEAR_GLM_H
#define QN_LEARN_LINEAR_GLM_H

#include "base/clock.h"
#include "learn/linear/design.h"

/* m: the margin x . point; r = y - m; s = 2 y - 1 */
typedef enum qn_glm_loss {
    QN_GLM_SQUARED,             /* r^2 / 2 */
    QN_GLM_LOGISTIC,            /* log(1 + exp(-s m)) */
    QN_GLM_SOFTMAX,             /* log sum_c exp(m_c) - m_y */
    QN_GLM_POISSON,             /* exp(m) - y m */
    QN_GLM_GAMMA,               /* m + y exp(-m) */
    QN_GLM_TWEEDIE,             /* exp((2 - p) m) / (2 - p) - y exp((1 - p) m) / (1 - p) */
    QN_GLM_HUBER,               /* sigma + r^2 / sigma for |r| <= shape sigma, beyond it
                                   sigma + 2 shape |r| - shape^2 sigma */
    QN_GLM_SQUARED_HINGE,       /* max(0, 1 - s m)^2 */
    QN_GLM_SQUARED_INSENSITIVE, /* max(0, |r| - shape)^2 */
    QN_GLM_QUANTILE,            /* shape max(0, r) + (1 - shape) max(0, -r) */
    QN_GLM_HINGE,               /* max(0, 1 - s m) */
    QN_GLM_INSENSITIVE          /* max(0, |r| - shape) */
} qn_glm_loss;

typedef struct qn_glm {
    const qn_design *design;
    const double *target;  /* n_rows: class number or value */
    const double *weights; /* n_rows, NULL: all 1 */
    double total;          /* their sum */
    qn_glm_loss loss;
    double shape; /* tweedie: power p; huber, insensitive: width; quantile: level */
    double sigma; /* huber: the scale, found along with the point; begins above 0 */
    int32_t n_outputs;
    double penalty; /* >= 0 */
    bool penalises_intercept;
    bool dual; /* hinges by dual coordinate descent, however few the columns */
    int64_t max_iter;
    double tol; /* relative: of what the next step would gain */
    uint64_t seed;
    const qn_stop *stop;
    qn_pool *pool;
} qn_glm;

/* Minimises from `point` on (n_outputs × n_cols), so that a path is followed by warm starts.
 * Stopping early only makes the point less exact. Hinges that are not squared want a penalty above
 * 0, on the intercept too. Fails with QN_ERR_NOMEM; QN_ERR_UNSUPPORTED: the quantile loss on more
 * than QN_INTERIOR_COLS_MAX columns. */
QN_MUST_CHECK
qn_status qn_glm_minimise(qn_glm *glm, double *point, int64_t *n_iterations, qn_error *err);

/* The loss of one row of weight w, times w. margins[c * stride] become its derivatives. */
double qn_glm_row(const qn_glm *glm, double y, double w, double *margins, int64_t stride);
/* Second derivative by the margin, times w; losses of one output. Never negative: where the loss
 * is not convex, or flat, what is expected or a small number stands in. */
double qn_glm_curvature(const qn_glm *glm, double y, double w, double margin);
static inline double qn_glm_weight(const qn_glm *glm, int64_t i)
{
    return glm->weights ? glm->weights[i] : 1;
}

#endif
