/* SPDX-License-Identifier: Apache-2.0 */
/* quern learners, quern metrics: what there is to choose from. */
#include "base/json.h"
#include "cli/commands.h"
#include "learn/learner.h"
#include "metric/metric.h"

#include <stdio.h>
#include <string.h>

struct list_request {
    const char *arguments[1];
    bool json, reference;
};

/* Prints what was written and ends it. */
static int put_json(const cli_command *command, qn_str *text)
{
    if (text->failed) {
        qn_str_release(text);
        return cli_fail(command, &(qn_error){QN_ERR_NOMEM, "no memory for the list"});
    }
    puts(text->text);
    qn_str_release(text);
    return CLI_OK;
}

static void write_tasks(unsigned tasks, qn_json_writer *json)
{
    qn_json_key(json, "tasks");
    qn_json_begin_array(json);
    for (int task = 0; task <= QN_TASK_RANKING; task++) {
        if (tasks >> task & 1) qn_json_text(json, qn_task_name((qn_task)task));
    }
    qn_json_end_array(json);
}

static bool is_searched(const qn_param *p)
{
    return p->search_low < p->search_high;
}

static const struct {
    unsigned bit;
    const char *name;
} capability_names[] = {
    {QN_LEARNER_WEIGHTS, "sample weights"},       {QN_LEARNER_EARLY_STOP, "early stopping"},
    {QN_LEARNER_PARTIAL, "partial results"},      {QN_LEARNER_CONTINUE, "continued fitting"},
    {QN_LEARNER_THREADS, "threads inside a fit"}, {QN_LEARNER_CONSTRAINTS, "constraints"}};
enum { N_CAPABILITIES = sizeof capability_names / sizeof *capability_names };

static void write_capabilities(unsigned capabilities, qn_json_writer *json)
{
    qn_json_key(json, "capabilities");
    qn_json_begin_array(json);
    for (int i = 0; i < N_CAPABILITIES; i++) {
        if (capabilities & capability_names[i].bit) qn_json_text(json, capability_names[i].name);
    }
    qn_json_end_array(json);
}

/* What a search draws from: choices by name. */
static void write_search(const qn_param *p, qn_json_writer *json)
{
    qn_json_key(json, "search");
    qn_json_begin_array(json);
    if (p->type == QN_PARAM_CHOICE) {
        for (int i = (int)p->search_low; i <= (int)p->search_high; i++) {
            qn_json_text(json, p->choices[i]);
        }
    } else if (p->type == QN_PARAM_BOOL) {
        qn_json_bool(json, false);
        qn_json_bool(json, true);
    } else {
        qn_json_double(json, p->search_low);
        qn_json_double(json, p->search_high);
    }
    qn_json_end_array(json);
    if (p->search_log) qn_json_put_bool(json, "search_log", true);
}

static void write_param(const qn_param *p, qn_json_writer *json)
{
    static const char *const types[] = {"float", "int", "bool", "choice"};
    qn_json_begin_object(json);
    qn_json_put_text(json, "name", p->name);
    qn_json_put_text(json, "type", types[p->type]);
    if (p->type == QN_PARAM_BOOL) {
        qn_json_put_bool(json, "default", p->fallback != 0);
    } else if (p->type == QN_PARAM_CHOICE) {
        qn_json_put_text(json, "default", p->choices[(int)p->fallback]);
        qn_json_key(json, "choices");
        qn_json_begin_array(json);
        for (int i = 0; p->choices[i]; i++) {
            qn_json_text(json, p->choices[i]);
        }
        qn_json_end_array(json);
    } else {
        qn_json_put_double(json, "default", p->fallback);
        qn_json_put_double(json, "low", p->low);
        qn_json_put_double(json, "high", p->high);
    }
    if (is_searched(p)) write_search(p, json);
    qn_json_put_text(json, "help", p->help);
    qn_json_end_object(json);
}

static void write_learner(const qn_learner *learner, qn_json_writer *json)
{
    qn_json_begin_object(json);
    qn_json_put_text(json, "name", learner->name);
    qn_json_put_text(json, "help", learner->help);
    if (learner->source) qn_json_put_text(json, "source", learner->source);
    write_tasks(learner->tasks, json);
    write_capabilities(learner->capabilities, json);
    qn_json_key(json, "params");
    qn_json_begin_array(json);
    for (const qn_param *p = learner->params; p->name; p++) {
        write_param(p, json);
    }
    qn_json_end_array(json);
    qn_json_end_object(json);
}

/* All, or the only one asked for. */
static int learners_json(const qn_learner *only)
{
    qn_str text = {0};
    qn_json_writer json = {.out = &text, .indent = true};
    qn_json_begin_object(&json);
    qn_json_key(&json, "learners");
    qn_json_begin_array(&json);
    for (int i = 0; qn_learners[i]; i++) {
        if (!only || only == qn_learners[i]) write_learner(qn_learners[i], &json);
    }
    qn_json_end_array(&json);
    qn_json_end_object(&json);
    return put_json(&cmd_learners, &text);
}

static int metrics_json(void)
{
    qn_str text = {0};
    qn_json_writer json = {.out = &text, .indent = true};
    qn_json_begin_object(&json);
    qn_json_key(&json, "metrics");
    qn_json_begin_array(&json);
    for (int i = 0; qn_metrics[i]; i++) {
        qn_json_begin_object(&json);
        qn_json_put_text(&json, "name", qn_metrics[i]->name);
        qn_json_put_bool(&json, "greater_is_better", qn_metrics[i]->greater_is_better);
        write_tasks(qn_metrics[i]->tasks, &json);
        qn_json_put_text(&json, "help", qn_metrics[i]->help);
        qn_json_end_object(&json);
    }
    qn_json_end_array(&json);
    qn_json_end_object(&json);
    return put_json(&cmd_metrics, &text);
}

/* "low ... high", or how to choose. */
static void describe_range(const qn_param *p, char *out, size_t bytes)
{
    if (p->type == QN_PARAM_CHOICE) {
        snprintf(out, bytes, "one of");
    } else if (p->type == QN_PARAM_BOOL) {
        snprintf(out, bytes, "true, false");
    } else {
        snprintf(out, bytes, "%g ... %g", p->low, p->high);
    }
}

static void describe_default(const qn_param *p, char *out, size_t bytes)
{
    if (p->type == QN_PARAM_CHOICE) {
        snprintf(out, bytes, "%s", p->choices[(int)p->fallback]);
    } else if (p->type == QN_PARAM_BOOL) {
        snprintf(out, bytes, "%s", p->fallback != 0 ? "true" : "false");
    } else {
        snprintf(out, bytes, "%g", p->fallback);
    }
}

/* "low ... high", of logarithms where they are drawn evenly; nothing where it is not searched. */
static void describe_search(const qn_param *p, char *out, size_t bytes)
{
    size_t at = 0;
    out[0] = '\0';
    if (!is_searched(p)) return;
    if (p->type == QN_PARAM_BOOL) {
        snprintf(out, bytes, "true, false");
    } else if (p->type != QN_PARAM_CHOICE) {
        snprintf(out, bytes, "%g ... %g%s", p->search_low, p->search_high,
                 p->search_log ? " (log)" : "");
    } else if ((int)p->search_low == 0 && !p->choices[(int)p->search_high + 1]) {
        snprintf(out, bytes, "all");
    } else {
        for (int i = (int)p->search_low; i <= (int)p->search_high && at < bytes; i++) {
            at += (size_t)snprintf(out + at, bytes - at, "%s%s", at > 0 ? ", " : "", p->choices[i]);
        }
    }
}

/* Tasks and capabilities, with commas between. */
static void print_abilities(const qn_learner *learner)
{
    const char *comma = "";
    printf("For ");
    for (int task = 0; task <= QN_TASK_RANKING; task++) {
        if (!(learner->tasks >> task & 1)) continue;
        printf("%s%s", comma, qn_task_name((qn_task)task));
        comma = ", ";
    }
    comma = "; has ";
    for (int i = 0; i < N_CAPABILITIES; i++) {
        if (!(learner->capabilities & capability_names[i].bit)) continue;
        printf("%s%s", comma, capability_names[i].name);
        comma = ", ";
    }
    puts(".");
}

enum { NAME_WIDTH = 28, DEFAULT_WIDTH = 12, RANGE_WIDTH = 18, SEARCH_WIDTH = 24, LINE_WIDTH = 100 };

/* Names to choose from, in lines of their own below the range. */
static void print_choices(const char *const *choices)
{
    int at = printf("%*s%s", NAME_WIDTH + DEFAULT_WIDTH, "", choices[0]);
    for (int i = 1; choices[i]; i++) {
        if (at + 2 + (int)strlen(choices[i]) > LINE_WIDTH) {
            at = printf(",\n%*s%s", NAME_WIDTH + DEFAULT_WIDTH, "", choices[i]) - 2;
        } else {
            at += printf(", %s", choices[i]);
        }
    }
    printf("\n");
}

static void print_params(const qn_learner *learner)
{
    printf("%s - %s.\n", learner->name, learner->help);
    print_abilities(learner);
    if (learner->source) printf("After %s.\n", learner->source);
    printf("\n%-*s%-*s%-*s%-*s%s\n", NAME_WIDTH, "parameter", DEFAULT_WIDTH, "default", RANGE_WIDTH,
           "range", SEARCH_WIDTH, "searched", "meaning");
    for (const qn_param *p = learner->params; p->name; p++) {
        char range[64], fallback[64], search[128];
        describe_range(p, range, sizeof range);
        describe_default(p, fallback, sizeof fallback);
        describe_search(p, search, sizeof search);
        printf("%-*s%-*s%-*s%-*s %s\n", NAME_WIDTH, p->name, DEFAULT_WIDTH, fallback, RANGE_WIDTH,
               range, SEARCH_WIDTH - 1, search, p->help);
        if (p->type == QN_PARAM_CHOICE) print_choices(p->choices);
    }
}

/* docs/learners.md. */
static void print_reference(const qn_learner *learner)
{
    printf("## %s\n\n%s.\n", learner->name, learner->help);
    print_abilities(learner);
    if (learner->source) printf("After %s.\n", learner->source);
    if (!learner->params->name) {
        puts("\nIt has no parameters.\n");
        return;
    }
    puts("\n| parameter | default | range | searched | meaning |\n|---|---|---|---|---|");
    for (const qn_param *p = learner->params; p->name; p++) {
        char range[64], fallback[64], search[128];
        describe_range(p, range, sizeof range);
        describe_default(p, fallback, sizeof fallback);
        describe_search(p, search, sizeof search);
        printf("| `%s` | %s | ", p->name, fallback);
        for (int i = 0; p->type == QN_PARAM_CHOICE && p->choices[i]; i++) {
            printf("%s%s", i > 0 ? ", " : "", p->choices[i]);
        }
        printf("%s | %s | ", p->type == QN_PARAM_CHOICE ? "" : range, search);
        for (const char *c = p->help; *c; c++) {
            printf(*c == '|' ? "\\%c" : "%c", *c);
        }
        puts(" |");
    }
    putchar('\n');
}

static int learners_run(int argc, char **argv)
{
    struct list_request request = {0};
    const int parsed = cli_parse(&cmd_learners, argc, argv, &request);
    if (parsed != CLI_OK) return parsed == CLI_HELP_SHOWN ? CLI_OK : parsed;
    qn_error err = {0};
    const qn_learner *learner = NULL;
    if (request.arguments[0] && qn_learner_require(request.arguments[0], &learner, &err) != QN_OK) {
        return cli_fail(&cmd_learners, &err);
    }
    if (request.json) return learners_json(learner);
    if (request.reference) {
        puts("# Learners\n\nWritten by `quern learners --reference`; do not edit.\n");
        for (int i = 0; qn_learners[i]; i++) {
            if (!learner || learner == qn_learners[i]) print_reference(qn_learners[i]);
        }
        return CLI_OK;
    }
    if (learner) {
        print_params(learner);
        return CLI_OK;
    }
    for (int i = 0; qn_learners[i]; i++) {
        printf("%-18s%s\n", qn_learners[i]->name, qn_learners[i]->help);
    }
    return CLI_OK;
}

static int metrics_run(int argc, char **argv)
{
    struct list_request request = {0};
    const int parsed = cli_parse(&cmd_metrics, argc, argv, &request);
    if (parsed != CLI_OK) return parsed == CLI_HELP_SHOWN ? CLI_OK : parsed;
    if (request.json) return metrics_json();
    for (int i = 0; qn_metrics[i]; i++) {
        const qn_metric *m = qn_metrics[i];
        printf("%-20s%-9s", m->name, m->greater_is_better ? "greater" : "smaller");
        for (int task = 0; task <= QN_TASK_RANKING; task++) {
            if (m->tasks >> task & 1) printf(" %s", qn_task_name((qn_task)task));
        }
        printf(": %s\n", m->help);
    }
    return CLI_OK;
}

static const cli_option learner_options[] = {
    {"json", CLI_FLAG, offsetof(struct list_request, json), NULL, "print one JSON object", NULL,
     true},
    {"reference", CLI_FLAG, offsetof(struct list_request, reference), NULL,
     "print docs/learners.md: every parameter of every learner", NULL, true},
    {0}};

static const cli_option options[] = {{"json", CLI_FLAG, offsetof(struct list_request, json), NULL,
                                      "print one JSON object", NULL, true},
                                     {0}};

const cli_command cmd_learners = {.name = "learners",
                                  .summary = "list the learners, or one's parameters",
                                  .synopsis = "[NAME] [--json]",
                                  .options = learner_options,
                                  .n_arguments_max = 1,
                                  .arguments_offset = offsetof(struct list_request, arguments),
                                  .run = learners_run};

const cli_command cmd_metrics = {.name = "metrics",
                                 .summary = "list the metrics",
                                 .synopsis = "[--json]",
                                 .options = options,
                                 .arguments_offset = offsetof(struct list_request, arguments),
                                 .run = metrics_run};
