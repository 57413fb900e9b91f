/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/http/http_reader.h"

#include "base/str.h"
#include "check.h"

#include <stdlib.h>

static const qn_http_limits limits = {.head_bytes_max = 2000, .body_bytes_max = 1000};

/* Gives `text` to the reader in pieces of `step` bytes, until a message ends or is bad. Returns
 * what came last; *fed counts the bytes given. */
static qn_http_progress feed(qn_http_reader *reader, const char *text, size_t bytes, size_t step,
                             size_t *fed)
{
    qn_http_progress progress = QN_HTTP_MORE;
    *fed = 0;
    while (*fed < bytes && (progress == QN_HTTP_MORE || progress == QN_HTTP_CONTINUE)) {
        size_t room, n = bytes - *fed < step ? bytes - *fed : step;
        char *space = qn_http_reader_space(reader, &room);
        CHECK(space != NULL && room > 0);
        if (n > room) n = room;
        memcpy(space, text + *fed, n);
        qn_http_reader_add(reader, n);
        *fed += n;
        progress = qn_http_reader_parse(reader);
    }
    return progress;
}

static void check_span(qn_span span, const char *expected)
{
    CHECK(span.text != NULL);
    CHECK_INT(span.bytes, strlen(expected));
    CHECK(memcmp(span.text, expected, span.bytes) == 0);
}

static const char with_length[] = "POST /v1/models/m?x=%20 HTTP/1.1\r\nHost: here\r\n"
                                  "Content-Type:  application/json \r\nX-Empty:\r\n"
                                  "content-length: 11\r\n\r\n{\"a\": 1234}";
static const char in_chunks[] =
    "POST /v1/models/m?x=%20 HTTP/1.1\r\nhost: here\r\n"
    "Content-Type:  application/json \r\nX-Empty:\r\n"
    "Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n6;a=\"b\"\r\n\"a\": 1\r\n"
    "04\r\n234}\r\n0\r\nTrailer: x\r\n\r\n";

/* However the network cuts it. */
static void a_message_is_read_in_any_pieces(void **state)
{
    (void)state;
    const char *const texts[] = {with_length, in_chunks};
    for (int t = 0; t < 2; t++) {
        const size_t bytes = strlen(texts[t]);
        for (size_t step = 1; step <= bytes; step++) {
            qn_http_reader reader;
            size_t fed;
            qn_http_reader_init(&reader, &limits);
            CHECK_INT(feed(&reader, texts[t], bytes, step, &fed), QN_HTTP_DONE);
            CHECK_INT(fed, bytes);
            CHECK_INT(reader.method, QN_HTTP_POST);
            CHECK(reader.keep_alive && reader.http_1_1);
            check_span(qn_http_target(&reader), "/v1/models/m?x=%20");
            check_span(qn_http_header(&reader, "content-type"), "application/json");
            check_span(qn_http_header(&reader, "x-empty"), "");
            check_span(qn_http_header(&reader, "HOST"), "here");
            CHECK(qn_http_header(&reader, "trailer").text == NULL);
            check_span(qn_http_body(&reader), "{\"a\": 1234}");
            CHECK(!qn_http_reader_next(&reader));
            CHECK(!qn_http_reader_has_begun(&reader));
            qn_http_reader_release(&reader);
        }
    }
}

static void pipelined_messages_wait_for_their_turn(void **state)
{
    (void)state;
    qn_str text = {0};
    for (int i = 0; i < 50; i++) {
        qn_str_add(&text, i % 3 == 0 ? in_chunks : with_length);
        qn_str_add(&text, "GET /livez HTTP/1.1\r\nHost: a\r\n\r\n");
    }
    for (size_t step = 1; step < 5000; step = step * 3 + 1) {
        qn_http_reader reader;
        size_t at = 0, fed;
        qn_http_reader_init(&reader, &limits);
        for (int i = 0; i < 100; i++) {
            qn_http_progress progress = qn_http_reader_parse(&reader);
            if (progress != QN_HTTP_DONE) {
                progress = feed(&reader, text.text + at, text.bytes - at, step, &fed);
                at += fed;
            }
            CHECK_INT(progress, QN_HTTP_DONE);
            check_span(qn_http_body(&reader), i % 2 ? "" : "{\"a\": 1234}");
            CHECK_INT(reader.method, i % 2 ? QN_HTTP_GET : QN_HTTP_POST);
            qn_http_reader_next(&reader);
            if (i % 7 == 0) qn_http_reader_shrink(&reader);
        }
        CHECK_INT(at, text.bytes);
        CHECK(!qn_http_reader_has_begun(&reader));
        qn_http_reader_release(&reader);
    }
    qn_str_release(&text);
}

/* Status of the refusal; 0: read, -1: more is waited for. */
static int status_of_bytes(const char *text, size_t bytes, size_t step)
{
    qn_http_reader reader;
    size_t fed;
    qn_http_reader_init(&reader, &limits);
    const qn_http_progress progress = feed(&reader, text, bytes, step, &fed);
    const int status = progress == QN_HTTP_BAD ? reader.status : progress == QN_HTTP_DONE ? 0 : -1;
    qn_http_reader_release(&reader);
    return status;
}

static void hostile_messages_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int status;
    } cases[] = {
        {"GET / HTTP/1.1\r\nHost: a\r\n\r\n", 0},
        {"GET / HTTP/1.0\r\n\r\n", 0},
        {"\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 0},
        {"GET / HTTP/1.1\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400},
        {"GET / HTTP/1.1\nHost: a\n\n", 400},
        {"GET /\r\n\r\n", 505},
        {"GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505},
        {"GET / HTTP/0.9\r\nHost: a\r\n\r\n", 505},
        {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505},
        {"\x16\x03\x01\x02\x05\x01", 400},
        {"GET / HTTP/1.1\r\nHost : a\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nHost: a\r\n b\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nHost: a\r\nA: b\x01\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nHost: a\r\nA B: c\r\n\r\n", 400},
        {"CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n", 405},
        {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n1", 400},
        {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n1", 400},
        {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +5\r\n\r\n12345", 400},
        {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x5\r\n\r\n12345", 400},
        {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5, 5\r\n\r\n12345", 400},
        {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n", 400},
        {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 18446744073709551616\r\n\r\n", 400},
        {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 18446744073709551615\r\n\r\n", 413},
        {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1001\r\n\r\n", 413},
        {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0",
         400},
        {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 501},
        {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity\r\n\r\n", 501},
        {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n", 400},
        {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n", 400},
        {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n", 400},
        {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n11111111111111111\r\n",
         400},
        {"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
        {"POST / HTTP/1.1\r\nHost: a\r\nExpect: magic\r\n\r\n", 417},
        {"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n", 0}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        for (size_t step = 1; step < 100; step += 33) {
            const int status = status_of_bytes(cases[i].text, strlen(cases[i].text), step);
            if (status != cases[i].status)
                fail_msg("%s: %d, not %d", cases[i].text, status, cases[i].status);
        }
    }
    static const char zero[] = "GET / HTTP/1.1\r\nHost: a\r\nA: \0\r\n\r\n";
    CHECK_INT(status_of_bytes(zero, sizeof zero - 1, 50), 400);
}

static void limits_hold(void **state)
{
    (void)state;
    qn_str text = {0};
    qn_str_add(&text, "GET /");
    for (int i = 0; i < 3000; i++) {
        qn_str_add_char(&text, 'a');
    }
    CHECK_INT(status_of_bytes(text.text, text.bytes, 7), 414);
    CHECK_INT(status_of_bytes(text.text, text.bytes, 4000), 414);
    qn_str_clear(&text);
    qn_str_add(&text, "GET / HTTP/1.1\r\nHost: a\r\nA: ");
    for (int i = 0; i < 3000; i++) {
        qn_str_add_char(&text, 'a');
    }
    CHECK_INT(status_of_bytes(text.text, text.bytes, 7), 431);
    CHECK_INT(status_of_bytes(text.text, text.bytes, 4000), 431);
    qn_str_clear(&text);
    qn_str_add(&text, "GET / HTTP/1.1\r\nHost: a\r\n");
    for (int i = 0; i < 101; i++) {
        qn_str_add(&text, "a:b\r\n");
    }
    qn_str_add(&text, "\r\n");
    CHECK_INT(status_of_bytes(text.text, text.bytes, 50), 431);
    qn_str_clear(&text);
    for (int i = 0; i < 3000; i++) {
        qn_str_add(&text, "\r\n");
    }
    CHECK_INT(status_of_bytes(text.text, text.bytes, 50), 414);
    qn_str_clear(&text);
    qn_str_add(&text, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    for (int i = 0; i < 1001; i++) {
        qn_str_add(&text, "1\r\nx\r\n");
    }
    CHECK_INT(status_of_bytes(text.text, text.bytes, 50), 413);
    qn_str_clear(&text);
    qn_str_add(&text, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1;");
    for (int i = 0; i < 100000; i++) {
        qn_str_add_char(&text, 'x');
    }
    CHECK_INT(status_of_bytes(text.text, text.bytes, 50), 400);
    qn_str_release(&text);
}

/* The buffer of a body in small chunks does not grow with their frames. */
static void frames_of_chunks_are_not_kept(void **state)
{
    (void)state;
    const qn_http_limits wide = {.head_bytes_max = 2000, .body_bytes_max = 100000};
    qn_http_reader reader;
    size_t fed;
    qn_str text = {0};
    qn_str_add(&text, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    for (int i = 0; i < 20000; i++) {
        qn_str_addf(&text, "1\r\n%c\r\n", 'a' + i % 26);
    }
    qn_str_add(&text, "0\r\n\r\n");
    qn_http_reader_init(&reader, &wide);
    CHECK_INT(feed(&reader, text.text, text.bytes, 100, &fed), QN_HTTP_DONE);
    const qn_span body = qn_http_body(&reader);
    CHECK_INT(body.bytes, 20000);
    for (int i = 0; i < 20000; i++) {
        CHECK(body.text[i] == 'a' + i % 26);
    }
    CHECK(reader.room <= 32768);
    qn_http_reader_release(&reader);
    qn_str_release(&text);
}

static void an_expecting_sender_is_told_once(void **state)
{
    (void)state;
    static const char head[] = "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-Continue\r\n"
                               "Content-Length: 2\r\n\r\n";
    qn_http_reader reader;
    size_t fed;
    qn_http_reader_init(&reader, &limits);
    CHECK_INT(feed(&reader, head, sizeof head - 1, 1000, &fed), QN_HTTP_CONTINUE);
    CHECK_INT(feed(&reader, "1", 1, 1, &fed), QN_HTTP_MORE);
    CHECK_INT(feed(&reader, "2", 1, 1, &fed), QN_HTTP_DONE);
    qn_http_reader_release(&reader);
}

RUN_TESTS(TEST(a_message_is_read_in_any_pieces), TEST(pipelined_messages_wait_for_their_turn),
          TEST(hostile_messages_are_refused), TEST(limits_hold),
          TEST(frames_of_chunks_are_not_kept), TEST(an_expecting_sender_is_told_once))
