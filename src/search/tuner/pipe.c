/* SPDX-License-Identifier: Apache-2.0 */
#include "search/tuner/pipe.h"

#include <math.h>
#include <string.h>

typedef qn_status operation(qn_study *study, qn_json_value request, qn_json_writer *answer,
                            qn_error *err);

static qn_status say_ok(qn_status status, qn_json_writer *answer)
{
    if (status == QN_OK) qn_json_put_bool(answer, "ok", true);
    return status;
}

static qn_status get_trial(qn_study *study, qn_json_value request, qn_trial **out, qn_error *err)
{
    const int64_t number = qn_json_as_int(qn_json_get(request, "trial"), -1);
    *out = qn_study_trial(study, number);
    if (*out) return QN_OK;
    return qn_fail(err, QN_ERR_ARG, "\"trial\": expected the number of a trial");
}

/* A number; null gives QN_NA. */
static qn_status get_number(qn_json_value value, const char *name, double *out, qn_error *err)
{
    *out = qn_json_as_double(value, QN_NA);
    if (!isnan(*out) || (value && qn_json_is_null(value))) return QN_OK;
    return qn_fail(err, QN_ERR_ARG, "\"%s\": expected a number", name);
}

/* Where it depends on the pruner. */
static void say_next_look(const qn_trial *trial, qn_json_writer *answer)
{
    const int64_t step = qn_trial_next_look(trial);
    if (step > 0) qn_json_put_int(answer, "next_look", step);
}

static qn_status ask(qn_study *study, qn_json_value request, qn_json_writer *answer, qn_error *err)
{
    qn_trial *trial;
    (void)request;
    QN_TRY(qn_study_ask(study, &trial, err));
    qn_json_key(answer, "trial");
    if (!trial) {
        qn_json_null(answer);
        return QN_OK;
    }
    qn_json_int(answer, qn_trial_number(trial));
    qn_json_key(answer, "params");
    qn_space_write_values(qn_study_space(study), qn_trial_get_record(trial)->values, answer);
    say_next_look(trial, answer);
    return QN_OK;
}

/* One value per objective, by "value" or by the objectives' names. */
static qn_status get_values(const qn_objectives *objectives, qn_json_value request, double *values,
                            qn_error *err)
{
    const qn_json_value by_name = qn_json_get(request, "values");
    if (!by_name && objectives->n == 1) {
        return get_number(qn_json_get(request, "value"), "value", &values[0], err);
    }
    for (int64_t i = 0; i < objectives->n; i++) {
        const char *name = objectives->items[i].name;
        QN_TRY(get_number(qn_json_get(by_name, name), name, &values[i], err));
    }
    return QN_OK;
}

static qn_status tell(qn_study *study, qn_json_value request, qn_json_writer *answer, qn_error *err)
{
    double values[QN_OBJECTIVES_MAX], violation;
    qn_trial *trial;
    const qn_json_value broken = qn_json_get(request, "violation");
    QN_TRY(get_trial(study, request, &trial, err));
    QN_TRY(get_values(qn_study_objectives(study), request, values, err));
    if (broken) {
        QN_TRY(get_number(broken, "violation", &violation, err));
        QN_TRY(qn_trial_violate(trial, violation, err));
    }
    return say_ok(qn_trial_tell(trial, values, qn_study_objectives(study)->n, err), answer);
}

static qn_status report(qn_study *study, qn_json_value request, qn_json_writer *answer,
                        qn_error *err)
{
    double value;
    bool prune = false;
    qn_trial *trial;
    const double step = qn_json_as_double(qn_json_get(request, "step"), QN_NA);
    QN_TRY(get_trial(study, request, &trial, err));
    QN_TRY(get_number(qn_json_get(request, "value"), "value", &value, err));
    if (!(fabs(step) <= 1e15) || step != floor(step)) {
        return qn_fail(err, QN_ERR_ARG, "\"step\": expected a whole number");
    }
    QN_TRY(qn_trial_report(trial, (int64_t)step, value, &prune, err));
    qn_json_put_bool(answer, "prune", prune);
    if (!prune) say_next_look(trial, answer);
    return QN_OK;
}

static qn_status prune(qn_study *study, qn_json_value request, qn_json_writer *answer,
                       qn_error *err)
{
    qn_trial *trial;
    QN_TRY(get_trial(study, request, &trial, err));
    return say_ok(qn_trial_prune(trial, err), answer);
}

static qn_status fail(qn_study *study, qn_json_value request, qn_json_writer *answer, qn_error *err)
{
    qn_trial *trial;
    QN_TRY(get_trial(study, request, &trial, err));
    return say_ok(qn_trial_fail(trial, err), answer);
}

static qn_status retry(qn_study *study, qn_json_value request, qn_json_writer *answer,
                       qn_error *err)
{
    qn_trial *trial;
    QN_TRY(get_trial(study, request, &trial, err));
    return say_ok(qn_trial_retry(trial, err), answer);
}

/* A member of the request as JSON text. */
static qn_status member_text(qn_json_value request, const char *name, qn_str *out, qn_error *err)
{
    const qn_json_value value = qn_json_get(request, name);
    if (!value) return qn_fail(err, QN_ERR_ARG, "\"%s\" is missing", name);
    qn_json_write_value(&(qn_json_writer){.out = out}, value);
    return out->failed ? qn_fail(err, QN_ERR_NOMEM, "no memory for a request") : QN_OK;
}

static qn_status annotate(qn_study *study, qn_json_value request, qn_json_writer *answer,
                          qn_error *err)
{
    qn_str json = {0};
    qn_trial *trial;
    const char *name = qn_json_as_text(qn_json_get(request, "name"), NULL);
    QN_TRY(get_trial(study, request, &trial, err));
    if (!name) return qn_fail(err, QN_ERR_ARG, "\"name\": expected a text");
    qn_status status = member_text(request, "value", &json, err);
    if (status == QN_OK) status = qn_trial_annotate(trial, name, json.text, err);
    qn_str_release(&json);
    return say_ok(status, answer);
}

static qn_status enqueue(qn_study *study, qn_json_value request, qn_json_writer *answer,
                         qn_error *err)
{
    qn_str json = {0};
    qn_status status = member_text(request, "params", &json, err);
    if (status == QN_OK) status = qn_study_enqueue(study, json.text, err);
    qn_str_release(&json);
    return say_ok(status, answer);
}

static qn_status best(qn_study *study, qn_json_value request, qn_json_writer *answer, qn_error *err)
{
    char *json;
    (void)request;
    QN_TRY(qn_study_best(study, &json, err));
    qn_json_key(answer, "best");
    qn_json_raw(answer, json ? json : "null");
    qn_tune_free(json);
    return QN_OK;
}

static const struct {
    const char *name;
    operation *run;
} operations[] = {
    {"ask", ask},           {"tell", tell},       {"report", report},
    {"prune", prune},       {"fail", fail},       {"retry", retry},
    {"annotate", annotate}, {"enqueue", enqueue}, {"best", best},
};

static qn_status run(qn_study *study, qn_json_value request, qn_json_writer *answer, qn_error *err)
{
    const char *op = qn_json_as_text(qn_json_get(request, "op"), "");
    for (size_t i = 0; i < sizeof operations / sizeof *operations; i++) {
        if (strcmp(operations[i].name, op) == 0)
            return operations[i].run(study, request, answer, err);
    }
    return qn_fail(err, QN_ERR_ARG,
                   "\"op\": expected ask, tell, report, prune, fail, retry, annotate, enqueue or "
                   "best");
}

/* The answer to a request that was read; *answer is left as it was when it cannot be given. */
static qn_status answer_request(qn_study *study, qn_json_value request, qn_str *answer,
                                qn_error *err)
{
    qn_json_writer json = {.out = answer};
    const qn_json_value id = qn_json_get(request, "id");
    qn_error failure = {0};
    qn_str members = {0};
    qn_json_writer inner = {.out = &members};
    qn_json_begin_object(&inner);
    const qn_status status = run(study, request, &inner, &failure);
    qn_json_begin_object(&json);
    if (id) {
        qn_json_key(&json, "id");
        qn_json_write_value(&json, id);
    }
    if (status != QN_OK) {
        qn_json_put_text(&json, "error", failure.message);
        qn_json_end_object(&json);
    } else {
        qn_json_end_object(&inner);
        /* The members without their brace follow the id. */
        if (id) qn_str_add_char(answer, ',');
        qn_str_add(answer, members.text ? members.text + 1 : "}");
    }
    answer->failed |= members.failed;
    qn_str_release(&members);
    if (answer->failed || status == QN_ERR_NOMEM) {
        return qn_fail(err, QN_ERR_NOMEM, "no memory for an answer");
    }
    return status == QN_ERR_IO ? qn_fail(err, status, "%s", failure.message) : QN_OK;
}

qn_status qn_pipe_answer(qn_study *study, const char *line, size_t bytes, qn_str *answer,
                         qn_error *err)
{
    qn_error failure = {0};
    qn_json *request = NULL;
    const qn_status status = qn_json_parse(line, bytes, "request", &request, &failure);
    if (status == QN_ERR_NOMEM) return qn_fail(err, status, "%s", failure.message);
    if (status == QN_OK) {
        const qn_status done = answer_request(study, qn_json_root(request), answer, err);
        qn_json_free(request);
        return done;
    }
    qn_json_writer json = {.out = answer};
    qn_json_begin_object(&json);
    qn_json_put_text(&json, "error", failure.message);
    qn_json_end_object(&json);
    return answer->failed ? qn_fail(err, QN_ERR_NOMEM, "no memory for an answer") : QN_OK;
}
