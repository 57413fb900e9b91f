/* SPDX-License-Identifier: Apache-2.0 */
/* Metrics: labels and predictions to one number, named and defined as in scikit-learn. The table
 * is qn_metrics in metrics.c; to add one, add a row there.
 *
 * Threads: pure functions of their input; share freely. */
#ifndef QN_METRIC_METRIC_H
#define QN_METRIC_METRIC_H

#include "base/error.h"
#include "frame/schema.h"

typedef struct qn_metric_input {
    qn_task task;
    int32_t n_classes; /* 0 unless classification */
    int64_t n_rows;
    const double *target;        /* n_rows: class index (binary: 1 is positive) or value */
    const double *predicted;     /* binary: n_rows p of class 1; multiclass: n_rows × n_classes,
                                    row after row; else n_rows values */
    const double *weights;       /* n_rows or NULL */
    const int32_t *groups;       /* ranking: query number of each row, rows of a query adjacent */
    double threshold;            /* binary labels: p >= threshold is class 1; 0 means 0.5 */
    const double *class_weights; /* multiclass labels: argmax of p × these; NULL: plain argmax */
} qn_metric_input;

typedef struct qn_metric {
    const char *name;
    unsigned tasks; /* bit 1u << qn_task for each task it is defined for */
    bool greater_is_better;
    bool needs_label; /* depends on the threshold or argmax, not on probabilities alone */
    bool ranks_only;  /* unchanged by any increasing map of the predictions */
    const char *help; /* one line for docs and `--metric` */
    /* QN_NA when undefined (one class only, zero weight). Fails only for want of memory. */
    qn_status (*compute)(const qn_metric_input *input, double *out, qn_error *err);
} qn_metric;

extern const qn_metric *const qn_metrics[]; /* ended by NULL */

/* NULL when there is none of that name. */
const qn_metric *qn_metric_find(const char *name);
/* The same, but fails with QN_ERR_ARG when there is none, and names the nearest. */
QN_MUST_CHECK
qn_status qn_metric_require(const char *name, const qn_metric **out, qn_error *err);
/* roc_auc, log_loss, rmse, ndcg@10. */
const qn_metric *qn_metric_default(qn_task task);
/* n_classes × n_classes weighted counts, [actual][predicted], cleared first. */
void qn_confusion_fill(const qn_metric_input *input, double *counts);
/* A score where greater is better: the value, or its negative. */
double qn_metric_score(const qn_metric *metric, double value);

#endif
