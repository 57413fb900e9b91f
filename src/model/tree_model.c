/* SPDX-License-Identifier: Apache-2.0 */
#include "model/tree_model.h"

#include "base/alloc.h"

#include <math.h>
#include <string.h>

static const char *const link_names[] = {"identity", "logistic", "softmax", "mean"};

/* Building. */

static bool grow(void **items, int64_t *room, int64_t n, int64_t more, size_t item_bytes)
{
    if (n + more <= *room) return true;
    int64_t wanted = *room ? *room * 2 : 256;
    while (wanted < n + more) {
        wanted *= 2;
    }
    void *grown = qn_realloc_array(*items, wanted, item_bytes);
    if (!grown) return false;
    *items = grown;
    *room = wanted;
    return true;
}

int64_t qn_tree_builder_add_node(qn_tree_builder *builder, const qn_tree_node *node)
{
    void *items = builder->nodes;
    builder->failed |= builder->failed || !grow(&items, &builder->nodes_room, builder->n_nodes, 1,
                                                sizeof *builder->nodes);
    builder->nodes = items;
    if (builder->failed) return 0;
    builder->nodes[builder->n_nodes] = *node;
    return builder->n_nodes++;
}

int64_t qn_tree_builder_add_values(qn_tree_builder *builder, const double *values, int32_t n)
{
    void *items = builder->values;
    builder->failed |= builder->failed || !grow(&items, &builder->values_room, builder->n_values, n,
                                                sizeof *builder->values);
    builder->values = items;
    if (builder->failed) return 0;
    memcpy(builder->values + builder->n_values, values, (size_t)n * sizeof *values);
    builder->n_values += n;
    return (builder->n_values - n) / n;
}

int64_t qn_tree_builder_add_set(qn_tree_builder *builder, const uint64_t *set)
{
    void *items = builder->sets;
    builder->failed |= builder->failed || !grow(&items, &builder->sets_room, builder->n_sets, 1,
                                                QN_SET_WORDS * sizeof *builder->sets);
    builder->sets = items;
    if (builder->failed) return 0;
    memcpy(builder->sets + builder->n_sets * QN_SET_WORDS, set, QN_SET_WORDS * sizeof *set);
    return builder->n_sets++;
}

void qn_tree_builder_add_tree(qn_tree_builder *builder, int32_t root)
{
    int64_t room = builder->trees_room;
    void *items = builder->roots;
    builder->failed |=
        builder->failed || !grow(&items, &room, builder->n_trees, 1, sizeof *builder->roots);
    builder->roots = items;
    builder->trees_room = (int32_t)room;
    if (!builder->failed) builder->roots[builder->n_trees++] = root;
}

void qn_tree_builder_release(qn_tree_builder *builder)
{
    qn_free(builder->roots);
    qn_free(builder->nodes);
    qn_free(builder->values);
    qn_free(builder->sets);
    *builder = (qn_tree_builder){0};
}

qn_status qn_tree_builder_finish(qn_tree_builder *builder, int32_t n_trees, qn_link link,
                                 bool vector_leaves, const double *init, int32_t n_outputs,
                                 qn_estimator **out, qn_error *err)
{
    *out = NULL;
    qn_tree_model *model = builder->failed ? NULL : qn_alloc_array(1, sizeof *model);
    if (!model) {
        qn_tree_builder_release(builder);
        return qn_fail(err, QN_ERR_NOMEM, "no memory for the trees");
    }
    *model = (qn_tree_model){
        .head = {.family = &qn_family_trees, .view = QN_VIEW_TREE, .n_outputs = n_outputs},
        .link = link,
        .vector_leaves = vector_leaves,
        .n_trees = n_trees,
        .n_nodes = builder->n_nodes,
        .n_values = builder->n_values,
        .n_sets = builder->n_sets,
        .roots = builder->roots,
        .nodes = builder->nodes,
        .values = builder->values,
        .sets = builder->sets};
    memcpy(model->init, init, (size_t)n_outputs * sizeof *init);
    *builder = (qn_tree_builder){0};
    *out = &model->head;
    return QN_OK;
}

/* Predicting. */

static inline bool goes_left(const qn_tree_model *model, const qn_tree_node *node, double value)
{
    if (node->flags & QN_NODE_CATEGORY) {
        if (!(value >= 0 && value < QN_CODES_MAX)) return node->flags & QN_NODE_DEFAULT_LEFT;
        const uint64_t *set = model->sets + (int64_t)node->threshold * QN_SET_WORDS;
        const uint32_t code = (uint32_t)value;
        return set[code >> 6] >> (code & 63) & 1;
    }
    if (isnan(value) || ((node->flags & QN_NODE_CODE) && value >= QN_CODES_MAX)) {
        return node->flags & QN_NODE_DEFAULT_LEFT;
    }
    return value <= node->threshold;
}

/* The child that a value goes to. Numbers, the usual case, take no branch that depends on the data:
 * half of such branches would be guessed wrong. */
static inline int32_t step(const qn_tree_model *model, int32_t at, const double *row,
                           int64_t stride)
{
    const qn_tree_node *node = &model->nodes[at];
    const double value = row[node->feature * stride];
    int32_t left = (value <= node->threshold) | (isnan(value) & (node->flags & 1));
    if (__builtin_expect(node->flags & (QN_NODE_CATEGORY | QN_NODE_CODE), 0)) {
        left = goes_left(model, node, value);
    }
    return node->right ^ ((node->left ^ node->right) & -left);
}

enum { LANES = 8 };

/* Leaves of `n` rows at once: their walks are independent, so the processor overlaps them. */
static inline void find_leaves(const qn_tree_model *model, int32_t root, const double *rows,
                               int64_t stride, int n, int32_t *leaves)
{
    bool walking = root >= 0;
    for (int i = 0; i < n; i++) {
        leaves[i] = root;
    }
    while (walking) {
        walking = false;
        for (int i = 0; i < n; i++) {
            if (leaves[i] < 0) continue;
            leaves[i] = step(model, leaves[i], rows + i, stride);
            walking |= leaves[i] >= 0;
        }
    }
}

/* Adds one tree's leaves to the sums of up to LANES rows. */
static inline void add_tree(const qn_tree_model *model, int32_t tree, const double *rows,
                            int64_t stride, int n, double *out)
{
    const int32_t k = model->head.n_outputs;
    int32_t leaves[LANES];
    find_leaves(model, model->roots[tree], rows, stride, n, leaves);
    for (int i = 0; i < n; i++) {
        const int64_t leaf = ~leaves[i];
        if (!model->vector_leaves) {
            out[i * k + tree % k] += model->values[leaf];
            continue;
        }
        for (int32_t c = 0; c < k; c++) {
            out[i * k + c] += model->values[leaf * k + c];
        }
    }
}

static void link_row(const qn_tree_model *model, double *out)
{
    const int32_t k = model->head.n_outputs;
    switch (model->link) {
    case QN_LINK_IDENTITY:
        break;
    case QN_LINK_LOGISTIC:
        out[0] = 1 / (1 + exp(-out[0]));
        break;
    case QN_LINK_MEAN:
        for (int32_t c = 0; c < k; c++) {
            out[c] /= model->n_trees > 0 ? model->n_trees : 1;
        }
        break;
    case QN_LINK_SOFTMAX: {
        double most = out[0], sum = 0;
        for (int32_t c = 1; c < k; c++) {
            most = fmax(most, out[c]);
        }
        for (int32_t c = 0; c < k; c++) {
            sum += out[c] = exp(out[c] - most);
        }
        for (int32_t c = 0; c < k; c++) {
            out[c] /= sum;
        }
        break;
    }
    }
}

/* Tree by tree over the block: a tree's nodes stay in cache while the rows pass. Each row's sums
 * are made in the order of trees, whatever the block. */
static void predict(const qn_estimator *estimator, const qn_matrix *features, double *out,
                    void *scratch)
{
    (void)scratch;
    const qn_tree_model *model = (const qn_tree_model *)estimator;
    const int32_t k = estimator->n_outputs;
    for (int64_t row = 0; row < features->n_rows; row++) {
        memcpy(out + row * k, model->init, (size_t)k * sizeof *out);
    }
    for (int32_t t = 0; t < model->n_trees; t++) {
        int64_t row = 0;
        for (; row + LANES <= features->n_rows; row += LANES) {
            add_tree(model, t, features->dense + row, features->stride, LANES, out + row * k);
        }
        if (row < features->n_rows) {
            add_tree(model, t, features->dense + row, features->stride,
                     (int)(features->n_rows - row), out + row * k);
        }
    }
    for (int64_t row = 0; row < features->n_rows; row++) {
        link_row(model, out + row * k);
    }
}

/* Bundle. */

static void write_model(const qn_estimator *estimator, qn_writer *writer)
{
    const qn_tree_model *model = (const qn_tree_model *)estimator;
    qn_write_i32(writer, (int32_t)model->link);
    qn_write_u8(writer, model->vector_leaves);
    qn_write_array(writer, model->init, estimator->n_outputs, sizeof *model->init);
    qn_write_array(writer, model->roots, model->n_trees, sizeof *model->roots);
    qn_write_array(writer, model->nodes, model->n_nodes, sizeof *model->nodes);
    qn_write_array(writer, model->values, model->n_values, sizeof *model->values);
    qn_write_array(writer, model->sets, model->n_sets * QN_SET_WORDS, sizeof *model->sets);
}

/* A child comes after its parent: no walk can go round in a circle, or out of the arrays. */
static bool good_child(const qn_tree_model *model, int64_t n_leaves, int64_t parent, int32_t child)
{
    return child >= 0 ? child > parent && child < model->n_nodes : ~child < n_leaves;
}

static bool is_good(const qn_tree_model *model, int64_t n_features)
{
    const int64_t width = model->vector_leaves ? model->head.n_outputs : 1;
    const int64_t n_leaves = model->n_values / width;
    if (model->n_nodes > INT32_MAX || n_leaves > INT32_MAX) return false;
    for (int32_t t = 0; t < model->n_trees; t++) {
        if (!good_child(model, n_leaves, -1, model->roots[t])) return false;
    }
    for (int64_t i = 0; i < model->n_nodes; i++) {
        const qn_tree_node *node = &model->nodes[i];
        if (node->feature < 0 || node->feature >= n_features || node->flags < 0 ||
            node->flags > 7 || !good_child(model, n_leaves, i, node->left) ||
            !good_child(model, n_leaves, i, node->right)) {
            return false;
        }
        if ((node->flags & QN_NODE_CATEGORY) &&
            !(node->threshold >= 0 && node->threshold < (double)model->n_sets)) {
            return false;
        }
    }
    return true;
}

static qn_status read_model(qn_reader *reader, int64_t n_features, qn_estimator **out,
                            qn_error *err)
{
    qn_tree_model *model = qn_alloc_array(1, sizeof *model);
    *out = (qn_estimator *)model;
    if (!model) return qn_fail(err, QN_ERR_NOMEM, "no memory for the trees");
    int64_t n_init, n_trees, n_words;
    const int32_t link = qn_read_i32(reader);
    const uint8_t vector_leaves = qn_read_u8(reader);
    const double *init = qn_read_array(reader, sizeof *init, &n_init);
    model->borrowed = true;
    model->roots = qn_read_array(reader, sizeof *model->roots, &n_trees);
    model->nodes = qn_read_array(reader, sizeof *model->nodes, &model->n_nodes);
    model->values = qn_read_array(reader, sizeof *model->values, &model->n_values);
    model->sets = qn_read_array(reader, sizeof *model->sets, &n_words);
    model->head.n_outputs = (int32_t)(n_init < QN_CLASSES_MAX ? n_init : QN_CLASSES_MAX);
    bool good = !reader->failed && n_init >= 1 && n_init <= QN_CLASSES_MAX && link >= 0 &&
                link <= QN_LINK_MEAN && vector_leaves <= 1 && n_trees <= INT32_MAX;
    if (good) {
        model->link = (qn_link)link;
        model->vector_leaves = vector_leaves;
        model->n_trees = (int32_t)n_trees;
        model->n_sets = n_words / QN_SET_WORDS;
        memcpy(model->init, init, (size_t)n_init * sizeof *init);
        good = is_good(model, n_features);
    }
    if (good) return QN_OK;
    qn_free(model);
    *out = NULL;
    return qn_fail(err, QN_ERR_DATA, "model: its trees are damaged");
}

static void describe(const qn_estimator *estimator, qn_json_writer *json)
{
    const qn_tree_model *model = (const qn_tree_model *)estimator;
    qn_json_put_int(json, "trees", model->n_trees);
    qn_json_put_int(json, "nodes", model->n_nodes);
    qn_json_put_text(json, "link", link_names[model->link]);
}

static void free_model(qn_estimator *estimator)
{
    qn_tree_model *model = (qn_tree_model *)estimator;
    if (!model->borrowed) {
        qn_free((void *)(uintptr_t)model->roots);
        qn_free((void *)(uintptr_t)model->nodes);
        qn_free((void *)(uintptr_t)model->values);
        qn_free((void *)(uintptr_t)model->sets);
    }
    qn_free(model);
}

const qn_family qn_family_trees = {.name = "trees",
                                   .predict = predict,
                                   .write = write_model,
                                   .read = read_model,
                                   .describe = describe,
                                   .free = free_model};
