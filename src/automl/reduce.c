/* SPDX-License-Identifier: Apache-2.0 */
/* qn_reduce(): a table's rows on their principal components or singular vectors. Values are what
 * the model gives for the rows, so that a bundle gives the same for them. */
#include "quern/reduce.h"

#include "automl/unlabelled.h"
#include "base/alloc.h"
#include "model/projection_model.h"
#include "recipe/reduce/decompose.h"

#include <math.h>
#include <string.h>

enum { FEATURES_TOLD = 3 }; /* of each component, those that weigh most */
static const double share_default = 0.95;

struct reduction {
    const qn_reduce_request *request;
    uint64_t seed;
    qn_pool *pool;
    qn_stop stop;
    qn_unlabelled table;
    bool centre;
    qn_decomposition found;
    qn_estimator *estimator;
};

static qn_status no_memory(qn_error *err)
{
    return qn_fail(err, QN_ERR_NOMEM, "no memory for the components");
}

static void release(struct reduction *r)
{
    qn_estimator_free(r->estimator);
    qn_decomposition_release(&r->found);
    qn_unlabelled_release(&r->table);
    qn_pool_free(r->pool);
}

static qn_status choose_method(struct reduction *r, qn_error *err)
{
    const char *method = r->request->method;
    if (!method) {
        r->centre = r->table.view.n_sparse == 0;
        return QN_OK;
    }
    r->centre = strcmp(method, "pca") == 0;
    if (r->centre || strcmp(method, "svd") == 0) return QN_OK;
    return qn_fail(err, QN_ERR_ARG, "--method %s: expected pca or svd", method);
}

static qn_status load(struct reduction *r, qn_error *err)
{
    const qn_reduce_request *request = r->request;
    if (request->n_components < 0 || request->n_components > QN_COMPONENTS_MAX ||
        !(request->share >= 0 && request->share <= 1)) {
        return qn_fail(err, QN_ERR_ARG,
                       "--components: expected 1 to %d, or a share of variance below 1",
                       QN_COMPONENTS_MAX);
    }
    r->pool = qn_pool_create((int)request->n_threads);
    if (!r->pool) return no_memory(err);
    const qn_unlabelled_request table = {.table = request->table,
                                         .drop = request->drop,
                                         .id = request->id,
                                         .kinds = request->kinds,
                                         .pool = r->pool,
                                         .stop = &r->stop};
    QN_TRY(qn_unlabelled_load(&table, &r->table, err));
    return choose_method(r, err);
}

static qn_status decompose(struct reduction *r, qn_error *err)
{
    const qn_decompose_request request = {.rows = &r->table.view,
                                          .centre = r->centre,
                                          .n_components = (int32_t)r->request->n_components,
                                          .share = r->request->share > 0 ? r->request->share
                                                                         : share_default,
                                          .seed = r->seed,
                                          .stop = &r->stop,
                                          .pool = r->pool};
    const qn_status status = qn_decompose(&request, &r->found, err);
    if (status == QN_ERR_DATA) return qn_fail_context(err, status, "%s", r->request->table);
    QN_TRY(status);
    return qn_projection_create(r->found.components, r->found.means, r->found.n_components,
                                r->found.n_features, &r->estimator, err);
}

static qn_status write_bundle(struct reduction *r, qn_error *err)
{
    r->table.schema->task = QN_TASK_REDUCTION;
    r->table.schema->n_components = r->found.n_components;
    if (!r->request->model) return QN_OK;
    const qn_unlabelled_bundle bundle = {.path = r->request->model,
                                         .command = r->request->command,
                                         .table = r->request->table,
                                         .name = r->centre ? "pca" : "svd",
                                         .seed = (int64_t)r->seed};
    return qn_unlabelled_write(&r->table, &bundle, r->estimator, err);
}

/* The features of the largest loadings, the largest first. Words have no names: they are left out.
 */
static void write_loadings(const struct reduction *r, int32_t component, qn_json_writer *json)
{
    int64_t n, n_dense, told[FEATURES_TOLD], n_told = 0;
    const qn_feature *features = qn_recipe_features(r->table.recipe, QN_VIEW_DENSE, &n, &n_dense);
    const double *v = r->found.components + component * r->found.n_features;
    for (int64_t f = 0; f < n_dense; f++) {
        int64_t at = n_told < FEATURES_TOLD ? n_told++ : FEATURES_TOLD;
        for (; at > 0 && fabs(v[f]) > fabs(v[told[at - 1]]); at--) {
            if (at < FEATURES_TOLD) told[at] = told[at - 1];
        }
        if (at < FEATURES_TOLD) told[at] = f;
    }
    qn_json_key(json, "features");
    qn_json_begin_object(json);
    for (int64_t i = 0; i < n_told; i++) {
        qn_json_put_double(json, features[told[i]].name, v[told[i]]);
    }
    qn_json_end_object(json);
}

static qn_status write_json(const struct reduction *r, char **out, qn_error *err)
{
    qn_str text = {0};
    qn_json_writer json = {.out = &text, .indent = true};
    const qn_decomposition *found = &r->found;
    double sum = 0;
    for (int32_t i = 0; i < found->n_components; i++) {
        sum += found->variance[i];
    }
    qn_json_begin_object(&json);
    qn_json_put_text(&json, "table", r->request->table);
    qn_json_put_text(&json, "model", r->request->model);
    qn_json_put_int(&json, "rows", r->table.view.n_rows);
    qn_json_put_int(&json, "columns", qn_schema_n_features(r->table.schema));
    qn_json_put_int(&json, "features", found->n_features);
    qn_json_put_text(&json, "method", r->centre ? "pca" : "svd");
    qn_json_put_bool(&json, "exact", found->exact);
    qn_json_put_double(&json, "total_variance", found->total_variance);
    qn_json_put_double(&json, "explained", sum / found->total_variance);
    qn_json_key(&json, "components");
    qn_json_begin_array(&json);
    for (int32_t i = 0; i < found->n_components; i++) {
        qn_json_begin_object(&json);
        qn_json_put_double(&json, "singular_value", found->singular[i]);
        qn_json_put_double(&json, "variance", found->variance[i]);
        qn_json_put_double(&json, "explained", found->variance[i] / found->total_variance);
        write_loadings(r, i, &json);
        qn_json_end_object(&json);
    }
    qn_json_end_array(&json);
    qn_json_put_int(&json, "seed", (int64_t)r->seed);
    qn_json_end_object(&json);
    *out = qn_str_take_text(&text);
    return *out ? QN_OK : no_memory(err);
}

static qn_status run(struct reduction *r, qn_reduce_result *result, qn_error *err)
{
    QN_TRY(load(r, err));
    QN_TRY(decompose(r, err));
    QN_TRY(write_bundle(r, err));
    result->n_rows = r->table.view.n_rows;
    result->n_components = r->found.n_components;
    result->values =
        qn_alloc_aligned(result->n_rows * result->n_components, sizeof *result->values);
    if (!result->values) return no_memory(err);
    QN_TRY(qn_estimator_predict(r->estimator, &r->table.view, r->pool, result->values, err));
    return write_json(r, &result->json, err);
}

qn_status qn_reduce(const qn_reduce_request *request, qn_reduce_result *result, qn_error *err)
{
    *result = (qn_reduce_result){0};
    struct reduction r = {.request = request,
                          .seed = request->seed ? (uint64_t)request->seed : 1,
                          .stop = {.interrupted = request->interrupted}};
    const qn_status status = run(&r, result, err);
    release(&r);
    if (status != QN_OK) qn_reduce_result_release(result);
    return status;
}

void qn_reduce_result_release(qn_reduce_result *result)
{
    qn_free(result->values);
    qn_free(result->json);
    *result = (qn_reduce_result){0};
}
