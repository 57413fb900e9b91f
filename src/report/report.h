/* SPDX-License-Identifier: Apache-2.0 */
/* Report: one self-contained HTML file (no script, no outside resource) about a model and, when
 * given, an evaluation on other data.
 *
 * Threads: calls are independent. */
#ifndef QN_REPORT_REPORT_H
#define QN_REPORT_REPORT_H

#include "bundle/bundle.h"

/* How long a stage of the fit took. */
typedef struct qn_stage_time {
    const char *name; /* "reading", "trials" … */
    double seconds;
} qn_stage_time;

typedef struct qn_report_request {
    const qn_schema *schema;
    const qn_predictor *predictor;
    const qn_record *record;
    const char *model_path;
    const qn_evaluation *evaluation; /* of `quern evaluate`; NULL: the record's test part */
    const char *evaluated_table;     /* its URI */
    const qn_stage_time *stages;     /* of the fit just done, in order; NULL: not known */
    int32_t n_stages;
} qn_report_request;

/* Appends the whole document to `out`; out->failed tells of lack of memory. */
void qn_report_write(const qn_report_request *request, qn_str *out);

#endif
