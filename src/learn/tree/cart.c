/* SPDX-License-Identifier: Apache-2.0 */
#include "learn/tree/cart_internal.h"

#include "base/alloc.h"

#include <math.h>
#include <string.h>

enum { STOP_CHECK_ROWS = 50000 };

/* The rows of a tree, drawn ones weighted with how often. `counts` has room for all rows. */
static void draw_samples(qn_cart_work *work, int32_t *counts)
{
    const qn_cart_plan *plan = work->plan;
    const int64_t n = plan->data->train.n_rows;
    const double *target = plan->data->train.target;
    if (plan->params.bootstrap) {
        memset(counts, 0, (size_t)n * sizeof *counts);
        for (int64_t i = 0; i < n; i++) {
            counts[qn_rng_below(&work->rng, n)]++;
        }
    }
    work->n = 0;
    for (int64_t row = 0; row < n; row++) {
        const int32_t count = plan->params.bootstrap ? counts[row] : 1;
        if (count == 0) continue;
        const float w = plan->weights ? plan->weights[row] : 1;
        work->samples[work->n++] = (qn_cart_sample){(int32_t)row, w * (float)count, target[row]};
    }
}

/* The sums of a node. True when no cut can gain: all its rows are alike. */
static bool sum_node(qn_cart_work *work, const qn_cart_node *node)
{
    const qn_cart_sample *samples = work->samples + node->begin;
    const double first = samples[0].value;
    bool alike = true;
    work->weight = work->sum = 0;
    if (work->plan->k > 0) memset(work->all, 0, (size_t)work->plan->k * sizeof *work->all);
    for (int64_t i = 0; i < node->n; i++) {
        const double w = (double)samples[i].weight, value = samples[i].value;
        work->weight += w;
        alike &= value == first;
        if (work->plan->k > 0) {
            work->all[(int32_t)value] += w;
        } else {
            work->sum += w * value;
        }
    }
    return alike;
}

/* Most leaves of deep trees are pure: of several classes, they share one vector per class. */
static int64_t add_leaf(qn_cart_work *work, bool pure, int32_t class_of, qn_tree_builder *builder)
{
    const qn_cart_plan *plan = work->plan;
    const double smoothing = plan->params.leaf_smoothing, weight = work->weight + smoothing;
    const bool shared = plan->k > 0 && pure && smoothing == 0;
    if (shared && work->pure[class_of] >= 0) return work->pure[class_of];
    for (int32_t c = 0; c < plan->n_outputs; c++) {
        const double sum = plan->k > 0 ? work->all[c] : work->sum;
        work->leaf[c] = weight > 0 ? (sum + smoothing * plan->prior[c]) / weight : plan->prior[c];
    }
    const int64_t leaf = qn_tree_builder_add_values(builder, work->leaf, plan->n_outputs);
    if (shared) work->pure[class_of] = leaf;
    return leaf;
}

static void describe_cut(const qn_cart_plan *plan, const qn_cart_cut *cut, qn_tree_node *node)
{
    const qn_bin_feature *feature = &plan->bins->features[cut->feature];
    const bool missing_left =
        plan->bin_places[cut->feature * QN_CART_PLACES] <= cut->place; /* that of bin 0 */
    node->feature = cut->feature;
    node->flags =
        (missing_left ? QN_NODE_DEFAULT_LEFT : 0) | (feature->categorical ? QN_NODE_CATEGORY : 0);
    if (feature->categorical) {
        node->threshold = plan->first_set[cut->feature] + cut->place;
    } else if (cut->place == 0) {
        node->threshold = -QN_INF;
    } else {
        node->threshold =
            cut->place - 1 < feature->n_bins - 2 ? feature->edges[cut->place - 1] : QN_INF;
    }
}

static void link_parent(qn_tree_builder *builder, const qn_cart_node *node, int32_t child)
{
    if (node->parent < 0 || builder->failed) return;
    qn_tree_node *parent = &builder->nodes[node->parent];
    if (node->is_left) {
        parent->left = child;
    } else {
        parent->right = child;
    }
}

static bool push(qn_cart_work *work, qn_cart_node node)
{
    if (work->n_stack == work->stack_room) {
        const int64_t room = work->stack_room ? work->stack_room * 2 : 64;
        qn_cart_node *stack = qn_realloc_array(work->stack, room, sizeof *stack);
        if (!stack) return false;
        work->stack = stack;
        work->stack_room = room;
    }
    work->stack[work->n_stack++] = node;
    return true;
}

static bool keep_place(qn_cart_work *work, int64_t index, int32_t place)
{
    if (index >= work->cut_places_room) {
        const int64_t room = work->cut_places_room ? work->cut_places_room * 2 : 256;
        int32_t *places = qn_realloc_array(work->cut_places, room, sizeof *places);
        if (!places) return false;
        work->cut_places = places;
        work->cut_places_room = room;
    }
    work->cut_places[index] = place;
    return true;
}

/* Stable, and without branches on what is found. */
static int64_t partition(qn_cart_work *work, const qn_cart_node *node, const qn_cart_cut *cut)
{
    const qn_bins *bins = work->plan->bins;
    const uint8_t *codes = bins->columns + bins->features[cut->feature].group * bins->n_rows,
                  *places = work->plan->places + cut->feature * QN_CART_PLACES;
    qn_cart_sample *samples = work->samples + node->begin;
    int64_t n_left = 0, n_right = 0;
    for (int64_t i = 0; i < node->n; i++) {
        const qn_cart_sample sample = samples[i];
        const bool left = places[codes[sample.row]] <= cut->place;
        samples[n_left] = sample;
        work->spare[n_right] = sample;
        n_left += left;
        n_right += !left;
    }
    memcpy(samples + n_left, work->spare, (size_t)n_right * sizeof *samples);
    return n_left;
}

/* Handles one node: a leaf, or a cut and two more nodes to do. Returns its index or ~leaf. */
static int32_t grow_node(qn_cart_work *work, const qn_cart_node *node, qn_cart *tree)
{
    const qn_cart_params *params = &work->plan->params;
    qn_tree_builder *builder = &tree->builder;
    const bool pure = sum_node(work, node);
    const bool deep = params->max_depth > 0 && node->depth >= params->max_depth;
    qn_cart_cut cut = {.feature = -1};
    if (!pure && !deep && node->n >= 2 * params->min_data_in_leaf) {
        cut = qn_cart_find_cut(work, node);
    }
    if (cut.feature < 0) {
        const int32_t class_of = (int32_t)work->samples[node->begin].value;
        const int32_t leaf = ~(int32_t)add_leaf(work, pure, class_of, builder);
        link_parent(builder, node, leaf);
        return leaf;
    }
    const double gain = cut.score * work->plan->gain_scale;
    qn_tree_node out = {.left_cover = (float)cut.left_weight,
                        .right_cover = (float)fmax(work->weight - cut.left_weight, 0),
                        .gain = qn_tree_gain(gain)};
    describe_cut(work->plan, &cut, &out);
    tree->gain[cut.feature] += gain;
    const int32_t index = (int32_t)qn_tree_builder_add_node(builder, &out);
    link_parent(builder, node, index);
    const int64_t n_left = partition(work, node, &cut), begin = node->begin;
    const qn_cart_node left = {begin, n_left, index, node->depth + 1, true};
    const qn_cart_node right = {begin + n_left, node->n - n_left, index, node->depth + 1, false};
    if (!keep_place(work, index, cut.place) || !push(work, right) || !push(work, left)) {
        builder->failed = true;
    }
    return index;
}

/* The leaves of the rows that the tree has not seen, by walking their bins. */
static void find_out_of_bag(const qn_cart_work *work, const int32_t *counts, int32_t root,
                            qn_cart *tree)
{
    const qn_cart_plan *plan = work->plan;
    const qn_bins *bins = plan->bins;
    for (int64_t row = 0; row < plan->data->train.n_rows; row++) {
        int32_t at = root;
        while (counts[row] == 0 && at >= 0) {
            const qn_tree_node *node = &tree->builder.nodes[at];
            const int64_t f = node->feature;
            const uint8_t code = bins->columns[bins->features[f].group * bins->n_rows + row];
            const bool left = plan->places[f * QN_CART_PLACES + code] <= work->cut_places[at];
            at = left ? node->left : node->right;
        }
        tree->out_of_bag[row] = counts[row] == 0 ? ~at : -1;
    }
}

static void release_work(qn_cart_work *work)
{
    qn_free(work->samples);
    qn_free(work->spare);
    qn_free(work->features);
    qn_free(work->codes);
    qn_free(work->stack);
    qn_free(work->all);
    qn_free(work->left);
    qn_free(work->table);
    qn_free(work->leaf);
    qn_free(work->pure);
    qn_free(work->cut_places);
}

static bool create_work(const qn_cart_plan *plan, uint64_t seed, int64_t number, qn_cart_work *work)
{
    const int64_t n = plan->data->train.n_rows, n_features = plan->bins->n_features;
    *work = (qn_cart_work){.plan = plan,
                           .samples = qn_alloc_aligned(n, sizeof *work->samples),
                           .spare = qn_alloc_aligned(n, sizeof *work->spare),
                           .features = qn_alloc_array(n_features, sizeof *work->features),
                           .codes = qn_alloc_aligned(n, 1),
                           .all = qn_alloc_array(plan->k, sizeof *work->all),
                           .left = qn_alloc_array(plan->k, sizeof *work->left),
                           .table = qn_alloc_array(plan->k * QN_CART_PLACES, sizeof *work->table),
                           .leaf = qn_alloc_array(plan->n_outputs, sizeof *work->leaf),
                           .pure = qn_alloc_array(plan->k, sizeof *work->pure)};
    if (!work->samples || !work->spare || !work->features || !work->codes || !work->all ||
        !work->left || !work->table || !work->leaf || !work->pure) {
        return false;
    }
    qn_rng_init(&work->rng, seed, (uint64_t)number);
    for (int64_t f = 0; f < n_features; f++) {
        work->features[f] = (int32_t)f;
    }
    for (int32_t c = 0; c < plan->k; c++) {
        work->pure[c] = -1;
    }
    return true;
}

/* False when told to stop: the unfinished tree is of no use. */
static bool grow_nodes(qn_cart_work *work, const qn_stop *stop, qn_cart *tree, int32_t *root)
{
    int64_t seen = 0;
    bool is_root = true;
    if (!push(work, (qn_cart_node){.n = work->n, .parent = -1})) tree->builder.failed = true;
    while (work->n_stack > 0 && !tree->builder.failed) {
        const qn_cart_node node = work->stack[--work->n_stack];
        const int32_t index = grow_node(work, &node, tree);
        if (is_root) *root = index;
        is_root = false;
        seen += node.n;
        if (seen > STOP_CHECK_ROWS) {
            if (qn_stop_requested(stop)) return false;
            seen = 0;
        }
    }
    return !tree->builder.failed;
}

bool qn_cart_grow(const qn_cart_plan *plan, uint64_t seed, int64_t number, bool out_of_bag,
                  const qn_stop *stop, qn_cart *out)
{
    const int64_t n = plan->data->train.n_rows;
    const bool counted = plan->params.bootstrap;
    qn_cart_work work = {0};
    int32_t root = 0;
    *out = (qn_cart){.gain = qn_alloc_array(plan->bins->n_features, sizeof *out->gain)};
    int32_t *counts = counted ? qn_alloc_aligned(n, sizeof *counts) : NULL;
    if (counted && out_of_bag) out->out_of_bag = qn_alloc_aligned(n, sizeof *out->out_of_bag);
    bool grown = out->gain && (!counted || counts) &&
                 (!counted || !out_of_bag || out->out_of_bag) &&
                 create_work(plan, seed, number, &work);
    out->builder.failed = !grown;
    if (grown) {
        draw_samples(&work, counts);
        grown = grow_nodes(&work, stop, out, &root);
    }
    if (grown) {
        qn_tree_builder_add_tree(&out->builder, root);
        if (out->out_of_bag) find_out_of_bag(&work, counts, root, out);
    }
    release_work(&work);
    qn_free(counts);
    return grown;
}

void qn_cart_release(qn_cart *tree)
{
    qn_tree_builder_release(&tree->builder);
    qn_free(tree->gain);
    qn_free(tree->out_of_bag);
    *tree = (qn_cart){0};
}
