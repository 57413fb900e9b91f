/* SPDX-License-Identifier: Apache-2.0 */
/* Importance by the splits of trees; see importance.h. */
#include "base/alloc.h"
#include "explain/importance.h"
#include "model/tree_model.h"

static void add_member(const qn_predictor *predictor, const qn_member *member,
                       const double *own_gains, const int64_t *own_splits, double *gains,
                       int64_t *n_splits)
{
    const qn_tree_model *model = qn_tree_model_of(member->estimator);
    int64_t n, n_dense;
    const qn_recipe *recipe = predictor->recipes[member->recipe];
    const qn_feature *features = qn_recipe_features(recipe, QN_VIEW_TREE, &n, &n_dense);
    double sum = 0;
    for (int64_t f = 0; f < model->n_features; f++) {
        sum += own_gains[f];
    }
    for (int64_t f = 0; f < model->n_features; f++) {
        if (features[f].input != QN_INPUT_DERIVED) n_splits[features[f].input] += own_splits[f];
        if (sum > 0) {
            qn_recipe_spread(recipe, QN_VIEW_TREE, f, member->weight * own_gains[f] / sum, gains);
        }
    }
}

qn_status qn_split_importance(const qn_predictor *predictor, double *gains, int64_t *n_splits,
                              qn_error *err)
{
    const int64_t n_inputs = qn_schema_n_features(predictor->schema);
    double sum = 0;
    qn_status status = QN_OK;
    for (int64_t i = 0; i < n_inputs; i++) {
        gains[i] = 0;
        n_splits[i] = 0;
    }
    for (int32_t m = 0; m < predictor->n_members && status == QN_OK; m++) {
        const qn_member *member = &predictor->members[m];
        const qn_tree_model *model = qn_tree_model_of(member->estimator);
        if (!model) continue;
        double *own_gains = qn_alloc_array(model->n_features, sizeof *own_gains);
        int64_t *own_splits = qn_alloc_array(model->n_features, sizeof *own_splits);
        if (own_gains && own_splits) {
            qn_tree_model_importance(model, own_gains, own_splits);
            add_member(predictor, member, own_gains, own_splits, gains, n_splits);
        } else {
            status = qn_fail(err, QN_ERR_NOMEM, "no memory for importances");
        }
        qn_free(own_gains);
        qn_free(own_splits);
    }
    for (int64_t i = 0; i < n_inputs; i++) {
        sum += gains[i];
    }
    for (int64_t i = 0; sum > 0 && i < n_inputs; i++) {
        gains[i] /= sum;
    }
    return status;
}
