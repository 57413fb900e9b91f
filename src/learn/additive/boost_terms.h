/* SPDX-License-Identifier: Apache-2.0 */
/* Boosting the terms of one bag: in every round each term in turn gets one small step on what the
 * steps before it have left, so that correlated features share what they say. Some training rows
 * are left out of the bag. After a stage – the features, or the pairs – the tables are those of the
 * round in which the held-out rows were predicted best: the validation rows, else those left out.
 *
 * Threads: one at a time per bag; bags are independent. */
#ifndef QN_LEARN_ADDITIVE_BOOST_TERMS_H
#define QN_LEARN_ADDITIVE_BOOST_TERMS_H

#include "learn/additive/shape_step.h"
#include "learn/learner.h"
#include "learn/tree/objective.h"

typedef struct qn_bag_params {
    qn_shape_params shape;
    double validation_size; /* share of the training rows that a bag leaves out, [0, 1) */
    int64_t max_rounds, early_stopping_rounds;
} qn_bag_params;

typedef struct qn_bag {
    const qn_learn_request *request;
    const qn_terms *terms;
    const qn_bag_params *params;
    const qn_objective *objective;
    int32_t k;                     /* scores of a row */
    double *weights;               /* training rows of the bag: 0 for those left out */
    double *left_out;              /* the other way round */
    qn_dataset_part held_out;      /* what stops a stage: a shallow copy of a part */
    bool given;                    /* that is the validation part */
    qn_objective_rows train, stop; /* the bag's rows; the held-out ones */
    double *scores, *valid_scores; /* n × k, of training and validation rows */
    double *predictions;           /* room for a metric */
    qn_derivatives *derivatives;
    double *tables, *best; /* k per cell of all terms: now, and in the best round */
    int32_t *counts;       /* per cell: rows of the bag */
    qn_shape_sums *sums;   /* of one term and output after the other */
    double *step;
    qn_shape_workspace *workspace;
    double *init;     /* k */
    int64_t n_rounds; /* kept, of all stages */
    bool stopped;
} qn_bag;

/* Bag number `index` of the fit; has room for the pairs that terms will get (cells_max in all, the
 * largest term's being term_max). Fails with QN_ERR_NOMEM. */
QN_MUST_CHECK
qn_status qn_bag_create(const qn_learn_request *request, const qn_terms *terms,
                        const qn_bag_params *params, int64_t index, int64_t cells_max,
                        int32_t term_max, qn_bag *out, qn_error *err);
void qn_bag_release(qn_bag *bag);
/* Boosts terms first … first + n - 1. Told to stop, keeps the best so far. Allocates nothing but
 * what a metric may. */
void qn_bag_boost(qn_bag *bag, int64_t first, int64_t n);

#endif
