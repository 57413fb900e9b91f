/* SPDX-License-Identifier: Apache-2.0 */
#include "learn/platt.h"

#include <math.h>

enum { ITERATIONS_MAX = 100 };

static const double least_step = 1e-10, ridge = 1e-12, small_gradient = 1e-9;

struct sample {
    const double *scores;
    const bool *positive;
    const double *weights;
    int64_t n;
    double high, low; /* targets of the class and of the rest */
};

static double weight_of(const struct sample *s, int64_t i)
{
    return s->weights ? s->weights[i] : 1;
}

/* Minus the log-likelihood; exp() is only taken of what is not positive. */
static double loss_at(const struct sample *s, qn_platt at)
{
    double sum = 0;
    for (int64_t i = 0; i < s->n; i++) {
        const double m = at.a * s->scores[i] + at.b, t = s->positive[i] ? s->high : s->low;
        sum += weight_of(s, i) * ((m >= 0 ? t : t - 1) * m + log1p(exp(-fabs(m))));
    }
    return sum;
}

struct derivatives {
    double a, b, aa, ab, bb;
};

static struct derivatives derive(const struct sample *s, qn_platt at)
{
    struct derivatives d = {.aa = ridge, .bb = ridge};
    for (int64_t i = 0; i < s->n; i++) {
        const double m = at.a * s->scores[i] + at.b, e = exp(-fabs(m));
        const double p = m >= 0 ? e / (1 + e) : 1 / (1 + e), f = s->scores[i];
        const double slope = weight_of(s, i) * ((s->positive[i] ? s->high : s->low) - p);
        const double curvature = weight_of(s, i) * p * (1 - p);
        d.a += f * slope;
        d.b += slope;
        d.aa += f * f * curvature;
        d.ab += f * curvature;
        d.bb += curvature;
    }
    return d;
}

qn_platt qn_platt_fit(const double *scores, const bool *positive, const double *weights, int64_t n)
{
    struct sample s = {scores, positive, weights, n, 0, 0};
    double inside = 0, outside = 0;
    for (int64_t i = 0; i < n; i++) {
        *(positive[i] ? &inside : &outside) += weight_of(&s, i);
    }
    s.high = (inside + 1) / (inside + 2);
    s.low = 1 / (outside + 2);
    qn_platt at = {0, log((outside + 1) / (inside + 1))};
    double loss = loss_at(&s, at);
    for (int k = 0; k < ITERATIONS_MAX; k++) {
        const struct derivatives d = derive(&s, at);
        if (fabs(d.a) < small_gradient && fabs(d.b) < small_gradient) break;
        const double det = d.aa * d.bb - d.ab * d.ab;
        const double step_a = -(d.bb * d.a - d.ab * d.b) / det;
        const double step_b = -(d.aa * d.b - d.ab * d.a) / det;
        const double slope = d.a * step_a + d.b * step_b;
        double length = 1;
        for (; length >= least_step; length *= 0.5) {
            const qn_platt next = {at.a + length * step_a, at.b + length * step_b};
            const double now = loss_at(&s, next);
            if (!(now < loss + 1e-4 * length * slope)) continue;
            at = next;
            loss = now;
            break;
        }
        if (length < least_step) break; /* at the limit of arithmetic */
    }
    return at;
}
