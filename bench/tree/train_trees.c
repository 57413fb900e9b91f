/* SPDX-License-Identifier: Apache-2.0 */
/* Trains boosted trees on a raw matrix and says how long that took: for run.py and accuracy.py
 * beside it.
 *
 *     train_trees MATRIX N_THREADS TASK N_CLASSES PARAMS [OUT]
 *
 * MATRIX: int64 rows, features, validation rows and test rows; int64 levels of each feature (0: a
 * number); the features' columns and the target as doubles, and with TASK ranking the queries'
 * numbers; validation rows, then test rows last. TASK: regression, binary, multiclass or ranking.
 * OUT: predictions of the test rows as doubles, row after row. */
#include "base/clock.h"
#include "base/file.h"
#include "base/pool.h"
#include "learn/learner.h"
#include "learn/tree/bins.h"
#include "learn/tree/tree_learners.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static int fail(const qn_error *err)
{
    fprintf(stderr, "%s\n", err->message);
    return 1;
}

static qn_matrix part_of(const double *data, int64_t n_all, int64_t first, int64_t n,
                         int64_t n_cols)
{
    return (qn_matrix){.dense = (double *)(uintptr_t)(data + first),
                       .stride = n_all,
                       .n_rows = n,
                       .n_dense = n_cols};
}

static qn_task task_of(const char *name)
{
    const qn_task tasks[] = {QN_TASK_BINARY, QN_TASK_MULTICLASS, QN_TASK_RANKING};
    for (int i = 0; i < 3; i++) {
        if (strcmp(name, qn_task_name(tasks[i])) == 0) return tasks[i];
    }
    return QN_TASK_REGRESSION;
}

/* Rows first … first + n - 1 of the matrix; `queries` NULL unless they are ranked. */
static qn_dataset_part rows_of(const double *data, const double *queries, int64_t n_all,
                               int64_t first, int64_t n, int64_t n_cols)
{
    qn_dataset_part part = {.n_rows = n,
                            .target = (double *)(uintptr_t)(data + n_all * n_cols + first)};
    part.views[QN_VIEW_TREE] = part_of(data, n_all, first, n, n_cols);
    if (queries) part.groups = calloc((size_t)n + 1, sizeof *part.groups);
    for (int64_t i = 0; part.groups && i < n; i++) {
        part.groups[i] = (int32_t)queries[first + i];
    }
    return part;
}

int main(int argc, char **argv)
{
    qn_error err = {0};
    qn_file_map map;
    if (argc < 6) return 2;
    if (qn_file_map_open(argv[1], &map, &err) != QN_OK) return fail(&err);
    const int64_t *head = (const int64_t *)(const void *)map.data;
    const int64_t n_all = head[0], n_features = head[1], n_valid = head[2], n_test = head[3];
    const int64_t n = n_all - n_valid - n_test;
    const double *data = (const double *)(const void *)(head + 4 + n_features);
    qn_pool *pool = qn_pool_create(atoi(argv[2]));
    qn_feature *features = calloc((size_t)n_features, sizeof *features);
    if (!pool || !features) return 1;
    for (int64_t f = 0; f < n_features; f++) {
        features[f].n_levels = (int32_t)head[4 + f];
        features[f].categorical = head[4 + f] > 0;
    }
    qn_dataset dataset = {.task = task_of(argv[3]), .n_classes = atoi(argv[4])};
    dataset.n_outputs = dataset.task == QN_TASK_MULTICLASS ? dataset.n_classes : 1;
    dataset.n_features[QN_VIEW_TREE] = dataset.n_dense[QN_VIEW_TREE] = n_features;
    dataset.features[QN_VIEW_TREE] = features;
    const double *queries =
        dataset.task == QN_TASK_RANKING ? data + n_all * (n_features + 1) : NULL;
    dataset.train = rows_of(data, queries, n_all, 0, n, n_features);
    dataset.valid = rows_of(data, queries, n_all, n, n_valid, n_features);
    const double begun = qn_clock_s();
    if (qn_bins_create(&dataset, 255, pool, &dataset.bins, &err) != QN_OK) return fail(&err);
    const double binned = qn_clock_s(), binned_cpu = (double)clock() / CLOCKS_PER_SEC;
    const qn_learner *learner = &qn_learner_gbdt;
    void *params = calloc(1, learner->params_bytes);
    qn_params_init(learner, params);
    if (qn_params_set(learner, params, argv[5], &err) != QN_OK) return fail(&err);
    const qn_learn_request request = {.data = &dataset, .params = params, .seed = 1, .pool = pool};
    qn_learn_result result;
    if (learner->fit(&request, &result, &err) != QN_OK) return fail(&err);
    const double trained = qn_clock_s(), trained_cpu = (double)clock() / CLOCKS_PER_SEC;
    const qn_matrix test = part_of(data, n_all, n + n_valid, n_test, n_features);
    double *out = calloc((size_t)(n_test * dataset.n_outputs) + 1, sizeof *out);
    if (qn_estimator_predict(result.estimator, &test, pool, out, &err) != QN_OK) return fail(&err);
    const double predicted = qn_clock_s();
    printf("{\"bin_s\": %.4f, \"train_s\": %.4f, \"train_cpu_s\": %.4f, \"predict_s\": %.4f, "
           "\"rounds\": %lld}\n",
           binned - begun, trained - binned, trained_cpu - binned_cpu, predicted - trained,
           (long long)result.n_rounds);
    if (argc > 6) {
        FILE *file = fopen(argv[6], "wb");
        if (!file) return 1;
        fwrite(out, sizeof *out, (size_t)(n_test * dataset.n_outputs), file);
        if (fclose(file) != 0) return 1;
    }
    free(out);
    free(params);
    free(result.importance);
    free(dataset.train.groups);
    free(dataset.valid.groups);
    qn_estimator_free(result.estimator);
    qn_bins_free(dataset.bins);
    free(features);
    qn_pool_free(pool);
    qn_file_unmap(&map);
    return 0;
}
