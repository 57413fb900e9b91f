/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/http/endpoint.h"

#include "check.h"

#include <netinet/in.h>

static void urls_are_taken_apart(void **state)
{
    (void)state;
    static const struct {
        const char *url;
        bool tls;
        const char *host, *authority, *path;
        int port;
    } cases[] = {
        {"http://127.0.0.1:4318", false, "127.0.0.1", "127.0.0.1:4318", "/v1/traces", 4318},
        {"HTTPS://127.0.0.1/", true, "127.0.0.1", "127.0.0.1:443", "/v1/traces", 443},
        {"http://127.0.0.1/a/b?c=d", false, "127.0.0.1", "127.0.0.1:80", "/a/b?c=d", 80},
        {"http://[::1]:9411/x", false, "::1", "[::1]:9411", "/x", 9411}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        qn_endpoint endpoint;
        qn_error err = {0};
        CHECK_OK(qn_endpoint_open(cases[i].url, "/v1/traces", &endpoint, &err));
        CHECK_INT(endpoint.tls, cases[i].tls);
        CHECK_TEXT(endpoint.host, cases[i].host);
        CHECK_TEXT(endpoint.authority, cases[i].authority);
        CHECK_TEXT(endpoint.path, cases[i].path);
        CHECK_INT(endpoint.port, cases[i].port);
        CHECK(endpoint.is_literal && endpoint.n_addresses == 1);
        const struct sockaddr_in *in =
            (const struct sockaddr_in *)(const void *)&endpoint.addresses[0].address;
        CHECK_INT(ntohs(in->sin_port), cases[i].port); /* at the same place for IPv6 */
    }
}

static void what_is_no_url_is_refused(void **state)
{
    (void)state;
    char host[400] = "http://", path[800] = "http://127.0.0.1/";
    memset(host + 7, 'a', 300);
    memset(path + 17, 'a', 700);
    const char *const bad[] = {"",
                               "127.0.0.1:4318",
                               "ftp://127.0.0.1",
                               "http://",
                               "http://:80",
                               "http://127.0.0.1:",
                               "http://127.0.0.1:0",
                               "http://127.0.0.1:65536",
                               "http://127.0.0.1:4318x",
                               "http://[::1",
                               "http://[::1]4318",
                               "http://[127.0.0.1]:80",
                               "http://[]:80",
                               "http://a b/",
                               "http://127.0.0.1/a b",
                               "http://127.0.0.1/\r\nx: y",
                               "http://127.0.0.1/#a",
                               "http://127.0.0.1?a",
                               "http://u:p@127.0.0.1/",
                               host,
                               path};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        qn_endpoint endpoint;
        qn_error err = {0};
        CHECK_FAILS(QN_ERR_ARG, qn_endpoint_open(bad[i], "/", &endpoint, &err));
        CHECK(strstr(err.message, "u:p") == NULL);
    }
}

static void names_that_are_nobodys_are_told(void **state)
{
    (void)state;
    qn_endpoint endpoint;
    qn_error err = {0};
    CHECK_FAILS(QN_ERR_IO, qn_endpoint_open("http://no-such-host.invalid:1", "/", &endpoint, &err));
    CHECK_CONTAINS(err.message, "the name 'no-such-host.invalid' cannot be resolved");
}

static void names_may_move_and_addresses_not(void **state)
{
    (void)state;
    qn_endpoint a, b;
    qn_error err = {0};
    CHECK_OK(qn_endpoint_open("http://127.0.0.1:1", "/", &a, &err));
    CHECK_OK(qn_endpoint_open("http://127.0.0.2:1", "/", &b, &err));
    CHECK(!qn_endpoint_may_move(&a));
    CHECK(qn_endpoint_has_same_addresses(&a, &a) && !qn_endpoint_has_same_addresses(&a, &b));
    CHECK_OK(qn_endpoint_open("http://[::1]:1", "/", &b, &err));
    CHECK(!qn_endpoint_may_move(&b) && !qn_endpoint_has_same_addresses(&a, &b));
    CHECK_OK(qn_endpoint_open("http://LocalHost:1", "/", &b, &err));
    CHECK(!qn_endpoint_may_move(&b));
    strcpy(b.host, "collector");
    CHECK(qn_endpoint_may_move(&b));
}

RUN_TESTS(TEST(urls_are_taken_apart), TEST(what_is_no_url_is_refused),
          TEST(names_that_are_nobodys_are_told), TEST(names_may_move_and_addresses_not))
