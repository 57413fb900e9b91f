/* SPDX-License-Identifier: Apache-2.0 */
#include "report/report.h"
void qn_report_write(const qn_report_request *request, qn_str *out)
{
    (void)request;
    qn_str_add(out, "<!doctype html>");
}
