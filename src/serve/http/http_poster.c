/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/http/http_poster.h"

#include "base/clock.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdint.h>
#include <unistd.h>

enum { READ_BYTES = 8192, POLL_MS_MAX = 60 * 1000 };

static bool is_connected(const qn_http_poster *poster)
{
    return poster->peer.fd >= 0;
}

static void disconnect(qn_http_poster *poster)
{
    if (!is_connected(poster)) return;
    qn_peer_close(&poster->peer);
}

void qn_http_poster_turn_to(qn_http_poster *poster, const qn_endpoint *endpoint,
                            const qn_tls_config *tls)
{
    disconnect(poster);
    poster->endpoint = endpoint;
    poster->tls = tls;
}

/* Milliseconds, rounded up so that nobody turns around and around for the last of them; 0: none are
 * left. */
static int left_ms(const qn_http_poster *poster, double until_s)
{
    const double end_by_s = atomic_load(poster->end_by_s);
    const double left_s = (until_s < end_by_s ? until_s : end_by_s) - qn_clock_s();
    if (left_s <= 0) return 0;
    return left_s > POLL_MS_MAX / 1000 ? POLL_MS_MAX : (int)(left_s * 1000) + 1;
}

/* Until the socket (-1: none) is ready for `events`; false when the time is up. */
static bool wait_until(qn_http_poster *poster, int fd, short events, double until_s)
{
    for (;;) {
        struct pollfd fds[] = {{.fd = poster->wake_fd, .events = POLLIN},
                               {.fd = fd, .events = events}};
        const int ms = left_ms(poster, until_s);
        uint64_t woken;
        if (ms == 0) return false;
        if (poll(fds, 2, ms) < 0 && errno != EINTR) return false;
        if (fds[0].revents) (void)!read(poster->wake_fd, &woken, sizeof woken);
        if (fds[1].revents) return true;
        if (fd < 0 && fds[0].revents) return true;
    }
}

void qn_http_poster_wait(qn_http_poster *poster, double until_s)
{
    (void)wait_until(poster, -1, 0, until_s);
}

/* Connecting. */

static bool open_connection(qn_http_poster *poster, int address, double until_s)
{
    const qn_endpoint *endpoint = poster->endpoint;
    const struct sockaddr_storage *to = &endpoint->addresses[address].address;
    const int fd = socket(to->ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    const int on = 1;
    int code = 0;
    socklen_t bytes = sizeof code;
    if (fd < 0) return false;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    const bool failed =
        connect(fd, (const struct sockaddr *)to, endpoint->addresses[address].bytes) != 0;
    if ((failed && errno != EINPROGRESS) || !wait_until(poster, fd, POLLOUT, until_s) ||
        getsockopt(fd, SOL_SOCKET, SO_ERROR, &code, &bytes) != 0 || code != 0) {
        close(fd);
        return false;
    }
    poster->peer = (qn_peer){.fd = fd, .shaken = !endpoint->tls};
    return true;
}

static bool shake_hands(qn_http_poster *poster, double until_s)
{
    const qn_endpoint *endpoint = poster->endpoint;
    if (!endpoint->tls) return true;
    poster->peer.tls =
        qn_tls_connect(poster->tls, poster->peer.fd, endpoint->host, endpoint->is_literal);
    if (!poster->peer.tls) return false;
    for (;;) {
        const qn_io io = qn_peer_handshake(&poster->peer);
        if (io == QN_IO_DONE) return true;
        if (io == QN_IO_ENDED || !wait_until(poster, poster->peer.fd,
                                             io == QN_IO_WANTS_READ ? POLLIN : POLLOUT, until_s)) {
            return false;
        }
    }
}

/* Each address has a like part of the time that is left: one that is silent does not use up that of
 * the next. */
static bool reconnect(qn_http_poster *poster, double until_s)
{
    const int n = poster->endpoint->n_addresses;
    for (int i = 0; i < n; i++) {
        const double now_s = qn_clock_s(), part_until_s = now_s + (until_s - now_s) / (n - i);
        if (open_connection(poster, i, part_until_s)) {
            if (shake_hands(poster, part_until_s)) return true;
            disconnect(poster);
        }
    }
    return false;
}

/* Sending. */

static bool write_all(qn_http_poster *poster, const char *data, size_t bytes, double until_s)
{
    for (size_t at = 0; at < bytes;) {
        size_t n = 0;
        const qn_io io = qn_peer_write(&poster->peer, data + at, bytes - at, &n);
        at += n;
        if (io == QN_IO_ENDED) return false;
        if (io != QN_IO_DONE && !wait_until(poster, poster->peer.fd,
                                            io == QN_IO_WANTS_READ ? POLLIN : POLLOUT, until_s)) {
            return false;
        }
    }
    return true;
}

static bool read_response(qn_http_poster *poster, double until_s)
{
    char bytes[READ_BYTES];
    for (;;) {
        size_t n = 0;
        const qn_io io = qn_peer_read(&poster->peer, bytes, sizeof bytes, &n);
        if (io == QN_IO_DONE || io == QN_IO_ENDED) {
            switch (qn_http_response_add(&poster->response, bytes, n)) {
            case QN_RESPONSE_DONE:
                return true;
            case QN_RESPONSE_BAD:
                return false;
            case QN_RESPONSE_MORE:
                break;
            }
        } else if (!wait_until(poster, poster->peer.fd, io == QN_IO_WANTS_READ ? POLLIN : POLLOUT,
                               until_s)) {
            return false;
        }
    }
}

static bool exchange(qn_http_poster *poster, const char *body, size_t bytes, double until_s)
{
    qn_http_response_begin(&poster->response);
    const bool answered = write_all(poster, poster->head.text, poster->head.bytes, until_s) &&
                          write_all(poster, body, bytes, until_s) && read_response(poster, until_s);
    if (!answered || !poster->response.keep_alive) disconnect(poster);
    return answered;
}

bool qn_http_poster_send(qn_http_poster *poster, const char *body, size_t bytes, double limit_s)
{
    const double until_s = qn_clock_s() + limit_s;
    qn_str_clear(&poster->head);
    qn_str_addf(&poster->head,
                "POST %s HTTP/1.1\r\nhost: %s\r\nuser-agent: quern/%s\r\n"
                "content-type: application/json\r\n%scontent-length: %zu\r\n\r\n",
                poster->endpoint->path, poster->endpoint->authority, QN_VERSION, poster->lines,
                bytes);
    if (poster->head.failed) {
        qn_str_release(&poster->head);
        return false;
    }
    /* A connection that was kept may have been ended by the other side meanwhile: that says nothing
     * of a new one. */
    if (is_connected(poster)) {
        if (exchange(poster, body, bytes, until_s)) return true;
        if (poster->response.n_read > 0) return false;
    }
    return reconnect(poster, until_s) && exchange(poster, body, bytes, until_s);
}

void qn_http_poster_release(qn_http_poster *poster)
{
    disconnect(poster);
    qn_str_release(&poster->head);
}
