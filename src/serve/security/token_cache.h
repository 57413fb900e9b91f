/* SPDX-License-Identifier: Apache-2.0 */
/* Token cache: tokens that were checked not long ago, so that a client which sends the same one
 * with each request does not have its signature checked each time. An entry is found by the digest
 * of the whole token, is good for the keys that checked it alone, and its times are looked at
 * again with every request. Only good tokens are kept.
 *
 * Threads: one thread, the loop's. */
#ifndef QN_SERVE_SECURITY_TOKEN_CACHE_H
#define QN_SERVE_SECURITY_TOKEN_CACHE_H

#include "serve/security/credentials.h"

typedef struct qn_token_cache qn_token_cache; /* destroy with qn_token_cache_free() */

qn_token_cache *qn_token_cache_create(void);     /* NULL when out of memory */
void qn_token_cache_free(qn_token_cache *cache); /* accepts NULL */
/* As qn_token_check() with the credentials' keys. */
bool qn_token_cache_check(qn_token_cache *cache, const qn_credentials *credentials, qn_span text,
                          int64_t now_s, qn_arena *memory, qn_identity *out, const char **wrong);

#endif
