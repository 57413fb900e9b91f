/* SPDX-License-Identifier: Apache-2.0 */
/* qn_outliers(): a table's rows scored by an isolation forest of its tree view; the rows of the
 * greatest scores with the columns that isolate them. Scores are what the model predicts for the
 * rows, so that a bundle gives the same for them. */
#include "quern/outliers.h"

#include "automl/unlabelled.h"
#include "base/alloc.h"
#include "base/sort.h"
#include "learn/tree/isolation.h"

#include <string.h>

enum { TOP = 10, COLUMNS_TOLD = 3 };
/* Rows that are as deep as expected score 0.5: above that, but for rounding. */
static const double threshold_auto = 0.5 + 1e-9;

struct detection {
    const qn_outliers_request *request;
    uint64_t seed;
    qn_pool *pool;
    qn_stop stop;
    qn_unlabelled table;
    const qn_feature *features; /* of the view */
    qn_estimator *estimator;
    double threshold;
    double *scores;
    int64_t n_outliers, n_top;
    int32_t *order;  /* rows, the least score first */
    double *savings; /* per feature of the view */
    double *shares;  /* per column of the schema */
};

static qn_status no_memory(qn_error *err)
{
    return qn_fail(err, QN_ERR_NOMEM, "no memory for the outliers");
}

static void release(struct detection *d)
{
    qn_estimator_free(d->estimator);
    qn_unlabelled_release(&d->table);
    qn_free(d->scores);
    qn_free(d->order);
    qn_free(d->savings);
    qn_free(d->shares);
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
    QN_TRY(qn_unlabelled_load(&table, &d->table, err));
    int64_t n, n_dense;
    d->features = qn_recipe_features(d->table.recipe, QN_VIEW_TREE, &n, &n_dense);
    if (n_dense > 0) return QN_OK;
    return qn_fail(err, QN_ERR_DATA, "%s: no column has two values that rows share: nothing to cut",
                   request->table);
}

static qn_status score(struct detection *d, qn_error *err)
{
    const qn_isolation_request forest = {.features = &d->table.view,
                                         .described = d->features,
                                         .n_estimators = d->request->n_estimators,
                                         .max_samples = d->request->max_samples,
                                         .seed = d->seed,
                                         .pool = d->pool,
                                         .stop = &d->stop};
    QN_TRY(qn_isolation_fit(&forest, &d->estimator, err));
    const int64_t n = d->table.view.n_rows;
    d->scores = qn_alloc_aligned(n, sizeof *d->scores);
    d->order = qn_alloc_array(n, sizeof *d->order);
    if (!d->scores || !d->order) return no_memory(err);
    QN_TRY(qn_estimator_predict(d->estimator, &d->table.view, d->pool, d->scores, err));
    return qn_sort_order(d->scores, n, d->order) ? QN_OK : no_memory(err);
}

static qn_status settle_threshold(struct detection *d, qn_error *err)
{
    const int64_t n = d->table.view.n_rows;
    d->threshold = threshold_auto;
    if (d->request->contamination > 0) {
        double *sorted = qn_alloc_aligned(n, sizeof *sorted);
        if (!sorted) return no_memory(err);
        memcpy(sorted, d->scores, (size_t)n * sizeof *sorted);
        const qn_status status =
            qn_isolation_threshold(sorted, n, d->request->contamination, &d->threshold, err);
        qn_free(sorted);
        QN_TRY(status);
    }
    for (int64_t i = 0; i < n; i++) {
        d->n_outliers += d->scores[i] >= d->threshold;
    }
    return QN_OK;
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
                                         .threshold = d->threshold};
    return qn_unlabelled_write(&d->table, &bundle, d->estimator, err);
}

/* Of what the columns that isolate a row save, the share of each; all 0 where none does. */
static void find_shares(struct detection *d, int64_t row)
{
    const qn_schema *schema = d->table.schema;
    double total = 0;
    qn_isolation_savings(d->estimator, &d->table.view, row, d->savings);
    memset(d->shares, 0, (size_t)schema->n_cols * sizeof *d->shares);
    for (int64_t f = 0; f < d->table.view.n_dense; f++) {
        d->shares[qn_schema_feature(schema, d->features[f].input)] += d->savings[f];
    }
    for (int64_t col = 0; col < schema->n_cols; col++) {
        if (d->shares[col] < 0) d->shares[col] = 0;
        total += d->shares[col];
    }
    for (int64_t col = 0; total > 0 && col < schema->n_cols; col++) {
        d->shares[col] /= total;
    }
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
    find_shares(d, row);
    qn_json_key(json, "columns");
    qn_json_begin_array(json);
    for (int told = 0; told < COLUMNS_TOLD; told++) {
        int64_t best = 0;
        for (int64_t col = 1; col < schema->n_cols; col++) {
            if (d->shares[col] > d->shares[best]) best = col;
        }
        if (!(d->shares[best] > 0)) break;
        qn_json_begin_object(json);
        qn_json_put_text(json, "column", schema->columns[best].name);
        write_value(&d->table.frame->columns[best], row, json);
        qn_json_put_double(json, "share", d->shares[best]);
        qn_json_end_object(json);
        d->shares[best] = 0;
    }
    qn_json_end_array(json);
}

static void write_top(struct detection *d, qn_json_writer *json)
{
    const int64_t n = d->table.view.n_rows;
    int64_t end = n;
    qn_json_key(json, "top");
    qn_json_begin_array(json);
    for (int64_t told = 0; told < d->n_top && end > 0;) {
        int64_t first = end - 1; /* rows of the same score: in the order of the table */
        while (first > 0 && d->scores[d->order[first - 1]] == d->scores[d->order[first]]) {
            first--;
        }
        for (int64_t i = first; i < end && told < d->n_top; i++, told++) {
            const int64_t row = d->order[i];
            qn_json_begin_object(json);
            qn_json_put_int(json, "row", row + 1);
            qn_json_put_double(json, "score", d->scores[row]);
            qn_json_put_bool(json, "outlier", d->scores[row] >= d->threshold);
            write_columns(d, row, json);
            qn_json_end_object(json);
        }
        end = first;
    }
    qn_json_end_array(json);
}

static qn_status write_json(struct detection *d, char **out, qn_error *err)
{
    qn_str text = {0};
    qn_json_writer json = {.out = &text, .indent = true};
    d->savings = qn_alloc_array(d->table.view.n_dense, sizeof *d->savings);
    d->shares = qn_alloc_array(d->table.schema->n_cols, sizeof *d->shares);
    if (!d->savings || !d->shares) return no_memory(err);
    qn_json_begin_object(&json);
    qn_json_put_text(&json, "table", d->request->table);
    qn_json_put_text(&json, "model", d->request->model);
    qn_json_put_int(&json, "rows", d->table.view.n_rows);
    qn_json_put_int(&json, "columns", qn_schema_n_features(d->table.schema));
    qn_json_put_int(&json, "outliers", d->n_outliers);
    qn_json_put_double(&json, "threshold", d->threshold);
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
    QN_TRY(settle_threshold(d, err));
    QN_TRY(write_bundle(d, err));
    QN_TRY(write_json(d, &result->json, err));
    result->n_rows = d->table.view.n_rows;
    result->n_outliers = d->n_outliers;
    result->threshold = d->threshold;
    result->interrupted = qn_stop_requested(&d->stop);
    result->scores = d->scores;
    d->scores = NULL;
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
