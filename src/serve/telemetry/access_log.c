/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/telemetry/access_log.h"

#include "base/clock.h"
#include "frame/frame.h"
#include "serve/telemetry/line_log.h"

static void write_line(const qn_exchange *x, const qn_peer *peer, qn_str *line)
{
    qn_json_writer json = {.out = line};
    char time[QN_VALUE_TEXT_BYTES], address[QN_ADDRESS_TEXT_BYTES];
    qn_timestamp_format_utc(qn_clock_utc_us(), time);
    qn_peer_address(peer, address);
    qn_json_begin_object(&json);
    qn_json_put_text(&json, "time", time);
    qn_request_put_trace(&json, &x->trace);
    qn_json_put_text(&json, "who", x->identity.name[0] ? x->identity.name : NULL);
    qn_json_put_text(&json, "address", address);
    if (x->reader.head_done) { /* else no request could be made out */
        qn_json_put_text(&json, "method", qn_http_method_name(x->reader.method));
        if (x->path.text) qn_request_put_path(&json, x->path);
        qn_json_put_text(&json, "route", x->route ? x->route->name : NULL);
        qn_json_put_int(&json, "body_bytes", (int64_t)x->reader.body_bytes);
    }
    qn_json_put_int(&json, "status", x->reply.status);
    qn_json_put_int(&json, "reply_bytes", (int64_t)(x->out.bytes - x->reply.body_at));
    if (x->begun_s > 0) qn_json_put_double(&json, "seconds", qn_clock_s() - x->begun_s);
    qn_json_end_object(&json);
    qn_str_add_char(line, '\n');
}

void qn_access_log_request(const qn_exchange *x, const qn_peer *peer)
{
    qn_line_log *log = qn_server_logs_of(x->worker->server)->access;
    qn_str *line = &x->worker->line;
    if (!log) return;
    qn_str_clear(line);
    write_line(x, peer, line);
    if (line->failed) {
        qn_line_log_drop(log, 1);
        qn_str_release(line);
    } else {
        qn_line_log_append(log, line->text, line->bytes, 1);
    }
}
