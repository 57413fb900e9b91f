/* SPDX-License-Identifier: Apache-2.0 */
#include "learn/svm/smo.h"

#include "base/alloc.h"
#include "base/number.h"

#include <math.h>
#include <string.h>

enum { STEPS_BETWEEN_STOPS = 256, STEPS_BETWEEN_SHRINKS = 1000 };
static const double near_convergence = 10; /* tolerances: all variables are looked at once more */

enum { MAY_GROW = 1, MAY_SHRINK = 2 };

/* The variables that steps are made of, in increasing order. */
struct active {
    int64_t n;
    int32_t *variable, *row;
    double *gradient, *diagonal;
    float *row_up, *row_down; /* kernels of the pair with the rows of all */
    uint8_t *may;
};

struct state {
    const qn_smo_request *request;
    int64_t n, n_variables;
    qn_kernel_reader reader;
    double *beta;     /* n_variables */
    double *products; /* n: Kβ, known for all rows after renew_products() */
    double *bound;    /* n: the part of Kβ that variables at their outer bounds make */
    bool *is_fresh;   /* n: whether the row has an active variable */
    int32_t *stale;   /* n: rows that have none */
    struct active active;
    int64_t n_open; /* variables that may move at all */
    bool looked_again;
};

static void state_release(struct state *s)
{
    qn_kernel_reader_release(&s->reader);
    qn_free(s->beta);
    qn_free(s->is_fresh);
    qn_free(s->stale);
    qn_free(s->active.variable);
    qn_free(s->active.gradient);
    qn_free(s->active.row_up);
    qn_free(s->active.may);
}

static qn_status state_init(struct state *s, qn_error *err)
{
    const int64_t n = s->n, m = s->n_variables;
    struct active *a = &s->active;
    QN_TRY(qn_kernel_reader_init(&s->reader, s->request->cache, err));
    s->beta = qn_alloc_array(m + 2 * n, sizeof *s->beta);
    s->is_fresh = qn_alloc_array(n, sizeof *s->is_fresh);
    s->stale = qn_alloc_array(n, sizeof *s->stale);
    a->variable = qn_alloc_array(2 * m, sizeof *a->variable);
    a->gradient = qn_alloc_array(2 * m, sizeof *a->gradient);
    a->row_up = qn_alloc_array(2 * m, sizeof *a->row_up);
    a->may = qn_alloc_array(m, sizeof *a->may);
    if (!s->beta || !s->is_fresh || !s->stale || !a->variable || !a->gradient || !a->row_up ||
        !a->may) {
        state_release(s);
        return qn_fail(err, QN_ERR_NOMEM, "no memory for a support vector machine");
    }
    s->products = s->beta + m;
    s->bound = s->products + n;
    a->row = a->variable + m;
    a->diagonal = a->gradient + m;
    a->row_down = a->row_up + m;
    return QN_OK;
}

static uint8_t moves_of(const struct state *s, int64_t t)
{
    return (uint8_t)((s->beta[t] < s->request->high[t] ? MAY_GROW : 0) |
                     (s->beta[t] > s->request->low[t] ? MAY_SHRINK : 0));
}

/* The value of a variable at the bound that is not 0, else 0. */
static double bound_value(const struct state *s, int64_t t)
{
    return moves_of(s, t) == (MAY_GROW | MAY_SHRINK) ? 0 : s->beta[t];
}

/* Makes all variables active that may move at all; products are known. */
static void activate_all(struct state *s)
{
    struct active *a = &s->active;
    a->n = 0;
    for (int64_t t = 0; t < s->n_variables; t++) {
        if (!moves_of(s, t)) continue;
        const int64_t row = t % s->n;
        a->variable[a->n] = (int32_t)t;
        a->row[a->n] = (int32_t)row;
        a->gradient[a->n] = s->request->linear[t] - s->products[row];
        a->diagonal[a->n] = qn_kernel_cache_diagonal(s->request->cache, row);
        a->may[a->n++] = moves_of(s, t);
    }
    s->n_open = a->n;
}

/* Products of all rows: from the gradients of the active variables; for other rows from the part
 * of the bounds and the kernels of the variables between theirs. */
static void renew_products(struct state *s)
{
    const struct active *a = &s->active;
    int64_t n_stale = 0;
    memset(s->is_fresh, 0, (size_t)s->n * sizeof *s->is_fresh);
    for (int64_t k = 0; k < a->n; k++) {
        s->products[a->row[k]] = s->request->linear[a->variable[k]] - a->gradient[k];
        s->is_fresh[a->row[k]] = true;
    }
    for (int64_t i = 0; i < s->n; i++) {
        if (s->is_fresh[i]) continue;
        s->products[i] = s->bound[i];
        s->stale[n_stale++] = (int32_t)i;
    }
    for (int64_t t = 0; t < s->n_variables && n_stale > 0; t++) {
        if (s->beta[t] == 0 || moves_of(s, t) != (MAY_GROW | MAY_SHRINK)) continue;
        const float *row = qn_kernel_reader_row(&s->reader, t % s->n);
        for (int64_t k = 0; k < n_stale; k++) {
            s->products[s->stale[k]] += s->beta[t] * (double)row[s->stale[k]];
        }
    }
}

/* The place of the variable that may grow with the greatest gradient; -1 when none may. */
static int64_t choose_up(const struct active *a)
{
    double most = -QN_INF;
    int64_t best = -1;
    for (int64_t k = 0; k < a->n; k++) {
        if (a->gradient[k] > most && (a->may[k] & MAY_GROW)) {
            most = a->gradient[k];
            best = k;
        }
    }
    return best;
}

/* The place of the variable that may shrink for which the objective falls most; *violation is by
 * how much the optimality conditions are missed. */
static int64_t choose_down(const struct active *a, int64_t up, double *violation)
{
    const double from = a->gradient[up], own = a->diagonal[up];
    double best_gain = 0, least = QN_INF;
    int64_t best = -1;
    for (int64_t k = 0; k < a->n; k++) {
        if (!(a->may[k] & MAY_SHRINK)) continue;
        const double g = a->gradient[k], d = from - g;
        if (g < least) least = g;
        if (d <= 0) continue;
        const double curve = fmax(own + a->diagonal[k] - 2 * (double)a->row_up[k], 1e-12);
        if (d * d > best_gain * curve) {
            best_gain = d * d / curve;
            best = k;
        }
    }
    *violation = from - least;
    return best;
}

static void gather(const struct active *a, const float *row, float *out)
{
    for (int64_t k = 0; k < a->n; k++) {
        out[k] = row[a->row[k]];
    }
}

/* Sets the variable at a place, and notes what bounds have to do with it. */
static void set_variable(struct state *s, int64_t place, double value, const float *row)
{
    const int64_t t = s->active.variable[place];
    const double before = bound_value(s, t);
    s->beta[t] = value;
    const double change = bound_value(s, t) - before;
    for (int64_t i = 0; change != 0 && i < s->n; i++) {
        s->bound[i] += change * (double)row[i];
    }
    s->active.may[place] = moves_of(s, t);
}

static void move(struct state *s, int64_t up, int64_t down, const float *row_up)
{
    struct active *a = &s->active;
    const int64_t t_up = a->variable[up], t_down = a->variable[down];
    const float *row_down = qn_kernel_reader_row(&s->reader, a->row[down]);
    gather(a, row_down, a->row_down);
    const double curve =
        fmax(a->diagonal[up] + a->diagonal[down] - 2 * (double)a->row_up[down], 1e-12);
    const double room_up = s->request->high[t_up] - s->beta[t_up];
    const double room_down = s->beta[t_down] - s->request->low[t_down];
    const double wanted = (a->gradient[up] - a->gradient[down]) / curve;
    const double step = fmin(wanted, fmin(room_up, room_down));
    /* Bounds are met exactly. */
    set_variable(s, up, step == room_up ? s->request->high[t_up] : s->beta[t_up] + step, row_up);
    set_variable(s, down, step == room_down ? s->request->low[t_down] : s->beta[t_down] - step,
                 row_down);
    for (int64_t k = 0; k < a->n; k++) {
        a->gradient[k] -= step * ((double)a->row_up[k] - (double)a->row_down[k]);
    }
}

/* Sets aside variables at a bound that no pair would move from it; all are looked at once more
 * when the rest has nearly converged. */
static void shrink(struct state *s)
{
    struct active *a = &s->active;
    double most = -QN_INF, least = QN_INF;
    for (int64_t k = 0; k < a->n; k++) {
        if (a->may[k] & MAY_GROW) most = fmax(most, a->gradient[k]);
        if (a->may[k] & MAY_SHRINK) least = fmin(least, a->gradient[k]);
    }
    if (!s->looked_again && most - least <= near_convergence * s->request->tolerance) {
        s->looked_again = true;
        renew_products(s);
        activate_all(s);
    }
    int64_t n = 0;
    for (int64_t k = 0; k < a->n; k++) {
        if ((a->may[k] == MAY_SHRINK && a->gradient[k] > most) ||
            (a->may[k] == MAY_GROW && a->gradient[k] < least)) {
            continue;
        }
        a->variable[n] = a->variable[k];
        a->row[n] = a->row[k];
        a->gradient[n] = a->gradient[k];
        a->diagonal[n] = a->diagonal[k];
        a->may[n++] = a->may[k];
    }
    a->n = n;
}

/* One step; false when the active variables have converged. */
static bool step(struct state *s)
{
    struct active *a = &s->active;
    const int64_t up = choose_up(a);
    double violation;
    if (up < 0) return false;
    const float *row = qn_kernel_reader_row(&s->reader, a->row[up]);
    gather(a, row, a->row_up);
    const int64_t down = choose_down(a, up, &violation);
    if (down < 0 || violation <= s->request->tolerance) return false;
    move(s, up, down, row);
    return true;
}

static void iterate(struct state *s, qn_smo_result *result)
{
    const int64_t interval = s->n < STEPS_BETWEEN_SHRINKS ? s->n : STEPS_BETWEEN_SHRINKS;
    int64_t left = interval;
    for (;; result->n_steps++) {
        if (result->n_steps % STEPS_BETWEEN_STOPS == 0 && qn_stop_requested(s->request->stop)) {
            result->stopped = true;
            return;
        }
        if (left-- == 0) {
            shrink(s);
            left = interval;
        }
        if (step(s)) continue;
        if (s->active.n == s->n_open) return;
        renew_products(s);
        activate_all(s);
        if (!step(s)) return;
        left = 0;
    }
}

/* The gradient of variables between their bounds; without any, the middle of what the others
 * allow. */
static double bias_of(const struct state *s)
{
    double sum = 0, above = QN_INF, below = -QN_INF;
    int64_t n_free = 0;
    for (int64_t t = 0; t < s->n_variables; t++) {
        const double gradient = s->request->linear[t] - s->products[t % s->n];
        const uint8_t may = moves_of(s, t);
        if (may == (MAY_GROW | MAY_SHRINK)) {
            sum += gradient;
            n_free++;
        } else if (may == MAY_GROW) {
            below = fmax(below, gradient);
        } else if (may == MAY_SHRINK) {
            above = fmin(above, gradient);
        }
    }
    if (n_free > 0) return sum / (double)n_free;
    if (!isfinite(above) || !isfinite(below)) {
        return isfinite(above) ? above : isfinite(below) ? below : 0;
    }
    return 0.5 * (above + below);
}

qn_status qn_smo_solve(const qn_smo_request *request, qn_smo_result *result, qn_error *err)
{
    struct state s = {
        .request = request, .n = request->n, .n_variables = request->n * request->copies};
    result->n_steps = 0;
    result->stopped = false;
    result->objective = 0;
    QN_TRY(state_init(&s, err));
    activate_all(&s);
    iterate(&s, result);
    renew_products(&s);
    result->bias = bias_of(&s);
    memset(result->beta, 0, (size_t)s.n * sizeof *result->beta);
    for (int64_t t = 0; t < s.n_variables; t++) {
        const double linear = request->linear[t];
        result->beta[t % s.n] += s.beta[t];
        result->objective -= 0.5 * s.beta[t] * (2 * linear - s.products[t % s.n]);
    }
    for (int64_t i = 0; i < s.n; i++) {
        result->decisions[i] = s.products[i] + result->bias;
    }
    state_release(&s);
    return QN_OK;
}
