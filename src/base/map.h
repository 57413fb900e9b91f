/* SPDX-License-Identifier: Apache-2.0 */
/* Hash map from byte strings to int64: vocabularies, dictionaries, name look-up. Keys are copied.
 * Iteration order is insertion order, so nothing depends on hashes.
 *
 * Threads: one writer; any number of readers once it no longer changes. */
#ifndef QN_BASE_MAP_H
#define QN_BASE_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct qn_map qn_map; /* destroy with qn_map_free() */

qn_map *qn_map_create(int64_t n_expected); /* NULL when out of memory */
void qn_map_free(qn_map *map);             /* accepts NULL */

/* The value of `key`, or `otherwise`. Allocates nothing. */
int64_t qn_map_get(const qn_map *map, const char *key, size_t bytes, int64_t otherwise);
/* Sets or replaces; false when out of memory (the map stays as it was). */
bool qn_map_set(qn_map *map, const char *key, size_t bytes, int64_t value);
/* A pointer to the value, inserted as `initial` if new; NULL when out of memory. Valid until the
 * next insertion. */
int64_t *qn_map_slot(qn_map *map, const char *key, size_t bytes, int64_t initial);

int64_t qn_map_n(const qn_map *map);
/* The i-th key in order of insertion; borrowed and terminated. */
const char *qn_map_key(const qn_map *map, int64_t i, size_t *bytes);
int64_t qn_map_value(const qn_map *map, int64_t i);

#endif
