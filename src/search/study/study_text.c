/* SPDX-License-Identifier: Apache-2.0 */
/* Trials as JSON, and the best of a study. */
#include "base/alloc.h"
#include "search/study/pareto.h"
#include "search/study/study.h"

#include <string.h>

double qn_objective_value(const qn_objective *objective, double loss)
{
    return objective->maximise ? -loss : loss;
}

static void write_values(const qn_history *history, const qn_trial_record *trial,
                         qn_json_writer *json)
{
    const qn_objectives *objectives = history->objectives;
    qn_json_key(json, "values");
    qn_json_begin_object(json);
    for (int64_t i = 0; i < objectives->n; i++) {
        const qn_objective *objective = &objectives->items[i];
        qn_json_put_double(json, objective->name, qn_objective_value(objective, trial->losses[i]));
    }
    qn_json_end_object(json);
}

static void write_params(const qn_history *history, const qn_trial_record *trial,
                         qn_json_writer *json)
{
    qn_json_key(json, "params");
    qn_json_begin_object(json);
    for (int64_t at = 0; at < trial->n_values; at++) {
        if (trial->values[at] != trial->values[at]) continue; /* inactive */
        qn_json_key(json, history->space->parameters[at].name);
        qn_parameter_write(&history->space->parameters[at], trial->values[at], json);
    }
    qn_json_end_object(json);
}

static void write_reports(const qn_history *history, const qn_trial_record *trial,
                          qn_json_writer *json)
{
    if (trial->n_reports == 0) return;
    qn_json_key(json, "reports");
    qn_json_begin_array(json);
    for (int64_t i = 0; i < trial->n_reports; i++) {
        qn_json_begin_array(json);
        qn_json_int(json, trial->reports[i].step);
        qn_json_double(json,
                       qn_objective_value(&history->objectives->items[0], trial->reports[i].loss));
        qn_json_end_array(json);
    }
    qn_json_end_array(json);
}

void qn_trial_write(const qn_history *history, const qn_trial_record *trial, qn_json_writer *json)
{
    qn_json_begin_object(json);
    qn_json_put_int(json, "number", trial->number);
    qn_json_put_text(json, "state", qn_trial_state_name(trial->state));
    if (trial->losses) write_values(history, trial, json);
    write_params(history, trial, json);
    write_reports(history, trial, json);
    if (trial->violation > 0) qn_json_put_double(json, "violation", trial->violation);
    if (trial->n_retries > 0) qn_json_put_int(json, "retries", trial->n_retries);
    if (trial->attributes) {
        qn_json_key(json, "attributes");
        qn_json_begin_object(json);
        for (const qn_trial_attribute *a = trial->attributes; a; a = a->next) {
            qn_json_key(json, a->name);
            qn_json_raw(json, a->json);
        }
        qn_json_end_object(json);
    }
    qn_json_end_object(json);
}

/* Those that no other dominates, in the order of their numbers. */
static qn_status write_front(const qn_history *history, qn_json_writer *json, qn_error *err)
{
    int64_t n = 0;
    const qn_trial_record **front = qn_alloc_array(history->n_told, sizeof *front);
    if (!front) return qn_fail(err, QN_ERR_NOMEM, "no memory for the best trials");
    for (int64_t number = 0; number < history->n_trials; number++) {
        const qn_trial_record *trial = history->trials[number];
        if (trial->state != QN_TRIAL_COMPLETE || trial->violation > 0) continue;
        qn_pareto_insert(front, &n, trial, history->objectives->n);
    }
    qn_json_begin_array(json);
    for (int64_t i = 0; i < n; i++) {
        qn_trial_write(history, front[i], json);
    }
    qn_json_end_array(json);
    qn_free(front);
    return QN_OK;
}

qn_status qn_study_best(qn_study *study, char **json, qn_error *err)
{
    const qn_history *history = qn_study_history(study);
    qn_str text = {0};
    qn_json_writer writer = {.out = &text};
    qn_status status = QN_OK;
    *json = NULL;
    qn_study_lock(study);
    const qn_trial_record *best = qn_history_best(history);
    if (best && history->objectives->n > 1) {
        status = write_front(history, &writer, err);
    } else if (best) {
        qn_trial_write(history, best, &writer);
    }
    qn_study_unlock(study);
    if (status != QN_OK || (!text.text && !text.failed)) return status;
    *json = qn_str_take_text(&text);
    return *json ? QN_OK : qn_fail(err, QN_ERR_NOMEM, "no memory for the best trial");
}

qn_status qn_trial_describe(qn_trial *trial, char **json, qn_error *err)
{
    qn_study *study = qn_trial_study(trial);
    qn_str text = {0};
    qn_study_lock(study);
    qn_trial_write(qn_study_history(study), qn_trial_get_record(trial),
                   &(qn_json_writer){.out = &text});
    qn_study_unlock(study);
    *json = qn_str_take_text(&text);
    return *json ? QN_OK : qn_fail(err, QN_ERR_NOMEM, "no memory to describe a trial");
}

void qn_tune_free(char *text)
{
    qn_free(text);
}
