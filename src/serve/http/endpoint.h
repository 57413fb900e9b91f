/* SPDX-License-Identifier: Apache-2.0 */
/* Endpoint: where something is sent to by HTTP – a URL taken apart, its name resolved.
 *
 * Threads: immutable once opened. */
#ifndef QN_SERVE_HTTP_ENDPOINT_H
#define QN_SERVE_HTTP_ENDPOINT_H

#include "base/error.h"

#include <stdbool.h>
#include <sys/socket.h>

enum { QN_HOST_BYTES_MAX = 253, QN_ADDRESSES_MAX = 8, QN_ENDPOINT_PATH_BYTES_MAX = 512 };

typedef struct qn_endpoint {
    bool tls;
    bool is_literal;                       /* the host is an address */
    char host[QN_HOST_BYTES_MAX + 1];      /* without the brackets of an IPv6 address */
    char authority[QN_HOST_BYTES_MAX + 9]; /* the header 'Host': "[::1]:4318" */
    char path[QN_ENDPOINT_PATH_BYTES_MAX + 1];
    int port;
    int n_addresses; /* in the order in which to try them */
    struct {
        struct sockaddr_storage address;
        socklen_t bytes;
    } addresses[QN_ADDRESSES_MAX];
} qn_endpoint;

/* "http[s]://HOST[:PORT][/PATH]"; `path` is that of a URL without one. Fails with QN_ERR_ARG (no
 * such URL; one with a name and password) or QN_ERR_IO (the host's name cannot be resolved). */
QN_MUST_CHECK
qn_status qn_endpoint_open(const char *url, const char *path, qn_endpoint *out, qn_error *err);
/* Whether the host may come to have other addresses: it is a name, and not "localhost". */
bool qn_endpoint_may_move(const qn_endpoint *endpoint);
bool qn_endpoint_has_same_addresses(const qn_endpoint *a, const qn_endpoint *b);

#endif
