/* SPDX-License-Identifier: Apache-2.0 */
#include "automl/unlabelled.h"

#include "automl/fit_inputs.h"
#include "base/alloc.h"
#include "bundle/bundle.h"
#include "source/source.h"

#include <stdio.h>
#include <string.h>

void qn_unlabelled_release(qn_unlabelled *table)
{
    qn_matrix_release(&table->view);
    qn_recipe_free(table->recipe);
    qn_free(table->weights);
    qn_schema_free(table->schema);
    qn_profile_free(table->profile);
    qn_frame_free(table->frame);
    qn_str_release(&table->warnings);
    *table = (qn_unlabelled){0};
}

static qn_status understand(const qn_unlabelled_request *request, qn_unlabelled *out, qn_error *err)
{
    const qn_understand_request question = {.frame = out->frame,
                                            .profile = out->profile,
                                            .no_target = true,
                                            .drop = request->drop,
                                            .id = request->id,
                                            .weight = request->weight,
                                            .kinds = request->kinds};
    QN_TRY(qn_understand(&question, &out->schema, err));
    if (qn_schema_n_features(out->schema) > 0) return QN_OK;
    return qn_fail(err, QN_ERR_DATA,
                   "%s: every column is an id, constant or dropped; --kind COLUMN=KIND overrides",
                   out->frame->source);
}

static qn_status make_view(const qn_unlabelled_request *request, qn_unlabelled *out, qn_error *err)
{
    const qn_recipe_request recipe = {.frame = out->frame,
                                      .schema = out->schema,
                                      .linear = true,
                                      .skip_dense = request->tree_view,
                                      .pool = request->pool,
                                      .stop = request->stop};
    qn_matrix views[QN_N_VIEWS];
    QN_TRY(qn_recipe_fit(&recipe, &out->recipe, views, err));
    const qn_view wanted = request->tree_view ? QN_VIEW_TREE : QN_VIEW_DENSE;
    out->view = views[wanted];
    qn_matrix_release(&views[wanted == QN_VIEW_TREE ? QN_VIEW_DENSE : QN_VIEW_TREE]);
    return QN_OK;
}

static qn_status load(const qn_unlabelled_request *request, qn_unlabelled *out, qn_error *err)
{
    const qn_read_request read = {
        .uri = request->table, .pool = request->pool, .stop = request->stop};
    QN_TRY(qn_source_read(&read, &out->frame, &out->warnings, err));
    if (out->frame->n_rows < 2) {
        return qn_fail(err, QN_ERR_DATA, "%s: fewer than two rows: there is nothing to learn",
                       out->frame->source);
    }
    QN_TRY(qn_profile_create(out->frame, NULL, 0, request->pool, &out->profile, err));
    QN_TRY(understand(request, out, err));
    QN_TRY(qn_row_weights(out->schema, out->frame, &out->weights, err));
    return make_view(request, out, err);
}

qn_status qn_unlabelled_load(const qn_unlabelled_request *request, qn_unlabelled *out,
                             qn_error *err)
{
    *out = (qn_unlabelled){0};
    const qn_status status = load(request, out, err);
    if (status != QN_OK) qn_unlabelled_release(out);
    return status;
}

static qn_status no_memory(qn_error *err)
{
    return qn_fail(err, QN_ERR_NOMEM, "no memory for the model file");
}

static qn_status make_record(const qn_unlabelled *table, const qn_unlabelled_bundle *bundle,
                             qn_record *record, qn_error *err)
{
    char hash[24];
    snprintf(hash, sizeof hash, "%016" PRIx64, qn_frame_hash(table->frame));
    const struct {
        const char **at;
        const char *text;
    } texts[] = {{&record->version, qn_version()},
                 {&record->created, ""},
                 {&record->table, bundle->table},
                 {&record->target, ""},
                 {&record->metric, ""},
                 {&record->command, bundle->command ? bundle->command : ""},
                 {&record->split_reason, "none: there is no target"},
                 {&record->folds_reason, "none"},
                 {&record->data_hash, hash}};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        *texts[i].at = qn_arena_strdup(&record->arena, texts[i].text);
        if (!*texts[i].at) return no_memory(err);
    }
    record->n_rows = record->n_rows_train = table->frame->n_rows;
    record->seed = bundle->seed;
    record->cv_score = record->cv_std_error = QN_NA;
    record->profile = table->profile;
    return QN_OK;
}

qn_status qn_unlabelled_write(const qn_unlabelled *table, const qn_unlabelled_bundle *bundle,
                              qn_estimator *estimator, qn_error *err)
{
    qn_record record = {0};
    char name[64];
    snprintf(name, sizeof name, "%s", bundle->name);
    qn_recipe *recipe = table->recipe;
    qn_member member = {.name = name, .fold = -1, .weight = 1, .estimator = estimator};
    const qn_predictor predictor = {.schema = table->schema,
                                    .n_outputs = estimator->n_outputs,
                                    .n_recipes = 1,
                                    .recipes = &recipe,
                                    .n_members = 1,
                                    .members = &member,
                                    .temperature = 1,
                                    .threshold = bundle->threshold > 0 ? bundle->threshold : 0.5,
                                    .low = QN_NA,
                                    .high = QN_NA};
    qn_status status = make_record(table, bundle, &record, err);
    if (status == QN_OK) {
        status = qn_bundle_write(bundle->path, table->schema, &predictor, &record, err);
    }
    record.profile = NULL; /* the table's */
    qn_record_release(&record);
    return status;
}
