/* SPDX-License-Identifier: Apache-2.0 */
/* Datasets made by hand, for learners alone: a tree view of plain columns, targets, and what else
 * the test sets. Running out of memory here ends the test. */
#ifndef TESTS_SUPPORT_DATASETS_H
#define TESTS_SUPPORT_DATASETS_H

#include "check.h"

#include "base/rng.h"
#include "learn/dataset.h"
#include "learn/tree/bins.h"

static inline void dataset_part(qn_dataset_part *part, int64_t n_rows, int64_t n_features)
{
    part->n_rows = n_rows;
    CHECK_INT(qn_matrix_init(&part->views[QN_VIEW_TREE], n_rows, n_features, NULL), QN_OK);
    part->target = qn_alloc_array(n_rows, sizeof *part->target);
    CHECK(part->target != NULL);
    if (n_rows * n_features > 0) {
        memset(part->views[QN_VIEW_TREE].dense, 0, (size_t)(n_rows * n_features) * sizeof(double));
    }
}

/* Numbers and targets are 0 until the test sets them. Release with dataset_release(). */
static inline qn_dataset dataset_create(qn_task task, int32_t n_classes, int64_t n_train,
                                        int64_t n_valid, int64_t n_features)
{
    qn_dataset data = {.task = task,
                       .n_classes = n_classes,
                       .n_outputs = task == QN_TASK_MULTICLASS ? n_classes : 1};
    qn_feature *features = qn_alloc_array(n_features, sizeof *features);
    CHECK(features != NULL);
    data.features[QN_VIEW_TREE] = features;
    data.n_features[QN_VIEW_TREE] = data.n_dense[QN_VIEW_TREE] = n_features;
    dataset_part(&data.train, n_train, n_features);
    dataset_part(&data.valid, n_valid, n_features);
    return data;
}

static inline void dataset_release(qn_dataset *data)
{
    qn_free((void *)(uintptr_t)data->features[QN_VIEW_TREE]);
    qn_dataset_release(data);
}

static inline double *dataset_column(qn_dataset_part *part, int64_t f)
{
    return part->views[QN_VIEW_TREE].dense + f * part->views[QN_VIEW_TREE].stride;
}

static inline void dataset_categorical(qn_dataset *data, int64_t f, int32_t n_levels)
{
    qn_feature *feature = (qn_feature *)(uintptr_t)&data->features[QN_VIEW_TREE][f];
    feature->categorical = true;
    feature->n_levels = n_levels;
}

static inline void dataset_bin(qn_dataset *data, int max_bin)
{
    qn_error err = {0};
    qn_bins_free(data->bins);
    CHECK_OK(qn_bins_create(data, max_bin, NULL, &data->bins, &err));
}

#endif
