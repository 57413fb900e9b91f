/* SPDX-License-Identifier: Apache-2.0 */
#include "learn/linear/dual.h"

#include "base/alloc.h"
#include "base/number.h"
#include "base/rng.h"
#include "linalg/kernels.h"

#include <math.h>
#include <string.h>

enum { PASSES_PER_CHECK = 10 }; /* the gap costs about as much as a pass */

struct dual {
    const qn_glm *glm;
    qn_shared_columns shared;
    qn_design design; /* without the columns that one row has alone */
    double *point;    /* of the columns shared */
    double *beta;     /* n */
    double *squares;  /* n: |x_i|^2 + d_i */
    int32_t *order;   /* the active rows, then the others */
    int64_t n, n_active;
    double epsilon;
    double cost;  /* C of liblinear for a weight of 1, against |point|^2 / 2 */
    double reach; /* a variable at its bound is set aside when its slope is beyond this */
    qn_rng rng;
};

static bool is_squared(const struct dual *d)
{
    return d->glm->loss == QN_GLM_SQUARED_HINGE || d->glm->loss == QN_GLM_SQUARED_INSENSITIVE;
}

static bool is_hinge(const struct dual *d)
{
    return d->glm->loss == QN_GLM_HINGE || d->glm->loss == QN_GLM_SQUARED_HINGE;
}

static double cost_of(const struct dual *d, int64_t i)
{
    return d->cost * qn_glm_weight(d->glm, i);
}

static double target_of(const struct dual *d, int64_t i)
{
    const double y = d->glm->target[i];
    return is_hinge(d) ? (y == 1 ? 1 : -1) : y;
}

static void bounds_of(const struct dual *d, int64_t i, double *low, double *high)
{
    const double cost = cost_of(d, i), most = cost > 0 && is_squared(d) ? QN_INF : cost;
    *low = is_hinge(d) && d->glm->target[i] == 1 ? 0 : -most;
    *high = is_hinge(d) && d->glm->target[i] != 1 ? 0 : most;
}

static double diagonal_of(const struct dual *d, int64_t i)
{
    return is_squared(d) && cost_of(d, i) > 0 ? 0.5 / cost_of(d, i) : 0;
}

static void measure_rows(struct dual *d)
{
    const qn_design *x = &d->design;
    for (int64_t i = 0; i < d->n; i++) {
        const double *dense = x->dense + i * x->width;
        double sum = qn_dot(dense, dense, x->width) + d->shared.alone[i] + diagonal_of(d, i);
        for (int64_t j = x->starts[i]; j < x->starts[i + 1]; j++) {
            sum += (double)x->values[j] * (double)x->values[j];
        }
        d->squares[i] = sum;
        d->order[i] = (int32_t)i;
    }
}

static double margin_of(const struct dual *d, int64_t i)
{
    return qn_design_row_dot(&d->design, i, d->point) + d->shared.alone[i] * d->beta[i];
}

/* Sets beta_i to its best; returns how far the slope was from one that keeps it. `*rests` tells
 * whether the variable stays at a bound (or at the bend of epsilon) with room to spare. */
static double step_along(struct dual *d, int64_t i, bool *rests)
{
    const double before = d->beta[i], square = d->squares[i];
    double low, high;
    bounds_of(d, i, &low, &high);
    const double slope = margin_of(d, i) - target_of(d, i) + diagonal_of(d, i) * before;
    const double free = before - slope / square, bend = d->epsilon > 0 ? d->epsilon / square : 0;
    const double bent = free > bend ? free - bend : free < -bend ? free + bend : 0;
    const double now = fmin(fmax(bent, low), high), change = now - before;
    /* Slopes to either side, the bend of epsilon included. */
    const double up = slope + (before >= 0 ? d->epsilon : -d->epsilon);
    const double down = slope + (before > 0 ? d->epsilon : -d->epsilon);
    *rests =
        change == 0 && (before >= high || up > d->reach) && (before <= low || -down > d->reach);
    if (change == 0) return 0;
    d->beta[i] = now;
    qn_design_row_add(&d->design, i, change, d->point);
    return fabs(change) * square;
}

/* One pass over the active rows in a random order; returns the largest violation. */
static double pass(struct dual *d)
{
    double most = 0;
    qn_rng_shuffle(&d->rng, d->order, d->n_active);
    for (int64_t at = 0; at < d->n_active;) {
        bool rests;
        most = fmax(most, step_along(d, d->order[at], &rests));
        if (!rests) {
            at++;
            continue;
        }
        const int32_t set_aside = d->order[at];
        d->order[at] = d->order[--d->n_active];
        d->order[d->n_active] = set_aside;
    }
    d->reach = most;
    return most;
}

/* The objective over the penalty, and how far the dual is below it, as a share. */
static double gap_of(const struct dual *d)
{
    double norm = qn_dot(d->point, d->point, d->design.n_cols);
    for (int64_t i = 0; i < d->n; i++) {
        norm += d->shared.alone[i] * d->beta[i] * d->beta[i];
    }
    double primal = 0.5 * norm, dual = 0.5 * norm;
    for (int64_t i = 0; i < d->n; i++) {
        double margin = margin_of(d, i);
        primal += qn_glm_row(d->glm, d->glm->target[i], cost_of(d, i), &margin, 1);
        dual += 0.5 * diagonal_of(d, i) * d->beta[i] * d->beta[i] - target_of(d, i) * d->beta[i] +
                d->epsilon * fabs(d->beta[i]);
    }
    return primal > 0 ? (primal + dual) / primal : 0;
}

/* Each time the active variables have converged to `aim`, all of them are active again, and the aim
 * is a tenth. */
static void descend(struct dual *d, int64_t *n_iterations)
{
    double aim = QN_INF;
    d->n_active = d->n;
    d->reach = QN_INF;
    while (*n_iterations < d->glm->max_iter && !qn_stop_requested(d->glm->stop)) {
        const bool whole = d->n_active == d->n;
        const double most = pass(d);
        if (++*n_iterations == 1) aim = 0.1 * most;
        const bool converged = most <= aim;
        if (!converged && *n_iterations % PASSES_PER_CHECK != 0) continue;
        if (gap_of(d) <= d->glm->tol || (most == 0 && whole)) return;
        if (!converged) continue;
        d->n_active = d->n;
        d->reach = QN_INF;
        aim *= 0.1;
    }
}

static bool allocate(struct dual *d)
{
    d->point = qn_alloc_array(d->design.n_cols, sizeof *d->point);
    d->beta = qn_alloc_array(d->n, sizeof *d->beta);
    d->squares = qn_alloc_array(d->n, sizeof *d->squares);
    d->order = qn_alloc_array(d->n, sizeof *d->order);
    return d->point && d->beta && d->squares && d->order;
}

static void release(struct dual *d)
{
    qn_shared_columns_release(&d->shared);
    qn_free(d->point);
    qn_free(d->beta);
    qn_free(d->squares);
    qn_free(d->order);
}

qn_status qn_dual_minimise(const qn_glm *glm, double *point, int64_t *n_iterations, qn_error *err)
{
    const bool insensitive =
        glm->loss == QN_GLM_INSENSITIVE || glm->loss == QN_GLM_SQUARED_INSENSITIVE;
    struct dual d = {.glm = glm,
                     .n = glm->design->n_rows,
                     .epsilon = insensitive ? glm->shape : 0,
                     .cost = 1 / (glm->total * glm->penalty)};
    qn_status status = QN_OK;
    *n_iterations = 0;
    QN_TRY(qn_design_share(glm->design, &d.shared, &d.design, err));
    if (allocate(&d)) {
        qn_rng_init(&d.rng, glm->seed, 0x6475616c);
        measure_rows(&d);
        descend(&d, n_iterations);
        status = qn_design_transposed(glm->design, d.beta, glm->pool, point, err);
    } else {
        status = qn_fail(err, QN_ERR_NOMEM, "no memory for a linear model");
    }
    release(&d);
    return status;
}
