/* SPDX-License-Identifier: Apache-2.0 */
/* Functional ANOVA of a random forest (Hutter, Hoos & Leyton-Brown 2014, An efficient approach for
 * assessing hyperparameter importance): the share of the variance of what the forest predicts, over
 * the whole space, that is due to one parameter alone.
 *
 * The leaves of a tree part the unit cube into boxes. With a box's volume v, its prediction y and
 * its width w along a parameter, the tree's marginal of that parameter at x is the sum of y v / w
 * over the boxes that reach x: a step function. Its variance is exact, and found by one sweep over
 * the boxes' ends.
 *
 * A parameter that is not active in a trial has no influence there, so any value of it is as good:
 * each tree draws a new one. Conditional parameters thus count for their effect on the whole space,
 * that is, for less the more seldom they are active, and the trials without them are not lost. */
#include "analysis/parameter_importance.h"
#include "analysis/surrogate_tree.h"

#include "base/alloc.h"
#include "base/sort.h"

#include <math.h>
#include <string.h>

enum {
    N_TREES = 64,
    CELLS_MAX = 400000, /* trials × parameters; more trials are thinned evenly */
    SEED = 1
};

/* From `at` on, the marginal of a column is greater by `rise`. */
struct event {
    int32_t column;
    double at, rise;
};

/* A leaf's extent along one column. */
struct side {
    int32_t leaf;       /* the extent is this leaf's; otherwise it is the whole column */
    double low, high;   /* ordered */
    int32_t only;       /* unordered: the one category left; -1: */
    int32_t n_excluded; /* all but so many */
};

struct fanova {
    const qn_analysed *analysed;
    int64_t n_rows, n_columns;
    int64_t *parameters;   /* [n_columns] */
    int32_t *n_categories; /* [n_columns] */
    int64_t *first_rises;  /* [n_columns]: where `rises` has the categories of a column */
    double *columns, *targets;
    int32_t *is_drawn; /* [n_columns]: some trial does not have it */
    /* Of one tree: */
    struct side *sides; /* [n_columns] */
    int32_t *touched;   /* [n_columns]: those whose side is the leaf's */
    struct event *events;
    int64_t n_events, events_room;
    double *rises; /* by category: added to the marginal there */
    int64_t n_rises;
    double *everywhere; /* [n_columns]: added to the whole marginal */
    double *shares;     /* [n_columns]: sums over trees */
    int64_t n_shares;   /* trees that were summed */
};

static const qn_parameter *parameter_of(const struct fanova *f, int64_t column)
{
    return &f->analysed->history->space->parameters[f->parameters[column]];
}

static int64_t row_of(const struct fanova *f, int64_t i)
{
    return i * f->analysed->n / f->n_rows;
}

static double draw(const struct fanova *f, int64_t column, qn_rng *rng)
{
    const int32_t k = f->n_categories[column];
    return k > 0 ? (double)qn_rng_below(rng, k) : qn_rng_uniform(rng);
}

/* Values of all trials on the cube; those that are missing are left to draw_missing(). */
static void fill_columns(struct fanova *f)
{
    for (int64_t j = 0; j < f->n_columns; j++) {
        const qn_parameter *p = parameter_of(f, j);
        for (int64_t i = 0; i < f->n_rows; i++) {
            const qn_trial_record *trial = f->analysed->trials[row_of(f, i)];
            const double value = qn_trial_value(trial, f->parameters[j]);
            f->columns[j * f->n_rows + i] =
                f->n_categories[j] > 0 ? value : qn_parameter_to_unit(p, value);
            f->is_drawn[j] |= isnan(value);
        }
    }
}

static void draw_missing(struct fanova *f, qn_rng *rng)
{
    for (int64_t j = 0; j < f->n_columns; j++) {
        for (int64_t i = 0; f->is_drawn[j] && i < f->n_rows; i++) {
            const qn_trial_record *trial = f->analysed->trials[row_of(f, i)];
            if (!isnan(qn_trial_value(trial, f->parameters[j]))) continue;
            f->columns[j * f->n_rows + i] = draw(f, j, rng);
        }
    }
}

/* Losses between -1 and 1 (halved before they are subtracted: the range may overflow). False when
 * they are all the same. */
static bool fill_targets(struct fanova *f)
{
    double low = QN_INF, high = -QN_INF;
    for (int64_t i = 0; i < f->n_rows; i++) {
        low = fmin(low, 0.5 * f->analysed->losses[row_of(f, i)]);
        high = fmax(high, 0.5 * f->analysed->losses[row_of(f, i)]);
    }
    const double middle = 0.5 * low + 0.5 * high, half = 0.5 * high - 0.5 * low;
    if (!(half > 0)) return false;
    for (int64_t i = 0; i < f->n_rows; i++) {
        f->targets[i] = (0.5 * f->analysed->losses[row_of(f, i)] - middle) / half;
    }
    return true;
}

static bool add_event(struct fanova *f, int32_t column, double at, double rise)
{
    if (f->n_events == f->events_room) {
        const int64_t room = f->events_room ? 2 * f->events_room : 1024;
        struct event *more = qn_realloc_array(f->events, room, sizeof *more);
        if (!more) return false;
        f->events = more;
        f->events_room = room;
    }
    f->events[f->n_events++] = (struct event){column, at, rise};
    return true;
}

/* Walks from a leaf to the root; its extents, and how many columns they are not the whole of. */
static int32_t find_box(struct fanova *f, const qn_surrogate_tree *tree, int32_t leaf)
{
    int32_t n = 0;
    for (int32_t at = leaf; tree->nodes[at].parent >= 0; at = tree->nodes[at].parent) {
        const qn_surrogate_node *split = &tree->nodes[tree->nodes[at].parent];
        struct side *side = &f->sides[split->column];
        if (side->leaf != leaf) {
            *side = (struct side){.leaf = leaf, .low = 0, .high = 1, .only = -1};
            f->touched[n++] = split->column;
        }
        if (f->n_categories[split->column] == 0) {
            if (tree->nodes[at].is_left) side->high = fmin(side->high, split->at);
            if (!tree->nodes[at].is_left) side->low = fmax(side->low, split->at);
        } else if (tree->nodes[at].is_left) {
            side->only = (int32_t)split->at;
        } else {
            side->n_excluded++;
        }
    }
    return n;
}

static double width_of(const struct fanova *f, int32_t column)
{
    const struct side *side = &f->sides[column];
    const int32_t k = f->n_categories[column];
    if (k == 0) return side->high - side->low;
    return (side->only >= 0 ? 1.0 : k - side->n_excluded) / k;
}

/* Adds what a leaf gives to the marginal of a column: g within its extent. */
static bool add_marginal(struct fanova *f, const qn_surrogate_tree *tree, int32_t leaf,
                         int32_t column, double g)
{
    const struct side *side = &f->sides[column];
    double *rises = f->rises + f->first_rises[column];
    if (f->n_categories[column] == 0) {
        return add_event(f, column, side->low, g) && add_event(f, column, side->high, -g);
    }
    if (side->only >= 0) {
        rises[side->only] += g;
        return true;
    }
    f->everywhere[column] += g;
    for (int32_t at = leaf; tree->nodes[at].parent >= 0; at = tree->nodes[at].parent) {
        const qn_surrogate_node *split = &tree->nodes[tree->nodes[at].parent];
        if (split->column == column) rises[(int32_t)split->at] -= g;
    }
    return true;
}

/* Adds up the boxes of a tree; mean and variance of what it predicts over the cube. */
static bool add_boxes(struct fanova *f, const qn_surrogate_tree *tree, double *mean,
                      double *variance)
{
    double sum = 0, squares = 0;
    for (int64_t j = 0; j < f->n_columns; j++) {
        f->sides[j].leaf = -1;
        f->everywhere[j] = 0;
    }
    memset(f->rises, 0, (size_t)f->n_rises * sizeof *f->rises);
    f->n_events = 0;
    for (int32_t leaf = 0; leaf < tree->n_nodes; leaf++) {
        if (tree->nodes[leaf].column >= 0) continue;
        const int32_t n = find_box(f, tree, leaf);
        double volume = 1;
        for (int32_t i = 0; i < n; i++) {
            volume *= width_of(f, f->touched[i]);
        }
        const double part = volume * tree->nodes[leaf].value;
        sum += part;
        squares += part * tree->nodes[leaf].value;
        for (int32_t i = 0; i < n; i++) {
            const int32_t column = f->touched[i];
            /* Less what the others give everywhere, so that `everywhere` begins at the sum. */
            f->everywhere[column] -= part;
            if (volume == 0) continue; /* a box too thin for a double */
            const double g = part / width_of(f, column);
            if (!add_marginal(f, tree, leaf, column, g)) return false;
        }
    }
    for (int64_t j = 0; j < f->n_columns; j++) {
        f->everywhere[j] += sum;
    }
    *mean = sum;
    *variance = squares - sum * sum;
    return true;
}

static double variance_of_categories(const struct fanova *f, int64_t column, double mean)
{
    const int32_t k = f->n_categories[column];
    const double *rises = f->rises + f->first_rises[column];
    double sum = 0;
    for (int32_t c = 0; c < k; c++) {
        const double off = f->everywhere[column] + rises[c] - mean;
        sum += off * off;
    }
    return sum / k;
}

/* Adds the variance of each ordered column's marginal to `variances`, sweeping over the ends of
 * boxes from left to right. */
static bool sweep_events(const struct fanova *f, double mean, double *variances)
{
    bool complete = true;
    double *ends = qn_alloc_array(2 * f->n_columns + f->n_events, sizeof *ends);
    int32_t *order = qn_alloc_array(f->n_events, sizeof *order);
    if (ends && order) {
        double *heights = ends + f->n_events, *reached = heights + f->n_columns;
        for (int64_t i = 0; i < f->n_events; i++) {
            ends[i] = f->events[i].at;
        }
        complete = qn_sort_order(ends, f->n_events, order);
        memcpy(heights, f->everywhere, (size_t)f->n_columns * sizeof *heights);
        for (int64_t i = 0; complete && i < f->n_events; i++) {
            const struct event *e = &f->events[order[i]];
            const double off = heights[e->column] - mean;
            variances[e->column] += off * off * (e->at - reached[e->column]);
            reached[e->column] = e->at;
            heights[e->column] += e->rise;
        }
    }
    complete = complete && ends && order;
    qn_free(ends);
    qn_free(order);
    return complete;
}

static bool add_shares(struct fanova *f, const qn_surrogate_tree *tree)
{
    double mean, variance;
    if (!add_boxes(f, tree, &mean, &variance)) return false;
    if (!(variance > 1e-14)) return true; /* targets reach from -1 to 1 */
    double *variances = qn_alloc_array(f->n_columns, sizeof *variances);
    const bool complete = variances && sweep_events(f, mean, variances);
    for (int64_t j = 0; complete && j < f->n_columns; j++) {
        if (f->n_categories[j] > 0) variances[j] = variance_of_categories(f, j, mean);
        f->shares[j] += variances[j] / variance;
    }
    f->n_shares += complete;
    qn_free(variances);
    return complete;
}

static qn_status grow_forest(struct fanova *f, qn_error *err)
{
    qn_surrogate_tree tree = {.n_rows = f->n_rows,
                              .n_columns = (int32_t)f->n_columns,
                              .columns = f->columns,
                              .n_categories = f->n_categories,
                              .targets = f->targets};
    qn_status status = qn_surrogate_tree_init(&tree, err);
    for (int t = 0; status == QN_OK && t < N_TREES; t++) {
        qn_rng rng;
        qn_rng_init(&rng, SEED, (uint64_t)t);
        draw_missing(f, &rng);
        status = qn_surrogate_tree_grow(&tree, &rng, err);
        if (status == QN_OK && !add_shares(f, &tree)) {
            status = qn_fail(err, QN_ERR_NOMEM, "no memory for the marginals of parameters");
        }
    }
    qn_surrogate_tree_release(&tree);
    return status;
}

/* The columns: parameters that vary and that some trial has. */
static void choose_columns(struct fanova *f)
{
    const qn_space *space = f->analysed->history->space;
    for (int64_t at = 0; at < space->n; at++) {
        const qn_parameter *p = &space->parameters[at];
        bool is_seen = false;
        for (int64_t i = 0; i < f->analysed->n && !is_seen; i++) {
            is_seen = !isnan(qn_trial_value(f->analysed->trials[i], at));
        }
        if (!is_seen || !qn_parameter_varies(p)) continue;
        const int32_t k = qn_parameter_is_unordered(p) ? p->n_choices : 0;
        f->parameters[f->n_columns] = at;
        f->n_categories[f->n_columns] = k;
        f->first_rises[f->n_columns++] = f->n_rises;
        f->n_rises += k;
    }
}

static bool reserve_parameters(struct fanova *f)
{
    const int64_t n = f->analysed->history->space->n;
    f->parameters = qn_alloc_array(n, sizeof *f->parameters);
    f->n_categories = qn_alloc_array(n, sizeof *f->n_categories);
    f->first_rises = qn_alloc_array(n, sizeof *f->first_rises);
    return f->parameters && f->n_categories && f->first_rises;
}

static bool reserve_columns(struct fanova *f)
{
    const int64_t n = f->n_columns;
    f->columns = qn_alloc_array(n * f->n_rows, sizeof *f->columns);
    f->targets = qn_alloc_array(f->n_rows, sizeof *f->targets);
    f->is_drawn = qn_alloc_array(n, sizeof *f->is_drawn);
    f->sides = qn_alloc_array(n, sizeof *f->sides);
    f->touched = qn_alloc_array(n, sizeof *f->touched);
    f->rises = qn_alloc_array(f->n_rises, sizeof *f->rises);
    f->everywhere = qn_alloc_array(n, sizeof *f->everywhere);
    f->shares = qn_alloc_array(n, sizeof *f->shares);
    return f->columns && f->targets && f->is_drawn && f->sides && f->touched && f->rises &&
           f->everywhere && f->shares;
}

static void release(struct fanova *f)
{
    qn_free(f->parameters);
    qn_free(f->n_categories);
    qn_free(f->first_rises);
    qn_free(f->columns);
    qn_free(f->targets);
    qn_free(f->is_drawn);
    qn_free(f->sides);
    qn_free(f->touched);
    qn_free(f->events);
    qn_free(f->rises);
    qn_free(f->everywhere);
    qn_free(f->shares);
}

static qn_status evaluate(const qn_analysed *analysed, double *importances, qn_error *err)
{
    struct fanova f = {.analysed = analysed};
    qn_status status = QN_OK;
    bool complete = reserve_parameters(&f);
    if (complete) choose_columns(&f);
    f.n_rows = analysed->n;
    if (complete && f.n_columns > 0 && f.n_rows > 1) {
        if (f.n_rows > CELLS_MAX / f.n_columns) f.n_rows = CELLS_MAX / f.n_columns;
        complete = reserve_columns(&f);
        if (complete && fill_targets(&f)) {
            fill_columns(&f);
            status = grow_forest(&f, err);
        }
        for (int64_t j = 0; complete && status == QN_OK && j < f.n_columns; j++) {
            if (f.n_shares > 0) importances[f.parameters[j]] = f.shares[j] / (double)f.n_shares;
        }
    }
    release(&f);
    return complete ? status : qn_fail(err, QN_ERR_NOMEM, "no memory for a forest of trials");
}

const qn_importance_method qn_importance_fanova = {
    .name = "fanova",
    .help = "share of the variance over the whole space, by a forest (Hutter et al. 2014)",
    .evaluate = evaluate};
