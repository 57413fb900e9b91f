/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/http/content_coding.h"

#include <string.h>

static bool is_word(qn_span word, const char *name)
{
    return strlen(name) == word.bytes && strncasecmp(word.text, name, word.bytes) == 0;
}

static qn_span trimmed(qn_span word)
{
    while (word.bytes > 0 && (*word.text == ' ' || *word.text == '\t')) {
        word.text++;
        word.bytes--;
    }
    while (word.bytes > 0 &&
           (word.text[word.bytes - 1] == ' ' || word.text[word.bytes - 1] == '\t')) {
        word.bytes--;
    }
    return word;
}

/* The part of *rest before the next `separator`, trimmed; *rest becomes what is behind it. */
static qn_span next_part(qn_span *rest, char separator)
{
    const char *found = memchr(rest->text, separator, rest->bytes);
    const qn_span part = {rest->text, found ? (size_t)(found - rest->text) : rest->bytes};
    const size_t used = part.bytes + (found != NULL);
    *rest = (qn_span){rest->text + used, rest->bytes - used};
    return trimmed(part);
}

qn_coding qn_content_coding_of_body(qn_span content_encoding)
{
    const qn_span word = trimmed(content_encoding);
    if (!content_encoding.text) return QN_CODING_IDENTITY;
    if (is_word(word, "x-gzip")) return QN_CODING_GZIP;
    for (int i = 0; i < QN_CODING_UNKNOWN; i++) {
        if (is_word(word, qn_coding_name((qn_coding)i))) return (qn_coding)i;
    }
    return QN_CODING_UNKNOWN;
}

/* Thousandths: 1000 for "1" or nothing, 0 where it is no weight. */
static int weight_of(qn_span parameters)
{
    while (parameters.bytes > 0) {
        const qn_span part = next_part(&parameters, ';');
        int weight = 0, unit = 1000;
        if (part.bytes < 3 || strncasecmp(part.text, "q=", 2) != 0) continue;
        for (size_t i = 2; i < part.bytes && unit > 0; i++) {
            if (part.text[i] == '.') continue;
            if (part.text[i] < '0' || part.text[i] > '9') return 0;
            weight += (part.text[i] - '0') * unit;
            unit /= 10;
        }
        return weight;
    }
    return 1000;
}

qn_coding qn_content_coding_for_reply(qn_span accept_encoding)
{
    int any = 0, weights[QN_CODING_UNKNOWN];
    for (int i = 0; i < QN_CODING_UNKNOWN; i++) {
        weights[i] = -1;
    }
    while (accept_encoding.bytes > 0) {
        qn_span item = next_part(&accept_encoding, ',');
        const qn_span name = next_part(&item, ';');
        const qn_coding coding = qn_content_coding_of_body(name);
        if (is_word(name, "*")) {
            any = weight_of(item);
        } else if (name.bytes > 0 && coding != QN_CODING_UNKNOWN) {
            weights[coding] = weight_of(item);
        }
    }
    const int gzip = weights[QN_CODING_GZIP] < 0 ? any : weights[QN_CODING_GZIP];
    const int zstd = weights[QN_CODING_ZSTD] < 0 ? any : weights[QN_CODING_ZSTD];
    if (gzip <= 0 && zstd <= 0) return QN_CODING_IDENTITY;
    if (weights[QN_CODING_IDENTITY] > gzip && weights[QN_CODING_IDENTITY] > zstd) {
        return QN_CODING_IDENTITY;
    }
    return zstd >= gzip ? QN_CODING_ZSTD : QN_CODING_GZIP;
}
