/* SPDX-License-Identifier: Apache-2.0 */
/* Rates and disparities against values worked out by hand. */
#include "evaluate/fairness.h"

#include "frames.h"

enum { N = 10 };
/* Group a: hits 2 of 3, false alarms 1 of 2. Group b: 1 of 1 and 1 of 3. One row has no group. */
static const char *const groups[N] = {"b", "a", "a", "b", "a", "b", "a", "b", "a", NULL};
static const double target[N] = {1, 1, 1, 0, 0, 0, 0, 0, 1, 0};
static const double predicted[N] = {0.7, 0.9, 0.4, 0.2, 0.6, 0.5, 0.1, 0.3, 0.8, 0.2};

static qn_metric_input sample(int64_t n_rows)
{
    return (qn_metric_input){.task = QN_TASK_BINARY,
                             .n_classes = 2,
                             .n_rows = n_rows,
                             .target = target,
                             .predicted = predicted};
}

static qn_frame *frame_of_groups(void)
{
    qn_frame *frame = frame_create(N, 1);
    frame_texts(frame, 0, "sex", groups);
    return frame;
}

static const double exact = 1e-15;

static void rates_and_disparities_are_those_worked_out_by_hand(void **state)
{
    (void)state;
    qn_error err = {0};
    qn_frame *frame = frame_of_groups();
    const qn_metric_input input = sample(N - 1);
    qn_fairness f;
    CHECK_OK(qn_fairness_create(&input, &frame->columns[0], &f, &err));
    CHECK_INT(f.n_groups, 2);
    const qn_group_rates *a = &f.groups[0], *b = &f.groups[1];
    CHECK_TEXT(a->group, "a");
    CHECK_INT(a->n_rows, 5);
    CHECK_NEAR(a->selection_rate, 3.0 / 5, exact);
    CHECK_NEAR(a->true_positive_rate, 2.0 / 3, exact);
    CHECK_NEAR(a->false_positive_rate, 1.0 / 2, exact);
    CHECK_NEAR(a->accuracy, 3.0 / 5, exact);
    CHECK_NEAR(a->roc_auc, 5.0 / 6, exact);
    CHECK_TEXT(b->group, "b");
    CHECK_INT(b->n_rows, 4);
    CHECK_NEAR(b->selection_rate, 2.0 / 4, exact);
    CHECK_NEAR(b->true_positive_rate, 1, exact);
    CHECK_NEAR(b->false_positive_rate, 1.0 / 3, exact);
    CHECK_NEAR(b->accuracy, 3.0 / 4, exact);
    CHECK_NEAR(b->roc_auc, 1, exact);
    CHECK_NEAR(f.demographic_parity_difference, 1.0 / 10, exact);
    CHECK_NEAR(f.demographic_parity_ratio, 5.0 / 6, exact);
    CHECK_NEAR(f.equalized_odds_difference, 1.0 / 3, exact);
    CHECK_NEAR(f.equalized_odds_ratio, 2.0 / 3, exact);
    qn_fairness_release(&f);
    qn_frame_free(frame);
}

static void rows_without_a_group_are_one_and_rates_without_rows_are_left_out(void **state)
{
    (void)state;
    qn_error err = {0};
    qn_frame *frame = frame_of_groups();
    const qn_metric_input input = sample(N);
    qn_fairness f;
    CHECK_OK(qn_fairness_create(&input, &frame->columns[0], &f, &err));
    CHECK_INT(f.n_groups, 3);
    CHECK_TEXT(f.groups[2].group, "(missing)");
    CHECK_INT(f.groups[2].n_rows, 1);
    CHECK(f.groups[2].selection_rate == 0 && f.groups[2].false_positive_rate == 0);
    CHECK(isnan(f.groups[2].true_positive_rate) && isnan(f.groups[2].roc_auc));
    CHECK_NEAR(f.demographic_parity_difference, 3.0 / 5, exact);
    CHECK_NEAR(f.demographic_parity_ratio, 0, exact);
    CHECK_NEAR(f.equalized_odds_difference, 1.0 / 2, exact);
    CHECK_NEAR(f.equalized_odds_ratio, 0, exact);
    qn_fairness_release(&f);
    qn_frame_free(frame);
}

static void weights_and_the_threshold_count(void **state)
{
    (void)state;
    static const double weights[N] = {3, 1, 1, 1, 1, 1, 1, 1, 2, 1};
    qn_error err = {0};
    qn_frame *frame = frame_of_groups();
    qn_metric_input input = sample(N - 1);
    input.weights = weights;
    input.threshold = 0.75; /* only 0.9 and 0.8 are selected */
    qn_fairness f;
    CHECK_OK(qn_fairness_create(&input, &frame->columns[0], &f, &err));
    CHECK_NEAR(f.groups[0].selection_rate, 3.0 / 6, exact);
    CHECK_NEAR(f.groups[0].true_positive_rate, 3.0 / 4, exact);
    CHECK_NEAR(f.groups[0].false_positive_rate, 0, exact);
    CHECK_NEAR(f.groups[1].selection_rate, 0, exact);
    CHECK_NEAR(f.groups[1].accuracy, 3.0 / 6, exact);
    CHECK_NEAR(f.demographic_parity_difference, 1.0 / 2, exact);
    CHECK_NEAR(f.equalized_odds_difference, 3.0 / 4, exact);
    qn_fairness_release(&f);
    qn_frame_free(frame);
}

static void other_tasks_and_columns_of_many_values_are_refused(void **state)
{
    (void)state;
    enum { MANY = 150 };
    static double zeros[MANY], values[MANY];
    for (int i = 0; i < MANY; i++) {
        values[i] = i;
    }
    qn_error err = {0};
    qn_fairness f;
    qn_frame *frame = frame_create(MANY, 1);
    frame_doubles(frame, 0, "age", values);
    qn_metric_input input = {.task = QN_TASK_BINARY,
                             .n_classes = 2,
                             .n_rows = MANY,
                             .target = zeros,
                             .predicted = zeros};
    CHECK_FAILS(QN_ERR_ARG, qn_fairness_create(&input, &frame->columns[0], &f, &err));
    CHECK_CONTAINS(err.message, "column 'age' has more than 100 values");
    input.n_rows = 100;
    CHECK_OK(qn_fairness_create(&input, &frame->columns[0], &f, &err));
    qn_fairness_release(&f);
    input.task = QN_TASK_REGRESSION;
    CHECK_FAILS(QN_ERR_ARG, qn_fairness_create(&input, &frame->columns[0], &f, &err));
    CHECK_CONTAINS(err.message, "regression");
    qn_frame_free(frame);
}

static void measuring_survives_running_out_of_memory(void **state)
{
    (void)state;
    qn_frame *frame = frame_of_groups();
    const qn_metric_input input = sample(N);
    qn_fairness f;
    CHECK_SURVIVES_NO_MEMORY(qn_fairness_create(&input, &frame->columns[0], &f, NULL));
    qn_fairness_release(&f);
    qn_frame_free(frame);
}

RUN_TESTS(TEST(rates_and_disparities_are_those_worked_out_by_hand),
          TEST(rows_without_a_group_are_one_and_rates_without_rows_are_left_out),
          TEST(weights_and_the_threshold_count),
          TEST(other_tasks_and_columns_of_many_values_are_refused),
          TEST(measuring_survives_running_out_of_memory))
