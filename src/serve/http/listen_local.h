/* SPDX-License-Identifier: Apache-2.0 */
/* Listening sockets that have no port of their own to share: one in the file system, and one that
 * the process was started with. The loops take turns at them (EPOLLEXCLUSIVE).
 *
 * Threads: one thread, before there are others. */
#ifndef QN_SERVE_HTTP_LISTEN_LOCAL_H
#define QN_SERVE_HTTP_LISTEN_LOCAL_H

#include "serve/http/listener.h"

/* Opens `path` for owner and group, n times. A socket that nobody listens on any more is replaced;
 * any other file is not. Fails with QN_ERR_ARG (too long) or QN_ERR_IO. */
QN_MUST_CHECK
qn_status qn_listen_unix(const char *path, int n, int *fds, qn_error *err);

/* Takes the one socket that a service manager has opened (sd_listen_fds(3): LISTEN_PID,
 * LISTEN_FDS), n times. The caller looks at its address. Fails with QN_ERR_ARG (there is none, or
 * several) or QN_ERR_IO. */
QN_MUST_CHECK
qn_status qn_listen_inherited(int n, int *fds, qn_error *err);

#endif
