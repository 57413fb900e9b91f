/* SPDX-License-Identifier: Apache-2.0 */
#include "base/json_escape.h"

#include <stdbool.h>
#include <string.h>

static bool hex4(const char *at, const char *end, unsigned *out)
{
    if (end - at < 4) return false;
    *out = 0;
    for (int i = 0; i < 4; i++) {
        const unsigned c = (unsigned char)at[i], letter = c | 0x20;
        unsigned digit = 16;
        if (c >= '0' && c <= '9') digit = c - '0';
        if (letter >= 'a' && letter <= 'f') digit = letter - 'a' + 10;
        if (digit == 16) return false;
        *out = *out * 16 + digit;
    }
    return true;
}

static size_t put_code_point(unsigned c, char *out)
{
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    const size_t bytes = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    for (size_t i = bytes - 1; i > 0; i--, c >>= 6) {
        out[i] = (char)(0x80 | (c & 0x3f));
    }
    out[0] = (char)((0xf00 >> bytes & 0xff) | c); /* 110…, 1110…, 11110… */
    return bytes;
}

/* XXXX of \uXXXX, with the other half of a pair. */
static const char *unicode_escape(const char **at, const char *end, char *out, size_t *bytes)
{
    static const char half[] = "found half of a surrogate pair";
    unsigned c, low;
    if (!hex4(*at, end, &c)) return "expected four hex digits";
    if (c == 0) return "found a zero character; no text here can hold it";
    if (c >= 0xdc00 && c < 0xe000) return half;
    const bool pair = c >= 0xd800 && c < 0xdc00;
    if (pair) {
        const char *next = *at + 4;
        if (end - next < 6 || next[0] != '\\' || next[1] != 'u' || !hex4(next + 2, end, &low) ||
            low < 0xdc00 || low > 0xdfff) {
            return half;
        }
        c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
    }
    *at += pair ? 10 : 4;
    *bytes = put_code_point(c, out);
    return NULL;
}

const char *qn_json_escape(const char **at, const char *end, char out[QN_JSON_ESCAPE_MAX],
                           size_t *bytes)
{
    static const char escapes[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
    const char c = *(*at)++;
    if (c == 'u') return unicode_escape(at, end, out, bytes);
    const char *known = c ? strchr(escapes, c) : NULL;
    if (!known) return "found an unknown escape";
    out[0] = values[known - escapes];
    *bytes = 1;
    return NULL;
}
