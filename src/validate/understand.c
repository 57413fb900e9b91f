/* SPDX-License-Identifier: Apache-2.0 */
#include "validate/understand.h"

#include "base/alloc.h"
#include "base/map.h"
#include "base/str.h"
#include "frame/cells.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { GUESSED_CLASSES_MAX = 20, TEXT_WORDS = 3 };

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
    char *copy = qn_strndup(name, bytes);
    if (!copy) return no_memory(err);
    const qn_status status = qn_frame_require(g->request->frame, source_of(g), copy, out, err);
    qn_free(copy);
    return status;
}

static qn_status set_reason(qn_schema_column *column, const char *reason, qn_error *err)
{
    qn_free(column->reason);
    column->reason = qn_strdup(reason);
    return column->reason ? QN_OK : no_memory(err);
}

static const char *const role_words[] = {"feature",     "target",       "weight", "group",
                                         "time column", "split column", "dropped"};

/* Gives every column of a comma-separated list a role. */
static qn_status assign_role(const struct guess *g, const char *list, qn_role role,
                             const char *reason, qn_error *err)
{
    for (const char *at = list; at && *at;) {
        const size_t n = strcspn(at, ",");
        size_t blanks = strspn(at, " "), bytes = n;
        if (blanks > n) blanks = n;
        while (bytes > blanks && at[bytes - 1] == ' ') {
            bytes--;
        }
        int64_t col;
        QN_TRY(find_column(g, at + blanks, bytes - blanks, &col, err));
        qn_schema_column *column = &g->schema->columns[col];
        if (column->role != QN_ROLE_FEATURE && column->role != QN_ROLE_DROPPED) {
            return qn_fail(err, QN_ERR_ARG, "column '%s' is the %s and cannot be %s too",
                           column->name, role_words[column->role], role_words[role]);
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

/* 1, 2, 3 … in any order: whole numbers that all differ though there are hardly more of them than
 * rows in the table. Training rows are a part of the table, so gaps are no sign against it; that
 * n draws from r numbers all differ by chance has a probability below exp(-n * n / 2r). */
static bool counts_rows(const qn_column_profile *p, int64_t n_rows_table)
{
    const double n = (double)p->n_distinct, range = p->maximum - p->minimum + 1;
    return p->n_distinct == p->n_rows - p->n_missing && p->n_distinct > 20 && p->all_integers &&
           range <= 1.05 * (double)n_rows_table && n * n > 20 * range;
}

static qn_kind guess_number(const qn_column_profile *p, int64_t n_rows_table, const char **reason)
{
    const int64_t n = p->n_rows - p->n_missing;
    if (p->type == QN_TYPE_INT64 && counts_rows(p, n_rows_table)) {
        *reason = "whole numbers that count the rows";
        return QN_KIND_ID;
    }
    if (p->type == QN_TYPE_INT64 && contains_id(p->name) && p->n_distinct > n * 9 / 10 && n > 20) {
        *reason = "named as an id, and nearly every value differs";
        return QN_KIND_ID;
    }
    return p->type == QN_TYPE_BOOL ? QN_KIND_BOOLEAN : QN_KIND_NUMERIC;
}

/* Whether every text can be used as a value of `kind`. `*bad` is the code of the first that cannot,
 * else how many mean "missing" stands in *n_markers. */
static bool texts_read_as(const qn_column *column, qn_kind kind, int64_t *bad, int64_t *n_markers)
{
    const qn_schema_column meant = {.kind = kind, .type = column->type, .markers = column->markers};
    *n_markers = 0;
    for (int64_t code = 0; code < column->dictionary.n; code++) {
        char scratch[QN_VALUE_TEXT_BYTES];
        qn_cell given = {.number = QN_NA}, read;
        given.text = qn_dictionary_text(&column->dictionary, code, &given.text_bytes);
        *bad = code;
        if (qn_cell_normalise(&meant, &given, scratch, &read, NULL) != QN_OK) return false;
        *n_markers += isnan(read.number);
    }
    return true;
}

/* Numbers among which blanks or markers stand, as in tables that come from elsewhere than CSV.
 * Texts that all are numbers are codes: a reader keeps such columns as texts on purpose. */
static bool are_numbers(const qn_column *column, const qn_column_profile *p)
{
    int64_t bad, n_markers;
    return p->numeric_fraction >= 0.5 && p->numeric_fraction < 1 &&
           texts_read_as(column, QN_KIND_NUMERIC, &bad, &n_markers) && n_markers > 0;
}

static qn_kind guess_text(const qn_column *column, const qn_column_profile *p, const char **reason)
{
    const int64_t n = p->n_rows - p->n_missing;
    const double distinct = (double)p->n_distinct / (double)n;
    if (are_numbers(column, p)) {
        *reason = "numbers, but for blanks and missing markers";
        return QN_KIND_NUMERIC;
    }
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

static qn_kind guess_kind(const qn_frame *frame, const qn_column *column,
                          const qn_column_profile *p, const char **reason)
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
    if (p->type != QN_TYPE_STRING) return guess_number(p, frame->n_rows, reason);
    return guess_text(column, p, reason);
}

struct level {
    const char *text;
    int64_t count;
};

static int by_count(const void *left, const void *right)
{
    const struct level *a = left, *b = right;
    if (a->count != b->count) return a->count > b->count ? -1 : 1;
    return strcmp(a->text, b->text);
}

static int64_t n_rows_of(const struct guess *g)
{
    return g->request->rows ? g->request->n_rows : g->request->frame->n_rows;
}

static int64_t row_at(const struct guess *g, int64_t i)
{
    return g->request->rows ? g->request->rows[i] : i;
}

/* How often each text occurs in the training rows; NULL when out of memory. */
static qn_map *count_texts(const struct guess *g, const qn_column *from)
{
    qn_map *counts = qn_map_create(1024);
    for (int64_t i = 0; counts && i < n_rows_of(g); i++) {
        char scratch[QN_VALUE_TEXT_BYTES];
        size_t bytes;
        if (qn_column_is_missing(from, row_at(g, i))) continue;
        const char *text = qn_column_text(from, row_at(g, i), scratch, &bytes);
        int64_t *slot = qn_map_slot(counts, text, bytes, 0);
        if (!slot) {
            qn_map_free(counts);
            return NULL;
        }
        ++*slot;
    }
    return counts;
}

static qn_status fill_levels(const struct guess *g, int64_t col, qn_error *err)
{
    qn_schema_column *column = &g->schema->columns[col];
    if (column->kind != QN_KIND_CATEGORICAL) return QN_OK;
    qn_map *counts = count_texts(g, &g->request->frame->columns[col]);
    const int64_t n = counts ? qn_map_n(counts) : 0;
    const int64_t n_kept = n < QN_LEVELS_LISTED_MAX ? n : QN_LEVELS_LISTED_MAX;
    struct level *levels = qn_alloc_array(n, sizeof *levels);
    column->levels = qn_alloc_array(n_kept, sizeof *column->levels);
    bool complete = counts && levels && column->levels;
    for (int64_t i = 0; complete && i < n; i++) {
        levels[i] = (struct level){qn_map_key(counts, i, NULL), qn_map_value(counts, i)};
    }
    if (complete) qsort(levels, (size_t)n, sizeof *levels, by_count);
    for (int64_t i = 0; complete && i < n_kept; i++) {
        column->levels[i] = qn_strdup(levels[i].text);
        complete = column->levels[i] != NULL;
        column->n_levels += complete;
    }
    qn_free(levels);
    qn_map_free(counts);
    return complete ? QN_OK : no_memory(err);
}

static qn_status fill_column(const struct guess *g, int64_t col, qn_error *err)
{
    const qn_column *from = &g->request->frame->columns[col];
    const qn_column_profile *p = &g->request->profile->columns[col];
    qn_schema_column *column = &g->schema->columns[col];
    const char *reason;
    column->name = qn_strdup(from->name);
    column->type = from->type;
    column->kind = guess_kind(g->request->frame, from, p, &reason);
    column->missing_fraction = p->n_rows ? (double)p->n_missing / (double)p->n_rows : 0;
    column->minimum = p->minimum;
    column->maximum = p->maximum;
    if (from->markers) column->markers = qn_strdup(from->markers);
    if (!column->name || (from->markers && !column->markers)) return no_memory(err);
    return reason ? set_reason(column, reason, err) : QN_OK;
}

/* Whether the column's values can be used as the kind asked for. */
static qn_status check_kind(const struct guess *g, int64_t col, qn_kind kind, const char *option,
                            qn_error *err)
{
    const qn_column *from = &g->request->frame->columns[col];
    const qn_column_profile *p = &g->request->profile->columns[col];
    const bool numbers =
        kind == QN_KIND_NUMERIC || kind == QN_KIND_BOOLEAN || kind == QN_KIND_DATETIME;
    int64_t bad, n_markers;
    if (!numbers) return QN_OK;
    if (from->type == QN_TYPE_STRING) {
        if (texts_read_as(from, kind, &bad, &n_markers)) return QN_OK;
        size_t bytes;
        const char *label = qn_dictionary_text(&from->dictionary, bad, &bytes);
        return qn_fail(err, QN_ERR_ARG, "--kind %s: found '%.*s', which is no %s", option,
                       (int)(bytes > 60 ? 60 : bytes), label,
                       kind == QN_KIND_NUMERIC    ? "number"
                       : kind == QN_KIND_DATETIME ? "date"
                                                  : "true or false");
    }
    if (kind == QN_KIND_DATETIME && from->type != QN_TYPE_TIMESTAMP) {
        return qn_fail(err, QN_ERR_ARG, "--kind %s: its values are not dates", option);
    }
    if (kind == QN_KIND_BOOLEAN && (p->minimum < 0 || p->maximum > 1 || p->n_distinct > 2)) {
        return qn_fail(err, QN_ERR_ARG, "--kind %s: its values are not all 0 or 1", option);
    }
    return QN_OK;
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
    QN_TRY(check_kind(g, col, kind, text, err));
    column->kind = kind;
    column->kind_given = true;
    /* A reason that the user gave for a role outweighs one that was guessed for a kind. */
    if (column->role != QN_ROLE_FEATURE) return QN_OK;
    return set_reason(column, "as asked", err);
}

/* Target. */

static const char guessed_target[] = "guessed to be the target";

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
    for (int64_t i = 0; i < n_rows_of(g); i++) {
        if (qn_column_is_missing(column, row_at(g, i))) return row_at(g, i);
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
        return qn_fail(
            err, QN_ERR_DATA,
            "%s: target '%s' has one value, '%s', in every row: there is nothing to learn",
            source_of(g), column->name, p->n_top ? p->top[0].text : "");
    }
    return QN_OK;
}

static qn_task guess_task(const qn_column_profile *p)
{
    if (p->type == QN_TYPE_BOOL || p->n_distinct == 2) return QN_TASK_BINARY;
    if (p->type == QN_TYPE_STRING) return QN_TASK_MULTICLASS;
    const bool small_codes =
        p->all_integers && p->type == QN_TYPE_INT64 && p->n_distinct <= GUESSED_CLASSES_MAX &&
        p->n_distinct * p->n_distinct < p->n_rows && p->maximum - p->minimum < 100;
    return small_codes ? QN_TASK_MULTICLASS : QN_TASK_REGRESSION;
}

static qn_status check_task(const struct guess *g, int64_t col, qn_task task, qn_error *err)
{
    const qn_column_profile *p = &g->request->profile->columns[col];
    const char *name = g->request->frame->columns[col].name;
    if (task == QN_TASK_BINARY && p->n_distinct != 2) {
        return qn_fail(err, QN_ERR_DATA,
                       "%s: target '%s' has %" PRId64
                       " values; binary needs two (--task multiclass?)",
                       source_of(g), name, p->n_distinct);
    }
    if ((task == QN_TASK_REGRESSION || task == QN_TASK_RANKING) &&
        (p->type == QN_TYPE_STRING || p->type == QN_TYPE_TIMESTAMP)) {
        return qn_fail(err, QN_ERR_DATA, "%s: target '%s' holds %s such as '%s'; %s needs numbers",
                       source_of(g), name, p->type == QN_TYPE_STRING ? "texts" : "dates",
                       p->n_top ? p->top[0].text : "", qn_task_name(task));
    }
    const bool classes = task == QN_TASK_BINARY || task == QN_TASK_MULTICLASS;
    if (!classes && !(isfinite(p->minimum) && isfinite(p->maximum))) {
        return qn_fail(err, QN_ERR_DATA,
                       "%s: target '%s' has infinite values: nothing can learn them", source_of(g),
                       name);
    }
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
    const qn_column *column = &g->request->frame->columns[col];
    qn_schema *schema = g->schema;
    qn_map *labels = qn_map_create(64);
    bool complete = labels != NULL;
    for (int64_t i = 0; complete && i < n_rows_of(g); i++) {
        char scratch[QN_VALUE_TEXT_BYTES];
        size_t bytes;
        if (qn_column_is_missing(column, row_at(g, i))) continue;
        const char *text = qn_column_text(column, row_at(g, i), scratch, &bytes);
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

/* Labels that differ in blanks alone are one class, so there can be fewer than values. */
static qn_status settle_classes(const struct guess *g, int64_t col, qn_error *err)
{
    qn_schema *schema = g->schema;
    const char *name = g->request->frame->columns[col].name;
    if (schema->n_classes < 2) {
        return qn_fail(
            err, QN_ERR_DATA,
            "%s: target '%s' has one value, '%s', in every row: there is nothing to learn",
            source_of(g), name, schema->n_classes ? schema->classes[0] : "");
    }
    if (schema->task == QN_TASK_BINARY && schema->n_classes > 2) {
        return qn_fail(err, QN_ERR_DATA,
                       "%s: target '%s' has %d values; binary needs two (--task multiclass?)",
                       source_of(g), name, schema->n_classes);
    }
    if (schema->n_classes == 2) schema->task = QN_TASK_BINARY;
    return QN_OK;
}

/* Few whole numbers can be classes or quantities: what was guessed is said, with the other way. */
static qn_status note_task(const struct guess *g, int64_t col, qn_error *err)
{
    const qn_column_profile *p = &g->request->profile->columns[col];
    qn_schema_column *column = &g->schema->columns[col];
    const bool multiclass = g->schema->task == QN_TASK_MULTICLASS;
    const bool regression = g->schema->task == QN_TASK_REGRESSION;
    if (p->type == QN_TYPE_STRING || !(multiclass || (regression && p->n_distinct <= 50))) {
        return QN_OK;
    }
    qn_str reason = {0};
    if (column->reason) qn_str_addf(&reason, "%s; ", column->reason);
    qn_str_addf(&reason, "its %" PRId64 " different numbers are taken as %s (guessed; --task %s)",
                p->n_distinct, multiclass ? "classes" : "quantities",
                multiclass ? "regression" : "multiclass");
    qn_free(column->reason);
    column->reason = qn_str_take_text(&reason);
    return column->reason ? QN_OK : no_memory(err);
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
        QN_TRY(set_reason(&schema->columns[col], guessed_target, err));
    }
    if (!g->request->task) {
        schema->task = guess_task(&g->request->profile->columns[col]);
    } else if (!qn_task_from_name(g->request->task, &schema->task) ||
               !qn_task_is_supervised(schema->task)) {
        return qn_fail(err, QN_ERR_ARG,
                       "--task %s: expected binary, multiclass, regression or ranking",
                       g->request->task);
    }
    QN_TRY(check_task(g, col, schema->task, err));
    if (!g->request->task) QN_TRY(note_task(g, col, err));
    if (schema->task == QN_TASK_BINARY || schema->task == QN_TASK_MULTICLASS) {
        QN_TRY(collect_classes(g, col, err));
        QN_TRY(settle_classes(g, col, err));
    }
    return choose_positive(g, err);
}

static const char told_id[] = "names a row, as told";

static qn_status fill_roles(const struct guess *g, qn_error *err)
{
    const qn_understand_request *request = g->request;
    QN_TRY(assign_role(g, request->drop, QN_ROLE_DROPPED, "dropped as asked", err));
    QN_TRY(assign_role(g, request->id, QN_ROLE_DROPPED, told_id, err));
    for (int64_t col = 0; col < g->schema->n_cols; col++) {
        qn_schema_column *column = &g->schema->columns[col];
        if (!column->reason || strcmp(column->reason, told_id) != 0) continue;
        column->kind = QN_KIND_ID;
        column->kind_given = true;
    }
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
        QN_TRY(fill_levels(g, col, err));
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
    schema->target = -1;
    schema->task = QN_TASK_REDUCTION;
    if (status == QN_OK && !request->no_target) status = fill_target(&g, err);
    if (status == QN_OK) status = fill_roles(&g, err);
    if (status != QN_OK) {
        qn_schema_free(schema);
        return status;
    }
    *out = schema;
    return QN_OK;
}
