/* SPDX-License-Identifier: Apache-2.0 */
/* The form of a tree model for one row, made when the model is built or read. What predicting one
 * row costs is waiting: for nodes from the cache, and for branches guessed wrong. So nodes take 16
 * bytes instead of 32; values are prepared once so that one comparison says all there is to say of
 * missing ones; and all trees go down together, a few levels at a time, those that have come to a
 * leaf being left out of the next levels. No branch depends on the row's values, and the steps of
 * different trees do not wait for each other.
 *
 * Threads: immutable once built; share freely. */
#ifndef QN_MODEL_TREE_WALK_H
#define QN_MODEL_TREE_WALK_H

#include "model/tree_model.h"

typedef struct qn_tree_walk qn_tree_walk; /* destroy with qn_tree_walk_free() */

/* *out is NULL when the model does not fit the form: more than 2^20 nodes and leaves, sets of more
 * than 254 codes, linear leaves. False: out of memory. */
QN_MUST_CHECK
bool qn_tree_walk_create(const qn_tree_model *model, qn_tree_walk **out);
void qn_tree_walk_free(qn_tree_walk *walk); /* accepts NULL */

size_t qn_tree_walk_scratch_bytes(const qn_tree_walk *walk);
/* Adds the leaves of all trees of its model, in the order of trees, to the n_outputs sums of one
 * row, whose feature f is at row[f * stride]. The bits are those that walking each tree gives. */
void qn_tree_walk_add(const qn_tree_walk *walk, const qn_tree_model *model, const double *row,
                      int64_t stride, double *out, void *scratch);

#endif
