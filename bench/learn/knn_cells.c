/* SPDX-License-Identifier: Apache-2.0 */
/* Cells of k-NN against looking at all rows: seconds to make them, share of the nearest that they
 * find, and microseconds for a row alone.
 *
 *     knn_cells TABLE DROPPED THREADS METRIC NEIGHBOURS N_ROWS…
 *
 * Rows are those of the dense view that `quern cluster` makes of the table; 1,000 of them, at equal
 * steps, are asked for, and N_ROWS others at equal steps are the model's. One JSON line for each
 * N_ROWS; recall counts rows as near as the last of the nearest. */
#include "automl/unlabelled.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "learn/learner.h"
#include "model/knn_model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { N_POINTS = 1000 };

static int fail(const qn_error *err)
{
    fprintf(stderr, "%s\n", err->message);
    return 1;
}

/* The dense part of rows[0 … n). */
static qn_status pick(const qn_matrix *from, const int32_t *rows, int64_t n, qn_matrix *out,
                      qn_error *err)
{
    QN_TRY(qn_matrix_init(out, n, from->n_dense, err));
    for (int64_t f = 0; f < from->n_dense; f++) {
        for (int64_t i = 0; i < n; i++) {
            out->dense[f * out->stride + i] = from->dense[f * from->stride + rows[i]];
        }
    }
    return QN_OK;
}

struct figures {
    double fit_s, row_us, batch_us;
    double *distances; /* N_POINTS × k */
};

static qn_status measure(const qn_dataset *data, const qn_matrix *points, const char *params_text,
                         int32_t k, qn_pool *pool, struct figures *out, qn_error *err)
{
    const qn_learner *learner = qn_learner_find("knn");
    void *params = calloc(1, learner->params_bytes);
    qn_params_init(learner, params);
    QN_TRY(qn_params_set(learner, params, params_text, err));
    const qn_learn_request request = {.data = data, .params = params, .seed = 1, .pool = pool};
    qn_learn_result result;
    double begun = qn_clock_s(), value[N_POINTS];
    QN_TRY(learner->fit(&request, &result, err));
    out->fit_s = qn_clock_s() - begun;
    void *scratch =
        qn_alloc_aligned((int64_t)qn_estimator_scratch_bytes(result.estimator, N_POINTS), 1);
    float *x = calloc((size_t)points->n_dense, sizeof *x);
    begun = qn_clock_cpu_s();
    for (int64_t i = 0; i < N_POINTS; i++) {
        qn_matrix_gather(points, i, 1, points->n_dense, x);
        qn_knn_distances(result.estimator, x, 1, out->distances + i * k, scratch);
    }
    out->row_us = (qn_clock_cpu_s() - begun) * 1e6 / N_POINTS;
    begun = qn_clock_s();
    QN_TRY(qn_estimator_predict(result.estimator, points, pool, value, err));
    out->batch_us = (qn_clock_s() - begun) * 1e6 / N_POINTS;
    free(x);
    free(params);
    qn_free(scratch);
    qn_estimator_free(result.estimator);
    return QN_OK;
}

static int compare(const qn_matrix *all, int64_t n_rows, const char *metric, int32_t k,
                   qn_pool *pool)
{
    qn_error err = {0};
    const int64_t step = all->n_rows / N_POINTS;
    int32_t *rows = calloc((size_t)all->n_rows, sizeof *rows), chosen[N_POINTS];
    int64_t n_others = 0;
    for (int64_t i = 0; i < all->n_rows; i++) {
        if (i % step == 0 && i / step < N_POINTS) {
            chosen[i / step] = (int32_t)i;
        } else {
            rows[n_others++] = (int32_t)i;
        }
    }
    if (n_rows > n_others) n_rows = n_others;
    for (int64_t i = 0; i < n_rows; i++) {
        rows[i] = rows[i * n_others / n_rows];
    }
    qn_dataset data = {.task = QN_TASK_REGRESSION, .n_outputs = 1};
    qn_matrix points;
    data.n_dense[QN_VIEW_DENSE] = data.n_features[QN_VIEW_DENSE] = all->n_dense;
    data.train.n_rows = n_rows;
    data.train.target = calloc((size_t)n_rows, sizeof(double));
    struct figures figures[2];
    for (int i = 0; i < 2; i++) {
        figures[i].distances = calloc((size_t)(N_POINTS * k), sizeof(double));
    }
    if (pick(all, chosen, N_POINTS, &points, &err) != QN_OK ||
        pick(all, rows, n_rows, &data.train.views[QN_VIEW_DENSE], &err) != QN_OK) {
        return fail(&err);
    }
    for (int i = 0; i < 2; i++) {
        char params[128];
        snprintf(params, sizeof params,
                 "algorithm=%s,metric=%s,n_neighbors=%d,weights=uniform,max_rows=1000000000",
                 i == 0 ? "exact" : "cells", metric, k);
        if (measure(&data, &points, params, k, pool, &figures[i], &err) != QN_OK) {
            return fail(&err);
        }
    }
    int64_t n_found = 0;
    for (int64_t i = 0; i < N_POINTS * k; i++) {
        n_found += figures[1].distances[i] <= figures[0].distances[i / k * k + k - 1];
    }
    printf("{\"rows\": %lld, \"columns\": %lld, \"recall\": %.4f, \"fit_s\": %.3f, "
           "\"exact_fit_s\": %.3f, \"row_us\": %.1f, \"exact_row_us\": %.1f, \"batch_us\": %.1f, "
           "\"exact_batch_us\": %.1f}\n",
           (long long)n_rows, (long long)all->n_dense, (double)n_found / (N_POINTS * k),
           figures[1].fit_s, figures[0].fit_s, figures[1].row_us, figures[0].row_us,
           figures[1].batch_us, figures[0].batch_us);
    fflush(stdout);
    for (int i = 0; i < 2; i++) {
        free(figures[i].distances);
    }
    qn_matrix_release(&points);
    qn_matrix_release(&data.train.views[QN_VIEW_DENSE]);
    free(data.train.target);
    free(rows);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc < 7) {
        fprintf(stderr, "usage: knn_cells TABLE DROPPED THREADS METRIC NEIGHBOURS N_ROWS…\n");
        return 2;
    }
    qn_error err = {0};
    qn_unlabelled table;
    qn_pool *pool = qn_pool_create(atoi(argv[3]));
    const qn_unlabelled_request request = {
        .table = argv[1], .drop = *argv[2] ? argv[2] : NULL, .pool = pool};
    if (qn_unlabelled_load(&request, &table, &err) != QN_OK) return fail(&err);
    for (int i = 6; i < argc; i++) {
        if (compare(&table.view, atoll(argv[i]), argv[4], atoi(argv[5]), pool) != 0) return 1;
    }
    qn_unlabelled_release(&table);
    qn_pool_free(pool);
    return 0;
}
