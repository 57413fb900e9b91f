/* SPDX-License-Identifier: Apache-2.0 */
/* Audit log: a JSON line for each request that was refused and each action of an administrator –
 * who, from where, what, with what result. No line has a secret: neither headers nor query strings
 * are written, and of a path no more than its beginning.
 *
 * Lines are written at once, each by one call, so that several processes may share a file. Refused
 * requests come as fast as somebody likes to send them; of these no more than 100 a second are
 * written, and the next line tells how many were left out. Actions are always written.
 *
 * Threads: internally locked. */
#ifndef QN_SERVE_SECURITY_AUDIT_H
#define QN_SERVE_SECURITY_AUDIT_H

#include "base/json_pull.h"

#include <stdint.h>

typedef struct qn_audit qn_audit; /* destroy with qn_audit_close() */

typedef struct qn_audit_event {
    bool refused;        /* else an action */
    const char *who;     /* an identity's name; NULL: not known */
    const char *address; /* the client's; NULL: the event came from within */
    const char *method;  /* NULL with the next two: the event is no request */
    qn_span path;        /* without the query */
    int status;          /* what was answered */
    const char *action;  /* the route's name, or what was done: "load" */
    const char *reason;  /* why it was refused; NULL: it was not */
    const char *detail;  /* what an action did, beyond its path; NULL: nothing to add */
} qn_audit_event;

/* Appends to the file (made with mode 0600), or to standard error for "-". Fails with QN_ERR_IO or
 * QN_ERR_NOMEM. */
QN_MUST_CHECK
qn_status qn_audit_open(const char *path, qn_audit **out, qn_error *err);
/* After the file was renamed by a rotation: goes on in a new one. What cannot be opened leaves the
 * old one in use. */
QN_MUST_CHECK
qn_status qn_audit_reopen(qn_audit *audit, qn_error *err);
/* `audit` may be NULL: nothing is written. */
void qn_audit_write(qn_audit *audit, const qn_audit_event *event);
void qn_audit_close(qn_audit *audit); /* accepts NULL */

#endif
