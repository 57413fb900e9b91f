/* SPDX-License-Identifier: Apache-2.0 */
/* A model in use: open a .quern bundle, predict. Opening maps the file into memory and verifies
 * its checksums; a damaged or newer file is refused.
 *
 * Threads: an open model is immutable; any number of threads may predict with it at once, each
 * with its own scratch. */
#ifndef QUERN_BUNDLE_H
#define QUERN_BUNDLE_H

#include "quern/error.h"
#include "quern/frame.h"

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct qn_model qn_model; /* destroy with qn_model_close() */

/* One input value: a number, or a text, or missing (`number` NaN and `text` NULL). A text given
 * for a numeric column is parsed; a number given for a categorical column is written as text. */
typedef struct qn_cell {
    double number;
    const char *text; /* UTF-8, not terminated */
    size_t text_bytes;
} qn_cell;

QN_API QN_MUST_CHECK qn_status qn_model_open(const char *path, qn_model **out, qn_error *err);
QN_API void qn_model_close(qn_model *model); /* accepts NULL */

/* The columns a row needs, in order. Borrowed until the model is closed. */
QN_API int64_t qn_model_n_inputs(const qn_model *model);
QN_API const char *qn_model_input_name(const qn_model *model, int64_t input);
/* "binary", "multiclass", "regression" or "ranking". */
QN_API const char *qn_model_task(const qn_model *model);
/* 0 for regression and ranking; the labels are sorted, and a binary model's p is of class 1. */
QN_API int32_t qn_model_n_classes(const qn_model *model);
QN_API const char *qn_model_class(const qn_model *model, int32_t c);
/* How many doubles a prediction has: one per class for multiclass, else one. */
QN_API int32_t qn_model_n_outputs(const qn_model *model);
/* For classification, the class index that a prediction means (thresholds applied). */
QN_API int32_t qn_model_decide(const qn_model *model, const double *outputs);

/* Memory that one call of qn_model_predict_row() works in; allocate once per thread, aligned to
 * 64 bytes. */
QN_API size_t qn_model_scratch_bytes(const qn_model *model);

/* Predicts one row: `cells` has qn_model_n_inputs() values, `outputs` takes
 * qn_model_n_outputs(). Allocates nothing. The result equals, bit for bit, what
 * qn_model_predict() gives for the same row in a table.
 * Fails with QN_ERR_DATA when a text is not the number or date it must be. */
QN_API QN_MUST_CHECK qn_status qn_model_predict_row(const qn_model *model, const qn_cell *cells,
                                                    double *outputs, void *scratch, qn_error *err);

/* The interval around a prediction of a regression that holds the target in a share `level` of the
 * cases (0.5, 0.8, 0.9, 0.95 or 0.99), if new rows come as the training rows came: by how far
 * targets lay from predictions of models that had not seen them, where predictions are alike.
 * `outputs` is what a prediction gave. The interval holds the prediction and stays in the range
 * that predictions are kept in. It is the same for every learner, Gaussian processes included: a
 * bundle blends models of several folds, whose own standard deviations say nothing of the blend.
 * Fails with QN_ERR_ARG (no such level) or QN_ERR_UNSUPPORTED (no
 * regression, an imported model, or fewer than 20 rows were held out). */
QN_API QN_MUST_CHECK qn_status qn_model_interval(const qn_model *model, double level,
                                                 const double *outputs, double *low, double *high,
                                                 qn_error *err);

/* Predicts every row of a table into `outputs`, n_rows × n_outputs, row after row. Columns are
 * found by name; extra columns are ignored. */
QN_API QN_MUST_CHECK qn_status qn_model_predict(const qn_model *model, const qn_frame *frame,
                                                int n_threads, double *outputs, qn_error *err);

/* Everything in the file about the model, as one JSON object: schema, recipe, members, metrics,
 * leaderboard, lineage. The caller frees it with qn_text_free(). */
QN_API QN_MUST_CHECK qn_status qn_model_describe(const qn_model *model, char **json, qn_error *err);
QN_API void qn_text_free(char *text); /* accepts NULL */

/* Makes a bundle of a model that LightGBM (text) or XGBoost (.json, .ubj) has written; it predicts
 * what the original does. Columns are numbers called as its features. Zero means the default. */
typedef struct qn_import_request {
    const char *source; /* the model's file */
    const char *model;  /* the bundle to write */
    const char *labels; /* of the classes, in the model's order, comma-separated; default 0,1,… */
    const char *target; /* what the target column is called; default "target" */
} qn_import_request;

/* Fails with QN_ERR_DATA (the file is damaged, or labels do not fit), QN_ERR_UNSUPPORTED (a kind of
 * model that a bundle cannot hold), QN_ERR_IO, QN_ERR_NOMEM. */
QN_API QN_MUST_CHECK qn_status qn_import(const qn_import_request *request, qn_error *err);

#ifdef __cplusplus
}
#endif

#endif
