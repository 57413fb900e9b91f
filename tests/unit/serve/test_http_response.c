/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/http/http_response.h"

#include "check.h"

static qn_response_progress feed(qn_http_response *response, const char *text, size_t piece)
{
    const size_t bytes = strlen(text);
    qn_response_progress progress = QN_RESPONSE_MORE;
    qn_http_response_begin(response);
    for (size_t at = 0; at < bytes && progress == QN_RESPONSE_MORE; at += piece) {
        progress =
            qn_http_response_add(response, text + at, at + piece < bytes ? piece : bytes - at);
    }
    return progress;
}

static void a_response_is_the_same_however_it_is_cut(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int status;
        bool keep_alive;
        double retry_after_s;
        const char *body;
    } cases[] = {
        {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", 200, true, 0, "{}"},
        {"HTTP/1.1 202\r\ncontent-length:0\r\n\r\n", 202, true, 0, ""},
        {"HTTP/1.1 204 No Content\r\n\r\n", 204, true, 0, ""},
        {"HTTP/1.1 503 x\r\nRETRY-AFTER:  7 \r\nConnection: close\r\nContent-Length: 1\r\n\r\nx",
         503, false, 7, "x"},
        {"HTTP/1.1 503 x\r\nRetry-After: Wed, 21 Oct 2026 07:28:00 GMT\r\nContent-Length: "
         "0\r\n\r\n",
         503, true, 0, ""},
        {"HTTP/1.1 503 x\r\nRetry-After: -5\r\nContent-Length: 0\r\n\r\n", 503, true, 0, ""},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n1;x=y\r\nd\r\n0\r\n\r\n",
         200, true, 0, "abcd"},
        {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 429 x\r\nContent-Length: 0\r\n\r\n", 429, true, 0,
         ""}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        for (size_t piece = 1; piece < 200; piece += piece < 8 ? 1 : 37) {
            qn_http_response r;
            CHECK_INT(feed(&r, cases[i].text, piece), QN_RESPONSE_DONE);
            CHECK_INT(r.status, cases[i].status);
            CHECK_INT(r.keep_alive, cases[i].keep_alive);
            CHECK(r.retry_after_s == cases[i].retry_after_s);
            CHECK_INT(r.body_bytes, strlen(cases[i].body));
            CHECK(memcmp(r.body, cases[i].body, r.body_bytes) == 0);
        }
    }
}

static void a_body_may_end_with_the_connection(void **state)
{
    (void)state;
    qn_http_response r;
    CHECK_INT(feed(&r, "HTTP/1.1 200 OK\r\n\r\nabc", 4), QN_RESPONSE_MORE);
    CHECK_INT(qn_http_response_add(&r, NULL, 0), QN_RESPONSE_DONE);
    CHECK(!r.keep_alive && r.body_bytes == 3);
}

static void what_is_no_response_is_bad(void **state)
{
    (void)state;
    const char *const bad[] = {"SSH-2.0-OpenSSH_9\r\n",
                               "HTTP/1.1 2x0 OK\r\n\r\n",
                               "<html>",
                               "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
                               "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
                               "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        qn_http_response r;
        CHECK_INT(feed(&r, bad[i], 3), QN_RESPONSE_BAD);
    }
    qn_http_response r; /* ended too early, or before it began */
    CHECK_INT(feed(&r, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc", 9), QN_RESPONSE_MORE);
    CHECK_INT(qn_http_response_add(&r, NULL, 0), QN_RESPONSE_BAD);
    qn_http_response_begin(&r);
    CHECK_INT(qn_http_response_add(&r, NULL, 0), QN_RESPONSE_BAD);
}

/* Whoever never ends, in the head or the body, is not listened to for ever. */
static void no_response_is_endless(void **state)
{
    (void)state;
    const char *const begins[] = {"HTTP/1.1 200 OK\r\n\r\n", "HTTP/1.1 200 OK\r\nx: ",
                                  "HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n"};
    for (size_t i = 0; i < sizeof begins / sizeof *begins; i++) {
        qn_http_response r;
        char filler[1000];
        int n = 0;
        memset(filler, 'a', sizeof filler);
        CHECK_INT(feed(&r, begins[i], 100), QN_RESPONSE_MORE);
        while (qn_http_response_add(&r, filler, sizeof filler) == QN_RESPONSE_MORE) {
            CHECK(n++ < 100);
        }
        CHECK(n > 50 && r.body_bytes <= QN_RESPONSE_KEPT_BYTES);
    }
}

RUN_TESTS(TEST(a_response_is_the_same_however_it_is_cut), TEST(a_body_may_end_with_the_connection),
          TEST(what_is_no_response_is_bad), TEST(no_response_is_endless))
