/* SPDX-License-Identifier: Apache-2.0 */
/* Regression with other losses than squared ones, as scikit-learn states them (w a row's weight,
 * S their sum, m = b + x . beta):
 *     huber    sum w (sigma + H((y - m) / sigma) sigma) + alpha |beta|^2        HuberRegressor
 *     quantile 1 / S sum w pinball(y - m) + alpha |beta|_1                      QuantileRegressor
 *     poisson, gamma, tweedie
 *              1 / (2 S) sum w deviance(y, exp(m)) + alpha / 2 |beta|^2         TweedieRegressor
 */
#include "learn/linear/linear_fit.h"
#include "learn/linear/linear_learners.h"

struct glm_params {
    int32_t loss;
    int64_t cv;
    double alpha, power, epsilon, quantile;
    int64_t max_iter;
    double tol;
};

enum { LOSS_HUBER, LOSS_QUANTILE, LOSS_POISSON, LOSS_GAMMA, LOSS_TWEEDIE };

#define AT(member) offsetof(struct glm_params, member)

static const char *const losses[] = {"huber", "quantile", "poisson", "gamma", "tweedie", NULL};

static const qn_param params_table[] = {
    {"loss", QN_PARAM_CHOICE, AT(loss), 0, 4, 0, 0, false, LOSS_HUBER, losses,
     "poisson, gamma and tweedie predict exp(m), and take no negative numbers (gamma: nor zero)"},
    {"alpha", QN_PARAM_FLOAT, AT(alpha), 0, 1e12, 0, 0, true, 0, NULL,
     "penalty, of absolute values with quantile, else of squares; 0: chosen on the validation"
     " rows"},
    QN_PARAM_CV(AT(cv)),
    {"power", QN_PARAM_FLOAT, AT(power), 1, 3, 0, 0, false, 1.5, NULL,
     "tweedie: the variance is mean^power; 1: poisson, 2: gamma, 3: inverse Gaussian"},
    {"epsilon", QN_PARAM_FLOAT, AT(epsilon), 1, 100, 1.05, 3, true, 1.35, NULL,
     "huber: outliers are this many scales away; 1.35 is 95 % efficient on normal errors"},
    {"quantile", QN_PARAM_FLOAT, AT(quantile), 0.001, 0.999, 0, 0, false, 0.5, NULL,
     "quantile: which one"},
    {"max_iter", QN_PARAM_INT, AT(max_iter), 1, 100000, 0, 0, false, 200, NULL,
     "iterations of Newton's method or interior points"},
    {"tol", QN_PARAM_FLOAT, AT(tol), 0, 1, 0, 0, false, 1e-9, NULL,
     "an iteration that gains less than this share of the objective ends it"},
    {0}};

static const double squares_path[] = {0.1, 0.03, 0.01, 0.003, 0.001, 1e-4, 1e-5};
static const double absolute_path[] = {0.1, 0.03, 0.01, 0.003, 0.001, 3e-4, 1e-5};
enum { N_PATH = sizeof squares_path / sizeof *squares_path };

/* Tweedie's deviance at powers 1 and 2 has its own limit. */
static int32_t loss_of(const struct glm_params *params)
{
    if (params->loss != LOSS_TWEEDIE) return params->loss;
    return params->power == 1 ? LOSS_POISSON : params->power == 2 ? LOSS_GAMMA : LOSS_TWEEDIE;
}

static qn_status check_target(const qn_dataset *data, const struct glm_params *params,
                              qn_error *err)
{
    const int32_t loss = loss_of(params);
    const bool positive = loss == LOSS_GAMMA || (loss == LOSS_TWEEDIE && params->power >= 2);
    double sum = 0;
    if (loss == LOSS_HUBER || loss == LOSS_QUANTILE) return QN_OK;
    for (int64_t i = 0; i < data->train.n_rows; i++) {
        const double y = data->train.target[i];
        sum += y;
        if (y > 0 || (y == 0 && !positive)) continue;
        return qn_fail(err, QN_ERR_DATA,
                       "glm: loss=%s takes only %s targets, and one is %g; loss=huber takes any",
                       losses[params->loss], positive ? "positive" : "non-negative", y);
    }
    return sum > 0 ? QN_OK
                   : qn_fail(err, QN_ERR_DATA, "glm: loss=%s needs a target that is not all zero",
                             losses[params->loss]);
}

static qn_status fit(const qn_learn_request *request, qn_learn_result *result, qn_error *err)
{
    static const qn_glm_loss kinds[] = {QN_GLM_HUBER, QN_GLM_QUANTILE, QN_GLM_POISSON, QN_GLM_GAMMA,
                                        QN_GLM_TWEEDIE};
    const struct glm_params *params = request->params;
    const int32_t loss = loss_of(params);
    const bool huber = loss == LOSS_HUBER, quantile = loss == LOSS_QUANTILE;
    const qn_linear_plan plan = {.loss = kinds[loss],
                                 .shape = huber      ? params->epsilon
                                          : quantile ? params->quantile
                                                     : params->power,
                                 .link = huber || quantile ? QN_LINEAR_IDENTITY : QN_LINEAR_LOG,
                                 .n_outputs = 1,
                                 .penalty = huber ? 2 * params->alpha : params->alpha,
                                 .unit = huber ? QN_PENALTY_SUM_SCALED : QN_PENALTY_MEAN,
                                 .path = quantile ? absolute_path : squares_path,
                                 .n_path = N_PATH,
                                 .n_folds =
                                     qn_penalty_folds(request->data, params->alpha, params->cv),
                                 .max_iter = params->max_iter,
                                 .tol = params->tol};
    *result = (qn_learn_result){0};
    QN_TRY(check_target(request->data, params, err));
    return qn_linear_fit(request, &plan, result, err);
}

const qn_learner qn_learner_glm = {
    .name = "glm",
    .help = "linear regression with huber, quantile, poisson, gamma or tweedie loss",
    .source = "Huber 1981, Koenker & Bassett 1978, McCullagh & Nelder 1989",
    .tasks = 1u << QN_TASK_REGRESSION,
    .capabilities = QN_LEARNER_WEIGHTS | QN_LEARNER_PARTIAL | QN_LEARNER_THREADS,
    .view = QN_VIEW_DENSE,
    .params = params_table,
    .params_bytes = sizeof(struct glm_params),
    .fit = fit,
};
