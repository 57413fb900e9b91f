/* SPDX-License-Identifier: Apache-2.0 */
/* What the model is worth on test rows, beside the constant model, and which columns matter. */
#include "automl/fit_run.h"

#include "base/alloc.h"
#include "evaluate/fit_intervals.h"
#include "explain/importance.h"

#include <math.h>
#include <string.h>

enum { COLUMNS_EXPLAINED = 500 }; /* beyond, permuting each would take longer than the fit */

static qn_metric_input test_input(const qn_fit_run *fit, const double *predicted)
{
    return (qn_metric_input){.task = fit->data.task,
                             .n_classes = fit->data.n_classes,
                             .n_rows = fit->inputs.n_test,
                             .target = fit->inputs.test_target,
                             .predicted = predicted,
                             .weights = fit->inputs.test_weights,
                             .groups = fit->inputs.test_groups,
                             .threshold = fit->predictor->threshold};
}

/* The constant model's answer, from the first fold's baseline. */
static qn_status evaluate_baseline(qn_fit_run *fit, double *predicted, qn_error *err)
{
    const qn_estimator *baseline = fit->trials[0].estimators[0];
    const int32_t n_outputs = fit->data.n_outputs;
    if (!baseline) return QN_OK; /* it is the model itself */
    double outputs[QN_CLASSES_MAX];
    const qn_matrix one = {.n_rows = 1, .stride = 1};
    baseline->family->predict(baseline, &one, outputs, NULL);
    for (int64_t i = 0; i < fit->inputs.n_test; i++) {
        memcpy(predicted + i * n_outputs, outputs, (size_t)n_outputs * sizeof *outputs);
    }
    qn_metric_input input = test_input(fit, predicted);
    input.threshold = 0.5;
    const qn_stop stop = qn_fit_stop_after(fit, 0.2);
    return qn_evaluation_create_until(&input, (uint64_t)fit->request.seed, fit->pool, &stop,
                                      &fit->test_baseline, err);
}

static qn_status explain(qn_fit_run *fit, const qn_binding *binding, const int32_t *rows,
                         int64_t n_rows, const double *target, const double *weights, qn_error *err)
{
    const int64_t n = qn_schema_n_features(fit->inputs.schema);
    if (n > COLUMNS_EXPLAINED) {
        qn_str_addf(&fit->notes, "importances are left out: %lld columns are more than %d\n",
                    (long long)n, COLUMNS_EXPLAINED);
        return QN_OK;
    }
    fit->importance = qn_alloc_array(n, sizeof *fit->importance);
    fit->importance_error = qn_alloc_array(n, sizeof *fit->importance_error);
    if (!fit->importance || !fit->importance_error) {
        return qn_fail(err, QN_ERR_NOMEM, "no memory for the importances");
    }
    const qn_stop stop = qn_fit_stop_after(fit, 1);
    const qn_importance_request question = {.predictor = fit->predictor,
                                            .binding = binding,
                                            .rows = rows,
                                            .n_rows = n_rows,
                                            .target = target,
                                            .weights = weights,
                                            .metric = fit->metric,
                                            .n_repeats = 2,
                                            .n_rows_max = 600,
                                            .seed = (uint64_t)fit->request.seed,
                                            .pool = fit->pool,
                                            .stop = &stop};
    QN_TRY(qn_permutation_importance(&question, fit->importance, fit->importance_error, err));
    int64_t n_left_out = 0;
    for (int64_t f = 0; f < n; f++) {
        n_left_out += isnan(fit->importance[f]);
    }
    if (n_left_out > 0) {
        qn_str_addf(&fit->notes, "importances of %lld of %lld columns are left out: time was up\n",
                    (long long)n_left_out, (long long)n);
    }
    return QN_OK;
}

/* Without test rows, importance is asked on the validation rows of the first fold; the models of
 * other folds have seen them, which flatters every column alike. */
static qn_status explain_on_validation(qn_fit_run *fit, qn_error *err)
{
    const qn_fold *fold = &fit->folds.folds[0];
    int32_t *rows = qn_alloc_array(fold->n_valid, sizeof *rows);
    qn_binding *binding = NULL;
    if (!rows) return qn_fail(err, QN_ERR_NOMEM, "no memory for the importances");
    for (int64_t i = 0; i < fold->n_valid; i++) {
        rows[i] = fit->inputs.train[fold->valid[i]];
    }
    qn_status status = qn_binding_create(fit->inputs.schema, fit->inputs.frame, &binding, err);
    if (status == QN_OK) {
        status = explain(fit, binding, rows, fold->n_valid, fold->data.valid.target,
                         fold->data.valid.weights, err);
    }
    qn_binding_free(binding);
    qn_free(rows);
    return status;
}

qn_status qn_fit_evaluate(qn_fit_run *fit, qn_error *err)
{
    const qn_fit_inputs *inputs = &fit->inputs;
    if (inputs->n_test == 0) {
        qn_fit_end_stage(fit, "evaluation");
        return fit->data.task == QN_TASK_RANKING ? QN_OK : explain_on_validation(fit, err);
    }
    qn_binding *binding = NULL;
    QN_TRY(qn_binding_create(inputs->schema, qn_fit_inputs_test_frame(inputs), &binding, err));
    double *predicted = qn_alloc_array(inputs->n_test * fit->data.n_outputs, sizeof *predicted);
    qn_status status = predicted ? QN_OK : qn_fail(err, QN_ERR_NOMEM, "no memory to evaluate");
    if (status == QN_OK) {
        status = qn_predictor_transform(fit->predictor, binding, inputs->test, inputs->n_test,
                                        fit->pool, predicted, err);
    }
    if (status == QN_OK) {
        const qn_metric_input input = test_input(fit, predicted);
        const qn_stop stop = qn_fit_stop_after(fit, 0.4);
        status = qn_evaluation_create_until(&input, (uint64_t)fit->request.seed, fit->pool, &stop,
                                            &fit->test, err);
        if (status == QN_OK) qn_intervals_assess(fit->predictor, &input, fit->test);
    }
    if (status == QN_OK) status = evaluate_baseline(fit, predicted, err);
    qn_fit_end_stage(fit, "evaluation");
    if (status == QN_OK && fit->data.task != QN_TASK_RANKING) {
        status = explain(fit, binding, inputs->test, inputs->n_test, inputs->test_target,
                         inputs->test_weights, err);
    }
    qn_free(predicted);
    qn_binding_free(binding);
    return status;
}
