/* SPDX-License-Identifier: Apache-2.0 */
/* Every metric against the values that scikit-learn gave: tests/golden/metrics. */
#include "metric/metric.h"

#include "check.h"

#include <stdlib.h>

enum { NUMBERS_MAX = 4096 };

static double target[NUMBERS_MAX], predicted[NUMBERS_MAX], weights[NUMBERS_MAX];

static void read_numbers(FILE *file, double *out, int n)
{
    for (int i = 0; i < n; i++) {
        CHECK(fscanf(file, "%lf", &out[i]) == 1);
    }
}

/* One case; false at the end of the file. */
static bool check_case(FILE *file, int *n_checked)
{
    char task[32], name[64];
    int n_classes, n, weighted;
    double expected;
    if (fscanf(file, " case %31s %d %d %d", task, &n_classes, &n, &weighted) != 4) return false;
    qn_metric_input input = {.n_classes = n_classes,
                             .n_rows = n,
                             .target = target,
                             .predicted = predicted,
                             .weights = weighted ? weights : NULL};
    CHECK(qn_task_from_name(task, &input.task));
    read_numbers(file, target, n);
    read_numbers(file, predicted, input.task == QN_TASK_MULTICLASS ? n * n_classes : n);
    read_numbers(file, weights, n);
    long at = ftell(file);
    while (fscanf(file, " %63s %lf", name, &expected) == 2 && strcmp(name, "case") != 0) {
        const qn_metric *metric = qn_metric_find(name);
        double value;
        if (!metric) fail_msg("there is no metric %s", name);
        CHECK_INT(metric->compute(&input, &value, NULL), QN_OK);
        if (!(fabs(value - expected) <= 1e-9 * fmax(1, fabs(expected)))) {
            fail_msg("%s of %d rows (%s) is %.17g, not %.17g", name, n, task, value, expected);
        }
        ++*n_checked;
        at = ftell(file);
    }
    fseek(file, at, SEEK_SET);
    return true;
}

static void every_metric_equals_scikit_learn(void **state)
{
    (void)state;
    char path[512];
    int n_checked = 0;
    snprintf(path, sizeof path, "%s/tests/golden/metrics/cases.txt", getenv("QUERN_SOURCE"));
    FILE *file = fopen(path, "r");
    if (!file) fail_msg("%s is missing", path);
    while (check_case(file, &n_checked)) {
    }
    fclose(file);
    CHECK(n_checked > 100);
}

static void a_metric_without_both_classes_is_undefined(void **state)
{
    (void)state;
    const double y[] = {1, 1}, p[] = {0.2, 0.8};
    const qn_metric_input input = {
        .task = QN_TASK_BINARY, .n_classes = 2, .n_rows = 2, .target = y, .predicted = p};
    double value = 0;
    CHECK_INT(qn_metric_find("roc_auc")->compute(&input, &value, NULL), QN_OK);
    CHECK(isnan(value));
}

/* A number that equals nothing, not even itself, is a tie with nothing: metrics come to an end. */
static void metrics_of_what_is_no_number_end(void **state)
{
    (void)state;
    const double y[] = {0, 1, 1, 0}, p[] = {0.2, NAN, NAN, 0.5, NAN, NAN, NAN, NAN};
    for (int32_t n_classes = 0; n_classes <= 2; n_classes++) {
        const qn_task task = n_classes == 2   ? QN_TASK_BINARY
                             : n_classes == 1 ? QN_TASK_MULTICLASS
                                              : QN_TASK_REGRESSION;
        const qn_metric_input input = {.task = task,
                                       .n_classes = task == QN_TASK_REGRESSION ? 0 : 2,
                                       .n_rows = 4,
                                       .target = y,
                                       .predicted = p};
        for (int i = 0; qn_metrics[i]; i++) {
            double value;
            if (!(qn_metrics[i]->tasks & 1u << task)) continue;
            CHECK_INT(qn_metrics[i]->compute(&input, &value, NULL), QN_OK);
        }
    }
}

static void metrics_survive_running_out_of_memory(void **state)
{
    (void)state;
    const double y[] = {0, 1, 1, 0}, p[] = {0.2, 0.8, 0.4, 0.5};
    const qn_metric_input input = {
        .task = QN_TASK_BINARY, .n_classes = 2, .n_rows = 4, .target = y, .predicted = p};
    for (int i = 0; qn_metrics[i]; i++) {
        double value;
        if (!(qn_metrics[i]->tasks & 1u << QN_TASK_BINARY)) continue;
        CHECK_SURVIVES_NO_MEMORY(qn_metrics[i]->compute(&input, &value, NULL));
    }
}

RUN_TESTS(TEST(every_metric_equals_scikit_learn), TEST(a_metric_without_both_classes_is_undefined),
          TEST(metrics_of_what_is_no_number_end), TEST(metrics_survive_running_out_of_memory))
