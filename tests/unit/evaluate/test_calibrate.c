/* SPDX-License-Identifier: Apache-2.0 */
/* Temperatures and thresholds against brute force; tests/golden/calibration has SciPy's. */
#include "evaluate/calibrate.h"

#include "base/rng.h"
#include "model/predictor.h"

#include "check.h"

#include <stdlib.h>

enum { N = 400 };

struct world {
    double target[N], p[N * 3], weights[N];
};

/* Probabilities whose log-odds are `stretch` times too large. */
static qn_metric_input make_binary(struct world *w, double stretch, uint64_t seed)
{
    qn_rng rng;
    qn_rng_init(&rng, seed, 0);
    for (int i = 0; i < N; i++) {
        const double margin = qn_rng_normal(&rng) * 1.5;
        w->target[i] = qn_rng_uniform(&rng) < 1 / (1 + exp(-margin));
        w->p[i] = 1 / (1 + exp(-stretch * margin));
        w->weights[i] = 0.25 + qn_rng_uniform(&rng);
    }
    return (qn_metric_input){.task = QN_TASK_BINARY,
                             .n_classes = 2,
                             .n_rows = N,
                             .target = w->target,
                             .predicted = w->p};
}

static double loss_with(const qn_metric_input *input, double temperature)
{
    static double p[N * 3];
    const int32_t k = input->task == QN_TASK_BINARY ? 1 : input->n_classes;
    memcpy(p, input->predicted, (size_t)(input->n_rows * k) * sizeof *p);
    for (int64_t i = 0; i < input->n_rows; i++) {
        qn_temperature_apply(temperature, p + i * k, k);
    }
    qn_metric_input scaled = *input;
    double value;
    scaled.predicted = p;
    CHECK_INT(qn_metric_find("log_loss")->compute(&scaled, &value, NULL), QN_OK);
    return value;
}

static void the_temperature_found_has_the_least_loss_of_all(void **state)
{
    (void)state;
    static const double stretches[] = {0.3, 0.6, 1.7, 3, 4.5};
    for (int i = 0; i < 5; i++) {
        for (int weighted = 0; weighted < 2; weighted++) {
            struct world w;
            qn_metric_input input = make_binary(&w, stretches[i], (uint64_t)i + 1);
            if (weighted) input.weights = w.weights;
            const double found = qn_temperature_fit(&input), least = loss_with(&input, found);
            CHECK(found != 1);
            for (double t = 0.2; t <= 5; t *= 1.01) {
                CHECK(loss_with(&input, t) >= least - 1e-9);
            }
        }
    }
}

static void calibrated_predictions_keep_their_temperature(void **state)
{
    (void)state;
    struct world w;
    /* The same probability 0.75 for all rows, of which exactly three of four are positive. */
    for (int i = 0; i < N; i++) {
        w.target[i] = i % 4 != 0;
        w.p[i] = 0.75;
    }
    const qn_metric_input input = {
        .task = QN_TASK_BINARY, .n_classes = 2, .n_rows = N, .target = w.target, .predicted = w.p};
    CHECK(qn_temperature_fit(&input) == 1);
}

static void several_classes_find_what_two_classes_find(void **state)
{
    (void)state;
    struct world w, two;
    qn_metric_input binary = make_binary(&w, 2.5, 9);
    for (int i = 0; i < N; i++) {
        two.p[2 * i] = 1 - w.p[i];
        two.p[2 * i + 1] = w.p[i];
    }
    qn_metric_input input = binary;
    input.task = QN_TASK_MULTICLASS;
    input.predicted = two.p;
    CHECK_NEAR(qn_temperature_fit(&input), qn_temperature_fit(&binary), 1e-6);
}

static void certain_and_wrong_predictions_give_a_finite_temperature(void **state)
{
    (void)state;
    struct world w;
    for (int i = 0; i < N; i++) {
        w.target[i] = i % 2;
        w.p[i] = i % 3 ? i % 2 : !(i % 2); /* 0 or 1; a third of them wrong */
    }
    const qn_metric_input input = {
        .task = QN_TASK_BINARY, .n_classes = 2, .n_rows = N, .target = w.target, .predicted = w.p};
    CHECK_NEAR(qn_temperature_fit(&input), 5, 1e-3); /* the highest allowed */
}

static void temperature_scaling_divides_log_odds(void **state)
{
    (void)state;
    for (double t = 0.2; t < 5; t *= 1.3) {
        double one = 0.9, several[3] = {0.7, 0.2, 0.1}, sum = 0;
        qn_temperature_apply(t, &one, 1);
        CHECK_NEAR(log(one / (1 - one)), log(0.9 / 0.1) / t, 1e-9); /* 1 - one cancels */
        qn_temperature_apply(t, several, 3);
        CHECK_NEAR(log(several[0] / several[2]), log(7) / t, 1e-12);
        for (int c = 0; c < 3; c++) {
            sum += several[c];
        }
        CHECK_NEAR(sum, 1, 1e-15);
    }
}

static double threshold_of(const qn_metric_input *input, const char *metric)
{
    double out = -1;
    CHECK_INT(qn_threshold_fit(input, qn_metric_find(metric), &out, NULL), QN_OK);
    return out;
}

static double value_at(const qn_metric_input *input, const char *metric, double threshold)
{
    double value;
    qn_metric_input at = *input;
    at.threshold = threshold;
    CHECK_INT(qn_metric_find(metric)->compute(&at, &value, NULL), QN_OK);
    return value;
}

static int by_value(const void *left, const void *right)
{
    const double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

/* The best value over the midpoints of all neighbouring distinct predictions. */
static double best_value(const qn_metric_input *input, const char *metric)
{
    static double sorted[N];
    const int64_t n = input->n_rows;
    double best = -QN_INF;
    memcpy(sorted, input->predicted, (size_t)n * sizeof *sorted);
    qsort(sorted, (size_t)n, sizeof *sorted, by_value);
    for (int64_t i = 0; i + 1 < n; i++) {
        if (sorted[i] == sorted[i + 1]) continue;
        best = fmax(best, value_at(input, metric, 0.5 * (sorted[i] + sorted[i + 1])));
    }
    return best;
}

static void few_rows_try_every_midpoint(void **state)
{
    (void)state;
    static const char *const metrics[] = {"f1", "balanced_accuracy", "mcc", "accuracy"};
    for (uint64_t seed = 1; seed <= 10; seed++) {
        struct world w;
        qn_metric_input input = make_binary(&w, 1, seed);
        input.n_rows = 150;
        for (int m = 0; m < 4; m++) {
            const double found = threshold_of(&input, metrics[m]);
            CHECK_NEAR(value_at(&input, metrics[m], found), best_value(&input, metrics[m]), 0);
        }
    }
}

static void many_rows_come_close_to_the_best(void **state)
{
    (void)state;
    struct world w;
    const qn_metric_input input = make_binary(&w, 1, 3);
    const double found = threshold_of(&input, "f1");
    CHECK(value_at(&input, "f1", found) >= best_value(&input, "f1") - 0.005);
}

/* Leaves give few distinct values, and the midpoint that parts them may lie anywhere in the order.
 */
static void a_lone_midpoint_among_ties_is_found(void **state)
{
    (void)state;
    enum { ROWS = 9999 };
    static double target[ROWS], p[ROWS];
    for (int n_low = 7000; n_low < 7100; n_low++) {
        for (int i = 0; i < ROWS; i++) {
            target[i] = i >= n_low;
            p[i] = i >= n_low ? 0.04 : 0.02;
        }
        const qn_metric_input input = {.task = QN_TASK_BINARY,
                                       .n_classes = 2,
                                       .n_rows = ROWS,
                                       .target = target,
                                       .predicted = p};
        CHECK_NEAR(threshold_of(&input, "f1"), 0.03, 1e-12);
    }
}

static void without_a_choice_the_threshold_is_one_half(void **state)
{
    (void)state;
    struct world w;
    qn_metric_input input = make_binary(&w, 1, 3);
    CHECK(threshold_of(&input, "roc_auc") == 0.5);
    CHECK(threshold_of(&input, "log_loss") == 0.5);
    for (int i = 0; i < N; i++) {
        w.p[i] = 0.3;
    }
    CHECK(threshold_of(&input, "f1") == 0.5);
    input.n_rows = 1;
    CHECK(threshold_of(&input, "f1") == 0.5);
    input.n_rows = 0;
    CHECK(threshold_of(&input, "f1") == 0.5);
}

static void choosing_survives_running_out_of_memory(void **state)
{
    (void)state;
    struct world w;
    qn_metric_input input = make_binary(&w, 1, 3);
    input.n_rows = 20;
    double out;
    CHECK_SURVIVES_NO_MEMORY(qn_threshold_fit(&input, qn_metric_find("f1"), &out, NULL));
}

RUN_TESTS(TEST(the_temperature_found_has_the_least_loss_of_all),
          TEST(calibrated_predictions_keep_their_temperature),
          TEST(several_classes_find_what_two_classes_find),
          TEST(certain_and_wrong_predictions_give_a_finite_temperature),
          TEST(temperature_scaling_divides_log_odds), TEST(few_rows_try_every_midpoint),
          TEST(many_rows_come_close_to_the_best), TEST(a_lone_midpoint_among_ties_is_found),
          TEST(without_a_choice_the_threshold_is_one_half),
          TEST(choosing_survives_running_out_of_memory))
