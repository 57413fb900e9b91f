/* SPDX-License-Identifier: Apache-2.0 */
#include "learn/tree/grow.h"

#include "base/alloc.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { STOP_CHECK_ROWS = 20000, PREFETCH_ROWS = 12 };

/* A split of a leaf, by bins. */
struct split {
    double gain; /* 0: none */
    int32_t feature;
    int32_t bin;                /* numbers: bins 1 … bin go left */
    bool missing_left;          /* numbers: so does bin 0 */
    uint64_t set[QN_SET_WORDS]; /* categories: codes that go left */
    int64_t left_g, left_h;
};

struct leaf {
    int64_t begin, n; /* of the grower's rows */
    int64_t g, h;     /* sums */
    int32_t depth;
    int32_t parent; /* node of this tree; -1: the root */
    bool is_left;
    int64_t *histogram;
    struct split split;
};

/* A node of the tree as it is grown: bins rather than values. */
struct bin_node {
    int32_t feature, bin;
    bool missing_left, categorical;
    uint64_t set[QN_SET_WORDS];
    int32_t left, right; /* node, or ~leaf */
};

struct qn_grower {
    const qn_bins *bins;
    qn_grow_params params;
    int32_t *rows, *spare;
    int64_t *packed; /* per training row: gradient and hessian */
    int64_t *gathered;
    struct leaf *leaves;
    int64_t n_leaves, n_nodes;
    struct bin_node *nodes;
    double *values; /* per leaf, shrunk */
    int64_t **histograms;
    int64_t n_histograms;
    int32_t *selected; /* features of this tree */
    int64_t n_selected;
    int32_t *offsets;      /* of selected features: where their histogram begins */
    double unit_g, unit_h; /* what one step of the fixed point is worth */
    struct sorted_bin {
        double ratio;
        int32_t bin;
    } * order;
};

static int64_t high(int64_t packed)
{
    return packed >> 32;
}

static int64_t low(int64_t packed)
{
    return (int64_t)(packed & INT64_C(0xffffffff));
}

qn_status qn_grower_create(const qn_bins *bins, const qn_grow_params *params, qn_grower **out,
                           qn_error *err)
{
    *out = NULL;
    qn_grower *grower = qn_alloc_array(1, sizeof *grower);
    if (!grower) return qn_fail(err, QN_ERR_NOMEM, "no memory to grow trees");
    const int64_t n = bins->n_train, n_leaves = params->num_leaves;
    grower->bins = bins;
    grower->params = *params;
    grower->spare = qn_alloc_aligned(n, sizeof *grower->spare);
    grower->packed = qn_alloc_aligned(n, sizeof *grower->packed);
    grower->gathered = qn_alloc_aligned(n, sizeof *grower->gathered);
    grower->leaves = qn_alloc_array(n_leaves, sizeof *grower->leaves);
    grower->nodes = qn_alloc_array(n_leaves, sizeof *grower->nodes);
    grower->values = qn_alloc_array(n_leaves, sizeof *grower->values);
    grower->histograms = qn_alloc_array(n_leaves + 1, sizeof *grower->histograms);
    grower->selected = qn_alloc_array(bins->n_features, sizeof *grower->selected);
    grower->offsets = qn_alloc_array(bins->n_features, sizeof *grower->offsets);
    grower->order = qn_alloc_array(256, sizeof *grower->order);
    if (!grower->spare || !grower->packed || !grower->gathered || !grower->leaves ||
        !grower->nodes || !grower->values || !grower->histograms || !grower->selected ||
        !grower->offsets || !grower->order) {
        qn_grower_free(grower);
        return qn_fail(err, QN_ERR_NOMEM, "no memory to grow trees");
    }
    *out = grower;
    return QN_OK;
}

void qn_grower_free(qn_grower *grower)
{
    if (!grower) return;
    for (int64_t i = 0; grower->histograms && i < grower->n_histograms; i++) {
        qn_free(grower->histograms[i]);
    }
    qn_free(grower->spare);
    qn_free(grower->packed);
    qn_free(grower->gathered);
    qn_free(grower->leaves);
    qn_free(grower->nodes);
    qn_free(grower->values);
    qn_free(grower->histograms);
    qn_free(grower->selected);
    qn_free(grower->offsets);
    qn_free(grower->order);
    qn_free(grower);
}

/* Fixed point. The unit is chosen so that no sum over the rows can leave its half. */
static void pack(qn_grower *grower, const int32_t *rows, int64_t n, const double *gradients,
                 const double *hessians)
{
    double most_g = 0, most_h = 0;
    for (int64_t i = 0; i < n; i++) {
        most_g = fmax(most_g, fabs(gradients[rows[i]]));
        most_h = fmax(most_h, hessians[rows[i]]);
    }
    const double room = 2147483000.0 / (double)n;
    grower->unit_g = most_g > 0 ? most_g / fmin(room, 1e6) : 1;
    grower->unit_h = most_h > 0 ? most_h / fmin(2 * room, 1e6) : 1;
    const double per_g = 1 / grower->unit_g, per_h = 1 / grower->unit_h;
    for (int64_t i = 0; i < n; i++) {
        const int64_t g = (int64_t)floor(gradients[rows[i]] * per_g + 0.5);
        const int64_t h = (int64_t)floor(hessians[rows[i]] * per_h + 0.5);
        grower->packed[rows[i]] = g * (INT64_C(1) << 32) + h;
    }
}

static void select_features(qn_grower *grower, qn_rng *rng)
{
    const qn_bins *bins = grower->bins;
    int64_t n = 0;
    for (int64_t f = 0; f < bins->n_features; f++) {
        if (bins->features[f].n_bins > 2 ||
            (bins->features[f].n_bins == 2 && !bins->features[f].categorical)) {
            grower->selected[n++] = (int32_t)f;
        }
    }
    const double wanted = ceil(grower->params.feature_fraction * (double)n);
    if (wanted < (double)n) {
        qn_rng_shuffle(rng, grower->selected, n);
        n = wanted < 1 ? 1 : (int64_t)wanted;
        /* In increasing order, so that a row's bytes are read forwards. */
        for (int64_t i = 1; i < n; i++) {
            const int32_t f = grower->selected[i];
            int64_t at = i;
            for (; at > 0 && f < grower->selected[at - 1]; at--) {
                grower->selected[at] = grower->selected[at - 1];
            }
            grower->selected[at] = f;
        }
    }
    grower->n_selected = n;
    for (int64_t i = 0; i < n; i++) {
        grower->offsets[i] = bins->features[grower->selected[i]].first;
    }
}

/* The inner loop of everything: one integer add for each row and feature. */
static void fill_histogram(const qn_grower *grower, const struct leaf *leaf, int64_t *histogram)
{
    const qn_bins *bins = grower->bins;
    const int64_t n_features = bins->n_features, n_selected = grower->n_selected;
    const int32_t *rows = grower->rows + leaf->begin;
    const int32_t *restrict selected = grower->selected, *restrict offsets = grower->offsets;
    const bool all = n_selected == n_features;
    memset(histogram, 0, (size_t)bins->n_bins * sizeof *histogram);
    for (int64_t i = 0; i < leaf->n; i++) {
        grower->gathered[i] = grower->packed[rows[i]];
    }
    for (int64_t i = 0; i < leaf->n; i++) {
        const uint8_t *codes = bins->codes + rows[i] * n_features;
        const int64_t packed = grower->gathered[i];
        if (i + PREFETCH_ROWS < leaf->n) {
            __builtin_prefetch(bins->codes + rows[i + PREFETCH_ROWS] * n_features);
        }
        if (all) {
            for (int64_t f = 0; f < n_features; f++) {
                histogram[offsets[f] + codes[f]] += packed;
            }
        } else {
            for (int64_t f = 0; f < n_selected; f++) {
                histogram[offsets[f] + codes[selected[f]]] += packed;
            }
        }
    }
}

/* Splits. */

static double shrink_l1(double g, double alpha)
{
    return g > alpha ? g - alpha : g < -alpha ? g + alpha : 0;
}

static double leaf_gain(double g, double h, double alpha, double lambda)
{
    const double kept = shrink_l1(g, alpha);
    return kept * kept / (h + lambda);
}

struct search {
    const qn_grower *grower;
    const struct leaf *leaf;
    double count_per_h; /* rows are counted by their share of the hessian */
    double parent_gain;
    double lambda;
};

/* Gain of sending (g, h) left; negative when a child would be too small. */
static double gain_of(const struct search *s, int64_t g, int64_t h)
{
    const qn_grow_params *p = &s->grower->params;
    const double unit_g = s->grower->unit_g, unit_h = s->grower->unit_h;
    const double left_h = (double)h * unit_h, right_h = (double)(s->leaf->h - h) * unit_h;
    if (left_h < p->min_sum_hessian_in_leaf || right_h < p->min_sum_hessian_in_leaf) return -1;
    const double n_left = (double)h * s->count_per_h;
    const double n_min = (double)p->min_data_in_leaf - 0.5;
    if (n_left < n_min || (double)s->leaf->n - n_left < n_min) return -1;
    return leaf_gain((double)g * unit_g, left_h, p->reg_alpha, s->lambda) +
           leaf_gain((double)(s->leaf->g - g) * unit_g, right_h, p->reg_alpha, s->lambda) -
           s->parent_gain - p->min_split_gain;
}

static void offer(const struct search *s, int32_t feature, int32_t bin, bool missing_left,
                  int64_t g, int64_t h, struct split *best)
{
    const double gain = gain_of(s, g, h);
    if (gain <= best->gain) return;
    *best = (struct split){.gain = gain,
                           .feature = feature,
                           .bin = bin,
                           .missing_left = missing_left,
                           .left_g = g,
                           .left_h = h};
}

static void search_numbers(const struct search *s, int32_t feature, const int64_t *cells,
                           qn_rng *rng, struct split *best)
{
    const int32_t n_bins = s->grower->bins->features[feature].n_bins;
    const int64_t missing_g = high(cells[0]), missing_h = low(cells[0]);
    const bool has_missing = cells[0] != 0;
    int32_t only = 0; /* extra trees: the one threshold that is tried */
    if (s->grower->params.extra_trees) {
        int32_t first = 1, last = n_bins - 1;
        while (first < last && cells[first] == 0) {
            first++;
        }
        while (last > first && cells[last] == 0) {
            last--;
        }
        if (first == last && !has_missing) return;
        only = first == last ? last : first + (int32_t)qn_rng_below(rng, last - first);
    }
    int64_t g = 0, h = 0;
    for (int32_t bin = 1; bin < n_bins - !has_missing; bin++) {
        g += high(cells[bin]);
        h += low(cells[bin]);
        if (only && bin != only) continue;
        if (cells[bin] == 0 && !only) continue; /* the same rows as one bin before */
        offer(s, feature, bin, false, g, h, best);
        if (has_missing && bin < n_bins - 1) {
            offer(s, feature, bin, true, g + missing_g, h + missing_h, best);
        }
        if (only) break;
    }
}

static int by_ratio(const void *left, const void *right)
{
    const struct sorted_bin *a = left, *b = right;
    if (a->ratio != b->ratio) return a->ratio < b->ratio ? -1 : 1;
    return (a->bin > b->bin) - (a->bin < b->bin);
}

static void set_code(struct split *split, int32_t bin)
{
    const int32_t code = bin - 1;
    split->set[code >> 6] |= UINT64_C(1) << (code & 63);
}

/* One level against the rest while there are few; otherwise levels sorted by their gradient over
 * hessian, cut once from either end (Fisher 1958, as LightGBM does it). */
static void search_categories(struct search *s, int32_t feature, const int64_t *cells, qn_rng *rng,
                              struct split *best)
{
    const qn_grow_params *p = &s->grower->params;
    const int32_t n_bins = s->grower->bins->features[feature].n_bins;
    struct sorted_bin *order = s->grower->order;
    int32_t n = 0;
    const double count_min = p->cat_smooth;
    for (int32_t bin = 1; bin < n_bins; bin++) {
        if (low(cells[bin]) == 0) continue;
        const double g = (double)high(cells[bin]) * s->grower->unit_g;
        const double h = (double)low(cells[bin]) * s->grower->unit_h;
        const bool one_hot = n_bins - 1 <= p->max_cat_to_onehot;
        if (!one_hot && (double)low(cells[bin]) * s->count_per_h < count_min) continue;
        order[n++] = (struct sorted_bin){g / (h + p->cat_smooth), bin};
    }
    struct split found = {.gain = best->gain};
    if (n_bins - 1 <= p->max_cat_to_onehot) {
        for (int32_t i = 0; i < n; i++) {
            const int64_t cell = cells[order[i].bin];
            struct split one = {.gain = found.gain};
            offer(s, feature, 0, false, high(cell), low(cell), &one);
            if (one.gain <= found.gain) continue;
            found = one;
            set_code(&found, order[i].bin);
        }
    } else {
        qsort(order, (size_t)n, sizeof *order, by_ratio);
        const double lambda = s->lambda;
        s->lambda += p->cat_l2;
        const int64_t most =
            p->max_cat_threshold < (n + 1) / 2 ? p->max_cat_threshold : (n + 1) / 2;
        const int64_t only = p->extra_trees && most > 0 ? 1 + qn_rng_below(rng, most) : 0;
        int32_t n_taken = 0;
        bool from_end = false;
        for (int side = 0; side < 2; side++) {
            int64_t g = 0, h = 0;
            for (int32_t i = 0; i < most; i++) {
                const int64_t cell = cells[order[side ? n - 1 - i : i].bin];
                g += high(cell);
                h += low(cell);
                if (only && i + 1 != only) continue;
                const double before = found.gain;
                offer(s, feature, 0, false, g, h, &found);
                if (found.gain > before) {
                    n_taken = i + 1;
                    from_end = side;
                }
            }
        }
        s->lambda = lambda;
        for (int32_t i = 0; i < n_taken; i++) {
            set_code(&found, order[from_end ? n - 1 - i : i].bin);
        }
    }
    if (found.gain > best->gain) *best = found;
}

static void find_split(const qn_grower *grower, struct leaf *leaf, qn_rng *rng)
{
    const qn_grow_params *p = &grower->params;
    struct search s = {.grower = grower, .leaf = leaf, .lambda = p->reg_lambda};
    leaf->split = (struct split){.gain = 0};
    const bool deep = p->max_depth > 0 && leaf->depth >= p->max_depth;
    if (deep || leaf->n < 2 * p->min_data_in_leaf || leaf->h == 0) return;
    s.count_per_h = (double)leaf->n / (double)leaf->h;
    s.parent_gain = leaf_gain((double)leaf->g * grower->unit_g, (double)leaf->h * grower->unit_h,
                              p->reg_alpha, p->reg_lambda);
    leaf->split.gain = 1e-10 * (1 + s.parent_gain);
    const double least = leaf->split.gain;
    for (int64_t i = 0; i < grower->n_selected; i++) {
        const int32_t feature = grower->selected[i];
        const int64_t *cells = leaf->histogram + grower->offsets[i];
        if (grower->bins->features[feature].categorical) {
            search_categories(&s, feature, cells, rng, &leaf->split);
        } else {
            search_numbers(&s, feature, cells, rng, &leaf->split);
        }
    }
    if (leaf->split.gain <= least) leaf->split.gain = 0;
}

/* Growing. */

static int64_t *histogram_at(qn_grower *grower, int64_t i)
{
    if (i == grower->n_histograms) {
        grower->histograms[i] = qn_alloc_aligned(grower->bins->n_bins, sizeof(int64_t));
        if (!grower->histograms[i]) return NULL;
        grower->n_histograms++;
    }
    return grower->histograms[i];
}

static bool code_goes_left(const struct split *split, bool categorical, uint8_t code)
{
    if (categorical) {
        if (code == 0) return false;
        return split->set[(code - 1) >> 6] >> ((code - 1) & 63) & 1;
    }
    return code == 0 ? split->missing_left : code <= split->bin;
}

/* Moves the rows that go left to the front, in their order; returns how many. */
static int64_t partition(qn_grower *grower, const struct leaf *leaf)
{
    const qn_bins *bins = grower->bins;
    const struct split *split = &leaf->split;
    const bool categorical = bins->features[split->feature].categorical;
    uint8_t left[256];
    for (int code = 0; code < 256; code++) {
        left[code] = code_goes_left(split, categorical, (uint8_t)code);
    }
    int32_t *rows = grower->rows + leaf->begin, *spare = grower->spare;
    const uint8_t *codes = bins->codes + split->feature;
    int64_t n_left = 0, n_right = 0;
    for (int64_t i = 0; i < leaf->n; i++) {
        const int32_t row = rows[i];
        const uint8_t goes_left = left[codes[row * bins->n_features]];
        rows[n_left] = row; /* kept if it goes left, else overwritten */
        spare[n_right] = row;
        n_left += goes_left;
        n_right += !goes_left;
    }
    memcpy(rows + n_left, spare, (size_t)n_right * sizeof *rows);
    return n_left;
}

/* Splits leaf `at` in two: the left part stays at `at`, the right one is a new leaf. */
static bool split_leaf(qn_grower *grower, int64_t at, double *gain, qn_rng *rng)
{
    struct leaf *left = &grower->leaves[at], *right = &grower->leaves[grower->n_leaves];
    const struct leaf whole = *left;
    const int32_t node = (int32_t)grower->n_nodes;
    const int64_t n_left = partition(grower, &whole);
    int64_t *other = histogram_at(grower, grower->n_leaves);
    if (!other) return false;

    grower->nodes[node] =
        (struct bin_node){.feature = whole.split.feature,
                          .bin = whole.split.bin,
                          .missing_left = whole.split.missing_left,
                          .categorical = grower->bins->features[whole.split.feature].categorical,
                          .left = ~(int32_t)at,
                          .right = ~(int32_t)grower->n_leaves};
    memcpy(grower->nodes[node].set, whole.split.set, sizeof whole.split.set);
    if (whole.parent >= 0) {
        struct bin_node *parent = &grower->nodes[whole.parent];
        if (whole.is_left) {
            parent->left = node;
        } else {
            parent->right = node;
        }
    }
    grower->n_nodes++;
    grower->n_leaves++;
    gain[whole.split.feature] += whole.split.gain;

    *left = (struct leaf){.begin = whole.begin,
                          .n = n_left,
                          .g = whole.split.left_g,
                          .h = whole.split.left_h,
                          .depth = whole.depth + 1,
                          .parent = node,
                          .is_left = true};
    *right = (struct leaf){.begin = whole.begin + n_left,
                           .n = whole.n - n_left,
                           .g = whole.g - left->g,
                           .h = whole.h - left->h,
                           .depth = whole.depth + 1,
                           .parent = node};
    /* The smaller child is counted, the larger is what remains of the parent. */
    struct leaf *small = left->n < right->n ? left : right, *large = small == left ? right : left;
    small->histogram = other;
    large->histogram = whole.histogram;
    if (grower->n_leaves < grower->params.num_leaves) {
        fill_histogram(grower, small, small->histogram);
        for (int64_t i = 0; i < grower->bins->n_bins; i++) {
            large->histogram[i] -= small->histogram[i];
        }
        find_split(grower, left, rng);
        find_split(grower, right, rng);
    }
    return true;
}

/* Leaf values from exact sums of the gradients themselves, in the order of the leaf's rows. */
static void set_values(qn_grower *grower, const double *gradients, const double *hessians,
                       double *scores, int64_t stride)
{
    const qn_grow_params *p = &grower->params;
    for (int64_t l = 0; l < grower->n_leaves; l++) {
        const struct leaf *leaf = &grower->leaves[l];
        const int32_t *rows = grower->rows + leaf->begin;
        double g = 0, h = 0;
        for (int64_t i = 0; i < leaf->n; i++) {
            g += gradients[rows[i]];
            h += hessians[rows[i]];
        }
        const double value =
            h + p->reg_lambda > 0 ? -shrink_l1(g, p->reg_alpha) / (h + p->reg_lambda) : 0;
        grower->values[l] = p->learning_rate * value;
        for (int64_t i = 0; i < leaf->n; i++) {
            scores[rows[i] * stride] += grower->values[l];
        }
    }
}

static double threshold_of(const qn_bins *bins, const struct bin_node *node)
{
    const qn_bin_feature *feature = &bins->features[node->feature];
    if (node->bin < 1) return -QN_INF;
    return node->bin - 1 < feature->n_bins - 2 ? feature->edges[node->bin - 1] : QN_INF;
}

static void emit(const qn_grower *grower, qn_tree_builder *builder)
{
    const int64_t first_leaf = qn_tree_builder_add_values(builder, grower->values, 1);
    for (int64_t l = 1; l < grower->n_leaves; l++) {
        qn_tree_builder_add_values(builder, &grower->values[l], 1);
    }
    const int64_t first = builder->n_nodes;
    for (int64_t i = 0; i < grower->n_nodes; i++) {
        const struct bin_node *node = &grower->nodes[i];
        qn_tree_node out = {.feature = node->feature};
        if (node->categorical) {
            out.flags = QN_NODE_CATEGORY;
            out.threshold = (double)qn_tree_builder_add_set(builder, node->set);
        } else {
            out.flags = node->missing_left ? QN_NODE_DEFAULT_LEFT : 0;
            out.threshold = threshold_of(grower->bins, node);
        }
        out.left =
            node->left >= 0 ? (int32_t)first + node->left : ~(int32_t)(first_leaf + ~node->left);
        out.right =
            node->right >= 0 ? (int32_t)first + node->right : ~(int32_t)(first_leaf + ~node->right);
        qn_tree_builder_add_node(builder, &out);
    }
    qn_tree_builder_add_tree(builder, grower->n_nodes > 0 ? (int32_t)first : ~(int32_t)first_leaf);
}

bool qn_grower_grow(qn_grower *grower, int32_t *rows, int64_t n_rows, const double *gradients,
                    const double *hessians, qn_rng *rng, const qn_stop *stop,
                    qn_tree_builder *builder, double *scores, int64_t stride, double *gain)
{
    struct leaf *root = &grower->leaves[0];
    grower->rows = rows;
    grower->n_leaves = 1;
    grower->n_nodes = 0;
    select_features(grower, rng);
    pack(grower, rows, n_rows, gradients, hessians);
    *root = (struct leaf){.n = n_rows, .parent = -1, .histogram = histogram_at(grower, 0)};
    if (!root->histogram) {
        builder->failed = true;
        return true;
    }
    for (int64_t i = 0; i < n_rows; i++) {
        root->g += high(grower->packed[rows[i]]);
        root->h += low(grower->packed[rows[i]]);
    }
    if (grower->n_selected > 0 && grower->params.num_leaves > 1) {
        fill_histogram(grower, root, root->histogram);
        find_split(grower, root, rng);
    }
    int64_t work = n_rows;
    while (grower->n_leaves < grower->params.num_leaves) {
        int64_t best = 0;
        for (int64_t l = 1; l < grower->n_leaves; l++) {
            if (grower->leaves[l].split.gain > grower->leaves[best].split.gain) best = l;
        }
        if (!(grower->leaves[best].split.gain > 0)) break;
        work += grower->leaves[best].n;
        if (work > STOP_CHECK_ROWS) {
            if (qn_stop_requested(stop)) return false;
            work = 0;
        }
        if (!split_leaf(grower, best, gain, rng)) {
            builder->failed = true;
            return true;
        }
    }
    set_values(grower, gradients, hessians, scores, stride);
    emit(grower, builder);
    return true;
}

void qn_grower_walk(const qn_grower *grower, int64_t first, int64_t n, const uint8_t *skip,
                    double *scores, int64_t stride)
{
    const qn_bins *bins = grower->bins;
    for (int64_t i = 0; i < n; i++) {
        if (skip && skip[i]) continue;
        const uint8_t *codes = bins->codes + (first + i) * bins->n_features;
        int32_t at = grower->n_nodes > 0 ? 0 : ~0;
        while (at >= 0) {
            const struct bin_node *node = &grower->nodes[at];
            const uint8_t code = codes[node->feature];
            bool left;
            if (node->categorical) {
                left = code > 0 && (node->set[(code - 1) >> 6] >> ((code - 1) & 63) & 1);
            } else {
                left = code == 0 ? node->missing_left : code <= node->bin;
            }
            at = left ? node->left : node->right;
        }
        scores[i * stride] += grower->values[~at];
    }
}
