/* SPDX-License-Identifier: Apache-2.0 */
/* Decision table: which arm got a request, and what it predicted, until it is known what became of
 * it. Of a fixed size: each decision has one place, by its hash, and a later one takes it; so what
 * is older than some 65,536 rows may be forgotten, and nothing grows.
 *
 * Threads: one thread at a time. */
#ifndef QN_SERVE_DECISION_TABLE_H
#define QN_SERVE_DECISION_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct qn_decision {
    uint64_t key;   /* 0: none */
    uint64_t label; /* the hash of the label that was predicted; 0: a number was */
    double number;
    int arm;
} qn_decision;

typedef struct qn_decision_table qn_decision_table; /* destroy with qn_decision_table_free() */

qn_decision_table *qn_decision_table_create(void); /* NULL when out of memory */
void qn_decision_table_free(qn_decision_table *table);

/* Of a row (from 1; 0: the request as a whole) of the request of that id. */
uint64_t qn_decision_key(const char *id, size_t bytes, int64_t row);
void qn_decision_table_put(qn_decision_table *table, const qn_decision *decision);
/* Takes it out: what became of it counts once. False when it is not there (any more). */
bool qn_decision_table_take(qn_decision_table *table, uint64_t key, qn_decision *out);

#endif
