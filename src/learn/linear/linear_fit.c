/* SPDX-License-Identifier: Apache-2.0 */
#include "learn/linear/linear_fit.h"

#include "base/alloc.h"
#include "base/number.h"
#include "learn/class_weight.h"

#include <math.h>
#include <string.h>

enum { WORSE_MAX = 2, PATH_MAX = 16 };

static double part_weight(const qn_dataset_part *part, int64_t i)
{
    return part->weights ? part->weights[i] : 1;
}

static bool has_log_link(qn_glm_loss loss)
{
    return loss == QN_GLM_POISSON || loss == QN_GLM_GAMMA || loss == QN_GLM_TWEEDIE;
}

/* Whether the target is a number that may be moved and scaled. */
static bool scales_target(const qn_linear_problem *p)
{
    return p->request->data->n_classes == 0 && !has_log_link(p->plan->loss);
}

static bool has_width_of_target(qn_glm_loss loss)
{
    return loss == QN_GLM_INSENSITIVE || loss == QN_GLM_SQUARED_INSENSITIVE;
}

/* ---- target and weights ---- */

static double fitted_target(const qn_linear_problem *p, double y)
{
    return p->positive >= 0 ? y == p->positive : (y - p->mean) / p->scale;
}

static void scale_target(qn_linear_problem *p)
{
    const qn_dataset_part *train = &p->request->data->train;
    double total = 0, sum = 0, squares = 0;
    p->scale = 1;
    if (!scales_target(p)) return;
    for (int64_t i = 0; i < train->n_rows; i++) {
        total += part_weight(train, i);
        sum += part_weight(train, i) * train->target[i];
    }
    p->mean = sum / total;
    for (int64_t i = 0; i < train->n_rows; i++) {
        const double d = train->target[i] - p->mean;
        squares += part_weight(train, i) * d * d;
    }
    if (squares > 0) p->scale = sqrt(squares / total);
    if (p->plan->penalises_intercept && p->plan->penalty > 0) p->mean = 0;
}

/* Weights of the rows, with those of their classes. */
static void set_weights(qn_linear_problem *p)
{
    const qn_dataset *data = p->request->data;
    double of_class[QN_CLASSES_MAX];
    const bool balanced = qn_class_weights(data, p->plan->class_weight, of_class);
    p->glm.total = 0;
    for (int64_t i = 0; i < data->train.n_rows; i++) {
        p->weights[i] = part_weight(&data->train, i);
        if (balanced) p->weights[i] *= of_class[(int32_t)data->train.target[i]];
        p->glm.total += p->weights[i];
    }
}

/* The constant model, or what is near it. */
static void begin(qn_linear_problem *p)
{
    const qn_glm *glm = &p->glm;
    double sum = 0;
    memset(p->point, 0, (size_t)(glm->n_outputs * p->design.n_cols) * sizeof *p->point);
    for (int64_t i = 0; i < p->design.n_rows; i++) {
        p->target[i] = fitted_target(p, p->request->data->train.target[i]);
        sum += p->weights[i] * p->target[i];
    }
    const double mean = sum / glm->total;
    double *intercept = &p->point[p->design.intercept];
    if (has_log_link(glm->loss) && mean > 0) *intercept = log(mean);
    if (glm->loss == QN_GLM_LOGISTIC && mean > 0 && mean < 1) *intercept = log(mean / (1 - mean));
}

qn_status qn_linear_problem_init(qn_linear_problem *p, const qn_learn_request *request,
                                 const qn_linear_plan *plan, qn_error *err)
{
    const qn_dataset *data = request->data;
    const qn_matrix *x = &data->train.views[QN_VIEW_DENSE];
    *p = (qn_linear_problem){.request = request, .plan = plan, .positive = -1};
    if (data->n_features[QN_VIEW_DENSE] == 0 || !x->dense) {
        return qn_fail(err, QN_ERR_UNSUPPORTED, "there is no dense view to fit on");
    }
    QN_TRY(qn_design_init(&p->design, x, request->pool, err));
    const int64_t n_point = plan->n_outputs * p->design.n_cols;
    p->target = qn_alloc_array(data->train.n_rows, sizeof *p->target);
    p->weights = qn_alloc_array(data->train.n_rows, sizeof *p->weights);
    p->point = qn_alloc_array(n_point, sizeof *p->point);
    p->best = qn_alloc_array(n_point, sizeof *p->best);
    if (!p->target || !p->weights || !p->point || !p->best) {
        qn_linear_problem_release(p);
        return qn_fail(err, QN_ERR_NOMEM, "no memory for a linear model");
    }
    scale_target(p);
    p->glm = (qn_glm){.design = &p->design,
                      .target = p->target,
                      .weights = p->weights,
                      .loss = plan->loss,
                      .shape = plan->shape / (has_width_of_target(plan->loss) ? p->scale : 1),
                      .n_outputs = plan->n_outputs,
                      .penalises_intercept = plan->penalises_intercept,
                      .dual = plan->dual,
                      .max_iter = plan->max_iter,
                      .tol = plan->tol,
                      .seed = request->seed,
                      .stop = request->stop,
                      .pool = request->pool};
    set_weights(p);
    begin(p);
    return QN_OK;
}

void qn_linear_problem_release(qn_linear_problem *p)
{
    qn_design_release(&p->design);
    qn_free(p->target);
    qn_free(p->weights);
    qn_free(p->point);
    qn_free(p->best);
    *p = (qn_linear_problem){0};
}

void qn_linear_problem_set_class(qn_linear_problem *p, int32_t positive)
{
    p->positive = positive;
    begin(p);
}

/* ---- the path ---- */

static int penalties_of(const qn_linear_problem *p, double *out)
{
    const qn_linear_plan *plan = p->plan;
    const double total = p->glm.total;
    const bool chooses =
        plan->penalty == 0 && (plan->n_folds > 0 || p->request->data->valid.n_rows > 0);
    if (plan->penalty > 0) {
        out[0] = plan->unit == QN_PENALTY_MEAN  ? plan->penalty
                 : plan->unit == QN_PENALTY_SUM ? plan->penalty / total
                                                : plan->penalty * p->scale / total;
        return 1;
    }
    for (int i = 0; i < plan->n_path; i++) {
        out[i] = plan->path_is_sum ? plan->path[i] / total : plan->path[i];
    }
    if (!chooses) out[0] = out[plan->n_path / 2];
    return chooses ? plan->n_path : 1;
}

void qn_linear_problem_margins(const qn_linear_problem *p, const double *point, const qn_matrix *x,
                               double *margins)
{
    const qn_design *d = &p->design;
    memset(margins, 0, (size_t)(x->n_rows * p->glm.n_outputs) * sizeof *margins);
    for (int64_t c = 0; c < d->n_cols * p->glm.n_outputs; c++) {
        const int32_t feature = d->features[c % d->n_cols];
        double *out = margins + c / d->n_cols * x->n_rows;
        const double b = point[c];
        if (b == 0 || feature >= x->n_dense) continue;
        for (int64_t i = 0; i < x->n_rows; i++) {
            out[i] += feature < 0 ? b : b * x->dense[feature * x->stride + i];
        }
    }
    if (x->n_sparse == 0) return;
    /* Sparse columns of the view stand last, in its order. */
    for (int32_t k = 0; k < p->glm.n_outputs; k++) {
        const double *sparse = point + (k + 1) * d->n_cols - x->n_sparse;
        for (int64_t i = 0; i < x->n_rows; i++) {
            for (int64_t j = x->sparse_starts[i]; j < x->sparse_starts[i + 1]; j++) {
                margins[k * x->n_rows + i] +=
                    sparse[x->sparse_cols[j]] * (double)x->sparse_values[j];
            }
        }
    }
}

static double validation_loss(const qn_linear_problem *p, double *margins)
{
    const qn_dataset_part *valid = &p->request->data->valid;
    double sum = 0;
    qn_linear_problem_margins(p, p->point, &valid->views[QN_VIEW_DENSE], margins);
    for (int64_t i = 0; i < valid->n_rows; i++) {
        sum += qn_glm_row(&p->glm, fitted_target(p, valid->target[i]), part_weight(valid, i),
                          margins + i, valid->n_rows);
    }
    return sum;
}

/* Weights of the rows that fold `fold` fits; `weights` are those of all. */
static void weigh_fold(qn_linear_problem *p, const double *weights, int64_t fold)
{
    p->glm.total = 0;
    for (int64_t i = 0; i < p->design.n_rows; i++) {
        p->weights[i] = i % p->plan->n_folds == fold ? 0 : weights[i];
        p->glm.total += p->weights[i];
    }
}

/* Loss of the rows that the fold leaves out. */
static double fold_loss(const qn_linear_problem *p, const double *weights, int64_t fold)
{
    double margins[QN_CLASSES_MAX], sum = 0;
    for (int64_t i = fold; i < p->design.n_rows; i += p->plan->n_folds) {
        for (int32_t c = 0; c < p->glm.n_outputs; c++) {
            margins[c] = qn_design_row_dot(&p->design, i, p->point + c * p->design.n_cols);
        }
        sum += qn_glm_row(&p->glm, p->target[i], weights[i], margins, 1);
    }
    return sum;
}

/* Follows the whole path without the rows of one fold. `losses` gain what those then lose. */
static qn_status follow_fold(qn_linear_problem *p, const double *weights, int64_t fold,
                             double *losses, qn_learn_result *result, qn_error *err)
{
    double penalties[PATH_MAX];
    weigh_fold(p, weights, fold);
    if (!(p->glm.total > 0)) return QN_OK;
    begin(p);
    p->glm.sigma = 1;
    const int n_steps = penalties_of(p, penalties);
    for (int step = 0; step < n_steps; step++) {
        int64_t n_iterations = 0;
        p->glm.penalty = penalties[step];
        QN_TRY(qn_glm_minimise(&p->glm, p->point, &n_iterations, err));
        result->n_rounds += n_iterations;
        losses[step] += fold_loss(p, weights, fold);
    }
    return QN_OK;
}

/* The step of the path with the least loss of all rows, each by the fit without its fold. */
static qn_status choose_by_folds(qn_linear_problem *p, int *chosen, qn_learn_result *result,
                                 qn_error *err)
{
    const int64_t n = p->design.n_rows;
    double losses[PATH_MAX] = {0}, so_far[PATH_MAX] = {0};
    double *weights = qn_alloc_array(n, sizeof *weights);
    qn_status status = QN_OK;
    if (!weights) return qn_fail(err, QN_ERR_NOMEM, "no memory for a linear model");
    memcpy(weights, p->weights, (size_t)n * sizeof *weights);
    for (int64_t fold = 0; fold < p->plan->n_folds && status == QN_OK; fold++) {
        status = follow_fold(p, weights, fold, so_far, result, err);
        if (qn_stop_requested(p->request->stop)) break; /* a fold cut short says nothing */
        memcpy(losses, so_far, sizeof losses);
    }
    *chosen = p->plan->n_path / 2;
    for (int step = 0; step < p->plan->n_path; step++) {
        if (losses[step] < losses[*chosen]) *chosen = step;
    }
    p->glm.total = 0;
    for (int64_t i = 0; i < n; i++) {
        p->weights[i] = weights[i];
        p->glm.total += weights[i];
    }
    begin(p);
    qn_free(weights);
    return status;
}

qn_status qn_linear_problem_solve(qn_linear_problem *p, qn_learn_result *result, qn_error *err)
{
    const int64_t n_valid = p->request->data->valid.n_rows;
    const size_t bytes = (size_t)(p->glm.n_outputs * p->design.n_cols) * sizeof *p->best;
    double penalties[PATH_MAX], best_loss = QN_INF;
    int chosen = 0, n_steps = penalties_of(p, penalties);
    if (p->plan->n_folds > 0) {
        QN_TRY(choose_by_folds(p, &chosen, result, err));
        penalties[0] = penalties[chosen];
        n_steps = 1;
    }
    double *margins = qn_alloc_array(n_valid * p->glm.n_outputs, sizeof *margins);
    if (!margins) return qn_fail(err, QN_ERR_NOMEM, "no memory for a linear model");
    qn_status status = QN_OK;
    p->glm.sigma = 1; /* the target has variance one */
    for (int step = 0, n_worse = 0; step < n_steps && n_worse < WORSE_MAX; step++) {
        int64_t n_iterations = 0;
        p->glm.penalty = penalties[step];
        status = qn_glm_minimise(&p->glm, p->point, &n_iterations, err);
        if (status != QN_OK) break;
        result->n_rounds += n_iterations;
        const double loss = n_steps > 1 ? validation_loss(p, margins) : 0;
        n_worse = step == 0 || loss < best_loss ? 0 : n_worse + 1;
        if (n_worse == 0) {
            best_loss = loss;
            memcpy(p->best, p->point, bytes);
        }
        result->stopped = qn_stop_requested(p->request->stop);
        if (result->stopped) break;
    }
    qn_free(margins);
    return status;
}

/* ---- the model ---- */

static qn_status make_model(const qn_linear_problem *p, qn_learn_result *result, qn_error *err)
{
    const int32_t k = p->glm.n_outputs;
    const int64_t n = p->request->data->n_features[QN_VIEW_DENSE];
    const int64_t n_dense = p->request->data->n_dense[QN_VIEW_DENSE];
    double *coefficients = qn_alloc_array(n * k, sizeof *coefficients);
    double *intercepts = qn_alloc_array(k, sizeof *intercepts);
    qn_status status = QN_OK;
    if (!coefficients || !intercepts) {
        status = qn_fail(err, QN_ERR_NOMEM, "no memory for a linear model");
    }
    for (int32_t c = 0; c < k && status == QN_OK; c++) {
        qn_design_unpack(&p->design, p->best + c * p->design.n_cols, coefficients + c * n,
                         &intercepts[c]);
        intercepts[c] = intercepts[c] * p->scale + p->mean;
    }
    for (int64_t i = 0; i < n * k && status == QN_OK; i++) {
        coefficients[i] *= p->scale;
    }
    if (status == QN_OK) {
        status = qn_linear_create(p->plan->link, coefficients, intercepts, n_dense, n - n_dense, k,
                                  &result->estimator, err);
    }
    qn_free(coefficients);
    qn_free(intercepts);
    return status;
}

qn_status qn_linear_fit(const qn_learn_request *request, const qn_linear_plan *plan,
                        qn_learn_result *result, qn_error *err)
{
    qn_linear_problem problem;
    *result = (qn_learn_result){0};
    QN_TRY(qn_linear_problem_init(&problem, request, plan, err));
    qn_status status = qn_linear_problem_solve(&problem, result, err);
    if (status == QN_OK) status = make_model(&problem, result, err);
    qn_linear_problem_release(&problem);
    return status;
}
