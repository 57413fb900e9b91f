/* SPDX-License-Identifier: Apache-2.0 */
/* The commands, for the table in main.c. */
#ifndef QN_CLI_COMMANDS_H
#define QN_CLI_COMMANDS_H

#include "cli/options.h"

extern const cli_command cmd_fit, cmd_cluster, cmd_reduce, cmd_outliers, cmd_predict, cmd_evaluate,
    cmd_explain, cmd_import, cmd_inspect, cmd_keys, cmd_learners, cmd_metrics, cmd_profile,
    cmd_serve, cmd_tune, cmd_ask, cmd_tell, cmd_study, cmd_help;

#endif
