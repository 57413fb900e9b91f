/* SPDX-License-Identifier: Apache-2.0 */
/* Cleaning: what is done with outliers among the rows that train (`quern fit --outliers`). Rows are
 * scored by an isolation forest grown on the training rows of the fold alone, without the target;
 * rows that validate or test are never touched, so that scores stay those of the data as it comes.
 *   flag     they are reported, and train as they are
 *   weight   they count less: by (1 - score) / (1 - threshold)
 *   drop     they are left out, but for classes of which nothing would be left
 * Off by default: rows that features set apart are often the very ones that a model is for (frauds,
 * failures), and trees are hardly moved by them; figures stand in bench/recipe/README.md.
 *
 * Threads: pure functions of their arguments. */
#ifndef QN_AUTOML_CLEANING_H
#define QN_AUTOML_CLEANING_H

#include "base/clock.h"
#include "base/pool.h"
#include "validate/understand.h"

typedef enum qn_outlier_treatment {
    QN_OUTLIERS_KEEP,
    QN_OUTLIERS_FLAG,
    QN_OUTLIERS_WEIGHT,
    QN_OUTLIERS_DROP
} qn_outlier_treatment;

typedef struct qn_cleaning {
    qn_outlier_treatment treatment;
    double contamination; /* share of the training rows taken for outliers */
} qn_cleaning;

/* "flag", "weight" or "drop", with "=0.02" for the share of rows, above 0, at most 0.5; default
 * 0.01. NULL keeps all. Fails with QN_ERR_ARG. */
QN_MUST_CHECK
qn_status qn_cleaning_parse(const char *text, qn_cleaning *out, qn_error *err);

typedef struct qn_cleaning_request {
    qn_cleaning cleaning;
    const qn_frame *frame;
    const qn_schema *schema;
    const double *target; /* per frame row */
    uint64_t seed;
    qn_pool *pool;
    const qn_stop *stop;
} qn_cleaning_request;

/* Cleans the training rows of a fold: drops from `rows`, which stay in order, or sets *factors, one
 * per row, which the caller frees and multiplies weights by; NULL: nothing to weigh. Fails with
 * QN_ERR_INTERRUPTED or QN_ERR_NOMEM. */
QN_MUST_CHECK
qn_status qn_cleaning_apply(const qn_cleaning_request *request, int32_t *rows, int64_t *n_rows,
                            double **factors, qn_error *err);

/* Adds to the findings how many training rows are outliers, and the first of them with the columns
 * that isolate each. Fails as qn_cleaning_apply(). */
QN_MUST_CHECK
qn_status qn_cleaning_tell(const qn_cleaning_request *request, const int32_t *rows, int64_t n_rows,
                           qn_findings *findings, qn_error *err);

#endif
