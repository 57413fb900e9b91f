/* SPDX-License-Identifier: Apache-2.0 */
/* Checkpoints: a folder for each trial that is not at its end, where the trial's program keeps what
 * it needs to go on. Whoever runs the trial again, in this process or another, finds the folder by
 * its name, which says the trial's number and, as a hash, its parameters: studies that share a
 * place do not take up each other's trials.
 *
 * A trial that begins for the first time gets an empty folder, one that begins again the folder it
 * had; the folder of a trial that has ended for good is removed.
 *
 * Threads: immutable once open; one thread at a time per trial. */
#ifndef QN_SEARCH_STUDY_CHECKPOINT_H
#define QN_SEARCH_STUDY_CHECKPOINT_H

#include "search/study/history.h"

typedef struct qn_checkpoints {
    char *place;  /* absolute path of the folder of all; NULL: no checkpoints are kept */
} qn_checkpoints; /* zero-initialise; close with qn_checkpoints_close() */

/* Makes the place unless it is there, and removes what trials of the history left there that have
 * ended since. Fails with QN_ERR_IO or QN_ERR_NOMEM. */
QN_MUST_CHECK
qn_status qn_checkpoints_open(const char *place, const qn_history *history, qn_checkpoints *out,
                              qn_error *err);
/* Removes again what is left of trials that have ended, and of all if the study does not last
 * beyond this process. */
void qn_checkpoints_close(qn_checkpoints *checkpoints, const qn_history *history, bool lasts);

/* Makes the folder of a trial that begins; *path, in the arena, is NULL when none are kept. Fails
 * with QN_ERR_IO or QN_ERR_NOMEM. */
QN_MUST_CHECK
qn_status qn_checkpoint_begin(const qn_checkpoints *checkpoints, const qn_space *space,
                              const qn_trial_record *trial, qn_arena *arena, const char **path,
                              qn_error *err);
/* Removes the folder of a trial if that has ended for good. What cannot be removed stays: it costs
 * room, but no trial. */
void qn_checkpoint_end(const qn_checkpoints *checkpoints, const qn_space *space,
                       const qn_trial_record *trial);

#endif
