/* SPDX-License-Identifier: Apache-2.0 */
#include "base/arena.h"

#include "check.h"

static bool is_zero(const char *memory, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++) {
        if (memory[i] != 0) return false;
    }
    return true;
}

/* The same work again after a reset: zeroed memory, aligned, in the block that was kept. */
static void a_reset_arena_gives_zeroed_memory_again(void **state)
{
    (void)state;
    static const int64_t sizes[] = {1, 16, 100, 5000, 3000, 20000, 7, 16000, 40, 100000};
    qn_arena arena = {0};
    for (int round = 0; round < 20; round++) {
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
            const int64_t bytes = sizes[(i + (size_t)round) % (sizeof sizes / sizeof *sizes)];
            char *memory = qn_arena_array(&arena, bytes, 1);
            CHECK(memory != NULL && (uintptr_t)memory % 16 == 0);
            CHECK(is_zero(memory, (size_t)bytes));
            memset(memory, 0xff, (size_t)bytes);
        }
        qn_arena_reset(&arena);
    }
    qn_arena_release(&arena);
}

/* 32 MB of pieces, large ones among them: every one keeps what is written to it. */
static void many_pieces_need_few_blocks(void **state)
{
    (void)state;
    enum { N = 500000, LARGE_EACH = 50000, LARGE = 3000000 };
    qn_arena arena = {0};
    int64_t **pieces = qn_alloc_array(N, sizeof *pieces);
    qn_alloc_fail_at(0, false);
    for (int64_t i = 0; i < N; i++) {
        const int64_t count = i % LARGE_EACH == 0 ? LARGE / 8 : 8;
        pieces[i] = qn_arena_array(&arena, count, sizeof **pieces);
        if (!pieces[i] || pieces[i][0] != 0 || pieces[i][count - 1] != 0) fail();
        pieces[i][0] = pieces[i][count - 1] = i;
    }
    CHECK(qn_alloc_fail_at(0, false) < 30);
    for (int64_t i = 0; i < N; i++) {
        if (pieces[i][0] != i) fail();
    }
    qn_arena_reset(&arena);
    CHECK(arena.blocks == NULL); /* nobody keeps megabytes for work that was large once */
    qn_free(pieces);
}

static void small_work_after_a_reset_allocates_nothing(void **state)
{
    (void)state;
    qn_arena arena = {0};
    CHECK(qn_arena_array(&arena, 100, 1) != NULL);
    qn_arena_reset(&arena);
    qn_alloc_fail_at(1, true);
    const void *memory = qn_arena_array(&arena, 1000, 1);
    CHECK_INT(qn_alloc_fail_at(0, false), 0);
    CHECK(memory != NULL);
    qn_arena_release(&arena);
    qn_arena_reset(&arena); /* of an empty one */
    CHECK(arena.blocks == NULL);
}

RUN_TESTS(TEST(a_reset_arena_gives_zeroed_memory_again), TEST(many_pieces_need_few_blocks),
          TEST(small_work_after_a_reset_allocates_nothing))
