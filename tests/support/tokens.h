/* SPDX-License-Identifier: Apache-2.0 */
/* Tokens as their issuers make them, good and bad, for the tests of those who check them. */
#ifndef TESTS_SUPPORT_TOKENS_H
#define TESTS_SUPPORT_TOKENS_H

#include "check.h"

#include "base/str.h"
#include "crypto/secret.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <sodium.h>
#include <stdlib.h>

typedef struct token_maker {
    uint8_t secret[32];
    uint8_t ed_public[crypto_sign_PUBLICKEYBYTES], ed_private[crypto_sign_SECRETKEYBYTES];
    EVP_PKEY *rsa;
    char *jwks; /* the keys "h" (HS256), "e" (EdDSA), "r" (RS256) */
    uint8_t modulus[256];
} token_maker; /* release with token_maker_release() */

static inline void token_maker_init(token_maker *maker)
{
    qn_error err = {0};
    uint8_t exponent[8];
    char secret[64], point[64], n[QN_BASE64URL_ROOM(256)], e[16];
    qn_str jwks = {0};
    BIGNUM *modulus = NULL, *exponent_number = NULL;
    CHECK_OK(qn_crypto_begin(&err));
    qn_random_bytes(maker->secret, sizeof maker->secret);
    crypto_sign_keypair(maker->ed_public, maker->ed_private);
    maker->rsa = EVP_RSA_gen(2048);
    CHECK(maker->rsa != NULL);
    CHECK(EVP_PKEY_get_bn_param(maker->rsa, OSSL_PKEY_PARAM_RSA_N, &modulus) == 1);
    CHECK(EVP_PKEY_get_bn_param(maker->rsa, OSSL_PKEY_PARAM_RSA_E, &exponent_number) == 1);
    CHECK(BN_bn2bin(modulus, maker->modulus) == 256);
    const int e_bytes = BN_bn2bin(exponent_number, exponent);
    BN_free(modulus);
    BN_free(exponent_number);
    qn_base64url_write(maker->secret, sizeof maker->secret, secret, sizeof secret);
    qn_base64url_write(maker->ed_public, sizeof maker->ed_public, point, sizeof point);
    qn_base64url_write(maker->modulus, 256, n, sizeof n);
    qn_base64url_write(exponent, (size_t)e_bytes, e, sizeof e);
    qn_str_addf(&jwks,
                "{\"keys\":[{\"kty\":\"oct\",\"kid\":\"h\",\"alg\":\"HS256\",\"k\":\"%s\"},"
                "{\"kty\":\"OKP\",\"kid\":\"e\",\"crv\":\"Ed25519\",\"x\":\"%s\"},"
                "{\"kty\":\"RSA\",\"kid\":\"r\",\"use\":\"sig\",\"n\":\"%s\",\"e\":\"%s\"}]}",
                secret, point, n, e);
    maker->jwks = qn_str_take_text(&jwks);
}

static inline void token_maker_release(token_maker *maker)
{
    EVP_PKEY_free(maker->rsa);
    qn_free(maker->jwks);
}

static inline void token_add_part(qn_str *token, const void *data, size_t bytes)
{
    char text[QN_BASE64URL_ROOM(8192)];
    CHECK(bytes <= 8192);
    qn_base64url_write(data, bytes, text, sizeof text);
    qn_str_add(token, text);
}

static inline size_t token_sign(const token_maker *maker, const char *how, const qn_str *text,
                                uint8_t *out)
{
    unsigned long long n = 0;
    size_t room = 512;
    if (strcmp(how, "HS256") == 0) {
        crypto_auth_hmacsha256(out, (const uint8_t *)text->text, text->bytes, maker->secret);
        return crypto_auth_hmacsha256_BYTES;
    }
    if (strcmp(how, "EdDSA") == 0) {
        crypto_sign_detached(out, &n, (const uint8_t *)text->text, text->bytes, maker->ed_private);
        return (size_t)n;
    }
    if (strcmp(how, "RS256") == 0) {
        EVP_MD_CTX *context = EVP_MD_CTX_new();
        CHECK(EVP_DigestSignInit(context, NULL, EVP_sha256(), NULL, maker->rsa) == 1);
        CHECK(EVP_DigestSign(context, out, &room, (const uint8_t *)text->text, text->bytes) == 1);
        EVP_MD_CTX_free(context);
        return room;
    }
    if (strcmp(how, "modulus as secret") == 0) { /* what is public, taken for a secret */
        crypto_auth_hmacsha256_state state;
        crypto_auth_hmacsha256_init(&state, maker->modulus, sizeof maker->modulus);
        crypto_auth_hmacsha256_update(&state, (const uint8_t *)text->text, text->bytes);
        crypto_auth_hmacsha256_final(&state, out);
        return crypto_auth_hmacsha256_BYTES;
    }
    if (strcmp(how, "point as secret") == 0) {
        crypto_auth_hmacsha256(out, (const uint8_t *)text->text, text->bytes, maker->ed_public);
        return crypto_auth_hmacsha256_BYTES;
    }
    if (strcmp(how, "empty") == 0) return 0;
    fail_msg("no way to sign: %s", how);
    return 0;
}

/* The token of that header and payload, to qn_free(). */
static inline char *token_make(const token_maker *maker, const char *header, const char *payload,
                               const char *how)
{
    qn_str token = {0};
    uint8_t signature[512];
    token_add_part(&token, header, strlen(header));
    qn_str_add_char(&token, '.');
    token_add_part(&token, payload, strlen(payload));
    const size_t bytes = token_sign(maker, how, &token, signature);
    qn_str_add_char(&token, '.');
    token_add_part(&token, signature, bytes);
    return qn_str_take_text(&token);
}

#endif
