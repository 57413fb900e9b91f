/* SPDX-License-Identifier: Apache-2.0 */
#include "automl/fold.h"

#include "base/alloc.h"
#include "base/rng.h"
#include "learn/tree/bins.h"

#include <string.h>

enum { BINS_MAX = 255 };

void qn_fold_set_release(qn_fold_set *set)
{
    for (int32_t i = 0; set->folds && i < set->n_folds; i++) {
        qn_fold *fold = &set->folds[i];
        qn_dataset_release(&fold->data);
        qn_recipe_free(fold->recipe);
        qn_view_constraints_release(&fold->constraints);
        qn_free(fold->valid);
    }
    qn_free(set->folds);
    qn_free(set->reason);
    *set = (qn_fold_set){0};
}

/* Frame rows, or the numbers of their queries, at the given positions. */
static int32_t *numbers_at(const int32_t *numbers, const int32_t *positions, int64_t n)
{
    int32_t *out = qn_alloc_array(n, sizeof *out);
    for (int64_t i = 0; out && i < n; i++) {
        out[i] = numbers[positions[i]];
    }
    return out;
}

/* Weights get a mean of 1. */
static void normalise(qn_dataset_part *part)
{
    double sum = 0;
    for (int64_t i = 0; i < part->n_rows; i++) {
        sum += part->weights[i];
    }
    for (int64_t i = 0; sum > 0 && i < part->n_rows; i++) {
        part->weights[i] *= (double)part->n_rows / sum;
    }
}

/* Rows to train on must weigh something. */
static qn_status check_weights(const qn_dataset_part *part, int32_t number, qn_error *err)
{
    for (int64_t i = 0; part->weights && i < part->n_rows; i++) {
        if (part->weights[i] > 0) return QN_OK;
    }
    if (!part->weights) return QN_OK;
    return qn_fail(err, QN_ERR_DATA,
                   "all %" PRId64 " rows that train in fold %d weigh 0; give more rows a weight",
                   part->n_rows, (int)number + 1);
}

static qn_status gather_part(const qn_fold_request *request, const int32_t *rows, int64_t n_rows,
                             qn_dataset_part *part, qn_error *err)
{
    part->n_rows = n_rows;
    part->target = qn_alloc_array(n_rows, sizeof *part->target);
    if (!part->target) return qn_fail(err, QN_ERR_NOMEM, "no memory for the folds");
    for (int64_t i = 0; i < n_rows; i++) {
        part->target[i] = request->target[rows[i]];
    }
    if (request->groups) {
        part->groups = numbers_at(request->groups, rows, n_rows);
        if (!part->groups) return qn_fail(err, QN_ERR_NOMEM, "no memory for the folds");
    }
    if (!request->weights) return QN_OK;

    part->weights = qn_alloc_array(n_rows, sizeof *part->weights);
    if (!part->weights) return qn_fail(err, QN_ERR_NOMEM, "no memory for the folds");
    for (int64_t i = 0; i < n_rows; i++) {
        part->weights[i] = request->weights[rows[i]];
    }
    normalise(part);
    return QN_OK;
}

static qn_status clean(const qn_fold_request *request, uint64_t seed, int32_t *rows,
                       int64_t *n_rows, double **factors, qn_error *err)
{
    const qn_cleaning_request question = {.cleaning = request->cleaning,
                                          .frame = request->frame,
                                          .schema = request->schema,
                                          .target = request->target,
                                          .seed = seed,
                                          .pool = request->pool,
                                          .stop = request->stop};
    return qn_cleaning_apply(&question, rows, n_rows, factors, err);
}

static qn_status weigh_part(const double *factors, qn_dataset_part *part, qn_error *err)
{
    const bool weighted = part->weights != NULL;
    if (!weighted) part->weights = qn_alloc_array(part->n_rows, sizeof *part->weights);
    if (!part->weights) return qn_fail(err, QN_ERR_NOMEM, "no memory for the folds");
    for (int64_t i = 0; i < part->n_rows; i++) {
        part->weights[i] = weighted ? part->weights[i] * factors[i] : factors[i];
    }
    normalise(part);
    return QN_OK;
}

static qn_status fill_views(const qn_fold_request *request, qn_fold *fold, const int32_t *valid,
                            uint64_t seed, const int32_t *train, int64_t n_train, qn_error *err)
{
    qn_dataset *data = &fold->data;
    const qn_recipe_request recipe = {.frame = request->frame,
                                      .schema = request->schema,
                                      .rows = train,
                                      .n_rows = n_train,
                                      .target = request->target,
                                      .seed = seed,
                                      .skip_dense = request->skip_dense,
                                      .steps = request->steps,
                                      .pool = request->pool,
                                      .stop = request->stop};
    QN_TRY(qn_recipe_fit(&recipe, &fold->recipe, data->train.views, err));

    qn_binding *binding = NULL;
    QN_TRY(qn_binding_create(request->schema, request->frame, &binding, err));
    qn_status status = QN_OK;
    for (int view = 0; view < QN_N_VIEWS && status == QN_OK; view++) {
        data->features[view] = qn_recipe_features(fold->recipe, (qn_view)view,
                                                  &data->n_features[view], &data->n_dense[view]);
        if (view == QN_VIEW_DENSE && request->skip_dense) continue;
        status = qn_recipe_transform(fold->recipe, (qn_view)view, binding, valid, fold->n_valid,
                                     request->pool, &data->valid.views[view], err);
    }
    qn_binding_free(binding);
    return status;
}

static qn_status prepare(const qn_fold_request *request, const qn_folds *folds, int32_t number,
                         uint64_t seed, qn_fold *fold, qn_error *err)
{
    int32_t *positions = NULL, *train = NULL, *valid = NULL;
    int64_t n_train = 0;
    double *factors = NULL;
    qn_dataset *data = &fold->data;
    data->task = request->schema->task;
    data->n_classes = request->schema->n_classes;
    data->n_outputs = qn_schema_n_outputs(request->schema);

    qn_status status =
        qn_folds_rows(folds, request->n_rows, number, false, &positions, &n_train, err);
    if (status == QN_OK) {
        status =
            qn_folds_rows(folds, request->n_rows, number, true, &fold->valid, &fold->n_valid, err);
    }
    if (status == QN_OK) {
        train = numbers_at(request->rows, positions, n_train);
        valid = numbers_at(request->rows, fold->valid, fold->n_valid);
        if (!train || !valid) status = qn_fail(err, QN_ERR_NOMEM, "no memory for the folds");
    }
    if (status == QN_OK) status = clean(request, seed, train, &n_train, &factors, err);
    if (status == QN_OK) status = gather_part(request, train, n_train, &data->train, err);
    if (status == QN_OK && factors) status = weigh_part(factors, &data->train, err);
    if (status == QN_OK) status = check_weights(&data->train, number, err);
    if (status == QN_OK) status = gather_part(request, valid, fold->n_valid, &data->valid, err);
    if (status == QN_OK) status = fill_views(request, fold, valid, seed, train, n_train, err);
    if (status == QN_OK && request->constraints) {
        status = qn_constraints_apply(request->constraints, request->schema, data,
                                      &fold->constraints, err);
    }
    if (status == QN_OK) {
        status = qn_bins_create(data, BINS_MAX, request->pool, &data->bins, err);
        qn_matrix_release(&data->train.views[QN_VIEW_TREE]);
    }
    qn_free(factors);
    qn_free(positions);
    qn_free(train);
    qn_free(valid);
    return status;
}

struct preparation {
    const qn_fold_request *request;
    const qn_folds *rounds; /* one per round */
    qn_fold_set *set;
    qn_status *statuses; /* one per fold */
    qn_error *errors;
};

static void prepare_task(void *context, int64_t index)
{
    struct preparation *job = context;
    const int32_t per_round = job->set->n_folds / job->set->n_rounds;
    job->statuses[index] =
        prepare(job->request, &job->rounds[index / per_round], (int32_t)(index % per_round),
                qn_seed_child(job->request->seed, (uint64_t)index + 1000), &job->set->folds[index],
                &job->errors[index]);
}

/* A second round of folds halves the noise of small validation parts; from a few thousand rows on
 * other candidates are worth more. */
static int64_t default_rounds(const qn_fold_request *request, const qn_folds *first)
{
    if (first->n_folds < 2 || first->first_of || request->n_folds > 0) return 1;
    return request->n_rows <= 2000 ? 2 : 1;
}

static qn_status create_rounds(const qn_fold_request *request, qn_folds **out, int32_t *n_rounds,
                               qn_error *err)
{
    qn_split_request split = {.frame = request->frame,
                              .schema = request->schema,
                              .target = request->target,
                              .rows = request->rows,
                              .n_rows = request->n_rows,
                              .kind = request->kind,
                              .n_folds = request->n_folds,
                              .seed = request->seed};
    qn_folds first = {0};
    QN_TRY(qn_folds_create(&split, &first, err));
    *n_rounds =
        (int32_t)(request->n_rounds > 0 ? request->n_rounds : default_rounds(request, &first));
    qn_folds *rounds = qn_alloc_array(*n_rounds, sizeof *rounds);
    if (!rounds) {
        qn_folds_release(&first);
        return qn_fail(err, QN_ERR_NOMEM, "no memory for the folds");
    }
    rounds[0] = first;
    *out = rounds;
    for (int32_t i = 1; i < *n_rounds; i++) {
        split.seed = qn_seed_child(request->seed, (uint64_t)i);
        split.n_folds = first.n_folds;
        QN_TRY(qn_folds_create(&split, &rounds[i], err));
    }
    return QN_OK;
}

static qn_status prepare_all(const qn_fold_request *request, const qn_folds *rounds,
                             qn_fold_set *set, qn_error *err)
{
    struct preparation job = {.request = request, .rounds = rounds, .set = set};
    set->n_folds = set->n_rounds * rounds[0].n_folds;
    set->folds = qn_alloc_array(set->n_folds, sizeof *set->folds);
    set->reason = qn_strdup(rounds[0].reason ? rounds[0].reason : "");
    job.statuses = qn_alloc_array(set->n_folds, sizeof *job.statuses);
    job.errors = qn_alloc_array(set->n_folds, sizeof *job.errors);
    qn_status status = QN_OK;
    if (!set->folds || !set->reason || !job.statuses || !job.errors) {
        status = qn_fail(err, QN_ERR_NOMEM, "no memory for the folds");
    } else {
        qn_pool_run(request->pool, set->n_folds, prepare_task, &job);
    }
    for (int32_t i = 0; i < set->n_folds && status == QN_OK; i++) {
        status = job.statuses[i];
        if (status != QN_OK && err) *err = job.errors[i];
    }
    qn_free(job.statuses);
    qn_free(job.errors);
    return status;
}

qn_status qn_fold_set_create(const qn_fold_request *request, qn_fold_set *out, qn_error *err)
{
    *out = (qn_fold_set){0};
    qn_folds *rounds = NULL;
    qn_status status = create_rounds(request, &rounds, &out->n_rounds, err);
    if (status == QN_OK) status = prepare_all(request, rounds, out, err);
    for (int32_t i = 0; rounds && i < out->n_rounds; i++) {
        qn_folds_release(&rounds[i]);
    }
    qn_free(rounds);
    if (status != QN_OK) qn_fold_set_release(out);
    return status;
}
