/* SPDX-License-Identifier: Apache-2.0 */
/* What is found in the output of a program, however it arrives. */
#include "search/tuner/output.h"

#include "check.h"

struct reports {
    int n;
    int64_t step;
    double value;
};

static qn_status count(void *context, int64_t step, double value, qn_error *err)
{
    struct reports *reports = context;
    (void)err;
    *reports = (struct reports){reports->n + 1, step, value};
    return QN_OK;
}

static bool read_text(const char *text, size_t chunk, int64_t n, double *values,
                      struct reports *reports)
{
    qn_error err = {0};
    const qn_objectives objectives = {n, {{"loss", false}, {"size", true}}};
    qn_output output;
    bool found;
    *reports = (struct reports){0};
    CHECK_OK(qn_output_init(&output, &objectives, &err));
    for (size_t at = 0, bytes = strlen(text); at < bytes; at += chunk) {
        const size_t part = bytes - at < chunk ? bytes - at : chunk;
        CHECK_OK(qn_output_add(&output, text + at, part, count, reports, &err));
    }
    CHECK_OK(qn_output_finish(&output, count, reports, values, &found, &err));
    qn_output_release(&output);
    return found;
}

static void the_result_is_found_in_all_kinds_of_output(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool found;
        double value;
        int n_reports;
    } cases[] = {
        {"", false, 0, 0},
        {"hello\n", false, 0, 0},
        {"0.5\n", true, 0.5, 0},
        {"0.5", true, 0.5, 0},
        {"loss = 0.25\ndone\n", true, 0.25, 0},
        {"loss=0.25", true, 0.25, 0},
        {"auc: 0.75,\r\n", true, 0.75, 0},
        {"1\n2\n3 apples\n", true, 2, 0},
        {"{\"value\": 4}\n5\n", true, 4, 0},
        {"{\"loss\": 4, \"other\": \"x\"}\n", true, 4, 0},
        {"{\"step\": 1, \"value\": 9}\n{\"step\": 2, \"value\": 8}\n", true, 8, 2},
        {"{\"step\": 1, \"value\": 9}\n7\n", true, 7, 1},
        {"{\"value\": null}\n", true, QN_NA, 0},
        {"nan\n", true, QN_NA, 0},
        {"1\n-inf\n", true, QN_NA, 0},
        {"{\"value\": 1}\n{\"value\": 2}\n", true, 2, 0},
        {"{broken\n{\"val\": 3}\n[1]\n", false, 0, 0},
        {"{\"step\": 1e300, \"value\": 3}\n", false, 0, 0},
        {"1e400\n", true, QN_INF, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        for (size_t chunk = 1; chunk < 40; chunk += 13) {
            double value = 0;
            struct reports reports;
            CHECK(read_text(cases[i].text, chunk, 1, &value, &reports) == cases[i].found);
            CHECK_INT(reports.n, cases[i].n_reports);
            if (!cases[i].found) continue;
            CHECK(isnan(cases[i].value) ? isnan(value) : value == cases[i].value);
        }
    }
}

static double cost_in(const char *text)
{
    qn_error err = {0};
    const qn_objectives objectives = {1, {{"loss", false}}};
    struct reports reports = {0};
    qn_output output;
    double value;
    bool found;
    CHECK_OK(qn_output_init(&output, &objectives, &err));
    CHECK_OK(qn_output_add(&output, text, strlen(text), count, &reports, &err));
    CHECK_OK(qn_output_finish(&output, count, &reports, &value, &found, &err));
    qn_output_release(&output);
    return output.cost;
}

static void the_last_cost_counts_unless_it_is_none(void **state)
{
    (void)state;
    CHECK(isnan(cost_in("7\n")));
    CHECK(cost_in("{\"value\": 1, \"cost\": 2.5}\n") == 2.5);
    CHECK(cost_in("{\"step\": 1, \"value\": 9, \"cost\": 1}\n{\"cost\": 3}\n7\n") == 3);
    CHECK(cost_in("{\"cost\": 3}\n{\"cost\": -1}\n{\"cost\": null}\n{\"cost\": \"x\"}\n[3]\n") ==
          3);
}

static void several_objectives_are_named_or_in_a_line(void **state)
{
    (void)state;
    double values[2];
    struct reports reports;
    CHECK(read_text("{\"size\": 3, \"loss\": 0.5}\n", 7, 2, values, &reports));
    CHECK(values[0] == 0.5 && values[1] == 3);
    CHECK(read_text("1 2\nresult 0.25, 4\n", 7, 2, values, &reports));
    CHECK(values[0] == 0.25 && values[1] == 4);
    CHECK(!read_text("3\n{\"value\": 3}\n", 7, 2, values, &reports));
}

static void a_line_without_end_is_passed_over(void **state)
{
    (void)state;
    enum { BYTES = 3 * QN_OUTPUT_LINE_MAX };
    static char text[BYTES + 16];
    double value;
    struct reports reports;
    memset(text, '7', BYTES);
    strcpy(text + BYTES, "\n1.5\n");
    CHECK(read_text(text, 1000, 1, &value, &reports));
    CHECK(value == 1.5);
    memset(text, '7', BYTES);
    text[BYTES] = '\0';
    CHECK(!read_text(text, 1000, 1, &value, &reports));
}

RUN_TESTS(TEST(the_result_is_found_in_all_kinds_of_output),
          TEST(the_last_cost_counts_unless_it_is_none),
          TEST(several_objectives_are_named_or_in_a_line), TEST(a_line_without_end_is_passed_over))
