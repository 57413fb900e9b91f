/* SPDX-License-Identifier: Apache-2.0 */
/* Ctrl-C: work ends with the best so far. */
#include "cli/options.h"

static volatile sig_atomic_t interrupted;

static void on_interrupt(int signal_number)
{
    interrupted = 1;
    /* The next one ends the program: what takes too long to wind down can still be stopped. */
    signal(signal_number, SIG_DFL);
}

const volatile sig_atomic_t *cli_catch_interrupts(void)
{
    signal(SIGINT, on_interrupt);
    signal(SIGTERM, on_interrupt);
    return &interrupted;
}
