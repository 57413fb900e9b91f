/* SPDX-License-Identifier: Apache-2.0 */
/* Keeper: the process between a tuner and a program, which leaves nothing of the program behind.
 *
 * Process groups and sessions do not hold a program together: setsid() leaves both. But orphans are
 * given to the nearest ancestor that is a "child subreaper" (prctl(2)), which the keeper is: so all
 * that a program began, and what that began, is the keeper's to find and to end, whatever it calls
 * itself. A program of the same user can end its keeper by force; then only the program itself
 * dies with it.
 *
 * A keeper ends as its program did, after everything else has. It takes these signals, which must
 * be blocked before it is forked, as all are:
 *
 *     SIGTERM          asks the program's group to end
 *     QN_KEEPER_END    ends everything at once; also sent when its parent dies
 *
 * It runs between fork and exec of a process that may have had threads: only calls that are safe
 * there (signal-safety(7)). */
#ifndef QN_SEARCH_TUNER_KEEPER_H
#define QN_SEARCH_TUNER_KEEPER_H

#include <signal.h>
#include <stdbool.h>
#include <sys/types.h>

enum { QN_KEEPER_END = SIGUSR1 };

/* In the keeper, before it forks the program: false when the parent has died already, or errno
 * says what cannot be had. */
bool qn_keeper_begin(pid_t parent);
/* In the keeper, with the program as its child and leader of its own group: does not return. Closes
 * all descriptors but `kept` (0: none), which the end of the keeper closes. */
_Noreturn void qn_keeper_run(pid_t program, int kept);

#endif
