/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/http/listener.h"

#include "serve/http/listen_local.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { HOST_BYTES = 256, BACKLOG = 4096 };

/* "[::1]:80" → "::1", "80". */
static bool split(const char *address, char *host, const char **port)
{
    const char *colon = strrchr(address, ':');
    if (!colon || colon[1] == '\0') return false;
    const char *begin = address, *end = colon;
    if (*begin == '[') {
        if (end == begin || end[-1] != ']') return false;
        begin++;
        end--;
    } else if (memchr(begin, ':', (size_t)(end - begin))) {
        return false; /* a bare IPv6 address: which colon is the port's? */
    }
    const size_t bytes = (size_t)(end - begin);
    if (bytes == 0 || bytes >= HOST_BYTES) return false;
    memcpy(host, begin, bytes);
    host[bytes] = '\0';
    *port = colon + 1;
    return true;
}

static bool is_loopback(const struct sockaddr *address)
{
    if (address->sa_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)(const void *)address;
        return (ntohl(in->sin_addr.s_addr) >> 24) == 127;
    }
    const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)(const void *)address;
    return IN6_IS_ADDR_LOOPBACK(&in6->sin6_addr);
}

static void set_port(struct sockaddr_storage *address, in_port_t port)
{
    if (address->ss_family == AF_INET) {
        ((struct sockaddr_in *)(void *)address)->sin_port = port;
    } else {
        ((struct sockaddr_in6 *)(void *)address)->sin6_port = port;
    }
}

static in_port_t port_of(const struct sockaddr_storage *address)
{
    return address->ss_family == AF_INET
               ? ((const struct sockaddr_in *)(const void *)address)->sin_port
               : ((const struct sockaddr_in6 *)(const void *)address)->sin6_port;
}

static int open_socket(const struct sockaddr_storage *address, socklen_t bytes)
{
    const int on = 1;
    const int fd = socket(address->ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) return -1;
    /* Connections inherit TCP_NODELAY: a reply is sent whole, so waiting to fill a packet is loss.
     */
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0 &&
        setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) == 0 &&
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) == 0 &&
        bind(fd, (const struct sockaddr *)address, bytes) == 0 && listen(fd, BACKLOG) == 0) {
        return fd;
    }
    const int saved = errno;
    close(fd);
    errno = saved;
    return -1;
}

/* SO_REUSEPORT would let a second server of the same user share the address unnoticed. */
static bool is_taken(const struct sockaddr_storage *address, socklen_t bytes)
{
    const int on = 1;
    const int fd = socket(address->ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return false;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    const bool taken =
        bind(fd, (const struct sockaddr *)address, bytes) != 0 && errno == EADDRINUSE;
    close(fd);
    return taken;
}

static qn_status cannot_listen(const char *address, qn_error *err)
{
    return qn_fail(err, QN_ERR_IO, "--listen %s: %s", address, strerror(errno));
}

static void write_url(const char *host, bool tls, const struct sockaddr_storage *address, char *url)
{
    const bool brackets = strchr(host, ':') != NULL;
    snprintf(url, QN_URL_BYTES, "http%s://%s%.100s%s:%u", tls ? "s" : "", brackets ? "[" : "", host,
             brackets ? "]" : "", (unsigned)ntohs(port_of(address)));
}

static qn_status open_all(const char *text, struct sockaddr_storage *address, socklen_t bytes,
                          int n, int *fds, qn_error *err)
{
    if (port_of(address) != 0 && is_taken(address, bytes)) {
        errno = EADDRINUSE;
        return cannot_listen(text, err);
    }
    for (int i = 0; i < n; i++) {
        fds[i] = open_socket(address, bytes);
        if (fds[i] < 0) {
            const qn_status status = cannot_listen(text, err);
            while (i > 0) {
                close(fds[--i]);
            }
            return status;
        }
        struct sockaddr_storage given;
        socklen_t given_bytes = sizeof given;
        if (i == 0 && getsockname(fds[0], (struct sockaddr *)&given, &given_bytes) == 0) {
            set_port(address, port_of(&given));
        }
    }
    return QN_OK;
}

static qn_status check_exposure(const char *address, const qn_exposure *exposure, qn_error *err)
{
    if (!exposure->credentials && !exposure->open_to_all) {
        return qn_fail(err, QN_ERR_ARG,
                       "--listen %s: others could reach this address, and nothing asks them who "
                       "they are; give --keys, --jwks or --tls-client-ca, listen on 127.0.0.1, or "
                       "say --open-to-all",
                       address);
    }
    if (exposure->credentials && !exposure->tls && !exposure->insecure_http) {
        return qn_fail(err, QN_ERR_ARG,
                       "--listen %s: keys and tokens could be overheard on the way here; give "
                       "--tls-cert and --tls-key, or say --insecure-http if a proxy in front has "
                       "TLS",
                       address);
    }
    return QN_OK;
}

/* What a service manager has opened: in the file system, or an address that is looked at as if it
 * were opened here. */
static qn_status take_inherited(const qn_exposure *exposure, int n, int *fds, char *url,
                                qn_error *err)
{
    const int on = 1;
    struct sockaddr_storage given = {0};
    socklen_t bytes = sizeof given;
    char host[HOST_BYTES];
    QN_TRY(qn_listen_inherited(n, fds, err));
    qn_status status = QN_OK;
    if (getsockname(fds[0], (struct sockaddr *)&given, &bytes) != 0) {
        status = cannot_listen("systemd", err);
    } else if (given.ss_family == AF_UNIX) {
        snprintf(url, QN_URL_BYTES, "a socket of systemd");
    } else if (getnameinfo((const struct sockaddr *)&given, bytes, host, sizeof host, NULL, 0,
                           NI_NUMERICHOST) != 0) {
        status = qn_fail(err, QN_ERR_ARG, "--listen systemd: what was passed on has no address");
    } else {
        if (!is_loopback((const struct sockaddr *)&given)) {
            status = check_exposure("systemd", exposure, err);
        }
        setsockopt(fds[0], IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        write_url(host, exposure->tls, &given, url);
    }
    for (int i = 0; status != QN_OK && i < n; i++) {
        close(fds[i]);
    }
    return status;
}

qn_status qn_listen(const char *address, const qn_exposure *exposure, int n, int *fds, char *url,
                    qn_error *err)
{
    if (strcmp(address, "systemd") == 0) return take_inherited(exposure, n, fds, url, err);
    if (strncmp(address, "unix:", 5) == 0) {
        snprintf(url, QN_URL_BYTES, "%s", address);
        return qn_listen_unix(address + 5, n, fds, err);
    }
    char host[HOST_BYTES];
    const char *port;
    struct addrinfo *found = NULL;
    const struct addrinfo wanted = {.ai_socktype = SOCK_STREAM,
                                    .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    if (!split(address, host, &port)) {
        return qn_fail(err, QN_ERR_ARG,
                       "--listen %s: expected HOST:PORT, such as 127.0.0.1:8080, unix:PATH, or "
                       "systemd",
                       address);
    }
    const int code = getaddrinfo(strcmp(host, "*") == 0 ? NULL : host, port, &wanted, &found);
    if (code != 0) {
        return qn_fail(err, QN_ERR_ARG, "--listen %s: %s", address, gai_strerror(code));
    }
    struct sockaddr_storage chosen = {0};
    const socklen_t bytes = found->ai_addrlen;
    memcpy(&chosen, found->ai_addr, bytes);
    const bool private = is_loopback(found->ai_addr);
    freeaddrinfo(found);
    if (!private) QN_TRY(check_exposure(address, exposure, err));
    QN_TRY(open_all(address, &chosen, bytes, n, fds, err));
    write_url(host, exposure->tls, &chosen, url);
    return QN_OK;
}
