/* SPDX-License-Identifier: Apache-2.0 */
/* The table of families, and what all of them share. */
#include "model/additive_model.h"
#include "model/bayes_model.h"
#include "model/constant_model.h"
#include "model/gaussian_classes_model.h"
#include "model/gaussian_process_model.h"
#include "model/kmeans_model.h"
#include "model/knn_model.h"
#include "model/linear_model.h"
#include "model/mlp_model.h"
#include "model/projection_model.h"
#include "model/svm_model.h"
#include "model/tree_model.h"

#include "base/alloc.h"

#include <string.h>

/* One a line. */
/* clang-format off */
const qn_family *const qn_families[] = {
    &qn_family_constant,
    &qn_family_additive,
    &qn_family_bayes,
    &qn_family_gaussian_classes,
    &qn_family_gaussian_process,
    &qn_family_kmeans,
    &qn_family_knn,
    &qn_family_linear,
    &qn_family_mlp,
    &qn_family_projection,
    &qn_family_svm,
    &qn_family_trees,
    NULL,
};
/* clang-format on */

void qn_estimator_free(qn_estimator *estimator)
{
    if (estimator) estimator->family->free(estimator);
}

size_t qn_estimator_scratch_bytes(const qn_estimator *estimator, int64_t n_rows)
{
    return estimator->family->scratch_bytes ? estimator->family->scratch_bytes(estimator, n_rows)
                                            : 0;
}

struct prediction {
    int64_t block_rows;
    const qn_estimator *estimator;
    const qn_matrix *features;
    double *out;
    qn_status *statuses;
};

static void predict_block(void *context, int64_t block)
{
    struct prediction *p = context;
    const qn_matrix *all = p->features;
    const int64_t first = block * p->block_rows;
    qn_matrix part = *all;
    part.n_rows = all->n_rows - first < p->block_rows ? all->n_rows - first : p->block_rows;
    part.dense = all->dense + first;
    if (all->sparse_starts) part.sparse_starts = all->sparse_starts + first;
    const size_t bytes = qn_estimator_scratch_bytes(p->estimator, part.n_rows);
    void *scratch = bytes ? qn_alloc_aligned((int64_t)bytes, 1) : NULL;
    p->statuses[block] = bytes && !scratch ? QN_ERR_NOMEM : QN_OK;
    if (p->statuses[block] == QN_OK) {
        p->estimator->family->predict(p->estimator, &part, p->out + first * p->estimator->n_outputs,
                                      scratch);
    }
    qn_free(scratch);
}

enum { LARGE_BLOCK_ROWS = 8192 };

/* Large trees would be fetched again for every block: then there are but a few for each thread. */
static int64_t choose_block_rows(const qn_estimator *estimator, int64_t n_rows, const qn_pool *pool)
{
    const int64_t share = n_rows / (4 * qn_pool_n_threads(pool));
    if (!qn_tree_model_is_large(estimator) || share < QN_BLOCK_ROWS) return QN_BLOCK_ROWS;
    return share < LARGE_BLOCK_ROWS ? share : LARGE_BLOCK_ROWS;
}

qn_status qn_estimator_predict(const qn_estimator *estimator, const qn_matrix *features,
                               qn_pool *pool, double *out, qn_error *err)
{
    const int64_t block_rows = choose_block_rows(estimator, features->n_rows, pool);
    const int64_t n_blocks = (features->n_rows + block_rows - 1) / block_rows;
    struct prediction p = {block_rows, estimator, features, out,
                           qn_alloc_array(n_blocks, sizeof *p.statuses)};
    if (!p.statuses) return qn_fail(err, QN_ERR_NOMEM, "no memory to predict");
    qn_pool_run(pool, n_blocks, predict_block, &p);
    qn_status status = QN_OK;
    for (int64_t b = 0; b < n_blocks && status == QN_OK; b++) {
        if (p.statuses[b] != QN_OK) status = qn_fail(err, QN_ERR_NOMEM, "no memory to predict");
    }
    qn_free(p.statuses);
    return status;
}

qn_status qn_estimator_predict_std(const qn_estimator *estimator, const qn_matrix *features,
                                   double *out, qn_error *err)
{
    const qn_family *family = estimator->family;
    const size_t bytes = qn_estimator_scratch_bytes(estimator, features->n_rows);
    void *scratch = qn_alloc_aligned((int64_t)bytes, 1);
    if (!scratch) return qn_fail(err, QN_ERR_NOMEM, "no memory to predict");
    const bool known =
        family->predict_std && family->predict_std(estimator, features, out, scratch);
    qn_free(scratch);
    return known ? QN_OK
                 : qn_fail(err, QN_ERR_UNSUPPORTED,
                           "a model of the family '%s' has no standard deviations; a Gaussian "
                           "process fitted with return_std=true has",
                           family->name);
}

void qn_estimator_write(const qn_estimator *estimator, qn_writer *writer)
{
    qn_write_text(writer, estimator->family->name, strlen(estimator->family->name));
    qn_write_i32(writer, (int32_t)estimator->view);
    qn_write_i32(writer, estimator->n_outputs);
    estimator->family->write(estimator, writer);
}

qn_status qn_estimator_read(qn_reader *reader, const qn_recipe *recipe, int32_t n_outputs,
                            qn_estimator **out, qn_error *err)
{
    *out = NULL;
    size_t bytes;
    const char *name = qn_read_text(reader, &bytes);
    const int32_t view = qn_read_i32(reader), outputs = qn_read_i32(reader);
    const qn_family *family = NULL;
    for (int i = 0; qn_families[i]; i++) {
        if (strlen(qn_families[i]->name) == bytes &&
            memcmp(qn_families[i]->name, name, bytes) == 0) {
            family = qn_families[i];
        }
    }
    if (reader->failed || !family || view < 0 || view >= QN_N_VIEWS || outputs != n_outputs) {
        return qn_fail(err, QN_ERR_DATA, "model: an estimator is damaged");
    }
    int64_t n_features, n_dense;
    qn_recipe_features(recipe, (qn_view)view, &n_features, &n_dense);
    qn_estimator *estimator = NULL;
    QN_TRY(family->read(reader, view == QN_VIEW_TREE ? n_dense : n_features, &estimator, err));
    if (estimator->n_outputs != n_outputs ||
        (estimator->n_dense != 0 && estimator->n_dense != n_dense)) {
        family->free(estimator);
        return qn_fail(err, QN_ERR_DATA, "model: an estimator is damaged");
    }
    estimator->family = family;
    estimator->view = (qn_view)view;
    *out = estimator;
    return QN_OK;
}
