/* SPDX-License-Identifier: Apache-2.0 */
/* Arena: many small allocations, released together. Used per request, per trial and for anything
 * with the lifetime of its parent.
 *
 * Threads: one thread at a time. */
#ifndef QN_BASE_ARENA_H
#define QN_BASE_ARENA_H

#include <stddef.h>
#include <stdint.h>

typedef struct qn_arena {
    struct qn_arena_block *blocks;
    char *next;
    char *end;
} qn_arena; /* zero-initialise; release with qn_arena_release() */

/* Zeroed memory aligned to 16 bytes, owned by the arena; NULL when out of memory. */
void *qn_arena_array(qn_arena *arena, int64_t count, size_t item_bytes);
char *qn_arena_strndup(qn_arena *arena, const char *text, size_t bytes);
char *qn_arena_strdup(qn_arena *arena, const char *text);
/* Forgets every allocation but keeps a block for the next ones: for work that comes again. */
void qn_arena_reset(qn_arena *arena);
void qn_arena_release(qn_arena *arena);

#endif
