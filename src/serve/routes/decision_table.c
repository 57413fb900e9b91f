/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/routes/decision_table.h"

#include "base/alloc.h"
#include "base/hash.h"
#include "base/number.h"

#include <inttypes.h>
#include <string.h>

enum { N_PLACES = 1 << 16, HASH_DIGITS = 16 };

struct qn_decision_table {
    qn_decision places[N_PLACES];
};

qn_decision_table *qn_decision_table_create(void)
{
    return qn_alloc_array(1, sizeof(qn_decision_table));
}

void qn_decision_table_free(qn_decision_table *table)
{
    qn_free(table);
}

uint64_t qn_decision_key(const char *id, size_t bytes, int64_t row)
{
    const uint64_t key = qn_hash_mix(qn_hash64(id, bytes), (uint64_t)row);
    return key ? key : 1;
}

void qn_decision_table_put(qn_decision_table *table, const qn_decision *decision)
{
    table->places[decision->key % N_PLACES] = *decision;
}

bool qn_decision_table_take(qn_decision_table *table, uint64_t key, qn_decision *out)
{
    qn_decision *place = &table->places[key % N_PLACES];
    if (place->key != key) return false;
    *out = *place;
    *place = (qn_decision){0};
    return true;
}

/* Text. */

void qn_decision_table_copy(const qn_decision_table *from, qn_decision_table *to)
{
    *to = *from;
}

void qn_decision_table_write(const qn_decision_table *table, qn_str *out)
{
    const size_t begin = out->bytes;
    for (int i = 0; i < N_PLACES; i++) {
        const qn_decision *decision = &table->places[i];
        if (decision->key == 0 || !isfinite(decision->number)) continue;
        if (out->bytes > begin) qn_str_add_char(out, ' ');
        qn_str_addf(out, "%016" PRIx64 ":%d", decision->key, decision->arm);
        if (decision->label != 0) {
            qn_str_addf(out, ":%016" PRIx64, decision->label);
        } else if (decision->number != 0) {
            qn_str_add_char(out, '=');
            qn_str_add_double(out, decision->number);
        }
    }
}

static bool read_hash(const char **at, uint64_t *out)
{
    static const char digits[] = "0123456789abcdef";
    *out = 0;
    for (int i = 0; i < HASH_DIGITS; i++, (*at)++) {
        const char *digit = **at ? strchr(digits, **at) : NULL;
        if (!digit) return false;
        *out = *out << 4 | (uint64_t)(digit - digits);
    }
    return *out != 0;
}

/* Up to the space that follows it, or the end. */
static bool read_decision(const char **at, int n_arms, qn_decision *out)
{
    int64_t arm;
    *out = (qn_decision){0};
    if (!read_hash(at, &out->key) || *(*at)++ != ':') return false;
    size_t bytes = strcspn(*at, ":= ");
    if (!qn_parse_int64(*at, bytes, &arm) || arm < 0 || arm >= n_arms) return false;
    out->arm = (int)arm;
    *at += bytes;
    if (**at == ':') {
        (*at)++;
        return read_hash(at, &out->label);
    }
    if (**at != '=') return true;
    bytes = strcspn(++*at, " ");
    if (!qn_parse_double(*at, bytes, &out->number) || !isfinite(out->number)) return false;
    *at += bytes;
    return true;
}

bool qn_decision_table_read(const char *text, int n_arms, qn_decision_table *table)
{
    qn_decision decision;
    for (const char *at = text; at && *at;) {
        if (!read_decision(&at, n_arms, &decision)) return false;
        if (table) qn_decision_table_put(table, &decision);
        if (*at != '\0' && (*at++ != ' ' || *at == '\0')) return false;
    }
    return true;
}
