/* SPDX-License-Identifier: Apache-2.0 */
/* The forms of a tree model for fast prediction: one for single rows (tree_walk.h), one for blocks
 * of them (tree_codes.h). They are made with the model, but for the second of a large model, which
 * takes longer than all else of opening it: that is made by the thread that first brings a block,
 * while others that come meanwhile walk the trees. The predictions have the same bits either way.
 *
 * Threads: free to share; the late making is the business of atomics. */
#ifndef QN_MODEL_TREE_FORMS_H
#define QN_MODEL_TREE_FORMS_H

#include "model/tree_codes.h"
#include "model/tree_walk.h"

typedef struct qn_tree_forms qn_tree_forms; /* destroy with qn_tree_forms_free() */

/* For a good model. False: out of memory. */
QN_MUST_CHECK
bool qn_tree_forms_create(const qn_tree_model *model, qn_tree_forms **out);
void qn_tree_forms_free(qn_tree_forms *forms); /* accepts NULL */

/* NULL: the model does not fit the form. */
const qn_tree_walk *qn_tree_forms_walk(const qn_tree_model *model);
/* NULL: the model does not fit the form, another thread is making it, or memory for it has not been
 * found. */
const qn_tree_codes *qn_tree_forms_codes(const qn_tree_model *model);
/* Whether the model is known not to fit the form of blocks. Makes nothing. */
bool qn_tree_forms_lack_codes(const qn_tree_model *model);
/* Enough for blocks of up to n_rows rows from now on, whenever the form is made. */
size_t qn_tree_forms_scratch_bytes(const qn_tree_model *model, int64_t n_rows);

#endif
