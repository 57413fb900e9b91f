/* SPDX-License-Identifier: Apache-2.0 */
/* GET /v1/models and below: what is served, and what a row must have. */
#include "base/json.h"
#include "base/number.h"
#include "serve/handlers/handlers.h"
#include "serve/security/gate.h"

#include <string.h>

enum { LEVELS_SHOWN_MAX = 100 };

static void write_version(const qn_catalog_entry *entry, qn_json_writer *json)
{
    qn_json_begin_object(json);
    qn_json_put_text(json, "version", entry->version);
    /* TensorFlow Serving's words for it. */
    qn_json_put_text(json, "state",
                     entry->model                        ? "AVAILABLE"
                     : entry->problem || entry->unloaded ? "END"
                                                         : "LOADING");
    qn_json_put_bool(json, "default", entry->is_default);
    if (entry->model) {
        qn_json_put_text(json, "hash", entry->model->hash);
        qn_json_put_double(json, "loaded_seconds", entry->model->loaded_s);
    }
    if (entry->problem) qn_json_put_text(json, "problem", entry->problem);
    qn_json_end_object(json);
}

/* All versions of one name, from entry i on; returns the entry behind them. */
static int64_t write_versions(const qn_catalog *catalog, int64_t i, qn_json_writer *json)
{
    const char *name = catalog->entries[i].name;
    qn_json_key(json, "versions");
    qn_json_begin_array(json);
    for (; i < catalog->n_entries && strcmp(catalog->entries[i].name, name) == 0; i++) {
        write_version(&catalog->entries[i], json);
    }
    qn_json_end_array(json);
    return i;
}

static void write_aliases(const qn_model_routing *routing, qn_json_writer *json)
{
    qn_json_key(json, "aliases");
    qn_json_begin_object(json);
    for (int64_t i = 0; routing && i < routing->n_aliases; i++) {
        qn_json_put_text(json, routing->aliases[i].name, routing->aliases[i].version);
    }
    qn_json_end_object(json);
}

/* Of requests that name no version. */
static void write_route(const qn_model_routing *routing, qn_json_writer *json)
{
    if (!routing || !routing->route) return;
    qn_json_key(json, "route");
    qn_json_begin_object(json);
    qn_route_plan_write(&routing->plan, json);
    if (routing->plan.kind == QN_ROUTE_CANARY) {
        qn_json_put_bool(json, "rolled_back", qn_route_is_rolled_back(routing->route));
    }
    qn_json_end_object(json);
}

qn_step qn_handle_models(qn_exchange *x)
{
    const qn_catalog *catalog = x->worker->catalog;
    qn_json_writer json = {.out = &x->out, .indent = true};
    qn_reply_begin(&x->reply, 200, "application/json", NULL);
    qn_json_begin_object(&json);
    qn_json_key(&json, "models");
    qn_json_begin_array(&json);
    for (int64_t i = 0; i < catalog->n_entries;) {
        if (!qn_gate_shows(x, catalog->entries[i].name)) {
            i++;
            continue;
        }
        qn_json_begin_object(&json);
        qn_json_put_text(&json, "name", catalog->entries[i].name);
        write_aliases(catalog->entries[i].routing, &json);
        write_route(catalog->entries[i].routing, &json);
        i = write_versions(catalog, i, &json);
        qn_json_end_object(&json);
    }
    qn_json_end_array(&json);
    qn_json_end_object(&json);
    qn_str_add_char(&x->out, '\n');
    qn_reply_end(&x->reply);
    return QN_STEP_DONE;
}

static void write_column(const qn_schema_column *column, qn_json_writer *json)
{
    qn_json_begin_object(json);
    qn_json_put_text(json, "name", column->name);
    qn_json_put_text(json, "kind", qn_kind_name(column->kind));
    qn_json_put_text(json, "type", qn_type_name(column->type));
    if (!isnan(column->minimum)) {
        qn_json_put_double(json, "minimum", column->minimum);
        qn_json_put_double(json, "maximum", column->maximum);
    }
    if (column->kind == QN_KIND_CATEGORICAL) {
        qn_json_key(json, "levels");
        qn_json_begin_array(json);
        for (int64_t i = 0; i < column->n_levels && i < LEVELS_SHOWN_MAX; i++) {
            qn_json_text(json, column->levels[i]);
        }
        qn_json_end_array(json);
    }
    qn_json_end_object(json);
}

static void write_model(const qn_served_model *model, qn_json_writer *json)
{
    qn_json_put_text(json, "version", model->version);
    qn_json_put_text(json, "hash", model->hash);
    qn_json_put_text(json, "task", qn_model_task(model->model));
    if (model->schema->target >= 0) {
        qn_json_put_text(json, "target", model->schema->columns[model->schema->target].name);
    }
    qn_json_key(json, "classes");
    qn_json_begin_array(json);
    for (int32_t c = 0; c < qn_model_n_classes(model->model); c++) {
        qn_json_text(json, qn_model_class(model->model, c));
    }
    qn_json_end_array(json);
    qn_json_key(json, "inputs");
    qn_json_begin_array(json);
    for (int64_t i = 0; i < model->n_inputs; i++) {
        write_column(model->columns[i], json);
    }
    qn_json_end_array(json);
}

qn_step qn_handle_model(qn_exchange *x)
{
    const qn_catalog_entry *entry = qn_exchange_find_model(x);
    if (!entry) return QN_STEP_DONE;
    qn_json_writer json = {.out = &x->out, .indent = true};
    qn_reply_begin(&x->reply, 200, "application/json", entry->model->header);
    qn_json_begin_object(&json);
    qn_json_put_text(&json, "name", entry->name);
    qn_json_put_bool(&json, "ready", true); /* KServe's version 1: one that is not is no 200 */
    write_model(entry->model, &json);
    write_aliases(entry->routing, &json);
    write_route(entry->routing, &json);
    write_versions(x->worker->catalog, qn_catalog_first(x->worker->catalog, x->params[0]), &json);
    qn_json_end_object(&json);
    qn_str_add_char(&x->out, '\n');
    qn_reply_end(&x->reply);
    return QN_STEP_DONE;
}
