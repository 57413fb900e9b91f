/* SPDX-License-Identifier: Apache-2.0 */
/* Lasso and elastic net by coordinate descent along a path of penalties (Friedman, Hastie &
 * Tibshirani 2010), with the sequential strong rules (Tibshirani et al. 2012):
 *     minimise  1 / sum(w) sum_i w_i loss(y_i, b + x_i . beta)
 *               + alpha (l1_ratio |beta|_1 + (1 - l1_ratio) / 2 |beta|_2^2)
 * with half the squared error, or the log-loss of two classes by reweighted least squares. Columns
 * are centred without being touched: residuals are r_i + shift, and a step d along column j adds
 * d mean_j to the shift, so that only the column's own entries are visited. */
#include "learn/linear/linear_learners.h"

#include "base/alloc.h"
#include "learn/linear/columns.h"
#include "model/linear_model.h"

#include <math.h>
#include <string.h>

struct net_params {
    double alpha, l1_ratio;
    int64_t n_alphas;
    double eps;
    int64_t max_iter;
    double tol;
};

#define AT(member) offsetof(struct net_params, member)

static const qn_param params_table[] = {
    {"alpha", QN_PARAM_FLOAT, AT(alpha), 0, 1e12, 0, 0, true, 0, NULL,
     "penalty; 0: the best of the path on the validation rows, without them a hundredth of the"
     " largest"},
    {"l1_ratio", QN_PARAM_FLOAT, AT(l1_ratio), 0.001, 1, 0.05, 1, false, 0.5, NULL,
     "share of the absolute values in the penalty; 1: the lasso"},
    {"n_alphas", QN_PARAM_INT, AT(n_alphas), 2, 1000, 0, 0, false, 60, NULL,
     "penalties on the path"},
    {"eps", QN_PARAM_FLOAT, AT(eps), 1e-9, 0.9, 0, 0, true, 1e-4, NULL,
     "least penalty of the path, as a share of the largest, which leaves no coefficient"},
    {"max_iter", QN_PARAM_INT, AT(max_iter), 1, 1e9, 0, 0, false, 2000, NULL,
     "passes over the columns per penalty"},
    {"tol", QN_PARAM_FLOAT, AT(tol), 0, 1, 0, 0, false, 1e-8, NULL,
     "a pass that changes the fit by less than this share of the target's variance ends it"},
    {0}};

enum { REWEIGHTINGS_MAX = 50, WORSE_MAX = 5 };

struct net {
    const qn_dataset *data;
    const struct net_params *params;
    const qn_stop *stop;
    bool logistic;
    qn_columns columns;
    int64_t n, n_features;
    double total, spread; /* sum of weights; variance of the target */
    double unit;          /* of the target, to which the path is relative */
    double l1, l2;        /* of the present penalty */
    double *weights;      /* n: of the rows */
    double *omega;        /* n: of the squared errors */
    double *residuals;    /* n: without the shift */
    double *margins;      /* n: b + x . beta; logistic only */
    double shift, intercept;
    double *beta;            /* n_features */
    double *means, *squares; /* n_features, weighted by omega: mean; sum of (x - mean)^2 */
    double *slopes;          /* n_features: of the loss at the last penalty's solution */
    bool *is_candidate;      /* n_features: may be other than zero */
    int32_t *candidates;     /* those that are */
    int64_t n_candidates;
};

static double soft(double value, double threshold)
{
    return value > threshold ? value - threshold : value < -threshold ? value + threshold : 0;
}

/* Weighted means and sums of squares of the candidates. */
static void measure_columns(struct net *net)
{
    double total = 0;
    for (int64_t i = 0; i < net->n; i++) {
        total += net->omega[i];
    }
    for (int64_t c = 0; c < net->n_candidates; c++) {
        const int64_t f = net->candidates[c];
        double sum, squares;
        qn_columns_moments(&net->columns, f, net->omega, &sum, &squares);
        net->means[f] = sum / total;
        net->squares[f] = squares - sum * net->means[f];
    }
}

/* Minimises along one column; returns by how much the weighted squared error may have changed. */
static double step_along(struct net *net, int64_t f)
{
    const double before = net->beta[f], squares = net->squares[f];
    if (squares <= 0) return 0;
    /* The residuals sum to zero by omega, so that the column's mean does not matter here. */
    const double slope = qn_columns_dot(&net->columns, f, net->omega, net->residuals, net->shift);
    const double now =
        soft(slope + squares * before, net->l1 * net->total) / (squares + net->l2 * net->total);
    const double d = now - before;
    if (d == 0) return 0;
    net->beta[f] = now;
    qn_columns_add(&net->columns, f, -d, net->residuals);
    net->shift += d * net->means[f];
    net->intercept -= d * net->means[f];
    return squares * d * d;
}

/* The intercept takes what mean the residuals have. */
static void centre(struct net *net)
{
    double sum = 0, total = 0;
    for (int64_t i = 0; i < net->n; i++) {
        sum += net->omega[i] * (net->residuals[i] + net->shift);
        total += net->omega[i];
    }
    net->intercept += sum / total;
    net->shift -= sum / total;
}

static double sweep(struct net *net, bool only_active)
{
    double most = 0;
    for (int64_t c = 0; c < net->n_candidates; c++) {
        const int64_t f = net->candidates[c];
        if (only_active && net->beta[f] == 0) continue;
        most = fmax(most, step_along(net, f));
    }
    return most / net->total;
}

/* All candidates, then the active ones until they rest, until all rest. */
static void descend(struct net *net, int64_t *n_sweeps)
{
    const double enough = net->params->tol * net->spread;
    while (*n_sweeps < net->params->max_iter && !qn_stop_requested(net->stop)) {
        ++*n_sweeps;
        centre(net);
        if (sweep(net, false) <= enough) return;
        while (*n_sweeps < net->params->max_iter && !qn_stop_requested(net->stop)) {
            ++*n_sweeps;
            if (sweep(net, true) <= enough) break;
        }
    }
}

/* Squared errors that agree with the log-loss at the present margins to second order: omega =
 * w p (1 - p), residual = (y - p) / (p (1 - p)). */
static void reweight(struct net *net)
{
    const double *target = net->data->train.target;
    net->shift = 0;
    for (int64_t i = 0; i < net->n; i++) {
        const double p = fmin(fmax(1 / (1 + exp(-net->margins[i])), 1e-5), 1 - 1e-5);
        net->omega[i] = net->weights[i] * p * (1 - p);
        net->residuals[i] = (target[i] - p) / (p * (1 - p));
    }
}

/* How far the margins moved: the largest step, by its effect on the weighted squared error. */
static double move_margins(struct net *net, const double *before)
{
    double change = 0;
    for (int64_t i = 0; i < net->n; i++) {
        const double d = before[i] - (net->residuals[i] + net->shift);
        net->margins[i] += d;
        change += net->omega[i] * d * d;
    }
    return change / net->total;
}

static void solve(struct net *net, double *scratch, int64_t *n_sweeps)
{
    if (!net->logistic) {
        measure_columns(net);
        descend(net, n_sweeps);
        return;
    }
    for (int k = 0; k < REWEIGHTINGS_MAX && !qn_stop_requested(net->stop); k++) {
        reweight(net);
        memcpy(scratch, net->residuals, (size_t)net->n * sizeof *scratch);
        measure_columns(net);
        descend(net, n_sweeps);
        if (move_margins(net, scratch) <= net->params->tol * net->spread) return;
    }
}

/* slopes[f] = sum_i w_i x_if (y_i - prediction_i) / sum(w). */
static void find_slopes(struct net *net, double *scratch)
{
    const double *target = net->data->train.target;
    double sum = 0;
    for (int64_t i = 0; i < net->n; i++) {
        scratch[i] = net->logistic ? target[i] - 1 / (1 + exp(-net->margins[i]))
                                   : net->residuals[i] + net->shift;
        sum += net->weights[i] * scratch[i];
    }
    for (int64_t f = 0; f < net->n_features; f++) {
        net->slopes[f] =
            qn_columns_dot(&net->columns, f, net->weights, scratch, -sum / net->total) / net->total;
    }
}

static void add_candidate(struct net *net, int64_t f)
{
    net->is_candidate[f] = true;
    net->candidates[net->n_candidates++] = (int32_t)f;
}

/* A column whose slope was below l1 (2 alpha - the last alpha) will hardly enter; those that do all
 * the same are found afterwards, since their slope then exceeds what the penalty allows. */
static void solve_penalty(struct net *net, double alpha, double last_alpha, double *scratch,
                          int64_t *n_sweeps)
{
    const double ratio = net->params->l1_ratio;
    net->l1 = alpha * ratio;
    net->l2 = alpha * (1 - ratio) / net->unit;
    for (int64_t f = 0; f < net->n_features; f++) {
        if (!net->is_candidate[f] && fabs(net->slopes[f]) >= ratio * (2 * alpha - last_alpha)) {
            add_candidate(net, f);
        }
    }
    for (bool complete = false; !complete && !qn_stop_requested(net->stop);) {
        solve(net, scratch, n_sweeps);
        find_slopes(net, scratch);
        complete = true;
        for (int64_t f = 0; f < net->n_features; f++) {
            if (net->is_candidate[f] || fabs(net->slopes[f]) <= net->l1 * (1 + 1e-9)) continue;
            add_candidate(net, f);
            complete = false;
        }
    }
}

/* The constant model. */
static void begin(struct net *net, double *scratch)
{
    const double *target = net->data->train.target;
    double sum = 0, squares = 0;
    for (int64_t i = 0; i < net->n; i++) {
        net->weights[i] = net->data->train.weights ? net->data->train.weights[i] : 1;
        net->omega[i] = net->weights[i];
        net->total += net->weights[i];
        sum += net->weights[i] * target[i];
    }
    const double mean = sum / net->total;
    const double p = fmin(fmax(mean, 1e-5), 1 - 1e-5);
    net->intercept = net->logistic ? log(p / (1 - p)) : mean;
    for (int64_t i = 0; i < net->n; i++) {
        const double d = target[i] - mean;
        squares += net->weights[i] * d * d;
        net->residuals[i] = d;
        net->margins[i] = net->intercept;
    }
    net->spread = squares / net->total;
    /* With a penalty of the user's, the objective is as stated above. One that is chosen is chosen
     * for a target of variance one, lest the quadratic part depend on the target's unit. */
    net->unit = net->logistic || net->params->alpha > 0 || squares == 0 ? 1 : sqrt(net->spread);
    find_slopes(net, scratch);
}

static qn_status make_model(const struct net *net, const double *beta, double intercept,
                            qn_estimator **out, qn_error *err)
{
    const int64_t n_dense = net->data->n_dense[QN_VIEW_DENSE];
    return qn_linear_create(net->logistic ? QN_LINEAR_LOGISTIC : QN_LINEAR_IDENTITY, beta,
                            &intercept, n_dense, net->n_features - n_dense, 1, out, err);
}

/* Loss of the present coefficients on the validation rows. */
static qn_status validate(const struct net *net, double *predicted, double *loss, qn_error *err)
{
    const qn_dataset_part *valid = &net->data->valid;
    qn_estimator *model = NULL;
    QN_TRY(make_model(net, net->beta, net->intercept, &model, err));
    const qn_status status =
        qn_estimator_predict(model, &valid->views[QN_VIEW_DENSE], NULL, predicted, err);
    *loss = 0;
    for (int64_t i = 0; i < valid->n_rows && status == QN_OK; i++) {
        const double w = valid->weights ? valid->weights[i] : 1, y = valid->target[i];
        *loss += net->logistic ? -w * log(fmax(y == 1 ? predicted[i] : 1 - predicted[i], 1e-15))
                               : w * (y - predicted[i]) * (y - predicted[i]);
    }
    qn_estimator_free(model);
    return status;
}

struct best {
    double loss, intercept;
    double *beta;
};

static void keep(const struct net *net, double loss, struct best *best)
{
    best->loss = loss;
    best->intercept = net->intercept;
    memcpy(best->beta, net->beta, (size_t)net->n_features * sizeof *best->beta);
}

/* From the largest penalty down to the one asked for, or as long as validation gains. */
static qn_status follow_path(struct net *net, double *scratch, double *predicted, struct best *best,
                             int64_t *n_sweeps, qn_error *err)
{
    const struct net_params *params = net->params;
    const bool choose = params->alpha == 0 && net->data->valid.n_rows > 0;
    double largest = 0;
    int n_worse = 0;
    for (int64_t f = 0; f < net->n_features; f++) {
        largest = fmax(largest, fabs(net->slopes[f]) / params->l1_ratio);
    }
    const double least =
        params->alpha > 0 ? params->alpha : largest * (choose ? params->eps : 0.01);
    const double factor = pow(params->eps, 1.0 / (double)(params->n_alphas - 1));
    keep(net, QN_INF, best);
    for (double last = largest, alpha = largest; n_worse < WORSE_MAX; last = alpha) {
        alpha = fmax(least, alpha * factor);
        if (least >= largest) alpha = least; /* nothing enters, but the model is asked for */
        int64_t n_here = 0;
        solve_penalty(net, alpha, last, scratch, &n_here);
        *n_sweeps += n_here;
        double loss = 0;
        if (choose) QN_TRY(validate(net, predicted, &loss, err));
        n_worse = loss < best->loss || !choose ? 0 : n_worse + 1;
        if (n_worse == 0) keep(net, loss, best);
        if (alpha <= least * (1 + 1e-12) || qn_stop_requested(net->stop)) break;
    }
    return QN_OK;
}

static bool allocate(struct net *net, double **scratch, double **predicted, double **beta)
{
    const int64_t n = net->n, k = net->n_features;
    net->weights = qn_alloc_array(n, sizeof(double));
    net->omega = qn_alloc_array(n, sizeof(double));
    net->residuals = qn_alloc_array(n, sizeof(double));
    net->margins = qn_alloc_array(n, sizeof(double));
    net->beta = qn_alloc_array(k, sizeof(double));
    net->means = qn_alloc_array(k, sizeof(double));
    net->squares = qn_alloc_array(k, sizeof(double));
    net->slopes = qn_alloc_array(k, sizeof(double));
    net->is_candidate = qn_alloc_array(k, sizeof(bool));
    net->candidates = qn_alloc_array(k, sizeof(int32_t));
    *scratch = qn_alloc_array(n, sizeof(double));
    *predicted = qn_alloc_array(net->data->valid.n_rows, sizeof(double));
    *beta = qn_alloc_array(k, sizeof(double));
    return net->weights && net->omega && net->residuals && net->margins && net->beta &&
           net->means && net->squares && net->slopes && net->is_candidate && net->candidates &&
           *scratch && *predicted && *beta;
}

static void release(struct net *net)
{
    qn_columns_release(&net->columns);
    qn_free(net->weights);
    qn_free(net->omega);
    qn_free(net->residuals);
    qn_free(net->margins);
    qn_free(net->beta);
    qn_free(net->means);
    qn_free(net->squares);
    qn_free(net->slopes);
    qn_free(net->is_candidate);
    qn_free(net->candidates);
}

static qn_status fit(const qn_learn_request *request, qn_learn_result *result, qn_error *err)
{
    const qn_dataset *data = request->data;
    const qn_matrix *x = &data->train.views[QN_VIEW_DENSE];
    struct net net = {.data = data,
                      .params = request->params,
                      .stop = request->stop,
                      .logistic = data->task == QN_TASK_BINARY,
                      .n = data->train.n_rows,
                      .n_features = data->n_features[QN_VIEW_DENSE]};
    struct best best = {0};
    double *scratch = NULL, *predicted = NULL;
    *result = (qn_learn_result){0};
    if (net.n_features == 0 || !x->dense) {
        return qn_fail(err, QN_ERR_UNSUPPORTED, "there is no dense view to fit on");
    }
    qn_status status = qn_columns_init(&net.columns, x, err);
    if (status == QN_OK && !allocate(&net, &scratch, &predicted, &best.beta)) {
        status = qn_fail(err, QN_ERR_NOMEM, "no memory for a linear model");
    }
    if (status == QN_OK) {
        begin(&net, scratch);
        status = follow_path(&net, scratch, predicted, &best, &result->n_rounds, err);
        result->stopped = qn_stop_requested(request->stop);
    }
    if (status == QN_OK) {
        status = make_model(&net, best.beta, best.intercept, &result->estimator, err);
    }
    release(&net);
    qn_free(scratch);
    qn_free(predicted);
    qn_free(best.beta);
    return status;
}

const qn_learner qn_learner_elastic_net = {
    .name = "elastic_net",
    .help = "linear and logistic regression with L1 and L2 penalties, by coordinate descent",
    .source = "Friedman, Hastie & Tibshirani 2010, Tibshirani et al. 2012",
    .tasks = 1u << QN_TASK_BINARY | 1u << QN_TASK_REGRESSION | 1u << QN_TASK_RANKING,
    .capabilities = QN_LEARNER_WEIGHTS | QN_LEARNER_PARTIAL,
    .view = QN_VIEW_DENSE,
    .params = params_table,
    .params_bytes = sizeof(struct net_params),
    .fit = fit,
};
