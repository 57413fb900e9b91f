/* SPDX-License-Identifier: Apache-2.0 */
#include "search/space/space.h"

#include "base/alloc.h"
#include "base/hash.h"
#include "search/space/expression.h"

#include <math.h>
#include <string.h>

/* Above this a double no longer tells neighbouring whole numbers apart. */
#define WHOLE_MAX 9007199254740992.0

qn_status qn_space_init(qn_space *space, qn_error *err)
{
    *space = (qn_space){0};
    space->names = qn_map_create(16);
    return space->names ? QN_OK : qn_fail(err, QN_ERR_NOMEM, "no memory for a space");
}

void qn_space_release(qn_space *space)
{
    qn_map_free(space->names);
    qn_free(space->parameters);
    qn_free(space->constraints);
    qn_arena_release(&space->arena);
    *space = (qn_space){0};
}

int64_t qn_space_find(const qn_space *space, const char *name)
{
    return qn_map_get(space->names, name, strlen(name), -1);
}

static qn_status refuse(const qn_parameter *p, qn_error *err, const char *what)
{
    return qn_fail(err, QN_ERR_ARG, "parameter '%s': %s", p->name, what);
}

static qn_status check_choices(const qn_parameter *p, qn_error *err)
{
    if (p->n_choices < 1) return refuse(p, err, "there is nothing to choose from");
    if (p->n_choices > QN_CHOICES_MAX) return refuse(p, err, "too many choices");
    qn_map *seen = qn_map_create(p->n_choices);
    qn_status status = seen ? QN_OK : qn_fail(err, QN_ERR_NOMEM, "no memory for '%s'", p->name);
    for (int32_t i = 0; status == QN_OK && i < p->n_choices; i++) {
        const char *text = p->choices[i].text;
        if (qn_map_get(seen, text, strlen(text), -1) >= 0) {
            status = qn_fail(err, QN_ERR_ARG, "parameter '%s': the choice '%s' is given twice",
                             p->name, text);
        } else if (!qn_map_set(seen, text, strlen(text), i)) {
            status = qn_fail(err, QN_ERR_NOMEM, "no memory for '%s'", p->name);
        }
    }
    qn_map_free(seen);
    return status;
}

static qn_status check_range(const qn_parameter *p, qn_error *err)
{
    if (!isfinite(p->low) || !isfinite(p->high)) return refuse(p, err, "low and high are needed");
    if (!isfinite(p->high - p->low)) return refuse(p, err, "the range is too wide");
    if (!(p->low <= p->high)) return refuse(p, err, "low is above high");
    if (!(p->step >= 0) || isinf(p->step)) return refuse(p, err, "step must be above 0");
    if (p->log && !(p->low > 0)) return refuse(p, err, "log needs low above 0");
    if (p->log && p->step > 0 && !(p->kind == QN_PARAMETER_INT && p->step == 1)) {
        return refuse(p, err, "log and step exclude each other");
    }
    if (p->has_low_cost && !(p->low_cost >= p->low && p->low_cost <= p->high)) {
        return refuse(p, err, "low_cost must lie between low and high");
    }
    if (p->kind != QN_PARAMETER_INT) return QN_OK;
    if (p->low != trunc(p->low) || p->high != trunc(p->high) || p->step != trunc(p->step)) {
        return refuse(p, err, "low, high and step of an int must be whole");
    }
    if (fabs(p->low) > WHOLE_MAX || fabs(p->high) > WHOLE_MAX) {
        return refuse(p, err, "low and high must lie within 2^53");
    }
    return QN_OK;
}

static qn_status check_conditions(const qn_space *space, const qn_parameter *p, qn_error *err)
{
    for (int32_t i = 0; i < p->n_conditions; i++) {
        const qn_condition *condition = &p->conditions[i];
        if (condition->parent < 0 || condition->parent >= space->n) {
            return refuse(p, err, "it depends on a parameter that comes later; put that first");
        }
        const qn_parameter *parent = &space->parameters[condition->parent];
        if (parent->n_values == 0) {
            return refuse(p, err, "it can depend on choices, booleans and whole numbers only");
        }
        for (int32_t k = 0; k < condition->n_values; k++) {
            if (qn_parameter_accepts(parent, condition->values[k])) continue;
            return qn_fail(err, QN_ERR_ARG, "parameter '%s': '%s' never has a value asked of it",
                           p->name, parent->name);
        }
    }
    return QN_OK;
}

static bool has_choices(const qn_parameter *p)
{
    return p->kind == QN_PARAMETER_CATEGORICAL || p->kind == QN_PARAMETER_ORDINAL;
}

/* Range, steps, number of values and scale, from what was given. */
static void derive(qn_parameter *p)
{
    if (has_choices(p) || p->kind == QN_PARAMETER_BOOL) {
        p->low = 0;
        p->high = p->kind == QN_PARAMETER_BOOL ? 1 : p->n_choices - 1;
        p->step = 1;
        p->log = false;
    } else if (p->kind == QN_PARAMETER_INT && p->step == 0) {
        p->step = 1;
    } else if (p->low == p->high) {
        p->step = 1;
        p->log = false;
    }
    double margin = 0;
    if (p->step > 0) {
        const double steps = floor((p->high - p->low) / p->step * (1 + 1e-12) + 1e-9);
        p->high = p->low + steps * p->step;
        p->n_values = steps < 9e15 ? (int64_t)steps + 1 : INT64_MAX;
        margin = p->step / 2;
    }
    p->scale_low = p->log ? log(p->low - margin) : p->low - margin;
    p->scale_high = p->log ? log(p->high + margin) : p->high + margin;
}

static bool copy_conditions(qn_space *space, qn_parameter *p)
{
    if (p->n_conditions == 0) return true;
    qn_condition *copies = qn_arena_array(&space->arena, p->n_conditions, sizeof *copies);
    for (int32_t i = 0; copies && i < p->n_conditions; i++) {
        const qn_condition *from = &p->conditions[i];
        double *values = qn_arena_array(&space->arena, from->n_values, sizeof *values);
        if (!values) return false;
        memcpy(values, from->values, (size_t)from->n_values * sizeof *values);
        copies[i] = (qn_condition){from->parent, from->n_values, values};
    }
    p->conditions = copies;
    return copies != NULL;
}

static bool copy_choices(qn_space *space, qn_parameter *p)
{
    if (p->n_choices == 0) return true;
    qn_choice *copies = qn_arena_array(&space->arena, p->n_choices, sizeof *copies);
    for (int32_t i = 0; copies && i < p->n_choices; i++) {
        copies[i] = p->choices[i];
        copies[i].text = qn_arena_strdup(&space->arena, p->choices[i].text);
        if (!copies[i].text) return false;
    }
    p->choices = copies;
    return copies != NULL;
}

/* Room for one more item; the count itself is the caller's to raise. */
static bool reserve(void **items, int64_t n, int64_t *room, size_t item_bytes)
{
    if (n < *room) return true;
    const int64_t more_room = *room ? 2 * *room : 8;
    void *more = qn_realloc_array(*items, more_room, item_bytes);
    if (!more) return false;
    *items = more;
    *room = more_room;
    return true;
}

static bool append(qn_space *space, qn_parameter *p)
{
    void *items = space->parameters;
    p->name = qn_arena_strdup(&space->arena, p->name);
    if (!p->name || !copy_choices(space, p) || !copy_conditions(space, p)) return false;
    const bool reserved = reserve(&items, space->n, &space->room, sizeof *p);
    space->parameters = items;
    if (!reserved || !qn_map_set(space->names, p->name, strlen(p->name), space->n)) return false;
    space->parameters[space->n++] = *p;
    return true;
}

qn_status qn_space_add(qn_space *space, const qn_parameter *parameter, qn_error *err)
{
    qn_parameter p = *parameter;
    if (!p.name || !*p.name) return qn_fail(err, QN_ERR_ARG, "a parameter has no name");
    if (strlen(p.name) > QN_PARAMETER_NAME_MAX) {
        return qn_fail(err, QN_ERR_ARG, "parameter '%.32s…': a name has at most %d bytes", p.name,
                       QN_PARAMETER_NAME_MAX);
    }
    if (qn_space_find(space, p.name) >= 0) return refuse(&p, err, "the name is taken");
    if (space->n == QN_PARAMETERS_MAX) return refuse(&p, err, "there are too many parameters");
    if (has_choices(&p)) {
        QN_TRY(check_choices(&p, err));
    } else {
        p.n_choices = 0;
        if (p.kind != QN_PARAMETER_BOOL) QN_TRY(check_range(&p, err));
    }
    QN_TRY(check_conditions(space, &p, err));
    derive(&p);
    if (append(space, &p)) return QN_OK;
    return qn_fail(err, QN_ERR_NOMEM, "no memory for the parameter '%s'", parameter->name);
}

qn_status qn_space_constrain(qn_space *space, const char *text, qn_error *err)
{
    qn_constraint constraint = {0};
    void *items = space->constraints;
    QN_TRY(qn_expression_compile(text, space, &space->arena, &constraint.expression, err));
    constraint.text = qn_arena_strdup(&space->arena, text);
    const bool reserved = constraint.text && reserve(&items, space->n_constraints,
                                                     &space->constraint_room, sizeof constraint);
    space->constraints = items;
    if (!reserved) return qn_fail(err, QN_ERR_NOMEM, "no memory for '%s'", text);
    space->constraints[space->n_constraints++] = constraint;
    return QN_OK;
}

static bool condition_holds(const qn_condition *condition, const double *values)
{
    for (int32_t k = 0; k < condition->n_values; k++) {
        if (values[condition->parent] == condition->values[k]) return true;
    }
    return false; /* an inactive parent has no value */
}

bool qn_space_is_active(const qn_space *space, int64_t at, const double *values)
{
    const qn_parameter *parameter = &space->parameters[at];
    for (int32_t i = 0; i < parameter->n_conditions; i++) {
        if (!condition_holds(&parameter->conditions[i], values)) return false;
    }
    return true;
}

void qn_space_settle(const qn_space *space, double *values)
{
    for (int64_t at = 0; at < space->n; at++) {
        values[at] = qn_space_is_active(space, at, values)
                         ? qn_parameter_nearest(&space->parameters[at], values[at])
                         : QN_NA;
    }
}

bool qn_space_satisfies(const qn_space *space, const double *values)
{
    for (int64_t i = 0; i < space->n_constraints; i++) {
        const qn_expression *expression = space->constraints[i].expression;
        if (qn_expression_evaluate(expression, space, values) == 0) return false;
    }
    return true;
}

bool qn_space_allows(const qn_space *space, const double *values)
{
    for (int64_t at = 0; at < space->n; at++) {
        const bool valid = qn_space_is_active(space, at, values)
                               ? qn_parameter_accepts(&space->parameters[at], values[at])
                               : isnan(values[at]);
        if (!valid) return false;
    }
    return qn_space_satisfies(space, values);
}

bool qn_space_is_conditional(const qn_space *space)
{
    for (int64_t at = 0; at < space->n; at++) {
        if (space->parameters[at].n_conditions > 0) return true;
    }
    return false;
}

uint64_t qn_space_hash(const qn_space *space, const double *values)
{
    uint64_t hash = 0;
    for (int64_t at = 0; at < space->n; at++) {
        const double value = isnan(values[at]) ? QN_NA : values[at] + 0.0; /* -0 is 0 */
        uint64_t bits;
        memcpy(&bits, &value, sizeof bits);
        hash = qn_hash_mix(hash, bits);
    }
    return hash;
}

void qn_space_write_values(const qn_space *space, const double *values, qn_json_writer *json)
{
    qn_json_begin_object(json);
    for (int64_t at = 0; at < space->n; at++) {
        if (isnan(values[at])) continue;
        qn_json_key(json, space->parameters[at].name);
        qn_parameter_write(&space->parameters[at], values[at], json);
    }
    qn_json_end_object(json);
}
