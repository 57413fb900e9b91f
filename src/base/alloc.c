/* SPDX-License-Identifier: Apache-2.0 */
#include "base/alloc.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { ALIGNMENT = 64 };

/* Written by tests only; the product pays one relaxed load per allocation. */
static _Atomic int64_t fail_at;
static atomic_bool fail_onwards;
static _Atomic int64_t counted;

static bool injected_failure(void)
{
    const int64_t nth = atomic_load_explicit(&fail_at, memory_order_relaxed);
    if (nth == 0) return false;
    const int64_t now = atomic_fetch_add(&counted, 1) + 1;
    return now == nth || (now > nth && atomic_load(&fail_onwards));
}

int64_t qn_alloc_fail_at(int64_t nth, bool onwards)
{
    const int64_t before = atomic_exchange(&counted, 0);
    atomic_store(&fail_onwards, onwards);
    atomic_store(&fail_at, nth);
    return before;
}

static bool total_bytes(int64_t count, size_t item_bytes, size_t *bytes)
{
    if (count < 0 || __builtin_mul_overflow((size_t)count, item_bytes, bytes)) return false;
    if (*bytes > (size_t)PTRDIFF_MAX - ALIGNMENT) return false;
    if (*bytes == 0) *bytes = 1;
    return true;
}

void *qn_alloc_array(int64_t count, size_t item_bytes)
{
    size_t bytes;
    if (!total_bytes(count, item_bytes, &bytes) || injected_failure()) return NULL;
    return calloc(1, bytes);
}

void *qn_alloc_aligned(int64_t count, size_t item_bytes)
{
    size_t bytes;
    if (!total_bytes(count, item_bytes, &bytes) || injected_failure()) return NULL;
    return aligned_alloc(ALIGNMENT, (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT);
}

void *qn_realloc_array(void *memory, int64_t count, size_t item_bytes)
{
    size_t bytes;
    if (!total_bytes(count, item_bytes, &bytes) || injected_failure()) return NULL;
    return realloc(memory, bytes);
}

char *qn_strndup(const char *text, size_t bytes)
{
    char *copy = qn_alloc_array((int64_t)bytes + 1, 1);
    if (copy && bytes > 0) memcpy(copy, text, bytes);
    return copy;
}

char *qn_strdup(const char *text)
{
    return qn_strndup(text, strlen(text));
}

void qn_free(void *memory)
{
    free(memory);
}
