/* SPDX-License-Identifier: Apache-2.0 */
/* Ridge and logistic regression on the dense view, sparse columns included:
 *     minimise  sum_i w_i loss(y_i, b + x_i . w)  +  penalty / 2 |w|^2
 * with squared loss / 2 (penalty = alpha), log-loss or softmax (penalty = 1 / C), as scikit-learn
 * states them. With validation rows the penalty is chosen on a path from strong to weak. */
#include "learn/class_weight.h"
#include "learn/linear/elastic_net.h"
#include "learn/linear/linear_fit.h"
#include "learn/linear/linear_learners.h"

struct linear_params {
    double strength; /* alpha or C; 0: chosen on the path */
    int64_t cv;
    double l1_ratio;
    int32_t class_weight;
    int64_t max_iter;
    double tol;
};

#define AT(member) offsetof(struct linear_params, member)

static const qn_param logistic_params[] = {
    {"C", QN_PARAM_FLOAT, AT(strength), 0, 1e9, 0, 0, true, 0, NULL,
     "inverse of the penalty; 0: chosen on the validation rows"},
    QN_PARAM_CV(AT(cv)),
    {"l1_ratio", QN_PARAM_FLOAT, AT(l1_ratio), 0, 1, 0, 1, false, 0, NULL,
     "share of the absolute values in the penalty: (1 - l1_ratio) / 2 |w|^2 + l1_ratio |w|_1"},
    QN_PARAM_CLASS_WEIGHT(AT(class_weight)),
    {"max_iter", QN_PARAM_INT, AT(max_iter), 1, 100000, 0, 0, false, 200, NULL,
     "iterations of Newton's method"},
    {"tol", QN_PARAM_FLOAT, AT(tol), 0, 1, 0, 0, false, 1e-8, NULL,
     "an iteration that gains less than this share of the objective ends it"},
    {0}};
static const qn_param ridge_params[] = {
    {"alpha", QN_PARAM_FLOAT, AT(strength), 0, 1e12, 0, 0, true, 0, NULL,
     "penalty; 0: chosen on the validation rows"},
    QN_PARAM_CV(AT(cv)),
    {"max_iter", QN_PARAM_INT, AT(max_iter), 1, 100000, 0, 0, false, 300, NULL,
     "iterations of conjugate gradients, on many columns; on few, one step is exact"},
    {"tol", QN_PARAM_FLOAT, AT(tol), 0, 1, 0, 0, false, 1e-10, NULL,
     "an iteration that gains less than this share of the objective ends it"},
    {0}};

static const double ridge_path[] = {1000, 200, 40, 10, 2, 0.5, 0.1};
static const double logistic_path[] = {100, 20, 5, 1, 0.2, 0.04, 0.01}; /* 1 / C */
enum { N_PATH = sizeof ridge_path / sizeof *ridge_path };

static qn_status fit_ridge(const qn_learn_request *request, qn_learn_result *result, qn_error *err)
{
    const struct linear_params *params = request->params;
    const qn_linear_plan plan = {.loss = QN_GLM_SQUARED,
                                 .link = QN_LINEAR_IDENTITY,
                                 .n_outputs = 1,
                                 .penalty = params->strength,
                                 .unit = QN_PENALTY_SUM,
                                 .path = ridge_path,
                                 .n_path = N_PATH,
                                 .path_is_sum = true,
                                 .n_folds =
                                     qn_penalty_folds(request->data, params->strength, params->cv),
                                 .max_iter = params->max_iter,
                                 .tol = params->tol};
    return qn_linear_fit(request, &plan, result, err);
}

/* Absolute values in the penalty need coordinate descent. */
static qn_status fit_net(const qn_learn_request *request, qn_learn_result *result, qn_error *err)
{
    const struct linear_params *params = request->params;
    const qn_elastic_net_params net = {.alpha = params->strength > 0 ? 1 / params->strength : 0,
                                       .l1_ratio = params->l1_ratio,
                                       .alpha_is_sum = true,
                                       .cv = params->cv,
                                       .n_alphas = 60,
                                       .eps = 1e-4,
                                       .class_weight = params->class_weight,
                                       .max_iter = 10 * params->max_iter,
                                       .tol = params->tol};
    return qn_elastic_net_fit(request, &net, result, err);
}

static qn_status fit_logistic(const qn_learn_request *request, qn_learn_result *result,
                              qn_error *err)
{
    const struct linear_params *params = request->params;
    const bool binary = request->data->task == QN_TASK_BINARY;
    if (params->l1_ratio > 0) return fit_net(request, result, err);
    const qn_linear_plan plan = {.loss = binary ? QN_GLM_LOGISTIC : QN_GLM_SOFTMAX,
                                 .link = binary ? QN_LINEAR_LOGISTIC : QN_LINEAR_SOFTMAX,
                                 .n_outputs = request->data->n_outputs,
                                 .penalty = params->strength > 0 ? 1 / params->strength : 0,
                                 .unit = QN_PENALTY_SUM,
                                 .path = logistic_path,
                                 .n_path = N_PATH,
                                 .path_is_sum = true,
                                 .n_folds =
                                     qn_penalty_folds(request->data, params->strength, params->cv),
                                 .class_weight = params->class_weight,
                                 .max_iter = params->max_iter,
                                 .tol = params->tol};
    return qn_linear_fit(request, &plan, result, err);
}

const qn_learner qn_learner_logistic = {
    .name = "logistic",
    .help = "logistic and multinomial regression with L2 or elastic-net penalty",
    .source = "Boyd & Vandenberghe 2004, section 9.5; Dembo & Steihaug 1983",
    .tasks = 1u << QN_TASK_BINARY | 1u << QN_TASK_MULTICLASS,
    .capabilities = QN_LEARNER_WEIGHTS | QN_LEARNER_PARTIAL | QN_LEARNER_THREADS,
    .view = QN_VIEW_DENSE,
    .params = logistic_params,
    .params_bytes = sizeof(struct linear_params),
    .fit = fit_logistic,
};

const qn_learner qn_learner_ridge = {
    .name = "ridge",
    .help = "linear regression with L2 penalty",
    .source = "Hoerl & Kennard 1970",
    .tasks = 1u << QN_TASK_REGRESSION | 1u << QN_TASK_RANKING,
    .capabilities = QN_LEARNER_WEIGHTS | QN_LEARNER_PARTIAL | QN_LEARNER_THREADS,
    .view = QN_VIEW_DENSE,
    .params = ridge_params,
    .params_bytes = sizeof(struct linear_params),
    .fit = fit_ridge,
};
