/* SPDX-License-Identifier: Apache-2.0 */
#include "learn/linear/conjugate.h"

#include "base/alloc.h"
#include "linalg/kernels.h"

#include <math.h>

/* An iteration gains about this many times less than what is left to gain. */
static const double caution = 0.01;

struct system {
    const qn_glm *glm;
    const qn_design *x;
    double *margins;  /* n_rows */
    double *diagonal; /* n_cols, like the others */
    double *residual, *scaled, *direction, *image;
};

static double penalty_on(const qn_glm *glm, int64_t column)
{
    const bool free = column == glm->design->intercept && !glm->penalises_intercept;
    return free ? 0 : glm->penalty;
}

/* image = (X' W X / total + penalty) direction. */
static qn_status apply(struct system *s, qn_error *err)
{
    const qn_glm *glm = s->glm;
    qn_design_multiply(s->x, s->direction, glm->pool, s->margins);
    for (int64_t i = 0; i < s->x->n_rows; i++) {
        s->margins[i] *= qn_glm_weight(glm, i);
    }
    QN_TRY(qn_design_transposed(s->x, s->margins, glm->pool, s->image, err));
    for (int64_t c = 0; c < s->x->n_cols; c++) {
        s->image[c] = s->image[c] / glm->total + penalty_on(glm, c) * s->direction[c];
    }
    return QN_OK;
}

/* residual = X' W (y - X point) / total - penalty point; *value becomes the objective. */
static qn_status begin(struct system *s, const double *point, double *value, qn_error *err)
{
    const qn_glm *glm = s->glm;
    *value = 0;
    qn_design_multiply(s->x, point, glm->pool, s->margins);
    for (int64_t i = 0; i < s->x->n_rows; i++) {
        const double w = qn_glm_weight(glm, i), r = glm->target[i] - s->margins[i];
        *value += 0.5 * w * r * r / glm->total;
        s->margins[i] = w * r;
    }
    QN_TRY(qn_design_transposed(s->x, s->margins, glm->pool, s->residual, err));
    for (int64_t c = 0; c < s->x->n_cols; c++) {
        const double pull = penalty_on(glm, c) * point[c];
        *value += 0.5 * pull * point[c];
        s->residual[c] = s->residual[c] / glm->total - pull;
    }
    return QN_OK;
}

/* Of the normal equations; columns of zeros without a penalty are left at 1. */
static qn_status set_diagonal(struct system *s, qn_error *err)
{
    for (int64_t i = 0; i < s->x->n_rows; i++) {
        s->margins[i] = qn_glm_weight(s->glm, i) / s->glm->total;
    }
    QN_TRY(qn_design_diagonal(s->x, s->margins, s->glm->pool, s->diagonal, err));
    for (int64_t c = 0; c < s->x->n_cols; c++) {
        s->diagonal[c] += penalty_on(s->glm, c);
        if (!(s->diagonal[c] > 0)) s->diagonal[c] = 1;
    }
    return QN_OK;
}

/* scaled = residual / diagonal; returns their product. */
static double scale(struct system *s)
{
    for (int64_t c = 0; c < s->x->n_cols; c++) {
        s->scaled[c] = s->residual[c] / s->diagonal[c];
    }
    return qn_dot(s->scaled, s->residual, s->x->n_cols);
}

static qn_status iterate(struct system *s, double *point, int64_t *n_iterations, qn_error *err)
{
    const int64_t p = s->x->n_cols;
    double value;
    QN_TRY(begin(s, point, &value, err));
    QN_TRY(set_diagonal(s, err));
    double product = scale(s), ratio = 0;
    while (*n_iterations < s->glm->max_iter && !qn_stop_requested(s->glm->stop)) {
        if (!(0.5 * product > caution * s->glm->tol * value)) break;
        for (int64_t c = 0; c < p; c++) {
            s->direction[c] = s->scaled[c] + ratio * s->direction[c];
        }
        QN_TRY(apply(s, err));
        const double curve = qn_dot(s->direction, s->image, p);
        if (!(curve > 0)) break;
        const double step = product / curve;
        qn_add_scaled(step, s->direction, point, p);
        qn_add_scaled(-step, s->image, s->residual, p);
        value -= 0.5 * step * product;
        ++*n_iterations;
        const double next = scale(s);
        ratio = next / product;
        product = next;
    }
    return QN_OK;
}

qn_status qn_conjugate_minimise(const qn_glm *glm, double *point, int64_t *n_iterations,
                                qn_error *err)
{
    const int64_t n = glm->design->n_rows, p = glm->design->n_cols;
    double *memory = qn_alloc_array(n + 5 * p, sizeof *memory);
    if (!memory) return qn_fail(err, QN_ERR_NOMEM, "no memory for a linear model");
    struct system s = {.glm = glm,
                       .x = glm->design,
                       .margins = memory,
                       .diagonal = memory + n,
                       .residual = memory + n + p,
                       .scaled = memory + n + 2 * p,
                       .direction = memory + n + 3 * p,
                       .image = memory + n + 4 * p};
    const qn_status status = iterate(&s, point, n_iterations, err);
    qn_free(memory);
    return status;
}
