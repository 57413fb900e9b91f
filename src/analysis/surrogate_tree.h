/* SPDX-License-Identifier: Apache-2.0 */
/* Surrogate tree: a regression tree over the unit cube of a space, grown until its leaves are pure.
 * fANOVA reads the cube off its leaves, so splits are exact numbers of the cube, not bins, and a
 * choice without an order is told from the rest ("x is c, or not").
 *
 * One tree's memory serves a whole forest (Breiman 2001): each growth draws its own bootstrap
 * sample and replaces the tree before. Columns are sorted once a tree and their orders parted at
 * every node (SLIQ; Mehta, Agrawal & Rissanen 1996), so a level costs rows × columns.
 *
 * Threads: one thread at a time. */
#ifndef QN_ANALYSIS_SURROGATE_TREE_H
#define QN_ANALYSIS_SURROGATE_TREE_H

#include "base/error.h"
#include "base/rng.h"

#include <stdbool.h>
#include <stdint.h>

/* Rows left of a split have x <= at, or x == at where the column is unordered. Nodes stand
 * after their parents. */
typedef struct qn_surrogate_node {
    int32_t column; /* -1: a leaf */
    int32_t parent; /* -1: the root */
    bool is_left;   /* of its parent */
    double at;
    double value; /* of a leaf: the mean target of its rows */
} qn_surrogate_node;

typedef struct qn_surrogate_tree {
    int64_t n_rows;
    int32_t n_columns;
    const double *columns;       /* [n_columns][n_rows], in [0, 1] or indices of categories */
    const int32_t *n_categories; /* [n_columns]; 0: ordered */
    const double *targets;       /* [n_rows], of a size whose squares are finite */
    qn_surrogate_node *nodes;    /* [n_nodes] */
    int32_t n_nodes;
    struct qn_surrogate_work *work;
} qn_surrogate_tree; /* initialise with the members above `nodes`; release with …_release() */

/* Room for trees over the rows and columns named in `tree`, at least one each, which must outlive
 * it. Fails with QN_ERR_NOMEM. */
QN_MUST_CHECK
qn_status qn_surrogate_tree_init(qn_surrogate_tree *tree, qn_error *err);
/* Grows a tree on a bootstrap sample of the rows. Columns may have changed since the last growth.
 * Fails with QN_ERR_NOMEM. */
QN_MUST_CHECK
qn_status qn_surrogate_tree_grow(qn_surrogate_tree *tree, qn_rng *rng, qn_error *err);
void qn_surrogate_tree_release(qn_surrogate_tree *tree); /* also of one not initialised */

#endif
