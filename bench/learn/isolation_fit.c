/* SPDX-License-Identifier: Apache-2.0 */
/* An isolation forest of a table's tree view, for isolation_speed.py beside it.
 *
 *     isolation_fit TABLE DROPPED THREADS
 *
 * For each line on standard input it fits once and scores all rows, and answers with one JSON line:
 * wall seconds of the fit and of the scores. */
#include "automl/unlabelled.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "learn/tree/isolation.h"

#include <stdio.h>
#include <stdlib.h>

static int fail(const qn_error *err)
{
    fprintf(stderr, "%s\n", err->message);
    return 1;
}

static qn_status answer(const qn_unlabelled *table, uint64_t seed, qn_pool *pool, double *scores,
                        qn_error *err)
{
    int64_t n, n_dense;
    const qn_isolation_request request = {
        .features = &table->view,
        .described = qn_recipe_features(table->recipe, QN_VIEW_TREE, &n, &n_dense),
        .seed = seed,
        .pool = pool};
    qn_estimator *forest = NULL;
    const double begun = qn_clock_s();
    QN_TRY(qn_isolation_fit(&request, &forest, err));
    const double fitted = qn_clock_s();
    const qn_status status = qn_estimator_predict(forest, &table->view, pool, scores, err);
    if (status == QN_OK) {
        printf("{\"fit_s\": %.6f, \"score_s\": %.6f}\n", fitted - begun, qn_clock_s() - fitted);
        fflush(stdout);
    }
    qn_estimator_free(forest);
    return status;
}

int main(int argc, char **argv)
{
    if (argc != 4) {
        fprintf(stderr, "usage: isolation_fit TABLE DROPPED THREADS\n");
        return 2;
    }
    qn_error err = {0};
    qn_unlabelled table;
    qn_pool *pool = qn_pool_create(atoi(argv[3]));
    const qn_unlabelled_request request = {
        .table = argv[1], .drop = *argv[2] ? argv[2] : NULL, .tree_view = true, .pool = pool};
    if (qn_unlabelled_load(&request, &table, &err) != QN_OK) return fail(&err);
    double *scores = qn_alloc_aligned(table.view.n_rows, sizeof *scores);
    char line[16];
    qn_status status = scores ? QN_OK : QN_ERR_NOMEM;
    for (uint64_t seed = 0; status == QN_OK && fgets(line, sizeof line, stdin); seed++) {
        status = answer(&table, seed, pool, scores, &err);
    }
    qn_free(scores);
    qn_unlabelled_release(&table);
    qn_pool_free(pool);
    return status == QN_OK ? 0 : fail(&err);
}
