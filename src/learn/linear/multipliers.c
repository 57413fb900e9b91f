/* SPDX-License-Identifier: Apache-2.0 */
#include "learn/linear/multipliers.h"

#include "base/alloc.h"
#include "base/number.h"
#include "linalg/kernels.h"
#include "linalg/semidefinite.h"

#include <math.h>
#include <string.h>

/* Between the bends at first: errors up to so many times the mean target. Sigma grows where the
 * multipliers have left more than this share of the gap that the ones before them left. */
static const double first_width = 4, growth = 4, growing_share = 0.2;
/* Newton's method ends at an excess of so much of the gap; a line search at so much of its first
 * slope. */
static const double inner_share = 0.3, slope_share = 0.1;
/* Of the diagonal, added before factoring, lest columns that depend on one another stop it. */
static const double ridge_share = 1e-12;
/* A gap of this share of the objective is rounding: it cannot be made smaller. */
static const double rounding = 1e-13;
enum { NEWTON_MAX = 50, TRIALS_MAX = 40, N_ROW_ARRAYS = 9 };

struct machine {
    const qn_glm *glm;
    const qn_design *design;
    int64_t n, n_cols;
    double epsilon, sigma;
    double *target, *low, *high;
    double *shift;                       /* the multipliers, over sigma */
    double *next;                        /* those that a point asks for */
    double *held;                        /* those that the present point asks for */
    double *margins, *moves;             /* of the point and of the step */
    double *scratch;                     /* losses, or second derivatives, of rows */
    double *point, *step, *change, *sum; /* n_cols: sum_i held_i x_i */
    double *gram;
    double primal, gap, excess;
    bool is_lost; /* a step was beyond all numbers, and not taken */
};

static double kept_within(double value, double low, double high)
{
    return value < low ? low : value > high ? high : value;
}

/* What the point asks for after a step of the given length. */
static void ask(struct machine *m, double length)
{
    const double sigma = m->sigma, epsilon = m->epsilon;
    for (int64_t i = 0; i < m->n; i++) {
        const double z = m->target[i] - m->margins[i] - length * m->moves[i] + m->shift[i];
        const double bent = z - kept_within(z, -epsilon, epsilon);
        m->next[i] = kept_within(sigma * bent, m->low[i], m->high[i]);
    }
}

/* The rows: bounds, targets, and the first sigma. */
static void begin(struct machine *m)
{
    const qn_glm *glm = m->glm;
    const bool hinge = glm->loss == QN_GLM_HINGE;
    double size = 0;
    int64_t n_weighed = 0;
    m->epsilon = hinge ? 0 : glm->shape;
    for (int64_t i = 0; i < m->n; i++) {
        const double cost = qn_glm_weight(glm, i) / glm->total, y = glm->target[i];
        m->target[i] = !hinge ? y : y == 1 ? 1 : -1;
        m->low[i] = hinge && y == 1 ? 0 : -cost;
        m->high[i] = hinge && y != 1 ? 0 : cost;
        size += cost * fabs(m->target[i]);
        n_weighed += cost > 0;
    }
    if (!(size > 0)) size = 1;
    m->sigma = 1 / (first_width * size * (double)(n_weighed > 0 ? n_weighed : 1));
}

/* The rows' losses: what beta (|r| - epsilon) is at most. */
static double loss_of(struct machine *m)
{
    for (int64_t i = 0; i < m->n; i++) {
        const double r = m->target[i] - m->margins[i];
        const double above = r > m->epsilon ? r - m->epsilon : 0;
        const double below = r < -m->epsilon ? r + m->epsilon : 0;
        m->scratch[i] = m->high[i] * above + m->low[i] * below;
    }
    return qn_sum(m->scratch, m->n);
}

/* Takes what was asked last for what the point asks for: its objective, the gap to the dual, and
 * how far Newton's method still has to go. Few rows ask for something new in the end. */
static qn_status look(struct machine *m, qn_error *err)
{
    const double penalty = m->glm->penalty;
    double dual = 0, excess = 0;
    for (int64_t i = 0; i < m->n; i++) {
        m->scratch[i] = m->next[i] - m->held[i];
        m->held[i] = m->next[i];
    }
    QN_TRY(qn_design_transposed(m->design, m->scratch, m->glm->pool, m->change, err));
    for (int64_t c = 0; c < m->n_cols; c++) {
        m->sum[c] += m->change[c];
        const double lack = m->sum[c] - penalty * m->point[c];
        excess += 0.5 * lack * lack / penalty;
    }
    for (int64_t i = 0; i < m->n && m->epsilon > 0; i++) {
        dual -= m->epsilon * fabs(m->held[i]);
    }
    dual += qn_dot(m->target, m->held, m->n);
    m->primal = loss_of(m) + 0.5 * penalty * qn_dot(m->point, m->point, m->n_cols);
    m->gap = m->primal - dual + 0.5 * qn_dot(m->sum, m->sum, m->n_cols) / penalty;
    m->excess = excess;
    return QN_OK;
}

/* Newton's step, and its moves of the margins. */
static qn_status find_step(struct machine *m, qn_error *err)
{
    const int64_t p = m->n_cols;
    for (int64_t i = 0; i < m->n; i++) {
        const double beta = m->held[i];
        m->scratch[i] = beta > m->low[i] && beta < m->high[i] && beta != 0 ? m->sigma : 0;
    }
    QN_TRY(qn_design_gram(m->design, m->scratch, m->glm->pool, m->gram, err));
    for (int64_t c = 0; c < p; c++) {
        m->gram[c * p + c] += ridge_share * m->gram[c * p + c] + m->glm->penalty;
        m->step[c] = m->sum[c] - m->glm->penalty * m->point[c];
    }
    qn_semidefinite_factor(m->gram, p, 0.1 * ridge_share);
    qn_semidefinite_solve(m->gram, p, m->step);
    qn_design_multiply(m->design, m->step, m->glm->pool, m->moves);
    return QN_OK;
}

/* Slope of the envelopes and the penalty after a step of the given length. */
static double slope_at(struct machine *m, double start, double rise, double length)
{
    ask(m, length);
    return start + length * rise - qn_dot(m->next, m->moves, m->n);
}

/* Asks at the length at which the slope, which only rises, is small; returns it. */
static double length_of(struct machine *m)
{
    const double start = m->glm->penalty * qn_dot(m->point, m->step, m->n_cols);
    const double rise = m->glm->penalty * qn_dot(m->step, m->step, m->n_cols);
    const double first = start - qn_dot(m->held, m->moves, m->n);
    double low = 0, at_low = first, high = 1, length = 1;
    double slope = slope_at(m, start, rise, length), at_high = slope;
    for (int trial = 0; trial < TRIALS_MAX && fabs(slope) > slope_share * fabs(first); trial++) {
        if (at_high < 0) break; /* the step is as far as the second derivative can be believed */
        length = low + (high - low) * kept_within(at_low / (at_low - at_high), 0.1, 0.9);
        slope = slope_at(m, start, rise, length);
        if (slope < 0) {
            low = length;
            at_low = slope;
        } else {
            high = length;
            at_high = slope;
        }
    }
    return length;
}

static bool may_go_on(const struct machine *m, int64_t n_iterations)
{
    return n_iterations < m->glm->max_iter && !qn_stop_requested(m->glm->stop) && !m->is_lost &&
           m->gap > fmax(m->glm->tol, rounding) * m->primal;
}

/* Newton's method, for one set of multipliers. */
static qn_status descend(struct machine *m, int64_t *n_iterations, qn_error *err)
{
    for (int steps = 0; steps < NEWTON_MAX && may_go_on(m, *n_iterations); steps++) {
        if (steps > 0 && m->excess <= inner_share * m->gap) break;
        QN_TRY(find_step(m, err));
        const double length = length_of(m);
        m->is_lost = !isfinite(qn_dot(m->step, m->step, m->n_cols) + qn_sum(m->moves, m->n));
        if (m->is_lost) break;
        qn_add_scaled(length, m->step, m->point, m->n_cols);
        qn_add_scaled(length, m->moves, m->margins, m->n);
        ++*n_iterations;
        QN_TRY(look(m, err));
    }
    return QN_OK;
}

static qn_status iterate(struct machine *m, int64_t *n_iterations, qn_error *err)
{
    double gap = QN_INF;
    ask(m, 0);
    QN_TRY(look(m, err));
    while (may_go_on(m, *n_iterations)) {
        QN_TRY(descend(m, n_iterations, err));
        if (!may_go_on(m, *n_iterations)) break;
        if (m->gap > growing_share * gap) m->sigma *= growth;
        gap = m->gap;
        for (int64_t i = 0; i < m->n; i++) {
            m->shift[i] = m->held[i] / m->sigma;
        }
        ask(m, 0);
        QN_TRY(look(m, err));
    }
    return QN_OK;
}

static bool allocate(struct machine *m, double **memory)
{
    const int64_t n = m->n, p = m->n_cols;
    m->gram = qn_alloc_array(p * p, sizeof *m->gram);
    *memory = qn_alloc_array(N_ROW_ARRAYS * n + 3 * p, sizeof **memory);
    if (!m->gram || !*memory) return false;
    double **const arrays[N_ROW_ARRAYS] = {&m->target, &m->low,     &m->high,  &m->shift,  &m->next,
                                           &m->held,   &m->margins, &m->moves, &m->scratch};
    for (int64_t a = 0; a < N_ROW_ARRAYS; a++) {
        *arrays[a] = *memory + a * n;
    }
    m->step = *memory + N_ROW_ARRAYS * n;
    m->change = m->step + p;
    m->sum = m->step + 2 * p;
    return true;
}

qn_status qn_multipliers_minimise(const qn_glm *glm, double *point, int64_t *n_iterations,
                                  qn_error *err)
{
    struct machine m = {.glm = glm,
                        .design = glm->design,
                        .n = glm->design->n_rows,
                        .n_cols = glm->design->n_cols,
                        .point = point};
    double *memory = NULL;
    qn_status status = QN_OK;
    memset(point, 0, (size_t)m.n_cols * sizeof *point);
    *n_iterations = 0;
    if (allocate(&m, &memory)) {
        begin(&m);
        status = iterate(&m, n_iterations, err);
    } else {
        status = qn_fail(err, QN_ERR_NOMEM, "no memory for a linear model");
    }
    qn_free(m.gram);
    qn_free(memory);
    return status;
}
