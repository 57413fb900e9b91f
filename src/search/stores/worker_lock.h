/* SPDX-License-Identifier: Apache-2.0 */
/* Worker lock: a file of locks by which the processes at work on one place know who of them is
 * alive, without a clock. The system lets go of a lock when its process dies, however it dies.
 *
 * Byte N is worker N's as long as its process lives. Byte N + 2^40 is its *tether*: what watches
 * its programs holds a copy of that descriptor until they have ended, so that a trial is not run
 * again while its first program may still write a checkpoint. Byte 0 is for one process at a time.
 *
 * The locks belong to open files (F_OFD_SETLK), so that several studies of one process are
 * different workers.
 *
 * Threads: one thread at a time per lock. */
#ifndef QN_SEARCH_STORES_WORKER_LOCK_H
#define QN_SEARCH_STORES_WORKER_LOCK_H

#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct qn_worker_lock {
    bool is_open;
    int file, tether; /* descriptors */
    int64_t worker;   /* whose; 0: nobody's yet */
} qn_worker_lock;     /* all zero at first; release with qn_worker_lock_release() */

/* Opens the file beside the store at `path`, or makes it. All of these fail with QN_ERR_IO, and
 * this one with QN_ERR_NOMEM. */
QN_MUST_CHECK
qn_status qn_worker_lock_open(const char *path, qn_worker_lock *out, qn_error *err);
/* The worker is not alive any more. */
void qn_worker_lock_release(qn_worker_lock *lock);

/* Waits for, and lets go of, what one process at a time may do. */
QN_MUST_CHECK
qn_status qn_worker_lock_enter(const qn_worker_lock *lock, qn_error *err);
QN_MUST_CHECK
qn_status qn_worker_lock_leave(const qn_worker_lock *lock, qn_error *err);

/* Becomes worker `worker`, a number from 1 that nobody had before. */
QN_MUST_CHECK
qn_status qn_worker_lock_take(qn_worker_lock *lock, int64_t worker, qn_error *err);

/* Whether a worker is alive. One that has died is waited for until its programs have ended, too;
 * it counts as alive if that takes longer than two seconds. */
QN_MUST_CHECK
qn_status qn_worker_lock_look(const qn_worker_lock *lock, int64_t worker, bool *alive,
                              qn_error *err);

#endif
