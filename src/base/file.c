/* SPDX-License-Identifier: Apache-2.0 */
#include "base/file.h"

#include "base/alloc.h"
#include "base/str.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* Anonymous memory with the file's bytes; MAP_FAILED with errno set. The file may shrink while it
 * is read. */
static void *read_copy(int fd, size_t bytes)
{
    uint8_t *data = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    /* Where the kernel has large pages, a large file costs a few faults rather than thousands. */
    if (data != MAP_FAILED) (void)madvise(data, bytes, MADV_HUGEPAGE);
    for (size_t at = 0; data != MAP_FAILED && at < bytes;) {
        const ssize_t n = read(fd, data + at, bytes - at);
        if (n > 0) {
            at += (size_t)n;
        } else if (n == 0 || errno != EINTR) {
            const int saved = n == 0 ? EAGAIN : errno;
            munmap(data, bytes);
            errno = saved;
            return MAP_FAILED;
        }
    }
    return data;
}

static qn_status open_map(const char *path, bool copy, qn_file_map *out, qn_error *err)
{
    *out = (qn_file_map){0};
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return qn_fail(err, QN_ERR_IO, "%s: %s", path, strerror(errno));

    struct stat info;
    qn_status status = QN_OK;
    if (fstat(fd, &info) != 0) {
        status = qn_fail(err, QN_ERR_IO, "%s: %s", path, strerror(errno));
    } else if (!S_ISREG(info.st_mode)) {
        status = qn_fail(err, QN_ERR_IO, "%s: not a regular file", path);
    } else if (info.st_size > 0) {
        const size_t bytes = (size_t)info.st_size;
        void *data = copy ? read_copy(fd, bytes) : mmap(NULL, bytes, PROT_READ, MAP_PRIVATE, fd, 0);
        if (data == MAP_FAILED) {
            status = qn_fail(err, QN_ERR_IO, "%s: %s", path, strerror(errno));
        } else {
            *out = (qn_file_map){data, bytes};
        }
    }
    close(fd);
    return status;
}

qn_status qn_file_map_open(const char *path, qn_file_map *out, qn_error *err)
{
    return open_map(path, false, out, err);
}

qn_status qn_file_map_copy(const char *path, qn_file_map *out, qn_error *err)
{
    return open_map(path, true, out, err);
}

void qn_file_map_drop(const qn_file_map *map, const void *begin, const void *end)
{
    const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    const uintptr_t first = ((uintptr_t)begin + page - 1) / page * page;
    const uintptr_t last = (uintptr_t)end / page * page;
    if (map->data && first < last) (void)madvise((void *)first, last - first, MADV_DONTNEED);
}

void qn_file_unmap(qn_file_map *map)
{
    if (map->data) munmap((void *)(uintptr_t)map->data, map->bytes);
    *map = (qn_file_map){0};
}

static int write_all(int fd, const uint8_t *data, size_t bytes)
{
    while (bytes > 0) {
        const ssize_t n = write(fd, data, bytes);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return -1;
        data += n;
        bytes -= (size_t)n;
    }
    return 0;
}

/* Devices and pipes (/dev/stdout, /dev/full) are written in place: they cannot be renamed over. */
static qn_status write_in_place(const char *path, const void *data, size_t bytes, qn_error *err)
{
    const int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0) return qn_fail(err, QN_ERR_IO, "%s: %s", path, strerror(errno));
    qn_status status = QN_OK;
    if (write_all(fd, data, bytes) != 0) {
        status = qn_fail(err, QN_ERR_IO, "%s: %s", path, strerror(errno));
    }
    if (close(fd) != 0 && status == QN_OK) {
        status = qn_fail(err, QN_ERR_IO, "%s: %s", path, strerror(errno));
    }
    return status;
}

static qn_status replace(const char *path, const void *data, size_t bytes, mode_t mode,
                         qn_error *err)
{
    qn_str temporary = {0};
    qn_str_addf(&temporary, "%s.XXXXXX", path);
    if (temporary.failed) return qn_fail(err, QN_ERR_NOMEM, "%s: no memory to write it", path);

    qn_status status = QN_OK;
    const int fd = mkostemp(temporary.text, O_CLOEXEC);
    if (fd < 0) {
        status = qn_fail(err, QN_ERR_IO, "%s: %s", path, strerror(errno));
        qn_str_release(&temporary);
        return status;
    }
    bool written = write_all(fd, data, bytes) == 0 && fchmod(fd, mode) == 0 && fsync(fd) == 0;
    int saved = errno;
    if (close(fd) != 0 && written) {
        written = false;
        saved = errno;
    }
    if (written && rename(temporary.text, path) != 0) {
        written = false;
        saved = errno;
    }
    if (!written) {
        unlink(temporary.text);
        status = qn_fail(err, QN_ERR_IO, "%s: %s", path, strerror(saved));
    }
    qn_str_release(&temporary);
    return status;
}

qn_status qn_file_write(const char *path, const void *data, size_t bytes, qn_error *err)
{
    struct stat info;
    if (stat(path, &info) == 0 && !S_ISREG(info.st_mode)) {
        return write_in_place(path, data, bytes, err);
    }
    const mode_t mask = umask(0);
    umask(mask);
    return replace(path, data, bytes, 0666 & ~mask, err);
}

qn_status qn_file_write_private(const char *path, const void *data, size_t bytes, qn_error *err)
{
    return replace(path, data, bytes, 0600, err);
}

qn_file_identity qn_file_identify(const char *path)
{
    struct stat info;
    if (stat(path, &info) != 0) return (qn_file_identity){0};
    return (qn_file_identity){.device = info.st_dev,
                              .inode = info.st_ino,
                              .bytes = (uint64_t)info.st_size,
                              .changed_s = info.st_mtim.tv_sec,
                              .changed_ns = info.st_mtim.tv_nsec,
                              .known = true};
}

bool qn_file_is_same(const qn_file_identity *a, const qn_file_identity *b)
{
    return a->known == b->known && a->device == b->device && a->inode == b->inode &&
           a->bytes == b->bytes && a->changed_s == b->changed_s && a->changed_ns == b->changed_ns;
}
