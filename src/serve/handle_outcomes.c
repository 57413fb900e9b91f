/* SPDX-License-Identifier: Apache-2.0 */
/* POST /v1/outcomes: {"id": …, "row": 1, "outcome": …}, or a list of them: what became of
 * predictions, by the ids of their requests. They become lines of the prediction log, where whoever
 * reads it joins them; all of a request are written, or none. */
#include "base/clock.h"
#include "frame/frame.h"
#include "serve/handlers.h"
#include "serve/line_log.h"

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

qn_step qn_handle_outcomes(qn_exchange *x)
{
    qn_line_log *log = qn_server_logs_of(x->worker->server)->predictions;
    const qn_span body = qn_exchange_body(x);
    qn_error err = {0};
    qn_json *document = NULL;
    qn_str lines = {0};
    int64_t n = 0;
    if (!log) {
        qn_reply_error(&x->reply, 404, "this server keeps no prediction log (--prediction-log)", 0,
                       NULL, NULL);
        return QN_STEP_DONE;
    }
    qn_status status = qn_json_parse(body.text, body.bytes, "the body", &document, &err);
    if (status == QN_ERR_DATA) err.status = QN_ERR_ARG; /* no JSON at all */
    if (status == QN_OK)
        status = add_outcomes(&lines, &x->identity, qn_json_root(document), &n, &err);
    if (status == QN_OK) {
        qn_line_log_append(log, lines.text ? lines.text : "", lines.bytes, n);
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
