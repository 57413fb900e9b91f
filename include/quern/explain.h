/* SPDX-License-Identifier: Apache-2.0 */
/* Why a model predicts what it does: the part that each column has in a prediction.
 *
 * For classes the log-odds of one class against the rest are divided up, after calibration (of
 * class 1 where there are two, of the predicted one where there are more); for numbers, the
 * prediction itself. expected + the sum of the columns' parts is what is divided up.
 *
 * Threads: an explainer is immutable; any number of threads may use it at once, each with its own
 * scratch. */
#ifndef QUERN_EXPLAIN_H
#define QUERN_EXPLAIN_H

#include "quern/bundle.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct qn_explainer qn_explainer; /* destroy with qn_explainer_free() */

/* What there is to say of n_rows rows; the caller's arrays. */
typedef struct qn_parts {
    double *outputs;  /* n_rows × qn_model_n_outputs(): the predictions */
    int32_t *classes; /* n_rows: whose log-odds are divided up; 0 for numbers */
    double *expected; /* n_rows: what is expected of a row of which nothing is known */
    double *columns;  /* n_rows × qn_model_n_inputs(): the parts */
} qn_parts;

/* `model` is borrowed, and must outlive the explainer. Fails with QN_ERR_NOMEM, or QN_ERR_DATA for
 * models that no trainer makes. */
QN_API QN_MUST_CHECK qn_status qn_explainer_create(const qn_model *model, qn_explainer **out,
                                                   qn_error *err);
QN_API void qn_explainer_free(qn_explainer *explainer); /* accepts NULL */

/* Memory that one call of qn_explainer_row() works in, aligned to 64 bytes. */
QN_API size_t qn_explainer_scratch_bytes(const qn_explainer *explainer);
/* One row, as for qn_model_predict_row(); allocates nothing. */
QN_API QN_MUST_CHECK qn_status qn_explainer_row(const qn_explainer *explainer, const qn_cell *cells,
                                                const qn_parts *out, void *scratch, qn_error *err);
/* Rows first … first + n_rows - 1 of a table. A row has the same parts as by itself. */
QN_API QN_MUST_CHECK qn_status qn_explainer_rows(const qn_explainer *explainer,
                                                 const qn_frame *frame, int64_t first,
                                                 int64_t n_rows, int n_threads, const qn_parts *out,
                                                 qn_error *err);

#ifdef __cplusplus
}
#endif

#endif
