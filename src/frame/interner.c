/* SPDX-License-Identifier: Apache-2.0 */
/* Open addressing with linear probing. A slot holds 32 bits of the hash beside the code, so that a
 * probe seldom reads a text in vain, and growing reads none. */
#include "frame/interner.h"

#include "base/alloc.h"
#include "base/hash.h"

#include <string.h>

#define FREE_SLOT UINT64_MAX
enum { FIRST_SLOTS = 64, FIRST_BYTES = 256 };

void qn_interner_release(qn_interner *interner)
{
    qn_free(interner->texts.offsets);
    qn_free(interner->texts.bytes);
    qn_free(interner->slots);
    *interner = (qn_interner){0};
}

static bool grow_slots(qn_interner *interner)
{
    const uint64_t n_slots = interner->slots ? (interner->mask + 1) * 2 : FIRST_SLOTS;
    uint64_t *slots = qn_alloc_aligned((int64_t)n_slots, sizeof *slots);
    if (!slots) return false;
    memset(slots, 0xff, n_slots * sizeof *slots);
    const uint64_t mask = n_slots - 1;
    for (uint64_t i = 0; interner->slots && i <= interner->mask; i++) {
        if (interner->slots[i] == FREE_SLOT) continue;
        uint64_t at = (interner->slots[i] >> 32) & mask;
        while (slots[at] != FREE_SLOT) {
            at = (at + 1) & mask;
        }
        slots[at] = interner->slots[i];
    }
    qn_free(interner->slots);
    interner->slots = slots;
    interner->mask = mask;
    return true;
}

static bool grow_offsets(qn_interner *interner)
{
    const int64_t room = interner->room ? interner->room * 2 : FIRST_SLOTS;
    int64_t *offsets = qn_realloc_array(interner->texts.offsets, room + 1, sizeof *offsets);
    if (!offsets) return false;
    if (interner->room == 0) offsets[0] = 0;
    interner->texts.offsets = offsets;
    interner->room = room;
    return true;
}

static bool grow_bytes(qn_interner *interner, size_t bytes)
{
    int64_t room = interner->bytes_room ? interner->bytes_room : FIRST_BYTES;
    while (room - interner->texts.offsets[interner->texts.n] < (int64_t)bytes) {
        room *= 2;
    }
    char *grown = qn_realloc_array(interner->texts.bytes, room, 1);
    if (!grown) return false;
    interner->texts.bytes = grown;
    interner->bytes_room = room;
    return true;
}

int32_t qn_interner_code(qn_interner *interner, const char *text, size_t bytes)
{
    qn_dictionary *texts = &interner->texts;
    if (!interner->slots && !grow_slots(interner)) return -1;
    const uint64_t tag = qn_hash64(text, bytes) >> 32;
    uint64_t at = tag & interner->mask;
    for (; interner->slots[at] != FREE_SLOT; at = (at + 1) & interner->mask) {
        if (interner->slots[at] >> 32 != tag) continue;
        const int32_t code = (int32_t)(interner->slots[at] & UINT32_MAX);
        size_t known_bytes;
        const char *known = qn_dictionary_text(texts, code, &known_bytes);
        if (known_bytes == bytes && (bytes == 0 || memcmp(known, text, bytes) == 0)) return code;
    }

    if (texts->n == INT32_MAX) return -1;
    if (texts->n == interner->room && !grow_offsets(interner)) return -1;
    const int64_t end = texts->offsets[texts->n];
    if (interner->bytes_room - end < (int64_t)bytes && !grow_bytes(interner, bytes)) return -1;
    if ((uint64_t)texts->n * 3 >= interner->mask * 2) {
        if (!grow_slots(interner)) return -1;
        at = tag & interner->mask;
        while (interner->slots[at] != FREE_SLOT) {
            at = (at + 1) & interner->mask;
        }
    }
    interner->slots[at] = tag << 32 | (uint64_t)texts->n;
    if (bytes > 0) memcpy(texts->bytes + end, text, bytes);
    texts->offsets[texts->n + 1] = end + (int64_t)bytes;
    return (int32_t)texts->n++;
}

void qn_interner_close(qn_interner *interner)
{
    qn_free(interner->slots);
    interner->slots = NULL;
}

bool qn_interner_take(qn_interner *interner, qn_dictionary *out)
{
    if (interner->texts.n == 0 && interner->room == 0 && !grow_offsets(interner)) return false;
    /* What was kept for growth goes back; a refusal to shrink would lose nothing. */
    qn_dictionary *texts = &interner->texts;
    int64_t *offsets = qn_realloc_array(texts->offsets, texts->n + 1, sizeof *offsets);
    if (offsets) texts->offsets = offsets;
    char *bytes = qn_realloc_array(texts->bytes, texts->offsets[texts->n], 1);
    if (bytes) texts->bytes = bytes;
    *out = *texts;
    *texts = (qn_dictionary){0};
    qn_interner_release(interner);
    return out->bytes != NULL;
}
