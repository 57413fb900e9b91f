/* SPDX-License-Identifier: Apache-2.0 */
#include "search/tuner/keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/* Of the thread that reads it, separated by spaces. */
#define CHILDREN "/proc/thread-self/children"

bool qn_keeper_begin(pid_t parent)
{
    if (prctl(PR_SET_PDEATHSIG, QN_KEEPER_END) != 0) return false;
    if (prctl(PR_SET_CHILD_SUBREAPER, 1) != 0) return false;
    errno = ESRCH;
    return getppid() == parent && signal(SIGCHLD, SIG_DFL) != SIG_ERR;
}

/* What is open here would keep locks and pipes of the parent alive. */
static void let_go(int kept)
{
    enum { FIRST = 3 };
    const int nothing = open("/dev/null", O_RDWR);
    for (int descriptor = 0; nothing >= 0 && descriptor < FIRST; descriptor++) {
        dup2(nothing, descriptor);
    }
    closefrom(kept > 0 && dup2(kept, FIRST) == FIRST ? FIRST + 1 : FIRST);
}

/* False when the system does not say which there are. */
static bool kill_children(void)
{
    char text[4096];
    ssize_t bytes;
    pid_t child = 0;
    const int list = open(CHILDREN, O_RDONLY | O_CLOEXEC);
    if (list < 0) return false;
    while ((bytes = read(list, text, sizeof text)) > 0) {
        for (ssize_t i = 0; i < bytes; i++) {
            if (text[i] >= '0' && text[i] <= '9') {
                child = 10 * child + (text[i] - '0');
                continue;
            }
            if (child > 0) kill(child, SIGKILL);
            child = 0;
        }
    }
    close(list);
    return bytes == 0;
}

/* Children of those killed become ours when these are gone, so again until there are none. */
static void end_all(pid_t program, int *status)
{
    pid_t ended;
    kill(-program, SIGKILL);
    do {
        int how = 0;
        const int wait = kill_children() ? 0 : WNOHANG;
        ended = waitpid(-1, &how, wait);
        if (ended == program) *status = how;
    } while (ended > 0 || (ended < 0 && errno == EINTR));
}

/* True when the program has ended. */
static bool reap(pid_t program, int *status)
{
    pid_t ended;
    bool over = false;
    do {
        int how = 0;
        ended = waitpid(-1, &how, WNOHANG);
        if (ended != program) continue;
        *status = how;
        over = true;
    } while (ended > 0);
    return over;
}

/* As the program did, but without another core file. */
static _Noreturn void leave(int status)
{
    if (WIFSIGNALED(status)) {
        const int number = WTERMSIG(status);
        sigset_t one;
        sigemptyset(&one);
        sigaddset(&one, number);
        prctl(PR_SET_DUMPABLE, 0);
        signal(number, SIG_DFL);
        kill(getpid(), number);
        sigprocmask(SIG_UNBLOCK, &one, NULL);
    }
    _exit(WEXITSTATUS(status));
}

void qn_keeper_run(pid_t program, int kept)
{
    int status = 0;
    bool over = false;
    sigset_t awaited;
    sigemptyset(&awaited);
    sigaddset(&awaited, SIGCHLD);
    sigaddset(&awaited, SIGTERM);
    sigaddset(&awaited, QN_KEEPER_END);
    let_go(kept);
    while (!over) {
        const int number = sigwaitinfo(&awaited, NULL);
        if (number == SIGTERM) kill(-program, SIGTERM);
        over = reap(program, &status) || number == QN_KEEPER_END;
    }
    end_all(program, &status);
    leave(status);
}
