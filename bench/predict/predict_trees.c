/* SPDX-License-Identifier: Apache-2.0 */
/* Times predictions of an imported model over rows of a binary file (doubles, row after row):
 *     predict_trees MODEL ROWS.f64 N_FEATURES THREADS ROUNDS [EXPLAINED VALUES.f64]
 * Prints a JSON line: seconds of a batch (median of the rounds), microseconds of one row (p50,
 * p99), and the sum of all predictions, to see that the work was done. With EXPLAINED, it times the
 * SHAP values of the first so many rows instead, and writes them, expected value last, to a file.
 */
#include "base/alloc.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/pool.h"
#include "explain/tree_shap.h"
#include "model/import_model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int by_value(const void *left, const void *right)
{
    const double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

static double quantile(double *values, int64_t n, double q)
{
    qsort(values, (size_t)n, sizeof *values, by_value);
    return values[(int64_t)(q * (double)(n - 1))];
}

static void fail(const char *message)
{
    fprintf(stderr, "%s\n", message);
    exit(1);
}

/* Rows become columns, as a recipe gives them. */
static qn_matrix read_rows(const char *path, int64_t n_features, double **rows)
{
    qn_file_map map;
    qn_error err = {0};
    qn_matrix out;
    if (qn_file_map_open(path, &map, &err) != QN_OK) fail(err.message);
    const int64_t n = (int64_t)(map.bytes / sizeof(double)) / n_features;
    *rows = qn_alloc_array(n * n_features, sizeof **rows);
    if (!*rows || qn_matrix_init(&out, n, n_features, &err) != QN_OK) fail("no memory");
    memcpy(*rows, map.data, (size_t)(n * n_features) * sizeof **rows);
    for (int64_t row = 0; row < n; row++) {
        for (int64_t f = 0; f < n_features; f++) {
            out.dense[f * out.stride + row] = (*rows)[row * n_features + f];
        }
    }
    qn_file_unmap(&map);
    return out;
}

static double time_batch(const qn_estimator *estimator, const qn_matrix *all, qn_pool *pool,
                         int rounds, double *out)
{
    double seconds[100];
    qn_error err = {0};
    for (int r = 0; r < rounds; r++) {
        const double begin = qn_clock_s();
        if (qn_estimator_predict(estimator, all, pool, out, &err) != QN_OK) fail(err.message);
        seconds[r] = qn_clock_s() - begin;
    }
    return quantile(seconds, rounds, 0.5);
}

static void time_rows(const qn_estimator *estimator, double *rows, int64_t n_rows,
                      int64_t n_features, double *p50, double *p99)
{
    const int64_t n = n_rows < 20000 ? n_rows : 20000;
    double *us = qn_alloc_array(n, sizeof *us);
    void *scratch = qn_alloc_aligned((int64_t)qn_estimator_scratch_bytes(estimator, 1) + 64, 1);
    double out[QN_CLASSES_MAX];
    for (int64_t row = 0; us && scratch && row < n; row++) {
        const qn_matrix one = {
            .n_rows = 1, .n_dense = n_features, .stride = 1, .dense = rows + row * n_features};
        const double begin = qn_clock_s();
        estimator->family->predict(estimator, &one, out, scratch);
        us[row] = (qn_clock_s() - begin) * 1e6;
    }
    *p50 = quantile(us, n, 0.5);
    *p99 = quantile(us, n, 0.99);
    qn_free(us);
    qn_free(scratch);
}

static void write_values(const char *path, const double *values, const double *expected,
                         int64_t n_lines, int64_t n_features)
{
    FILE *file = fopen(path, "wb");
    if (!file) fail("VALUES.f64 cannot be written");
    for (int64_t i = 0; i < n_lines; i++) {
        fwrite(values + i * n_features, sizeof *values, (size_t)n_features, file);
        fwrite(&expected[0], sizeof *values, 1, file);
    }
    fclose(file);
}

/* Of a model of one output. */
static void explain(const qn_estimator *estimator, const qn_matrix *all, int64_t n_rows,
                    qn_pool *pool, int rounds, const char *path)
{
    const qn_tree_model *model = qn_tree_model_of(estimator);
    qn_tree_shap *shap = NULL;
    qn_error err = {0};
    double seconds[100];
    qn_matrix rows = *all;
    rows.n_rows = n_rows;
    if (n_rows < 1 || n_rows > all->n_rows) fail("EXPLAINED is at most the number of rows");
    double *values = qn_alloc_array(n_rows * model->n_features, sizeof *values);
    if (!values || estimator->n_outputs != 1) fail("one output is explained");
    for (int r = 0; r < rounds; r++) {
        const double begin = qn_clock_s();
        qn_tree_shap_free(shap);
        if (qn_tree_shap_create(model, &shap, &err) != QN_OK ||
            qn_tree_shap_values(shap, &rows, pool, values, &err) != QN_OK) {
            fail(err.message);
        }
        seconds[r] = qn_clock_s() - begin;
    }
    write_values(path, values, qn_tree_shap_expected(shap), n_rows, model->n_features);
    printf("{\"shap_seconds\": %.6f, \"rows\": %lld}\n", quantile(seconds, rounds, 0.5),
           (long long)n_rows);
    qn_tree_shap_free(shap);
    qn_free(values);
}

static void predict(const qn_estimator *estimator, const qn_matrix *all, double *rows,
                    qn_pool *pool, int rounds)
{
    double p50, p99, sum = 0;
    const int64_t n_out = all->n_rows * estimator->n_outputs;
    double *out = qn_alloc_array(n_out, sizeof *out);
    if (!out) fail("no memory");
    const double seconds = time_batch(estimator, all, pool, rounds, out);
    time_rows(estimator, rows, all->n_rows, all->n_dense, &p50, &p99);
    for (int64_t i = 0; i < n_out; i++) {
        sum += out[i];
    }
    printf("{\"seconds\": %.6f, \"rows\": %lld, \"p50_us\": %.2f, \"p99_us\": %.2f, "
           "\"sum\": %.9g}\n",
           seconds, (long long)all->n_rows, p50, p99, sum);
    qn_free(out);
}

int main(int argc, char **argv)
{
    qn_error err = {0};
    qn_file_map map;
    qn_imported imported;
    double *rows;
    if (argc != 6 && argc != 8) {
        fail("usage: predict_trees MODEL ROWS.f64 N_FEATURES THREADS ROUNDS "
             "[EXPLAINED VALUES.f64]");
    }
    const int64_t n_features = atoll(argv[3]);
    const int rounds = atoi(argv[5]);
    if (rounds < 1 || rounds > 100 || n_features < 1) fail("ROUNDS is from 1 to 100");
    if (qn_file_map_open(argv[1], &map, &err) != QN_OK) fail(err.message);
    if (qn_import_model((const char *)map.data, map.bytes, argv[1], &imported, &err) != QN_OK) {
        fail(err.message);
    }
    if (n_features != imported.n_features) fail("the rows do not fit the model");
    qn_matrix all = read_rows(argv[2], n_features, &rows);
    qn_pool *pool = qn_pool_create(atoi(argv[4]));
    if (argc == 8) {
        explain(imported.estimator, &all, atoll(argv[6]), pool, rounds, argv[7]);
    } else {
        predict(imported.estimator, &all, rows, pool, rounds);
    }
    qn_free(rows);
    qn_matrix_release(&all);
    qn_pool_free(pool);
    qn_imported_release(&imported);
    qn_file_unmap(&map);
    return 0;
}
