/* SPDX-License-Identifier: Apache-2.0 */
/* A study and its store: the definition, trials written and read. */
#include "base/alloc.h"
#include "search/study_internal.h"

#include <stdlib.h>
#include <string.h>

static qn_status no_memory(qn_error *err)
{
    return qn_fail(err, QN_ERR_NOMEM, "no memory for the study");
}

static const char *name_of(const qn_study_request *request)
{
    return request->name ? request->name : "study";
}

/* The space of a request, as it is stored. */
static qn_status normal_form(const qn_study_request *request, qn_str *out, qn_error *err)
{
    qn_space space;
    qn_objectives objectives = {0};
    const char *name = request->space_name ? request->space_name : "space";
    QN_TRY(qn_space_read(name, request->space, strlen(request->space), &space, &objectives, err));
    qn_space_write(&space, NULL, &(qn_json_writer){.out = out});
    qn_space_release(&space);
    return out->failed ? no_memory(err) : QN_OK;
}

static qn_status check_space(const qn_study_request *request, const char *stored, qn_error *err)
{
    qn_str given = {0};
    qn_status status = normal_form(request, &given, err);
    if (status == QN_OK && strcmp(given.text, stored) != 0) {
        status = qn_fail(err, QN_ERR_ARG,
                         "%s: the study '%s' has another space; give the new one another name",
                         request->store, name_of(request));
    }
    qn_str_release(&given);
    return status;
}

/* What was not given is as it was. */
static qn_status complete_request(qn_study *study, qn_study_request *request, qn_error *err)
{
    const qn_json_value root = qn_json_root(study->definition);
    const char *space = qn_json_as_text(qn_json_get(root, "space"), NULL);
    const char *objectives = qn_json_as_text(qn_json_get(root, "objectives"), NULL);
    if (!space || !objectives) {
        return qn_fail(err, QN_ERR_DATA, "%s: the definition of the study '%s' is damaged",
                       request->store, name_of(request));
    }
    study->defines_by_run = qn_json_as_bool(qn_json_get(root, "by_run"), false);
    if (request->space) QN_TRY(check_space(request, space, err));
    request->space = *space ? space : NULL;
    request->space_name = request->store;
    request->objectives = objectives;
    if (!request->sampler) {
        request->sampler = qn_json_as_text(qn_json_get(root, "sampler"), NULL);
    }
    if (!request->pruner) request->pruner = qn_json_as_text(qn_json_get(root, "pruner"), NULL);
    if (!request->seed) request->seed = qn_json_as_int(qn_json_get(root, "seed"), 1);
    return QN_OK;
}

qn_status qn_study_open_store(qn_study *study, qn_study_request *request, qn_error *err)
{
    const qn_store_mode mode = request->read_only ? QN_STORE_READ : QN_STORE_OWN;
    QN_TRY(qn_store_open(request->store, name_of(request), mode, &study->store, err));
    const char *text = study->store.definition;
    if (!text && request->must_exist) {
        return qn_fail(err, QN_ERR_ARG, "%s: there is no study '%s'", request->store,
                       name_of(request));
    }
    if (!text) return QN_OK;
    QN_TRY(qn_json_parse(text, strlen(text), request->store, &study->definition, err));
    return complete_request(study, request, err);
}

static void write_objectives(const qn_objectives *objectives, qn_str *out)
{
    for (int64_t i = 0; i < objectives->n; i++) {
        const qn_objective *objective = &objectives->items[i];
        qn_str_addf(out, "%s%s:%s", i > 0 ? "," : "", objective->name,
                    objective->maximise ? "maximize" : "minimize");
    }
}

qn_status qn_study_store_definition(qn_study *study, qn_error *err)
{
    if (!study->store.state || study->is_read_only) return QN_OK;
    if (study->n_stored == study->space.n + 1) return QN_OK;
    qn_str space = {0}, objectives = {0}, text = {0};
    qn_json_writer json = {.out = &text};
    qn_str_add(&space, "");
    if (study->space.n > 0) qn_space_write(&study->space, NULL, &(qn_json_writer){.out = &space});
    write_objectives(&study->objectives, &objectives);
    qn_json_begin_object(&json);
    qn_json_put_text(&json, "space", space.text);
    qn_json_put_bool(&json, "by_run", study->defines_by_run);
    qn_json_put_text(&json, "objectives", objectives.text);
    qn_json_put_text(&json, "sampler", study->sampler_text);
    qn_json_put_text(&json, "pruner", study->pruner_text);
    qn_json_put_int(&json, "seed", study->seed);
    qn_json_end_object(&json);
    const bool complete = !space.failed && !objectives.failed && !text.failed;
    const qn_status status = complete
                                 ? study->store.backend->define(study->store.state, text.text, err)
                                 : no_memory(err);
    if (status == QN_OK) study->n_stored = study->space.n + 1;
    qn_str_release(&space);
    qn_str_release(&objectives);
    qn_str_release(&text);
    return status;
}

qn_status qn_study_store_trial(const qn_trial *trial, qn_error *err)
{
    const qn_study *study = trial->study;
    if (!study->store.state) return QN_OK;
    if (study->is_read_only) {
        return qn_fail(err, QN_ERR_ARG, "the study was opened for reading");
    }
    qn_stored_trial stored = {.record = *trial->record};
    qn_str attributes = {0};
    if (trial->record->attributes) {
        qn_json_writer json = {.out = &attributes};
        qn_json_begin_object(&json);
        for (const qn_trial_attribute *a = trial->record->attributes; a; a = a->next) {
            qn_json_key(&json, a->name);
            qn_json_raw(&json, a->json);
        }
        qn_json_end_object(&json);
        stored.attributes = attributes.text;
    }
    const qn_status status =
        attributes.failed
            ? no_memory(err)
            : study->store.backend->save(study->store.state, &stored, study->objectives.n, err);
    qn_str_release(&attributes);
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

static bool makes_sense(const qn_study *study, const qn_stored_trial *stored)
{
    const qn_trial_record *from = &stored->record;
    const bool told = from->state == QN_TRIAL_COMPLETE || from->state == QN_TRIAL_PRUNED;
    if (from->number != study->history.n_trials || from->n_values > study->space.n) return false;
    if (told != (from->told >= 0) || (told && !from->losses)) return false;
    for (int64_t at = 0; at < from->n_values; at++) {
        const double value = from->values[at];
        const qn_parameter *p = &study->space.parameters[at];
        if (value == value && !qn_parameter_accepts(p, value)) return false;
    }
    return from->state != QN_TRIAL_PRUNED || from->n_reports > 0;
}

/* The trial as it was, but running; trials of dead processes wait again. */
static qn_status restore_trial(qn_study *study, const qn_stored_trial *stored, qn_error *err)
{
    const qn_trial_record *from = &stored->record;
    qn_trial *trial;
    if (!makes_sense(study, stored)) {
        return qn_fail(err, QN_ERR_DATA, "trial %" PRId64 " of the store is damaged", from->number);
    }
    const bool lost = from->state == QN_TRIAL_RUNNING && !study->keeps_running;
    const bool waits = from->state == QN_TRIAL_WAITING || lost;
    if (!qn_study_reserve_values(study)) return no_memory(err);
    for (int64_t at = 0; at < study->space.n; at++) {
        study->values[at] = qn_trial_value(from, at);
    }
    QN_TRY(qn_study_add_trial(study, waits ? QN_TRIAL_WAITING : QN_TRIAL_RUNNING, &trial, err));
    trial->record->n_values = from->n_values;
    trial->record->begun_s = from->begun_s;
    trial->record->n_retries = from->n_retries + lost;
    QN_TRY(annotate(study, trial->record, stored->attributes, err));
    if (waits) return QN_OK;
    trial->record->violation = from->violation;
    for (int64_t i = 0; i < from->n_reports; i++) {
        QN_TRY(qn_history_report(&study->history, trial->record, from->reports[i].step,
                                 from->reports[i].loss, err));
    }
    return from->state == QN_TRIAL_FAILED
               ? qn_study_end_trial(trial, QN_TRIAL_FAILED, NULL, from->ended_s, err)
               : QN_OK;
}

struct telling {
    int64_t told, at;
};

static int by_told(const void *a, const void *b)
{
    const struct telling *x = a, *y = b;
    return (x->told > y->told) - (x->told < y->told);
}

/* The end of what was told, in that order. */
static qn_status restore_ends(qn_study *study, const qn_stored_trial *trials, int64_t n,
                              qn_error *err)
{
    struct telling *tellings = qn_alloc_array(n, sizeof *tellings);
    int64_t n_told = 0;
    if (!tellings) return no_memory(err);
    for (int64_t i = 0; i < n; i++) {
        if (trials[i].record.told < 0) continue;
        tellings[n_told++] = (struct telling){trials[i].record.told, i};
    }
    if (n_told > 0) qsort(tellings, (size_t)n_told, sizeof *tellings, by_told);
    qn_status status = QN_OK;
    for (int64_t i = 0; status == QN_OK && i < n_told; i++) {
        const qn_trial_record *from = &trials[tellings[i].at].record;
        status = qn_study_end_trial(study->trials[from->number], from->state, from->losses,
                                    from->ended_s, err);
    }
    qn_free(tellings);
    return status;
}

static qn_status restore(qn_study *study, const qn_stored_trial *trials, int64_t n, qn_error *err)
{
    for (int64_t i = 0; i < n; i++) {
        QN_TRY(restore_trial(study, &trials[i], err));
    }
    return restore_ends(study, trials, n, err);
}

qn_status qn_study_restore(qn_study *study, const qn_stored_trial *trials, int64_t n, qn_error *err)
{
    qn_study_lock(study);
    const qn_status status = restore(study, trials, n, err);
    qn_study_unlock(study);
    return status;
}

/* Trials read from the store, until all are known and their order with them. */
struct loading {
    qn_arena arena;
    qn_stored_trial *trials;
    int64_t n, room;
    int64_t n_objectives;
};

static bool copy_items(qn_arena *arena, void *items, int64_t n, size_t item_bytes)
{
    void *from;
    memcpy(&from, items, sizeof from);
    if (!from) return true;
    void *copy = qn_arena_array(arena, n, item_bytes);
    if (!copy) return false;
    memcpy(copy, from, (size_t)n * item_bytes);
    memcpy(items, &copy, sizeof copy);
    return true;
}

static qn_status keep_trial(void *context, const qn_stored_trial *trial, qn_error *err)
{
    struct loading *loading = context;
    if (loading->n == loading->room) {
        const int64_t room = loading->room ? 2 * loading->room : 64;
        qn_stored_trial *more = qn_realloc_array(loading->trials, room, sizeof *more);
        if (!more) return no_memory(err);
        loading->trials = more;
        loading->room = room;
    }
    qn_stored_trial copy = *trial;
    qn_trial_record *record = &copy.record;
    if (trial->attributes) copy.attributes = qn_arena_strdup(&loading->arena, trial->attributes);
    const bool complete =
        (!trial->attributes || copy.attributes) &&
        copy_items(&loading->arena, &record->values, record->n_values, sizeof(double)) &&
        copy_items(&loading->arena, &record->losses, loading->n_objectives, sizeof(double)) &&
        copy_items(&loading->arena, &record->reports, record->n_reports, sizeof *record->reports);
    if (!complete) return no_memory(err);
    loading->trials[loading->n++] = copy;
    return QN_OK;
}

qn_status qn_study_load_trials(qn_study *study, qn_error *err)
{
    struct loading loading = {.n_objectives = study->objectives.n};
    qn_status status = study->store.backend->load(study->store.state, keep_trial, &loading, err);
    if (status == QN_OK) status = restore(study, loading.trials, loading.n, err);
    qn_free(loading.trials);
    qn_arena_release(&loading.arena);
    return status;
}
