/* SPDX-License-Identifier: Apache-2.0 */
#include "source/recoder.h"

#include "base/alloc.h"

#include <string.h>
#include <zlib.h>
#include <zstd.h>
#include <zstd_errors.h>

enum {
    STEP_BYTES = 128 * 1024, /* that a step reads, or writes: some hundred microseconds */
    ZSTD_LEVEL = 1,
    ZLIB_WINDOW = 15,
    GZIP_WINDOW = 15 + 16 /* zlib's way to say gzip */
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

const char *qn_coding_name(qn_coding coding)
{
    static const char *const names[] = {"identity", "gzip", "deflate", "zstd", "unknown"};
    return names[coding];
}

static bool open_zstd(qn_recoder *r, int window_log_max)
{
    if (r->encode) {
        r->compress = ZSTD_createCCtx();
        return r->compress && !ZSTD_isError(ZSTD_CCtx_setParameter(
                                  r->compress, ZSTD_c_compressionLevel, ZSTD_LEVEL));
    }
    r->decompress = ZSTD_createDCtx();
    return r->decompress && !ZSTD_isError(ZSTD_DCtx_setParameter(r->decompress, ZSTD_d_windowLogMax,
                                                                 window_log_max));
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
    return inflateInit2(&r->zlib, r->coding == QN_CODING_GZIP ? GZIP_WINDOW : ZLIB_WINDOW) == Z_OK;
}

static qn_recoder *create(qn_coding coding, bool encode, int window_log_max)
{
    qn_recoder *r = qn_alloc_array(1, sizeof *r);
    if (!r) return NULL;
    r->coding = coding;
    r->encode = encode;
    if (coding == QN_CODING_ZSTD ? open_zstd(r, window_log_max) : open_zlib(r)) return r;
    qn_recoder_free(r);
    return NULL;
}

qn_recoder *qn_encoder_create(qn_coding coding)
{
    return create(coding, true, 0);
}

qn_recoder *qn_decoder_create(qn_coding coding, int window_log_max)
{
    return create(coding, false, window_log_max);
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
    const char *wrong; /* by the library's words; NULL: it has none */
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
    call->wrong = r->zlib.msg;
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
    call->wrong = ZSTD_isError(left) ? ZSTD_getErrorName(left) : NULL;
    return !call->wrong;
}

static qn_status damaged(const qn_recoder *r, const struct call *call, qn_error *err)
{
    return qn_fail(err, QN_ERR_DATA, "the %s data is damaged after %zu bytes (%s)",
                   qn_coding_name(r->coding), r->at, call->wrong ? call->wrong : "unexpected data");
}

/* Behind a member of gzip: zeros, as tapes and block devices add, or another member. */
static qn_status pass_padding(qn_recoder *r, qn_span all, qn_error *err)
{
    while (r->at < all.bytes && all.text[r->at] == 0) {
        r->at++;
    }
    const size_t left = all.bytes - r->at;
    if (left == 0 || (left >= 2 && memcmp(all.text + r->at, "\x1f\x8b", 2) == 0)) return QN_OK;
    return qn_fail(err, QN_ERR_DATA, "bytes that are no gzip follow at byte %zu", r->at);
}

static qn_status no_memory(qn_error *err)
{
    return qn_fail(err, QN_ERR_NOMEM, "no memory to decode or encode");
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
            return call.no_memory ? no_memory(err) : damaged(r, &call, err);
        }
        r->at += call.read;
        moved += call.read + call.wrote;
        r->between = call.whole;
        if (call.whole && !r->encode && r->coding == QN_CODING_GZIP) {
            QN_TRY(pass_padding(r, all, err));
        }
        if (call.wrote > bytes_max - out->bytes) {
            return qn_fail(err, QN_ERR_BUDGET, "more than %zu bytes once decoded", bytes_max);
        }
        qn_str_add_bytes(out, buffer, call.wrote);
        if (out->failed) return no_memory(err);
        if (r->encode && call.whole) {
            *done = true;
            return QN_OK;
        }
        if (call.read == 0 && call.wrote == 0 && !call.whole) {
            return qn_fail(err, QN_ERR_DATA, "the %s data is cut off", qn_coding_name(r->coding));
        }
    }
    return QN_OK;
}
