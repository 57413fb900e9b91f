/* SPDX-License-Identifier: Apache-2.0 */
#include "learn/tree/grow_internal.h"

#include "base/alloc.h"

#include <math.h>
#include <string.h>

enum {
    STOP_CHECK_ROWS = 20000,
    LARGE_WORK = 1 << 16, /* rows × groups: a leaf that all threads work on together */
    AHEAD_WORK = 1 << 14, /* rows × groups: less is not worth waking a thread for */
    AHEAD_LEAVES = 4,     /* small leaves worked on at a time */
    VALUE_PARTS = 8,      /* that leaves are valued in */
    CHUNK_ROWS = 8192     /* fewer are not worth waking a thread for */
};

/* Life. */

/* What symmetric trees need. */
static bool create_level(qn_grower *grower)
{
    if (grower->params.grow_policy != QN_GROW_SYMMETRIC) return true;
    for (int64_t f = 0; f < grower->bins->n_features; f++) {
        const int64_t n_bins = grower->bins->features[f].n_bins;
        if (n_bins > grower->n_widest) grower->n_widest = n_bins;
    }
    const int64_t n = grower->params.num_leaves;
    grower->level = qn_alloc_array(n, sizeof *grower->level);
    grower->level_requests = qn_alloc_array(n, sizeof *grower->level_requests);
    grower->level_room =
        qn_alloc_aligned(RANGES_MAX * 2 * grower->n_widest, sizeof *grower->level_room);
    return grower->level && grower->level_requests && grower->level_room;
}

qn_status qn_grower_create(const qn_bins *bins, const qn_grow_params *params, qn_pool *pool,
                           qn_grower **out, qn_error *err)
{
    *out = NULL;
    qn_grower *grower = qn_alloc_array(1, sizeof *grower);
    if (!grower) return qn_fail(err, QN_ERR_NOMEM, "no memory to grow trees");
    const int64_t n = bins->n_train, n_leaves = params->num_leaves;
    grower->bins = bins;
    grower->params = *params;
    grower->pool = pool;
    grower->leaves_room = 4 * n_leaves + 1; /* were every leaf worked on ahead */
    grower->packed = qn_alloc_aligned(n, sizeof *grower->packed);
    grower->rows[0] = qn_alloc_aligned(n, sizeof *grower->rows[0]);
    grower->rows[1] = qn_alloc_aligned(n, sizeof *grower->rows[1]);
    grower->marks = qn_alloc_aligned(n, 1);
    grower->leaves = qn_alloc_array(grower->leaves_room, sizeof *grower->leaves);
    grower->heap = qn_alloc_array(grower->leaves_room, sizeof *grower->heap);
    grower->tree.nodes = qn_alloc_array(n_leaves, sizeof *grower->tree.nodes);
    grower->ends = qn_alloc_array(n_leaves, sizeof *grower->ends);
    grower->split_up = qn_alloc_array(n_leaves, sizeof *grower->split_up);
    grower->tree.values = qn_alloc_array(n_leaves, sizeof *grower->tree.values);
    grower->cells = qn_alloc_array(grower->leaves_room + THREADS_MAX, sizeof *grower->cells);
    grower->idle = qn_alloc_array(grower->leaves_room + THREADS_MAX, sizeof *grower->idle);
    grower->features = qn_alloc_array(bins->n_features, sizeof *grower->features);
    grower->groups = qn_alloc_array(bins->n_groups, sizeof *grower->groups);
    if (!grower->packed || !grower->rows[0] || !grower->rows[1] || !grower->marks ||
        !grower->leaves || !grower->heap || !grower->tree.nodes || !grower->ends ||
        !grower->split_up || !grower->tree.values || !grower->cells || !grower->idle ||
        !grower->features || !grower->groups || !qn_grow_create_copies(grower) ||
        !create_level(grower)) {
        qn_grower_free(grower);
        return qn_fail(err, QN_ERR_NOMEM, "no memory to grow trees");
    }
    *out = grower;
    return QN_OK;
}

void qn_grower_free(qn_grower *grower)
{
    if (!grower) return;
    for (int64_t i = 0; grower->cells && i < grower->n_cells; i++) {
        qn_free(grower->cells[i]);
    }
    for (int i = 0; i < N_COPIES; i++) {
        qn_free(grower->copies[i].codes);
        qn_free(grower->copies[i].packed);
        qn_free(grower->copies[i].origin);
    }
    qn_free(grower->packed);
    qn_free(grower->rows[0]);
    qn_free(grower->rows[1]);
    qn_free(grower->marks);
    qn_free(grower->leaves);
    qn_free(grower->heap);
    qn_free(grower->ends);
    qn_free(grower->split_up);
    qn_bin_tree_release(&grower->tree);
    qn_free(grower->level);
    qn_free(grower->level_requests);
    qn_free(grower->level_room);
    qn_free(grower->cells);
    qn_free(grower->idle);
    qn_free(grower->features);
    qn_free(grower->groups);
    qn_free(grower);
}

/* Growing. */

struct expansion {
    struct leaf *leaf, *left, *right;
    qn_cell_sum *cells; /* for the smaller child */
    bool last;          /* its children will not be split */
};

/* Works out what a leaf falls into. Touches nothing but its own rows and children. */
static void expand(qn_grower *grower, struct expansion *e, qn_pool *pool)
{
    struct leaf *leaf = e->leaf, *left = e->left, *right = e->right;
    qn_grow_gather(grower, leaf, pool);
    const int64_t n_left = qn_grow_partition(grower, leaf, pool);
    *left = (struct leaf){.begin = leaf->begin,
                          .n = n_left,
                          .g = leaf->split.left_g,
                          .h = leaf->split.left_h,
                          .key = qn_seed_child(leaf->key, 1),
                          .depth = leaf->depth + 1,
                          .side = !leaf->side,
                          .copy = leaf->copy,
                          .block_begin = leaf->block_begin,
                          .block_n = leaf->block_n};
    *right = *left;
    right->begin = leaf->begin + n_left;
    right->n = leaf->n - n_left;
    right->g = leaf->g - left->g;
    right->h = leaf->h - left->h;
    right->key = qn_seed_child(leaf->key, 2);
    qn_grow_set_bounds(grower, leaf, left, right);
    if (e->last || (!qn_grow_may_split(grower, left) && !qn_grow_may_split(grower, right))) return;
    struct leaf *small = left->n < right->n ? left : right, *large = small == left ? right : left;
    qn_grow_gather(grower, small, pool);
    qn_grow_count(grower, small, e->cells, pool);
    small->cells = e->cells;
    large->cells = leaf->cells;
    e->cells = leaf->cells = NULL;
    qn_grow_subtract(grower, large->cells, small->cells);
    if (grower->params.grow_policy != QN_GROW_SYMMETRIC) {
        qn_grow_find_splits(grower, left, right, pool);
    }
}

/* The order in which leaves are split: by gain; level by level if so wished. Ties go by place. */
static bool comes_before(const qn_grower *grower, int32_t a, int32_t b)
{
    const struct leaf *x = &grower->leaves[a], *y = &grower->leaves[b];
    if (grower->params.grow_policy == QN_GROW_DEPTHWISE && x->depth != y->depth)
        return x->depth < y->depth;
    if (x->split.gain != y->split.gain) return x->split.gain > y->split.gain;
    return x->begin < y->begin;
}

static void heap_push(qn_grower *grower, int32_t leaf)
{
    int32_t *heap = grower->heap;
    int64_t at = grower->n_heap++;
    while (at > 0 && comes_before(grower, leaf, heap[(at - 1) / 2])) {
        heap[at] = heap[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    heap[at] = leaf;
}

static int32_t heap_pop(qn_grower *grower)
{
    int32_t *heap = grower->heap;
    const int32_t first = heap[0], last = heap[--grower->n_heap];
    int64_t at = 0;
    for (;;) {
        int64_t child = 2 * at + 1;
        if (child >= grower->n_heap) break;
        if (child + 1 < grower->n_heap && comes_before(grower, heap[child + 1], heap[child])) {
            child++;
        }
        if (!comes_before(grower, heap[child], last)) break;
        heap[at] = heap[child];
        at = child;
    }
    heap[at] = last;
    return first;
}

static int64_t work_of(const qn_grower *grower, const struct leaf *leaf)
{
    return leaf->n * grower->n_groups;
}

struct batch {
    qn_grower *grower;
    struct expansion expansions[AHEAD_LEAVES];
    int64_t n;
};

static void expand_one(void *context, int64_t i)
{
    struct batch *batch = context;
    expand(batch->grower, &batch->expansions[i], NULL);
}

static bool add_to_batch(qn_grower *grower, struct batch *batch, int32_t leaf)
{
    struct expansion *e = &batch->expansions[batch->n];
    *e = (struct expansion){.leaf = &grower->leaves[leaf], .cells = qn_grow_take_cells(grower)};
    if (!e->cells) return false;
    e->leaf->left = (int32_t)grower->n_leaves++;
    e->leaf->right = (int32_t)grower->n_leaves++;
    e->left = &grower->leaves[e->leaf->left];
    e->right = &grower->leaves[e->leaf->right];
    batch->n++;
    return true;
}

/* A large leaf with all threads, small ones each with one. */
static void expand_batch(struct batch *batch, bool large, int64_t work)
{
    qn_grower *grower = batch->grower;
    if (large || batch->n == 1 || work < AHEAD_WORK) {
        for (int64_t i = 0; i < batch->n; i++) {
            expand(grower, &batch->expansions[i], large ? grower->pool : NULL);
        }
    } else {
        qn_pool_run(grower->pool, batch->n, expand_one, batch);
    }
    for (int64_t i = 0; i < batch->n; i++) {
        qn_grow_give_cells(grower, &batch->expansions[i].cells);
        qn_grow_give_cells(grower, &batch->expansions[i].leaf->cells);
    }
}

/* Expands the leaf whose turn it is; where it is small and threads are idle, others whose turn will
 * come soon as well. False when out of memory. */
static bool expand_next(qn_grower *grower, int32_t next)
{
    struct batch batch = {.grower = grower};
    if (!add_to_batch(grower, &batch, next)) return false;
    const int64_t left = grower->params.num_leaves - grower->n_ends; /* splits still to be made */
    batch.expansions[0].last = left == 1;
    const bool large = work_of(grower, &grower->leaves[next]) >= LARGE_WORK;
    int32_t popped[AHEAD_LEAVES];
    int64_t n_popped = 0, work = work_of(grower, &grower->leaves[next]);
    const int64_t n_most = left < AHEAD_LEAVES ? left : AHEAD_LEAVES;
    bool enough = true;
    if (!large && qn_pool_n_threads(grower->pool) > 1) {
        while (grower->n_heap > 0 && n_popped + 1 < n_most && enough) {
            struct leaf *leaf = &grower->leaves[grower->heap[0]];
            if (work_of(grower, leaf) >= LARGE_WORK) break;
            popped[n_popped++] = heap_pop(grower);
            if (leaf->left) continue;
            enough = add_to_batch(grower, &batch, popped[n_popped - 1]);
            work += work_of(grower, leaf);
        }
    }
    expand_batch(&batch, large, work);
    for (int64_t i = 0; i < n_popped; i++) {
        heap_push(grower, popped[i]);
    }
    for (int64_t i = 0; i < batch.n; i++) {
        struct expansion *e = &batch.expansions[i];
        if (e->left->split.gain <= 0) qn_grow_give_cells(grower, &e->left->cells);
        if (e->right->split.gain <= 0) qn_grow_give_cells(grower, &e->right->cells);
    }
    return true;
}

/* Makes the leaf a node and its children leaves. */
static void split_up(qn_grower *grower, int32_t index, double *gain)
{
    struct leaf *leaf = &grower->leaves[index];
    struct leaf *left = &grower->leaves[leaf->left], *right = &grower->leaves[leaf->right];
    grower->tree.nodes[grower->tree.n_nodes] = qn_bin_node_of(grower->bins, &leaf->split);
    left->number = leaf->number;
    right->number = (int32_t)grower->n_ends++;
    grower->ends[left->number] = leaf->left;
    grower->ends[right->number] = leaf->right;
    grower->split_up[grower->tree.n_nodes] = index;
    leaf->number = (int32_t)grower->tree.n_nodes++;
    leaf->is_node = true;
    gain[leaf->split.feature] += leaf->split.gain;
}

/* Leaf by leaf. False when stopped; out of memory is told by the builder. */
static bool grow_leaves(qn_grower *grower, const qn_stop *stop, qn_tree_builder *builder,
                        double *gain)
{
    struct leaf *root = &grower->leaves[0];
    qn_grow_find_splits(grower, root, NULL,
                        work_of(grower, root) >= LARGE_WORK ? grower->pool : NULL);
    if (root->split.gain > 0) heap_push(grower, 0);
    int64_t work = root->n;
    while (grower->n_heap > 0 && grower->n_ends < grower->params.num_leaves) {
        const int32_t next = heap_pop(grower);
        struct leaf *leaf = &grower->leaves[next];
        work += leaf->n;
        if (work > STOP_CHECK_ROWS) {
            if (qn_stop_requested(stop)) return false;
            work = 0;
        }
        if (!leaf->left && !expand_next(grower, next)) {
            builder->failed = true;
            return true;
        }
        split_up(grower, next, gain);
        if (grower->leaves[leaf->left].split.gain > 0) heap_push(grower, leaf->left);
        if (grower->leaves[leaf->right].split.gain > 0) heap_push(grower, leaf->right);
    }
    return true;
}

/* Level by level, one test each, while twice the leaves are allowed. */

/* Splits the leaves level[0 … n-1]; false when out of memory. */
static bool expand_level(qn_grower *grower, int64_t n, bool last)
{
    for (int64_t i = 0; i < n;) {
        struct batch batch = {.grower = grower};
        int64_t work = 0;
        bool large = false;
        while (i < n && batch.n < AHEAD_LEAVES && !large) {
            const struct leaf *leaf = &grower->leaves[grower->level[i]];
            large = work_of(grower, leaf) >= LARGE_WORK;
            if (large && batch.n > 0) { /* goes by itself, next */
                large = false;
                break;
            }
            work += work_of(grower, leaf);
            if (!add_to_batch(grower, &batch, grower->level[i++])) return false;
            batch.expansions[batch.n - 1].last = last;
        }
        expand_batch(&batch, large, work);
    }
    return true;
}

static bool grow_levels(qn_grower *grower, const qn_stop *stop, qn_tree_builder *builder,
                        double *gain)
{
    int64_t n = 1;
    grower->level[0] = 0;
    while (n > 0 && 2 * grower->n_ends <= grower->params.num_leaves) {
        if (qn_stop_requested(stop)) return false;
        qn_grow_find_shared(grower, n, grower->pool);
        int64_t n_split = 0;
        for (int64_t i = 0; i < n; i++) {
            const int32_t leaf = grower->level[i];
            if (grower->leaves[leaf].split.gain > 0) grower->level[n_split++] = leaf;
        }
        const bool last = 2 * (grower->n_ends + n_split) > grower->params.num_leaves;
        if (!expand_level(grower, n_split, last)) {
            builder->failed = true;
            return true;
        }
        const int64_t first = grower->n_leaves - 2 * n_split;
        for (int64_t i = 0; i < n_split; i++) {
            split_up(grower, grower->level[i], gain);
        }
        n = 0;
        for (int64_t i = first; i < grower->n_leaves && !last; i++) {
            struct leaf *leaf = &grower->leaves[i];
            if (leaf->cells && qn_grow_may_split(grower, leaf)) {
                grower->level[n++] = (int32_t)i;
            } else {
                qn_grow_give_cells(grower, &leaf->cells);
            }
        }
    }
    return true;
}

/* Leaf values come from sums of the gradients themselves, of 2^-40 and finer: whole numbers again,
 * so that the order of rows is of no account. */
struct valuing {
    qn_grower *grower;
    const qn_grow_request *request;
    double scale_g, scale_h, shrinkage;
    double *scores;
    int64_t stride;
    int64_t n_parts; /* that the leaves are dealt out to */
};

static double scale_for(double most, double n)
{
    int exponent;
    (void)frexp(most * n, &exponent);
    return ldexp(1, 61 - exponent);
}

static void set_value(const struct valuing *v, int64_t number)
{
    qn_grower *grower = v->grower;
    const struct leaf *leaf = &grower->leaves[grower->ends[number]];
    int32_t *originals = grower->rows[!leaf->side] + leaf->begin;
    qn_grow_originals(grower, leaf, originals);
    int64_t g = 0, h = 0;
    for (int64_t i = 0; i < leaf->n; i++) {
        const int32_t row = originals[i];
        g += (int64_t)(v->request->derivatives[row].gradient * v->scale_g);
        h += (int64_t)(v->request->derivatives[row].hessian * v->scale_h);
    }
    double value;
    if (v->request->renew) {
        value = v->request->renew(v->request->renew_context, originals, leaf->n, leaf->begin);
        value = fmin(fmax(value, leaf->bounds.low), leaf->bounds.high);
    } else {
        value = qn_leaf_value(&grower->params, &leaf->bounds, (double)g / v->scale_g,
                              (double)h / v->scale_h, (double)leaf->n);
    }
    const double most = v->request->step_max;
    if (most > 0) value = fmin(fmax(value, -most), most);
    grower->tree.values[number] = value *= v->shrinkage;
    for (int64_t i = 0; i < leaf->n; i++) {
        v->scores[originals[i] * v->stride] += value;
    }
}

static void set_values(void *context, int64_t part)
{
    const struct valuing *v = context;
    for (int64_t number = part; number < v->grower->n_ends; number += v->n_parts) {
        set_value(v, number);
    }
}

static double threshold_of(const qn_bins *bins, const qn_split *split)
{
    const qn_bin_feature *feature = &bins->features[split->feature];
    if (split->bin < 1) return -QN_INF;
    return split->bin - 1 < feature->n_bins - 2 ? feature->edges[split->bin - 1] : QN_INF;
}

static int32_t child_number(const qn_grower *grower, int32_t child, int64_t first_node,
                            int64_t first_leaf)
{
    const struct leaf *leaf = &grower->leaves[child];
    return leaf->is_node ? (int32_t)first_node + leaf->number
                         : ~(int32_t)(first_leaf + leaf->number);
}

static void emit(qn_grower *grower, qn_tree_builder *builder)
{
    const int64_t first_leaf = qn_tree_builder_add_values(builder, grower->tree.values, 1);
    for (int64_t l = 1; l < grower->n_ends; l++) {
        qn_tree_builder_add_values(builder, &grower->tree.values[l], 1);
    }
    const int64_t first = builder->n_nodes;
    for (int64_t i = 0; i < grower->tree.n_nodes; i++) { /* room for all, parents before children */
        qn_tree_builder_add_node(builder, &(qn_tree_node){0});
    }
    for (int64_t i = 0; i < grower->tree.n_nodes && !builder->failed; i++) {
        const struct leaf *leaf = &grower->leaves[grower->split_up[i]];
        qn_tree_node out = {.feature = leaf->split.feature,
                            .left_cover = (float)grower->leaves[leaf->left].n,
                            .right_cover = (float)grower->leaves[leaf->right].n,
                            .gain = qn_tree_gain(leaf->split.gain)};
        if (grower->bins->features[out.feature].categorical) {
            out.flags = QN_NODE_CATEGORY;
            out.threshold = (double)qn_tree_builder_add_set(builder, leaf->split.set);
        } else {
            out.flags = leaf->split.missing_left ? QN_NODE_DEFAULT_LEFT : 0;
            out.threshold = threshold_of(grower->bins, &leaf->split);
        }
        out.left = child_number(grower, leaf->left, first, first_leaf);
        out.right = child_number(grower, leaf->right, first, first_leaf);
        qn_bin_node *node = &grower->tree.nodes[i];
        node->left = child_number(grower, leaf->left, 0, 0);
        node->right = child_number(grower, leaf->right, 0, 0);
        if (!builder->failed) builder->nodes[first + i] = out;
    }
    qn_tree_builder_add_tree(builder,
                             grower->tree.n_nodes > 0 ? (int32_t)first : ~(int32_t)first_leaf);
}

static bool is_usable(const qn_bin_feature *feature)
{
    return feature->n_bins > 2 || (feature->n_bins == 2 && !feature->categorical);
}

/* Draws the features of this tree, and lists the groups that they stand in. */
static void select_features(qn_grower *grower)
{
    const qn_bins *bins = grower->bins;
    int64_t n = 0;
    for (int64_t f = 0; f < bins->n_features; f++) {
        n += is_usable(&bins->features[f]);
    }
    double wanted = fmax(1, ceil(grower->params.feature_fraction * (double)n));
    qn_rng rng;
    qn_rng_init(&rng, grower->seed, 0);
    grower->n_features = grower->n_groups = 0;
    for (int64_t f = 0, left = n; f < bins->n_features && wanted > 0; f++) {
        if (!is_usable(&bins->features[f])) continue;
        const bool drawn = wanted >= (double)left || qn_rng_uniform(&rng) * (double)left < wanted;
        left--;
        if (!drawn) continue;
        wanted--;
        grower->features[grower->n_features++] = (int32_t)f;
    }
    for (int64_t i = 0; i < grower->n_features; i++) {
        const int32_t group = bins->features[grower->features[i]].group;
        int64_t at = grower->n_groups;
        while (at > 0 && grower->groups[at - 1] > group) {
            at--;
        }
        if (at > 0 && grower->groups[at - 1] == group) continue;
        memmove(grower->groups + at + 1, grower->groups + at,
                (size_t)(grower->n_groups - at) * sizeof *grower->groups);
        grower->groups[at] = group;
        grower->n_groups++;
    }
}

/* The root: all rows, counted if it may be split. False when out of memory. */
static bool plant(qn_grower *grower, const qn_grow_request *request)
{
    const int64_t sum = qn_grow_pack(grower, request);
    struct leaf *root = &grower->leaves[0];
    grower->n_leaves = grower->n_ends = 1;
    grower->tree.n_nodes = grower->n_heap = 0;
    grower->ends[0] = 0;
    grower->n_idle = grower->n_cells;
    memcpy(grower->idle, grower->cells, (size_t)grower->n_cells * sizeof *grower->idle);
    *root = (struct leaf){.n = request->n_rows,
                          .g = qn_sum_gradient(sum),
                          .h = qn_sum_hessian(sum),
                          .key = 1,
                          .in_order = !request->rows,
                          .block_n = grower->bins->n_train,
                          .bounds = {-QN_INF, QN_INF, 0},
                          .allowance = {UINT64_MAX, -1}};
    root->bounds.parent = qn_grow_value(grower, root);
    if (request->rows) {
        memcpy(grower->rows[0], request->rows, (size_t)request->n_rows * sizeof *request->rows);
    }
    if (!qn_grow_may_split(grower, root) || grower->n_features == 0 ||
        grower->params.num_leaves < 2) {
        return true;
    }
    root->cells = qn_grow_take_cells(grower);
    if (!root->cells) return false;
    qn_pool *pool = work_of(grower, root) >= LARGE_WORK ? grower->pool : NULL;
    qn_grow_gather(grower, root, pool);
    qn_grow_count(grower, root, root->cells, pool);
    return true;
}

bool qn_grower_grow(qn_grower *grower, const qn_grow_request *request, qn_tree_builder *builder,
                    double *scores, int64_t stride, double *gain)
{
    grower->seed = request->seed;
    select_features(grower);
    if (!plant(grower, request)) {
        builder->failed = true;
        return true;
    }
    const bool symmetric = grower->params.grow_policy == QN_GROW_SYMMETRIC;
    if (grower->leaves[0].cells &&
        !(symmetric ? grow_levels : grow_leaves)(grower, request->stop, builder, gain)) {
        return false;
    }
    if (builder->failed) return true;
    const double n = (double)request->n_rows; /* no value is over UNITS_MAX units */
    struct valuing valuing = {.grower = grower,
                              .request = request,
                              .scale_g = scale_for(grower->unit_g * UNITS_MAX, n),
                              .scale_h = scale_for(grower->unit_h * UNITS_MAX, n),
                              .shrinkage = request->shrinkage,
                              .scores = scores,
                              .stride = stride};
    valuing.n_parts = grower->n_ends < VALUE_PARTS ? grower->n_ends : VALUE_PARTS;
    qn_pool_run(request->n_rows > CHUNK_ROWS ? grower->pool : NULL, valuing.n_parts, set_values,
                &valuing);
    grower->tree.n_leaves = grower->n_ends;
    emit(grower, builder);
    return true;
}

const qn_bin_tree *qn_grower_tree(const qn_grower *grower)
{
    return &grower->tree;
}
