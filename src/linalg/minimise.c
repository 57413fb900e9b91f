/* SPDX-License-Identifier: Apache-2.0 */
#include "linalg/kernels.h"

#include "base/alloc.h"

#include <math.h>
#include <string.h>

enum { PAIRS = 10, HALVINGS_MAX = 30 };

struct state {
    int64_t n;
    double *steps, *changes; /* PAIRS × n: of the point, of the gradient */
    double inverse[PAIRS];   /* 1 / (step · change) */
    int64_t n_pairs;         /* ever stored */
    double *direction, *next, *next_gradient, *gradient;
};

/* Two-loop recursion: direction = -H · gradient. */
static void set_direction(struct state *s)
{
    double alpha[PAIRS];
    const int64_t n = s->n, first = s->n_pairs > PAIRS ? s->n_pairs - PAIRS : 0;
    for (int64_t i = 0; i < n; i++) {
        s->direction[i] = -s->gradient[i];
    }
    for (int64_t p = s->n_pairs; p-- > first;) {
        const int64_t at = p % PAIRS;
        alpha[at] = s->inverse[at] * qn_dot(s->steps + at * n, s->direction, n);
        qn_add_scaled(-alpha[at], s->changes + at * n, s->direction, n);
    }
    if (s->n_pairs > 0) {
        const double *change = s->changes + (s->n_pairs - 1) % PAIRS * n;
        const double scale = 1 / (s->inverse[(s->n_pairs - 1) % PAIRS] * qn_dot(change, change, n));
        for (int64_t i = 0; i < n; i++) {
            s->direction[i] *= scale;
        }
    }
    for (int64_t p = first; p < s->n_pairs; p++) {
        const int64_t at = p % PAIRS;
        const double beta = s->inverse[at] * qn_dot(s->changes + at * n, s->direction, n);
        qn_add_scaled(alpha[at] - beta, s->steps + at * n, s->direction, n);
    }
}

static double largest(const double *values, int64_t n)
{
    double most = 0;
    for (int64_t i = 0; i < n; i++) {
        most = fmax(most, fabs(values[i]));
    }
    return most;
}

/* Remembers how the gradient changed along the last step. */
static void store_pair(struct state *s, const double *x)
{
    const int64_t n = s->n, at = s->n_pairs % PAIRS;
    double *step = s->steps + at * n, *change = s->changes + at * n;
    for (int64_t i = 0; i < n; i++) {
        step[i] = s->next[i] - x[i];
        change[i] = s->next_gradient[i] - s->gradient[i];
    }
    const double product = qn_dot(step, change, n);
    if (product <= 1e-12 * qn_dot(change, change, n)) return; /* not convex along it */
    s->inverse[at] = 1 / product;
    s->n_pairs++;
}

/* Stopped, or the next evaluation, as long as the first, would end after the deadline. */
static bool is_time_up(const qn_stop *stop, double evaluation_s)
{
    return qn_stop_requested(stop) ||
           (stop && stop->deadline_s > 0 && qn_clock_s() + evaluation_s > stop->deadline_s);
}

static int64_t iterate(const qn_minimise_request *request, struct state *s, double *x)
{
    if (qn_stop_requested(request->stop)) return 0;
    const double begun_s = qn_clock_s();
    double value = request->objective(request->context, x, s->gradient);
    const double evaluation_s = qn_clock_s() - begun_s;
    for (int64_t k = 0; k < request->iterations_max; k++) {
        if (largest(s->gradient, s->n) <= request->tolerance) return k;
        if (is_time_up(request->stop, evaluation_s)) return k;
        set_direction(s);
        double slope = qn_dot(s->direction, s->gradient, s->n);
        if (!(slope < 0)) { /* what is remembered misleads: begin anew */
            s->n_pairs = 0;
            set_direction(s);
            slope = qn_dot(s->direction, s->gradient, s->n);
        }
        double step = s->n_pairs == 0 ? fmin(1, 1 / sqrt(-slope)) : 1, next_value = value;
        int tries = 0;
        for (; tries < HALVINGS_MAX; tries++, step *= 0.5) {
            for (int64_t i = 0; i < s->n; i++) {
                s->next[i] = x[i] + step * s->direction[i];
            }
            next_value = request->objective(request->context, s->next, s->next_gradient);
            if (next_value <= value + 1e-4 * step * slope) break;
            if (is_time_up(request->stop, evaluation_s)) return k;
        }
        if (tries == HALVINGS_MAX) return k; /* at the limit of arithmetic */
        store_pair(s, x);
        memcpy(x, s->next, (size_t)s->n * sizeof *x);
        memcpy(s->gradient, s->next_gradient, (size_t)s->n * sizeof *x);
        const double fall = value - next_value;
        value = next_value;
        if (fall <= 1e-3 * request->tolerance * fmax(1, fabs(value))) return k + 1;
    }
    return request->iterations_max;
}

qn_status qn_minimise(const qn_minimise_request *request, double *x, int64_t *n_iterations,
                      qn_error *err)
{
    const int64_t n = request->n;
    double *memory = qn_alloc_array(n * (2 * PAIRS + 4), sizeof *memory);
    if (!memory) return qn_fail(err, QN_ERR_NOMEM, "no memory to minimise");
    struct state s = {.n = n,
                      .steps = memory,
                      .changes = memory + PAIRS * n,
                      .direction = memory + 2 * PAIRS * n,
                      .next = memory + (2 * PAIRS + 1) * n,
                      .next_gradient = memory + (2 * PAIRS + 2) * n,
                      .gradient = memory + (2 * PAIRS + 3) * n};
    *n_iterations = iterate(request, &s, x);
    qn_free(memory);
    return QN_OK;
}
