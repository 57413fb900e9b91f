/* SPDX-License-Identifier: Apache-2.0 */
/* Between token_keys.c, which reads keys, and token.c, which checks tokens by them. */
#ifndef QN_SERVE_SECURITY_TOKEN_INTERNAL_H
#define QN_SERVE_SECURITY_TOKEN_INTERNAL_H

#include "crypto/signature.h"
#include "serve/security/token.h"

typedef struct qn_token_key {
    char *id; /* "kid"; NULL: it has none */
    qn_signature_key *key;
} qn_token_key;

struct qn_token_keys {
    char *issuer, *audience;
    int64_t n_keys;
    qn_token_key *keys;
};

#endif
