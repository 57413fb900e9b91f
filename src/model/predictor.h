/* SPDX-License-Identifier: Apache-2.0 */
/* Predictor: cells in, prediction out. The recipes, the weighted estimators that stand on them,
 * the calibration and the decision rule: everything a bundle needs to answer, and the only code
 * path by which any answer is made.
 *
 * Threads: immutable once built; share freely. */
#ifndef QN_MODEL_PREDICTOR_H
#define QN_MODEL_PREDICTOR_H

#include "model/estimator.h"
#include "model/intervals.h"

typedef struct qn_member {
    char *name;     /* of the candidate it came from: "gbdt_1" */
    int32_t fold;   /* which fold trained it; -1: all rows */
    int32_t recipe; /* index into recipes */
    double weight;  /* > 0; all weights sum to 1 */
    qn_estimator *estimator;
} qn_member;

typedef struct qn_predictor {
    const qn_schema *schema; /* borrowed */
    int32_t n_outputs;
    int32_t n_recipes;
    qn_recipe **recipes;
    int32_t n_members;
    qn_member *members;
    double temperature;     /* classification: p becomes softmax(log p / temperature); 1 = as is */
    double threshold;       /* binary: p >= threshold means class 1 */
    double *class_weights;  /* multiclass: decide by argmax of p × these; NULL: plain argmax */
    double low, high;       /* regression: predictions are clipped to this range; QN_NA: not */
    qn_intervals intervals; /* regression; no groups: not known */
} qn_predictor;             /* owns recipes and members; destroy with qn_predictor_free() */

void qn_predictor_free(qn_predictor *predictor); /* accepts NULL */

/* Scratch for blocks of up to n_rows rows. */
size_t qn_predictor_scratch_bytes(const qn_predictor *predictor, int64_t n_rows);
/* Predicts a block of normalised cells; `out` is n_rows × n_outputs. Allocates nothing. */
void qn_predictor_predict(const qn_predictor *predictor, const qn_cell *cells, int64_t n_rows,
                          double *out, void *scratch);
/* Predicts rows of a bound frame by blocks, in parallel. `rows` NULL: the first n_rows. */
QN_MUST_CHECK
qn_status qn_predictor_transform(const qn_predictor *predictor, const qn_binding *binding,
                                 const int32_t *rows, int64_t n_rows, qn_pool *pool, double *out,
                                 qn_error *err);
/* The class that a prediction means, or the nearest cluster. */
int32_t qn_predictor_decide(const qn_predictor *predictor, const double *outputs);

/* The interval of a level (model/intervals.h) around one row's prediction, within the range. There
 * must be groups. */
void qn_predictor_interval(const qn_predictor *predictor, int level, const double *outputs,
                           double *low, double *high);

void qn_predictor_write(const qn_predictor *predictor, qn_writer *writer);
/* `schema` and the reader's memory must outlive the predictor. */
QN_MUST_CHECK
qn_status qn_predictor_read(qn_reader *reader, const qn_schema *schema, qn_predictor **out,
                            qn_error *err);
void qn_predictor_describe(const qn_predictor *predictor, qn_json_writer *json);

/* Temperature scaling of one row of n_outputs probabilities, in place (Guo et al. 2017). */
void qn_temperature_apply(double temperature, double *outputs, int32_t n_outputs);

#endif
