/* SPDX-License-Identifier: Apache-2.0 */
/* The trials of a study and its store: written, committed, and looked after. */
#include "base/alloc.h"
#include "base/clock.h"
#include "search/study/study_internal.h"

enum { LOSSES_MAX = 20, GROUP_MAX = 64 };

/* How often other workers are looked after. */
#define CARE_S 0.2

static qn_status no_memory(qn_error *err)
{
    return qn_fail(err, QN_ERR_NOMEM, "no memory for the study");
}

/* Writing. */

static void write_attributes(const qn_trial_record *record, qn_str *out)
{
    qn_json_writer json = {.out = out};
    qn_json_begin_object(&json);
    for (const qn_trial_attribute *a = record->attributes; a; a = a->next) {
        qn_json_key(&json, a->name);
        qn_json_raw(&json, a->json);
    }
    qn_json_end_object(&json);
}

static qn_status check_store(const qn_study *study, qn_error *err)
{
    if (study->is_read_only) {
        return qn_fail(err, QN_ERR_ARG, "the study was opened for reading");
    }
    if (study->failure.status == QN_OK) return QN_OK;
    return qn_fail(err, study->failure.status, "%s; open the study again", study->failure.message);
}

/* What a store has failed at cannot be told from what it has done: it is not used any more. */
static qn_status keep_failure(qn_study *study, qn_status status, const qn_error *failure,
                              qn_error *err)
{
    if (status == QN_OK) return QN_OK;
    study->failure = *failure;
    study->failure.status = status;
    return qn_fail(err, status, "%s", failure->message);
}

static qn_status put(qn_study *study, const qn_stored_trial *trial, int64_t *revision,
                     qn_error *err)
{
    qn_error failure = {0};
    QN_TRY(check_store(study, err));
    const qn_status status = study->store.backend->put(study->store.state, trial,
                                                       study->objectives.n, revision, &failure);
    study->n_put++;
    return keep_failure(study, status, &failure, err);
}

qn_status qn_study_put(qn_study *study, qn_trial_record *record, bool *done, qn_error *err)
{
    *done = true;
    if (!study->store.state) return QN_OK;
    qn_stored_trial stored = {.record = *record};
    qn_str attributes = {0};
    int64_t revision = 0;
    if (record->attributes) write_attributes(record, &attributes);
    stored.attributes = attributes.text;
    const qn_status status =
        attributes.failed ? no_memory(err) : put(study, &stored, &revision, err);
    qn_str_release(&attributes);
    QN_TRY(status);
    *done = revision > 0;
    if (*done) record->revision = revision;
    return QN_OK;
}

qn_status qn_study_put_stored(qn_study *study, const qn_stored_trial *trial, bool *done,
                              qn_error *err)
{
    int64_t revision = 0;
    QN_TRY(put(study, trial, &revision, err));
    *done = revision > 0;
    return QN_OK;
}

/* Group commit: whoever leaves while others wait for the study goes on without committing; the last
 * one commits what all have put. Of those that wait for the disk one writes for all, without the
 * lock: the others ask and tell meanwhile, and what they commit is the next one's to write. So
 * there are two groups, one that is being written and one that gathers; when the first is done, all
 * of it is woken, and one of the second, to write in turn. */

/* Who waits for the disk wakes once: when its group is written, or to write it. */
static pthread_cond_t *group_of(qn_study *study, bool is_next)
{
    return &study->synced[(study->n_syncs + is_next) % 2];
}

static void commit(qn_study *study)
{
    qn_error failure = {0};
    qn_status status = QN_OK;
    if (study->failure.status == QN_OK) {
        status = study->store.backend->commit(study->store.state, &failure);
    }
    (void)keep_failure(study, status, &failure, NULL);
    study->n_committed = study->n_put;
    pthread_cond_broadcast(&study->committed);
    if (!study->is_syncing) pthread_cond_signal(group_of(study, false));
}

static void sync_for_all(qn_study *study)
{
    qn_error failure = {0};
    qn_status status = QN_OK;
    const qn_store *store = &study->store;
    study->n_syncing = study->n_committed;
    if (store->backend->sync && study->failure.status == QN_OK) {
        study->is_syncing = true;
        pthread_mutex_unlock(&study->lock);
        status = store->backend->sync(store->state, &failure);
        pthread_mutex_lock(&study->lock);
        study->is_syncing = false;
    }
    (void)keep_failure(study, status, &failure, NULL);
    study->n_synced = study->n_syncing;
    pthread_cond_broadcast(group_of(study, false));
    pthread_cond_signal(group_of(study, true));
    study->n_syncs++;
}

void qn_study_lock(qn_study *study)
{
    atomic_fetch_add(&study->n_waiting, 1);
    pthread_mutex_lock(&study->lock);
    atomic_fetch_sub(&study->n_waiting, 1);
}

static bool others_will_commit(qn_study *study)
{
    return atomic_load(&study->n_waiting) > 0 && study->n_put - study->n_committed < GROUP_MAX;
}

void qn_study_unlock(qn_study *study)
{
    if (study->n_put > study->n_committed && !others_will_commit(study)) commit(study);
    pthread_mutex_unlock(&study->lock);
}

static void await_commit(qn_study *study, int64_t mine)
{
    while (study->n_committed < mine) {
        pthread_cond_wait(&study->committed, &study->lock);
    }
}

static void await_sync(qn_study *study, int64_t mine)
{
    while (study->n_synced < mine) {
        if (study->is_syncing) {
            pthread_cond_wait(group_of(study, mine > study->n_syncing), &study->lock);
        } else if (study->n_committed > study->n_synced) {
            sync_for_all(study);
        } else {
            pthread_cond_wait(group_of(study, false), &study->lock);
        }
    }
}

static qn_status settle(qn_study *study, bool lasting, qn_status status, qn_error *err)
{
    const int64_t mine = study->n_put;
    const bool had_failed = study->failure.status != QN_OK;
    if (mine > study->n_committed && !others_will_commit(study)) commit(study);
    if (lasting) {
        await_sync(study, mine);
    } else {
        await_commit(study, mine);
    }
    if (status == QN_OK && !had_failed && study->failure.status != QN_OK) {
        status = qn_fail(err, study->failure.status, "%s", study->failure.message);
    }
    pthread_mutex_unlock(&study->lock);
    return status;
}

qn_status qn_study_settle(qn_study *study, qn_status status, qn_error *err)
{
    return settle(study, false, status, err);
}

qn_status qn_study_settle_lasting(qn_study *study, qn_status status, qn_error *err)
{
    return settle(study, true, status, err);
}

/* Looking after trials whose worker died. */

qn_status qn_study_give_back(qn_trial *trial, bool *done, qn_error *err)
{
    qn_study *study = trial->study;
    qn_trial_record after = *trial->record;
    after.state = QN_TRIAL_WAITING;
    after.owner = 0;
    after.n_retries++;
    after.n_reports = 0;
    after.violation = 0;
    QN_TRY(qn_study_put(study, &after, done, err));
    if (!*done) return QN_OK; /* it has been done by another, or the trial has ended */
    trial->record->revision = after.revision;
    trial->record->owner = 0;
    trial->record->n_retries = after.n_retries;
    qn_history_give_back(&study->history, trial->record);
    if (after.number < study->first_waiting) study->first_waiting = after.number;
    return QN_OK;
}

static qn_status care_for(qn_trial *trial, qn_error *err)
{
    static const char failure[] = "\"its worker died, again and again\"";
    bool done;
    qn_study *study = trial->study;
    if (trial->record->n_retries < LOSSES_MAX) return qn_study_give_back(trial, &done, err);
    QN_TRY(qn_history_annotate(&study->history, trial->record, "failure", failure, err));
    return qn_study_finish_trial(trial, QN_TRIAL_FAILED, NULL, &done, err);
}

static qn_status care_for_lost(qn_study *study, qn_error *err)
{
    const double now_s = qn_clock_s();
    if (study->keeps_running || study->is_read_only || now_s < study->next_care_s) return QN_OK;
    study->next_care_s = now_s + CARE_S;
    for (int64_t i = study->history.n_running - 1; i >= 0; i--) {
        const qn_trial_record *record = study->history.running[i];
        bool alive = true;
        if (record->owner == 0 || record->owner == study->store.worker) continue;
        QN_TRY(study->store.backend->is_alive(study->store.state, record->owner, &alive, err));
        if (!alive) QN_TRY(care_for(study->trials[record->number], err));
    }
    return QN_OK;
}

qn_status qn_study_sync(qn_study *study, bool force, qn_error *err)
{
    if (!study->store.state) return QN_OK;
    if (study->failure.status != QN_OK) return check_store(study, err);
    qn_error failure = {0};
    const qn_status status = qn_study_load(study, force, &failure);
    QN_TRY(keep_failure(study, status, &failure, err));
    return care_for_lost(study, err);
}
