/* SPDX-License-Identifier: Apache-2.0 */
#include "base/arena.h"

#include "base/alloc.h"

#include <string.h>

enum { BLOCK_BYTES = 16 * 1024, ALIGNMENT = 16 };

struct qn_arena_block {
    struct qn_arena_block *previous;
    size_t unused; /* keeps what follows aligned to 16 bytes */
};

void *qn_arena_array(qn_arena *arena, int64_t count, size_t item_bytes)
{
    size_t bytes;
    if (count < 0 || __builtin_mul_overflow((size_t)count, item_bytes, &bytes)) return NULL;
    if (bytes > (size_t)PTRDIFF_MAX - BLOCK_BYTES) return NULL;
    bytes = (bytes + ALIGNMENT) / ALIGNMENT * ALIGNMENT;

    if (!arena->next || (size_t)(arena->end - arena->next) < bytes) {
        const size_t room = bytes > BLOCK_BYTES / 4 ? bytes : BLOCK_BYTES;
        struct qn_arena_block *block = qn_alloc_array((int64_t)(sizeof *block + room), 1);
        if (!block) return NULL;
        block->previous = arena->blocks;
        arena->blocks = block;
        if (room == bytes && arena->next) return block + 1; /* a large one gets its own block */
        arena->next = (char *)(block + 1);
        arena->end = arena->next + room;
    }
    void *memory = arena->next;
    arena->next += bytes;
    return memory;
}

char *qn_arena_strndup(qn_arena *arena, const char *text, size_t bytes)
{
    char *copy = qn_arena_array(arena, (int64_t)bytes + 1, 1);
    if (copy && bytes > 0) memcpy(copy, text, bytes);
    return copy;
}

char *qn_arena_strdup(qn_arena *arena, const char *text)
{
    return qn_arena_strndup(arena, text, strlen(text));
}

void qn_arena_reset(qn_arena *arena)
{
    struct qn_arena_block *kept = NULL;
    for (struct qn_arena_block *block = arena->blocks; block;) {
        struct qn_arena_block *previous = block->previous;
        if (!kept && arena->end == (char *)(block + 1) + BLOCK_BYTES) {
            kept = block;
        } else {
            qn_free(block);
        }
        block = previous;
    }
    char *next = kept ? (char *)(kept + 1) : NULL;
    if (kept) {
        memset(next, 0, (size_t)(arena->next - next)); /* only what was given away */
        kept->previous = NULL;
    }
    *arena = (qn_arena){.blocks = kept, .next = next, .end = kept ? arena->end : NULL};
}

void qn_arena_release(qn_arena *arena)
{
    for (struct qn_arena_block *block = arena->blocks; block;) {
        struct qn_arena_block *previous = block->previous;
        qn_free(block);
        block = previous;
    }
    *arena = (qn_arena){0};
}
