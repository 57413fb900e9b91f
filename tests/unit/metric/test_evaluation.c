/* SPDX-License-Identifier: Apache-2.0 */
#include "metric/evaluation.h"

#include "base/rng.h"
#include "check.h"

enum { N = 400 };
static double target[N], predicted[N];

static qn_metric_input binary_sample(void)
{
    qn_rng rng;
    qn_rng_init(&rng, 3, 0);
    for (int i = 0; i < N; i++) {
        target[i] = qn_rng_uniform(&rng) < 0.4;
        predicted[i] = 0.3 * target[i] + 0.7 * qn_rng_uniform(&rng);
    }
    return (qn_metric_input){.task = QN_TASK_BINARY,
                             .n_classes = 2,
                             .n_rows = N,
                             .target = target,
                             .predicted = predicted};
}

static void intervals_hold_the_value_and_do_not_depend_on_threads(void **state)
{
    (void)state;
    qn_error err = {0};
    const qn_metric_input input = binary_sample();
    qn_pool *pool = qn_pool_create(3);
    qn_evaluation *one = NULL, *three = NULL;
    CHECK_OK(qn_evaluation_create(&input, 1, NULL, &one, &err));
    CHECK_OK(qn_evaluation_create(&input, 1, pool, &three, &err));
    for (int32_t i = 0; i < one->n_values; i++) {
        CHECK(one->values[i].low <= one->values[i].value);
        CHECK(one->values[i].value <= one->values[i].high);
        CHECK(one->values[i].low == three->values[i].low);
        CHECK(one->values[i].high == three->values[i].high);
    }
    /* DeLong's standard error for this many rows is near 0.025. */
    const qn_metric_value *auc = &one->values[0];
    CHECK_TEXT(auc->metric->name, "roc_auc");
    CHECK(auc->high - auc->low > 0.06 && auc->high - auc->low < 0.13);
    qn_evaluation_free(one);
    qn_evaluation_free(three);
    qn_pool_free(pool);
}

static void told_to_stop_it_leaves_out_intervals_and_keeps_values(void **state)
{
    (void)state;
    qn_error err = {0};
    const qn_metric_input input = binary_sample();
    const qn_stop stop = {.deadline_s = qn_clock_s() - 1};
    qn_evaluation *whole = NULL, *cut = NULL;
    CHECK_OK(qn_evaluation_create(&input, 1, NULL, &whole, &err));
    CHECK_OK(qn_evaluation_create_until(&input, 1, NULL, &stop, &cut, &err));
    CHECK_INT(cut->n_values, whole->n_values);
    for (int32_t i = 0; i < cut->n_values; i++) {
        CHECK(cut->values[i].value == whole->values[i].value);
        /* DeLong's interval needs no replicates. */
        CHECK(isnan(cut->values[i].low) == (i > 0) && isnan(cut->values[i].high) == (i > 0));
    }
    CHECK_INT(cut->roc.n, whole->roc.n);
    qn_evaluation_free(whole);
    qn_evaluation_free(cut);
}

/* Differences of numbers this far out are infinite, and their quotients no numbers. */
static void residuals_beyond_all_bounds_are_counted_all_the_same(void **state)
{
    (void)state;
    qn_error err = {0};
    qn_evaluation *e = NULL;
    double counted = 0;
    for (int i = 0; i < N; i++) {
        target[i] = i % 3 ? i : i % 2 ? 1e308 : -1e308;
        predicted[i] = i % 5 ? i : -1e308;
    }
    const qn_metric_input input = {
        .task = QN_TASK_REGRESSION, .n_rows = N, .target = target, .predicted = predicted};
    CHECK_OK(qn_evaluation_create(&input, 1, NULL, &e, &err));
    for (int b = 0; b < QN_RESIDUAL_BINS; b++) {
        counted += (double)e->residual_counts[b];
    }
    CHECK(counted == N);
    qn_evaluation_free(e);
}

static void an_evaluation_of_what_is_no_number_ends(void **state)
{
    (void)state;
    qn_error err = {0};
    qn_evaluation *e = NULL;
    const qn_metric_input input = binary_sample();
    for (int i = 0; i < N; i += 9) {
        predicted[i] = NAN;
    }
    CHECK_OK(qn_evaluation_create(&input, 1, NULL, &e, &err));
    qn_evaluation_free(e);
}

static void an_evaluation_reads_back_from_json(void **state)
{
    (void)state;
    qn_error err = {0};
    const qn_metric_input input = binary_sample();
    qn_evaluation *before = NULL, *after = NULL;
    CHECK_OK(qn_evaluation_create(&input, 1, NULL, &before, &err));
    qn_str text = {0}, again = {0};
    qn_json_writer json = {.out = &text}, json_again = {.out = &again};
    qn_json *parsed = NULL;
    qn_evaluation_write_json(before, &json);
    CHECK_OK(qn_json_parse(text.text, text.bytes, "evaluation", &parsed, &err));
    CHECK_OK(qn_evaluation_read_json(qn_json_root(parsed), &after, &err));
    qn_evaluation_write_json(after, &json_again);
    CHECK_TEXT(again.text, text.text);
    qn_str_release(&text);
    qn_str_release(&again);
    qn_json_free(parsed);
    qn_evaluation_free(before);
    qn_evaluation_free(after);
}

static void evaluating_survives_running_out_of_memory(void **state)
{
    (void)state;
    qn_metric_input input = binary_sample();
    input.n_rows = 12;
    qn_evaluation *evaluation = NULL;
    CHECK_SURVIVES_NO_MEMORY(qn_evaluation_create(&input, 1, NULL, &evaluation, NULL));
    qn_evaluation_free(evaluation);
}

RUN_TESTS(TEST(intervals_hold_the_value_and_do_not_depend_on_threads),
          TEST(told_to_stop_it_leaves_out_intervals_and_keeps_values),
          TEST(residuals_beyond_all_bounds_are_counted_all_the_same),
          TEST(an_evaluation_of_what_is_no_number_ends), TEST(an_evaluation_reads_back_from_json),
          TEST(evaluating_survives_running_out_of_memory))
