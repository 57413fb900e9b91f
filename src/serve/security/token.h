/* SPDX-License-Identifier: Apache-2.0 */
/* Tokens: JSON Web Tokens (RFC 7519) signed by one of the keys in a file (a JSON Web Key Set, RFC
 * 7517), with what RFC 8725 asks of those who accept them:
 *
 * - a key has one algorithm, by its kind (oct: HS256, OKP: EdDSA, RSA: RS256); the token's "alg"
 *   must be that one, so neither "none" nor a public key used as a secret is ever considered;
 * - "kid" chooses among the keys of the file by being equal, and nothing else; keys and addresses
 *   of keys inside a token are not looked at; a token with "crit" is refused;
 * - "exp" must be there; "exp", "nbf" and "iat" are kept to within 30 s; "iss" and "aud" must be
 *   this server's.
 *
 * What the client may do is in "scope" (words with blanks between them, RFC 8693, 4.2): "predict",
 * "read", "admin", each perhaps followed by ":MODEL". Other words are for others.
 *
 * A file with a secret (oct) must be private.
 *
 * Threads: keys are immutable, share freely. */
#ifndef QN_SERVE_SECURITY_TOKEN_H
#define QN_SERVE_SECURITY_TOKEN_H

#include "base/arena.h"
#include "serve/security/identity.h"

enum { QN_TOKEN_BYTES_MAX = 8 * 1024, QN_TOKEN_KEYS_MAX = 100 };

typedef struct qn_token_keys qn_token_keys; /* destroy with qn_token_keys_free() */

/* `name` is what messages call the text; issuer and audience are copied. Fails with QN_ERR_DATA
 * (naming the key) or QN_ERR_NOMEM. *secret tells whether
 * there is a secret in it. */
QN_MUST_CHECK
qn_status qn_token_keys_parse(const char *text, size_t bytes, const char *name, const char *issuer,
                              const char *audience, qn_token_keys **out, bool *secret,
                              qn_error *err);
QN_MUST_CHECK
qn_status qn_token_keys_open(const char *path, const char *issuer, const char *audience,
                             qn_token_keys **out, qn_error *err);
void qn_token_keys_free(qn_token_keys *keys); /* accepts NULL */

/* What a token that is good says. */
typedef struct qn_token {
    qn_identity identity;            /* in the arena; its name is "token:" and the subject */
    int64_t not_before_s, expires_s; /* good in between, since 1970; the leeway is in them */
} qn_token;

/* Checks the token at `now_s`. Everything in *out is in `memory`. On failure false and why, in
 * words that may be answered and hold nothing of the token; qn_identity_no_memory where that is not
 * the token's fault. */
bool qn_token_check(const qn_token_keys *keys, qn_span text, int64_t now_s, qn_arena *memory,
                    qn_token *out, const char **wrong);

#endif
