/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/private_file.h"

#include "base/alloc.h"
#include "crypto/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static qn_status fail_io(const char *path, qn_error *err)
{
    return qn_fail(err, QN_ERR_IO, "%s: %s", path, strerror(errno));
}

static qn_status check(const char *path, const struct stat *info, qn_error *err)
{
    if (!S_ISREG(info->st_mode)) return qn_fail(err, QN_ERR_DATA, "%s: not a regular file", path);
    if ((info->st_mode & (S_IWGRP | S_IXGRP | S_IRWXO)) == 0) return QN_OK;
    return qn_fail(err, QN_ERR_DATA,
                   "%s: others may read or change it (mode %04o), and it holds secrets; chmod 600",
                   path, (unsigned)(info->st_mode & 07777));
}

qn_status qn_private_file_check(const char *path, qn_error *err)
{
    struct stat info;
    if (stat(path, &info) != 0) return fail_io(path, err);
    return check(path, &info, err);
}

/* What is checked is the file that was opened. */
static qn_status read_open(int fd, const char *path, size_t bytes_max, char **out, size_t *bytes,
                           qn_error *err)
{
    struct stat info;
    if (fstat(fd, &info) != 0) return fail_io(path, err);
    QN_TRY(check(path, &info, err));
    if ((size_t)info.st_size > bytes_max) {
        return qn_fail(err, QN_ERR_DATA, "%s: larger than %zu bytes", path, bytes_max);
    }
    const size_t room = (size_t)info.st_size;
    char *text = qn_alloc_array((int64_t)room + 1, 1);
    if (!text) return qn_fail(err, QN_ERR_NOMEM, "%s: no memory to read it", path);
    size_t n = 0;
    ssize_t got = 1;
    while (n < room && got != 0) {
        got = read(fd, text + n, room - n);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) {
            qn_private_text_free(text, room);
            return fail_io(path, err);
        }
        n += (size_t)got;
    }
    *out = text;
    *bytes = n;
    return QN_OK;
}

qn_status qn_private_file_read(const char *path, size_t bytes_max, char **out, size_t *bytes,
                               qn_error *err)
{
    *out = NULL;
    *bytes = 0;
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0) return fail_io(path, err);
    const qn_status status = read_open(fd, path, bytes_max, out, bytes, err);
    close(fd);
    return status;
}

void qn_private_text_free(char *text, size_t bytes)
{
    if (text) qn_secret_wipe(text, bytes);
    qn_free(text);
}
