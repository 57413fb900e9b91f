/* SPDX-License-Identifier: Apache-2.0 */
/* Opening a study, and closing it. */
#include "base/alloc.h"
#include "search/samplers/sampler_table.h"
#include "search/study/study_internal.h"

#include <string.h>

enum { OPENINGS_MAX = 10 };

static qn_status no_memory(qn_error *err)
{
    return qn_fail(err, QN_ERR_NOMEM, "no memory for the study");
}

static qn_status add_objective(qn_study *study, const char *name, size_t name_bytes,
                               const char *direction, size_t bytes, qn_error *err)
{
    const bool maximise = bytes == 8 && memcmp(direction, "maximize", 8) == 0;
    if (!maximise && !(bytes == 8 && memcmp(direction, "minimize", 8) == 0)) {
        return qn_fail(err, QN_ERR_ARG, "objectives: expected minimize or maximize, not '%.*s'",
                       (int)bytes, direction);
    }
    if (study->objectives.n == QN_OBJECTIVES_MAX) {
        return qn_fail(err, QN_ERR_ARG, "objectives: at most %d", QN_OBJECTIVES_MAX);
    }
    const char *copy = qn_arena_strndup(&study->space.arena, name, name_bytes);
    if (!copy) return no_memory(err);
    study->objectives.items[study->objectives.n++] = (qn_objective){copy, maximise};
    return QN_OK;
}

/* "minimize" or "loss:minimize,auc:maximize". */
static qn_status read_objectives(qn_study *study, const char *text, qn_error *err)
{
    study->objectives.n = 0;
    do {
        const size_t bytes = strcspn(text, ","), name_bytes = strcspn(text, ":,");
        const bool named = name_bytes < bytes;
        const char *direction = named ? text + name_bytes + 1 : text;
        QN_TRY(add_objective(study, named ? text : "value", named ? name_bytes : 5, direction,
                             named ? bytes - name_bytes - 1 : bytes, err));
        text += bytes + (text[bytes] == ',');
    } while (*text);
    return QN_OK;
}

static qn_status open_space(qn_study *study, const qn_study_request *request, qn_error *err)
{
    if (request->space) {
        const char *name = request->space_name ? request->space_name : "space";
        QN_TRY(qn_space_read(name, request->space, strlen(request->space), &study->space,
                             &study->objectives, err));
    } else {
        QN_TRY(qn_space_init(&study->space, err));
        study->defines_by_run = true;
    }
    if (request->objectives || study->objectives.n == 0) {
        return read_objectives(study, request->objectives ? request->objectives : "minimize", err);
    }
    return QN_OK;
}

static qn_status open_sampler(qn_study *study, const qn_study_request *request, qn_error *err)
{
    const uint64_t seed = (uint64_t)study->seed;
    const qn_sampler_setup setup = {.history = &study->history,
                                    .seed = qn_seed_child(seed, QN_STREAM_SAMPLER),
                                    .n_trials = request->n_trials,
                                    .n_workers = request->n_workers > 0 ? request->n_workers : 1,
                                    .prunes =
                                        request->pruner && strcmp(request->pruner, "none") != 0};
    const char *sampler = request->sampler;
    if (!sampler || strcmp(sampler, "auto") == 0) {
        sampler = qn_sampler_choose(&setup, study->defines_by_run, &study->reason);
    }
    study->sampler_text = qn_strdup(sampler);
    if (!study->sampler_text) return no_memory(err);
    QN_TRY(qn_sampling_init(&study->sampling, sampler, &setup, err));
    const unsigned capabilities = study->sampling.sampler->capabilities;
    if (!study->defines_by_run || (capabilities & QN_SAMPLER_GROWING_SPACE)) return QN_OK;
    return qn_fail(err, QN_ERR_ARG,
                   "the sampler '%s' needs the space beforehand; try tpe or random",
                   study->sampling.sampler->name);
}

static qn_status open_pruner(qn_study *study, const char *pruner, qn_error *err)
{
    if (!pruner || strcmp(pruner, "none") == 0) return QN_OK;
    if (study->objectives.n > 1) {
        return qn_fail(err, QN_ERR_ARG, "pruning takes one objective, not %" PRId64,
                       study->objectives.n);
    }
    study->pruner_text = qn_strdup(pruner);
    if (!study->pruner_text) return no_memory(err);
    return qn_pruning_init(&study->pruning, pruner, err);
}

static qn_status open_stop_rule(qn_study *study, const qn_study_request *given, qn_error *err)
{
    study->ended = given->ended;
    study->ended_context = given->ended_context;
    study->gain_rule = (qn_gain_rule){.gain = given->stop_gain,
                                      .seed = qn_seed_child((uint64_t)study->seed, QN_STREAM_STOP),
                                      .bound = QN_INF};
    if (given->stop_gain == 0) return QN_OK;
    if (!(given->stop_gain > 0 && given->stop_gain < QN_INF)) {
        return qn_fail(err, QN_ERR_ARG, "the gain to stop at is a number above 0, not %g",
                       given->stop_gain);
    }
    if (study->objectives.n == 1) return QN_OK;
    return qn_fail(err, QN_ERR_ARG, "stopping by the gain takes one objective, not %" PRId64,
                   study->objectives.n);
}

/* Several processes may begin the same study at the same time: one of them defines it, and the
 * others open it again. */
static qn_status join(qn_study *study, qn_error *err)
{
    bool done;
    QN_TRY(qn_study_store_definition(study, &done, err));
    study->is_outrun = !done;
    if (done) return qn_study_sync(study, true, err);
    return qn_fail(err, QN_ERR_IO, "other processes keep changing the study; try again");
}

static qn_status open_study(qn_study *study, const qn_study_request *given, qn_error *err)
{
    qn_study_request request = *given;
    if (given->store) QN_TRY(qn_study_open_store(study, &request, err));
    QN_TRY(open_space(study, &request, err));
    study->history = (qn_history){.space = &study->space, .objectives = &study->objectives};
    study->seed = request.seed ? request.seed : 1;
    study->keeps_running = request.keep_running || request.read_only;
    study->is_read_only = request.read_only;
    QN_TRY(open_sampler(study, &request, err));
    QN_TRY(open_pruner(study, request.pruner, err));
    QN_TRY(open_stop_rule(study, given, err));
    if (given->store) QN_TRY(join(study, err));
    /* A study taken up again has them already. */
    if (!given->from || study->history.n_trials > 0) return QN_OK;
    return qn_study_take_priors(study, given->from, err);
}

static qn_status try_to_open(const qn_study_request *request, qn_study **out, bool *outrun,
                             qn_error *err)
{
    qn_study *study = qn_alloc_array(1, sizeof *study);
    if (!study) return no_memory(err);
    pthread_mutex_init(&study->lock, NULL);
    pthread_cond_init(&study->committed, NULL);
    pthread_cond_init(&study->synced[0], NULL);
    pthread_cond_init(&study->synced[1], NULL);
    qn_study_lock(study);
    const qn_status status = qn_study_settle_lasting(study, open_study(study, request, err), err);
    *outrun = study->is_outrun;
    if (status == QN_OK) {
        *out = study;
    } else {
        qn_study_close(study);
    }
    return status;
}

qn_status qn_study_open(const qn_study_request *request, qn_study **out, qn_error *err)
{
    bool outrun = true;
    qn_status status = QN_OK;
    *out = NULL;
    for (int i = 0; outrun && i < OPENINGS_MAX; i++) {
        outrun = false;
        status = try_to_open(request, out, &outrun, err);
    }
    return status;
}

void qn_study_close(qn_study *study)
{
    if (!study) return;
    qn_sampling_release(&study->sampling);
    qn_pruning_release(&study->pruning);
    qn_history_release(&study->history);
    qn_space_release(&study->space);
    qn_store_close(&study->store);
    qn_json_free(study->definition);
    qn_free(study->sampler_text);
    qn_free(study->pruner_text);
    qn_free(study->trials);
    qn_free(study->values);
    pthread_cond_destroy(&study->committed);
    pthread_cond_destroy(&study->synced[0]);
    pthread_cond_destroy(&study->synced[1]);
    pthread_mutex_destroy(&study->lock);
    qn_free(study);
}
