/* SPDX-License-Identifier: Apache-2.0 */
/* quern fit: learn a model from a table and write it as a bundle. */
#include "base/json.h"
#include "base/number.h"
#include "cli/commands.h"
#include "quern/fit.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct fit_request {
    const char *arguments[1];
    qn_fit_request fit;
    bool json, quiet;
};

#define AT(member) offsetof(struct fit_request, fit.member)

static const cli_option options[] = {
    {"target", CLI_TEXT, AT(target), "COLUMN", "column to predict (default: guessed)",
     "what to learn", false},
    {"task", CLI_TEXT, AT(task), "TASK",
     "binary, multiclass, regression or ranking (default: guessed)", NULL, false},
    {"metric", CLI_TEXT, AT(metric), "NAME", "what to be good at; see 'quern metrics'", NULL,
     false},
    {"positive", CLI_TEXT, AT(positive), "LABEL", "class whose probability is p", NULL, false},
    {"o", CLI_TEXT, AT(model), "FILE", "model to write (default: TABLE's name.quern)",
     "what to write", true},
    {"report", CLI_TEXT, AT(report), "FILE",
     "report to write (default: the model's name.html; '' for none)", NULL, true},
    {"json", CLI_FLAG, offsetof(struct fit_request, json), NULL, "print one JSON object", NULL,
     true},
    {"quiet", CLI_FLAG, offsetof(struct fit_request, quiet), NULL, "no progress on standard error",
     NULL, true},
    {"budget", CLI_DURATION, AT(budget_s), "TIME",
     "time for everything: 60s, 10m, 1h (default 60s)", "how hard to search", false},
    {"trials", CLI_COUNT, AT(n_trials), "N",
     "candidates to try instead of a budget: same bytes every time", NULL, false},
    {"preset", CLI_TEXT, AT(preset), "NAME", "fast, balanced or best", NULL, false},
    {"learners", CLI_TEXT, AT(learners), "A,B", "learners to try; see 'quern learners'", NULL,
     false},
    {"params", CLI_TEXT, AT(params), "L.NAME=V",
     "parameters to fix: gbdt.objective=poisson,ridge.alpha=2", NULL, false},
    {"steps", CLI_TEXT, AT(steps), "A=N,B=N",
     "features of many columns: pca=10 (or 0.95), svd=50 of words, kmeans=8", NULL, false},
    {"outliers", CLI_TEXT, AT(outliers), "HOW",
     "in training rows: flag, weight or drop; drop=0.02: share (default 0.01)", NULL, false},
    {"monotone", CLI_TEXT, AT(monotone), "COL=WAY",
     "age=increasing,price=decreasing: the prediction may only move so", NULL, false},
    {"interactions", CLI_TEXT, AT(interactions), "A,B;C,D",
     "columns that may act together; others only by themselves", NULL, false},
    {"seed", CLI_INT, AT(seed), "N", "seed of every random choice (default 1)", NULL, false},
    {"threads", CLI_COUNT, AT(n_threads), "N", "threads (default: all cores)", NULL, true},
    {"memory", CLI_SIZE, AT(memory_bytes), "SIZE", "memory to stay within, such as 4G", NULL, true},
    {"test", CLI_TEXT, AT(test), "TABLE", "table kept for the final figures", "how to split",
     false},
    {"test-fraction", CLI_DOUBLE, AT(test_fraction), "X",
     "share of rows kept for them (default 0.2)", NULL, false},
    {"no-test", CLI_FLAG, AT(no_test), NULL, "train on every row", NULL, false},
    {"split", CLI_TEXT, AT(split), "HOW", "random, stratified, group:COL, time:COL, column:COL",
     NULL, false},
    {"folds", CLI_COUNT, AT(n_folds), "N", "folds of cross-validation; 1: one holdout", NULL,
     false},
    {"drop", CLI_TEXT, AT(drop), "A,B", "columns not to use", "about the columns", false},
    {"id", CLI_TEXT, AT(id), "A,B", "columns that name a row", NULL, false},
    {"weight", CLI_TEXT, AT(weight), "COLUMN", "sample weights", NULL, false},
    {"group", CLI_TEXT, AT(group), "COLUMN", "rows of one group stay on one side of every split",
     NULL, false},
    {"time", CLI_TEXT, AT(time), "COLUMN", "order of the rows: the latest ones test", NULL, false},
    {"kind", CLI_LIST, AT(kinds), "COL=KIND",
     "numeric, categorical, text, datetime, boolean, id (repeatable)", NULL, false},
    {"label-map", CLI_TEXT, AT(label_map), "A=B,C=D", "rename labels of the target", NULL, false},
    {"strip", CLI_TEXT, AT(strip), "CHARS", "trim these characters off labels", NULL, false},
    {0}};

static void format_clock(double seconds, char *out, size_t room)
{
    if (seconds < 100) {
        snprintf(out, room, "%.0fs", seconds);
    } else {
        snprintf(out, room, "%dm%02ds", (int)seconds / 60, (int)seconds % 60);
    }
}

static void show_progress(const qn_fit_progress *p, void *context)
{
    const bool terminal = *(const bool *)context;
    char best[96] = "", left[24], elapsed[24];
    if (p->note) {
        fprintf(stderr, "%snote: %s\n", terminal ? "\r\033[K" : "", p->note);
        return;
    }
    if (p->best_name) {
        snprintf(best, sizeof best, "best %.5g by %s", p->best_score, p->best_name);
    }
    format_clock(p->elapsed_s, elapsed, sizeof elapsed);
    format_clock(fmax(0, p->budget_s - p->elapsed_s), left, sizeof left);
    if (!terminal) {
        if (p->message)
            fprintf(stderr, "[%s] %s%s%s\n", elapsed, p->message, *best ? ", " : "", best);
        return;
    }
    enum { WIDTH = 24 };
    const double share = p->budget_s > 0 ? p->elapsed_s / p->budget_s
                         : p->n_trials_planned > 0
                             ? (double)p->n_trials / (double)p->n_trials_planned
                             : 0;
    char bar[WIDTH + 1];
    for (int i = 0; i < WIDTH; i++) {
        bar[i] = share * WIDTH > i ? '#' : '.';
    }
    bar[WIDTH] = '\0';
    fprintf(stderr, "\r\033[K[%s] %lld tried  %s%s%s  %s", bar, (long long)p->n_trials, best,
            p->budget_s > 0 ? "  left " : "", p->budget_s > 0 ? left : "",
            p->message ? p->message : "");
}

static void print_number(qn_json_value value, int width, int digits)
{
    if (qn_json_is_null(value)) {
        printf("%*s", width, "-");
    } else {
        printf("%*.*f", width, digits, qn_json_as_double(value, 0));
    }
}

/* Four or five digits that count: 0.9312, 45,123.4 → 45123.4. */
static int digits_of(double value)
{
    return fabs(value) >= 1000 ? 1 : fabs(value) >= 10 ? 3 : 5;
}

static void print_leaderboard(qn_json_value root, bool color)
{
    const qn_json_value list = qn_json_get(root, "leaderboard");
    const char *metric = qn_json_as_text(qn_json_get(root, "metric"), "");
    printf("\n%-18s%12s%10s%9s%10s%9s\n", "model", metric, "+-", "fit s", "us/row", "weight");
    for (int64_t i = 0; i < qn_json_size(list); i++) {
        const qn_json_value entry = qn_json_at(list, i);
        const double score = qn_json_as_double(qn_json_get(entry, "cv_score"), 0);
        if (i == 0 && color) fputs("\033[1m", stdout);
        printf("%-18s", qn_json_as_text(qn_json_get(entry, "name"), ""));
        print_number(qn_json_get(entry, "cv_score"), 12, digits_of(score));
        print_number(qn_json_get(entry, "std_error"), 10, digits_of(score));
        print_number(qn_json_get(entry, "fit_seconds"), 9, 2);
        print_number(qn_json_get(entry, "predict_us_per_row"), 10, 1);
        const double weight = qn_json_as_double(qn_json_get(entry, "weight"), 0);
        if (weight > 0) printf("%9.2f", weight);
        putchar('\n');
        if (i == 0 && color) fputs("\033[0m", stdout);
    }
}

static void print_test(qn_json_value root)
{
    const qn_json_value test = qn_json_get(root, "test"), base = qn_json_get(root, "test_baseline");
    if (qn_json_is_null(test)) return;
    printf("\non %lld test rows%12s%12s\n",
           (long long)qn_json_as_int(qn_json_get(qn_json_get(root, "rows"), "test"), 0), "model",
           "baseline");
    for (int64_t i = 0; i < qn_json_size(test) && i < 6; i++) {
        const char *name;
        const qn_json_value value = qn_json_member(test, i, &name);
        const int digits = digits_of(qn_json_as_double(value, 0));
        printf("  %-20s", name);
        print_number(value, 12, digits);
        print_number(qn_json_get(base, name), 12, digits);
        putchar('\n');
    }
}

static int print_summary(const qn_fit_result *result, bool color)
{
    qn_error err = {0};
    qn_json *json = NULL;
    if (qn_json_parse(result->json, strlen(result->json), "summary", &json, &err) != QN_OK) {
        return cli_fail(&cmd_fit, &err);
    }
    const qn_json_value root = qn_json_root(json);
    print_leaderboard(root, color);
    print_test(root);
    printf("\nmodel  %s\n", result->model);
    if (result->report) printf("report %s\n", result->report);
    printf("next   quern predict %s TABLE -o predictions.csv\n", result->model);
    qn_json_free(json);
    return CLI_OK;
}

static int fit_run(int argc, char **argv)
{
    struct fit_request request = {.fit.test_fraction = QN_NA};
    const int parsed = cli_parse(&cmd_fit, argc, argv, &request);
    if (parsed != CLI_OK) return parsed == CLI_HELP_SHOWN ? CLI_OK : parsed;
    /* To the library 0 is the default; to who types it, nothing. */
    if (request.fit.test_fraction == 0) request.fit.no_test = true;
    if (isnan(request.fit.test_fraction)) request.fit.test_fraction = 0;

    qn_str command = {0};
    cli_replay(&cmd_fit, argc, argv, &command);
    bool terminal = cli_use_color(STDERR_FILENO);
    request.fit.table = request.arguments[0];
    request.fit.command = command.text;
    request.fit.interrupted = cli_catch_interrupts();
    if (!request.quiet) {
        request.fit.progress = show_progress;
        request.fit.progress_context = &terminal;
    }

    qn_error err = {0};
    qn_fit_result result = {0};
    const qn_status status = qn_fit(&request.fit, &result, &err);
    if (terminal && !request.quiet) fputs("\r\033[K", stderr);
    qn_str_release(&command);
    if (status != QN_OK) return cli_fail(&cmd_fit, &err);
    int code = CLI_OK;
    if (request.json) {
        puts(result.json);
    } else {
        code = print_summary(&result, cli_use_color(STDOUT_FILENO));
    }
    if (result.interrupted && code == CLI_OK) {
        fputs("quern fit: interrupted; the best so far was kept\n", stderr);
        code = CLI_INTERRUPTED;
    }
    qn_fit_result_release(&result);
    return code;
}

const cli_command cmd_fit = {
    .name = "fit",
    .summary = "learn a model from a table",
    .synopsis = "TABLE --target COLUMN [options]",
    .details = "Reads TABLE (.csv .tsv .jsonl, each also .gz or .zst; '-' for standard input;\n"
               "sqlite:FILE?table=T or ?query=SELECT...), finds out what its columns mean, warns\n"
               "of what looks wrong, searches for the best model within the budget, and writes it\n"
               "with an HTML report. Ctrl-C stops early and keeps the best so far.",
    .examples = "    quern fit credit.csv --target class\n"
                "    quern fit sales.csv.gz --target price --budget 10m --drop id,notes\n"
                "    quern fit events.csv --target churned --time date --metric average_precision",
    .options = options,
    .n_arguments_min = 1,
    .n_arguments_max = 1,
    .arguments_offset = offsetof(struct fit_request, arguments),
    .run = fit_run};
