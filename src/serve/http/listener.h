/* SPDX-License-Identifier: Apache-2.0 */
/* Listening sockets: an address in words, and as many sockets on it as there are loops.
 *
 * Threads: calls are independent. */
#ifndef QN_SERVE_HTTP_LISTENER_H
#define QN_SERVE_HTTP_LISTENER_H

#include "base/error.h"

#include <stdbool.h>

enum { QN_URL_BYTES = 128 };

/* What protects an address that others can reach. It must ask for credentials, and must not let
 * them be overheard, unless told otherwise. */
typedef struct qn_exposure {
    bool credentials;   /* clients are asked who they are */
    bool open_to_all;   /* … or need not be */
    bool tls;           /* what they say cannot be overheard */
    bool insecure_http; /* … or may be */
} qn_exposure;

/* Opens n sockets on "HOST:PORT" ("127.0.0.1:8080", "[::1]:0", "localhost:8080"; "*" for every
 * address), shared by SO_REUSEPORT. Port 0 becomes one that is free. "unix:PATH" is a socket in the
 * file system for owner and group; "systemd" the one that the process was started with. An address
 * that others can reach is refused as `exposure` says. `url` (QN_URL_BYTES) becomes "http://…", or
 * "https://…", with the port; "unix:PATH".
 * Fails with QN_ERR_ARG or QN_ERR_IO; no socket is left open then. */
QN_MUST_CHECK
qn_status qn_listen(const char *address, const qn_exposure *exposure, int n, int *fds, char *url,
                    qn_error *err);

#endif
