/* SPDX-License-Identifier: Apache-2.0 */
#include "explain/importance.h"

#include "base/alloc.h"
#include "base/rng.h"

#include <math.h>
#include <string.h>

enum { REPEATS_DEFAULT = 3, ROWS_DEFAULT = 2000, REPEATS_MAX = 16 };

struct job {
    const qn_importance_request *request;
    int64_t n_rows, n_features;
    int32_t n_repeats, n_outputs;
    qn_cell *cells; /* of all sampled rows: cells[feature * n_rows + row] */
    double *target, *weights;
    double base; /* score with nothing permuted */
    double *importance, *std_error;
    qn_status *statuses;
};

/* Predicts all sampled rows; feature `permuted` (or none, -1) takes its cells from order[row]. */
static qn_status score(const struct job *job, int64_t permuted, const int32_t *order, double *out)
{
    const qn_predictor *predictor = job->request->predictor;
    const int64_t n = job->n_rows;
    double *predicted = qn_alloc_array(n * job->n_outputs, sizeof *predicted);
    qn_cell *block = qn_alloc_array(job->n_features * QN_BLOCK_ROWS, sizeof *block);
    void *scratch =
        qn_alloc_aligned((int64_t)qn_predictor_scratch_bytes(predictor, QN_BLOCK_ROWS), 1);
    qn_status status = predicted && block && scratch ? QN_OK : QN_ERR_NOMEM;
    for (int64_t first = 0; status == QN_OK && first < n; first += QN_BLOCK_ROWS) {
        const int64_t rows = n - first < QN_BLOCK_ROWS ? n - first : QN_BLOCK_ROWS;
        if (qn_stop_requested(job->request->stop)) status = QN_ERR_INTERRUPTED;
        for (int64_t f = 0; f < job->n_features; f++) {
            for (int64_t i = 0; i < rows; i++) {
                const int64_t row = f == permuted ? order[first + i] : first + i;
                block[f * rows + i] = job->cells[f * n + row];
            }
        }
        if (status == QN_OK) {
            qn_predictor_predict(predictor, block, rows, predicted + first * job->n_outputs,
                                 scratch);
        }
    }
    if (status == QN_OK) {
        const qn_metric_input input = {.task = predictor->schema->task,
                                       .n_classes = predictor->schema->n_classes,
                                       .n_rows = n,
                                       .target = job->target,
                                       .predicted = predicted,
                                       .weights = job->weights,
                                       .threshold = predictor->threshold,
                                       .class_weights = predictor->class_weights};
        double value;
        status = job->request->metric->compute(&input, &value, NULL);
        *out = qn_metric_score(job->request->metric, value);
    }
    qn_free(predicted);
    qn_free(block);
    qn_free(scratch);
    return status;
}

static void permute_feature(void *context, int64_t f)
{
    struct job *job = context;
    double losses[REPEATS_MAX], mean = 0, squares = 0;
    job->statuses[f] = QN_ERR_INTERRUPTED;
    if (qn_stop_requested(job->request->stop)) return;
    int32_t *order = qn_alloc_array(job->n_rows, sizeof *order);
    job->statuses[f] = order ? QN_OK : QN_ERR_NOMEM;
    for (int32_t r = 0; r < job->n_repeats && job->statuses[f] == QN_OK; r++) {
        qn_rng rng;
        qn_rng_init(&rng, job->request->seed, (uint64_t)(f * REPEATS_MAX + r));
        for (int64_t i = 0; i < job->n_rows; i++) {
            order[i] = (int32_t)i;
        }
        qn_rng_shuffle(&rng, order, job->n_rows);
        double permuted = QN_NA;
        job->statuses[f] = score(job, f, order, &permuted);
        losses[r] = job->base - permuted;
        mean += losses[r] / job->n_repeats;
    }
    qn_free(order);
    if (job->statuses[f] != QN_OK) return;
    for (int32_t r = 0; r < job->n_repeats; r++) {
        squares += (losses[r] - mean) * (losses[r] - mean);
    }
    job->importance[f] = mean;
    if (job->n_repeats > 1) {
        job->std_error[f] = sqrt(squares / (job->n_repeats - 1) / job->n_repeats);
    }
}

static qn_status load_sample(struct job *job, int64_t n_all, char **texts, qn_error *err)
{
    const qn_importance_request *request = job->request;
    const int64_t n = job->n_rows;
    int32_t *chosen = qn_alloc_array(n_all, sizeof *chosen);
    int32_t *rows = qn_alloc_array(n, sizeof *rows);
    job->cells = qn_alloc_array(job->n_features * n, sizeof *job->cells);
    job->target = qn_alloc_array(n, sizeof *job->target);
    job->weights = qn_alloc_array(n, sizeof *job->weights);
    *texts = qn_alloc_array((int64_t)qn_binding_scratch_bytes(request->binding, n), 1);
    const bool complete = chosen && rows && job->cells && job->target && job->weights && *texts;
    if (complete) {
        qn_rng rng;
        qn_rng_init(&rng, request->seed, UINT64_MAX);
        for (int64_t i = 0; i < n_all; i++) {
            chosen[i] = (int32_t)i;
        }
        if (n < n_all) qn_rng_shuffle(&rng, chosen, n_all);
        for (int64_t i = 0; i < n; i++) {
            rows[i] = request->rows ? request->rows[chosen[i]] : chosen[i];
            job->target[i] = request->target[chosen[i]];
            job->weights[i] = request->weights ? request->weights[chosen[i]] : 1;
        }
        qn_binding_load(request->binding, rows, 0, n, job->cells, *texts);
    }
    qn_free(chosen);
    qn_free(rows);
    return complete ? QN_OK : qn_fail(err, QN_ERR_NOMEM, "no memory for importances");
}

static qn_status run(struct job *job, qn_error *err)
{
    qn_status status = score(job, -1, NULL, &job->base);
    if (status == QN_ERR_INTERRUPTED) return QN_OK; /* nothing reached: all QN_NA */
    if (status != QN_OK) return qn_fail(err, status, "no memory for importances");
    qn_pool_run(job->request->pool, job->n_features, permute_feature, job);
    for (int64_t f = 0; f < job->n_features; f++) {
        if (job->statuses[f] == QN_ERR_NOMEM) {
            return qn_fail(err, QN_ERR_NOMEM, "no memory for importances");
        }
    }
    return QN_OK;
}

qn_status qn_permutation_importance(const qn_importance_request *request, double *importance,
                                    double *std_error, qn_error *err)
{
    const int64_t n_most = request->n_rows_max > 0 ? request->n_rows_max : ROWS_DEFAULT;
    struct job job = {.request = request,
                      .n_rows = request->n_rows < n_most ? request->n_rows : n_most,
                      .n_features = qn_schema_n_features(request->predictor->schema),
                      .n_repeats = request->n_repeats > 0 ? request->n_repeats : REPEATS_DEFAULT,
                      .n_outputs = request->predictor->n_outputs,
                      .importance = importance,
                      .std_error = std_error};
    if (job.n_repeats > REPEATS_MAX) job.n_repeats = REPEATS_MAX;
    for (int64_t f = 0; f < job.n_features; f++) {
        importance[f] = std_error[f] = QN_NA;
    }
    char *texts = NULL;
    job.statuses = qn_alloc_array(job.n_features, sizeof *job.statuses);
    qn_status status = job.statuses ? load_sample(&job, request->n_rows, &texts, err)
                                    : qn_fail(err, QN_ERR_NOMEM, "no memory for importances");
    if (status == QN_OK) status = run(&job, err);
    qn_free(job.statuses);
    qn_free(job.cells);
    qn_free(job.target);
    qn_free(job.weights);
    qn_free(texts);
    return status;
}
