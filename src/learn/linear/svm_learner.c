/* SPDX-License-Identifier: Apache-2.0 */
/* Linear support vector machines, as scikit-learn's LinearSVC and LinearSVR state them:
 *     minimise  1/2 (|w|^2 + b^2) + C sum_i w_i loss(y_i, b + x_i . w)
 * with hinge loss max(0, 1 - s m), s = -1 or 1, epsilon-insensitive loss max(0, |y - m| - epsilon),
 * or their squares. Several classes: one against the rest, each. Probabilities are Platt's
 * (platt.h), of scores of rows that were not fitted: the validation rows, or thirds of the training
 * rows in turn; they are part of the model's coefficients. */
#include "learn/class_weight.h"
#include "learn/linear/linear_fit.h"
#include "learn/linear/linear_learners.h"

#include "base/alloc.h"
#include "base/rng.h"
#include "learn/platt.h"

#include <string.h>

struct svm_params {
    double cost;
    int32_t loss;
    double epsilon;
    int32_t class_weight;
    bool dual;
    int64_t max_iter;
    double tol;
};

enum { LOSS_AUTO, LOSS_HINGE, LOSS_SQUARED_HINGE, LOSS_INSENSITIVE, LOSS_SQUARED_INSENSITIVE };
enum { N_PARTS = 3 }; /* of the rows, for scores of rows not fitted */

#define AT(member) offsetof(struct svm_params, member)

static const char *const losses[] = {
    "auto", "hinge", "squared_hinge", "epsilon_insensitive", "squared_epsilon_insensitive", NULL};

static const qn_param params_table[] = {
    {"C", QN_PARAM_FLOAT, AT(cost), 0, 1e9, 0, 0, true, 0, NULL,
     "inverse of the penalty; 0: chosen on the validation rows, without them 1 (for a target of"
     " variance one)"},
    {"loss", QN_PARAM_CHOICE, AT(loss), 0, 4, 0, 0, false, LOSS_AUTO, losses,
     "auto: squared_hinge for classes, epsilon_insensitive for numbers"},
    {"epsilon", QN_PARAM_FLOAT, AT(epsilon), 0, 1e12, 0, 0, true, 0, NULL,
     "regression: errors up to it cost nothing, in units of the target"},
    QN_PARAM_CLASS_WEIGHT(AT(class_weight)),
    {"dual", QN_PARAM_BOOL, AT(dual), 0, 1, 0, 0, false, 0, NULL,
     "dual coordinate descent even on few columns, where Newton's method and that of multipliers "
     "are"
     " exact"},
    {"max_iter", QN_PARAM_INT, AT(max_iter), 1, 100000, 0, 0, false, 1000, NULL,
     "iterations, or passes over the rows"},
    {"tol", QN_PARAM_FLOAT, AT(tol), 0, 1, 0, 0, false, 1e-7, NULL,
     "relative gap to the minimum at which to stop"},
    {0}};

static const double path[] = {100, 20, 5, 1, 0.2, 0.04, 0.01}; /* 1 / C */

static qn_status choose_loss(const qn_learn_request *request, qn_glm_loss *loss, qn_error *err)
{
    static const qn_glm_loss kinds[] = {QN_GLM_SQUARED_HINGE, QN_GLM_HINGE, QN_GLM_SQUARED_HINGE,
                                        QN_GLM_INSENSITIVE, QN_GLM_SQUARED_INSENSITIVE};
    const struct svm_params *params = request->params;
    const bool numbers = request->data->task == QN_TASK_REGRESSION;
    *loss = params->loss == LOSS_AUTO && numbers ? QN_GLM_INSENSITIVE : kinds[params->loss];
    if (params->loss == LOSS_AUTO || numbers == (params->loss >= LOSS_INSENSITIVE)) return QN_OK;
    return qn_fail(err, QN_ERR_ARG, "linear_svm: loss=%s is for %s; loss=auto fits every task",
                   losses[params->loss], numbers ? "classes" : "numbers");
}

/* ---- classes ---- */

/* Everything about the scores that Platt's scaling is fitted to. */
struct scores {
    qn_linear_problem *problem;
    int64_t n;
    double *values, *weights; /* n */
    bool *positive;           /* n */
    double *point, *all_weights;
};

static bool allocate(struct scores *s)
{
    const qn_dataset *data = s->problem->request->data;
    const int64_t n = data->train.n_rows;
    s->n = data->valid.n_rows > 0 ? data->valid.n_rows : n;
    s->values = qn_alloc_array(s->n, sizeof *s->values);
    s->weights = qn_alloc_array(s->n, sizeof *s->weights);
    s->positive = qn_alloc_array(s->n, sizeof *s->positive);
    s->point = qn_alloc_array(s->problem->design.n_cols, sizeof *s->point);
    s->all_weights = qn_alloc_array(n, sizeof *s->all_weights);
    return s->values && s->weights && s->positive && s->point && s->all_weights;
}

static void release(struct scores *s)
{
    qn_free(s->values);
    qn_free(s->weights);
    qn_free(s->positive);
    qn_free(s->point);
    qn_free(s->all_weights);
}

static void score_validation_rows(struct scores *s)
{
    const qn_dataset_part *valid = &s->problem->request->data->valid;
    qn_linear_problem_margins(s->problem, s->problem->best, &valid->views[QN_VIEW_DENSE],
                              s->values);
    for (int64_t i = 0; i < s->n; i++) {
        s->positive[i] = valid->target[i] == s->problem->positive;
        s->weights[i] = valid->weights ? valid->weights[i] : 1;
    }
}

/* Each third is scored by a fit to the others, whose rows alone have a weight. */
static qn_status score_thirds(struct scores *s, qn_learn_result *result, qn_error *err)
{
    qn_linear_problem *p = s->problem;
    memcpy(s->all_weights, p->weights, (size_t)s->n * sizeof *p->weights);
    memset(s->point, 0, (size_t)p->design.n_cols * sizeof *s->point);
    qn_status status = QN_OK;
    for (uint64_t part = 0; part < N_PARTS && status == QN_OK; part++) {
        int64_t n_iterations = 0;
        for (int64_t i = 0; i < s->n; i++) {
            const bool out = qn_seed_child(p->glm.seed, (uint64_t)i) % N_PARTS == part;
            p->weights[i] = out ? 0 : s->all_weights[i];
        }
        status = qn_glm_minimise(&p->glm, s->point, &n_iterations, err);
        result->n_rounds += n_iterations;
        for (int64_t i = 0; i < s->n && status == QN_OK; i++) {
            if (p->weights[i] != s->all_weights[i]) {
                s->values[i] = qn_design_row_dot(&p->design, i, s->point);
            }
        }
    }
    memcpy(p->weights, s->all_weights, (size_t)s->n * sizeof *p->weights);
    for (int64_t i = 0; i < s->n; i++) {
        s->positive[i] = p->target[i] == 1;
        s->weights[i] = p->weights[i];
    }
    return status;
}

/* Turns scores into log-odds: coefficients × -a, intercept × -a, - b. */
static void scale_coefficients(const qn_linear_problem *p, qn_platt platt, double *coefficients,
                               double *intercept)
{
    const int64_t n = p->request->data->n_features[QN_VIEW_DENSE];
    qn_design_unpack(&p->design, p->best, coefficients, intercept);
    for (int64_t f = 0; f < n; f++) {
        coefficients[f] *= -platt.a;
    }
    *intercept = -platt.a * *intercept - platt.b;
}

/* The class against the rest, with its probability. */
static qn_status fit_class(struct scores *s, int32_t class_number, double *coefficients,
                           double *intercept, qn_learn_result *result, qn_error *err)
{
    qn_linear_problem *p = s->problem;
    qn_linear_problem_set_class(p, class_number);
    QN_TRY(qn_linear_problem_solve(p, result, err));
    if (p->request->data->valid.n_rows > 0) {
        score_validation_rows(s);
    } else {
        QN_TRY(score_thirds(s, result, err));
    }
    scale_coefficients(p, qn_platt_fit(s->values, s->positive, s->weights, s->n), coefficients,
                       intercept);
    return QN_OK;
}

static qn_status fit_classes(const qn_learn_request *request, const qn_linear_plan *plan,
                             qn_learn_result *result, qn_error *err)
{
    const qn_dataset *data = request->data;
    const int64_t n = data->n_features[QN_VIEW_DENSE], n_dense = data->n_dense[QN_VIEW_DENSE];
    const int32_t k = data->n_outputs;
    qn_linear_problem problem;
    QN_TRY(qn_linear_problem_init(&problem, request, plan, err));
    struct scores s = {.problem = &problem};
    double *coefficients = qn_alloc_array(n * k, sizeof *coefficients);
    double *intercepts = qn_alloc_array(k, sizeof *intercepts);
    qn_status status = QN_OK;
    if (!allocate(&s) || !coefficients || !intercepts) {
        status = qn_fail(err, QN_ERR_NOMEM, "no memory for a linear model");
    }
    for (int32_t c = 0; c < k && status == QN_OK; c++) {
        status = fit_class(&s, k == 1 ? 1 : c, coefficients + c * n, &intercepts[c], result, err);
    }
    if (status == QN_OK) {
        status = qn_linear_create(k == 1 ? QN_LINEAR_LOGISTIC : QN_LINEAR_ONE_VS_REST, coefficients,
                                  intercepts, n_dense, n - n_dense, k, &result->estimator, err);
    }
    release(&s);
    qn_free(coefficients);
    qn_free(intercepts);
    qn_linear_problem_release(&problem);
    return status;
}

/* ---- */

static qn_status fit(const qn_learn_request *request, qn_learn_result *result, qn_error *err)
{
    const struct svm_params *params = request->params;
    *result = (qn_learn_result){0};
    qn_linear_plan plan = {.shape = params->epsilon,
                           .link = QN_LINEAR_IDENTITY,
                           .n_outputs = 1,
                           .penalty = params->cost > 0 ? 1 / params->cost : 0,
                           .path = path,
                           .n_path = sizeof path / sizeof *path,
                           .path_is_sum = true,
                           .class_weight = params->class_weight,
                           .penalises_intercept = true,
                           .dual = params->dual,
                           .max_iter = params->max_iter,
                           .tol = params->tol};
    QN_TRY(choose_loss(request, &plan.loss, err));
    plan.unit = plan.loss == QN_GLM_INSENSITIVE ? QN_PENALTY_SUM_SCALED : QN_PENALTY_SUM;
    if (request->data->task != QN_TASK_REGRESSION) return fit_classes(request, &plan, result, err);
    return qn_linear_fit(request, &plan, result, err);
}

const qn_learner qn_learner_linear_svm = {
    .name = "linear_svm",
    .help = "linear support vector machine, with Platt's probabilities, and for regression",
    .source = "Hsieh et al. 2008, Ho & Lin 2012, Lin, Lin & Weng 2007",
    .tasks = 1u << QN_TASK_BINARY | 1u << QN_TASK_MULTICLASS | 1u << QN_TASK_REGRESSION,
    .capabilities = QN_LEARNER_WEIGHTS | QN_LEARNER_PARTIAL | QN_LEARNER_THREADS,
    .view = QN_VIEW_DENSE,
    .params = params_table,
    .params_bytes = sizeof(struct svm_params),
    .fit = fit,
};
