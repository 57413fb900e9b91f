/* SPDX-License-Identifier: Apache-2.0 */
/* Prepared values: with a missing value as -infinity where nodes send it left, and as NaN where
 * they send it right, "value <= threshold goes left" is right for both. A feature has one prepared
 * value for each set of flags its nodes carry.
 *
 * Nodes: the two children of a node stand side by side, so that the next node is `child` or the one
 * behind it. A leaf is its own child and compares -infinity, which goes left: to step on from it
 * changes nothing, and trees need not be asked whether they are done before every step. How many
 * steps the processor has under way at a time depends on how few instructions a step takes: hence
 * offsets in bytes, and no test for leaves. */
#include "model/tree_walk.h"

#include "base/alloc.h"
#include "base/number.h"
#include "model/tree_codes_internal.h"

#include <math.h>
#include <string.h>

enum {
    NODES_MAX = 1 << 20, /* a form of 16 MB: larger models would take long to open */
    COLUMNS_MAX = UINT16_MAX,
    FIRST_STEPS = 3, /* before trees are first asked whether they are done */
    MORE_STEPS = 2   /* before they are asked again */
};
/* The flags that tell prepared values of one feature apart. */
enum {
    NUMBER_FLAGS = QN_NODE_DEFAULT_LEFT | QN_NODE_CODE | QN_NODE_ZERO_MISSING,
    CATEGORY_FLAGS = QN_NODE_CATEGORY | QN_NODE_OTHER_RIGHT
};

struct walk_node {
    double threshold; /* of categories: number of its table; of a leaf: its value, or its number */
    uint32_t child;   /* in bytes from the first node */
    uint16_t column;
    uint16_t category; /* 1: the threshold is a table's number */
};

struct walk_column {
    int32_t feature, flags;
    int32_t next; /* of the same feature, or -1 */
};

struct qn_tree_walk {
    int32_t n_trees, n_columns, n_tables;
    struct walk_node *nodes;
    uint32_t *roots;
    struct walk_column *columns;
    uint8_t *tables; /* of sets: QN_TREE_TABLE_BYTES each */
};

struct making {
    const qn_tree_model *model;
    qn_tree_walk *walk;
    int32_t *first_column; /* of a feature, or -1 */
    int32_t *source;       /* per node: that of the model, or ~leaf */
    int64_t n_nodes;
    int64_t n_max, n_reached, n_categories;
};

void qn_tree_walk_free(qn_tree_walk *walk)
{
    if (!walk) return;
    qn_free(walk->nodes);
    qn_free(walk->roots);
    qn_free(walk->columns);
    qn_free(walk->tables);
    qn_free(walk);
}

/* Counts the nodes and leaves that walks from the roots reach, and the tests of categories among
 * them. False when there are too many, as when trees that share nodes would blow the form up. */
static bool count(struct making *m)
{
    const qn_tree_model *model = m->model;
    int32_t *stack = m->source;
    m->n_reached = m->n_categories = 0;
    for (int32_t t = 0; t < model->n_trees; t++) {
        int64_t depth = 0;
        stack[depth++] = model->roots[t];
        while (depth > 0) {
            const int32_t at = stack[--depth];
            if (++m->n_reached > m->n_max) return false;
            if (at < 0) continue;
            m->n_categories += (model->nodes[at].flags & QN_NODE_CATEGORY) != 0;
            stack[depth++] = model->nodes[at].left;
            stack[depth++] = model->nodes[at].right;
        }
    }
    return true;
}

static int32_t flags_of(const qn_tree_node *node)
{
    return node->flags & (node->flags & QN_NODE_CATEGORY ? CATEGORY_FLAGS : NUMBER_FLAGS);
}

/* The column of a node's test, new if there is none yet; -1 when there would be too many. */
static int32_t find_column(struct making *m, const qn_tree_node *node)
{
    const int32_t flags = flags_of(node);
    int32_t at = m->first_column[node->feature];
    while (at >= 0 && m->walk->columns[at].flags != flags) {
        at = m->walk->columns[at].next;
    }
    if (at >= 0 || m->walk->n_columns == COLUMNS_MAX) return at;
    at = m->walk->n_columns++;
    m->walk->columns[at] =
        (struct walk_column){node->feature, flags, m->first_column[node->feature]};
    m->first_column[node->feature] = at;
    return at;
}

static uint32_t offset_of(int64_t at)
{
    return (uint32_t)((size_t)at * sizeof(struct walk_node));
}

/* False for a value that cannot be compared. */
static bool put_leaf(struct making *m, int64_t at)
{
    const int32_t leaf = ~m->source[at];
    const double value = m->model->vector_leaves ? (double)leaf : m->model->values[leaf];
    m->walk->nodes[at] = (struct walk_node){.threshold = value, .child = offset_of(at)};
    return !isnan(value);
}

/* Puts one node, and makes places for its children behind all that have one. */
static bool put_node(struct making *m, int64_t at)
{
    const qn_tree_node *node = &m->model->nodes[m->source[at]];
    const int32_t column = find_column(m, node);
    if (column < 0) return false;
    struct walk_node *out = &m->walk->nodes[at];
    *out = (struct walk_node){
        .threshold = node->threshold, .child = offset_of(m->n_nodes), .column = (uint16_t)column};
    if (node->flags & QN_NODE_CATEGORY) {
        out->category = 1;
        out->threshold = m->walk->n_tables;
        qn_tree_put_table(m->model, node,
                          m->walk->tables + (size_t)m->walk->n_tables++ * QN_TREE_TABLE_BYTES);
    }
    m->source[m->n_nodes++] = node->left;
    m->source[m->n_nodes++] = node->right;
    return true;
}

/* Trees one after the other, each level by level. */
static bool put_trees(struct making *m)
{
    int64_t at = 0;
    for (int32_t t = 0; t < m->model->n_trees; t++) {
        m->walk->roots[t] = offset_of(m->n_nodes);
        m->source[m->n_nodes++] = m->model->roots[t];
        for (; at < m->n_nodes; at++) {
            if (!(m->source[at] < 0 ? put_leaf(m, at) : put_node(m, at))) return false;
        }
    }
    return true;
}

static bool make(struct making *m, bool *fits)
{
    const qn_tree_model *model = m->model;
    qn_tree_walk *walk = m->walk;
    *fits = model->n_nodes <= NODES_MAX;
    if (!*fits) return true;
    m->n_max = 2 * model->n_nodes + model->n_trees; /* of trees that share nothing */
    if (m->n_max > NODES_MAX) m->n_max = NODES_MAX;
    m->source = qn_alloc_array(m->n_max + 2, sizeof *m->source);
    m->first_column = qn_alloc_array(model->n_features, sizeof *m->first_column);
    if (!m->source || !m->first_column) return false;
    memset(m->first_column, 0xff, (size_t)model->n_features * sizeof *m->first_column);
    *fits = count(m);
    if (!*fits) return true;
    const int64_t n_columns = m->n_reached < COLUMNS_MAX ? m->n_reached + 1 : COLUMNS_MAX;
    walk->n_columns = 1; /* that of leaves */
    walk->n_trees = model->n_trees;
    walk->nodes = qn_alloc_array(m->n_reached, sizeof *walk->nodes);
    walk->roots = qn_alloc_array(model->n_trees, sizeof *walk->roots);
    walk->columns = qn_alloc_array(n_columns, sizeof *walk->columns);
    walk->tables = qn_alloc_array(m->n_categories, QN_TREE_TABLE_BYTES);
    if (!walk->nodes || !walk->roots || !walk->columns || !walk->tables) return false;
    *fits = put_trees(m);
    return true;
}

bool qn_tree_walk_create(const qn_tree_model *model, qn_tree_walk **out)
{
    *out = NULL;
    if (model->n_trees == 0 || model->line_starts || !qn_tree_sets_fit(model)) return true;
    struct making m = {.model = model, .walk = qn_alloc_array(1, sizeof *m.walk)};
    bool fits = false;
    const bool complete = m.walk && make(&m, &fits);
    qn_free(m.source);
    qn_free(m.first_column);
    if (complete && fits) {
        *out = m.walk;
    } else {
        qn_tree_walk_free(m.walk);
    }
    return complete;
}

/* Walking. */

struct walk_scratch {
    double *values; /* prepared, by column */
    uint32_t *at;   /* per tree: its node */
    int32_t *left;  /* trees that are not done */
};

static size_t aligned(size_t bytes)
{
    return (bytes + 63) / 64 * 64;
}

size_t qn_tree_walk_scratch_bytes(const qn_tree_walk *walk)
{
    return aligned((size_t)walk->n_columns * sizeof(double)) +
           2 * aligned((size_t)walk->n_trees * sizeof(int32_t));
}

static double prepare(const struct walk_column *column, double value)
{
    if (column->flags & QN_NODE_CATEGORY) {
        return qn_tree_code_of(value, column->flags & QN_NODE_OTHER_RIGHT);
    }
    const bool missing = isnan(value) ||
                         ((column->flags & QN_NODE_CODE) && value >= QN_CODES_MAX) ||
                         ((column->flags & QN_NODE_ZERO_MISSING) && fabs(value) <= QN_ZERO);
    if (!missing) return value;
    return column->flags & QN_NODE_DEFAULT_LEFT ? -QN_INF : QN_NA;
}

static inline const struct walk_node *node_at(const char *nodes, uint32_t at)
{
    return (const struct walk_node *)(const void *)(nodes + at);
}

static inline uint32_t step(const qn_tree_walk *walk, const char *nodes, const double *values,
                            uint32_t at, bool categories)
{
    const struct walk_node *node = node_at(nodes, at);
    const double value = values[node->column];
    bool right = !(value <= node->threshold);
    if (categories && __builtin_expect(node->category, 0)) {
        const uint8_t *table = walk->tables + (size_t)node->threshold * QN_TREE_TABLE_BYTES;
        const unsigned code = (unsigned)(int)value;
        right = !(table[code / 8] >> (code & 7) & 1);
    }
    return node->child + (-(uint32_t)right & (uint32_t)sizeof *node);
}

/* All trees to their leaves. */
static inline void walk_trees(const qn_tree_walk *walk, const struct walk_scratch *s,
                              bool categories)
{
    const char *nodes = (const char *)walk->nodes;
    const double *values = s->values;
    uint32_t *trees_at = s->at;
    int32_t *left = s->left, n = 0;
    for (int32_t t = 0; t < walk->n_trees; t++) {
        uint32_t at = walk->roots[t];
        for (int i = 0; i < FIRST_STEPS; i++) {
            at = step(walk, nodes, values, at, categories);
        }
        trees_at[t] = at;
        left[n] = t;
        n += node_at(nodes, at)->child != at;
    }
    while (n > 0) {
        int32_t n_left = 0;
        for (int32_t j = 0; j < n; j++) {
            const int32_t t = left[j];
            uint32_t at = trees_at[t];
            for (int i = 0; i < MORE_STEPS; i++) {
                at = step(walk, nodes, values, at, categories);
            }
            trees_at[t] = at;
            left[n_left] = t;
            n_left += node_at(nodes, at)->child != at;
        }
        n = n_left;
    }
}

static void add_leaves(const qn_tree_walk *walk, const qn_tree_model *model, const uint32_t *at,
                       double *out)
{
    const char *nodes = (const char *)walk->nodes;
    const int32_t k = model->head.n_outputs;
    if (!model->vector_leaves) {
        for (int32_t c = 0; c < k; c++) {
            double sum = out[c];
            for (int32_t t = c; t < walk->n_trees; t += k) {
                sum += node_at(nodes, at[t])->threshold;
            }
            out[c] = sum;
        }
        return;
    }
    for (int32_t t = 0; t < walk->n_trees; t++) {
        const double *values = model->values + (int64_t)node_at(nodes, at[t])->threshold * k;
        for (int32_t c = 0; c < k; c++) {
            out[c] += values[c];
        }
    }
}

void qn_tree_walk_add(const qn_tree_walk *walk, const qn_tree_model *model, const double *row,
                      int64_t stride, double *out, void *scratch)
{
    char *memory = scratch;
    const size_t list_bytes = aligned((size_t)walk->n_trees * sizeof(int32_t));
    const size_t values_bytes = aligned((size_t)walk->n_columns * sizeof(double));
    const struct walk_scratch s = {.values = (double *)(void *)memory,
                                   .at = (uint32_t *)(void *)(memory + values_bytes),
                                   .left = (int32_t *)(void *)(memory + values_bytes + list_bytes)};
    s.values[0] = -QN_INF;
    for (int32_t c = 1; c < walk->n_columns; c++) {
        s.values[c] = prepare(&walk->columns[c], row[walk->columns[c].feature * stride]);
    }
    if (walk->n_tables > 0) {
        walk_trees(walk, &s, true);
    } else {
        walk_trees(walk, &s, false);
    }
    add_leaves(walk, model, s.at, out);
}
