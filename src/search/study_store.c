/* SPDX-License-Identifier: Apache-2.0 */
/* The trials of a study and its store: written, read, and kept in step with what other processes
 * do to them. */
#include "base/alloc.h"
#include "base/clock.h"
#include "search/study_internal.h"

#include <stdlib.h>
#include <string.h>

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

qn_status qn_study_put(qn_study *study, qn_trial_record *record, bool *done, qn_error *err)
{
    *done = true;
    if (!study->store.state) return QN_OK;
    QN_TRY(check_store(study, err));
    qn_error failure = {0};
    qn_stored_trial stored = {.record = *record};
    qn_str attributes = {0};
    int64_t revision = 0;
    if (record->attributes) write_attributes(record, &attributes);
    stored.attributes = attributes.text;
    qn_status status = attributes.failed
                           ? no_memory(&failure)
                           : study->store.backend->put(study->store.state, &stored,
                                                       study->objectives.n, &revision, &failure);
    qn_str_release(&attributes);
    study->n_put++;
    QN_TRY(keep_failure(study, status, &failure, err));
    *done = revision > 0;
    if (*done) record->revision = revision;
    return QN_OK;
}

/* Group commit: whoever leaves while others wait for the study goes on without committing; the last
 * one commits what all have put. */

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

qn_status qn_study_settle(qn_study *study, qn_status status, qn_error *err)
{
    const int64_t mine = study->n_put;
    const bool had_failed = study->failure.status != QN_OK;
    if (mine > study->n_committed && !others_will_commit(study)) commit(study);
    while (study->n_committed < mine) {
        pthread_cond_wait(&study->committed, &study->lock);
    }
    if (status == QN_OK && !had_failed && study->failure.status != QN_OK) {
        status = qn_fail(err, study->failure.status, "%s", study->failure.message);
    }
    pthread_mutex_unlock(&study->lock);
    return status;
}

/* Reading. */

static qn_status annotate(qn_study *study, qn_trial_record *record, const char *text, qn_error *err)
{
    qn_json *parsed;
    if (!text) return QN_OK;
    QN_TRY(qn_json_parse(text, strlen(text), "attributes", &parsed, err));
    const qn_json_value object = qn_json_root(parsed);
    qn_status status = QN_OK;
    for (int64_t i = 0; status == QN_OK && i < qn_json_size(object); i++) {
        const char *name;
        qn_str json = {0};
        qn_json_write_value(&(qn_json_writer){.out = &json}, qn_json_member(object, i, &name));
        status = json.failed ? no_memory(err)
                             : qn_history_annotate(&study->history, record, name, json.text, err);
        qn_str_release(&json);
    }
    qn_json_free(parsed);
    return status;
}

static bool is_finished(qn_trial_state state)
{
    return state >= QN_TRIAL_COMPLETE;
}

static bool makes_sense(const qn_study *study, const qn_stored_trial *stored)
{
    const qn_trial_record *from = &stored->record;
    const bool told = from->state == QN_TRIAL_COMPLETE || from->state == QN_TRIAL_PRUNED;
    if (from->number < 0 || from->number > study->history.n_trials ||
        from->n_values > study->space.n)
        return false;
    if (told && (from->told < 0 || !from->losses)) return false;
    for (int64_t at = 0; at < from->n_values; at++) {
        const double value = from->values[at];
        const qn_parameter *p = &study->space.parameters[at];
        if (value == value && !qn_parameter_accepts(p, value)) return false;
    }
    return from->state != QN_TRIAL_PRUNED || from->n_reports > 0;
}

/* A trial that is new here; one that has ended waits for that. */
static qn_status add_stored(qn_study *study, const qn_trial_record *from, qn_trial **out,
                            qn_error *err)
{
    if (!qn_study_reserve_values(study)) return no_memory(err);
    for (int64_t at = 0; at < study->space.n; at++) {
        study->values[at] = qn_trial_value(from, at);
    }
    const bool runs = from->state == QN_TRIAL_RUNNING;
    QN_TRY(qn_study_add_trial(study, runs ? QN_TRIAL_RUNNING : QN_TRIAL_WAITING, out, err));
    (*out)->record->n_values = from->n_values;
    return QN_OK;
}

static qn_status update_stored(qn_study *study, const qn_trial_record *from, qn_trial *trial,
                               qn_error *err)
{
    qn_trial_record *record = trial->record;
    const bool runs = from->state == QN_TRIAL_RUNNING;
    QN_TRY(qn_history_set_values(&study->history, record, from->values, from->n_values, err));
    if (runs && record->state == QN_TRIAL_WAITING) {
        return qn_history_start(&study->history, record, err);
    }
    if (!runs && record->state == QN_TRIAL_RUNNING) {
        qn_history_give_back(&study->history, record);
        if (record->number < study->first_waiting) study->first_waiting = record->number;
    }
    return QN_OK;
}

/* The trial as it was, but for its end. */
static qn_status restore_trial(qn_study *study, const qn_stored_trial *stored, qn_error *err)
{
    const qn_trial_record *from = &stored->record;
    qn_trial *trial;
    if (from->n_values > study->space.n) QN_TRY(qn_study_read_growth(study, err));
    if (!makes_sense(study, stored)) {
        return qn_fail(err, QN_ERR_DATA, "trial %" PRId64 " of the store is damaged", from->number);
    }
    if (from->number == study->history.n_trials) {
        QN_TRY(add_stored(study, from, &trial, err));
    } else {
        trial = study->trials[from->number];
        QN_TRY(update_stored(study, from, trial, err));
    }
    qn_trial_record *record = trial->record;
    record->begun_s = from->begun_s;
    record->n_retries = from->n_retries;
    record->revision = from->revision;
    record->owner = from->owner;
    QN_TRY(annotate(study, record, stored->attributes, err));
    record->violation = from->violation;
    record->n_reports = 0;
    for (int64_t i = 0; from->state != QN_TRIAL_WAITING && i < from->n_reports; i++) {
        QN_TRY(qn_history_report(&study->history, record, from->reports[i].step,
                                 from->reports[i].loss, err));
    }
    return QN_OK;
}

/* The end of a trial, until those before it in the order of telling are known. */
struct ending {
    int64_t told, number;
    qn_trial_state state;
    double ended_s;
    const double *losses;
};

/* Trials as they are read from a store. */
struct loading {
    qn_study *study;
    qn_arena arena;
    struct ending *endings;
    int64_t n, room;
    bool in_order;
};

static bool copy_losses(struct loading *loading, const double *losses, const double **copy)
{
    const int64_t n = loading->study->objectives.n;
    double *items = losses ? qn_arena_array(&loading->arena, n, sizeof *items) : NULL;
    if (items) memcpy(items, losses, (size_t)n * sizeof *items);
    *copy = items;
    return items || !losses;
}

static qn_status keep_ending(struct loading *loading, const qn_trial_record *from, qn_error *err)
{
    if (loading->n == loading->room) {
        const int64_t room = loading->room ? 2 * loading->room : 64;
        struct ending *more = qn_realloc_array(loading->endings, room, sizeof *more);
        if (!more) return no_memory(err);
        loading->endings = more;
        loading->room = room;
    }
    struct ending *ending = &loading->endings[loading->n];
    *ending = (struct ending){from->told, from->number, from->state, from->ended_s, NULL};
    if (!copy_losses(loading, from->losses, &ending->losses)) return no_memory(err);
    if (loading->n > 0) loading->in_order &= ending[-1].told < ending->told;
    loading->n++;
    return QN_OK;
}

/* What this process has written itself it knows. */
static bool is_known(const qn_study *study, const qn_trial_record *from)
{
    if (from->number < 0 || from->number >= study->history.n_trials) return false;
    const qn_trial_record *record = study->history.trials[from->number];
    return is_finished(record->state) || (record->revision == from->revision && from->revision > 0);
}

static qn_status load_trial(void *context, const qn_stored_trial *trial, qn_error *err)
{
    struct loading *loading = context;
    if (is_known(loading->study, &trial->record)) return QN_OK;
    QN_TRY(restore_trial(loading->study, trial, err));
    return is_finished(trial->record.state) ? keep_ending(loading, &trial->record, err) : QN_OK;
}

static int by_told(const void *a, const void *b)
{
    const struct ending *x = a, *y = b;
    return (x->told > y->told) - (x->told < y->told);
}

/* Ends trials in the order in which they were told. */
static qn_status finish_loading(struct loading *loading, qn_status status, qn_error *err)
{
    qn_study *study = loading->study;
    if (status == QN_OK && !loading->in_order) {
        qsort(loading->endings, (size_t)loading->n, sizeof *loading->endings, by_told);
    }
    for (int64_t i = 0; status == QN_OK && i < loading->n; i++) {
        const struct ending *ending = &loading->endings[i];
        qn_trial *trial = study->trials[ending->number];
        status = qn_history_start(&study->history, trial->record, err);
        if (status != QN_OK) break;
        status = qn_study_end_trial(trial, ending->state, ending->losses, ending->ended_s, err);
    }
    qn_free(loading->endings);
    qn_arena_release(&loading->arena);
    return status;
}

static qn_status restore(qn_study *study, const qn_stored_trial *trials, int64_t n, qn_error *err)
{
    struct loading loading = {.study = study, .in_order = true};
    qn_status status = QN_OK;
    for (int64_t i = 0; status == QN_OK && i < n; i++) {
        status = load_trial(&loading, &trials[i], err);
    }
    QN_TRY(finish_loading(&loading, status, err));
    for (int64_t i = study->history.n_running - 1; !study->keeps_running && i >= 0; i--) {
        qn_trial *trial = study->trials[study->history.running[i]->number];
        trial->record->n_retries++;
        qn_history_give_back(&study->history, trial->record);
    }
    return QN_OK;
}

qn_status qn_study_restore(qn_study *study, const qn_stored_trial *trials, int64_t n, qn_error *err)
{
    qn_study_lock(study);
    const qn_status status = restore(study, trials, n, err);
    qn_study_unlock(study);
    return status;
}

static qn_status read_changes(qn_study *study, bool force, qn_error *err)
{
    struct loading loading = {.study = study, .in_order = true};
    qn_error failure = {0};
    qn_status status =
        study->store.backend->changes(study->store.state, force, load_trial, &loading, &failure);
    status = finish_loading(&loading, status, &failure);
    return keep_failure(study, status, &failure, err);
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
    QN_TRY(read_changes(study, force, err));
    return care_for_lost(study, err);
}
