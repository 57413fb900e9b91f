/* SPDX-License-Identifier: Apache-2.0 */
/* The command of a trial: {name} in it stands for a parameter's value (empty when inactive),
 * {trial} for the trial's number and {checkpoint} for its folder.
 *
 * Threads: pure functions. */
#ifndef QN_SEARCH_TUNER_TRIAL_COMMAND_H
#define QN_SEARCH_TUNER_TRIAL_COMMAND_H

#include "search/study/history.h"

/* What a program is told of its trial. */
typedef struct qn_trial_command {
    char *const *command; /* ended by NULL */
    const qn_space *space;
    const qn_trial_record *trial;
    const char *checkpoint; /* NULL: none is kept */
    int64_t first_look;     /* the first step at which it may be stopped; 0: each */
} qn_trial_command;

/* Fails with QN_ERR_ARG when a {name} is no parameter, or {checkpoint} is asked for in vain. */
QN_MUST_CHECK
qn_status qn_trial_command_check(char *const *command, const qn_space *space, bool has_checkpoints,
                                 qn_error *err);
/* Ended by NULL, in the arena; NULL when out of memory. */
char **qn_trial_command_arguments(const qn_trial_command *command, qn_arena *arena);
/* QUERN_PARAMS, QUERN_TRIAL, QUERN_CHECKPOINT and QUERN_FIRST_LOOK as "NAME=VALUE"; likewise. */
char **qn_trial_command_environment(const qn_trial_command *command, qn_arena *arena);

#endif
