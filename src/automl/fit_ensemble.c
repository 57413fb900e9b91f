/* SPDX-License-Identifier: Apache-2.0 */
/* From trials to the one model: its members and weights, calibrated on validation predictions. */
#include "automl/fit_run.h"

#include "base/alloc.h"
#include "evaluate/calibrate.h"
#include "evaluate/fit_intervals.h"

#include <math.h>
#include <string.h>

int32_t qn_fit_ensemble_steps(const qn_fit_run *fit)
{
    return fit->preset == QN_PRESET_FAST ? 1 : QN_ENSEMBLE_STEPS;
}

/* Stopped before any candidate had all its folds: the one with most folds done answers alone. */
static qn_status rescue(qn_fit_run *fit, qn_error *err)
{
    int64_t best = -1;
    for (int64_t t = 0; t < fit->candidates.n; t++) {
        const int32_t n_done = fit->trials[t].n_done;
        if (n_done > 0 && (best <= 0 || n_done > fit->trials[best].n_done)) best = t;
    }
    if (best < 0) {
        if (fit->notes.bytes > 0 && !qn_stop_interrupted(&fit->stop)) {
            return qn_fail(err, QN_ERR_DATA, "no learner could be trained: %s", fit->notes.text);
        }
        return qn_fit_nothing_ready(fit, err);
    }
    if (fit->candidates.n > 1) { /* else the baseline is all that was asked for */
        qn_str_addf(&fit->notes,
                    "time was up before any candidate had all its folds: %s, trained on "
                    "%d of %d, answers alone; raise --budget\n",
                    fit->trials[best].candidate->name, fit->trials[best].n_done,
                    fit->folds.n_folds);
    }
    fit->ensemble.weights = qn_alloc_array(fit->candidates.n, sizeof(double));
    if (!fit->ensemble.weights) return qn_fail(err, QN_ERR_NOMEM, "no memory for the ensemble");
    fit->ensemble.weights[best] = 1;
    double sum = 0;
    for (int32_t f = 0; f < fit->folds.n_folds; f++) {
        if (fit->trials[best].estimators[f]) sum += fit->trials[best].fold_scores[f];
    }
    fit->ensemble_score = fit->trials[best].score = sum / fit->trials[best].n_done;
    fit->ensemble_std_error = QN_NA;
    return QN_OK;
}

/* Moves the chosen estimators into a predictor; recipes of folds that nobody uses stay behind. */
static qn_status build_predictor(qn_fit_run *fit, const double *weights, qn_predictor **out,
                                 qn_error *err)
{
    const int32_t n_folds = fit->folds.n_folds;
    int32_t n_members = 0;
    for (int64_t t = 0; t < fit->candidates.n; t++) {
        n_members += weights[t] > 0 ? fit->trials[t].n_done : 0;
    }
    qn_predictor *predictor = qn_alloc_array(1, sizeof *predictor);
    *out = predictor;
    if (!predictor) return qn_fail(err, QN_ERR_NOMEM, "no memory for the model");
    *predictor = (qn_predictor){.schema = fit->inputs.schema,
                                .n_outputs = fit->data.n_outputs,
                                .recipes = qn_alloc_array(n_folds, sizeof(qn_recipe *)),
                                .members = qn_alloc_array(n_members, sizeof(qn_member)),
                                .temperature = 1,
                                .threshold = 0.5,
                                .low = QN_NA,
                                .high = QN_NA};
    if (!predictor->recipes || !predictor->members) {
        return qn_fail(err, QN_ERR_NOMEM, "no memory for the model");
    }
    for (int32_t f = 0; f < n_folds; f++) {
        int32_t recipe = -1;
        for (int64_t t = 0; t < fit->candidates.n; t++) {
            qn_trial *trial = &fit->trials[t];
            if (weights[t] == 0 || !trial->estimators[f]) continue;
            if (recipe < 0) {
                recipe = predictor->n_recipes++;
                predictor->recipes[recipe] = fit->folds.folds[f].recipe;
                fit->folds.folds[f].recipe = NULL;
            }
            char *name = qn_strdup(trial->candidate->name);
            if (!name) return qn_fail(err, QN_ERR_NOMEM, "no memory for the model");
            predictor->members[predictor->n_members++] =
                (qn_member){.name = name,
                            .fold = f,
                            .recipe = recipe,
                            .weight = weights[t] / trial->n_done,
                            .estimator = trial->estimators[f]};
            trial->estimators[f] = NULL;
        }
    }
    return QN_OK;
}

static qn_status select_members(qn_fit_run *fit, qn_error *err)
{
    if (qn_fit_n_complete(fit) == 0) return rescue(fit, err);
    qn_ensemble chosen = {0};
    QN_TRY(qn_ensemble_select(&fit->data, fit->trials + 1, fit->candidates.n - 1,
                              qn_fit_ensemble_steps(fit), fit->pool, &chosen, err));
    fit->ensemble = chosen;
    /* The trials are counted with the baseline first. */
    double *weights = qn_alloc_array(fit->candidates.n, sizeof *weights);
    if (!weights) return qn_fail(err, QN_ERR_NOMEM, "no memory for the ensemble");
    memcpy(weights + 1, chosen.weights, (size_t)(fit->candidates.n - 1) * sizeof *weights);
    qn_free(chosen.weights);
    fit->ensemble.weights = weights;
    return qn_trial_data_fold_score(&fit->data, fit->ensemble.predictions, &fit->ensemble_score,
                                    &fit->ensemble_std_error, err);
}

qn_status qn_fit_build_ensemble(qn_fit_run *fit, qn_error *err)
{
    QN_TRY(select_members(fit, err));
    return build_predictor(fit, fit->ensemble.weights, &fit->predictor, err);
}

static bool is_classification(const qn_fit_run *fit)
{
    return fit->data.task == QN_TASK_BINARY || fit->data.task == QN_TASK_MULTICLASS;
}

/* Temperature, threshold, range and intervals, from the validation predictions of the ensemble. */
qn_status qn_fit_calibrate(qn_fit_run *fit, qn_error *err)
{
    double *predictions = fit->ensemble.predictions;
    if (!predictions) return QN_OK;
    qn_metric_input input = qn_trial_data_input(&fit->data, predictions);
    if (is_classification(fit)) {
        const double temperature = qn_temperature_fit(&input);
        fit->predictor->temperature = temperature;
        for (int64_t i = 0; temperature != 1 && i < fit->data.n_covered; i++) {
            qn_temperature_apply(temperature, predictions + i * fit->data.n_outputs,
                                 fit->data.n_outputs);
        }
        if (fit->data.task == QN_TASK_BINARY && fit->metric->needs_label) {
            QN_TRY(qn_threshold_fit(&input, fit->metric, &fit->predictor->threshold, err));
            input.threshold = fit->predictor->threshold;
        }
    } else if (fit->data.task == QN_TASK_REGRESSION) {
        double low = QN_INF, high = -QN_INF;
        for (int64_t i = 0; i < fit->data.n_covered; i++) {
            low = fmin(low, fit->data.target[i]);
            high = fmax(high, fit->data.target[i]);
        }
        const double margin = 0.5 * (high - low); /* linear models may run far out of range */
        fit->predictor->low = low >= 0 ? fmax(0, low - margin) : low - margin;
        fit->predictor->high = high + margin;
        QN_TRY(qn_intervals_fit(&input, &fit->predictor->intervals, err));
    }
    const qn_stop stop = qn_fit_stop_after(fit, 0.3);
    return qn_evaluation_create_until(&input, (uint64_t)fit->request.seed, fit->pool, &stop,
                                      &fit->cv, err);
}
