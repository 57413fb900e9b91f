/* SPDX-License-Identifier: Apache-2.0 */
/* Shapes: the terms of a predictor's additive models (explainable boosting), as they act together.
 * A candidate has a model for each fold, with bins and levels of its own; a shape stands on the
 * bins of the first model that has the term, and holds the mean of all models' scores there, and
 * how far they differ. Terms are ordered by importance.
 *
 * Threads: immutable once made. */
#ifndef QN_EXPLAIN_SHAPES_H
#define QN_EXPLAIN_SHAPES_H

#include "model/predictor.h"

/* Cells along one feature. Cell 0 is of values missing or never seen. */
typedef struct qn_shape_axis {
    char *name; /* of the feature */
    bool categorical;
    int32_t n_cells;
    double *edges; /* numbers: n_cells - 2 increasing ones, cell 1 + i ending with edges[i] */
    char **levels; /* categories: n_cells; [0] is NULL; of a coarse cell "a, b, c" */
} qn_shape_axis;

typedef struct qn_shape {
    int32_t n_axes; /* 1 or 2 */
    qn_shape_axis axes[2];
    int64_t n_cells;   /* those of the first axis × those of the second */
    double *scores;    /* n_cells × n_outputs: log-odds, or units of the target */
    double *errors;    /* likewise: standard deviation over the models; QN_NA of one */
    double *shares;    /* n_cells: of the training rows of the first model; QN_NA: not known */
    double importance; /* mean size of the scores over these rows and the outputs; where shares are
                          not known, over cells */
} qn_shape;

typedef struct qn_shapes {
    const char *candidate; /* borrowed; NULL: no member is additive */
    double weight;         /* of the candidate in the ensemble */
    int32_t n_models, n_outputs;
    double intercepts[QN_CLASSES_MAX]; /* n_outputs: means over the models */
    int64_t n;
    qn_shape *items;
} qn_shapes; /* release with qn_shapes_release() */

/* Of the additive candidate with the greatest weight, the first of equal ones; n is 0 where there
 * is none. Fails with QN_ERR_NOMEM. */
QN_MUST_CHECK
qn_status qn_shapes_create(const qn_predictor *predictor, qn_shapes *out, qn_error *err);
void qn_shapes_release(qn_shapes *shapes);

/* "age", or "age × income"; appended. */
void qn_shape_title(const qn_shape *shape, qn_str *out);

#endif
