/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/routes/routing.h"

#include "base/alloc.h"
#include "base/json.h"
#include "base/yaml.h"
#include "serve/models/served_model.h"

#include <stdlib.h>
#include <string.h>

qn_routing *qn_routing_ref(qn_routing *routing)
{
    atomic_fetch_add_explicit(&routing->n_refs, 1, memory_order_relaxed);
    return routing;
}

void qn_routing_unref(qn_routing *routing)
{
    if (!routing || atomic_fetch_sub_explicit(&routing->n_refs, 1, memory_order_acq_rel) != 1) {
        return;
    }
    for (int64_t i = 0; i < routing->n_models; i++) {
        qn_route_unref(routing->models[i].route);
    }
    qn_arena_release(&routing->memory);
    qn_free(routing);
}

/* Reading. */

struct reader {
    const char *path;
    qn_routing *routing;
    qn_error *err;
};

static qn_status fail_at(const struct reader *r, int64_t line, int64_t column, const char *key,
                         const char *what)
{
    return qn_fail(r->err, QN_ERR_DATA, "%s:%" PRId64 ":%" PRId64 ": '%s' %s", r->path, line,
                   column, key, what);
}

static qn_status no_memory(const struct reader *r)
{
    return qn_fail(r->err, QN_ERR_NOMEM, "%s: no memory for the routes", r->path);
}

static qn_status need_map(const struct reader *r, const qn_yaml_node *node, const char *of)
{
    if (node->kind == QN_YAML_MAP) return QN_OK;
    return fail_at(r, node->line, node->column, of, "is a mapping of names");
}

static qn_status check_name(const struct reader *r, const qn_yaml_node *node)
{
    if (qn_served_name_is_valid(node->key)) return QN_OK;
    return fail_at(r, node->key_line, node->key_column, node->key,
                   "is no name: take letters, digits, '.', '_' and '-'");
}

static int compare_aliases(const void *a, const void *b)
{
    return strcmp(((const qn_alias *)a)->name, ((const qn_alias *)b)->name);
}

static qn_status read_aliases(const struct reader *r, const qn_yaml_node *map,
                              qn_model_routing *model)
{
    QN_TRY(need_map(r, map, "aliases"));
    model->aliases = qn_arena_array(&r->routing->memory, map->n_items, sizeof *model->aliases);
    if (!model->aliases) return no_memory(r);
    for (const qn_yaml_node *node = map->first; node; node = node->next) {
        QN_TRY(check_name(r, node));
        if (node->kind != QN_YAML_SCALAR || !qn_served_name_is_valid(node->text)) {
            return fail_at(r, node->line, node->column, node->key, "leads to no version");
        }
        model->aliases[model->n_aliases++] = (qn_alias){node->key, node->text};
    }
    qsort(model->aliases, (size_t)model->n_aliases, sizeof *model->aliases, compare_aliases);
    return QN_OK;
}

/* What tells one plan from another, so that what is learned at work is not kept for another one:
 * the plan, and where its arms lead. */
static qn_status start_route(const struct reader *r, qn_model_routing *model)
{
    qn_str identity = {0};
    qn_json_writer json = {.out = &identity};
    if (model->plan.kind == QN_ROUTE_NONE) return QN_OK;
    qn_json_begin_object(&json);
    qn_route_plan_write(&model->plan, &json);
    for (int i = 0; i < model->plan.n_arms; i++) {
        qn_json_put_text(&json, "arm", qn_routing_target(model, i));
    }
    qn_json_end_object(&json);
    if (!identity.failed) {
        model->route = qn_route_create(&model->plan, model->model, identity.text);
    }
    qn_str_release(&identity);
    return model->route ? QN_OK : no_memory(r);
}

static qn_status read_model(const struct reader *r, const qn_yaml_node *map,
                            qn_model_routing *model)
{
    QN_TRY(check_name(r, map));
    QN_TRY(need_map(r, map, map->key));
    model->model = map->key;
    for (const qn_yaml_node *node = map->first; node; node = node->next) {
        if (qn_route_plan_has(node->key)) continue;
        if (strcmp(node->key, "aliases") != 0) {
            return fail_at(r, node->key_line, node->key_column, node->key,
                           "is not known here; there are aliases, to, split, canary, bandit, key, "
                           "salt, rollback and shadow");
        }
        QN_TRY(read_aliases(r, node, model));
    }
    QN_TRY(qn_route_plan_read(r->path, map, &model->plan, r->err));
    return start_route(r, model);
}

static int compare_models(const void *a, const void *b)
{
    return strcmp(((const qn_model_routing *)a)->model, ((const qn_model_routing *)b)->model);
}

static qn_status read_models(const struct reader *r, const qn_yaml_node *map)
{
    qn_routing *routing = r->routing;
    QN_TRY(need_map(r, map, "models"));
    routing->models = qn_arena_array(&routing->memory, map->n_items, sizeof *routing->models);
    if (!routing->models) return no_memory(r);
    for (const qn_yaml_node *node = map->first; node; node = node->next) {
        QN_TRY(read_model(r, node, &routing->models[routing->n_models++]));
    }
    qsort(routing->models, (size_t)routing->n_models, sizeof *routing->models, compare_models);
    return QN_OK;
}

static qn_status read_file(const struct reader *r, const char *text, size_t bytes)
{
    qn_yaml_node *root = NULL;
    QN_TRY(qn_yaml_read(r->path, text, bytes, &r->routing->memory, &root, r->err));
    if (!root || (root->kind == QN_YAML_SCALAR && !root->text[0])) return QN_OK;
    QN_TRY(need_map(r, root, "the file"));
    for (const qn_yaml_node *node = root->first; node; node = node->next) {
        if (strcmp(node->key, "models") != 0) {
            return fail_at(r, node->key_line, node->key_column, node->key,
                           "is not known here; there is 'models'");
        }
        QN_TRY(read_models(r, node));
    }
    return QN_OK;
}

qn_status qn_routing_read(const char *path, const char *text, size_t bytes, qn_routing **out,
                          qn_error *err)
{
    *out = NULL;
    qn_routing *routing = qn_alloc_array(1, sizeof *routing);
    const struct reader r = {path, routing, err};
    if (!routing) return no_memory(&r);
    atomic_init(&routing->n_refs, 1);
    const qn_status status = read_file(&r, text, bytes);
    if (status != QN_OK) {
        qn_routing_unref(routing);
        return status;
    }
    *out = routing;
    return QN_OK;
}

/* Writing. An edit is made while the routes are written, so that a copy is what reads back. */

struct edit {
    const char *model, *alias, *version; /* version NULL: the alias is left out */
};

static void write_aliases(const qn_model_routing *model, const char *name, const struct edit *edit,
                          qn_json_writer *json)
{
    const bool edited = edit && strcmp(name, edit->model) == 0;
    qn_json_key(json, "aliases");
    qn_json_begin_object(json);
    for (int64_t i = 0; model && i < model->n_aliases; i++) {
        const qn_alias *alias = &model->aliases[i];
        if (edited && strcmp(alias->name, edit->alias) == 0) continue;
        qn_json_put_text(json, alias->name, alias->version);
    }
    if (edited && edit->version) qn_json_put_text(json, edit->alias, edit->version);
    qn_json_end_object(json);
}

static void write_model(const qn_model_routing *model, const char *name, const struct edit *edit,
                        qn_json_writer *json)
{
    qn_json_key(json, name);
    qn_json_begin_object(json);
    write_aliases(model, name, edit, json);
    if (model) qn_route_plan_write(&model->plan, json);
    qn_json_end_object(json);
}

static void write_routing(const qn_routing *routing, const struct edit *edit, qn_str *out)
{
    qn_json_writer json = {.out = out, .indent = true};
    bool met = !edit;
    qn_json_begin_object(&json);
    qn_json_key(&json, "models");
    qn_json_begin_object(&json);
    for (int64_t i = 0; i < routing->n_models; i++) {
        const qn_model_routing *model = &routing->models[i];
        met = met || strcmp(model->model, edit->model) == 0;
        write_model(model, model->model, edit, &json);
    }
    if (!met) write_model(NULL, edit->model, edit, &json);
    qn_json_end_object(&json);
    qn_json_end_object(&json);
    qn_str_add_char(out, '\n');
}

void qn_routing_write(const qn_routing *routing, qn_str *out)
{
    write_routing(routing, NULL, out);
}

qn_status qn_routing_with_alias(const qn_routing *routing, const char *model, const char *alias,
                                const char *version, qn_routing **out, qn_error *err)
{
    const struct edit edit = {model, alias, version};
    qn_str text = {0};
    *out = NULL;
    if (!qn_served_name_is_valid(model) || !qn_served_name_is_valid(alias) ||
        (version && !qn_served_name_is_valid(version))) {
        return qn_fail(err, QN_ERR_ARG,
                       "names of models, aliases and versions are of letters, digits, '.', '_' "
                       "and '-'");
    }
    write_routing(routing, &edit, &text);
    const qn_status status = text.failed
                                 ? qn_fail(err, QN_ERR_NOMEM, "no memory for the routes")
                                 : qn_routing_read("the routes", text.text, text.bytes, out, err);
    qn_str_release(&text);
    return status;
}

/* Looking up. */

bool qn_span_equals(qn_span span, const char *text)
{
    return strncmp(text, span.text, span.bytes) == 0 && text[span.bytes] == '\0';
}

const qn_model_routing *qn_routing_find(const qn_routing *routing, qn_span model)
{
    for (int64_t i = 0; i < routing->n_models; i++) {
        if (qn_span_equals(model, routing->models[i].model)) return &routing->models[i];
    }
    return NULL;
}

const char *qn_routing_version(const qn_model_routing *model, qn_span alias)
{
    for (int64_t i = 0; i < model->n_aliases; i++) {
        if (qn_span_equals(alias, model->aliases[i].name)) return model->aliases[i].version;
    }
    return NULL;
}

const char *qn_routing_target(const qn_model_routing *model, int arm)
{
    const char *target = arm < 0 ? model->plan.shadow : model->plan.arms[arm].target;
    const char *version = qn_routing_version(model, (qn_span){target, strlen(target)});
    return version ? version : target;
}

const char *qn_routing_leads_to(const qn_routing *routing, const char *model, const char *version)
{
    const qn_model_routing *found = qn_routing_find(routing, (qn_span){model, strlen(model)});
    for (int64_t i = 0; found && i < found->n_aliases; i++) {
        if (strcmp(found->aliases[i].version, version) == 0) return found->aliases[i].name;
    }
    for (int i = 0; found && i < found->plan.n_arms; i++) {
        if (strcmp(qn_routing_target(found, i), version) == 0) return found->plan.arms[i].target;
    }
    if (found && found->plan.shadow && strcmp(qn_routing_target(found, -1), version) == 0) {
        return found->plan.shadow;
    }
    return NULL;
}

void qn_routing_inherit(qn_routing *routing, const qn_routing *before, bool anew)
{
    for (int64_t i = 0; i < routing->n_models; i++) {
        qn_model_routing *model = &routing->models[i];
        const qn_model_routing *old =
            qn_routing_find(before, (qn_span){model->model, strlen(model->model)});
        if (!model->route || !old || !old->route) continue;
        if (anew && qn_route_is_rolled_back(old->route)) continue;
        if (strcmp(qn_route_identity(model->route), qn_route_identity(old->route)) != 0) continue;
        qn_route_unref(model->route);
        model->route = qn_route_ref(old->route);
    }
}
