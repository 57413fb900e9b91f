/* SPDX-License-Identifier: Apache-2.0 */
#include "source/content.h"

#include "base/alloc.h"
#include "source/recoder.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { ROOM_FIRST = 1 << 20, READ_BYTES = 1 << 18, ZSTD_WINDOW_LOG_MAX = 27 };

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

/* Replaces compressed bytes by what they hold. */
static qn_status decompress(const char *path, const qn_stop *stop, qn_content *content,
                            qn_error *err)
{
    const qn_span all = {content->data, content->bytes};
    const bool gzip = all.bytes >= 2 && memcmp(all.text, "\x1f\x8b", 2) == 0;
    const bool zstd = all.bytes >= 4 && memcmp(all.text, "\x28\xb5\x2f\xfd", 4) == 0;
    if (!gzip && !zstd) return QN_OK;

    qn_recoder *decoder =
        qn_decoder_create(gzip ? QN_CODING_GZIP : QN_CODING_ZSTD, ZSTD_WINDOW_LOG_MAX);
    qn_status status = decoder ? QN_OK : no_memory(path, err);
    qn_str out = {0};
    bool done = false;
    qn_str_add(&out, ""); /* so that nothing, decoded, has an address */
    while (status == QN_OK && !done) {
        qn_error why = {0};
        status = qn_recoder_step(decoder, all, SIZE_MAX, &out, &done, &why);
        if (status == QN_ERR_NOMEM) {
            no_memory(path, err);
        } else if (status != QN_OK) {
            qn_fail(err, status, "%s: %s", path, why.message);
        } else if (qn_stop_requested(stop)) {
            status = qn_fail(err, QN_ERR_INTERRUPTED, "%s: interrupted", path);
        }
    }
    qn_recoder_free(decoder);
    qn_content_close(content);
    if (status != QN_OK) {
        qn_str_release(&out);
        return status;
    }
    *content = (qn_content){.data = out.text, .bytes = out.bytes, .owned = out.text};
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
