/* SPDX-License-Identifier: Apache-2.0 */
/* Fits what speed.py beside it asks for to a matrix that it wrote:
 *
 *     fit_matrix MATRIX N_THREADS
 *
 * Every line "WHAT PARAMS OUT" of standard input is answered by one JSON line: seconds on the clock
 * and of all threads' processors that the fit and the predictions of the test rows took. PARAMS is
 * "name=value,…" or "-". OUT receives float64 values, after which the line's quality is judged:
 * coefficients, output by output, then intercepts, of linear models; predictions of the test rows;
 * or one number. WHAT is a learner, or
 *
 *     hinge, squared_hinge    PARAMS C=…: the machine itself, without Platt's scaling
 *     kmeans, mini_batch      PARAMS k=…: out is the inertia
 *     pca, svd                PARAMS n_components=…: out is the share of variance explained
 *     isolation_forest        predictions are the scores of all training rows
 *     products                PARAMS n=…: so many matrix products of 512 x 256 by 256 x 256, the
 *                             latter laid out anew each time: what networks are made of
 *
 * Bins, which learners of trees need, are made anew in every fit, as part of it.
 *
 * MATRIX: int64 training rows, test rows, dense columns, sparse columns, values of the training and
 * of the test rows, classes (0: numbers), view (0: that of trees, 1: dense); float64 targets of the
 * training rows, dense columns one by one of the training, then the test rows; int64 starts of
 * both; int32 columns and float32 values of both. */
#include "base/alloc.h"
#include "base/clock.h"
#include "base/file.h"
#include "learn/learner.h"
#include "learn/linear/glm.h"
#include "learn/tree/bins.h"
#include "learn/tree/isolation.h"
#include "linalg/gemm.h"
#include "model/linear_model.h"
#include "recipe/cluster/kmeans.h"
#include "recipe/reduce/decompose.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { BINS_MAX = 255 };

struct job {
    qn_dataset data; /* the test rows are no validation rows: nothing is chosen by them */
    qn_matrix test;
    qn_view view;
    qn_pool *pool;
    const char *what, *params;
    FILE *out;
    uint64_t seed;
    double clock_s, processor_s;        /* at the last lap */
    double seconds[2], processor_of[2]; /* of the fit and of the predictions */
};

static int fail(const char *message)
{
    fprintf(stderr, "fit_matrix: %s\n", message);
    return 1;
}

static double processor_s(void)
{
    return (double)clock() / CLOCKS_PER_SEC;
}

static void begin(struct job *job)
{
    job->clock_s = qn_clock_s();
    job->processor_s = processor_s();
}

/* Notes what has passed since the last lap as that of a phase: 0 the fit, 1 predictions. */
static void lap(struct job *job, int phase)
{
    const double now = qn_clock_s(), processor = processor_s();
    job->seconds[phase] = now - job->clock_s;
    job->processor_of[phase] = processor - job->processor_s;
    begin(job);
}

static void put(struct job *job, const double *values, int64_t n)
{
    fwrite(values, sizeof *values, (size_t)n, job->out);
}

static const void *take(const uint8_t **at, int64_t count, size_t bytes)
{
    const void *here = *at;
    *at += (size_t)count * bytes;
    return here;
}

/* The map is only read; matrices have no const members. */
static void *take_array(const uint8_t **at, int64_t count, size_t bytes)
{
    return (void *)(uintptr_t)take(at, count, bytes);
}

static qn_status describe_columns(struct job *job, int64_t n, qn_error *err)
{
    qn_feature *features = qn_alloc_array(n + 1, sizeof *features);
    static char name[] = "x";
    if (!features) return qn_fail(err, QN_ERR_NOMEM, "no memory for the columns");
    for (int64_t f = 0; f < n; f++) {
        features[f] = (qn_feature){.name = name, .input = (int32_t)f};
    }
    job->data.features[job->view] = features;
    return QN_OK;
}

static qn_status read_matrix(struct job *job, const uint8_t *at, qn_error *err)
{
    const int64_t *head = take(&at, 8, sizeof *head), n = head[0], n_test = head[1];
    job->view = head[7] ? QN_VIEW_DENSE : QN_VIEW_TREE;
    qn_dataset *data = &job->data;
    *data = (qn_dataset){.task = head[6] == 0   ? QN_TASK_REGRESSION
                                 : head[6] == 2 ? QN_TASK_BINARY
                                                : QN_TASK_MULTICLASS,
                         .n_classes = (int32_t)head[6],
                         .n_outputs = head[6] > 2 ? (int32_t)head[6] : 1};
    qn_matrix *x = &data->train.views[job->view], *test = &job->test;
    *x = (qn_matrix){.n_rows = n, .n_dense = head[2], .n_sparse = head[3], .stride = n};
    *test =
        (qn_matrix){.n_rows = n_test, .n_dense = head[2], .n_sparse = head[3], .stride = n_test};
    data->train.n_rows = n;
    data->train.target = take_array(&at, n, sizeof(double));
    x->dense = take_array(&at, n * head[2], sizeof(double));
    test->dense = take_array(&at, n_test * head[2], sizeof(double));
    x->sparse_starts = take_array(&at, n + 1, sizeof(int64_t));
    test->sparse_starts = take_array(&at, n_test + 1, sizeof(int64_t));
    x->sparse_cols = take_array(&at, head[4], sizeof(int32_t));
    test->sparse_cols = take_array(&at, head[5], sizeof(int32_t));
    x->sparse_values = take_array(&at, head[4], sizeof(float));
    test->sparse_values = take_array(&at, head[5], sizeof(float));
    data->n_dense[job->view] = head[2];
    data->n_features[job->view] = head[2] + head[3];
    return describe_columns(job, head[2] + head[3], err);
}

static qn_status predict(struct job *job, const qn_estimator *estimator, const qn_matrix *rows,
                         qn_error *err)
{
    const int64_t n = rows->n_rows * estimator->n_outputs;
    double *out = qn_alloc_aligned(n, sizeof *out);
    if (!out) return qn_fail(err, QN_ERR_NOMEM, "no memory for predictions");
    begin(job);
    const qn_status status = qn_estimator_predict(estimator, rows, job->pool, out, err);
    lap(job, 1);
    qn_linear_terms terms;
    if (status == QN_OK && qn_linear_terms_of(estimator, &terms)) {
        put(job, terms.coefficients, job->data.n_outputs * job->data.n_features[QN_VIEW_DENSE]);
        put(job, terms.intercepts, job->data.n_outputs);
    } else if (status == QN_OK) {
        put(job, out, n);
    }
    qn_free(out);
    return status;
}

static qn_status run_learner(struct job *job, qn_error *err)
{
    qn_learn_result result = {0};
    const qn_learner *learner;
    QN_TRY(qn_learner_require(job->what, &learner, err));
    if (learner->view != job->view) {
        return qn_fail(err, QN_ERR_ARG, "%s takes the other view", learner->name);
    }
    void *params = calloc(1, learner->params_bytes + 1);
    qn_params_init(learner, params);
    QN_TRY(qn_params_set(learner, params, job->params, err));
    const qn_learn_request request = {
        .data = &job->data, .params = params, .seed = job->seed, .pool = job->pool};
    begin(job);
    if (job->view == QN_VIEW_TREE) {
        QN_TRY(qn_bins_create(&job->data, BINS_MAX, job->pool, &job->data.bins, err));
    }
    QN_TRY(learner->fit(&request, &result, err));
    lap(job, 0);
    qn_bins_free(job->data.bins);
    job->data.bins = NULL;
    free(params);
    const qn_status status = predict(job, result.estimator, &job->test, err);
    qn_estimator_free(result.estimator);
    qn_free(result.importance);
    return status;
}

/* The number behind the equals sign. */
static double parameter(const struct job *job)
{
    const char *equals = strchr(job->params, '=');
    return equals ? strtod(equals + 1, NULL) : 0;
}

static qn_status run_hinge(struct job *job, qn_error *err)
{
    const bool squared = strcmp(job->what, "squared_hinge") == 0;
    qn_design design;
    int64_t n_iterations;
    begin(job);
    QN_TRY(qn_design_init(&design, &job->data.train.views[QN_VIEW_DENSE], job->pool, err));
    const int64_t n_features = job->data.n_features[QN_VIEW_DENSE];
    qn_glm glm = {.design = &design,
                  .target = job->data.train.target,
                  .total = (double)design.n_rows,
                  .loss = squared ? QN_GLM_SQUARED_HINGE : QN_GLM_HINGE,
                  .n_outputs = 1,
                  .penalty = 1 / (parameter(job) * (double)design.n_rows),
                  .penalises_intercept = true,
                  .max_iter = 100000,
                  .tol = 1e-6, /* of its counterparts, those within 1e-5 count */
                  .seed = job->seed,
                  .pool = job->pool};
    double *point = qn_alloc_array(design.n_cols + n_features + 1, sizeof *point);
    if (!point) return qn_fail(err, QN_ERR_NOMEM, "no memory for coefficients");
    double *terms = point + design.n_cols;
    QN_TRY(qn_glm_minimise(&glm, point, &n_iterations, err));
    qn_design_unpack(&design, point, terms, terms + n_features);
    lap(job, 0);
    put(job, terms, n_features + 1);
    qn_free(point);
    qn_design_release(&design);
    return QN_OK;
}

static qn_status run_kmeans(struct job *job, qn_error *err)
{
    const qn_kmeans_request request = {.rows = &job->data.train.views[QN_VIEW_DENSE],
                                       .k = (int32_t)parameter(job),
                                       .mini_batch = strcmp(job->what, "mini_batch") == 0,
                                       .seed = job->seed,
                                       .pool = job->pool};
    qn_kmeans_result result;
    begin(job);
    QN_TRY(qn_kmeans_fit(&request, &result, err));
    lap(job, 0);
    put(job, &result.inertia, 1);
    qn_kmeans_result_release(&result);
    return QN_OK;
}

static qn_status run_decomposition(struct job *job, qn_error *err)
{
    const qn_decompose_request request = {.rows = &job->data.train.views[QN_VIEW_DENSE],
                                          .centre = strcmp(job->what, "pca") == 0,
                                          .n_components = (int32_t)parameter(job),
                                          .seed = job->seed,
                                          .pool = job->pool};
    qn_decomposition result;
    double explained = 0;
    begin(job);
    QN_TRY(qn_decompose(&request, &result, err));
    lap(job, 0);
    for (int32_t i = 0; i < result.n_components; i++) {
        explained += result.variance[i] / result.total_variance;
    }
    put(job, &explained, 1);
    qn_decomposition_release(&result);
    return QN_OK;
}

static qn_status run_isolation(struct job *job, qn_error *err)
{
    const qn_matrix *rows = &job->data.train.views[QN_VIEW_TREE];
    const qn_isolation_request request = {.features = rows, .seed = job->seed, .pool = job->pool};
    qn_estimator *forest;
    begin(job);
    QN_TRY(qn_isolation_fit(&request, &forest, err));
    lap(job, 0);
    const qn_status status = predict(job, forest, rows, err);
    qn_estimator_free(forest);
    return status;
}

static qn_status run_products(struct job *job, qn_error *err)
{
    enum { M = 512, N = 256 };
    float *memory = qn_alloc_aligned(2 * M * N + 2 * N * N, sizeof *memory);
    if (!memory) return qn_fail(err, QN_ERR_NOMEM, "no memory for products");
    float *a = memory, *c = a + M * N, *b = c + M * N, *panels = b + N * N;
    for (int64_t i = 0; i < M * N; i++) {
        a[i] = (float)(i % 7) - 3;
        b[i % (N * N)] = (float)(i % 5) - 2;
    }
    const qn_gemm product = {.m = M,
                             .n = N,
                             .k = N,
                             .a = a,
                             .a_row_step = N,
                             .a_col_step = 1,
                             .panels = panels,
                             .c = c,
                             .c_row_step = N};
    begin(job);
    for (double left = parameter(job); left > 0; left--) {
        qn_panels_pack(b, N, 1, N, N, panels);
        qn_gemm_run(&product, job->pool);
    }
    lap(job, 0);
    const double first = (double)c[0];
    put(job, &first, 1);
    qn_free(memory);
    return QN_OK;
}

static const struct {
    const char *name;
    qn_status (*run)(struct job *job, qn_error *err);
} others[] = {{"hinge", run_hinge},
              {"squared_hinge", run_hinge},
              {"kmeans", run_kmeans},
              {"mini_batch", run_kmeans},
              {"pca", run_decomposition},
              {"svd", run_decomposition},
              {"isolation_forest", run_isolation},
              {"products", run_products},
              {NULL, run_learner}};

static qn_status answer(struct job *job, const char *out, qn_error *err)
{
    int i = 0;
    while (others[i].name && strcmp(others[i].name, job->what) != 0) {
        i++;
    }
    job->out = fopen(out, "wb");
    if (!job->out) return qn_fail(err, QN_ERR_IO, "cannot write '%s'", out);
    memset(job->seconds, 0, sizeof job->seconds);
    memset(job->processor_of, 0, sizeof job->processor_of);
    const qn_status status = others[i].run(job, err);
    if (fclose(job->out) != 0) return qn_fail(err, QN_ERR_IO, "cannot write '%s'", out);
    if (status != QN_OK) return status;
    printf("{\"fit_s\": [%.6f, %.6f], \"predict_s\": [%.6f, %.6f]}\n", job->seconds[0],
           job->processor_of[0], job->seconds[1], job->processor_of[1]);
    fflush(stdout);
    return QN_OK;
}

int main(int argc, char **argv)
{
    qn_error err = {0};
    qn_file_map map;
    struct job job = {0};
    char line[4096], what[64], params[2048], out[1024];
    if (argc != 3) return fail("usage: fit_matrix MATRIX N_THREADS");
    if (qn_file_map_open(argv[1], &map, &err) != QN_OK ||
        read_matrix(&job, map.data, &err) != QN_OK) {
        return fail(err.message);
    }
    job.pool = qn_pool_create(atoi(argv[2]));
    for (job.seed = 1; fgets(line, sizeof line, stdin); job.seed++) {
        if (sscanf(line, "%63s %2047s %1023s", what, params, out) != 3) {
            return fail("a line is WHAT PARAMS OUT");
        }
        job.what = what;
        job.params = strcmp(params, "-") == 0 ? "" : params;
        if (answer(&job, out, &err) != QN_OK) return fail(err.message);
    }
    qn_pool_free(job.pool);
    qn_free((void *)(uintptr_t)job.data.features[job.view]);
    qn_file_unmap(&map);
    return 0;
}
