/* SPDX-License-Identifier: Apache-2.0 */
/* Warm start: the finished trials of other studies, told to the sampler before the first ask.
 *
 * A trial is taken over when its values, by name, are a configuration of this study's space:
 * parameters that the space does not have are left out, those that can only have one value need not
 * be there. Prior trials have the numbers -1, -2 … in the order they were told, and are trials of
 * the store like others, so that a study goes on the same when theirs is gone. The attribute "from"
 * says where they come from.
 *
 * A process that dies on the way leaves the first of them; who opens the study again writes the
 * others, because those that the store has are not written twice. */
#include "base/alloc.h"
#include "search/study/study_internal.h"

#include <math.h>
#include <string.h>

struct source {
    char *url, *name;
    qn_study *study;
    int64_t objectives[QN_OBJECTIVES_MAX]; /* of each of ours, the source's */
};

static qn_status no_memory(qn_error *err)
{
    return qn_fail(err, QN_ERR_NOMEM, "no memory for the trials of another study");
}

static qn_status open_source(struct source *source, const char *text, qn_error *err)
{
    const char *mark = strrchr(text, '#');
    source->url = qn_strndup(text, mark ? (size_t)(mark - text) : strlen(text));
    source->name = qn_strdup(mark ? mark + 1 : "study");
    if (!source->url || !source->name) return no_memory(err);
    return qn_study_open(
        &(qn_study_request){.store = source->url, .name = source->name, .read_only = true},
        &source->study, err);
}

static void close_source(struct source *source)
{
    qn_study_close(source->study);
    qn_free(source->url);
    qn_free(source->name);
}

static qn_status match_objectives(const qn_study *study, struct source *source, qn_error *err)
{
    const qn_objectives *ours = &study->objectives, *theirs = &source->study->objectives;
    for (int64_t i = 0; i < ours->n; i++) {
        int64_t k = 0;
        while (k < theirs->n && strcmp(ours->items[i].name, theirs->items[k].name) != 0) {
            k++;
        }
        if (k == theirs->n || ours->items[i].maximise != theirs->items[k].maximise) {
            return qn_fail(err, QN_ERR_ARG,
                           "the study '%s' has no objective '%s' to be %s; its trials say nothing "
                           "of it",
                           source->name, ours->items[i].name,
                           ours->items[i].maximise ? "maximized" : "minimized");
        }
        source->objectives[i] = k;
    }
    return QN_OK;
}

/* A study that defines its space by running begins with theirs. */
static qn_status adopt_parameters(qn_study *study, const struct source *source, qn_error *err)
{
    const qn_space *theirs = &source->study->space;
    for (int64_t at = 0; study->defines_by_run && at < theirs->n; at++) {
        qn_parameter parameter = theirs->parameters[at];
        parameter.n_conditions = 0; /* what is not asked for is inactive */
        if (qn_space_find(&study->space, parameter.name) >= 0) continue;
        QN_TRY(qn_study_grow(study, &parameter, err));
    }
    return QN_OK;
}

/* The value of our parameter in their trial; QN_NA when it has none that ours may have. */
static double value_in(const qn_parameter *ours, const qn_space *theirs,
                       const qn_trial_record *trial)
{
    char text[QN_DOUBLE_TEXT_BYTES];
    const int64_t at = qn_space_find(theirs, ours->name);
    const double value = at >= 0 ? qn_trial_value(trial, at) : QN_NA;
    double own;
    if (at < 0 && ours->n_values == 1) return qn_parameter_value_at(ours, 0);
    if (isnan(value)) return QN_NA;
    const char *written = qn_parameter_text(&theirs->parameters[at], value, text);
    return qn_parameter_parse(ours, written, &own) ? own : QN_NA;
}

/* Their trial as a configuration of ours, in study->values; false when it is none. */
static bool translate(qn_study *study, const qn_space *theirs, const qn_trial_record *trial)
{
    const qn_space *ours = &study->space;
    int64_t n_active = 0;
    for (int64_t at = 0; at < ours->n; at++) {
        const bool active = qn_space_is_active(ours, at, study->values);
        study->values[at] = active ? value_in(&ours->parameters[at], theirs, trial) : QN_NA;
        if (active && isnan(study->values[at]) && !study->defines_by_run) return false;
        n_active += !isnan(study->values[at]);
    }
    return n_active > 0 && (study->defines_by_run || qn_space_allows(ours, study->values));
}

static char *describe_origin(const struct source *source, const qn_trial_record *trial)
{
    qn_str text = {0};
    qn_json_writer json = {.out = &text};
    qn_json_begin_object(&json);
    qn_json_key(&json, "from");
    qn_json_begin_object(&json);
    qn_json_put_text(&json, "study", source->name);
    qn_json_put_int(&json, "trial", trial->number);
    qn_json_end_object(&json);
    qn_json_end_object(&json);
    return qn_str_take_text(&text);
}

/* Into the store, from which it is read with the others; without one, told at once. */
static qn_status put_prior(qn_study *study, const qn_stored_trial *prior, qn_error *err)
{
    bool done;
    if (!study->store.state) return qn_study_tell_prior(study, prior, err);
    return qn_study_put_stored(study, prior, &done, err);
}

/* The k-th trial that fits. */
static qn_status take_trial(qn_study *study, const struct source *source, int64_t k,
                            const qn_trial_record *trial, qn_error *err)
{
    double losses[QN_OBJECTIVES_MAX];
    qn_curve_point last = {0};
    qn_stored_trial prior = {.record = *trial};
    qn_trial_record *record = &prior.record;
    for (int64_t i = 0; i < study->objectives.n; i++) {
        losses[i] = trial->losses[source->objectives[i]];
    }
    if (trial->n_reports > 0) last = trial->reports[trial->n_reports - 1];
    record->number = -1 - k;
    record->revision = record->owner = record->n_retries = 0;
    record->attributes = NULL;
    record->n_values = study->space.n;
    record->values = study->values;
    record->losses = losses;
    record->n_reports = trial->state == QN_TRIAL_PRUNED;
    record->reports = &last;
    char *attributes = describe_origin(source, trial);
    prior.attributes = attributes;
    const qn_status status = attributes ? put_prior(study, &prior, err) : no_memory(err);
    qn_free(attributes);
    return status;
}

static qn_status take_trials(qn_study *study, const struct source *source, int64_t *n_taken,
                             qn_error *err)
{
    const qn_history *history = &source->study->history;
    const int64_t before = *n_taken;
    int64_t n = 0;
    if (!qn_study_reserve_values(study)) return no_memory(err);
    for (int64_t i = 0; i < history->n_told; i++) {
        const qn_trial_record *trial = history->told[i];
        if (trial->number < 0) continue; /* it is another study's */
        n++;
        if (!translate(study, &source->study->space, trial)) continue;
        if (*n_taken >= study->history.n_prior) {
            QN_TRY(take_trial(study, source, *n_taken, trial, err));
        }
        ++*n_taken;
    }
    if (*n_taken > before) return QN_OK;
    if (n == 0) {
        return qn_fail(err, QN_ERR_ARG, "the study '%s' has no finished trial", source->name);
    }
    return qn_fail(err, QN_ERR_ARG,
                   "none of the %" PRId64
                   " finished trials of the study '%s' is a configuration of this space",
                   n, source->name);
}

static qn_status take_source(qn_study *study, const char *text, int64_t *n_taken, qn_error *err)
{
    struct source source = {0};
    qn_status status = open_source(&source, text, err);
    if (status == QN_OK) status = match_objectives(study, &source, err);
    if (status == QN_OK) status = adopt_parameters(study, &source, err);
    if (status == QN_OK) status = take_trials(study, &source, n_taken, err);
    close_source(&source);
    return status;
}

qn_status qn_study_take_priors(qn_study *study, const char *const *from, qn_error *err)
{
    int64_t n_taken = 0;
    for (int i = 0; from[i]; i++) {
        const qn_status status = take_source(study, from[i], &n_taken, err);
        if (status != QN_OK) return qn_fail_context(err, status, "warm start");
    }
    return qn_study_sync(study, true, err);
}
