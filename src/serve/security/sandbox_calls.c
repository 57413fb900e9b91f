/* SPDX-License-Identifier: Apache-2.0 */
/* Seccomp: a filter of system calls as a program for the kernel's packet filter. */
#include "serve/security/sandbox_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(__x86_64__)
#define ARCHITECTURE AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define ARCHITECTURE AUDIT_ARCH_AARCH64
#endif

#ifndef ARCHITECTURE

const char *qn_sandbox_restrict_calls(const qn_sandbox_request *request)
{
    (void)request;
    return "system calls of this processor are not known";
}

#else

/* (argument & mask) == wanted; a mask of zero: whatever it is. Only the lower half of arguments is
 * looked at: all that are checked are ints or flags. */
struct check {
    int argument;
    uint32_t mask, wanted;
};

enum { CHECKS_MAX = 2 };

/* A call that is allowed if all its checks hold; those without a mask are none. */
struct call {
    uint32_t number;
    struct check checks[CHECKS_MAX];
};

static const struct call allowed[] = {
    /* reading, writing, waiting */
    {.number = SYS_read},
    {.number = SYS_write},
    {.number = SYS_readv},
    {.number = SYS_writev},
    {.number = SYS_pread64},
    {.number = SYS_close},
    {.number = SYS_lseek},
    {.number = SYS_dup3},
    {.number = SYS_ftruncate},
    {.number = SYS_fcntl},
    {.number = SYS_fstat},
    {.number = SYS_newfstatat},
    {.number = SYS_statx},
    {.number = SYS_getdents64},
    {.number = SYS_readlinkat},
    {.number = SYS_epoll_pwait},
    {.number = SYS_epoll_ctl},
    {.number = SYS_ppoll},
    /* connections that come in */
    {.number = SYS_accept4},
    {.number = SYS_recvfrom},
    {.number = SYS_recvmsg},
    {.number = SYS_sendto},
    {.number = SYS_sendmsg},
    {.number = SYS_shutdown},
    {.number = SYS_getsockopt},
    {.number = SYS_setsockopt},
    {.number = SYS_getsockname},
    {.number = SYS_getpeername},
    /* memory that is never code */
    {SYS_mmap, {{2, PROT_EXEC, 0}}},
    {SYS_mprotect, {{2, PROT_EXEC, 0}}},
    {.number = SYS_munmap},
    {.number = SYS_mremap},
    {.number = SYS_madvise},
    {.number = SYS_brk},
    {.number = SYS_membarrier},
    /* threads of this process, and signals to it */
    {SYS_clone, {{0, CLONE_THREAD, CLONE_THREAD}}},
    {.number = SYS_futex},
    {.number = SYS_set_robust_list},
    {.number = SYS_rseq},
    {.number = SYS_sched_yield},
    {SYS_setpriority, {{1, UINT32_MAX, 0}}}, /* of the calling thread; only to lower it */
    {.number = SYS_sched_getaffinity},
    {.number = SYS_rt_sigaction},
    {.number = SYS_rt_sigprocmask},
    {.number = SYS_rt_sigreturn},
    {.number = SYS_rt_sigtimedwait},
    {.number = SYS_sigaltstack},
    {.number = SYS_restart_syscall},
    {.number = SYS_exit},
    {.number = SYS_exit_group},
    /* who and when */
    {.number = SYS_getpid},
    {.number = SYS_gettid},
    {.number = SYS_getuid},
    {.number = SYS_geteuid},
    {.number = SYS_getrandom},
    {.number = SYS_getrusage},
    {.number = SYS_sysinfo},
    {.number = SYS_uname},
    {.number = SYS_clock_gettime},
    {.number = SYS_clock_getres},
    {.number = SYS_clock_nanosleep},
    {.number = SYS_nanosleep},
    {.number = SYS_gettimeofday},
#if defined(__x86_64__) /* calls that newer processors no longer have */
    {.number = SYS_epoll_wait},
    {.number = SYS_poll},
    {.number = SYS_stat},
    {.number = SYS_time},
#endif
};

/* To put a file in the place of another (qn_file_write()). */
static const struct call replacing[] = {
    {.number = SYS_fsync},     {.number = SYS_fchmod},   {.number = SYS_umask},
    {.number = SYS_renameat2}, {.number = SYS_unlinkat},
#if defined(__x86_64__)
    {.number = SYS_rename},    {.number = SYS_unlink},
#endif
#if defined(SYS_renameat)
    {.number = SYS_renameat},
#endif
};

/* To begin TCP connections. The two families differ in one bit, which may be either; what address a
 * connection goes to stands in memory, where a filter cannot look: ports are landlock's. */
static const struct call connecting[] = {
    {SYS_socket,
     {{0, ~(uint32_t)(AF_INET ^ AF_INET6), AF_INET &AF_INET6},
      {1, UINT32_MAX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC}}},
    {.number = SYS_connect},
};

/* To resolve names: datagrams to name servers, and TCP for answers that are too long. */
static const struct call resolving[] = {
    {SYS_socket,
     {{0, ~(uint32_t)(AF_INET ^ AF_INET6), AF_INET &AF_INET6},
      {1, ~(uint32_t)(SOCK_NONBLOCK | SOCK_CLOEXEC), SOCK_DGRAM}}},
    {SYS_socket,
     {{0, ~(uint32_t)(AF_INET ^ AF_INET6), AF_INET &AF_INET6},
      {1, UINT32_MAX, SOCK_STREAM | SOCK_CLOEXEC}}},
    {.number = SYS_sendmmsg},
    {SYS_ioctl, {{1, UINT32_MAX, FIONREAD}}},
};

/* What no server does by mistake. */
static const uint32_t deadly[] = {SYS_execve, SYS_execveat, SYS_ptrace, SYS_process_vm_writev};

enum {
    N_ALLOWED = sizeof allowed / sizeof *allowed,
    N_REPLACING = sizeof replacing / sizeof *replacing,
    N_CONNECTING = sizeof connecting / sizeof *connecting,
    N_RESOLVING = sizeof resolving / sizeof *resolving,
    N_DEADLY = sizeof deadly / sizeof *deadly,
    CHECK_STEPS = 3,
    CALL_STEPS = 3 + CHECKS_MAX * CHECK_STEPS, /* of one call, at most */
    STEPS_MAX =
        16 + 2 * N_DEADLY + CALL_STEPS * (N_ALLOWED + N_REPLACING + N_CONNECTING + N_RESOLVING + 2)
};

struct program {
    struct sock_filter steps[STEPS_MAX];
    unsigned short n;
};

#define OFFSET_NUMBER ((uint32_t)offsetof(struct seccomp_data, nr))
#define OFFSET_ARCHITECTURE ((uint32_t)offsetof(struct seccomp_data, arch))
#define OFFSET_ARGUMENT(i) ((uint32_t)(offsetof(struct seccomp_data, args) + 8 * (size_t)(i)))

static void step(struct program *p, uint16_t code, uint32_t value, uint8_t if_true,
                 uint8_t if_false)
{
    p->steps[p->n++] = (struct sock_filter){code, if_true, if_false, value};
}

static void load(struct program *p, uint32_t offset)
{
    step(p, BPF_LD | BPF_W | BPF_ABS, offset, 0, 0);
}

static void end(struct program *p, uint32_t action)
{
    step(p, BPF_RET | BPF_K, action, 0, 0);
}

/* Unless the accumulator is `value`, passes over the next `n` steps. */
static void only_if(struct program *p, uint32_t value, uint8_t n)
{
    step(p, BPF_JMP | BPF_JEQ | BPF_K, value, 0, n);
}

static int count_checks(const struct call *call)
{
    int n = 0;
    while (n < CHECKS_MAX && call->checks[n].mask != 0) {
        n++;
    }
    return n;
}

/* The accumulator holds the call's number; when the call is another one, or not allowed by this, it
 * still does. */
static void add_call(struct program *p, const struct call *call)
{
    const int n = count_checks(call);
    only_if(p, call->number, (uint8_t)(n == 0 ? 1 : n * CHECK_STEPS + 2));
    for (int i = 0; i < n; i++) { /* the lower halves: both processors are little-endian */
        load(p, OFFSET_ARGUMENT(call->checks[i].argument));
        step(p, BPF_ALU | BPF_AND | BPF_K, call->checks[i].mask, 0, 0);
        only_if(p, call->checks[i].wanted, (uint8_t)((n - 1 - i) * CHECK_STEPS + 1));
    }
    end(p, SECCOMP_RET_ALLOW);
    if (n > 0) load(p, OFFSET_NUMBER);
}

static void add_calls(struct program *p, const struct call *calls, int n)
{
    for (int i = 0; i < n; i++) {
        add_call(p, &calls[i]);
    }
}

static bool is_any(const char *const *folders)
{
    return folders && folders[0];
}

static void write_program(struct program *p, const qn_sandbox_request *request)
{
    const bool may_replace = is_any(request->replace_folders);
    const bool may_write =
        may_replace || is_any(request->write_folders); /* to replace is to write */
    const uint32_t write_flags = O_ACCMODE | O_CREAT | O_TRUNC;
    const struct call open_call = {SYS_openat, {{2, may_write ? 0 : write_flags, O_RDONLY}}};
    const struct call own_signal = {SYS_tgkill,
                                    {{0, UINT32_MAX, (uint32_t)getpid()}}}; /* abort() */
    load(p, OFFSET_ARCHITECTURE);
    step(p, BPF_JMP | BPF_JEQ | BPF_K, ARCHITECTURE, 1, 0);
    end(p, SECCOMP_RET_KILL_PROCESS);
    load(p, OFFSET_NUMBER);
    for (int i = 0; i < N_DEADLY; i++) {
        only_if(p, deadly[i], 1);
        end(p, SECCOMP_RET_KILL_PROCESS);
    }
    /* Its flags are in memory, where a filter cannot look; the C library then takes clone. */
    only_if(p, SYS_clone3, 1);
    end(p, SECCOMP_RET_ERRNO | ENOSYS);
    add_calls(p, allowed, N_ALLOWED);
    if (may_replace) add_calls(p, replacing, N_REPLACING);
    if (request->n_connect_ports > 0) add_calls(p, connecting, N_CONNECTING);
    if (request->resolves) add_calls(p, resolving, N_RESOLVING);
    add_call(p, &open_call);
    add_call(p, &own_signal);
    end(p, SECCOMP_RET_ERRNO | EPERM);
}

const char *qn_sandbox_restrict_calls(const qn_sandbox_request *request)
{
    struct program program = {.n = 0};
    write_program(&program, request);
    const struct sock_fprog filter = {program.n, program.steps};
    return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &filter) == 0
               ? NULL
               : "seccomp is not offered";
}

#endif
