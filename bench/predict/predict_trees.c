/* SPDX-License-Identifier: Apache-2.0 */
/* Times predictions of an imported model over rows of a binary file (doubles, row after row):
 *     predict_trees MODEL ROWS.f64 N_FEATURES THREADS ROUNDS
 * Prints a JSON line: seconds of a batch (median of the rounds), microseconds of one row (p50,
 * p99), and the sum of all predictions, to see that the work was done. */
#include "base/alloc.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/pool.h"
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

int main(int argc, char **argv)
{
    qn_error err = {0};
    qn_file_map map;
    qn_imported imported;
    double *rows, p50, p99, sum = 0;
    if (argc != 6) fail("usage: predict_trees MODEL ROWS.f64 N_FEATURES THREADS ROUNDS");
    const int64_t n_features = atoll(argv[3]);
    const int rounds = atoi(argv[5]);
    if (rounds < 1 || rounds > 100 || n_features < 1) fail("ROUNDS is from 1 to 100");
    if (qn_file_map_open(argv[1], &map, &err) != QN_OK) fail(err.message);
    if (qn_import_model((const char *)map.data, map.bytes, argv[1], &imported, &err) != QN_OK) {
        fail(err.message);
    }
    qn_matrix all = read_rows(argv[2], n_features, &rows);
    qn_pool *pool = qn_pool_create(atoi(argv[4]));
    const int64_t n_out = all.n_rows * imported.estimator->n_outputs;
    double *out = qn_alloc_array(n_out, sizeof *out);
    if (!out || n_features != imported.n_features) fail("the rows do not fit the model");
    const double seconds = time_batch(imported.estimator, &all, pool, rounds, out);
    time_rows(imported.estimator, rows, all.n_rows, n_features, &p50, &p99);
    for (int64_t i = 0; i < n_out; i++) {
        sum += out[i];
    }
    printf("{\"seconds\": %.6f, \"rows\": %lld, \"p50_us\": %.2f, \"p99_us\": %.2f, "
           "\"sum\": %.9g}\n",
           seconds, (long long)all.n_rows, p50, p99, sum);
    qn_free(out);
    qn_free(rows);
    qn_matrix_release(&all);
    qn_pool_free(pool);
    qn_imported_release(&imported);
    qn_file_unmap(&map);
    return 0;
}
