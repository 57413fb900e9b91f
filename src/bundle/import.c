/* SPDX-License-Identifier: Apache-2.0 */
/* A bundle around an imported model: every feature is a column of numbers that the recipe passes
 * through as it is. */
#include "bundle/bundle.h"

#include "base/alloc.h"
#include "base/file.h"
#include "base/number.h"
#include "model/import_model.h"

#include <string.h>

static qn_status no_memory(qn_error *err)
{
    return qn_fail(err, QN_ERR_NOMEM, "no memory to import a model");
}

static qn_status check_fits(const qn_imported *imported, const char *name, qn_error *err)
{
    const int32_t width = imported->task == QN_TASK_MULTICLASS ? imported->n_classes : 1;
    if (imported->estimator->n_outputs != width) {
        return qn_fail(err, QN_ERR_UNSUPPORTED,
                       "%s: objective '%s' with %d values a row; a model file holds one", name,
                       imported->objective, imported->estimator->n_outputs);
    }
    return QN_OK;
}

static qn_status put_classes(const qn_imported *imported, const char *labels, qn_schema *schema,
                             qn_error *err)
{
    const char *at = labels;
    schema->classes = qn_alloc_array(imported->n_classes, sizeof *schema->classes);
    if (!schema->classes) return no_memory(err);
    for (int32_t c = 0; c < imported->n_classes; c++) {
        char digits[QN_INT64_TEXT_BYTES];
        const char *label = at;
        size_t bytes;
        if (labels) {
            bytes = strcspn(at, ",");
            at += bytes + (at[bytes] == ',');
        } else {
            bytes = qn_format_int64(c, digits);
            label = digits;
        }
        schema->classes[c] = qn_strndup(label, bytes);
        if (!schema->classes[c]) return no_memory(err);
        schema->n_classes = c + 1;
        for (int32_t other = 0; other < c || bytes == 0; other++) {
            if (bytes > 0 && strcmp(schema->classes[other], schema->classes[c]) != 0) continue;
            return qn_fail(err, QN_ERR_ARG, "--labels: %d different labels are needed",
                           imported->n_classes);
        }
    }
    return labels && *at
               ? qn_fail(err, QN_ERR_ARG, "--labels: the model has %d classes", imported->n_classes)
               : QN_OK;
}

static qn_status put_column(qn_schema *schema, const char *name, bool is_target, qn_error *err)
{
    qn_schema_column *column = &schema->columns[schema->n_cols];
    const bool is_class = is_target && schema->n_classes > 0;
    *column = (qn_schema_column){.name = qn_strdup(name),
                                 .type = is_class ? QN_TYPE_STRING : QN_TYPE_FLOAT64,
                                 .kind = is_class ? QN_KIND_CATEGORICAL : QN_KIND_NUMERIC,
                                 .role = is_target ? QN_ROLE_TARGET : QN_ROLE_FEATURE,
                                 .minimum = QN_NA,
                                 .maximum = QN_NA};
    schema->n_cols++;
    return column->name ? QN_OK : no_memory(err);
}

static qn_status make_schema(const qn_imported *imported, const qn_import_request *request,
                             qn_schema *schema, qn_error *err)
{
    const char *target = request->target ? request->target : "target";
    const int64_t n = imported->n_features;
    schema->task = imported->task;
    schema->positive = 1;
    schema->target = n;
    schema->columns = qn_alloc_array(n + 1, sizeof *schema->columns);
    qn_map *names = qn_map_create(n + 1);
    qn_status status = schema->columns && names ? QN_OK : no_memory(err);
    if (status == QN_OK) status = put_classes(imported, request->labels, schema, err);
    for (int64_t i = 0; i <= n && status == QN_OK; i++) {
        const char *name = i < n ? imported->features[i] : target;
        int64_t *slot = qn_map_slot(names, name, strlen(name), -1);
        if (!slot) {
            status = no_memory(err);
        } else if (*slot >= 0 || !*name) {
            status = qn_fail(err, i < n ? QN_ERR_DATA : QN_ERR_ARG,
                             i < n ? "%s: two features are called '%s'"
                                   : "%s: a feature is called '%s' like the target; see --target",
                             request->source, name);
        } else {
            *slot = i;
            status = put_column(schema, name, i == n, err);
        }
    }
    qn_map_free(names);
    return status;
}

/* One row of zeros is enough to fit what passes numbers through. */
static qn_status make_recipe(const qn_schema *schema, qn_recipe **out, qn_error *err)
{
    *out = NULL;
    qn_frame *frame = qn_frame_create(1, schema->n_cols - 1);
    qn_status status = frame ? QN_OK : no_memory(err);
    for (int64_t i = 0; i < schema->n_cols - 1 && status == QN_OK; i++) {
        frame->columns[i].type = QN_TYPE_FLOAT64;
        frame->columns[i].name = qn_strdup(schema->columns[i].name);
        frame->columns[i].data.doubles = qn_alloc_array(1, sizeof(double));
        if (!frame->columns[i].name || !frame->columns[i].data.doubles) status = no_memory(err);
    }
    const double target = 0;
    const qn_recipe_request request = {
        .frame = frame, .schema = schema, .target = &target, .skip_dense = true};
    if (status == QN_OK) status = qn_recipe_fit(&request, out, NULL, err);
    qn_frame_free(frame);
    return status;
}

static qn_status make_predictor(const qn_imported *imported, const qn_schema *schema,
                                qn_predictor *predictor, qn_error *err)
{
    predictor->schema = schema;
    predictor->n_outputs = imported->estimator->n_outputs;
    predictor->temperature = 1;
    predictor->threshold = 0.5;
    predictor->low = predictor->high = QN_NA;
    predictor->recipes = qn_alloc_array(1, sizeof *predictor->recipes);
    predictor->members = qn_alloc_array(1, sizeof *predictor->members);
    if (!predictor->recipes || !predictor->members) return no_memory(err);
    QN_TRY(make_recipe(schema, &predictor->recipes[0], err));
    predictor->n_recipes = predictor->n_members = 1;
    predictor->members[0] = (qn_member){.name = qn_strdup(imported->format),
                                        .fold = -1,
                                        .weight = 1,
                                        .estimator = imported->estimator};
    return predictor->members[0].name ? QN_OK : no_memory(err);
}

static qn_status make_record(const qn_imported *imported, const qn_import_request *request,
                             const char *command, qn_record *record, qn_error *err)
{
    qn_str note = {0};
    qn_str_addf(&note, "none: a %s model, objective %s", imported->format, imported->objective);
    const struct {
        const char **at;
        const char *text;
    } texts[] = {{&record->version, qn_version()},
                 {&record->created, ""},
                 {&record->table, request->source},
                 {&record->target, request->target ? request->target : "target"},
                 {&record->metric, ""},
                 {&record->command, command},
                 {&record->split_reason, note.text},
                 {&record->folds_reason, "none"},
                 {&record->data_hash, ""}};
    bool complete = !note.failed;
    for (size_t i = 0; complete && i < sizeof texts / sizeof *texts; i++) {
        *texts[i].at = qn_arena_strdup(&record->arena, texts[i].text);
        complete = *texts[i].at != NULL;
    }
    qn_str_release(&note);
    record->cv_score = record->cv_std_error = QN_NA;
    return complete ? QN_OK : no_memory(err);
}

qn_status qn_bundle_write_plain(const qn_imported *imported, const qn_import_request *request,
                                const char *command, qn_error *err)
{
    qn_record record = {0};
    qn_schema *schema = qn_alloc_array(1, sizeof *schema);
    qn_predictor *predictor = qn_alloc_array(1, sizeof *predictor);
    qn_status status = schema && predictor ? QN_OK : no_memory(err);
    if (status == QN_OK) status = check_fits(imported, request->source, err);
    if (status == QN_OK) status = make_schema(imported, request, schema, err);
    if (status == QN_OK) status = make_predictor(imported, schema, predictor, err);
    if (status == QN_OK) status = make_record(imported, request, command, &record, err);
    if (status == QN_OK) status = qn_bundle_write(request->model, schema, predictor, &record, err);
    qn_record_release(&record);
    if (predictor && predictor->n_members > 0) predictor->members[0].estimator = NULL;
    qn_predictor_free(predictor);
    qn_schema_free(schema);
    return status;
}

qn_status qn_import(const qn_import_request *request, qn_error *err)
{
    qn_file_map map;
    qn_imported imported = {0};
    QN_TRY(qn_file_map_open(request->source, &map, err));
    qn_status status =
        qn_import_model((const char *)map.data, map.bytes, request->source, &imported, err);
    if (status == QN_OK) status = qn_bundle_write_plain(&imported, request, "quern import", err);
    qn_imported_release(&imported);
    qn_file_unmap(&map);
    return status;
}
