/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a token, and – where they begin with '{' – as a file of keys of tokens. Bytes with
 * '|' in them are a header and claims, which are signed first, so that what comes behind the
 * signature is reached, too. Nothing that is not signed may be taken. */
#include "fuzz.h"

#include "base/str.h"
#include "crypto/secret.h"
#include "crypto/signature.h"
#include "serve/security/token.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

/* 32 bytes of zero. */
static const char jwks[] = "{\"keys\":[{\"kty\":\"oct\",\"kid\":\"h\",\"k\":"
                           "\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"}]}";

static void add_part(qn_str *out, const void *data, size_t bytes)
{
    char *text = malloc(QN_BASE64URL_ROOM(bytes));
    if (!text) abort();
    qn_base64url_write(data, bytes, text, QN_BASE64URL_ROOM(bytes));
    qn_str_add(out, text);
    free(text);
}

static void sign(const char *text, size_t bytes, const char *bar, qn_str *out)
{
    static const uint8_t secret[crypto_auth_hmacsha256_KEYBYTES];
    uint8_t signature[crypto_auth_hmacsha256_BYTES];
    add_part(out, text, (size_t)(bar - text));
    qn_str_add_char(out, '.');
    add_part(out, bar + 1, bytes - (size_t)(bar + 1 - text));
    crypto_auth_hmacsha256(signature, (const uint8_t *)out->text, out->bytes, secret);
    qn_str_add_char(out, '.');
    add_part(out, signature, sizeof signature);
}

static bool check(const qn_token_keys *keys, const char *text, size_t bytes)
{
    qn_arena memory = {0};
    qn_token token;
    const char *wrong;
    const bool good =
        qn_token_check(keys, (qn_span){text, bytes}, 1800000000, &memory, &token, &wrong);
    if (good != (wrong == NULL)) abort();
    if (good && (token.expires_s <= 1800000000 || token.not_before_s > 1800000000)) abort();
    if (strlen(token.identity.name) >= QN_IDENTITY_NAME_BYTES) abort();
    for (int64_t i = 0; good && i < token.identity.n_grants; i++) {
        if (token.identity.grants[i].roles == 0) abort();
    }
    qn_arena_release(&memory);
    return good;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    const char *text = (const char *)data, *bar = bytes ? memchr(text, '|', bytes) : NULL;
    static qn_token_keys *keys;
    bool secret;
    if (!keys && (qn_crypto_begin(NULL) != QN_OK ||
                  qn_token_keys_parse(jwks, sizeof jwks - 1, "jwks", "us", "quern", &keys, &secret,
                                      NULL) != QN_OK)) {
        abort();
    }
    if (bar) {
        qn_str token = {0};
        sign(text, bytes, bar, &token);
        check(keys, token.text, token.bytes);
        qn_str_release(&token);
    } else if (bytes > 0 && text[0] == '{') {
        qn_token_keys *others = NULL;
        (void)!qn_token_keys_parse(text, bytes, "jwks", "us", "quern", &others, &secret, NULL);
        qn_token_keys_free(others);
    } else if (check(keys, text, bytes) && bytes < 60) {
        abort(); /* shorter than any signature */
    }
    return 0;
}
