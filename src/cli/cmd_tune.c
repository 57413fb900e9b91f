/* SPDX-License-Identifier: Apache-2.0 */
/* quern tune: find the best parameters of any program. */
#include "analysis/parameter_importance.h"
#include "base/alloc.h"
#include "base/file.h"
#include "base/json.h"
#include "cli/commands.h"
#include "cli/tune_progress.h"
#include "search/pruners/pruner.h"
#include "search/tuner/trial_cost.h"
#include "search/tuner/tuner.h"

#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

enum { TRIALS_DEFAULT = 100 };

struct tune_request {
    const char *arguments[1];
    qn_study_request study;
    qn_tuner_request tuner;
    const char *const *enqueue;
    bool json, quiet, methods;
};

#define AT(member) offsetof(struct tune_request, member)

static const cli_option options[] = {
    {"trials", CLI_COUNT, AT(tuner.n_trials), "N",
     "trials of the study, those done before included (default 100)", NULL, false},
    {"timeout", CLI_DURATION, AT(tuner.timeout_s), "TIME", "stop after this time", NULL, false},
    {"max-cost", CLI_DOUBLE, AT(tuner.cost_max), "X",
     "begin no trial once those done have cost X: what they print as \"cost\", or seconds", NULL,
     false},
    {"stop-gain", CLI_DOUBLE, AT(study.stop_gain), "X",
     "stop when a bound says that less than X is to be gained (docs/tune.md)", NULL, false},
    {"objectives", CLI_TEXT, AT(study.objectives), "HOW",
     "minimize (default), maximize, or loss:minimize,auc:maximize", NULL, false},
    {"sampler", CLI_TEXT, AT(study.sampler), "NAME", "how to search, such as tpe:startup=20", NULL,
     false},
    {"pruner", CLI_TEXT, AT(study.pruner), "NAME", "when to give a trial up, such as median", NULL,
     false},
    {"methods", CLI_FLAG, AT(methods), NULL,
     "list samplers and pruners with their settings, and measures of importance", NULL, false},
    {"seed", CLI_INT, AT(study.seed), "N", "seed of every random choice (default 1)", NULL, false},
    {"enqueue", CLI_LIST, AT(enqueue), "JSON", "try these parameters first (repeatable)", NULL,
     false},
    {"from", CLI_LIST, AT(study.from), "STORE[#NAME]",
     "learn from the trials of another study before the first (repeatable)", NULL, false},
    {"store", CLI_TEXT, AT(study.store), "URL",
     "sqlite:FILE or postgres://…: keep the study; many may work on it", "store", false},
    {"study", CLI_TEXT, AT(study.name), "NAME", "name of the study in the store (default study)",
     NULL, false},
    {"workers", CLI_COUNT, AT(tuner.n_workers), "N", "programs at a time (default 1)", "programs",
     false},
    {"batch", CLI_COUNT, AT(tuner.batch_size), "N",
     "N trials at a time, asked for and told together: the same with any --workers", NULL, false},
    {"trial-timeout", CLI_DURATION, AT(tuner.trial_timeout_s), "TIME",
     "a trial that takes longer fails", NULL, false},
    {"trial-memory", CLI_SIZE, AT(tuner.memory_bytes), "SIZE",
     "address space of a program, such as 2G", NULL, false},
    {"retries", CLI_COUNT, AT(tuner.n_retries), "N", "try a trial that failed again, N times", NULL,
     false},
    {"logs", CLI_TEXT, AT(tuner.log_folder), "FOLDER",
     "keep what trial N prints in N.out and N.err", NULL, false},
    {"checkpoints", CLI_TEXT, AT(tuner.checkpoint_folder), "FOLDER",
     "{checkpoint}: a folder there for each trial, found again when it is run again", NULL, false},
    {"json", CLI_FLAG, AT(json), NULL, "print one JSON object", "output", false},
    {"quiet", CLI_FLAG, AT(quiet), NULL, "no progress on standard error", NULL, false},
    {0}};

static volatile sig_atomic_t interrupted;

static void on_interrupt(int signal)
{
    (void)signal;
    interrupted = 1;
}

static void print_settings(const qn_setting *setting)
{
    for (; setting->name; setting++) {
        char fallback[32];
        snprintf(fallback, sizeof fallback, "%g", setting->fallback);
        if (setting->kind == QN_SETTING_FLAG) {
            snprintf(fallback, sizeof fallback, "%s", setting->fallback != 0 ? "true" : "false");
        }
        printf("    %-16s%s (default %s)\n", setting->name, setting->help, fallback);
    }
}

static void print_methods(void)
{
    puts("samplers");
    for (int i = 0; qn_samplers[i]; i++) {
        printf("  %-14s%s\n", qn_samplers[i]->name, qn_samplers[i]->help);
        print_settings(qn_samplers[i]->settings);
    }
    puts("\npruners");
    for (int i = 0; qn_pruners[i]; i++) {
        printf("  %-14s%s\n", qn_pruners[i]->name, qn_pruners[i]->help);
        print_settings(qn_pruners[i]->settings);
    }
    puts("\nimportances");
    for (int i = 0; qn_importance_methods[i]; i++) {
        printf("  %-14s%s\n", qn_importance_methods[i]->name, qn_importance_methods[i]->help);
    }
}

static void count_states(const qn_history *history, int64_t *counts)
{
    for (int64_t i = 0; i < history->n_trials; i++) {
        counts[history->trials[i]->state]++;
    }
}

static int print_json(const struct tune_request *request, qn_study *study, const char *best)
{
    const char *reason;
    int64_t counts[QN_TRIAL_FAILED + 1] = {0};
    qn_str text = {0};
    qn_json_writer json = {.out = &text};
    count_states(qn_study_history(study), counts);
    qn_json_begin_object(&json);
    qn_json_put_text(&json, "sampler", qn_study_sampler(study, &reason));
    qn_json_put_int(&json, "trials", qn_study_history(study)->n_trials);
    for (int state = QN_TRIAL_COMPLETE; state <= QN_TRIAL_FAILED; state++) {
        qn_json_put_int(&json, qn_trial_state_name((qn_trial_state)state), counts[state]);
    }
    if (request->tuner.cost_max > 0) qn_json_put_double(&json, "cost", qn_study_cost(study));
    if (qn_study_is_stopped(study)) {
        qn_json_put_double(&json, "gain_bound", qn_study_gain_bound(study));
    }
    qn_json_key(&json, "best");
    qn_json_raw(&json, best ? best : "null");
    qn_json_end_object(&json);
    if (!text.failed) puts(text.text);
    const int code = text.failed ? CLI_FAILED : CLI_OK;
    qn_str_release(&text);
    return code;
}

/* Of the rule of --stop-gain. */
static void print_stop(qn_study *study)
{
    if (!qn_study_is_stopped(study)) return;
    printf("stopped at most %.3g is to be gained\n", qn_study_gain_bound(study));
}

static void print_best(const struct tune_request *request, qn_study *study)
{
    const qn_history *history = qn_study_history(study);
    const qn_trial_record *best = qn_history_best(history);
    int64_t counts[QN_TRIAL_FAILED + 1] = {0};
    count_states(history, counts);
    printf("trials  %lld complete, %lld pruned, %lld failed\n",
           (long long)counts[QN_TRIAL_COMPLETE], (long long)counts[QN_TRIAL_PRUNED],
           (long long)counts[QN_TRIAL_FAILED]);
    print_stop(study);
    if (request->tuner.cost_max > 0) printf("cost    %.6g\n", qn_study_cost(study));
    printf("best    trial %lld, ", (long long)best->number);
    qn_str values = {0};
    cli_tune_add_values(&values, history->objectives, best->losses);
    puts(values.failed ? "" : values.text);
    qn_str_release(&values);
    for (int64_t at = 0; at < best->n_values; at++) {
        char text[QN_DOUBLE_TEXT_BYTES];
        const qn_parameter *p = &history->space->parameters[at];
        if (isnan(best->values[at])) continue;
        printf("        %s = %s\n", p->name, qn_parameter_text(p, best->values[at], text));
    }
}

static int summarise(const struct tune_request *request, qn_study *study)
{
    qn_error err = {0};
    char *best = NULL;
    int code = CLI_OK;
    if (qn_study_best(study, &best, &err) != QN_OK) return cli_fail(&cmd_tune, &err);
    if (request->json) {
        code = print_json(request, study, best);
    } else if (best && qn_study_objectives(study)->n > 1) {
        puts(best);
    } else if (best) {
        print_best(request, study);
    }
    if (!best) fputs("quern tune: no trial is complete\n", stderr);
    if (code == CLI_OK && !best) code = CLI_FAILED;
    qn_tune_free(best);
    return interrupted ? CLI_INTERRUPTED : code;
}

static qn_status enqueue(const struct tune_request *request, qn_study *study, qn_error *err)
{
    /* A study taken up again has them already. */
    if (qn_study_history(study)->n_trials > 0) return QN_OK;
    for (int i = 0; request->enqueue && request->enqueue[i]; i++) {
        const qn_status status = qn_study_enqueue(study, request->enqueue[i], err);
        if (status != QN_OK) return qn_fail_context(err, status, "--enqueue");
    }
    return QN_OK;
}

static int tune(struct tune_request *request, qn_study *study)
{
    qn_error err = {0};
    const char *reason;
    const char *sampler = qn_study_sampler(study, &reason);
    if (!request->quiet && reason) {
        fprintf(stderr, "sampler %s: %s\n", sampler, reason);
    }
    const int64_t n_prior = qn_study_history(study)->n_prior;
    if (!request->quiet && n_prior > 0) {
        fprintf(stderr, "learns from %lld trial(s) of other studies\n", (long long)n_prior);
    }
    if (request->tuner.n_trials == 0) request->tuner.n_trials = TRIALS_DEFAULT;
    request->tuner.interrupted = &interrupted;
    signal(SIGINT, on_interrupt);
    signal(SIGTERM, on_interrupt);
    signal(SIGXFSZ, SIG_IGN); /* a limit of file sizes is an error like a full disk */
    if (enqueue(request, study, &err) != QN_OK) return cli_fail(&cmd_tune, &err);
    cli_tune_progress progress;
    if (!request->quiet) cli_tune_progress_begin(&progress, study, &request->tuner);
    const qn_status status = qn_tuner_run(study, &request->tuner, &err);
    if (!request->quiet) cli_tune_progress_end(&progress);
    if (status != QN_OK) return cli_fail(&cmd_tune, &err);
    return summarise(request, study);
}

static int open_and_tune(struct tune_request *request)
{
    qn_error err = {0};
    qn_file_map map;
    qn_study *study;
    if (qn_file_map_open(request->arguments[0], &map, &err) != QN_OK) {
        return cli_fail(&cmd_tune, &err);
    }
    char *text = qn_strndup((const char *)map.data, map.bytes);
    qn_file_unmap(&map);
    if (!text) return cli_fail(&cmd_tune, &(qn_error){QN_ERR_NOMEM, "no memory for the space"});
    request->study.space = text;
    request->study.space_name = request->arguments[0];
    request->study.n_trials = request->tuner.n_trials;
    request->study.n_workers =
        request->tuner.batch_size > 0 ? request->tuner.batch_size : request->tuner.n_workers;
    const qn_status status = qn_study_open(&request->study, &study, &err);
    qn_free(text);
    if (status != QN_OK) return cli_fail(&cmd_tune, &err);
    const int code = tune(request, study);
    qn_study_close(study);
    return code;
}

/* What follows "--" is the command. */
static int tune_run(int argc, char **argv)
{
    struct tune_request request = {0};
    int n = 1;
    while (n < argc && strcmp(argv[n], "--") != 0) {
        n++;
    }
    for (int i = 1; i < n; i++) {
        request.methods |= strcmp(argv[i], "--methods") == 0;
    }
    if (request.methods) {
        print_methods();
        return CLI_OK;
    }
    const int parsed = cli_parse(&cmd_tune, n, argv, &request);
    if (parsed != CLI_OK) return parsed == CLI_HELP_SHOWN ? CLI_OK : parsed;
    if (n + 1 >= argc) {
        fputs("quern tune: a command is needed after '--', such as -- ./train --rate {rate}\n",
              stderr);
        return CLI_USAGE;
    }
    request.tuner.command = argv + n + 1;
    return open_and_tune(&request);
}

const cli_command cmd_tune = {
    .name = "tune",
    .summary = "find the best parameters of any program",
    .synopsis = "SPACE.yaml [options] -- COMMAND ... {parameter} ...",
    .details = "SPACE.yaml says what may be chosen (docs/tune.md). The command is run once per "
               "trial, with\n"
               "{name} replaced by the value of that parameter and {trial} by the trial's number; "
               "QUERN_PARAMS\n"
               "and QUERN_TRIAL in its environment say the same. Its result is the last number it "
               "prints, or\n"
               "a line {\"value\": 0.5}; lines {\"step\": 3, \"value\": 0.5} before it let a "
               "pruner stop it.\n"
               "Ctrl-C ends the search and keeps the best so far.",
    .examples =
        "    quern tune space.yaml --trials 50 -- python3 train.py --rate {rate}\n"
        "    quern tune space.yaml --store sqlite:s.db --workers 4 --pruner asha -- ./train.sh",
    .options = options,
    .n_arguments_min = 1,
    .n_arguments_max = 1,
    .arguments_offset = AT(arguments),
    .run = tune_run};
