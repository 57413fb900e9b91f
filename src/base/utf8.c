/* SPDX-License-Identifier: Apache-2.0 */
#include "base/utf8.h"

#include "base/alloc.h"

#include <string.h>

static size_t length_by_first_byte(unsigned char c)
{
    if (c < 0x80) return 1;
    if (c < 0xc2) return 0;
    if (c < 0xe0) return 2;
    if (c < 0xf0) return 3;
    return c < 0xf5 ? 4 : 0;
}

size_t qn_utf8_character(const char *text, size_t bytes)
{
    const unsigned char *at = (const unsigned char *)text;
    const size_t n = length_by_first_byte(at[0]);
    if (n < 2) return n;
    if (n > bytes) return 0;
    for (size_t i = 1; i < n; i++) {
        if ((at[i] & 0xc0) != 0x80) return 0;
    }
    const unsigned char least = at[0] == 0xe0 ? 0xa0 : at[0] == 0xf0 ? 0x90 : 0x80;
    const unsigned char most = at[0] == 0xed ? 0x9f : at[0] == 0xf4 ? 0x8f : 0xbf;
    return at[1] < least || at[1] > most ? 0 : n;
}

const char *qn_utf8_first_invalid(const char *text, size_t bytes)
{
    const char *end = text + bytes;
    while (text < end) {
        if ((unsigned char)*text < 0x80) {
            text++;
            continue;
        }
        const size_t n = qn_utf8_character(text, (size_t)(end - text));
        if (n == 0) return text;
        text += n;
    }
    return NULL;
}

char *qn_utf8_repair(const char *text, size_t bytes, size_t *out_bytes)
{
    const char *end = text + bytes;
    char *repaired = qn_alloc_array((int64_t)bytes * 3 + 1, 1);
    size_t n = 0;
    while (repaired && text < end) {
        const char *wrong = qn_utf8_first_invalid(text, (size_t)(end - text));
        const size_t good = (size_t)((wrong ? wrong : end) - text);
        memcpy(repaired + n, text, good);
        n += good;
        text += good;
        if (!wrong) break;
        memcpy(repaired + n, "\xef\xbf\xbd", 3);
        n += 3;
        text++;
    }
    *out_bytes = n;
    return repaired;
}
