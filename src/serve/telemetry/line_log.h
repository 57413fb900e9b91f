/* SPDX-License-Identifier: Apache-2.0 */
/* Line log: a file of JSON lines that many requests append to and none waits for. Lines go into a
 * bounded buffer; a thread of the log's own writes it to the file. What the buffer cannot take, or
 * the disk cannot (it is full, say), is dropped and counted. Lines stay whole: what a failed write
 * left of one is cut off again.
 *
 * Threads: internally locked. */
#ifndef QN_SERVE_TELEMETRY_LINE_LOG_H
#define QN_SERVE_TELEMETRY_LINE_LOG_H

#include "base/error.h"

#include <stddef.h>
#include <stdint.h>

enum { QN_LINE_LOG_BYTES_MAX = 16 << 20 }; /* of lines that wait to be written */

typedef struct qn_line_log qn_line_log; /* destroy with qn_line_log_close() */

typedef struct qn_line_log_counts {
    int64_t taken;   /* lines that were appended, those written included */
    int64_t dropped; /* lines lost: the buffer was full, or the disk */
} qn_line_log_counts;

/* Appends to the file (made with mode 0600), or to standard error for "-". `option` is what the
 * messages begin with: "--access-log". Fails with QN_ERR_IO or QN_ERR_NOMEM. The thread starts with
 * qn_line_log_start(), so that it can inherit a sandbox; lines may be appended before. */
QN_MUST_CHECK
qn_status qn_line_log_open(const char *option, const char *path, qn_line_log **out, qn_error *err);
QN_MUST_CHECK
qn_status qn_line_log_start(qn_line_log *log, qn_error *err);
/* After the file was renamed by a rotation: goes on in a new one. What cannot be opened leaves the
 * old one in use. */
QN_MUST_CHECK
qn_status qn_line_log_reopen(qn_line_log *log, qn_error *err);
/* `text` is n_lines whole lines, each with its end; all are taken, or none. */
void qn_line_log_append(qn_line_log *log, const char *text, size_t bytes, int64_t n_lines);
/* Counts lines that their writer could not even hand over. */
void qn_line_log_drop(qn_line_log *log, int64_t n_lines);
qn_line_log_counts qn_line_log_count(qn_line_log *log);
/* Writes what waits, ends the thread. */
void qn_line_log_close(qn_line_log *log); /* accepts NULL */

/* The descriptor of a log file, to append to; -1 with errno. "-" is standard error. */
int qn_line_log_open_file(const char *path);

#endif
