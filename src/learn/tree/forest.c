/* SPDX-License-Identifier: Apache-2.0 */
/* Forests on binned rows: random forests (Breiman 2001: bootstrap, best of all cuts) and extremely
 * randomised trees (Geurts et al. 2006: every row, one random cut per feature). Each node looks at
 * max_features features; leaves hold class frequencies or a mean. Bins of categories are taken in
 * the order of their codes (frequency).
 *
 * Gini: a cut's score is the sum over both sides of (sum over classes of squared weight) / weight,
 * which is to be large; for numbers the same with one "class" whose weight is the sum of targets.
 */
#include "learn/tree/tree_learners.h"

#include "base/alloc.h"
#include "base/rng.h"
#include "learn/tree/bins.h"
#include "model/tree_prune.h"

#include <math.h>
#include <string.h>

struct forest_params {
    int64_t n_estimators, max_depth, min_data_in_leaf;
    double max_features, ccp_alpha;
    bool bootstrap, random_cuts;
};

#define AT(member) offsetof(struct forest_params, member)

enum { AUTO_TREES = 0, STOP_CHECK_ROWS = 50000 };

#define COMMON_PARAMS                                                                             \
    {"n_estimators",                                                                              \
     QN_PARAM_INT,                                                                                \
     AT(n_estimators),                                                                            \
     0,                                                                                           \
     10000,                                                                                       \
     0,                                                                                           \
     0,                                                                                           \
     false,                                                                                       \
     AUTO_TREES,                                                                                  \
     NULL,                                                                                        \
     "trees; 0: from 200 for small tables to 50 for very long ones"},                             \
        {"max_features",                                                                          \
         QN_PARAM_FLOAT,                                                                          \
         AT(max_features),                                                                        \
         0,                                                                                       \
         1,                                                                                       \
         0.1,                                                                                     \
         1,                                                                                       \
         false,                                                                                   \
         0,                                                                                       \
         NULL,                                                                                    \
         "share of features looked at in a node; 0: the square root of their number, or a third " \
         "for numbers"},                                                                          \
        {"max_depth",                                                                             \
         QN_PARAM_INT,                                                                            \
         AT(max_depth),                                                                           \
         0,                                                                                       \
         1000,                                                                                    \
         0,                                                                                       \
         0,                                                                                       \
         false,                                                                                   \
         0,                                                                                       \
         NULL,                                                                                    \
         "depth of a tree; 0: no limit"},                                                         \
        {"ccp_alpha",                                                                             \
         QN_PARAM_FLOAT,                                                                          \
         AT(ccp_alpha),                                                                           \
         0,                                                                                       \
         1e300,                                                                                   \
         0,                                                                                       \
         0,                                                                                       \
         false,                                                                                   \
         0,                                                                                       \
         NULL,                                                                                    \
         "cost of a leaf in pruning: impurity a split must take away; 0: trees are not pruned"},  \
    {                                                                                             \
        "min_data_in_leaf", QN_PARAM_INT, AT(min_data_in_leaf), 0, 1e9, 1, 20, true, 0, NULL,     \
            "rows in a leaf; 0: 1, and more for long tables"                                      \
    }

static const qn_param extra_params[] = {COMMON_PARAMS,
                                        {"bootstrap", QN_PARAM_BOOL, AT(bootstrap), 0, 1, 0, 0,
                                         false, 0, NULL,
                                         "draw rows with replacement for each tree"},
                                        {"random_cuts", QN_PARAM_BOOL, AT(random_cuts), 0, 1, 0, 0,
                                         false, 1, NULL, "one random cut per feature"},
                                        {0}};
static const qn_param random_params[] = {COMMON_PARAMS,
                                         {"bootstrap", QN_PARAM_BOOL, AT(bootstrap), 0, 1, 0, 0,
                                          false, 1, NULL,
                                          "draw rows with replacement for each tree"},
                                         {"random_cuts", QN_PARAM_BOOL, AT(random_cuts), 0, 1, 0, 0,
                                          false, 0, NULL, "one random cut per feature"},
                                         {0}};

struct forest {
    const qn_learn_request *request;
    const qn_dataset *data;
    const qn_bins *bins;
    struct forest_params params; /* with the automatic values filled in */
    int32_t k;                   /* 1: a sum of targets; else classes */
    int64_t n_tried;             /* features a node looks at */
};

struct pending {
    int64_t begin, n;
    int32_t parent, depth;
    bool is_left;
};

/* One tree in the making; memory is made once per tree. */
struct tree {
    const struct forest *forest;
    qn_rng rng;
    int32_t *rows, *spare;
    int64_t n_rows;
    int32_t *features;
    struct pending *stack;
    int64_t n_stack, stack_room;
    double *all, *left; /* class weights of the node, and of its left part */
    double *leaf;       /* what a leaf holds */
    int64_t *pure;      /* leaf index of each pure class, -1 */
    qn_tree_builder builder;
    double *gain;
};

struct cut {
    double score, gain;
    double left_weight;
    int32_t feature, bin;
};

static double weight_of(const struct forest *f, int32_t row)
{
    return f->data->train.weights ? f->data->train.weights[row] : 1;
}

static bool is_classes(const struct forest *f)
{
    return f->data->n_classes > 0;
}

static void add_row(const struct forest *f, int32_t row, double *sums, double *weight)
{
    const double w = weight_of(f, row), y = f->data->train.target[row];
    *weight += w;
    if (is_classes(f)) {
        sums[(int32_t)y] += w;
    } else {
        sums[0] += w * y;
    }
}

static double side_score(const double *sums, int32_t k, double weight)
{
    double squares = 0;
    for (int32_t c = 0; c < k; c++) {
        squares += sums[c] * sums[c];
    }
    return weight > 0 ? squares / weight : 0;
}

/* A random bin between the least and the greatest that occur, and what it would part. */
static void try_random_cut(struct tree *t, const struct pending *node, int32_t feature,
                           double all_weight, struct cut *best)
{
    const struct forest *f = t->forest;
    const qn_bin_feature *described = &f->bins->features[feature];
    const uint8_t *codes = f->bins->columns + described->group * f->bins->n_rows,
                  *decode = described->decode;
    const int32_t *rows = t->rows + node->begin;
    int32_t least = 255, most = 0;
    for (int64_t i = 0; i < node->n; i++) {
        const uint8_t code = decode[codes[rows[i]]];
        least = code < least ? code : least;
        most = code > most ? code : most;
    }
    if (least == most) return;
    const int32_t bin = least + (int32_t)qn_rng_below(&t->rng, most - least);
    double weight = 0;
    int64_t n_left = 0;
    memset(t->left, 0, (size_t)f->k * sizeof *t->left);
    for (int64_t i = 0; i < node->n; i++) {
        if (decode[codes[rows[i]]] > bin) continue;
        add_row(f, rows[i], t->left, &weight);
        n_left++;
    }
    if (n_left < f->params.min_data_in_leaf || node->n - n_left < f->params.min_data_in_leaf)
        return;
    double score = side_score(t->left, f->k, weight), squares = 0;
    for (int32_t c = 0; c < f->k; c++) {
        const double rest = t->all[c] - t->left[c];
        squares += rest * rest;
    }
    if (all_weight - weight > 0) score += squares / (all_weight - weight);
    if (score > best->score) *best = (struct cut){score, 0, weight, feature, bin};
}

/* Every cut of one feature: rows in the order of their bins, squares kept up row by row. */
static void try_all_cuts(struct tree *t, const struct pending *node, int32_t feature,
                         double all_weight, struct cut *best)
{
    const struct forest *f = t->forest;
    const qn_bin_feature *described = &f->bins->features[feature];
    const uint8_t *codes = f->bins->columns + described->group * f->bins->n_rows,
                  *decode = described->decode;
    const int32_t *rows = t->rows + node->begin;
    int32_t starts[257] = {0};
    for (int64_t i = 0; i < node->n; i++) {
        starts[decode[codes[rows[i]]] + 1]++;
    }
    int32_t ends[256];
    for (int b = 0; b < 256; b++) {
        starts[b + 1] += starts[b];
        ends[b] = starts[b];
    }
    for (int64_t i = 0; i < node->n; i++) {
        t->spare[ends[decode[codes[rows[i]]]]++] = rows[i];
    }
    double weight = 0, left_squares = 0, right_squares = 0;
    memset(t->left, 0, (size_t)f->k * sizeof *t->left);
    for (int32_t c = 0; c < f->k; c++) {
        right_squares += t->all[c] * t->all[c];
    }
    const bool classes = is_classes(f);
    const double *target = f->data->train.target;
    for (int b = 0; b < 255; b++) {
        if (starts[b] == starts[b + 1]) continue;
        for (int32_t i = starts[b]; i < starts[b + 1]; i++) {
            const double w = weight_of(f, t->spare[i]), y = target[t->spare[i]];
            const int32_t c = classes ? (int32_t)y : 0;
            const double add = classes ? w : w * y, right = t->all[c] - t->left[c];
            left_squares += add * (2 * t->left[c] + add);
            right_squares += add * (add - 2 * right);
            t->left[c] += add;
            weight += w;
        }
        const int64_t n_left = starts[b + 1];
        if (n_left == node->n) break;
        if (n_left < f->params.min_data_in_leaf || node->n - n_left < f->params.min_data_in_leaf) {
            continue;
        }
        const double score = (weight > 0 ? left_squares / weight : 0) +
                             (all_weight - weight > 0 ? right_squares / (all_weight - weight) : 0);
        if (score > best->score) *best = (struct cut){score, 0, weight, feature, b};
    }
}

/* The best cut of max_features random features. */
static struct cut find_cut(struct tree *t, const struct pending *node, double all_weight)
{
    const struct forest *f = t->forest;
    const double base = side_score(t->all, f->k, all_weight);
    struct cut best = {.score = base * (1 + 1e-12) + 1e-300, .feature = -1};
    const int64_t n = f->bins->n_features;
    for (int64_t i = 0, tried = 0; i < n && tried < f->n_tried; i++) {
        const int64_t j = i + qn_rng_below(&t->rng, n - i);
        const int32_t feature = t->features[j];
        t->features[j] = t->features[i];
        t->features[i] = feature;
        if (f->bins->features[feature].n_bins < 2) continue;
        if (f->params.random_cuts) {
            try_random_cut(t, node, feature, all_weight, &best);
        } else {
            try_all_cuts(t, node, feature, all_weight, &best);
        }
        tried++;
    }
    best.gain = best.score - base;
    if (best.feature >= 0) t->gain[best.feature] += best.gain;
    return best;
}

static int64_t add_leaf(struct tree *t, double weight)
{
    const struct forest *f = t->forest;
    int32_t n_present = 0, only = 0;
    for (int32_t c = 0; c < f->k; c++) {
        t->leaf[c] = weight > 0 ? t->all[c] / weight : 0;
        if (t->all[c] != 0) {
            n_present++;
            only = c;
        }
    }
    if (!is_classes(f)) return qn_tree_builder_add_values(&t->builder, t->leaf, 1);
    /* Most leaves of deep trees are pure: they share one vector per class. */
    if (f->data->n_outputs == 1) { /* binary: p of class 1 */
        return qn_tree_builder_add_values(&t->builder, &t->leaf[1], 1);
    }
    if (n_present == 1 && t->pure[only] >= 0) return t->pure[only];
    const int64_t leaf = qn_tree_builder_add_values(&t->builder, t->leaf, f->k);
    if (n_present == 1) t->pure[only] = leaf;
    return leaf;
}

static double threshold_of(const qn_bin_feature *feature, int32_t bin)
{
    if (feature->categorical) return bin - 0.5; /* code = bin - 1 */
    if (bin == 0) return -QN_INF;
    return bin - 1 < feature->n_bins - 2 ? feature->edges[bin - 1] : QN_INF;
}

static void link_parent(struct tree *t, const struct pending *node, int32_t child)
{
    if (node->parent < 0 || t->builder.failed) return;
    qn_tree_node *parent = &t->builder.nodes[node->parent];
    if (node->is_left) {
        parent->left = child;
    } else {
        parent->right = child;
    }
}

static bool push(struct tree *t, struct pending node)
{
    if (t->n_stack == t->stack_room) {
        const int64_t room = t->stack_room ? t->stack_room * 2 : 64;
        struct pending *stack = qn_realloc_array(t->stack, room, sizeof *stack);
        if (!stack) return false;
        t->stack = stack;
        t->stack_room = room;
    }
    t->stack[t->n_stack++] = node;
    return true;
}

static int64_t partition(struct tree *t, const struct pending *node, const struct cut *cut)
{
    const struct forest *f = t->forest;
    const qn_bin_feature *described = &f->bins->features[cut->feature];
    const uint8_t *codes = f->bins->columns + described->group * f->bins->n_rows;
    int32_t *rows = t->rows + node->begin;
    int64_t n_left = 0, n_right = 0;
    for (int64_t i = 0; i < node->n; i++) {
        const int32_t row = rows[i];
        if (described->decode[codes[row]] <= cut->bin) {
            rows[n_left++] = row;
        } else {
            t->spare[n_right++] = row;
        }
    }
    memcpy(rows + n_left, t->spare, (size_t)n_right * sizeof *rows);
    return n_left;
}

/* Handles one node: a leaf, or a cut and two more nodes to do. Returns its index or ~leaf. */
static int32_t grow_node(struct tree *t, const struct pending *node)
{
    const struct forest *f = t->forest;
    double weight = 0;
    memset(t->all, 0, (size_t)f->k * sizeof *t->all);
    for (int64_t i = 0; i < node->n; i++) {
        add_row(f, t->rows[node->begin + i], t->all, &weight);
    }
    struct cut cut = {.feature = -1};
    const bool deep = f->params.max_depth > 0 && node->depth >= f->params.max_depth;
    if (!deep && node->n >= 2 * f->params.min_data_in_leaf && node->n > 1) {
        cut = find_cut(t, node, weight);
    }
    if (cut.feature < 0) {
        const int32_t leaf = ~(int32_t)add_leaf(t, weight);
        link_parent(t, node, leaf);
        return leaf;
    }
    const qn_bin_feature *feature = &f->bins->features[cut.feature];
    const qn_tree_node out = {.threshold = threshold_of(feature, cut.bin),
                              .feature = cut.feature,
                              .flags =
                                  QN_NODE_DEFAULT_LEFT | (feature->categorical ? QN_NODE_CODE : 0),
                              .left_cover = (float)cut.left_weight,
                              .right_cover = (float)fmax(weight - cut.left_weight, 0),
                              .gain = qn_tree_gain(cut.gain)};
    const int32_t index = (int32_t)qn_tree_builder_add_node(&t->builder, &out);
    link_parent(t, node, index);
    const int64_t n_left = partition(t, node, &cut);
    const struct pending left = {node->begin, n_left, index, node->depth + 1, true};
    const struct pending right = {node->begin + n_left, node->n - n_left, index, node->depth + 1,
                                  false};
    if (!push(t, right) || !push(t, left)) t->builder.failed = true;
    return index;
}

static void draw_rows(struct tree *t)
{
    const int64_t n = t->n_rows;
    if (!t->forest->params.bootstrap) {
        for (int64_t i = 0; i < n; i++) {
            t->rows[i] = (int32_t)i;
        }
        return;
    }
    /* Counts rather than draws, so that rows stand in increasing order. */
    memset(t->spare, 0, (size_t)n * sizeof *t->spare);
    for (int64_t i = 0; i < n; i++) {
        t->spare[qn_rng_below(&t->rng, n)]++;
    }
    int64_t at = 0;
    for (int64_t row = 0; row < n; row++) {
        for (int32_t copies = t->spare[row]; copies > 0; copies--) {
            t->rows[at++] = (int32_t)row;
        }
    }
}

static void release_tree(struct tree *t)
{
    qn_free(t->rows);
    qn_free(t->spare);
    qn_free(t->features);
    qn_free(t->stack);
    qn_free(t->all);
    qn_free(t->left);
    qn_free(t->leaf);
    qn_free(t->pure);
    qn_free(t->gain);
    qn_tree_builder_release(&t->builder);
}

static bool create_tree(const struct forest *f, struct tree *t)
{
    const int64_t n = f->data->train.n_rows, n_features = f->bins->n_features;
    *t = (struct tree){.forest = f,
                       .n_rows = n,
                       .rows = qn_alloc_aligned(n, sizeof *t->rows),
                       .spare = qn_alloc_aligned(n, sizeof *t->spare),
                       .features = qn_alloc_array(n_features, sizeof *t->features),
                       .all = qn_alloc_array(f->k, sizeof *t->all),
                       .left = qn_alloc_array(f->k, sizeof *t->left),
                       .leaf = qn_alloc_array(f->k, sizeof *t->leaf),
                       .pure = qn_alloc_array(f->k, sizeof *t->pure),
                       .gain = qn_alloc_array(n_features, sizeof *t->gain)};
    return t->rows && t->spare && t->features && t->all && t->left && t->leaf && t->pure && t->gain;
}

/* False when stopped: the unfinished tree is of no use. */
static bool grow_tree(struct tree *t, uint64_t seed, int64_t number)
{
    const struct forest *f = t->forest;
    qn_rng_init(&t->rng, seed, (uint64_t)number);
    for (int64_t i = 0; i < f->bins->n_features; i++) {
        t->features[i] = (int32_t)i;
    }
    for (int32_t c = 0; c < f->k; c++) {
        t->pure[c] = -1;
    }
    draw_rows(t);
    int32_t root = 0;
    bool is_root = true;
    int64_t work = 0;
    if (!push(t, (struct pending){.n = t->n_rows, .parent = -1})) t->builder.failed = true;
    while (t->n_stack > 0 && !t->builder.failed) {
        const struct pending node = t->stack[--t->n_stack];
        const int32_t index = grow_node(t, &node);
        if (is_root) root = index;
        is_root = false;
        work += node.n;
        if (work > STOP_CHECK_ROWS) {
            if (qn_stop_requested(f->request->stop)) return false;
            work = 0;
        }
    }
    qn_tree_builder_add_tree(&t->builder, root);
    return true;
}

/* Appends a finished tree, pruned. */
static void append_pruned(const struct tree *t, double alpha, qn_tree_builder *forest,
                          int32_t width)
{
    const qn_tree_builder *tree = &t->builder;
    const qn_tree_span span = {.nodes = tree->nodes,
                               .n_nodes = tree->n_nodes,
                               .values = tree->values,
                               .width = width,
                               .root = tree->roots[0]};
    if (qn_tree_prune_into(&span, alpha, forest, NULL) != QN_OK) forest->failed = true;
}

/* Appends a finished tree. */
static void append(const struct tree *t, qn_tree_builder *forest, int32_t width)
{
    const qn_tree_builder *tree = &t->builder;
    const int64_t first_node = forest->n_nodes, first_value = forest->n_values / width;
    const int64_t n_leaves = tree->n_values / width;
    for (int64_t i = 0; i < n_leaves; i++) {
        qn_tree_builder_add_values(forest, tree->values + i * width, width);
    }
    for (int64_t i = 0; i < tree->n_nodes; i++) {
        qn_tree_node node = tree->nodes[i];
        node.left =
            node.left >= 0 ? (int32_t)first_node + node.left : ~(int32_t)(first_value + ~node.left);
        node.right = node.right >= 0 ? (int32_t)first_node + node.right
                                     : ~(int32_t)(first_value + ~node.right);
        qn_tree_builder_add_node(forest, &node);
    }
    const int32_t root = tree->roots ? tree->roots[0] : ~0;
    qn_tree_builder_add_tree(forest, root >= 0 ? (int32_t)first_node + root
                                               : ~(int32_t)(first_value + ~root));
    forest->failed |= tree->failed;
}

static void fill_automatic(struct forest *f, const struct forest_params *given)
{
    const int64_t n = f->data->train.n_rows, n_features = f->bins->n_features;
    f->params = *given;
    if (f->params.n_estimators == AUTO_TREES) {
        f->params.n_estimators = n <= 5000 ? 200 : n <= 30000 ? 120 : n <= 100000 ? 80 : 50;
    }
    if (f->params.min_data_in_leaf == 0) {
        f->params.min_data_in_leaf = n <= 30000 ? 1 : n <= 100000 ? 2 : 4;
        /* Numbers are noisier than classes: single rows make poor means. */
        if (!is_classes(f)) f->params.min_data_in_leaf += 1;
    }
    double tried = given->max_features * (double)n_features;
    if (given->max_features == 0) {
        tried = is_classes(f) ? sqrt((double)n_features) + 1 : (double)n_features * 0.5;
    }
    f->n_tried = tried < 1 ? 1 : (int64_t)(tried + 0.5);
}

struct grove {
    const struct forest *forest;
    struct tree *trees; /* of this batch */
    int64_t first;
    bool *grown;
};

static void grow_one(void *context, int64_t i)
{
    struct grove *grove = context;
    struct tree *tree = &grove->trees[i];
    if (!create_tree(grove->forest, tree)) tree->builder.failed = true;
    grove->grown[i] =
        !tree->builder.failed && grow_tree(tree, grove->forest->request->seed, grove->first + i);
}

enum { BATCH = 8 }; /* trees grown at a time when there are idle threads */

static qn_status grow_all(const struct forest *f, qn_tree_builder *model, double *gain,
                          int64_t *n_grown, bool *stopped, qn_error *err)
{
    struct tree trees[BATCH];
    bool grown[BATCH];
    struct grove grove = {f, trees, 0, grown};
    const int64_t wanted = f->params.n_estimators;
    while (*n_grown < wanted && !*stopped) {
        const int64_t n = wanted - *n_grown < BATCH ? wanted - *n_grown : BATCH;
        grove.first = *n_grown;
        qn_pool_run(f->request->pool, n, grow_one, &grove);
        bool no_memory = false;
        for (int64_t i = 0; i < n; i++) {
            no_memory |= trees[i].builder.failed;
            if (grown[i] && !*stopped && !no_memory) {
                if (f->params.ccp_alpha > 0) {
                    append_pruned(&trees[i], f->params.ccp_alpha, model, f->data->n_outputs);
                } else {
                    append(&trees[i], model, f->data->n_outputs);
                }
                for (int64_t j = 0; j < f->bins->n_features; j++) {
                    gain[j] += trees[i].gain[j];
                }
                ++*n_grown;
            }
            *stopped |= !grown[i];
            release_tree(&trees[i]);
        }
        if (no_memory || model->failed) {
            return qn_fail(err, QN_ERR_NOMEM, "no memory to grow a forest");
        }
        *stopped |= qn_stop_requested(f->request->stop);
    }
    return QN_OK;
}

static qn_status fit(const qn_learn_request *request, qn_learn_result *result, qn_error *err)
{
    const qn_dataset *data = request->data;
    struct forest f = {.request = request, .data = data, .bins = data->bins};
    *result = (qn_learn_result){0};
    if (f.bins->n_groups > f.bins->n_narrow) {
        return qn_fail(err, QN_ERR_UNSUPPORTED, "forests work on up to %d bins",
                       QN_NARROW_BINS_MAX);
    }
    f.k = is_classes(&f) ? data->n_classes : 1;
    fill_automatic(&f, request->params);
    qn_tree_builder model = {0};
    int64_t n_grown = 0;
    bool stopped = false;
    double sum = 0, init[QN_CLASSES_MAX] = {0};
    double *gain = qn_alloc_array(data->n_features[QN_VIEW_TREE], sizeof *gain);
    qn_status status = gain ? grow_all(&f, &model, gain, &n_grown, &stopped, err)
                            : qn_fail(err, QN_ERR_NOMEM, "no memory to grow a forest");
    if (status == QN_OK && n_grown == 0) {
        status = qn_fail(err, QN_ERR_INTERRUPTED, "stopped before the first tree was done");
    }
    if (status == QN_OK) {
        status = qn_tree_builder_finish(&model, (int32_t)n_grown, QN_LINK_MEAN, true, init,
                                        data->n_outputs, &result->estimator, err);
    }
    qn_tree_builder_release(&model);
    if (status != QN_OK) {
        qn_free(gain);
        return status;
    }
    for (int64_t j = 0; j < f.bins->n_features; j++) {
        sum += gain[j];
    }
    for (int64_t j = 0; sum > 0 && j < f.bins->n_features; j++) {
        gain[j] /= sum;
    }
    result->importance = gain;
    result->n_rounds = n_grown;
    result->stopped = stopped;
    return QN_OK;
}

static void cost(const qn_dataset *data, const void *params, double *bytes, double *work)
{
    (void)params;
    const double n = (double)data->train.n_rows;
    *bytes = n * 8 * BATCH + 100 * n * 48;
    *work = 100 * n * log2(n + 2) * sqrt((double)data->n_dense[QN_VIEW_TREE]);
}

#define TASKS                                                                     \
    (1u << QN_TASK_BINARY | 1u << QN_TASK_MULTICLASS | 1u << QN_TASK_REGRESSION | \
     1u << QN_TASK_RANKING)
#define CAPABILITIES (QN_LEARNER_WEIGHTS | QN_LEARNER_PARTIAL | QN_LEARNER_THREADS)

const qn_learner qn_learner_extra_trees = {.name = "extra_trees",
                                           .help = "forest of extremely randomised trees",
                                           .tasks = TASKS,
                                           .capabilities = CAPABILITIES,
                                           .view = QN_VIEW_TREE,
                                           .params = extra_params,
                                           .params_bytes = sizeof(struct forest_params),
                                           .fit = fit,
                                           .cost = cost};

const qn_learner qn_learner_random_forest = {.name = "random_forest",
                                             .help = "forest of bootstrapped trees",
                                             .tasks = TASKS,
                                             .capabilities = CAPABILITIES,
                                             .view = QN_VIEW_TREE,
                                             .params = random_params,
                                             .params_bytes = sizeof(struct forest_params),
                                             .fit = fit,
                                             .cost = cost};
