/* SPDX-License-Identifier: Apache-2.0 */
/* What a study is, as its store keeps it: read, compared, written, and grown by several processes
 * that run it by definition. A process knows the parameters that the store knows, in its order, and
 * a new one is written before it is used: so an array of values means the same everywhere. */
#include "base/alloc.h"
#include "search/study/study_internal.h"

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
    const qn_store_mode mode = request->read_only ? QN_STORE_READ : QN_STORE_WORK;
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

/* The definition with another space than the study's own. */
static char *definition_text(const qn_study *study, const qn_space *of)
{
    qn_str space = {0}, objectives = {0}, text = {0};
    qn_json_writer json = {.out = &text};
    qn_str_add(&space, "");
    if (of->n > 0) qn_space_write(of, NULL, &(qn_json_writer){.out = &space});
    write_objectives(&study->objectives, &objectives);
    qn_json_begin_object(&json);
    qn_json_put_text(&json, "space", space.text);
    qn_json_put_bool(&json, "by_run", study->defines_by_run);
    qn_json_put_text(&json, "objectives", objectives.text);
    qn_json_put_text(&json, "sampler", study->sampler_text);
    qn_json_put_text(&json, "pruner", study->pruner_text);
    qn_json_put_int(&json, "seed", study->seed);
    qn_json_end_object(&json);
    text.failed |= space.failed || objectives.failed;
    qn_str_release(&space);
    qn_str_release(&objectives);
    return qn_str_take_text(&text);
}

/* *done is false when another process has written one since ours was read. */
static qn_status write_definition(qn_study *study, const qn_space *space, bool *done, qn_error *err)
{
    *done = true;
    char *text = definition_text(study, space);
    if (!text) return no_memory(err);
    const bool same = study->store.definition && strcmp(text, study->store.definition) == 0;
    qn_status status = QN_OK;
    if (!same) status = study->store.backend->define(study->store.state, text, done, err);
    if (status == QN_OK && *done) {
        qn_free(study->store.definition);
        study->store.definition = text;
    } else {
        qn_free(text);
    }
    return status;
}

qn_status qn_study_store_definition(qn_study *study, bool *done, qn_error *err)
{
    *done = true;
    if (!study->store.state || study->is_read_only) return QN_OK;
    return write_definition(study, &study->space, done, err);
}

/* Adds the parameters that another space has beyond ours. */
static qn_status take_parameters(qn_study *study, const qn_space *other, qn_error *err)
{
    for (int64_t at = 0; at < study->space.n && at < other->n; at++) {
        if (strcmp(study->space.parameters[at].name, other->parameters[at].name) == 0) continue;
        return qn_fail(err, QN_ERR_DATA, "the store has other parameters than before");
    }
    for (int64_t at = study->space.n; at < other->n; at++) {
        QN_TRY(qn_space_add(&study->space, &other->parameters[at], err));
    }
    return QN_OK;
}

qn_status qn_study_read_growth(qn_study *study, qn_error *err)
{
    char *text;
    if (!study->store.state || !study->defines_by_run) return QN_OK;
    QN_TRY(study->store.backend->read_definition(study->store.state, &text, err));
    if (!text) return QN_OK;
    qn_free(study->store.definition);
    study->store.definition = text;
    qn_json *definition;
    QN_TRY(qn_json_parse(text, strlen(text), "definition", &definition, err));
    const char *space_text = qn_json_as_text(qn_json_get(qn_json_root(definition), "space"), NULL);
    qn_space space = {0};
    qn_objectives objectives = {0};
    qn_status status = QN_OK;
    if (space_text && *space_text) {
        status =
            qn_space_read("definition", space_text, strlen(space_text), &space, &objectives, err);
        if (status == QN_OK) status = take_parameters(study, &space, err);
        qn_space_release(&space);
    }
    qn_json_free(definition);
    return status;
}

/* Writes the definition with one parameter more. */
static qn_status store_grown(qn_study *study, const qn_parameter *parameter, bool *done,
                             qn_error *err)
{
    qn_space grown;
    QN_TRY(qn_space_init(&grown, err));
    qn_status status = QN_OK;
    for (int64_t at = 0; status == QN_OK && at < study->space.n; at++) {
        status = qn_space_add(&grown, &study->space.parameters[at], err);
    }
    if (status == QN_OK) status = qn_space_add(&grown, parameter, err);
    if (status == QN_OK) status = write_definition(study, &grown, done, err);
    qn_space_release(&grown);
    return status;
}

qn_status qn_study_grow(qn_study *study, const qn_parameter *parameter, qn_error *err)
{
    bool done = true;
    if (!study->store.state) return qn_space_add(&study->space, parameter, err);
    if (study->is_read_only) {
        return qn_fail(err, QN_ERR_ARG, "the study was opened for reading");
    }
    do {
        QN_TRY(qn_study_read_growth(study, err));
        if (qn_space_find(&study->space, parameter->name) >= 0) return QN_OK;
        QN_TRY(store_grown(study, parameter, &done, err));
    } while (!done);
    return qn_space_add(&study->space, parameter, err);
}
