/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/secret.h"

#include "check.h"

static void base64url_reads_what_it_writes_and_nothing_else(void **state)
{
    (void)state;
    qn_error err = {0};
    uint8_t data[64], back[64];
    char text[QN_BASE64URL_ROOM(64)];
    size_t bytes;
    CHECK_OK(qn_crypto_begin(&err));
    for (size_t n = 0; n <= sizeof data; n++) {
        qn_random_bytes(data, n);
        qn_base64url_write(data, n, text, sizeof text);
        CHECK(qn_base64url_read(text, strlen(text), back, sizeof back, &bytes));
        CHECK_INT(bytes, n);
        CHECK(n == 0 || memcmp(data, back, n) == 0);
    }
    static const char *const wrong[] = {"A", "AA==", "A A", "AA\n", "A+A/", "AB", "AAF"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        CHECK(!qn_base64url_read(wrong[i], strlen(wrong[i]), back, sizeof back, &bytes));
    }
    CHECK(!qn_base64url_read("AAAA", 4, back, 2, &bytes)); /* no room */
}

static void hexadecimal_is_of_one_length(void **state)
{
    (void)state;
    uint8_t out[2];
    char text[5];
    CHECK(qn_hex_read("0aFf", 4, out, 2));
    CHECK_INT(out[0], 10);
    CHECK_INT(out[1], 255);
    qn_hex_write(out, 2, text);
    CHECK_TEXT(text, "0aff");
    CHECK(!qn_hex_read("0af", 3, out, 2));
    CHECK(!qn_hex_read("0aff0", 5, out, 2));
    CHECK(!qn_hex_read("0ag0", 4, out, 2));
}

/* As `b2sum -l 256` has it. */
static void the_digest_is_blake2b(void **state)
{
    (void)state;
    uint8_t digest[QN_DIGEST_BYTES];
    char text[2 * QN_DIGEST_BYTES + 1];
    qn_digest("abc", 3, digest);
    qn_hex_write(digest, sizeof digest, text);
    CHECK_TEXT(text, "bddd813c634239723171ef3fee98579b94964e3bb1cb3e427262c8c068d52319");
    CHECK(qn_secret_equals(digest, digest, sizeof digest));
    digest[31] ^= 1;
    uint8_t other[QN_DIGEST_BYTES];
    qn_digest("abc", 3, other);
    CHECK(!qn_secret_equals(digest, other, sizeof digest));
    qn_secret_wipe(other, sizeof other);
    CHECK_INT(other[0] | other[31], 0);
}

RUN_TESTS(TEST(base64url_reads_what_it_writes_and_nothing_else), TEST(hexadecimal_is_of_one_length),
          TEST(the_digest_is_blake2b))
