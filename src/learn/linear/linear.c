/* SPDX-License-Identifier: Apache-2.0 */
/* Ridge and logistic regression on the dense view, sparse columns included, by L-BFGS:
 *     minimise  sum_i w_i loss(y_i, b + x_i . w)  +  penalty / 2 |w|^2
 * with squared loss / 2 (penalty = alpha), log-loss or softmax (penalty = 1 / C), as scikit-learn
 * states them. With validation rows the penalty is chosen on a path from strong to weak, each
 * fit starting where the last one ended. Numbers are scaled to unit variance of the target while
 * fitting. */
#include "learn/linear/linear_learners.h"

#include "base/alloc.h"
#include "linalg/kernels.h"
#include "model/linear_model.h"

#include <math.h>
#include <string.h>

struct linear_params {
    double strength; /* alpha or C; 0: chosen on the path */
    int64_t max_iter;
    double tol;
};

#define AT(member) offsetof(struct linear_params, member)

static const qn_param logistic_params[] = {
    {"C", QN_PARAM_FLOAT, AT(strength), 0, 1e9, 0, 0, true, 0, NULL,
     "inverse of the penalty; 0: chosen on the validation rows"},
    {"max_iter", QN_PARAM_INT, AT(max_iter), 1, 100000, 0, 0, false, 200, NULL,
     "iterations of L-BFGS"},
    {"tol", QN_PARAM_FLOAT, AT(tol), 0, 1, 0, 0, false, 1e-4, NULL,
     "largest part of the mean gradient at which to stop"},
    {0}};
static const qn_param ridge_params[] = {{"alpha", QN_PARAM_FLOAT, AT(strength), 0, 1e12, 0, 0, true,
                                         0, NULL, "penalty; 0: chosen on the validation rows"},
                                        {"max_iter", QN_PARAM_INT, AT(max_iter), 1, 100000, 0, 0,
                                         false, 300, NULL, "iterations of L-BFGS"},
                                        {"tol", QN_PARAM_FLOAT, AT(tol), 0, 1, 0, 0, false, 1e-5,
                                         NULL,
                                         "largest part of the mean gradient at which to stop"},
                                        {0}};

struct problem {
    const qn_dataset *data;
    qn_linear_link link;
    int32_t k;
    int64_t n, n_dense, n_features; /* rows, columns */
    double total, penalty;          /* weights; both relative to their sum */
    double mean, scale;             /* numbers: target = mean + scale * y */
    double *margins;                /* k columns of n, then residuals */
};

static double weight_of(const qn_dataset_part *part, int64_t i)
{
    return part->weights ? part->weights[i] : 1;
}

/* margins[:, c] = b_c + X w_c, for any matrix of the view. */
static void multiply(const struct problem *p, const qn_matrix *x, const double *point, double *out)
{
    for (int32_t c = 0; c < p->k; c++) {
        const double *w = point + c * (p->n_features + 1);
        double *margins = out + c * x->n_rows;
        for (int64_t i = 0; i < x->n_rows; i++) {
            margins[i] = w[p->n_features];
        }
        for (int64_t f = 0; f < p->n_dense; f++) {
            if (w[f] != 0) qn_add_scaled(w[f], x->dense + f * x->stride, margins, x->n_rows);
        }
        const double *sparse = w + p->n_dense;
        for (int64_t i = 0; x->n_sparse > 0 && i < x->n_rows; i++) {
            double sum = 0;
            for (int64_t j = x->sparse_starts[i]; j < x->sparse_starts[i + 1]; j++) {
                sum += sparse[x->sparse_cols[j]] * (double)x->sparse_values[j];
            }
            margins[i] += sum;
        }
    }
}

/* Turns row i's margins into derivatives of its loss, times its weight; returns the loss. */
static double row_loss(const struct problem *p, const qn_dataset_part *part, int64_t i,
                       double *margins)
{
    const double w = weight_of(part, i), y = part->target[i];
    const int64_t n = part->n_rows;
    if (p->link == QN_LINEAR_IDENTITY) {
        const double residual = margins[i] - (y - p->mean) / p->scale;
        margins[i] = w * residual;
        return 0.5 * w * residual * residual;
    }
    if (p->link == QN_LINEAR_LOGISTIC) {
        const double m = margins[i], signed_margin = y == 1 ? m : -m;
        margins[i] = w * (1 / (1 + exp(-m)) - (y == 1));
        return w * (signed_margin > 0 ? log1p(exp(-signed_margin))
                                      : log1p(exp(signed_margin)) - signed_margin);
    }
    double most = margins[i], sum = 0;
    for (int32_t c = 1; c < p->k; c++) {
        most = fmax(most, margins[c * n + i]);
    }
    const double own = margins[(int64_t)y * n + i];
    for (int32_t c = 0; c < p->k; c++) {
        sum += exp(margins[c * n + i] - most);
    }
    for (int32_t c = 0; c < p->k; c++) {
        margins[c * n + i] = w * (exp(margins[c * n + i] - most) / sum - (y == c));
    }
    return w * (log(sum) + most - own);
}

static double objective(void *context, const double *point, double *gradient)
{
    struct problem *p = context;
    const qn_dataset_part *train = &p->data->train;
    const qn_matrix *x = &train->views[QN_VIEW_DENSE];
    const int64_t width = p->n_features + 1;
    double value = 0;
    multiply(p, x, point, p->margins);
    for (int64_t i = 0; i < p->n; i++) {
        value += row_loss(p, train, i, p->margins);
    }
    value /= p->total;
    for (int32_t c = 0; c < p->k; c++) {
        const double *w = point + c * width, *residuals = p->margins + c * p->n;
        double *g = gradient + c * width;
        memset(g + p->n_dense, 0, (size_t)(width - p->n_dense) * sizeof *g);
        for (int64_t f = 0; f < p->n_dense; f++) {
            g[f] = qn_dot(x->dense + f * x->stride, residuals, p->n);
        }
        double *sparse = g + p->n_dense;
        for (int64_t i = 0; x->n_sparse > 0 && i < p->n; i++) {
            for (int64_t j = x->sparse_starts[i]; j < x->sparse_starts[i + 1]; j++) {
                sparse[x->sparse_cols[j]] += residuals[i] * (double)x->sparse_values[j];
            }
        }
        for (int64_t i = 0; i < p->n; i++) {
            g[p->n_features] += residuals[i];
        }
        for (int64_t f = 0; f < p->n_features; f++) {
            g[f] = g[f] / p->total + p->penalty * w[f];
            value += 0.5 * p->penalty * w[f] * w[f];
        }
        g[p->n_features] /= p->total;
    }
    return value;
}

static double validation_loss(const struct problem *p, const double *point, double *margins)
{
    const qn_dataset_part *valid = &p->data->valid;
    double loss = 0;
    multiply(p, &valid->views[QN_VIEW_DENSE], point, margins);
    for (int64_t i = 0; i < valid->n_rows; i++) {
        loss += row_loss(p, valid, i, margins);
    }
    return loss;
}

static void scale_target(struct problem *p)
{
    const qn_dataset_part *train = &p->data->train;
    double sum = 0, squares = 0;
    p->scale = 1;
    for (int64_t i = 0; i < p->n; i++) {
        p->total += weight_of(train, i);
        sum += weight_of(train, i) * train->target[i];
    }
    if (p->link != QN_LINEAR_IDENTITY) return;
    p->mean = sum / p->total;
    for (int64_t i = 0; i < p->n; i++) {
        squares +=
            weight_of(train, i) * (train->target[i] - p->mean) * (train->target[i] - p->mean);
    }
    if (squares > 0) p->scale = sqrt(squares / p->total);
}

/* Penalties from strong to weak, relative to the sum of weights. */
static int path_of(const struct problem *p, const struct linear_params *params, double *out)
{
    enum { STEPS = 7 };
    static const double logistic[STEPS] = {100, 20, 5, 1, 0.2, 0.04, 0.01}; /* 1 / C */
    static const double ridge[STEPS] = {1000, 200, 40, 10, 2, 0.5, 0.1};    /* alpha */
    const bool is_ridge = p->link == QN_LINEAR_IDENTITY;
    if (params->strength > 0) {
        out[0] = (is_ridge ? params->strength : 1 / params->strength) / p->total;
        return 1;
    }
    if (p->data->valid.n_rows == 0) {
        out[0] = 1 / p->total;
        return 1;
    }
    for (int i = 0; i < STEPS; i++) {
        out[i] = (is_ridge ? ridge[i] : logistic[i]) / p->total;
    }
    return STEPS;
}

static qn_status follow_path(const qn_learn_request *request, struct problem *p, double *point,
                             double *best, double *valid_margins, qn_learn_result *result,
                             qn_error *err)
{
    const struct linear_params *params = request->params;
    const int64_t n_point = p->k * (p->n_features + 1);
    double penalties[16], best_loss = QN_INF;
    const int n_steps = path_of(p, params, penalties);
    int n_worse = 0;
    for (int step = 0; step < n_steps && n_worse < 2; step++) {
        p->penalty = penalties[step];
        const qn_minimise_request question = {.objective = objective,
                                              .context = p,
                                              .n = n_point,
                                              .iterations_max = params->max_iter,
                                              .tolerance = params->tol,
                                              .stop = request->stop};
        int64_t n_iterations;
        QN_TRY(qn_minimise(&question, point, &n_iterations, err));
        result->n_rounds += n_iterations;
        const double loss = n_steps > 1 ? validation_loss(p, point, valid_margins) : 0;
        if (step == 0 || loss < best_loss) {
            best_loss = loss;
            n_worse = 0;
            memcpy(best, point, (size_t)n_point * sizeof *best);
        } else {
            n_worse++;
        }
        result->stopped = qn_stop_requested(request->stop);
        if (result->stopped) break;
    }
    return QN_OK;
}

static qn_status make_model(struct problem *p, const double *point, qn_learn_result *result,
                            qn_error *err)
{
    const int64_t n = p->n_features;
    double *coefficients = qn_alloc_array(n * p->k, sizeof *coefficients);
    double *intercepts = qn_alloc_array(p->k, sizeof *intercepts);
    qn_status status = QN_OK;
    if (!coefficients || !intercepts) {
        status = qn_fail(err, QN_ERR_NOMEM, "no memory for a linear model");
    }
    for (int32_t c = 0; c < p->k && status == QN_OK; c++) {
        for (int64_t f = 0; f < n; f++) {
            coefficients[c * n + f] = point[c * (n + 1) + f] * p->scale;
        }
        intercepts[c] = point[c * (n + 1) + n] * p->scale + p->mean;
    }
    if (status == QN_OK) {
        status = qn_linear_create(p->link, coefficients, intercepts, p->n_dense, n - p->n_dense,
                                  p->k, &result->estimator, err);
    }
    qn_free(coefficients);
    qn_free(intercepts);
    return status;
}

static qn_status fit(const qn_learn_request *request, qn_learn_result *result, qn_error *err)
{
    const qn_dataset *data = request->data;
    struct problem p = {.data = data,
                        .link = data->task == QN_TASK_BINARY       ? QN_LINEAR_LOGISTIC
                                : data->task == QN_TASK_MULTICLASS ? QN_LINEAR_SOFTMAX
                                                                   : QN_LINEAR_IDENTITY,
                        .k = data->n_outputs,
                        .n = data->train.n_rows,
                        .n_dense = data->n_dense[QN_VIEW_DENSE],
                        .n_features = data->n_features[QN_VIEW_DENSE]};
    *result = (qn_learn_result){0};
    if (p.n_features == 0 || !data->train.views[QN_VIEW_DENSE].dense) {
        return qn_fail(err, QN_ERR_UNSUPPORTED, "there is no dense view to fit on");
    }
    const int64_t n_point = p.k * (p.n_features + 1);
    double *point = qn_alloc_array(n_point, sizeof *point);
    double *best = qn_alloc_array(n_point, sizeof *best);
    double *valid_margins = qn_alloc_array(data->valid.n_rows * p.k, sizeof *valid_margins);
    p.margins = qn_alloc_array(p.n * p.k, sizeof *p.margins);
    qn_status status = QN_OK;
    if (!point || !best || !valid_margins || !p.margins) {
        status = qn_fail(err, QN_ERR_NOMEM, "no memory for a linear model");
    }
    if (status == QN_OK) {
        scale_target(&p);
        status = follow_path(request, &p, point, best, valid_margins, result, err);
    }
    if (status == QN_OK) status = make_model(&p, best, result, err);
    qn_free(point);
    qn_free(best);
    qn_free(valid_margins);
    qn_free(p.margins);
    return status;
}

const qn_learner qn_learner_logistic = {
    .name = "logistic",
    .help = "logistic and multinomial regression with L2 penalty",
    .tasks = 1u << QN_TASK_BINARY | 1u << QN_TASK_MULTICLASS,
    .capabilities = QN_LEARNER_WEIGHTS | QN_LEARNER_PARTIAL,
    .view = QN_VIEW_DENSE,
    .params = logistic_params,
    .params_bytes = sizeof(struct linear_params),
    .fit = fit,
};

const qn_learner qn_learner_ridge = {
    .name = "ridge",
    .help = "linear regression with L2 penalty",
    .tasks = 1u << QN_TASK_REGRESSION | 1u << QN_TASK_RANKING,
    .capabilities = QN_LEARNER_WEIGHTS | QN_LEARNER_PARTIAL,
    .view = QN_VIEW_DENSE,
    .params = ridge_params,
    .params_bytes = sizeof(struct linear_params),
    .fit = fit,
};
