/* SPDX-License-Identifier: Apache-2.0 */
/* What is said of a trial that runs: its reports, its notes, and its end. */
#include "search/study/study_internal.h"

#include <math.h>
#include <string.h>

qn_study *qn_trial_study(const qn_trial *trial)
{
    return trial->study;
}

const qn_trial_record *qn_trial_get_record(const qn_trial *trial)
{
    return trial->record;
}

int64_t qn_trial_number(const qn_trial *trial)
{
    return trial->record->number;
}

bool qn_trial_is_own(const qn_trial *trial)
{
    const qn_study *study = trial->study;
    return trial->record->state == QN_TRIAL_RUNNING &&
           (study->keeps_running || trial->record->owner == study->store.worker);
}

static qn_status check_running(const qn_trial *trial, qn_error *err)
{
    const qn_trial_record *record = trial->record;
    if (qn_trial_is_own(trial)) return QN_OK;
    if (record->state == QN_TRIAL_RUNNING) {
        return qn_fail(err, QN_ERR_ARG, "trial %" PRId64 " runs in another process",
                       record->number);
    }
    return qn_fail(err, QN_ERR_ARG, "trial %" PRId64 " is not running but %s", record->number,
                   qn_trial_state_name(record->state));
}

/* What define-by-run did not ask for took no part. */
static void settle_asked(qn_trial *trial)
{
    for (int64_t at = 0; trial->asked && at < trial->record->n_values; at++) {
        if (!trial->asked[at]) trial->record->values[at] = QN_NA;
    }
}

qn_status qn_study_end_trial(qn_trial *trial, qn_trial_state state, const double *losses,
                             double ended_s, qn_error *err)
{
    qn_study *study = trial->study;
    const qn_sampler *sampler = study->sampling.sampler;
    QN_TRY(qn_history_finish(&study->history, trial->record, state, losses, err));
    trial->record->ended_s = ended_s;
    const bool failed = trial->record->state == QN_TRIAL_FAILED;
    return sampler->tell && !failed ? sampler->tell(study->sampling.state, trial->record, err)
                                    : QN_OK;
}

qn_status qn_study_finish_trial(qn_trial *trial, qn_trial_state state, const double *losses,
                                bool *done, qn_error *err)
{
    qn_trial_record after = *trial->record;
    if (state == QN_TRIAL_PRUNED && after.n_reports == 0) state = QN_TRIAL_FAILED;
    double last = state == QN_TRIAL_PRUNED ? after.reports[after.n_reports - 1].loss : 0;
    double copies[QN_OBJECTIVES_MAX];
    after.state = state;
    after.ended_s = qn_study_now_s();
    after.losses = state == QN_TRIAL_PRUNED ? &last : NULL;
    if (losses) {
        memcpy(copies, losses, (size_t)trial->study->objectives.n * sizeof *copies);
        after.losses = copies;
    }
    QN_TRY(qn_study_put(trial->study, &after, done, err));
    if (!*done) return QN_OK;
    trial->record->revision = after.revision;
    return qn_study_end_trial(trial, state, losses, after.ended_s, err);
}

/* Says who has the trial when the store refused to write it. */
static qn_status check_kept(qn_trial *trial, bool kept, qn_error *err)
{
    if (kept) return QN_OK;
    QN_TRY(qn_study_sync(trial->study, true, err));
    QN_TRY(check_running(trial, err));
    return qn_fail(err, QN_ERR_IO, "trial %" PRId64 " cannot be written to the store",
                   trial->record->number);
}

static qn_status finish(qn_trial *trial, qn_trial_state state, const double *losses, qn_error *err)
{
    bool done;
    QN_TRY(check_running(trial, err));
    settle_asked(trial);
    QN_TRY(qn_study_finish_trial(trial, state, losses, &done, err));
    return check_kept(trial, done, err);
}

static qn_status tell(qn_trial *trial, const double *values, int64_t n, qn_error *err)
{
    const qn_objectives *objectives = &trial->study->objectives;
    double losses[QN_OBJECTIVES_MAX];
    bool finite = true;
    if (n != objectives->n) {
        return qn_fail(err, QN_ERR_ARG,
                       "trial %" PRId64 ": expected %" PRId64
                       " value(s), one per objective, not %" PRId64,
                       trial->record->number, objectives->n, n);
    }
    for (int64_t i = 0; i < n; i++) {
        losses[i] = objectives->items[i].maximise ? -values[i] : values[i];
        finite &= isfinite(losses[i]) != 0;
    }
    return finite ? finish(trial, QN_TRIAL_COMPLETE, losses, err)
                  : finish(trial, QN_TRIAL_FAILED, NULL, err);
}

/* Lets go of the study, and says that the trial has ended. */
static qn_status settle_end(qn_trial *trial, qn_status status, qn_error *err)
{
    qn_study *study = trial->study;
    QN_TRY(qn_study_settle_lasting(study, status, err));
    if (study->ended) study->ended(study->ended_context, study, trial);
    return QN_OK;
}

qn_status qn_trial_tell(qn_trial *trial, const double *values, int64_t n, qn_error *err)
{
    qn_study_lock(trial->study);
    return settle_end(trial, tell(trial, values, n, err), err);
}

qn_status qn_trial_prune(qn_trial *trial, qn_error *err)
{
    qn_study_lock(trial->study);
    return settle_end(trial, finish(trial, QN_TRIAL_PRUNED, NULL, err), err);
}

qn_status qn_trial_fail(qn_trial *trial, qn_error *err)
{
    qn_study_lock(trial->study);
    return settle_end(trial, finish(trial, QN_TRIAL_FAILED, NULL, err), err);
}

/* Other processes see what was reported. */
static qn_status store_report(qn_trial *trial, qn_error *err)
{
    bool done;
    qn_trial_record after = *trial->record;
    QN_TRY(qn_study_put(trial->study, &after, &done, err));
    if (done) trial->record->revision = after.revision;
    return check_kept(trial, done, err);
}

/* In batches, what the others of its batch do must not matter: it depends on when they run. */
static bool should_stop(qn_study *study, const qn_trial_record *trial)
{
    const qn_pruning *pruning = &study->pruning;
    const int64_t first = study->batch_size > 0 ? trial->number - trial->number % study->batch_size
                                                : study->history.n_trials;
    if (first == study->history.n_trials) {
        return pruning->pruner->should_stop(pruning->settings, &study->history, trial);
    }
    qn_history view = study->history;
    qn_trial_record *const other = view.trials[first];
    while (view.n_told > 0 && view.told[view.n_told - 1]->number >= first) {
        view.n_told--;
    }
    view.n_trials = first + 1;
    view.trials[first] = study->trials[trial->number]->record;
    const bool stop = pruning->pruner->should_stop(pruning->settings, &view, trial);
    view.trials[first] = other;
    return stop;
}

static qn_status report(qn_trial *trial, int64_t step, double value, bool *prune, qn_error *err)
{
    qn_study *study = trial->study;
    const qn_pruner *pruner = study->pruning.pruner;
    QN_TRY(check_running(trial, err));
    if (study->objectives.n > 1) {
        return qn_fail(err, QN_ERR_ARG, "reports take one objective, not %" PRId64,
                       study->objectives.n);
    }
    if (isnan(value)) {
        return qn_fail(err, QN_ERR_ARG, "trial %" PRId64 ", step %" PRId64 ": not a number",
                       trial->record->number, step);
    }
    const double loss = study->objectives.items[0].maximise ? -value : value;
    QN_TRY(qn_history_report(&study->history, trial->record, step, loss, err));
    if (pruner && study->store.state) QN_TRY(store_report(trial, err));
    if (prune) *prune = pruner && should_stop(study, trial->record);
    return QN_OK;
}

qn_status qn_trial_report(qn_trial *trial, int64_t step, double value, bool *prune, qn_error *err)
{
    qn_study_lock(trial->study);
    return qn_study_settle(trial->study, report(trial, step, value, prune, err), err);
}

int64_t qn_trial_next_look(const qn_trial *trial)
{
    const qn_pruning *pruning = &trial->study->pruning;
    if (!pruning->pruner || !pruning->pruner->next_look) return 0;
    const double step = pruning->pruner->next_look(pruning->settings, trial->record);
    return step < 1e15 ? (int64_t)step : 0;
}

qn_status qn_trial_violate(qn_trial *trial, double violation, qn_error *err)
{
    if (!(violation >= 0)) {
        return qn_fail(err, QN_ERR_ARG, "a violation is a number from 0 up, not %g", violation);
    }
    qn_study_lock(trial->study);
    const qn_status status = check_running(trial, err);
    if (status == QN_OK) trial->record->violation = violation;
    qn_study_unlock(trial->study);
    return status;
}

qn_status qn_trial_annotate(qn_trial *trial, const char *name, const char *json, qn_error *err)
{
    qn_json *parsed;
    QN_TRY(qn_json_parse(json, strlen(json), name, &parsed, err));
    qn_json_free(parsed);
    qn_study_lock(trial->study);
    const qn_status status =
        qn_history_annotate(&trial->study->history, trial->record, name, json, err);
    qn_study_unlock(trial->study);
    return status;
}

static qn_status retry(qn_trial *trial, qn_error *err)
{
    bool done;
    QN_TRY(check_running(trial, err));
    QN_TRY(qn_study_give_back(trial, &done, err));
    return check_kept(trial, done, err);
}

qn_status qn_trial_retry(qn_trial *trial, qn_error *err)
{
    qn_study_lock(trial->study);
    return qn_study_settle(trial->study, retry(trial, err), err);
}
