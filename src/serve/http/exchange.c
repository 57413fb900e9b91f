/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/http/exchange.h"

#include "serve/http/content_coding.h"

#include <string.h>

enum {
    ENCODED_BYTES_MIN = 4096, /* a smaller reply is one or two packets anyway */
    KEPT_BYTES = 64 * 1024,
    ZSTD_WINDOW_LOG_MAX = 23 /* 8 MB, as RFC 8878 recommends */
};

static void end_phase(qn_exchange *x, qn_phase next)
{
    qn_recoder_free(x->recoder);
    x->recoder = NULL;
    x->phase = next;
}

/* True when there is something to decode; else the request goes on, or is answered. */
static bool begin_decoding(qn_exchange *x)
{
    if (x->recoder) return true;
    x->coding = qn_content_coding_of_body(qn_http_header(&x->reader, "content-encoding"));
    if (qn_http_body(&x->reader).bytes == 0) x->coding = QN_CODING_IDENTITY;
    if (x->coding == QN_CODING_IDENTITY) return false;
    if (x->coding == QN_CODING_UNKNOWN) {
        qn_reply_error(
            &x->reply, 415,
            "send the body as it is, or by one 'Content-Encoding': gzip, deflate or zstd", 0, NULL,
            "accept-encoding: zstd, gzip, deflate\r\n");
        return false;
    }
    x->recoder = qn_decoder_create(x->coding, ZSTD_WINDOW_LOG_MAX);
    if (!x->recoder) qn_reply_error(&x->reply, 503, "no memory to decode the body", 0, NULL, NULL);
    return x->recoder != NULL;
}

static qn_step decode(qn_exchange *x)
{
    qn_error err = {0};
    bool done;
    if (!begin_decoding(x)) {
        end_phase(x, QN_PHASE_HANDLE);
        return QN_STEP_DONE;
    }
    const qn_status status =
        qn_recoder_step(x->recoder, qn_http_body(&x->reader), x->reader.limits->body_bytes_max,
                        &x->recoded, &done, &err);
    if (status != QN_OK) {
        qn_error said = {0};
        qn_fail(&said, status == QN_ERR_DATA ? QN_ERR_ARG : status, "body: %s", err.message);
        qn_exchange_fail(x, &said, 0, NULL);
    } else if (!done) {
        return QN_STEP_MORE;
    }
    end_phase(x, QN_PHASE_HANDLE);
    return QN_STEP_DONE;
}

/* True when the reply is worth it and the client takes it. */
static bool begin_encoding(qn_exchange *x)
{
    if (x->recoder) return true;
    if (x->out.failed || x->reply.without_body || x->reply.status != 200) return false;
    if (x->out.bytes - x->reply.body_at < ENCODED_BYTES_MIN) return false;
    const qn_coding coding =
        qn_content_coding_for_reply(qn_http_header(&x->reader, "accept-encoding"));
    if (coding == QN_CODING_IDENTITY || x->worker->options->no_compression) return false;
    qn_str_clear(&x->recoded);
    x->coding = coding;
    x->recoder = qn_encoder_create(coding);
    return x->recoder != NULL; /* without memory it goes out as it is */
}

static qn_step encode(qn_exchange *x)
{
    bool done;
    if (!begin_encoding(x)) return QN_STEP_DONE;
    const qn_span body = {x->out.text + x->reply.body_at, x->out.bytes - x->reply.body_at};
    if (qn_recoder_step(x->recoder, body, SIZE_MAX, &x->recoded, &done, NULL) != QN_OK) {
        return QN_STEP_DONE;
    }
    if (!done) return QN_STEP_MORE;
    if (x->recoded.bytes < body.bytes) {
        qn_reply_recode(&x->reply, qn_coding_name(x->coding), x->recoded.text, x->recoded.bytes);
    }
    return QN_STEP_DONE;
}

qn_step qn_exchange_step(qn_exchange *x)
{
    if (x->phase == QN_PHASE_DECODE) {
        if (decode(x) == QN_STEP_MORE) return QN_STEP_MORE;
        if (x->reply.status != 0) return QN_STEP_DONE;
    }
    if (x->phase == QN_PHASE_HANDLE) {
        const qn_step step = x->route->handle(x);
        if (step != QN_STEP_DONE) return step;
        x->phase = QN_PHASE_ENCODE;
    }
    return encode(x);
}

qn_span qn_exchange_body(const qn_exchange *x)
{
    if (x->coding == QN_CODING_IDENTITY) return qn_http_body(&x->reader);
    return (qn_span){x->recoded.text ? x->recoded.text : "", x->recoded.bytes};
}

qn_span qn_exchange_query(const qn_exchange *x, const char *name)
{
    const size_t name_bytes = strlen(name);
    const char *at = x->query.text, *end = at + x->query.bytes;
    while (at && at < end) {
        const char *mark = memchr(at, '&', (size_t)(end - at));
        const size_t bytes = (size_t)((mark ? mark : end) - at);
        if (bytes >= name_bytes && memcmp(at, name, name_bytes) == 0) {
            if (bytes == name_bytes) return (qn_span){"", 0};
            if (at[name_bytes] == '=') {
                return (qn_span){at + name_bytes + 1, bytes - name_bytes - 1};
            }
        }
        at = mark ? mark + 1 : end;
    }
    return (qn_span){0};
}

bool qn_exchange_asks_for(const qn_exchange *x, const char *name)
{
    const qn_span value = qn_exchange_query(x, name);
    if (!value.text) return false;
    return value.bytes == 0 || (value.bytes == 1 && *value.text == '1') ||
           (value.bytes == 4 && memcmp(value.text, "true", 4) == 0);
}

void qn_exchange_clear(qn_exchange *x)
{
    if (x->job && x->release) x->release(x->job);
    end_phase(x, QN_PHASE_DECODE);
    if (x->recoded.room > KEPT_BYTES || x->recoded.failed) qn_str_release(&x->recoded);
    qn_str_clear(&x->recoded);
    x->coding = QN_CODING_IDENTITY;
    x->job = NULL;
    x->admitted = false;
    x->identity = (qn_identity){0};
    x->peer = NULL;
    x->release = NULL;
    x->route = NULL;
    x->told = NULL;
    x->model = NULL;
    x->n_rows = 0;
    x->reply.status = 0;
    x->trace.id[0] = x->trace.trace[0] = '\0';
    x->path = x->query = (qn_span){0};
    x->begun_s = 0;
    if (x->memory.blocks) qn_arena_reset(&x->memory);
}
