/* SPDX-License-Identifier: Apache-2.0 */
/* Changing what is served: POST …:load and :unload, PUT and DELETE of aliases. The work is done by
 * the thread of operations; the request waits for it. */
#include "base/json.h"
#include "serve/handlers/administration.h"
#include "serve/handlers/handlers.h"

#include <string.h>

static qn_step answer(qn_exchange *x, const qn_operation *op, const char *key, const char *value)
{
    qn_json_writer json = {.out = &x->out};
    if (!qn_administration_succeeded(x, op)) return QN_STEP_DONE;
    qn_reply_begin(&x->reply, 200, "application/json", NULL);
    qn_json_begin_object(&json);
    qn_json_put_text(&json, "model", op->name);
    if (op->version) qn_json_put_text(&json, "version", op->version);
    if (op->alias) qn_json_put_text(&json, "alias", op->alias);
    if (key) qn_json_put_text(&json, key, value);
    qn_json_end_object(&json);
    qn_str_add_char(&x->out, '\n');
    qn_reply_end(&x->reply);
    return QN_STEP_DONE;
}

static qn_step administer(qn_exchange *x, qn_operation_run run, qn_span version, qn_span alias,
                          const char *done)
{
    const qn_operation_request request = {
        .run = run, .name = x->params[0], .version = version, .alias = alias};
    if (!x->job && !qn_administration_begin(x, &request)) return QN_STEP_DONE;
    const qn_operation *op = x->job;
    return qn_operation_is_done(op) ? answer(x, op, "done", done) : QN_STEP_WAIT;
}

qn_step qn_handle_load(qn_exchange *x)
{
    return administer(x, qn_administration_load, x->params[1], (qn_span){0}, "load");
}

qn_step qn_handle_unload(qn_exchange *x)
{
    return administer(x, qn_administration_unload, x->params[1], (qn_span){0}, "unload");
}

/* Aliases. */

static qn_status set_alias(qn_operation *op, qn_model_store *store, qn_error *err)
{
    return qn_model_store_set_alias(store, op->name, op->alias, op->version, err);
}

/* {"version": "2"}, whose version is put into the request's memory; also a number. */
static bool read_version(qn_exchange *x, qn_span *version)
{
    const qn_span body = qn_exchange_body(x);
    qn_error err = {0};
    qn_json *document = NULL;
    char *text = NULL;
    if (qn_json_parse(body.text, body.bytes, "the body", &document, &err) != QN_OK) {
        if (err.status == QN_ERR_DATA) err.status = QN_ERR_ARG;
        qn_exchange_fail(x, &err, 0, NULL);
        return false;
    }
    const qn_json_value given = qn_json_get(qn_json_root(document), "version");
    const int64_t number = qn_json_as_int(given, -1);
    const char *word = qn_json_as_text(given, NULL);
    qn_str digits = {0};
    if (number >= 0) qn_str_addf(&digits, "%" PRId64, number);
    if (number >= 0) word = digits.text;
    if (word) text = qn_arena_strdup(&x->memory, word);
    qn_str_release(&digits);
    qn_json_free(document);
    if (text && *text) {
        *version = (qn_span){text, strlen(text)};
        return true;
    }
    qn_reply_error(&x->reply, 400, "send {\"version\": \"…\"}: where the alias is to lead", 0, NULL,
                   NULL);
    return false;
}

qn_step qn_handle_set_alias(qn_exchange *x)
{
    qn_span version = {0};
    if (!x->job && !read_version(x, &version)) return QN_STEP_DONE;
    if (!x->told) x->told = version.text;
    return administer(x, set_alias, version, x->params[1], "alias");
}

qn_step qn_handle_remove_alias(qn_exchange *x)
{
    return administer(x, set_alias, (qn_span){0}, x->params[1], "removed");
}
