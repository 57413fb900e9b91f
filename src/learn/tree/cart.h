/* SPDX-License-Identifier: Apache-2.0 */
/* Classification and regression trees on bins (Breiman, Friedman, Olshen and Stone 1984), grown
 * until leaves are pure or a bound stops them: what forests and single decision trees are made of.
 *
 *   - A tree's rows are samples of 16 bytes that stand together by node, so every pass over a node
 *     reads memory in order. A bootstrap is a sample's weight, not a repeated row.
 *   - Two classes are numbers 0 and 1: what Gini's index loses by a cut is twice what the squared
 *     error loses.
 *   - A node's bins become a list of cells in the order of their places: from a histogram where
 *     rows are many, from sorted keys where they are few. One scan over it finds the best cut.
 *   - Levels of a category stand in the order of their mean target over the training rows (of the
 *     leading class's share where there are more than two), after which the best set of levels is
 *     a cut like any other (Breiman et al. 1984, section 4.2; once for all: Wright and Koenig
 * 2019).
 *   - A cut between bins that the node leaves empty stands in their middle.
 *
 * Threads: plans are immutable once made; one thread at a time per tree. */
#ifndef QN_LEARN_TREE_CART_H
#define QN_LEARN_TREE_CART_H

#include "base/clock.h"
#include "base/rng.h"
#include "learn/tree/bins.h"
#include "model/tree_model.h"

typedef enum qn_criterion {                    /* what a cut is to make small */
                            QN_CRITERION_AUTO, /* gini for classes, squared error for numbers */
                            QN_CRITERION_GINI,
                            QN_CRITERION_ENTROPY, /* in bits */
                            QN_CRITERION_SQUARED_ERROR,
                            QN_N_CRITERIA
} qn_criterion;

typedef struct qn_cart_params {
    int64_t max_depth;        /* 0: no limit */
    int64_t min_data_in_leaf; /* rows, drawn ones counted once; at least 1 */
    int64_t n_tried;          /* features a node looks at; more when none of them can be cut */
    double leaf_smoothing;    /* rows' worth of the training rows' mean added to each leaf */
    int32_t criterion;
    bool bootstrap;
    bool random_cuts; /* one cut per feature, at random (Geurts, Ernst and Wehenkel 2006) */
} qn_cart_params;

typedef struct qn_cart_plan qn_cart_plan; /* destroy with qn_cart_plan_free() */

/* What all trees of a fit share. `class_weights` (n_classes, NULL: 1) multiply the rows' weights.
 * Fails with QN_ERR_ARG (a criterion of another task), QN_ERR_UNSUPPORTED (wide bins),
 * QN_ERR_NOMEM. */
QN_MUST_CHECK
qn_status qn_cart_plan_create(const qn_dataset *data, const qn_cart_params *params,
                              const double *class_weights, qn_cart_plan **out, qn_error *err);
void qn_cart_plan_free(qn_cart_plan *plan); /* accepts NULL */
/* The sets of levels that the nodes of every tree name by number: to be added to a builder before
 * the first tree. */
void qn_cart_plan_add_sets(const qn_cart_plan *plan, qn_tree_builder *builder);

/* One grown tree. */
typedef struct qn_cart {
    qn_tree_builder builder; /* with this tree alone, without sets; leaves of n_outputs values */
    double *gain;            /* per feature of the bins */
    int32_t *out_of_bag;     /* per training row: its leaf where the tree has not seen it, else -1;
                                NULL unless asked for */
} qn_cart;                   /* release with qn_cart_release() */

/* Grows tree `number` of a fit. False when told to stop or out of memory (builder.failed). */
bool qn_cart_grow(const qn_cart_plan *plan, uint64_t seed, int64_t number, bool out_of_bag,
                  const qn_stop *stop, qn_cart *out);
void qn_cart_release(qn_cart *tree);

#endif
