/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/decision_table.h"

#include "base/alloc.h"
#include "base/hash.h"

enum { N_PLACES = 1 << 16 };

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
