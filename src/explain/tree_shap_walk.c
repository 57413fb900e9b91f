/* SPDX-License-Identifier: Apache-2.0 */
/* Walking a tree for SHAP values, in lanes of eight rows. The formulas are in tree_shap.h.
 *
 * With t one of the points, an edge of feature i gives the product the factor a = (1 - t) z for
 * rows that do not pass and b = a + t for rows that do. To leave the factor out again, and multiply
 * by o - z, is to multiply by (1 - z) / b for rows that pass and by -z / a = -1 / (1 - t) for those
 * that do not, so no share of 0 is ever divided by. Where the feature has been tested before, the
 * edge replaces that edge's factor by its own, and takes that edge's part back. */
#include "explain/tree_shap_internal.h"

#include <string.h>

typedef double doubles4 __attribute__((vector_size(32)));
typedef int64_t bits4 __attribute__((vector_size(32)));

enum { VECTORS = QN_SHAP_LANES / 4 };

#define INLINE static inline __attribute__((always_inline))
/* mask ? yes : no */
#define CHOOSE(mask, yes, no) ((doubles4)(((bits4)(yes) & (mask)) | ((bits4)(no) & ~(mask))))

/* Unfolding. */

static double ratio_of(const qn_tree_node *node, bool left)
{
    const double sum = (double)node->left_cover + (double)node->right_cover;
    if (!(sum > 0)) return 0.5;
    return (left ? (double)node->left_cover : (double)node->right_cover) / sum;
}

static void expect_leaf(const qn_tree_model *model, int32_t tree, int64_t leaf, double reach,
                        double *expected)
{
    const int32_t k = model->head.n_outputs;
    if (!expected) return;
    if (!model->vector_leaves) {
        expected[tree % k] += reach * model->values[leaf];
        return;
    }
    for (int32_t c = 0; c < k; c++) {
        expected[c] += reach * model->values[leaf * k + c];
    }
}

/* Ends the open edges from `depth` on; returns how many features are then not tested any more. */
static int32_t close_edges(struct qn_shap_tree *tree, int32_t last, int32_t depth)
{
    int32_t n_ended = 0;
    for (int32_t d = last; d >= depth; d--) {
        const struct qn_shap_edge *edge = &tree->edges[tree->open[d]];
        tree->last_depth[edge->feature] = edge->before;
        n_ended += edge->before == 0;
    }
    return n_ended;
}

static const struct qn_shap_edge *
open_edge(const qn_tree_model *model, const struct qn_shap_pending *at, struct qn_shap_tree *tree)
{
    const qn_tree_node *node = &model->nodes[at->node];
    const int32_t child = at->left ? node->left : node->right;
    const int32_t before = tree->last_depth[node->feature];
    const double ratio = ratio_of(node, at->left);
    struct qn_shap_edge *edge = &tree->edges[tree->n_edges];
    *edge = (struct qn_shap_edge){
        .node = at->node,
        .feature = node->feature,
        .depth = at->depth,
        .before = before,
        .leaf = child < 0 ? ~child : -1,
        .left = at->left,
        .ratio = ratio,
        .share = before > 0 ? ratio * tree->edges[tree->open[before]].share : ratio};
    tree->last_depth[node->feature] = at->depth;
    tree->open[at->depth] = tree->n_edges++;
    tree->reach[at->depth] = tree->reach[at->depth - 1] * ratio;
    return edge;
}

void qn_shap_unfold(const qn_tree_model *model, int32_t tree, struct qn_shap_tree *out,
                    double *expected)
{
    const int32_t root = model->roots[tree];
    int32_t depth = 0, n_tested = 0, n_tested_max = 0;
    int64_t n_pending = 0;
    out->n_edges = 0;
    out->reach[0] = 1;
    if (root < 0) {
        expect_leaf(model, tree, ~root, 1, expected);
    } else {
        out->pending[n_pending++] = (struct qn_shap_pending){root, 1, false};
        out->pending[n_pending++] = (struct qn_shap_pending){root, 1, true};
    }
    while (n_pending > 0) {
        const struct qn_shap_pending at = out->pending[--n_pending];
        n_tested -= close_edges(out, depth, at.depth);
        depth = at.depth;
        const struct qn_shap_edge *edge = open_edge(model, &at, out);
        n_tested += edge->before == 0;
        if (n_tested > n_tested_max) n_tested_max = n_tested;
        if (edge->leaf >= 0) {
            expect_leaf(model, tree, edge->leaf, out->reach[depth], expected);
            continue;
        }
        const qn_tree_node *node = &model->nodes[at.node];
        const int32_t child = at.left ? node->left : node->right;
        out->pending[n_pending++] = (struct qn_shap_pending){child, depth + 1, false};
        out->pending[n_pending++] = (struct qn_shap_pending){child, depth + 1, true};
    }
    (void)close_edges(out, depth, 1);
    out->n_points = (n_tested_max + 1) / 2;
    if (out->n_points < 1) out->n_points = 1;
    if (out->n_points > QN_SHAP_POINTS_MAX) out->n_points = QN_SHAP_POINTS_MAX;
}

void qn_shap_put_inverses(const qn_tree_shap *shap, struct qn_shap_tree *tree)
{
    const int n = tree->n_points;
    const double *points = shap->points + n * (n - 1) / 2;
    for (int64_t i = 0; i < tree->n_edges; i++) {
        const double share = tree->edges[i].share;
        for (int q = 0; q < n; q++) {
            tree->inverses[i * n + q] = 1 / ((1 - points[q]) * share + points[q]);
        }
    }
}

/* Walking. */

struct walk {
    const qn_tree_shap *shap;
    const struct qn_shap_tree *tree;
    const double *points, *weights, *ends;
    const double *rows;
    int64_t stride;
    const struct qn_shap_lanes *lanes;
    double *values;
    int32_t c;
};

INLINE doubles4 *products_at(const struct walk *w, int32_t depth)
{
    return (doubles4 *)(void *)w->lanes->products + (size_t)depth * w->tree->n_points * VECTORS;
}

INLINE doubles4 *sums_at(const struct walk *w, int32_t depth)
{
    return (doubles4 *)(void *)w->lanes->sums + (size_t)depth * w->tree->n_points * VECTORS;
}

INLINE bits4 *passes_at(const struct walk *w, int32_t depth)
{
    return (bits4 *)(void *)w->lanes->passes + (size_t)depth * VECTORS;
}

/* Which rows take the edge, and have taken those before of the same feature. */
INLINE void find_passes(const struct walk *w, const struct qn_shap_edge *edge)
{
    const qn_tree_model *model = w->shap->model;
    const qn_tree_node *node = &model->nodes[edge->node];
    const double *x = w->rows + node->feature * w->stride;
    bits4 *passes = passes_at(w, edge->depth);
    const bits4 none = {0};
    for (int v = 0; v < VECTORS; v++) {
        bits4 left;
        if (node->flags & ~QN_NODE_DEFAULT_LEFT) {
            for (int i = 0; i < 4; i++) {
                left[i] = -(int64_t)qn_tree_model_goes_left(model, node, x[4 * v + i]);
            }
        } else {
            doubles4 values;
            memcpy(&values, x + 4 * v, sizeof values);
            left = values <= node->threshold;
            if (node->flags & QN_NODE_DEFAULT_LEFT) left |= values != values;
        }
        passes[v] = edge->left ? left : ~left;
        passes[v] &= edge->before > 0 ? passes_at(w, edge->before)[v] : ~none;
    }
}

/* The product at each point with the edge's factor in it. */
INLINE void descend(const struct walk *w, const struct qn_shap_edge *edge)
{
    const int n = w->tree->n_points;
    const bits4 *passes = passes_at(w, edge->depth);
    const doubles4 *above = products_at(w, edge->depth - 1);
    doubles4 *here = products_at(w, edge->depth);
    if (edge->before == 0) {
        for (int q = 0; q < n; q++) {
            const double t = w->points[q], a = (1 - t) * edge->share;
            const doubles4 point = {t, t, t, t};
            for (int v = 0; v < VECTORS; v++) {
                here[q * VECTORS + v] =
                    above[q * VECTORS + v] * (a + (doubles4)((bits4)point & passes[v]));
            }
        }
        return;
    }
    const bits4 *passed = passes_at(w, edge->before);
    const double *inverses = w->tree->inverses + w->lanes->open[edge->before] * n;
    const doubles4 ratio = {edge->ratio, edge->ratio, edge->ratio, edge->ratio};
    for (int q = 0; q < n; q++) {
        const double t = w->points[q], a = (1 - t) * edge->share;
        const double in = (a + t) * inverses[q], out = a * inverses[q];
        const doubles4 ins = {in, in, in, in}, outs = {out, out, out, out};
        for (int v = 0; v < VECTORS; v++) {
            here[q * VECTORS + v] =
                above[q * VECTORS + v] * CHOOSE(passes[v], ins, CHOOSE(passed[v], outs, ratio));
        }
    }
}

INLINE void begin_sums(const struct walk *w, const struct qn_shap_edge *edge)
{
    const qn_tree_model *model = w->shap->model;
    const int n = w->tree->n_points;
    const doubles4 *products = products_at(w, edge->depth);
    doubles4 *sums = sums_at(w, edge->depth);
    if (edge->leaf < 0) {
        memset(sums, 0, (size_t)n * VECTORS * sizeof *sums);
        return;
    }
    const double value = qn_tree_model_leaf_value(model, edge->leaf, w->c, NULL, 0);
    for (int q = 0; q < n; q++) {
        for (int v = 0; v < VECTORS; v++) {
            sums[q * VECTORS + v] = products[q * VECTORS + v] * (w->weights[q] * value);
        }
    }
}

/* Gives the edge's feature its part of the leaves below, and the edge above these leaves. */
INLINE void ascend(const struct walk *w, const struct qn_shap_edge *edge)
{
    const int n = w->tree->n_points;
    const double *inverses = w->tree->inverses + (edge - w->tree->edges) * n;
    const doubles4 *sums = sums_at(w, edge->depth);
    doubles4 *above = sums_at(w, edge->depth - 1);
    doubles4 outside[VECTORS] = {0}, inside[VECTORS] = {0};
    for (int q = 0; q < n; q++) {
        for (int v = 0; v < VECTORS; v++) {
            const doubles4 sum = sums[q * VECTORS + v];
            outside[v] -= sum * w->ends[q];
            inside[v] += sum * inverses[q];
            above[q * VECTORS + v] += sum;
        }
    }
    doubles4 parts[VECTORS];
    for (int v = 0; v < VECTORS; v++) {
        inside[v] *= 1 - edge->share;
        parts[v] = CHOOSE(passes_at(w, edge->depth)[v], inside[v], outside[v]);
    }
    if (edge->before > 0) {
        const int64_t before = w->lanes->open[edge->before];
        inverses = w->tree->inverses + before * n;
        memset(inside, 0, sizeof inside);
        for (int q = 0; q < n; q++) {
            for (int v = 0; v < VECTORS; v++) {
                inside[v] += sums[q * VECTORS + v] * inverses[q];
            }
        }
        for (int v = 0; v < VECTORS; v++) {
            inside[v] *= 1 - w->tree->edges[before].share;
            parts[v] -= CHOOSE(passes_at(w, edge->before)[v], inside[v], outside[v]);
        }
    }
    double *out = w->values + (int64_t)edge->feature * QN_SHAP_ROWS;
    for (int v = 0; v < VECTORS; v++) {
        doubles4 values;
        memcpy(&values, out + 4 * v, sizeof values);
        values += parts[v];
        memcpy(out + 4 * v, &values, sizeof values);
    }
}

INLINE void begin_walk(const struct walk *w)
{
    doubles4 *products = products_at(w, 0);
    const doubles4 ones = {1, 1, 1, 1};
    for (int i = 0; i < w->tree->n_points * VECTORS; i++) {
        products[i] = ones;
    }
    memset(sums_at(w, 0), 0, (size_t)w->tree->n_points * VECTORS * sizeof(doubles4));
}

INLINE void walk_values(const struct walk *w)
{
    const struct qn_shap_edge *edges = w->tree->edges;
    int64_t *open = w->lanes->open;
    int32_t depth = 0;
    begin_walk(w);
    for (int64_t i = 0; i < w->tree->n_edges; i++) {
        for (; depth >= edges[i].depth; depth--) {
            ascend(w, &edges[open[depth]]);
        }
        depth = edges[i].depth;
        open[depth] = i;
        find_passes(w, &edges[i]);
        descend(w, &edges[i]);
        begin_sums(w, &edges[i]);
    }
    for (; depth > 0; depth--) {
        ascend(w, &edges[open[depth]]);
    }
}

/* Interactions. */

/* What the product at each point is multiplied by to leave the edge's feature out. */
INLINE void put_parts(const struct walk *w, int32_t depth)
{
    const int n = w->tree->n_points;
    const int64_t at = w->lanes->open[depth];
    const double *inverses = w->tree->inverses + at * n;
    const bits4 *passes = passes_at(w, depth);
    doubles4 *parts = (doubles4 *)(void *)w->lanes->parts + (size_t)depth * n * VECTORS;
    for (int q = 0; q < n; q++) {
        const double in = (1 - w->tree->edges[at].share) * inverses[q], out = -w->ends[q];
        const doubles4 ins = {in, in, in, in}, outs = {out, out, out, out};
        for (int v = 0; v < VECTORS; v++) {
            parts[q * VECTORS + v] = CHOOSE(passes[v], ins, outs);
        }
    }
}

/* Whether an edge further down, as far as `depth`, tests the same feature. */
INLINE bool is_replaced(const struct walk *w, int32_t at, int32_t depth)
{
    bool replaced = false;
    for (int32_t d = at + 1; d <= depth; d++) {
        replaced |= w->tree->edges[w->lanes->open[d]].before == at;
    }
    return replaced;
}

/* `products`: of the leaf, weighted. */
INLINE void add_pair(const struct walk *w, const doubles4 *products, int32_t a, int32_t b)
{
    const int n = w->tree->n_points;
    const int64_t *open = w->lanes->open;
    const int64_t i = w->tree->edges[open[a]].feature, j = w->tree->edges[open[b]].feature;
    const doubles4 *parts = (const doubles4 *)(const void *)w->lanes->parts;
    const doubles4 *of_a = parts + (size_t)a * n * VECTORS, *of_b = parts + (size_t)b * n * VECTORS;
    const int64_t larger = i > j ? i : j, smaller = i > j ? j : i;
    double *out = w->values + (larger * w->shap->model->n_features + smaller) * QN_SHAP_LANES;
    for (int v = 0; v < VECTORS; v++) {
        doubles4 sum = {0}, values;
        for (int q = v; q < n * VECTORS; q += VECTORS) {
            sum += of_a[q] * of_b[q] * products[q];
        }
        memcpy(&values, out + 4 * v, sizeof values);
        values += 0.5 * sum;
        memcpy(out + 4 * v, &values, sizeof values);
    }
}

INLINE void add_pairs(const struct walk *w, int32_t depth)
{
    for (int32_t a = 1; a <= depth; a++) {
        if (is_replaced(w, a, depth)) continue;
        put_parts(w, a);
        for (int32_t b = 1; b < a; b++) {
            if (!is_replaced(w, b, depth)) add_pair(w, sums_at(w, depth), a, b);
        }
    }
}

INLINE void walk_pairs(const struct walk *w)
{
    const struct qn_shap_edge *edges = w->tree->edges;
    begin_walk(w);
    for (int64_t i = 0; i < w->tree->n_edges; i++) {
        w->lanes->open[edges[i].depth] = i;
        find_passes(w, &edges[i]);
        descend(w, &edges[i]);
        begin_sums(w, &edges[i]);
        if (edges[i].leaf >= 0) add_pairs(w, edges[i].depth);
    }
}

/* With the vectors of the processor at hand; both give the same bytes. */

typedef void walk_function(const struct walk *w);

static void walk_values_portable(const struct walk *w)
{
    walk_values(w);
}

static void walk_pairs_portable(const struct walk *w)
{
    walk_pairs(w);
}

#if defined(__x86_64__)
__attribute__((target("avx2"))) static void walk_values_avx2(const struct walk *w)
{
    walk_values(w);
}

__attribute__((target("avx2"))) static void walk_pairs_avx2(const struct walk *w)
{
    walk_pairs(w);
}

bool qn_shap_has_long_vectors(void)
{
    return __builtin_cpu_supports("avx2");
}
#else
#define walk_values_avx2 walk_values_portable
#define walk_pairs_avx2 walk_pairs_portable
bool qn_shap_has_long_vectors(void)
{
    return false;
}
#endif

static struct walk walk_of(const qn_tree_shap *shap, const struct qn_shap_tree *tree)
{
    const int first = tree->n_points * (tree->n_points - 1) / 2;
    return (struct walk){.shap = shap,
                         .tree = tree,
                         .points = shap->points + first,
                         .weights = shap->weights + first,
                         .ends = shap->ends + first};
}

void qn_shap_walk(const qn_tree_shap *shap, const struct qn_shap_tree *tree, int32_t c,
                  const double *rows, int64_t stride, const struct qn_shap_lanes *lanes,
                  double *values)
{
    struct walk w = walk_of(shap, tree);
    w.c = c;
    w.rows = rows;
    w.stride = stride;
    w.lanes = lanes;
    w.values = values;
    walk_function *const walk = shap->portable ? walk_values_portable : walk_values_avx2;
    walk(&w);
}

void qn_shap_walk_pairs(const qn_tree_shap *shap, const struct qn_shap_tree *tree, int32_t c,
                        const double *rows, int64_t stride, const struct qn_shap_lanes *lanes,
                        double *values)
{
    struct walk w = walk_of(shap, tree);
    w.c = c;
    w.rows = rows;
    w.stride = stride;
    w.lanes = lanes;
    w.values = values;
    walk_function *const walk = shap->portable ? walk_pairs_portable : walk_pairs_avx2;
    walk(&w);
}
