/* SPDX-License-Identifier: Apache-2.0 */
/* Losses of rows and their derivatives by the margins. */
#include "learn/linear/glm.h"

#include <math.h>

/* Outliers of the Huber loss are flat; this share of the middle's curvature keeps steps finite. */
static const double huber_flat = 1e-3;

static double logistic_row(double y, double w, double *margin)
{
    const double m = *margin, against = y == 1 ? -m : m;
    const double e = exp(-fabs(m)), p = m > 0 ? 1 / (1 + e) : e / (1 + e);
    *margin = w * (p - (y == 1));
    return w * (log1p(e) + fmax(against, 0));
}

static double softmax_row(int32_t k, double y, double w, double *margins, int64_t stride)
{
    double most = margins[0], sum = 0;
    for (int32_t c = 1; c < k; c++) {
        most = fmax(most, margins[c * stride]);
    }
    const double own = margins[(int64_t)y * stride] - most;
    for (int32_t c = 0; c < k; c++) {
        sum += margins[c * stride] = exp(margins[c * stride] - most);
    }
    for (int32_t c = 0; c < k; c++) {
        margins[c * stride] = w * (margins[c * stride] / sum - (y == c));
    }
    return w * (log(sum) - own);
}

static double tweedie_row(double power, double y, double w, double *margin)
{
    const double rise = exp((2 - power) * *margin), fall = y * exp((1 - power) * *margin);
    *margin = w * (rise - fall);
    return w * (rise / (2 - power) - fall / (1 - power));
}

static double huber_row(double sigma, double width, double y, double w, double *margin)
{
    const double r = y - *margin;
    if (fabs(r) <= width * sigma) {
        *margin = -2 * w * r / sigma;
        return w * (sigma + r * r / sigma);
    }
    *margin = r > 0 ? -2 * w * width : 2 * w * width;
    return w * (sigma + 2 * width * fabs(r) - width * width * sigma);
}

/* Of an excess over what costs nothing; `sense` is the derivative of the excess by the margin. */
static double excess_row(double excess, double sense, bool squared, double w, double *margin)
{
    if (excess <= 0) {
        *margin = 0;
        return 0;
    }
    *margin = w * sense * (squared ? 2 * excess : 1);
    return w * excess * (squared ? excess : 1);
}

double qn_glm_row(const qn_glm *glm, double y, double w, double *margins, int64_t stride)
{
    const double m = margins[0], r = y - m, sense = y == 1 ? 1 : -1;
    switch (glm->loss) {
    case QN_GLM_SQUARED:
        *margins = -w * r;
        return 0.5 * w * r * r;
    case QN_GLM_LOGISTIC:
        return logistic_row(y, w, margins);
    case QN_GLM_SOFTMAX:
        return softmax_row(glm->n_outputs, y, w, margins, stride);
    case QN_GLM_POISSON:
        *margins = w * (exp(m) - y);
        return w * (exp(m) - y * m);
    case QN_GLM_GAMMA:
        *margins = w * (1 - y * exp(-m));
        return w * (m + y * exp(-m));
    case QN_GLM_TWEEDIE:
        return tweedie_row(glm->shape, y, w, margins);
    case QN_GLM_HUBER:
        return huber_row(glm->sigma, glm->shape, y, w, margins);
    case QN_GLM_SQUARED_HINGE:
    case QN_GLM_HINGE:
        return excess_row(1 - sense * m, -sense, glm->loss == QN_GLM_SQUARED_HINGE, w, margins);
    case QN_GLM_SQUARED_INSENSITIVE:
    case QN_GLM_INSENSITIVE:
        return excess_row(fabs(r) - glm->shape, r > 0 ? -1 : 1,
                          glm->loss == QN_GLM_SQUARED_INSENSITIVE, w, margins);
    case QN_GLM_QUANTILE:
        *margins = w * (r > 0 ? -glm->shape : 1 - glm->shape);
        return -*margins * r;
    }
    return 0;
}

double qn_glm_curvature(const qn_glm *glm, double y, double w, double m)
{
    const double r = y - m, p = glm->shape;
    switch (glm->loss) {
    case QN_GLM_SQUARED:
        return w;
    case QN_GLM_LOGISTIC: {
        const double e = exp(-fabs(m));
        return w * e / ((1 + e) * (1 + e));
    }
    case QN_GLM_POISSON:
        return w * exp(m);
    case QN_GLM_GAMMA:
        return w * y * exp(-m);
    case QN_GLM_TWEEDIE: /* above 2 the loss is not convex: Fisher's scoring */
        return p > 2 ? w * exp((2 - p) * m)
                     : w * ((2 - p) * exp((2 - p) * m) + (p - 1) * y * exp((1 - p) * m));
    case QN_GLM_HUBER:
        return 2 * w / glm->sigma * (fabs(r) <= p * glm->sigma ? 1 : huber_flat);
    case QN_GLM_SQUARED_HINGE:
        return (y == 1 ? m : -m) < 1 ? 2 * w : 0;
    case QN_GLM_SQUARED_INSENSITIVE:
        return fabs(r) > p ? 2 * w : 0;
    case QN_GLM_SOFTMAX:
    case QN_GLM_QUANTILE:
    case QN_GLM_HINGE:
    case QN_GLM_INSENSITIVE:
        break;
    }
    return 0;
}
