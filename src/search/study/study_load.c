/* SPDX-License-Identifier: Apache-2.0 */
/* The trials of a study as its store has them: read when it is opened, and what other processes
 * have changed since. */
#include "base/alloc.h"
#include "search/study/study_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static qn_status no_memory(qn_error *err)
{
    return qn_fail(err, QN_ERR_NOMEM, "no memory for the study");
}

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

static bool results_make_sense(const qn_study *study, const qn_stored_trial *stored)
{
    const qn_trial_record *from = &stored->record;
    const int64_t n = study->objectives.n;
    const bool told = from->state == QN_TRIAL_COMPLETE || from->state == QN_TRIAL_PRUNED;
    if (told && (from->told < 0 || !from->losses)) return false;
    if (stored->n_losses > 0 && stored->n_losses != n) return false;
    for (int64_t i = 0; from->losses && i < n; i++) {
        if (isnan(from->losses[i])) return false;
    }
    for (int64_t i = 0; i < from->n_reports; i++) {
        if (isnan(from->reports[i].loss)) return false;
    }
    return from->violation >= 0 && (from->state != QN_TRIAL_PRUNED || from->n_reports > 0);
}

static bool values_make_sense(const qn_study *study, const qn_trial_record *from)
{
    if (from->n_values > study->space.n) return false;
    for (int64_t at = 0; at < from->n_values; at++) {
        const double value = from->values[at];
        if (!isnan(value) && !qn_parameter_accepts(&study->space.parameters[at], value)) {
            return false;
        }
    }
    return true;
}

static bool makes_sense(const qn_study *study, const qn_stored_trial *stored)
{
    const int64_t number = stored->record.number;
    return number >= 0 && number <= study->history.n_trials &&
           values_make_sense(study, &stored->record) && results_make_sense(study, stored);
}

static qn_status damaged(const qn_trial_record *from, qn_error *err)
{
    return qn_fail(err, QN_ERR_DATA, "trial %" PRId64 " of the store is damaged", from->number);
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
    if (!makes_sense(study, stored)) return damaged(from, err);
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

/* The end of a trial, or the whole of a prior one, until those before it in the order of telling
 * are known. */
struct ending {
    int64_t told, number;
    qn_trial_state state;
    double ended_s;
    const double *losses;
    const qn_stored_trial *prior; /* NULL: a trial of this study */
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
    *ending = (struct ending){
        .told = from->told, .number = from->number, .state = from->state, .ended_s = from->ended_s};
    if (!copy_losses(loading, from->losses, &ending->losses)) return no_memory(err);
    if (loading->n > 0) loading->in_order &= ending[-1].told < ending->told;
    loading->n++;
    return QN_OK;
}

/* A prior trial waits as a whole, as its place in the history is that of its telling. */
static qn_status keep_prior(struct loading *loading, const qn_stored_trial *stored, qn_error *err)
{
    const qn_study *study = loading->study;
    const qn_trial_record *from = &stored->record;
    if (from->n_values > study->space.n) QN_TRY(qn_study_read_growth(loading->study, err));
    if (!values_make_sense(study, from) || !results_make_sense(study, stored) ||
        from->state < QN_TRIAL_COMPLETE || from->state > QN_TRIAL_PRUNED) {
        return damaged(from, err);
    }
    qn_stored_trial *copy = qn_arena_array(&loading->arena, 1, sizeof *copy);
    const char *attributes =
        stored->attributes ? qn_arena_strdup(&loading->arena, stored->attributes) : NULL;
    double *values = qn_arena_array(&loading->arena, from->n_values, sizeof *values);
    qn_curve_point *last = qn_arena_array(&loading->arena, 1, sizeof *last);
    if (!copy || !values || !last || (stored->attributes && !attributes)) return no_memory(err);
    QN_TRY(keep_ending(loading, from, err));
    struct ending *ending = &loading->endings[loading->n - 1];
    if (from->n_values > 0) memcpy(values, from->values, (size_t)from->n_values * sizeof *values);
    if (from->n_reports > 0) *last = from->reports[from->n_reports - 1];
    *copy = (qn_stored_trial){.record = *from, .attributes = attributes};
    copy->record.values = values;
    copy->record.reports = last;
    copy->record.n_reports = from->n_reports > 0;
    memcpy(&copy->record.losses, &ending->losses, sizeof ending->losses);
    ending->prior = copy;
    return QN_OK;
}

/* What this process has written itself it knows. */
static bool is_known(const qn_study *study, const qn_trial_record *from)
{
    if (from->number < 0) return from->number >= -study->history.n_prior;
    if (from->number >= study->history.n_trials) return false;
    const qn_trial_record *record = study->history.trials[from->number];
    return is_finished(record->state) || (record->revision == from->revision && from->revision > 0);
}

static qn_status load_trial(void *context, const qn_stored_trial *trial, qn_error *err)
{
    struct loading *loading = context;
    if (is_known(loading->study, &trial->record)) return QN_OK;
    if (trial->record.number < 0) return keep_prior(loading, trial, err);
    QN_TRY(restore_trial(loading->study, trial, err));
    return is_finished(trial->record.state) ? keep_ending(loading, &trial->record, err) : QN_OK;
}

static int by_told(const void *a, const void *b)
{
    const struct ending *x = a, *y = b;
    return (x->told > y->told) - (x->told < y->told);
}

static qn_status end_prior(qn_study *study, const struct ending *ending, qn_error *err)
{
    if (ending->number != -1 - study->history.n_prior) return damaged(&ending->prior->record, err);
    return qn_study_tell_prior(study, ending->prior, err);
}

static qn_status end_loaded(qn_study *study, const struct ending *ending, qn_error *err)
{
    qn_trial *trial = study->trials[ending->number];
    QN_TRY(qn_history_start(&study->history, trial->record, err));
    return qn_study_end_trial(trial, ending->state, ending->losses, ending->ended_s, err);
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
        status = ending->prior ? end_prior(study, ending, err) : end_loaded(study, ending, err);
    }
    qn_free(loading->endings);
    qn_arena_release(&loading->arena);
    return status;
}

qn_status qn_study_tell_prior(qn_study *study, const qn_stored_trial *prior, qn_error *err)
{
    const qn_sampler *sampler = study->sampling.sampler;
    qn_trial_record *record;
    QN_TRY(qn_history_add_prior(&study->history, &prior->record, &record, err));
    QN_TRY(annotate(study, record, prior->attributes, err));
    return sampler->tell ? sampler->tell(study->sampling.state, record, err) : QN_OK;
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

qn_status qn_study_load(qn_study *study, bool force, qn_error *err)
{
    struct loading loading = {.study = study, .in_order = true};
    const qn_status status =
        study->store.backend->changes(study->store.state, force, load_trial, &loading, err);
    return finish_loading(&loading, status, err);
}
