/* SPDX-License-Identifier: Apache-2.0 */
#include "model/tree_prune.h"

#include "base/alloc.h"

#include <string.h>

/* One node of the tree. */
struct part {
    const qn_tree_node *node;
    int32_t child[2];     /* a part, or ~leaf of the span */
    int32_t parent;       /* a part, or -1 */
    int32_t place;        /* in the builder: a node, or ~leaf when cut */
    double gain;          /* of the splits that are left at and below it */
    int32_t n_splits;     /* how many these are */
    bool is_cut, is_gone; /* a leaf now; below one */
};

struct pruning {
    const qn_tree_span *tree;
    int32_t n, room;
    struct part *parts; /* parents first */
    double weight;      /* of all rows */
};

static qn_status no_memory(qn_error *err)
{
    return qn_fail(err, QN_ERR_NOMEM, "no memory to prune a tree");
}

static bool add_part(struct pruning *p, int32_t node, int32_t parent)
{
    if (p->n == p->room) {
        const int32_t room = p->room ? 2 * p->room : 64;
        struct part *parts = qn_realloc_array(p->parts, room, sizeof *parts);
        if (!parts) return false;
        p->parts = parts;
        p->room = room;
    }
    p->parts[p->n++] = (struct part){.node = &p->tree->nodes[node], .parent = parent};
    return true;
}

/* The tree's nodes, level by level. */
static qn_status gather(const qn_tree_span *tree, struct pruning *p, qn_error *err)
{
    *p = (struct pruning){.tree = tree};
    if (tree->root < 0) return QN_OK;
    if (!add_part(p, tree->root, -1)) return no_memory(err);
    const qn_tree_node *root = &tree->nodes[tree->root];
    p->weight = (double)root->left_cover + (double)root->right_cover;
    bool known = p->weight > 0;
    for (int32_t i = 0; i < p->n; i++) {
        const qn_tree_node *node = p->parts[i].node;
        known &= node->left_cover + node->right_cover > 0;
        for (int side = 0; side < 2; side++) {
            const int32_t child = side ? node->right : node->left;
            p->parts[i].child[side] = child < 0 ? child : p->n;
            if (child < 0) continue;
            if (p->n >= tree->n_nodes) {
                return qn_fail(err, QN_ERR_DATA, "trees that share nodes cannot be pruned");
            }
            if (!add_part(p, child, i)) return no_memory(err);
        }
    }
    return known ? QN_OK
                 : qn_fail(err, QN_ERR_DATA,
                           "the trees do not tell the rows of their nodes, and cannot be pruned");
}

/* The gain per unit of weight that splits at and below a part still bring. */
static void sum_up(struct pruning *p, int32_t i)
{
    struct part *part = &p->parts[i];
    part->gain = part->is_cut ? 0 : (double)part->node->gain / p->weight;
    part->n_splits = !part->is_cut;
    for (int side = 0; side < 2 && !part->is_cut; side++) {
        if (part->child[side] < 0) continue;
        part->gain += p->parts[part->child[side]].gain;
        part->n_splits += p->parts[part->child[side]].n_splits;
    }
}

/* What is below a cut is gone. */
static void mark_gone(struct pruning *p)
{
    for (int32_t i = 1; i < p->n; i++) {
        const struct part *parent = &p->parts[p->parts[i].parent];
        p->parts[i].is_gone = parent->is_cut || parent->is_gone;
    }
}

/* From the leaves up: cuts where the gain is not worth alpha a leaf. A part's gain is then less the
 * price of its leaves. */
static void cut(struct pruning *p, double alpha)
{
    for (int32_t i = p->n - 1; i >= 0; i--) {
        sum_up(p, i);
        p->parts[i].gain -= alpha;
        p->parts[i].is_cut = !(p->parts[i].gain > 0);
        if (p->parts[i].is_cut) p->parts[i].gain = 0;
    }
    mark_gone(p);
}

/* The mean of output c over the leaves below each part; `means` has one for each. */
static void put_means(const struct pruning *p, int32_t c, double *means)
{
    for (int32_t i = p->n - 1; i >= 0; i--) {
        const struct part *part = &p->parts[i];
        const double weights[2] = {(double)part->node->left_cover, (double)part->node->right_cover};
        double sum = 0;
        for (int side = 0; side < 2; side++) {
            const int32_t child = part->child[side];
            sum +=
                weights[side] *
                (child >= 0 ? means[child] : p->tree->values[(int64_t)~child * p->tree->width + c]);
        }
        means[i] = sum / (weights[0] + weights[1]);
    }
}

static bool is_kept(const struct part *part)
{
    return !part->is_gone && !part->is_cut;
}

/* Leaves in place of what was cut. */
static bool add_leaves(struct pruning *p, qn_tree_builder *builder)
{
    const int32_t width = p->tree->width;
    double *means = qn_alloc_array((int64_t)p->n * width, sizeof *means);
    double *leaf = qn_alloc_array(width, sizeof *leaf);
    for (int32_t c = 0; means && c < width; c++) {
        put_means(p, c, means + (int64_t)c * p->n);
    }
    for (int32_t i = 0; means && leaf && i < p->n; i++) {
        struct part *part = &p->parts[i];
        if (!part->is_cut || part->is_gone) continue;
        for (int32_t c = 0; c < width; c++) {
            leaf[c] = means[(int64_t)c * p->n + i];
        }
        part->place = ~(int32_t)qn_tree_builder_add_values(builder, leaf, width);
    }
    const bool complete = means && leaf;
    qn_free(means);
    qn_free(leaf);
    return complete;
}

static int32_t place_of(const struct pruning *p, int32_t child, qn_tree_builder *builder)
{
    if (child >= 0) return p->parts[child].place;
    const int32_t width = p->tree->width;
    return ~(int32_t)qn_tree_builder_add_values(builder, p->tree->values + (int64_t)~child * width,
                                                width);
}

static void add_nodes(struct pruning *p, qn_tree_builder *builder)
{
    int64_t next = builder->n_nodes;
    for (int32_t i = 0; i < p->n; i++) {
        if (is_kept(&p->parts[i])) p->parts[i].place = (int32_t)next++;
    }
    for (int32_t i = 0; i < p->n; i++) {
        if (!is_kept(&p->parts[i])) continue;
        qn_tree_node node = *p->parts[i].node;
        node.left = place_of(p, p->parts[i].child[0], builder);
        node.right = place_of(p, p->parts[i].child[1], builder);
        qn_tree_builder_add_node(builder, &node);
    }
}

qn_status qn_tree_prune_into(const qn_tree_span *tree, double alpha, qn_tree_builder *builder,
                             qn_error *err)
{
    struct pruning p;
    qn_status status = gather(tree, &p, err);
    if (status == QN_OK && p.n == 0) {
        qn_tree_builder_add_tree(builder, place_of(&p, tree->root, builder));
    } else if (status == QN_OK) {
        cut(&p, alpha);
        if (!add_leaves(&p, builder)) builder->failed = true;
        add_nodes(&p, builder);
        qn_tree_builder_add_tree(builder, p.parts[0].place);
    }
    qn_free(p.parts);
    return status == QN_OK && builder->failed ? no_memory(err) : status;
}

/* The part whose splits gain least each, ties to the one nearest to the root; -1 when none is
 * left. Its subtree is the weakest link. */
static int32_t weakest(struct pruning *p, double *gain_each)
{
    int32_t found = -1;
    mark_gone(p);
    for (int32_t i = p->n - 1; i >= 0; i--) {
        sum_up(p, i);
    }
    for (int32_t i = 0; i < p->n; i++) {
        if (!is_kept(&p->parts[i])) continue;
        const double each = p->parts[i].gain / p->parts[i].n_splits;
        if (found >= 0 && each >= *gain_each) continue;
        found = i;
        *gain_each = each;
    }
    return found;
}

qn_status qn_tree_prune_path(const qn_tree_span *tree, double *alphas, int64_t *n_leaves,
                             int64_t *n_steps, qn_error *err)
{
    struct pruning p;
    int64_t n = 0;
    double each = 0, alpha = 0;
    *n_steps = 0;
    const qn_status status = gather(tree, &p, err);
    for (int32_t at; status == QN_OK && (at = weakest(&p, &each)) >= 0;) {
        const int32_t n_left = p.parts[0].n_splits - p.parts[at].n_splits;
        if (each > alpha) alpha = each;
        if (n == 0 || alphas[n - 1] < alpha) n++;
        alphas[n - 1] = alpha;
        n_leaves[n - 1] = (int64_t)n_left + 1;
        p.parts[at].is_cut = true;
    }
    qn_free(p.parts);
    *n_steps = n;
    return status;
}

static void add_sets(const qn_tree_model *model, qn_tree_builder *builder)
{
    for (int64_t i = 0; i < model->n_sets; i++) {
        qn_tree_builder_add_codes(builder, model->words + model->sets[i].first_word,
                                  model->sets[i].n_codes);
    }
}

qn_status qn_tree_model_prune(const qn_tree_model *model, double alpha, qn_estimator **out,
                              qn_error *err)
{
    qn_tree_builder builder = {.scale = model->scale, .averaged = model->averaged};
    qn_status status = QN_OK;
    *out = NULL;
    if (model->line_starts) {
        return qn_fail(err, QN_ERR_UNSUPPORTED, "trees with linear leaves cannot be pruned");
    }
    add_sets(model, &builder);
    for (int32_t t = 0; t < model->n_trees && status == QN_OK; t++) {
        const qn_tree_span tree = {.nodes = model->nodes,
                                   .n_nodes = model->n_nodes,
                                   .values = model->values,
                                   .width = model->vector_leaves ? model->head.n_outputs : 1,
                                   .root = model->roots[t]};
        status = qn_tree_prune_into(&tree, alpha, &builder, err);
    }
    if (status == QN_OK) {
        status = qn_tree_builder_finish(&builder, model->n_trees, model->link, model->vector_leaves,
                                        model->init, model->head.n_outputs, out, err);
    }
    qn_tree_builder_release(&builder);
    return status;
}
