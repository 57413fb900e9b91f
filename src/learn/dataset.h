/* SPDX-License-Identifier: Apache-2.0 */
/* Dataset: what every learner of a fold is given – both views of the training and the validation
 * rows, targets, weights, and the bins of the tree view. Prepared once per fold, shared read-only
 * by all trials and threads.
 *
 * Threads: immutable once prepared; share freely. */
#ifndef QN_LEARN_DATASET_H
#define QN_LEARN_DATASET_H

#include "frame/schema.h"
#include "recipe/recipe.h"

typedef struct qn_bins qn_bins; /* learn/tree/bins.h */

typedef struct qn_dataset_part {
    int64_t n_rows;
    qn_matrix views[QN_N_VIEWS]; /* the training part's tree view is released once binned */
    double *target;              /* n_rows: class index or value, never missing */
    double *weights;             /* n_rows, mean 1, or NULL when all are equal */
    int32_t *groups;             /* n_rows: number of the row's query, or NULL: ranking */
    const double *init_scores;   /* n_rows × n_outputs: where boosting begins, before the link;
                                    NULL: at a constant. Borrowed, and not part of the model */
} qn_dataset_part;

typedef struct qn_dataset {
    qn_task task;
    int32_t n_classes;
    int32_t n_outputs;              /* as qn_schema_n_outputs() */
    int64_t n_features[QN_N_VIEWS]; /* dense and sparse together */
    int64_t n_dense[QN_N_VIEWS];
    const qn_feature *features[QN_N_VIEWS]; /* borrowed from the recipe */
    qn_dataset_part train;
    qn_dataset_part valid; /* n_rows 0 when every row is for training */
    qn_bins *bins;         /* training rows, then validation rows */
    /* Constraints on the tree view, per feature, borrowed; NULL: none. As in qn_grow_params. */
    const int8_t *monotone;
    const uint64_t *interaction_sets;
    const int32_t *columns;
} qn_dataset;

void qn_dataset_release(qn_dataset *dataset);

#endif
