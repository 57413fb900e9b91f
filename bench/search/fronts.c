/* SPDX-License-Identifier: Apache-2.0 */
/* The hypervolume after some trials on a problem of two or three objectives:
 *
 *     fronts SAMPLER PROBLEM TRIALS SEED      prints a JSON object
 *     fronts - PROBLEM <POINTS                the same of given values, a line of them per trial
 *
 * Problems: zdt1, zdt2, zdt3 (Zitzler, Deb & Thiele 2000) of ten parameters, dtlz2 (Deb et al.
 * 2005) of three objectives and twelve parameters. The reference point is 1.1 in each objective. */
#include "quern/tune.h"
#include "search/study/pareto.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PARAMETERS_MAX = 12, OBJECTIVES_MAX = 3, TRIALS_MAX = 100000 };

static const double pi = 3.14159265358979323846;

static void die(const char *message)
{
    fprintf(stderr, "fronts: %s\n", message);
    exit(1);
}

static double zdt_g(const double *x)
{
    double sum = 0;
    for (int d = 1; d < 10; d++) {
        sum += x[d];
    }
    return 1 + sum;
}

static void zdt1(const double *x, double *values)
{
    const double g = zdt_g(x);
    values[0] = x[0];
    values[1] = g * (1 - sqrt(x[0] / g));
}

static void zdt2(const double *x, double *values)
{
    const double g = zdt_g(x);
    values[0] = x[0];
    values[1] = g * (1 - x[0] / g * (x[0] / g));
}

static void zdt3(const double *x, double *values)
{
    const double g = zdt_g(x);
    values[0] = x[0];
    values[1] = g * (1 - sqrt(x[0] / g) - x[0] / g * sin(10 * pi * x[0]));
}

static void dtlz2(const double *x, double *values)
{
    double g = 1;
    for (int d = 2; d < 12; d++) {
        g += (x[d] - 0.5) * (x[d] - 0.5);
    }
    const double a = x[0] * pi / 2, b = x[1] * pi / 2;
    values[0] = g * cos(a) * cos(b);
    values[1] = g * cos(a) * sin(b);
    values[2] = g * sin(a);
}

struct problem {
    const char *name;
    int n_parameters, n_objectives;
    void (*evaluate)(const double *x, double *values);
};

static const struct problem problems[] = {
    {"zdt1", 10, 2, zdt1}, {"zdt2", 10, 2, zdt2}, {"zdt3", 10, 2, zdt3}, {"dtlz2", 12, 3, dtlz2}};

static const struct problem *find_problem(const char *name)
{
    for (size_t i = 0; i < sizeof problems / sizeof *problems; i++) {
        if (strcmp(problems[i].name, name) == 0) return &problems[i];
    }
    die("problems are zdt1, zdt2, zdt3 and dtlz2");
    return NULL;
}

static double volume_of(const struct problem *problem, const double *values, int64_t n)
{
    static const double reference[OBJECTIVES_MAX] = {1.1, 1.1, 1.1};
    qn_error err = {0};
    double volume;
    if (qn_hypervolume(values, n, problem->n_objectives, reference, &volume, &err)) {
        die(err.message);
    }
    return volume;
}

static void run_trial(qn_study *study, const struct problem *problem, double *values)
{
    qn_error err = {0};
    qn_trial *trial;
    double x[PARAMETERS_MAX];
    if (qn_study_ask(study, &trial, &err)) die(err.message);
    for (int d = 0; d < problem->n_parameters; d++) {
        char name[16];
        snprintf(name, sizeof name, "x%d", d);
        if (qn_trial_float(trial, name, NULL, &x[d], &err)) die(err.message);
    }
    problem->evaluate(x, values);
    if (qn_trial_tell(trial, values, problem->n_objectives, &err)) die(err.message);
}

static double search(const struct problem *problem, const char *sampler, int64_t n, int64_t seed,
                     double *values)
{
    qn_error err = {0};
    qn_study *study;
    char space[1024] = "{parameters: {";
    for (int d = 0; d < problem->n_parameters; d++) {
        const size_t length = strlen(space);
        snprintf(space + length, sizeof space - length, "x%d: {type: float, low: 0, high: 1}%s", d,
                 d + 1 < problem->n_parameters ? ", " : "}}");
    }
    const qn_study_request request = {.space = space,
                                      .sampler = sampler,
                                      .seed = seed,
                                      .n_trials = n,
                                      .objectives = problem->n_objectives == 2
                                                        ? "minimize,minimize"
                                                        : "minimize,minimize,minimize"};
    if (qn_study_open(&request, &study, &err)) die(err.message);
    for (int64_t i = 0; i < n; i++) {
        run_trial(study, problem, values + i * problem->n_objectives);
    }
    qn_study_close(study);
    return volume_of(problem, values, n);
}

int main(int argc, char **argv)
{
    static double values[TRIALS_MAX * OBJECTIVES_MAX];
    const bool reads = argc == 3 && strcmp(argv[1], "-") == 0;
    if (argc != 5 && !reads) die("usage: fronts SAMPLER PROBLEM TRIALS SEED | fronts - PROBLEM");
    const struct problem *problem = find_problem(argv[2]);
    int64_t n = reads ? 0 : atol(argv[3]);
    if (n < 0 || n > TRIALS_MAX) die("too many trials");
    double volume;
    if (reads) {
        while (n < TRIALS_MAX * OBJECTIVES_MAX && scanf("%lf", &values[n]) == 1) {
            n++;
        }
        n /= problem->n_objectives;
        volume = volume_of(problem, values, n);
    } else {
        volume = search(problem, argv[1], n, atol(argv[4]), values);
    }
    printf("{\"sampler\": \"%s\", \"problem\": \"%s\", \"trials\": %ld, \"hypervolume\": %.6f}\n",
           argv[1], argv[2], (long)n, volume);
    return 0;
}
