/* SPDX-License-Identifier: Apache-2.0 */
/* quern learners, quern metrics: what there is to choose from. */
#include "cli/commands.h"
#include "learn/learner.h"
#include "metric/metric.h"

#include <stdio.h>

struct list_request {
    const char *arguments[1];
};

/* "low ... high", or the names to choose from. */
static void describe_range(const qn_param *p, char *out, size_t bytes)
{
    size_t n = 0;
    if (p->type == QN_PARAM_BOOL) {
        snprintf(out, bytes, "true, false");
    } else if (p->type != QN_PARAM_CHOICE) {
        snprintf(out, bytes, "%g ... %g", p->low, p->high);
    } else {
        for (int i = 0; p->choices[i] && n < bytes; i++) {
            n += (size_t)snprintf(out + n, bytes - n, "%s%s", i ? ", " : "", p->choices[i]);
        }
        if (n > 21 && n + 2 < bytes) snprintf(out + n, bytes - n, "  ");
    }
}

static void print_params(const qn_learner *learner)
{
    printf("%s - %s\n", learner->name, learner->help);
    if (learner->source) printf("after %s\n", learner->source);
    printf("\n");
    printf("%-26s%-12s%-22s%s\n", "parameter", "default", "range", "meaning");
    for (const qn_param *p = learner->params; p->name; p++) {
        char range[96];
        describe_range(p, range, sizeof range);
        if (p->type == QN_PARAM_BOOL) {
            printf("%-26s%-12s%-22s%s\n", p->name, p->fallback != 0 ? "true" : "false", range,
                   p->help);
        } else if (p->type == QN_PARAM_CHOICE) {
            printf("%-26s%-12s%-22s%s\n", p->name, p->choices[(int)p->fallback], range, p->help);
        } else {
            printf("%-26s%-12g%-22s%s\n", p->name, p->fallback, range, p->help);
        }
    }
}

static int learners_run(int argc, char **argv)
{
    struct list_request request = {0};
    const int parsed = cli_parse(&cmd_learners, argc, argv, &request);
    if (parsed != CLI_OK) return parsed == CLI_HELP_SHOWN ? CLI_OK : parsed;
    if (request.arguments[0]) {
        const qn_learner *learner = qn_learner_find(request.arguments[0]);
        if (!learner) {
            fprintf(stderr, "quern learners: there is no learner '%s'\n", request.arguments[0]);
            return CLI_USAGE;
        }
        print_params(learner);
        return CLI_OK;
    }
    for (int i = 0; qn_learners[i]; i++) {
        printf("%-16s%s\n", qn_learners[i]->name, qn_learners[i]->help);
    }
    return CLI_OK;
}

static int metrics_run(int argc, char **argv)
{
    struct list_request request = {0};
    const int parsed = cli_parse(&cmd_metrics, argc, argv, &request);
    if (parsed != CLI_OK) return parsed == CLI_HELP_SHOWN ? CLI_OK : parsed;
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

static const cli_option no_options[] = {{0}};

const cli_command cmd_learners = {.name = "learners",
                                  .summary = "list the learners, or one's parameters",
                                  .synopsis = "[NAME]",
                                  .options = no_options,
                                  .n_arguments_max = 1,
                                  .arguments_offset = offsetof(struct list_request, arguments),
                                  .run = learners_run};

const cli_command cmd_metrics = {.name = "metrics",
                                 .summary = "list the metrics",
                                 .synopsis = "",
                                 .options = no_options,
                                 .arguments_offset = offsetof(struct list_request, arguments),
                                 .run = metrics_run};
