/* SPDX-License-Identifier: Apache-2.0 */
/* A study from outside: its trials are asked for and given beforehand, and it is looked at. */
#include "base/alloc.h"
#include "search/samplers/sampler_table.h"
#include "search/study/study_internal.h"

#include <math.h>
#include <string.h>

static qn_status no_memory(qn_error *err)
{
    return qn_fail(err, QN_ERR_NOMEM, "no memory for the study");
}

/* Asking. */

bool qn_study_reserve_values(qn_study *study)
{
    if (study->values && study->values_room >= study->space.n) return true;
    const int64_t room = 2 * study->space.n + 8;
    double *more = qn_realloc_array(study->values, room, sizeof *more);
    if (!more) return false;
    study->values = more;
    study->values_room = room;
    return true;
}

static bool reserve_trials(qn_study *study)
{
    if (study->history.n_trials < study->trials_room) return true;
    const int64_t room = study->trials_room ? 2 * study->trials_room : 64;
    qn_trial **more = qn_realloc_array(study->trials, room, sizeof *more);
    if (!more) return false;
    study->trials = more;
    study->trials_room = room;
    return true;
}

qn_status qn_study_add_trial(qn_study *study, qn_trial_state state, qn_trial **out, qn_error *err)
{
    qn_trial *trial = qn_arena_array(&study->history.arena, 1, sizeof *trial);
    if (!trial || !reserve_trials(study)) return no_memory(err);
    trial->study = study;
    if (study->defines_by_run) {
        trial->room = study->space.n;
        trial->asked = qn_arena_array(&study->history.arena, trial->room, sizeof *trial->asked);
        if (!trial->asked) return no_memory(err);
    }
    QN_TRY(qn_history_add(&study->history, study->values, state, &trial->record, err));
    study->trials[trial->record->number] = trial;
    *out = trial;
    return QN_OK;
}

/* The trial that has waited longest; NULL if none does. */
static qn_trial *next_waiting(qn_study *study)
{
    for (; study->first_waiting < study->history.n_trials; study->first_waiting++) {
        qn_trial *trial = study->trials[study->first_waiting];
        if (trial->record->state == QN_TRIAL_WAITING) return trial;
    }
    return NULL;
}

static int64_t own_worker(const qn_study *study)
{
    return study->keeps_running ? 0 : study->store.worker;
}

/* Begins a trial that waits; *out is NULL when another process was quicker. */
static qn_status begin_waiting(qn_study *study, qn_trial *trial, qn_trial **out, qn_error *err)
{
    bool done;
    qn_trial_record after = *trial->record;
    after.state = QN_TRIAL_RUNNING;
    after.begun_s = qn_study_now_s();
    after.owner = own_worker(study);
    QN_TRY(qn_study_put(study, &after, &done, err));
    if (!done) return QN_OK;
    trial->record->begun_s = after.begun_s;
    trial->record->owner = after.owner;
    trial->record->revision = after.revision;
    QN_TRY(qn_history_start(&study->history, trial->record, err));
    *out = trial;
    return QN_OK;
}

/* Writes what is in study->values as a new trial; *out is NULL when another process has taken the
 * number. */
static qn_status add_new(qn_study *study, qn_trial_state state, qn_trial **out, qn_error *err)
{
    bool done, runs = state == QN_TRIAL_RUNNING;
    qn_trial_record record = {.number = study->history.n_trials,
                              .state = state,
                              .n_values = study->space.n,
                              .values = study->values,
                              .begun_s = runs ? qn_study_now_s() : 0,
                              .owner = runs ? own_worker(study) : 0};
    QN_TRY(qn_study_put(study, &record, &done, err));
    if (!done) return QN_OK;
    QN_TRY(qn_study_add_trial(study, state, out, err));
    (*out)->record->begun_s = record.begun_s;
    (*out)->record->owner = record.owner;
    (*out)->record->revision = record.revision;
    return QN_OK;
}

static qn_status propose(qn_study *study, bool *exhausted, qn_error *err)
{
    qn_rng rng;
    if (!qn_study_reserve_values(study)) return no_memory(err);
    qn_rng_init(&rng, qn_seed_child((uint64_t)study->seed, QN_STREAM_ASK),
                (uint64_t)study->history.n_trials);
    qn_sampler_ask request = {
        .number = study->history.n_trials, .rng = &rng, .values = study->values};
    QN_TRY(qn_sampling_ask(&study->sampling, &study->space, &request, err));
    *exhausted = request.exhausted;
    return QN_OK;
}

/* When the store refuses, another process has done something: see what, and try again. */
static qn_status ask(qn_study *study, int64_t n_max, qn_trial **out, qn_error *err)
{
    bool exhausted = false;
    for (bool again = false; !*out; again = true) {
        QN_TRY(qn_study_sync(study, again, err));
        if (!study->is_stopped) {
            QN_TRY(qn_gain_rule_look(&study->gain_rule, &study->history, &study->is_stopped, err));
        }
        if (study->is_stopped) return QN_OK;
        qn_trial *waiting = next_waiting(study);
        if (waiting && (n_max == 0 || qn_trial_number(waiting) < n_max)) {
            QN_TRY(begin_waiting(study, waiting, out, err));
            continue;
        }
        if (n_max > 0 && study->history.n_trials >= n_max) return QN_OK;
        QN_TRY(propose(study, &exhausted, err));
        if (exhausted) return QN_OK;
        QN_TRY(add_new(study, QN_TRIAL_RUNNING, out, err));
    }
    return QN_OK;
}

qn_status qn_study_ask_below(qn_study *study, int64_t n_max, qn_trial **out, qn_error *err)
{
    *out = NULL;
    qn_study_lock(study);
    return qn_study_settle(study, ask(study, n_max, out, err), err);
}

qn_status qn_study_ask(qn_study *study, qn_trial **out, qn_error *err)
{
    return qn_study_ask_below(study, 0, out, err);
}

void qn_study_stop(qn_study *study)
{
    qn_study_lock(study);
    study->is_stopped = true;
    qn_study_unlock(study);
}

bool qn_study_is_stopped(qn_study *study)
{
    qn_study_lock(study);
    const bool is_stopped = study->is_stopped;
    qn_study_unlock(study);
    return is_stopped;
}

double qn_study_gain_bound(const qn_study *study)
{
    return study->gain_rule.bound;
}

/* Enqueueing. */

/* A JSON value as the text that the parameter reads. */
static const char *value_text(qn_json_value value, char *text)
{
    const char *given = qn_json_as_text(value, NULL);
    if (given) return given;
    const double number = qn_json_as_double(value, QN_NA);
    if (isnan(number)) return qn_json_as_bool(value, false) ? "true" : "false";
    qn_format_double(number, text);
    return text;
}

static qn_status set_value(qn_study *study, const char *name, qn_json_value value, qn_error *err)
{
    char scratch[QN_DOUBLE_TEXT_BYTES];
    const int64_t at = qn_space_find(&study->space, name);
    if (at < 0) return qn_fail(err, QN_ERR_DATA, "there is no parameter '%s' in the space", name);
    const char *text = value_text(value, scratch);
    if (qn_parameter_parse(&study->space.parameters[at], text, &study->values[at])) return QN_OK;
    return qn_fail(err, QN_ERR_DATA, "parameter '%s' is never '%s'", name, text);
}

static qn_status enqueue(qn_study *study, qn_json_value object, qn_error *err)
{
    qn_trial *trial = NULL;
    qn_rng rng;
    if (!qn_json_is_object(object)) {
        return qn_fail(err, QN_ERR_DATA, "expected an object {\"parameter\": value, …}");
    }
    if (!qn_study_reserve_values(study)) return no_memory(err);
    qn_rng_init(&rng, qn_seed_child((uint64_t)study->seed, QN_STREAM_ENQUEUE),
                (uint64_t)study->history.n_trials);
    qn_space_draw(&study->space, &rng, study->values);
    for (int64_t i = 0; i < qn_json_size(object); i++) {
        const char *name;
        const qn_json_value value = qn_json_member(object, i, &name);
        QN_TRY(set_value(study, name, value, err));
    }
    qn_space_settle(&study->space, study->values);
    if (!qn_space_satisfies(&study->space, study->values)) {
        return qn_fail(err, QN_ERR_DATA, "the constraints forbid this configuration");
    }
    for (bool again = false; !trial; again = true) {
        QN_TRY(qn_study_sync(study, again, err));
        QN_TRY(add_new(study, QN_TRIAL_WAITING, &trial, err));
    }
    return QN_OK;
}

qn_status qn_study_enqueue(qn_study *study, const char *json, qn_error *err)
{
    qn_json *parsed;
    QN_TRY(qn_json_parse(json, strlen(json), "enqueue", &parsed, err));
    qn_study_lock(study);
    const qn_status status = qn_study_settle(study, enqueue(study, qn_json_root(parsed), err), err);
    qn_json_free(parsed);
    return status;
}

/* Looking. */

qn_status qn_study_refresh(qn_study *study, qn_error *err)
{
    qn_study_lock(study);
    return qn_study_settle(study, qn_study_sync(study, true, err), err);
}

void qn_study_set_batch(qn_study *study, int64_t size)
{
    qn_study_lock(study);
    study->batch_size = size;
    qn_study_unlock(study);
}

int qn_study_descriptor(const qn_study *study)
{
    return study->store.state ? study->store.backend->descriptor(study->store.state) : -1;
}

qn_status qn_study_stay(qn_study *study, qn_error *err)
{
    qn_status status = QN_OK;
    if (!study->store.state || !study->store.backend->stay) return QN_OK;
    qn_study_lock(study);
    if (study->failure.status == QN_OK)
        status = study->store.backend->stay(study->store.state, err);
    qn_study_unlock(study);
    return status;
}

int64_t qn_study_n_elsewhere(qn_study *study)
{
    int64_t n = 0;
    qn_study_lock(study);
    for (int64_t i = 0; i < study->history.n_running; i++) {
        const int64_t owner = study->history.running[i]->owner;
        n += owner != 0 && owner != study->store.worker;
    }
    qn_study_unlock(study);
    return n;
}

int qn_study_tether(const qn_study *study)
{
    const qn_store *store = &study->store;
    return store->state && store->backend->tether ? store->backend->tether(store->state) : 0;
}

bool qn_study_lasts(const qn_study *study)
{
    return study->store.state != NULL;
}

const qn_space *qn_study_space(const qn_study *study)
{
    return &study->space;
}

const qn_objectives *qn_study_objectives(const qn_study *study)
{
    return &study->objectives;
}

const qn_history *qn_study_history(const qn_study *study)
{
    return &study->history;
}

const char *qn_study_sampler(const qn_study *study, const char **reason)
{
    *reason = study->reason;
    return study->sampling.sampler->name;
}

qn_trial *qn_study_trial(qn_study *study, int64_t number)
{
    return number >= 0 && number < study->history.n_trials ? study->trials[number] : NULL;
}
