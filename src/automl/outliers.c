/* SPDX-License-Identifier: Apache-2.0 */
/* qn_outliers(): a table's rows scored by an isolation forest of its tree view; the rows of the
 * greatest scores with the columns that isolate them. Scores are what the model predicts for the
 * rows, so that a bundle gives the same for them. */
#include "quern/outliers.h"

#include "automl/isolated_rows.h"
#include "automl/unlabelled.h"
#include "base/alloc.h"

#include <string.h>

enum { TOP = 10, COLUMNS_TOLD = 3 };

struct detection {
    const qn_outliers_request *request;
    uint64_t seed;
    qn_pool *pool;
    qn_stop stop;
    qn_unlabelled table;
    qn_isolated_rows found;
    int64_t n_top;
};

static qn_status no_memory(qn_error *err)
{
    return qn_fail(err, QN_ERR_NOMEM, "no memory for the outliers");
}

static void release(struct detection *d)
{
    qn_isolated_rows_release(&d->found);
    qn_unlabelled_release(&d->table);
    qn_pool_free(d->pool);
}

static qn_status check_request(const qn_outliers_request *request, qn_error *err)
{
    if (!(request->contamination >= 0 && request->contamination <= 0.5)) {
        return qn_fail(err, QN_ERR_ARG, "--contamination: expected a share above 0, at most 0.5");
    }
    if (request->max_samples < 0 || request->max_samples == 1) {
        return qn_fail(err, QN_ERR_ARG, "--max-samples: a tree needs 2 rows or more");
    }
    if (request->n_estimators < 0 || request->n_top < 0) {
        return qn_fail(err, QN_ERR_ARG, "--n-estimators and --top: expected a number from 1 up");
    }
    return QN_OK;
}

static qn_status load(struct detection *d, qn_error *err)
{
    const qn_outliers_request *request = d->request;
    QN_TRY(check_request(request, err));
    d->pool = qn_pool_create((int)request->n_threads);
    if (!d->pool) return no_memory(err);
    const qn_unlabelled_request table = {.table = request->table,
                                         .drop = request->drop,
                                         .id = request->id,
                                         .kinds = request->kinds,
                                         .tree_view = true,
                                         .pool = d->pool,
                                         .stop = &d->stop};
    return qn_unlabelled_load(&table, &d->table, err);
}

static qn_status score(struct detection *d, qn_error *err)
{
    const qn_isolated_request question = {.schema = d->table.schema,
                                          .recipe = d->table.recipe,
                                          .view = &d->table.view,
                                          .n_estimators = d->request->n_estimators,
                                          .max_samples = d->request->max_samples,
                                          .contamination = d->request->contamination,
                                          .seed = d->seed,
                                          .pool = d->pool,
                                          .stop = &d->stop};
    const qn_status status = qn_isolated_rows_create(&question, &d->found, err);
    return status == QN_ERR_DATA ? qn_fail_context(err, status, "%s", d->request->table) : status;
}

static qn_status write_bundle(struct detection *d, qn_error *err)
{
    static const char *const labels[2] = {"inlier", "outlier"};
    qn_schema *schema = d->table.schema;
    schema->task = QN_TASK_OUTLIERS;
    schema->positive = 1;
    schema->classes = qn_alloc_array(2, sizeof *schema->classes);
    if (!schema->classes) return no_memory(err);
    for (int32_t c = 0; c < 2; c++) {
        schema->classes[c] = qn_strdup(labels[c]);
        if (!schema->classes[c]) return no_memory(err);
        schema->n_classes = c + 1;
    }
    if (!d->request->model) return QN_OK;
    const qn_unlabelled_bundle bundle = {.path = d->request->model,
                                         .command = d->request->command,
                                         .table = d->request->table,
                                         .name = "isolation_forest",
                                         .seed = (int64_t)d->seed,
                                         .threshold = d->found.threshold};
    return qn_unlabelled_write(&d->table, &bundle, d->found.estimator, err);
}

static void write_value(const qn_column *column, int64_t row, qn_json_writer *json)
{
    char scratch[QN_VALUE_TEXT_BYTES];
    size_t bytes;
    qn_json_key(json, "value");
    if (qn_column_is_missing(column, row)) {
        qn_json_null(json);
    } else {
        const char *text = qn_column_text(column, row, scratch, &bytes);
        qn_json_text_bytes(json, text, bytes);
    }
}

/* The columns of the largest shares, the largest first. */
static void write_columns(struct detection *d, int64_t row, qn_json_writer *json)
{
    const qn_schema *schema = d->table.schema;
    const double *shares = qn_isolated_shares(&d->found, row);
    int64_t columns[COLUMNS_TOLD];
    const int n = qn_isolated_columns(&d->found, columns, COLUMNS_TOLD);
    qn_json_key(json, "columns");
    qn_json_begin_array(json);
    for (int told = 0; told < n; told++) {
        qn_json_begin_object(json);
        qn_json_put_text(json, "column", schema->columns[columns[told]].name);
        write_value(&d->table.frame->columns[columns[told]], row, json);
        qn_json_put_double(json, "share", shares[columns[told]]);
        qn_json_end_object(json);
    }
    qn_json_end_array(json);
}

static void write_top(struct detection *d, qn_json_writer *json)
{
    const qn_isolated_rows *found = &d->found;
    qn_json_key(json, "top");
    qn_json_begin_array(json);
    for (int64_t told = 0; told < d->n_top && told < d->table.view.n_rows; told++) {
        const int64_t row = found->order[told];
        qn_json_begin_object(json);
        qn_json_put_int(json, "row", row + 1);
        qn_json_put_double(json, "score", found->scores[row]);
        qn_json_put_bool(json, "outlier", found->scores[row] >= found->threshold);
        write_columns(d, row, json);
        qn_json_end_object(json);
    }
    qn_json_end_array(json);
}

static qn_status write_json(struct detection *d, char **out, qn_error *err)
{
    qn_str text = {0};
    qn_json_writer json = {.out = &text, .indent = true};
    qn_json_begin_object(&json);
    qn_json_put_text(&json, "table", d->request->table);
    qn_json_put_text(&json, "model", d->request->model);
    qn_json_put_int(&json, "rows", d->table.view.n_rows);
    qn_json_put_int(&json, "columns", qn_schema_n_features(d->table.schema));
    qn_json_put_int(&json, "outliers", d->found.n_outliers);
    qn_json_put_double(&json, "threshold", d->found.threshold);
    write_top(d, &json);
    qn_json_put_int(&json, "seed", (int64_t)d->seed);
    qn_json_put_bool(&json, "interrupted", qn_stop_requested(&d->stop));
    qn_json_end_object(&json);
    *out = qn_str_take_text(&text);
    return *out ? QN_OK : no_memory(err);
}

static qn_status run(struct detection *d, qn_outliers_result *result, qn_error *err)
{
    QN_TRY(load(d, err));
    QN_TRY(score(d, err));
    QN_TRY(write_bundle(d, err));
    QN_TRY(write_json(d, &result->json, err));
    result->n_rows = d->table.view.n_rows;
    result->n_outliers = d->found.n_outliers;
    result->threshold = d->found.threshold;
    result->interrupted = qn_stop_requested(&d->stop);
    result->scores = d->found.scores;
    d->found.scores = NULL;
    return QN_OK;
}

qn_status qn_outliers(const qn_outliers_request *request, qn_outliers_result *result, qn_error *err)
{
    *result = (qn_outliers_result){0};
    struct detection d = {.request = request,
                          .seed = request->seed ? (uint64_t)request->seed : 1,
                          .stop = {.interrupted = request->interrupted},
                          .n_top = request->n_top > 0 ? request->n_top : TOP};
    const qn_status status = run(&d, result, err);
    release(&d);
    if (status != QN_OK) qn_outliers_result_release(result);
    return status;
}

void qn_outliers_result_release(qn_outliers_result *result)
{
    qn_free(result->scores);
    qn_free(result->json);
    *result = (qn_outliers_result){0};
}
