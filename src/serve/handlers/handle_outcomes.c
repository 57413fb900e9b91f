/* SPDX-License-Identifier: Apache-2.0 */
/* POST /v1/outcomes: {"id": …, "row": 1, "outcome": …}, or a list of them: what became of
 * predictions, by the ids of their requests. They become lines of the prediction log, where whoever
 * reads it joins them, and canaries are held against them; all of a request are taken, or none. */
#include "base/clock.h"
#include "frame/frame.h"
#include "serve/handlers/handlers.h"
#include "serve/routes/choose_model.h"
#include "serve/security/gate.h"
#include "serve/telemetry/line_log.h"

#include <string.h>

struct sender {
    const char *time, *who; /* who: NULL for anybody */
};

static qn_status add_outcome(qn_str *out, const struct sender *sender, qn_json_value given,
                             int64_t number, qn_error *err)
{
    qn_json_writer json = {.out = out};
    const char *id = qn_json_as_text(qn_json_get(given, "id"), "");
    const qn_json_value row = qn_json_get(given, "row"), outcome = qn_json_get(given, "outcome");
    const int64_t row_number = qn_json_as_int(row, row ? 0 : 1);
    if (!qn_request_id_is_valid(id, strlen(id))) {
        return qn_fail(err, QN_ERR_DATA,
                       "outcome %lld: \"id\" is the header 'x-request-id' of the reply",
                       (long long)number);
    }
    if (row_number < 1) {
        return qn_fail(err, QN_ERR_DATA, "outcome %lld: \"row\" is a number from 1",
                       (long long)number);
    }
    if (qn_json_is_null(outcome) || qn_json_is_array(outcome) || qn_json_is_object(outcome)) {
        return qn_fail(err, QN_ERR_DATA, "outcome %lld: \"outcome\" is a label or a number",
                       (long long)number);
    }
    qn_json_begin_object(&json);
    qn_json_put_text(&json, "time", sender->time);
    qn_json_put_text(&json, "event", "outcome");
    qn_json_put_text(&json, "who", sender->who);
    qn_json_put_text(&json, "id", id);
    qn_json_put_int(&json, "row", row_number);
    qn_json_key(&json, "outcome");
    qn_json_write_value(&json, outcome);
    qn_json_end_object(&json);
    qn_str_add_char(out, '\n');
    return out->failed ? qn_fail(err, QN_ERR_NOMEM, "no memory for the outcomes") : QN_OK;
}

static qn_status add_outcomes(qn_str *out, const qn_identity *identity, qn_json_value root,
                              int64_t *n, qn_error *err)
{
    char time[QN_VALUE_TEXT_BYTES];
    const struct sender sender = {time, identity->name[0] ? identity->name : NULL};
    const bool many = qn_json_is_array(root);
    *n = many ? qn_json_size(root) : 1;
    qn_timestamp_format_utc(qn_clock_utc_us(), time);
    for (int64_t i = 0; i < *n; i++) {
        QN_TRY(add_outcome(out, &sender, many ? qn_json_at(root, i) : root, i + 1, err));
    }
    return QN_OK;
}

/* How an outcome is written as a label; `room` (QN_DOUBLE_TEXT_BYTES) is for numbers. */
static const char *label_of(qn_json_value outcome, char *room)
{
    const double number = qn_json_as_double(outcome, QN_NA);
    const char *word = qn_json_as_bool(outcome, false) ? "true" : "false";
    if (isnan(number)) return qn_json_as_text(outcome, word);
    qn_format_double(number, room);
    return room;
}

/* Canaries are held against what became of their predictions. Of the models that the sender may
 * ask; all outcomes are known to be good. */
static void compare(const qn_exchange *x, qn_json_value root)
{
    const qn_routing *routing = x->worker->catalog->routing;
    const bool many = qn_json_is_array(root);
    char reason[QN_ROUTE_REASON_BYTES], room[QN_DOUBLE_TEXT_BYTES];
    for (int64_t m = 0; m < routing->n_models; m++) {
        const qn_model_routing *model = &routing->models[m];
        if (!model->route || !qn_route_compares(model->route) || !qn_gate_shows(x, model->model)) {
            continue;
        }
        for (int64_t i = 0; i < (many ? qn_json_size(root) : 1); i++) {
            const qn_json_value given = many ? qn_json_at(root, i) : root;
            const qn_json_value outcome = qn_json_get(given, "outcome");
            if (qn_route_outcome(model->route, qn_json_as_text(qn_json_get(given, "id"), ""),
                                 qn_json_as_int(qn_json_get(given, "row"), 1),
                                 label_of(outcome, room), qn_json_as_double(outcome, QN_NA),
                                 reason)) {
                qn_exchange_tell_rollback(x, model->model, reason);
            }
        }
    }
}

static bool anybody_compares(const qn_routing *routing)
{
    for (int64_t m = 0; m < routing->n_models; m++) {
        if (routing->models[m].route && qn_route_compares(routing->models[m].route)) return true;
    }
    return false;
}

qn_step qn_handle_outcomes(qn_exchange *x)
{
    qn_line_log *log = qn_server_logs_of(x->worker->server)->predictions;
    const qn_span body = qn_exchange_body(x);
    qn_error err = {0};
    qn_json *document = NULL;
    qn_str lines = {0};
    int64_t n = 0;
    if (!log && !anybody_compares(x->worker->catalog->routing)) {
        qn_reply_error(&x->reply, 404,
                       "this server keeps no prediction log (--prediction-log), and no canary is "
                       "held against outcomes",
                       0, NULL, NULL);
        return QN_STEP_DONE;
    }
    qn_status status = qn_json_parse(body.text, body.bytes, "the body", &document, &err);
    if (status == QN_ERR_DATA) err.status = QN_ERR_ARG; /* no JSON at all */
    if (status == QN_OK)
        status = add_outcomes(&lines, &x->identity, qn_json_root(document), &n, &err);
    if (status == QN_OK) {
        if (log) qn_line_log_append(log, lines.text ? lines.text : "", lines.bytes, n);
        compare(x, qn_json_root(document));
        qn_reply_begin(&x->reply, 202, "application/json", NULL);
        qn_str_addf(&x->out, "{\"outcomes\":%lld}\n", (long long)n);
        qn_reply_end(&x->reply);
    } else {
        qn_exchange_fail(x, &err, 0, NULL);
    }
    qn_json_free(document);
    qn_str_release(&lines);
    return QN_STEP_DONE;
}
