/* SPDX-License-Identifier: Apache-2.0 */
/* A tree on bins: what a row does at a node is a bit per code of a group. Rows of the bins walk it
 * without their values being looked at.
 *
 * Threads: immutable once grown; share freely. */
#ifndef QN_LEARN_TREE_BIN_TREE_H
#define QN_LEARN_TREE_BIN_TREE_H

#include "learn/tree/best_split.h"
#include "learn/tree/bins.h"

typedef struct qn_bin_node {
    uint64_t goes_left[QN_GROUP_CODES / 64]; /* a bit per code; unused by wide groups */
    int32_t group;
    int32_t bin;         /* of a wide group: codes 1 … bin go left */
    int32_t left, right; /* node, or ~leaf */
    bool missing_left;   /* of a wide group: so does code 0 */
} qn_bin_node;

typedef struct qn_bin_tree {
    int64_t n_nodes, n_leaves; /* node 0 is the root; without nodes leaf 0 is all */
    qn_bin_node *nodes;
    double *values; /* per leaf */
} qn_bin_tree;

/* The test of a split, without children. */
qn_bin_node qn_bin_node_of(const qn_bins *bins, const qn_split *split);

QN_MUST_CHECK
qn_status qn_bin_tree_copy(const qn_bin_tree *tree, qn_bin_tree *out, qn_error *err);
void qn_bin_tree_release(qn_bin_tree *tree);

/* Adds factor × value of its leaf to scores[i * stride] of each of the bins' rows first …
 * first + n - 1, in parallel. `skip` (per row, may be NULL) marks rows to pass over. */
void qn_bin_tree_add(const qn_bin_tree *tree, const qn_bins *bins, int64_t first, int64_t n,
                     const uint8_t *skip, double factor, double *scores, int64_t stride,
                     qn_pool *pool);

#endif
