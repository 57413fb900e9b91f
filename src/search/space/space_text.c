/* SPDX-License-Identifier: Apache-2.0 */
/* Spaces as text: YAML and JSON in, JSON out. */
#include "base/alloc.h"
#include "base/nearest.h"
#include "base/yaml.h"
#include "search/space/space.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct reading {
    const char *path;
    qn_space *space;
    qn_arena scratch; /* the tree, and parameters until the space has copied them */
    qn_error *err;
};

static qn_status fail_at(const struct reading *r, int64_t line, int64_t column, const char *format,
                         ...) QN_PRINTF(4, 5);
static qn_status fail_at(const struct reading *r, int64_t line, int64_t column, const char *format,
                         ...)
{
    char what[512];
    va_list args;
    va_start(args, format);
    vsnprintf(what, sizeof what, format, args);
    va_end(args);
    return qn_fail(r->err, QN_ERR_DATA, "%s:%" PRId64 ":%" PRId64 ": %s", r->path, line, column,
                   what);
}

static qn_status no_memory(const struct reading *r)
{
    return qn_fail(r->err, QN_ERR_NOMEM, "%s: no memory to read it", r->path);
}

/* Puts the place before a message made by the space; it becomes an error of the file. */
static qn_status place_error(const struct reading *r, const qn_yaml_node *node,
                             const qn_error *inner)
{
    if (inner->status == QN_ERR_NOMEM) return no_memory(r);
    return fail_at(r, node->line, node->column, "%s", inner->message);
}

/* Refuses items that are not among `names`. */
static qn_status check_names(const struct reading *r, const qn_yaml_node *map,
                             const char *const *names, int64_t n_names)
{
    for (const qn_yaml_node *item = map->first; item; item = item->next) {
        bool known = false;
        for (int64_t i = 0; i < n_names; i++) {
            known |= strcmp(names[i], item->key) == 0;
        }
        if (known) continue;
        const char *near = qn_nearest_name(item->key, names, n_names);
        return fail_at(r, item->key_line, item->key_column, "unknown '%s'%s%s%s", item->key,
                       near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
    }
    return QN_OK;
}

static qn_status read_number(const struct reading *r, const qn_yaml_node *map, const char *name,
                             double *out)
{
    const qn_yaml_node *node = qn_yaml_get(map, name);
    if (!node) return QN_OK;
    if (node->kind != QN_YAML_SCALAR || !qn_parse_double(node->text, strlen(node->text), out)) {
        return fail_at(r, node->line, node->column, "%s: expected a number", name);
    }
    return QN_OK;
}

static qn_status read_flag(const struct reading *r, const qn_yaml_node *map, const char *name,
                           bool *out)
{
    const qn_yaml_node *node = qn_yaml_get(map, name);
    if (!node) return QN_OK;
    *out = strcmp(node->text, "true") == 0;
    if (*out || strcmp(node->text, "false") == 0) return QN_OK;
    return fail_at(r, node->line, node->column, "%s: expected true or false", name);
}

static const char *skip_digits(const char *at)
{
    return at + strspn(at, "0123456789");
}

/* RFC 8259, section 6: what may stand in JSON as it is. */
static bool is_json_number(const char *text)
{
    const char *at = text + (*text == '-'), *digits = at;
    at = skip_digits(at);
    if (at == digits || (*digits == '0' && at > digits + 1)) return false;
    if (*at == '.') {
        digits = ++at;
        at = skip_digits(at);
        if (at == digits) return false;
    }
    if (*at == 'e' || *at == 'E') {
        at += at[1] == '-' || at[1] == '+' ? 2 : 1;
        digits = at;
        at = skip_digits(at);
        if (at == digits) return false;
    }
    return !*at;
}

static qn_choice choice_of(const qn_yaml_node *node)
{
    qn_choice choice = {.text = node->text, .number = QN_NA};
    qn_parse_double(node->text, strlen(node->text), &choice.number);
    choice.is_literal =
        !node->quoted && (is_json_number(node->text) || strcmp(node->text, "true") == 0 ||
                          strcmp(node->text, "false") == 0);
    return choice;
}

static qn_status read_choices(struct reading *r, const qn_yaml_node *list, qn_parameter *parameter)
{
    if (list->kind != QN_YAML_LIST) {
        return fail_at(r, list->line, list->column, "expected a list of choices");
    }
    if (list->n_items > QN_CHOICES_MAX) {
        return fail_at(r, list->line, list->column, "expected at most %d choices", QN_CHOICES_MAX);
    }
    qn_choice *choices = qn_arena_array(&r->scratch, list->n_items, sizeof *choices);
    if (!choices) return no_memory(r);
    for (const qn_yaml_node *item = list->first; item; item = item->next) {
        if (item->kind != QN_YAML_SCALAR) {
            return fail_at(r, item->line, item->column, "expected a number or a text");
        }
        choices[parameter->n_choices++] = choice_of(item);
    }
    parameter->choices = choices;
    return QN_OK;
}

/* A constant is a choice from one. */
static qn_status read_constant(struct reading *r, const qn_yaml_node *node, qn_parameter *parameter)
{
    if (node->kind != QN_YAML_SCALAR) {
        return fail_at(r, node->line, node->column, "expected a number or a text");
    }
    qn_choice *choice = qn_arena_array(&r->scratch, 1, sizeof *choice);
    if (!choice) return no_memory(r);
    *choice = choice_of(node);
    parameter->choices = choice;
    parameter->n_choices = 1;
    return QN_OK;
}

static qn_status read_condition(struct reading *r, const qn_yaml_node *node,
                                qn_condition *condition)
{
    const int64_t parent = qn_space_find(r->space, node->key);
    if (parent < 0) {
        return fail_at(r, node->key_line, node->key_column,
                       "there is no parameter '%s' above this one", node->key);
    }
    if (node->kind == QN_YAML_MAP) {
        return fail_at(r, node->line, node->column, "expected a value or a list of values");
    }
    const bool is_list = node->kind == QN_YAML_LIST;
    double *values = qn_arena_array(&r->scratch, is_list ? node->n_items : 1, sizeof *values);
    if (!values) return no_memory(r);
    *condition = (qn_condition){.parent = (int32_t)parent, .values = values};
    for (const qn_yaml_node *item = is_list ? node->first : node; item; item = item->next) {
        const qn_parameter *p = &r->space->parameters[parent];
        if (item->kind != QN_YAML_SCALAR) {
            return fail_at(r, item->line, item->column, "expected a value or a list of values");
        }
        if (!qn_parameter_parse(p, item->text, &values[condition->n_values++])) {
            return fail_at(r, item->line, item->column, "'%s' is never '%s'", node->key,
                           item->text);
        }
        if (!is_list) break;
    }
    return QN_OK;
}

static qn_status read_conditions(struct reading *r, const qn_yaml_node *map,
                                 qn_parameter *parameter)
{
    if (map->kind != QN_YAML_MAP) {
        return fail_at(r, map->line, map->column, "expected {parameter: value}");
    }
    qn_condition *conditions = qn_arena_array(&r->scratch, map->n_items, sizeof *conditions);
    if (!conditions) return no_memory(r);
    for (const qn_yaml_node *item = map->first; item; item = item->next) {
        QN_TRY(read_condition(r, item, &conditions[parameter->n_conditions++]));
    }
    parameter->conditions = conditions;
    return QN_OK;
}

/* What each type may say beside type and when. */
static const struct type_form {
    const char *name;
    qn_parameter_kind kind;
    int64_t n_names;
    const char *names[7];
} type_forms[] = {
    {"float", QN_PARAMETER_FLOAT, 7, {"type", "when", "low", "high", "step", "log", "low_cost"}},
    {"int", QN_PARAMETER_INT, 7, {"type", "when", "low", "high", "step", "log", "low_cost"}},
    {"categorical", QN_PARAMETER_CATEGORICAL, 3, {"type", "when", "choices"}},
    {"ordinal", QN_PARAMETER_ORDINAL, 3, {"type", "when", "choices"}},
    {"bool", QN_PARAMETER_BOOL, 2, {"type", "when"}},
    {"fixed", QN_PARAMETER_CATEGORICAL, 3, {"type", "when", "value"}},
};
enum { N_TYPE_FORMS = sizeof type_forms / sizeof *type_forms };

#define TYPES "float, int, categorical, ordinal, bool or fixed"

static qn_status read_type(const struct reading *r, const qn_yaml_node *map,
                           const struct type_form **out)
{
    const char *names[N_TYPE_FORMS];
    const qn_yaml_node *node = qn_yaml_get(map, "type");
    if (!node) {
        return fail_at(r, map->line, map->column, "'%s' needs a type: " TYPES, map->key);
    }
    if (node->kind != QN_YAML_SCALAR) {
        return fail_at(r, node->line, node->column, "type: expected one word: " TYPES);
    }
    for (int i = 0; i < N_TYPE_FORMS; i++) {
        names[i] = type_forms[i].name;
        *out = &type_forms[i];
        if (strcmp(node->text, names[i]) == 0) return QN_OK;
    }
    const char *near = qn_nearest_name(node->text, names, N_TYPE_FORMS);
    return fail_at(r, node->line, node->column, "there is no type '%s'%s%s%s", node->text,
                   near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
}

static qn_status read_parameter(struct reading *r, const qn_yaml_node *map)
{
    const struct type_form *form = NULL;
    if (map->kind != QN_YAML_MAP) {
        return fail_at(r, map->line, map->column,
                       "expected '%s: {type: …}', such as {type: float, low: 0, high: 1}",
                       map->key);
    }
    QN_TRY(read_type(r, map, &form));
    QN_TRY(check_names(r, map, form->names, form->n_names));
    qn_parameter parameter = {.name = map->key, .kind = form->kind, .low = QN_NA, .high = QN_NA};
    QN_TRY(read_number(r, map, "low", &parameter.low));
    QN_TRY(read_number(r, map, "high", &parameter.high));
    QN_TRY(read_number(r, map, "step", &parameter.step));
    QN_TRY(read_flag(r, map, "log", &parameter.log));
    QN_TRY(read_number(r, map, "low_cost", &parameter.low_cost));
    parameter.has_low_cost = qn_yaml_get(map, "low_cost") != NULL;
    const qn_yaml_node *choices = qn_yaml_get(map, "choices"), *value = qn_yaml_get(map, "value");
    const qn_yaml_node *when = qn_yaml_get(map, "when");
    if (choices) QN_TRY(read_choices(r, choices, &parameter));
    if (value) QN_TRY(read_constant(r, value, &parameter));
    if (when) QN_TRY(read_conditions(r, when, &parameter));
    qn_error inner = {0};
    if (qn_space_add(r->space, &parameter, &inner) == QN_OK) return QN_OK;
    return place_error(r, map, &inner);
}

static qn_status read_constraints(const struct reading *r, const qn_yaml_node *list)
{
    if (list->kind != QN_YAML_LIST) {
        return fail_at(r, list->line, list->column, "expected a list of constraints");
    }
    for (const qn_yaml_node *item = list->first; item; item = item->next) {
        qn_error inner = {0};
        if (item->kind != QN_YAML_SCALAR) {
            return fail_at(r, item->line, item->column, "expected a constraint such as a < b");
        }
        if (qn_space_constrain(r->space, item->text, &inner) != QN_OK) {
            return place_error(r, item, &inner);
        }
    }
    return QN_OK;
}

static qn_status read_objectives(const struct reading *r, const qn_yaml_node *map,
                                 qn_objectives *objectives)
{
    if (map->kind != QN_YAML_MAP || map->n_items == 0 || map->n_items > QN_OBJECTIVES_MAX) {
        return fail_at(r, map->line, map->column,
                       "expected one to %d 'name: minimize' or 'name: maximize'",
                       QN_OBJECTIVES_MAX);
    }
    objectives->n = 0;
    for (const qn_yaml_node *item = map->first; item; item = item->next) {
        qn_objective *objective = &objectives->items[objectives->n++];
        objective->maximise = strcmp(item->text, "maximize") == 0;
        if (!objective->maximise && strcmp(item->text, "minimize") != 0) {
            return fail_at(r, item->line, item->column, "expected minimize or maximize");
        }
        objective->name = qn_arena_strdup(&r->space->arena, item->key);
        if (!objective->name) return no_memory(r);
    }
    return QN_OK;
}

static qn_status read_root(struct reading *r, const qn_yaml_node *root, qn_objectives *objectives)
{
    static const char *const names[] = {"parameters", "constraints", "objectives"};
    if (!root || root->kind != QN_YAML_MAP) {
        return fail_at(r, 1, 1, "expected 'parameters:' with 'name: {type: …}' below it");
    }
    QN_TRY(check_names(r, root, names, 3));
    const qn_yaml_node *parameters = qn_yaml_get(root, "parameters");
    const qn_yaml_node *constraints = qn_yaml_get(root, "constraints");
    const qn_yaml_node *named = qn_yaml_get(root, "objectives");
    if (!parameters || parameters->kind != QN_YAML_MAP || parameters->n_items == 0) {
        const qn_yaml_node *place = parameters ? parameters : root;
        return fail_at(r, place->line, place->column,
                       "expected 'parameters:' with 'name: {type: …}' below it");
    }
    for (const qn_yaml_node *item = parameters->first; item; item = item->next) {
        QN_TRY(read_parameter(r, item));
    }
    if (constraints) QN_TRY(read_constraints(r, constraints));
    return named && objectives ? read_objectives(r, named, objectives) : QN_OK;
}

qn_status qn_space_read(const char *path, const void *text, size_t bytes, qn_space *space,
                        qn_objectives *objectives, qn_error *err)
{
    struct reading r = {.path = path, .space = space, .err = err};
    qn_yaml_node *root;
    qn_status status = qn_space_init(space, err);
    if (status == QN_OK) status = qn_yaml_read(path, text, bytes, &r.scratch, &root, err);
    if (status == QN_OK) status = read_root(&r, root, objectives);
    if (status != QN_OK) qn_space_release(space);
    qn_arena_release(&r.scratch);
    return status;
}

static void write_choices(const qn_parameter *p, qn_json_writer *json)
{
    qn_json_key(json, "choices");
    qn_json_begin_array(json);
    for (int32_t i = 0; i < p->n_choices; i++) {
        qn_parameter_write(p, i, json);
    }
    qn_json_end_array(json);
}

static void write_conditions(const qn_space *space, const qn_parameter *p, qn_json_writer *json)
{
    if (p->n_conditions == 0) return;
    qn_json_key(json, "when");
    qn_json_begin_object(json);
    for (int32_t i = 0; i < p->n_conditions; i++) {
        const qn_condition *condition = &p->conditions[i];
        const qn_parameter *parent = &space->parameters[condition->parent];
        qn_json_key(json, parent->name);
        qn_json_begin_array(json);
        for (int32_t k = 0; k < condition->n_values; k++) {
            qn_parameter_write(parent, condition->values[k], json);
        }
        qn_json_end_array(json);
    }
    qn_json_end_object(json);
}

static void write_parameter(const qn_space *space, const qn_parameter *p, qn_json_writer *json)
{
    qn_json_key(json, p->name);
    qn_json_begin_object(json);
    qn_json_put_text(json, "type", qn_parameter_kind_name(p->kind));
    if (p->n_choices > 0) {
        write_choices(p, json);
    } else if (p->kind != QN_PARAMETER_BOOL) {
        qn_json_put_double(json, "low", p->low);
        qn_json_put_double(json, "high", p->high);
        const bool implied = p->kind == QN_PARAMETER_INT && p->step == 1;
        if (p->step > 0 && !implied) qn_json_put_double(json, "step", p->step);
        if (p->log) qn_json_put_bool(json, "log", true);
        if (p->has_low_cost) qn_json_put_double(json, "low_cost", p->low_cost);
    }
    write_conditions(space, p, json);
    qn_json_end_object(json);
}

void qn_space_write(const qn_space *space, const qn_objectives *objectives, qn_json_writer *json)
{
    qn_json_begin_object(json);
    if (objectives) {
        qn_json_key(json, "objectives");
        qn_json_begin_object(json);
        for (int64_t i = 0; i < objectives->n; i++) {
            const qn_objective *objective = &objectives->items[i];
            qn_json_put_text(json, objective->name, objective->maximise ? "maximize" : "minimize");
        }
        qn_json_end_object(json);
    }
    qn_json_key(json, "parameters");
    qn_json_begin_object(json);
    for (int64_t at = 0; at < space->n; at++) {
        write_parameter(space, &space->parameters[at], json);
    }
    qn_json_end_object(json);
    if (space->n_constraints > 0) {
        qn_json_key(json, "constraints");
        qn_json_begin_array(json);
        for (int64_t i = 0; i < space->n_constraints; i++) {
            qn_json_text(json, space->constraints[i].text);
        }
        qn_json_end_array(json);
    }
    qn_json_end_object(json);
}
