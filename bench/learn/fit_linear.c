/* SPDX-License-Identifier: Apache-2.0 */
/* Fits one learner to a matrix that linear_speed.py wrote, and writes the coefficients:
 *
 *     fit_linear MATRIX N_THREADS LEARNER PARAMS OUT
 *
 * Prints the seconds that the fit took, and the processor's of all threads. LEARNER is a learner of
 * the dense view whose model is linear; or hinge or squared_hinge with PARAMS "C=…": the machine
 * itself, without Platt's scaling. MATRIX: int64 rows, dense columns, sparse columns, values,
 * classes (0: numbers); then float64 targets, dense columns one by one; int64 starts, int32
 * columns, float32 values. OUT: float64 coefficients, output by output, then intercepts. */
#include "base/alloc.h"
#include "base/clock.h"
#include "base/file.h"
#include "learn/learner.h"
#include "learn/linear/glm.h"
#include "model/linear_model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static int fail(const char *message)
{
    fprintf(stderr, "fit_linear: %s\n", message);
    return 1;
}

static void *take(const uint8_t **at, int64_t count, size_t bytes)
{
    void *here = (void *)(uintptr_t)*at;
    *at += (size_t)count * bytes;
    return here;
}

static void print_seconds(double begun_s, clock_t begun)
{
    printf("%.6f %.6f\n", qn_clock_s() - begun_s, (double)(clock() - begun) / CLOCKS_PER_SEC);
}

static qn_dataset dataset_of(const uint8_t *at)
{
    const int64_t *head = take(&at, 5, sizeof *head), n = head[0];
    qn_dataset data = {.task = head[4] == 0   ? QN_TASK_REGRESSION
                               : head[4] == 2 ? QN_TASK_BINARY
                                              : QN_TASK_MULTICLASS,
                       .n_classes = (int32_t)head[4],
                       .n_outputs = head[4] > 2 ? (int32_t)head[4] : 1};
    qn_matrix *x = &data.train.views[QN_VIEW_DENSE];
    *x = (qn_matrix){.n_rows = n, .n_dense = head[1], .n_sparse = head[2], .stride = n};
    data.train.n_rows = n;
    data.train.target = take(&at, n, sizeof(double));
    x->dense = take(&at, n * head[1], sizeof(double));
    x->sparse_starts = take(&at, n + 1, sizeof(int64_t));
    x->sparse_cols = take(&at, head[3], sizeof(int32_t));
    x->sparse_values = take(&at, head[3], sizeof(float));
    data.n_dense[QN_VIEW_DENSE] = head[1];
    data.n_features[QN_VIEW_DENSE] = head[1] + head[2];
    return data;
}

static int write_terms(const char *path, const double *coefficients, int64_t n,
                       const double *intercepts, int64_t k)
{
    FILE *file = fopen(path, "wb");
    if (!file) return fail("cannot write the coefficients");
    fwrite(coefficients, sizeof(double), (size_t)n, file);
    fwrite(intercepts, sizeof(double), (size_t)k, file);
    return fclose(file) == 0 ? 0 : fail("cannot write the coefficients");
}

static int fit_learner(const qn_dataset *data, const char *name, const char *text, qn_pool *pool,
                       const char *out)
{
    qn_error err = {0};
    qn_learn_result result = {0};
    qn_linear_terms terms;
    const qn_learner *learner = qn_learner_find(name);
    if (!learner) return fail("there is no such learner");
    void *params = calloc(1, learner->params_bytes + 1);
    qn_params_init(learner, params);
    if (qn_params_set(learner, params, text, &err) != QN_OK) return fail(err.message);
    const qn_learn_request request = {.data = data, .params = params, .seed = 1, .pool = pool};
    const double begun_s = qn_clock_s();
    const clock_t begun = clock();
    if (learner->fit(&request, &result, &err) != QN_OK) return fail(err.message);
    print_seconds(begun_s, begun);
    if (!qn_linear_terms_of(result.estimator, &terms)) return fail("the model is not linear");
    const int status =
        write_terms(out, terms.coefficients, data->n_outputs * data->n_features[QN_VIEW_DENSE],
                    terms.intercepts, data->n_outputs);
    qn_estimator_free(result.estimator);
    free(params);
    return status;
}

static int fit_hinge(const qn_dataset *data, qn_glm_loss loss, double cost, qn_pool *pool,
                     const char *out)
{
    qn_error err = {0};
    qn_design design;
    const double begun_s = qn_clock_s();
    const clock_t begun = clock();
    if (qn_design_init(&design, &data->train.views[QN_VIEW_DENSE], &err) != QN_OK) {
        return fail(err.message);
    }
    qn_glm glm = {.design = &design,
                  .target = data->train.target,
                  .total = (double)design.n_rows,
                  .loss = loss,
                  .n_outputs = 1,
                  .penalty = 1 / (cost * (double)design.n_rows),
                  .penalises_intercept = true,
                  .max_iter = 100000,
                  .tol = 1e-7,
                  .seed = 1,
                  .pool = pool};
    int64_t n_iterations;
    double *point = calloc((size_t)design.n_cols, sizeof *point), intercept;
    double *coefficients = calloc((size_t)design.n_cols, sizeof *coefficients);
    if (qn_glm_minimise(&glm, point, &n_iterations, &err) != QN_OK) return fail(err.message);
    qn_design_unpack(&design, point, coefficients, &intercept);
    print_seconds(begun_s, begun);
    const int status =
        write_terms(out, coefficients, data->n_features[QN_VIEW_DENSE], &intercept, 1);
    free(point);
    free(coefficients);
    qn_design_release(&design);
    return status;
}

int main(int argc, char **argv)
{
    qn_error err = {0};
    qn_file_map map;
    if (argc != 6) return fail("usage: fit_linear MATRIX N_THREADS LEARNER PARAMS OUT");
    if (qn_file_map_open(argv[1], &map, &err) != QN_OK) return fail(err.message);
    const qn_dataset data = dataset_of(map.data);
    qn_pool *pool = qn_pool_create(atoi(argv[2]));
    const bool hinge = strcmp(argv[3], "hinge") == 0;
    int status;
    if (hinge || strcmp(argv[3], "squared_hinge") == 0) {
        status = fit_hinge(&data, hinge ? QN_GLM_HINGE : QN_GLM_SQUARED_HINGE,
                           strtod(argv[4] + 2, NULL), pool, argv[5]);
    } else {
        status = fit_learner(&data, argv[3], argv[4], pool, argv[5]);
    }
    qn_pool_free(pool);
    qn_file_unmap(&map);
    return status;
}
