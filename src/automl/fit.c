/* SPDX-License-Identifier: Apache-2.0 */
/* qn_fit(): the main job. Load → candidates → folds → trials → ensemble → predictor → evaluation →
 * bundle and report, each step a function on one `qn_fit_run` (fit_run.h). */
#include "automl/fit_run.h"
#include "base/alloc.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* What was done since the last call was the stage of this name. */
void qn_fit_end_stage(qn_fit_run *fit, const char *name)
{
    const double now = qn_clock_s();
    fit->stages[fit->n_stages++] = (qn_stage_time){name, now - fit->stage_begun_s};
    fit->stage_begun_s = now;
}

static void release(qn_fit_run *fit)
{
    /* Profile and findings are the inputs'; the record only points to them. */
    fit->record.profile = NULL;
    fit->record.findings = (qn_findings){0};
    fit->record.test = fit->record.test_baseline = fit->record.cv = NULL;
    qn_record_release(&fit->record);
    qn_evaluation_free(fit->test);
    qn_evaluation_free(fit->test_baseline);
    qn_evaluation_free(fit->cv);
    qn_free(fit->importance);
    qn_free(fit->importance_error);
    qn_predictor_free(fit->predictor);
    qn_ensemble_release(&fit->ensemble);
    qn_str_release(&fit->notes);
    qn_trials_release(fit->trials, fit->candidates.n, fit->folds.n_folds);
    qn_free(fit->trials);
    qn_trial_data_release(&fit->data);
    qn_fold_set_release(&fit->folds);
    qn_candidates_release(&fit->candidates);
    qn_constraints_release(&fit->constraints);
    qn_fit_inputs_release(&fit->inputs);
    qn_pool_free(fit->pool);
    qn_free(fit->model_path);
    qn_free(fit->report_path);
}

static void tell_with(qn_fit_run *fit, const char *message, const char *note, int64_t n_trials)
{
    if (!fit->request.progress) return;
    const qn_fit_progress progress = {
        .elapsed_s = qn_clock_s() - fit->begun_s,
        .budget_s = fit->request.n_trials > 0 ? 0 : fit->request.budget_s,
        .n_trials = n_trials,
        .n_trials_planned = fit->candidates.n > 0 ? fit->candidates.n - 1 : 0,
        .best_name = fit->best_name,
        .best_score = fit->best_score,
        .message = message,
        .note = note};
    fit->request.progress(&progress, fit->request.progress_context);
}

void qn_fit_tell(qn_fit_run *fit, const char *message, int64_t n_trials)
{
    tell_with(fit, message, NULL, n_trials);
}

static void tell_notes(qn_fit_run *fit, const char *lines)
{
    for (const char *at = lines; at && *at;) {
        char note[600];
        const size_t bytes = strcspn(at, "\n");
        snprintf(note, sizeof note, "%.*s", (int)bytes, at);
        tell_with(fit, NULL, note, 0);
        at += bytes + (at[bytes] == '\n');
    }
}

static void tell_findings(qn_fit_run *fit)
{
    tell_notes(fit, fit->inputs.warnings.text);
    for (int64_t i = 0; i < fit->inputs.findings.n; i++) {
        tell_with(fit, NULL, fit->inputs.findings.items[i].message, 0);
    }
}

/* A part of what is left of the budget, writing spared; never when trials are counted. */
qn_stop qn_fit_stop_after(const qn_fit_run *fit, double share)
{
    qn_stop stop = fit->stop;
    const double now = qn_clock_s(), writing_s = fmax(0.1, 0.01 * fit->request.budget_s);
    if (stop.deadline_s > 0) stop.deadline_s = now + share * (stop.deadline_s - writing_s - now);
    return stop;
}

bool qn_fit_has_kind(const qn_schema *schema, qn_kind kind)
{
    for (int64_t col = 0; col < schema->n_cols; col++) { /* once: there may be 100,000 of them */
        const qn_schema_column *column = &schema->columns[col];
        const bool read = column->role == QN_ROLE_FEATURE || column->role == QN_ROLE_TIME;
        if (read && column->kind == kind) return true;
    }
    return false;
}

/* Told to stop with no model to show for it. */
qn_status qn_fit_nothing_ready(qn_fit_run *fit, qn_error *err)
{
    if (qn_stop_interrupted(&fit->stop)) {
        return qn_fail(err, QN_ERR_INTERRUPTED, "interrupted before any model was ready");
    }
    return qn_fail(err, QN_ERR_BUDGET,
                   "%.3g s are too short to train any model on %lld rows: raise --budget",
                   fit->request.budget_s, (long long)fit->inputs.n_train);
}

static qn_status run(qn_fit_run *fit, qn_error *err)
{
    QN_TRY(qn_fit_check_request(fit, err));
    fit->stop.interrupted = fit->request.interrupted;
    if (fit->request.n_trials == 0) fit->stop.deadline_s = fit->begun_s + fit->request.budget_s;
    fit->pool = qn_pool_create((int)fit->request.n_threads);
    if (!fit->pool) return qn_fail(err, QN_ERR_NOMEM, "no memory for the threads");

    QN_TRY(qn_fit_inputs_load(&fit->request, fit->pool, &fit->stop, &fit->inputs, err));
    qn_fit_end_stage(fit, "understanding");
    fit->stages[1] = (qn_stage_time){"understanding", fit->stages[0].seconds - fit->inputs.read_s};
    fit->stages[0] = (qn_stage_time){"reading", fit->inputs.read_s};
    fit->n_stages = 2;
    QN_TRY(qn_fit_choose_metric(fit, err));
    QN_TRY(qn_fit_create_candidates(fit, err));
    QN_TRY(qn_fit_find_outliers(fit, err));
    qn_fit_tell(fit, "table read and checked", 0);
    tell_findings(fit);
    QN_TRY(qn_fit_prepare_folds(fit, err));
    QN_TRY(qn_fit_prepare_data(fit, err));
    qn_fit_end_stage(fit, "folds");
    qn_fit_tell(fit, "folds prepared", 0);
    QN_TRY(qn_fit_run_trials(fit, err));
    qn_fit_end_stage(fit, "trials");
    qn_fit_tell(fit, "search done", qn_fit_n_complete(fit));
    QN_TRY(qn_fit_build_ensemble(fit, err));
    qn_fit_end_stage(fit, "ensemble");
    QN_TRY(qn_fit_calibrate(fit, err));
    QN_TRY(qn_fit_evaluate(fit, err));
    qn_fit_end_stage(fit, "importance");
    tell_notes(fit, fit->notes.text);
    return qn_fit_write(fit, err);
}

qn_status qn_fit(const qn_fit_request *request, qn_fit_result *result, qn_error *err)
{
    *result = (qn_fit_result){0};
    qn_fit_run fit = {.request = *request, .result = result, .begun_s = qn_clock_s()};
    fit.stage_begun_s = fit.begun_s;
    const qn_status status = run(&fit, err);
    release(&fit);
    if (status != QN_OK) qn_fit_result_release(result);
    return status;
}

void qn_fit_result_release(qn_fit_result *result)
{
    qn_free(result->model);
    qn_free(result->report);
    qn_free(result->json);
    *result = (qn_fit_result){0};
}
