/* SPDX-License-Identifier: Apache-2.0 */
/* Minimal cost-complexity pruning (Breiman, Friedman, Olshen and Stone 1984, chapter 3). With R the
 * training loss of a tree's leaves per unit of weight of the rows, pruning for alpha leaves the
 * smallest subtree that minimises R + alpha x leaves. The gain of a node is by how much its split
 * lowered R, so the gains say all that is needed: a node stays a node when the gains of the splits
 * kept below it, less alpha for each of the leaves they add, come to more than 0. A node that is
 * cut becomes a leaf with the mean of its leaves, weighted with their rows.
 *
 * For forests and single trees, whose gains are the decrease of impurity times weight; the alphas
 * are scikit-learn's ccp_alpha. Gains of boosted trees are in units of their loss.
 *
 * Threads: pure functions. */
#ifndef QN_MODEL_TREE_PRUNE_H
#define QN_MODEL_TREE_PRUNE_H

#include "model/tree_model.h"

/* A tree of a model or a builder. */
typedef struct qn_tree_span {
    const qn_tree_node *nodes; /* of all trees */
    int64_t n_nodes;
    const double *values; /* width for each leaf */
    int32_t width;
    int32_t root;
} qn_tree_span;

/* Adds a tree to a builder, pruned; alpha 0 cuts what gains nothing. Sets of categories keep their
 * numbers. Fails with QN_ERR_DATA (nodes are reached twice; their gains or rows are not known),
 * QN_ERR_NOMEM. */
QN_MUST_CHECK
qn_status qn_tree_prune_into(const qn_tree_span *tree, double alpha, qn_tree_builder *builder,
                             qn_error *err);

/* The alphas at which a tree loses nodes, increasing, and how many leaves it has from each on. Both
 * have room for as many as the tree has nodes. Fails as above. */
QN_MUST_CHECK
qn_status qn_tree_prune_path(const qn_tree_span *tree, double *alphas, int64_t *n_leaves,
                             int64_t *n_steps, qn_error *err);

/* Every tree of a model, pruned. Fails with QN_ERR_UNSUPPORTED (linear leaves), and as above. */
QN_MUST_CHECK
qn_status qn_tree_model_prune(const qn_tree_model *model, double alpha, qn_estimator **out,
                              qn_error *err);

#endif
