/* SPDX-License-Identifier: Apache-2.0 */
#include "search/samplers/parzen.h"

#include "base/alloc.h"
#include "base/sort.h"
#include "linalg/kernels.h"

#include <math.h>
#include <string.h>

#define SQRT_HALF 0.70710678118654752440
#define LOG_SQRT_PI 0.57236494292470008707 /* with scale = 1 / (sigma √2) */
#define SIGMA_SHARE 0.15

enum { DRAWS_MAX = 64 };

void qn_parzen_release(qn_parzen *parzen)
{
    for (int64_t d = 0; d < parzen->dims_room; d++) {
        qn_free(parzen->dims[d].means);
        qn_free(parzen->dims[d].codes);
        qn_free(parzen->dims[d].table);
    }
    qn_free(parzen->dims);
    qn_free(parzen->energies);
    *parzen = (qn_parzen){0};
}

/* Estimators are fitted again and again: what they work on is kept while it is large enough. */
static bool reserve(qn_parzen *parzen, int64_t n_dims, int64_t n_kernels)
{
    enum { TABLE = QN_PARZEN_TABLE_MAX * (QN_PARZEN_TABLE_MAX + 1) };
    if (n_dims <= parzen->dims_room && n_kernels <= parzen->kernels_room) return true;
    const int64_t dims = n_dims > parzen->dims_room ? n_dims : parzen->dims_room;
    const int64_t room =
        n_kernels > parzen->kernels_room ? n_kernels + n_kernels / 2 + 8 : parzen->kernels_room;
    qn_parzen_release(parzen);
    parzen->dims = qn_alloc_array(dims, sizeof *parzen->dims);
    parzen->energies = qn_alloc_array(3 * room, sizeof *parzen->energies);
    bool complete = parzen->dims && parzen->energies;
    for (; complete && parzen->dims_room < dims; parzen->dims_room++) {
        qn_parzen_dim *dim = &parzen->dims[parzen->dims_room];
        dim->means = qn_alloc_array(2 * room, sizeof *dim->means);
        dim->codes = qn_alloc_array(room, sizeof *dim->codes);
        dim->table = qn_alloc_array(TABLE, sizeof *dim->table);
        complete = dim->means && dim->codes && dim->table;
        if (complete) continue;
        parzen->dims_room++; /* so that what there is of it is released */
        break;
    }
    if (!complete) {
        qn_parzen_release(parzen);
        return false;
    }
    parzen->weights = parzen->energies + room;
    parzen->scratch = parzen->energies + 2 * room;
    parzen->kernels_room = room;
    return true;
}

bool qn_parzen_is_table(const qn_parameter *p)
{
    return qn_parameter_is_unordered(p) || (p->n_values > 0 && p->n_values <= QN_PARZEN_TABLE_MAX);
}

double qn_parzen_value(const qn_parameter *p, double value)
{
    if (qn_parzen_is_table(p)) return (double)qn_parameter_index_of(p, value);
    return qn_parameter_scaled(p, value);
}

/* No narrower than a share of the range that falls with the number of kernels, down to 1 %, nor
 * than half a step. */
static double widen(const qn_parameter *p, double sigma, int64_t n)
{
    const double range = p->scale_high - p->scale_low;
    const double narrowest = range / fmin(100, 2 + (double)n);
    if (p->n_values > 0) sigma = fmax(sigma, 0.5 * range / (double)p->n_values);
    return fmin(fmax(sigma, narrowest), range);
}

double qn_parzen_sigma(const qn_parameter *p, int64_t n_dims, int64_t n)
{
    const double step = log(1.05), range = p->scale_high - p->scale_low;
    const double rounded = exp(floor(log((double)(n > 1 ? n : 1)) / step) * step);
    const double sigma = SIGMA_SHARE * range * pow(rounded, -1.0 / ((double)n_dims + 4));
    return widen(p, sigma, (int64_t)rounded);
}

static double normal_mass(double low, double high)
{
    /* Of two tails the smaller is exact. */
    if (low > 0) return 0.5 * (erfc(low * SQRT_HALF) - erfc(high * SQRT_HALF));
    return 0.5 * (erfc(-high * SQRT_HALF) - erfc(-low * SQRT_HALF));
}

double qn_parzen_log_mass(const qn_parameter *p, double mean, double sigma)
{
    return log(normal_mass((p->scale_low - mean) / sigma, (p->scale_high - mean) / sigma));
}

static double middle(const qn_parameter *p)
{
    return 0.5 * (p->scale_low + p->scale_high);
}

/* Where the cell of the k-th value begins, on the scale. */
static double cell_low(const qn_parameter *p, int64_t k)
{
    return qn_parameter_scaled(p, p->low + ((double)k - 0.5) * p->step);
}

/* -log of the masses that a normal cut at the range gives the cells; out[k × stride]. */
static void cell_energies(const qn_parameter *p, double mean, double sigma, double *out,
                          int64_t stride)
{
    const double log_total = qn_parzen_log_mass(p, mean, sigma);
    double low = (cell_low(p, 0) - mean) / sigma;
    for (int64_t k = 0; k < p->n_values; k++) {
        const double high = (cell_low(p, k + 1) - mean) / sigma;
        out[k * stride] = log_total - log(fmax(normal_mass(low, high), 1e-300));
        low = high;
    }
}

static void fill_table(qn_parzen_dim *dim)
{
    const qn_parameter *p = dim->parameter;
    const int64_t n = dim->n_values;
    for (int64_t k = 0; k < n; k++) {
        const double mean = qn_parameter_scaled(p, qn_parameter_value_at(p, k));
        cell_energies(p, mean, dim->sigma, dim->table + k, n);
    }
    cell_energies(p, middle(p), dim->high - dim->low, dim->prior, 1);
}

static void set_choice_energies(qn_parzen_dim *dim, const qn_parzen_request *request)
{
    const double share = request->prior_weight / (double)(request->n_observed + 1);
    const double total = 1 + (double)dim->n_values * share;
    dim->match = -log((1 + share) / total);
    dim->miss = -log(share / total);
}

/* Each kernel reaches its farther neighbour; the ends of the range count only for a kernel that has
 * none. */
static bool set_neighbour_sigmas(qn_parzen_dim *dim, const double *values, int64_t n)
{
    const qn_parameter *p = dim->parameter;
    int32_t *order = qn_alloc_array(n, sizeof *order);
    const bool sorted = order && (n == 0 || qn_sort_order(values, n, order));
    for (int64_t i = 0; sorted && i < n; i++) {
        const double here = values[order[i]];
        const double below = i > 0 ? values[order[i - 1]] : n > 1 ? here : p->scale_low;
        const double above = i + 1 < n ? values[order[i + 1]] : n > 1 ? here : p->scale_high;
        dim->scales[order[i]] = SQRT_HALF / widen(p, fmax(here - below, above - here), n);
    }
    qn_free(order);
    return sorted;
}

static bool fill_smooth(qn_parzen *parzen, qn_parzen_dim *dim, const qn_parzen_request *request,
                        int64_t d)
{
    const qn_parameter *p = dim->parameter;
    const double range = dim->high - dim->low, *values = request->values[d];
    const double *log_masses = request->log_masses ? request->log_masses[d] : NULL;
    if (!dim->is_shared && !set_neighbour_sigmas(dim, values, parzen->n_kernels)) return false;
    double bias = dim->is_shared ? LOG_SQRT_PI - log(dim->scale) : 0;
    for (int64_t k = 0; k < parzen->n_kernels; k++) {
        const double scale = dim->is_shared ? dim->scale : dim->scales[k];
        const double log_mass =
            log_masses ? log_masses[k] : qn_parzen_log_mass(p, values[k], SQRT_HALF / scale);
        if (!dim->is_shared) bias = LOG_SQRT_PI - log(scale);
        dim->means[k] = dim->is_shared ? values[k] * scale : values[k];
        parzen->energies[k] += log_mass + bias;
    }
    dim->prior_bias =
        qn_parzen_log_mass(p, middle(p), range) + LOG_SQRT_PI - log(SQRT_HALF / range);
    return true;
}

static bool fill_dim(qn_parzen *parzen, const qn_parzen_request *request, int64_t d)
{
    qn_parzen_dim *dim = &parzen->dims[d];
    const qn_parameter *p = request->parameters[d];
    const bool is_table = qn_parzen_is_table(p);
    dim->parameter = p;
    dim->low = p->scale_low;
    dim->high = p->scale_high;
    dim->n_values = is_table ? p->n_values : 0;
    dim->is_shared = is_table || !request->neighbours;
    dim->is_ordered = !qn_parameter_is_unordered(p);
    dim->scales = dim->means + parzen->kernels_room;
    dim->prior = dim->table + QN_PARZEN_TABLE_MAX * QN_PARZEN_TABLE_MAX;
    dim->sigma = qn_parzen_sigma(p, request->n_dims, request->n_observed);
    dim->scale = SQRT_HALF / dim->sigma;
    if (!is_table) return fill_smooth(parzen, dim, request, d);
    for (int64_t k = 0; k < parzen->n_kernels; k++) {
        dim->means[k] = request->values[d][k];
        dim->codes[k] = (int32_t)request->values[d][k];
    }
    if (dim->is_ordered) {
        fill_table(dim);
    } else {
        set_choice_energies(dim, request);
    }
    return true;
}

qn_status qn_parzen_fit(qn_parzen *parzen, const qn_parzen_request *request, qn_error *err)
{
    const int64_t n = request->n_kernels;
    bool complete = reserve(parzen, request->n_dims, n);
    double total = request->prior_weight;
    parzen->n_dims = request->n_dims;
    parzen->n_kernels = n;
    for (int64_t k = 0; complete && k < n; k++) {
        total += request->weights[k];
    }
    for (int64_t k = 0; complete && k < n; k++) {
        parzen->weights[k] = request->weights[k] / total;
        /* Ages and shares make runs of equal weights. */
        const bool repeated = k > 0 && parzen->weights[k] == parzen->weights[k - 1];
        parzen->energies[k] = repeated ? parzen->energies[k - 1] : -log(parzen->weights[k]);
    }
    parzen->prior_weight = request->prior_weight / total;
    for (int64_t d = 0; complete && d < request->n_dims; d++) {
        complete = fill_dim(parzen, request, d);
    }
    if (complete) return QN_OK;
    return qn_fail(err, QN_ERR_NOMEM, "no memory for the densities of %" PRId64 " trials", n);
}

/* The kernel that a uniform number falls to; -1: the prior. */
static int64_t pick_kernel(const qn_parzen *parzen, double uniform)
{
    for (int64_t k = 0; k < parzen->n_kernels; k++) {
        uniform -= parzen->weights[k];
        if (uniform < 0) return k;
    }
    return -1;
}

static double draw_smooth(const qn_parzen_dim *dim, int64_t k, qn_rng *rng)
{
    double mean = middle(dim->parameter), sigma = dim->high - dim->low;
    if (k >= 0 && !dim->is_shared) {
        mean = dim->means[k];
        sigma = SQRT_HALF / dim->scales[k];
    } else if (k >= 0) {
        mean = dim->means[k] / dim->scale;
        sigma = dim->sigma;
    }
    double x = mean;
    for (int tries = 0; tries < DRAWS_MAX; tries++) {
        x = mean + sigma * qn_rng_normal(rng);
        if (x >= dim->low && x <= dim->high) return x;
    }
    return fmin(fmax(x, dim->low), dim->high);
}

static int64_t draw_table(const qn_parzen_dim *dim, int64_t k, qn_rng *rng)
{
    double uniform = qn_rng_uniform(rng);
    if (!dim->is_ordered) { /* the kernel's choice, or any */
        const double any = (double)dim->n_values * exp(-dim->miss);
        return k >= 0 && uniform >= any ? dim->codes[k] : qn_rng_below(rng, dim->n_values);
    }
    for (int64_t x = 0; x < dim->n_values; x++) {
        uniform -= exp(-(k < 0 ? dim->prior[x] : dim->table[x * dim->n_values + dim->codes[k]]));
        if (uniform < 0) return x;
    }
    return dim->n_values - 1;
}

void qn_parzen_draw(const qn_parzen *parzen, qn_rng *rng, double *values, double *points)
{
    const int64_t k = pick_kernel(parzen, qn_rng_uniform(rng));
    for (int64_t d = 0; d < parzen->n_dims; d++) {
        const qn_parzen_dim *dim = &parzen->dims[d];
        const qn_parameter *p = dim->parameter;
        if (dim->n_values > 0) {
            const int64_t x = draw_table(dim, k, rng);
            values[d] = qn_parameter_value_at(p, x);
            points[d] = (double)x;
        } else {
            const double x = draw_smooth(dim, k, rng);
            values[d] = qn_parameter_nearest(p, p->log ? exp(x) : x);
            points[d] = qn_parameter_scaled(p, values[d]);
        }
    }
}

static double prior_energy(const qn_parzen *parzen, const double *point)
{
    double energy = -log(parzen->prior_weight);
    for (int64_t d = 0; d < parzen->n_dims; d++) {
        const qn_parzen_dim *dim = &parzen->dims[d];
        if (dim->n_values > 0) {
            energy += dim->is_ordered ? dim->prior[(int64_t)point[d]] : log((double)dim->n_values);
        } else {
            const double t =
                (point[d] - middle(dim->parameter)) * SQRT_HALF / (dim->high - dim->low);
            energy += t * t + dim->prior_bias;
        }
    }
    return energy;
}

/* out[k] += what dimension d says of x. Compiled twice: same operations, same results. */
static inline __attribute__((always_inline)) void add_energies(const qn_parzen_dim *dim, double x,
                                                               double *restrict out, int64_t n)
{
    const double *restrict means = dim->means;
    if (dim->n_values > 0 && dim->is_ordered) {
        const double *row = dim->table + (int64_t)x * dim->n_values;
        for (int64_t k = 0; k < n; k++) {
            out[k] += row[dim->codes[k]];
        }
    } else if (dim->n_values > 0) {
        const double match = dim->match, miss = dim->miss;
        for (int64_t k = 0; k < n; k++) {
            out[k] += means[k] == x ? match : miss;
        }
    } else if (dim->is_shared) {
        const double scaled = x * dim->scale;
        for (int64_t k = 0; k < n; k++) {
            const double t = scaled - means[k];
            out[k] += t * t;
        }
    } else {
        const double *restrict scales = dim->scales;
        for (int64_t k = 0; k < n; k++) {
            const double t = (x - means[k]) * scales[k];
            out[k] += t * t;
        }
    }
}

#if defined __x86_64__ && defined __GNUC__
__attribute__((target("avx2"))) static void add_energies_wide(const qn_parzen_dim *dim, double x,
                                                              double *out, int64_t n)
{
    add_energies(dim, x, out, n);
}
#endif

static void add_dim(const qn_parzen_dim *dim, double x, double *out, int64_t n)
{
#if defined __x86_64__ && defined __GNUC__
    if (__builtin_cpu_supports("avx2")) {
        add_energies_wide(dim, x, out, n);
        return;
    }
#endif
    add_energies(dim, x, out, n);
}

/* What is e^-20 times smaller than the greatest term, a thousand times over, moves the sum by 2e-6.
 */
#define NEGLIGIBLE 20.0

double qn_parzen_log_density(const qn_parzen *parzen, const double *point)
{
    const int64_t n = parzen->n_kernels;
    double *energies = parzen->scratch;
    memcpy(energies, parzen->energies, (size_t)n * sizeof *energies);
    for (int64_t d = 0; d < parzen->n_dims; d++) {
        add_dim(&parzen->dims[d], point[d], energies, n);
    }
    const double prior = prior_energy(parzen, point);
    const double least = fmin(prior, qn_least(energies, n));
    int64_t n_kept = 0;
    for (int64_t k = 0; k < n; k++) {
        const double energy = energies[k] - least;
        energies[n_kept] = energy;
        n_kept += energy < NEGLIGIBLE;
    }
    qn_exp_negative(energies, energies, n_kept);
    return log(exp(least - prior) + qn_sum(energies, n_kept)) - least;
}
