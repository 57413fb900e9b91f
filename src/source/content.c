/* SPDX-License-Identifier: Apache-2.0 */
#include "source/content.h"

#include "base/alloc.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

enum { ROOM_FIRST = 1 << 20, READ_BYTES = 1 << 18 };

struct buffer {
    char *data;
    size_t bytes, room;
};

static bool make_room(struct buffer *buffer, size_t wanted)
{
    if (buffer->room - buffer->bytes >= wanted) return true;
    size_t room = buffer->room ? buffer->room : ROOM_FIRST;
    while (room - buffer->bytes < wanted) {
        room += room / 2;
    }
    char *data = qn_realloc_array(buffer->data, (int64_t)room, 1);
    if (!data) return false;
    buffer->data = data;
    buffer->room = room;
    return true;
}

static qn_status no_memory(const char *path, qn_error *err)
{
    return qn_fail(err, QN_ERR_NOMEM, "%s: no memory to read it", path);
}

static qn_status read_stream(int fd, const char *path, const qn_stop *stop, struct buffer *out,
                             qn_error *err)
{
    for (;;) {
        if (!make_room(out, READ_BYTES)) return no_memory(path, err);
        const ssize_t n = read(fd, out->data + out->bytes, READ_BYTES);
        if (qn_stop_requested(stop))
            return qn_fail(err, QN_ERR_INTERRUPTED, "%s: interrupted", path);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return qn_fail(err, QN_ERR_IO, "%s: %s", path, strerror(errno));
        if (n == 0) return QN_OK;
        out->bytes += (size_t)n;
    }
}

/* One or more gzip members, one after the other. */
static qn_status inflate_all(const char *path, const uint8_t *data, size_t bytes,
                             const qn_stop *stop, struct buffer *out, qn_error *err)
{
    z_stream stream = {0};
    if (inflateInit2(&stream, 15 + 16) != Z_OK) return no_memory(path, err);
    qn_status status = QN_OK;
    size_t at = 0;
    bool member_done = false;
    while (status == QN_OK && at < bytes) {
        const size_t piece = bytes - at < READ_BYTES ? bytes - at : READ_BYTES;
        stream.next_in = (Bytef *)(uintptr_t)(data + at);
        stream.avail_in = (uInt)piece;
        if (!make_room(out, 4 * READ_BYTES)) {
            status = no_memory(path, err);
            break;
        }
        stream.next_out = (Bytef *)(out->data + out->bytes);
        stream.avail_out = 4 * READ_BYTES;
        const int code = inflate(&stream, Z_NO_FLUSH);
        at += piece - stream.avail_in;
        out->bytes += 4 * READ_BYTES - stream.avail_out;
        member_done = code == Z_STREAM_END;
        if (member_done) {
            while (at < bytes && data[at] == 0) {
                at++; /* padding, as tapes and block devices add */
            }
            if (at < bytes && (bytes - at < 2 || data[at] != 0x1f || data[at + 1] != 0x8b)) {
                status = qn_fail(err, QN_ERR_DATA, "%s: bytes that are no gzip follow at byte %zu",
                                 path, at);
            }
            inflateReset(&stream);
        } else if (code != Z_OK && code != Z_BUF_ERROR) {
            status = qn_fail(err, QN_ERR_DATA, "%s: the gzip data is damaged after %zu bytes (%s)",
                             path, at, stream.msg ? stream.msg : "unexpected data");
        }
        if (qn_stop_requested(stop)) {
            status = qn_fail(err, QN_ERR_INTERRUPTED, "%s: interrupted", path);
        }
    }
    /* What a full output buffer held back. */
    while (status == QN_OK && !member_done) {
        if (!make_room(out, 4 * READ_BYTES)) {
            status = no_memory(path, err);
            break;
        }
        stream.avail_in = 0;
        stream.next_out = (Bytef *)(out->data + out->bytes);
        stream.avail_out = 4 * READ_BYTES;
        const int code = inflate(&stream, Z_FINISH);
        const size_t got = 4 * READ_BYTES - stream.avail_out;
        out->bytes += got;
        member_done = code == Z_STREAM_END;
        if (!member_done && got == 0) {
            status = qn_fail(err, QN_ERR_DATA, "%s: the gzip data is cut off", path);
        }
    }
    inflateEnd(&stream);
    return status;
}

static qn_status unzstd_all(const char *path, const uint8_t *data, size_t bytes,
                            const qn_stop *stop, struct buffer *out, qn_error *err)
{
    ZSTD_DCtx *context = ZSTD_createDCtx();
    if (!context) return no_memory(path, err);
    qn_status status = QN_OK;
    ZSTD_inBuffer in = {data, bytes, 0};
    size_t left = 1;
    while (status == QN_OK && (in.pos < in.size || left != 0)) {
        if (!make_room(out, 4 * READ_BYTES)) {
            status = no_memory(path, err);
            break;
        }
        ZSTD_outBuffer room = {out->data + out->bytes, 4 * READ_BYTES, 0};
        const size_t before = in.pos;
        left = ZSTD_decompressStream(context, &room, &in);
        out->bytes += room.pos;
        if (ZSTD_isError(left)) {
            status = qn_fail(err, QN_ERR_DATA, "%s: the zstd data is damaged after %zu bytes (%s)",
                             path, in.pos, ZSTD_getErrorName(left));
        } else if (in.pos == before && room.pos == 0 && left != 0) {
            status = qn_fail(err, QN_ERR_DATA, "%s: the zstd data is cut off", path);
        } else if (qn_stop_requested(stop)) {
            status = qn_fail(err, QN_ERR_INTERRUPTED, "%s: interrupted", path);
        }
    }
    ZSTD_freeDCtx(context);
    return status;
}

/* Replaces compressed bytes by what they hold. */
static qn_status decompress(const char *path, const qn_stop *stop, qn_content *content,
                            qn_error *err)
{
    const uint8_t *data = (const uint8_t *)content->data;
    const bool gzip = content->bytes >= 2 && data[0] == 0x1f && data[1] == 0x8b;
    const bool zstd = content->bytes >= 4 && memcmp(data, "\x28\xb5\x2f\xfd", 4) == 0;
    if (!gzip && !zstd) return QN_OK;

    struct buffer out = {0};
    const qn_status status = gzip ? inflate_all(path, data, content->bytes, stop, &out, err)
                                  : unzstd_all(path, data, content->bytes, stop, &out, err);
    qn_content_close(content);
    if (status != QN_OK) {
        qn_free(out.data);
        return status;
    }
    *content = (qn_content){.data = out.data, .bytes = out.bytes, .owned = out.data};
    return QN_OK;
}

/* A pipe or device, such as the shell's <(command), cannot be mapped. */
static bool is_stream(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && (S_ISFIFO(info.st_mode) || S_ISCHR(info.st_mode));
}

qn_status qn_content_open(const char *path, const qn_stop *stop, qn_content *out, qn_error *err)
{
    *out = (qn_content){0};
    if (strcmp(path, "-") == 0) {
        struct buffer buffer = {0};
        const qn_status status = read_stream(STDIN_FILENO, "standard input", stop, &buffer, err);
        *out = (qn_content){.data = buffer.data, .bytes = buffer.bytes, .owned = buffer.data};
        if (status != QN_OK) {
            qn_content_close(out);
            return status;
        }
    } else if (is_stream(path)) {
        const int fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0) return qn_fail(err, QN_ERR_IO, "%s: %s", path, strerror(errno));
        struct buffer buffer = {0};
        const qn_status status = read_stream(fd, path, stop, &buffer, err);
        close(fd);
        *out = (qn_content){.data = buffer.data, .bytes = buffer.bytes, .owned = buffer.data};
        if (status != QN_OK) {
            qn_content_close(out);
            return status;
        }
    } else {
        QN_TRY(qn_file_map_open(path, &out->map, err));
        out->data = (const char *)out->map.data;
        out->bytes = out->map.bytes;
    }
    return decompress(strcmp(path, "-") == 0 ? "standard input" : path, stop, out, err);
}

void qn_content_drop(const qn_content *content, const char *begin, const char *end)
{
    if (!content->owned) qn_file_map_drop(&content->map, begin, end);
}

void qn_content_close(qn_content *content)
{
    qn_file_unmap(&content->map);
    qn_free(content->owned);
    *content = (qn_content){0};
}
