/* SPDX-License-Identifier: Apache-2.0 */
/* Isolation forests (Liu, Ting and Zhou 2008): trees of random cuts, each grown on a few rows drawn
 * without replacement. Rows that few cuts set apart are outliers.
 *
 * The score of a row is 2^(-E / c(n)), E the mean depth at which the trees leave it, leaves of m
 * rows counting c(m) cuts more, n the rows of a tree: near 1 for outliers, about 0.5 where there
 * are none. It is an estimator of the family of trees: a mean of depths, a scale of
 * -log(2) / c(n) and an exponential, so that scores are stored, served and explained as any other
 * prediction.
 *
 * A cut is uniform between the least and the greatest value of a random feature that varies in the
 * node. A missing number stays with most of the rows: it says nothing. Codes of categories are
 * ranks by frequency, so that a cut sets rare levels apart from common ones; what has no code
 * (missing, never seen, or too rare for one) takes its rank among them by how many rows have none.
 * Random subsets of levels would set any one of them apart alike, however common.
 *
 * Why a row is isolated: a node of n rows leaves c(n) cuts to be expected, its child of m rows
 * 1 + c(m). What the cut saves, c(n) - 1 - c(m), is its feature's. Over a path the savings add up
 * to c(n) of the root less the depth of the leaf, so that a row's savings, a mean over trees, add
 * up to c(n) - E, whence its score is 2^(sum / c(n) - 1).
 *
 * Threads: pure functions; a fit runs on the pool. */
#ifndef QN_LEARN_TREE_ISOLATION_H
#define QN_LEARN_TREE_ISOLATION_H

#include "base/clock.h"
#include "base/pool.h"
#include "model/estimator.h"

enum { QN_ISOLATION_TREES = 100, QN_ISOLATION_SAMPLES = 256 }; /* the paper's, section 4 */

typedef struct qn_isolation_request {
    const qn_matrix *features;   /* n_rows × n_dense, the tree view; sparse columns are not used */
    const qn_feature *described; /* n_dense: which are categories; NULL: none */
    int64_t n_estimators;        /* 0: QN_ISOLATION_TREES */
    int64_t max_samples;         /* rows of a tree; 0: QN_ISOLATION_SAMPLES; at most n_rows */
    uint64_t seed;
    qn_pool *pool;
    const qn_stop *stop; /* keeps the trees that are done */
} qn_isolation_request;

/* The mean depth of a row among n in a random binary search tree, c(n): 2 H(n - 1) - 2 (n - 1) / n,
 * with the harmonic numbers H exact to rounding; 0 for one row. */
double qn_isolation_depth(int64_t n);

/* An estimator of the tree view whose one output is the score. Fails with QN_ERR_DATA (fewer than
 * two rows), QN_ERR_INTERRUPTED (no tree done), QN_ERR_NOMEM. */
QN_MUST_CHECK
qn_status qn_isolation_fit(const qn_isolation_request *request, qn_estimator **out, qn_error *err);

/* The cuts that each feature saves the row, n_dense values, on the mean over the trees of an
 * estimator of qn_isolation_fit(); below 0 where its values are common ones. */
void qn_isolation_savings(const qn_estimator *estimator, const qn_matrix *features, int64_t row,
                          double *savings);

/* The score that outliers reach when they are to be a share `contamination` (above 0, at most 0.5)
 * of n > 0 rows, or fewer where rows tie: in the middle between the last of them and the next row.
 * Sorts `scores`. Fails with QN_ERR_NOMEM. */
QN_MUST_CHECK
qn_status qn_isolation_threshold(double *scores, int64_t n, double contamination, double *out,
                                 qn_error *err);

#endif
