/* SPDX-License-Identifier: Apache-2.0 */
/* The form of a tree model for fast prediction, made when the model is built or read. Each feature
 * of a block of rows is turned once into bytes – its rank among the thresholds the model compares
 * it with – so that a node's test is a comparison of bytes, 32 rows an instruction.
 *
 * Threads: immutable once built; share freely. */
#ifndef QN_MODEL_TREE_CODES_H
#define QN_MODEL_TREE_CODES_H

#include "model/tree_model.h"

typedef struct qn_tree_codes qn_tree_codes; /* destroy with qn_tree_codes_free() */

/* *out is NULL when the model does not fit the form: trees of more than 256 leaves, sets of more
 * than 254 codes, linear leaves. False: out of memory. */
QN_MUST_CHECK
bool qn_tree_codes_create(const qn_tree_model *model, qn_tree_codes **out);
void qn_tree_codes_free(qn_tree_codes *codes); /* accepts NULL */
/* A quick look: false for trees, one after another in the model's nodes, that are too large. */
bool qn_tree_codes_may_fit(const qn_tree_model *model);

enum { QN_TREE_CODES_ROWS_MIN = 8 }; /* from how many rows on it is worth using */
size_t qn_tree_codes_scratch_bytes(const qn_tree_codes *codes);
/* Not less than the above, whatever the form will be. */
size_t qn_tree_codes_scratch_bound(const qn_tree_model *model);
/* Adds the leaves of all trees of its model, in the order of trees, to `out` (n_rows × n_outputs).
 * The bits are those that walking each tree gives. */
void qn_tree_codes_add(const qn_tree_codes *codes, const qn_tree_model *model,
                       const qn_matrix *features, double *out, void *scratch);

#endif
