/* SPDX-License-Identifier: Apache-2.0 */
#include "base/sort.h"

#include "base/alloc.h"

#include <stdlib.h>
#include <string.h>

enum { DIGIT_BITS = 11, N_DIGITS = 1 << DIGIT_BITS, DIGIT_MASK = N_DIGITS - 1 };

struct item {
    uint64_t key;
    int32_t at;
};

/* Doubles as unsigned integers of the same order. */
static uint64_t key_of(double value)
{
    uint64_t bits;
    value += 0.0; /* -0 becomes 0: they are equal */
    memcpy(&bits, &value, sizeof bits);
    return bits >> 63 ? ~bits : bits | UINT64_C(1) << 63;
}

static double value_of(uint64_t bits)
{
    double value;
    bits = bits >> 63 ? bits & ~(UINT64_C(1) << 63) : ~bits;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static void insertion_sort(struct item *items, int64_t n)
{
    for (int64_t i = 1; i < n; i++) {
        const struct item item = items[i];
        int64_t at = i;
        for (; at > 0 && item.key < items[at - 1].key; at--) {
            items[at] = items[at - 1];
        }
        items[at] = item;
    }
}

/* Least significant digit first; digits that all items share are passed over. */
static struct item *radix_sort(struct item *items, struct item *room, int64_t n)
{
    for (int shift = 0; shift < 64; shift += DIGIT_BITS) {
        int64_t starts[N_DIGITS] = {0};
        for (int64_t i = 0; i < n; i++) {
            starts[items[i].key >> shift & DIGIT_MASK]++;
        }
        if (starts[items[0].key >> shift & DIGIT_MASK] == n) continue;
        int64_t sum = 0;
        for (int d = 0; d < N_DIGITS; d++) {
            const int64_t count = starts[d];
            starts[d] = sum;
            sum += count;
        }
        for (int64_t i = 0; i < n; i++) {
            room[starts[items[i].key >> shift & DIGIT_MASK]++] = items[i];
        }
        struct item *swap = items;
        items = room;
        room = swap;
    }
    return items;
}

static struct item *sorted_items(const double *values, int64_t n, struct item **memory)
{
    struct item *items = qn_alloc_aligned(2 * n, sizeof *items);
    *memory = items;
    if (!items) return NULL;
    for (int64_t i = 0; i < n; i++) {
        items[i] = (struct item){key_of(values[i]), (int32_t)i};
    }
    if (n < 64) {
        insertion_sort(items, n);
        return items;
    }
    return radix_sort(items, items + n, n);
}

bool qn_sort_doubles(double *values, int64_t n)
{
    struct item *memory, *items = sorted_items(values, n, &memory);
    for (int64_t i = 0; items && i < n; i++) {
        values[i] = value_of(items[i].key);
    }
    qn_free(memory);
    return items != NULL;
}

bool qn_sort_order(const double *values, int64_t n, int32_t *order)
{
    struct item *memory, *items = sorted_items(values, n, &memory);
    for (int64_t i = 0; items && i < n; i++) {
        order[i] = items[i].at;
    }
    qn_free(memory);
    return items != NULL;
}
