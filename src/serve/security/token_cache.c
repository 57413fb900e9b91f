/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/security/token_cache.h"

#include "base/alloc.h"

#include <string.h>

enum { N_ENTRIES = 256 };

/* The place of an entry is chosen by its digest; a newer one takes it over. */
struct entry {
    uint8_t digest[QN_DIGEST_BYTES];
    int64_t generation; /* of the credentials; 0: empty */
    qn_arena memory;
    qn_token token;
};

struct qn_token_cache {
    struct entry entries[N_ENTRIES];
};

qn_token_cache *qn_token_cache_create(void)
{
    return qn_alloc_array(1, sizeof(qn_token_cache));
}

void qn_token_cache_free(qn_token_cache *cache)
{
    for (int i = 0; cache && i < N_ENTRIES; i++) {
        qn_arena_release(&cache->entries[i].memory);
    }
    qn_free(cache);
}

static void keep(struct entry *entry, const uint8_t *digest, int64_t generation,
                 const qn_token *token)
{
    entry->generation = 0;
    if (entry->memory.blocks) qn_arena_reset(&entry->memory);
    entry->token = *token;
    if (!qn_identity_copy(&token->identity, &entry->memory, &entry->token.identity)) return;
    memcpy(entry->digest, digest, QN_DIGEST_BYTES);
    entry->generation = generation;
}

bool qn_token_cache_check(qn_token_cache *cache, const qn_credentials *credentials, qn_span text,
                          int64_t now_s, qn_arena *memory, qn_identity *out, const char **wrong)
{
    uint8_t digest[QN_DIGEST_BYTES];
    qn_token token;
    qn_digest(text.text, text.bytes, digest);
    struct entry *entry = &cache->entries[digest[0] % N_ENTRIES];
    if (entry->generation == credentials->generation &&
        qn_secret_equals(entry->digest, digest, sizeof digest) &&
        now_s >= entry->token.not_before_s && now_s < entry->token.expires_s) {
        *wrong = qn_identity_no_memory;
        return qn_identity_copy(&entry->token.identity, memory, out);
    }
    if (!qn_token_check(credentials->tokens, text, now_s, memory, &token, wrong)) return false;
    keep(entry, digest, credentials->generation, &token);
    *out = token.identity;
    return true;
}
