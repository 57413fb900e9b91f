/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/http/endpoint.h"

#include "base/number.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>

static qn_status refuse(const char *url, const char *why, qn_error *err)
{
    return qn_fail(err, QN_ERR_ARG, "%.200s: %s", url, why);
}

/* What is printed and can stand in a request line and header. */
static bool is_plain(const char *text, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++) {
        if (text[i] <= ' ' || text[i] >= 0x7f) return false;
    }
    return true;
}

/* Host and port out of "host:port", "[::1]:port", "host". */
static qn_status split_authority(const char *url, const char *text, size_t bytes, qn_endpoint *out,
                                 qn_error *err)
{
    const char *end = text + bytes, *host = text, *host_end, *colon;
    const bool brackets = bytes > 0 && *text == '[';
    if (brackets) {
        host = text + 1;
        host_end = memchr(host, ']', (size_t)(end - host));
        if (!host_end) return refuse(url, "the bracket of its host is not closed", err);
        colon = host_end + 1;
    } else {
        colon = memchr(text, ':', bytes);
        host_end = colon = colon ? colon : end;
    }
    const size_t host_bytes = (size_t)(host_end - host);
    if (host_bytes == 0 || host_bytes > QN_HOST_BYTES_MAX)
        return refuse(url, "it has no host", err);
    memcpy(out->host, host, host_bytes);
    out->host[host_bytes] = '\0';
    struct in6_addr address;
    out->is_literal = inet_pton(brackets ? AF_INET6 : AF_INET, out->host, &address) == 1;
    if (brackets && !out->is_literal) return refuse(url, "its host is no IPv6 address", err);
    int64_t port = out->tls ? 443 : 80;
    if (colon < end &&
        (*colon != ':' || !qn_parse_int64(colon + 1, (size_t)(end - colon - 1), &port) ||
         port < 1 || port > 65535)) {
        return refuse(url, "its port is none", err);
    }
    out->port = (int)port;
    snprintf(out->authority, sizeof out->authority, brackets ? "[%s]:%d" : "%s:%d", out->host,
             out->port);
    return QN_OK;
}

static qn_status split(const char *url, const char *default_path, qn_endpoint *out, qn_error *err)
{
    const char *rest = url;
    if (strncasecmp(url, "http://", 7) == 0) rest += 7;
    if (strncasecmp(url, "https://", 8) == 0) rest += 8;
    out->tls = rest == url + 8;
    if (rest == url) return refuse(url, "it does not begin with http:// or https://", err);
    if (!is_plain(url, strlen(url)) || strchr(url, '#')) {
        return refuse(url, "there are characters in it that no URL has", err);
    }
    const size_t bytes = strcspn(rest, "/?");
    if (memchr(rest, '@', bytes)) {
        return qn_fail(err, QN_ERR_ARG,
                       "a URL with a name and password is not taken; send a "
                       "header: OTEL_EXPORTER_OTLP_HEADERS");
    }
    const char *path = rest[bytes] == '/' && rest[bytes + 1] ? rest + bytes : default_path;
    if (rest[bytes] == '?' || strlen(path) > QN_ENDPOINT_PATH_BYTES_MAX) {
        return refuse(url, "its path is missing, or too long", err);
    }
    memcpy(out->path, path, strlen(path) + 1);
    return split_authority(url, rest, bytes, out, err);
}

static qn_status resolve(const char *url, qn_endpoint *out, qn_error *err)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
                                   .ai_flags = out->is_literal ? AI_NUMERICHOST : 0};
    struct addrinfo *found = NULL;
    char port[8];
    snprintf(port, sizeof port, "%d", out->port);
    const int code = getaddrinfo(out->host, port, &hints, &found);
    if (code != 0) {
        return qn_fail(err, QN_ERR_IO, "%.200s: the name '%s' cannot be resolved: %s", url,
                       out->host, gai_strerror(code));
    }
    for (const struct addrinfo *a = found; a && out->n_addresses < QN_ADDRESSES_MAX;
         a = a->ai_next) {
        if (a->ai_family != AF_INET && a->ai_family != AF_INET6) continue;
        memcpy(&out->addresses[out->n_addresses].address, a->ai_addr, a->ai_addrlen);
        out->addresses[out->n_addresses++].bytes = a->ai_addrlen;
    }
    freeaddrinfo(found);
    if (out->n_addresses > 0) return QN_OK;
    return qn_fail(err, QN_ERR_IO, "%.200s: the name '%s' has no address", url, out->host);
}

qn_status qn_endpoint_open(const char *url, const char *path, qn_endpoint *out, qn_error *err)
{
    *out = (qn_endpoint){.tls = false};
    QN_TRY(split(url, path, out, err));
    return resolve(url, out, err);
}

bool qn_endpoint_may_move(const qn_endpoint *endpoint)
{
    return !endpoint->is_literal && strcasecmp(endpoint->host, "localhost") != 0;
}

bool qn_endpoint_has_same_addresses(const qn_endpoint *a, const qn_endpoint *b)
{
    bool same = a->n_addresses == b->n_addresses;
    for (int i = 0; same && i < a->n_addresses; i++) {
        same =
            a->addresses[i].bytes == b->addresses[i].bytes &&
            memcmp(&a->addresses[i].address, &b->addresses[i].address, a->addresses[i].bytes) == 0;
    }
    return same;
}
