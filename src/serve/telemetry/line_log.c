/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/telemetry/line_log.h"

#include "base/alloc.h"
#include "base/str.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { KEPT_BYTES = 1 << 20 }; /* a buffer up to this size is kept */

/* Lines are gathered this long: waking the thread for each would cost more than writing them. */
static const struct timespec gather = {.tv_nsec = 10 * 1000 * 1000};

struct qn_line_log {
    pthread_mutex_t lock;
    pthread_cond_t news;
    pthread_t thread;
    bool started, ending;
    const char *option; /* borrowed: a literal */
    char *path;
    int fd;
    qn_str waiting, writing; /* the thread alone has `writing`, with the lock not held */
    int64_t n_waiting;       /* lines */
    qn_line_log_counts counts;
};

int qn_line_log_open_file(const char *path)
{
    if (strcmp(path, "-") == 0) return fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
    return open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0600);
}

static qn_status fail_io(const qn_line_log *log, qn_error *err)
{
    return qn_fail(err, QN_ERR_IO, "%s %s: %s", log->option, log->path, strerror(errno));
}

qn_status qn_line_log_open(const char *option, const char *path, qn_line_log **out, qn_error *err)
{
    *out = NULL;
    qn_line_log *log = qn_alloc_array(1, sizeof *log);
    if (!log) return qn_fail(err, QN_ERR_NOMEM, "no memory for %s", option);
    pthread_mutex_init(&log->lock, NULL);
    pthread_cond_init(&log->news, NULL);
    log->option = option;
    log->fd = -1;
    log->path = qn_strdup(path);
    qn_status status = QN_OK;
    if (!log->path) {
        status = qn_fail(err, QN_ERR_NOMEM, "no memory for %s", option);
    } else if ((log->fd = qn_line_log_open_file(path)) < 0) {
        status = fail_io(log, err);
    }
    if (status != QN_OK) {
        qn_line_log_close(log);
        return status;
    }
    *out = log;
    return QN_OK;
}

/* Counts the lines of the rest of `text`. */
static int64_t count_lines(const char *text, size_t bytes)
{
    int64_t n = 0;
    for (const char *end = text + bytes; text < end; n++) {
        const char *line_end = memchr(text, '\n', (size_t)(end - text));
        text = line_end ? line_end + 1 : end;
    }
    return n;
}

/* Cuts the beginning of a line off the file's end again; where that cannot be done (a pipe), the
 * line is at least ended. */
static void cut_torn_line(int fd, const char *text, size_t written)
{
    size_t torn = 0;
    while (torn < written && text[written - 1 - torn] != '\n') {
        torn++;
    }
    struct stat info;
    if (torn == 0) return;
    if (fstat(fd, &info) == 0 && S_ISREG(info.st_mode) && info.st_size >= (off_t)torn &&
        ftruncate(fd, info.st_size - (off_t)torn) == 0) {
        return;
    }
    (void)!write(fd, "\n", 1);
}

/* Returns how many lines were lost. */
static int64_t write_all(int fd, const char *text, size_t bytes)
{
    size_t at = 0;
    while (at < bytes) {
        const ssize_t n = write(fd, text + at, bytes - at);
        if (n > 0) at += (size_t)n;
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) {
            cut_torn_line(fd, text, at);
            while (at > 0 && text[at - 1] != '\n') {
                at--;
            }
            return count_lines(text + at, bytes - at);
        }
    }
    return 0;
}

/* With the lock held, which it lets go of while it writes. */
static void write_waiting(qn_line_log *log)
{
    const qn_str full = log->waiting;
    log->waiting = log->writing;
    log->writing = full;
    log->n_waiting = 0;
    const int fd = log->fd;
    pthread_mutex_unlock(&log->lock);
    const int64_t lost = write_all(fd, full.text, full.bytes);
    if (log->writing.room > KEPT_BYTES) qn_str_release(&log->writing);
    qn_str_clear(&log->writing);
    pthread_mutex_lock(&log->lock);
    log->counts.dropped += lost;
}

static void *run(void *of_log)
{
    qn_line_log *log = of_log;
    pthread_mutex_lock(&log->lock);
    while (!log->ending || log->waiting.bytes > 0) {
        if (log->waiting.bytes == 0) {
            pthread_cond_wait(&log->news, &log->lock);
            continue;
        }
        if (!log->ending) {
            pthread_mutex_unlock(&log->lock);
            nanosleep(&gather, NULL);
            pthread_mutex_lock(&log->lock);
        }
        write_waiting(log);
    }
    pthread_mutex_unlock(&log->lock);
    return NULL;
}

qn_status qn_line_log_start(qn_line_log *log, qn_error *err)
{
    const int code = pthread_create(&log->thread, NULL, run, log);
    if (code != 0) return qn_fail(err, QN_ERR_NOMEM, "%s: %s", log->option, strerror(code));
    log->started = true;
    return QN_OK;
}

/* The new file takes the old one's descriptor, which the thread may be writing to just now. */
qn_status qn_line_log_reopen(qn_line_log *log, qn_error *err)
{
    const int fd = qn_line_log_open_file(log->path);
    if (fd < 0) return fail_io(log, err);
    const int taken = dup3(fd, log->fd, O_CLOEXEC);
    const qn_status status = taken < 0 ? fail_io(log, err) : QN_OK;
    close(fd);
    return status;
}

void qn_line_log_append(qn_line_log *log, const char *text, size_t bytes, int64_t n_lines)
{
    pthread_mutex_lock(&log->lock);
    const bool first = log->waiting.bytes == 0;
    log->counts.taken += n_lines;
    if (bytes <= QN_LINE_LOG_BYTES_MAX - log->waiting.bytes) {
        qn_str_add_bytes(&log->waiting, text, bytes);
        log->n_waiting += n_lines;
    } else {
        log->counts.dropped += n_lines;
    }
    if (log->waiting.failed) { /* a growth that fails leaves what was there: it is lost, too */
        log->counts.dropped += log->n_waiting;
        log->n_waiting = 0;
        qn_str_release(&log->waiting);
    }
    if (first && log->waiting.bytes > 0) pthread_cond_signal(&log->news);
    pthread_mutex_unlock(&log->lock);
}

void qn_line_log_drop(qn_line_log *log, int64_t n_lines)
{
    pthread_mutex_lock(&log->lock);
    log->counts.taken += n_lines;
    log->counts.dropped += n_lines;
    pthread_mutex_unlock(&log->lock);
}

qn_line_log_counts qn_line_log_count(qn_line_log *log)
{
    pthread_mutex_lock(&log->lock);
    const qn_line_log_counts counts = log->counts;
    pthread_mutex_unlock(&log->lock);
    return counts;
}

void qn_line_log_close(qn_line_log *log)
{
    if (!log) return;
    if (log->started) {
        pthread_mutex_lock(&log->lock);
        log->ending = true;
        pthread_cond_signal(&log->news);
        pthread_mutex_unlock(&log->lock);
        pthread_join(log->thread, NULL);
    }
    if (log->fd >= 0) close(log->fd);
    pthread_cond_destroy(&log->news);
    pthread_mutex_destroy(&log->lock);
    qn_str_release(&log->waiting);
    qn_str_release(&log->writing);
    qn_free(log->path);
    qn_free(log);
}
