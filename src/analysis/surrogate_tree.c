/* SPDX-License-Identifier: Apache-2.0 */
#include "analysis/surrogate_tree.h"

#include "base/alloc.h"
#include "base/sort.h"

#include <math.h>
#include <string.h>

/* A node whose rows stand at [begin, end) of every column's order. */
struct segment {
    int32_t begin, end, parent;
    bool is_left;
};

struct qn_surrogate_work {
    int32_t *orders;       /* [n_columns][n_rows]: rows of the sample by value, parted by node */
    int32_t *parted;       /* [n_rows] */
    int32_t *weights;      /* [n_rows]: how often the sample has a row */
    bool *goes_left;       /* [n_rows] */
    int32_t *shuffled;     /* [n_columns] */
    struct segment *stack; /* [n_rows] */
};

struct split {
    int32_t column; /* -1: none */
    double at, score;
};

/* Weight and sum of targets of some rows. */
struct tally {
    double weight, sum;
};

qn_status qn_surrogate_tree_init(qn_surrogate_tree *tree, qn_error *err)
{
    const int64_t n = tree->n_rows;
    tree->nodes = NULL;
    struct qn_surrogate_work *w = tree->work = qn_alloc_array(1, sizeof *w);
    if (w) {
        tree->nodes = qn_alloc_array(2 * n, sizeof *tree->nodes);
        w->orders = qn_alloc_array(n * tree->n_columns, sizeof *w->orders);
        w->parted = qn_alloc_array(n, sizeof *w->parted);
        w->weights = qn_alloc_array(n, sizeof *w->weights);
        w->goes_left = qn_alloc_array(n, sizeof *w->goes_left);
        w->shuffled = qn_alloc_array(tree->n_columns, sizeof *w->shuffled);
        w->stack = qn_alloc_array(n + 1, sizeof *w->stack);
        if (tree->nodes && w->orders && w->parted && w->weights && w->goes_left && w->shuffled &&
            w->stack) {
            for (int32_t j = 0; j < tree->n_columns; j++) {
                w->shuffled[j] = j;
            }
            return QN_OK;
        }
    }
    qn_surrogate_tree_release(tree);
    return qn_fail(err, QN_ERR_NOMEM, "no memory for a forest over %" PRId64 " trials", n);
}

void qn_surrogate_tree_release(qn_surrogate_tree *tree)
{
    struct qn_surrogate_work *w = tree->work;
    if (w) {
        qn_free(w->orders);
        qn_free(w->parted);
        qn_free(w->weights);
        qn_free(w->goes_left);
        qn_free(w->shuffled);
        qn_free(w->stack);
    }
    qn_free(w);
    qn_free(tree->nodes);
    tree->work = NULL;
    tree->nodes = NULL;
}

/* Draws the sample and puts its rows into the order of every column; their number, or -1. */
static int32_t draw_sample(qn_surrogate_tree *tree, qn_rng *rng)
{
    struct qn_surrogate_work *w = tree->work;
    const int64_t n = tree->n_rows;
    int32_t kept = 0;
    memset(w->weights, 0, (size_t)n * sizeof *w->weights);
    for (int64_t i = 0; i < n; i++) {
        w->weights[qn_rng_below(rng, n)]++;
    }
    for (int32_t j = 0; j < tree->n_columns; j++) {
        int32_t *order = w->orders + j * n;
        if (!qn_sort_order(tree->columns + j * n, n, order)) return -1;
        kept = 0;
        for (int64_t i = 0; i < n; i++) {
            if (w->weights[order[i]] > 0) order[kept++] = order[i];
        }
    }
    return kept;
}

static double score_of(struct tally part, struct tally all)
{
    const double rest = all.sum - part.sum;
    return part.sum * part.sum / part.weight + rest * rest / (all.weight - part.weight);
}

/* The middle of a < b, or a where rounding would reach b. */
static double between(double a, double b)
{
    const double middle = 0.5 * a + 0.5 * b;
    return middle < b ? middle : a;
}

/* The best cut of one column: between neighbouring values, or around one category. */
static void try_column(const qn_surrogate_tree *tree, const struct segment *segment, int32_t column,
                       struct tally all, struct split *best)
{
    const double *x = tree->columns + column * tree->n_rows;
    const int32_t *order = tree->work->orders + column * tree->n_rows;
    const bool is_unordered = tree->n_categories[column] > 0;
    struct tally part = {0};
    for (int32_t i = segment->begin; i < segment->end; i++) {
        const int32_t row = order[i];
        part.weight += tree->work->weights[row];
        part.sum += tree->work->weights[row] * tree->targets[row];
        const bool is_last = i + 1 == segment->end;
        if (!is_last && x[order[i + 1]] == x[row]) continue;
        if (part.weight == all.weight || (is_last && !is_unordered)) return;
        const double score = score_of(part, all);
        if (score > best->score) {
            const double at = is_unordered ? x[row] : between(x[row], x[order[i + 1]]);
            *best = (struct split){column, at, score};
        }
        if (is_unordered) part = (struct tally){0};
    }
}

/* The best split; none when the targets are all the same or no column tells rows apart. Columns
 * are tried in random order, as many cuts of few rows are equally good. */
static struct split find_split(const qn_surrogate_tree *tree, const struct segment *segment,
                               struct tally all, qn_rng *rng)
{
    const struct qn_surrogate_work *w = tree->work;
    const int32_t *rows = w->orders;
    struct split best = {.column = -1, .score = -1};
    bool is_pure = true;
    for (int32_t i = segment->begin + 1; i < segment->end && is_pure; i++) {
        is_pure = tree->targets[rows[i]] == tree->targets[rows[segment->begin]];
    }
    if (is_pure) return best;
    qn_rng_shuffle(rng, w->shuffled, tree->n_columns);
    for (int32_t j = 0; j < tree->n_columns; j++) {
        try_column(tree, segment, w->shuffled[j], all, &best);
    }
    return best;
}

/* Parts a segment of every column's order, keeping the orders; where the right part begins. */
static int32_t part_rows(const qn_surrogate_tree *tree, const struct segment *segment,
                         const struct split *split)
{
    struct qn_surrogate_work *w = tree->work;
    const double *x = tree->columns + split->column * tree->n_rows;
    const bool is_unordered = tree->n_categories[split->column] > 0;
    int32_t middle = segment->begin;
    for (int32_t i = segment->begin; i < segment->end; i++) {
        const int32_t row = w->orders[i];
        w->goes_left[row] = is_unordered ? x[row] == split->at : x[row] <= split->at;
    }
    for (int32_t j = 0; j < tree->n_columns; j++) {
        int32_t *order = w->orders + j * tree->n_rows, n_right = 0;
        middle = segment->begin;
        for (int32_t i = segment->begin; i < segment->end; i++) {
            if (w->goes_left[order[i]]) {
                order[middle++] = order[i];
            } else {
                w->parted[n_right++] = order[i];
            }
        }
        memcpy(order + middle, w->parted, (size_t)n_right * sizeof *order);
    }
    return middle;
}

static struct tally tally_of(const qn_surrogate_tree *tree, const struct segment *segment)
{
    struct tally all = {0};
    for (int32_t i = segment->begin; i < segment->end; i++) {
        const int32_t row = tree->work->orders[i];
        all.weight += tree->work->weights[row];
        all.sum += tree->work->weights[row] * tree->targets[row];
    }
    return all;
}

qn_status qn_surrogate_tree_grow(qn_surrogate_tree *tree, qn_rng *rng, qn_error *err)
{
    struct segment *stack = tree->work->stack;
    const int32_t n_sample = draw_sample(tree, rng);
    int32_t n_stack = 0;
    if (n_sample < 0) return qn_fail(err, QN_ERR_NOMEM, "no memory to sort trials");
    tree->n_nodes = 0;
    stack[n_stack++] = (struct segment){0, n_sample, -1, false};
    while (n_stack > 0) {
        const struct segment segment = stack[--n_stack];
        const struct tally all = tally_of(tree, &segment);
        const struct split split = find_split(tree, &segment, all, rng);
        const int32_t at = tree->n_nodes++;
        tree->nodes[at] = (qn_surrogate_node){.column = split.column,
                                              .parent = segment.parent,
                                              .is_left = segment.is_left,
                                              .at = split.at,
                                              .value = all.sum / all.weight};
        if (split.column < 0) continue;
        const int32_t middle = part_rows(tree, &segment, &split);
        stack[n_stack++] = (struct segment){middle, segment.end, at, false};
        stack[n_stack++] = (struct segment){segment.begin, middle, at, true};
    }
    return QN_OK;
}
