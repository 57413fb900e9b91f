/* SPDX-License-Identifier: Apache-2.0 */
/* The baseline of every leaderboard: weighted class frequencies, or the weighted mean. */
#include "learn/constant.h"

static qn_status fit(const qn_learn_request *request, qn_learn_result *result, qn_error *err)
{
    const qn_dataset *data = request->data;
    double outputs[QN_CLASSES_MAX] = {0}, total = 0;
    for (int64_t i = 0; i < data->train.n_rows; i++) {
        const double w = data->train.weights ? data->train.weights[i] : 1;
        total += w;
        if (data->task == QN_TASK_MULTICLASS) {
            outputs[(int32_t)data->train.target[i]] += w;
        } else {
            outputs[0] += w * data->train.target[i];
        }
    }
    for (int32_t c = 0; c < data->n_outputs; c++) {
        outputs[c] = total > 0 ? outputs[c] / total : 0;
    }
    *result = (qn_learn_result){0};
    return qn_constant_create(outputs, data->n_outputs, &result->estimator, err);
}

static const qn_param params_table[] = {{0}};

const qn_learner qn_learner_constant = {
    .name = "constant",
    .help = "class frequencies or the mean: the baseline",
    .source = "the maximum of likelihood of a constant",
    .tasks = 1u << QN_TASK_BINARY | 1u << QN_TASK_MULTICLASS | 1u << QN_TASK_REGRESSION |
             1u << QN_TASK_RANKING,
    .capabilities = QN_LEARNER_WEIGHTS | QN_LEARNER_CONSTRAINTS,
    .view = QN_VIEW_TREE,
    .params = params_table,
    .params_bytes = 0,
    .fit = fit,
};
