/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/security/audit.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/json.h"
#include "frame/frame.h"
#include "serve/telemetry/line_log.h"
#include "serve/telemetry/request_trace.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

enum { REFUSALS_PER_S = 100 };

struct qn_audit {
    pthread_mutex_t lock;
    char *path;
    int fd;
    qn_str line;
    int64_t second; /* that `n_refused` counts in */
    int64_t n_refused, n_left_out;
};

static qn_status fail_io(const char *path, qn_error *err)
{
    return qn_fail(err, QN_ERR_IO, "--audit %s: %s", path, strerror(errno));
}

qn_status qn_audit_open(const char *path, qn_audit **out, qn_error *err)
{
    *out = NULL;
    qn_audit *audit = qn_alloc_array(1, sizeof *audit);
    char *copy = qn_strdup(path);
    if (!audit || !copy) {
        qn_free(audit);
        qn_free(copy);
        return qn_fail(err, QN_ERR_NOMEM, "no memory for the audit log");
    }
    const int fd = qn_line_log_open_file(path);
    if (fd < 0) {
        const qn_status status = fail_io(path, err);
        qn_free(audit);
        qn_free(copy);
        return status;
    }
    audit->path = copy;
    audit->fd = fd;
    pthread_mutex_init(&audit->lock, NULL);
    *out = audit;
    return QN_OK;
}

qn_status qn_audit_reopen(qn_audit *audit, qn_error *err)
{
    const int fd = qn_line_log_open_file(audit->path);
    if (fd < 0) return fail_io(audit->path, err);
    pthread_mutex_lock(&audit->lock);
    close(audit->fd);
    audit->fd = fd;
    pthread_mutex_unlock(&audit->lock);
    return QN_OK;
}

void qn_audit_close(qn_audit *audit)
{
    if (!audit) return;
    close(audit->fd);
    pthread_mutex_destroy(&audit->lock);
    qn_str_release(&audit->line);
    qn_free(audit->path);
    qn_free(audit);
}

static void write_event(qn_str *line, const qn_audit_event *event, int64_t now_us, int64_t left_out)
{
    qn_json_writer json = {.out = line};
    char time[QN_VALUE_TEXT_BYTES];
    qn_timestamp_format_utc(now_us, time);
    qn_str_clear(line);
    qn_json_begin_object(&json);
    qn_json_put_text(&json, "time", time);
    qn_json_put_text(&json, "event", event->refused ? "refused" : "action");
    qn_json_put_text(&json, "who", event->who);
    if (event->address) qn_json_put_text(&json, "address", event->address);
    if (event->method) {
        qn_json_put_text(&json, "method", event->method);
        qn_request_put_path(&json, event->path);
        qn_json_put_int(&json, "status", event->status);
    }
    if (event->action) qn_json_put_text(&json, "action", event->action);
    if (event->reason) qn_json_put_text(&json, "reason", event->reason);
    if (event->detail) qn_json_put_text(&json, "detail", event->detail);
    if (left_out > 0) qn_json_put_int(&json, "refusals_left_out", left_out);
    qn_json_end_object(&json);
    qn_str_add_char(line, '\n');
}

/* Whether this refusal is one too many in its second. */
static bool is_too_many(qn_audit *audit, int64_t now_us)
{
    if (now_us / 1000000 != audit->second) {
        audit->second = now_us / 1000000;
        audit->n_refused = 0;
    }
    return ++audit->n_refused > REFUSALS_PER_S;
}

void qn_audit_write(qn_audit *audit, const qn_audit_event *event)
{
    if (!audit) return;
    const int64_t now_us = qn_clock_utc_us();
    pthread_mutex_lock(&audit->lock);
    if (event->refused && is_too_many(audit, now_us)) {
        audit->n_left_out++;
    } else {
        write_event(&audit->line, event, now_us, audit->n_left_out);
        audit->n_left_out = 0;
        /* A full disk must not end predictions; what is lost is lost. */
        if (!audit->line.failed) (void)!write(audit->fd, audit->line.text, audit->line.bytes);
        if (audit->line.failed) qn_str_release(&audit->line);
    }
    pthread_mutex_unlock(&audit->lock);
}
