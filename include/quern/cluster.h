/* SPDX-License-Identifier: Apache-2.0 */
/* Clusters: groups of rows that are alike, found without a target by k-means on the standardised
 * columns, as `quern cluster` does it.
 *
 * Threads: qn_cluster() may be called from several threads at once; each call has its own pool. */
#ifndef QUERN_CLUSTER_H
#define QUERN_CLUSTER_H

#include "quern/error.h"

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Zero means the default, everywhere. Texts are borrowed for the call. */
typedef struct qn_cluster_request {
    const char *table; /* URI, see qn_frame_read() */
    const char *model; /* bundle to write, which predicts the cluster of new rows; NULL: none */

    /* How many clusters, 1 … 1,000: the number with the greatest silhouette among these. Equal:
     * that many. Default 2 … 10, fewer of few rows. */
    int64_t k_low, k_high;
    int64_t n_init;  /* beginnings tried for each number; default 10 */
    bool mini_batch; /* move centres by a few rows at a time (Sculley 2010), for long tables */

    const char *drop;                         /* columns not to use, comma-separated */
    const char *id;                           /* columns that name a row */
    const char *weight;                       /* sample weights, >= 0 */
    const char *const *kinds;                 /* "COL=KIND", ended by NULL */
    int64_t seed;                             /* default 1 */
    int64_t n_threads;                        /* default: as many as the process may use */
    const char *command;                      /* how this was asked for, kept in the bundle */
    const volatile sig_atomic_t *interrupted; /* set to stop early with the best so far */
} qn_cluster_request;

typedef struct qn_cluster_result {
    int64_t n_rows;
    int32_t n_clusters;
    int32_t *labels;   /* n_rows: 0 is the largest cluster */
    double *distances; /* n_rows: to the centre of its cluster, in standard deviations */
    char *json;        /* one object: table, rows, features, clusters, silhouette,
                          explained_variance, candidates, elbow, sizes and centres … */
    bool interrupted;
} qn_cluster_result; /* release with qn_cluster_result_release() */

/* The same result for the same table and seed, on any number of threads. Fails with QN_ERR_ARG
 * (unknown column, more clusters than rows), QN_ERR_DATA (unusable table), QN_ERR_IO,
 * QN_ERR_NOMEM, QN_ERR_INTERRUPTED (before any clusters), QN_ERR_UNSUPPORTED (nothing but text). */
QN_API QN_MUST_CHECK qn_status qn_cluster(const qn_cluster_request *request,
                                          qn_cluster_result *result, qn_error *err);
QN_API void qn_cluster_result_release(qn_cluster_result *result);

#ifdef __cplusplus
}
#endif

#endif
