/* SPDX-License-Identifier: Apache-2.0 */
/* Values of a trial by name; in define-by-run studies the space appears here. */
#include "base/alloc.h"
#include "search/study/study_internal.h"

#include <math.h>
#include <string.h>

static qn_status no_memory(qn_error *err)
{
    return qn_fail(err, QN_ERR_NOMEM, "no memory for the study");
}

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
        QN_TRY(qn_study_grow(study, wanted, err));
        *at = qn_space_find(&study->space, wanted->name);
    }
    if (!is_literally(&study->space.parameters[*at], wanted)) {
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
