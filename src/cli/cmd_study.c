/* SPDX-License-Identifier: Apache-2.0 */
/* quern study, ask, tell: studies in a store, one call at a time. */
#include "base/alloc.h"
#include "base/file.h"
#include "base/json.h"
#include "cli/ask_pipe.h"
#include "cli/commands.h"
#include "cli/study_analysis.h"
#include "search/study/study.h"

#include <stdio.h>
#include <string.h>

struct study_request {
    const char *arguments[18]; /* ask: the space; tell: number and values; study: action */
    qn_study_request study;
    const char *violation;
    bool fail, pipe;
    cli_importance_request importance;
    const char *report; /* path */
};

#define AT(member) offsetof(struct study_request, member)

#define STORE_OPTIONS                                                                         \
    {"store", CLI_TEXT, AT(study.store), "URL", "sqlite:FILE or postgres://…", NULL, false},  \
    {                                                                                         \
        "study", CLI_TEXT, AT(study.name), "NAME", "name of the study (default study)", NULL, \
            false                                                                             \
    }

static const cli_option study_options[] = {
    STORE_OPTIONS,
    {"o", CLI_TEXT, AT(report), "FILE", "report: page to write (default: NAME.html)", NULL, false},
    {"method", CLI_TEXT, AT(importance.method), "NAME",
     "importance: fanova (default) or ped_anova, see 'quern tune --methods'", NULL, false},
    {"objective", CLI_TEXT, AT(importance.objective), "NAME",
     "importance: for which objective (default: the first)", NULL, false},
    {"json", CLI_FLAG, AT(importance.json), NULL, "importance: print one JSON object", NULL, false},
    {0}};

static const cli_option ask_options[] = {
    STORE_OPTIONS,
    {"objectives", CLI_TEXT, AT(study.objectives), "HOW",
     "minimize (default), maximize, or loss:minimize,auc:maximize", NULL, false},
    {"sampler", CLI_TEXT, AT(study.sampler), "NAME", "how to search, see 'quern tune --methods'",
     NULL, false},
    {"pruner", CLI_TEXT, AT(study.pruner), "NAME", "when to give a trial up, such as median", NULL,
     false},
    {"seed", CLI_INT, AT(study.seed), "N", "seed of every random choice (default 1)", NULL, false},
    {"from", CLI_LIST, AT(study.from), "STORE[#NAME]",
     "learn from the trials of another study before the first (repeatable)", NULL, false},
    {"pipe", CLI_FLAG, AT(pipe), NULL,
     "stay: read requests from standard input, a line of JSON each (docs/tune.md)", NULL, false},
    {0}};

static const cli_option tell_options[] = {
    STORE_OPTIONS,
    {"fail", CLI_FLAG, AT(fail), NULL, "the trial came to nothing", NULL, false},
    {"violation", CLI_TEXT, AT(violation), "X", "by how much it breaks a limit", NULL, false},
    {0}};

/* Parses the command line; CLI_OK when there is work to do. */
static int begin(const cli_command *command, int argc, char **argv, struct study_request *request)
{
    *request = (struct study_request){.study.keep_running = true};
    const int parsed = cli_parse(command, argc, argv, request);
    if (parsed != CLI_OK) return parsed;
    request->study.keep_running = !request->pipe;
    if (request->study.store || request->pipe) return CLI_OK;
    fprintf(stderr, "quern %s: --store URL is needed, such as sqlite:FILE\n", command->name);
    return CLI_USAGE;
}

static int end(int code)
{
    return code == CLI_HELP_SHOWN ? CLI_OK : code;
}

static void print_name(void *context, const char *study)
{
    (void)context;
    puts(study);
}

static int print_text(const cli_command *command, qn_str *text)
{
    const bool failed = text->failed;
    if (!failed) puts(text->text);
    qn_str_release(text);
    return failed ? cli_fail(command, &(qn_error){QN_ERR_NOMEM, "no memory to print it"}) : CLI_OK;
}

static int export_trials(const struct study_request *request, qn_study *study)
{
    (void)request;
    const qn_history *history = qn_study_history(study);
    int code = CLI_OK;
    for (int64_t i = -history->n_prior; code == CLI_OK && i < history->n_trials; i++) {
        const qn_trial_record *trial =
            i < 0 ? history->prior[history->n_prior + i] : history->trials[i];
        qn_str text = {0};
        qn_trial_write(history, trial, &(qn_json_writer){.out = &text});
        code = print_text(&cmd_study, &text);
    }
    return code;
}

static int show_study(const struct study_request *request, qn_study *study)
{
    (void)request;
    const qn_history *history = qn_study_history(study);
    const char *reason;
    int64_t counts[QN_TRIAL_FAILED + 1] = {0};
    qn_str text = {0};
    qn_json_writer json = {.out = &text, .indent = true};
    for (int64_t i = 0; i < history->n_trials; i++) {
        counts[history->trials[i]->state]++;
    }
    qn_json_begin_object(&json);
    qn_json_put_text(&json, "sampler", qn_study_sampler(study, &reason));
    if (history->n_prior > 0) qn_json_put_int(&json, "prior", history->n_prior);
    qn_json_put_int(&json, "trials", history->n_trials);
    for (int state = 0; state <= QN_TRIAL_FAILED; state++) {
        qn_json_put_int(&json, qn_trial_state_name((qn_trial_state)state), counts[state]);
    }
    qn_json_key(&json, "space");
    qn_space_write(history->space, history->objectives, &json);
    qn_json_end_object(&json);
    return print_text(&cmd_study, &text);
}

static int show_best(const struct study_request *request, qn_study *study)
{
    (void)request;
    qn_error err = {0};
    char *best;
    if (qn_study_best(study, &best, &err) != QN_OK) return cli_fail(&cmd_study, &err);
    if (best) puts(best);
    if (!best) fputs("quern study: no trial is complete\n", stderr);
    const int code = best ? CLI_OK : CLI_FAILED;
    qn_tune_free(best);
    return code;
}

static int show_importance(const struct study_request *request, qn_study *study)
{
    return cli_study_importance(study, &request->importance);
}

static int write_report(const struct study_request *request, qn_study *study)
{
    return cli_study_report(study, request->study.name ? request->study.name : "study",
                            request->report);
}

static const struct study_action {
    const char *name;
    int (*run)(const struct study_request *request, qn_study *study);
} study_actions[] = {{"show", show_study},      {"best", show_best},
                     {"export", export_trials}, {"importance", show_importance},
                     {"report", write_report},  {NULL, NULL}};

static int study_run(int argc, char **argv)
{
    struct study_request request;
    qn_error err = {0};
    qn_study *study;
    int code = begin(&cmd_study, argc, argv, &request);
    if (code != CLI_OK) return end(code);
    const char *name = request.arguments[0];
    if (strcmp(name, "list") == 0) {
        return qn_store_list(request.study.store, print_name, NULL, &err) == QN_OK
                   ? CLI_OK
                   : cli_fail(&cmd_study, &err);
    }
    const struct study_action *action = study_actions;
    while (action->name && strcmp(action->name, name) != 0) {
        action++;
    }
    if (!action->name) {
        fprintf(stderr,
                "quern study: expected list, show, best, export, importance or report, not '%s'\n",
                name);
        return CLI_USAGE;
    }
    request.study.read_only = true;
    if (qn_study_open(&request.study, &study, &err) != QN_OK) return cli_fail(&cmd_study, &err);
    code = action->run(&request, study);
    qn_study_close(study);
    return code;
}

static int print_asked(const qn_study *study, const qn_trial *trial)
{
    qn_str text = {0};
    qn_json_writer json = {.out = &text};
    if (!trial) {
        fputs("quern ask: there is nothing left to try\n", stderr);
        return CLI_FAILED;
    }
    qn_json_begin_object(&json);
    qn_json_put_int(&json, "trial", qn_trial_number(trial));
    qn_json_key(&json, "params");
    qn_space_write_values(qn_study_space(study), qn_trial_get_record(trial)->values, &json);
    qn_json_end_object(&json);
    return print_text(&cmd_ask, &text);
}

static int ask_run(int argc, char **argv)
{
    struct study_request request;
    qn_error err = {0};
    qn_study *study = NULL;
    qn_trial *trial;
    const int code = begin(&cmd_ask, argc, argv, &request);
    if (code != CLI_OK) return end(code);
    qn_file_map map;
    qn_status status = qn_file_map_open(request.arguments[0], &map, &err);
    if (status != QN_OK) return cli_fail(&cmd_ask, &err);
    char *text = qn_strndup((const char *)map.data, map.bytes);
    qn_file_unmap(&map);
    request.study.space = text;
    request.study.space_name = request.arguments[0];
    status = text ? qn_study_open(&request.study, &study, &err)
                  : qn_fail(&err, QN_ERR_NOMEM, "no memory for the space");
    qn_free(text);
    int result = CLI_OK;
    if (status == QN_OK && request.pipe) {
        result = cli_ask_pipe(&cmd_ask, study);
    } else {
        if (status == QN_OK) status = qn_study_ask(study, &trial, &err);
        result = status == QN_OK ? print_asked(study, trial) : cli_fail(&cmd_ask, &err);
    }
    qn_study_close(study);
    return result;
}

static qn_status tell(const struct study_request *request, qn_study *study, qn_error *err)
{
    double values[QN_OBJECTIVES_MAX], violation = 0;
    int64_t number, n = 0;
    const char *text = request->arguments[0];
    if (!qn_parse_int64(text, strlen(text), &number) || !qn_study_trial(study, number)) {
        return qn_fail(err, QN_ERR_ARG, "there is no trial '%s'", text);
    }
    qn_trial *trial = qn_study_trial(study, number);
    if (request->fail) return qn_trial_fail(trial, err);
    for (; request->arguments[n + 1] && n < QN_OBJECTIVES_MAX; n++) {
        text = request->arguments[n + 1];
        if (qn_parse_double(text, strlen(text), &values[n])) continue;
        return qn_fail(err, QN_ERR_ARG, "'%s' is not a number", text);
    }
    text = request->violation;
    if (text && !qn_parse_double(text, strlen(text), &violation)) {
        return qn_fail(err, QN_ERR_ARG, "--violation %s: expected a number", text);
    }
    QN_TRY(qn_trial_violate(trial, violation, err));
    return qn_trial_tell(trial, values, n, err);
}

static int tell_run(int argc, char **argv)
{
    struct study_request request;
    qn_error err = {0};
    qn_study *study = NULL;
    const int code = begin(&cmd_tell, argc, argv, &request);
    if (code != CLI_OK) return end(code);
    request.study.must_exist = true;
    qn_status status = qn_study_open(&request.study, &study, &err);
    if (status == QN_OK) status = tell(&request, study, &err);
    qn_study_close(study);
    return status == QN_OK ? CLI_OK : cli_fail(&cmd_tell, &err);
}

const cli_command cmd_study = {
    .name = "study",
    .summary = "look at the studies in a store",
    .synopsis = "list|show|best|export|importance|report --store URL [options]",
    .details = "list: names of the studies. show: what one is and how far. "
               "best: its best\ntrial, or those that none dominates. "
               "export: every trial, a line of JSON each. "
               "importance: how much\neach parameter accounts for. report: all of it as a page of "
               "charts.",
    .examples = "    quern study best --store sqlite:s.db\n"
                "    quern study importance --store sqlite:s.db --json\n"
                "    quern study report --store sqlite:s.db -o s.html",
    .options = study_options,
    .n_arguments_min = 1,
    .n_arguments_max = 1,
    .arguments_offset = AT(arguments),
    .run = study_run};

const cli_command cmd_ask = {
    .name = "ask",
    .summary = "start a trial of a study: print its parameters",
    .synopsis = "SPACE.yaml --store URL|--pipe [options]",
    .details =
        "Prints {\"trial\": 0, \"params\": {...}}. Evaluate them, then 'quern tell'. The study\n"
        "is made when the store has none of that name. With --pipe one process asks and tells "
        "many\n"
        "trials: {\"op\": \"ask\"}, {\"op\": \"tell\", \"trial\": 0, \"value\": 0.25} and others.",
    .examples =
        "    quern ask space.yaml --store sqlite:s.db\n    quern tell 0 0.25 --store sqlite:s.db",
    .options = ask_options,
    .n_arguments_min = 1,
    .n_arguments_max = 1,
    .arguments_offset = AT(arguments),
    .run = ask_run};

const cli_command cmd_tell = {.name = "tell",
                              .summary = "end a trial of a study with its result",
                              .synopsis = "TRIAL VALUE... --store URL [--study NAME]",
                              .details = "One value per objective.",
                              .examples = "    quern tell 0 0.25 --store sqlite:s.db\n"
                                          "    quern tell 1 --fail --store sqlite:s.db",
                              .options = tell_options,
                              .n_arguments_min = 1,
                              .n_arguments_max = 17,
                              .arguments_offset = AT(arguments),
                              .run = tell_run};
