/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/recoder.h"

#include "base/alloc.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>
#include <zstd_errors.h>

enum {
    STEP_BYTES = 128 * 1024, /* that a step reads, or writes: some hundred microseconds */
    ZSTD_WINDOW_LOG_MAX = 23,
    ZSTD_LEVEL = 1,
    GZIP_WINDOW = 15 + 16, /* zlib's way to say gzip */
    GZIP_OR_ZLIB_WINDOW = 15 + 32
};

struct qn_recoder {
    qn_coding coding;
    bool encode;
    bool between; /* decoding: at the end of a member or frame; the body may end here */
    size_t at;    /* what is read of the input */
    z_stream zlib;
    ZSTD_CCtx *compress;
    ZSTD_DCtx *decompress;
};

/* Names. */

static bool is_word(qn_span word, const char *name)
{
    return strlen(name) == word.bytes && strncasecmp(word.text, name, word.bytes) == 0;
}

static qn_span trimmed(qn_span word)
{
    while (word.bytes > 0 && (*word.text == ' ' || *word.text == '\t')) {
        word.text++;
        word.bytes--;
    }
    while (word.bytes > 0 &&
           (word.text[word.bytes - 1] == ' ' || word.text[word.bytes - 1] == '\t')) {
        word.bytes--;
    }
    return word;
}

/* The part of *rest before the next `separator`, trimmed; *rest becomes what is behind it. */
static qn_span next_part(qn_span *rest, char separator)
{
    const char *found = memchr(rest->text, separator, rest->bytes);
    const qn_span part = {rest->text, found ? (size_t)(found - rest->text) : rest->bytes};
    const size_t used = part.bytes + (found != NULL);
    *rest = (qn_span){rest->text + used, rest->bytes - used};
    return trimmed(part);
}

const char *qn_coding_name(qn_coding coding)
{
    static const char *const names[] = {"identity", "gzip", "deflate", "zstd", "unknown"};
    return names[coding];
}

qn_coding qn_coding_of_body(qn_span content_encoding)
{
    const qn_span word = trimmed(content_encoding);
    if (!content_encoding.text) return QN_CODING_IDENTITY;
    if (is_word(word, "x-gzip")) return QN_CODING_GZIP;
    for (int i = 0; i < QN_CODING_UNKNOWN; i++) {
        if (is_word(word, qn_coding_name((qn_coding)i))) return (qn_coding)i;
    }
    return QN_CODING_UNKNOWN;
}

/* Thousandths: 1000 for "1" or nothing, 0 where it is no weight. */
static int weight_of(qn_span parameters)
{
    while (parameters.bytes > 0) {
        const qn_span part = next_part(&parameters, ';');
        int weight = 0, unit = 1000;
        if (part.bytes < 3 || strncasecmp(part.text, "q=", 2) != 0) continue;
        for (size_t i = 2; i < part.bytes && unit > 0; i++) {
            if (part.text[i] == '.') continue;
            if (part.text[i] < '0' || part.text[i] > '9') return 0;
            weight += (part.text[i] - '0') * unit;
            unit /= 10;
        }
        return weight;
    }
    return 1000;
}

qn_coding qn_coding_for_reply(qn_span accept_encoding)
{
    int any = 0, weights[QN_CODING_UNKNOWN];
    for (int i = 0; i < QN_CODING_UNKNOWN; i++) {
        weights[i] = -1;
    }
    while (accept_encoding.bytes > 0) {
        qn_span item = next_part(&accept_encoding, ',');
        const qn_span name = next_part(&item, ';');
        const qn_coding coding = qn_coding_of_body(name);
        if (is_word(name, "*")) {
            any = weight_of(item);
        } else if (name.bytes > 0 && coding != QN_CODING_UNKNOWN) {
            weights[coding] = weight_of(item);
        }
    }
    const int gzip = weights[QN_CODING_GZIP] < 0 ? any : weights[QN_CODING_GZIP];
    const int zstd = weights[QN_CODING_ZSTD] < 0 ? any : weights[QN_CODING_ZSTD];
    if (gzip <= 0 && zstd <= 0) return QN_CODING_IDENTITY;
    if (weights[QN_CODING_IDENTITY] > gzip && weights[QN_CODING_IDENTITY] > zstd) {
        return QN_CODING_IDENTITY;
    }
    return zstd >= gzip ? QN_CODING_ZSTD : QN_CODING_GZIP;
}

/* Streams. */

static bool open_zstd(qn_recoder *r)
{
    if (r->encode) {
        r->compress = ZSTD_createCCtx();
        return r->compress && !ZSTD_isError(ZSTD_CCtx_setParameter(
                                  r->compress, ZSTD_c_compressionLevel, ZSTD_LEVEL));
    }
    r->decompress = ZSTD_createDCtx();
    return r->decompress && !ZSTD_isError(ZSTD_DCtx_setParameter(r->decompress, ZSTD_d_windowLogMax,
                                                                 ZSTD_WINDOW_LOG_MAX));
}

static void *zlib_alloc(void *of_nobody, unsigned n, unsigned bytes)
{
    (void)of_nobody;
    return qn_alloc_array(n, bytes);
}

static void zlib_free(void *of_nobody, void *memory)
{
    (void)of_nobody;
    qn_free(memory);
}

static bool open_zlib(qn_recoder *r)
{
    r->zlib.zalloc = zlib_alloc;
    r->zlib.zfree = zlib_free;
    if (r->encode) {
        return deflateInit2(&r->zlib, Z_BEST_SPEED, Z_DEFLATED, GZIP_WINDOW, 8,
                            Z_DEFAULT_STRATEGY) == Z_OK;
    }
    return inflateInit2(&r->zlib, GZIP_OR_ZLIB_WINDOW) == Z_OK;
}

qn_recoder *qn_recoder_create(qn_coding coding, bool encode)
{
    qn_recoder *r = qn_alloc_array(1, sizeof *r);
    if (!r) return NULL;
    r->coding = coding;
    r->encode = encode;
    if (coding == QN_CODING_ZSTD ? open_zstd(r) : open_zlib(r)) return r;
    qn_recoder_free(r);
    return NULL;
}

void qn_recoder_free(qn_recoder *recoder)
{
    if (!recoder) return;
    if (recoder->coding != QN_CODING_ZSTD) {
        if (recoder->encode) {
            deflateEnd(&recoder->zlib);
        } else {
            inflateEnd(&recoder->zlib);
        }
    }
    ZSTD_freeCCtx(recoder->compress);
    ZSTD_freeDCtx(recoder->decompress);
    qn_free(recoder);
}

/* One call of a library: how much of `in` it read and of `out` it wrote. */
struct call {
    const char *in;
    size_t in_bytes;
    char *out;
    size_t out_bytes;
    bool last; /* of the input: all that follows is in `in` */
    size_t read, wrote;
    bool whole; /* encoding: the end is written; decoding: a member or frame has ended */
    bool no_memory;
};

static bool call_zlib(qn_recoder *r, struct call *call)
{
    r->zlib.next_in = (unsigned char *)(uintptr_t)call->in;
    r->zlib.avail_in = (uInt)call->in_bytes;
    r->zlib.next_out = (unsigned char *)call->out;
    r->zlib.avail_out = (uInt)call->out_bytes;
    const int code = r->encode ? deflate(&r->zlib, call->last ? Z_FINISH : Z_NO_FLUSH)
                               : inflate(&r->zlib, Z_NO_FLUSH);
    call->read = call->in_bytes - r->zlib.avail_in;
    call->wrote = call->out_bytes - r->zlib.avail_out;
    call->whole = code == Z_STREAM_END;
    call->no_memory = code == Z_MEM_ERROR;
    if (call->whole && !r->encode) return inflateReset(&r->zlib) == Z_OK;
    return code == Z_OK || code == Z_STREAM_END || code == Z_BUF_ERROR;
}

static bool call_zstd(qn_recoder *r, struct call *call)
{
    ZSTD_inBuffer in = {call->in, call->in_bytes, 0};
    ZSTD_outBuffer out = {call->out, call->out_bytes, 0};
    const size_t left = r->encode ? ZSTD_compressStream2(r->compress, &out, &in,
                                                         call->last ? ZSTD_e_end : ZSTD_e_continue)
                                  : ZSTD_decompressStream(r->decompress, &out, &in);
    call->read = in.pos;
    call->wrote = out.pos;
    call->whole = left == 0 && (call->last || !r->encode);
    call->no_memory = ZSTD_getErrorCode(left) == ZSTD_error_memory_allocation;
    return !ZSTD_isError(left);
}

static qn_status damaged(const qn_recoder *r, const char *what, qn_error *err)
{
    return qn_fail(err, QN_ERR_DATA, "the body is no %s: %s", qn_coding_name(r->coding), what);
}

static qn_status no_memory(qn_error *err)
{
    return qn_fail(err, QN_ERR_NOMEM, "no memory for the body");
}

qn_status qn_recoder_step(qn_recoder *r, qn_span all, size_t bytes_max, qn_str *out, bool *done,
                          qn_error *err)
{
    char buffer[16 * 1024];
    *done = false;
    for (size_t moved = 0; moved < STEP_BYTES;) {
        struct call call = {.in = all.text + r->at,
                            .in_bytes = all.bytes - r->at,
                            .out = buffer,
                            .out_bytes = sizeof buffer,
                            .last = true};
        if (call.in_bytes > STEP_BYTES) {
            call.in_bytes = STEP_BYTES;
            call.last = false;
        }
        if (!r->encode && call.in_bytes == 0 && r->between) {
            *done = true;
            return QN_OK;
        }
        if (!(r->coding == QN_CODING_ZSTD ? call_zstd(r, &call) : call_zlib(r, &call))) {
            return call.no_memory ? no_memory(err) : damaged(r, "it is damaged", err);
        }
        r->at += call.read;
        moved += call.read + call.wrote;
        r->between = call.whole;
        if (call.wrote > bytes_max - out->bytes) {
            return qn_fail(err, QN_ERR_BUDGET, "the body is larger than %zu bytes once decoded",
                           bytes_max);
        }
        qn_str_add_bytes(out, buffer, call.wrote);
        if (out->failed) return no_memory(err);
        if (r->encode && call.whole) {
            *done = true;
            return QN_OK;
        }
        if (call.read == 0 && call.wrote == 0 && !call.whole) {
            return damaged(r, "it ends too early", err);
        }
    }
    return QN_OK;
}
