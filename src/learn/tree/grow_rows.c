/* SPDX-License-Identifier: Apache-2.0 */
/* The rows of leaves: fixed-point derivatives, copies, partitions and histograms. */
#include "learn/tree/grow_internal.h"

#include "base/alloc.h"

#include <math.h>
#include <string.h>

enum {
    CHUNKS_MAX = 64,  /* that a leaf's rows are worked on in */
    CHUNK_ROWS = 2048 /* at least */
};

/* A leaf whose rows take less is copied together: they fit a core's share of the last cache level,
 * and the core's own. */
static const int64_t copy_bytes[N_COPIES] = {1 << 20, 128 << 10};

bool qn_grow_create_copies(qn_grower *grower)
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

qn_cell_sum *qn_grow_take_cells(qn_grower *grower)
{
    if (grower->n_idle > 0) return grower->idle[--grower->n_idle];
    qn_cell_sum *cells = qn_alloc_aligned(grower->bins->n_cells, sizeof *cells);
    if (cells) grower->cells[grower->n_cells++] = cells;
    return cells;
}

void qn_grow_give_cells(qn_grower *grower, qn_cell_sum **cells)
{
    if (*cells) grower->idle[grower->n_idle++] = *cells;
    *cells = NULL;
}

/* Work on parts of a leaf, or of all rows, in parallel. */
struct parts {
    qn_grower *grower;
    const qn_grow_request *request;
    struct leaf *leaf;
    int64_t n, n_parts, n_ranges;
    int64_t counts[CHUNKS_MAX + 1]; /* rows of each part that go left */
    double most_g[CHUNKS_MAX], most_h[CHUNKS_MAX];
    int64_t sums[CHUNKS_MAX];
    uint8_t goes_left[QN_GROUP_CODES]; /* per code of the group that is split on */
    int32_t group;
    int32_t to; /* copies that rows go to */
    qn_cell_sum *cells[CHUNKS_MAX];
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

int64_t qn_grow_pack(qn_grower *grower, const qn_grow_request *request)
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
    const struct copy *to = &grower->copies[parts->to];
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

void qn_grow_gather(qn_grower *grower, struct leaf *leaf, qn_pool *pool)
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
    struct parts parts = {.grower = grower, .leaf = leaf, .to = to};
    cut_parts(&parts, leaf->n, CHUNKS_MAX);
    qn_pool_run(pool, parts.n_parts, copy_part, &parts);
    leaf->copy = (int8_t)(to + 1);
    leaf->block_begin = leaf->begin;
    leaf->block_n = leaf->n;
    leaf->in_order = true;
}

/* Partition. */

/* Of rows begin … end - 1 of the leaf; returns how many go left. */
static int64_t mark_wide(const struct parts *parts, int64_t begin, int64_t end)
{
    const qn_grower *grower = parts->grower;
    const struct leaf *leaf = parts->leaf;
    const qn_row_block block = block_of(grower, leaf);
    const int32_t *rows = rows_of(grower, leaf);
    int64_t n_left = 0;
    for (int64_t at = begin; at < end; at++) {
        const int64_t row = rows ? rows[at] : at;
        const int32_t code =
            qn_bins_wide_code(grower->bins, block.codes + row * block.stride, parts->group);
        const bool left = qn_split_goes_left(&leaf->split, false, code);
        grower->marks[leaf->begin + at] = left;
        n_left += left;
    }
    return n_left;
}

static void mark_part(void *context, int64_t i)
{
    struct parts *parts = context;
    const qn_grower *grower = parts->grower;
    const struct leaf *leaf = parts->leaf;
    const qn_row_block block = block_of(grower, leaf);
    const int32_t *rows = rows_of(grower, leaf);
    const qn_bins *bins = grower->bins;
    uint8_t *marks = grower->marks + leaf->begin;
    int64_t n_left = 0;
    if (qn_bins_is_wide(bins, parts->group)) {
        parts->counts[i + 1] = mark_wide(parts, part_begin(parts, i), part_begin(parts, i + 1));
        return;
    }
    /* The bins themselves are there as columns too. */
    const uint8_t *codes =
        leaf->copy ? block.codes + parts->group : bins->columns + parts->group * bins->n_rows;
    const int64_t stride = leaf->copy ? block.stride : 1;
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

int64_t qn_grow_partition(qn_grower *grower, struct leaf *leaf, qn_pool *pool)
{
    const qn_bin_feature *feature = &grower->bins->features[leaf->split.feature];
    struct parts parts = {.grower = grower, .leaf = leaf, .group = feature->group};
    for (int code = 0; feature->decode && code < QN_GROUP_CODES; code++) {
        parts.goes_left[code] =
            qn_split_goes_left(&leaf->split, feature->categorical, feature->decode[code]);
    }
    cut_parts(&parts, leaf->n, CHUNKS_MAX);
    qn_pool_run(pool, parts.n_parts, mark_part, &parts);
    parts.counts[0] = 0;
    for (int64_t i = 0; i < parts.n_parts; i++) {
        parts.counts[i + 1] += parts.counts[i];
    }
    qn_pool_run(pool, parts.n_parts, move_part, &parts);
    return parts.counts[parts.n_parts];
}

void qn_grow_originals(const qn_grower *grower, const struct leaf *leaf, int32_t *out)
{
    const int32_t *rows = rows_of(grower, leaf);
    const struct copy *copy = copy_of(grower, leaf);
    for (int64_t i = 0; i < leaf->n; i++) {
        out[i] = row_at(copy, leaf, rows, i);
    }
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
    const qn_bins *bins = grower->bins;
    const int32_t *rows = rows_of(grower, parts->leaf);
    const int64_t begin = part_begin(parts, i), n = part_begin(parts, i + 1) - begin;
    qn_cell_sum *cells = parts->cells[i];
    int64_t n_narrow = 0;
    for (int64_t g = 0; g < grower->n_groups; g++) {
        const int32_t group = group_at(grower, g);
        n_narrow += !qn_bins_is_wide(bins, group);
        memset(cells + qn_bins_first_cell(bins, group), 0,
               (size_t)bins->group_codes[group] * sizeof *cells);
    }
    qn_row_block part = block_of(grower, parts->leaf);
    if (rows) {
        rows += begin;
    } else {
        part.codes += begin * part.stride;
        part.packed += begin;
    }
    qn_histogram_add(&part, rows, n, n_narrow == bins->n_narrow ? NULL : grower->groups, n_narrow,
                     cells);
    for (int64_t g = n_narrow; g < grower->n_groups; g++) {
        const int32_t group = group_at(grower, g);
        qn_histogram_add_wide(&part, rows, n, bins->wide_offset + 2 * (group - bins->n_narrow),
                              cells + qn_bins_first_cell(bins, group));
    }
}

/* Adds up what the threads counted of some groups. */
static void sum_groups(void *context, int64_t i)
{
    struct parts *parts = context;
    const qn_grower *grower = parts->grower;
    const int64_t n = grower->n_groups;
    for (int64_t g = n * i / parts->n_ranges; g < n * (i + 1) / parts->n_ranges; g++) {
        const int32_t group = group_at(grower, g);
        const int64_t first = qn_bins_first_cell(grower->bins, group);
        for (int64_t p = 1; p < parts->n_parts; p++) {
            for (int32_t c = 0; c < grower->bins->group_codes[group]; c++) {
                parts->cells[0][first + c] += parts->cells[p][first + c];
            }
        }
    }
}

void qn_grow_count(qn_grower *grower, struct leaf *leaf, qn_cell_sum *cells, qn_pool *pool)
{
    struct parts parts = {.grower = grower, .leaf = leaf};
    const int n_threads = qn_pool_n_threads(pool);
    cut_parts(&parts, leaf->n, n_threads < THREADS_MAX ? n_threads : THREADS_MAX);
    parts.cells[0] = cells;
    for (int64_t i = 1; i < parts.n_parts; i++) {
        parts.cells[i] = qn_grow_take_cells(grower);
        if (!parts.cells[i]) parts.n_parts = i; /* fewer threads, then */
    }
    qn_pool_run(pool, parts.n_parts, count_part, &parts);
    parts.n_ranges = pool && grower->n_groups >= RANGES_MAX ? RANGES_MAX : 1;
    if (parts.n_parts > 1) qn_pool_run(pool, parts.n_ranges, sum_groups, &parts);
    for (int64_t i = 1; i < parts.n_parts; i++) {
        qn_grow_give_cells(grower, &parts.cells[i]);
    }
}

void qn_grow_subtract(const qn_grower *grower, qn_cell_sum *from, const qn_cell_sum *what)
{
    for (int64_t g = 0; g < grower->n_groups; g++) {
        const int32_t group = group_at(grower, g);
        const int64_t first = qn_bins_first_cell(grower->bins, group);
        for (int32_t c = 0; c < grower->bins->group_codes[group]; c++) {
            from[first + c] -= what[first + c];
        }
    }
}
