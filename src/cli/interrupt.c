/* SPDX-License-Identifier: Apache-2.0 */
/* Ctrl-C: work ends with the best so far. */
#include "cli/options.h"

#include <stdatomic.h>
#include <time.h>

/* One Ctrl-C may arrive twice, from the terminal and from a parent that passes it on (timeout,
 * npm): only what comes later is a second one. */
enum { SAME_MS = 500 };

static volatile sig_atomic_t interrupted;
static atomic_llong first_ms; /* 0: none yet */

static void on_interrupt(int signal_number)
{
    struct timespec now;
    long long none = 0;
    clock_gettime(CLOCK_MONOTONIC, &now);
    const long long now_ms = 1 + now.tv_sec * 1000LL + now.tv_nsec / 1000000;
    interrupted = 1;
    if (atomic_compare_exchange_strong(&first_ms, &none, now_ms) || now_ms - none < SAME_MS) return;
    /* What takes too long to wind down can still be stopped. */
    signal(signal_number, SIG_DFL);
    raise(signal_number);
}

const volatile sig_atomic_t *cli_catch_interrupts(void)
{
    signal(SIGINT, on_interrupt);
    signal(SIGTERM, on_interrupt);
    return &interrupted;
}
