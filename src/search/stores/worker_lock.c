/* SPDX-License-Identifier: Apache-2.0 */
#include "search/stores/worker_lock.h"

#include "base/str.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* Farther than any worker's number. */
#define TETHER_FIRST ((int64_t)1 << 40)

enum { WAITS_MAX = 2000, WAIT_MS = 1 };

static qn_status failed(qn_error *err)
{
    return qn_fail(err, QN_ERR_IO, "the file of locks: %s", strerror(errno));
}

static struct flock lock_of(int64_t byte, short type)
{
    return (struct flock){.l_type = type, .l_whence = SEEK_SET, .l_start = (off_t)byte, .l_len = 1};
}

static qn_status set(int file, int64_t byte, short type, qn_error *err)
{
    struct flock lock = lock_of(byte, type);
    int code;
    do {
        code = fcntl(file, F_OFD_SETLKW, &lock);
    } while (code && errno == EINTR);
    return code ? failed(err) : QN_OK;
}

static qn_status is_set(int file, int64_t byte, bool *out, qn_error *err)
{
    struct flock lock = lock_of(byte, F_WRLCK);
    if (fcntl(file, F_OFD_GETLK, &lock) != 0) return failed(err);
    *out = lock.l_type != F_UNLCK;
    return QN_OK;
}

qn_status qn_worker_lock_open(const char *path, qn_worker_lock *out, qn_error *err)
{
    qn_str name = {0};
    *out = (qn_worker_lock){.file = -1, .tether = -1};
    qn_str_addf(&name, "%s-lock", path);
    if (name.failed) {
        qn_str_release(&name);
        return qn_fail(err, QN_ERR_NOMEM, "no memory to open it");
    }
    out->file = open(name.text, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (out->file >= 0) out->tether = open(name.text, O_RDWR | O_CLOEXEC);
    out->is_open = out->tether >= 0;
    const qn_status status =
        out->is_open ? QN_OK : qn_fail(err, QN_ERR_IO, "%s: %s", name.text, strerror(errno));
    if (!out->is_open && out->file >= 0) close(out->file);
    qn_str_release(&name);
    return status;
}

void qn_worker_lock_release(qn_worker_lock *lock)
{
    if (!lock->is_open) return;
    close(lock->file);
    close(lock->tether);
    *lock = (qn_worker_lock){0};
}

qn_status qn_worker_lock_enter(const qn_worker_lock *lock, qn_error *err)
{
    return set(lock->file, 0, F_WRLCK, err);
}

qn_status qn_worker_lock_leave(const qn_worker_lock *lock, qn_error *err)
{
    return set(lock->file, 0, F_UNLCK, err);
}

qn_status qn_worker_lock_take(qn_worker_lock *lock, int64_t worker, qn_error *err)
{
    QN_TRY(set(lock->tether, TETHER_FIRST + worker, F_WRLCK, err));
    QN_TRY(set(lock->file, worker, F_WRLCK, err));
    lock->worker = worker;
    return QN_OK;
}

qn_status qn_worker_lock_look(const qn_worker_lock *lock, int64_t worker, bool *alive,
                              qn_error *err)
{
    *alive = worker == lock->worker;
    if (!*alive) QN_TRY(is_set(lock->file, worker, alive, err));
    if (*alive) return QN_OK;
    QN_TRY(is_set(lock->file, TETHER_FIRST + worker, alive, err));
    for (int i = 0; *alive && i < WAITS_MAX; i++) {
        nanosleep(&(struct timespec){.tv_nsec = 1000000 * WAIT_MS}, NULL);
        QN_TRY(is_set(lock->file, TETHER_FIRST + worker, alive, err));
    }
    return QN_OK;
}
