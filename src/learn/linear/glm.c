/* SPDX-License-Identifier: Apache-2.0 */
#include "learn/linear/glm.h"

#include "base/alloc.h"
#include "base/number.h"
#include "learn/linear/conjugate.h"
#include "learn/linear/dual.h"
#include "learn/linear/interior.h"
#include "learn/linear/multipliers.h"
#include "linalg/kernels.h"
#include "linalg/semidefinite.h"

#include <math.h>
#include <string.h>

enum {
    NEWTON_COLS_MAX =
        640, /* of all outputs: beyond, the factor costs more than products with the rows */
    HALVINGS_MAX = 40,
    CONJUGATE_MAX = 200,
    SCALES_MAX = 200, /* of the Huber loss */
    BLOCK_ROWS = 4096
};

/* A pivot this much smaller than its diagonal is rounding: the column depends on others. */
static const double pivot_tolerance = 1e-13;
/* Gains below this share of the value cannot be told from rounding. */
static const double rounding = 1e-15;

struct work {
    qn_glm *glm;
    int64_t n, n_cols, n_blocks;
    double *margins; /* n_outputs × n, like the slopes and changes of margins */
    double *slopes;
    double *changes;
    double *sums;     /* of blocks of rows */
    double *gradient; /* n_outputs × n_cols, like the step */
    double *step;
    double *omega;                                   /* n */
    double *gram;                                    /* n_cols × n_cols */
    double *hessian;                                 /* NULL: too large */
    double *diagonal, *residual, *direction, *image; /* as the step; without a hessian */
    double first_product; /* of the first gradient with itself, by the diagonal */
    qn_error *err;
};

/* ---- value and gradient ---- */

static void losses_of_block(void *context, int64_t block)
{
    const struct work *w = context;
    const qn_glm *glm = w->glm;
    const int64_t first = block * BLOCK_ROWS;
    const int64_t last = first + BLOCK_ROWS < w->n ? first + BLOCK_ROWS : w->n;
    double sum = 0;
    for (int64_t i = first; i < last; i++) {
        for (int32_t k = 0; k < glm->n_outputs; k++) {
            w->slopes[k * w->n + i] = w->margins[k * w->n + i];
        }
        sum += qn_glm_row(glm, glm->target[i], qn_glm_weight(glm, i), w->slopes + i, w->n);
    }
    w->sums[block] = sum;
}

static double penalty_on(const qn_glm *glm, int64_t column)
{
    const bool free = column == glm->design->intercept && !glm->penalises_intercept;
    return free ? 0 : glm->penalty;
}

/* Value at the margins, which are those of `point`; leaves the derivatives in `slopes`. */
static double value_of(struct work *w, const double *point)
{
    double sum = 0, penalty = 0;
    qn_pool_run(w->glm->pool, w->n_blocks, losses_of_block, w);
    for (int64_t b = 0; b < w->n_blocks; b++) {
        sum += w->sums[b];
    }
    for (int64_t at = 0; at < w->glm->n_outputs * w->n_cols; at++) {
        penalty += 0.5 * penalty_on(w->glm, at % w->n_cols) * point[at] * point[at];
    }
    return sum / w->glm->total + penalty;
}

static qn_status set_gradient(struct work *w, const double *point, double *gradient)
{
    for (int32_t k = 0; k < w->glm->n_outputs; k++) {
        double *g = gradient + k * w->n_cols;
        const double *own = point + k * w->n_cols;
        QN_TRY(qn_design_transposed(w->glm->design, w->slopes + k * w->n, w->glm->pool, g, w->err));
        for (int64_t c = 0; c < w->n_cols; c++) {
            g[c] = g[c] / w->glm->total + penalty_on(w->glm, c) * own[c];
        }
    }
    return QN_OK;
}

static void set_margins(struct work *w, const double *point, double *margins)
{
    for (int32_t k = 0; k < w->glm->n_outputs; k++) {
        qn_design_multiply(w->glm->design, point + k * w->n_cols, w->glm->pool, margins + k * w->n);
    }
}

/* ---- Newton's method ---- */

/* Second derivatives by margins a and b, times the row's weight. */
static void set_omega(struct work *w, int32_t a, int32_t b)
{
    const qn_glm *glm = w->glm;
    for (int64_t i = 0; i < w->n; i++) {
        const double weight = qn_glm_weight(glm, i), y = glm->target[i];
        if (glm->loss != QN_GLM_SOFTMAX) {
            w->omega[i] = qn_glm_curvature(glm, y, weight, w->margins[i]);
        } else if (weight == 0) {
            w->omega[i] = 0;
        } else {
            const double pa = w->slopes[a * w->n + i] / weight + (y == a);
            const double pb = w->slopes[b * w->n + i] / weight + (y == b);
            w->omega[i] = weight * pa * ((a == b) - pb);
        }
    }
}

/* Lower triangle of the matrix of second derivatives, from the margins and slopes. */
static qn_status set_hessian(struct work *w)
{
    const int64_t p = w->n_cols, all = p * w->glm->n_outputs;
    for (int32_t a = 0; a < w->glm->n_outputs; a++) {
        for (int32_t b = 0; b <= a; b++) {
            set_omega(w, a, b);
            QN_TRY(qn_design_gram(w->glm->design, w->omega, w->glm->pool, w->gram, w->err));
            for (int64_t i = 0; i < p; i++) {
                double *row = w->hessian + (a * p + i) * all + b * p;
                for (int64_t j = 0; j < p; j++) {
                    row[j] = w->gram[j <= i ? i * p + j : j * p + i] / w->glm->total;
                }
                if (a == b) row[i] += penalty_on(w->glm, i);
            }
        }
    }
    return QN_OK;
}

/* step = -hessian^-1 gradient, by its factor. */
static qn_status find_step(struct work *w)
{
    const int64_t n_point = w->n_cols * w->glm->n_outputs;
    QN_TRY(set_hessian(w));
    qn_semidefinite_factor(w->hessian, n_point, pivot_tolerance);
    for (int64_t c = 0; c < n_point; c++) {
        w->step[c] = -w->gradient[c];
    }
    qn_semidefinite_solve(w->hessian, n_point, w->step);
    return QN_OK;
}

/* ---- the same on many columns, where no such matrix fits ---- */

/* Changes of margins become changes of slopes, row by row. */
static void curve_block(void *context, int64_t block)
{
    const struct work *w = context;
    const qn_glm *glm = w->glm;
    const int64_t first = block * BLOCK_ROWS;
    const int64_t last = first + BLOCK_ROWS < w->n ? first + BLOCK_ROWS : w->n;
    for (int64_t i = first; i < last; i++) {
        const double weight = qn_glm_weight(glm, i), y = glm->target[i];
        double *own = w->changes + i, mean = 0;
        if (glm->loss != QN_GLM_SOFTMAX) {
            *own *= qn_glm_curvature(glm, y, weight, w->margins[i]);
            continue;
        }
        for (int32_t k = 0; k < glm->n_outputs; k++) {
            const double p = weight > 0 ? w->slopes[k * w->n + i] / weight + (y == k) : 0;
            mean += p * own[k * w->n];
        }
        for (int32_t k = 0; k < glm->n_outputs; k++) {
            const double p = weight > 0 ? w->slopes[k * w->n + i] / weight + (y == k) : 0;
            own[k * w->n] = weight * p * (own[k * w->n] - mean);
        }
    }
}

/* image = hessian . direction */
static qn_status set_image(struct work *w)
{
    const qn_glm *glm = w->glm;
    set_margins(w, w->direction, w->changes);
    qn_pool_run(glm->pool, w->n_blocks, curve_block, w);
    for (int32_t k = 0; k < glm->n_outputs; k++) {
        const double *own = w->direction + k * w->n_cols;
        double *image = w->image + k * w->n_cols;
        QN_TRY(qn_design_transposed(glm->design, w->changes + k * w->n, glm->pool, image, w->err));
        for (int64_t c = 0; c < w->n_cols; c++) {
            image[c] = image[c] / glm->total + penalty_on(glm, c) * own[c];
        }
    }
    return QN_OK;
}

static qn_status set_diagonal(struct work *w)
{
    const qn_glm *glm = w->glm;
    for (int32_t k = 0; k < glm->n_outputs; k++) {
        double *own = w->diagonal + k * w->n_cols;
        set_omega(w, k, k);
        QN_TRY(qn_design_diagonal(glm->design, w->omega, glm->pool, own, w->err));
        for (int64_t c = 0; c < w->n_cols; c++) {
            own[c] = own[c] / glm->total + penalty_on(glm, c);
            if (!(own[c] > 0)) own[c] = 1;
        }
    }
    return QN_OK;
}

/* The same step, nearly: conjugate gradients, divided by the diagonal, until the residual is a
 * share of the gradient that itself falls with the gradient (Dembo & Steihaug 1983). */
static qn_status find_truncated_step(struct work *w)
{
    const int64_t n_point = w->n_cols * w->glm->n_outputs;
    double product = 0, ratio = 0;
    QN_TRY(set_diagonal(w));
    for (int64_t c = 0; c < n_point; c++) {
        w->step[c] = w->direction[c] = 0;
        w->residual[c] = -w->gradient[c];
        product += w->gradient[c] * w->gradient[c] / w->diagonal[c];
    }
    if (w->first_product == 0) w->first_product = product;
    const double share = fmin(0.25, sqrt(sqrt(product / w->first_product)));
    const double enough = share * share * product;
    for (int k = 0; k < CONJUGATE_MAX && product > enough; k++) {
        for (int64_t c = 0; c < n_point; c++) {
            w->direction[c] = w->residual[c] / w->diagonal[c] + ratio * w->direction[c];
        }
        QN_TRY(set_image(w));
        const double curve = qn_dot(w->direction, w->image, n_point);
        if (!(curve > 0)) break;
        qn_add_scaled(product / curve, w->direction, w->step, n_point);
        qn_add_scaled(-product / curve, w->image, w->residual, n_point);
        double next = 0;
        for (int64_t c = 0; c < n_point; c++) {
            next += w->residual[c] * w->residual[c] / w->diagonal[c];
        }
        ratio = next / product;
        product = next;
        if (qn_stop_requested(w->glm->stop)) break;
    }
    return QN_OK;
}

/* ---- */

/* Halves the step until the value falls as the slope promises; false: it never does. */
static bool search_line(struct work *w, double *point, double slope, double *value)
{
    const int64_t n_point = w->n_cols * w->glm->n_outputs, n_margins = w->n * w->glm->n_outputs;
    double taken = 0, length = 1;
    set_margins(w, w->step, w->changes);
    for (int tries = 0; tries < HALVINGS_MAX; tries++, length *= 0.5) {
        qn_add_scaled(length - taken, w->step, point, n_point);
        qn_add_scaled(length - taken, w->changes, w->margins, n_margins);
        taken = length;
        const double now = value_of(w, point);
        if (now <= *value + 1e-4 * length * slope) {
            *value = now;
            return true;
        }
    }
    qn_add_scaled(-taken, w->step, point, n_point);
    qn_add_scaled(-taken, w->changes, w->margins, n_margins);
    return false;
}

/* To where a step would gain less than `tol` of the value. */
static qn_status newton(struct work *w, double *point, int64_t *n_iterations)
{
    const qn_glm *glm = w->glm;
    const int64_t n_point = w->n_cols * glm->n_outputs;
    double value = value_of(w, point);
    for (int64_t k = 0; k < glm->max_iter && !qn_stop_requested(glm->stop); k++) {
        QN_TRY(set_gradient(w, point, w->gradient));
        QN_TRY(w->hessian ? find_step(w) : find_truncated_step(w));
        const double slope = qn_dot(w->step, w->gradient, n_point);
        const bool last =
            !(-slope > fmax(glm->tol, rounding) * fabs(value)) || glm->loss == QN_GLM_SQUARED;
        if (!(slope < 0) || !search_line(w, point, slope, &value)) break;
        ++*n_iterations;
        if (last) break; /* for squares, one step is exact */
    }
    return QN_OK;
}

/* ---- the scale of the Huber loss ---- */

/* Sets sigma to its best for the present margins; returns by which share it changed. The derivative
 * sum_i w_i (1 - min(r_i / sigma, shape)^2) increases with sigma, so that the fixed point of
 * sigma^2 = sum_middle w r^2 / sum_i w_i (1 - shape^2 [outlier]) is unique; it is bracketed. */
static double set_sigma(struct work *w)
{
    qn_glm *glm = w->glm;
    const double before = glm->sigma, cut = glm->shape * glm->shape;
    double low = 0, high = QN_INF, sigma = before;
    for (int k = 0; k < SCALES_MAX; k++) {
        double slope = 0, squares = 0, rest = 0;
        for (int64_t i = 0; i < w->n; i++) {
            const double r = glm->target[i] - w->margins[i], weight = qn_glm_weight(glm, i);
            const bool middle = fabs(r) <= glm->shape * sigma;
            squares += middle ? weight * r * r : 0;
            rest += middle ? weight : weight * (1 - cut);
        }
        slope = rest - squares / (sigma * sigma);
        *(slope > 0 ? &high : &low) = sigma;
        double next = rest > 0 ? sqrt(squares / rest) : 2 * sigma;
        if (!(next > low && next < high)) next = high < QN_INF ? 0.5 * (low + high) : 2 * sigma;
        const double change = fabs(next - sigma);
        sigma = next;
        if (change <= 1e-14 * sigma || sigma < 1e-12 * before) break;
    }
    glm->sigma = fmax(sigma, 1e-12 * before);
    return fabs(glm->sigma - before) / before;
}

/* Point and scale in turn: the problem is convex in both together. */
static qn_status alternate(struct work *w, double *point, int64_t *n_iterations)
{
    if (w->glm->loss != QN_GLM_HUBER) return newton(w, point, n_iterations);
    for (int k = 0; k < SCALES_MAX && !qn_stop_requested(w->glm->stop); k++) {
        set_margins(w, point, w->margins);
        const double change = set_sigma(w);
        QN_TRY(newton(w, point, n_iterations));
        if (k > 0 && change <= 1e-9) break;
    }
    return QN_OK;
}

/* ---- */

static bool allocate(struct work *w, bool with_hessian)
{
    const int64_t n_point = w->n_cols * w->glm->n_outputs, n_margins = w->n * w->glm->n_outputs;
    w->margins = qn_alloc_array(3 * n_margins, sizeof(double));
    w->sums = qn_alloc_array(w->n_blocks, sizeof(double));
    w->omega = qn_alloc_array(w->n, sizeof(double));
    w->gradient = qn_alloc_array((with_hessian ? 2 : 6) * n_point, sizeof(double));
    if (!w->margins || !w->sums || !w->omega || !w->gradient) return false;
    w->slopes = w->margins + n_margins;
    w->changes = w->slopes + n_margins;
    w->step = w->gradient + n_point;
    if (with_hessian) {
        w->gram = qn_alloc_array(w->n_cols * w->n_cols, sizeof(double));
        w->hessian = qn_alloc_array(n_point * n_point, sizeof(double));
        return w->gram && w->hessian;
    }
    w->diagonal = w->step + n_point;
    w->residual = w->diagonal + n_point;
    w->direction = w->residual + n_point;
    w->image = w->direction + n_point;
    return true;
}

static void release(struct work *w)
{
    qn_free(w->margins);
    qn_free(w->sums);
    qn_free(w->omega);
    qn_free(w->gradient);
    qn_free(w->gram);
    qn_free(w->hessian);
}

static qn_status minimise_smooth(qn_glm *glm, double *point, int64_t *n_iterations, qn_error *err)
{
    const int64_t n = glm->design->n_rows, p = glm->design->n_cols;
    const bool small = p * glm->n_outputs <= NEWTON_COLS_MAX;
    struct work w = {
        .glm = glm, .n = n, .n_cols = p, .n_blocks = (n + BLOCK_ROWS - 1) / BLOCK_ROWS, .err = err};
    qn_status status = QN_OK;
    if (allocate(&w, small)) {
        set_margins(&w, point, w.margins);
        status = alternate(&w, point, n_iterations);
    } else {
        status = qn_fail(err, QN_ERR_NOMEM, "no memory for a linear model");
    }
    release(&w);
    return status;
}

/* Coordinate descent in the dual is for hinges that penalise the intercept. */
static bool takes_dual(const qn_glm *glm)
{
    const bool squared =
        glm->loss == QN_GLM_SQUARED_HINGE || glm->loss == QN_GLM_SQUARED_INSENSITIVE;
    const bool hinge = glm->loss == QN_GLM_HINGE || glm->loss == QN_GLM_INSENSITIVE;
    const int64_t few = squared ? NEWTON_COLS_MAX : QN_MULTIPLIERS_COLS_MAX;
    return (squared || hinge) && glm->penalises_intercept &&
           (glm->dual || glm->design->n_cols > few);
}

qn_status qn_glm_minimise(qn_glm *glm, double *point, int64_t *n_iterations, qn_error *err)
{
    *n_iterations = 0;
    if (takes_dual(glm)) return qn_dual_minimise(glm, point, n_iterations, err);
    if (glm->loss == QN_GLM_SQUARED && glm->design->n_cols > NEWTON_COLS_MAX) {
        return glm->design->n_rows < glm->design->n_cols && glm->penalty > 0
                   ? qn_conjugate_minimise_rows(glm, point, n_iterations, err)
                   : qn_conjugate_minimise(glm, point, n_iterations, err);
    }
    if (glm->loss < QN_GLM_QUANTILE) return minimise_smooth(glm, point, n_iterations, err);
    if (glm->loss != QN_GLM_QUANTILE) {
        return qn_multipliers_minimise(glm, point, n_iterations, err);
    }
    if (glm->design->n_cols <= QN_INTERIOR_COLS_MAX) {
        return qn_interior_minimise(glm, point, n_iterations, err);
    }
    return qn_fail(err, QN_ERR_UNSUPPORTED,
                   "the quantile loss takes at most %d features, here are %" PRId64
                   "; another loss takes any number",
                   QN_INTERIOR_COLS_MAX, glm->design->n_cols);
}
