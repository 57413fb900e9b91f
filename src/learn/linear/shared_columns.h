/* SPDX-License-Identifier: Apache-2.0 */
/* The columns of a design that several rows share. Those of one value, most of the words of texts,
 * matter to that row alone: all they add to the products X X' of rows is its value's square on the
 * diagonal. Methods that live in the space of rows leave them out:
 *     X X' = S S' + diagonal(alone)
 *
 * Threads: immutable once built; share freely. */
#ifndef QN_LEARN_LINEAR_SHARED_COLUMNS_H
#define QN_LEARN_LINEAR_SHARED_COLUMNS_H

#include "learn/linear/design.h"

typedef struct qn_shared_columns {
    qn_design design; /* S: all dense columns, which stay the original's, and the sparse ones of
                         several values, numbered anew; no `features` */
    double *alone;    /* n_rows */
} qn_shared_columns;  /* release with qn_shared_columns_release(), before the design */

QN_MUST_CHECK
qn_status qn_shared_columns_init(qn_shared_columns *shared, const qn_design *x, qn_error *err);
void qn_shared_columns_release(qn_shared_columns *shared);

#endif
