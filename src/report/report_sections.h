/* SPDX-License-Identifier: Apache-2.0 */
/* The sections of the report, in the order of the page. */
#ifndef QN_REPORT_REPORT_SECTIONS_H
#define QN_REPORT_REPORT_SECTIONS_H

#include "report/report.h"

void qn_report_headline(const qn_report_request *request, qn_str *out);
void qn_report_findings(const qn_report_request *request, qn_str *out);
void qn_report_metrics(const qn_report_request *request, qn_str *out);
void qn_report_curves(const qn_report_request *request, qn_str *out);
void qn_report_leaderboard(const qn_report_request *request, qn_str *out);
void qn_report_importance(const qn_report_request *request, qn_str *out);
void qn_report_shapes(const qn_report_request *request, qn_str *out);
void qn_report_timing(const qn_report_request *request, qn_str *out);
void qn_report_columns(const qn_report_request *request, qn_str *out);
void qn_report_lineage(const qn_report_request *request, qn_str *out);

/* What the figures are of: the evaluation given, else the test part, else cross-validation. */
const qn_evaluation *qn_report_evaluation(const qn_report_request *request, const char **what);

#endif
