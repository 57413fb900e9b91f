/* SPDX-License-Identifier: Apache-2.0 */
#include "stats/gaussian_class.h"

#include "base/alloc.h"
#include "base/number.h"
#include "base/rng.h"
#include "linalg/cholesky.h"
#include "linalg/kernels.h"
#include "stats/gaussian_internal.h"

#include <math.h>
#include <string.h>

enum { NEWTON_STEPS_MAX = 100, HALVINGS_MAX = 12 };
static const double newton_tolerance = 1e-10; /* on the rise of the log posterior of f */
static const double search_tolerance = 1e-3;  /* as the process of numbers has it */

/* What one evaluation works on. */
struct search {
    const qn_gaussian_class_request *request;
    qn_gaussian_search common;
    double *z;       /* n_dims × n */
    double *k;       /* n × n: covariances, both triangles */
    double *slopes;  /* n × n, then what the lengths' gradient is summed from */
    double *factor;  /* n × n */
    double *inverse; /* n × n */
    double *f, *a;   /* n: the mode and K⁻¹ of it */
    double *next_f, *next_a, *b;
    double *p, *root_w, *gradient_f;
    double *parts, *theta, *gradient;
    double log_posterior; /* of f: log p(y | f) - f' K⁻¹ f / 2 */
};

static qn_status search_init(struct search *s, const qn_gaussian_class_request *request,
                             qn_error *err)
{
    const int64_t n = request->n, n_dims = request->n_dims;
    const int64_t n_parts = qn_covariance_parts(n) * n_dims;
    double *at =
        qn_alloc_aligned(4 * n * n + n * n_dims + 8 * n + n_parts + 2 * (n_dims + 1), sizeof *at);
    *s = (struct search){.request = request};
    if (!at) return qn_fail(err, QN_ERR_NOMEM, "no memory for a Gaussian process");
    s->k = at;
    s->slopes = at += n * n;
    s->factor = at += n * n;
    s->inverse = at += n * n;
    s->z = at += n * n;
    s->f = at += n * n_dims;
    s->a = at += n;
    s->next_f = at += n;
    s->next_a = at += n;
    s->b = at += n;
    s->p = at += n;
    s->root_w = at += n;
    s->gradient_f = at += n;
    s->parts = at += n;
    s->theta = at += n_parts;
    s->gradient = at + n_dims + 1;
    memset(s->a, 0, (size_t)n * sizeof *s->a);
    return QN_OK;
}

static void search_release(struct search *s)
{
    qn_free(s->k);
}

static double weight_of(const qn_gaussian_class_request *request, int64_t i)
{
    return request->weights ? request->weights[i] : 1;
}

/* out = K v. */
static void multiply(const struct search *s, const double *v, double *out)
{
    const int64_t n = s->request->n;
    for (int64_t i = 0; i < n; i++) {
        out[i] = qn_dot(s->k + i * n, v, n);
    }
}

static void covariances_at(struct search *s, const double *theta)
{
    const qn_gaussian_class_request *r = s->request;
    const int64_t n = r->n;
    const qn_covariance_points points = {r->kind, n, r->n_dims, n, s->z};
    const double variance = exp(theta[0]);
    qn_gaussian_scale_points(r->x, n, r->n_dims, theta + 1, s->z, n);
    qn_covariance_matrix(&points, s->k, s->slopes, n, r->pool);
    for (int64_t i = 0; i < n; i++) {
        for (int64_t j = i; j < n; j++) {
            s->k[j * n + i] = s->k[i * n + j] *= variance;
        }
    }
}

/* log p(y | f) - a' f / 2. */
static double posterior_of(const struct search *s, const double *f, const double *a)
{
    const qn_gaussian_class_request *r = s->request;
    double sum = -0.5 * qn_dot(a, f, r->n);
    for (int64_t i = 0; i < r->n; i++) {
        const double margin = r->y[i] == 1 ? f[i] : -f[i];
        sum -= weight_of(r, i) * (fmax(-margin, 0) + log1p(exp(-fabs(margin))));
    }
    return sum;
}

/* Derivatives of log p(y | f) at s->f, and the factor of I + √W K √W. */
static bool factor_at_mode(struct search *s)
{
    const qn_gaussian_class_request *r = s->request;
    const int64_t n = r->n;
    for (int64_t i = 0; i < n; i++) {
        const double w = weight_of(r, i);
        s->p[i] = 1 / (1 + exp(-s->f[i]));
        s->root_w[i] = sqrt(w * s->p[i] * (1 - s->p[i]));
        s->gradient_f[i] = w * (r->y[i] - s->p[i]);
    }
    for (int64_t i = 0; i < n; i++) {
        for (int64_t j = i; j < n; j++) {
            s->factor[i * n + j] = s->root_w[i] * s->k[i * n + j] * s->root_w[j];
        }
        s->factor[i * (n + 1)] += 1;
    }
    return qn_cholesky_factor(s->factor, n, n, r->pool);
}

/* A step of Newton's method: next_a = b - √W B⁻¹ √W K b with b = W f + ∇ log p, next_f = K next_a
 * (algorithm 3.1, lines 6 to 8). */
static void newton_step(struct search *s)
{
    const int64_t n = s->request->n;
    for (int64_t i = 0; i < n; i++) {
        s->b[i] = s->root_w[i] * s->root_w[i] * s->f[i] + s->gradient_f[i];
    }
    multiply(s, s->b, s->next_a);
    for (int64_t i = 0; i < n; i++) {
        s->next_a[i] *= s->root_w[i];
    }
    qn_cholesky_solve(s->factor, n, n, s->next_a, 1, 1, NULL);
    for (int64_t i = 0; i < n; i++) {
        s->next_a[i] = s->b[i] - s->root_w[i] * s->next_a[i];
    }
    multiply(s, s->next_a, s->next_f);
}

/* Goes as far towards the step as raises the posterior; false when nothing does. f = K a is linear
 * in a, so both go halfway together. */
static bool take_step(struct search *s, double *rise)
{
    const int64_t n = s->request->n;
    for (int halving = 0; halving < HALVINGS_MAX; halving++) {
        const double value = posterior_of(s, s->next_f, s->next_a);
        if (value > s->log_posterior) {
            *rise = value - s->log_posterior;
            s->log_posterior = value;
            memcpy(s->f, s->next_f, (size_t)n * sizeof *s->f);
            memcpy(s->a, s->next_a, (size_t)n * sizeof *s->a);
            return true;
        }
        for (int64_t i = 0; i < n; i++) {
            s->next_f[i] = 0.5 * (s->next_f[i] + s->f[i]);
            s->next_a[i] = 0.5 * (s->next_a[i] + s->a[i]);
        }
    }
    return false;
}

/* The mode of f, from the last one's a on, and what belongs to it. False unless the covariances are
 * finite. */
static bool mode_at(struct search *s, const double *theta)
{
    const int64_t n = s->request->n;
    covariances_at(s, theta);
    multiply(s, s->a, s->f);
    s->log_posterior = posterior_of(s, s->f, s->a);
    memset(s->next_f, 0, (size_t)n * sizeof *s->f);
    memset(s->next_a, 0, (size_t)n * sizeof *s->a);
    double rise = QN_INF;
    if (!(s->log_posterior >= posterior_of(s, s->next_f, s->next_a))) {
        memset(s->f, 0, (size_t)n * sizeof *s->f);
        memset(s->a, 0, (size_t)n * sizeof *s->a);
        s->log_posterior = posterior_of(s, s->f, s->a);
    }
    for (int step = 0; step < NEWTON_STEPS_MAX && rise > newton_tolerance; step++) {
        if (!factor_at_mode(s)) return false;
        newton_step(s);
        if (!take_step(s, &rise)) break;
    }
    return factor_at_mode(s);
}

/* log q(y | x, θ) (equation 3.32). */
static double likelihood_of(const struct search *s)
{
    return s->log_posterior - 0.5 * qn_cholesky_log_det(s->factor, s->request->n, s->request->n);
}

/* d log q / d θ (equations 5.22 to 5.24). With R = √W B⁻¹ √W, s2 = (diag B⁻¹ - 1)(1 - 2 p) / 2 –
 * the variances of the posterior are (1 - diag B⁻¹) / W – and u = (I - R K) s2, each derivative C
 * of K counts  sum of (a a' - R + u g' + g u') C / 2,  g = ∇ log p. */
static void gradient_at(struct search *s, const double *theta, double *gradient)
{
    const qn_gaussian_class_request *r = s->request;
    const int64_t n = r->n;
    const double variance = exp(theta[0]);
    double *s2 = s->b, *u = s->next_a, *v = s->next_f, by_variance = 0;
    qn_cholesky_invert(s->factor, n, n, s->inverse, r->pool);
    for (int64_t i = 0; i < n; i++) {
        s2[i] = -0.5 * (1 - s->inverse[i * (n + 1)]) * (1 - 2 * s->p[i]);
    }
    multiply(s, s2, v);
    for (int64_t i = 0; i < n; i++) {
        v[i] *= s->root_w[i];
    }
    for (int64_t i = 0; i < n; i++) {
        u[i] = s2[i] - s->root_w[i] * qn_dot(s->inverse + i * n, v, n);
    }
    const double *a = s->a, *g = s->gradient_f;
    for (int64_t i = 0; i < n; i++) {
        const double *inverse = s->inverse + i * n, *k = s->k + i * n;
        double *m = s->slopes + i * n;
        const double root = s->root_w[i];
        by_variance += 0.5 * k[i] * (a[i] * a[i] - root * root * inverse[i] + 2 * u[i] * g[i]);
        for (int64_t j = i + 1; j < n; j++) {
            const double share =
                a[i] * a[j] - root * inverse[j] * s->root_w[j] + u[i] * g[j] + u[j] * g[i];
            by_variance += share * k[j];
            m[j] *= variance * share;
        }
    }
    gradient[0] = by_variance;
    const qn_covariance_points points = {r->kind, n, r->n_dims, n, s->z};
    qn_covariance_gradient(&points, s->slopes, n, s->parts, gradient + 1, r->pool);
}

/* -log posterior of θ; infinite where the covariances are of no use. */
static double objective(void *context, const double *searched, double *gradient)
{
    struct search *s = context;
    qn_gaussian_expand(&s->common, searched, s->theta);
    if (!mode_at(s, s->theta)) return QN_INF;
    const double value = -likelihood_of(s);
    gradient_at(s, s->theta, s->gradient);
    return qn_gaussian_gather(&s->common, s->theta, s->gradient, value, gradient);
}

/* Start 0 is what was asked for; later ones are drawn around it. */
static void choose_start(const void *context, int start, double *searched)
{
    const struct search *s = context;
    const qn_gaussian_class_request *r = s->request;
    const int64_t n_lengths = qn_gaussian_n_lengths(&s->common);
    qn_rng rng;
    qn_rng_init(&rng, r->seed, (uint64_t)start);
    searched[0] = r->start[0] / s->common.unit;
    for (int64_t f = 0; f < n_lengths; f++) {
        const double moved = start > 0 ? 2 * qn_rng_normal(&rng) : 0;
        searched[1 + f] = (r->start[1 + f] + moved) / s->common.unit;
    }
}

/* The best hyperparameters of all starts to `theta`. */
static qn_status maximise(struct search *s, double *theta, qn_error *err)
{
    const qn_gaussian_class_request *r = s->request;
    s->common = (qn_gaussian_search){.isotropic = r->isotropic,
                                     .n_dims = r->n_dims,
                                     .unit = sqrt(2 / (double)r->n),
                                     .length = r->length,
                                     .objective = objective,
                                     .choose_start = choose_start,
                                     .context = s,
                                     .n_starts = r->n_starts,
                                     .iterations_max = r->iterations_max,
                                     .tolerance = search_tolerance,
                                     .stop = r->stop};
    memcpy(theta, r->start, (size_t)(r->n_dims + 1) * sizeof *theta);
    return qn_gaussian_maximise(&s->common, theta, err);
}

/* The process at its hyperparameters, from a mode of zero on: a fit does not depend on how its
 * hyperparameters were found. */
static qn_status settle(struct search *s, qn_gaussian_class *out, qn_error *err)
{
    const size_t n = (size_t)out->n;
    memset(s->a, 0, n * sizeof *s->a);
    if (!mode_at(s, out->hyperparameters)) {
        return qn_fail(err, QN_ERR_DATA,
                       "Gaussian process: the covariances of %" PRId64
                       " rows are not positive definite; look for values that are not finite",
                       out->n);
    }
    memcpy(out->gradient, s->gradient_f, n * sizeof *out->gradient);
    memcpy(out->root_w, s->root_w, n * sizeof *out->root_w);
    memcpy(out->factor, s->factor, n * n * sizeof *out->factor);
    out->log_likelihood = likelihood_of(s);
    return QN_OK;
}

qn_status qn_gaussian_class_fit(const qn_gaussian_class_request *request, qn_gaussian_class *out,
                                qn_error *err)
{
    const int64_t n = request->n;
    struct search search;
    *out = (qn_gaussian_class){.n = n};
    QN_TRY(search_init(&search, request, err));
    double *at = qn_alloc_aligned(n * n + 2 * n + request->n_dims + 1, sizeof *at);
    qn_status status = at ? QN_OK : qn_fail(err, QN_ERR_NOMEM, "no memory for a Gaussian process");
    if (at) {
        out->factor = at;
        out->gradient = at += n * n;
        out->root_w = at += n;
        out->hyperparameters = at + n;
        status = maximise(&search, out->hyperparameters, err);
    }
    if (status == QN_OK) status = settle(&search, out, err);
    search_release(&search);
    if (status != QN_OK) qn_gaussian_class_release(out);
    return status;
}

void qn_gaussian_class_release(qn_gaussian_class *process)
{
    qn_free(process->factor);
    *process = (qn_gaussian_class){0};
}

qn_status qn_gaussian_class_evaluate(const qn_gaussian_class_request *request,
                                     const double *hyperparameters, double *log_likelihood,
                                     double *gradient, qn_error *err)
{
    struct search search;
    QN_TRY(search_init(&search, request, err));
    const bool is_good = mode_at(&search, hyperparameters);
    if (is_good) {
        *log_likelihood = likelihood_of(&search);
        gradient_at(&search, hyperparameters, gradient);
    }
    search_release(&search);
    return is_good ? QN_OK
                   : qn_fail(err, QN_ERR_DATA,
                             "Gaussian process: the covariances are not positive definite there");
}
