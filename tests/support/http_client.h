/* SPDX-License-Identifier: Apache-2.0 */
/* A blocking HTTP client on a raw socket: says exactly what a test wants said, well-formed or not.
 */
#ifndef TESTS_SUPPORT_HTTP_CLIENT_H
#define TESTS_SUPPORT_HTTP_CLIENT_H

#include "check.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

typedef struct http_client {
    int fd;
    size_t n; /* bytes read and not given out yet */
    char bytes[1 << 16];
} http_client;

typedef struct http_reply {
    int status; /* 0: the connection ended */
    char head[2048];
    char *body; /* to free() */
    size_t body_bytes;
} http_reply;

static inline bool http_connect(http_client *client, int port)
{
    const struct timeval limit = {.tv_sec = 100};
    const struct sockaddr_in address = {.sin_family = AF_INET,
                                        .sin_port = htons((uint16_t)port),
                                        .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    client->n = 0;
    client->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(client->fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    return connect(client->fd, (const struct sockaddr *)&address, sizeof address) == 0;
}

static inline bool http_send(const http_client *client, const char *text, size_t bytes)
{
    while (bytes > 0) {
        const ssize_t n = send(client->fd, text, bytes, MSG_NOSIGNAL);
        if (n <= 0) return false;
        text += n;
        bytes -= (size_t)n;
    }
    return true;
}

/* Reads until `bytes` are there; false when the connection ends before. */
static inline bool http_fill(http_client *client, size_t bytes)
{
    while (client->n < bytes) {
        const ssize_t n =
            recv(client->fd, client->bytes + client->n, sizeof client->bytes - client->n, 0);
        if (n <= 0) return false;
        client->n += (size_t)n;
    }
    return true;
}

static inline void http_take(http_client *client, size_t bytes, char *out)
{
    memcpy(out, client->bytes, bytes);
    memmove(client->bytes, client->bytes + bytes, client->n - bytes);
    client->n -= bytes;
}

static inline bool http_read_body(http_client *client, http_reply *reply)
{
    size_t at = 0;
    while (at < reply->body_bytes) {
        if (client->n == 0 && !http_fill(client, 1)) return false;
        size_t n = reply->body_bytes - at < client->n ? reply->body_bytes - at : client->n;
        http_take(client, n, reply->body + at);
        at += n;
    }
    return true;
}

/* Reads one reply; one to a HEAD request has no body. */
static inline http_reply http_read(http_client *client, bool head)
{
    http_reply reply = {0};
    const char *end = NULL;
    while (!(end = client->n >= 4 ? memmem(client->bytes, client->n, "\r\n\r\n", 4) : NULL)) {
        if (client->n == sizeof client->bytes || !http_fill(client, client->n + 1)) return reply;
    }
    const size_t bytes = (size_t)(end - client->bytes) + 4;
    CHECK(bytes < sizeof reply.head);
    http_take(client, bytes, reply.head);
    reply.head[bytes] = '\0';
    const char *length = strstr(reply.head, "content-length:");
    reply.body_bytes = length && !head ? (size_t)strtoul(length + 15, NULL, 10) : 0;
    reply.body = calloc(1, reply.body_bytes + 1);
    if (http_read_body(client, &reply)) reply.status = (int)strtol(reply.head + 9, NULL, 10);
    return reply;
}

static inline http_reply http_request(http_client *client, const char *method, const char *path,
                                      const char *type, const char *body, size_t body_bytes)
{
    char head[512];
    const int n =
        snprintf(head, sizeof head,
                 "%s %s HTTP/1.1\r\nHost: test\r\n%s%s%sContent-Length: %zu\r\n\r\n", method, path,
                 type ? "Content-Type: " : "", type ? type : "", type ? "\r\n" : "", body_bytes);
    if (!http_send(client, head, (size_t)n) || !http_send(client, body, body_bytes)) {
        return (http_reply){0};
    }
    return http_read(client, strcmp(method, "HEAD") == 0);
}

/* Whether the server has closed the connection, or does so soon. */
static inline bool http_is_closed(http_client *client)
{
    char byte;
    return client->n == 0 && recv(client->fd, &byte, 1, 0) == 0;
}

#endif
