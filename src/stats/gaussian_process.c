/* SPDX-License-Identifier: Apache-2.0 */
#include "stats/gaussian_internal.h"

#include "base/alloc.h"
#include "base/number.h"
#include "base/rng.h"
#include "linalg/cholesky.h"
#include "linalg/kernels.h"

#include <math.h>
#include <string.h>

const double qn_gaussian_variance_range[2] = {1e-4, 1e4};
const double qn_gaussian_length_range[2] = {1e-3, 1e4};
const double qn_gaussian_noise_range[2] = {1e-8, 1e2};

#define LOG_2PI 1.8378770664093453

struct qn_gaussian_process {
    qn_covariance_kind kind;
    int64_t n, n_dims, room;
    double *theta;           /* n_dims + 2 */
    double *z;               /* n_dims × room: scaled coordinates */
    double *y;               /* room */
    double *alpha, *forward; /* room: A⁻¹ y, L⁻¹ y */
    double *factor;          /* room × room */
    double log_likelihood;
};

qn_log_prior qn_length_prior(int64_t n_dims)
{
    return (qn_log_prior){sqrt(2) + 0.5 * log((double)n_dims), sqrt(3)};
}

void qn_gaussian_scale_points(const double *x, int64_t n, int64_t n_dims, const double *log_lengths,
                              double *z, int64_t stride)
{
    for (int64_t f = 0; f < n_dims; f++) {
        const double scale = exp(-log_lengths[f]);
        for (int64_t i = 0; i < n; i++) {
            z[f * stride + i] = x[i * n_dims + f] * scale;
        }
    }
}

/* -n/2 log 2π - log det A / 2 - y' A⁻¹ y / 2, the last from L⁻¹ y. */
static double likelihood_of(const double *factor, int64_t n, int64_t stride, const double *forward)
{
    return -0.5 * ((double)n * LOG_2PI + qn_cholesky_log_det(factor, n, stride) +
                   qn_dot(forward, forward, n));
}

/* What one evaluation of the likelihood works on. */
struct search {
    const qn_gaussian_process_request *request;
    qn_gaussian_search common;
    double scale;    /* mean of y² */
    double *z;       /* n_dims × n */
    double *factor;  /* n × n: covariances, then their factor */
    double *slopes;  /* n × n, then what the lengths' gradient is summed from */
    double *inverse; /* n × n */
    double *alpha, *forward;
    double *parts, *theta, *gradient;
};

static qn_status search_init(struct search *s, const qn_gaussian_process_request *request,
                             qn_error *err)
{
    const int64_t n = request->n, n_dims = request->n_dims;
    const int64_t n_parts = qn_covariance_parts(n) * n_dims;
    double *memory = qn_alloc_aligned(n * n_dims + 3 * n * n + 2 * n + n_parts + 2 * (n_dims + 2),
                                      sizeof *memory);
    *s = (struct search){.request = request};
    if (!memory) return qn_fail(err, QN_ERR_NOMEM, "no memory for a Gaussian process");
    s->factor = memory;
    s->slopes = s->factor + n * n;
    s->inverse = s->slopes + n * n;
    s->z = s->inverse + n * n;
    s->alpha = s->z + n * n_dims;
    s->forward = s->alpha + n;
    s->parts = s->forward + n;
    s->theta = s->parts + n_parts;
    s->gradient = s->theta + n_dims + 2;
    s->scale = qn_dot(request->y, request->y, n) / (double)n;
    if (!(s->scale > 0)) s->scale = 1;
    return QN_OK;
}

static void search_release(struct search *s)
{
    qn_free(s->factor);
}

static double per_weight(const qn_gaussian_process_request *request, int64_t i)
{
    return request->weights ? 1 / request->weights[i] : 1;
}

/* Covariances of the observations, factored, and A⁻¹ y. */
static bool factor_at(struct search *s, const double *theta)
{
    const qn_gaussian_process_request *r = s->request;
    const int64_t n = r->n;
    const qn_covariance_points points = {r->kind, n, r->n_dims, n, s->z};
    const double variance = exp(theta[0]), noise = exp(theta[1 + r->n_dims]);
    qn_gaussian_scale_points(r->x, n, r->n_dims, theta + 1, s->z, n);
    qn_covariance_matrix(&points, s->factor, s->slopes, n, r->pool);
    for (int64_t i = 0; i < n; i++) {
        for (int64_t j = i; j < n; j++) {
            s->factor[i * n + j] *= variance;
        }
        s->factor[i * (n + 1)] += noise * per_weight(r, i);
    }
    if (!qn_cholesky_factor(s->factor, n, n, r->pool)) return false;
    memcpy(s->forward, r->y, (size_t)n * sizeof *s->forward);
    memcpy(s->alpha, r->y, (size_t)n * sizeof *s->alpha);
    qn_cholesky_forward(s->factor, n, n, s->forward, 1, 1, NULL);
    qn_cholesky_solve(s->factor, n, n, s->alpha, 1, 1, NULL);
    return true;
}

/* d log p / d θ = tr((α α' - A⁻¹) dA/dθ) / 2 (Rasmussen & Williams 2006, equation 5.9). */
static void gradient_at(struct search *s, const double *theta, double *gradient)
{
    const qn_gaussian_process_request *r = s->request;
    const int64_t n = r->n;
    const double variance = exp(theta[0]), noise = exp(theta[1 + r->n_dims]);
    double by_noise = 0;
    qn_cholesky_invert(s->factor, n, n, s->inverse, r->pool);
    for (int64_t i = 0; i < n; i++) {
        const double *inverse = s->inverse + i * n;
        double *m = s->slopes + i * n;
        const double alpha = s->alpha[i];
        by_noise += (alpha * alpha - inverse[i]) * per_weight(r, i);
        for (int64_t j = i + 1; j < n; j++) {
            m[j] *= variance * (alpha * s->alpha[j] - inverse[j]);
        }
    }
    by_noise *= noise;
    /* The covariances but for the noise are A's, and tr((α α' - A⁻¹) A) = y'α - n. */
    gradient[0] = 0.5 * (qn_dot(r->y, s->alpha, n) - (double)n - by_noise);
    gradient[1 + r->n_dims] = 0.5 * by_noise;
    const qn_covariance_points points = {r->kind, n, r->n_dims, n, s->z};
    qn_covariance_gradient(&points, s->slopes, n, s->parts, gradient + 1, r->pool);
}

double qn_gaussian_penalty(const qn_log_prior *prior, double offset, const double *range,
                           double value, double *gradient)
{
    const double at = value - offset;
    const double low = log(range[0]), high = log(range[1]);
    const double beyond = at < low ? at - low : at > high ? at - high : 0;
    double sum = 2 * beyond * beyond;
    *gradient += 4 * beyond;
    if (prior && prior->sd > 0) {
        const double d = (at - prior->mean) / prior->sd;
        sum += 0.5 * d * d;
        *gradient += d / prior->sd;
    }
    return sum;
}

/* -log posterior; infinite where the covariances are not positive definite. */
static double objective(void *context, const double *searched, double *gradient)
{
    struct search *s = context;
    const int64_t n = s->request->n;
    qn_gaussian_expand(&s->common, searched, s->theta);
    if (!factor_at(s, s->theta)) return QN_INF;
    gradient_at(s, s->theta, s->gradient);
    const double value = -likelihood_of(s->factor, n, n, s->forward);
    return qn_gaussian_gather(&s->common, s->theta, s->gradient, value, gradient);
}

/* Start 0 is what was asked for, or the middle of the priors; later ones are drawn around it. */
static void choose_start(const void *context, int start, double *searched)
{
    const struct search *s = context;
    const qn_gaussian_process_request *r = s->request;
    const int64_t n_lengths = qn_gaussian_n_lengths(&s->common);
    const double log_scale = log(s->scale);
    if (r->start) {
        searched[0] = r->start[0];
        memcpy(searched + 1, r->start + 1, (size_t)n_lengths * sizeof *searched);
        searched[1 + n_lengths] = r->start[1 + r->n_dims];
    } else {
        searched[0] = log_scale;
        for (int64_t f = 0; f < n_lengths; f++) {
            searched[1 + f] = r->length.sd > 0 ? r->length.mean : 0.5 * log((double)r->n_dims);
        }
        searched[1 + n_lengths] = log_scale + (r->noise.sd > 0 ? r->noise.mean : log(0.1));
    }
    if (start > 0) {
        qn_rng rng;
        qn_rng_init(&rng, r->seed, (uint64_t)start);
        for (int64_t f = 0; f < n_lengths; f++) {
            searched[1 + f] += 2 * qn_rng_normal(&rng);
        }
        searched[1 + n_lengths] = log_scale + log(1e-4) * qn_rng_uniform(&rng);
    }
    for (int64_t p = 0; p < n_lengths + 2; p++) {
        searched[p] /= s->common.unit;
    }
}

static void plan_search(struct search *s)
{
    const qn_gaussian_process_request *r = s->request;
    s->common = (qn_gaussian_search){.isotropic = r->isotropic,
                                     .has_noise = true,
                                     .n_dims = r->n_dims,
                                     .unit = sqrt(2 / (double)r->n),
                                     .offset = log(s->scale),
                                     .length = r->length,
                                     .noise = r->noise,
                                     .objective = objective,
                                     .choose_start = choose_start,
                                     .context = s,
                                     .n_starts = r->n_starts,
                                     .iterations_max = r->iterations_max,
                                     .tolerance = r->tolerance > 0 ? r->tolerance : 1e-3,
                                     .stop = r->stop};
}

/* The best hyperparameters of all starts to `theta`. */
static qn_status maximise(struct search *s, double *theta, qn_error *err)
{
    double *first = qn_alloc_array(s->request->n_dims + 2, sizeof *first);
    if (!first) return qn_fail(err, QN_ERR_NOMEM, "no memory for a Gaussian process");
    plan_search(s);
    choose_start(s, 0, first);
    qn_gaussian_expand(&s->common, first, theta);
    qn_free(first);
    return qn_gaussian_maximise(&s->common, theta, err);
}

static bool process_room(qn_gaussian_process *p, int64_t room)
{
    const int64_t n = p->n, n_dims = p->n_dims;
    double *memory = qn_alloc_aligned(room * (room + n_dims + 3), sizeof *memory), *at = memory;
    if (!memory) return false;
    qn_gaussian_process old = *p;
    p->room = room;
    p->factor = at;
    p->z = at += room * room;
    p->y = at += room * n_dims;
    p->alpha = at += room;
    p->forward = at + room;
    for (int64_t i = 0; old.factor && i < n; i++) {
        memcpy(p->factor + i * room, old.factor + i * old.room, (size_t)n * sizeof *at);
    }
    for (int64_t f = 0; old.factor && f < n_dims; f++) {
        memcpy(p->z + f * room, old.z + f * old.room, (size_t)n * sizeof *at);
    }
    if (old.factor) {
        const size_t bytes = (size_t)n * sizeof *at;
        memcpy(p->y, old.y, bytes);
        memcpy(p->alpha, old.alpha, bytes);
        memcpy(p->forward, old.forward, bytes);
    }
    qn_free(old.factor);
    return true;
}

/* Factors at its hyperparameters, with more noise where it must be; takes over what `s` computed.
 */
static qn_status settle(qn_gaussian_process *p, struct search *s, qn_error *err)
{
    const int64_t n = p->n, at_noise = 1 + p->n_dims;
    for (int tries = 0; !factor_at(s, p->theta); tries++) {
        if (tries == 12) {
            return qn_fail(err, QN_ERR_DATA,
                           "Gaussian process: the covariances of %" PRId64
                           " rows are not positive definite; look for values that are not finite",
                           n);
        }
        p->theta[at_noise] = fmax(p->theta[at_noise], log(1e-8 * s->scale)) + log(10);
    }
    const qn_gaussian_process_request *r = s->request;
    for (int64_t i = 0; i < n; i++) {
        memcpy(p->factor + i * p->room, s->factor + i * n, (size_t)n * sizeof *p->factor);
    }
    for (int64_t f = 0; f < p->n_dims; f++) {
        memcpy(p->z + f * p->room, s->z + f * n, (size_t)n * sizeof *p->z);
    }
    memcpy(p->y, r->y, (size_t)n * sizeof *p->y);
    memcpy(p->alpha, s->alpha, (size_t)n * sizeof *p->alpha);
    memcpy(p->forward, s->forward, (size_t)n * sizeof *p->forward);
    p->log_likelihood = likelihood_of(p->factor, n, p->room, p->forward);
    return QN_OK;
}

qn_status qn_gaussian_process_fit(const qn_gaussian_process_request *request,
                                  qn_gaussian_process **out, qn_error *err)
{
    struct search search;
    *out = NULL;
    QN_TRY(search_init(&search, request, err));
    qn_gaussian_process *p = qn_alloc_array(1, sizeof *p);
    double *theta = qn_alloc_array(request->n_dims + 2, sizeof *theta);
    qn_status status = QN_OK;
    if (p && theta) {
        *p = (qn_gaussian_process){
            .kind = request->kind, .n = request->n, .n_dims = request->n_dims, .theta = theta};
    } else {
        qn_free(theta);
    }
    if (!p || !theta || !process_room(p, request->n + 1)) {
        status = qn_fail(err, QN_ERR_NOMEM, "no memory for a Gaussian process");
    }
    if (status == QN_OK) status = maximise(&search, p->theta, err);
    if (status == QN_OK) status = settle(p, &search, err);
    search_release(&search);
    if (status != QN_OK) {
        qn_gaussian_process_free(p);
        return status;
    }
    *out = p;
    return QN_OK;
}

void qn_gaussian_process_free(qn_gaussian_process *p)
{
    if (!p) return;
    qn_free(p->factor);
    qn_free(p->theta);
    qn_free(p);
}

/* α of the first n observations from L⁻¹ y, which does not change as rows are added. */
static void solve_alpha(qn_gaussian_process *p)
{
    memcpy(p->alpha, p->y, (size_t)p->n * sizeof *p->alpha);
    qn_cholesky_solve(p->factor, p->n, p->room, p->alpha, 1, 1, NULL);
    p->log_likelihood = likelihood_of(p->factor, p->n, p->room, p->forward);
}

qn_status qn_gaussian_process_add(qn_gaussian_process *p, const double *x, double y, double weight,
                                  qn_error *err)
{
    const int64_t n = p->n;
    if (n == p->room && !process_room(p, 2 * n)) {
        return qn_fail(err, QN_ERR_NOMEM, "no memory for a Gaussian process");
    }
    const int64_t room = p->room;
    double *covariance = p->factor + n * room, *slope = p->alpha; /* made anew below */
    double point[QN_COVARIANCE_DIMS_MAX];
    const qn_covariance_points points = {p->kind, n, p->n_dims, room, p->z};
    const double variance = exp(p->theta[0]), noise = exp(p->theta[1 + p->n_dims]);
    qn_gaussian_scale_points(x, 1, p->n_dims, p->theta + 1, point, 1);
    qn_covariance_row(&points, point, n, covariance, slope);
    for (int64_t i = 0; i < n; i++) {
        p->factor[i * room + n] = variance * covariance[i];
    }
    covariance[n] = variance + noise / weight;
    if (!qn_cholesky_extend(p->factor, n, room)) {
        solve_alpha(p);
        return qn_fail(err, QN_ERR_DATA,
                       "Gaussian process: the covariances with one more row are not positive "
                       "definite; fit anew with more noise");
    }
    for (int64_t f = 0; f < p->n_dims; f++) {
        p->z[f * room + n] = point[f];
    }
    double rest = y;
    for (int64_t k = 0; k < n; k++) {
        rest = fma(-covariance[k], p->forward[k], rest);
    }
    p->y[n] = y;
    p->forward[n] = rest / covariance[n];
    p->n = n + 1;
    solve_alpha(p);
    return QN_OK;
}

void qn_gaussian_process_truncate(qn_gaussian_process *p, int64_t n)
{
    p->n = n;
    solve_alpha(p);
}

int64_t qn_gaussian_process_scratch_doubles(const qn_gaussian_process *p, int64_t m)
{
    return 2 * p->n + p->n_dims + p->n * m;
}

void qn_gaussian_process_predict(const qn_gaussian_process *p, const double *x, int64_t m,
                                 double *mean, double *variance, double *scratch)
{
    const int64_t n = p->n;
    double *row = scratch, *slope = row + n, *point = slope + n, *columns = point + p->n_dims;
    const qn_covariance_points points = {p->kind, n, p->n_dims, p->room, p->z};
    const double scale = exp(p->theta[0]);
    for (int64_t i = 0; i < m; i++) {
        qn_gaussian_scale_points(x + i * p->n_dims, 1, p->n_dims, p->theta + 1, point, 1);
        qn_covariance_row(&points, point, n, row, slope);
        mean[i] = scale * qn_dot(row, p->alpha, n);
        for (int64_t k = 0; variance && k < n; k++) {
            columns[k * m + i] = scale * row[k];
        }
    }
    if (!variance) return;
    qn_cholesky_forward(p->factor, n, p->room, columns, m, m, NULL);
    memset(variance, 0, (size_t)m * sizeof *variance);
    for (int64_t k = 0; k < n; k++) {
        for (int64_t i = 0; i < m; i++) {
            variance[i] += columns[k * m + i] * columns[k * m + i];
        }
    }
    for (int64_t i = 0; i < m; i++) {
        variance[i] = fmax(scale - variance[i], 0); /* rounding may leave less than nothing */
    }
}

int64_t qn_gaussian_process_n(const qn_gaussian_process *p)
{
    return p->n;
}

const double *qn_gaussian_process_hyperparameters(const qn_gaussian_process *p)
{
    return p->theta;
}

const double *qn_gaussian_process_factor(const qn_gaussian_process *p, int64_t *stride)
{
    *stride = p->room;
    return p->factor;
}

double qn_gaussian_process_log_likelihood(const qn_gaussian_process *p)
{
    return p->log_likelihood;
}

const double *qn_gaussian_process_alpha(const qn_gaussian_process *p)
{
    return p->alpha;
}

qn_status qn_gaussian_process_evaluate(const qn_gaussian_process_request *request,
                                       const double *hyperparameters, double *log_likelihood,
                                       double *gradient, qn_error *err)
{
    struct search search;
    QN_TRY(search_init(&search, request, err));
    const bool is_good = factor_at(&search, hyperparameters);
    if (is_good) {
        *log_likelihood = likelihood_of(search.factor, request->n, request->n, search.forward);
        if (gradient) gradient_at(&search, hyperparameters, gradient);
    }
    search_release(&search);
    return is_good ? QN_OK
                   : qn_fail(err, QN_ERR_DATA,
                             "Gaussian process: the covariances are not positive definite there");
}
