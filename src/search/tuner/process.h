/* SPDX-License-Identifier: Apache-2.0 */
/* A program under the eyes of its caller: its output in a pipe, limits of memory and time, and an
 * end that leaves nothing behind, for a keeper stands between the two (keeper.h). It dies with its
 * caller.
 *
 * Nothing the caller has open is ever a child's as well, but for its standard streams and what it
 * asks to be kept. So a lock of a caller that is killed is gone with it, at whatever moment: no
 * child that has not run yet has a copy of it.
 *
 * Threads: one thread at a time per process. */
#ifndef QN_SEARCH_TUNER_PROCESS_H
#define QN_SEARCH_TUNER_PROCESS_H

#include "base/error.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

typedef struct qn_process {
    pid_t pid;                 /* of its keeper */
    pthread_t starter;         /* the thread that forked it, which lives as long */
    int output, errors;        /* its standard output and error, to read without waiting; -1: closed
                                  or not taken */
    int exit;                  /* becomes readable when it has ended, and all that it began */
    double deadline_s, kill_s; /* on qn_clock_s(): when it is asked to end, and made to; 0: never */
} qn_process;

typedef struct qn_process_request {
    char *const *arguments;   /* ended by NULL; the first is looked for on PATH */
    char *const *environment; /* "NAME=VALUE" to add, ended by NULL; may be NULL */
    bool takes_errors;        /* its standard error comes through a pipe; otherwise it goes to */
    int error_descriptor;     /* this; 0: where the caller's goes */
    int kept_descriptor;      /* stays open until it has ended, and all that it began; 0: none */
    int64_t memory_bytes;     /* of address space; 0: no limit */
    double timeout_s;         /* 0: none */
} qn_process_request;

/* Fails with QN_ERR_ARG when the program cannot be run, QN_ERR_IO. */
QN_MUST_CHECK
qn_status qn_process_start(const qn_process_request *request, qn_process *out, qn_error *err);

/* Asks its process group to end (SIGTERM); makes it so `grace_s` later, see qn_process_watch(). */
void qn_process_stop(qn_process *process, double grace_s);
/* Does what the deadlines say; true when the process was over its time just now. */
bool qn_process_watch(qn_process *process, double now_s, double grace_s);
enum { QN_PROCESS_SIGNAL = 256 }; /* above all exit codes */

/* After `exit` became readable; before, the program and all that it began is killed. Closes
 * everything. Returns the exit code, or QN_PROCESS_SIGNAL + the signal. */
int qn_process_finish(qn_process *process);

#endif
