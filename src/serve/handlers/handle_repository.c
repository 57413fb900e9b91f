/* SPDX-License-Identifier: Apache-2.0 */
/* The model repository extension of the Open Inference Protocol (Triton, KServe): which models
 * there are and in what state; loading and unloading by name. */
#include "base/json.h"
#include "serve/handlers/administration.h"
#include "serve/handlers/handlers.h"
#include "serve/security/gate.h"

#include <string.h>

/* The body, which may be empty. NULL and answered, or (no body) *out is NULL. */
static bool read_body(qn_exchange *x, qn_json **out)
{
    const qn_span body = qn_exchange_body(x);
    qn_error err = {0};
    *out = NULL;
    if (body.bytes == 0) return true;
    if (qn_json_parse(body.text, body.bytes, "the body", out, &err) == QN_OK) return true;
    if (err.status == QN_ERR_DATA) err.status = QN_ERR_ARG;
    qn_exchange_fail(x, &err, 0, NULL);
    return false;
}

static void write_entry(const qn_catalog_entry *entry, qn_json_writer *json)
{
    const char *reason = entry->unloaded ? "unloaded" : entry->problem ? entry->problem : "";
    const bool unavailable = !entry->model && *reason;
    qn_json_begin_object(json);
    qn_json_put_text(json, "name", entry->name);
    qn_json_put_text(json, "version", entry->version);
    qn_json_put_text(json, "state",
                     entry->model  ? "READY"
                     : unavailable ? "UNAVAILABLE"
                                   : "LOADING");
    qn_json_put_text(json, "reason", reason);
    qn_json_end_object(json);
}

qn_step qn_handle_repository_index(qn_exchange *x)
{
    const qn_catalog *catalog = x->worker->catalog;
    qn_json *body;
    qn_json_writer json = {.out = &x->out};
    if (!read_body(x, &body)) return QN_STEP_DONE;
    const bool only_ready =
        body && qn_json_as_bool(qn_json_get(qn_json_root(body), "ready"), false);
    qn_json_free(body);
    qn_reply_begin(&x->reply, 200, "application/json", NULL);
    qn_json_begin_array(&json);
    for (int64_t i = 0; i < catalog->n_entries; i++) {
        const qn_catalog_entry *entry = &catalog->entries[i];
        if (!qn_gate_shows(x, entry->name) || (only_ready && !entry->model)) continue;
        write_entry(entry, &json);
    }
    qn_json_end_array(&json);
    qn_str_add_char(&x->out, '\n');
    qn_reply_end(&x->reply);
    return QN_STEP_DONE;
}

/* Triton's clients may send a configuration and files of their own with a request to load; taking
 * no notice of these would load something else than they asked for. */
static bool check_parameters(qn_exchange *x)
{
    qn_json *body;
    if (!read_body(x, &body)) return false;
    const qn_json_value parameters = body ? qn_json_get(qn_json_root(body), "parameters") : NULL;
    bool good = true;
    for (int64_t i = 0; i < qn_json_size(parameters); i++) {
        const char *key = "";
        qn_json_member(parameters, i, &key);
        good = good && strcmp(key, "config") != 0 && strncmp(key, "file:", 5) != 0;
    }
    qn_json_free(body);
    if (!good) {
        qn_reply_error(&x->reply, 400,
                       "models are loaded from their files alone: send no 'config' and no 'file:'",
                       0, NULL, NULL);
    }
    return good;
}

static qn_step administer(qn_exchange *x, qn_operation_run run, const char *key)
{
    const qn_operation_request request = {.run = run, .name = x->params[0]};
    qn_json_writer json = {.out = &x->out};
    if (!x->job && !check_parameters(x)) return QN_STEP_DONE;
    if (!x->job && !qn_administration_begin(x, &request)) return QN_STEP_DONE;
    const qn_operation *op = x->job;
    if (!qn_operation_is_done(op)) return QN_STEP_WAIT;
    if (!qn_administration_succeeded(x, op)) return QN_STEP_DONE;
    qn_reply_begin(&x->reply, 200, "application/json", NULL);
    qn_json_begin_object(&json);
    qn_json_put_text(&json, "name", op->name);
    qn_json_put_bool(&json, key, true);
    qn_json_end_object(&json);
    qn_reply_end(&x->reply);
    return QN_STEP_DONE;
}

qn_step qn_handle_repository_load(qn_exchange *x)
{
    return administer(x, qn_administration_load, "load");
}

qn_step qn_handle_repository_unload(qn_exchange *x)
{
    return administer(x, qn_administration_unload, "unload");
}
