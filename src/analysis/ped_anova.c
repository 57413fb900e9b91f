/* SPDX-License-Identifier: Apache-2.0 */
/* PED-ANOVA (Watanabe, Bansal & Hutter 2023, Efficiently quantifying hyperparameter importance in
 * arbitrary subspaces): how far the values of a parameter among the best tenth of the trials are
 * distributed otherwise than among all of them, by Pearson's divergence of two Parzen estimates on
 * a grid. It says what made trials good, where fANOVA says what made them differ.
 *
 * A conditional parameter is compared among the trials that have it, and its divergence weighted by
 * α² / β, the shares of the best and of all trials which have it. */
#include "analysis/parameter_importance.h"

#include "base/alloc.h"
#include "base/sort.h"

#include <math.h>
#include <string.h>

enum {
    GRID_MAX = 50,
    TRIALS_MIN = 2 /* with a parameter, for it to be compared */
};
static const double top_share = 0.1, floor_density = 1e-12;

/* How many grid points a parameter has: its values, or 50 on its scale; a logarithmic int has as
 * many as its range has doublings. */
static int64_t grid_of(const qn_parameter *p)
{
    if (qn_parameter_is_unordered(p) || p->kind == QN_PARAMETER_BOOL) return p->n_values;
    if (p->n_values == 0) return GRID_MAX;
    const double n = p->log ? ceil(log2(p->high - p->low + 1)) + 1 : (double)p->n_values;
    return (int64_t)fmin(n, GRID_MAX);
}

static int64_t cell_of(const qn_parameter *p, double value, int64_t n_grid)
{
    const double low = qn_parameter_scaled(p, p->low), high = qn_parameter_scaled(p, p->high);
    const double step = (0.5 * high - 0.5 * low) / (double)(n_grid - 1);
    const double at = ceil((0.5 * qn_parameter_scaled(p, value) - 0.5 * low) / step - 0.5);
    return (int64_t)fmin(fmax(at, 0), (double)(n_grid - 1));
}

static double normal_cdf(double x)
{
    return 0.5 * erfc(-x * 0.70710678118654752);
}

/* Adds a normal kernel, cut to the grid and of mass `weight`, to `density`. */
static void add_kernel(double *density, int64_t n_grid, double mean, double sigma, double weight)
{
    const double below = normal_cdf((-0.5 - mean) / sigma);
    const double mass = normal_cdf(((double)n_grid - 0.5 - mean) / sigma) - below;
    double left = below;
    for (int64_t i = 0; i < n_grid; i++) {
        const double right = normal_cdf(((double)i + 0.5 - mean) / sigma);
        density[i] += weight * (right - left) / mass;
        left = right;
    }
}

/* Grid points between which the middle half of the counted values lies. */
static double quartile_range(const double *counts, int64_t n_grid, double n)
{
    const double lower = floor(n / 4), upper = floor(3 * n / 4);
    int64_t first = -1, last = -1;
    double sum = 0;
    for (int64_t i = 0; i < n_grid; i++) {
        if (counts[i] == 0) continue;
        sum += counts[i];
        if (first < 0 && sum >= lower) first = i;
        last = i;
        if (sum > upper) break;
    }
    return (double)(last - first);
}

/* Scott's rule (Scott 1992), no narrower than nine tenths of a kernel within its grid point. */
static double bandwidth(const double *counts, int64_t n_grid)
{
    double n = 0, sum = 0, squares = 0;
    for (int64_t i = 0; i < n_grid; i++) {
        n += counts[i];
        sum += counts[i] * (double)i;
    }
    for (int64_t i = 0; i < n_grid; i++) {
        squares += counts[i] * ((double)i - sum / n) * ((double)i - sum / n);
    }
    const double deviation = sqrt(squares / fmax(1, n - 1));
    const double spread = fmin(quartile_range(counts, n_grid, n) / 1.34, deviation);
    return fmax(1.059 * spread * pow(n, -0.2), 0.5 / 1.64);
}

/* Parzen estimate from counts; the prior is one more kernel over the whole grid. */
static void estimate_ordered(const double *counts, int64_t n_grid, double n, double *density)
{
    const double sigma = bandwidth(counts, n_grid);
    for (int64_t i = 0; i < n_grid; i++) {
        if (counts[i] > 0) add_kernel(density, n_grid, (double)i, sigma, counts[i] / (n + 1));
    }
    add_kernel(density, n_grid, 0.5 * (double)(n_grid - 1), (double)n_grid, 1 / (n + 1));
}

/* Each category seen is a kernel that leaves a little to every other; the prior is uniform. */
static void estimate_unordered(const double *counts, int64_t n_grid, double n, double *density)
{
    double n_kernels = 1;
    for (int64_t i = 0; i < n_grid; i++) {
        n_kernels += counts[i] > 0;
    }
    const double rest = 1 / n_kernels, all = 1 + rest * (double)n_grid;
    for (int64_t i = 0; i < n_grid; i++) {
        density[i] =
            n / (n + 1) * rest / all + counts[i] / (n + 1) / all + 1 / (n + 1) / (double)n_grid;
    }
}

static void estimate(const qn_parameter *p, const double *counts, int64_t n_grid, double n,
                     double *density)
{
    memset(density, 0, (size_t)n_grid * sizeof *density);
    if (qn_parameter_is_unordered(p) || p->kind == QN_PARAMETER_BOOL) {
        estimate_unordered(counts, n_grid, n, density);
    } else {
        estimate_ordered(counts, n_grid, n, density);
    }
}

static double divergence(const double *top, const double *all, int64_t n_grid)
{
    double sum = 0;
    for (int64_t i = 0; i < n_grid; i++) {
        const double q = all[i] + floor_density, ratio = (top[i] + floor_density) / q;
        sum += q * (ratio - 1) * (ratio - 1);
    }
    return sum;
}

struct ped_anova {
    const qn_analysed *analysed;
    double bound; /* the best have a loss of at most this */
    double n_top;
    double *numbers; /* [4][n_grid of the parameter at hand] */
};

static double evaluate_parameter(const struct ped_anova *ped, int64_t at)
{
    const qn_analysed *a = ped->analysed;
    const qn_parameter *p = &a->history->space->parameters[at];
    const int64_t n_grid = grid_of(p);
    double *all = ped->numbers, *top = all + n_grid, *densities = top + n_grid;
    double n_all = 0, n_top = 0;
    memset(all, 0, (size_t)(2 * n_grid) * sizeof *all);
    for (int64_t i = 0; i < a->n; i++) {
        const double value = qn_trial_value(a->trials[i], at);
        if (isnan(value)) continue;
        const int64_t cell = cell_of(p, value, n_grid);
        const bool is_top = a->losses[i] <= ped->bound;
        all[cell]++;
        top[cell] += is_top;
        n_all++;
        n_top += is_top;
    }
    if (n_all < TRIALS_MIN || n_top == 0) return 0;
    estimate(p, all, n_grid, n_all, densities);
    estimate(p, top, n_grid, n_top, densities + n_grid);
    const double alpha = n_top / ped->n_top, beta = n_all / (double)a->n;
    return alpha * alpha / beta * divergence(densities + n_grid, densities, n_grid);
}

static qn_status evaluate(const qn_analysed *analysed, double *importances, qn_error *err)
{
    const qn_space *space = analysed->history->space;
    struct ped_anova ped = {.analysed = analysed};
    int64_t n_grid = 1;
    if (analysed->n < 2) return QN_OK;
    for (int64_t at = 0; at < space->n; at++) {
        const int64_t n = grid_of(&space->parameters[at]);
        if (n > n_grid) n_grid = n;
    }
    ped.numbers = qn_alloc_array(4 * n_grid, sizeof *ped.numbers);
    double *sorted = qn_alloc_array(analysed->n, sizeof *sorted);
    bool complete = ped.numbers && sorted;
    if (complete) {
        memcpy(sorted, analysed->losses, (size_t)analysed->n * sizeof *sorted);
        complete = qn_sort_doubles(sorted, analysed->n);
    }
    if (complete) {
        ped.bound = sorted[(int64_t)ceil(top_share * (double)analysed->n) - 1];
        for (int64_t i = 0; i < analysed->n; i++) {
            ped.n_top += analysed->losses[i] <= ped.bound;
        }
        for (int64_t at = 0; at < space->n; at++) {
            if (!qn_parameter_varies(&space->parameters[at])) continue;
            importances[at] = evaluate_parameter(&ped, at);
        }
    }
    qn_free(ped.numbers);
    qn_free(sorted);
    return complete ? QN_OK : qn_fail(err, QN_ERR_NOMEM, "no memory to compare trials");
}

const qn_importance_method qn_importance_ped_anova = {
    .name = "ped_anova",
    .help = "what tells the best tenth from all trials (Watanabe et al. 2023)",
    .evaluate = evaluate};
