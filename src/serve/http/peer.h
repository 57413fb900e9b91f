/* SPDX-License-Identifier: Apache-2.0 */
/* Peer: the other end of a connection – its address, and the TLS session if there is one. Reading
 * and writing are the same with and without TLS.
 *
 * Threads: one thread, the loop's. */
#ifndef QN_SERVE_HTTP_PEER_H
#define QN_SERVE_HTTP_PEER_H

#include "crypto/tls.h"

#include <stdint.h>
#include <sys/socket.h>

enum { QN_ADDRESS_TEXT_BYTES = 46 };

typedef struct qn_peer {
    int fd;              /* owned */
    qn_tls *tls;         /* NULL: without; owned */
    bool shaken;         /* the handshake is done, or none is needed */
    bool is_local;       /* by a socket of the file system: there is no address */
    uint8_t address[16]; /* IPv6, or IPv4 mapped into it */
} qn_peer;

/* Takes the socket; a session is opened when there is a configuration. False when out of memory:
 * the socket is then still the caller's. */
bool qn_peer_open(qn_peer *peer, int fd, const struct sockaddr_storage *address,
                  const qn_tls_config *tls);
void qn_peer_close(qn_peer *peer);

qn_io qn_peer_handshake(qn_peer *peer);
/* At least one byte when QN_IO_DONE. */
qn_io qn_peer_read(qn_peer *peer, void *out, size_t room, size_t *bytes);
qn_io qn_peer_write(qn_peer *peer, const void *data, size_t bytes, size_t *written);
/* Bytes that were received and are not given out: epoll will not tell of them. */
size_t qn_peer_pending(const qn_peer *peer);
/* Seconds since bytes last came from the other side, read or not, to the millisecond; 0 where the
 * kernel does not tell. */
double qn_peer_silent_s(const qn_peer *peer);
/* No more will be written. */
void qn_peer_end(qn_peer *peer);
/* Passes over what is received; QN_IO_ENDED when the other side has ended, too. */
qn_io qn_peer_pass_over(qn_peer *peer);

/* "192.0.2.1", "2001:db8::1", "unix". */
void qn_peer_address(const qn_peer *peer, char text[QN_ADDRESS_TEXT_BYTES]);
/* What counts as one client for a rate: an IPv4 address, or the /64 that an IPv6 customer is given.
 * Returns how many bytes of peer->address that are. */
size_t qn_peer_client_bytes(const qn_peer *peer);

#endif
