/* SPDX-License-Identifier: Apache-2.0 */
/* What a model must obey whatever the data say: directions in which a prediction may move with a
 * column, and which columns may act together.
 *
 * Threads: immutable once read; share freely. */
#ifndef QN_AUTOML_CONSTRAINTS_H
#define QN_AUTOML_CONSTRAINTS_H

#include "frame/schema.h"
#include "learn/dataset.h"

/* Per feature of the schema; all NULL: none. */
typedef struct qn_constraints {
    int8_t *monotone;
    uint64_t *interaction_sets;
} qn_constraints; /* zero-initialise; release with qn_constraints_release() */

/* monotone: "age=increasing,price=decreasing"; interactions: "age,sex;price,rooms": columns of
 * different sets never meet in one rule, columns of no set meet none. Either may be NULL.
 * Fails with QN_ERR_ARG: unknown column (nearest one named), not a number, no direction. */
QN_MUST_CHECK
qn_status qn_constraints_read(const qn_schema *schema, const char *monotone,
                              const char *interactions, qn_constraints *out, qn_error *err);
void qn_constraints_release(qn_constraints *constraints);
bool qn_constraints_any(const qn_constraints *constraints);

/* The same per feature of a tree view; columns are the features' own. */
typedef struct qn_view_constraints {
    int8_t *monotone;
    uint64_t *interaction_sets;
    int32_t *columns;
} qn_view_constraints; /* release with qn_view_constraints_release() */

/* Fills `out`, which `data` then points to. */
QN_MUST_CHECK
qn_status qn_constraints_apply(const qn_constraints *constraints, const qn_schema *schema,
                               qn_dataset *data, qn_view_constraints *out, qn_error *err);
void qn_view_constraints_release(qn_view_constraints *constraints);

#endif
