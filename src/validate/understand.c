/* SPDX-License-Identifier: Apache-2.0 */
#include "validate/understand.h"

#include "base/alloc.h"
#include "base/str.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { GUESSED_CLASSES_MAX = 20, LEVELS_LISTED = 1000, TEXT_WORDS = 3 };

struct guess {
    const qn_understand_request *request;
    qn_schema *schema;
};

static const char *source_of(const struct guess *g)
{
    return g->request->frame->source ? g->request->frame->source : "table";
}

static qn_status no_memory(qn_error *err)
{
    return qn_fail(err, QN_ERR_NOMEM, "no memory to understand the columns");
}

/* A column by name; the nearest one is named when there is none. */
static qn_status find_column(const struct guess *g, const char *name, size_t bytes, int64_t *out,
                             qn_error *err)
{
    const qn_frame *frame = g->request->frame;
    char *copy = qn_strndup(name, bytes);
    const char **names = qn_alloc_array(frame->n_cols, sizeof *names);
    qn_status status = QN_OK;
    if (!copy || !names) {
        status = no_memory(err);
    } else {
        *out = qn_frame_find(frame, copy);
        for (int64_t col = 0; col < frame->n_cols; col++) {
            names[col] = frame->columns[col].name;
        }
        const char *near = *out < 0 ? qn_nearest_name(copy, names, frame->n_cols) : NULL;
        if (*out < 0) {
            status = near ? qn_fail(err, QN_ERR_ARG,
                                    "%s: there is no column '%s'; did you mean '%s'?", source_of(g),
                                    copy, near)
                          : qn_fail(err, QN_ERR_ARG, "%s: there is no column '%s'", source_of(g),
                                    copy);
        }
    }
    qn_free(copy);
    qn_free(names);
    return status;
}

static qn_status set_reason(qn_schema_column *column, const char *reason, qn_error *err)
{
    qn_free(column->reason);
    column->reason = qn_strdup(reason);
    return column->reason ? QN_OK : no_memory(err);
}

/* Gives every column of a comma-separated list a role. */
static qn_status assign_role(const struct guess *g, const char *list, qn_role role,
                             const char *reason, qn_error *err)
{
    for (const char *at = list; at && *at;) {
        const size_t n = strcspn(at, ",");
        int64_t col;
        QN_TRY(find_column(g, at, n, &col, err));
        qn_schema_column *column = &g->schema->columns[col];
        if (column->role == QN_ROLE_TARGET) {
            return qn_fail(err, QN_ERR_ARG, "column '%s' is the target and cannot be the %s too",
                           column->name, qn_role_name(role));
        }
        column->role = role;
        QN_TRY(set_reason(column, reason, err));
        at += n + (at[n] == ',');
    }
    return QN_OK;
}

/* Kinds. */

static bool contains_id(const char *name)
{
    const size_t n = strlen(name);
    if (strcasecmp(name, "id") == 0 || strcasecmp(name, "uuid") == 0) return true;
    if (n > 3 && strcasecmp(name + n - 3, "_id") == 0) return true;
    return n > 2 && (strcmp(name + n - 2, "Id") == 0 || strcmp(name + n - 2, "ID") == 0);
}

/* 1, 2, 3 … or any run of whole numbers that all differ and leave no wide gaps. */
static bool counts_rows(const qn_column_profile *p)
{
    return p->n_distinct == p->n_rows - p->n_missing && p->n_distinct > 20 && p->all_integers &&
           p->maximum - p->minimum < 1.05 * (double)p->n_rows;
}

static qn_kind guess_number(const qn_column_profile *p, const char **reason)
{
    const int64_t n = p->n_rows - p->n_missing;
    if (p->type == QN_TYPE_INT64 && counts_rows(p)) {
        *reason = "whole numbers that count the rows";
        return QN_KIND_ID;
    }
    if (p->type == QN_TYPE_INT64 && contains_id(p->name) && p->n_distinct > n * 9 / 10 && n > 20) {
        *reason = "named as an id, and nearly every value differs";
        return QN_KIND_ID;
    }
    return p->type == QN_TYPE_BOOL ? QN_KIND_BOOLEAN : QN_KIND_NUMERIC;
}

static qn_kind guess_text(const qn_column_profile *p, const char **reason)
{
    const int64_t n = p->n_rows - p->n_missing;
    const double distinct = (double)p->n_distinct / (double)n;
    if (p->words_mean >= TEXT_WORDS && distinct > 0.3 && p->n_distinct > 50) {
        *reason = "several words, mostly different";
        return QN_KIND_TEXT;
    }
    if (p->length_mean > 60 && distinct > 0.5) {
        *reason = "long and mostly different";
        return QN_KIND_TEXT;
    }
    if (n > 20 && distinct > 0.98 && p->words_mean < 1.5) {
        *reason = "nearly every value differs";
        return QN_KIND_ID;
    }
    return QN_KIND_CATEGORICAL;
}

static qn_kind guess_kind(const qn_column_profile *p, const char **reason)
{
    *reason = NULL;
    if (p->n_missing == p->n_rows) {
        *reason = "every value is missing";
        return QN_KIND_CONSTANT;
    }
    if (p->n_distinct <= 1 && p->n_missing == 0) {
        *reason = "one value in every row";
        return QN_KIND_CONSTANT;
    }
    if (p->type == QN_TYPE_TIMESTAMP) return QN_KIND_DATETIME;
    if (p->type != QN_TYPE_STRING) return guess_number(p, reason);
    return guess_text(p, reason);
}

static qn_status fill_levels(qn_schema_column *column, const qn_column_profile *p, qn_error *err)
{
    if (column->kind != QN_KIND_CATEGORICAL) return QN_OK;
    column->levels = qn_alloc_array(p->n_top, sizeof *column->levels);
    if (!column->levels) return no_memory(err);
    for (int32_t i = 0; i < p->n_top && i < LEVELS_LISTED; i++) {
        column->levels[i] = qn_strdup(p->top[i].text);
        if (!column->levels[i]) return no_memory(err);
        column->n_levels++;
    }
    return QN_OK;
}

static qn_status fill_column(const struct guess *g, int64_t col, qn_error *err)
{
    const qn_column *from = &g->request->frame->columns[col];
    const qn_column_profile *p = &g->request->profile->columns[col];
    qn_schema_column *column = &g->schema->columns[col];
    const char *reason;
    column->name = qn_strdup(from->name);
    column->type = from->type;
    column->kind = guess_kind(p, &reason);
    column->missing_fraction = p->n_rows ? (double)p->n_missing / (double)p->n_rows : 0;
    column->minimum = p->minimum;
    column->maximum = p->maximum;
    if (from->markers) column->markers = qn_strdup(from->markers);
    if (!column->name || (from->markers && !column->markers)) return no_memory(err);
    return reason ? set_reason(column, reason, err) : QN_OK;
}

/* "COL=KIND". */
static qn_status override_kind(const struct guess *g, const char *text, qn_error *err)
{
    const char *equals = strrchr(text, '=');
    qn_kind kind;
    if (!equals || !qn_kind_from_name(equals + 1, &kind)) {
        return qn_fail(err, QN_ERR_ARG,
                       "--kind %s: expected COLUMN=KIND, where KIND is numeric, categorical, text, "
                       "datetime, boolean, id or constant",
                       text);
    }
    int64_t col;
    QN_TRY(find_column(g, text, (size_t)(equals - text), &col, err));
    qn_schema_column *column = &g->schema->columns[col];
    const qn_column *from = &g->request->frame->columns[col];
    if (kind == QN_KIND_DATETIME && column->type != QN_TYPE_TIMESTAMP) {
        return qn_fail(err, QN_ERR_ARG, "--kind %s: its values are not dates", text);
    }
    if (kind == QN_KIND_NUMERIC && column->type == QN_TYPE_STRING) {
        for (int64_t code = 0; code < from->dictionary.n; code++) {
            size_t bytes;
            double value;
            const char *label = qn_dictionary_text(&from->dictionary, code, &bytes);
            if (qn_parse_double(label, bytes, &value) || bytes <= 1) continue;
            return qn_fail(err, QN_ERR_ARG, "--kind %s: found '%.*s', which is no number", text,
                           (int)(bytes > 60 ? 60 : bytes), label);
        }
    }
    column->kind = kind;
    column->kind_given = true;
    return set_reason(column, "as asked", err);
}

/* Target. */

static qn_status guess_target(const struct guess *g, int64_t *out, qn_error *err)
{
    static const char *const names[] = {"target", "label", "class", "y", "outcome", "response"};
    const qn_frame *frame = g->request->frame;
    if (g->request->target) {
        return find_column(g, g->request->target, strlen(g->request->target), out, err);
    }
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        for (int64_t col = 0; col < frame->n_cols; col++) {
            if (strcasecmp(frame->columns[col].name, names[i]) == 0) {
                *out = col;
                return QN_OK;
            }
        }
    }
    *out = frame->n_cols - 1;
    return QN_OK;
}

static int64_t first_missing(const struct guess *g, const qn_column *column)
{
    const qn_understand_request *request = g->request;
    for (int64_t i = 0; i < (request->rows ? request->n_rows : request->frame->n_rows); i++) {
        const int64_t row = request->rows ? request->rows[i] : i;
        if (qn_column_is_missing(column, row)) return row;
    }
    return -1;
}

static qn_status check_target(const struct guess *g, int64_t col, qn_error *err)
{
    const qn_column *column = &g->request->frame->columns[col];
    const qn_column_profile *p = &g->request->profile->columns[col];
    if (p->n_missing > 0) {
        return qn_fail(err, QN_ERR_DATA,
                       "%s: target '%s' is missing in %" PRId64 " of %" PRId64
                       " rows, first in row %" PRId64 "; remove those rows or fill them",
                       source_of(g), column->name, p->n_missing, p->n_rows,
                       first_missing(g, column) + 1);
    }
    if (p->n_distinct < 2) {
        return qn_fail(err, QN_ERR_DATA,
                       "%s: target '%s' has one value, '%s', in every row: there is nothing to learn",
                       source_of(g), column->name, p->n_top ? p->top[0].text : "");
    }
    return QN_OK;
}

static qn_task guess_task(const qn_column_profile *p)
{
    if (p->type == QN_TYPE_BOOL || p->n_distinct == 2) return QN_TASK_BINARY;
    if (p->type == QN_TYPE_STRING) return QN_TASK_MULTICLASS;
    const bool small_codes = p->all_integers && p->type == QN_TYPE_INT64 &&
                             p->n_distinct <= GUESSED_CLASSES_MAX &&
                             p->n_distinct * p->n_distinct < p->n_rows &&
                             p->maximum - p->minimum < 100;
    return small_codes ? QN_TASK_MULTICLASS : QN_TASK_REGRESSION;
}

static qn_status check_task(const struct guess *g, int64_t col, qn_task task, qn_error *err)
{
    const qn_column_profile *p = &g->request->profile->columns[col];
    const char *name = g->request->frame->columns[col].name;
    if (task == QN_TASK_BINARY && p->n_distinct != 2) {
        return qn_fail(err, QN_ERR_DATA,
                       "%s: target '%s' has %" PRId64 " values; binary needs two (--task multiclass?)",
                       source_of(g), name, p->n_distinct);
    }
    if ((task == QN_TASK_REGRESSION || task == QN_TASK_RANKING) &&
        (p->type == QN_TYPE_STRING || p->type == QN_TYPE_TIMESTAMP)) {
        return qn_fail(err, QN_ERR_DATA,
                       "%s: target '%s' holds %s such as '%s'; %s needs numbers", source_of(g), name,
                       p->type == QN_TYPE_STRING ? "texts" : "dates",
                       p->n_top ? p->top[0].text : "", qn_task_name(task));
    }
    const bool classes = task == QN_TASK_BINARY || task == QN_TASK_MULTICLASS;
    if (classes && (p->n_distinct > QN_CLASSES_MAX || p->n_distinct * 2 > p->n_rows)) {
        return qn_fail(err, QN_ERR_DATA,
                       "%s: target '%s' has %" PRId64 " classes in %" PRId64
                       " rows, too many to learn%s",
                       source_of(g), name, p->n_distinct, p->n_rows,
                       p->type == QN_TYPE_STRING ? "; is it an id or a text?"
                                                 : "; for a quantity use --task regression");
    }
    return QN_OK;
}

/* Classes in order: numbers by value, then texts by bytes. */
static int by_label(const void *left, const void *right)
{
    const char *a = *(char *const *)left, *b = *(char *const *)right;
    double x, y;
    const bool a_number = qn_parse_double(a, strlen(a), &x);
    const bool b_number = qn_parse_double(b, strlen(b), &y);
    if (a_number && b_number && x != y) return x < y ? -1 : 1;
    if (a_number != b_number) return a_number ? -1 : 1;
    return strcmp(a, b);
}

static qn_status collect_classes(const struct guess *g, int64_t col, qn_error *err)
{
    const qn_understand_request *request = g->request;
    const qn_column *column = &request->frame->columns[col];
    const int64_t n_rows = request->rows ? request->n_rows : request->frame->n_rows;
    qn_schema *schema = g->schema;
    qn_map *labels = qn_map_create(64);
    bool complete = labels != NULL;
    for (int64_t i = 0; complete && i < n_rows; i++) {
        char scratch[QN_VALUE_TEXT_BYTES];
        size_t bytes;
        const char *text = qn_column_text(column, request->rows ? request->rows[i] : i, scratch,
                                          &bytes);
        while (bytes > 0 && (*text == ' ' || *text == '\t')) {
            text++;
            bytes--;
        }
        while (bytes > 0 && (text[bytes - 1] == ' ' || text[bytes - 1] == '\t')) {
            bytes--;
        }
        complete = qn_map_slot(labels, text, bytes, 0) != NULL;
    }
    const int64_t n = complete ? qn_map_n(labels) : 0;
    schema->classes = qn_alloc_array(n, sizeof *schema->classes);
    complete = complete && schema->classes;
    for (int64_t i = 0; complete && i < n; i++) {
        schema->classes[i] = qn_strdup(qn_map_key(labels, i, NULL));
        complete = schema->classes[i] != NULL;
        schema->n_classes = (int32_t)(i + complete);
    }
    qn_map_free(labels);
    if (!complete) return no_memory(err);
    qsort(schema->classes, (size_t)n, sizeof *schema->classes, by_label);
    return QN_OK;
}

/* The second class is the positive one; `--positive` swaps the order. */
static qn_status choose_positive(const struct guess *g, qn_error *err)
{
    qn_schema *schema = g->schema;
    const char *positive = g->request->positive;
    schema->positive = 1;
    if (!positive) return QN_OK;
    if (schema->task != QN_TASK_BINARY) {
        return qn_fail(err, QN_ERR_ARG, "--positive %s: the task is %s, not binary", positive,
                       qn_task_name(schema->task));
    }
    if (strcmp(schema->classes[1], positive) == 0) return QN_OK;
    if (strcmp(schema->classes[0], positive) != 0) {
        return qn_fail(err, QN_ERR_ARG, "--positive %s: the classes are '%s' and '%s'", positive,
                       schema->classes[0], schema->classes[1]);
    }
    char *swap = schema->classes[0];
    schema->classes[0] = schema->classes[1];
    schema->classes[1] = swap;
    return QN_OK;
}

static qn_status fill_target(const struct guess *g, qn_error *err)
{
    qn_schema *schema = g->schema;
    int64_t col;
    QN_TRY(guess_target(g, &col, err));
    QN_TRY(check_target(g, col, err));
    schema->target = col;
    schema->columns[col].role = QN_ROLE_TARGET;
    if (!g->request->target) {
        QN_TRY(set_reason(&schema->columns[col], "guessed to be the target", err));
    }
    if (!g->request->task) {
        schema->task = guess_task(&g->request->profile->columns[col]);
    } else if (!qn_task_from_name(g->request->task, &schema->task)) {
        return qn_fail(err, QN_ERR_ARG,
                       "--task %s: expected binary, multiclass, regression or ranking",
                       g->request->task);
    }
    QN_TRY(check_task(g, col, schema->task, err));
    if (schema->task == QN_TASK_BINARY || schema->task == QN_TASK_MULTICLASS) {
        QN_TRY(collect_classes(g, col, err));
        if (schema->task == QN_TASK_MULTICLASS && schema->n_classes == 2) {
            schema->task = QN_TASK_BINARY;
        }
    }
    return choose_positive(g, err);
}

static qn_status fill_roles(const struct guess *g, qn_error *err)
{
    const qn_understand_request *request = g->request;
    QN_TRY(assign_role(g, request->drop, QN_ROLE_DROPPED, "dropped as asked", err));
    QN_TRY(assign_role(g, request->id, QN_ROLE_DROPPED, "names a row, as told", err));
    QN_TRY(assign_role(g, request->weight, QN_ROLE_WEIGHT, "sample weights, as told", err));
    QN_TRY(assign_role(g, request->group, QN_ROLE_GROUP, "groups rows, as told", err));
    QN_TRY(assign_role(g, request->time, QN_ROLE_TIME, "orders the rows, as told", err));
    QN_TRY(assign_role(g, request->split, QN_ROLE_SPLIT, "splits the rows, as told", err));
    for (int i = 0; request->kinds && request->kinds[i]; i++) {
        QN_TRY(override_kind(g, request->kinds[i], err));
    }
    for (int64_t col = 0; col < g->schema->n_cols; col++) {
        qn_schema_column *column = &g->schema->columns[col];
        if (column->role == QN_ROLE_FEATURE &&
            (column->kind == QN_KIND_ID || column->kind == QN_KIND_CONSTANT)) {
            column->role = QN_ROLE_DROPPED;
        }
        QN_TRY(fill_levels(column, &request->profile->columns[col], err));
    }
    return QN_OK;
}

qn_status qn_understand(const qn_understand_request *request, qn_schema **out, qn_error *err)
{
    *out = NULL;
    const int64_t n_cols = request->frame->n_cols;
    qn_schema *schema = qn_alloc_array(1, sizeof *schema);
    if (schema) schema->columns = qn_alloc_array(n_cols, sizeof *schema->columns);
    if (!schema || !schema->columns) {
        qn_schema_free(schema);
        return no_memory(err);
    }
    const struct guess g = {request, schema};
    schema->n_cols = n_cols;
    qn_status status = QN_OK;
    for (int64_t col = 0; col < n_cols && status == QN_OK; col++) {
        status = fill_column(&g, col, err);
    }
    if (status == QN_OK) status = fill_target(&g, err);
    if (status == QN_OK) status = fill_roles(&g, err);
    if (status != QN_OK) {
        qn_schema_free(schema);
        return status;
    }
    *out = schema;
    return QN_OK;
}
