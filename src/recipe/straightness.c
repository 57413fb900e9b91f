/* SPDX-License-Identifier: Apache-2.0 */
#include "recipe/straightness.h"

#include <math.h>

enum { ROWS_MAX = 4000, STEPS_MAX = 25, CLASSES_MAX = 64 };

struct points {
    int32_t n;
    double x[ROWS_MAX], y[ROWS_MAX];
};

/* Newton's method on intercept and slope, steps halved where they go too far. A little of a
 * penalty holds the slope where the classes are apart. */
static double logistic_likelihood(const struct points *points)
{
    static const double penalty = 1e-3, enough = 1e-4;
    double a = 0, b = 0, step_a = 0, step_b = 0, best = -QN_INF;
    for (int step = 0; step < STEPS_MAX; step++) {
        const double slope = b + step_b;
        double likelihood = -penalty / 2 * slope * slope;
        double in_a = 0, in_b = -penalty * slope; /* gradient */
        double in_aa = 1e-9, in_ab = 0, in_bb = penalty;
        for (int32_t i = 0; i < points->n; i++) {
            const double x = points->x[i], z = a + step_a + slope * x;
            const double odds = exp(-fabs(z)), far = 1 / (1 + odds), p = z > 0 ? far : 1 - far;
            likelihood += (points->y[i] == 1 ? fmin(z, 0) : -fmax(z, 0)) - log1p(odds);
            const double d = points->y[i] - p, w = p * (1 - p);
            in_a += d;
            in_b += d * x;
            in_aa += w;
            in_ab += w * x;
            in_bb += w * x * x;
        }
        if (!(likelihood >= best)) {
            step_a /= 2;
            step_b /= 2;
            continue;
        }
        const double gain = likelihood - best, det = in_aa * in_bb - in_ab * in_ab;
        a += step_a;
        b += step_b;
        best = likelihood;
        if (gain < enough || !(det > 0)) break;
        step_a = (in_bb * in_a - in_ab * in_b) / det;
        step_b = (in_aa * in_b - in_ab * in_a) / det;
    }
    return best;
}

static double squared_correlation(const struct points *points)
{
    double mean_x = 0, mean_y = 0, xx = 0, xy = 0, yy = 0;
    for (int32_t i = 0; i < points->n; i++) {
        mean_x += points->x[i] / points->n;
        mean_y += points->y[i] / points->n;
    }
    for (int32_t i = 0; i < points->n; i++) {
        const double x = points->x[i] - mean_x, y = points->y[i] - mean_y;
        xx += x * x;
        xy += x * y;
        yy += y * y;
    }
    return xx > 0 && yy > 0 ? xy / xx * (xy / yy) : 0;
}

static double share_between(const struct points *points, int32_t n_classes)
{
    double sums[CLASSES_MAX] = {0}, counts[CLASSES_MAX] = {0}, mean = 0, all = 0, between = 0;
    for (int32_t i = 0; i < points->n; i++) {
        mean += points->x[i] / points->n;
    }
    for (int32_t i = 0; i < points->n; i++) {
        const int32_t c = (int32_t)points->y[i] % CLASSES_MAX; /* beyond: classes share a place */
        sums[c] += points->x[i] - mean;
        counts[c] += 1;
        all += (points->x[i] - mean) * (points->x[i] - mean);
    }
    for (int32_t c = 0; c < n_classes && c < CLASSES_MAX; c++) {
        if (counts[c] > 0) between += sums[c] * sums[c] / counts[c];
    }
    return all > 0 ? between / all : 0;
}

double qn_straightness(const qn_fit_column *column, const qn_scale *scale)
{
    const int32_t n_classes = column->request->schema->n_classes;
    struct points points;
    points.n = (int32_t)(column->n_rows < ROWS_MAX ? column->n_rows : ROWS_MAX);
    for (int32_t i = 0; i < points.n; i++) {
        const int64_t row = i * column->n_rows / points.n;
        points.x[i] = qn_scale_apply(scale, column->cells[row].number);
        points.y[i] = column->target[row];
    }
    if (n_classes == 2) return logistic_likelihood(&points);
    const double share =
        n_classes > 2 ? share_between(&points, n_classes) : squared_correlation(&points);
    return -0.5 * points.n * log(fmax(1 - share, 1e-12));
}
