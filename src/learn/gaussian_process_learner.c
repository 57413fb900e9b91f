/* SPDX-License-Identifier: Apache-2.0 */
/* Gaussian processes over the dense columns: of numbers here, of classes in gaussian_classes.c.
 * Memory grows with the square of the rows and time with the cube, so they are for small tables: of
 * more than max_rows they learn from a random sample (2000 rows: 32 MB and a tenth of a second for
 * a factor), and hyperparameters are searched on search_rows of those, since each step takes a
 * factor and an inverse and the likelihood of some hundreds of rows tells lengths well enough. */
#include "learn/simple_learners.h"

#include "base/alloc.h"
#include "learn/gaussian_learner.h"
#include "model/gaussian_process_model.h"

#include <math.h>
#include <string.h>

#define AT(member) offsetof(qn_gaussian_params, member)

static const char *const kernels[] = {"rbf", "matern32", "matern52", NULL};

static const qn_param params_table[] = {
    {"kernel", QN_PARAM_CHOICE, AT(kernel), 0, 2, 0, 2.99, false, 2, kernels,
     "how smooth; matern52, twice differentiable, suits most tables (Stein 1999, section 1.7)"},
    {"ard", QN_PARAM_BOOL, AT(ard), 0, 1, 0, 1.99, false, 1, NULL,
     "a length for each column, found with the others; otherwise one for all"},
    {"length_scale", QN_PARAM_FLOAT, AT(length_scale), 0, 1e4, 0, 0, false, 0, NULL,
     "of all columns, in standard deviations; 0: found by likelihood, as the variance then is"},
    {"noise", QN_PARAM_FLOAT, AT(noise), 1e-8, 100, 0, 0, false, 0.1, NULL,
     "of a number, its variance by that of the target: where the search begins, and what is taken "
     "where length_scale is given"},
    {"n_restarts", QN_PARAM_INT, AT(n_restarts), 0, 100, 0, 0, false, 1, NULL,
     "searches from drawn hyperparameters after the first; likelihoods have several maxima"},
    {"max_iter", QN_PARAM_INT, AT(max_iter), 1, 10000, 0, 0, false, 50, NULL,
     "steps of L-BFGS in each search"},
    {"max_rows", QN_PARAM_INT, AT(max_rows), 0, QN_GAUSSIAN_CLASSES_ROWS_MAX, 0, 0, false, 0, NULL,
     "rows learnt from; of more, a random sample: time grows with their cube; 0: 2,000 for "
     "numbers, "
     "1,000 for classes, each of which keeps the square of them"},
    {"search_rows", QN_PARAM_INT, AT(search_rows), 2, 20000, 0, 0, false, 500, NULL,
     "of these, rows on which hyperparameters are searched"},
    {"return_std", QN_PARAM_BOOL, AT(return_std), 0, 1, 0, 0, false, 0, NULL,
     "of numbers: keep what standard deviations of predictions take, the square of the rows; for "
     "the library's qn_estimator_predict_std(), predict --interval needs none of it"},
    {0}};

/* The target with weighted mean 0 and variance 1. */
static void standardise(qn_gaussian_sample *s)
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

/* Hyperparameters to theta: those given, or those of the greatest likelihood. */
static qn_status find_hyperparameters(const qn_gaussian_sample *s, const qn_learn_request *request,
                                      qn_gaussian_process_request *search, double *theta,
                                      qn_error *err)
{
    const qn_gaussian_params *params = request->params;
    qn_gaussian_sample part;
    qn_gaussian_process *process;
    theta[0] = 0;
    theta[1 + s->n_dense] = log(params->noise);
    for (int64_t f = 0; f < s->n_dense; f++) {
        theta[1 + f] = params->length_scale > 0 ? log(params->length_scale) : search->length.mean;
    }
    search->start = theta;
    if (params->length_scale > 0) return QN_OK;
    QN_TRY(qn_gaussian_sample_thin(s, s->n < params->search_rows ? s->n : params->search_rows,
                                   &part, err));
    search->n = part.n;
    search->x = part.x;
    search->y = part.y;
    search->weights = part.weights;
    search->n_starts = (int)params->n_restarts + 1;
    search->iterations_max = params->max_iter;
    const qn_status status = qn_gaussian_process_fit(search, &process, err);
    qn_gaussian_sample_release(&part);
    if (status != QN_OK) return status;
    memcpy(theta, qn_gaussian_process_hyperparameters(process),
           (size_t)(s->n_dense + 2) * sizeof *theta);
    qn_gaussian_process_free(process);
    return QN_OK;
}

/* What a column of variance one does to the correlation: 1 / length². */
void qn_gaussian_add_importance(const qn_gaussian_sample *s, const double *log_lengths, double *out)
{
    double total = 0;
    for (int pass = 0; pass < 2; pass++) {
        for (int64_t f = 0; f < s->n_dense; f++) {
            double sum = 0, squares = 0;
            for (int64_t i = 0; i < s->n; i++) {
                const double value = s->x[i * s->n_dense + f];
                sum += value;
                squares += value * value;
            }
            const double mean = sum / (double)s->n;
            const double share =
                fmax(squares / (double)s->n - mean * mean, 0) * exp(-2 * log_lengths[f]);
            if (pass == 0) total += share;
            if (pass == 1 && total > 0) out[f] += share / total;
        }
    }
}

static qn_status fit_numbers(const qn_gaussian_sample *s, const qn_learn_request *request,
                             qn_learn_result *result, qn_error *err)
{
    const qn_gaussian_params *params = request->params;
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
        int64_t stride;
        const double *factor = qn_gaussian_process_factor(process, &stride);
        const qn_gaussian_process_model model = {.kind = search.kind,
                                                 .n_rows = s->n,
                                                 .n_dense = s->n_dense,
                                                 .x = s->x,
                                                 .hyperparameters =
                                                     qn_gaussian_process_hyperparameters(process),
                                                 .alpha = qn_gaussian_process_alpha(process),
                                                 .offset = s->offset,
                                                 .scale = s->scale,
                                                 .factor = params->return_std ? factor : NULL,
                                                 .factor_stride = stride};
        status = qn_gaussian_process_create(&model, &result->estimator, err);
    }
    if (status == QN_OK) {
        result->importance =
            qn_alloc_array(request->data->n_features[QN_VIEW_DENSE], sizeof *result->importance);
    }
    if (result->importance) qn_gaussian_add_importance(s, theta + 1, result->importance);
    result->stopped = qn_stop_requested(request->stop);
    qn_gaussian_process_free(process);
    qn_free(theta);
    return status;
}

static int64_t max_rows_of(const qn_dataset *data, const qn_gaussian_params *params)
{
    if (params->max_rows > 0) return params->max_rows < 2 ? 2 : params->max_rows;
    return data->task == QN_TASK_REGRESSION ? 2000 : 1000;
}

static qn_status fit(const qn_learn_request *request, qn_learn_result *result, qn_error *err)
{
    const qn_dataset *data = request->data;
    const qn_gaussian_params *params = request->params;
    qn_gaussian_sample sample;
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
    QN_TRY(qn_gaussian_sample_take(request, max_rows_of(data, params), &sample, err));
    qn_status status;
    if (data->task == QN_TASK_REGRESSION) {
        standardise(&sample);
        status = fit_numbers(&sample, request, result, err);
    } else {
        status = qn_gaussian_classes_fit(&sample, request, result, err);
    }
    qn_gaussian_sample_release(&sample);
    return status;
}

/* Three or four squares of doubles while it searches, and again for the fit. */
static void cost(const qn_dataset *data, const void *params_of, double *bytes, double *work)
{
    const qn_gaussian_params *params = params_of;
    const double n = fmin((double)data->train.n_rows, (double)max_rows_of(data, params));
    const double part = fmin(n, (double)params->search_rows);
    const double steps = (double)((params->n_restarts + 1) * params->max_iter);
    const double d = (double)data->n_dense[QN_VIEW_DENSE];
    if (data->task == QN_TASK_REGRESSION) {
        *bytes = 32 * n * n + 24 * part * part;
        *work = n * n * n / 3 + steps * part * part * (part + d);
    } else { /* each step begins with two of Newton's, the last factor with ten */
        *bytes = (32 + 12 * data->n_outputs) * n * n;
        *work = data->n_outputs * (10 * n * n * n / 3 + steps * part * part * (2 * part + d));
    }
}

const qn_learner qn_learner_gaussian_process = {
    .name = "gaussian_process",
    .help = "Gaussian process, for small tables of numbers; text is not compared",
    .source = "Rasmussen & Williams 2006 (algorithms 2.1, 3.1, 3.2, 5.1), Hvarfner et al. 2024 "
              "(lengths)",
    .tasks = 1u << QN_TASK_REGRESSION | 1u << QN_TASK_BINARY | 1u << QN_TASK_MULTICLASS,
    .capabilities = QN_LEARNER_WEIGHTS | QN_LEARNER_PARTIAL | QN_LEARNER_THREADS,
    .view = QN_VIEW_DENSE,
    .params = params_table,
    .params_bytes = sizeof(qn_gaussian_params),
    .fit = fit,
    .cost = cost,
};
