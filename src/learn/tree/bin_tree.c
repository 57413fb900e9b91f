/* SPDX-License-Identifier: Apache-2.0 */
#include "learn/tree/bin_tree.h"

#include "base/alloc.h"

#include <string.h>

enum { BLOCK_ROWS = 4096 };

qn_bin_node qn_bin_node_of(const qn_bins *bins, const qn_split *split)
{
    const qn_bin_feature *feature = &bins->features[split->feature];
    qn_bin_node node = {
        .group = feature->group, .bin = split->bin, .missing_left = split->missing_left};
    for (int code = 0; !qn_bins_is_wide(bins, feature->group) && code < QN_GROUP_CODES; code++) {
        const bool left = qn_split_goes_left(split, feature->categorical, feature->decode[code]);
        node.goes_left[code >> 6] |= (uint64_t)left << (code & 63);
    }
    return node;
}

qn_status qn_bin_tree_copy(const qn_bin_tree *tree, qn_bin_tree *out, qn_error *err)
{
    *out = *tree;
    out->nodes = qn_alloc_array(tree->n_nodes, sizeof *out->nodes);
    out->values = qn_alloc_array(tree->n_leaves, sizeof *out->values);
    if (!out->nodes || !out->values) {
        qn_bin_tree_release(out);
        return qn_fail(err, QN_ERR_NOMEM, "no memory to keep a tree");
    }
    memcpy(out->nodes, tree->nodes, (size_t)tree->n_nodes * sizeof *out->nodes);
    memcpy(out->values, tree->values, (size_t)tree->n_leaves * sizeof *out->values);
    return QN_OK;
}

void qn_bin_tree_release(qn_bin_tree *tree)
{
    qn_free(tree->nodes);
    qn_free(tree->values);
    *tree = (qn_bin_tree){0};
}

struct walk {
    const qn_bin_tree *tree;
    const qn_bins *bins;
    int64_t first, n;
    const uint8_t *skip;
    double factor;
    double *scores;
    int64_t stride;
};

static inline bool goes_left(const qn_bins *bins, const qn_bin_node *node, const uint8_t *codes)
{
    if (qn_bins_is_wide(bins, node->group)) {
        const int32_t code = qn_bins_wide_code(bins, codes, node->group);
        return code == 0 ? node->missing_left : code <= node->bin;
    }
    const uint8_t code = codes[node->group];
    return node->goes_left[code >> 6] >> (code & 63) & 1;
}

static void walk_block(void *context, int64_t block)
{
    const struct walk *w = context;
    const int64_t begin = block * BLOCK_ROWS;
    const int64_t end = begin + BLOCK_ROWS < w->n ? begin + BLOCK_ROWS : w->n;
    for (int64_t i = begin; i < end; i++) {
        if (w->skip && w->skip[i]) continue;
        const uint8_t *codes = w->bins->codes + (w->first + i) * w->bins->stride;
        int32_t at = w->tree->n_nodes > 0 ? 0 : ~0;
        while (at >= 0) {
            const qn_bin_node *node = &w->tree->nodes[at];
            at = goes_left(w->bins, node, codes) ? node->left : node->right;
        }
        w->scores[i * w->stride] += w->factor * w->tree->values[~at];
    }
}

void qn_bin_tree_add(const qn_bin_tree *tree, const qn_bins *bins, int64_t first, int64_t n,
                     const uint8_t *skip, double factor, double *scores, int64_t stride,
                     qn_pool *pool)
{
    struct walk walk = {tree, bins, first, n, skip, factor, scores, stride};
    qn_pool_run(pool, (n + BLOCK_ROWS - 1) / BLOCK_ROWS, walk_block, &walk);
}
