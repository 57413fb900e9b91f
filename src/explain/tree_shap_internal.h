/* SPDX-License-Identifier: Apache-2.0 */
/* What tree_shap.c prepares and tree_shap_walk.c runs over. */
#ifndef QN_EXPLAIN_TREE_SHAP_INTERNAL_H
#define QN_EXPLAIN_TREE_SHAP_INTERNAL_H

#include "explain/tree_shap.h"

enum {
    QN_SHAP_LANES = 8, /* rows at once */
    /* More points than these add nothing that rounding would leave: the points crowd towards the
     * ends, where polynomials of a high degree have their weight. */
    QN_SHAP_POINTS_MAX = 64
};

/* One edge of a tree, from a node to its left or right child, in the order of a walk that goes left
 * first. Depths count edges from the root, from 1 on. */
struct qn_shap_edge {
    int32_t node, feature;
    int32_t depth;
    int32_t before; /* depth of the last edge above it of the same feature, or 0 */
    int32_t leaf;   /* its child, or -1 when that is a node */
    bool left;
    double ratio; /* share of the node's training rows that went here */
    double share; /* the product of these over the edges of this feature down to here: z */
};

struct qn_shap_tree { /* an unfolded tree: room for the largest */
    int64_t n_edges;
    int n_points;
    struct qn_shap_edge *edges;
    double *inverses; /* per edge and point: 1 / ((1 - t) z + t) */
    /* While unfolding. */
    struct qn_shap_pending {
        int32_t node, depth;
        bool left;
    } * pending;
    int32_t *last_depth; /* per feature: its last open edge; zero before and after */
    int64_t *open;       /* per depth: the edge on the way to here */
    double *reach;       /* per depth: share of the training rows that came so far */
};

struct qn_tree_shap {
    const qn_tree_model *model;
    double expected[QN_CLASSES_MAX];
    int64_t n_edges_max;
    int32_t depth_max;
    int n_points_max;
    /* Of n points: from n (n - 1) / 2 on. */
    double *points, *weights;
    double *ends;  /* 1 / (1 - point) */
    bool portable; /* without the processor's long vectors; both ways give the same bytes */
};

/* Where a walk keeps things; lanes are rows, depths go to depth_max. */
struct qn_shap_lanes {
    double *products; /* depth x points x lanes: on the way down */
    double *sums;     /* the same: of the leaves below, on the way up */
    int64_t *passes;  /* depth x lanes: all ones where the row passes, o */
    double *parts;    /* as products; for interactions only */
    int64_t *open;    /* per depth: the edge on the way to here */
};

bool qn_shap_has_long_vectors(void);

/* Unfolds a tree, but for its inverses. Adds what it expects of a training row to `expected`, per
 * output, unless that is NULL. */
void qn_shap_unfold(const qn_tree_model *model, int32_t tree, struct qn_shap_tree *out,
                    double *expected);
void qn_shap_put_inverses(const qn_tree_shap *shap, struct qn_shap_tree *tree);

/* Adds one tree's values for output c to values[f * QN_SHAP_ROWS] of QN_SHAP_LANES rows, feature f
 * of which stands at rows[f * stride]. */
void qn_shap_walk(const qn_tree_shap *shap, const struct qn_shap_tree *tree, int32_t c,
                  const double *rows, int64_t stride, const struct qn_shap_lanes *lanes,
                  double *values);
/* Adds one tree's interactions of different features, i > j, to
 * values[(i * n_features + j) * QN_SHAP_LANES]. */
void qn_shap_walk_pairs(const qn_tree_shap *shap, const struct qn_shap_tree *tree, int32_t c,
                        const double *rows, int64_t stride, const struct qn_shap_lanes *lanes,
                        double *values);

#endif
