/* SPDX-License-Identifier: Apache-2.0 */
/* Positions in the log count all bytes that were ever written to it, so what is live is told by one
 * comparison, and clearing is moving on by the log's length. The index is a hash table of buckets
 * of four positions; a bucket that is full gives up its oldest. */
#include "serve/models/prediction_cache.h"

#include "base/alloc.h"
#include "base/hash.h"
#include "base/number.h"
#include "base/str.h"

#include <string.h>

enum {
    WAYS = 4,
    INDEX_SHARE = 8,   /* of the bytes, one in so many is the index */
    ENTRY_SHARE = 8,   /* a larger entry than one in so many of the log is not kept */
    RENEWAL_SHARE = 4, /* what has gone by more of the log than this is written anew when found */
    KEY_BYTES_KEPT = 1 << 16,
    TAG_BITS = 16 /* of a slot, above the position */
};

static const uint64_t position_mask = (UINT64_C(1) << (64 - TAG_BITS)) - 1;

/* What an entry begins with; the key follows, then the outputs. */
typedef struct entry {
    uint64_t hash;
    uint32_t key_bytes; /* rounded up to 8 */
    uint32_t n_outputs;
} entry;

struct qn_prediction_cache {
    unsigned char *log;
    uint64_t log_bytes; /* a multiple of 8 */
    uint64_t head;      /* where the next entry goes */
    uint64_t n_buckets;
    uint64_t *slots; /* tag and position; 0: empty */
    qn_str key;      /* of the row that was asked for last */
    uint64_t hash;
    uint32_t n_outputs;
};

qn_prediction_cache *qn_prediction_cache_create(int64_t bytes)
{
    qn_prediction_cache *cache = qn_alloc_array(1, sizeof *cache);
    if (!cache) return NULL;
    cache->n_buckets = (uint64_t)bytes / INDEX_SHARE / (WAYS * sizeof *cache->slots);
    const uint64_t n_slots = cache->n_buckets * WAYS;
    cache->log_bytes = ((uint64_t)bytes - n_slots * sizeof *cache->slots) & ~UINT64_C(7);
    cache->head = cache->log_bytes; /* position 0 is for empty slots */
    cache->log = qn_alloc_aligned((int64_t)cache->log_bytes, 1);
    cache->slots = qn_alloc_array((int64_t)n_slots, sizeof *cache->slots);
    if (cache->log && cache->slots) return cache;
    qn_prediction_cache_free(cache);
    return NULL;
}

void qn_prediction_cache_free(qn_prediction_cache *cache)
{
    if (!cache) return;
    qn_free(cache->log);
    qn_free(cache->slots);
    qn_str_release(&cache->key);
    qn_free(cache);
}

void qn_prediction_cache_clear(qn_prediction_cache *cache)
{
    cache->head += cache->log_bytes + 8;
}

/* A cell is a byte that tells a number from a text, then its bits; or its length and bytes. NaN is
 * missing, whichever it is. */
static void write_key(qn_prediction_cache *cache, const qn_served_model *model,
                      const qn_cell *cells)
{
    static const char zeros[8] = {0};
    qn_str *key = &cache->key;
    if (key->failed || key->room > KEY_BYTES_KEPT) qn_str_release(key);
    qn_str_clear(key);
    qn_str_add_bytes(key, (const char *)&model, sizeof model);
    for (int64_t i = 0; i < model->n_inputs; i++) {
        const qn_cell *cell = &cells[i];
        char head[1 + sizeof(uint64_t)] = {cell->text != NULL};
        const double number = cell->number == cell->number ? cell->number : QN_NA;
        const uint64_t text_bytes = cell->text_bytes;
        memcpy(head + 1, cell->text ? (const void *)&text_bytes : (const void *)&number, 8);
        qn_str_add_bytes(key, head, sizeof head);
        if (cell->text) qn_str_add_bytes(key, cell->text, cell->text_bytes);
    }
    if (key->bytes % 8 != 0) qn_str_add_bytes(key, zeros, 8 - key->bytes % 8);
    cache->hash = qn_hash64(key->text, key->bytes);
    cache->n_outputs = (uint32_t)model->n_outputs;
}

static bool is_live(const qn_prediction_cache *cache, uint64_t position)
{
    return position != 0 && position + cache->log_bytes >= cache->head;
}

static const unsigned char *at(const qn_prediction_cache *cache, uint64_t position)
{
    return cache->log + position % cache->log_bytes;
}

static uint64_t *bucket_of(const qn_prediction_cache *cache)
{
    return cache->slots + cache->hash % cache->n_buckets * WAYS;
}

static uint64_t tag_of(const qn_prediction_cache *cache)
{
    return cache->hash & ~position_mask;
}

/* The slot of the row that is asked for, or NULL. */
static uint64_t *find_slot(const qn_prediction_cache *cache)
{
    uint64_t *slots = bucket_of(cache);
    for (int i = 0; i < WAYS; i++) {
        const uint64_t position = slots[i] & position_mask;
        entry e;
        if ((slots[i] & ~position_mask) != tag_of(cache) || !is_live(cache, position)) continue;
        memcpy(&e, at(cache, position), sizeof e);
        if (e.hash == cache->hash && e.key_bytes == cache->key.bytes &&
            e.n_outputs == cache->n_outputs &&
            memcmp(at(cache, position) + sizeof e, cache->key.text, e.key_bytes) == 0) {
            return &slots[i];
        }
    }
    return NULL;
}

/* Appends the entry; 0 when it is too large. An entry does not go over the log's end. */
static uint64_t append(qn_prediction_cache *cache, const double *outputs)
{
    const entry e = {cache->hash, (uint32_t)cache->key.bytes, cache->n_outputs};
    const size_t output_bytes = e.n_outputs * sizeof *outputs;
    const uint64_t bytes = sizeof e + cache->key.bytes + output_bytes;
    if (bytes > cache->log_bytes / ENTRY_SHARE) return 0;
    const uint64_t left = cache->log_bytes - cache->head % cache->log_bytes;
    if (left < bytes) cache->head += left;
    const uint64_t position = cache->head;
    unsigned char *out = cache->log + position % cache->log_bytes;
    memcpy(out, &e, sizeof e);
    memcpy(out + sizeof e, cache->key.text, cache->key.bytes);
    memcpy(out + sizeof e + cache->key.bytes, outputs, output_bytes);
    cache->head += bytes;
    return position;
}

/* The oldest slot of the bucket: what is not live any more is older than what is. */
static uint64_t *oldest_slot(const qn_prediction_cache *cache)
{
    uint64_t *slots = bucket_of(cache), *oldest = slots;
    for (int i = 1; i < WAYS; i++) {
        if ((slots[i] & position_mask) < (*oldest & position_mask)) oldest = &slots[i];
    }
    return oldest;
}

static void put_into(qn_prediction_cache *cache, uint64_t *slot, const double *outputs)
{
    const uint64_t position = append(cache, outputs);
    if (position > 0 && position <= position_mask) *slot = tag_of(cache) | position;
}

bool qn_prediction_cache_find(qn_prediction_cache *cache, const qn_served_model *model,
                              const qn_cell *cells, double *outputs)
{
    write_key(cache, model, cells);
    uint64_t *slot = cache->key.failed ? NULL : find_slot(cache);
    if (!slot) return false;
    const uint64_t position = *slot & position_mask;
    memcpy(outputs, at(cache, position) + sizeof(entry) + cache->key.bytes,
           cache->n_outputs * sizeof *outputs);
    if (cache->head - position > cache->log_bytes / RENEWAL_SHARE) put_into(cache, slot, outputs);
    return true;
}

void qn_prediction_cache_put(qn_prediction_cache *cache, const qn_served_model *model,
                             const qn_cell *cells, const double *outputs)
{
    write_key(cache, model, cells);
    if (!cache->key.failed) put_into(cache, oldest_slot(cache), outputs);
}
