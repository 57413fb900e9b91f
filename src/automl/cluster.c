/* SPDX-License-Identifier: Apache-2.0 */
/* qn_cluster(): a table's rows by k-means, for each number of clusters asked for; the one with the
 * greatest silhouette is kept. Labels and distances are what the model predicts for the rows, so
 * that a bundle gives the same for them. */
#include "quern/cluster.h"

#include "automl/cluster_profile.h"
#include "automl/unlabelled.h"
#include "base/alloc.h"
#include "evaluate/silhouette.h"
#include "model/kmeans_model.h"
#include "recipe/cluster/kmeans.h"

#include <math.h>
#include <string.h>

enum { LOW = 2, HIGH = 10 };

/* One number of clusters, tried. */
struct candidate {
    int32_t k;
    double inertia, silhouette;
};

struct clustering {
    const qn_cluster_request *request;
    uint64_t seed;
    qn_pool *pool;
    qn_stop stop;
    qn_unlabelled table;
    int64_t n_rows;
    int32_t low, high, n_tried;
    struct candidate *tried; /* high - low + 1 */
    double total;            /* inertia of one cluster */
    double *outputs;         /* n_rows × k: distances of the one being tried */
    int32_t *labels;         /* n_rows: likewise */
    /* The best so far: */
    struct candidate best;
    double *centres;
};

static qn_status no_memory(qn_error *err)
{
    return qn_fail(err, QN_ERR_NOMEM, "no memory for the clusters");
}

static void release(struct clustering *c)
{
    qn_unlabelled_release(&c->table);
    qn_free(c->tried);
    qn_free(c->outputs);
    qn_free(c->labels);
    qn_free(c->centres);
    qn_pool_free(c->pool);
}

static qn_status settle_range(struct clustering *c, qn_error *err)
{
    const int64_t low = c->request->k_low, high = c->request->k_high;
    c->low = LOW;
    c->high = (int32_t)(c->n_rows - 1 < HIGH ? c->n_rows - 1 : HIGH);
    if (c->high < c->low) c->high = c->low;
    if (low == 0 && high == 0) return QN_OK;
    const int64_t most = c->n_rows < QN_CLUSTERS_MAX ? c->n_rows : QN_CLUSTERS_MAX;
    if (low < LOW || high < low || high > most) {
        return qn_fail(err, QN_ERR_ARG, "%s: %lld to %lld clusters of %lld rows: ask for 2 to %lld",
                       c->request->table, (long long)low, (long long)high, (long long)c->n_rows,
                       (long long)most);
    }
    c->low = (int32_t)low;
    c->high = (int32_t)high;
    return QN_OK;
}

static qn_status load(struct clustering *c, qn_error *err)
{
    const qn_cluster_request *request = c->request;
    c->pool = qn_pool_create((int)request->n_threads);
    if (!c->pool) return no_memory(err);
    const qn_unlabelled_request table = {.table = request->table,
                                         .drop = request->drop,
                                         .id = request->id,
                                         .weight = request->weight,
                                         .kinds = request->kinds,
                                         .pool = c->pool,
                                         .stop = &c->stop};
    QN_TRY(qn_unlabelled_load(&table, &c->table, err));
    c->n_rows = c->table.view.n_rows;
    if (c->table.view.n_dense == 0) {
        return qn_fail(err, QN_ERR_UNSUPPORTED,
                       "%s: there is nothing but text; 'quern reduce' makes numbers of it",
                       request->table);
    }
    QN_TRY(settle_range(c, err));
    c->tried = qn_alloc_array(c->high - c->low + 1, sizeof *c->tried);
    c->outputs = qn_alloc_aligned(c->n_rows * c->high, sizeof *c->outputs);
    c->labels = qn_alloc_array(c->n_rows, sizeof *c->labels);
    return c->tried && c->outputs && c->labels ? QN_OK : no_memory(err);
}

/* What the model says of every row: outputs and labels. */
static qn_status apply(struct clustering *c, const double *centres, int32_t k, qn_error *err)
{
    qn_estimator *estimator = NULL;
    QN_TRY(qn_kmeans_create(centres, k, c->table.view.n_dense, &estimator, err));
    const qn_status status =
        qn_estimator_predict(estimator, &c->table.view, c->pool, c->outputs, err);
    qn_estimator_free(estimator);
    for (int64_t i = 0; i < c->n_rows && status == QN_OK; i++) {
        const double *distances = c->outputs + i * k;
        c->labels[i] = 0;
        for (int32_t l = 1; l < k; l++) {
            if (distances[l] < distances[c->labels[i]]) c->labels[i] = l;
        }
    }
    return status;
}

static qn_status try_number(struct clustering *c, int32_t k, qn_error *err)
{
    const qn_kmeans_request request = {.rows = &c->table.view,
                                       .weights = c->table.weights,
                                       .k = k,
                                       .n_init = (int32_t)c->request->n_init,
                                       .mini_batch = c->request->mini_batch,
                                       .seed = c->seed,
                                       .stop = &c->stop,
                                       .pool = c->pool};
    qn_kmeans_result result;
    QN_TRY(qn_kmeans_fit(&request, &result, err));
    struct candidate *tried = &c->tried[c->n_tried++];
    *tried = (struct candidate){.k = k, .inertia = result.inertia};
    c->total = result.total;
    qn_status status = apply(c, result.centres, k, err);
    if (status == QN_OK) {
        status =
            qn_silhouette(&c->table.view, c->labels, k, c->seed, c->pool, &tried->silhouette, err);
    }
    if (status == QN_OK && (!c->centres || tried->silhouette > c->best.silhouette)) {
        qn_free(c->centres);
        c->centres = result.centres;
        c->best = *tried;
        result.centres = NULL;
    }
    qn_kmeans_result_release(&result);
    return status;
}

static qn_status try_all(struct clustering *c, qn_error *err)
{
    for (int32_t k = c->low; k <= c->high; k++) {
        if (qn_stop_requested(&c->stop)) break;
        QN_TRY(try_number(c, k, err));
    }
    return c->centres ? QN_OK
                      : qn_fail(err, QN_ERR_INTERRUPTED, "told to stop before any clusters");
}

static double weight_of(const struct clustering *c, int64_t row)
{
    return c->table.weights ? c->table.weights[row] : 1;
}

/* Numbers the clusters from the heaviest down. */
static qn_status order_clusters(struct clustering *c, qn_error *err)
{
    const int32_t k = c->best.k;
    const int64_t d = c->table.view.n_dense;
    double *weights = qn_alloc_array(k, sizeof *weights);
    double *ordered = qn_alloc_array(k * d, sizeof *ordered);
    qn_status status = weights && ordered ? apply(c, c->centres, k, err) : no_memory(err);
    for (int64_t i = 0; i < c->n_rows && status == QN_OK; i++) {
        weights[c->labels[i]] += weight_of(c, i);
    }
    for (int32_t place = 0; place < k && status == QN_OK; place++) {
        int32_t heaviest = 0;
        for (int32_t l = 1; l < k; l++) {
            if (weights[l] > weights[heaviest]) heaviest = l;
        }
        weights[heaviest] = -1;
        memcpy(ordered + place * d, c->centres + heaviest * d, (size_t)d * sizeof *ordered);
    }
    qn_free(weights);
    if (status != QN_OK) {
        qn_free(ordered);
        return status;
    }
    qn_free(c->centres);
    c->centres = ordered;
    return apply(c, c->centres, k, err);
}

static qn_status write_bundle(struct clustering *c, qn_error *err)
{
    qn_schema *schema = c->table.schema;
    const int32_t k = c->best.k;
    schema->task = QN_TASK_CLUSTERING;
    schema->classes = qn_alloc_array(k, sizeof *schema->classes);
    if (!schema->classes) return no_memory(err);
    for (int32_t l = 0; l < k; l++) {
        char text[QN_INT64_TEXT_BYTES];
        schema->classes[l] = qn_strndup(text, qn_format_int64(l + 1, text));
        if (!schema->classes[l]) return no_memory(err);
        schema->n_classes = l + 1;
    }
    if (!c->request->model) return QN_OK;
    qn_estimator *estimator = NULL;
    QN_TRY(qn_kmeans_create(c->centres, k, c->table.view.n_dense, &estimator, err));
    const qn_unlabelled_bundle bundle = {.path = c->request->model,
                                         .command = c->request->command,
                                         .table = c->request->table,
                                         .name = "kmeans",
                                         .seed = (int64_t)c->seed};
    const qn_status status = qn_unlabelled_write(&c->table, &bundle, estimator, err);
    qn_estimator_free(estimator);
    return status;
}

static double explained(const struct clustering *c, double inertia)
{
    return c->total > 0 ? 1 - inertia / c->total : 0;
}

/* Where inertia bends: the number farthest below the line between the first and the last
 * (Satopaa et al. 2011); 0 of fewer than three. */
static int32_t elbow_of(const struct clustering *c)
{
    int32_t elbow = 0;
    double most = 0;
    const struct candidate *first = &c->tried[0], *last = &c->tried[c->n_tried - 1];
    for (int32_t i = 1; i + 1 < c->n_tried; i++) {
        const double share = (double)(c->tried[i].k - first->k) / (last->k - first->k);
        const double line = first->inertia + share * (last->inertia - first->inertia);
        if (line - c->tried[i].inertia <= most) continue;
        most = line - c->tried[i].inertia;
        elbow = c->tried[i].k;
    }
    return elbow;
}

static void write_figures(const struct clustering *c, const struct candidate *candidate,
                          qn_json_writer *json)
{
    qn_json_put_int(json, "clusters", candidate->k);
    qn_json_put_double(json, "inertia", candidate->inertia);
    qn_json_put_double(json, "explained_variance", explained(c, candidate->inertia));
    qn_json_put_double(json, "silhouette", candidate->silhouette);
}

static qn_status write_sizes(const struct clustering *c, qn_json_writer *json, qn_error *err)
{
    const int32_t k = c->best.k;
    int64_t *rows = qn_alloc_array(k, sizeof *rows);
    double *weights = qn_alloc_array(k, sizeof *weights), total = 0;
    for (int64_t i = 0; rows && weights && i < c->n_rows; i++) {
        rows[c->labels[i]]++;
        weights[c->labels[i]] += weight_of(c, i);
        total += weight_of(c, i);
    }
    qn_json_key(json, "sizes");
    qn_json_begin_array(json);
    for (int32_t l = 0; rows && weights && l < k; l++) {
        qn_json_begin_object(json);
        qn_json_put_text(json, "cluster", c->table.schema->classes[l]);
        qn_json_put_int(json, "rows", rows[l]);
        qn_json_put_double(json, "share", weights[l] / total);
        qn_json_end_object(json);
    }
    qn_json_end_array(json);
    const bool complete = rows && weights;
    qn_free(rows);
    qn_free(weights);
    return complete ? QN_OK : no_memory(err);
}

static qn_status write_json(struct clustering *c, qn_cluster_result *result, qn_error *err)
{
    qn_str text = {0};
    qn_json_writer json = {.out = &text, .indent = true};
    qn_json_begin_object(&json);
    qn_json_put_text(&json, "table", c->request->table);
    qn_json_put_text(&json, "model", c->request->model);
    qn_json_put_int(&json, "rows", c->n_rows);
    qn_json_put_int(&json, "columns", qn_schema_n_features(c->table.schema));
    qn_json_put_int(&json, "features", c->table.view.n_dense);
    write_figures(c, &c->best, &json);
    qn_json_put_text(&json, "chosen_by", c->low == c->high ? "asked" : "silhouette");
    qn_json_key(&json, "candidates");
    qn_json_begin_array(&json);
    for (int32_t i = 0; i < c->n_tried; i++) {
        qn_json_begin_object(&json);
        write_figures(c, &c->tried[i], &json);
        qn_json_end_object(&json);
    }
    qn_json_end_array(&json);
    const int32_t elbow = elbow_of(c);
    qn_json_key(&json, "elbow");
    if (elbow > 0) {
        qn_json_int(&json, elbow);
    } else {
        qn_json_null(&json);
    }
    qn_status status = write_sizes(c, &json, err);
    qn_json_key(&json, "centres");
    if (status == QN_OK) {
        status = qn_cluster_profile_write(&c->table, c->labels, c->best.k, &json, err);
    }
    qn_json_put_int(&json, "seed", (int64_t)c->seed);
    qn_json_put_bool(&json, "interrupted", qn_stop_requested(&c->stop));
    qn_json_end_object(&json);
    result->json = status == QN_OK ? qn_str_take_text(&text) : NULL;
    qn_str_release(&text);
    return status != QN_OK || result->json ? status : no_memory(err);
}

static qn_status run(struct clustering *c, qn_cluster_result *result, qn_error *err)
{
    QN_TRY(load(c, err));
    QN_TRY(try_all(c, err));
    QN_TRY(order_clusters(c, err));
    QN_TRY(write_bundle(c, err));
    result->n_rows = c->n_rows;
    result->n_clusters = c->best.k;
    result->interrupted = qn_stop_requested(&c->stop);
    result->distances = qn_alloc_array(c->n_rows, sizeof *result->distances);
    if (!result->distances) return no_memory(err);
    for (int64_t i = 0; i < c->n_rows; i++) {
        result->distances[i] = c->outputs[i * c->best.k + c->labels[i]];
    }
    QN_TRY(write_json(c, result, err));
    result->labels = c->labels;
    c->labels = NULL;
    return QN_OK;
}

qn_status qn_cluster(const qn_cluster_request *request, qn_cluster_result *result, qn_error *err)
{
    *result = (qn_cluster_result){0};
    struct clustering c = {.request = request,
                           .seed = request->seed ? (uint64_t)request->seed : 1,
                           .stop = {.interrupted = request->interrupted}};
    const qn_status status = run(&c, result, err);
    release(&c);
    if (status != QN_OK) qn_cluster_result_release(result);
    return status;
}

void qn_cluster_result_release(qn_cluster_result *result)
{
    qn_free(result->labels);
    qn_free(result->distances);
    qn_free(result->json);
    *result = (qn_cluster_result){0};
}
