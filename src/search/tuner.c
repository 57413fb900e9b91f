/* SPDX-License-Identifier: Apache-2.0 */
#include "search/tuner.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "search/checkpoint.h"
#include "search/output.h"
#include "search/process.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FAILURES_MAX = 10, READ_BYTES = 65536, READS_MAX = 16, WAIT_MS = 200 };

/* A program's output is kept up to this; all of it is read for results. */
#define LOG_BYTES_MAX 10000000

struct worker {
    qn_trial *trial; /* NULL: idle */
    qn_process process;
    qn_output output;
    int log;
    int64_t log_bytes;
    bool is_pruned, is_late;
    bool is_taken; /* the trial is another worker's now, or was ended by hand */
    struct tuner *tuner;
};

struct tuner {
    qn_study *study;
    const qn_tuner_request *request;
    struct worker *workers;
    qn_checkpoints checkpoints;
    struct pollfd *polls; /* two per worker, one for the store */
    int64_t n_workers, n_busy;
    int64_t n_ended, n_failed;
    bool is_stopping;
    double deadline_s, grace_s, next_ask_s;
    char *buffer; /* [READ_BYTES] */
    char failure[512];
};

/* The command line of a trial. */

static bool is_name_character(char c)
{
    return isalnum((unsigned char)c) || strchr("_.-", c) || (unsigned char)c >= 0x80;
}

/* Bytes of "{name}" at the beginning of the text; 0: there is none. */
static size_t placeholder_bytes(const char *text)
{
    size_t bytes = 1;
    if (*text != '{') return 0;
    while (text[bytes] && is_name_character(text[bytes])) {
        bytes++;
    }
    return bytes > 1 && text[bytes] == '}' ? bytes + 1 : 0;
}

static bool is_word(const char *name, size_t bytes, const char *word)
{
    return bytes == strlen(word) && memcmp(name, word, bytes) == 0;
}

static qn_status check_placeholder(const qn_tuner_request *request, const qn_space *space,
                                   const char *name, size_t bytes, qn_error *err)
{
    if (qn_map_get(space->names, name, bytes, -1) >= 0) return QN_OK;
    if (is_word(name, bytes, "trial")) return QN_OK;
    if (!is_word(name, bytes, "checkpoint")) {
        return qn_fail(err, QN_ERR_ARG, "{%.*s} in the command: the space has no such parameter",
                       (int)bytes, name);
    }
    if (request->checkpoint_folder) return QN_OK;
    return qn_fail(err, QN_ERR_ARG,
                   "{checkpoint} in the command: say with --checkpoints where they are kept");
}

static qn_status check_command(const qn_tuner_request *request, const qn_space *space,
                               qn_error *err)
{
    char *const *command = request->command;
    for (int i = 0; command[i]; i++) {
        for (const char *at = command[i]; *at; at++) {
            const size_t bytes = placeholder_bytes(at);
            if (bytes == 0) continue;
            QN_TRY(check_placeholder(request, space, at + 1, bytes - 2, err));
        }
    }
    return QN_OK;
}

/* What a program is told of its trial. */
struct telling {
    const qn_space *space;
    const qn_trial_record *trial;
    const char *checkpoint; /* NULL: none is kept */
};

static void add_value(const struct telling *telling, const char *name, size_t bytes, qn_str *out)
{
    char text[QN_DOUBLE_TEXT_BYTES];
    const qn_space *space = telling->space;
    const int64_t at = qn_map_get(space->names, name, bytes, -1);
    if (at < 0 && is_word(name, bytes, "trial")) {
        qn_str_addf(out, "%" PRId64, telling->trial->number);
    } else if (at < 0) {
        qn_str_add(out, telling->checkpoint);
    } else {
        const double value = qn_trial_value(telling->trial, at);
        if (!isnan(value)) qn_str_add(out, qn_parameter_text(&space->parameters[at], value, text));
    }
}

static const char *fill_in(const struct telling *telling, const char *text, qn_arena *arena)
{
    qn_str out = {0};
    qn_str_add(&out, "");
    while (*text) {
        const size_t bytes = placeholder_bytes(text);
        if (bytes > 0) {
            add_value(telling, text + 1, bytes - 2, &out);
        } else {
            qn_str_add_char(&out, *text);
        }
        text += bytes > 0 ? bytes : 1;
    }
    const char *copy = out.failed ? NULL : qn_arena_strndup(arena, out.text, out.bytes);
    qn_str_release(&out);
    return copy;
}

static char **make_arguments(const struct telling *telling, char *const *command, qn_arena *arena)
{
    int n = 0;
    while (command[n]) {
        n++;
    }
    char **arguments = qn_arena_array(arena, n + 1, sizeof *arguments);
    for (int i = 0; arguments && i < n; i++) {
        const char *text = fill_in(telling, command[i], arena);
        if (!text) return NULL;
        memcpy(&arguments[i], &text, sizeof text);
    }
    return arguments;
}

static char *keep_text(qn_str *text, qn_arena *arena)
{
    char *copy = text->failed ? NULL : qn_arena_strdup(arena, text->text);
    qn_str_release(text);
    return copy;
}

static char **make_environment(const struct telling *telling, qn_arena *arena)
{
    enum { N_MAX = 3 };
    qn_str texts[N_MAX] = {{0}};
    int n = 2;
    char **environment = qn_arena_array(arena, N_MAX + 1, sizeof *environment);
    qn_str_add(&texts[0], "QUERN_PARAMS=");
    qn_space_write_values(telling->space, telling->trial->values,
                          &(qn_json_writer){.out = &texts[0]});
    qn_str_addf(&texts[1], "QUERN_TRIAL=%" PRId64, telling->trial->number);
    if (telling->checkpoint) qn_str_addf(&texts[n++], "QUERN_CHECKPOINT=%s", telling->checkpoint);
    bool complete = environment != NULL;
    for (int i = 0; i < n; i++) {
        char *text = keep_text(&texts[i], arena);
        if (environment) environment[i] = text;
        complete &= text != NULL;
    }
    return complete ? environment : NULL;
}

/* Starting. */

static const char *log_path(const struct tuner *tuner, int64_t number, const char *ending,
                            qn_arena *arena)
{
    qn_str path = {0};
    qn_str_addf(&path, "%s/%" PRId64 ".%s", tuner->request->log_folder, number, ending);
    const char *copy = path.failed ? NULL : qn_arena_strdup(arena, path.text);
    qn_str_release(&path);
    return copy;
}

static qn_status open_log(struct worker *worker, int64_t number, const char **error_path,
                          qn_arena *arena, qn_error *err)
{
    struct tuner *tuner = worker->tuner;
    worker->log = -1;
    worker->log_bytes = 0;
    *error_path = NULL;
    if (!tuner->request->log_folder) return QN_OK;
    const char *path = log_path(tuner, number, "out", arena);
    *error_path = log_path(tuner, number, "err", arena);
    if (!path || !*error_path) return qn_fail(err, QN_ERR_NOMEM, "no memory for a trial");
    worker->log = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (worker->log >= 0) return QN_OK;
    return qn_fail(err, QN_ERR_IO, "%s: %s", path, strerror(errno));
}

static qn_status start_process(struct worker *worker, qn_arena *arena, qn_error *err)
{
    const struct tuner *tuner = worker->tuner;
    const qn_tuner_request *request = tuner->request;
    struct telling telling = {.space = qn_study_space(tuner->study),
                              .trial = qn_trial_get_record(worker->trial)};
    qn_process_request process = {.memory_bytes = request->memory_bytes,
                                  .timeout_s = request->trial_timeout_s};
    QN_TRY(qn_checkpoint_begin(&tuner->checkpoints, telling.space, telling.trial, arena,
                               &telling.checkpoint, err));
    process.arguments = make_arguments(&telling, request->command, arena);
    process.environment = make_environment(&telling, arena);
    if (!process.arguments || !process.environment) {
        return qn_fail(err, QN_ERR_NOMEM, "no memory for a trial");
    }
    QN_TRY(open_log(worker, telling.trial->number, &process.error_path, arena, err));
    return qn_process_start(&process, &worker->process, err);
}

static void release_worker(struct worker *worker)
{
    if (worker->log >= 0) close(worker->log);
    worker->log = -1;
    qn_output_release(&worker->output);
    worker->trial = NULL;
}

static qn_status start(struct worker *worker, qn_trial *trial, qn_error *err)
{
    qn_arena arena = {0};
    worker->trial = trial;
    worker->is_pruned = worker->is_late = worker->is_taken = false;
    worker->log = -1;
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

/* When there is nothing to begin, trials may still come back from others: look again a little
 * later. */
static qn_status start_more(struct tuner *tuner, qn_error *err)
{
    const double now_s = qn_clock_s();
    if (tuner->is_stopping || now_s < tuner->next_ask_s) return QN_OK;
    for (int64_t i = 0; i < tuner->n_workers; i++) {
        qn_trial *trial;
        if (tuner->workers[i].trial) continue;
        QN_TRY(qn_study_ask_below(tuner->study, tuner->request->n_trials, &trial, err));
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

static void keep_log(struct worker *worker, const char *data, int64_t bytes)
{
    const int64_t room = LOG_BYTES_MAX - worker->log_bytes, kept = bytes < room ? bytes : room;
    if (worker->log < 0 || kept <= 0) return;
    /* A full disk costs the log, not the trial. */
    worker->log_bytes += write(worker->log, data, (size_t)kept) == kept ? kept : LOG_BYTES_MAX;
}

/* Reads what is there; a program that prints without end cannot keep the others waiting. */
static qn_status listen(struct worker *worker, qn_error *err)
{
    struct tuner *tuner = worker->tuner;
    for (int reads = 0; reads < READS_MAX && worker->process.output >= 0; reads++) {
        const ssize_t bytes = read(worker->process.output, tuner->buffer, READ_BYTES);
        if (bytes < 0) return QN_OK; /* nothing now */
        if (bytes == 0) {
            close(worker->process.output);
            worker->process.output = -1;
            return QN_OK;
        }
        keep_log(worker, tuner->buffer, bytes);
        if (worker->is_pruned) continue;
        QN_TRY(
            qn_output_add(&worker->output, tuner->buffer, (size_t)bytes, take_report, worker, err));
    }
    return QN_OK;
}

/* Ending. */

static const char *describe_exit(struct tuner *tuner, int code)
{
    if (code > 128) {
        snprintf(tuner->failure, sizeof tuner->failure, "it was ended by signal %d (%s)",
                 code - 128, strsignal(code - 128));
    } else {
        snprintf(tuner->failure, sizeof tuner->failure, "it ended with exit code %d", code);
    }
    return tuner->failure;
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

static qn_status tell_result(struct worker *worker, const char **failure, qn_error *err)
{
    double values[QN_OBJECTIVES_MAX];
    bool found;
    const int64_t n = qn_study_objectives(worker->tuner->study)->n;
    QN_TRY(qn_output_finish(&worker->output, take_report, worker, values, &found, err));
    if (worker->is_pruned) return qn_trial_prune(worker->trial, err);
    bool finite = true;
    for (int64_t i = 0; found && i < n; i++) {
        finite &= isfinite(values[i]) != 0;
    }
    if (!found) *failure = "it printed no result";
    if (!finite) *failure = "its result is not a finite number";
    if (*failure) return fail_trial(worker->tuner, worker->trial, *failure, err);
    QN_TRY(qn_trial_violate(worker->trial, worker->output.violation, err));
    return qn_trial_tell(worker->trial, values, n, err);
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

/* Tells what came of the trial; *failure says why when it was nothing. */
static qn_status tell_end(struct worker *worker, int code, const char **failure, qn_error *err)
{
    struct tuner *tuner = worker->tuner;
    qn_trial *trial = worker->trial;
    if (worker->is_pruned) return qn_trial_prune(trial, err);
    if (!worker->is_late && code == 0) return tell_result(worker, failure, err);
    *failure = worker->is_late ? "it took too long" : describe_exit(tuner, code);
    return fail_trial(tuner, trial, *failure, err);
}

static qn_status finish(struct worker *worker, qn_error *err)
{
    struct tuner *tuner = worker->tuner;
    qn_trial *trial = worker->trial;
    const char *failure = NULL;
    QN_TRY(listen(worker, err));
    const int code = qn_process_finish(&worker->process);
    qn_status status = QN_OK;
    tuner->n_busy--;
    tuner->next_ask_s = 0;
    if (tuner->is_stopping && code != 0) {
        release_worker(worker); /* cut off: as if it had not begun */
        return QN_OK;
    }
    if (!worker->is_taken) status = tell_end(worker, code, &failure, err);
    worker->is_taken |= status != QN_OK && !qn_trial_is_own(trial);
    const bool taken = worker->is_taken;
    release_worker(worker);
    if (taken) failure = "it has been given to another worker, or ended by hand";
    if (status != QN_OK && !taken) return status;
    qn_checkpoint_end(&tuner->checkpoints, qn_study_space(tuner->study),
                      qn_trial_get_record(trial));
    tuner->n_ended++;
    tuner->n_failed += failure != NULL;
    if (tuner->request->progress) tuner->request->progress(tuner->request->context, trial, failure);
    return failure && !taken ? check_failures(tuner, failure, err) : QN_OK;
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

/* Waits for output, ends, and news of other processes. */
static void wait_for_work(struct tuner *tuner)
{
    const int64_t n = 2 * tuner->n_workers;
    for (int64_t i = 0; i < tuner->n_workers; i++) {
        const struct worker *worker = &tuner->workers[i];
        tuner->polls[2 * i] =
            (struct pollfd){.fd = worker->trial ? worker->process.output : -1, .events = POLLIN};
        tuner->polls[2 * i + 1] =
            (struct pollfd){.fd = worker->trial ? worker->process.exit : -1, .events = POLLIN};
    }
    const bool idle = tuner->n_busy < tuner->n_workers;
    tuner->polls[n] =
        (struct pollfd){.fd = idle ? qn_study_descriptor(tuner->study) : -1, .events = POLLIN};
    poll(tuner->polls, (nfds_t)(n + 1), WAIT_MS);
    if (tuner->polls[n].revents) tuner->next_ask_s = 0;
}

static qn_status work_once(struct tuner *tuner, qn_error *err)
{
    wait_for_work(tuner);
    watch(tuner);
    for (int64_t i = 0; i < tuner->n_workers; i++) {
        struct worker *worker = &tuner->workers[i];
        if (!worker->trial) continue;
        if (tuner->polls[2 * i].revents) QN_TRY(listen(worker, err));
        if (tuner->polls[2 * i + 1].revents) QN_TRY(finish(worker, err));
    }
    return QN_OK;
}

/* Trials running elsewhere are waited for: if their worker dies, they are ours. */
static qn_status run(struct tuner *tuner, qn_error *err)
{
    for (;;) {
        QN_TRY(start_more(tuner, err));
        if (tuner->n_busy == 0 && (tuner->is_stopping || qn_study_n_elsewhere(tuner->study) == 0)) {
            return QN_OK;
        }
        QN_TRY(work_once(tuner, err));
    }
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
    qn_free(tuner->workers);
    qn_free(tuner->polls);
    qn_free(tuner->buffer);
}

static qn_status prepare(struct tuner *tuner, qn_error *err)
{
    const qn_tuner_request *request = tuner->request;
    QN_TRY(check_command(request, qn_study_space(tuner->study), err));
    QN_TRY(qn_checkpoints_open(request->checkpoint_folder, qn_study_history(tuner->study),
                               &tuner->checkpoints, err));
    if (request->log_folder && mkdir(request->log_folder, 0777) != 0 && errno != EEXIST) {
        return qn_fail(err, QN_ERR_IO, "%s: %s", request->log_folder, strerror(errno));
    }
    tuner->workers = qn_alloc_array(tuner->n_workers, sizeof *tuner->workers);
    tuner->polls = qn_alloc_array(2 * tuner->n_workers + 1, sizeof *tuner->polls);
    tuner->buffer = qn_alloc_array(READ_BYTES, 1);
    if (!tuner->workers || !tuner->polls || !tuner->buffer) {
        return qn_fail(err, QN_ERR_NOMEM, "no memory for %" PRId64 " workers", tuner->n_workers);
    }
    for (int64_t i = 0; i < tuner->n_workers; i++) {
        tuner->workers[i].tuner = tuner;
        tuner->workers[i].log = -1;
    }
    return QN_OK;
}

qn_status qn_tuner_run(qn_study *study, const qn_tuner_request *request, qn_error *err)
{
    struct tuner tuner = {.study = study,
                          .request = request,
                          .n_workers = request->n_workers > 0 ? request->n_workers : 1,
                          .grace_s = request->grace_s > 0 ? request->grace_s : 5};
    if (request->timeout_s > 0) tuner.deadline_s = qn_clock_s() + request->timeout_s;
    qn_status status = prepare(&tuner, err);
    if (status == QN_OK) status = run(&tuner, err);
    release(&tuner);
    return status;
}
