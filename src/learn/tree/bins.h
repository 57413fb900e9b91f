/* SPDX-License-Identifier: Apache-2.0 */
/* Bins: the tree view as one byte a value, row after row. Bin 0 is "missing"; numbers have up to
 * 254 more, cut where the training rows' order says; the code c of a category has bin 1 + c.
 * Made once per fold and shared by all trials.
 *
 * Threads: immutable once made; share freely. */
#ifndef QN_LEARN_TREE_BINS_H
#define QN_LEARN_TREE_BINS_H

#include "learn/dataset.h"

typedef struct qn_bin_feature {
    bool categorical;
    int32_t n_bins; /* with bin 0 */
    int32_t first;  /* of this feature in a histogram of all features */
    double *edges;  /* numbers: bin b holds values <= edges[b - 1]; n_bins - 2 of them */
} qn_bin_feature;

struct qn_bins {
    int64_t n_rows; /* training rows, then validation rows */
    int64_t n_train;
    int64_t n_features;
    int64_t n_bins; /* of all features together */
    qn_bin_feature *features;
    uint8_t *codes; /* n_rows × n_features */
};

/* max_bin counts bin 0; at most 255. */
QN_MUST_CHECK
qn_status qn_bins_create(const qn_dataset *dataset, int max_bin, qn_pool *pool, qn_bins **out,
                         qn_error *err);
void qn_bins_free(qn_bins *bins); /* accepts NULL */

#endif
