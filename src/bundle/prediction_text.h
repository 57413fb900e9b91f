/* SPDX-License-Identifier: Apache-2.0 */
/* Predictions as text, the same wherever they are written: one row of CSV, or the members of one
 * JSON object. Labels and keys are quoted once, so that a row costs little more than its digits.
 *
 * Threads: immutable after create; share freely. */
#ifndef QN_BUNDLE_PREDICTION_TEXT_H
#define QN_BUNDLE_PREDICTION_TEXT_H

#include "base/str.h"
#include "quern/bundle.h"

typedef struct qn_prediction_text qn_prediction_text; /* destroy with qn_prediction_text_free() */

/* `model` must outlive it. Fails with QN_ERR_NOMEM. */
QN_MUST_CHECK
qn_status qn_prediction_text_create(const qn_model *model, qn_prediction_text **out, qn_error *err);
void qn_prediction_text_free(qn_prediction_text *text); /* accepts NULL */

/* `outputs` is one row of qn_model_n_outputs() values. CSV: "prediction,p_<class>…", without a line
 * end. JSON: "prediction":…,"p_<class>":… without braces; a value that is not finite is null. For
 * clusters distance_<cluster> takes the place of p_<class>; a reduction has component_<number>
 * alone, outliers have score. */
void qn_prediction_add_csv_header(const qn_prediction_text *text, qn_str *out);
void qn_prediction_add_csv(const qn_prediction_text *text, const double *outputs, qn_str *out);
void qn_prediction_add_json(const qn_prediction_text *text, const double *outputs, qn_str *out);
/* The value of "prediction" alone: a label in quotes, or a number. */
void qn_prediction_add_json_value(const qn_prediction_text *text, const double *outputs,
                                  qn_str *out);

/* Many rows by column: "prediction":[…],"p_<class>":[…]… without braces; `outputs` is n_rows ×
 * qn_model_n_outputs(). */
void qn_prediction_add_json_columns(const qn_prediction_text *text, const double *outputs,
                                    int64_t n_rows, qn_str *out);

/* The interval of the prediction, of one level (model/intervals.h; the model must have intervals),
 * as two more columns, "lower_bound" and "upper_bound": each call begins with a comma. */
void qn_prediction_add_csv_interval_header(qn_str *out);
void qn_prediction_add_csv_interval(const qn_prediction_text *text, int level,
                                    const double *outputs, qn_str *out);
void qn_prediction_add_json_interval(const qn_prediction_text *text, int level,
                                     const double *outputs, qn_str *out);
void qn_prediction_add_json_interval_columns(const qn_prediction_text *text, int level,
                                             const double *outputs, int64_t n_rows, qn_str *out);

/* Predictions as tensors: the decision (labels, or the number of a regression), then matrices of
 * rows × columns: "probabilities", "distances", "components" or "scores"; and "interval", two
 * columns, for models that have intervals. */
enum { QN_TENSOR_PREDICTION, QN_TENSOR_MATRIX, QN_TENSOR_INTERVAL, QN_TENSOR_OUTPUTS };

/* The name of a tensor; NULL: the model gives none such. */
const char *qn_tensor_output_name(const qn_prediction_text *text, int output);
/* Of a matrix. */
int32_t qn_tensor_n_columns(const qn_prediction_text *text, int output);
/* Writes a row of a matrix; `level` is the interval's. */
void qn_tensor_row(const qn_prediction_text *text, int output, int level, const double *outputs,
                   double *row);
/* The label that is decided for; NULL: the decision is the number outputs[0]. */
const char *qn_tensor_label(const qn_prediction_text *text, const double *outputs);

/* One field of CSV, in quotes where it needs them (RFC 4180). */
void qn_csv_add_field(qn_str *out, const char *text, size_t bytes);

#endif
