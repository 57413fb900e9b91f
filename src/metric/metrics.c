/* SPDX-License-Identifier: Apache-2.0 */
/* The table of metrics. To add one: its function in the file of its task, a row here, a number in
 * tests/golden/metrics. */
#include "base/nearest.h"
#include "metric/metrics_internal.h"

#include <string.h>

#define BINARY (1u << QN_TASK_BINARY)
#define CLASSES (BINARY | 1u << QN_TASK_MULTICLASS)
#define NUMBERS (1u << QN_TASK_REGRESSION)
#define RANKING (1u << QN_TASK_RANKING)

/* name, tasks, greater is better, needs labels, ranks only, help, function */
static const qn_metric roc_auc = {
    "roc_auc",
    CLASSES,
    true,
    false,
    true,
    "area under the ROC curve; multiclass: mean of one class against the rest",
    qn_metric_roc_auc};
static const qn_metric average_precision = {
    "average_precision",        CLASSES, true, false, true, "area under the precision-recall curve",
    qn_metric_average_precision};
static const qn_metric log_loss = {"log_loss",
                                   CLASSES,
                                   false,
                                   false,
                                   false,
                                   "mean negative log of the probability of the true class",
                                   qn_metric_log_loss};
static const qn_metric brier = {"brier",        CLASSES, false,
                                false,          false,   "mean squared error of the probabilities",
                                qn_metric_brier};
static const qn_metric accuracy = {
    "accuracy",        CLASSES, true, true, false, "share of rows whose class is right",
    qn_metric_accuracy};
static const qn_metric balanced_accuracy = {
    "balanced_accuracy",        CLASSES, true, true, false, "mean recall of the classes",
    qn_metric_balanced_accuracy};
static const qn_metric precision = {
    "precision",        BINARY, true, true, false, "share of predicted positives that are positive",
    qn_metric_precision};
static const qn_metric recall = {
    "recall", BINARY, true, true, false, "share of positives that are found", qn_metric_recall};
static const qn_metric f1 = {
    "f1", BINARY, true, true, false, "harmonic mean of precision and recall", qn_metric_f1};
static const qn_metric precision_macro = {
    "precision_macro",        CLASSES, true, true, false, "mean precision of the classes",
    qn_metric_precision_macro};
static const qn_metric recall_macro = {
    "recall_macro",        CLASSES, true, true, false, "mean recall of the classes",
    qn_metric_recall_macro};
static const qn_metric f1_macro = {
    "f1_macro", CLASSES, true, true, false, "mean F1 of the classes", qn_metric_f1_macro};
static const qn_metric precision_weighted = {"precision_weighted",
                                             CLASSES,
                                             true,
                                             true,
                                             false,
                                             "precision of the classes, by their size",
                                             qn_metric_precision_weighted};
static const qn_metric recall_weighted = {
    "recall_weighted",        CLASSES, true, true, false, "recall of the classes, by their size",
    qn_metric_recall_weighted};
static const qn_metric f1_weighted = {
    "f1_weighted",        CLASSES, true, true, false, "F1 of the classes, by their size",
    qn_metric_f1_weighted};
static const qn_metric mcc = {
    "mcc",        CLASSES, true, true, false, "Matthews correlation of true and predicted classes",
    qn_metric_mcc};
static const qn_metric rmse = {
    "rmse", NUMBERS, false, false, false, "root of the mean squared error", qn_metric_rmse};
static const qn_metric mse = {"mse",        NUMBERS, false, false, false, "mean squared error",
                              qn_metric_mse};
static const qn_metric mae = {"mae",        NUMBERS, false, false, false, "mean absolute error",
                              qn_metric_mae};
static const qn_metric medae = {
    "medae", NUMBERS, false, false, false, "median absolute error", qn_metric_medae};
static const qn_metric r2 = {
    "r2", NUMBERS, true, false, false, "share of the target's variance explained", qn_metric_r2};
static const qn_metric mape = {"mape",        NUMBERS, false,
                               false,         false,   "mean absolute error relative to the target",
                               qn_metric_mape};
static const qn_metric rmsle = {"rmsle",        NUMBERS, false,
                                false,          false,   "root mean squared error of logarithms",
                                qn_metric_rmsle};
static const qn_metric max_error = {
    "max_error", NUMBERS, false, false, false, "largest absolute error", qn_metric_max_error};
static const qn_metric ndcg = {
    "ndcg", RANKING, true, false, true, "normalised discounted cumulative gain", qn_metric_ndcg};
static const qn_metric ndcg_5 = {
    "ndcg@5", RANKING, true, false, true, "the same for the first five", qn_metric_ndcg_5};
static const qn_metric ndcg_10 = {
    "ndcg@10", RANKING, true, false, true, "the same for the first ten", qn_metric_ndcg_10};
static const qn_metric map = {
    "map",        RANKING, true, false, true, "mean average precision; grades above 0 are relevant",
    qn_metric_map};
static const qn_metric map_10 = {
    "map@10", RANKING, true, false, true, "the same for the first ten", qn_metric_map_10};
static const qn_metric mrr = {
    "mrr",        RANKING, true, false, true, "mean reciprocal rank of the first relevant row",
    qn_metric_mrr};

const qn_metric *const qn_metrics[] = {&roc_auc,
                                       &average_precision,
                                       &log_loss,
                                       &brier,
                                       &accuracy,
                                       &balanced_accuracy,
                                       &precision,
                                       &recall,
                                       &f1,
                                       &precision_macro,
                                       &recall_macro,
                                       &f1_macro,
                                       &precision_weighted,
                                       &recall_weighted,
                                       &f1_weighted,
                                       &mcc,
                                       &rmse,
                                       &mae,
                                       &r2,
                                       &mse,
                                       &medae,
                                       &mape,
                                       &rmsle,
                                       &max_error,
                                       &ndcg_10,
                                       &ndcg_5,
                                       &ndcg,
                                       &map,
                                       &map_10,
                                       &mrr,
                                       NULL};

const qn_metric *qn_metric_find(const char *name)
{
    for (int i = 0; qn_metrics[i]; i++) {
        if (strcmp(qn_metrics[i]->name, name) == 0) return qn_metrics[i];
    }
    return NULL;
}

qn_status qn_metric_require(const char *name, const qn_metric **out, qn_error *err)
{
    const char *names[sizeof qn_metrics / sizeof *qn_metrics];
    int64_t n = 0;
    *out = qn_metric_find(name);
    if (*out) return QN_OK;
    for (; qn_metrics[n]; n++) {
        names[n] = qn_metrics[n]->name;
    }
    const char *near = qn_nearest_name(name, names, n);
    return near
               ? qn_fail(err, QN_ERR_ARG, "there is no metric '%s'; did you mean '%s'?", name, near)
               : qn_fail(err, QN_ERR_ARG, "there is no metric '%s'; 'quern metrics' lists them",
                         name);
}

const qn_metric *qn_metric_default(qn_task task)
{
    switch (task) {
    case QN_TASK_BINARY:
        return &roc_auc;
    case QN_TASK_MULTICLASS:
        return &log_loss;
    case QN_TASK_REGRESSION:
        return &rmse;
    case QN_TASK_RANKING:
    case QN_TASK_CLUSTERING:
    case QN_TASK_REDUCTION:
    case QN_TASK_OUTLIERS:
        break;
    }
    return &ndcg_10;
}

double qn_metric_score(const qn_metric *metric, double value)
{
    return metric->greater_is_better ? value : -value;
}
