/* SPDX-License-Identifier: Apache-2.0 */
/* Estimator: one fitted model of one family (trees, linear, constant). It maps a view of a recipe
 * to predictions, writes and reads itself, and knows nothing of how it was trained. The families
 * stand in one table in estimators.c; each has its own file.
 *
 * Threads: immutable once built; share freely. */
#ifndef QN_MODEL_ESTIMATOR_H
#define QN_MODEL_ESTIMATOR_H

#include "base/bytes.h"
#include "base/json.h"
#include "recipe/recipe.h"

typedef struct qn_estimator qn_estimator;

typedef struct qn_family {
    const char *name; /* stored in bundles: never change it */
    /* Predicts every row of `features` (the estimator's view) into `out`: n_rows × n_outputs, row
     * after row: p of class 1 (binary), p of each class, or the value. A row's result does not
     * depend on the rows beside it. Allocates nothing beyond `scratch`. */
    void (*predict)(const qn_estimator *estimator, const qn_matrix *features, double *out,
                    void *scratch);
    size_t (*scratch_bytes)(const qn_estimator *estimator, int64_t n_rows); /* NULL: none */
    /* Standard deviations of observations at each row, by the model's own probabilities, in the
     * target's unit: n_rows × n_outputs. False where this estimator was fitted without what that
     * takes; NULL where the family knows of none. */
    bool (*predict_std)(const qn_estimator *estimator, const qn_matrix *features, double *out,
                        void *scratch);
    void (*write)(const qn_estimator *estimator, qn_writer *writer);
    /* Arrays may be borrowed from the reader's memory, which outlives the estimator. Every index
     * is checked here, so that predict() need not. `n_features` is what the view has, dense and
     * sparse; how many are dense is checked by qn_estimator_read(), by the head's n_dense. */
    qn_status (*read)(qn_reader *reader, int64_t n_features, qn_estimator **out, qn_error *err);
    /* For explaining; NULL where predictions are not a link of scores. scores(): n_rows × n_outputs
     * scores, which link() turns into predictions, one row in place. pull_back() turns a gradient
     * by one row's predictions into the gradient by its scores, in place; `predictions` are
     * link() of `scores`. */
    void (*scores)(const qn_estimator *estimator, const qn_matrix *features, double *out,
                   void *scratch);
    void (*link)(const qn_estimator *estimator, double *row);
    void (*pull_back)(const qn_estimator *estimator, const double *scores,
                      const double *predictions, double *gradient);
    void (*describe)(const qn_estimator *estimator,
                     qn_json_writer *json); /* members of an object */
    /* More members that need the names of the view's features; NULL: none. */
    void (*describe_features)(const qn_estimator *estimator, const qn_feature *features,
                              qn_json_writer *json);
    void (*free)(qn_estimator *estimator);
} qn_family;

/* The head of every family's struct. */
struct qn_estimator {
    const qn_family *family;
    qn_view view;
    int32_t n_outputs;
    int64_t n_dense; /* set by read(): dense columns that predict() looks at, which are then held
                        against those of the view; 0: it looks at none or counts itself */
};

extern const qn_family *const qn_families[]; /* ended by NULL */

void qn_estimator_free(qn_estimator *estimator); /* accepts NULL */
size_t qn_estimator_scratch_bytes(const qn_estimator *estimator, int64_t n_rows);
/* Predicts a large matrix by blocks, in parallel. */
QN_MUST_CHECK
qn_status qn_estimator_predict(const qn_estimator *estimator, const qn_matrix *features,
                               qn_pool *pool, double *out, qn_error *err);
/* The same for standard deviations. Fails with QN_ERR_UNSUPPORTED where the estimator has none. */
QN_MUST_CHECK
qn_status qn_estimator_predict_std(const qn_estimator *estimator, const qn_matrix *features,
                                   double *out, qn_error *err);
/* With family name, view and outputs before the family's own part. */
void qn_estimator_write(const qn_estimator *estimator, qn_writer *writer);
QN_MUST_CHECK
qn_status qn_estimator_read(qn_reader *reader, const qn_recipe *recipe, int32_t n_outputs,
                            qn_estimator **out, qn_error *err);

/* The constant model: class frequencies or the mean. */
QN_MUST_CHECK
qn_status qn_constant_create(const double *outputs, int32_t n_outputs, qn_estimator **out,
                             qn_error *err);

#endif
