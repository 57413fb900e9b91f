/* SPDX-License-Identifier: Apache-2.0 */
/* Finding the best split of a leaf from its histogram.
 *
 * Threads: pure functions of their arguments. */
#ifndef QN_LEARN_TREE_BEST_SPLIT_H
#define QN_LEARN_TREE_BEST_SPLIT_H

#include "learn/tree/bins.h"
#include "learn/tree/histogram.h"
#include "model/tree_model.h"

typedef enum qn_grow_policy {
    QN_GROW_LOSSGUIDE, /* the leaf of most gain first (Shi 2007) */
    QN_GROW_DEPTHWISE, /* level by level */
    QN_GROW_SYMMETRIC, /* one test for all leaves of a level: oblivious trees */
    QN_N_GROW_POLICIES
} qn_grow_policy;

typedef struct qn_grow_params {
    int64_t num_leaves, max_depth, min_data_in_leaf, max_cat_to_onehot, max_cat_threshold;
    double learning_rate, min_sum_hessian_in_leaf, reg_alpha, reg_lambda, min_split_gain;
    double max_delta_step, path_smooth;
    double feature_fraction, feature_fraction_bynode, cat_smooth, cat_l2;
    bool extra_trees;
    int32_t grow_policy;                /* a qn_grow_policy */
    const int8_t *monotone_constraints; /* per feature: -1, 0, 1; NULL: none */
    /* Interaction constraints: per feature a bit for each set it is in (63 at most), NULL: none.
     * Features on one path share a set; those of no set stand only with their own column. */
    const uint64_t *interaction_sets;
    const int32_t *columns; /* per feature: the column it was made of */
} qn_grow_params;

/* A split of a leaf, by bins. */
typedef struct qn_split {
    double gain; /* 0: none */
    int32_t feature;
    int32_t bin;                /* numbers: bins 1 … bin go left */
    bool missing_left;          /* numbers: so does bin 0 */
    uint64_t set[QN_SET_WORDS]; /* categories: codes that go left */
    int64_t left_g, left_h;
} qn_split;

/* What a leaf's value may be: bounds from monotone splits above it, and its parent's value. */
typedef struct qn_leaf_bounds {
    double low, high, parent;
} qn_leaf_bounds;

/* What interaction constraints leave: features that share a set with all above, or, with column
 * >= 0, those made of that column. */
typedef struct qn_allowance {
    uint64_t sets; /* UINT64_MAX: all is allowed */
    int32_t column;
} qn_allowance;

/* A leaf to be split. */
typedef struct qn_split_request {
    const qn_bins *bins;
    const qn_grow_params *params;
    const qn_cell_sum *cells;
    int64_t n, g, h;       /* rows, and sums of the fixed-point halves */
    double unit_g, unit_h; /* what one step of the fixed point is worth */
    qn_leaf_bounds bounds;
    qn_allowance allowance;
    uint64_t seed; /* of the draws of this leaf */
} qn_split_request;

/* The best of features[0 … n-1] (increasing); ties go to the first. Gain 0 when none gains. */
void qn_split_find(const qn_split_request *request, const int32_t *features, int64_t n,
                   qn_split *out);

/* The one test that gains most over all leaves, by features[0 … n-1]; its gain is the sum over
 * those that may be split by it. `room` has 2 doubles for each bin of the widest feature. */
void qn_split_find_shared(const qn_split_request *leaves, int64_t n_leaves, const int32_t *features,
                          int64_t n, double *room, qn_split *out);

/* What a test is for one leaf; gain 0 when the leaf may not be split by it. */
void qn_split_apply(const qn_split_request *leaf, const qn_split *test, qn_split *out);

/* The value of a leaf with these sums (exact, not in units), before shrinkage. */
double qn_leaf_value(const qn_grow_params *params, const qn_leaf_bounds *bounds, double g, double h,
                     double n);

static inline bool qn_split_allows(const qn_grow_params *params, const qn_allowance *allowance,
                                   int32_t feature)
{
    if (!params->interaction_sets || allowance->sets == UINT64_MAX) return true;
    if (allowance->column >= 0) return params->columns[feature] == allowance->column;
    return params->interaction_sets[feature] & allowance->sets;
}

static inline bool qn_split_goes_left(const qn_split *split, bool categorical, int32_t bin)
{
    if (!categorical) return bin == 0 ? split->missing_left : bin <= split->bin;
    return bin > 0 && (split->set[(bin - 1) >> 6] >> ((bin - 1) & 63) & 1);
}

#endif
