/* SPDX-License-Identifier: Apache-2.0 */
/* k-means: k centres such that the sum over rows of the squared distance to the nearest one, the
 * inertia, is small. Centres begin by greedy k-means++ (Arthur & Vassilvitskii 2007: each drawn
 * with a probability that grows with the squared distance to those before it, the best of 2 + ln k
 * draws); then either
 *   Lloyd 1982   rows go to the nearest centre, centres to the mean of their rows, until nothing
 *                changes, or
 *   mini-batch   (Sculley 2010) the same for a few rows at a time, each centre moving by 1 / (the
 *                weight it has seen), for tables on which whole passes take too long. Beginnings
 *                are tried on a sample of the rows, by Lloyd's method; the best goes on.
 * Distances are a matrix product of floats, |c|^2 - 2 x c; sums of rows are doubles, kept up as
 * rows change their centre. A centre that no row is nearest to moves to the farthest row.
 *
 * Threads: calls are independent; the same result on any number of threads. */
#ifndef QN_RECIPE_CLUSTER_KMEANS_H
#define QN_RECIPE_CLUSTER_KMEANS_H

#include "base/clock.h"
#include "base/pool.h"
#include "recipe/matrix.h"

enum { QN_CLUSTERS_MAX = 1000 };

/* Zero means the default. */
typedef struct qn_kmeans_request {
    const qn_matrix *rows;  /* the dense part alone is looked at; no missing values */
    const double *weights;  /* per row, >= 0, not all 0; NULL: alike */
    int32_t k;              /* 1 … QN_CLUSTERS_MAX, at most as many as rows */
    int32_t n_init;         /* beginnings tried, the least inertia wins; default 10 */
    int32_t iterations_max; /* passes over the rows; default 300 */
    double tolerance;       /* Lloyd stops when centres move less, by squared distance summed,
                               relative to the mean variance of the columns; default 1e-4 */
    bool mini_batch;
    int32_t batch_rows; /* default 1,024; the sample has four times as many, at least 20 k */
    uint64_t seed;
    const qn_stop *stop; /* ends passes early with what there is */
    qn_pool *pool;
} qn_kmeans_request;

typedef struct qn_kmeans_result {
    double *centres; /* k × n_dense */
    double *sizes;   /* k: the weight of the rows of each */
    double inertia;
    double total;         /* the inertia of one centre */
    int64_t n_iterations; /* of the beginning that won */
    bool stopped;         /* by `stop` */
} qn_kmeans_result;       /* release with qn_kmeans_result_release() */

/* Fails with QN_ERR_ARG (more clusters than rows), QN_ERR_UNSUPPORTED (no dense columns),
 * QN_ERR_NOMEM. */
QN_MUST_CHECK
qn_status qn_kmeans_fit(const qn_kmeans_request *request, qn_kmeans_result *result, qn_error *err);
void qn_kmeans_result_release(qn_kmeans_result *result);

#endif
