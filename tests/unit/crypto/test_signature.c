/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/signature.h"

#include "tokens.h"

static void keys_that_are_weak_or_broken_are_refused(void **state)
{
    (void)state;
    qn_error err = {0};
    qn_signature_key *key;
    uint8_t bytes[1100];
    memset(bytes, 0xff, sizeof bytes);
    CHECK_FAILS(QN_ERR_DATA, qn_signature_key_hs256(bytes, 31, &key, &err));
    CHECK_CONTAINS(err.message, "32 to 1024 bytes, not 31");
    CHECK_FAILS(QN_ERR_DATA, qn_signature_key_hs256(bytes, 1025, &key, &err));
    CHECK_FAILS(QN_ERR_DATA, qn_signature_key_eddsa(bytes, 31, &key, &err));
    CHECK_FAILS(QN_ERR_DATA, qn_signature_key_eddsa(bytes, 33, &key, &err));
    const uint8_t three[] = {3}, two[] = {2}, one[] = {1};
    uint8_t large[9] = {1, 0, 0, 0, 0, 0, 0, 0, 1};
    CHECK_FAILS(QN_ERR_DATA, qn_signature_key_rs256(bytes, 255, three, 1, &key, &err));
    CHECK_CONTAINS(err.message, "2048 to 8192 bits");
    CHECK_FAILS(QN_ERR_DATA, qn_signature_key_rs256(bytes, 1026, three, 1, &key, &err));
    CHECK_FAILS(QN_ERR_DATA, qn_signature_key_rs256(bytes, 256, two, 1, &key, &err));
    CHECK_FAILS(QN_ERR_DATA, qn_signature_key_rs256(bytes, 256, one, 1, &key, &err));
    CHECK_FAILS(QN_ERR_DATA, qn_signature_key_rs256(bytes, 256, large, 9, &key, &err));
    bytes[255] = 0xfe; /* even */
    CHECK_FAILS(QN_ERR_DATA, qn_signature_key_rs256(bytes, 256, three, 1, &key, &err));
    CHECK(key == NULL);
}

/* Every algorithm takes its own signature, and none with a bit, a byte or a message changed. */
static void a_signature_is_of_one_key_and_message(void **state)
{
    (void)state;
    static const char *const names[] = {"HS256", "EdDSA", "RS256"};
    qn_error err = {0};
    token_maker maker;
    qn_signature_key *keys[3];
    const uint8_t exponent[] = {1, 0, 1};
    token_maker_init(&maker);
    CHECK_OK(qn_signature_key_hs256(maker.secret, 32, &keys[0], &err));
    CHECK_OK(qn_signature_key_eddsa(maker.ed_public, 32, &keys[1], &err));
    CHECK_OK(qn_signature_key_rs256(maker.modulus, 256, exponent, 3, &keys[2], &err));
    qn_str message = {0};
    qn_str_add(&message, "a message");
    for (int i = 0; i < 3; i++) {
        uint8_t signature[512];
        CHECK_TEXT(qn_signature_algorithm_name(qn_signature_key_algorithm(keys[i])), names[i]);
        const size_t n = token_sign(&maker, names[i], &message, signature);
        for (int j = 0; j < 3; j++) {
            CHECK(qn_signature_check(keys[j], message.text, message.bytes, signature, n) ==
                  (i == j));
        }
        CHECK(!qn_signature_check(keys[i], message.text, message.bytes - 1, signature, n));
        CHECK(!qn_signature_check(keys[i], message.text, message.bytes, signature, n - 1));
        CHECK(!qn_signature_check(keys[i], message.text, message.bytes, signature, 0));
        for (size_t byte = 0; byte < n; byte++) {
            signature[byte] ^= 0x10;
            CHECK(!qn_signature_check(keys[i], message.text, message.bytes, signature, n));
            signature[byte] ^= 0x10;
        }
    }
    for (int i = 0; i < 3; i++) {
        qn_signature_key_free(keys[i]);
    }
    qn_str_release(&message);
    token_maker_release(&maker);
}

/* RFC 4231, test case 1 has a key of 20 bytes, too short for a token; case 6 has one of 131. */
static void hs256_is_the_hmac_of_the_rfc(void **state)
{
    (void)state;
    qn_error err = {0};
    qn_signature_key *key;
    uint8_t secret[131], signature[32];
    memset(secret, 0xaa, sizeof secret);
    const char *text = "Test Using Larger Than Block-Size Key - Hash Key First";
    CHECK(qn_hex_read("60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54", 64,
                      signature, 32));
    CHECK_OK(qn_signature_key_hs256(secret, sizeof secret, &key, &err));
    CHECK(qn_signature_check(key, text, strlen(text), signature, 32));
    qn_signature_key_free(key);
}

/* RFC 8037, appendix A.4. */
static void eddsa_is_that_of_the_rfc(void **state)
{
    (void)state;
    qn_error err = {0};
    qn_signature_key *key;
    uint8_t point[32], signature[64];
    size_t n;
    const char *text = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc";
    const char *encoded = "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsP"
                          "t9g7sVvpAr_MuM0KAg";
    CHECK(qn_base64url_read("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo", 43, point, 32, &n));
    CHECK(qn_base64url_read(encoded, strlen(encoded), signature, 64, &n));
    CHECK_OK(qn_signature_key_eddsa(point, 32, &key, &err));
    CHECK(qn_signature_check(key, text, strlen(text), signature, 64));
    qn_signature_key_free(key);
}

static void making_keys_survives_running_out_of_memory(void **state)
{
    (void)state;
    qn_signature_key *key = NULL;
    token_maker maker;
    const uint8_t exponent[] = {1, 0, 1};
    token_maker_init(&maker);
    CHECK_SURVIVES_NO_MEMORY(qn_signature_key_hs256(maker.secret, 32, &key, NULL));
    qn_signature_key_free(key);
    CHECK_SURVIVES_NO_MEMORY(qn_signature_key_eddsa(maker.ed_public, 32, &key, NULL));
    qn_signature_key_free(key);
    CHECK_SURVIVES_NO_MEMORY(qn_signature_key_rs256(maker.modulus, 256, exponent, 3, &key, NULL));
    qn_signature_key_free(key);
    token_maker_release(&maker);
}

RUN_TESTS(TEST(keys_that_are_weak_or_broken_are_refused),
          TEST(a_signature_is_of_one_key_and_message), TEST(hs256_is_the_hmac_of_the_rfc),
          TEST(eddsa_is_that_of_the_rfc), TEST(making_keys_survives_running_out_of_memory))
