/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/secret.h"

#include <assert.h>
#include <sodium.h>
#include <string.h>

static_assert(QN_DIGEST_BYTES == crypto_generichash_BYTES, "BLAKE2b's usual length");
static_assert(QN_SIP_KEY_BYTES == crypto_shorthash_KEYBYTES, "SipHash's key");

qn_status qn_crypto_begin(qn_error *err)
{
    if (sodium_init() >= 0) return QN_OK;
    return qn_fail(err, QN_ERR_UNSUPPORTED, "the system gives no random numbers");
}

void qn_random_bytes(void *out, size_t bytes)
{
    randombytes_buf(out, bytes);
}

void qn_digest(const void *data, size_t bytes, uint8_t out[QN_DIGEST_BYTES])
{
    crypto_generichash(out, QN_DIGEST_BYTES, data, bytes, NULL, 0);
}

uint64_t qn_sip_hash(const uint8_t key[QN_SIP_KEY_BYTES], const void *data, size_t bytes)
{
    uint64_t hash;
    crypto_shorthash((unsigned char *)&hash, data, bytes, key);
    return hash;
}

bool qn_secret_equals(const void *a, const void *b, size_t bytes)
{
    return sodium_memcmp(a, b, bytes) == 0;
}

void qn_secret_wipe(void *memory, size_t bytes)
{
    sodium_memzero(memory, bytes);
}

void qn_base64url_write(const void *data, size_t bytes, char *out, size_t room)
{
    sodium_bin2base64(out, room, data, bytes, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
}

bool qn_base64url_read(const char *text, size_t text_bytes, void *out, size_t room, size_t *bytes)
{
    const char *end = text;
    return sodium_base642bin(out, room, text, text_bytes, NULL, bytes, &end,
                             sodium_base64_VARIANT_URLSAFE_NO_PADDING) == 0 &&
           end == text + text_bytes;
}

void qn_hex_write(const void *data, size_t bytes, char *out)
{
    sodium_bin2hex(out, 2 * bytes + 1, data, bytes);
}

bool qn_hex_read(const char *text, size_t text_bytes, void *out, size_t bytes)
{
    const char *end = text;
    size_t n = 0;
    return text_bytes == 2 * bytes &&
           sodium_hex2bin(out, bytes, text, text_bytes, NULL, &n, &end) == 0 && n == bytes &&
           end == text + text_bytes;
}
