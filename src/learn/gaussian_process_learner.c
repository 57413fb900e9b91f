/* SPDX-License-Identifier: Apache-2.0 */
/* Gaussian process regression over the dense columns. Its memory grows with the square of the rows
 * and its time with the cube, so it is for small tables: of more than max_rows it learns from a
 * random sample (2000 rows: 32 MB and a tenth of a second for a factor), and hyperparameters are
 * searched on search_rows of those, since each step takes a factor and an inverse and the
 * likelihood of some hundreds of rows tells lengths well enough. */
#include "learn/simple_learners.h"

#include "base/alloc.h"
#include "learn/row_sample.h"
#include "model/gaussian_process_model.h"

#include <math.h>
#include <string.h>

struct gaussian_process_params {
    int32_t kernel;
    bool ard;
    double length_scale, noise;
    int64_t n_restarts, max_iter, max_rows, search_rows;
};

#define AT(member) offsetof(struct gaussian_process_params, member)

static const char *const kernels[] = {"rbf", "matern32", "matern52", NULL};

static const qn_param params_table[] = {
    {"kernel", QN_PARAM_CHOICE, AT(kernel), 0, 2, 0, 2.99, false, 2, kernels,
     "how smooth; matern52, twice differentiable, suits most tables (Stein 1999, section 1.7)"},
    {"ard", QN_PARAM_BOOL, AT(ard), 0, 1, 0, 1.99, false, 1, NULL,
     "a length for each column, found with the others; otherwise one for all"},
    {"length_scale", QN_PARAM_FLOAT, AT(length_scale), 0, 1e4, 0, 0, false, 0, NULL,
     "of all columns, in standard deviations; 0: found by likelihood, as the variance then is"},
    {"noise", QN_PARAM_FLOAT, AT(noise), 1e-8, 100, 0, 0, false, 0.1, NULL,
     "variance of the noise by that of the target: where the search begins, and what is taken "
     "where length_scale is given"},
    {"n_restarts", QN_PARAM_INT, AT(n_restarts), 0, 100, 0, 0, false, 1, NULL,
     "searches from drawn hyperparameters after the first; likelihoods have several maxima"},
    {"max_iter", QN_PARAM_INT, AT(max_iter), 1, 10000, 0, 0, false, 50, NULL,
     "steps of L-BFGS in each search"},
    {"max_rows", QN_PARAM_INT, AT(max_rows), 2, 20000, 0, 0, false, 2000, NULL,
     "rows learnt from; of more, a random sample: time grows with their cube"},
    {"search_rows", QN_PARAM_INT, AT(search_rows), 2, 20000, 0, 0, false, 500, NULL,
     "of these, rows on which hyperparameters are searched"},
    {0}};

/* Rows learnt from, as the process takes them. */
struct sample {
    int64_t n, n_dense;
    double *x, *y, *weights;
    double offset, scale;
};

static void sample_release(struct sample *s)
{
    qn_free(s->x);
    qn_free(s->y);
    qn_free(s->weights);
}

/* The target with weighted mean 0 and variance 1. */
static void standardise(struct sample *s)
{
    double sum = 0, total = 0, squares = 0;
    for (int64_t i = 0; i < s->n; i++) {
        const double w = s->weights ? s->weights[i] : 1;
        sum += w * s->y[i];
        total += w;
    }
    s->offset = sum / total;
    for (int64_t i = 0; i < s->n; i++) {
        const double d = s->y[i] - s->offset;
        squares += (s->weights ? s->weights[i] : 1) * d * d;
    }
    s->scale = squares > 0 ? sqrt(squares / total) : 1;
    for (int64_t i = 0; i < s->n; i++) {
        s->y[i] = (s->y[i] - s->offset) / s->scale;
    }
}

/* Rows of weight 0 say nothing, and their noise would be infinite. */
static const double weight_least = 1e-6;

static qn_status take_sample(const qn_learn_request *request, int64_t max_rows, struct sample *s,
                             qn_error *err)
{
    const qn_dataset_part *train = &request->data->train;
    const qn_matrix *x = &train->views[QN_VIEW_DENSE];
    int32_t *rows;
    *s = (struct sample){.n_dense = x->n_dense};
    QN_TRY(qn_row_sample(train->n_rows, max_rows, request->seed, 0x6770, &rows, &s->n, err));
    s->x = qn_alloc_array(s->n * s->n_dense, sizeof *s->x);
    s->y = qn_alloc_array(s->n, sizeof *s->y);
    s->weights = train->weights ? qn_alloc_array(s->n, sizeof *s->weights) : NULL;
    if (!s->x || !s->y || (train->weights && !s->weights)) {
        qn_free(rows);
        sample_release(s);
        return qn_fail(err, QN_ERR_NOMEM, "no memory for the rows of a Gaussian process");
    }
    for (int64_t i = 0; i < s->n; i++) {
        const int64_t row = rows ? rows[i] : i;
        for (int64_t f = 0; f < s->n_dense; f++) {
            s->x[i * s->n_dense + f] = x->dense[f * x->stride + row];
        }
        s->y[i] = train->target[row];
        if (s->weights) s->weights[i] = fmax(train->weights[row], weight_least);
    }
    qn_free(rows);
    standardise(s);
    return QN_OK;
}

/* Every n / n_part-th row of `from`, its arrays in `s`. */
static qn_status thin_out(const struct sample *from, int64_t n_part, struct sample *s,
                          qn_error *err)
{
    const int64_t d = from->n_dense;
    *s = *from;
    s->n = n_part;
    s->x = qn_alloc_array(n_part * d, sizeof *s->x);
    s->y = qn_alloc_array(n_part, sizeof *s->y);
    s->weights = from->weights ? qn_alloc_array(n_part, sizeof *s->weights) : NULL;
    if (!s->x || !s->y || (from->weights && !s->weights)) {
        sample_release(s);
        return qn_fail(err, QN_ERR_NOMEM, "no memory for the rows of a Gaussian process");
    }
    for (int64_t i = 0; i < n_part; i++) {
        const int64_t row = i * from->n / n_part;
        memcpy(s->x + i * d, from->x + row * d, (size_t)d * sizeof *s->x);
        s->y[i] = from->y[row];
        if (s->weights) s->weights[i] = from->weights[row];
    }
    return QN_OK;
}

/* Hyperparameters to theta: those given, or those of the greatest likelihood. */
static qn_status find_hyperparameters(const struct sample *s, const qn_learn_request *request,
                                      qn_gaussian_process_request *search, double *theta,
                                      qn_error *err)
{
    const struct gaussian_process_params *params = request->params;
    struct sample part;
    qn_gaussian_process *process;
    theta[0] = 0;
    theta[1 + s->n_dense] = log(params->noise);
    for (int64_t f = 0; f < s->n_dense; f++) {
        theta[1 + f] = params->length_scale > 0 ? log(params->length_scale) : search->length.mean;
    }
    search->start = theta;
    if (params->length_scale > 0) return QN_OK;
    QN_TRY(thin_out(s, s->n < params->search_rows ? s->n : params->search_rows, &part, err));
    search->n = part.n;
    search->x = part.x;
    search->y = part.y;
    search->weights = part.weights;
    search->n_starts = (int)params->n_restarts + 1;
    search->iterations_max = params->max_iter;
    const qn_status status = qn_gaussian_process_fit(search, &process, err);
    sample_release(&part);
    if (status != QN_OK) return status;
    memcpy(theta, qn_gaussian_process_hyperparameters(process),
           (size_t)(s->n_dense + 2) * sizeof *theta);
    qn_gaussian_process_free(process);
    return QN_OK;
}

/* What a column of variance one does to the correlation: 1 / length². */
static double *importance_of(const qn_dataset *data, const struct sample *s, const double *theta)
{
    double *out = qn_alloc_array(data->n_features[QN_VIEW_DENSE], sizeof *out), total = 0;
    for (int64_t f = 0; out && f < s->n_dense; f++) {
        double sum = 0, squares = 0;
        for (int64_t i = 0; i < s->n; i++) {
            const double value = s->x[i * s->n_dense + f];
            sum += value;
            squares += value * value;
        }
        const double mean = sum / (double)s->n;
        out[f] = fmax(squares / (double)s->n - mean * mean, 0) * exp(-2 * theta[1 + f]);
        total += out[f];
    }
    for (int64_t f = 0; out && total > 0 && f < s->n_dense; f++) {
        out[f] /= total;
    }
    return out;
}

static qn_status fit_sample(const struct sample *s, const qn_learn_request *request,
                            qn_learn_result *result, qn_error *err)
{
    const struct gaussian_process_params *params = request->params;
    double *theta = qn_alloc_array(s->n_dense + 2, sizeof *theta);
    qn_gaussian_process *process = NULL;
    if (!theta) return qn_fail(err, QN_ERR_NOMEM, "no memory for a Gaussian process");
    qn_gaussian_process_request search = {.kind = (qn_covariance_kind)params->kernel,
                                          .isotropic = !params->ard,
                                          .n_dims = s->n_dense,
                                          .length = qn_length_prior(s->n_dense),
                                          .seed = request->seed,
                                          .stop = request->stop,
                                          .pool = request->pool};
    search.length.mean += 0.5 * log(12); /* from the width of a cube to standard deviations */
    qn_status status = find_hyperparameters(s, request, &search, theta, err);
    search.n = s->n;
    search.x = s->x;
    search.y = s->y;
    search.weights = s->weights;
    search.iterations_max = 0;
    if (status == QN_OK) status = qn_gaussian_process_fit(&search, &process, err);
    if (status == QN_OK) {
        const qn_gaussian_process_model model = {.kind = search.kind,
                                                 .n_rows = s->n,
                                                 .n_dense = s->n_dense,
                                                 .x = s->x,
                                                 .hyperparameters =
                                                     qn_gaussian_process_hyperparameters(process),
                                                 .alpha = qn_gaussian_process_alpha(process),
                                                 .offset = s->offset,
                                                 .scale = s->scale};
        status = qn_gaussian_process_create(&model, &result->estimator, err);
    }
    if (status == QN_OK) result->importance = importance_of(request->data, s, theta);
    result->stopped = qn_stop_requested(request->stop);
    qn_gaussian_process_free(process);
    qn_free(theta);
    return status;
}

static qn_status fit(const qn_learn_request *request, qn_learn_result *result, qn_error *err)
{
    const qn_dataset *data = request->data;
    const struct gaussian_process_params *params = request->params;
    struct sample sample;
    *result = (qn_learn_result){0};
    if (data->n_dense[QN_VIEW_DENSE] == 0 || !data->train.views[QN_VIEW_DENSE].dense) {
        return qn_fail(err, QN_ERR_UNSUPPORTED, "there are no dense columns to measure distances");
    }
    if (data->n_dense[QN_VIEW_DENSE] > QN_COVARIANCE_DIMS_MAX) {
        return qn_fail(err, QN_ERR_UNSUPPORTED,
                       "a Gaussian process takes up to %d dense columns, not %" PRId64,
                       QN_COVARIANCE_DIMS_MAX, data->n_dense[QN_VIEW_DENSE]);
    }
    if (qn_stop_requested(request->stop)) {
        return qn_fail(err, QN_ERR_INTERRUPTED, "stopped before a Gaussian process was fitted");
    }
    QN_TRY(take_sample(request, params->max_rows, &sample, err));
    const qn_status status = fit_sample(&sample, request, result, err);
    sample_release(&sample);
    return status;
}

/* Three squares of doubles while it searches, three again for the fit. */
static void cost(const qn_dataset *data, const void *params_of, double *bytes, double *work)
{
    const struct gaussian_process_params *params = params_of;
    const double n = fmin((double)data->train.n_rows, (double)params->max_rows);
    const double part = fmin(n, (double)params->search_rows);
    const double steps = (double)((params->n_restarts + 1) * params->max_iter);
    *bytes = 32 * n * n + 24 * part * part;
    *work = n * n * n / 3 + steps * part * part * (part + (double)data->n_dense[QN_VIEW_DENSE]);
}

const qn_learner qn_learner_gaussian_process = {
    .name = "gaussian_process",
    .help = "Gaussian process, for small tables of numbers; text is not compared",
    .source = "Rasmussen & Williams 2006 (algorithm 2.1), Hvarfner et al. 2024 (lengths)",
    .tasks = 1u << QN_TASK_REGRESSION,
    .capabilities = QN_LEARNER_WEIGHTS | QN_LEARNER_PARTIAL | QN_LEARNER_THREADS,
    .view = QN_VIEW_DENSE,
    .params = params_table,
    .params_bytes = sizeof(struct gaussian_process_params),
    .fit = fit,
    .cost = cost,
};
