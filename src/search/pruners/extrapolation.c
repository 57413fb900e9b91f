/* SPDX-License-Identifier: Apache-2.0 */
#include "search/pruners/extrapolation.h"

#include <math.h>

enum { POINTS_MIN = 4, N_POWERS = 6, N_DECAYS = 5, N_SHAPES = N_POWERS + N_DECAYS + 1 };

/* Residuals below this share of the losses' size are rounding, not a fit. */
static const double RELATIVE_NOISE_MIN = 1e-9;

/* g(x) at x = t / (the last step seen), up to a factor and a constant, which a and b take up. */
static double shape_at(int shape, double x)
{
    static const double powers[N_POWERS] = {0.25, 0.5, 0.75, 1, 1.5, 2};
    static const double decays[N_DECAYS] = {0.125, 0.25, 0.5, 1, 2};
    if (shape < N_POWERS) return pow(x, -powers[shape]);
    if (shape < N_POWERS + N_DECAYS) return exp(-x / decays[shape - N_POWERS]);
    return log(x);
}

/* What shapes are fitted to: the usable points of a curve. */
struct curve {
    const qn_curve_point *points;
    int64_t n;
    double scale; /* the last step */
};

static bool is_usable(const qn_curve_point *point)
{
    return point->step >= 1 && isfinite(point->loss);
}

struct moments {
    double n, weight, g, y, gg, gy, yy; /* n: of points; g and y: means; the rest: about them */
};

/* Two passes, so that a curve far from 0 loses no digits. */
static struct moments moments_of(const struct curve *curve, int shape)
{
    struct moments m = {0};
    for (int pass = 0; pass < 2; pass++) {
        for (int64_t i = 0; i < curve->n; i++) {
            const qn_curve_point *point = &curve->points[i];
            if (!is_usable(point)) continue;
            const double x = (double)point->step / curve->scale, g = shape_at(shape, x);
            if (pass == 0) {
                m.n += 1;
                m.weight += x;
                m.g += x * g;
                m.y += x * point->loss;
                continue;
            }
            m.gg += x * (g - m.g) * (g - m.g);
            m.gy += x * (g - m.g) * (point->loss - m.y);
            m.yy += x * (point->loss - m.y) * (point->loss - m.y);
        }
        if (pass == 0) {
            m.g /= m.weight;
            m.y /= m.weight;
        }
    }
    return m;
}

struct prediction {
    double mean, sd;
    double log_likelihood;
};

/* Weights are scaled to a mean of 1, so that the last points have about twice the precision of an
 * average one; a new point is as precise as the last one seen. */
static struct prediction predict(const struct curve *curve, int shape, double last)
{
    const struct moments m = moments_of(curve, shape);
    const double slope = m.gg > 0 ? m.gy / m.gg : 0;
    const double at = shape_at(shape, last / curve->scale) - m.g;
    const double to_mean_1 = m.n / m.weight;
    const double floor_sd = RELATIVE_NOISE_MIN * (fabs(m.y) + sqrt(m.yy / m.weight));
    const double left = fmax(0, m.yy - slope * m.gy) * to_mean_1 + m.n * floor_sd * floor_sd;
    const double noise = left / (m.n - 2);
    const double leverage = 1 / m.n + (m.gg > 0 ? at * at / (m.gg * to_mean_1) : 0);
    return (struct prediction){.mean = m.y + slope * at,
                               .sd = sqrt(noise * (1 / to_mean_1 + leverage)),
                               .log_likelihood = left > 0 ? -0.5 * m.n * log(left) : 0};
}

/* P(x < best). */
static double probability_below(const struct prediction *p, double best)
{
    if (p->sd == 0) return p->mean < best ? 1 : p->mean > best ? 0 : 0.5;
    return 0.5 * erfc((p->mean - best) / p->sd * 0.70710678118654752440);
}

double qn_curve_beats(const qn_curve_point *points, int64_t n, int64_t last, double best)
{
    int64_t n_usable = 0;
    struct curve curve = {.points = points, .n = n};
    for (int64_t i = 0; i < n; i++) {
        if (!is_usable(&points[i])) continue;
        n_usable++;
        curve.scale = (double)points[i].step;
    }
    if (n_usable < POINTS_MIN || !isfinite(best)) return QN_NA;
    const double at = fmax((double)last, curve.scale);
    struct prediction predictions[N_SHAPES];
    double top = -QN_INF, total = 0, below = 0;
    for (int shape = 0; shape < N_SHAPES; shape++) {
        predictions[shape] = predict(&curve, shape, at);
        top = fmax(top, predictions[shape].log_likelihood);
    }
    for (int shape = 0; shape < N_SHAPES; shape++) {
        const double weight = exp(predictions[shape].log_likelihood - top);
        total += weight;
        below += weight * probability_below(&predictions[shape], best);
    }
    return below / total;
}
