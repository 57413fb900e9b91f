/* SPDX-License-Identifier: Apache-2.0 */
#include "search/samplers/cma.h"

#include "base/alloc.h"
#include "base/number.h"
#include "linalg/kernels.h"
#include "linalg/symmetric_eigen.h"

#include <math.h>
#include <string.h>

#define SQRT_HALF 0.70710678118654752440
#define CONDITION_MAX 1e14
#define SHRUNK 1e-11 /* of the first size */

void qn_cma_release(qn_cma *cma)
{
    qn_free(cma->mean);
    qn_free(cma->weights);
    *cma = (qn_cma){0};
}

static bool allocate(qn_cma *cma, int64_t n, int64_t population)
{
    const int64_t vectors = 5, squares = 2 * n;
    double *numbers = qn_alloc_array(n * (vectors + squares), sizeof *numbers);
    double *others = qn_alloc_array(2 * population + n * (population + 2), sizeof *others);
    *cma = (qn_cma){.n = n, .population = population, .mean = numbers, .weights = others};
    if (!numbers || !others) return false;
    cma->factor = numbers + n;
    cma->lengths = numbers + 2 * n;
    cma->path = numbers + 3 * n;
    cma->size_path = numbers + 4 * n;
    cma->covariance = numbers + 5 * n;
    cma->axes = cma->covariance + n * n;
    cma->lengths_of = others + population;
    cma->step = cma->lengths_of + population;
    cma->white = cma->step + n;
    cma->steps = cma->white + n;
    return true;
}

/* Table 1 of the tutorial. */
static void set_rates(qn_cma *cma)
{
    const double n = (double)cma->n;
    const int64_t population = cma->population, mu = population / 2;
    double sum = 0, squares = 0, sum_worse = 0, squares_worse = 0;
    for (int64_t i = 0; i < population; i++) {
        const double w = log(((double)population + 1) / 2) - log((double)i + 1);
        cma->weights[i] = w;
        if (i < mu) {
            sum += w;
            squares += w * w;
        } else {
            sum_worse += w;
            squares_worse += w * w;
        }
    }
    cma->mu_eff = sum * sum / squares;
    const double mu_eff = cma->mu_eff, mu_worse = sum_worse * sum_worse / squares_worse;
    cma->c_one = 2 / ((n + 1.3) * (n + 1.3) + mu_eff);
    cma->c_mu = fmin(1 - cma->c_one, 2 * (mu_eff - 2 + 1 / mu_eff) / ((n + 2) * (n + 2) + mu_eff));
    cma->c_sigma = (mu_eff + 2) / (n + mu_eff + 5);
    cma->damping = 1 + 2 * fmax(0, sqrt(fmax(0, (mu_eff - 1) / (n + 1))) - 1) + cma->c_sigma;
    cma->c_path = (4 + mu_eff / n) / (n + 4 + 2 * mu_eff / n);
    cma->chi = sqrt(n) * (1 - 1 / (4 * n) + 1 / (21 * n * n));
    double worse = fmin(1 + cma->c_one / cma->c_mu, 1 + 2 * mu_worse / (mu_eff + 2));
    worse = fmin(worse, (1 - cma->c_one - cma->c_mu) / (n * cma->c_mu));
    double total_worse = 0;
    for (int64_t i = 0; i < population; i++) {
        total_worse -= fmin(cma->weights[i], 0);
    }
    for (int64_t i = 0; i < population; i++) {
        cma->weights[i] *= cma->weights[i] > 0 ? 1 / sum : worse / total_worse;
    }
}

static qn_status decompose(qn_cma *cma, qn_error *err)
{
    memcpy(cma->axes, cma->covariance, (size_t)(cma->n * cma->n) * sizeof *cma->axes);
    QN_TRY(qn_symmetric_eigen(cma->axes, cma->n, NULL, cma->lengths, err));
    const double least = cma->lengths[0] / (10 * CONDITION_MAX);
    for (int64_t i = 0; i < cma->n; i++) {
        cma->lengths[i] = sqrt(fmax(cma->lengths[i], least));
    }
    return QN_OK;
}

int64_t qn_cma_population(int64_t n)
{
    return 4 + (int64_t)floor(3 * log((double)n));
}

qn_status qn_cma_begin(qn_cma *cma, const qn_cma_start *start, qn_error *err)
{
    const int64_t n = start->n;
    qn_cma_release(cma);
    if (!allocate(cma, n, start->population)) {
        qn_cma_release(cma);
        return qn_fail(err, QN_ERR_NOMEM, "no memory for the covariance of %" PRId64 " parameters",
                       n);
    }
    set_rates(cma);
    cma->sigma = cma->sigma_first = start->sigma;
    for (int64_t i = 0; i < n; i++) {
        cma->mean[i] = start->mean[i];
        cma->factor[i] = 1;
        cma->covariance[i * n + i] = 1;
    }
    if (start->covariance) {
        memcpy(cma->covariance, start->covariance, (size_t)(n * n) * sizeof *cma->covariance);
    }
    return decompose(cma, err);
}

double qn_cma_deviation(const qn_cma *cma, int64_t at)
{
    return cma->sigma * cma->factor[at] * sqrt(cma->covariance[at * cma->n + at]);
}

void qn_cma_draw(const qn_cma *cma, qn_rng *rng, double *x)
{
    for (int64_t i = 0; i < cma->n; i++) {
        x[i] = 0;
    }
    for (int64_t k = 0; k < cma->n; k++) {
        qn_add_scaled(cma->lengths[k] * qn_rng_normal(rng), cma->axes + k * cma->n, x, cma->n);
    }
    for (int64_t i = 0; i < cma->n; i++) {
        x[i] = cma->mean[i] + cma->sigma * cma->factor[i] * x[i];
    }
}

/* out = C^-1/2 y; returns its length. */
static double whiten(const qn_cma *cma, const double *y, double *out)
{
    double squares = 0;
    for (int64_t i = 0; i < cma->n; i++) {
        out[i] = 0;
    }
    for (int64_t k = 0; k < cma->n; k++) {
        const double *axis = cma->axes + k * cma->n;
        const double part = qn_dot(axis, y, cma->n) / cma->lengths[k];
        squares += part * part;
        qn_add_scaled(part, axis, out, cma->n);
    }
    return sqrt(squares);
}

/* Moves the mean and both paths by the weighted step, also whitened; returns whether the path of
 * the covariance goes on (h_sigma). */
static bool follow(qn_cma *cma)
{
    const double *step = cma->step, *white = cma->white;
    const double by_size = sqrt(cma->c_sigma * (2 - cma->c_sigma) * cma->mu_eff);
    const double by_path = sqrt(cma->c_path * (2 - cma->c_path) * cma->mu_eff);
    double squares = 0;
    for (int64_t i = 0; i < cma->n; i++) {
        cma->mean[i] += cma->sigma * cma->factor[i] * step[i];
        cma->size_path[i] = (1 - cma->c_sigma) * cma->size_path[i] + by_size * white[i];
        squares += cma->size_path[i] * cma->size_path[i];
    }
    const double faded = 1 - pow(1 - cma->c_sigma, 2 * (double)(cma->n_updates + 1));
    const bool goes_on = sqrt(squares / faded) < (1.4 + 2 / ((double)cma->n + 1)) * cma->chi;
    for (int64_t i = 0; i < cma->n; i++) {
        cma->path[i] = (1 - cma->c_path) * cma->path[i] + (goes_on ? by_path * step[i] : 0);
    }
    cma->sigma *= exp(fmin(1, cma->c_sigma / cma->damping * (sqrt(squares) / cma->chi - 1)));
    return goes_on;
}

/* The covariance from the path and the steps. */
static void learn(qn_cma *cma, bool goes_on)
{
    const int64_t n = cma->n;
    double weights = 0;
    for (int64_t i = 0; i < cma->population; i++) {
        weights += cma->weights[i];
    }
    const double stalled = goes_on ? 0 : cma->c_path * (2 - cma->c_path);
    const double kept = 1 + cma->c_one * stalled - cma->c_one - cma->c_mu * weights;
    for (int64_t row = 0; row < n; row++) {
        double *out = cma->covariance + row * n;
        for (int64_t col = 0; col <= row; col++) {
            out[col] *= kept;
        }
        qn_add_scaled(cma->c_one * cma->path[row], cma->path, out, row + 1);
    }
    for (int64_t i = 0; i < cma->population; i++) {
        const double *y = cma->steps + i * n;
        const double length = cma->lengths_of[i];
        double weight = cma->c_mu * cma->weights[i];
        if (weight < 0) weight *= (double)n / fmax(length * length, 1e-16);
        for (int64_t row = 0; row < n; row++) {
            qn_add_scaled(weight * y[row], y, cma->covariance + row * n, row + 1);
        }
    }
    for (int64_t row = 0; row < n; row++) {
        for (int64_t col = 0; col < row; col++) {
            cma->covariance[col * n + row] = cma->covariance[row * n + col];
        }
    }
}

qn_status qn_cma_update(qn_cma *cma, const double *const *points, qn_error *err)
{
    const int64_t n = cma->n;
    const double length_max = sqrt((double)n) + 2 * (double)n / ((double)n + 2);
    memset(cma->step, 0, (size_t)n * sizeof *cma->step);
    for (int64_t i = 0; i < cma->population; i++) {
        double *y = cma->steps + i * n;
        for (int64_t at = 0; at < n; at++) {
            y[at] = (points[i][at] - cma->mean[at]) / (cma->sigma * cma->factor[at]);
        }
        const double length = whiten(cma, y, cma->white);
        const double shortened = length > length_max ? length_max / length : 1;
        for (int64_t at = 0; at < n && shortened < 1; at++) {
            y[at] *= shortened;
        }
        cma->lengths_of[i] = length * shortened;
        if (cma->weights[i] > 0) qn_add_scaled(cma->weights[i], y, cma->step, n);
    }
    whiten(cma, cma->step, cma->white);
    learn(cma, follow(cma));
    cma->n_updates++;
    return decompose(cma, err);
}

static double upper_mass(double z)
{
    return 0.5 * erfc(z * SQRT_HALF);
}

/* The z above which a normal has mass p, 0 < p <= 1/2: by halving, to the last digits that count.
 */
static double upper_quantile(double p)
{
    double low = 0, high = 40;
    for (int i = 0; i < 60; i++) {
        const double mid = 0.5 * (low + high);
        if (upper_mass(mid) > p) {
            low = mid;
        } else {
            high = mid;
        }
    }
    return 0.5 * (low + high);
}

/* The mean's cell has one neighbour, beyond `border`: the mean stays so near that it has the mass
 * `least`. */
static void stay_near(qn_cma *cma, int64_t at, double border, double least)
{
    const double reach = upper_quantile(fmin(least, 0.5)) * qn_cma_deviation(cma, at);
    const double gap = cma->mean[at] - border;
    if (fabs(gap) > reach) cma->mean[at] = border + (gap > 0 ? reach : -reach);
}

/* Both neighbours get at least half of `least`; what they gain is taken from all in proportion to
 * what each has above its least (section 5 of the paper), and the normal that gives so much to the
 * two is found. */
static void widen(qn_cma *cma, int64_t at, double low, double high, double least)
{
    const double deviation = qn_cma_deviation(cma, at), half = least / 2;
    const double p_low = upper_mass((cma->mean[at] - low) / deviation);
    const double p_high = upper_mass((high - cma->mean[at]) / deviation);
    if (p_low >= half && p_high >= half) return;
    const double a = fmax(p_low, half), b = fmax(p_high, half);
    const double mid = fmax(1 - p_low - p_high, half);
    const double excess = (1 - a - b - mid) / (a + b + mid - 3 * half);
    const double z_low = upper_quantile(fmin(a + excess * (a - half), 0.5));
    const double z_high = upper_quantile(fmin(b + excess * (b - half), 0.5));
    if (!(z_low + z_high > 0)) return;
    cma->mean[at] = (low * z_high + high * z_low) / (z_low + z_high);
    cma->factor[at] *= (high - low) / (z_low + z_high) / deviation;
}

void qn_cma_keep_margin(qn_cma *cma, int64_t at, double cell_low, double cell_high)
{
    const double least = 1 / ((double)cma->n * (double)cma->population);
    if (isinf(cell_low) && isinf(cell_high)) return;
    if (isinf(cell_low)) {
        stay_near(cma, at, cell_high, least);
    } else if (isinf(cell_high)) {
        stay_near(cma, at, cell_low, least);
    } else {
        widen(cma, at, cell_low, cell_high, least);
    }
}

bool qn_cma_is_spent(const qn_cma *cma)
{
    const double condition = cma->lengths[0] / cma->lengths[cma->n - 1];
    if (!(condition * condition < CONDITION_MAX) || !(cma->sigma < 1e8 * cma->sigma_first)) {
        return true;
    }
    for (int64_t i = 0; i < cma->n; i++) {
        const double path = cma->sigma * cma->factor[i] * fabs(cma->path[i]);
        if (fmax(qn_cma_deviation(cma, i), path) > SHRUNK * cma->sigma_first) return false;
    }
    return true;
}
