/* SPDX-License-Identifier: Apache-2.0 */
/* Sandbox: once its sockets are open, a server needs little of the system any more. Should a
 * request or a model file ever take it over, what is left to them is this:
 *
 * - files (landlock, Linux 5.13): the folders of models and credentials can be read, the folders
 *   of logs can have files made and written, that of the routes replaced; nothing else, and no TCP
 * connection can be begun (6.7) but to the ports of who is sent traces, no process outside be
 *   signalled (6.12);
 * - system calls (seccomp): those in a list. No program can be started, no process made, no socket
 *   opened (but for TCP, where traces are sent, and UDP, where that is to a name), no memory made
 *   executable, no file opened for writing unless there is a log or routes.
 * What is not in the list fails with EPERM; starting or tracing a program ends the process.
 *
 * The calling thread is restricted, for ever, and every thread that it makes afterwards.
 *
 * Threads: call it from the thread that makes the others, before it does. */
#ifndef QN_SERVE_SECURITY_SANDBOX_H
#define QN_SERVE_SECURITY_SANDBOX_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>

typedef enum qn_sandbox_mode {
    QN_SANDBOX_OFF,
    QN_SANDBOX_AUTO, /* what the kernel offers */
    QN_SANDBOX_ON    /* both, or not at all */
} qn_sandbox_mode;

enum { QN_SANDBOX_REPORT_BYTES = 96 };

typedef struct qn_sandbox_request {
    qn_sandbox_mode mode;
    const char *const *read_folders;  /* ended by NULL; those that are not there are passed over */
    const char *const *write_folders; /* the same; may be NULL: files are made and written there */
    const char *const *replace_folders; /* the same: files are written beside others and renamed */
    const int *connect_ports;           /* TCP connections may be begun to these, at any address */
    int n_connect_ports;
    bool resolves; /* names of hosts may be resolved: its files read, datagrams sent, to anywhere */
} qn_sandbox_request;

/* `report` (QN_SANDBOX_REPORT_BYTES) becomes "landlock and seccomp", or what there is, or "none"
 * and why. Fails with QN_ERR_UNSUPPORTED when the mode is QN_SANDBOX_ON and something is not
 * offered. */
QN_MUST_CHECK
qn_status qn_sandbox_enter(const qn_sandbox_request *request, char *report, qn_error *err);

#endif
