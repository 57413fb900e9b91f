/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/http/reply.h"

#include "check.h"

static qn_reply reply_to(qn_str *out, bool http_1_1)
{
    return (qn_reply){.out = out, .date = "today", .http_1_1 = http_1_1, .keep_alive = true};
}

/* A reply that was whole becomes the connection's last: one more line, the body where it was said
 * to be, and what waits before it as it was. */
static void a_whole_reply_can_become_the_last(void **state)
{
    (void)state;
    static const char first[] = "HTTP/1.1 100 Continue\r\n\r\n";
    qn_str out = {0};
    qn_str_add(&out, first);
    qn_reply reply = reply_to(&out, true);
    qn_reply_text(&reply, 200, "text/plain", "x: y\r\n", "the body\r\n\r\nand more");
    CHECK(strstr(out.text, "connection:") == NULL);
    const size_t before = out.bytes;
    qn_reply_make_last(&reply);
    CHECK(!out.failed && !reply.keep_alive);
    CHECK_INT(out.bytes, before + strlen("connection: close\r\n"));
    CHECK(strncmp(out.text, first, strlen(first)) == 0);
    CHECK_CONTAINS(out.text, "x: y\r\nconnection: close\r\n\r\nthe body\r\n\r\nand more");
    CHECK_CONTAINS(out.text, " 20\r\n"); /* the length */
    CHECK_TEXT(out.text + reply.body_at, "the body\r\n\r\nand more");
    qn_str_release(&out);
}

static void one_of_http_1_0_is_as_it_was(void **state)
{
    (void)state;
    qn_str out = {0};
    qn_reply reply = reply_to(&out, false);
    qn_reply_text(&reply, 200, NULL, NULL, "body");
    const size_t before = out.bytes;
    qn_reply_make_last(&reply);
    CHECK(!reply.keep_alive);
    CHECK_INT(out.bytes, before);
    qn_str_release(&out);
}

/* The reply is then lost as any other is that there is no memory for. */
static void a_lack_of_memory_is_told(void **state)
{
    (void)state;
    qn_str out = {0};
    qn_reply reply = reply_to(&out, true);
    qn_reply_text(&reply, 200, NULL, NULL, "body");
    while (out.room - out.bytes > 8) { /* no room for the line */
        qn_str_add_char(&out, 'x');
    }
    qn_alloc_fail_at(1, true);
    qn_reply_make_last(&reply);
    qn_alloc_fail_at(0, false);
    CHECK(out.failed);
    qn_reply_make_last(&reply); /* does nothing more */
    qn_str_release(&out);
}

RUN_TESTS(TEST(a_whole_reply_can_become_the_last), TEST(one_of_http_1_0_is_as_it_was),
          TEST(a_lack_of_memory_is_told))
