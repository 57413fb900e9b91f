/* SPDX-License-Identifier: Apache-2.0 */
#include "automl/constraints.h"

#include "base/alloc.h"
#include "frame/frame.h"

#include <string.h>

enum { SETS_MAX = 63 };

static qn_status no_memory(qn_error *err)
{
    return qn_fail(err, QN_ERR_NOMEM, "no memory for the constraints");
}

void qn_constraints_release(qn_constraints *constraints)
{
    qn_free(constraints->monotone);
    qn_free(constraints->interaction_sets);
    *constraints = (qn_constraints){0};
}

bool qn_constraints_any(const qn_constraints *constraints)
{
    return constraints->monotone || constraints->interaction_sets;
}

/* The feature that stands in the first `bytes` of `text`. */
static qn_status find_feature(const qn_schema *schema, const char *option, const char *text,
                              size_t bytes, int64_t *out, qn_error *err)
{
    const int64_t n = qn_schema_n_features(schema);
    for (int64_t f = 0; f < n; f++) {
        const char *name = schema->columns[qn_schema_feature(schema, f)].name;
        if (strlen(name) != bytes || memcmp(name, text, bytes) != 0) continue;
        *out = f;
        return QN_OK;
    }
    char *wanted = qn_strndup(text, bytes);
    const char **names = qn_alloc_array(n, sizeof *names);
    qn_status status = no_memory(err);
    if (wanted && names) {
        for (int64_t f = 0; f < n; f++) {
            names[f] = schema->columns[qn_schema_feature(schema, f)].name;
        }
        const char *near = qn_nearest_name(wanted, names, n);
        status = qn_fail(err, QN_ERR_ARG, "--%s: no feature is called '%s'%s%s%s", option, wanted,
                         near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
    }
    qn_free(wanted);
    qn_free(names);
    return status;
}

static bool is_text(const char *text, size_t bytes, const char *expected)
{
    return strlen(expected) == bytes && memcmp(text, expected, bytes) == 0;
}

static qn_status read_monotone(const qn_schema *schema, const char *text, int8_t *out,
                               qn_error *err)
{
    for (const char *at = text; *at;) {
        const size_t bytes = strcspn(at, ","), name_bytes = strcspn(at, "=,");
        const char *direction = at + name_bytes + 1;
        const size_t direction_bytes = name_bytes < bytes ? bytes - name_bytes - 1 : 0;
        int64_t feature = 0;
        QN_TRY(find_feature(schema, "monotone", at, name_bytes, &feature, err));
        const qn_schema_column *column = &schema->columns[qn_schema_feature(schema, feature)];
        if (column->kind != QN_KIND_NUMERIC) {
            return qn_fail(err, QN_ERR_ARG, "--monotone: '%s' is %s, and only a number can be",
                           column->name, qn_kind_name(column->kind));
        }
        if (is_text(direction, direction_bytes, "increasing")) {
            out[feature] = 1;
        } else if (is_text(direction, direction_bytes, "decreasing")) {
            out[feature] = -1;
        } else {
            return qn_fail(err, QN_ERR_ARG,
                           "--monotone: expected '%s=increasing' or '%s=decreasing'", column->name,
                           column->name);
        }
        at += bytes + (at[bytes] == ',');
    }
    return QN_OK;
}

static qn_status read_interactions(const qn_schema *schema, const char *text, uint64_t *out,
                                   qn_error *err)
{
    int set = 0;
    for (const char *at = text; *at;) {
        const size_t bytes = strcspn(at, ",;");
        int64_t feature = 0;
        QN_TRY(find_feature(schema, "interactions", at, bytes, &feature, err));
        if (set >= SETS_MAX) {
            return qn_fail(err, QN_ERR_ARG, "--interactions: more than %d sets", SETS_MAX);
        }
        out[feature] |= UINT64_C(1) << set;
        set += at[bytes] == ';';
        at += bytes + (at[bytes] != '\0');
    }
    return QN_OK;
}

qn_status qn_constraints_read(const qn_schema *schema, const char *monotone,
                              const char *interactions, qn_constraints *out, qn_error *err)
{
    const int64_t n = qn_schema_n_features(schema);
    *out = (qn_constraints){0};
    qn_status status = QN_OK;
    if (monotone) {
        if (schema->task == QN_TASK_MULTICLASS) {
            return qn_fail(err, QN_ERR_ARG,
                           "--monotone: the probabilities of several classes cannot all rise");
        }
        out->monotone = qn_alloc_array(n, sizeof *out->monotone);
        status =
            out->monotone ? read_monotone(schema, monotone, out->monotone, err) : no_memory(err);
    }
    if (interactions && status == QN_OK) {
        out->interaction_sets = qn_alloc_array(n, sizeof *out->interaction_sets);
        status = out->interaction_sets
                     ? read_interactions(schema, interactions, out->interaction_sets, err)
                     : no_memory(err);
    }
    if (status != QN_OK) qn_constraints_release(out);
    return status;
}

void qn_view_constraints_release(qn_view_constraints *constraints)
{
    qn_free(constraints->monotone);
    qn_free(constraints->interaction_sets);
    qn_free(constraints->columns);
    *constraints = (qn_view_constraints){0};
}

qn_status qn_constraints_apply(const qn_constraints *constraints, const qn_schema *schema,
                               qn_dataset *data, qn_view_constraints *out, qn_error *err)
{
    *out = (qn_view_constraints){0};
    if (!qn_constraints_any(constraints)) return QN_OK;
    const int64_t n = data->n_features[QN_VIEW_TREE];
    out->columns = qn_alloc_array(n, sizeof *out->columns);
    if (constraints->monotone) out->monotone = qn_alloc_array(n, sizeof *out->monotone);
    if (constraints->interaction_sets) {
        out->interaction_sets = qn_alloc_array(n, sizeof *out->interaction_sets);
    }
    if (!out->columns || (constraints->monotone && !out->monotone) ||
        (constraints->interaction_sets && !out->interaction_sets)) {
        qn_view_constraints_release(out);
        return no_memory(err);
    }
    for (int64_t f = 0; f < n; f++) {
        const qn_feature *feature = &data->features[QN_VIEW_TREE][f];
        const int32_t input = out->columns[f] = feature->input;
        const char *name = schema->columns[qn_schema_feature(schema, input)].name;
        /* The number itself, not what else has been made of its column. */
        if (out->monotone && strcmp(feature->name, name) == 0) {
            out->monotone[f] = constraints->monotone[input];
        }
        if (out->interaction_sets) {
            out->interaction_sets[f] = constraints->interaction_sets[input];
        }
    }
    data->monotone = out->monotone;
    data->interaction_sets = out->interaction_sets;
    data->columns = out->columns;
    return QN_OK;
}
