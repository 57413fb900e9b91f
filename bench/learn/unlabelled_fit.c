/* SPDX-License-Identifier: Apache-2.0 */
/* k-means, principal components and truncated singular values of a table's dense view, for
 * unlabelled_speed.py beside it.
 *
 *     unlabelled_fit TABLE DROPPED THREADS dump FILE
 *     unlabelled_fit TABLE DROPPED THREADS kmeans|mini_batch|pca|svd NUMBER
 *
 * `dump` writes the view for the counterpart: n_rows, n_dense, n_sparse, entries as 64 bits, dense
 * columns, row starts (64 bits), columns (32), values (float). The others wait for a line on
 * standard input, fit once for each, and answer with one JSON line: wall seconds of the fit, and
 * inertia or explained variance. */
#include "automl/unlabelled.h"
#include "base/clock.h"
#include "recipe/cluster/kmeans.h"
#include "recipe/reduce/decompose.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int fail(const qn_error *err)
{
    fprintf(stderr, "%s\n", err->message);
    return 1;
}

static int dump(const qn_matrix *x, const char *path)
{
    FILE *file = fopen(path, "wb");
    if (!file) return 1;
    const int64_t n_entries = x->n_sparse > 0 ? x->sparse_starts[x->n_rows] : 0;
    const int64_t head[4] = {x->n_rows, x->n_dense, x->n_sparse, n_entries};
    fwrite(head, sizeof head, 1, file);
    for (int64_t f = 0; f < x->n_dense; f++) {
        fwrite(x->dense + f * x->stride, sizeof *x->dense, (size_t)x->n_rows, file);
    }
    if (x->n_sparse > 0) {
        fwrite(x->sparse_starts, sizeof *x->sparse_starts, (size_t)x->n_rows + 1, file);
        fwrite(x->sparse_cols, sizeof *x->sparse_cols, (size_t)n_entries, file);
        fwrite(x->sparse_values, sizeof *x->sparse_values, (size_t)n_entries, file);
    }
    return fclose(file) != 0;
}

static qn_status cluster(const qn_matrix *x, const char *what, int32_t k, uint64_t seed,
                         qn_pool *pool, double *out, qn_error *err)
{
    const qn_kmeans_request request = {.rows = x,
                                       .k = k,
                                       .mini_batch = strcmp(what, "mini_batch") == 0,
                                       .seed = seed,
                                       .pool = pool};
    qn_kmeans_result result;
    QN_TRY(qn_kmeans_fit(&request, &result, err));
    *out = result.inertia;
    qn_kmeans_result_release(&result);
    return QN_OK;
}

static qn_status reduce(const qn_matrix *x, const char *what, int32_t k, uint64_t seed,
                        qn_pool *pool, double *out, qn_error *err)
{
    const qn_decompose_request request = {.rows = x,
                                          .centre = strcmp(what, "pca") == 0,
                                          .n_components = k,
                                          .seed = seed,
                                          .pool = pool};
    qn_decomposition result;
    QN_TRY(qn_decompose(&request, &result, err));
    *out = 0;
    for (int32_t i = 0; i < result.n_components; i++) {
        *out += result.variance[i] / result.total_variance;
    }
    qn_decomposition_release(&result);
    return QN_OK;
}

static int answer(const qn_matrix *x, const char *what, int32_t k, qn_pool *pool)
{
    const bool clusters = strcmp(what, "kmeans") == 0 || strcmp(what, "mini_batch") == 0;
    char line[16];
    for (uint64_t seed = 0; fgets(line, sizeof line, stdin); seed++) {
        qn_error err = {0};
        double out = 0;
        const double begun = qn_clock_s();
        const qn_status status = clusters ? cluster(x, what, k, seed, pool, &out, &err)
                                          : reduce(x, what, k, seed, pool, &out, &err);
        if (status != QN_OK) return fail(&err);
        printf("{\"fit_s\": %.6f, \"value\": %.10g}\n", qn_clock_s() - begun, out);
        fflush(stdout);
    }
    return 0;
}

int main(int argc, char **argv)
{
    if (argc != 6) {
        fprintf(stderr, "usage: unlabelled_fit TABLE DROPPED THREADS WHAT FILE|NUMBER\n");
        return 2;
    }
    qn_error err = {0};
    qn_unlabelled table;
    qn_pool *pool = qn_pool_create(atoi(argv[3]));
    const qn_unlabelled_request request = {
        .table = argv[1], .drop = *argv[2] ? argv[2] : NULL, .pool = pool};
    if (qn_unlabelled_load(&request, &table, &err) != QN_OK) return fail(&err);
    const int code = strcmp(argv[4], "dump") == 0
                         ? dump(&table.view, argv[5])
                         : answer(&table.view, argv[4], atoi(argv[5]), pool);
    qn_unlabelled_release(&table);
    qn_pool_free(pool);
    return code;
}
