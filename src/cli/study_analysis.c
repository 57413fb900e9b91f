/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/study_analysis.h"

#include "base/json.h"
#include "cli/commands.h"

#include <stdio.h>

static void write_json(const qn_parameter_importance *list, int64_t n,
                       const cli_importance_request *request, qn_str *out)
{
    qn_json_writer json = {.out = out, .indent = true};
    qn_json_begin_object(&json);
    qn_json_put_text(&json, "method", request->method ? request->method : "fanova");
    if (request->objective) qn_json_put_text(&json, "objective", request->objective);
    qn_json_key(&json, "importances");
    qn_json_begin_array(&json);
    for (int64_t i = 0; i < n; i++) {
        qn_json_begin_object(&json);
        qn_json_put_text(&json, "parameter", list[i].name);
        qn_json_put_double(&json, "importance", list[i].importance);
        qn_json_end_object(&json);
    }
    qn_json_end_array(&json);
    qn_json_end_object(&json);
    qn_str_add_char(out, '\n');
}

int cli_study_importance(qn_study *study, const cli_importance_request *request)
{
    qn_error err = {0};
    qn_parameter_importance *list;
    int64_t n;
    qn_str text = {0};
    if (qn_study_importances(study, request->method, request->objective, &list, &n, &err) !=
        QN_OK) {
        return cli_fail(&cmd_study, &err);
    }
    if (request->json) {
        write_json(list, n, request, &text);
    } else {
        for (int64_t i = 0; i < n; i++) {
            qn_str_addf(&text, "%8.4f  %s\n", list[i].importance, list[i].name);
        }
    }
    qn_importances_free(list);
    const bool failed = text.failed;
    if (text.text && !failed) fputs(text.text, stdout);
    qn_str_release(&text);
    return failed ? cli_fail(&cmd_study, &(qn_error){QN_ERR_NOMEM, "no memory to print it"})
                  : CLI_OK;
}

int cli_study_report(qn_study *study, const char *name, const char *path)
{
    qn_error err = {0};
    qn_str place = {0};
    qn_str_add(&place, path ? path : name);
    if (!path) qn_str_add(&place, ".html");
    qn_status status = place.failed ? qn_fail(&err, QN_ERR_NOMEM, "no memory for a file name")
                                    : qn_study_report(study, name, place.text, &err);
    if (status == QN_OK) printf("report %s\n", place.text);
    qn_str_release(&place);
    return status == QN_OK ? CLI_OK : cli_fail(&cmd_study, &err);
}
