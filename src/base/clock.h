/* SPDX-License-Identifier: Apache-2.0 */
/* Time, and when to stop: a deadline plus a flag that a signal handler may set. Long loops ask
 * qn_stop_requested() between steps; time only ever ends work, it never chooses its arithmetic.
 *
 * Threads: a qn_stop may be asked from any thread. */
#ifndef QN_BASE_CLOCK_H
#define QN_BASE_CLOCK_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

double qn_clock_s(void);       /* monotonic seconds */
int64_t qn_clock_utc_us(void); /* since 1970, by the wall clock: for what outlives the process */
double qn_clock_cpu_s(void);   /* CPU seconds of the calling thread */

typedef struct qn_stop {
    double deadline_s;                        /* on qn_clock_s(); 0 = none */
    const volatile sig_atomic_t *interrupted; /* may be NULL */
} qn_stop;

/* `stop` may be NULL: never. */
bool qn_stop_requested(const qn_stop *stop);
/* True when the flag, not the deadline, asks to stop. */
bool qn_stop_interrupted(const qn_stop *stop);

#endif
