/* SPDX-License-Identifier: Apache-2.0 */
#include "base/arena.h"

#include "base/alloc.h"

#include <string.h>
#include <sys/mman.h>

/* Blocks double, so that an arena of any size has few. */
enum { BLOCK_BYTES = 16 * 1024, BLOCK_BYTES_MAX = 8 << 20, KEPT_BYTES_MAX = 64 * 1024 };
enum { ALIGNMENT = 16, PAGE_BYTES = 4096, LARGE_PAGE_BYTES = 2 << 20 };

/* The first of an arena's is the one that it gives from. */
struct qn_arena_block {
    struct qn_arena_block *previous;
    size_t room; /* the size also keeps what follows aligned to 16 bytes */
};

/* Half of what a million small pieces cost is the kernel's, page by page. */
static void ask_for_large_pages(struct qn_arena_block *block)
{
    const size_t skipped = -(uintptr_t)block % PAGE_BYTES;
    if (block->room < 2 * (size_t)LARGE_PAGE_BYTES) return;
    (void)madvise((char *)block + skipped, (block->room - skipped) / PAGE_BYTES * PAGE_BYTES,
                  MADV_HUGEPAGE);
}

static struct qn_arena_block *make_block(size_t room)
{
    struct qn_arena_block *block = qn_alloc_array((int64_t)(sizeof *block + room), 1);
    if (!block) return NULL;
    block->room = room;
    ask_for_large_pages(block);
    return block;
}

static size_t next_room(const qn_arena *arena)
{
    const size_t twice = arena->blocks ? 2 * arena->blocks->room : 0;
    if (twice < BLOCK_BYTES) return BLOCK_BYTES;
    return twice < BLOCK_BYTES_MAX ? twice : BLOCK_BYTES_MAX;
}

/* A large piece gets a block of its own, behind the first. */
static void *give_apart(qn_arena *arena, size_t bytes)
{
    struct qn_arena_block *block = make_block(bytes);
    if (!block) return NULL;
    block->previous = arena->blocks->previous;
    arena->blocks->previous = block;
    return block + 1;
}

static bool begin_block(qn_arena *arena, size_t room)
{
    struct qn_arena_block *block = make_block(room);
    if (!block) return false;
    block->previous = arena->blocks;
    arena->blocks = block;
    arena->next = (char *)(block + 1);
    arena->end = arena->next + room;
    return true;
}

void *qn_arena_array(qn_arena *arena, int64_t count, size_t item_bytes)
{
    size_t bytes;
    if (count < 0 || __builtin_mul_overflow((size_t)count, item_bytes, &bytes)) return NULL;
    if (bytes > (size_t)PTRDIFF_MAX - BLOCK_BYTES_MAX) return NULL;
    bytes = bytes > 0 ? (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT : ALIGNMENT;

    if (!arena->next || (size_t)(arena->end - arena->next) < bytes) {
        const size_t room = next_room(arena);
        const bool is_large = bytes > room / 4;
        if (is_large && arena->blocks) return give_apart(arena, bytes);
        if (!begin_block(arena, is_large ? bytes : room)) return NULL;
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
    struct qn_arena_block *first = arena->blocks;
    if (!first || first->room > KEPT_BYTES_MAX) {
        qn_arena_release(arena);
        return;
    }
    qn_arena others = {.blocks = first->previous};
    char *next = (char *)(first + 1);
    qn_arena_release(&others);
    first->previous = NULL;
    memset(next, 0, (size_t)(arena->next - next)); /* only what was given away */
    arena->next = next;
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
