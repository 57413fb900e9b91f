/* SPDX-License-Identifier: Apache-2.0 */
/* Queries of a ranking table: the group column's values as numbers, and the rows of a query brought
 * side by side, as metrics want them.
 *
 * Threads: functions of their arguments. */
#ifndef QN_EVALUATE_QUERIES_H
#define QN_EVALUATE_QUERIES_H

#include "frame/frame.h"
#include "frame/schema.h"

/* Number of each row's query, in order of first appearance; missing is a value of its own. *out is
 * the caller's to free; NULL when the schema names no group column. Fails with QN_ERR_DATA when the
 * frame lacks that column, QN_ERR_NOMEM. */
QN_MUST_CHECK
qn_status qn_queries_number(const qn_schema *schema, const qn_frame *frame, int32_t **out,
                            qn_error *err);

/* Orders row numbers by queries[row], then by row. */
QN_MUST_CHECK
qn_status qn_queries_sort(int32_t *rows, int64_t n, const int32_t *queries, qn_error *err);

#endif
