/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/security/token.h"

#include "base/json.h"
#include "base/utf8.h"
#include "crypto/secret.h"
#include "serve/models/served_model.h"
#include "serve/security/token_internal.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { SCOPES_MAX = 64, SIGNATURE_BYTES_MAX = 1024, SUBJECT_BYTES_MAX = 100 };

static const int64_t leeway_s = 30;
/* Of times: far beyond any use, and far from where sums of them overflow. */
static const double time_max = 1e12;

/* A token's parts, in base64url. */
struct parts {
    qn_span header, payload, signature;
    qn_span signed_part; /* header and payload */
};

static bool split(qn_span text, struct parts *parts)
{
    if (text.bytes > QN_TOKEN_BYTES_MAX) return false;
    const char *end = text.text + text.bytes;
    const char *first = memchr(text.text, '.', text.bytes);
    const char *second = first ? memchr(first + 1, '.', (size_t)(end - first - 1)) : NULL;
    if (!second || memchr(second + 1, '.', (size_t)(end - second - 1))) return false;
    parts->header = (qn_span){text.text, (size_t)(first - text.text)};
    parts->payload = (qn_span){first + 1, (size_t)(second - first - 1)};
    parts->signature = (qn_span){second + 1, (size_t)(end - second - 1)};
    parts->signed_part = (qn_span){text.text, (size_t)(second - text.text)};
    return true;
}

/* A part that is a JSON object. NULL and why in *wrong, which is `otherwise` when it is none. */
static qn_json *read_object(qn_span part, qn_arena *memory, const char *otherwise,
                            const char **wrong)
{
    qn_json *json = NULL;
    size_t bytes = 0;
    const int64_t room = (int64_t)part.bytes / 4 * 3 + 3;
    char *text = qn_arena_array(memory, room, 1);
    *wrong = text ? otherwise : qn_identity_no_memory;
    if (!text || !qn_base64url_read(part.text, part.bytes, text, (size_t)room, &bytes)) return NULL;
    const qn_status status = qn_json_parse(text, bytes, "token", &json, NULL);
    if (status == QN_ERR_NOMEM) *wrong = qn_identity_no_memory;
    if (status != QN_OK) return NULL;
    if (qn_json_is_object(qn_json_root(json))) return json;
    qn_json_free(json);
    return NULL;
}

/* The key that the header chooses: by its "kid", or without one the only key there is. */
static const qn_signature_key *choose_key(const qn_token_keys *keys, qn_json_value header)
{
    const qn_json_value id = qn_json_get(header, "kid");
    const char *wanted = qn_json_as_text(id, NULL);
    if (!id) return keys->n_keys == 1 ? keys->keys[0].key : NULL;
    for (int64_t i = 0; wanted && i < keys->n_keys; i++) {
        const char *known = keys->keys[i].id;
        if (known && strcmp(known, wanted) == 0) return keys->keys[i].key;
    }
    return NULL;
}

static const char *check_signature(const qn_token_keys *keys, const struct parts *parts,
                                   qn_json_value header)
{
    uint8_t signature[SIGNATURE_BYTES_MAX];
    size_t bytes = 0;
    const qn_signature_key *key = choose_key(keys, header);
    const char *algorithm = qn_json_as_text(qn_json_get(header, "alg"), "");
    if (qn_json_get(header, "crit")) return "the token needs an extension that is not known";
    if (!key) return "the token's key is not known";
    if (strcmp(algorithm, qn_signature_algorithm_name(qn_signature_key_algorithm(key))) != 0) {
        return "the token's algorithm is not its key's";
    }
    if (!qn_base64url_read(parts->signature.text, parts->signature.bytes, signature,
                           sizeof signature, &bytes) ||
        !qn_signature_check(key, parts->signed_part.text, parts->signed_part.bytes, signature,
                            bytes)) {
        return "the token's signature is wrong";
    }
    return NULL;
}

/* Seconds since 1970, which may have a fraction; `otherwise` when absent, false for another type.
 */
static bool read_time(qn_json_value claims, const char *name, int64_t otherwise, int64_t *out)
{
    const qn_json_value value = qn_json_get(claims, name);
    const double seconds = qn_json_as_double(value, QN_NA);
    *out = otherwise;
    if (!value) return true;
    if (!(fabs(seconds) <= time_max)) return false;
    *out = (int64_t)floor(seconds);
    return true;
}

static const char *check_times(qn_json_value claims, int64_t now_s, qn_token *out)
{
    int64_t expires_s, not_before_s, issued_s;
    if (!qn_json_get(claims, "exp") || !read_time(claims, "exp", 0, &expires_s) ||
        !read_time(claims, "nbf", INT64_MIN / 2, &not_before_s) ||
        !read_time(claims, "iat", INT64_MIN / 2, &issued_s)) {
        return "the token has no proper times";
    }
    if (issued_s > not_before_s) not_before_s = issued_s;
    out->expires_s = expires_s + leeway_s;
    out->not_before_s = not_before_s - leeway_s;
    if (now_s >= out->expires_s) return "the token has expired";
    return now_s < out->not_before_s ? "the token is not good yet" : NULL;
}

static bool is_text(qn_json_value value, const char *text)
{
    return strcmp(qn_json_as_text(value, ""), text) == 0;
}

static bool is_for(qn_json_value audience, const char *us)
{
    for (int64_t i = 0; qn_json_is_array(audience) && i < qn_json_size(audience); i++) {
        if (is_text(qn_json_at(audience, i), us)) return true;
    }
    return is_text(audience, us);
}

/* Grants of "predict read:credit …"; NULL when out of memory. */
static qn_grant *read_scope(const char *scope, qn_arena *memory, int64_t *n_grants)
{
    qn_grant *grants = qn_arena_array(memory, SCOPES_MAX, sizeof *grants);
    *n_grants = 0;
    while (grants && *scope && *n_grants < SCOPES_MAX) {
        const size_t bytes = strcspn(scope, " ");
        const char *colon = memchr(scope, ':', bytes);
        const qn_span word = {scope, colon ? (size_t)(colon - scope) : bytes};
        const unsigned role = qn_access_of(word);
        char *model = NULL;
        if (role && colon) {
            model = qn_arena_strndup(memory, colon + 1, bytes - word.bytes - 1);
            if (!model) return NULL;
        }
        /* "predict:" must not mean every model. */
        if (role && (!model || qn_served_name_is_valid(model))) {
            grants[(*n_grants)++] = (qn_grant){role, model};
        }
        scope += bytes + (scope[bytes] == ' ');
    }
    return grants;
}

/* The subject for logs: what is too long is cut. */
static void write_name(qn_json_value claims, qn_identity *out)
{
    const char *subject = qn_json_as_text(qn_json_get(claims, "sub"), "");
    snprintf(out->name, sizeof out->name, "token:%.*s", SUBJECT_BYTES_MAX, subject);
    const char *cut = qn_utf8_first_invalid(out->name, strlen(out->name));
    if (cut) out->name[cut - out->name] = '\0';
}

static const char *check_claims(const qn_token_keys *keys, qn_json_value claims, int64_t now_s,
                                qn_arena *memory, qn_token *out)
{
    const char *wrong = check_times(claims, now_s, out);
    if (wrong) return wrong;
    if (!is_text(qn_json_get(claims, "iss"), keys->issuer)) return "the token's issuer is another";
    if (!is_for(qn_json_get(claims, "aud"), keys->audience)) {
        return "the token is for another audience";
    }
    write_name(claims, &out->identity);
    out->identity.grants = read_scope(qn_json_as_text(qn_json_get(claims, "scope"), ""), memory,
                                      &out->identity.n_grants);
    return out->identity.grants ? NULL : qn_identity_no_memory;
}

bool qn_token_check(const qn_token_keys *keys, qn_span text, int64_t now_s, qn_arena *memory,
                    qn_token *out, const char **wrong)
{
    struct parts parts;
    *out = (qn_token){0};
    *wrong = "this is no key and no token";
    if (!split(text, &parts)) return false;
    qn_json *header = read_object(parts.header, memory, *wrong, wrong);
    if (!header) return false;
    *wrong = check_signature(keys, &parts, qn_json_root(header));
    qn_json_free(header);
    if (*wrong) return false;
    qn_json *claims = read_object(parts.payload, memory, "the token's claims are no JSON", wrong);
    if (claims) *wrong = check_claims(keys, qn_json_root(claims), now_s, memory, out);
    qn_json_free(claims);
    return *wrong == NULL;
}
