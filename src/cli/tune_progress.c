/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/tune_progress.h"

#include "base/clock.h"
#include "cli/options.h"

#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { RUNNING_MAX = 16, LINE_MAX_BYTES = 4096 };

#define FRAME_S 0.1

void cli_tune_add_values(qn_str *out, const qn_objectives *objectives, const double *losses)
{
    for (int64_t i = 0; i < objectives->n; i++) {
        if (i > 0) qn_str_add_char(out, ' ');
        qn_str_add_double(out, qn_objective_value(&objectives->items[i], losses[i]));
    }
}

/* The frame. */

struct screen {
    int64_t width, height;
};

static struct screen screen_of(int fd)
{
    struct winsize size = {0};
    if (ioctl(fd, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return (struct screen){80, 24};
    return (struct screen){size.ws_col, size.ws_row > 0 ? size.ws_row : 24};
}

/* Ends the line that begins at `from`: cut to the width, with nothing left of what was there. */
static void end_line(qn_str *frame, size_t from, int64_t width, int64_t *n_lines)
{
    int64_t n = 0;
    size_t at = from;
    for (; !frame->failed && at < frame->bytes; at++) {
        const unsigned char c = (unsigned char)frame->text[at];
        if (c < 0x20) frame->text[at] = ' ';
        if ((c & 0xc0) != 0x80 && n++ == width) break;
    }
    if (!frame->failed) frame->bytes = at;
    qn_str_add(frame, "\033[K\n");
    ++*n_lines;
}

static void add_time(qn_str *out, double seconds)
{
    const int64_t s = (int64_t)fmax(0, seconds);
    if (s >= 3600) {
        qn_str_addf(out, "%d:%02d:%02d", (int)(s / 3600), (int)(s / 60 % 60), (int)(s % 60));
    } else {
        qn_str_addf(out, "%d:%02d", (int)(s / 60), (int)(s % 60));
    }
}

static void add_params(qn_str *out, const qn_space *space, const qn_trial_record *trial)
{
    for (int64_t at = 0; at < trial->n_values; at++) {
        char text[QN_DOUBLE_TEXT_BYTES];
        const qn_parameter *p = &space->parameters[at];
        if (isnan(trial->values[at])) continue;
        qn_str_addf(out, "  %s=", p->name);
        if (p->kind == QN_PARAMETER_FLOAT) {
            qn_str_addf(out, "%.4g", trial->values[at]);
        } else {
            qn_str_add(out, qn_parameter_text(p, trial->values[at], text));
        }
    }
}

/* Counts what has ended since the last frame, and keeps the best of it. */
static void look(cli_tune_progress *progress)
{
    const qn_history *history = qn_study_history(progress->study);
    for (; progress->first_open < history->n_trials; progress->first_open++) {
        const qn_trial_state state = history->trials[progress->first_open]->state;
        if (state < QN_TRIAL_COMPLETE) break;
        progress->counts[state]++;
    }
    for (; progress->n_seen < history->n_told; progress->n_seen++) {
        const qn_trial_record *trial = history->told[progress->n_seen];
        int64_t at = progress->n_best;
        if (trial->number < 0 || trial->state != QN_TRIAL_COMPLETE) continue;
        while (at > 0 && qn_trial_compare(trial, progress->best[at - 1]) < 0) {
            at--;
        }
        if (at == CLI_TUNE_BEST) continue;
        const int64_t n = progress->n_best < CLI_TUNE_BEST ? progress->n_best : CLI_TUNE_BEST - 1;
        memmove(progress->best + at + 1, progress->best + at,
                (size_t)(n - at) * sizeof *progress->best);
        progress->best[at] = trial;
        progress->n_best = n + 1;
    }
}

/* Trials that have ended, by state; those after the first open one are looked at each time. */
static int64_t count(const cli_tune_progress *progress, int64_t *counts)
{
    const qn_history *history = qn_study_history(progress->study);
    int64_t n = 0;
    memcpy(counts, progress->counts, sizeof progress->counts);
    for (int64_t i = progress->first_open; i < history->n_trials; i++) {
        counts[history->trials[i]->state]++;
    }
    for (int state = QN_TRIAL_COMPLETE; state <= QN_TRIAL_FAILED; state++) {
        n += counts[state];
    }
    return n;
}

static void add_summary(cli_tune_progress *progress, qn_str *out)
{
    int64_t counts[QN_TRIAL_FAILED + 1];
    const double now_s = qn_clock_s(), elapsed_s = now_s - progress->begun_s;
    const int64_t n = count(progress, counts), n_here = n - progress->n_before;
    double left_s = QN_INF;
    qn_str_addf(out, "%lld of %lld trials: %lld complete, %lld pruned, %lld failed  ", (long long)n,
                (long long)progress->n_trials, (long long)counts[QN_TRIAL_COMPLETE],
                (long long)counts[QN_TRIAL_PRUNED], (long long)counts[QN_TRIAL_FAILED]);
    add_time(out, elapsed_s);
    if (n_here > 0) {
        const double rate = (double)n_here / fmax(elapsed_s, 1e-3);
        qn_str_addf(out, rate >= 1 ? "  %.3g/s" : "  %.3g/min", rate >= 1 ? rate : 60 * rate);
        left_s = (double)(progress->n_trials - n) / rate;
    }
    if (progress->deadline_s > 0) left_s = fmin(left_s, progress->deadline_s - now_s);
    if (left_s < 1e7) {
        qn_str_add(out, "  left ");
        add_time(out, left_s);
    }
}

static void add_best(cli_tune_progress *progress, int64_t width, int64_t *n_lines)
{
    qn_str *out = &progress->frame;
    const qn_history *history = qn_study_history(progress->study);
    /* Of several objectives none is the best. */
    for (int64_t i = 0; history->objectives->n == 1 && i < progress->n_best; i++) {
        const qn_trial_record *trial = progress->best[i];
        const size_t from = out->bytes;
        qn_str_addf(out, "%-8s %6lld  %-12.6g", i == 0 ? "best" : "", (long long)trial->number,
                    qn_objective_value(&history->objectives->items[0], trial->losses[0]));
        if (trial->violation > 0) qn_str_addf(out, "  violation %.3g", trial->violation);
        add_params(out, history->space, trial);
        end_line(out, from, width, n_lines);
    }
}

static void add_running(cli_tune_progress *progress, int64_t n_max, int64_t width, int64_t *n_lines)
{
    qn_str *out = &progress->frame;
    const qn_history *history = qn_study_history(progress->study);
    const int64_t n = history->n_running < n_max ? history->n_running : n_max;
    const double now_s = 1e-6 * (double)qn_clock_utc_us();
    for (int64_t i = 0; i < n; i++) {
        const qn_trial_record *trial = history->running[i];
        const size_t from = out->bytes;
        qn_str_addf(out, "%-8s %6lld  ", i == 0 ? "running" : "", (long long)trial->number);
        add_time(out, now_s - trial->begun_s);
        if (trial->n_reports > 0) {
            const qn_curve_point *last = &trial->reports[trial->n_reports - 1];
            qn_str_addf(out, "  step %lld: %.6g", (long long)last->step,
                        qn_objective_value(&history->objectives->items[0], last->loss));
        }
        add_params(out, history->space, trial);
        end_line(out, from, width, n_lines);
    }
    if (history->n_running > n) {
        const size_t from = out->bytes;
        qn_str_addf(out, "%15s and %lld more", "", (long long)(history->n_running - n));
        end_line(out, from, width, n_lines);
    }
}

static void go_to_top(cli_tune_progress *progress)
{
    qn_str_clear(&progress->frame);
    qn_str_add(&progress->frame, "\r");
    if (progress->n_lines > 0) {
        qn_str_addf(&progress->frame, "\033[%lldA", (long long)progress->n_lines);
    }
    progress->n_lines = 0;
}

static void show(cli_tune_progress *progress)
{
    const qn_str *frame = &progress->frame;
    if (frame->failed) return;
    ssize_t written = write(STDERR_FILENO, frame->text, frame->bytes);
    (void)written;
}

/* Appends the table; what is left of the last one below it goes. */
static void draw(cli_tune_progress *progress)
{
    const struct screen screen = screen_of(STDERR_FILENO);
    int64_t n_lines = 0;
    look(progress);
    const size_t from = progress->frame.bytes;
    add_summary(progress, &progress->frame);
    end_line(&progress->frame, from, screen.width - 1, &n_lines);
    if (screen.height > CLI_TUNE_BEST + 5) add_best(progress, screen.width - 1, &n_lines);
    const int64_t room = screen.height - n_lines - 3;
    add_running(progress,
                room < 0             ? 0
                : room < RUNNING_MAX ? room
                                     : RUNNING_MAX,
                screen.width - 1, &n_lines);
    qn_str_add(&progress->frame, "\033[J");
    progress->n_lines = n_lines;
    show(progress);
    progress->next_s = qn_clock_s() + FRAME_S;
}

/* What stays. */

/* Whole lines of what the programs have printed on standard error. */
static bool add_errors(cli_tune_progress *progress)
{
    char data[LINE_MAX_BYTES];
    bool any = false;
    if (progress->errors[0] < 0) return false;
    for (ssize_t bytes; (bytes = read(progress->errors[0], data, sizeof data)) > 0;) {
        for (ssize_t i = 0; i < bytes; i++) {
            if (data[i] != '\n' && progress->kept.bytes < LINE_MAX_BYTES) {
                qn_str_add_char(&progress->kept, data[i]);
                continue;
            }
            qn_str_add_bytes(&progress->frame, progress->kept.text ? progress->kept.text : "",
                             progress->kept.bytes);
            qn_str_add(&progress->frame, "\033[K\n");
            qn_str_clear(&progress->kept);
            any = true;
        }
    }
    return any;
}

static void tick(void *context)
{
    cli_tune_progress *progress = context;
    if (qn_clock_s() < progress->next_s) return;
    go_to_top(progress);
    add_errors(progress);
    draw(progress);
}

static void show_failure(void *context, const qn_trial *trial, const char *failure)
{
    cli_tune_progress *progress = context;
    if (!failure) return;
    go_to_top(progress);
    add_errors(progress);
    qn_str_addf(&progress->frame, "trial %lld  failed: %s\033[K\n",
                (long long)qn_trial_number(trial), failure);
    draw(progress);
}

static void show_line(void *context, const qn_trial *trial, const char *failure)
{
    cli_tune_progress *progress = context;
    const qn_history *history = qn_study_history(progress->study);
    const qn_trial_record *record = qn_trial_get_record(trial);
    qn_str *line = &progress->frame;
    qn_str_clear(line);
    qn_str_addf(line, "trial %lld  ", (long long)record->number);
    if (failure) {
        qn_str_addf(line, "failed: %s", failure);
    } else {
        cli_tune_add_values(line, history->objectives, record->losses);
        if (record->state == QN_TRIAL_PRUNED) qn_str_add(line, "  pruned");
        const bool best = history->objectives->n == 1 && qn_history_best(history) == record;
        if (best) qn_str_add(line, "  best");
    }
    qn_str_add_char(line, '\n');
    if (!line->failed) fputs(line->text, stderr);
}

static void begin_table(cli_tune_progress *progress, qn_tuner_request *request)
{
    int64_t counts[QN_TRIAL_FAILED + 1];
    look(progress);
    progress->n_before = count(progress, counts);
    request->progress = show_failure;
    request->tick = tick;
    /* Errors of programs would tear the table apart: they come through a pipe. */
    if (!request->log_folder && pipe2(progress->errors, O_CLOEXEC) == 0) {
        fcntl(progress->errors[0], F_SETFL, O_NONBLOCK);
        request->error_descriptor = progress->errors[1];
    }
}

void cli_tune_progress_begin(cli_tune_progress *progress, qn_study *study,
                             qn_tuner_request *request)
{
    const char *term = getenv("TERM");
    *progress = (cli_tune_progress){
        .study = study, .n_trials = request->n_trials, .begun_s = qn_clock_s(), .errors = {-1, -1}};
    if (request->timeout_s > 0) progress->deadline_s = progress->begun_s + request->timeout_s;
    progress->is_table = isatty(STDERR_FILENO) && term && *term && strcmp(term, "dumb") != 0;
    request->context = progress;
    request->progress = show_line;
    if (progress->is_table) begin_table(progress, request);
}

void cli_tune_progress_end(cli_tune_progress *progress)
{
    if (progress->is_table) {
        go_to_top(progress);
        add_errors(progress);
        if (progress->kept.bytes > 0) {
            qn_str_add_bytes(&progress->frame, progress->kept.text, progress->kept.bytes);
            qn_str_add(&progress->frame, "\033[K\n");
        }
        qn_str_add(&progress->frame, "\033[J");
        show(progress);
        if (progress->errors[0] >= 0) close(progress->errors[0]);
        if (progress->errors[1] >= 0) close(progress->errors[1]);
    }
    qn_str_release(&progress->frame);
    qn_str_release(&progress->kept);
}
