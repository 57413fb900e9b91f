/* SPDX-License-Identifier: Apache-2.0 */
#include "base/alloc.h"
#include "search/sampler_table.h"
#include "search/study_internal.h"

#include <math.h>
#include <string.h>
#include <time.h>

static qn_status no_memory(qn_error *err)
{
    return qn_fail(err, QN_ERR_NOMEM, "no memory for the study");
}

static double now_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
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

static qn_status ask(qn_study *study, qn_trial **out, qn_error *err)
{
    qn_trial *waiting = next_waiting(study);
    if (waiting) {
        QN_TRY(qn_history_start(&study->history, waiting->record, err));
        waiting->record->begun_s = now_s();
        *out = waiting;
        return qn_study_store_trial(waiting, err);
    }
    if (!qn_study_reserve_values(study)) return no_memory(err);
    qn_rng rng;
    qn_rng_init(&rng, qn_seed_child((uint64_t)study->seed, QN_STREAM_ASK),
                (uint64_t)study->history.n_trials);
    qn_sampler_ask request = {
        .number = study->history.n_trials, .rng = &rng, .values = study->values};
    QN_TRY(qn_sampling_ask(&study->sampling, &study->space, &request, err));
    if (request.exhausted) return QN_OK;
    QN_TRY(qn_study_add_trial(study, QN_TRIAL_RUNNING, out, err));
    (*out)->record->begun_s = now_s();
    return qn_study_store_trial(*out, err);
}

qn_status qn_study_ask(qn_study *study, qn_trial **out, qn_error *err)
{
    *out = NULL;
    qn_study_lock(study);
    const qn_status status = ask(study, out, err);
    qn_study_unlock(study);
    return status;
}

int64_t qn_trial_number(const qn_trial *trial)
{
    return trial->record->number;
}

/* Values by name. */

static qn_status grow_trial(qn_trial *trial, int64_t at, qn_error *err)
{
    qn_study *study = trial->study;
    qn_trial_record *record = trial->record;
    if (at >= trial->room) {
        const int64_t room = 2 * at + 8;
        double *values = qn_arena_array(&study->history.arena, room, sizeof *values);
        bool *asked = qn_arena_array(&study->history.arena, room, sizeof *asked);
        if (!values || !asked) return no_memory(err);
        if (record->n_values > 0) {
            memcpy(values, record->values, (size_t)record->n_values * sizeof *values);
            memcpy(asked, trial->asked, (size_t)record->n_values * sizeof *asked);
        }
        record->values = values;
        trial->asked = asked;
        trial->room = room;
    }
    for (; record->n_values <= at; record->n_values++) {
        record->values[record->n_values] = QN_NA;
        trial->asked[record->n_values] = false;
    }
    return QN_OK;
}

/* A parameter that the sampler did not know of when the trial was asked for. */
static qn_status draw_new(qn_trial *trial, int64_t at, qn_error *err)
{
    qn_rng rng;
    if (at >= trial->record->n_values) QN_TRY(grow_trial(trial, at, err));
    if (!isnan(trial->record->values[at])) return QN_OK;
    const uint64_t seed = qn_seed_child((uint64_t)trial->study->seed, QN_STREAM_NEW_PARAMETER);
    qn_rng_init(&rng, qn_seed_child(seed, (uint64_t)trial->record->number), (uint64_t)at);
    trial->record->values[at] = qn_parameter_draw(&trial->study->space.parameters[at], &rng);
    return QN_OK;
}

static bool same_choices(const qn_parameter *a, const qn_parameter *b)
{
    if (a->n_choices != b->n_choices) return false;
    for (int32_t i = 0; i < a->n_choices; i++) {
        if (strcmp(a->choices[i].text, b->choices[i].text) != 0) return false;
    }
    return true;
}

/* Refuses another range for a name than before, by making both anew and comparing. */
static qn_status check_same(const qn_parameter *known, const qn_parameter *wanted, qn_error *err)
{
    qn_space probe;
    QN_TRY(qn_space_init(&probe, err));
    qn_status status = qn_space_add(&probe, wanted, err);
    if (status == QN_OK) {
        const qn_parameter *made = &probe.parameters[0];
        const bool same = made->kind == known->kind && made->low == known->low &&
                          made->high == known->high && made->step == known->step &&
                          made->log == known->log && same_choices(made, known);
        if (!same) {
            status = qn_fail(err, QN_ERR_ARG,
                             "parameter '%s': the study knows it with another range; a new range "
                             "needs a new name",
                             known->name);
        }
    }
    qn_space_release(&probe);
    return status;
}

/* Whether `wanted` repeats what is known literally, which needs no second look. */
static bool is_literally(const qn_parameter *known, const qn_parameter *wanted)
{
    return known->kind == wanted->kind && known->low == wanted->low &&
           known->high == wanted->high && known->log == wanted->log &&
           (known->step == wanted->step || (wanted->step == 0 && known->step == 1)) &&
           same_choices(known, wanted);
}

static qn_status define(qn_trial *trial, const qn_parameter *wanted, int64_t *at, qn_error *err)
{
    qn_study *study = trial->study;
    if (trial->record->state != QN_TRIAL_RUNNING) {
        return qn_fail(err, QN_ERR_ARG, "trial %" PRId64 " has ended", trial->record->number);
    }
    *at = qn_space_find(&study->space, wanted->name);
    if (*at < 0) {
        QN_TRY(qn_space_add(&study->space, wanted, err));
        *at = study->space.n - 1;
    } else if (!is_literally(&study->space.parameters[*at], wanted)) {
        QN_TRY(check_same(&study->space.parameters[*at], wanted, err));
    }
    QN_TRY(draw_new(trial, *at, err));
    trial->asked[*at] = true;
    return QN_OK;
}

static qn_status look_up(const qn_trial *trial, const qn_parameter *wanted, int64_t *at,
                         qn_error *err)
{
    const qn_space *space = &trial->study->space;
    *at = qn_space_find(space, wanted->name);
    if (*at < 0) {
        return qn_fail(err, QN_ERR_ARG, "there is no parameter '%s' in the space", wanted->name);
    }
    const qn_parameter_kind kind = space->parameters[*at].kind;
    const bool choices = kind == QN_PARAMETER_CATEGORICAL || kind == QN_PARAMETER_ORDINAL;
    if (kind != wanted->kind && !(choices && wanted->kind == QN_PARAMETER_CATEGORICAL)) {
        return qn_fail(err, QN_ERR_ARG, "parameter '%s' is of type %s, not %s", wanted->name,
                       qn_parameter_kind_name(kind), qn_parameter_kind_name(wanted->kind));
    }
    if (isnan(qn_trial_value(trial->record, *at))) {
        return qn_fail(err, QN_ERR_ARG,
                       "parameter '%s' is inactive in trial %" PRId64
                       ": its conditions do not hold",
                       wanted->name, trial->record->number);
    }
    return QN_OK;
}

static qn_status get_value(qn_trial *trial, const qn_parameter *wanted, double *out, qn_error *err)
{
    int64_t at = -1;
    qn_study_lock(trial->study);
    const qn_status status = trial->study->defines_by_run ? define(trial, wanted, &at, err)
                                                          : look_up(trial, wanted, &at, err);
    if (status == QN_OK) *out = trial->record->values[at];
    qn_study_unlock(trial->study);
    return status;
}

static qn_parameter ranged(const char *name, qn_parameter_kind kind, const qn_range *range)
{
    qn_parameter parameter = {.name = name, .kind = kind, .low = QN_NA, .high = QN_NA};
    if (range) {
        parameter.low = range->low;
        parameter.high = range->high;
        parameter.step = range->step;
        parameter.log = range->log;
    }
    return parameter;
}

qn_status qn_trial_float(qn_trial *trial, const char *name, const qn_range *range, double *out,
                         qn_error *err)
{
    const qn_parameter parameter = ranged(name, QN_PARAMETER_FLOAT, range);
    return get_value(trial, &parameter, out, err);
}

qn_status qn_trial_int(qn_trial *trial, const char *name, const qn_range *range, int64_t *out,
                       qn_error *err)
{
    double value;
    const qn_parameter parameter = ranged(name, QN_PARAMETER_INT, range);
    QN_TRY(get_value(trial, &parameter, &value, err));
    *out = (int64_t)value;
    return QN_OK;
}

qn_status qn_trial_bool(qn_trial *trial, const char *name, bool *out, qn_error *err)
{
    double value;
    const qn_parameter parameter = {.name = name, .kind = QN_PARAMETER_BOOL, .high = 1, .step = 1};
    QN_TRY(get_value(trial, &parameter, &value, err));
    *out = value != 0;
    return QN_OK;
}

qn_status qn_trial_choice(qn_trial *trial, const char *name, const char *const *choices,
                          int64_t *out, qn_error *err)
{
    double value;
    int32_t n = 0;
    while (choices && choices[n] && n < QN_CHOICES_MAX) {
        n++;
    }
    qn_choice *copies = qn_alloc_array(n, sizeof *copies);
    if (!copies) return no_memory(err);
    for (int32_t i = 0; i < n; i++) {
        copies[i] = (qn_choice){.text = choices[i], .number = QN_NA};
    }
    const qn_parameter parameter = {.name = name,
                                    .kind = QN_PARAMETER_CATEGORICAL,
                                    .high = n - 1,
                                    .step = 1,
                                    .n_choices = n,
                                    .choices = copies};
    const qn_status status = get_value(trial, &parameter, &value, err);
    qn_free(copies);
    if (status == QN_OK) *out = (int64_t)value;
    return status;
}

/* Telling. */

static qn_status check_running(const qn_trial *trial, qn_error *err)
{
    if (trial->record->state == QN_TRIAL_RUNNING) return QN_OK;
    return qn_fail(err, QN_ERR_ARG, "trial %" PRId64 " is not running but %s",
                   trial->record->number, qn_trial_state_name(trial->record->state));
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

static qn_status finish(qn_trial *trial, qn_trial_state state, const double *losses, qn_error *err)
{
    QN_TRY(check_running(trial, err));
    settle_asked(trial);
    QN_TRY(qn_study_end_trial(trial, state, losses, now_s(), err));
    if (trial->study->defines_by_run) QN_TRY(qn_study_store_definition(trial->study, err));
    return qn_study_store_trial(trial, err);
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

qn_status qn_trial_tell(qn_trial *trial, const double *values, int64_t n, qn_error *err)
{
    qn_study_lock(trial->study);
    const qn_status status = tell(trial, values, n, err);
    qn_study_unlock(trial->study);
    return status;
}

qn_status qn_trial_prune(qn_trial *trial, qn_error *err)
{
    qn_study_lock(trial->study);
    const qn_status status = finish(trial, QN_TRIAL_PRUNED, NULL, err);
    qn_study_unlock(trial->study);
    return status;
}

qn_status qn_trial_fail(qn_trial *trial, qn_error *err)
{
    qn_study_lock(trial->study);
    const qn_status status = finish(trial, QN_TRIAL_FAILED, NULL, err);
    qn_study_unlock(trial->study);
    return status;
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
    if (prune) {
        *prune =
            pruner && pruner->should_stop(study->pruning.settings, &study->history, trial->record);
    }
    return QN_OK;
}

qn_status qn_trial_report(qn_trial *trial, int64_t step, double value, bool *prune, qn_error *err)
{
    qn_study_lock(trial->study);
    const qn_status status = report(trial, step, value, prune, err);
    qn_study_unlock(trial->study);
    return status;
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
    qn_trial *trial;
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
    QN_TRY(qn_study_add_trial(study, QN_TRIAL_WAITING, &trial, err));
    return qn_study_store_trial(trial, err);
}

qn_status qn_study_enqueue(qn_study *study, const char *json, qn_error *err)
{
    qn_json *parsed;
    QN_TRY(qn_json_parse(json, strlen(json), "enqueue", &parsed, err));
    qn_study_lock(study);
    const qn_status status = enqueue(study, qn_json_root(parsed), err);
    qn_study_unlock(study);
    qn_json_free(parsed);
    return status;
}

/* Looking. */

void qn_study_lock(qn_study *study)
{
    pthread_mutex_lock(&study->lock);
}

void qn_study_unlock(qn_study *study)
{
    pthread_mutex_unlock(&study->lock);
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

const qn_trial_record *qn_trial_get_record(const qn_trial *trial)
{
    return trial->record;
}
