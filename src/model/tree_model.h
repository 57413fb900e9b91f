/* SPDX-License-Identifier: Apache-2.0 */
/* Trees: the family of boosted trees and forests. A model is a list of trees over the tree view;
 * each adds the values of one leaf to the row's sums, which a link turns into predictions.
 *
 * Threads: immutable once built; share freely. */
#ifndef QN_MODEL_TREE_MODEL_H
#define QN_MODEL_TREE_MODEL_H

#include "model/estimator.h"

enum {
    QN_NODE_DEFAULT_LEFT = 1, /* where a missing value goes */
    QN_NODE_CATEGORY = 2,     /* left when the code is in set number (int64_t)threshold */
    QN_NODE_CODE = 4 /* a code split by order: codes of QN_CODES_MAX and more are missing */
};
enum { QN_CODES_MAX = 254, QN_SET_WORDS = 4 };

/* Children: a node's index, or ~leaf. */
typedef struct qn_tree_node {
    double threshold; /* value <= threshold goes left */
    int32_t feature;
    int32_t flags;
    int32_t left, right;
} qn_tree_node;

typedef enum qn_link {
    QN_LINK_IDENTITY, /* regression */
    QN_LINK_LOGISTIC, /* binary boosting: sum is a log-odds */
    QN_LINK_SOFTMAX,  /* multiclass boosting */
    QN_LINK_MEAN      /* forests: sums are divided by the number of trees */
} qn_link;

typedef struct qn_tree_model {
    qn_estimator head;
    qn_link link;
    bool vector_leaves; /* a leaf has n_outputs values; else tree t is for output t % n_outputs */
    int32_t n_trees;
    double init[QN_CLASSES_MAX]; /* first n_outputs: where the sums begin */
    /* Owned, or borrowed from a mapped bundle when `borrowed`. */
    bool borrowed;
    int64_t n_nodes, n_values, n_sets;
    const int32_t *roots;      /* per tree: a node, or ~leaf for a tree of one leaf */
    const qn_tree_node *nodes; /* of all trees; children are indices into it */
    const double *values;      /* leaf i has values[i], or values[i * n_outputs …] */
    const uint64_t *sets;      /* QN_SET_WORDS words each */
} qn_tree_model;

extern const qn_family qn_family_trees;

/* Grows while trees are added; finishing makes the model. */
typedef struct qn_tree_builder {
    int32_t n_trees, trees_room;
    int64_t n_nodes, nodes_room, n_values, values_room, n_sets, sets_room;
    int32_t *roots;
    qn_tree_node *nodes;
    double *values;
    uint64_t *sets;
    bool failed;   /* out of memory; later additions do nothing */
} qn_tree_builder; /* zero-initialise; release with qn_tree_builder_release() */

/* Each returns the index of what was added (0 after a failure). */
int64_t qn_tree_builder_add_node(qn_tree_builder *builder, const qn_tree_node *node);
int64_t qn_tree_builder_add_values(qn_tree_builder *builder, const double *values, int32_t n);
int64_t qn_tree_builder_add_set(qn_tree_builder *builder, const uint64_t *set);
void qn_tree_builder_add_tree(qn_tree_builder *builder, int32_t root);
/* Forgets the trees after the first n_trees (their nodes stay allocated, unused). */
void qn_tree_builder_release(qn_tree_builder *builder);
/* Takes the builder's arrays; keeps the first n_trees. */
QN_MUST_CHECK
qn_status qn_tree_builder_finish(qn_tree_builder *builder, int32_t n_trees, qn_link link,
                                 bool vector_leaves, const double *init, int32_t n_outputs,
                                 qn_estimator **out, qn_error *err);

#endif
