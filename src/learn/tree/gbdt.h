/* SPDX-License-Identifier: Apache-2.0 */
/* What steers gradient boosting: the parameters of the learner's table, and what a program that
 * calls the engine itself may add. */
#ifndef QN_LEARN_TREE_GBDT_H
#define QN_LEARN_TREE_GBDT_H

#include "learn/tree/objective.h"

/* Functions of the caller's. They run on the thread that trains, one at a time. */
typedef struct qn_gbdt_hooks {
    void *context;
    /* After each round: its number from 1, and the validation loss (QN_NA without validation rows).
     * False ends the training with the rounds so far. NULL: none. */
    bool (*after_round)(void *context, int64_t round, double loss);
    /* Loss of the validation rows by their scores (n_rows × n_outputs), less being better. NULL:
     * the objective's own, or the metric of the request. */
    double (*loss)(void *context, int64_t n_rows, int32_t n_outputs, const double *scores);
} qn_gbdt_hooks;

typedef struct qn_gbdt_params {
    qn_grow_params grow;
    qn_objective_params objective;
    int64_t n_estimators, bagging_freq, early_stopping_rounds, max_drop;
    double bagging_fraction, top_rate, other_rate, drop_rate, skip_drop, scale_pos_weight;
    bool goss, dart;
    int32_t class_weight;       /* qn_class_weight */
    const qn_gbdt_hooks *hooks; /* not in the table; NULL: none */
} qn_gbdt_params;

/* The trees of a boosted model with leaf values of new rows: decay × the old + (1 - decay) × what
 * `data`'s training rows, whose tree view is there, give the leaf at params' learning rate; leaves
 * that none reaches stay (LightGBM's refit). Fails with QN_ERR_ARG when objective and model do not
 * go together, QN_ERR_NOMEM. */
QN_MUST_CHECK
qn_status qn_gbdt_refit(const qn_tree_model *model, const qn_dataset *data,
                        const qn_gbdt_params *params, double decay, qn_pool *pool,
                        qn_estimator **out, qn_error *err);

#endif
