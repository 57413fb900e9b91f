/* SPDX-License-Identifier: Apache-2.0 */
/* The page: its sections, in order. */
#include "report/report.h"

#include "report/page.h"
#include "report/report_sections.h"

void qn_report_write(const qn_report_request *request, qn_str *out)
{
    qn_page_begin(out, request->record->target);
    qn_report_headline(request, out);
    qn_report_findings(request, out);
    qn_report_metrics(request, out);
    qn_report_curves(request, out);
    qn_report_leaderboard(request, out);
    qn_report_importance(request, out);
    qn_report_shapes(request, out);
    qn_report_columns(request, out);
    qn_report_timing(request, out);
    qn_report_lineage(request, out);
    qn_page_end(out);
}
