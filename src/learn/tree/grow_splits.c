/* SPDX-License-Identifier: Apache-2.0 */
/* The splits of leaves, found in parallel, and what they ask of the leaves below. */
#include "learn/tree/grow_internal.h"

#include <math.h>

/* Splits. */

bool qn_grow_may_split(const qn_grower *grower, const struct leaf *leaf)
{
    const qn_grow_params *p = &grower->params;
    const bool deep = p->max_depth > 0 && leaf->depth >= p->max_depth;
    return !deep && leaf->n >= 2 * p->min_data_in_leaf && leaf->h > 0;
}

static qn_split_request request_of(const qn_grower *grower, const struct leaf *leaf)
{
    return (qn_split_request){.bins = grower->bins,
                              .params = &grower->params,
                              .cells = leaf->cells,
                              .n = leaf->n,
                              .g = leaf->g,
                              .h = leaf->h,
                              .unit_g = grower->unit_g,
                              .unit_h = grower->unit_h,
                              .bounds = leaf->bounds,
                              .allowance = leaf->allowance,
                              .seed = qn_seed_child(grower->seed, leaf->key)};
}

/* A search in parallel over ranges of features. */
struct ranges {
    qn_grower *grower;
    const struct leaf *children[2];
    int64_t n_leaves; /* of a shared search */
    int64_t n_ranges;
    qn_split found[2][RANGES_MAX];
};

static int64_t range_begin(const struct ranges *ranges, int64_t range)
{
    return ranges->grower->n_features * range / ranges->n_ranges;
}

static void find_in_range(void *context, int64_t i)
{
    struct ranges *ranges = context;
    const qn_grower *grower = ranges->grower;
    const int64_t child = i / ranges->n_ranges, range = i % ranges->n_ranges;
    const struct leaf *leaf = ranges->children[child];
    ranges->found[child][range] = (qn_split){0};
    if (!qn_grow_may_split(grower, leaf)) return;
    const qn_split_request request = request_of(grower, leaf);
    const int64_t first = range_begin(ranges, range), last = range_begin(ranges, range + 1);
    qn_split_find(&request, grower->features + first, last - first, &ranges->found[child][range]);
}

/* Ties go to the first. */
static qn_split best_of(const struct ranges *ranges, int child)
{
    qn_split best = {0};
    for (int64_t i = 0; i < ranges->n_ranges; i++) {
        if (ranges->found[child][i].gain > best.gain) best = ranges->found[child][i];
    }
    return best;
}

void qn_grow_find_splits(qn_grower *grower, struct leaf *left, struct leaf *right, qn_pool *pool)
{
    struct ranges ranges = {.grower = grower, .children = {left, right}};
    const bool together = grower->params.feature_fraction_bynode < 1; /* drawn from all at once */
    ranges.n_ranges = pool && !together && grower->n_features >= RANGES_MAX ? RANGES_MAX : 1;
    qn_pool_run(pool, (right ? 2 : 1) * ranges.n_ranges, find_in_range, &ranges);
    left->split = best_of(&ranges, 0);
    if (right) right->split = best_of(&ranges, 1);
}

static void find_shared_in_range(void *context, int64_t range)
{
    struct ranges *ranges = context;
    const qn_grower *grower = ranges->grower;
    const int64_t first = range_begin(ranges, range), last = range_begin(ranges, range + 1);
    qn_split_find_shared(grower->level_requests, ranges->n_leaves, grower->features + first,
                         last - first, grower->level_room + range * 2 * grower->n_widest,
                         &ranges->found[0][range]);
}

void qn_grow_find_shared(qn_grower *grower, int64_t n, qn_pool *pool)
{
    struct ranges ranges = {.grower = grower, .n_leaves = n};
    for (int64_t i = 0; i < n; i++) {
        grower->level_requests[i] = request_of(grower, &grower->leaves[grower->level[i]]);
    }
    ranges.n_ranges = pool && grower->n_features >= RANGES_MAX ? RANGES_MAX : 1;
    qn_pool_run(pool, ranges.n_ranges, find_shared_in_range, &ranges);
    const qn_split test = best_of(&ranges, 0);
    for (int64_t i = 0; i < n; i++) {
        struct leaf *leaf = &grower->leaves[grower->level[i]];
        leaf->split = (qn_split){0};
        if (test.gain > 0) qn_split_apply(&grower->level_requests[i], &test, &leaf->split);
    }
}

double qn_grow_value(const qn_grower *grower, const struct leaf *leaf)
{
    return qn_leaf_value(&grower->params, &leaf->bounds, (double)leaf->g * grower->unit_g,
                         (double)leaf->h * grower->unit_h, (double)leaf->n);
}

static qn_allowance allowance_below(const qn_grower *grower, const struct leaf *leaf)
{
    const qn_grow_params *p = &grower->params;
    if (!p->interaction_sets || leaf->allowance.column >= 0) return leaf->allowance;
    const uint64_t sets = p->interaction_sets[leaf->split.feature];
    if (sets) return (qn_allowance){leaf->allowance.sets & sets, -1};
    return (qn_allowance){0, p->columns[leaf->split.feature]};
}

/* Values below a monotone split stay on their side of the middle between the two sides. */
void qn_grow_set_bounds(const qn_grower *grower, const struct leaf *leaf, struct leaf *left,
                        struct leaf *right)
{
    left->allowance = right->allowance = allowance_below(grower, leaf);
    left->bounds = right->bounds = leaf->bounds;
    left->bounds.parent = right->bounds.parent = qn_grow_value(grower, leaf);
    const int8_t *wanted = grower->params.monotone_constraints;
    if (!wanted || wanted[leaf->split.feature] == 0) return;
    const double middle = 0.5 * (qn_grow_value(grower, left) + qn_grow_value(grower, right));
    struct leaf *lower = wanted[leaf->split.feature] > 0 ? left : right;
    struct leaf *upper = lower == left ? right : left;
    lower->bounds.high = fmin(lower->bounds.high, middle);
    upper->bounds.low = fmax(upper->bounds.low, middle);
}
