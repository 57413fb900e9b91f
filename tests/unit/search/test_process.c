/* SPDX-License-Identifier: Apache-2.0 */
/* Programs and the locks of who started them: what is left when the caller is killed. */
#include "search/stores/worker_lock.h"
#include "search/tuner/process.h"

#include "check.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static char folder[] = "/tmp/quern-process-XXXXXX", store[64];

enum { WORKER = 3 };

/* What a caller tells the test. */
struct news {
    pid_t keeper, program;
};
static int news_pipe[2], go_pipe[2];

static void tell(struct news news)
{
    if (write(news_pipe[1], &news, sizeof news) != sizeof news) _exit(1);
}

static struct news hear(void)
{
    struct news news = {0};
    CHECK_INT(read(news_pipe[0], &news, sizeof news), sizeof news);
    return news;
}

static pid_t read_pid(int descriptor)
{
    char text[32] = "";
    poll(&(struct pollfd){.fd = descriptor, .events = POLLIN}, 1, 10000);
    return read(descriptor, text, sizeof text - 1) > 0 ? (pid_t)atol(text) : 0;
}

/* A child that has been forked, and comes to nothing until it is let go. */
static void come_late(void)
{
    char byte;
    tell((struct news){.keeper = getpid()});
    if (read(go_pipe[0], &byte, 1) != 1) _exit(1);
}

/* A worker that starts a program and waits to be killed. */
static _Noreturn void work(bool children_are_late)
{
    static char *const arguments[] = {"sh", "-c", "echo $$; exec sleep 60", NULL};
    qn_worker_lock lock;
    qn_process process;
    if (qn_worker_lock_open(store, &lock, NULL) != QN_OK) _exit(1);
    if (qn_worker_lock_take(&lock, WORKER, NULL) != QN_OK) _exit(1);
    if (children_are_late) pthread_atfork(NULL, NULL, come_late);
    const qn_process_request request = {.arguments = arguments, .kept_descriptor = lock.tether};
    if (qn_process_start(&request, &process, NULL) != QN_OK) _exit(1);
    tell((struct news){process.pid, read_pid(process.output)});
    for (;;) {
        pause();
    }
}

static pid_t start_worker(bool children_are_late)
{
    CHECK_INT(pipe(news_pipe) + pipe(go_pipe), 0);
    const pid_t worker = fork();
    if (worker == 0) work(children_are_late);
    close(news_pipe[1]); /* a worker that ends is heard, too */
    return worker;
}

static void kill_worker(pid_t worker)
{
    kill(worker, SIGKILL);
    CHECK_INT(waitpid(worker, NULL, 0), worker);
}

static bool is_alive(void)
{
    qn_worker_lock lock;
    qn_error err = {0};
    bool alive = false;
    CHECK_OK(qn_worker_lock_open(store, &lock, &err));
    CHECK_OK(qn_worker_lock_look(&lock, WORKER, &alive, &err));
    qn_worker_lock_release(&lock);
    return alive;
}

static void close_pipes(void)
{
    close(news_pipe[0]);
    close(go_pipe[0]);
    close(go_pipe[1]);
}

static void let_go(void)
{
    CHECK_INT(write(go_pipe[1], "", 1), 1);
}

static void a_worker_is_alive_until_it_is_killed(void **state)
{
    (void)state;
    CHECK(!is_alive());
    const pid_t worker = start_worker(false);
    const struct news news = hear();
    CHECK(news.program > 0 && is_alive());
    kill_worker(worker);
    CHECK(!is_alive());
    CHECK(kill(news.program, 0) != 0); /* its program has ended before */
    close_pipes();
}

/* Between fork() and its first instruction a child has all that its parent had open; of what keeps
 * a worker alive, the tether alone. */
static void a_child_that_has_not_run_yet_is_waited_for(void **state)
{
    (void)state;
    atomic_bool *gone =
        mmap(NULL, sizeof *gone, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(gone != MAP_FAILED);
    const pid_t worker = start_worker(true);
    hear();
    kill_worker(worker);
    const pid_t helper = fork();
    if (helper == 0) {
        usleep(200000);
        atomic_store(gone, true);
        let_go();
        _exit(0);
    }
    CHECK(!is_alive());
    CHECK(atomic_load(gone));
    CHECK_INT(waitpid(helper, NULL, 0), helper);
    munmap(gone, sizeof *gone);
    close_pipes();
}

/* A child that cannot end holds nobody up for good. */
static void nobody_waits_longer_than_two_seconds(void **state)
{
    (void)state;
    const pid_t worker = start_worker(true);
    hear();
    kill_worker(worker);
    CHECK(is_alive());
    let_go();
    CHECK(!is_alive());
    close_pipes();
}

static void a_file_of_locks_that_cannot_be_made_is_named(void **state)
{
    (void)state;
    qn_worker_lock lock;
    qn_error err = {0};
    CHECK_FAILS(QN_ERR_IO, qn_worker_lock_open("/nowhere/s.db", &lock, &err));
    CHECK_CONTAINS(err.message, "/nowhere/s.db-lock: No such file");
    qn_worker_lock_release(&lock);
}

static void locks_survive_running_out_of_memory(void **state)
{
    (void)state;
    qn_worker_lock lock;
    CHECK_SURVIVES_NO_MEMORY(qn_worker_lock_open(store, &lock, NULL));
    qn_worker_lock_release(&lock);
}

static void what_cannot_be_run_is_told(void **state)
{
    (void)state;
    qn_process process;
    qn_error err = {0};
    const qn_process_request request = {.arguments = (char *[]){"no-such-program", NULL}};
    CHECK_FAILS(QN_ERR_ARG, qn_process_start(&request, &process, &err));
    CHECK_TEXT(err.message, "no-such-program: No such file or directory");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_worker_is_alive_until_it_is_killed),
        cmocka_unit_test(a_child_that_has_not_run_yet_is_waited_for),
        cmocka_unit_test(nobody_waits_longer_than_two_seconds),
        cmocka_unit_test(a_file_of_locks_that_cannot_be_made_is_named),
        cmocka_unit_test(locks_survive_running_out_of_memory),
        cmocka_unit_test(what_cannot_be_run_is_told),
    };
    if (syscall(SYS_pidfd_open, getpid(), 0) < 0) {
        puts("skipped: no processes can be watched here"); /* such as under valgrind */
        return 77;
    }
    CHECK(mkdtemp(folder) != NULL);
    snprintf(store, sizeof store, "%s/s.db", folder);
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    char command[128];
    snprintf(command, sizeof command, "rm -r %s", folder);
    return system(command) != 0 || failed;
}
