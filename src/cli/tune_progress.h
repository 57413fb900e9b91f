/* SPDX-License-Identifier: Apache-2.0 */
/* What 'quern tune' tells on standard error while it searches. On a terminal a table in its last
 * lines: the best trials, those that run with the last value they reported, rate and time left;
 * above it, as lines that stay, why trials failed and what programs print on their standard error.
 * Elsewhere a line for each trial that ends.
 *
 * A frame is one write that overwrites the one before line by line, so nothing flickers. No mode of
 * the terminal is changed, and the cursor always waits below the table: whatever ends the program,
 * nothing is left to restore.
 *
 * Threads: one thread at a time. */
#ifndef QN_CLI_TUNE_PROGRESS_H
#define QN_CLI_TUNE_PROGRESS_H

#include "search/tuner/tuner.h"

enum { CLI_TUNE_BEST = 5 };

typedef struct cli_tune_progress {
    qn_study *study;
    int64_t n_trials; /* planned */
    double begun_s, deadline_s,
        next_s;       /* on qn_clock_s(); deadline_s: 0, none; next_s: next frame */
    int64_t n_before; /* trials that had ended before */
    bool is_table;
    int errors[2];          /* the pipe that programs print errors into; -1: there is none */
    int64_t n_lines;        /* of the frame on the screen */
    int64_t n_seen, n_best; /* told trials looked at */
    const qn_trial_record *best[CLI_TUNE_BEST];
    int64_t counts[QN_TRIAL_FAILED + 1]; /* of ended trials, up to first_open */
    int64_t first_open;
    qn_str frame, kept; /* kept: the beginning of a line of the programs' errors */
} cli_tune_progress;

/* Sets what `request` tells to, and where errors of its programs go. */
void cli_tune_progress_begin(cli_tune_progress *progress, qn_study *study,
                             qn_tuner_request *request);
/* Takes the table away. */
void cli_tune_progress_end(cli_tune_progress *progress);

/* "0.25" or, of several objectives, "0.25 3". */
void cli_tune_add_values(qn_str *out, const qn_objectives *objectives, const double *losses);

#endif
