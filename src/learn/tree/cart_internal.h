/* SPDX-License-Identifier: Apache-2.0 */
/* What cart.c (nodes) and cart_cut.c (their cuts) share. */
#ifndef QN_LEARN_TREE_CART_INTERNAL_H
#define QN_LEARN_TREE_CART_INTERNAL_H

#include "learn/tree/cart.h"

/* A training row in a tree. Weights are floats: sums of them in doubles are exact for short nodes,
 * and eight more bytes a row would cost more than they are worth. */
typedef struct qn_cart_sample {
    int32_t row;
    float weight;
    double value; /* a number, 0 or 1, or a class */
} qn_cart_sample;

/* Where a bin of a feature stands: [feature * 256 + bin]. Numbers: at the bin itself. */
enum { QN_CART_PLACES = 256 };

struct qn_cart_plan {
    const qn_dataset *data;
    const qn_bins *bins;
    qn_cart_params params;
    int32_t k;         /* 0: a mean (numbers, two classes); else classes */
    int32_t n_outputs; /* values of a leaf */
    bool entropy;
    double gain_scale;   /* gini of two classes is twice the squared error */
    double *prior;       /* n_outputs: means of the training rows */
    float *weights;      /* per training row; NULL: 1 */
    uint8_t *places;     /* of a group's code, n_features × QN_CART_PLACES */
    uint8_t *bin_places; /* of a bin, likewise */
    int32_t *n_places;   /* per feature */
    int32_t *first_set;  /* per category: the set of a cut at place 0 */
};

/* Rows of a node with the same place. */
struct qn_cart_cell {
    double weight, sum; /* sum: of weight × value */
    int32_t place, n;
};

typedef struct qn_cart_node {
    int64_t begin, n;
    int32_t parent, depth;
    bool is_left;
} qn_cart_node;

/* A node's rows go left up to this place. */
typedef struct qn_cart_cut {
    double
        score; /* what is left of the criterion, negated and less a constant: greater is better */
    double left_weight;
    int32_t feature, place;
} qn_cart_cut;

/* A tree in the making. */
typedef struct qn_cart_work {
    const qn_cart_plan *plan;
    qn_rng rng;
    qn_cart_sample *samples, *spare;
    int64_t n;
    int32_t *features; /* in the order drawn so far */
    uint8_t *codes;    /* of the node at hand: random cuts */
    qn_cart_node *stack;
    int64_t n_stack, stack_room;
    double weight, sum;  /* of the node at hand; sum: a mean's */
    double *all, *left;  /* k class weights of the node, and of its left part */
    double *table;       /* QN_CART_PLACES × k: what places of many rows have of classes */
    double *leaf;        /* n_outputs */
    int64_t *pure;       /* per class: its pure leaf, -1 */
    int32_t *cut_places; /* per node of the tree */
    int64_t cut_places_room;
} qn_cart_work;

/* What the criterion makes of one class's (or the) weight, and of the sum of these. */
static inline double qn_cart_term(bool entropy, double weight)
{
    if (!entropy) return weight * weight;
    return weight > 0 ? weight * log2(weight) : 0;
}

static inline double qn_cart_side(bool entropy, double terms, double weight)
{
    if (!(weight > 0)) return 0;
    return entropy ? terms - weight * log2(weight) : terms / weight;
}

/* Of a mean's side: squared error and gini up to what no cut changes. */
static inline double qn_cart_mean_side(bool entropy, double sum, double weight)
{
    if (!entropy) return weight > 0 ? sum * sum / weight : 0;
    return qn_cart_side(true, qn_cart_term(true, sum) + qn_cart_term(true, weight - sum), weight);
}

/* The best cut of randomly drawn features; feature -1 when there is none. Its score is relative to
 * the uncut node: the gain, before gain_scale. */
qn_cart_cut qn_cart_find_cut(qn_cart_work *work, const qn_cart_node *node);

#endif
