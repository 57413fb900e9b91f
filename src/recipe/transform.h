/* SPDX-License-Identifier: Apache-2.0 */
/* Transform: what is done to one input column, for both views. Each is one const struct in a file
 * of its own, listed in transforms.c; a step is a transform fitted to one column.
 *
 * Threads: a fitted step is immutable. */
#ifndef QN_RECIPE_TRANSFORM_H
#define QN_RECIPE_TRANSFORM_H

#include "base/str.h"
#include "recipe/recipe.h"

typedef struct qn_step qn_step;

/* What a transform is fitted on. */
typedef struct qn_fit_column {
    const qn_recipe_request *request;
    const qn_schema_column *schema_column;
    int32_t input;
    int64_t n_rows;
    const qn_cell *cells;      /* of the training rows */
    const double *target;      /* likewise */
    const int32_t *inner_fold; /* likewise: 0 … QN_INNER_FOLDS-1 */
    double prior_mean;         /* of the target (class 1, or the value) */
} qn_fit_column;

enum { QN_INNER_FOLDS = 5 };

typedef struct qn_transform {
    const char *name; /* stored in bundles: never change it */
    unsigned kinds;   /* bit 1u << qn_kind of columns it is for */
    /* Fills step->state and the counts and features of both views. */
    qn_status (*fit)(const qn_fit_column *column, qn_step *step, qn_error *err);
    /* Writes step->n_dense[view] columns for a block of this column's cells. */
    void (*apply)(const qn_step *step, qn_view view, const qn_cell *cells, int64_t n_rows,
                  double *out, int64_t stride);
    /* Sparse features of one cell, columns increasing: how many. NULL: none. */
    int32_t (*apply_sparse)(const qn_step *step, const qn_cell *cell, int32_t *cols, float *values,
                            void *scratch);
    /* Replaces, for training rows, what the target has leaked into. NULL: nothing. */
    qn_status (*refit_training)(const qn_fit_column *column, const qn_step *step, qn_view view,
                                double *out, int64_t stride, qn_error *err);
    /* Between a category's code in the tree view and its text; NULL: no categories. */
    const char *(*level)(const qn_step *step, int32_t code);
    int32_t (*code)(const qn_step *step, const char *text); /* -1: never seen */
    void (*write)(const qn_step *step, qn_writer *writer);
    qn_status (*read)(qn_reader *reader, qn_step *step, qn_error *err);
    void (*free_state)(void *state);
} qn_transform;

struct qn_step {
    const qn_transform *transform;
    int32_t input;
    int32_t n_dense[QN_N_VIEWS];
    int32_t n_sparse;                 /* of the dense view */
    int32_t sparse_max;               /* of one cell */
    size_t scratch_bytes;             /* for apply_sparse() */
    qn_feature *features[QN_N_VIEWS]; /* n_dense each; names owned */
    void *state;
};

extern const qn_transform *const qn_transforms[]; /* ended by NULL */
extern const qn_transform qn_transform_numeric, qn_transform_categorical, qn_transform_datetime,
    qn_transform_text;

/* Sets a feature of the step. "column" + suffix is its name. */
qn_status qn_step_add_feature(qn_step *step, qn_view view, const char *column, const char *suffix,
                              int32_t n_levels, qn_error *err);

/* Standardisation shared by several transforms: the value on a scale where training has mean 0 and
 * variance 1, by itself or by its place among the training quantiles; missing becomes 0. */
enum { QN_SCALE_KNOTS = 65 };
typedef struct qn_scale {
    double mean, inverse_std, fill;
    int32_t n_knots;              /* 0: linear */
    double knots[QN_SCALE_KNOTS]; /* increasing; knot i stands at the i-th normal score */
    double scores[QN_SCALE_KNOTS];
} qn_scale;
/* `values` may hold QN_NA; they are reordered. */
qn_status qn_scale_fit(double *values, int64_t n, bool may_bend, qn_scale *out, qn_error *err);
double qn_scale_apply(const qn_scale *scale, double value);
void qn_scale_write(const qn_scale *scale, qn_writer *writer);
bool qn_scale_read(qn_reader *reader, qn_scale *scale);

#endif
