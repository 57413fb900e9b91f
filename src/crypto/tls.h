/* SPDX-License-Identifier: Apache-2.0 */
/* TLS 1.2 and 1.3 on sockets that do not block, by OpenSSL 3, for a server and for its own requests
 * to others. A configuration – certificate, key, who may connect; or which authorities are
 * believed – is immutable; sessions keep the one they began with, so that another may take its
 * place while connections go on.
 *
 * TLS 1.2 is offered with forward secrecy and authenticated encryption alone; there are no
 * compression, no renegotiation and no early data (which could be sent twice).
 *
 * Threads: a configuration is immutable and counted; share freely. A session is one thread's. */
#ifndef QN_CRYPTO_TLS_H
#define QN_CRYPTO_TLS_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>

typedef struct qn_tls_config qn_tls_config; /* let go with qn_tls_config_unref() */

/* Paths of PEM files. */
typedef struct qn_tls_files {
    const char *certificate; /* the server's, then those that lead to its authority */
    const char *key;         /* its private key, which nobody else may read */
    const char *client_ca;   /* whose clients alone may connect; NULL: anybody's */
} qn_tls_files;

/* Fails with QN_ERR_IO or QN_ERR_DATA (a file cannot be read, or others can read the key; key and
 * certificate do not belong together) or QN_ERR_NOMEM. */
QN_MUST_CHECK
qn_status qn_tls_config_create(const qn_tls_files *files, qn_tls_config **out, qn_error *err);
qn_tls_config *qn_tls_config_ref(qn_tls_config *config);
void qn_tls_config_unref(qn_tls_config *config); /* accepts NULL */

/* For requests to others: `ca` is a PEM file of the authorities that are believed; NULL: those of
 * the system. All are read now, so that a sandbox may close afterwards. Fails with QN_ERR_DATA (no
 * certificate can be read; the system has none where they are looked for) or QN_ERR_NOMEM. */
QN_MUST_CHECK
qn_status qn_tls_client_config_create(const char *ca, qn_tls_config **out, qn_error *err);

typedef struct qn_tls qn_tls; /* a session; end it with qn_tls_close() */

/* What became of reading or writing. */
typedef enum qn_io {
    QN_IO_DONE,
    QN_IO_WANTS_READ,  /* again once the socket can be read … */
    QN_IO_WANTS_WRITE, /* … or written */
    QN_IO_ENDED        /* the other side ended it, or spoke no TLS: only closing is left */
} qn_io;

/* A session on a socket, which stays the caller's; NULL when out of memory. */
qn_tls *qn_tls_open(const qn_tls_config *config, int fd);
/* The same to another's server, whose certificate must be for `host`: a name, or an address. */
qn_tls *qn_tls_connect(const qn_tls_config *config, int fd, const char *host, bool is_address);
qn_io qn_tls_handshake(qn_tls *tls);
/* At least one byte when QN_IO_DONE. */
qn_io qn_tls_read(qn_tls *tls, void *out, size_t room, size_t *bytes);
/* A write that was not done must be tried again with the same bytes, perhaps elsewhere. */
qn_io qn_tls_write(qn_tls *tls, const void *data, size_t bytes, size_t *written);
/* Bytes that qn_tls_read() can give without the socket: epoll knows nothing of them. */
size_t qn_tls_pending(const qn_tls *tls);
/* Who the client's certificate says it is (its common name), into `out`; false without one. */
bool qn_tls_client_name(const qn_tls *tls, char *out, size_t room);
/* Tells the other side that no more comes. */
void qn_tls_end(qn_tls *tls);
void qn_tls_close(qn_tls *tls); /* accepts NULL */

#endif
