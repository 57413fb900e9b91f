/* SPDX-License-Identifier: Apache-2.0 */
#include "base/alloc.h"
#include "base/file.h"
#include "base/json.h"
#include "crypto/private_file.h"
#include "crypto/secret.h"
#include "serve/security/token_internal.h"

#include <string.h>

enum { PART_BYTES_MAX = 1100, FILE_BYTES_MAX = 1024 * 1024 };

void qn_token_keys_free(qn_token_keys *keys)
{
    if (!keys) return;
    for (int64_t i = 0; keys->keys && i < keys->n_keys; i++) {
        qn_signature_key_free(keys->keys[i].key);
        qn_free(keys->keys[i].id);
    }
    qn_free(keys->keys);
    qn_free(keys->issuer);
    qn_free(keys->audience);
    qn_free(keys);
}

/* A number or secret of a key, in base64url. */
static qn_status read_part(qn_json_value json, const char *name, uint8_t *out, size_t *bytes,
                           qn_error *err)
{
    const char *text = qn_json_as_text(qn_json_get(json, name), "");
    if (text[0] && qn_base64url_read(text, strlen(text), out, PART_BYTES_MAX, bytes)) return QN_OK;
    return qn_fail(err, QN_ERR_DATA, "'%s' is no base64url", name);
}

static qn_status read_secret(qn_json_value json, qn_signature_key **out, qn_error *err)
{
    uint8_t secret[PART_BYTES_MAX];
    size_t bytes = 0;
    QN_TRY(read_part(json, "k", secret, &bytes, err));
    const qn_status status = qn_signature_key_hs256(secret, bytes, out, err);
    qn_secret_wipe(secret, sizeof secret);
    return status;
}

static qn_status read_ed25519(qn_json_value json, qn_signature_key **out, qn_error *err)
{
    uint8_t point[PART_BYTES_MAX];
    size_t bytes = 0;
    if (strcmp(qn_json_as_text(qn_json_get(json, "crv"), ""), "Ed25519") != 0) {
        return qn_fail(err, QN_ERR_DATA, "of curves only Ed25519 is known");
    }
    QN_TRY(read_part(json, "x", point, &bytes, err));
    return qn_signature_key_eddsa(point, bytes, out, err);
}

static qn_status read_rsa(qn_json_value json, qn_signature_key **out, qn_error *err)
{
    uint8_t modulus[PART_BYTES_MAX], exponent[PART_BYTES_MAX];
    size_t modulus_bytes = 0, exponent_bytes = 0;
    QN_TRY(read_part(json, "n", modulus, &modulus_bytes, err));
    QN_TRY(read_part(json, "e", exponent, &exponent_bytes, err));
    return qn_signature_key_rs256(modulus, modulus_bytes, exponent, exponent_bytes, out, err);
}

/* The kind of a key is its algorithm; what it says of itself must agree. */
static qn_status read_material(qn_json_value json, qn_signature_key **out, qn_error *err)
{
    static const struct {
        const char *kind;
        qn_status (*read)(qn_json_value json, qn_signature_key **out, qn_error *err);
    } kinds[] = {{"oct", read_secret}, {"OKP", read_ed25519}, {"RSA", read_rsa}};
    const char *kind = qn_json_as_text(qn_json_get(json, "kty"), "");
    const char *use = qn_json_as_text(qn_json_get(json, "use"), "sig");
    if (strcmp(use, "sig") != 0) return qn_fail(err, QN_ERR_DATA, "it is not for signatures");
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (strcmp(kind, kinds[i].kind) != 0) continue;
        QN_TRY(kinds[i].read(json, out, err));
        const char *ours = qn_signature_algorithm_name(qn_signature_key_algorithm(*out));
        const char *theirs = qn_json_as_text(qn_json_get(json, "alg"), ours);
        if (strcmp(theirs, ours) == 0) return QN_OK;
        return qn_fail(err, QN_ERR_DATA, "its 'alg' is not %s", ours);
    }
    return qn_fail(err, QN_ERR_DATA, "its 'kty' is none of oct, OKP and RSA");
}

static qn_status no_memory(qn_error *err)
{
    return qn_fail(err, QN_ERR_NOMEM, "no memory for the keys of tokens");
}

static qn_status read_key(qn_token_keys *keys, qn_json_value json, qn_error *err)
{
    qn_token_key *key = &keys->keys[keys->n_keys++];
    const char *id = qn_json_as_text(qn_json_get(json, "kid"), NULL);
    for (int64_t i = 0; id && i < keys->n_keys - 1; i++) {
        const char *other = keys->keys[i].id;
        if (other && strcmp(id, other) == 0) {
            return qn_fail(err, QN_ERR_DATA, "its 'kid' is given twice");
        }
    }
    if (id && !(key->id = qn_strdup(id))) return no_memory(err);
    return read_material(json, &key->key, err);
}

static qn_status read_keys(qn_token_keys *keys, qn_json_value root, bool *secret, qn_error *err)
{
    const qn_json_value list = qn_json_get(root, "keys");
    const int64_t n = qn_json_size(list);
    if (!qn_json_is_array(list) || n == 0 || n > QN_TOKEN_KEYS_MAX) {
        return qn_fail(err, QN_ERR_DATA, "no JSON Web Key Set, {\"keys\": […]}, of 1 to %d keys",
                       QN_TOKEN_KEYS_MAX);
    }
    keys->keys = qn_alloc_array(n, sizeof *keys->keys);
    if (!keys->keys) return no_memory(err);
    for (int64_t i = 0; i < n; i++) {
        const qn_status status = read_key(keys, qn_json_at(list, i), err);
        if (status == QN_ERR_NOMEM) return status;
        if (status != QN_OK) return qn_fail_context(err, status, "key %" PRId64, i + 1);
        *secret |= qn_signature_key_algorithm(keys->keys[i].key) == QN_SIGNATURE_HS256;
    }
    return QN_OK;
}

qn_status qn_token_keys_parse(const char *text, size_t bytes, const char *name, const char *issuer,
                              const char *audience, qn_token_keys **out, bool *secret,
                              qn_error *err)
{
    qn_json *json = NULL;
    qn_status status = QN_OK;
    *out = NULL;
    *secret = false;
    QN_TRY(qn_json_parse(text, bytes, name, &json, err));
    qn_token_keys *keys = qn_alloc_array(1, sizeof *keys);
    if (keys) {
        keys->issuer = qn_strdup(issuer);
        keys->audience = qn_strdup(audience);
    }
    if (!keys || !keys->issuer || !keys->audience) {
        status = no_memory(err);
    } else {
        status = read_keys(keys, qn_json_root(json), secret, err);
    }
    qn_json_free(json);
    if (status != QN_OK) {
        qn_token_keys_free(keys);
        return qn_fail_context(err, status, "%s", name);
    }
    *out = keys;
    return QN_OK;
}

/* Public keys may be in a file that anybody reads – but that nobody else should write. */
qn_status qn_token_keys_open(const char *path, const char *issuer, const char *audience,
                             qn_token_keys **out, qn_error *err)
{
    qn_file_map map;
    bool secret;
    *out = NULL;
    QN_TRY(qn_file_map_copy(path, &map, err));
    qn_status status =
        map.bytes > FILE_BYTES_MAX
            ? qn_fail(err, QN_ERR_DATA, "%s: larger than %d bytes", path, FILE_BYTES_MAX)
            : qn_token_keys_parse((const char *)map.data, map.bytes, path, issuer, audience, out,
                                  &secret, err);
    qn_file_unmap(&map);
    if (status == QN_OK && secret) status = qn_private_file_check(path, err);
    if (status == QN_OK) return QN_OK;
    qn_token_keys_free(*out);
    *out = NULL;
    return status;
}
