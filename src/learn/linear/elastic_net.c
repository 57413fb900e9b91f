/* SPDX-License-Identifier: Apache-2.0 */
/* Lasso and elastic net by coordinate descent along a path of penalties (Friedman, Hastie &
 * Tibshirani 2010), with the sequential strong rules (Tibshirani et al. 2012):
 *     minimise  1 / sum(w) sum_i w_i loss(y_i, b + x_i . beta)
 *               + alpha (l1_ratio |beta|_1 + (1 - l1_ratio) / 2 |beta|_2^2)
 * with half the squared error, or the log-loss of classes by reweighted least squares, of several
 * classes one after the other until none moves (section 4 of the first). Columns
 * are centred without being touched: residuals are r_i + shift, and a step d along column j adds
 * d mean_j to the shift, so that only the column's own entries are visited. Squared errors of few
 * columns are descended on their Gram matrix instead (the first, 2.2), without the rows. */
#include "learn/linear/elastic_net.h"
#include "learn/class_weight.h"
#include "learn/linear/linear_fit.h"
#include "learn/linear/linear_learners.h"

#include "base/alloc.h"
#include "learn/linear/centred_gram.h"
#include "learn/linear/columns.h"
#include "linalg/kernels.h"
#include "model/linear_model.h"

#include <math.h>
#include <string.h>

#define AT(member) offsetof(qn_elastic_net_params, member)

static const qn_param params_table[] = {
    {"alpha", QN_PARAM_FLOAT, AT(alpha), 0, 1e12, 0, 0, true, 0, NULL,
     "penalty; 0: the best of the path on the validation rows"},
    QN_PARAM_CV(AT(cv)),
    {"l1_ratio", QN_PARAM_FLOAT, AT(l1_ratio), 0.001, 1, 0.05, 1, false, 0.5, NULL,
     "share of the absolute values in the penalty; 1: the lasso"},
    {"n_alphas", QN_PARAM_INT, AT(n_alphas), 2, 1000, 0, 0, false, 60, NULL,
     "penalties on the path"},
    {"eps", QN_PARAM_FLOAT, AT(eps), 1e-9, 0.9, 0, 0, true, 1e-4, NULL,
     "least penalty of the path, as a share of the largest, which leaves no coefficient"},
    QN_PARAM_CLASS_WEIGHT(AT(class_weight)),
    {"max_iter", QN_PARAM_INT, AT(max_iter), 1, 1e9, 0, 0, false, 2000, NULL,
     "passes over the columns per penalty"},
    {"tol", QN_PARAM_FLOAT, AT(tol), 0, 1, 0, 0, false, 1e-8, NULL,
     "a pass that changes the fit by less than this share of the target's variance ends it"},
    {0}};

/* A Gram matrix costs as much as some columns / 2 passes over the rows, a path some hundreds. */
enum { REWEIGHTINGS_MAX = 50, WORSE_MAX = 5, GRAM_COLUMNS_MAX = 256 };

struct net_output {
    double intercept;
    double *beta;        /* n_features */
    double *slopes;      /* n_features: of the loss at the last penalty's solution */
    bool *is_candidate;  /* n_features: may be other than zero */
    int32_t *candidates; /* those that are */
    int64_t n_candidates;
};

struct net {
    const qn_dataset *data;
    const qn_elastic_net_params *params;
    const qn_stop *stop;
    bool logistic;
    int32_t n_outputs; /* classes beyond two have one each */
    qn_columns columns;
    int64_t n, n_features;
    int64_t fold, n_folds;   /* rows of `fold` among n_folds are left out; 0: all are fitted */
    double alpha;            /* asked for, of the mean loss; 0: to be chosen */
    double total, spread;    /* sum of weights; variance of the target */
    double unit;             /* of the target, to which the path is relative */
    double l1, l2;           /* of the present penalty */
    double *weights;         /* n: of the rows */
    double *left_out;        /* n: of the rows left out, of others 0 */
    double *omega;           /* n: of the squared errors */
    double *residuals;       /* n: without the shift */
    double *margins;         /* n_outputs × n: b + x . beta; logistic only */
    double *means, *squares; /* n_features, weighted by omega: mean; sum of (x - mean)^2 */
    double shift;
    double *gram;  /* n_features × n_features, about the means; NULL: residuals are kept instead */
    double *start; /* n_features: slopes, times total, where all coefficients are 0 */
    double *inner; /* the same where they are now */
    struct net_output *outputs;    /* n_outputs */
    struct net_output *at;         /* the one that is worked on */
    double *all_beta, *all_slopes; /* what the outputs point into */
    bool *all_flags;
    int32_t *all_candidates;
};

static double soft(double value, double threshold)
{
    return value > threshold ? value - threshold : value < -threshold ? value + threshold : 0;
}

/* Weighted means and sums of squares of the candidates. */
static void measure_columns(struct net *net)
{
    double total = 0;
    if (net->gram) return; /* known from the beginning */
    for (int64_t i = 0; i < net->n; i++) {
        total += net->omega[i];
    }
    for (int64_t c = 0; c < net->at->n_candidates; c++) {
        const int64_t f = net->at->candidates[c];
        double sum, squares;
        qn_columns_moments(&net->columns, f, net->omega, &sum, &squares);
        net->means[f] = sum / total;
        net->squares[f] = squares - sum * net->means[f];
    }
}

/* Minimises along one column; returns by how much the weighted squared error may have changed. */
static double step_along(struct net *net, int64_t f)
{
    const double before = net->at->beta[f], squares = net->squares[f];
    if (squares <= 0) return 0;
    /* The residuals sum to zero by omega, so that the column's mean does not matter here. */
    const double slope =
        net->gram ? net->inner[f]
                  : qn_columns_dot(&net->columns, f, net->omega, net->residuals, net->shift);
    const double now =
        soft(slope + squares * before, net->l1 * net->total) / (squares + net->l2 * net->total);
    const double d = now - before;
    if (d == 0) return 0;
    net->at->beta[f] = now;
    net->at->intercept -= d * net->means[f];
    if (net->gram) {
        qn_add_scaled(-d, net->gram + f * net->n_features, net->inner, net->n_features);
    } else {
        qn_columns_add(&net->columns, f, -d, net->residuals);
        net->shift += d * net->means[f];
    }
    return squares * d * d;
}

/* The intercept takes what mean the residuals have. */
static void centre(struct net *net)
{
    double sum = 0, total = 0;
    if (net->gram) return; /* columns about their means cannot change it */
    for (int64_t i = 0; i < net->n; i++) {
        sum += net->omega[i] * (net->residuals[i] + net->shift);
        total += net->omega[i];
    }
    net->at->intercept += sum / total;
    net->shift -= sum / total;
}

static double sweep(struct net *net, bool only_active)
{
    double most = 0;
    for (int64_t c = 0; c < net->at->n_candidates; c++) {
        const int64_t f = net->at->candidates[c];
        if (only_active && net->at->beta[f] == 0) continue;
        most = fmax(most, step_along(net, f));
    }
    return most / net->total;
}

/* All candidates, then the active ones until they rest, until all rest. */
static void descend(struct net *net, int64_t *n_sweeps)
{
    const double enough = net->params->tol * net->spread;
    while (*n_sweeps < net->params->max_iter * net->n_outputs && !qn_stop_requested(net->stop)) {
        ++*n_sweeps;
        centre(net);
        if (sweep(net, false) <= enough) return;
        while (*n_sweeps < net->params->max_iter * net->n_outputs &&
               !qn_stop_requested(net->stop)) {
            ++*n_sweeps;
            if (sweep(net, true) <= enough) break;
        }
    }
}

static int64_t output_of(const struct net *net)
{
    return net->at - net->outputs;
}

/* 1 for rows of the present output's class; the number in regression. */
static double target_of(const struct net *net, int64_t i)
{
    const double y = net->data->train.target[i];
    return net->n_outputs > 1 ? y == (double)output_of(net) : y;
}

/* Of the present output's class in row i. */
static double probability(const struct net *net, int64_t i)
{
    const double own = net->margins[output_of(net) * net->n + i];
    double sum = 0;
    if (net->n_outputs == 1) return 1 / (1 + exp(-own));
    for (int32_t c = 0; c < net->n_outputs; c++) {
        sum += exp(net->margins[c * net->n + i] - own);
    }
    return 1 / sum;
}

/* Squared errors that agree with the log-loss at the present margins to second order: omega =
 * w p (1 - p), residual = (y - p) / (p (1 - p)). */
static void reweight(struct net *net)
{
    net->shift = 0;
    for (int64_t i = 0; i < net->n; i++) {
        const double p = fmin(fmax(probability(net, i), 1e-5), 1 - 1e-5);
        net->omega[i] = net->weights[i] * p * (1 - p);
        net->residuals[i] = (target_of(net, i) - p) / (p * (1 - p));
    }
}

/* How far the margins moved: the largest step, by its effect on the weighted squared error. */
static double move_margins(struct net *net, const double *before)
{
    double change = 0, *margins = net->margins + output_of(net) * net->n;
    for (int64_t i = 0; i < net->n; i++) {
        const double d = before[i] - (net->residuals[i] + net->shift);
        margins[i] += d;
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
        double change = 0;
        for (int32_t c = 0; c < net->n_outputs; c++) {
            net->at = &net->outputs[c];
            reweight(net);
            memcpy(scratch, net->residuals, (size_t)net->n * sizeof *scratch);
            measure_columns(net);
            descend(net, n_sweeps);
            change = fmax(change, move_margins(net, scratch));
        }
        if (change <= net->params->tol * net->spread) return;
    }
}

/* Slopes by the Gram matrix, anew, lest rounding add up along the path. */
static void find_slopes_of_gram(struct net *net)
{
    const int64_t p = net->n_features;
    memcpy(net->inner, net->start, (size_t)p * sizeof *net->inner);
    for (int64_t f = 0; f < p; f++) {
        if (net->at->beta[f] != 0) {
            qn_add_scaled(-net->at->beta[f], net->gram + f * p, net->inner, p);
        }
    }
    for (int64_t f = 0; f < p; f++) {
        net->at->slopes[f] = net->inner[f] / net->total;
    }
}

/* slopes[f] = sum_i w_i x_if (y_i - prediction_i) / sum(w). */
static void find_slopes(struct net *net, double *scratch)
{
    double sum = 0;
    if (net->gram) {
        find_slopes_of_gram(net);
        return;
    }
    for (int64_t i = 0; i < net->n; i++) {
        scratch[i] = net->logistic ? target_of(net, i) - probability(net, i)
                                   : net->residuals[i] + net->shift;
        sum += net->weights[i] * scratch[i];
    }
    for (int64_t f = 0; f < net->n_features; f++) {
        net->at->slopes[f] =
            qn_columns_dot(&net->columns, f, net->weights, scratch, -sum / net->total) / net->total;
    }
}

static void find_all_slopes(struct net *net, double *scratch)
{
    for (int32_t c = 0; c < net->n_outputs; c++) {
        net->at = &net->outputs[c];
        find_slopes(net, scratch);
    }
    net->at = net->outputs;
}

static void add_candidate(struct net_output *output, int64_t f)
{
    output->is_candidate[f] = true;
    output->candidates[output->n_candidates++] = (int32_t)f;
}

/* Columns with a slope of more than `threshold` become candidates; returns whether there were any.
 */
static bool add_candidates(struct net *net, double threshold)
{
    bool any = false;
    for (int32_t c = 0; c < net->n_outputs; c++) {
        struct net_output *output = &net->outputs[c];
        for (int64_t f = 0; f < net->n_features; f++) {
            if (output->is_candidate[f] || fabs(output->slopes[f]) <= threshold) continue;
            add_candidate(output, f);
            any = true;
        }
    }
    return any;
}

/* A column whose slope was below l1 (2 alpha - the last alpha) will hardly enter; those that do all
 * the same are found afterwards, since their slope then exceeds what the penalty allows. */
static void solve_penalty(struct net *net, double alpha, double last_alpha, double *scratch,
                          int64_t *n_sweeps)
{
    const double ratio = net->params->l1_ratio;
    net->l1 = alpha * ratio;
    net->l2 = alpha * (1 - ratio) / net->unit;
    add_candidates(net, ratio * (2 * alpha - last_alpha) * (1 - 1e-12));
    do {
        solve(net, scratch, n_sweeps);
        find_all_slopes(net, scratch);
    } while (!qn_stop_requested(net->stop) && add_candidates(net, net->l1 * (1 + 1e-9)));
}

static void set_weights(struct net *net)
{
    const qn_dataset_part *train = &net->data->train;
    double of_class[QN_CLASSES_MAX];
    const bool balanced = qn_class_weights(net->data, net->params->class_weight, of_class);
    net->total = 0;
    for (int64_t i = 0; i < net->n; i++) {
        net->weights[i] = train->weights ? train->weights[i] : 1;
        net->left_out[i] = 0;
        if (balanced) net->weights[i] *= of_class[(int32_t)train->target[i]];
        if (net->n_folds > 0 && i % net->n_folds == net->fold) {
            net->left_out[i] = net->weights[i];
            net->weights[i] = 0;
        }
        net->total += net->weights[i];
    }
}

/* The constant model of the present output; returns the sum of squares about it. */
static double begin_output(struct net *net)
{
    double sum = 0, squares = 0, *margins = net->margins + output_of(net) * net->n;
    for (int64_t i = 0; i < net->n; i++) {
        net->omega[i] = net->weights[i];
        sum += net->weights[i] * target_of(net, i);
    }
    const double mean = sum / net->total, p = fmin(fmax(mean, 1e-5), 1 - 1e-5);
    net->at->intercept = !net->logistic ? mean : net->n_outputs == 1 ? log(p / (1 - p)) : log(p);
    for (int64_t i = 0; i < net->n; i++) {
        const double d = target_of(net, i) - mean;
        squares += net->weights[i] * d * d;
        net->residuals[i] = d;
        margins[i] = net->at->intercept;
    }
    return squares;
}

static void begin(struct net *net, double *scratch)
{
    double squares = 0;
    set_weights(net);
    for (int32_t c = 0; c < net->n_outputs; c++) {
        net->at = &net->outputs[c];
        squares += begin_output(net) / net->n_outputs;
    }
    net->spread = squares / net->total;
    /* With a penalty of the user's, the objective is as stated above. One that is chosen is chosen
     * for a target of variance one, lest the quadratic part depend on the target's unit. */
    net->unit = net->logistic || net->params->alpha > 0 || squares == 0 ? 1 : sqrt(net->spread);
    find_all_slopes(net, scratch);
}

/* The Gram matrix in place of the rows, and slopes where begin() left the coefficients: at 0. */
static qn_status begin_gram(struct net *net, const qn_learn_request *request, qn_error *err)
{
    const int64_t p = net->n_features;
    if (net->logistic || p > GRAM_COLUMNS_MAX || net->n < p) return QN_OK;
    net->gram = qn_alloc_array(p * p, sizeof *net->gram);
    net->start = qn_alloc_array(p, sizeof *net->start);
    net->inner = qn_alloc_array(p, sizeof *net->inner);
    if (!net->gram || !net->start || !net->inner) {
        return qn_fail(err, QN_ERR_NOMEM, "no memory for a linear model");
    }
    QN_TRY(qn_centred_gram(&net->data->train.views[QN_VIEW_DENSE], net->weights, net->total,
                           request->pool, net->gram, net->means, err));
    for (int64_t f = 0; f < p; f++) {
        net->squares[f] = net->gram[f * (p + 1)];
        net->start[f] = net->inner[f] = net->at->slopes[f] * net->total;
    }
    return QN_OK;
}

static void release_gram(struct net *net)
{
    qn_free(net->gram);
    qn_free(net->start);
    qn_free(net->inner);
    net->gram = net->start = net->inner = NULL;
}

/* ---- the path ---- */

struct best {
    double loss;
    double *beta, *intercepts; /* n_outputs × n_features; n_outputs */
};

static qn_status make_model(const struct net *net, const struct best *best, qn_estimator **out,
                            qn_error *err)
{
    const int64_t n_dense = net->data->n_dense[QN_VIEW_DENSE];
    const qn_linear_link link = !net->logistic        ? QN_LINEAR_IDENTITY
                                : net->n_outputs == 1 ? QN_LINEAR_LOGISTIC
                                                      : QN_LINEAR_SOFTMAX;
    return qn_linear_create(link, best->beta, best->intercepts, n_dense, net->n_features - n_dense,
                            net->n_outputs, out, err);
}

static void keep(const struct net *net, double loss, struct best *best)
{
    best->loss = loss;
    memcpy(best->beta, net->all_beta,
           (size_t)(net->n_features * net->n_outputs) * sizeof *best->beta);
    for (int32_t c = 0; c < net->n_outputs; c++) {
        best->intercepts[c] = net->outputs[c].intercept;
    }
}

/* Loss of the present coefficients on the validation rows, or on the training rows that are left
 * out; `last` is room for them. */
static qn_status validate(const struct net *net, double *predicted, struct best *last,
                          qn_error *err)
{
    const bool folds = net->n_folds > 0;
    const qn_dataset_part *part = folds ? &net->data->train : &net->data->valid;
    const double *weights = folds ? net->left_out : part->weights;
    const int32_t k = net->n_outputs;
    qn_estimator *model = NULL;
    keep(net, 0, last);
    QN_TRY(make_model(net, last, &model, err));
    const qn_status status =
        qn_estimator_predict(model, &part->views[QN_VIEW_DENSE], NULL, predicted, err);
    for (int64_t i = 0; i < part->n_rows && status == QN_OK; i++) {
        const double w = weights ? weights[i] : 1, y = part->target[i];
        const double p = k > 1    ? predicted[i * k + (int64_t)y]
                         : y == 1 ? predicted[i]
                                  : 1 - predicted[i];
        last->loss +=
            net->logistic ? -w * log(fmax(p, 1e-15)) : w * (y - predicted[i]) * (y - predicted[i]);
    }
    qn_estimator_free(model);
    return status;
}

/* The least penalty that leaves no coefficient. */
static double largest_alpha(const struct net *net)
{
    double largest = 0;
    for (int64_t at = 0; at < net->n_features * net->n_outputs; at++) {
        largest = fmax(largest, fabs(net->all_slopes[at]) / net->params->l1_ratio);
    }
    return largest;
}

/* From the largest penalty down to the one asked for, or as long as validation gains. */
static qn_status follow_path(struct net *net, double *scratch, double *predicted, struct best *best,
                             struct best *last_fit, int64_t *n_sweeps, qn_error *err)
{
    const qn_elastic_net_params *params = net->params;
    const bool choose = net->alpha == 0 && net->data->valid.n_rows > 0;
    const double largest = largest_alpha(net);
    const double least = net->alpha > 0 ? net->alpha : largest * (choose ? params->eps : 0.01);
    double factor = pow(params->eps, 1.0 / (double)(params->n_alphas - 1));
    /* Where only the end counts, steps are as long as the strong rules are of use. */
    if (!choose) factor = fmin(factor, 0.6);
    int n_worse = 0;
    keep(net, QN_INF, best);
    for (double last = largest, alpha = largest; n_worse < WORSE_MAX; last = alpha) {
        alpha = fmax(least, alpha * factor);
        if (least >= largest) alpha = least; /* nothing enters, but the model is asked for */
        int64_t n_here = 0;
        solve_penalty(net, alpha, last, scratch, &n_here);
        *n_sweeps += n_here;
        last_fit->loss = 0;
        if (choose) QN_TRY(validate(net, predicted, last_fit, err));
        n_worse = last_fit->loss < best->loss || !choose ? 0 : n_worse + 1;
        if (n_worse == 0) keep(net, last_fit->loss, best);
        if (alpha <= least * (1 + 1e-12) || qn_stop_requested(net->stop)) break;
    }
    return QN_OK;
}

/* ---- folds ---- */

/* From the beginning, without the rows of the present fold. */
static qn_status restart(struct net *net, const qn_learn_request *request, double *scratch,
                         qn_error *err)
{
    const size_t n = (size_t)(net->n_features * net->n_outputs);
    release_gram(net);
    memset(net->all_beta, 0, n * sizeof *net->all_beta);
    memset(net->all_flags, 0, n * sizeof *net->all_flags);
    for (int32_t c = 0; c < net->n_outputs; c++) {
        net->outputs[c].n_candidates = 0;
    }
    net->shift = 0;
    begin(net, scratch);
    return begin_gram(net, request, err);
}

/* The whole path without the rows of a fold: `losses` gain what those then lose. */
static qn_status follow_fold(struct net *net, const double *alphas, double *scratch,
                             double *predicted, struct best *last_fit, double *losses,
                             int64_t *n_sweeps, qn_error *err)
{
    for (int64_t a = 0; a < net->params->n_alphas && net->total > 0; a++) {
        int64_t n_here = 0;
        solve_penalty(net, alphas[a], alphas[a > 0 ? a - 1 : 0], scratch, &n_here);
        *n_sweeps += n_here;
        last_fit->loss = 0;
        QN_TRY(validate(net, predicted, last_fit, err));
        losses[a] += last_fit->loss;
    }
    return QN_OK;
}

/* The penalty of the path with the least loss of all rows, each by the fit without its fold, to
 * net->alpha, and all rows to the beginning again. Penalties are those of all rows. */
static qn_status choose_by_folds(struct net *net, int64_t n_folds, const qn_learn_request *request,
                                 double *scratch, double *predicted, struct best *last_fit,
                                 int64_t *n_sweeps, qn_error *err)
{
    const int64_t n = net->params->n_alphas;
    const double factor = pow(net->params->eps, 1.0 / (double)(n - 1));
    double *alphas = qn_alloc_array(3 * n, sizeof *alphas);
    if (!alphas) return qn_fail(err, QN_ERR_NOMEM, "no memory for a linear model");
    double *so_far = alphas + n, *losses = so_far + n;
    qn_status status = QN_OK;
    alphas[0] = largest_alpha(net);
    for (int64_t a = 1; a < n; a++) {
        alphas[a] = alphas[a - 1] * factor;
    }
    net->n_folds = n_folds;
    for (net->fold = 0; net->fold < n_folds && status == QN_OK; net->fold++) {
        status = restart(net, request, scratch, err);
        if (status == QN_OK) {
            status = follow_fold(net, alphas, scratch, predicted, last_fit, so_far, n_sweeps, err);
        }
        if (qn_stop_requested(net->stop)) break; /* a fold cut short says nothing */
        if (status == QN_OK) memcpy(losses, so_far, (size_t)n * sizeof *losses);
    }
    int64_t chosen = n / 2;
    for (int64_t a = 0; a < n; a++) {
        if (losses[a] < losses[chosen]) chosen = a;
    }
    net->n_folds = 0;
    net->alpha = alphas[chosen];
    qn_free(alphas);
    return status == QN_OK ? restart(net, request, scratch, err) : status;
}

/* ---- */

static void point_outputs(struct net *net)
{
    for (int32_t c = 0; c < net->n_outputs; c++) {
        const int64_t first = c * net->n_features;
        net->outputs[c] = (struct net_output){.beta = net->all_beta + first,
                                              .slopes = net->all_slopes + first,
                                              .is_candidate = net->all_flags + first,
                                              .candidates = net->all_candidates + first};
    }
    net->at = net->outputs;
}

static bool allocate_best(const struct net *net, struct best *best)
{
    best->beta = qn_alloc_array(net->n_features * net->n_outputs, sizeof *best->beta);
    best->intercepts = qn_alloc_array(net->n_outputs, sizeof *best->intercepts);
    return best->beta && best->intercepts;
}

static void release_best(struct best *best)
{
    qn_free(best->beta);
    qn_free(best->intercepts);
}

static bool allocate(struct net *net)
{
    const int64_t n = net->n, p = net->n_features, k = net->n_outputs;
    net->weights = qn_alloc_array(n, sizeof *net->weights);
    net->left_out = qn_alloc_array(n, sizeof *net->left_out);
    net->omega = qn_alloc_array(n, sizeof *net->omega);
    net->residuals = qn_alloc_array(n, sizeof *net->residuals);
    net->margins = qn_alloc_array(n * k, sizeof *net->margins);
    net->means = qn_alloc_array(p, sizeof *net->means);
    net->squares = qn_alloc_array(p, sizeof *net->squares);
    net->outputs = qn_alloc_array(k, sizeof *net->outputs);
    net->all_beta = qn_alloc_array(p * k, sizeof *net->all_beta);
    net->all_slopes = qn_alloc_array(p * k, sizeof *net->all_slopes);
    net->all_flags = qn_alloc_array(p * k, sizeof *net->all_flags);
    net->all_candidates = qn_alloc_array(p * k, sizeof *net->all_candidates);
    return net->weights && net->left_out && net->omega && net->residuals && net->margins &&
           net->means && net->squares && net->outputs && net->all_beta && net->all_slopes &&
           net->all_flags && net->all_candidates;
}

static void release(struct net *net)
{
    qn_columns_release(&net->columns);
    qn_free(net->weights);
    qn_free(net->left_out);
    qn_free(net->omega);
    qn_free(net->residuals);
    qn_free(net->margins);
    qn_free(net->means);
    qn_free(net->squares);
    qn_free(net->outputs);
    qn_free(net->all_beta);
    qn_free(net->all_slopes);
    qn_free(net->all_flags);
    qn_free(net->all_candidates);
    release_gram(net);
}

qn_status qn_elastic_net_fit(const qn_learn_request *request, const qn_elastic_net_params *params,
                             qn_learn_result *result, qn_error *err)
{
    const qn_dataset *data = request->data;
    const qn_matrix *x = &data->train.views[QN_VIEW_DENSE];
    struct net net = {.data = data,
                      .params = params,
                      .stop = request->stop,
                      .logistic = data->task == QN_TASK_BINARY || data->task == QN_TASK_MULTICLASS,
                      .n_outputs = data->n_outputs,
                      .n = data->train.n_rows,
                      .n_features = data->n_features[QN_VIEW_DENSE]};
    struct best best = {0}, last = {0};
    const int64_t n_folds = qn_penalty_folds(data, params->alpha, params->cv);
    const int64_t n_judged = n_folds > 0 && data->train.n_rows > data->valid.n_rows
                                 ? data->train.n_rows
                                 : data->valid.n_rows;
    *result = (qn_learn_result){0};
    if (net.n_features == 0 || !x->dense) {
        return qn_fail(err, QN_ERR_UNSUPPORTED, "there is no dense view to fit on");
    }
    double *scratch = qn_alloc_array(net.n, sizeof *scratch);
    double *predicted = qn_alloc_array(n_judged * net.n_outputs, sizeof *predicted);
    qn_status status = qn_columns_init(&net.columns, x, err);
    if (status == QN_OK && (!allocate(&net) || !allocate_best(&net, &best) ||
                            !allocate_best(&net, &last) || !scratch || !predicted)) {
        status = qn_fail(err, QN_ERR_NOMEM, "no memory for a linear model");
    }
    if (status == QN_OK) {
        point_outputs(&net);
        begin(&net, scratch);
        net.alpha = params->alpha_is_sum ? params->alpha / net.total : params->alpha;
        status = begin_gram(&net, request, err);
    }
    if (status == QN_OK && n_folds > 0) {
        status = choose_by_folds(&net, n_folds, request, scratch, predicted, &last,
                                 &result->n_rounds, err);
    }
    if (status == QN_OK) {
        status = follow_path(&net, scratch, predicted, &best, &last, &result->n_rounds, err);
        result->stopped = qn_stop_requested(request->stop);
    }
    if (status == QN_OK) status = make_model(&net, &best, &result->estimator, err);
    release(&net);
    release_best(&best);
    release_best(&last);
    qn_free(scratch);
    qn_free(predicted);
    return status;
}

static qn_status fit(const qn_learn_request *request, qn_learn_result *result, qn_error *err)
{
    return qn_elastic_net_fit(request, request->params, result, err);
}

const qn_learner qn_learner_elastic_net = {
    .name = "elastic_net",
    .help = "linear, logistic and multinomial regression with L1 and L2 penalties, by coordinate "
            "descent",
    .source = "Friedman, Hastie & Tibshirani 2010, Tibshirani et al. 2012",
    .tasks = 1u << QN_TASK_BINARY | 1u << QN_TASK_MULTICLASS | 1u << QN_TASK_REGRESSION |
             1u << QN_TASK_RANKING,
    .capabilities = QN_LEARNER_WEIGHTS | QN_LEARNER_PARTIAL,
    .view = QN_VIEW_DENSE,
    .params = params_table,
    .params_bytes = sizeof(qn_elastic_net_params),
    .fit = fit,
};
