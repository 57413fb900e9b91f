/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/signature.h"

#include "base/alloc.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <sodium.h>
#include <string.h>

enum { SECRET_BYTES_MIN = 32, SECRET_BYTES_MAX = 1024, RSA_BITS_MIN = 2048, RSA_BITS_MAX = 8192 };

struct qn_signature_key {
    qn_signature_algorithm algorithm;
    uint8_t point[crypto_sign_PUBLICKEYBYTES];
    EVP_PKEY *rsa;
    size_t secret_bytes;
    uint8_t secret[SECRET_BYTES_MAX];
};

const char *qn_signature_algorithm_name(qn_signature_algorithm algorithm)
{
    static const char *const names[QN_N_SIGNATURE_ALGORITHMS] = {"HS256", "EdDSA", "RS256"};
    return names[algorithm];
}

static qn_status no_memory(qn_error *err)
{
    return qn_fail(err, QN_ERR_NOMEM, "no memory for a key");
}

static qn_signature_key *make(qn_signature_algorithm algorithm)
{
    qn_signature_key *key = qn_alloc_array(1, sizeof *key);
    if (key) key->algorithm = algorithm;
    return key;
}

void qn_signature_key_free(qn_signature_key *key)
{
    if (!key) return;
    EVP_PKEY_free(key->rsa);
    sodium_memzero(key, sizeof *key);
    qn_free(key);
}

qn_signature_algorithm qn_signature_key_algorithm(const qn_signature_key *key)
{
    return key->algorithm;
}

qn_status qn_signature_key_hs256(const uint8_t *secret, size_t bytes, qn_signature_key **out,
                                 qn_error *err)
{
    *out = NULL;
    if (bytes < SECRET_BYTES_MIN || bytes > SECRET_BYTES_MAX) {
        return qn_fail(err, QN_ERR_DATA, "a secret for HS256 has %d to %d bytes, not %zu",
                       SECRET_BYTES_MIN, SECRET_BYTES_MAX, bytes);
    }
    qn_signature_key *key = make(QN_SIGNATURE_HS256);
    if (!key) return no_memory(err);
    memcpy(key->secret, secret, bytes);
    key->secret_bytes = bytes;
    *out = key;
    return QN_OK;
}

qn_status qn_signature_key_eddsa(const uint8_t *point, size_t bytes, qn_signature_key **out,
                                 qn_error *err)
{
    *out = NULL;
    if (bytes != crypto_sign_PUBLICKEYBYTES) {
        return qn_fail(err, QN_ERR_DATA, "a key for EdDSA (Ed25519) has %d bytes, not %zu",
                       (int)crypto_sign_PUBLICKEYBYTES, bytes);
    }
    qn_signature_key *key = make(QN_SIGNATURE_EDDSA);
    if (!key) return no_memory(err);
    memcpy(key->point, point, bytes);
    *out = key;
    return QN_OK;
}

/* NULL when OpenSSL makes no key of it. */
static EVP_PKEY *make_rsa(const BIGNUM *n, const BIGNUM *e)
{
    EVP_PKEY *rsa = NULL;
    OSSL_PARAM *params = NULL;
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
    OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
    if (builder && OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_N, n) &&
        OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_E, e)) {
        params = OSSL_PARAM_BLD_to_param(builder);
    }
    if (params && context && EVP_PKEY_fromdata_init(context) == 1 &&
        EVP_PKEY_fromdata(context, &rsa, EVP_PKEY_PUBLIC_KEY, params) != 1) {
        rsa = NULL;
    }
    OSSL_PARAM_free(params);
    OSSL_PARAM_BLD_free(builder);
    EVP_PKEY_CTX_free(context);
    ERR_clear_error();
    return rsa;
}

/* An even modulus or exponent is no RSA; a large exponent only costs whoever checks. */
static bool is_good_rsa(const BIGNUM *n, const BIGNUM *e)
{
    const int bits = BN_num_bits(n);
    return bits >= RSA_BITS_MIN && bits <= RSA_BITS_MAX && BN_is_odd(n) && BN_is_odd(e) &&
           !BN_is_one(e) && BN_num_bits(e) <= 64;
}

qn_status qn_signature_key_rs256(const uint8_t *modulus, size_t modulus_bytes,
                                 const uint8_t *exponent, size_t exponent_bytes,
                                 qn_signature_key **out, qn_error *err)
{
    *out = NULL;
    if (modulus_bytes > RSA_BITS_MAX / 8 + 1 || exponent_bytes > 64) {
        return qn_fail(err, QN_ERR_DATA, "a key for RS256 has at most %d bits", RSA_BITS_MAX);
    }
    qn_status status = QN_OK;
    BIGNUM *n = BN_bin2bn(modulus, (int)modulus_bytes, NULL);
    BIGNUM *e = BN_bin2bn(exponent, (int)exponent_bytes, NULL);
    qn_signature_key *key = make(QN_SIGNATURE_RS256);
    if (!n || !e || !key) {
        status = no_memory(err);
    } else if (!is_good_rsa(n, e)) {
        status = qn_fail(err, QN_ERR_DATA,
                         "a key for RS256 has a modulus of %d to %d bits and a small odd exponent",
                         RSA_BITS_MIN, RSA_BITS_MAX);
    } else if (!(key->rsa = make_rsa(n, e))) {
        status = qn_fail(err, QN_ERR_DATA, "this is no key for RS256");
    }
    BN_free(n);
    BN_free(e);
    if (status != QN_OK) {
        qn_signature_key_free(key);
        return status;
    }
    *out = key;
    return QN_OK;
}

static bool check_hs256(const qn_signature_key *key, const void *message, size_t message_bytes,
                        const uint8_t *signature)
{
    crypto_auth_hmacsha256_state state;
    uint8_t expected[crypto_auth_hmacsha256_BYTES];
    crypto_auth_hmacsha256_init(&state, key->secret, key->secret_bytes);
    crypto_auth_hmacsha256_update(&state, message, message_bytes);
    crypto_auth_hmacsha256_final(&state, expected);
    const bool same = sodium_memcmp(expected, signature, sizeof expected) == 0;
    sodium_memzero(&state, sizeof state);
    sodium_memzero(expected, sizeof expected);
    return same;
}

/* EVP's padding for RSA is PKCS #1 v1.5 unless told otherwise. */
static bool check_rs256(const qn_signature_key *key, const void *message, size_t message_bytes,
                        const uint8_t *signature, size_t signature_bytes)
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    const bool same =
        context && EVP_DigestVerifyInit(context, NULL, EVP_sha256(), NULL, key->rsa) == 1 &&
        EVP_DigestVerify(context, signature, signature_bytes, message, message_bytes) == 1;
    EVP_MD_CTX_free(context);
    ERR_clear_error();
    return same;
}

bool qn_signature_check(const qn_signature_key *key, const void *message, size_t message_bytes,
                        const uint8_t *signature, size_t signature_bytes)
{
    switch (key->algorithm) {
    case QN_SIGNATURE_HS256:
        return signature_bytes == crypto_auth_hmacsha256_BYTES &&
               check_hs256(key, message, message_bytes, signature);
    case QN_SIGNATURE_EDDSA:
        return signature_bytes == crypto_sign_BYTES &&
               crypto_sign_verify_detached(signature, message, message_bytes, key->point) == 0;
    case QN_SIGNATURE_RS256:
        return check_rs256(key, message, message_bytes, signature, signature_bytes);
    case QN_N_SIGNATURE_ALGORITHMS:
        break;
    }
    return false;
}
