/* SPDX-License-Identifier: Apache-2.0 */
/* quern ask --pipe: requests on standard input, answers on standard output, as search/tuner/pipe.h
 * has them. */
#ifndef QN_CLI_ASK_PIPE_H
#define QN_CLI_ASK_PIPE_H

#include "cli/options.h"
#include "search/study/study.h"

/* Until the end of the input. Returns an exit code; failures are printed as the command's. */
int cli_ask_pipe(const cli_command *command, qn_study *study);

#endif
