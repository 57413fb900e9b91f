/* SPDX-License-Identifier: Apache-2.0 */
#include "model/kmeans_model.h"

#include "base/alloc.h"
#include "recipe/project.h"

#include <math.h>
#include <string.h>

struct kmeans {
    qn_estimator head;
    int64_t n_dense;
    double centres[]; /* n_outputs × n_dense */
};

static qn_status no_memory(qn_error *err)
{
    return qn_fail(err, QN_ERR_NOMEM, "no memory for a model of clusters");
}

qn_status qn_kmeans_create(const double *centres, int32_t k, int64_t n_dense, qn_estimator **out,
                           qn_error *err)
{
    *out = NULL;
    const size_t bytes = (size_t)(k * n_dense) * sizeof *centres;
    struct kmeans *model = qn_alloc_array(1, sizeof *model + bytes);
    if (!model) return no_memory(err);
    model->head = (qn_estimator){
        .family = &qn_family_kmeans, .view = QN_VIEW_DENSE, .n_outputs = k, .n_dense = n_dense};
    model->n_dense = n_dense;
    memcpy(model->centres, centres, bytes);
    *out = &model->head;
    return QN_OK;
}

static void predict(const qn_estimator *estimator, const qn_matrix *features, double *out,
                    void *scratch)
{
    const struct kmeans *model = (const struct kmeans *)estimator;
    qn_centre_distances(model->centres, estimator->n_outputs, model->n_dense, features, out,
                        scratch);
}

static size_t scratch_bytes(const qn_estimator *estimator, int64_t n_rows)
{
    (void)estimator;
    return (size_t)n_rows * sizeof(double);
}

static void write_model(const qn_estimator *estimator, qn_writer *writer)
{
    const struct kmeans *model = (const struct kmeans *)estimator;
    qn_write_i64(writer, model->n_dense);
    qn_write_array(writer, model->centres, estimator->n_outputs * model->n_dense, sizeof(double));
}

static qn_status read_model(qn_reader *reader, int64_t n_features, qn_estimator **out,
                            qn_error *err)
{
    *out = NULL;
    const int64_t n_dense = qn_read_i64(reader);
    int64_t n;
    const double *centres = qn_read_array(reader, sizeof *centres, &n);
    bool sound = !reader->failed && n_dense >= 1 && n_dense <= n_features && n >= n_dense &&
                 n % n_dense == 0 && n / n_dense <= QN_CLASSES_MAX;
    for (int64_t i = 0; sound && i < n; i++) {
        sound = isfinite(centres[i]);
    }
    if (!sound) return qn_fail(err, QN_ERR_DATA, "model: a model of clusters is damaged");
    return qn_kmeans_create(centres, (int32_t)(n / n_dense), n_dense, out, err);
}

static void describe(const qn_estimator *estimator, qn_json_writer *json)
{
    qn_json_put_int(json, "clusters", estimator->n_outputs);
}

static void free_model(qn_estimator *estimator)
{
    qn_free(estimator);
}

const qn_family qn_family_kmeans = {.name = "kmeans",
                                    .predict = predict,
                                    .scratch_bytes = scratch_bytes,
                                    .write = write_model,
                                    .read = read_model,
                                    .describe = describe,
                                    .free = free_model};
