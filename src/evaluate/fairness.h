/* SPDX-License-Identifier: Apache-2.0 */
/* Fairness: how a binary model treats the groups that a column names. Rates and disparities are
 * named and defined as in Fairlearn 0.10, but a rate that a group has no rows for is QN_NA there
 * and left out of the disparities.
 *
 * Threads: calls are independent. */
#ifndef QN_EVALUATE_FAIRNESS_H
#define QN_EVALUATE_FAIRNESS_H

#include "base/arena.h"
#include "base/json.h"
#include "frame/frame.h"
#include "metric/metric.h"

typedef struct qn_group_rates {
    const char *group; /* the value; "(missing)" for rows without one */
    int64_t n_rows;
    double selection_rate; /* share predicted to be the positive class */
    double true_positive_rate, false_positive_rate;
    double accuracy, roc_auc;
} qn_group_rates;

typedef struct qn_fairness {
    qn_arena arena; /* owns the rest */
    int64_t n_groups;
    qn_group_rates *groups; /* in the order of their values, the missing last */
    double demographic_parity_difference, demographic_parity_ratio; /* of selection rates */
    double equalized_odds_difference, equalized_odds_ratio;         /* worse of the two rates' */
} qn_fairness; /* release with qn_fairness_release() */

enum { QN_FAIRNESS_GROUPS_MAX = 100 };

/* `input` has one row for each of the column. Fails with QN_ERR_ARG (not a binary model, more
 * groups than QN_FAIRNESS_GROUPS_MAX) or QN_ERR_NOMEM. */
QN_MUST_CHECK
qn_status qn_fairness_create(const qn_metric_input *input, const qn_column *column,
                             qn_fairness *out, qn_error *err);
void qn_fairness_release(qn_fairness *fairness);
void qn_fairness_write_json(const qn_fairness *fairness, qn_json_writer *json);

#endif
