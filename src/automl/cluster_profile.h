/* SPDX-License-Identifier: Apache-2.0 */
/* What the rows of each cluster have in common, in the units of the table: of numbers and dates the
 * mean, of categories the commonest.
 *
 * Threads: calls are independent. */
#ifndef QN_AUTOML_CLUSTER_PROFILE_H
#define QN_AUTOML_CLUSTER_PROFILE_H

#include "automl/unlabelled.h"

/* Writes an array: for each column of the table that is a feature and no text {"column", "kind",
 * "values": one per cluster, a number, a date as text, a category, or null where all are missing;
 * "shares": of the category among present values}. `labels`: 0 … k - 1, one per row. Fails with
 * QN_ERR_NOMEM. */
QN_MUST_CHECK
qn_status qn_cluster_profile_write(const qn_unlabelled *table, const int32_t *labels, int32_t k,
                                   qn_json_writer *json, qn_error *err);

#endif
