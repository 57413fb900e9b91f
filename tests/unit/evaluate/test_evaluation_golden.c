/* SPDX-License-Identifier: Apache-2.0 */
/* Temperatures and confidence intervals against SciPy's: tests/golden/evaluation. */
#include "evaluate/calibrate.h"
#include "metric/evaluation.h"

#include "golden.h"

enum { N_MAX = 4000 };

/* 24 golden sections leave 3e-5 of the range of log T. */
static const double temperature_tolerance = 1e-4;
/* The ends of 200 resamples vary by about a tenth of the interval's width. */
static const double end_tolerance = 0.3;

static double target[N_MAX], predicted[N_MAX], weights[N_MAX];

static int64_t read_numbers(qn_json_value list, double *out)
{
    const int64_t n = qn_json_size(list);
    CHECK(n <= N_MAX);
    for (int64_t i = 0; i < n; i++) {
        out[i] = qn_json_as_double(qn_json_at(list, i), QN_NA);
        CHECK(isfinite(out[i]));
    }
    return n;
}

static qn_metric_input input_of(qn_json_value golden)
{
    qn_metric_input input = {.n_classes =
                                 (int32_t)qn_json_as_int(qn_json_get(golden, "n_classes"), 0),
                             .n_rows = read_numbers(qn_json_get(golden, "target"), target),
                             .target = target,
                             .predicted = predicted};
    CHECK(qn_task_from_name(qn_json_as_text(qn_json_get(golden, "task"), ""), &input.task));
    read_numbers(qn_json_get(golden, "predicted"), predicted);
    if (read_numbers(qn_json_get(golden, "weights"), weights) > 0) input.weights = weights;
    return input;
}

typedef int check_case(const char *name, qn_json_value golden);

/* The sum of what `check` returns: how many figures it compared. */
static int for_each(check_case *check)
{
    int n = 0;
    qn_json *json = read_golden("evaluation");
    const qn_json_value cases = qn_json_root(json);
    for (int64_t c = 0; c < qn_json_size(cases); c++) {
        const qn_json_value golden = qn_json_at(cases, c);
        n += check(qn_json_as_text(qn_json_get(golden, "name"), ""), golden);
    }
    qn_json_free(json);
    return n;
}

static int check_temperature(const char *name, qn_json_value golden)
{
    const qn_json_value wanted = qn_json_get(golden, "temperature");
    if (qn_json_is_null(wanted)) return 0;
    const qn_metric_input input = input_of(golden);
    const double found = qn_temperature_fit(&input), expected = qn_json_as_double(wanted, 0);
    if (fabs(found / expected - 1) > temperature_tolerance) {
        fail_msg("%s: temperature %.9g, not %.9g", name, found, expected);
    }
    return 1;
}

static int check_intervals(const char *name, qn_json_value golden)
{
    const qn_json_value intervals = qn_json_get(golden, "intervals");
    if (qn_json_size(intervals) == 0) return 0;
    const qn_metric_input input = input_of(golden);
    qn_error err = {0};
    for (uint64_t seed = 1; seed <= 3; seed++) {
        qn_evaluation *evaluation = NULL;
        CHECK_OK(qn_evaluation_create(&input, seed, NULL, &evaluation, &err));
        for (int64_t i = 0; i < qn_json_size(intervals); i++) {
            const char *metric;
            const qn_json_value interval = qn_json_member(intervals, i, &metric);
            const qn_json_value ends = qn_json_get(interval, "ends");
            const double low = qn_json_as_double(qn_json_at(ends, 0), QN_NA);
            const double high = qn_json_as_double(qn_json_at(ends, 1), QN_NA);
            const double tolerance =
                qn_json_as_double(qn_json_get(interval, "tolerance"), end_tolerance * (high - low));
            int32_t v = 0;
            while (v < evaluation->n_values &&
                   strcmp(evaluation->values[v].metric->name, metric) != 0) {
                v++;
            }
            CHECK(v < evaluation->n_values);
            const qn_metric_value *value = &evaluation->values[v];
            CHECK(value->low <= value->value && value->value <= value->high);
            if (!(fabs(value->low - low) <= tolerance && fabs(value->high - high) <= tolerance)) {
                fail_msg("%s: %s is in %.9g … %.9g, not in %.9g … %.9g", name, metric, value->low,
                         value->high, low, high);
            }
        }
        qn_evaluation_free(evaluation);
    }
    return (int)qn_json_size(intervals);
}

static void temperatures_equal_scipys(void **state)
{
    (void)state;
    CHECK_INT(for_each(check_temperature), 5);
}

static void intervals_equal_scipys(void **state)
{
    (void)state;
    CHECK_INT(for_each(check_intervals), 11);
}

RUN_TESTS(TEST(temperatures_equal_scipys), TEST(intervals_equal_scipys))
