/* SPDX-License-Identifier: Apache-2.0 */
/* Building tree models, by trainers and importers. */
#include "base/alloc.h"
#include "model/tree_forms.h"

#include <float.h>
#include <string.h>

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

/* Appends n items to an array of the builder; false, for good, when out of memory. */
static bool append(qn_tree_builder *builder, void *array, int64_t *room, int64_t at,
                   const void *items, int64_t n, size_t item_bytes)
{
    void *grown;
    memcpy(&grown, array, sizeof grown);
    builder->failed |= builder->failed || !grow(&grown, room, at, n, item_bytes);
    memcpy(array, &grown, sizeof grown);
    if (builder->failed) return false;
    if (n > 0) memcpy((char *)grown + (size_t)at * item_bytes, items, (size_t)n * item_bytes);
    return true;
}

float qn_tree_gain(double gain)
{
    if (!(gain > 0)) return 0;
    return gain < (double)FLT_MAX ? (float)gain : FLT_MAX;
}

int64_t qn_tree_builder_add_node(qn_tree_builder *builder, const qn_tree_node *node)
{
    if (!append(builder, &builder->nodes, &builder->nodes_room, builder->n_nodes, node, 1,
                sizeof *node)) {
        return 0;
    }
    return builder->n_nodes++;
}

int64_t qn_tree_builder_add_values(qn_tree_builder *builder, const double *values, int32_t n)
{
    if (!append(builder, &builder->values, &builder->values_room, builder->n_values, values, n,
                sizeof *values)) {
        return 0;
    }
    builder->n_values += n;
    return (builder->n_values - n) / n;
}

static int64_t n_words_of(int64_t n_codes)
{
    return n_codes / 64 + (n_codes % 64 > 0);
}

/* Words in use: up to the end of the last set. */
static int64_t n_words(const qn_tree_builder *builder)
{
    if (builder->n_sets == 0) return 0;
    const qn_code_set *last = &builder->set_index[builder->n_sets - 1];
    return last->first_word + n_words_of(last->n_codes);
}

int64_t qn_tree_builder_add_codes(qn_tree_builder *builder, const uint64_t *words, int64_t n_codes)
{
    const qn_code_set set = {.first_word = n_words(builder), .n_codes = n_codes};
    if (!append(builder, &builder->sets, &builder->words_room, set.first_word, words,
                n_words_of(n_codes), sizeof *words) ||
        !append(builder, &builder->set_index, &builder->sets_room, builder->n_sets, &set, 1,
                sizeof set)) {
        return 0;
    }
    return builder->n_sets++;
}

int64_t qn_tree_builder_add_set(qn_tree_builder *builder, const uint64_t *set)
{
    return qn_tree_builder_add_codes(builder, set, QN_CODES_MAX);
}

void qn_tree_builder_add_line(qn_tree_builder *builder, double constant, const int32_t *features,
                              const double *coefficients, int64_t n_terms)
{
    const int64_t end = builder->n_terms + n_terms;
    int64_t terms_room = builder->terms_room, lines_room = builder->lines_room;
    if (append(builder, &builder->term_features, &terms_room, builder->n_terms, features, n_terms,
               sizeof *features) &&
        append(builder, &builder->coefficients, &builder->terms_room, builder->n_terms,
               coefficients, n_terms, sizeof *coefficients) &&
        append(builder, &builder->line_ends, &lines_room, builder->n_lines, &end, 1, sizeof end) &&
        append(builder, &builder->constants, &builder->lines_room, builder->n_lines, &constant, 1,
               sizeof constant)) {
        builder->n_terms = end;
        builder->n_lines++;
    }
}

void qn_tree_builder_add_tree(qn_tree_builder *builder, int32_t root)
{
    int64_t room = builder->trees_room;
    if (append(builder, &builder->roots, &room, builder->n_trees, &root, 1, sizeof root)) {
        builder->n_trees++;
    }
    builder->trees_room = (int32_t)room;
}

static int32_t moved(int32_t child, int64_t first_node, int64_t first_leaf)
{
    return child >= 0 ? (int32_t)first_node + child : ~(int32_t)(first_leaf + ~child);
}

/* Trees that stand elsewhere. */
struct trees {
    int32_t width; /* values of a leaf */
    int64_t n_trees, n_nodes, n_values, n_sets;
    const int32_t *roots;
    const qn_tree_node *nodes;
    const double *values;
    const qn_code_set *sets;
    const uint64_t *words;
};

/* The builder's number of set `number` of the trees, which is added when it is first asked for;
 * numbers[number] is 1 more, 0 before. */
static int64_t number_of_set(qn_tree_builder *builder, const struct trees *from, int64_t number,
                             int32_t *numbers)
{
    const qn_code_set *set = &from->sets[number];
    if (numbers[number] == 0) {
        numbers[number] = 1 + (int32_t)qn_tree_builder_add_codes(
                                  builder, from->words + set->first_word, set->n_codes);
    }
    return numbers[number] - 1;
}

static void add_trees(qn_tree_builder *builder, const struct trees *from)
{
    const int64_t first_node = builder->n_nodes, first_leaf = builder->n_values / from->width;
    int32_t *numbers = qn_alloc_array(from->n_sets, sizeof *numbers);
    builder->failed |= !numbers;
    for (int64_t i = 0; i < from->n_values; i++) {
        qn_tree_builder_add_values(builder, &from->values[i], 1);
    }
    for (int64_t i = 0; i < from->n_nodes && !builder->failed; i++) {
        qn_tree_node node = from->nodes[i];
        if (node.flags & QN_NODE_CATEGORY) {
            node.threshold = (double)number_of_set(builder, from, (int64_t)node.threshold, numbers);
        }
        node.left = moved(node.left, first_node, first_leaf);
        node.right = moved(node.right, first_node, first_leaf);
        qn_tree_builder_add_node(builder, &node);
    }
    for (int64_t i = 0; i < from->n_trees; i++) {
        qn_tree_builder_add_tree(builder, moved(from->roots[i], first_node, first_leaf));
    }
    qn_free(numbers);
}

void qn_tree_builder_take(qn_tree_builder *builder, qn_tree_builder *from)
{
    const struct trees trees = {.width = 1,
                                .n_trees = from->n_trees,
                                .n_nodes = from->n_nodes,
                                .n_values = from->n_values,
                                .n_sets = from->n_sets,
                                .roots = from->roots,
                                .nodes = from->nodes,
                                .values = from->values,
                                .sets = from->set_index,
                                .words = from->sets};
    builder->failed |= from->failed;
    add_trees(builder, &trees);
    from->n_trees = 0;
    from->n_nodes = from->n_values = from->n_sets = 0;
}

void qn_tree_builder_add_model(qn_tree_builder *builder, const qn_tree_model *model)
{
    const struct trees trees = {.width = model->vector_leaves ? model->head.n_outputs : 1,
                                .n_trees = model->n_trees,
                                .n_nodes = model->n_nodes,
                                .n_values = model->n_values,
                                .n_sets = model->n_sets,
                                .roots = model->roots,
                                .nodes = model->nodes,
                                .values = model->values,
                                .sets = model->sets,
                                .words = model->words};
    add_trees(builder, &trees);
}

/* Numbers the nodes from the root down, parents first, and checks on the way that each node is
 * reached once. `order` gets the nodes by new number, `number` the new number of each node. */
static bool number_nodes(const qn_tree_node *nodes, int64_t n_nodes, int64_t n_leaves,
                         int32_t *order, int32_t *number)
{
    int64_t n = 1;
    order[0] = 0;
    number[0] = 1; /* new number + 1; 0: not reached */
    for (int64_t at = 0; at < n; at++) {
        const int32_t children[2] = {nodes[order[at]].left, nodes[order[at]].right};
        for (int i = 0; i < 2; i++) {
            if (children[i] < 0) {
                if (~children[i] >= n_leaves) return false;
                continue;
            }
            if (children[i] >= n_nodes || number[children[i]]) return false;
            order[n++] = children[i];
            number[children[i]] = (int32_t)n;
        }
    }
    return true;
}

bool qn_tree_builder_add_whole(qn_tree_builder *builder, const qn_tree_node *nodes, int64_t n_nodes,
                               int64_t n_leaves)
{
    int32_t *order = qn_alloc_array(n_nodes, sizeof *order);
    int32_t *number = qn_alloc_array(n_nodes, sizeof *number);
    builder->failed |= !order || !number || builder->n_nodes + n_nodes > INT32_MAX;
    const bool good = builder->failed || number_nodes(nodes, n_nodes, n_leaves, order, number);
    const int32_t first = (int32_t)builder->n_nodes;
    for (int64_t i = 0; good && !builder->failed && i < n_nodes; i++) {
        if (i > 0 && order[i] == 0) break; /* nodes that nothing points to are left out */
        qn_tree_node node = nodes[order[i]];
        if (node.left >= 0) node.left = first + number[node.left] - 1;
        if (node.right >= 0) node.right = first + number[node.right] - 1;
        qn_tree_builder_add_node(builder, &node);
    }
    if (good) qn_tree_builder_add_tree(builder, first);
    qn_free(order);
    qn_free(number);
    return good;
}

void qn_tree_builder_release(qn_tree_builder *builder)
{
    qn_free(builder->roots);
    qn_free(builder->nodes);
    qn_free(builder->values);
    qn_free(builder->sets);
    qn_free(builder->set_index);
    qn_free(builder->line_ends);
    qn_free(builder->constants);
    qn_free(builder->coefficients);
    qn_free(builder->term_features);
    *builder = (qn_tree_builder){0};
}

/* Line ends become starts: n_lines + 1 numbers from 0. */
static bool put_starts(qn_tree_builder *builder)
{
    if (builder->n_lines == 0) return true;
    int64_t *starts =
        qn_realloc_array(builder->line_ends, builder->n_lines + 1, sizeof *builder->line_ends);
    if (!starts) return false;
    memmove(starts + 1, starts, (size_t)builder->n_lines * sizeof *starts);
    starts[0] = 0;
    builder->line_ends = starts;
    return true;
}

static int64_t n_features_of(const qn_tree_builder *builder)
{
    int64_t n = 0;
    for (int64_t i = 0; i < builder->n_nodes; i++) {
        if (builder->nodes[i].feature >= n) n = (int64_t)builder->nodes[i].feature + 1;
    }
    for (int64_t i = 0; i < builder->n_terms; i++) {
        if (builder->term_features[i] >= n) n = (int64_t)builder->term_features[i] + 1;
    }
    return n;
}

/* Leaves out the nodes, values and sets of all but the first n_trees, where trees stand one after
 * the other: what early stopping does not keep need not be stored. */
static void drop_trees(qn_tree_builder *builder, int32_t n_trees, int32_t n_outputs)
{
    if (n_trees >= builder->n_trees || builder->n_lines > 0) return;
    for (int32_t t = builder->n_trees - 1; t >= n_trees; t--) { /* roots are their first nodes */
        if (builder->roots[t] >= 0) builder->n_nodes = builder->roots[t];
    }
    int64_t n_leaves = 0, n_sets = 0;
    for (int32_t t = 0; t < n_trees; t++) {
        if (builder->roots[t] < 0 && ~builder->roots[t] >= n_leaves) {
            n_leaves = ~(int64_t)builder->roots[t] + 1;
        }
    }
    for (int64_t i = 0; i < builder->n_nodes; i++) {
        const qn_tree_node *node = &builder->nodes[i];
        const int64_t leaf = ~(int64_t)(node->left < node->right ? node->left : node->right);
        if (leaf >= n_leaves) n_leaves = leaf + 1;
        const bool set = node->flags & QN_NODE_CATEGORY;
        if (set && (int64_t)node->threshold >= n_sets) n_sets = (int64_t)node->threshold + 1;
    }
    builder->n_values = n_leaves * n_outputs;
    builder->n_sets = n_sets;
    builder->n_trees = n_trees;
}

qn_status qn_tree_builder_finish(qn_tree_builder *builder, int32_t n_trees, qn_link link,
                                 bool vector_leaves, const double *init, int32_t n_outputs,
                                 qn_estimator **out, qn_error *err)
{
    *out = NULL;
    if (!builder->failed) drop_trees(builder, n_trees, vector_leaves ? n_outputs : 1);
    qn_tree_model *model =
        builder->failed || !put_starts(builder) ? NULL : qn_alloc_array(1, sizeof *model);
    if (!model) {
        qn_tree_builder_release(builder);
        return qn_fail(err, QN_ERR_NOMEM, "no memory for the trees");
    }
    *model = (qn_tree_model){
        .head = {.family = &qn_family_trees, .view = QN_VIEW_TREE, .n_outputs = n_outputs},
        .link = link == QN_LINK_MEAN ? QN_LINK_IDENTITY : link,
        .vector_leaves = vector_leaves,
        .averaged = builder->averaged || link == QN_LINK_MEAN,
        .scale = builder->scale != 0 ? builder->scale : 1,
        .n_trees = n_trees,
        .n_features = n_features_of(builder),
        .n_nodes = builder->n_nodes,
        .n_values = builder->n_values,
        .n_sets = builder->n_sets,
        .n_words = n_words(builder),
        .n_terms = builder->n_terms,
        .roots = builder->roots,
        .nodes = builder->nodes,
        .values = builder->values,
        .sets = builder->set_index,
        .words = builder->sets,
        .line_starts = builder->line_ends,
        .constants = builder->constants,
        .term_features = builder->term_features,
        .coefficients = builder->coefficients};
    memcpy(model->init, init, (size_t)n_outputs * sizeof *init);
    *builder = (qn_tree_builder){0};
    if (qn_tree_model_is_good(model) && !qn_tree_forms_create(model, &model->forms)) {
        qn_estimator_free(&model->head);
        return qn_fail(err, QN_ERR_NOMEM, "no memory for the trees");
    }
    *out = &model->head;
    return QN_OK;
}
