/* SPDX-License-Identifier: Apache-2.0 */
/* The functions behind the table in metrics.c, by task. */
#ifndef QN_METRIC_METRICS_INTERNAL_H
#define QN_METRIC_METRICS_INTERNAL_H

#include "metric/metric.h"

enum { QN_QUERY_ROWS_MAX = 10000 };

#define QN_DECLARE(name) \
    qn_status qn_metric_##name(const qn_metric_input *input, double *out, qn_error *err)

QN_DECLARE(roc_auc);
QN_DECLARE(average_precision);
QN_DECLARE(log_loss);
QN_DECLARE(brier);
QN_DECLARE(accuracy);
QN_DECLARE(balanced_accuracy);
QN_DECLARE(precision);
QN_DECLARE(recall);
QN_DECLARE(f1);
QN_DECLARE(precision_macro);
QN_DECLARE(recall_macro);
QN_DECLARE(f1_macro);
QN_DECLARE(precision_weighted);
QN_DECLARE(recall_weighted);
QN_DECLARE(f1_weighted);
QN_DECLARE(mcc);
QN_DECLARE(rmse);
QN_DECLARE(mse);
QN_DECLARE(mae);
QN_DECLARE(medae);
QN_DECLARE(r2);
QN_DECLARE(mape);
QN_DECLARE(rmsle);
QN_DECLARE(max_error);
QN_DECLARE(ndcg);
QN_DECLARE(ndcg_5);
QN_DECLARE(ndcg_10);
QN_DECLARE(map);
QN_DECLARE(map_10);
QN_DECLARE(mrr);

/* The class that row i is predicted to be. */
int32_t qn_metric_label(const qn_metric_input *input, int64_t i);

#endif
