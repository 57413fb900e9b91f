/* SPDX-License-Identifier: Apache-2.0 */
/* Decision table: which arm got a request, and what it predicted, until it is known what became of
 * it. Of a fixed size: each decision has one place, by its hash, and a later one takes it; so what
 * is older than some 65,536 rows may be forgotten, and nothing grows.
 *
 * Threads: one thread at a time. */
#ifndef QN_SERVE_ROUTES_DECISION_TABLE_H
#define QN_SERVE_ROUTES_DECISION_TABLE_H

#include "base/str.h"

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

void qn_decision_table_copy(const qn_decision_table *from, qn_decision_table *to);
/* Adds the decisions that are there as text, in the order of their places, with spaces between:
 *
 *     1f00b3c59a0e7d24:0 9c0d7a11e0b45f68:1=0.25 c3a5d0e1f2b49687:1:5be01f7a93c2d846
 *
 * the key and the arm, and a number or a label's hash where one was predicted. One of no use, a
 * number that is none, is left out. */
void qn_decision_table_write(const qn_decision_table *table, qn_str *out);
/* Puts the decisions of such a text; NULL has none. False, some having been put, when it is no such
 * text or an arm is not below n_arms. `table` NULL: nothing is put. */
bool qn_decision_table_read(const char *text, int n_arms, qn_decision_table *table);

#endif
