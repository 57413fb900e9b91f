/* SPDX-License-Identifier: Apache-2.0 */
/* Open addressing with linear probing over an array of entry indices; entries and key bytes stand
 * in insertion order. */
#include "base/map.h"

#include "base/alloc.h"
#include "base/arena.h"
#include "base/hash.h"

#include <string.h>

struct entry {
    const char *key;
    size_t bytes;
    uint64_t hash;
    int64_t value;
};

struct qn_map {
    qn_arena keys;
    struct entry *entries;
    int64_t n, room;
    int64_t *slots; /* index of an entry + 1; 0 is free */
    uint64_t mask;
};

static bool rehash(qn_map *map, int64_t n_slots)
{
    int64_t *slots = qn_alloc_array(n_slots, sizeof *slots);
    if (!slots) return false;
    const uint64_t mask = (uint64_t)n_slots - 1;
    for (int64_t i = 0; i < map->n; i++) {
        uint64_t at = map->entries[i].hash & mask;
        while (slots[at]) {
            at = (at + 1) & mask;
        }
        slots[at] = i + 1;
    }
    qn_free(map->slots);
    map->slots = slots;
    map->mask = mask;
    return true;
}

qn_map *qn_map_create(int64_t n_expected)
{
    qn_map *map = qn_alloc_array(1, sizeof *map);
    if (!map) return NULL;
    int64_t n_slots = 16;
    while (n_slots < n_expected * 2) {
        n_slots *= 2;
    }
    if (!rehash(map, n_slots)) {
        qn_free(map);
        return NULL;
    }
    return map;
}

void qn_map_free(qn_map *map)
{
    if (!map) return;
    qn_arena_release(&map->keys);
    qn_free(map->entries);
    qn_free(map->slots);
    qn_free(map);
}

static uint64_t find(const qn_map *map, const char *key, size_t bytes, uint64_t hash)
{
    uint64_t at = hash & map->mask;
    for (; map->slots[at]; at = (at + 1) & map->mask) {
        const struct entry *entry = &map->entries[map->slots[at] - 1];
        if (entry->hash != hash || entry->bytes != bytes) continue;
        if (bytes == 0 || memcmp(entry->key, key, bytes) == 0) break;
    }
    return at;
}

int64_t qn_map_get(const qn_map *map, const char *key, size_t bytes, int64_t otherwise)
{
    const int64_t slot = map->slots[find(map, key, bytes, qn_hash64(key, bytes))];
    return slot ? map->entries[slot - 1].value : otherwise;
}

int64_t *qn_map_slot(qn_map *map, const char *key, size_t bytes, int64_t initial)
{
    const uint64_t hash = qn_hash64(key, bytes);
    uint64_t at = find(map, key, bytes, hash);
    if (map->slots[at]) return &map->entries[map->slots[at] - 1].value;

    if ((uint64_t)map->n * 2 >= map->mask) {
        if (!rehash(map, (int64_t)(map->mask + 1) * 2)) return NULL;
        at = find(map, key, bytes, hash);
    }
    if (map->n == map->room) {
        const int64_t room = map->room ? map->room * 2 : 16;
        struct entry *entries = qn_realloc_array(map->entries, room, sizeof *entries);
        if (!entries) return NULL;
        map->entries = entries;
        map->room = room;
    }
    const char *copy = qn_arena_strndup(&map->keys, key, bytes);
    if (!copy) return NULL;
    map->entries[map->n] = (struct entry){copy, bytes, hash, initial};
    map->slots[at] = ++map->n;
    return &map->entries[map->n - 1].value;
}

bool qn_map_set(qn_map *map, const char *key, size_t bytes, int64_t value)
{
    int64_t *slot = qn_map_slot(map, key, bytes, value);
    if (!slot) return false;
    *slot = value;
    return true;
}

int64_t qn_map_n(const qn_map *map)
{
    return map->n;
}

const char *qn_map_key(const qn_map *map, int64_t i, size_t *bytes)
{
    if (bytes) *bytes = map->entries[i].bytes;
    return map->entries[i].key;
}

int64_t qn_map_value(const qn_map *map, int64_t i)
{
    return map->entries[i].value;
}
