/* SPDX-License-Identifier: Apache-2.0 */
#include "learn/tree/boosting.h"

#include "base/alloc.h"

#include <string.h>

/* Room for the trees of one more round. */
static bool reserve(qn_boosting *b)
{
    qn_dart *dart = &b->dart;
    if (dart->n_trees + b->k <= dart->room) return true;
    const int64_t room = 2 * dart->room + 64 * b->k, n_rounds = room / b->k;
    qn_bin_tree *trees = qn_realloc_array(dart->trees, room, sizeof *trees);
    if (trees) dart->trees = trees;
    int64_t *ends = qn_realloc_array(dart->value_ends, room, sizeof *ends);
    if (ends) dart->value_ends = ends;
    double *factors = qn_realloc_array(dart->factors, n_rounds, sizeof *factors);
    if (factors) dart->factors = factors;
    double *kept = qn_realloc_array(dart->kept, n_rounds, sizeof *kept);
    if (kept) dart->kept = kept;
    int64_t *dropped = qn_realloc_array(dart->dropped, n_rounds, sizeof *dropped);
    if (dropped) dart->dropped = dropped;
    if (!trees || !ends || !factors || !kept || !dropped) return false;
    memset(dart->trees + dart->room, 0, (size_t)(room - dart->room) * sizeof *trees);
    dart->room = room;
    return true;
}

/* Adds the trees of a round, times `factor`, to the scores of all rows. */
static void add_round(qn_boosting *b, int64_t round, double factor)
{
    const qn_bins *bins = b->data->bins;
    for (int32_t c = 0; c < b->k; c++) {
        const qn_bin_tree *tree = &b->dart.trees[round * b->k + c];
        qn_bin_tree_add(tree, bins, 0, b->n_train, NULL, factor, b->scores + c, b->k,
                        b->request->pool);
        qn_bin_tree_add(tree, bins, b->n_train, b->n_valid, NULL, factor, b->valid_scores + c, b->k,
                        b->request->pool);
    }
}

bool qn_dart_drop(qn_boosting *b, qn_rng *rng)
{
    qn_dart *dart = &b->dart;
    const qn_gbdt_params *p = b->params;
    const int64_t n_rounds = dart->n_trees / b->k;
    if (!reserve(b)) return false;
    dart->n_dropped = 0;
    if (qn_rng_uniform(rng) < p->skip_drop) return true;
    double rate = p->drop_rate;
    if (p->max_drop > 0 && rate * (double)n_rounds > (double)p->max_drop) {
        rate = (double)p->max_drop / (double)n_rounds;
    }
    for (int64_t round = 0; round < n_rounds; round++) {
        if (qn_rng_uniform(rng) >= rate) continue;
        if (p->max_drop > 0 && dart->n_dropped == p->max_drop) break;
        dart->dropped[dart->n_dropped++] = round;
        add_round(b, round, -dart->factors[round]);
    }
    return true;
}

void qn_dart_restore(qn_boosting *b, const qn_tree_builder *model)
{
    qn_dart *dart = &b->dart;
    const double share = (double)dart->n_dropped / (double)(dart->n_dropped + 1);
    for (int64_t i = 0; i < dart->n_dropped; i++) {
        const int64_t round = dart->dropped[i];
        dart->factors[round] *= share;
        add_round(b, round, dart->factors[round]);
    }
    dart->factors[dart->n_trees / b->k] = 1;
    int64_t end = model->n_values;
    for (int32_t c = b->k - 1; c >= 0; c--) {
        dart->value_ends[dart->n_trees + c] = end;
        end -= b->dart.trees[dart->n_trees + c].n_leaves;
    }
    dart->n_trees += b->k;
}

void qn_dart_keep_best(qn_boosting *b)
{
    for (int64_t round = 0; round < b->dart.n_trees / b->k; round++) {
        b->dart.kept[round] = b->dart.factors[round];
    }
}

void qn_dart_finish(const qn_boosting *b, qn_tree_builder *model)
{
    const qn_dart *dart = &b->dart;
    for (int64_t t = 0; t < dart->n_trees; t++) {
        const int64_t end = dart->value_ends[t];
        for (int64_t i = end - dart->trees[t].n_leaves; i < end; i++) {
            model->values[i] *= dart->kept[t / b->k];
        }
    }
}

void qn_dart_release(qn_dart *dart)
{
    for (int64_t t = 0; t < dart->room; t++) {
        qn_bin_tree_release(&dart->trees[t]);
    }
    qn_free(dart->trees);
    qn_free(dart->value_ends);
    qn_free(dart->factors);
    qn_free(dart->kept);
    qn_free(dart->dropped);
}
