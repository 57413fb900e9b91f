/* SPDX-License-Identifier: Apache-2.0 */
#include "frame/schema.h"

#include "base/alloc.h"

#include <string.h>

static const char *const kind_names[] = {"numeric", "categorical", "text",    "datetime",
                                         "boolean", "id",          "constant"};
static const char *const role_names[] = {"feature", "target", "weight", "group",
                                         "time",    "split",  "dropped"};
static const char *const task_names[] = {"binary",     "multiclass", "regression", "ranking",
                                         "clustering", "reduction",  "outliers"};
static const char *const type_names[] = {"bool", "int64", "float64", "string", "timestamp"};

static int index_of(const char *name, const char *const *names, int n)
{
    for (int i = 0; i < n; i++) {
        if (strcmp(name, names[i]) == 0) return i;
    }
    return -1;
}

#define COUNT(array) (int)(sizeof(array) / sizeof *(array))

const char *qn_kind_name(qn_kind kind)
{
    return kind_names[kind];
}

const char *qn_role_name(qn_role role)
{
    return role_names[role];
}

const char *qn_task_name(qn_task task)
{
    return task_names[task];
}

const char *qn_type_name(qn_type type)
{
    return type_names[type];
}

bool qn_kind_from_name(const char *name, qn_kind *out)
{
    const int at = index_of(name, kind_names, COUNT(kind_names));
    if (at >= 0) *out = (qn_kind)at;
    return at >= 0;
}

bool qn_role_from_name(const char *name, qn_role *out)
{
    const int at = index_of(name, role_names, COUNT(role_names));
    if (at >= 0) *out = (qn_role)at;
    return at >= 0;
}

bool qn_task_from_name(const char *name, qn_task *out)
{
    const int at = index_of(name, task_names, COUNT(task_names));
    if (at >= 0) *out = (qn_task)at;
    return at >= 0;
}

bool qn_type_from_name(const char *name, qn_type *out)
{
    const int at = index_of(name, type_names, COUNT(type_names));
    if (at >= 0) *out = (qn_type)at;
    return at >= 0;
}

static void free_texts(char **texts, int64_t n)
{
    for (int64_t i = 0; texts && i < n; i++) {
        qn_free(texts[i]);
    }
    qn_free(texts);
}

void qn_schema_free(qn_schema *schema)
{
    if (!schema) return;
    for (int64_t col = 0; schema->columns && col < schema->n_cols; col++) {
        qn_schema_column *column = &schema->columns[col];
        qn_free(column->name);
        qn_free(column->reason);
        qn_free(column->markers);
        free_texts(column->levels, column->n_levels);
    }
    qn_free(schema->columns);
    free_texts(schema->classes, schema->n_classes);
    qn_free(schema);
}

bool qn_task_is_supervised(qn_task task)
{
    return task != QN_TASK_CLUSTERING && task != QN_TASK_REDUCTION && task != QN_TASK_OUTLIERS;
}

int64_t qn_schema_find(const qn_schema *schema, const char *name)
{
    for (int64_t col = 0; col < schema->n_cols; col++) {
        if (strcmp(schema->columns[col].name, name) == 0) return col;
    }
    return -1;
}

/* The time column stays a feature: its parts are useful and known when predicting. */
static bool is_feature(const qn_schema_column *column)
{
    if (column->kind == QN_KIND_ID || column->kind == QN_KIND_CONSTANT) return false;
    return column->role == QN_ROLE_FEATURE || column->role == QN_ROLE_TIME;
}

int64_t qn_schema_n_features(const qn_schema *schema)
{
    int64_t n = 0;
    for (int64_t col = 0; col < schema->n_cols; col++) {
        n += is_feature(&schema->columns[col]);
    }
    return n;
}

int64_t qn_schema_feature(const qn_schema *schema, int64_t feature)
{
    for (int64_t col = 0; col < schema->n_cols; col++) {
        if (is_feature(&schema->columns[col]) && feature-- == 0) return col;
    }
    return -1;
}

int32_t qn_schema_n_outputs(const qn_schema *schema)
{
    if (schema->task == QN_TASK_REDUCTION) return schema->n_components;
    const bool per_class = schema->task == QN_TASK_MULTICLASS || schema->task == QN_TASK_CLUSTERING;
    return per_class ? schema->n_classes : 1;
}

int64_t qn_schema_next_feature(const qn_schema *schema, int64_t col)
{
    for (col++; col < schema->n_cols; col++) {
        if (is_feature(&schema->columns[col])) return col;
    }
    return -1;
}

/* JSON. */

static void write_texts(qn_json_writer *json, const char *key, char *const *texts, int64_t n)
{
    qn_json_key(json, key);
    qn_json_begin_array(json);
    for (int64_t i = 0; i < n; i++) {
        qn_json_text(json, texts[i]);
    }
    qn_json_end_array(json);
}

static void write_column(const qn_schema_column *column, qn_json_writer *json)
{
    qn_json_begin_object(json);
    qn_json_put_text(json, "name", column->name);
    qn_json_put_text(json, "type", qn_type_name(column->type));
    qn_json_put_text(json, "kind", qn_kind_name(column->kind));
    qn_json_put_bool(json, "kind_given", column->kind_given);
    qn_json_put_text(json, "role", qn_role_name(column->role));
    qn_json_put_text(json, "reason", column->reason);
    qn_json_put_text(json, "missing_markers", column->markers);
    qn_json_put_double(json, "missing_fraction", column->missing_fraction);
    qn_json_put_double(json, "minimum", column->minimum);
    qn_json_put_double(json, "maximum", column->maximum);
    if (column->n_levels > 0) write_texts(json, "levels", column->levels, column->n_levels);
    qn_json_end_object(json);
}

void qn_schema_write_json(const qn_schema *schema, qn_json_writer *json)
{
    qn_json_begin_object(json);
    qn_json_put_text(json, "task", qn_task_name(schema->task));
    qn_json_put_int(json, "target", schema->target);
    write_texts(json, "classes", schema->classes, schema->n_classes);
    qn_json_put_int(json, "positive", schema->positive);
    if (schema->n_components > 0) qn_json_put_int(json, "components", schema->n_components);
    qn_json_key(json, "columns");
    qn_json_begin_array(json);
    for (int64_t col = 0; col < schema->n_cols; col++) {
        write_column(&schema->columns[col], json);
    }
    qn_json_end_array(json);
    qn_json_end_object(json);
}

static qn_status no_memory(qn_error *err)
{
    return qn_fail(err, QN_ERR_NOMEM, "no memory for the schema");
}

static qn_status read_texts(qn_json_value value, char ***out, int64_t *n_out, qn_error *err)
{
    const int64_t n = qn_json_size(value);
    *n_out = 0;
    *out = qn_alloc_array(n, sizeof **out);
    if (!*out) return no_memory(err);
    for (int64_t i = 0; i < n; i++) {
        const char *text = qn_json_as_text(qn_json_at(value, i), NULL);
        if (!text) return qn_fail(err, QN_ERR_DATA, "schema: a level or class is not a text");
        (*out)[i] = qn_strdup(text);
        if (!(*out)[i]) return no_memory(err);
        *n_out = i + 1;
    }
    return QN_OK;
}

static qn_status copy_optional(qn_json_value value, char **out, qn_error *err)
{
    const char *text = qn_json_as_text(value, NULL);
    if (!text) return QN_OK;
    *out = qn_strdup(text);
    return *out ? QN_OK : no_memory(err);
}

static qn_status read_column(qn_json_value value, qn_schema_column *column, qn_error *err)
{
    const char *name = qn_json_as_text(qn_json_get(value, "name"), NULL);
    const char *kind = qn_json_as_text(qn_json_get(value, "kind"), "");
    const char *role = qn_json_as_text(qn_json_get(value, "role"), "");
    const char *type = qn_json_as_text(qn_json_get(value, "type"), "");
    if (!name || !qn_kind_from_name(kind, &column->kind) ||
        !qn_role_from_name(role, &column->role) || !qn_type_from_name(type, &column->type)) {
        return qn_fail(err, QN_ERR_DATA, "schema: column '%s' has no valid type, kind or role",
                       name ? name : "?");
    }
    column->name = qn_strdup(name);
    if (!column->name) return no_memory(err);
    column->kind_given = qn_json_as_bool(qn_json_get(value, "kind_given"), false);
    column->missing_fraction = qn_json_as_double(qn_json_get(value, "missing_fraction"), 0);
    column->minimum = qn_json_as_double(qn_json_get(value, "minimum"), QN_NA);
    column->maximum = qn_json_as_double(qn_json_get(value, "maximum"), QN_NA);
    QN_TRY(copy_optional(qn_json_get(value, "reason"), &column->reason, err));
    QN_TRY(copy_optional(qn_json_get(value, "missing_markers"), &column->markers, err));
    const qn_json_value levels = qn_json_get(value, "levels");
    return levels ? read_texts(levels, &column->levels, &column->n_levels, err) : QN_OK;
}

static qn_status check(const qn_schema *schema, qn_error *err)
{
    const bool classes = schema->task == QN_TASK_BINARY || schema->task == QN_TASK_MULTICLASS ||
                         schema->task == QN_TASK_CLUSTERING || schema->task == QN_TASK_OUTLIERS;
    const bool two = schema->task == QN_TASK_BINARY || schema->task == QN_TASK_OUTLIERS;
    const bool components = schema->task == QN_TASK_REDUCTION;
    if (schema->target < -1 || schema->target >= schema->n_cols ||
        schema->n_classes > QN_CLASSES_MAX || (classes && schema->n_classes < 2) ||
        (!classes && schema->n_classes != 0) || schema->n_components < components ||
        schema->n_components > components * QN_CLASSES_MAX ||
        (schema->target >= 0 && !qn_task_is_supervised(schema->task)) ||
        (two && (schema->n_classes != 2 || schema->positive != 1)) ||
        (schema->target >= 0 && schema->columns[schema->target].role != QN_ROLE_TARGET)) {
        return qn_fail(err, QN_ERR_DATA, "schema: target, task and classes contradict each other");
    }
    return QN_OK;
}

static qn_status read_into(qn_json_value value, qn_schema *schema, qn_error *err)
{
    const qn_json_value columns = qn_json_get(value, "columns");
    int64_t n_classes = 0;
    if (!qn_json_is_array(columns) ||
        !qn_task_from_name(qn_json_as_text(qn_json_get(value, "task"), ""), &schema->task)) {
        return qn_fail(err, QN_ERR_DATA, "schema: there is no list of columns or no task");
    }
    schema->target = qn_json_as_int(qn_json_get(value, "target"), -1);
    schema->positive = (int32_t)qn_json_as_int(qn_json_get(value, "positive"), 1);
    const int64_t n_components = qn_json_as_int(qn_json_get(value, "components"), 0);
    schema->n_components = n_components == (int32_t)n_components ? (int32_t)n_components : -1;
    const qn_status status =
        read_texts(qn_json_get(value, "classes"), &schema->classes, &n_classes, err);
    schema->n_classes = (int32_t)n_classes;
    QN_TRY(status);
    const int64_t n_cols = qn_json_size(columns);
    schema->columns = qn_alloc_array(n_cols, sizeof *schema->columns);
    if (!schema->columns) return no_memory(err);
    schema->n_cols = n_cols;
    for (int64_t col = 0; col < n_cols; col++) {
        QN_TRY(read_column(qn_json_at(columns, col), &schema->columns[col], err));
    }
    return check(schema, err);
}

qn_status qn_schema_read_json(qn_json_value value, qn_schema **out, qn_error *err)
{
    *out = NULL;
    qn_schema *schema = qn_alloc_array(1, sizeof *schema);
    if (!schema) return no_memory(err);
    const qn_status status = read_into(value, schema, err);
    if (status != QN_OK) {
        qn_schema_free(schema);
        return status;
    }
    *out = schema;
    return QN_OK;
}
