/* SPDX-License-Identifier: Apache-2.0 */
/* What `quern study` prints and writes about what a study has found. */
#ifndef QN_CLI_STUDY_ANALYSIS_H
#define QN_CLI_STUDY_ANALYSIS_H

#include "cli/options.h"
#include "quern/tune.h"

typedef struct cli_importance_request {
    const char *method, *objective; /* NULL: the defaults */
    bool json;
} cli_importance_request;

/* A line for each parameter, or one JSON object; the exit code. */
int cli_study_importance(qn_study *study, const cli_importance_request *request);
/* Writes the HTML report to `path`, or to the study's name with .html; says where. */
int cli_study_report(qn_study *study, const char *name, const char *path);

#endif
