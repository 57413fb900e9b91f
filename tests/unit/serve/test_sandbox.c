/* SPDX-License-Identifier: Apache-2.0 */
/* What a process can still do in the sandbox, tried out in children: it is for ever. */
#include "serve/security/sandbox.h"

#include "check.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char folder[] = "/tmp/quern-sandbox-XXXXXX";
static char inside[64], outside[64], made[64], listing[64];

static int make_folders(void **state)
{
    (void)state;
    if (!mkdtemp(folder)) return -1;
    snprintf(listing, sizeof listing, "%s/models", folder);
    snprintf(inside, sizeof inside, "%s/models/a", folder);
    snprintf(outside, sizeof outside, "%s/b", folder);
    snprintf(made, sizeof made, "%s/models/new", folder);
    if (mkdir(listing, 0700) != 0) return -1;
    const int a = open(inside, O_CREAT | O_WRONLY, 0600),
              b = open(outside, O_CREAT | O_WRONLY, 0600);
    return a < 0 || b < 0 || close(a) != 0 || close(b) != 0;
}

static int remove_folders(void **state)
{
    (void)state;
    unlink(inside);
    unlink(outside);
    unlink(made);
    rmdir(listing);
    return rmdir(folder);
}

/* Each gives 0 when it could be done, else errno. */
static int result_of(bool done)
{
    return done ? 0 : errno;
}

static int open_it(const char *path, int flags)
{
    const int fd = open(path, flags | O_CLOEXEC, 0600);
    return result_of(fd >= 0 && close(fd) == 0);
}

static int read_inside(void)
{
    return open_it(inside, O_RDONLY);
}

static int read_outside(void)
{
    return open_it(outside, O_RDONLY);
}

static int read_passwords(void)
{
    return open_it("/etc/passwd", O_RDONLY);
}

static int climb_out(void)
{
    char path[128];
    snprintf(path, sizeof path, "%s/../b", listing);
    return open_it(path, O_RDONLY);
}

static int write_inside(void)
{
    return open_it(inside, O_WRONLY);
}

static int make_a_file(void)
{
    return open_it(made, O_WRONLY | O_CREAT | O_APPEND);
}

static int write_outside(void)
{
    return open_it(outside, O_WRONLY | O_APPEND);
}

static int remove_a_file(void)
{
    return result_of(unlink(inside) == 0);
}

static int start_a_program(void)
{
    char *const words[] = {(char *)"true", NULL};
    execv("/bin/true", words);
    return errno;
}

static int trace_the_parent(void)
{
    return result_of(ptrace(PTRACE_ATTACH, getppid(), NULL, NULL) == 0);
}

static int make_a_process(void)
{
    const pid_t child = fork();
    if (child == 0) _exit(0);
    return result_of(child > 0);
}

static void *idle(void *argument)
{
    return argument;
}

static int make_a_thread(void)
{
    pthread_t thread;
    const int code = pthread_create(&thread, NULL, idle, NULL);
    return code ? code : pthread_join(thread, NULL);
}

static int open_a_socket(void)
{
    return result_of(socket(AF_INET, SOCK_STREAM, 0) >= 0);
}

static int open_a_packet_socket(void)
{
    return result_of(socket(AF_INET, SOCK_DGRAM, 0) >= 0);
}

static int open_a_raw_socket(void)
{
    return result_of(socket(AF_INET, SOCK_RAW, IPPROTO_UDP) >= 0);
}

static int read_hosts(void)
{
    return open_it("/etc/hosts", O_RDONLY);
}

static int open_a_local_socket(void)
{
    return result_of(socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0) >= 0);
}

/* Nobody listens at either port: who may begin a connection is refused by the other side, or has to
 * wait for it. */
static int connect_to(int family, int port)
{
    const struct sockaddr_in v4 = {.sin_family = AF_INET,
                                   .sin_port = htons((uint16_t)port),
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const struct sockaddr_in6 v6 = {.sin6_family = AF_INET6,
                                    .sin6_port = htons((uint16_t)port),
                                    .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    const int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) return errno;
    const int code = family == AF_INET ? connect(fd, (const struct sockaddr *)&v4, sizeof v4)
                                       : connect(fd, (const struct sockaddr *)&v6, sizeof v6);
    if (code == 0 || errno == EINPROGRESS || errno == ECONNREFUSED || errno == EADDRNOTAVAIL) {
        return 0;
    }
    return errno;
}

enum { RECEIVER_PORT = 4318, OTHER_PORT = 4319 };

static int connect_to_the_receiver(void)
{
    return connect_to(AF_INET, RECEIVER_PORT);
}

static int connect_to_the_receiver_by_v6(void)
{
    return connect_to(AF_INET6, RECEIVER_PORT);
}

static int connect_elsewhere(void)
{
    return connect_to(AF_INET, OTHER_PORT);
}

static int signal_the_parent(void)
{
    return result_of(kill(getppid(), 0) == 0);
}

static int make_code(void)
{
    return result_of(mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
                          MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED);
}

static int turn_data_to_code(void)
{
    void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED) return -1;
    return result_of(mprotect(page, 4096, PROT_READ | PROT_EXEC) == 0);
}

static int leave_the_folder(void)
{
    return result_of(chdir("/") == 0);
}

static int allocate_much(void)
{
    void *memory = malloc(100 << 20);
    if (!memory) return ENOMEM;
    memset(memory, 1, 100 << 20);
    free(memory);
    return 0;
}

enum { KILLED = 1000 };

/* The errno of `deed` in a child in the sandbox, KILLED when it was ended for it. `port`: that may
 * be connected to; 0: none; `resolves`: at a name. */
static int try_all(int (*deed)(void), const char *write_folder, int port, bool resolves)
{
    const pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        char report[QN_SANDBOX_REPORT_BYTES];
        const qn_sandbox_request request = {
            .mode = QN_SANDBOX_ON,
            .read_folders = (const char *const[]){listing, "/nowhere", NULL},
            .write_folders = (const char *const[]){write_folder, NULL},
            .connect_ports = &port,
            .n_connect_ports = port > 0,
            .resolves = resolves};
        if (qn_sandbox_enter(&request, report, NULL) != QN_OK) _exit(255);
        _exit(deed());
    }
    int status = 0;
    CHECK(waitpid(child, &status, 0) == child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : KILLED;
}

static int try_with(int (*deed)(void), const char *write_folder, int port)
{
    return try_all(deed, write_folder, port, false);
}

static int try(int (*deed)(void), const char *write_folder)
{
    return try_with(deed, write_folder, 0);
}

/* Where the kernel has not both, there is nothing to try. */
static void in_the_sandbox_little_can_be_done(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        int (*deed)(void);
        int expected; /* -1: any failure */
    } deeds[] = {{"read inside", read_inside, 0},
                 {"make a thread", make_a_thread, 0},
                 {"allocate much", allocate_much, 0},
                 {"read outside", read_outside, -1},
                 {"read passwords", read_passwords, -1},
                 {"climb out", climb_out, -1},
                 {"write inside", write_inside, EPERM},
                 {"make a file", make_a_file, EPERM},
                 {"write outside", write_outside, EPERM},
                 {"remove a file", remove_a_file, EPERM},
                 {"start a program", start_a_program, KILLED},
                 {"trace the parent", trace_the_parent, KILLED},
                 {"make a process", make_a_process, EPERM},
                 {"open a socket", open_a_socket, EPERM},
                 {"connect", connect_to_the_receiver, EPERM},
                 {"signal the parent", signal_the_parent, EPERM},
                 {"make code", make_code, EPERM},
                 {"turn data to code", turn_data_to_code, EPERM},
                 {"leave the folder", leave_the_folder, EPERM}};
    if (try(read_inside, NULL) == 255) {
        print_message("skipped: this kernel has not both landlock and seccomp\n");
        skip();
    }
    for (size_t i = 0; i < sizeof deeds / sizeof *deeds; i++) {
        const int got = try(deeds[i].deed, NULL);
        if (deeds[i].expected < 0 ? got == 0 || got == 255 : got != deeds[i].expected) {
            fail_msg("%s: %d, not %d", deeds[i].name, got, deeds[i].expected);
        }
    }
}

static void an_audit_log_may_be_written_and_nothing_else(void **state)
{
    (void)state;
    if (try(read_inside, NULL) == 255) skip();
    CHECK_INT(try(make_a_file, listing), 0);
    CHECK_INT(try(write_inside, listing), 0);
    CHECK(try(write_outside, listing) != 0);
    CHECK(try(read_outside, listing) != 0);
    CHECK_INT(try(remove_a_file, listing), EPERM);
    CHECK_INT(try(open_a_socket, listing), EPERM);
}

static void traces_may_be_sent_to_their_port_and_nothing_else(void **state)
{
    (void)state;
    if (try(read_inside, NULL) == 255) skip();
    CHECK_INT(try_with(connect_to_the_receiver, NULL, RECEIVER_PORT), 0);
    CHECK_INT(try_with(connect_to_the_receiver_by_v6, NULL, RECEIVER_PORT), 0);
    CHECK_INT(try_with(open_a_packet_socket, NULL, RECEIVER_PORT), EPERM);
    CHECK_INT(try_with(open_a_local_socket, NULL, RECEIVER_PORT), EPERM);
    CHECK_INT(try_with(write_inside, NULL, RECEIVER_PORT), EPERM);
    CHECK_INT(try_with(make_a_process, NULL, RECEIVER_PORT), EPERM);
    if (try_with(connect_elsewhere, NULL, RECEIVER_PORT) == 0) {
        print_message("skipped: this kernel's landlock knows no ports (6.7)\n");
        skip();
    }
    CHECK_INT(try_with(connect_elsewhere, NULL, RECEIVER_PORT), EACCES);
}

static void names_may_be_resolved_where_traces_go_to_one(void **state)
{
    (void)state;
    if (try(read_inside, NULL) == 255) skip();
    CHECK_INT(try_all(open_a_packet_socket, NULL, RECEIVER_PORT, true), 0);
    CHECK_INT(try_all(read_hosts, NULL, RECEIVER_PORT, true), 0);
    CHECK_INT(try_all(connect_to_the_receiver, NULL, RECEIVER_PORT, true), 0);
    CHECK(try_with(read_hosts, NULL, RECEIVER_PORT) != 0);
    CHECK(try_all(read_passwords, NULL, RECEIVER_PORT, true) != 0);
    CHECK_INT(try_all(open_a_raw_socket, NULL, RECEIVER_PORT, true), EPERM);
    CHECK_INT(try_all(open_a_local_socket, NULL, RECEIVER_PORT, true), EPERM);
    CHECK_INT(try_all(write_inside, NULL, RECEIVER_PORT, true), EPERM);
}

static void switched_off_it_is_not_there(void **state)
{
    (void)state;
    char report[QN_SANDBOX_REPORT_BYTES];
    qn_error err = {0};
    const qn_sandbox_request request = {.mode = QN_SANDBOX_OFF};
    CHECK_OK(qn_sandbox_enter(&request, report, &err));
    CHECK_CONTAINS(report, "none: ");
    CHECK_INT(read_outside(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(in_the_sandbox_little_can_be_done), TEST(an_audit_log_may_be_written_and_nothing_else),
        TEST(traces_may_be_sent_to_their_port_and_nothing_else),
        TEST(names_may_be_resolved_where_traces_go_to_one), TEST(switched_off_it_is_not_there)};
    return cmocka_run_group_tests(tests, make_folders, remove_folders);
}
