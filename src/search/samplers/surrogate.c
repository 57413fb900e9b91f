/* SPDX-License-Identifier: Apache-2.0 */
#include "search/samplers/surrogate.h"

#include "base/alloc.h"
#include "base/number.h"
#include "base/sort.h"

#include <math.h>
#include <string.h>

enum { FITTED_EACH = 50, FITTED_EVERY = 12, ITERATIONS_MAX = 40 };

#define SQRT_HALF 0.70710678118654752440
#define LOG_SQRT_2PI 0.91893853320467274178

/* Priors, log-normal. Lengths grow with the number of dimensions as distances do (Hvarfner et al.
 * 2024); with few trials a wider prior lets the likelihood make one parameter explain all. */
#define LENGTH 0.43
#define LENGTH_SD 0.7
#define NOISE 1e-5
#define NOISE_SD 2

static qn_status no_memory(qn_error *err)
{
    return qn_fail(err, QN_ERR_NOMEM, "no memory for the model of the trials");
}

qn_status qn_surrogate_init(qn_surrogate *s, const qn_history *history, uint64_t seed,
                            qn_error *err)
{
    const qn_space *space = history->space;
    *s = (qn_surrogate){.history = history, .seed = seed, .n_params = space->n};
    s->first = qn_alloc_array(space->n, sizeof *s->first);
    if (!s->first) return no_memory(err);
    for (int64_t at = 0; at < space->n; at++) {
        const qn_parameter *p = &space->parameters[at];
        s->first[at] = (int32_t)s->n_dims;
        s->n_dims += qn_parameter_is_unordered(p) ? p->n_values : 1;
        if (s->n_dims <= QN_COVARIANCE_DIMS_MAX) continue;
        return qn_fail(err, QN_ERR_ARG,
                       "a Gaussian process takes at most %d numbers and choices; try tpe",
                       QN_COVARIANCE_DIMS_MAX);
    }
    return QN_OK;
}

static void forget(qn_surrogate *s)
{
    qn_gaussian_process_free(s->losses);
    qn_gaussian_process_free(s->limits);
    s->losses = s->limits = NULL;
    s->n_fitted = s->n_added = s->n_in = 0;
}

void qn_surrogate_release(qn_surrogate *s)
{
    forget(s);
    qn_free(s->first);
    qn_free(s->rows);
    qn_free(s->scratch);
    *s = (qn_surrogate){0};
}

static void encode(const qn_surrogate *s, const double *values, int64_t n_values, double *row)
{
    const qn_space *space = s->history->space;
    for (int64_t at = 0; at < s->n_params; at++) {
        const qn_parameter *p = &space->parameters[at];
        const double value = at < n_values ? values[at] : QN_NA;
        double *out = row + s->first[at];
        if (!qn_parameter_is_unordered(p)) {
            *out = isnan(value) ? 0.5 : qn_parameter_to_unit(p, value);
            continue;
        }
        memset(out, 0, (size_t)p->n_values * sizeof *out);
        if (!isnan(value)) out[qn_parameter_index_of(p, value)] = SQRT_HALF;
    }
}

/* Memory to encode and predict so many configurations. */
static bool reserve(qn_surrogate *s, int64_t n)
{
    const int64_t scratch = s->losses ? qn_gaussian_process_scratch_doubles(s->losses, n) : 0;
    if (n > s->rows_room) {
        qn_free(s->rows);
        s->rows_room = 0;
        s->rows = qn_alloc_array(n * (s->n_dims + 2), sizeof *s->rows);
        if (!s->rows) return false;
        s->rows_room = n;
    }
    s->means = s->rows + s->rows_room * s->n_dims;
    s->variances = s->means + s->rows_room;
    if (scratch <= s->scratch_room) return true;
    qn_free(s->scratch);
    s->scratch_room = 0;
    s->scratch = qn_alloc_aligned(2 * scratch, sizeof *s->scratch);
    if (s->scratch) s->scratch_room = 2 * scratch;
    return s->scratch != NULL;
}

static double transform(const qn_surrogate *s, const qn_trial_record *trial)
{
    double above = (fmin(trial->losses[0], 1e300) - s->least) / s->spread;
    if (trial->state == QN_TRIAL_PRUNED) above = fmax(above, 1);
    return (log1p(fmax(above, -0.5)) - s->center) / s->scale;
}

static double limit_of(const qn_trial_record *trial)
{
    return trial->violation > 0 ? 1 : -1;
}

/* Where the losses lie, from the first n trials. */
static bool measure(qn_surrogate *s, int64_t n)
{
    const qn_trial_record *const *told = s->history->told;
    double *losses = qn_alloc_array(n, sizeof *losses);
    int32_t *order = qn_alloc_array(n, sizeof *order);
    bool complete = losses && order;
    for (int64_t i = 0; complete && i < n; i++) {
        losses[i] = fmin(fmax(told[i]->losses[0], -1e300), 1e300);
    }
    complete = complete && qn_sort_order(losses, n, order);
    if (complete) {
        s->least = losses[order[0]];
        s->spread = losses[order[n / 2]] - s->least;
        if (!(s->spread > 0)) s->spread = losses[order[n - 1]] - s->least;
        if (!(s->spread > 0)) s->spread = 1;
        s->center = 0;
        s->scale = 1;
        double sum = 0, squares = 0;
        for (int64_t i = 0; i < n; i++) {
            const double y = transform(s, told[i]);
            sum += y;
            squares += y * y;
        }
        s->center = sum / (double)n;
        s->scale = sqrt(fmax(squares / (double)n - s->center * s->center, 1e-20));
    }
    qn_free(losses);
    qn_free(order);
    return complete;
}

static qn_status fit_process(qn_surrogate *s, int64_t n, const double *y, qn_gaussian_process **out,
                             qn_error *err)
{
    const qn_gaussian_process_request request = {
        .kind = QN_COVARIANCE_MATERN52,
        .n = n,
        .n_dims = s->n_dims,
        .x = s->rows,
        .y = y,
        .n_starts = 1,
        .iterations_max = ITERATIONS_MAX,
        .length = {log(LENGTH * sqrt((double)s->n_dims)), LENGTH_SD},
        .noise = {log(NOISE), NOISE_SD},
        .seed = s->seed};
    return qn_gaussian_process_fit(&request, out, err);
}

/* From the first n trials alone. */
static qn_status fit(qn_surrogate *s, int64_t n, qn_error *err)
{
    const qn_trial_record *const *told = s->history->told;
    bool limits = false;
    forget(s);
    if (!measure(s, n) || !reserve(s, n)) return no_memory(err);
    for (int64_t i = 0; i < n; i++) {
        encode(s, told[i]->values, told[i]->n_values, s->rows + i * s->n_dims);
        s->means[i] = transform(s, told[i]);
        s->variances[i] = limit_of(told[i]);
        limits |= told[i]->violation > 0;
    }
    QN_TRY(fit_process(s, n, s->means, &s->losses, err));
    if (limits) QN_TRY(fit_process(s, n, s->variances, &s->limits, err));
    s->n_fitted = s->n_added = s->n_in = n;
    return QN_OK;
}

/* A trial more; one so near to another that the covariance would be singular says nothing new. */
static qn_status add(qn_surrogate *s, const double *row, double loss, double limit, qn_error *err)
{
    const int64_t n = qn_gaussian_process_n(s->losses);
    qn_error ignored = {0};
    qn_status status = qn_gaussian_process_add(s->losses, row, loss, 1, &ignored);
    if (status == QN_OK && s->limits) {
        status = qn_gaussian_process_add(s->limits, row, limit, 1, &ignored);
        if (status != QN_OK) qn_gaussian_process_truncate(s->losses, n);
    }
    return status == QN_ERR_NOMEM ? no_memory(err) : QN_OK;
}

static qn_status add_running(qn_surrogate *s, const qn_trial_record *trial, qn_error *err)
{
    double loss, limit = -1;
    if (!reserve(s, 1)) return no_memory(err);
    encode(s, trial->values, trial->n_values, s->rows);
    qn_gaussian_process_predict(s->losses, s->rows, 1, &loss, NULL, s->scratch);
    if (s->limits) qn_gaussian_process_predict(s->limits, s->rows, 1, &limit, NULL, s->scratch);
    return add(s, s->rows, loss, limit, err);
}

static int64_t scheduled(int64_t n)
{
    int64_t at = FITTED_EACH;
    if (n <= at) return n;
    while (at + at / FITTED_EVERY <= n) {
        at += at / FITTED_EVERY;
    }
    return at;
}

static void find_best(qn_surrogate *s)
{
    const qn_history *history = s->history;
    s->best = QN_INF;
    for (int64_t i = 0; i < history->n_told; i++) {
        const qn_trial_record *trial = history->told[i];
        if (trial->violation > 0 || trial->state != QN_TRIAL_COMPLETE) continue;
        s->best = fmin(s->best, transform(s, trial));
    }
}

qn_status qn_surrogate_update(qn_surrogate *s, qn_error *err)
{
    const qn_history *history = s->history;
    const int64_t n_fitted = scheduled(history->n_told);
    if (n_fitted != s->n_fitted) QN_TRY(fit(s, n_fitted, err));
    qn_gaussian_process_truncate(s->losses, s->n_in);
    if (s->limits) qn_gaussian_process_truncate(s->limits, s->n_in);
    for (; s->n_added < history->n_told; s->n_added++) {
        const qn_trial_record *trial = history->told[s->n_added];
        if (!reserve(s, 1)) return no_memory(err);
        encode(s, trial->values, trial->n_values, s->rows);
        QN_TRY(add(s, s->rows, transform(s, trial), limit_of(trial), err));
    }
    s->n_in = qn_gaussian_process_n(s->losses);
    find_best(s);
    for (int64_t i = 0; i < history->n_running; i++) {
        QN_TRY(add_running(s, history->running[i], err));
    }
    return QN_OK;
}

double qn_log_improvement(double z)
{
    const double log_density = -0.5 * z * z - LOG_SQRT_2PI;
    if (z < -25) { /* φ(z)/z² (1 - 3/z² + 15/z⁴) */
        const double w = 1 / (z * z);
        return log_density + log(w * (1 - w * (3 - 15 * w)));
    }
    return log(exp(log_density) + z * 0.5 * erfc(-z * SQRT_HALF));
}

/* log Φ(z) */
static double log_below(double z)
{
    if (z < -25) return -0.5 * z * z - LOG_SQRT_2PI - log(-z);
    return log(0.5 * erfc(-z * SQRT_HALF));
}

static void encode_all(qn_surrogate *s, const double *configurations, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        encode(s, configurations + i * s->n_params, s->n_params, s->rows + i * s->n_dims);
    }
}

qn_status qn_surrogate_gains(qn_surrogate *s, const double *configurations, int64_t n,
                             double *gains, qn_error *err)
{
    if (!reserve(s, n)) return no_memory(err);
    encode_all(s, configurations, n);
    for (int64_t i = 0; i < n; i++) {
        gains[i] = 0;
    }
    if (s->best < QN_INF) {
        qn_gaussian_process_predict(s->losses, s->rows, n, s->means, s->variances, s->scratch);
        for (int64_t i = 0; i < n; i++) {
            const double deviation = sqrt(fmax(s->variances[i], 1e-18));
            gains[i] = log(deviation) + qn_log_improvement((s->best - s->means[i]) / deviation);
        }
    }
    if (!s->limits) return QN_OK;
    qn_gaussian_process_predict(s->limits, s->rows, n, s->means, s->variances, s->scratch);
    for (int64_t i = 0; i < n; i++) {
        gains[i] += log_below(-s->means[i] / sqrt(fmax(s->variances[i], 1e-18)));
    }
    return QN_OK;
}

qn_status qn_surrogate_lower_ends(qn_surrogate *s, const double *configurations, int64_t n,
                                  double deviations, double *ends, qn_error *err)
{
    if (!reserve(s, n)) return no_memory(err);
    encode_all(s, configurations, n);
    qn_gaussian_process_predict(s->losses, s->rows, n, s->means, s->variances, s->scratch);
    for (int64_t i = 0; i < n; i++) {
        ends[i] = s->means[i] - deviations * sqrt(fmax(s->variances[i], 0));
    }
    if (!s->limits) return QN_OK;
    qn_gaussian_process_predict(s->limits, s->rows, n, s->means, s->variances, s->scratch);
    for (int64_t i = 0; i < n; i++) {
        if (s->means[i] > deviations * sqrt(fmax(s->variances[i], 0))) ends[i] = QN_INF;
    }
    return QN_OK;
}

double qn_surrogate_loss(const qn_surrogate *s, double scaled)
{
    return s->least + s->spread * expm1(scaled * s->scale + s->center);
}
