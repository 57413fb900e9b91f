/* SPDX-License-Identifier: Apache-2.0 */
#include "search/tuner/process.h"

#include "base/clock.h"
#include "search/tuner/keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* Descriptors looked at; what a study has open is among the first. */
enum { DESCRIPTORS_MAX = 1024 };

/* In the child: tells through the pipe why it could not begin. Only calls that are safe after
 * fork. */
static _Noreturn void give_up(int failure)
{
    const int code = errno;
    ssize_t written = write(failure, &code, sizeof code);
    (void)written;
    _exit(127);
}

/* The ends of a process's pipes, [0] read here and [1] written there; -1: none. */
struct pipes {
    int output[2], errors[2], failure[2];
};

static void limit_memory(int64_t bytes, int failure)
{
    const struct rlimit limit = {(rlim_t)bytes, (rlim_t)bytes};
    if (bytes > 0 && setrlimit(RLIMIT_AS, &limit) != 0) give_up(failure);
}

static _Noreturn void run_program(const qn_process_request *request, const struct pipes *pipes)
{
    const int failure = pipes->failure[1];
    const int errors = pipes->errors[1] >= 0 ? pipes->errors[1] : request->error_descriptor;
    sigset_t none;
    sigemptyset(&none);
    signal(SIGPIPE, SIG_DFL);
    signal(SIGINT, SIG_DFL);
    signal(SIGTERM, SIG_DFL);
    signal(SIGXFSZ, SIG_DFL);
    sigprocmask(SIG_SETMASK, &none, NULL);
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    const int nothing = open("/dev/null", O_RDONLY);
    if (nothing < 0 || dup2(nothing, 0) < 0 || dup2(pipes->output[1], 1) < 0) give_up(failure);
    if (errors > 0 && dup2(errors, 2) < 0) give_up(failure);
    limit_memory(request->memory_bytes, failure);
    for (int i = 0; request->environment && request->environment[i]; i++) {
        putenv(request->environment[i]);
    }
    execvp(request->arguments[0], request->arguments);
    give_up(failure);
}

/* Starting: fork() copies descriptors, and with them locks. A child would hold those of a caller
 * that is killed before the child's first instruction, and have others believe that it is alive. So
 * a thread forks that has a table of descriptors of its own (close_range(2)), and has closed in it
 * what is private; that table dies with the caller. */
struct starter {
    const qn_process_request *request;
    const struct pipes *pipes;
    pid_t parent, pid;
    int code;      /* errno, when pid is -1 */
    bool is_apart; /* it has a table of its own; otherwise the keeper closes what is private */
    sem_t done;    /* the starter is not looked at after that */
};

static void close_private(const qn_process_request *request, const struct pipes *pipes)
{
    for (int descriptor = 3; descriptor < DESCRIPTORS_MAX; descriptor++) {
        const int flags = fcntl(descriptor, F_GETFD);
        if (flags < 0 || !(flags & FD_CLOEXEC) || descriptor == request->error_descriptor) continue;
        if (descriptor == request->kept_descriptor || descriptor == pipes->output[1]) continue;
        if (descriptor == pipes->errors[1]) continue;
        if (descriptor != pipes->failure[1]) close(descriptor);
    }
}

static _Noreturn void run_keeper(const struct starter *starter)
{
    const qn_process_request *request = starter->request;
    const struct pipes *pipes = starter->pipes;
    if (!starter->is_apart) close_private(request, pipes);
    setpgid(0, 0);
    if (!qn_keeper_begin(starter->parent)) give_up(pipes->failure[1]);
    /* Without a second copy of the page tables; the program's side execs or exits. */
    const pid_t program = vfork(); /* NOLINT(clang-analyzer-security.insecureAPI.vfork) */
    if (program == 0) run_program(request, pipes); /* NOLINT(clang-analyzer-unix.Vfork) */
    if (program < 0) give_up(pipes->failure[1]);
    setpgid(program, program);
    qn_keeper_run(program, request->kept_descriptor);
}

static void close_one(int *descriptor)
{
    if (*descriptor >= 0) close(*descriptor);
    *descriptor = -1;
}

static void close_pipes(struct pipes *pipes, int end)
{
    close_one(&pipes->output[end]);
    close_one(&pipes->errors[end]);
    close_one(&pipes->failure[end]);
}

/* A keeper is told of the death of the thread that forked it, so that waits for the keeper's end.
 */
static void *start_keeper(void *argument)
{
    struct starter *starter = argument;
    siginfo_t how;
    starter->is_apart = close_range(UINT_MAX, UINT_MAX, CLOSE_RANGE_UNSHARE) == 0;
    if (starter->is_apart) close_private(starter->request, starter->pipes);
    const pid_t pid = fork();
    if (pid == 0) run_keeper(starter);
    starter->pid = pid;
    starter->code = errno;
    if (starter->is_apart) closefrom(0);
    sem_post(&starter->done);
    while (pid > 0 && waitid(P_PID, (id_t)pid, &how, WEXITED | WNOWAIT) != 0 && errno == EINTR) {
    }
    return NULL;
}

/* Keepers, and threads, begin with all signals blocked, so that none comes before they listen.
 * False when errno says why there is none. */
static bool fork_keeper(const qn_process_request *request, const struct pipes *pipes,
                        qn_process *out)
{
    struct starter starter = {.request = request, .pipes = pipes, .parent = getpid(), .pid = -1};
    sigset_t all, before;
    sem_init(&starter.done, 0, 0);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    const int failure = pthread_create(&out->starter, NULL, start_keeper, &starter);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failure) starter.code = failure;
    while (!failure && sem_wait(&starter.done) != 0) {
    }
    sem_destroy(&starter.done);
    if (!failure && starter.pid < 0) pthread_join(out->starter, NULL);
    out->pid = starter.pid;
    errno = starter.code;
    return out->pid > 0;
}

/* The end of a keeper, as wait(2) tells it. */
static int await_keeper(const qn_process *process)
{
    int status = 0;
    while (waitpid(process->pid, &status, 0) < 0 && errno == EINTR) {
    }
    pthread_join(process->starter, NULL);
    return status;
}

/* Waits until the program runs, or the child says why it does not. */
static qn_status confirm(const qn_process_request *request, int failure, qn_error *err)
{
    int code = 0;
    ssize_t bytes;
    do {
        bytes = read(failure, &code, sizeof code);
    } while (bytes < 0 && errno == EINTR);
    if (bytes <= 0) return QN_OK;
    return qn_fail(err, QN_ERR_ARG, "%s: %s", request->arguments[0], strerror(code));
}

static bool make_pipes(const qn_process_request *request, struct pipes *pipes)
{
    return pipe2(pipes->output, O_CLOEXEC) == 0 && pipe2(pipes->failure, O_CLOEXEC) == 0 &&
           (!request->takes_errors || pipe2(pipes->errors, O_CLOEXEC) == 0);
}

static void end_now(qn_process *process)
{
    kill(process->pid, QN_KEEPER_END);
    await_keeper(process);
    close_one(&process->output);
    close_one(&process->errors);
}

qn_status qn_process_start(const qn_process_request *request, qn_process *out, qn_error *err)
{
    struct pipes pipes = {{-1, -1}, {-1, -1}, {-1, -1}};
    *out = (qn_process){.pid = -1, .output = -1, .errors = -1, .exit = -1};
    if (!make_pipes(request, &pipes) || !fork_keeper(request, &pipes, out)) {
        const int code = errno;
        close_pipes(&pipes, 0);
        close_pipes(&pipes, 1);
        return qn_fail(err, QN_ERR_IO, "a program cannot be started: %s", strerror(code));
    }
    close_pipes(&pipes, 1);
    const qn_status status = confirm(request, pipes.failure[0], err);
    if (status != QN_OK) {
        await_keeper(out);
        out->pid = -1;
        close_pipes(&pipes, 0);
        return status;
    }
    close_one(&pipes.failure[0]);
    fcntl(pipes.output[0], F_SETFL, O_NONBLOCK);
    if (pipes.errors[0] >= 0) fcntl(pipes.errors[0], F_SETFL, O_NONBLOCK);
    const double now_s = qn_clock_s();
    out->output = pipes.output[0];
    out->errors = pipes.errors[0];
    out->exit = (int)syscall(SYS_pidfd_open, out->pid, 0);
    out->deadline_s = request->timeout_s > 0 ? now_s + request->timeout_s : 0;
    if (out->exit >= 0) return QN_OK;
    const int code = errno;
    end_now(out);
    return qn_fail(err, QN_ERR_IO, "a program cannot be watched: %s", strerror(code));
}

void qn_process_stop(qn_process *process, double grace_s)
{
    if (process->pid < 0 || process->kill_s > 0) return; /* ended, or asked already */
    kill(process->pid, SIGTERM);
    process->kill_s = qn_clock_s() + grace_s;
    process->deadline_s = 0;
}

bool qn_process_watch(qn_process *process, double now_s, double grace_s)
{
    if (process->kill_s > 0 && now_s >= process->kill_s) kill(process->pid, QN_KEEPER_END);
    if (process->deadline_s == 0 || now_s < process->deadline_s) return false;
    qn_process_stop(process, grace_s);
    return true;
}

int qn_process_finish(qn_process *process)
{
    kill(process->pid, QN_KEEPER_END);
    const int status = await_keeper(process);
    close_one(&process->output);
    close_one(&process->errors);
    close(process->exit);
    *process = (qn_process){.pid = -1, .output = -1, .errors = -1, .exit = -1};
    return WIFSIGNALED(status) ? QN_PROCESS_SIGNAL + WTERMSIG(status) : WEXITSTATUS(status);
}
