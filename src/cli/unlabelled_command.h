/* SPDX-License-Identifier: Apache-2.0 */
/* What cluster, reduce and outliers have in common: a table without a target becomes a line for
 * each row, and a summary. */
#ifndef QN_CLI_UNLABELLED_COMMAND_H
#define QN_CLI_UNLABELLED_COMMAND_H

#include "base/json.h"
#include "base/str.h"
#include "cli/options.h"

/* Does the command's work; `command` is the line that asked for it, for the model's record, NULL
 * when out of memory. */
typedef qn_status cli_work(void *request, const char *command, bool *interrupted, qn_error *err);

/* Parses the arguments into `request`, does the work and returns the exit code. `kept`: what is
 * left of work that was interrupted. */
int cli_run_unlabelled(const cli_command *command, int argc, char **argv, void *request,
                       cli_work *work, const char *kept);

/* Writes the lines to a file and releases them. */
QN_MUST_CHECK
qn_status cli_write_rows(qn_str *rows, const char *path, qn_error *err);

/* A summary, which is a JSON object, as it is or by `print`, the name of the model at the end. */
QN_MUST_CHECK
qn_status cli_show_summary(const char *text, bool as_json, void (*print)(qn_json_value summary),
                           qn_error *err);

/* A number of a summary; NaN where there is none. */
double cli_number(qn_json_value object, const char *key);

#endif
