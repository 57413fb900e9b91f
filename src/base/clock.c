/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"

#include <stddef.h>
#include <time.h>

static double seconds_of(clockid_t id)
{
    struct timespec now;
    clock_gettime(id, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

double qn_clock_s(void)
{
    return seconds_of(CLOCK_MONOTONIC);
}

double qn_clock_cpu_s(void)
{
    return seconds_of(CLOCK_THREAD_CPUTIME_ID);
}

int64_t qn_clock_utc_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

bool qn_stop_interrupted(const qn_stop *stop)
{
    return stop && stop->interrupted && *stop->interrupted;
}

bool qn_stop_requested(const qn_stop *stop)
{
    if (!stop) return false;
    return qn_stop_interrupted(stop) || (stop->deadline_s > 0 && qn_clock_s() >= stop->deadline_s);
}
