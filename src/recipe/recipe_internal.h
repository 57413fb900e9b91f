/* SPDX-License-Identifier: Apache-2.0 */
/* What fitting, applying and storing a recipe share. */
#ifndef QN_RECIPE_RECIPE_INTERNAL_H
#define QN_RECIPE_RECIPE_INTERNAL_H

#include "recipe/derive.h"
#include "recipe/transform.h"

struct qn_recipe {
    int32_t n_steps;
    qn_step *steps;
    int32_t n_inputs;
    bool skip_dense;
    int64_t n_made[QN_N_VIEWS]; /* dense columns that the steps make */
    int32_t *kept[QN_N_VIEWS];  /* which of them the view has, increasing; NULL: all */
    int64_t n_kept[QN_N_VIEWS];
    int64_t n_base[QN_N_VIEWS]; /* dense columns of single inputs: made, and kept */
    int64_t n_dense[QN_N_VIEWS], n_sparse[QN_N_VIEWS]; /* of the finished view */
    qn_feature *features[QN_N_VIEWS];                  /* of the finished view; names borrowed */
    int64_t n_features[QN_N_VIEWS];
    char *sparse_name;
    int32_t n_derived;
    qn_derived derived[QN_DERIVED_MAX];
};

enum { QN_STEPS_AN_INPUT = 2 };

/* Gathers the features of both views: once steps are complete, and again once it is known which
 * columns are kept and what is derived of them. Fails with QN_ERR_NOMEM. */
QN_MUST_CHECK
qn_status qn_recipe_index(qn_recipe *recipe, qn_error *err);

/* Moves the columns that the view has to the front. */
void qn_recipe_keep_columns(const qn_recipe *recipe, qn_view view, qn_matrix *matrix);

/* Writes the derived features of `rows`, the dense view of single inputs, column after column. */
void qn_recipe_derive(const qn_recipe *recipe, const qn_matrix *rows, double *out, int64_t stride,
                      void *scratch);
size_t qn_recipe_derive_scratch_bytes(const qn_recipe *recipe, int64_t n_rows);

#endif
