/* SPDX-License-Identifier: Apache-2.0 */
#include "search/process.h"

#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* In the child: tells through the pipe why it could not begin. Only calls that are safe after
 * fork. */
static _Noreturn void give_up(int failure)
{
    const int code = errno;
    ssize_t written = write(failure, &code, sizeof code);
    (void)written;
    _exit(127);
}

static _Noreturn void run_child(const qn_process_request *request, const int *output, int failure,
                                char *const *environment)
{
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGPIPE, SIG_DFL);
    signal(SIGINT, SIG_DFL);
    signal(SIGTERM, SIG_DFL);
    signal(SIGXFSZ, SIG_DFL);
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    const int nothing = open("/dev/null", O_RDONLY);
    if (nothing < 0 || dup2(nothing, 0) < 0 || dup2(output[1], 1) < 0) give_up(failure);
    if (request->error_path) {
        const int errors = open(request->error_path, O_WRONLY | O_CREAT | O_TRUNC, 0666);
        if (errors < 0 || dup2(errors, 2) < 0) give_up(failure);
    }
    if (!request->error_path && request->error_descriptor > 0 &&
        dup2(request->error_descriptor, 2) < 0) {
        give_up(failure);
    }
    if (request->memory_bytes > 0) {
        const struct rlimit limit = {(rlim_t)request->memory_bytes, (rlim_t)request->memory_bytes};
        if (setrlimit(RLIMIT_AS, &limit) != 0) give_up(failure);
    }
    for (int i = 0; environment && environment[i]; i++) {
        putenv(environment[i]);
    }
    execvp(request->arguments[0], request->arguments);
    give_up(failure);
}

static void close_pair(const int *pair)
{
    if (pair[0] >= 0) close(pair[0]);
    if (pair[1] >= 0) close(pair[1]);
}

/* Waits until the program runs, or the child says why it does not. */
static qn_status confirm(const qn_process_request *request, pid_t pid, int failure, qn_error *err)
{
    int code = 0;
    ssize_t bytes;
    do {
        bytes = read(failure, &code, sizeof code);
    } while (bytes < 0 && errno == EINTR);
    if (bytes <= 0) return QN_OK;
    waitpid(pid, NULL, 0);
    return qn_fail(err, QN_ERR_ARG, "%s: %s", request->arguments[0], strerror(code));
}

qn_status qn_process_start(const qn_process_request *request, qn_process *out, qn_error *err)
{
    int output[2] = {-1, -1}, failure[2] = {-1, -1};
    *out = (qn_process){.pid = -1, .output = -1, .exit = -1};
    pid_t pid = -1;
    if (pipe2(output, O_CLOEXEC) == 0 && pipe2(failure, O_CLOEXEC) == 0) pid = fork();
    if (pid == 0) run_child(request, output, failure[1], request->environment);
    if (pid < 0) {
        const int code = errno;
        close_pair(output);
        close_pair(failure);
        return qn_fail(err, QN_ERR_IO, "a program cannot be started: %s", strerror(code));
    }
    setpgid(pid, pid);
    close(output[1]);
    close(failure[1]);
    const qn_status status = confirm(request, pid, failure[0], err);
    close(failure[0]);
    if (status != QN_OK) {
        close(output[0]);
        return status;
    }
    fcntl(output[0], F_SETFL, O_NONBLOCK);
    const double now_s = qn_clock_s();
    *out = (qn_process){.pid = pid,
                        .output = output[0],
                        .exit = (int)syscall(SYS_pidfd_open, pid, 0),
                        .deadline_s = request->timeout_s > 0 ? now_s + request->timeout_s : 0};
    if (out->exit >= 0) return QN_OK;
    kill(-pid, SIGKILL);
    waitpid(pid, NULL, 0);
    close(output[0]);
    return qn_fail(err, QN_ERR_IO, "a program cannot be watched: %s", strerror(errno));
}

void qn_process_stop(qn_process *process, double grace_s)
{
    if (process->pid < 0 || process->kill_s > 0) return; /* ended, or asked already */
    kill(-process->pid, SIGTERM);
    process->kill_s = qn_clock_s() + grace_s;
    process->deadline_s = 0;
}

bool qn_process_watch(qn_process *process, double now_s, double grace_s)
{
    if (process->kill_s > 0 && now_s >= process->kill_s) kill(-process->pid, SIGKILL);
    if (process->deadline_s == 0 || now_s < process->deadline_s) return false;
    qn_process_stop(process, grace_s);
    return true;
}

int qn_process_finish(qn_process *process)
{
    int status = 0;
    kill(-process->pid, SIGKILL);
    while (waitpid(process->pid, &status, 0) < 0 && errno == EINTR) {
    }
    if (process->output >= 0) close(process->output);
    close(process->exit);
    *process = (qn_process){.pid = -1, .output = -1, .exit = -1};
    return WIFSIGNALED(status) ? QN_PROCESS_SIGNAL + WTERMSIG(status) : WEXITSTATUS(status);
}
