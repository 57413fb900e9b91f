/* SPDX-License-Identifier: Apache-2.0 */
#include "learn/tree/isolation.h"

#include "base/alloc.h"
#include "base/rng.h"
#include "base/sort.h"
#include "model/tree_model.h"

#include <math.h>
#include <string.h>

/* H(n): a sum, and beyond a few terms Euler's series, whose first term left out is below 1e-16. */
static double harmonic_number(int64_t n)
{
    enum { SUMMED = 64 };
    static const double euler_gamma = 0.57721566490153286;
    const double x = (double)n;
    double sum = 0;
    if (n > SUMMED) {
        const double inverse = 1 / (x * x);
        return log(x) + euler_gamma + 1 / (2 * x) -
               inverse * (1.0 / 12 - inverse * (1.0 / 120 - inverse / 252));
    }
    for (int64_t i = n; i > 0; i--) { /* small ones first */
        sum += 1 / (double)i;
    }
    return sum;
}

double qn_isolation_depth(int64_t n)
{
    return n < 2 ? 0 : 2 * harmonic_number(n - 1) - 2 * (double)(n - 1) / (double)n;
}

/* A fit: what its trees share. */
struct fit {
    const qn_isolation_request *request;
    int64_t n_samples, depth_max;
    double *unknown; /* per feature: what stands for a missing value; QN_NA: nothing does */
    int64_t first;   /* of the batch */
    qn_tree_builder *trees;
    bool *grown;
};

struct node {
    int64_t begin, n, depth;
    int32_t parent;
    bool is_left;
};

/* A tree in the making. */
struct work {
    const struct fit *fit;
    qn_rng rng;
    int32_t *rows, *features;
    uint8_t *drawn;     /* per row of the table */
    struct node *stack; /* never deeper than depth_max + 1 */
    int64_t n_stack;
};

/* Floyd's algorithm: every set of n_samples rows has the same chance. */
static void draw_rows(struct work *work)
{
    const int64_t n = work->fit->request->features->n_rows, n_samples = work->fit->n_samples;
    for (int64_t i = n - n_samples, at = 0; i < n; i++) {
        int64_t row = qn_rng_below(&work->rng, i + 1);
        if (work->drawn[row]) row = i;
        work->drawn[row] = 1;
        work->rows[at++] = (int32_t)row;
    }
}

/* A feature in the making of a tree. */
struct column {
    const double *values;
    double unknown; /* as in the fit */
};

static struct column column_of(const struct work *work, int32_t feature)
{
    const qn_matrix *x = work->fit->request->features;
    return (struct column){x->dense + feature * x->stride, work->fit->unknown[feature]};
}

static double value_at(const struct column *column, int32_t row)
{
    const double value = column->values[row];
    return isnan(value) ? column->unknown : value;
}

/* Least and greatest known value of a node's rows; false when they do not differ. */
static bool find_range(const struct work *work, const struct node *node,
                       const struct column *column, double *least, double *most)
{
    *least = QN_INF;
    *most = -QN_INF;
    for (int64_t i = 0; i < node->n; i++) {
        const double value = value_at(column, work->rows[node->begin + i]);
        *least = value < *least ? value : *least; /* never with a missing one */
        *most = value > *most ? value : *most;
    }
    return *least < *most;
}

/* A random feature that varies in the node and a cut of it; -1 when none does. */
static int32_t draw_cut(struct work *work, const struct node *node, double *threshold)
{
    const qn_matrix *x = work->fit->request->features;
    for (int64_t i = 0; i < x->n_dense; i++) {
        const int64_t j = i + qn_rng_below(&work->rng, x->n_dense - i);
        const int32_t feature = work->features[j];
        const struct column column = column_of(work, feature);
        double least, most;
        work->features[j] = work->features[i];
        work->features[i] = feature;
        if (!find_range(work, node, &column, &least, &most)) continue;
        const double u = qn_rng_uniform(&work->rng);
        *threshold = least * (1 - u) + most * u;
        if (!(*threshold >= least && *threshold < most)) *threshold = least; /* rounding */
        return feature;
    }
    return -1;
}

/* Rows up to the threshold to the front, missing numbers with most of the others; how many are
 * there. */
static int64_t partition(struct work *work, const struct node *node, const struct column *column,
                         double threshold, bool *missing_left)
{
    int32_t *rows = work->rows + node->begin;
    int64_t n_left = 0, n_known = 0;
    for (int64_t i = 0; i < node->n; i++) {
        const double value = value_at(column, rows[i]);
        n_left += value <= threshold;
        n_known += !isnan(value);
    }
    *missing_left = isnan(column->unknown) ? 2 * n_left >= n_known : column->unknown <= threshold;
    int64_t low = 0, high = node->n;
    while (low < high) {
        const double value = column->values[rows[low]];
        if (isnan(value) ? *missing_left : value <= threshold) {
            low++;
        } else {
            const int32_t row = rows[low];
            rows[low] = rows[--high];
            rows[high] = row;
        }
    }
    return low;
}

static void link_parent(qn_tree_builder *tree, const struct node *node, int32_t child)
{
    if (node->parent < 0 || tree->failed) return;
    qn_tree_node *parent = &tree->nodes[node->parent];
    *(node->is_left ? &parent->left : &parent->right) = child;
}

/* Handles one node: a leaf, or a cut and two more nodes to do. Returns its index or ~leaf. */
static int32_t grow_node(struct work *work, const struct node *node, qn_tree_builder *tree)
{
    const struct fit *fit = work->fit;
    double threshold;
    const int32_t feature =
        node->n > 1 && node->depth < fit->depth_max ? draw_cut(work, node, &threshold) : -1;
    if (feature < 0) {
        const double depth = (double)node->depth + qn_isolation_depth(node->n);
        return ~(int32_t)qn_tree_builder_add_values(tree, &depth, 1);
    }
    const struct column column = column_of(work, feature);
    bool missing_left;
    const int64_t n_left = partition(work, node, &column, threshold, &missing_left);
    const qn_tree_node out = {.threshold = threshold,
                              .feature = feature,
                              .flags = missing_left ? QN_NODE_DEFAULT_LEFT : 0,
                              .left_cover = (float)n_left,
                              .right_cover = (float)(node->n - n_left)};
    const int32_t index = (int32_t)qn_tree_builder_add_node(tree, &out);
    const int64_t depth = node->depth + 1;
    work->stack[work->n_stack++] =
        (struct node){node->begin + n_left, node->n - n_left, depth, index, false};
    work->stack[work->n_stack++] = (struct node){node->begin, n_left, depth, index, true};
    return index;
}

static void grow_tree(struct work *work, qn_tree_builder *tree)
{
    int32_t root = 0;
    work->stack[work->n_stack++] = (struct node){.n = work->fit->n_samples, .parent = -1};
    while (work->n_stack > 0 && !tree->failed) {
        const struct node node = work->stack[--work->n_stack];
        const int32_t index = grow_node(work, &node, tree);
        link_parent(tree, &node, index);
        if (node.parent < 0) root = index;
    }
    qn_tree_builder_add_tree(tree, root);
}

static void grow_one(void *context, int64_t i)
{
    const struct fit *fit = context;
    const qn_matrix *x = fit->request->features;
    qn_tree_builder *tree = &fit->trees[i];
    *tree = (qn_tree_builder){0};
    fit->grown[i] = !qn_stop_requested(fit->request->stop);
    if (!fit->grown[i]) return;
    struct work work = {.fit = fit,
                        .rows = qn_alloc_array(fit->n_samples, sizeof *work.rows),
                        .features = qn_alloc_array(x->n_dense, sizeof *work.features),
                        .drawn = qn_alloc_array(x->n_rows, 1),
                        .stack = qn_alloc_array(fit->depth_max + 2, sizeof *work.stack)};
    if (work.rows && work.features && work.drawn && work.stack) {
        qn_rng_init(&work.rng, fit->request->seed, (uint64_t)(fit->first + i));
        for (int64_t f = 0; f < x->n_dense; f++) {
            work.features[f] = (int32_t)f;
        }
        draw_rows(&work);
        grow_tree(&work, tree);
    } else {
        tree->failed = true;
    }
    qn_free(work.rows);
    qn_free(work.features);
    qn_free(work.drawn);
    qn_free(work.stack);
}

enum { BATCH = 16 }; /* trees at a time */

static qn_status grow_all(struct fit *fit, int64_t n_trees, qn_tree_builder *model, qn_error *err)
{
    qn_tree_builder trees[BATCH];
    bool grown[BATCH], stopped = false;
    fit->trees = trees;
    fit->grown = grown;
    for (fit->first = 0; fit->first < n_trees && !stopped; fit->first += BATCH) {
        const int64_t n = n_trees - fit->first < BATCH ? n_trees - fit->first : BATCH;
        qn_pool_run(fit->request->pool, n, grow_one, fit);
        for (int64_t i = 0; i < n; i++) {
            stopped |= !grown[i]; /* trees after a gap are not kept */
            if (!stopped) qn_tree_builder_take(model, &trees[i]);
            qn_tree_builder_release(&trees[i]);
        }
    }
    if (model->failed) return qn_fail(err, QN_ERR_NOMEM, "no memory for the isolation forest");
    if (model->n_trees == 0) {
        return qn_fail(err, QN_ERR_INTERRUPTED, "stopped before the first tree was done");
    }
    return QN_OK;
}

/* The rank of rows without a code: after the codes that as many rows have or more. */
static bool rank_unknown(const double *codes, int64_t n_rows, int32_t n_levels, double *out)
{
    int64_t *counts = qn_alloc_array(n_levels, sizeof *counts), n_unknown = 0;
    int32_t rank = 0;
    for (int64_t i = 0; counts && i < n_rows; i++) {
        if (isnan(codes[i])) {
            n_unknown++;
        } else {
            counts[(int32_t)codes[i]]++;
        }
    }
    while (counts && rank < n_levels && counts[rank] >= n_unknown) {
        rank++;
    }
    const bool complete = counts != NULL;
    qn_free(counts);
    *out = rank - 0.5;
    return complete;
}

static bool rank_all_unknown(struct fit *fit)
{
    const qn_matrix *x = fit->request->features;
    const qn_feature *described = fit->request->described;
    fit->unknown = qn_alloc_array(x->n_dense, sizeof *fit->unknown);
    for (int64_t f = 0; fit->unknown && f < x->n_dense; f++) {
        fit->unknown[f] = QN_NA;
        if (!described || !described[f].categorical) continue;
        if (!rank_unknown(x->dense + f * x->stride, x->n_rows, described[f].n_levels,
                          &fit->unknown[f])) {
            return false;
        }
    }
    return fit->unknown != NULL;
}

qn_status qn_isolation_fit(const qn_isolation_request *request, qn_estimator **out, qn_error *err)
{
    *out = NULL;
    const int64_t n = request->features->n_rows;
    const int64_t wanted = request->max_samples > 0 ? request->max_samples : QN_ISOLATION_SAMPLES;
    const int64_t n_trees = request->n_estimators > 0 ? request->n_estimators : QN_ISOLATION_TREES;
    if (n < 2) return qn_fail(err, QN_ERR_DATA, "outliers are found among two rows or more");
    struct fit fit = {.request = request, .n_samples = wanted < n ? wanted : n};
    if (fit.n_samples < 2) fit.n_samples = 2;
    fit.depth_max = (int64_t)ceil(log2((double)fit.n_samples));
    const double init[1] = {0};
    qn_tree_builder model = {.scale = -log(2) / qn_isolation_depth(fit.n_samples),
                             .averaged = true};
    qn_status status = rank_all_unknown(&fit)
                           ? grow_all(&fit, n_trees, &model, err)
                           : qn_fail(err, QN_ERR_NOMEM, "no memory for the isolation forest");
    if (status == QN_OK) {
        status =
            qn_tree_builder_finish(&model, model.n_trees, QN_LINK_EXP, false, init, 1, out, err);
    }
    qn_tree_builder_release(&model);
    qn_free(fit.unknown);
    return status;
}

static void add_savings(const qn_tree_model *model, int32_t tree, const qn_matrix *features,
                        int64_t row, double *savings)
{
    for (int32_t at = model->roots[tree]; at >= 0;) {
        const qn_tree_node *node = &model->nodes[at];
        const double value = features->dense[node->feature * features->stride + row];
        const bool left = qn_tree_model_goes_left(model, node, value);
        const int64_t n_left = (int64_t)node->left_cover, n_right = (int64_t)node->right_cover;
        savings[node->feature] +=
            qn_isolation_depth(n_left + n_right) - 1 - qn_isolation_depth(left ? n_left : n_right);
        at = left ? node->left : node->right;
    }
}

void qn_isolation_savings(const qn_estimator *estimator, const qn_matrix *features, int64_t row,
                          double *savings)
{
    const qn_tree_model *model = qn_tree_model_of(estimator);
    memset(savings, 0, (size_t)features->n_dense * sizeof *savings);
    for (int32_t t = 0; t < model->n_trees; t++) {
        add_savings(model, t, features, row, savings);
    }
    for (int64_t f = 0; f < features->n_dense; f++) {
        savings[f] /= model->n_trees;
    }
}

qn_status qn_isolation_threshold(double *scores, int64_t n, double contamination, double *out,
                                 qn_error *err)
{
    if (!qn_sort_doubles(scores, n)) {
        return qn_fail(err, QN_ERR_NOMEM, "no memory to sort the scores");
    }
    int64_t n_outliers = (int64_t)(contamination * (double)n + 0.5);
    if (n_outliers >= n) n_outliers = n - 1;
    const double below = scores[n - n_outliers - 1];
    const double middle = n_outliers > 0 ? below + (scores[n - n_outliers] - below) / 2 : below;
    *out = middle > below ? middle : nextafter(below, QN_INF); /* ties are no outliers */
    return QN_OK;
}
