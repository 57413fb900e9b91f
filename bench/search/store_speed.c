/* SPDX-License-Identifier: Apache-2.0 */
/* Stores, ten parameters, wall-clock times, one JSON object:
 *
 *   store_speed tell URL THREADS N   random ask + tell by threads that share a study: milliseconds
 *                                    of a tell, and of ask + tell, per trial
 *   store_speed work URL N           the same by one process among several, until the study has N
 *                                    trials; prints the numbers of those it ran
 *   store_speed fill URL N           a study of N trials told without waiting for the disk
 *   store_speed open URL [SAMPLER]   milliseconds, of the clock and of CPU, to open it again with
 * this sampler or the one it has, and to ask for the next trial */
#include "base/clock.h"
#include "search/study/study.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char space[] =
    "{parameters: {a: {type: float, low: 0, high: 1}, b: {type: float, low: 0, high: 1},"
    " c: {type: float, low: 1.0e-4, high: 1, log: true}, d: {type: float, low: -1, high: 1},"
    " e: {type: int, low: 1, high: 100}, f: {type: int, low: 1, high: 1000, log: true},"
    " g: {type: int, low: 0, high: 9}, h: {type: categorical, choices: [x, y, z]},"
    " i: {type: categorical, choices: [p, q]}, j: {type: bool}}}";

static void die(const qn_error *err)
{
    fprintf(stderr, "store_speed: %s\n", err->message);
    exit(1);
}

static qn_study *open_study(const char *url, const char *sampler)
{
    qn_error err = {0};
    qn_study *study;
    if (qn_study_open(
            &(qn_study_request){
                .space = sampler ? space : NULL, .sampler = sampler, .store = url, .name = "speed"},
            &study, &err)) {
        die(&err);
    }
    return study;
}

static void open_again(const char *url, const char *sampler)
{
    qn_error err = {0};
    qn_trial *trial;
    const double begun_s = qn_clock_s(), begun_cpu_s = qn_clock_cpu_s();
    qn_study *study = open_study(url, sampler);
    const double opened_s = qn_clock_s(), opened_cpu_s = qn_clock_cpu_s();
    if (qn_study_ask(study, &trial, &err)) die(&err);
    printf("{\"trials\": %lld, \"open_ms\": %.1f, \"open_cpu_ms\": %.1f, \"ask_ms\": %.1f}\n",
           (long long)qn_study_history(study)->n_trials, 1e3 * (opened_s - begun_s),
           1e3 * (opened_cpu_s - begun_cpu_s), 1e3 * (qn_clock_s() - opened_s));
    if (qn_trial_retry(trial, &err)) die(&err);
    qn_study_close(study);
}

struct teller {
    pthread_t thread;
    qn_study *study;
    int64_t n_max, n;
    double tell_s;
    bool prints;
};

static void *run(void *argument)
{
    struct teller *teller = argument;
    qn_error err = {0};
    for (;;) {
        qn_trial *trial;
        if (qn_study_ask_below(teller->study, teller->n_max, &trial, &err)) die(&err);
        if (!trial) return NULL;
        const double begun_s = qn_clock_s();
        if (teller->prints) printf("%lld\n", (long long)qn_trial_number(trial));
        if (qn_trial_tell(trial, &(double){(double)qn_trial_number(trial)}, 1, &err)) die(&err);
        teller->tell_s += qn_clock_s() - begun_s;
        teller->n++;
    }
}

static void tell(const char *url, int n_threads, int64_t n)
{
    struct teller tellers[64] = {0};
    qn_study *study = open_study(url, "random");
    double tell_s = 0;
    const int64_t before = qn_study_history(study)->n_trials;
    const double begun_s = qn_clock_s();
    for (int i = 0; i < n_threads; i++) {
        tellers[i] = (struct teller){.study = study, .n_max = before + n};
        pthread_create(&tellers[i].thread, NULL, run, &tellers[i]);
    }
    for (int i = 0; i < n_threads; i++) {
        pthread_join(tellers[i].thread, NULL);
        tell_s += tellers[i].tell_s;
    }
    const double seconds = qn_clock_s() - begun_s;
    printf("{\"threads\": %d, \"trials\": %lld, \"tell_waits_ms\": %.4f, \"trial_ms\": %.4f}\n",
           n_threads, (long long)n, 1e3 * tell_s / (double)n, 1e3 * seconds / (double)n);
    qn_study_close(study);
}

int main(int argc, char **argv)
{
    const char *what = argc > 2 ? argv[1] : "";
    const int64_t n = argc > 3 ? atoll(argv[argc - 1]) : 0;
    if (strcmp(what, "tell") == 0 && argc == 5) {
        tell(argv[2], atoi(argv[3]) < 64 ? atoi(argv[3]) : 64, n);
    } else if (strcmp(what, "work") == 0 && argc == 4) {
        struct teller teller = {.study = open_study(argv[2], "random"), .n_max = n, .prints = true};
        run(&teller);
        qn_study_close(teller.study);
    } else if (strcmp(what, "fill") == 0 && argc == 4) {
        tell(argv[2], 1, n);
    } else if (strcmp(what, "open") == 0 && (argc == 3 || argc == 4)) {
        open_again(argv[2], argc > 3 ? argv[3] : NULL);
    } else {
        fputs("usage: store_speed tell URL THREADS N | work URL N | fill URL N | open URL "
              "[SAMPLER]\n",
              stderr);
        return 2;
    }
    return 0;
}
