/* SPDX-License-Identifier: Apache-2.0 */
/* Making the coded form. Rows are turned into codes in tree_coding.c, trees evaluated in
 * tree_kernels.c.
 *
 * Numbers: with the sorted thresholds t of all nodes that test a feature, x <= t[j] is the same as
 * rank(x) <= j, where rank(x) counts the t below x. A column of bytes holds rank - 255 chunk, cut
 * to 0 … 255, for one chunk of 255 thresholds; a missing value is 0 in the column of nodes that
 * send it left and 255, above every threshold, in that of the others. Bytes are stored with the top
 * bit turned, since the processor compares them as signed.
 *
 * Categories: three columns hold what looks a code up in a table of 256 bits; 254 stands for every
 * code beyond, 255 for missing, so a node's table says all there is to say.
 *
 * Trees are evaluated from the leaves up: a node picks, row by row, between the leaf numbers its
 * two sides have found. That takes as many steps as the tree has nodes, whatever the rows, but a
 * step costs a fraction of a cycle per row and no branch is ever guessed. */
#include "model/tree_codes_internal.h"

#include "base/alloc.h"

#include <stdlib.h>
#include <string.h>

enum { TESTS_FIRST = 1024 };
static const uint32_t NO_TEST = UINT32_MAX; /* of a tree of one leaf */
/* The flags that tell columns of one feature apart. */
enum { NUMBER_FLAGS = QN_NODE_DEFAULT_LEFT | QN_NODE_CODE | QN_NODE_ZERO_MISSING };

/* A tree as it is put in order: nodes and leaves numbered as they are met from the root. */
struct emission {
    int32_t n_nodes, n_leaves;
    int32_t node[QN_TREE_LEAVES_MAX], leaf[QN_TREE_LEAVES_MAX]; /* of the model */
    int32_t child[QN_TREE_LEAVES_MAX][2];                       /* a number, or ~ that of a leaf */
    int32_t order[QN_TREE_LEAVES_MAX];                          /* last evaluated first */
    uint8_t need[QN_TREE_LEAVES_MAX];                           /* temporary results below it */
    uint16_t slot[QN_TREE_LEAVES_MAX];
};

/* What the making of the form needs along the way. */
struct making {
    const qn_tree_model *model;
    qn_tree_codes *codes;
    struct emission tree;
    int64_t n_ops_max, n_tables_max; /* room */
    int64_t n_tables;                /* put so far; beyond the room when trees share nodes */
    struct test { /* distinct (feature, flags, threshold) of nodes; sorted in the end */
        double threshold;
        int32_t feature, flags; /* flags as far as they choose the column */
        uint32_t number;        /* before sorting */
    } * tests;
    uint32_t n_tests;
    uint32_t *slots; /* a hash table of tests' numbers + 1, at least twice as many as tests */
    uint32_t n_slots;
    struct place { /* per test: where its column is, and its threshold there */
        uint32_t column;
        uint8_t threshold;
    } * places;
};

static void release(struct making *m)
{
    qn_free(m->tests);
    qn_free(m->slots);
    qn_free(m->places);
}

void qn_tree_codes_free(qn_tree_codes *codes)
{
    if (!codes) return;
    qn_free(codes->groups);
    qn_free(codes->thresholds);
    qn_free(codes->columns);
    qn_free(codes->ops);
    qn_free(codes->op_starts);
    qn_free(codes->leaf_starts);
    qn_free(codes->leaves);
    qn_free(codes->values);
    qn_free(codes->tables);
    qn_free(codes);
}

/* False when the tree has too many leaves. */
static bool gather(const qn_tree_model *model, int32_t root, struct emission *e)
{
    e->n_nodes = e->n_leaves = 0;
    if (root < 0) {
        e->leaf[e->n_leaves++] = ~root;
        return true;
    }
    e->node[e->n_nodes++] = root;
    for (int32_t at = 0; at < e->n_nodes; at++) {
        const qn_tree_node *node = &model->nodes[e->node[at]];
        const int32_t next[2] = {node->left, node->right};
        for (int side = 0; side < 2; side++) {
            if (next[side] < 0) {
                if (e->n_leaves == QN_TREE_LEAVES_MAX) return false;
                e->leaf[e->n_leaves] = ~next[side];
                e->child[at][side] = ~e->n_leaves++;
            } else {
                if (e->n_nodes == QN_TREE_LEAVES_MAX - 1) return false;
                e->child[at][side] = e->n_nodes;
                e->node[e->n_nodes++] = next[side];
            }
        }
    }
    return true;
}

/* An order in which children come first, and the side that needs more temporary results before the
 * other: a tree of n leaves then never has more than log2(n) of them (Sethi and Ullman 1970). */
static void put_in_order(struct emission *e)
{
    int32_t stack[QN_TREE_LEAVES_MAX], depth = 0, n = 0;
    for (int32_t at = e->n_nodes - 1; at >= 0; at--) {
        const int32_t l = e->child[at][0], r = e->child[at][1];
        const int a = l >= 0 ? e->need[l] : 0, b = r >= 0 ? e->need[r] : 0;
        e->need[at] = (uint8_t)(a == b ? a + 1 : a > b ? a : b);
    }
    if (e->n_nodes > 0) stack[depth++] = 0;
    while (depth > 0) {
        const int32_t at = stack[--depth];
        e->order[n++] = at;
        int32_t first = e->child[at][0], second = e->child[at][1];
        if (first >= 0 && second >= 0 && e->need[first] < e->need[second]) {
            first = second;
            second = e->child[at][0];
        }
        if (first >= 0) stack[depth++] = first;
        if (second >= 0) stack[depth++] = second;
    }
}

/* Distinct tests. Categories: one test per feature and rule. */

static struct test test_of_node(const qn_tree_node *node)
{
    if (node->flags & QN_NODE_CATEGORY) {
        return (struct test){.feature = node->feature,
                             .flags = node->flags & (QN_NODE_CATEGORY | QN_NODE_OTHER_RIGHT)};
    }
    return (struct test){.threshold = node->threshold + 0.0, /* -0 is 0 */
                         .feature = node->feature,
                         .flags = node->flags & NUMBER_FLAGS};
}

static uint64_t hash_of(const struct test *test)
{
    uint64_t bits;
    memcpy(&bits, &test->threshold, sizeof bits);
    bits ^= (uint64_t)(uint32_t)test->feature << 32 | (uint32_t)test->flags;
    bits *= 0x9e3779b97f4a7c15;
    return bits ^ bits >> 29;
}

static bool same_test(const struct test *a, const struct test *b)
{
    return a->threshold == b->threshold && a->feature == b->feature && a->flags == b->flags;
}

/* Where the test is, or the free slot where it belongs. */
static uint32_t *find_slot(const struct making *m, const struct test *test)
{
    uint64_t at = hash_of(test) & (m->n_slots - 1);
    while (m->slots[at] && !same_test(test, &m->tests[m->slots[at] - 1])) {
        at = (at + 1) & (m->n_slots - 1);
    }
    return &m->slots[at];
}

/* The table grows with the tests, which are far fewer than nodes: it stays in the cache. */
static bool grow_tests(struct making *m)
{
    const uint32_t n_slots = m->n_slots > 0 ? 2 * m->n_slots : TESTS_FIRST;
    uint32_t *slots = qn_alloc_array(n_slots, sizeof *slots);
    struct test *tests = qn_realloc_array(m->tests, n_slots / 2, sizeof *tests);
    if (tests) m->tests = tests;
    if (!slots || !tests) {
        qn_free(slots);
        return false;
    }
    qn_free(m->slots);
    m->slots = slots;
    m->n_slots = n_slots;
    for (uint32_t t = 0; t < m->n_tests; t++) {
        *find_slot(m, &m->tests[t]) = t + 1;
    }
    return true;
}

/* The number of the node's test, new or known. */
static bool number_test(struct making *m, const qn_tree_node *node, uint32_t *number)
{
    struct test test = test_of_node(node);
    if (2 * m->n_tests >= m->n_slots && !grow_tests(m)) return false;
    uint32_t *slot = find_slot(m, &test);
    if (!*slot) {
        test.number = m->n_tests;
        m->tests[m->n_tests++] = test;
        *slot = m->n_tests;
    }
    *number = *slot - 1;
    return true;
}

/* Trees as ops. */

void qn_tree_put_table(const qn_tree_model *model, const qn_tree_node *node, uint8_t *table)
{
    const qn_code_set *set = &model->sets[(int64_t)node->threshold];
    const bool by_default = node->flags & QN_NODE_DEFAULT_LEFT;
    const bool beyond = !(node->flags & QN_NODE_OTHER_RIGHT) && by_default;
    for (int64_t w = 0; w < QN_TREE_TABLE_BYTES / 8; w++) {
        const int64_t n = set->n_codes - 64 * w; /* codes of the set from this word on */
        const uint64_t known = n >= 64 ? UINT64_MAX : n > 0 ? (UINT64_C(1) << n) - 1 : 0;
        uint64_t bits = beyond ? ~known : 0;
        if (n > 0) bits |= model->words[set->first_word + w] & known;
        for (int64_t byte = 0; byte < 8; byte++) {
            table[8 * w + byte] = (uint8_t)(bits >> (8 * byte));
        }
    }
    const uint8_t missing = 1 << (QN_TREE_CODE_MISSING & 7);
    table[QN_TREE_CODE_MISSING / 8] &= (uint8_t)~missing;
    if (by_default) table[QN_TREE_CODE_MISSING / 8] |= missing;
}

static uint16_t offset_of(const struct emission *e, int32_t child)
{
    return (uint16_t)((child < 0 ? QN_TREE_LEAVES_AT + ~child : QN_TREES_AT_ONCE + e->slot[child]) *
                      QN_TREE_ROWS);
}

/* What a node asks: for now the number of its test where its column will be, and its table. */
static bool put_test(struct making *m, const qn_tree_node *node, struct qn_tree_op *op)
{
    if (node->flags & QN_NODE_CATEGORY && m->n_tables++ < m->n_tables_max) {
        op->category = 1;
        op->table = (uint32_t)((m->n_tables - 1) * QN_TREE_TABLE_BYTES);
        qn_tree_put_table(m->model, node, m->codes->tables + op->table);
    }
    return number_test(m, node, &op->column);
}

/* Ops of the tree that was gathered. The last writes the tree's row of leaf numbers. */
static bool put_ops(struct making *m, int32_t tree)
{
    qn_tree_codes *codes = m->codes;
    struct emission *e = &m->tree;
    const int32_t result = codes->vector_leaves ? 0 : tree / codes->n_outputs % QN_TREES_AT_ONCE;
    struct qn_tree_op *op = codes->ops + codes->op_starts[tree];
    if (e->n_nodes == 0) {
        const uint16_t only = offset_of(e, ~0);
        *op = (struct qn_tree_op){.column = NO_TEST,
                                  .left = only,
                                  .right = only,
                                  .out = (uint16_t)(result * QN_TREE_ROWS)};
    }
    int32_t depth = 0;
    for (int32_t i = e->n_nodes - 1; i >= 0; i--, op++) {
        const int32_t at = e->order[i];
        depth -= (e->child[at][0] >= 0) + (e->child[at][1] >= 0);
        const int32_t out = i > 0 ? QN_TREES_AT_ONCE + depth : result;
        *op = (struct qn_tree_op){.left = offset_of(e, e->child[at][0]),
                                  .right = offset_of(e, e->child[at][1]),
                                  .out = (uint16_t)(out * QN_TREE_ROWS)};
        e->slot[at] = (uint16_t)depth++;
        if (!put_test(m, &m->model->nodes[e->node[at]], op)) return false;
    }
    return true;
}

static void put_leaves(const struct making *m, int64_t first)
{
    const qn_tree_codes *codes = m->codes;
    for (int32_t i = 0; i < m->tree.n_leaves; i++) {
        if (codes->vector_leaves) {
            codes->leaves[first + i] = m->tree.leaf[i];
        } else {
            codes->values[first + i] = m->model->values[m->tree.leaf[i]];
        }
    }
}

/* False in *fits: too many leaves, or nodes that trees share, which no trainer makes, blow it up.
 */
static bool put_trees(struct making *m, bool *fits)
{
    qn_tree_codes *codes = m->codes;
    *fits = false;
    for (int32_t t = 0; t < codes->n_trees; t++) {
        if (!gather(m->model, m->model->roots[t], &m->tree)) return true;
        const int32_t n_ops = m->tree.n_nodes > 0 ? m->tree.n_nodes : 1;
        codes->op_starts[t + 1] = codes->op_starts[t] + n_ops;
        codes->leaf_starts[t + 1] = codes->leaf_starts[t] + m->tree.n_leaves;
        if (codes->op_starts[t + 1] > m->n_ops_max) return true;
        if (m->tree.n_leaves > codes->n_leaves_max) codes->n_leaves_max = m->tree.n_leaves;
        put_in_order(&m->tree);
        if (!put_ops(m, t)) return false;
        if (m->n_tables > m->n_tables_max) return true;
        put_leaves(m, codes->leaf_starts[t]);
    }
    *fits = true;
    return true;
}

bool qn_tree_codes_may_fit(const qn_tree_model *model)
{
    int32_t before = -1;
    for (int32_t t = 0; t < model->n_trees; t++) {
        const int32_t root = model->roots[t];
        if (root < 0) continue;
        if (before >= 0 && root - before >= QN_TREE_LEAVES_MAX) return false;
        before = root;
    }
    return model->n_trees > 0 && !model->line_starts && qn_tree_sets_fit(model) &&
           (before < 0 || model->n_nodes - before < QN_TREE_LEAVES_MAX);
}

static int64_t count_category_nodes(const qn_tree_model *model)
{
    int64_t n = 0;
    for (int64_t i = 0; model->n_sets > 0 && i < model->n_nodes; i++) {
        n += (model->nodes[i].flags & QN_NODE_CATEGORY) != 0;
    }
    return n;
}

bool qn_tree_sets_fit(const qn_tree_model *model)
{
    for (int64_t i = 0; i < model->n_sets; i++) {
        if (model->sets[i].n_codes > QN_TREE_CODE_BEYOND) return false;
    }
    return true;
}

/* By feature, categories last; then threshold, then flags. */
static int by_feature(const void *left, const void *right)
{
    const struct test *a = left, *b = right;
    const int a_codes = a->flags & QN_NODE_CATEGORY, b_codes = b->flags & QN_NODE_CATEGORY;
    if (a->feature != b->feature) return a->feature < b->feature ? -1 : 1;
    if (a_codes != b_codes) return a_codes < b_codes ? -1 : 1;
    if (a_codes && a->flags != b->flags) return a->flags < b->flags ? -1 : 1;
    if (a->threshold != b->threshold) return a->threshold < b->threshold ? -1 : 1;
    return (a->flags > b->flags) - (a->flags < b->flags);
}

static bool same_group(const struct test *a, const struct test *b)
{
    const bool a_codes = a->flags & QN_NODE_CATEGORY, b_codes = b->flags & QN_NODE_CATEGORY;
    return a->feature == b->feature && a_codes == b_codes && (!a_codes || a->flags == b->flags);
}

/* Columns of a group of numbers: those of (flags, chunk) that some test uses. */
static void place_numbers(struct making *m, struct qn_tree_group *group, int64_t begin, int64_t end)
{
    qn_tree_codes *codes = m->codes;
    int32_t column[NUMBER_FLAGS + 1]; /* of the chunk at hand, by flags */
    int64_t n = 0;
    for (int64_t i = begin; i < end; i++) {
        const struct test *test = &m->tests[i];
        const bool is_new = i == begin || test->threshold != m->tests[i - 1].threshold;
        if (is_new && n % QN_TREE_CHUNK == 0) memset(column, 0xff, sizeof column);
        if (is_new) codes->thresholds[group->first_threshold + n++] = test->threshold;
        const int32_t chunk = (int32_t)((n - 1) / QN_TREE_CHUNK);
        if (column[test->flags] < 0) {
            column[test->flags] = codes->n_columns;
            codes->columns[codes->n_columns++] =
                (struct qn_tree_column){.flags = test->flags, .chunk = chunk};
        }
        m->places[test->number] = (struct place){(uint32_t)column[test->flags],
                                                 (uint8_t)(n - 1 - (int64_t)chunk * QN_TREE_CHUNK)};
    }
    group->n_thresholds = n;
    group->n_columns = codes->n_columns - group->first_column;
}

static bool place_tests(struct making *m)
{
    qn_tree_codes *codes = m->codes;
    if (m->n_tests > 0) qsort(m->tests, m->n_tests, sizeof *m->tests, by_feature);
    codes->groups = qn_alloc_array(m->n_tests, sizeof *codes->groups);
    codes->thresholds = qn_alloc_array(m->n_tests, sizeof *codes->thresholds);
    codes->columns =
        qn_alloc_array(QN_TREE_CATEGORY_COLUMNS * (int64_t)m->n_tests, sizeof *codes->columns);
    m->places = qn_alloc_array(m->n_tests, sizeof *m->places);
    if (!codes->groups || !codes->thresholds || !codes->columns || !m->places) return false;
    int64_t n_thresholds = 0;
    for (int64_t begin = 0, end; begin < m->n_tests; begin = end) {
        const struct test *test = &m->tests[begin];
        for (end = begin + 1; end < m->n_tests && same_group(test, &m->tests[end]); end++) {
        }
        struct qn_tree_group *group = &codes->groups[codes->n_groups++];
        *group = (struct qn_tree_group){.feature = test->feature,
                                        .category = test->flags & QN_NODE_CATEGORY,
                                        .strict = test->flags & QN_NODE_OTHER_RIGHT,
                                        .first_threshold = n_thresholds,
                                        .first_column = codes->n_columns};
        if (group->category) {
            m->places[test->number].column = (uint32_t)codes->n_columns;
            codes->n_columns += QN_TREE_CATEGORY_COLUMNS;
            group->n_columns = QN_TREE_CATEGORY_COLUMNS;
        } else {
            place_numbers(m, group, begin, end);
        }
        n_thresholds += group->n_thresholds;
    }
    return true;
}

/* Columns and thresholds in place of the tests' numbers. */
static void put_places(struct making *m)
{
    qn_tree_codes *codes = m->codes;
    const int64_t n_ops = codes->op_starts[codes->n_trees];
    for (struct qn_tree_op *op = codes->ops; op < codes->ops + n_ops; op++) {
        const struct place place =
            op->column == NO_TEST ? (struct place){0} : m->places[op->column];
        op->column = place.column * QN_TREE_ROWS;
        op->threshold = (int8_t)(place.threshold ^ QN_TREE_TOP_BIT);
    }
}

static bool make(struct making *m, bool *fits)
{
    qn_tree_codes *codes = m->codes;
    const qn_tree_model *model = m->model;
    m->n_ops_max = model->n_nodes + model->n_trees;
    m->n_tables_max = count_category_nodes(model);
    *fits = qn_tree_sets_fit(model) && m->n_tables_max <= UINT32_MAX / QN_TREE_TABLE_BYTES;
    if (!*fits) return true;
    const int64_t n_leaves_max = m->n_ops_max + model->n_trees; /* one more than nodes, each tree */
    const bool vectors = codes->vector_leaves;
    codes->op_starts = qn_alloc_array((int64_t)model->n_trees + 1, sizeof *codes->op_starts);
    codes->leaf_starts = qn_alloc_array((int64_t)model->n_trees + 1, sizeof *codes->leaf_starts);
    codes->ops = qn_alloc_array(m->n_ops_max, sizeof *codes->ops);
    codes->leaves = qn_alloc_array(vectors ? n_leaves_max : 0, sizeof *codes->leaves);
    codes->values = qn_alloc_array(vectors ? 0 : n_leaves_max, sizeof *codes->values);
    codes->tables = qn_alloc_array(m->n_tables_max, QN_TREE_TABLE_BYTES);
    if (!codes->op_starts || !codes->leaf_starts || !codes->ops || !codes->leaves ||
        !codes->values || !codes->tables || !put_trees(m, fits)) {
        return false;
    }
    if (!*fits) return true;
    if (!place_tests(m)) return false;
    put_places(m);
    *fits = (int64_t)codes->n_columns * QN_TREE_ROWS <= INT32_MAX;
    return true;
}

bool qn_tree_codes_create(const qn_tree_model *model, qn_tree_codes **out)
{
    *out = NULL;
    if (model->n_trees == 0 || model->line_starts) return true;
    struct making *m = qn_alloc_array(1, sizeof *m);
    qn_tree_codes *codes = qn_alloc_array(1, sizeof *codes);
    bool fits = false, complete = m && codes;
    if (complete) {
        *codes = (qn_tree_codes){.n_trees = model->n_trees,
                                 .n_outputs = model->head.n_outputs,
                                 .vector_leaves = model->vector_leaves};
        m->model = model;
        m->codes = codes;
        complete = make(m, &fits);
        release(m);
    }
    qn_free(m);
    if (complete && fits) {
        *out = codes;
    } else {
        qn_tree_codes_free(codes);
    }
    return complete;
}
