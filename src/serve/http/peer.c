/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/http/peer.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <unistd.h>

static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

static void set_address(qn_peer *peer, const struct sockaddr_storage *address)
{
    if (address->ss_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)address;
        memcpy(peer->address, mapped, sizeof mapped);
        memcpy(peer->address + sizeof mapped, &in->sin_addr, 4);
    } else if (address->ss_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)address;
        memcpy(peer->address, &in6->sin6_addr, sizeof peer->address);
    }
}

bool qn_peer_open(qn_peer *peer, int fd, const struct sockaddr_storage *address,
                  const qn_tls_config *tls)
{
    *peer = (qn_peer){.fd = fd, .shaken = tls == NULL, .is_local = address->ss_family == AF_UNIX};
    set_address(peer, address);
    if (!tls) return true;
    peer->tls = qn_tls_open(tls, fd);
    return peer->tls != NULL;
}

void qn_peer_close(qn_peer *peer)
{
    qn_tls_close(peer->tls);
    close(peer->fd);
    *peer = (qn_peer){.fd = -1};
}

qn_io qn_peer_handshake(qn_peer *peer)
{
    const qn_io io = qn_tls_handshake(peer->tls);
    peer->shaken = io == QN_IO_DONE;
    return io;
}

/* After a system call that failed. */
static qn_io what_next(qn_io wanted)
{
    return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR ? wanted : QN_IO_ENDED;
}

qn_io qn_peer_read(qn_peer *peer, void *out, size_t room, size_t *bytes)
{
    *bytes = 0;
    if (peer->tls) return qn_tls_read(peer->tls, out, room, bytes);
    const ssize_t n = recv(peer->fd, out, room, 0);
    if (n == 0) return QN_IO_ENDED;
    if (n < 0) return what_next(QN_IO_WANTS_READ);
    *bytes = (size_t)n;
    return QN_IO_DONE;
}

qn_io qn_peer_write(qn_peer *peer, const void *data, size_t bytes, size_t *written)
{
    *written = 0;
    if (peer->tls) return qn_tls_write(peer->tls, data, bytes, written);
    const ssize_t n = send(peer->fd, data, bytes, MSG_NOSIGNAL);
    if (n < 0) return what_next(QN_IO_WANTS_WRITE);
    *written = (size_t)n;
    return QN_IO_DONE;
}

size_t qn_peer_pending(const qn_peer *peer)
{
    return peer->tls ? qn_tls_pending(peer->tls) : 0;
}

double qn_peer_silent_s(const qn_peer *peer)
{
    struct tcp_info info;
    socklen_t bytes = sizeof info;
    if (peer->is_local || getsockopt(peer->fd, IPPROTO_TCP, TCP_INFO, &info, &bytes) != 0) return 0;
    return info.tcpi_last_data_recv / 1000.0;
}

void qn_peer_end(qn_peer *peer)
{
    if (peer->tls) qn_tls_end(peer->tls);
    shutdown(peer->fd, SHUT_WR);
}

qn_io qn_peer_pass_over(qn_peer *peer)
{
    char bytes[4096];
    const ssize_t n = recv(peer->fd, bytes, sizeof bytes, 0);
    if (n > 0) return QN_IO_DONE;
    return n == 0 ? QN_IO_ENDED : what_next(QN_IO_WANTS_READ);
}

void qn_peer_address(const qn_peer *peer, char text[QN_ADDRESS_TEXT_BYTES])
{
    if (peer->is_local) {
        memcpy(text, "unix", sizeof "unix");
        return;
    }
    const bool is_v4 = memcmp(peer->address, mapped, sizeof mapped) == 0;
    const char *made =
        is_v4 ? inet_ntop(AF_INET, peer->address + sizeof mapped, text, QN_ADDRESS_TEXT_BYTES)
              : inet_ntop(AF_INET6, peer->address, text, QN_ADDRESS_TEXT_BYTES);
    if (!made) text[0] = '\0';
}

size_t qn_peer_client_bytes(const qn_peer *peer)
{
    return memcmp(peer->address, mapped, sizeof mapped) == 0 ? 16 : 8;
}
