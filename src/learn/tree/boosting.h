/* SPDX-License-Identifier: Apache-2.0 */
/* The rounds of gradient boosting (Friedman 2001) with Newton leaves: sampling of rows, trees, the
 * drops of DART, and when to stop. */
#ifndef QN_LEARN_TREE_BOOSTING_H
#define QN_LEARN_TREE_BOOSTING_H

#include "learn/learner.h"
#include "learn/tree/gbdt.h"
#include "learn/tree/grow.h"

/* DART (Rashmi & Gilad-Bachrach 2015): the trees so far, those of a round one after the other. */
typedef struct qn_dart {
    qn_bin_tree *trees;
    int64_t n_trees, room;
    int64_t *value_ends; /* per tree: where its values end in the model */
    double *factors;     /* per round: what its trees' values are multiplied with now */
    double *kept;        /* the same when the model was best */
    int64_t *dropped;    /* rounds that are left out of this one */
    int64_t n_dropped;
} qn_dart;

/* Everything one fit works with. */
typedef struct qn_boosting {
    const qn_learn_request *request;
    const qn_dataset *data;
    const qn_gbdt_params *params;
    qn_dataset_part parts[2]; /* training and validation rows, with class weights worked in */
    double *weights[2];       /* those weights, if there are any */
    qn_objective_rows train, valid;
    int32_t k; /* trees a round */
    int64_t n_train, n_valid;
    double *scores, *valid_scores; /* row after row, k each */
    double *valid_predictions;     /* for a metric of predictions */
    qn_derivatives *derivatives;   /* output after output, n_train each */
    int32_t *rows;                 /* sampled ones, increasing */
    uint8_t *sampled;              /* per training row */
    double *magnitudes;            /* goss: per training row, and room to select in */
    int64_t n_sampled;
    int32_t n_growers; /* each grows every n_growers-th output of a round */
    qn_grower **growers;
    qn_tree_builder *builders; /* of this round, one per output */
    double **gains;            /* per output, per feature */
    double *init;
    bool *grown;
    qn_dart dart;
    int64_t round;
    int64_t n_before; /* rounds of the model that is gone on from */
} qn_boosting;

typedef struct qn_boosting_end {
    int64_t n_kept; /* rounds, those gone on from among them */
    bool stopped;
} qn_boosting_end;

/* Fails with QN_ERR_ARG when the objective or the model to go on from does not suit. */
QN_MUST_CHECK
qn_status qn_boosting_create(const qn_learn_request *request, const qn_gbdt_params *params,
                             qn_boosting *out, qn_error *err);
void qn_boosting_release(qn_boosting *b);
/* Whether a model has been boosted with this objective, k trees a round. */
QN_MUST_CHECK
qn_status qn_boosting_check_model(const qn_tree_model *model, const qn_objective *objective,
                                  int32_t k, int64_t n_features, qn_error *err);
/* Adds rounds to `model`, which is empty. Fails with QN_ERR_INTERRUPTED (stopped with no round
 * done), QN_ERR_DATA (a custom objective gave nonsense), QN_ERR_NOMEM. */
QN_MUST_CHECK
qn_status qn_boosting_run(qn_boosting *b, qn_tree_builder *model, qn_boosting_end *end,
                          qn_error *err);

/* What a metric says of the scores of a part's rows (n_rows × n_outputs): less is better, infinity
 * where it is undefined. `predictions` is room for as many numbers. */
double qn_boosting_metric_loss(const qn_dataset *data, const qn_dataset_part *part, qn_link link,
                               const qn_metric *metric, const double *scores, double *predictions);

/* The rows of a round, drawn evenly; before its derivatives are known. */
void qn_boosting_draw_rows(qn_boosting *b, qn_rng *rng);
/* The rows of a round, drawn by their derivatives (goss). */
void qn_boosting_draw_by_gradient(qn_boosting *b, qn_rng *rng);

/* Draws the rounds to drop and takes their trees out of the scores; false when out of memory. */
bool qn_dart_drop(qn_boosting *b, qn_rng *rng);
/* Puts them back, weighed down beside the new trees, which are in the model and in dart.trees. */
void qn_dart_restore(qn_boosting *b, const qn_tree_builder *model);
void qn_dart_keep_best(qn_boosting *b);
/* Multiplies the values of the model with the factors of its trees. */
void qn_dart_finish(const qn_boosting *b, qn_tree_builder *model);
void qn_dart_release(qn_dart *dart);

#endif
