/* SPDX-License-Identifier: Apache-2.0 */
/* The report of any study is a whole page of finite drawings: every chart stands where the study
 * has something for it, names are escaped, and its size is bounded. */
#include "base/file.h"
#include "search/study/study.h"

#include "check.h"

#include <stdlib.h>
#include <unistd.h>

static char *report_of(qn_study *study, const char *title)
{
    qn_error err = {0};
    qn_file_map map;
    char path[] = "/tmp/quern-report-XXXXXX";
    const int file = mkstemp(path);
    CHECK(file >= 0);
    close(file);
    CHECK_OK(qn_study_report(study, title, path, &err));
    CHECK_OK(qn_file_map_open(path, &map, &err));
    char *text = qn_strndup((const char *)map.data, map.bytes);
    qn_file_unmap(&map);
    unlink(path);
    CHECK(text != NULL);
    return text;
}

static int count(const char *text, const char *part)
{
    int n = 0;
    for (const char *at = text; (at = strstr(at, part)) != NULL; at++) {
        n++;
    }
    return n;
}

/* Whether `text` is letters of commands and plain numbers of the picture's size. */
static void check_path(const char *text, size_t bytes)
{
    for (const char *at = text; at < text + bytes;) {
        if (strchr("MLHVhvz ", *at)) {
            at++;
            continue;
        }
        char *end;
        const double number = strtod(at, &end);
        if (end == at || !(fabs(number) <= 1000)) fail_msg("'%.40s' in a path", at);
        CHECK(!memchr(at, 'n', (size_t)(end - at)) && !memchr(at, 'N', (size_t)(end - at)));
        at = end;
    }
}

/* What every report is. */
static void check_page(const char *page)
{
    CHECK_CONTAINS(page, "default-src 'none'");
    CHECK_CONTAINS(page, "</main></body></html>");
    CHECK(!strstr(page, "<script") && !strstr(page, "http:") && !strstr(page, "https:"));
    CHECK(!strstr(page, ">nan") && !strstr(page, "\"nan") && !strstr(page, ">inf"));
    static const char *const elements[][2] = {{"<svg ", "</svg>"},    {"<section>", "</section>"},
                                              {"<table", "</table>"}, {"<figure>", "</figure>"},
                                              {"<text", "</text>"},   {"<p", "</p>"},
                                              {"<div", "</div>"},     {"<tr", "</tr>"}};
    for (size_t i = 0; i < sizeof elements / sizeof *elements; i++) {
        const int begun = count(page, elements[i][0]), ended = count(page, elements[i][1]);
        const bool is_p = strcmp(elements[i][0], "<p") == 0;
        CHECK_INT(begun - (is_p ? count(page, "<path") + count(page, "<pre") : 0), ended);
    }
    for (const char *at = page; (at = strstr(at, " d=\"")) != NULL;) {
        at += 4;
        const size_t bytes = strcspn(at, "\"");
        check_path(at, bytes);
        at += bytes;
    }
}

static qn_study *open_study(const char *space, const char *objectives, const char *pruner)
{
    qn_error err = {0};
    qn_study *study = NULL;
    CHECK_OK(qn_study_open(
        &(qn_study_request){
            .space = space, .objectives = objectives, .sampler = "random", .pruner = pruner},
        &study, &err));
    return study;
}

static qn_trial *ask(qn_study *study)
{
    qn_error err = {0};
    qn_trial *trial;
    CHECK_OK(qn_study_ask(study, &trial, &err));
    return trial;
}

static const char mixed[] =
    "{parameters: {rate: {type: float, low: 1e-4, high: 1, log: true},"
    " leaves: {type: int, low: 2, high: 512, log: true},"
    " kind: {type: categorical, choices: [plain, \"<b>&'x\", third]},"
    " drop: {type: float, low: 0, high: 0.5, step: 0.1, when: {kind: plain}},"
    " size: {type: ordinal, choices: [1, 2, 4]}, flag: {type: bool}}}";

static double loss_of(const double *v)
{
    return pow(log10(v[0]) + 2, 2) + 0.1 * v[2] + (isnan(v[3]) ? 0.2 : v[3]) + 0.3 * v[5];
}

static void one_objective_has_every_chart(void **state)
{
    (void)state;
    qn_error err = {0};
    qn_study *study = open_study(mixed, NULL, "median:startup=5");
    for (int i = 0; i < 80; i++) {
        qn_trial *trial = ask(study);
        const double loss = loss_of(qn_trial_get_record(trial)->values);
        bool prune = false;
        for (int step = 1; step <= 6 && !prune && i % 9 != 8; step++) {
            CHECK_OK(qn_trial_report(trial, step, loss + 1.0 / step, &prune, &err));
        }
        if (i % 9 == 8) {
            CHECK_OK(qn_trial_annotate(trial, "failure", "\"exit code 3 <html>\"", &err));
            CHECK_OK(qn_trial_fail(trial, &err));
        } else if (prune) {
            CHECK_OK(qn_trial_prune(trial, &err));
        } else {
            CHECK_OK(qn_trial_tell(trial, &loss, 1, &err));
        }
    }
    (void)ask(study); /* still running */
    char *page = report_of(study, "a <study> & more");
    check_page(page);
    static const char *const parts[] = {"<h1>a &lt;study&gt; &amp; more</h1>",
                                        "<h2>Best trials</h2>",
                                        "Optimisation history",
                                        "Distribution of the values (EDF)",
                                        "Timeline",
                                        "<h2>Intermediate values</h2>",
                                        "fANOVA",
                                        "PED-ANOVA",
                                        "<h2>Slices",
                                        "<h3>Contour</h3>",
                                        "<h3>Rank</h3>",
                                        "<h2>Parallel coordinates</h2>",
                                        "<h2>Failures</h2>",
                                        "exit code 3 &lt;html&gt;",
                                        "kind is plain",
                                        "&lt;b&gt;&amp;&#39;x",
                                        "logarithmic"};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        CHECK_CONTAINS(page, parts[i]);
    }
    /* History, EDF, timeline; curves; 6 slices; 6 contours; 6 ranks; parallel coordinates. */
    CHECK_INT(count(page, "<svg "), 3 + 1 + 6 + 6 + 6 + 1);
    CHECK_CONTAINS(page, ">0.001</text>"); /* a decade of the logarithmic rate */
    CHECK(!strstr(page, "Pareto"));
    qn_free(page);
    qn_study_close(study);
}

/* A curve of one point has no line. */
static void trials_stopped_at_their_first_report_are_dots(void **state)
{
    (void)state;
    qn_error err = {0};
    qn_study *study = open_study(mixed, NULL, "asha");
    for (int i = 0; i < 5; i++) {
        qn_trial *trial = ask(study);
        for (int step = 1; step <= (i < 2 ? 3 : 1); step++) {
            CHECK_OK(qn_trial_report(trial, step, i + step, NULL, &err));
        }
        CHECK_OK(qn_trial_prune(trial, &err));
    }
    char *page = report_of(study, NULL);
    char *section = strstr(page, "<h2>Intermediate values</h2>");
    CHECK(section != NULL);
    *strstr(section, "</section>") = '\0';
    CHECK_INT(count(section, "class=\"curve pruned\""), 2);
    CHECK_INT(count(section, "class=\"dots pruned\""), 1);
    CHECK_INT(count(section, "h0"), 3);
    qn_free(page);
    qn_study_close(study);
}

static void several_objectives_have_fronts(void **state)
{
    (void)state;
    qn_error err = {0};
    qn_study *study = open_study(mixed, "loss:minimize,gain:maximize,cost:minimize", NULL);
    for (int i = 0; i < 60; i++) {
        qn_trial *trial = ask(study);
        const double *v = qn_trial_get_record(trial)->values;
        const double values[] = {loss_of(v), v[1], v[0] * v[1]};
        if (i % 10 == 0) CHECK_OK(qn_trial_violate(trial, 1, &err));
        CHECK_OK(qn_trial_tell(trial, values, 3, &err));
    }
    char *page = report_of(study, NULL);
    check_page(page);
    CHECK_INT(count(page, "<figcaption>Pareto front"), 3);
    CHECK_INT(count(page, "<figcaption>Hypervolume"), 1);
    CHECK_INT(count(page, "<figcaption>Optimisation history"), 3);
    CHECK_CONTAINS(page, "<h2>Trials on the front</h2>");
    CHECK_CONTAINS(page, "breaks a limit");
    qn_free(page);
    qn_study_close(study);
}

/* Values that arithmetic has trouble with, and studies that have next to nothing. */
static void studies_of_any_values_are_drawn(void **state)
{
    (void)state;
    static const struct {
        int n_trials;
        double values[4]; /* in turn; NA: the trial fails */
    } cases[] = {{0, {0}},
                 {1, {0.5, 0.5, 0.5, 0.5}},
                 {12, {QN_NA, QN_NA, QN_NA, QN_NA}},
                 {12, {7, 7, 7, 7}},
                 {12, {1e308, -1e308, 0, 1}},
                 {12, {1e-308, 1e308, 1, 2}},
                 {12, {5e-324, 0, 0, 5e-324}},
                 {12, {1e9, 1e9 + 1e-6, 1e9, 1e9}},
                 {12, {-1, -1e12, QN_NA, -3}},
                 {12, {QN_INF, 1, -QN_INF, 2}}};
    static const char *const objectives[] = {"minimize", "maximize", "a:minimize,b:maximize"};
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        for (int o = 0; o < 3; o++) {
            qn_error err = {0};
            qn_study *study = open_study(mixed, objectives[o], NULL);
            for (int i = 0; i < cases[c].n_trials; i++) {
                const double values[] = {cases[c].values[i % 4], cases[c].values[(i + 1) % 4]};
                qn_trial *trial = ask(study);
                if (o < 2 && !isnan(values[0])) {
                    CHECK_OK(qn_trial_report(trial, i, values[0], NULL, &err));
                }
                CHECK_OK(qn_trial_tell(trial, values, o < 2 ? 1 : 2, &err));
            }
            char *page = report_of(study, "x");
            check_page(page);
            qn_free(page);
            qn_study_close(study);
        }
    }
}

static void parameters_of_any_name_and_number_are_drawn(void **state)
{
    (void)state;
    qn_error err = {0};
    qn_study *study = open_study(NULL, NULL, NULL);
    for (int i = 0; i < 30; i++) {
        qn_trial *trial = ask(study);
        double x, sum = 0;
        for (int k = 0; k < 200; k++) {
            char name[64];
            snprintf(name, sizeof name, "p%03d</title><script>alert(1)\xc3\xa9", k);
            const double high = k % 3 == 0 ? 1e-300 : k % 3 == 1 ? 1e300 : 0;
            CHECK_OK(qn_trial_float(trial, name, &(qn_range){.low = 0, .high = high}, &x, &err));
            sum += high > 0 ? x / high : 0;
        }
        CHECK_OK(qn_trial_tell(trial, &sum, 1, &err));
    }
    char *page = report_of(study, "x");
    check_page(page);
    CHECK(strlen(page) < 500000);
    CHECK_CONTAINS(page, "&lt;script&gt;alert(1)");
    qn_free(page);
    qn_study_close(study);
}

static void ten_thousand_trials_are_a_small_page(void **state)
{
    (void)state;
    qn_error err = {0};
    qn_study *study = open_study(mixed, "a:minimize,b:minimize", NULL);
    for (int i = 0; i < 10000; i++) {
        qn_trial *trial = ask(study);
        const double *v = qn_trial_get_record(trial)->values;
        const double values[] = {loss_of(v), v[1] * loss_of(v)};
        CHECK_OK(qn_trial_tell(trial, values, 2, &err));
    }
    char *page = report_of(study, "x");
    check_page(page);
    CHECK(strlen(page) < 2000000);
    CHECK_CONTAINS(page, "1500 of 10000 trials are drawn");
    qn_free(page);
    qn_study_close(study);
}

static void a_report_is_written_whole_or_not_at_all(void **state)
{
    (void)state;
    qn_error err = {0};
    qn_study *study = open_study(mixed, "a:minimize,b:minimize", NULL);
    for (int i = 0; i < 5; i++) {
        const double values[] = {i, -i};
        CHECK_OK(qn_trial_tell(ask(study), values, 2, &err));
    }
    CHECK_FAILS(QN_ERR_IO, qn_study_report(study, "x", "/nonexistent/page.html", &err));
    CHECK_CONTAINS(err.message, "/nonexistent/page.html");
    char path[] = "/tmp/quern-report-XXXXXX";
    close(mkstemp(path));
    CHECK_SURVIVES_NO_MEMORY(qn_study_report(study, "x", path, NULL));
    unlink(path);
    qn_study_close(study);
}

RUN_TESTS(TEST(one_objective_has_every_chart), TEST(trials_stopped_at_their_first_report_are_dots),
          TEST(several_objectives_have_fronts), TEST(studies_of_any_values_are_drawn),
          TEST(parameters_of_any_name_and_number_are_drawn),
          TEST(ten_thousand_trials_are_a_small_page), TEST(a_report_is_written_whole_or_not_at_all))
