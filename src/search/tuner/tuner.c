/* SPDX-License-Identifier: Apache-2.0 */
#include "search/tuner/tuner.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "search/samplers/batch.h"
#include "search/study/checkpoint.h"
#include "search/tuner/output.h"
#include "search/tuner/process.h"
#include "search/tuner/trial_command.h"
#include "search/tuner/trial_cost.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FAILURES_MAX = 10, READ_BYTES = 65536, READS_MAX = 16, WAIT_MS = 200 };
enum { POLLS_EACH = 3 }; /* output, errors and end of a worker's program */

/* Each of a program's outputs is kept up to this; all of the first is read for results. */
#define LOG_BYTES_MAX 10000000

struct log {
    int file; /* -1: none */
    int64_t bytes;
};

struct worker {
    qn_trial *trial; /* NULL: idle */
    qn_process process;
    qn_output output;
    struct log output_log, error_log;
    bool is_pruned, is_late;
    bool is_taken; /* the trial is another worker's now, or was ended by hand */
    struct tuner *tuner;
};

struct tuner {
    qn_study *study;
    const qn_tuner_request *request;
    struct worker *workers;
    qn_batch batch;
    qn_checkpoints checkpoints;
    qn_cost_limit cost_limit;
    struct pollfd *polls; /* POLLS_EACH per worker, one for the store */
    int64_t n_workers, n_busy;
    int64_t n_ended, n_failed;
    bool is_stopping;
    double deadline_s, grace_s, next_ask_s;
    char *buffer; /* [READ_BYTES] */
};

/* Starting. */

static qn_status open_log(const struct tuner *tuner, int64_t number, const char *ending,
                          struct log *log, qn_error *err)
{
    qn_str path = {0};
    qn_str_addf(&path, "%s/%" PRId64 ".%s", tuner->request->log_folder, number, ending);
    qn_status status = path.failed ? qn_fail(err, QN_ERR_NOMEM, "no memory for a trial") : QN_OK;
    if (status == QN_OK) {
        *log = (struct log){open(path.text, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666), 0};
        if (log->file < 0) status = qn_fail(err, QN_ERR_IO, "%s: %s", path.text, strerror(errno));
    }
    qn_str_release(&path);
    return status;
}

static qn_status open_logs(struct worker *worker, int64_t number, qn_error *err)
{
    const struct tuner *tuner = worker->tuner;
    if (!tuner->request->log_folder) return QN_OK;
    QN_TRY(open_log(tuner, number, "out", &worker->output_log, err));
    return open_log(tuner, number, "err", &worker->error_log, err);
}

static void close_log(struct log *log)
{
    if (log->file >= 0) close(log->file);
    log->file = -1;
}

static qn_status start_process(struct worker *worker, qn_arena *arena, qn_error *err)
{
    const struct tuner *tuner = worker->tuner;
    const qn_tuner_request *request = tuner->request;
    qn_trial_command command = {.command = request->command,
                                .space = qn_study_space(tuner->study),
                                .trial = qn_trial_get_record(worker->trial),
                                .first_look = qn_trial_next_look(worker->trial)};
    qn_process_request process = {.memory_bytes = request->memory_bytes,
                                  .timeout_s = request->trial_timeout_s,
                                  .kept_descriptor = qn_study_tether(tuner->study),
                                  .takes_errors = request->log_folder != NULL,
                                  .error_descriptor = request->error_descriptor};
    QN_TRY(qn_checkpoint_begin(&tuner->checkpoints, command.space, command.trial, arena,
                               &command.checkpoint, err));
    process.arguments = qn_trial_command_arguments(&command, arena);
    process.environment = qn_trial_command_environment(&command, arena);
    if (!process.arguments || !process.environment) {
        return qn_fail(err, QN_ERR_NOMEM, "no memory for a trial");
    }
    QN_TRY(open_logs(worker, command.trial->number, err));
    return qn_process_start(&process, &worker->process, err);
}

static void release_worker(struct worker *worker)
{
    close_log(&worker->output_log);
    close_log(&worker->error_log);
    qn_output_release(&worker->output);
    worker->trial = NULL;
}

static qn_status start(struct worker *worker, qn_trial *trial, qn_error *err)
{
    qn_arena arena = {0};
    worker->trial = trial;
    worker->is_pruned = worker->is_late = worker->is_taken = false;
    qn_status status =
        qn_output_init(&worker->output, qn_study_objectives(worker->tuner->study), err);
    if (status == QN_OK) status = start_process(worker, &arena, err);
    qn_arena_release(&arena);
    if (status == QN_OK) {
        worker->tuner->n_busy++;
    } else {
        release_worker(worker);
    }
    return status;
}

static bool begins_no_more(struct tuner *tuner)
{
    return tuner->is_stopping ||
           qn_cost_limit_is_reached(&tuner->cost_limit, tuner->study, tuner->request->batch_size);
}

/* When there is nothing to begin, trials may still come back from others: look again a little
 * later. */
static qn_status start_more(struct tuner *tuner, qn_error *err)
{
    const double now_s = qn_clock_s();
    if (now_s < tuner->next_ask_s || begins_no_more(tuner)) return QN_OK;
    for (int64_t i = 0; i < tuner->n_workers; i++) {
        qn_trial *trial;
        if (tuner->workers[i].trial) continue;
        QN_TRY(qn_batch_next(&tuner->batch, &trial, err));
        if (!trial) {
            tuner->next_ask_s = now_s + 1e-3 * WAIT_MS;
            return QN_OK;
        }
        QN_TRY(start(&tuner->workers[i], trial, err));
    }
    return QN_OK;
}

/* Listening. */

static qn_status take_report(void *context, int64_t step, double value, qn_error *err)
{
    struct worker *worker = context;
    bool prune;
    if (worker->is_pruned || worker->is_taken) return QN_OK;
    const qn_status status = qn_trial_report(worker->trial, step, value, &prune, err);
    worker->is_taken = status != QN_OK && !qn_trial_is_own(worker->trial);
    if (status != QN_OK && !worker->is_taken) return status;
    worker->is_pruned = status == QN_OK && prune;
    if (!worker->is_pruned && !worker->is_taken) return QN_OK;
    qn_process_stop(&worker->process, worker->tuner->grace_s);
    return QN_OK;
}

static void keep_log(struct log *log, const char *data, int64_t bytes)
{
    const int64_t room = LOG_BYTES_MAX - log->bytes, kept = bytes < room ? bytes : room;
    if (log->file < 0 || kept <= 0) return;
    /* A full disk costs the log, not the trial. */
    log->bytes += write(log->file, data, (size_t)kept) == kept ? kept : LOG_BYTES_MAX;
}

/* What is there, into the tuner's buffer and the log: 0 when there is nothing now, or nothing more
 * and the descriptor is closed. */
static size_t read_some(const struct tuner *tuner, int *descriptor, struct log *log)
{
    if (*descriptor < 0) return 0;
    const ssize_t bytes = read(*descriptor, tuner->buffer, READ_BYTES);
    if (bytes < 0) return 0;
    if (bytes == 0) {
        close(*descriptor);
        *descriptor = -1;
    }
    keep_log(log, tuner->buffer, bytes);
    return (size_t)bytes;
}

/* Reads what is there; a program that prints without end cannot keep the others waiting. */
static qn_status listen(struct worker *worker, qn_error *err)
{
    struct tuner *tuner = worker->tuner;
    qn_process *process = &worker->process;
    size_t bytes = 1;
    for (int reads = 0; reads < READS_MAX && bytes > 0; reads++) {
        bytes = read_some(tuner, &process->output, &worker->output_log);
        if (bytes == 0 || worker->is_pruned) continue;
        QN_TRY(qn_output_add(&worker->output, tuner->buffer, bytes, take_report, worker, err));
    }
    for (int reads = 0; reads < READS_MAX; reads++) {
        if (read_some(tuner, &process->errors, &worker->error_log) == 0) break;
    }
    return QN_OK;
}

/* Ending: what came of a program, and, when its turn has come, of the trial. */

static void fail_outcome(qn_outcome *outcome, const char *failure)
{
    outcome->kind = QN_OUTCOME_FAILED;
    snprintf(outcome->failure, sizeof outcome->failure, "%s", failure);
}

static void describe_exit(int code, qn_outcome *outcome)
{
    outcome->kind = QN_OUTCOME_FAILED;
    if (code > QN_PROCESS_SIGNAL) {
        snprintf(outcome->failure, sizeof outcome->failure, "it was ended by signal %d (%s)",
                 code - QN_PROCESS_SIGNAL, strsignal(code - QN_PROCESS_SIGNAL));
    } else {
        snprintf(outcome->failure, sizeof outcome->failure, "it ended with exit code %d", code);
    }
}

static qn_status find_result(struct worker *worker, qn_outcome *outcome, qn_error *err)
{
    bool found, finite = true;
    const int64_t n = qn_study_objectives(worker->tuner->study)->n;
    QN_TRY(qn_output_finish(&worker->output, take_report, worker, outcome->values, &found, err));
    for (int64_t i = 0; found && i < n; i++) {
        finite &= isfinite(outcome->values[i]) != 0;
    }
    outcome->violation = worker->output.violation;
    if (!found) fail_outcome(outcome, "it printed no result");
    if (!finite) fail_outcome(outcome, "its result is not a finite number");
    return QN_OK;
}

static qn_status find_outcome(struct worker *worker, int code, qn_outcome *outcome, qn_error *err)
{
    *outcome = (qn_outcome){.kind = QN_OUTCOME_RESULT, .cost = worker->output.cost};
    if (worker->is_late && !worker->is_pruned) {
        fail_outcome(outcome, "it took too long");
    } else if (code != 0 && !worker->is_pruned) {
        describe_exit(code, outcome);
    } else if (!worker->is_pruned && !worker->is_taken) {
        QN_TRY(find_result(worker, outcome, err));
    }
    if (worker->is_pruned) outcome->kind = QN_OUTCOME_PRUNED;
    if (worker->is_taken) outcome->kind = QN_OUTCOME_TAKEN;
    return QN_OK;
}

/* A program has ended. */
static qn_status finish(struct worker *worker, qn_error *err)
{
    struct tuner *tuner = worker->tuner;
    qn_trial *trial = worker->trial;
    qn_outcome outcome;
    QN_TRY(listen(worker, err));
    const int code = qn_process_finish(&worker->process);
    tuner->n_busy--;
    tuner->next_ask_s = 0;
    const bool cut_off = tuner->is_stopping && code != 0; /* as if it had not begun */
    const qn_status status = cut_off ? QN_OK : find_outcome(worker, code, &outcome, err);
    release_worker(worker);
    if (status != QN_OK || cut_off) return status;
    return qn_batch_keep(&tuner->batch, trial, &outcome, err);
}

/* A failed trial is tried again as often as was asked for. */
static qn_status fail_trial(const struct tuner *tuner, qn_trial *trial, const char *failure,
                            qn_error *err)
{
    qn_str json = {0};
    qn_json_text(&(qn_json_writer){.out = &json}, failure);
    qn_status status = json.failed ? qn_fail(err, QN_ERR_NOMEM, "no memory for a trial")
                                   : qn_trial_annotate(trial, "failure", json.text, err);
    qn_str_release(&json);
    if (status != QN_OK) return status;
    const bool again = qn_trial_get_record(trial)->n_retries < tuner->request->n_retries;
    return again ? qn_trial_retry(trial, err) : qn_trial_fail(trial, err);
}

static qn_status tell_outcome(const struct tuner *tuner, qn_trial *trial, const qn_outcome *outcome,
                              qn_error *err)
{
    if (!isnan(outcome->cost) && outcome->kind != QN_OUTCOME_TAKEN) {
        char text[QN_DOUBLE_TEXT_BYTES];
        qn_format_double(outcome->cost, text);
        QN_TRY(qn_trial_annotate(trial, "cost", text, err));
    }
    if (outcome->kind == QN_OUTCOME_PRUNED) return qn_trial_prune(trial, err);
    if (outcome->kind == QN_OUTCOME_FAILED) return fail_trial(tuner, trial, outcome->failure, err);
    if (outcome->kind == QN_OUTCOME_TAKEN) return QN_OK;
    QN_TRY(qn_trial_violate(trial, outcome->violation, err));
    return qn_trial_tell(trial, outcome->values, qn_study_objectives(tuner->study)->n, err);
}

static qn_status check_failures(const struct tuner *tuner, const char *failure, qn_error *err)
{
    if (tuner->n_failed < tuner->n_ended || tuner->n_failed < FAILURES_MAX) return QN_OK;
    const qn_history *history = qn_study_history(tuner->study);
    if (history->n_told > history->n_prior) return QN_OK; /* in an earlier run */
    return qn_fail(err, QN_ERR_DATA,
                   "the first %d trials have failed; of the last: %s. Try the command by itself",
                   FAILURES_MAX, failure);
}

static qn_status end_trial(struct tuner *tuner, qn_trial *trial, const qn_outcome *outcome,
                           qn_error *err)
{
    const char *failure = outcome->kind == QN_OUTCOME_FAILED ? outcome->failure : NULL;
    const qn_status status = tell_outcome(tuner, trial, outcome, err);
    const bool taken =
        outcome->kind == QN_OUTCOME_TAKEN || (status != QN_OK && !qn_trial_is_own(trial));
    if (status != QN_OK && !taken) return status;
    if (taken) failure = "it has been given to another worker, or ended by hand";
    qn_checkpoint_end(&tuner->checkpoints, qn_study_space(tuner->study),
                      qn_trial_get_record(trial));
    tuner->n_ended++;
    tuner->n_failed += failure != NULL;
    if (tuner->request->progress) tuner->request->progress(tuner->request->context, trial, failure);
    return failure && !taken ? check_failures(tuner, failure, err) : QN_OK;
}

/* Tells what has ended, as far as its turn has come. */
static qn_status end_trials(struct tuner *tuner, qn_error *err)
{
    qn_outcome outcome;
    qn_trial *trial;
    while ((trial = qn_batch_take(&tuner->batch, &outcome)) != NULL) {
        QN_TRY(end_trial(tuner, trial, &outcome, err));
    }
    return QN_OK;
}

static void stop_all(struct tuner *tuner)
{
    tuner->is_stopping = true;
    for (int64_t i = 0; i < tuner->n_workers; i++) {
        if (tuner->workers[i].trial) qn_process_stop(&tuner->workers[i].process, tuner->grace_s);
    }
}

static void watch(struct tuner *tuner)
{
    const double now_s = qn_clock_s();
    const volatile sig_atomic_t *interrupted = tuner->request->interrupted;
    if (!tuner->is_stopping &&
        ((interrupted && *interrupted) || (tuner->deadline_s > 0 && now_s >= tuner->deadline_s))) {
        stop_all(tuner);
    }
    for (int64_t i = 0; i < tuner->n_workers; i++) {
        struct worker *worker = &tuner->workers[i];
        if (!worker->trial) continue;
        worker->is_late |= qn_process_watch(&worker->process, now_s, tuner->grace_s);
    }
}

static struct pollfd *polls_of(const struct tuner *tuner, int64_t worker)
{
    return tuner->polls + POLLS_EACH * worker;
}

/* Waits for output, ends, and news of other processes. */
static qn_status wait_for_work(struct tuner *tuner, qn_error *err)
{
    struct pollfd *store = polls_of(tuner, tuner->n_workers);
    for (int64_t i = 0; i < tuner->n_workers; i++) {
        const struct worker *worker = &tuner->workers[i];
        const qn_process *process = &worker->process;
        const bool busy = worker->trial != NULL;
        struct pollfd *polls = polls_of(tuner, i);
        polls[0] = (struct pollfd){.fd = busy ? process->output : -1, .events = POLLIN};
        polls[1] = (struct pollfd){.fd = busy ? process->errors : -1, .events = POLLIN};
        polls[2] = (struct pollfd){.fd = busy ? process->exit : -1, .events = POLLIN};
    }
    *store = (struct pollfd){.fd = qn_study_descriptor(tuner->study), .events = POLLIN};
    poll(tuner->polls, (nfds_t)(POLLS_EACH * tuner->n_workers + 1), WAIT_MS);
    if (!store->revents) return QN_OK;
    tuner->next_ask_s = 0;
    return qn_study_stay(tuner->study, err);
}

static qn_status work_once(struct tuner *tuner, qn_error *err)
{
    QN_TRY(wait_for_work(tuner, err));
    watch(tuner);
    for (int64_t i = 0; i < tuner->n_workers; i++) {
        struct worker *worker = &tuner->workers[i];
        const struct pollfd *polls = polls_of(tuner, i);
        if (!worker->trial) continue;
        if (polls[0].revents || polls[1].revents) QN_TRY(listen(worker, err));
        if (polls[2].revents) QN_TRY(finish(worker, err));
    }
    QN_TRY(end_trials(tuner, err));
    if (tuner->request->tick) tuner->request->tick(tuner->request->context);
    return QN_OK;
}

/* Trials running elsewhere are waited for: if their worker dies, they are ours. */
static qn_status run(struct tuner *tuner, qn_error *err)
{
    for (;;) {
        QN_TRY(start_more(tuner, err));
        const bool waits = qn_study_n_elsewhere(tuner->study) > 0 && !begins_no_more(tuner) &&
                           !qn_study_is_stopped(tuner->study);
        if (tuner->n_busy == 0 && !waits) break;
        QN_TRY(work_once(tuner, err));
    }
    /* Of a study that was stopped, what waits for a trial that is not run any more is told now. */
    if (!tuner->is_stopping) tuner->batch.size = 0;
    return tuner->is_stopping ? QN_OK : end_trials(tuner, err);
}

static void release(struct tuner *tuner)
{
    for (int64_t i = 0; tuner->workers && i < tuner->n_workers; i++) {
        struct worker *worker = &tuner->workers[i];
        if (!worker->trial) continue;
        if (worker->process.pid > 0) qn_process_finish(&worker->process);
        release_worker(worker);
    }
    qn_checkpoints_close(&tuner->checkpoints, qn_study_history(tuner->study),
                         qn_study_lasts(tuner->study));
    qn_batch_release(&tuner->batch);
    qn_free(tuner->workers);
    qn_free(tuner->polls);
    qn_free(tuner->buffer);
}

static qn_status prepare(struct tuner *tuner, qn_error *err)
{
    const qn_tuner_request *request = tuner->request;
    if (!(request->cost_max >= 0)) {
        return qn_fail(err, QN_ERR_ARG, "the greatest cost is a number from 0 up, not %g",
                       request->cost_max);
    }
    QN_TRY(qn_trial_command_check(request->command, qn_study_space(tuner->study),
                                  request->checkpoint_folder != NULL, err));
    QN_TRY(qn_batch_init(&tuner->batch, tuner->study, request->batch_size, request->n_trials, err));
    QN_TRY(qn_checkpoints_open(request->checkpoint_folder, qn_study_history(tuner->study),
                               &tuner->checkpoints, err));
    if (request->log_folder && mkdir(request->log_folder, 0777) != 0 && errno != EEXIST) {
        return qn_fail(err, QN_ERR_IO, "%s: %s", request->log_folder, strerror(errno));
    }
    tuner->workers = qn_alloc_array(tuner->n_workers, sizeof *tuner->workers);
    tuner->polls = qn_alloc_array(POLLS_EACH * tuner->n_workers + 1, sizeof *tuner->polls);
    tuner->buffer = qn_alloc_array(READ_BYTES, 1);
    if (!tuner->workers || !tuner->polls || !tuner->buffer) {
        return qn_fail(err, QN_ERR_NOMEM, "no memory for %" PRId64 " workers", tuner->n_workers);
    }
    for (int64_t i = 0; i < tuner->n_workers; i++) {
        tuner->workers[i].tuner = tuner;
        tuner->workers[i].output_log.file = tuner->workers[i].error_log.file = -1;
    }
    return QN_OK;
}

qn_status qn_tuner_run(qn_study *study, const qn_tuner_request *request, qn_error *err)
{
    struct tuner tuner = {.study = study,
                          .request = request,
                          .cost_limit = {.max = request->cost_max},
                          .n_workers = request->n_workers > 0 ? request->n_workers : 1,
                          .grace_s = request->grace_s > 0 ? request->grace_s : 5};
    if (request->timeout_s > 0) tuner.deadline_s = qn_clock_s() + request->timeout_s;
    qn_status status = prepare(&tuner, err);
    if (status == QN_OK) status = run(&tuner, err);
    release(&tuner);
    return status;
}
