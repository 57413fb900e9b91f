/* SPDX-License-Identifier: Apache-2.0 */
#include "learn/tree/grow.h"

#include "base/alloc.h"

#include <math.h>
#include <string.h>

enum {
    STOP_CHECK_ROWS = 20000,
    CHUNKS_MAX = 64,      /* that a leaf's rows are worked on in */
    CHUNK_ROWS = 8192,    /* at least */
    LARGE_WORK = 1 << 18, /* rows × groups: a leaf that all threads work on together */
    AHEAD_WORK = 1 << 14, /* rows × groups: less is not worth waking a thread for */
    AHEAD_LEAVES = 4,     /* small leaves worked on at a time */
    RANGES_MAX = 8,       /* of features that are searched in parallel */
    N_COPIES = 2,         /* times that a leaf's rows are copied together */
    THREADS_MAX = 16      /* that share the counting of one leaf */
};

#define UNITS_MAX 1e6 /* of the fixed point: more would bring no other splits */

/* A leaf whose rows take less is copied together: they fit a core's share of the last cache level,
 * and the core's own. */
static const int64_t copy_bytes[N_COPIES] = {1 << 20, 128 << 10};

/* A leaf; once split and its turn has come, a node. */
struct leaf {
    int64_t begin, n; /* of the rows */
    int64_t g, h;     /* sums, in units */
    uint64_t key;     /* where in the tree: what its draws are seeded by */
    int32_t depth;
    int32_t number;      /* of the leaf; of the node once `is_node` */
    int32_t left, right; /* leaves it falls into, worked out ahead; 0: not yet */
    bool is_node;
    int8_t side;         /* which of the two row arrays has its rows */
    bool in_order;       /* its rows are 0 … n-1 of its block: no need to look */
    int8_t copy;         /* 0: rows stand in the bins; i: in copies[i - 1] */
    int64_t block_begin; /* of the copy that its row numbers count from */
    int64_t block_n;
    qn_cell_sum *cells; /* NULL: cannot be split, or not needed any more */
    qn_leaf_bounds bounds;
    qn_split split;
};

/* The tree as it is grown: what a row does at a node is one bit per code of a group. */
struct bin_node {
    uint64_t goes_left[QN_GROUP_CODES / 64];
    int32_t group;
    int32_t left, right; /* node, or ~leaf */
};

struct copy {
    uint8_t *codes;
    int64_t *packed;
    int32_t *origin; /* training row */
};

struct qn_grower {
    const qn_bins *bins;
    qn_grow_params params;
    qn_pool *pool;
    int64_t *packed;  /* per training row: gradient and hessian in units */
    int32_t *rows[2]; /* partitions go from one to the other */
    uint8_t *marks;   /* per position: goes left */
    struct copy copies[N_COPIES];
    struct leaf *leaves;
    int64_t n_leaves, leaves_room;
    int32_t *heap; /* leaves that can be split, the next one first */
    int64_t n_heap;
    struct bin_node *nodes;
    int64_t n_nodes;
    int32_t *ends;     /* per leaf number: which of leaves it is */
    int32_t *split_up; /* the same per node number */
    int64_t n_ends;
    double *values;      /* per leaf number, shrunk */
    qn_cell_sum **cells; /* all that were ever allocated */
    int64_t n_cells;
    qn_cell_sum **idle; /* those that are free */
    int64_t n_idle;
    int32_t *features; /* of this tree */
    int64_t n_features;
    int32_t *groups; /* of those features; all when n_groups is the bins' */
    int64_t n_groups;
    double unit_g, unit_h; /* what one step of the fixed point is worth */
    uint64_t seed;
};

/* Life. */

static bool create_copies(qn_grower *grower)
{
    const int64_t n = grower->bins->n_train, stride = grower->bins->stride;
    bool complete = true;
    for (int i = 0; i < N_COPIES && complete; i++) {
        if (n * (stride + 8) <= 2 * copy_bytes[i]) continue; /* would never be used */
        struct copy *copy = &grower->copies[i];
        copy->codes = qn_alloc_aligned(n * stride, 1);
        copy->packed = qn_alloc_aligned(n, sizeof *copy->packed);
        copy->origin = qn_alloc_aligned(n, sizeof *copy->origin);
        complete = copy->codes && copy->packed && copy->origin;
    }
    return complete;
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
    grower->nodes = qn_alloc_array(n_leaves, sizeof *grower->nodes);
    grower->ends = qn_alloc_array(n_leaves, sizeof *grower->ends);
    grower->split_up = qn_alloc_array(n_leaves, sizeof *grower->split_up);
    grower->values = qn_alloc_array(n_leaves, sizeof *grower->values);
    grower->cells = qn_alloc_array(grower->leaves_room + THREADS_MAX, sizeof *grower->cells);
    grower->idle = qn_alloc_array(grower->leaves_room + THREADS_MAX, sizeof *grower->idle);
    grower->features = qn_alloc_array(bins->n_features, sizeof *grower->features);
    grower->groups = qn_alloc_array(bins->n_groups, sizeof *grower->groups);
    if (!grower->packed || !grower->rows[0] || !grower->rows[1] || !grower->marks ||
        !grower->leaves || !grower->heap || !grower->nodes || !grower->ends || !grower->split_up ||
        !grower->values || !grower->cells || !grower->idle || !grower->features ||
        !grower->groups || !create_copies(grower)) {
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
    qn_free(grower->nodes);
    qn_free(grower->ends);
    qn_free(grower->split_up);
    qn_free(grower->values);
    qn_free(grower->cells);
    qn_free(grower->idle);
    qn_free(grower->features);
    qn_free(grower->groups);
    qn_free(grower);
}

static qn_cell_sum *take_cells(qn_grower *grower)
{
    if (grower->n_idle > 0) return grower->idle[--grower->n_idle];
    qn_cell_sum *cells = qn_alloc_aligned(grower->bins->n_groups * QN_GROUP_CODES, sizeof *cells);
    if (cells) grower->cells[grower->n_cells++] = cells;
    return cells;
}

static void give_cells(qn_grower *grower, qn_cell_sum **cells)
{
    if (*cells) grower->idle[grower->n_idle++] = *cells;
    *cells = NULL;
}

/* Parts of the rows, worked on in parallel. */

struct parts {
    qn_grower *grower;
    const qn_grow_request *request;
    struct leaf *leaf, *left, *right;
    int64_t n, n_parts;
    int64_t counts[CHUNKS_MAX + 1]; /* rows of each part that go left */
    double most_g[CHUNKS_MAX], most_h[CHUNKS_MAX];
    int64_t sums[CHUNKS_MAX];
    uint8_t goes_left[QN_GROUP_CODES];
    int32_t group;
    qn_cell_sum *cells[CHUNKS_MAX];
    qn_split found[2][RANGES_MAX];
    bool wanted[2];
    int64_t n_ranges;
};

static void cut_parts(struct parts *parts, int64_t n, int64_t n_most)
{
    parts->n = n;
    parts->n_parts = (n + CHUNK_ROWS - 1) / CHUNK_ROWS;
    if (parts->n_parts > n_most) parts->n_parts = n_most;
    if (parts->n_parts < 1) parts->n_parts = 1;
}

static int64_t part_begin(const struct parts *parts, int64_t i)
{
    return parts->n * i / parts->n_parts;
}

/* Fixed point. */

static void measure_part(void *context, int64_t i)
{
    struct parts *parts = context;
    const qn_grow_request *r = parts->request;
    double most_g = 0, most_h = 0;
    for (int64_t at = part_begin(parts, i); at < part_begin(parts, i + 1); at++) {
        const int64_t row = r->rows ? r->rows[at] : at;
        const double g = fabs(r->derivatives[row].gradient), h = r->derivatives[row].hessian;
        most_g = g > most_g ? g : most_g;
        most_h = h > most_h ? h : most_h;
    }
    parts->most_g[i] = most_g;
    parts->most_h[i] = most_h;
}

static void pack_part(void *context, int64_t i)
{
    struct parts *parts = context;
    const qn_grow_request *r = parts->request;
    qn_grower *grower = parts->grower;
    const double per_g = 1 / grower->unit_g, per_h = 1 / grower->unit_h;
    /* Adding and taking away 1.5 × 2^52 rounds to the nearest whole number. */
    const double rounder = 6755399441055744.0;
    int64_t sum = 0;
    for (int64_t at = part_begin(parts, i); at < part_begin(parts, i + 1); at++) {
        const int64_t row = r->rows ? r->rows[at] : at;
        const double g = (r->derivatives[row].gradient * per_g + rounder) - rounder;
        const double h = (r->derivatives[row].hessian * per_h + rounder) - rounder;
        const int64_t packed = (int64_t)(int32_t)g * (INT64_C(1) << 32) + (int32_t)h;
        grower->packed[row] = packed;
        sum += packed;
    }
    parts->sums[i] = sum;
}

/* The unit is chosen so that no sum over the rows can leave its half. Returns the sum. */
static int64_t pack(qn_grower *grower, const qn_grow_request *request)
{
    struct parts parts = {.grower = grower, .request = request};
    cut_parts(&parts, request->n_rows, CHUNKS_MAX);
    qn_pool_run(grower->pool, parts.n_parts, measure_part, &parts);
    double most_g = 0, most_h = 0;
    for (int64_t i = 0; i < parts.n_parts; i++) {
        most_g = fmax(most_g, parts.most_g[i]);
        most_h = fmax(most_h, parts.most_h[i]);
    }
    const double room = fmin(2147483000.0 / (double)request->n_rows, UNITS_MAX) - 1;
    grower->unit_g = most_g > 0 ? most_g / room : 1;
    grower->unit_h = most_h > 0 ? most_h / room : 1;
    qn_pool_run(grower->pool, parts.n_parts, pack_part, &parts);
    int64_t sum = 0;
    for (int64_t i = 0; i < parts.n_parts; i++) {
        sum += parts.sums[i];
    }
    return sum;
}

/* Rows of a leaf. */

static qn_row_block block_of(const qn_grower *grower, const struct leaf *leaf)
{
    const int64_t stride = grower->bins->stride;
    if (leaf->copy == 0) return (qn_row_block){grower->bins->codes, stride, grower->packed};
    const struct copy *copy = &grower->copies[leaf->copy - 1];
    return (qn_row_block){copy->codes + leaf->block_begin * stride, stride,
                          copy->packed + leaf->block_begin};
}

static const int32_t *rows_of(const qn_grower *grower, const struct leaf *leaf)
{
    return leaf->in_order ? NULL : grower->rows[leaf->side] + leaf->begin;
}

/* The training row at a position of the leaf. */
static inline int32_t row_at(const struct copy *copy, const struct leaf *leaf, const int32_t *rows,
                             int64_t i)
{
    const int64_t row = rows ? rows[i] : i;
    return copy ? copy->origin[leaf->block_begin + row] : (int32_t)row;
}

static const struct copy *copy_of(const qn_grower *grower, const struct leaf *leaf)
{
    return leaf->copy ? &grower->copies[leaf->copy - 1] : NULL;
}

/* A row's codes are whole words. */
static inline void copy_codes(uint8_t *restrict to, const uint8_t *restrict from, int64_t n)
{
    for (int64_t i = 0; i < n; i += 8) {
        memcpy(to + i, from + i, 8);
    }
}

static void copy_part(void *context, int64_t i)
{
    struct parts *parts = context;
    const qn_grower *grower = parts->grower;
    const struct leaf *leaf = parts->leaf;
    const int64_t stride = grower->bins->stride;
    const qn_row_block from = block_of(grower, leaf);
    const int32_t *rows = rows_of(grower, leaf);
    const struct copy *before = copy_of(grower, leaf);
    const struct copy *to = &grower->copies[parts->group];
    for (int64_t at = part_begin(parts, i); at < part_begin(parts, i + 1); at++) {
        const int64_t row = rows ? rows[at] : at, target = leaf->begin + at;
        if (rows && at + 16 < leaf->n) {
            __builtin_prefetch(from.codes + rows[at + 16] * stride);
            __builtin_prefetch(from.packed + rows[at + 16]);
        }
        copy_codes(to->codes + target * stride, from.codes + row * stride, stride);
        to->packed[target] = from.packed[row];
        to->origin[target] = row_at(before, leaf, rows, at);
    }
}

/* Copies the leaf's rows together if they now fit a cache level that their block does not. */
static void gather(qn_grower *grower, struct leaf *leaf, qn_pool *pool)
{
    const int64_t row_bytes = grower->bins->stride + 8;
    int to = -1;
    for (int i = leaf->copy; i < N_COPIES; i++) {
        if (leaf->n * row_bytes <= copy_bytes[i] && leaf->block_n * row_bytes > 2 * copy_bytes[i] &&
            grower->copies[i].codes) {
            to = i;
        }
    }
    if (to < 0) return;
    struct parts parts = {.grower = grower, .leaf = leaf, .group = to};
    cut_parts(&parts, leaf->n, CHUNKS_MAX);
    qn_pool_run(pool, parts.n_parts, copy_part, &parts);
    leaf->copy = (int8_t)(to + 1);
    leaf->block_begin = leaf->begin;
    leaf->block_n = leaf->n;
    leaf->in_order = true;
}

/* Partition. */

static void mark_part(void *context, int64_t i)
{
    struct parts *parts = context;
    const qn_grower *grower = parts->grower;
    const struct leaf *leaf = parts->leaf;
    const qn_row_block block = block_of(grower, leaf);
    const int32_t *rows = rows_of(grower, leaf);
    /* The bins themselves are there as columns too. */
    const uint8_t *codes = leaf->copy ? block.codes + parts->group
                                      : grower->bins->columns + parts->group * grower->bins->n_rows;
    const int64_t stride = leaf->copy ? block.stride : 1;
    uint8_t *marks = grower->marks + leaf->begin;
    int64_t n_left = 0;
    for (int64_t at = part_begin(parts, i); at < part_begin(parts, i + 1); at++) {
        const int64_t row = rows ? rows[at] : at;
        marks[at] = parts->goes_left[codes[row * stride]];
        n_left += marks[at];
    }
    parts->counts[i + 1] = n_left;
}

static void move_part(void *context, int64_t i)
{
    struct parts *parts = context;
    const qn_grower *grower = parts->grower;
    const struct leaf *leaf = parts->leaf;
    const int32_t *rows = rows_of(grower, leaf);
    const uint8_t *marks = grower->marks + leaf->begin;
    int32_t *to = grower->rows[!leaf->side] + leaf->begin;
    const int64_t begin = part_begin(parts, i);
    int32_t *left = to + parts->counts[i];
    int32_t *right = to + parts->counts[parts->n_parts] + (begin - parts->counts[i]);
    for (int64_t at = begin; at < part_begin(parts, i + 1); at++) {
        *(marks[at] ? left : right) = rows ? rows[at] : (int32_t)at;
        left += marks[at];
        right += !marks[at];
    }
}

/* Moves the rows that go left to the front of the other array; returns how many. */
static int64_t partition(qn_grower *grower, struct parts *parts, qn_pool *pool)
{
    const struct leaf *leaf = parts->leaf;
    const qn_split *split = &leaf->split;
    const qn_bin_feature *feature = &grower->bins->features[split->feature];
    for (int code = 0; code < QN_GROUP_CODES; code++) {
        parts->goes_left[code] =
            qn_split_goes_left(split, feature->categorical, feature->decode[code]);
    }
    parts->group = feature->group;
    cut_parts(parts, leaf->n, CHUNKS_MAX);
    qn_pool_run(pool, parts->n_parts, mark_part, parts);
    parts->counts[0] = 0;
    for (int64_t i = 0; i < parts->n_parts; i++) {
        parts->counts[i + 1] += parts->counts[i];
    }
    qn_pool_run(pool, parts->n_parts, move_part, parts);
    return parts->counts[parts->n_parts];
}

/* Histograms. */

static int32_t group_at(const qn_grower *grower, int64_t i)
{
    return grower->n_groups == grower->bins->n_groups ? (int32_t)i : grower->groups[i];
}

static void count_part(void *context, int64_t i)
{
    struct parts *parts = context;
    const qn_grower *grower = parts->grower;
    const qn_row_block block = block_of(grower, parts->leaf);
    const int32_t *rows = rows_of(grower, parts->leaf);
    const int64_t begin = part_begin(parts, i), end = part_begin(parts, i + 1);
    const bool all = grower->n_groups == grower->bins->n_groups;
    qn_cell_sum *cells = parts->cells[i];
    for (int64_t g = 0; g < grower->n_groups; g++) {
        const int32_t group = group_at(grower, g);
        memset(cells + (int64_t)group * QN_GROUP_CODES, 0,
               (size_t)grower->bins->group_codes[group] * sizeof *cells);
    }
    qn_row_block part = block;
    if (!rows) {
        part.codes += begin * block.stride;
        part.packed += begin;
    }
    qn_histogram_add(&part, rows ? rows + begin : NULL, end - begin, all ? NULL : grower->groups,
                     grower->n_groups, cells);
}

/* Adds up what the threads counted of some groups. */
static void sum_groups(void *context, int64_t i)
{
    struct parts *parts = context;
    const qn_grower *grower = parts->grower;
    const int64_t n = grower->n_groups;
    for (int64_t g = n * i / parts->n_ranges; g < n * (i + 1) / parts->n_ranges; g++) {
        const int32_t group = group_at(grower, g);
        const int64_t first = (int64_t)group * QN_GROUP_CODES;
        for (int64_t p = 1; p < parts->n_parts; p++) {
            for (int32_t c = 0; c < grower->bins->group_codes[group]; c++) {
                parts->cells[0][first + c] += parts->cells[p][first + c];
            }
        }
    }
}

/* Counts the leaf's rows into `cells`; with a pool, each thread into its own and then summed. */
static void count(qn_grower *grower, struct leaf *leaf, qn_cell_sum *cells, qn_pool *pool)
{
    struct parts parts = {.grower = grower, .leaf = leaf};
    const int n_threads = qn_pool_n_threads(pool);
    cut_parts(&parts, leaf->n, n_threads < THREADS_MAX ? n_threads : THREADS_MAX);
    parts.cells[0] = cells;
    for (int64_t i = 1; i < parts.n_parts; i++) {
        parts.cells[i] = take_cells(grower);
        if (!parts.cells[i]) parts.n_parts = i; /* fewer threads, then */
    }
    qn_pool_run(pool, parts.n_parts, count_part, &parts);
    parts.n_ranges = pool && grower->n_groups >= RANGES_MAX ? RANGES_MAX : 1;
    if (parts.n_parts > 1) qn_pool_run(pool, parts.n_ranges, sum_groups, &parts);
    for (int64_t i = 1; i < parts.n_parts; i++) {
        give_cells(grower, &parts.cells[i]);
    }
}

static void subtract(const qn_grower *grower, qn_cell_sum *from, const qn_cell_sum *what)
{
    for (int64_t g = 0; g < grower->n_groups; g++) {
        const int32_t group = group_at(grower, g);
        const int64_t first = (int64_t)group * QN_GROUP_CODES;
        for (int32_t c = 0; c < grower->bins->group_codes[group]; c++) {
            from[first + c] -= what[first + c];
        }
    }
}

/* Splits. */

static bool may_split(const qn_grower *grower, const struct leaf *leaf)
{
    const qn_grow_params *p = &grower->params;
    const bool deep = p->max_depth > 0 && leaf->depth >= p->max_depth;
    return !deep && leaf->n >= 2 * p->min_data_in_leaf && leaf->h > 0;
}

static void find_in_range(void *context, int64_t i)
{
    struct parts *parts = context;
    const qn_grower *grower = parts->grower;
    const int64_t child = i / parts->n_ranges, range = i % parts->n_ranges;
    const struct leaf *leaf = child ? parts->right : parts->left;
    parts->found[child][range] = (qn_split){0};
    if (!parts->wanted[child]) return;
    const qn_split_request request = {.bins = grower->bins,
                                      .params = &grower->params,
                                      .cells = leaf->cells,
                                      .n = leaf->n,
                                      .g = leaf->g,
                                      .h = leaf->h,
                                      .unit_g = grower->unit_g,
                                      .unit_h = grower->unit_h,
                                      .bounds = leaf->bounds,
                                      .seed = qn_seed_child(grower->seed, leaf->key)};
    const int64_t first = grower->n_features * range / parts->n_ranges;
    const int64_t last = grower->n_features * (range + 1) / parts->n_ranges;
    qn_split_find(&request, grower->features + first, last - first, &parts->found[child][range]);
}

/* Looks for the splits of one leaf (right NULL) or two. */
static void find_splits(qn_grower *grower, struct leaf *left, struct leaf *right, qn_pool *pool)
{
    struct parts parts = {.grower = grower,
                          .left = left,
                          .right = right,
                          .wanted = {may_split(grower, left), right && may_split(grower, right)}};
    const bool together = grower->params.feature_fraction_bynode < 1; /* drawn from all at once */
    parts.n_ranges = pool && !together && grower->n_features >= RANGES_MAX ? RANGES_MAX : 1;
    qn_pool_run(pool, (right ? 2 : 1) * parts.n_ranges, find_in_range, &parts);
    for (int child = 0; child < (right ? 2 : 1); child++) {
        struct leaf *leaf = child ? right : left;
        leaf->split = (qn_split){0};
        for (int64_t i = 0; i < parts.n_ranges; i++) {
            if (parts.found[child][i].gain > leaf->split.gain) leaf->split = parts.found[child][i];
        }
    }
}

/* Growing. */

static double value_now(const qn_grower *grower, const struct leaf *leaf)
{
    return qn_leaf_value(&grower->params, &leaf->bounds, (double)leaf->g * grower->unit_g,
                         (double)leaf->h * grower->unit_h, (double)leaf->n);
}

/* Values below a monotone split stay on their side of the middle between the two sides. */
static void set_bounds(const qn_grower *grower, const struct leaf *leaf, struct leaf *left,
                       struct leaf *right)
{
    left->bounds = right->bounds = leaf->bounds;
    left->bounds.parent = right->bounds.parent = value_now(grower, leaf);
    const int8_t *wanted = grower->params.monotone_constraints;
    if (!wanted || wanted[leaf->split.feature] == 0) return;
    const double middle = 0.5 * (value_now(grower, left) + value_now(grower, right));
    struct leaf *lower = wanted[leaf->split.feature] > 0 ? left : right;
    struct leaf *upper = lower == left ? right : left;
    lower->bounds.high = fmin(lower->bounds.high, middle);
    upper->bounds.low = fmax(upper->bounds.low, middle);
}

struct expansion {
    struct leaf *leaf, *left, *right;
    qn_cell_sum *cells; /* for the smaller child */
    bool last;          /* its children will not be split */
};

/* Works out what a leaf falls into. Touches nothing but its own rows and children. */
static void expand(qn_grower *grower, struct expansion *e, qn_pool *pool)
{
    struct leaf *leaf = e->leaf, *left = e->left, *right = e->right;
    gather(grower, leaf, pool);
    struct parts parts = {.grower = grower, .leaf = leaf};
    const int64_t n_left = partition(grower, &parts, pool);
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
    set_bounds(grower, leaf, left, right);
    if (e->last || (!may_split(grower, left) && !may_split(grower, right))) return;
    struct leaf *small = left->n < right->n ? left : right, *large = small == left ? right : left;
    gather(grower, small, pool);
    count(grower, small, e->cells, pool);
    small->cells = e->cells;
    large->cells = leaf->cells;
    e->cells = leaf->cells = NULL;
    subtract(grower, large->cells, small->cells);
    find_splits(grower, left, right, pool);
}

/* The order in which leaves are split: by gain; level by level if so wished. Ties go by place. */
static bool comes_before(const qn_grower *grower, int32_t a, int32_t b)
{
    const struct leaf *x = &grower->leaves[a], *y = &grower->leaves[b];
    if (grower->params.depthwise && x->depth != y->depth) return x->depth < y->depth;
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
    *e = (struct expansion){.leaf = &grower->leaves[leaf], .cells = take_cells(grower)};
    if (!e->cells) return false;
    e->leaf->left = (int32_t)grower->n_leaves++;
    e->leaf->right = (int32_t)grower->n_leaves++;
    e->left = &grower->leaves[e->leaf->left];
    e->right = &grower->leaves[e->leaf->right];
    batch->n++;
    return true;
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
    if (large || batch.n == 1 || work < AHEAD_WORK) {
        for (int64_t i = 0; i < batch.n; i++) {
            expand(grower, &batch.expansions[i], large ? grower->pool : NULL);
        }
    } else {
        qn_pool_run(grower->pool, batch.n, expand_one, &batch);
    }
    for (int64_t i = 0; i < n_popped; i++) {
        heap_push(grower, popped[i]);
    }
    for (int64_t i = 0; i < batch.n; i++) {
        struct expansion *e = &batch.expansions[i];
        give_cells(grower, &e->cells);
        give_cells(grower, &e->leaf->cells);
        if (e->left->split.gain <= 0) give_cells(grower, &e->left->cells);
        if (e->right->split.gain <= 0) give_cells(grower, &e->right->cells);
    }
    return true;
}

/* Makes the leaf a node and its children leaves. */
static void split_up(qn_grower *grower, int32_t index, double *gain)
{
    struct leaf *leaf = &grower->leaves[index];
    const qn_bin_feature *feature = &grower->bins->features[leaf->split.feature];
    struct bin_node *node = &grower->nodes[grower->n_nodes];
    *node = (struct bin_node){.group = feature->group};
    for (int code = 0; code < QN_GROUP_CODES; code++) {
        const bool left =
            qn_split_goes_left(&leaf->split, feature->categorical, feature->decode[code]);
        node->goes_left[code >> 6] |= (uint64_t)left << (code & 63);
    }
    struct leaf *left = &grower->leaves[leaf->left], *right = &grower->leaves[leaf->right];
    left->number = leaf->number;
    right->number = (int32_t)grower->n_ends++;
    grower->ends[left->number] = leaf->left;
    grower->ends[right->number] = leaf->right;
    grower->split_up[grower->n_nodes] = index;
    leaf->number = (int32_t)grower->n_nodes++;
    leaf->is_node = true;
    gain[leaf->split.feature] += leaf->split.gain;
    if (left->split.gain > 0) heap_push(grower, leaf->left);
    if (right->split.gain > 0) heap_push(grower, leaf->right);
}

/* Leaf values come from sums of the gradients themselves, of 2^-40 and finer: whole numbers again,
 * so that the order of rows is of no account. */
struct valuing {
    qn_grower *grower;
    const qn_grow_request *request;
    double scale_g, scale_h;
    double *scores;
    int64_t stride;
};

static double scale_for(double most, double n)
{
    int exponent;
    (void)frexp(most * n, &exponent);
    return ldexp(1, 61 - exponent);
}

static void set_value(void *context, int64_t number)
{
    const struct valuing *v = context;
    qn_grower *grower = v->grower;
    const struct leaf *leaf = &grower->leaves[grower->ends[number]];
    const int32_t *rows = rows_of(grower, leaf);
    const struct copy *copy = copy_of(grower, leaf);
    int32_t *originals = grower->rows[!leaf->side] + leaf->begin;
    int64_t g = 0, h = 0;
    for (int64_t i = 0; i < leaf->n; i++) {
        const int32_t row = originals[i] = row_at(copy, leaf, rows, i);
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
    grower->values[number] = value *= grower->params.learning_rate;
    for (int64_t i = 0; i < leaf->n; i++) {
        v->scores[originals[i] * v->stride] += value;
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
    const int64_t first_leaf = qn_tree_builder_add_values(builder, grower->values, 1);
    for (int64_t l = 1; l < grower->n_ends; l++) {
        qn_tree_builder_add_values(builder, &grower->values[l], 1);
    }
    const int64_t first = builder->n_nodes;
    for (int64_t i = 0; i < grower->n_nodes; i++) { /* room for all, parents before children */
        qn_tree_builder_add_node(builder, &(qn_tree_node){0});
    }
    for (int64_t i = 0; i < grower->n_nodes && !builder->failed; i++) {
        const struct leaf *leaf = &grower->leaves[grower->split_up[i]];
        qn_tree_node out = {.feature = leaf->split.feature,
                            .left_cover = (float)grower->leaves[leaf->left].n,
                            .right_cover = (float)grower->leaves[leaf->right].n};
        if (grower->bins->features[out.feature].categorical) {
            out.flags = QN_NODE_CATEGORY;
            out.threshold = (double)qn_tree_builder_add_set(builder, leaf->split.set);
        } else {
            out.flags = leaf->split.missing_left ? QN_NODE_DEFAULT_LEFT : 0;
            out.threshold = threshold_of(grower->bins, &leaf->split);
        }
        out.left = child_number(grower, leaf->left, first, first_leaf);
        out.right = child_number(grower, leaf->right, first, first_leaf);
        struct bin_node *node = &grower->nodes[i];
        node->left = child_number(grower, leaf->left, 0, 0);
        node->right = child_number(grower, leaf->right, 0, 0);
        if (!builder->failed) builder->nodes[first + i] = out;
    }
    qn_tree_builder_add_tree(builder, grower->n_nodes > 0 ? (int32_t)first : ~(int32_t)first_leaf);
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

/* The root: all rows, none looked at. False when out of memory. */
static bool plant(qn_grower *grower, const qn_grow_request *request)
{
    const int64_t sum = pack(grower, request);
    struct leaf *root = &grower->leaves[0];
    grower->n_leaves = grower->n_ends = 1;
    grower->n_nodes = grower->n_heap = 0;
    grower->ends[0] = 0;
    grower->n_idle = grower->n_cells;
    memcpy(grower->idle, grower->cells, (size_t)grower->n_cells * sizeof *grower->idle);
    *root = (struct leaf){.n = request->n_rows,
                          .g = qn_sum_gradient(sum),
                          .h = qn_sum_hessian(sum),
                          .key = 1,
                          .in_order = !request->rows,
                          .block_n = grower->bins->n_train,
                          .bounds = {-QN_INF, QN_INF, 0}};
    root->bounds.parent = value_now(grower, root);
    if (request->rows) {
        memcpy(grower->rows[0], request->rows, (size_t)request->n_rows * sizeof *request->rows);
    }
    if (!may_split(grower, root) || grower->n_features == 0 || grower->params.num_leaves < 2) {
        return true;
    }
    root->cells = take_cells(grower);
    if (!root->cells) return false;
    qn_pool *pool = work_of(grower, root) >= LARGE_WORK ? grower->pool : NULL;
    gather(grower, root, pool);
    count(grower, root, root->cells, pool);
    find_splits(grower, root, NULL, pool);
    if (root->split.gain > 0) heap_push(grower, 0);
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
    int64_t work = request->n_rows;
    while (grower->n_heap > 0 && grower->n_ends < grower->params.num_leaves) {
        const int32_t next = heap_pop(grower);
        struct leaf *leaf = &grower->leaves[next];
        work += leaf->n;
        if (work > STOP_CHECK_ROWS) {
            if (qn_stop_requested(request->stop)) return false;
            work = 0;
        }
        if (!leaf->left && !expand_next(grower, next)) {
            builder->failed = true;
            return true;
        }
        split_up(grower, next, gain);
    }
    const double n = (double)request->n_rows; /* no value is over UNITS_MAX units */
    struct valuing valuing = {.grower = grower,
                              .request = request,
                              .scale_g = scale_for(grower->unit_g * UNITS_MAX, n),
                              .scale_h = scale_for(grower->unit_h * UNITS_MAX, n),
                              .scores = scores,
                              .stride = stride};
    qn_pool_run(request->n_rows > CHUNK_ROWS ? grower->pool : NULL, grower->n_ends, set_value,
                &valuing);
    emit(grower, builder);
    return true;
}

void qn_grower_walk(const qn_grower *grower, int64_t first, int64_t n, const uint8_t *skip,
                    double *scores, int64_t stride)
{
    const qn_bins *bins = grower->bins;
    for (int64_t i = 0; i < n; i++) {
        if (skip && skip[i]) continue;
        const uint8_t *codes = bins->codes + (first + i) * bins->stride;
        int32_t at = grower->n_nodes > 0 ? 0 : ~0;
        while (at >= 0) {
            const struct bin_node *node = &grower->nodes[at];
            const uint8_t code = codes[node->group];
            at = node->goes_left[code >> 6] >> (code & 63) & 1 ? node->left : node->right;
        }
        scores[i * stride] += grower->values[~at];
    }
}
