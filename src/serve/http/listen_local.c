/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/http/listen_local.h"

#include "base/number.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { BACKLOG = 4096, FIRST_INHERITED = 3, SOCKET_MODE = 0660 };

/* fds[0] is there; the others become the same socket. */
static qn_status share(int n, int *fds, qn_error *err)
{
    for (int i = 1; i < n; i++) {
        fds[i] = fcntl(fds[0], F_DUPFD_CLOEXEC, 0);
        if (fds[i] >= 0) continue;
        qn_fail(err, QN_ERR_IO, "--listen: %s", strerror(errno));
        while (i > 0) {
            close(fds[--i]);
        }
        return QN_ERR_IO;
    }
    return QN_OK;
}

/* Whether somebody answers there. */
static bool is_served(const struct sockaddr_un *address)
{
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const bool served =
        fd >= 0 && connect(fd, (const struct sockaddr *)address, sizeof *address) == 0;
    if (fd >= 0) close(fd);
    return served;
}

static qn_status make_way(const struct sockaddr_un *address, qn_error *err)
{
    struct stat info;
    if (lstat(address->sun_path, &info) != 0) return QN_OK;
    if (!S_ISSOCK(info.st_mode)) {
        return qn_fail(err, QN_ERR_IO, "--listen unix:%s: the file is there and is no socket",
                       address->sun_path);
    }
    if (is_served(address)) {
        return qn_fail(err, QN_ERR_IO, "--listen unix:%s: another process listens there",
                       address->sun_path);
    }
    unlink(address->sun_path); /* if it cannot be, bind() tells why */
    return QN_OK;
}

qn_status qn_listen_unix(const char *path, int n, int *fds, qn_error *err)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const size_t bytes = strlen(path);
    if (bytes == 0 || bytes >= sizeof address.sun_path) {
        return qn_fail(err, QN_ERR_ARG, "--listen unix:%s: a path has 1 to %zu bytes", path,
                       sizeof address.sun_path - 1);
    }
    memcpy(address.sun_path, path, bytes);
    QN_TRY(make_way(&address, err));
    fds[0] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    /* First for nobody, so that at no time others than owner and group can reach it. */
    if (fds[0] >= 0 && fchmod(fds[0], 0) == 0 &&
        bind(fds[0], (const struct sockaddr *)&address, sizeof address) == 0 &&
        chmod(path, SOCKET_MODE) == 0 && listen(fds[0], BACKLOG) == 0) {
        return share(n, fds, err);
    }
    const int saved = errno;
    if (fds[0] >= 0) close(fds[0]);
    return qn_fail(err, QN_ERR_IO, "--listen unix:%s: %s", path, strerror(saved));
}

static bool read_count(const char *name, int64_t *out)
{
    const char *text = getenv(name);
    return text && qn_parse_int64(text, strlen(text), out);
}

qn_status qn_listen_inherited(int n, int *fds, qn_error *err)
{
    int64_t pid = 0, n_given = 0;
    int listening = 0;
    socklen_t bytes = sizeof listening;
    if (!read_count("LISTEN_PID", &pid) || !read_count("LISTEN_FDS", &n_given) || pid != getpid()) {
        return qn_fail(err, QN_ERR_ARG,
                       "--listen systemd: no socket was passed on; start it by a .socket unit");
    }
    if (n_given != 1) {
        return qn_fail(err, QN_ERR_ARG, "--listen systemd: %d sockets were passed on, expected one",
                       (int)n_given);
    }
    fds[0] = FIRST_INHERITED;
    if (getsockopt(fds[0], SOL_SOCKET, SO_ACCEPTCONN, &listening, &bytes) != 0 || !listening ||
        fcntl(fds[0], F_SETFD, FD_CLOEXEC) != 0 || fcntl(fds[0], F_SETFL, O_NONBLOCK) != 0) {
        return qn_fail(err, QN_ERR_ARG, "--listen systemd: what was passed on does not listen");
    }
    return share(n, fds, err);
}
