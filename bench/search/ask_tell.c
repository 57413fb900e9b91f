/* SPDX-License-Identifier: Apache-2.0 */
/* Time of ask + tell, and the best value found: ask_tell SAMPLER FUNCTION TRIALS SEED [WINDOW
 * [STOP_GAIN]]. Prints one JSON object: CPU milliseconds per trial over the last WINDOW trials
 * (default 100), the best value, and the trials done, fewer where STOP_GAIN has ended them.
 * Functions: mixed10 (10 parameters of all kinds), branin, hartmann6, rosenbrock10, ackley10,
 * conditional. */
#include "base/clock.h"
#include "quern/tune.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void die(const qn_error *err)
{
    fprintf(stderr, "ask_tell: %s\n", err->message);
    exit(1);
}

static double number(qn_trial *trial, const char *name)
{
    qn_error err = {0};
    double x = 0;
    if (qn_trial_float(trial, name, NULL, &x, &err)) die(&err);
    return x;
}

static double whole(qn_trial *trial, const char *name)
{
    qn_error err = {0};
    int64_t k = 0;
    if (qn_trial_int(trial, name, NULL, &k, &err)) die(&err);
    return (double)k;
}

static double choice(qn_trial *trial, const char *name)
{
    qn_error err = {0};
    int64_t k = 0;
    if (qn_trial_choice(trial, name, NULL, &k, &err)) die(&err);
    return (double)k;
}

static void numbers(qn_trial *trial, int n, double *x)
{
    for (int i = 0; i < n; i++) {
        x[i] = number(
            trial, (const char *[]){"x0", "x1", "x2", "x3", "x4", "x5", "x6", "x7", "x8", "x9"}[i]);
    }
}

static double branin(qn_trial *trial)
{
    double x[2];
    numbers(trial, 2, x);
    const double a = x[0] - 5, pi = 3.14159265358979;
    const double u = x[1] - 5.1 * a * a / (4 * pi * pi) + 5 * a / pi - 6;
    return u * u + 10 * (1 - 1 / (8 * pi)) * cos(a) + 10;
}

static double hartmann6(qn_trial *trial)
{
    static const double alpha[4] = {1.0, 1.2, 3.0, 3.2};
    static const double a[4][6] = {{10, 3, 17, 3.5, 1.7, 8},
                                   {0.05, 10, 17, 0.1, 8, 14},
                                   {3, 3.5, 1.7, 10, 17, 8},
                                   {17, 8, 0.05, 10, 0.1, 14}};
    static const double p[4][6] = {{0.1312, 0.1696, 0.5569, 0.0124, 0.8283, 0.5886},
                                   {0.2329, 0.4135, 0.8307, 0.3736, 0.1004, 0.9991},
                                   {0.2348, 0.1451, 0.3522, 0.2883, 0.3047, 0.6650},
                                   {0.4047, 0.8828, 0.8732, 0.5743, 0.1091, 0.0381}};
    double x[6], sum = 0;
    numbers(trial, 6, x);
    for (int i = 0; i < 4; i++) {
        double inner = 0;
        for (int j = 0; j < 6; j++) {
            inner += a[i][j] * (x[j] - p[i][j]) * (x[j] - p[i][j]);
        }
        sum += alpha[i] * exp(-inner);
    }
    return -sum;
}

static double rosenbrock10(qn_trial *trial)
{
    double x[10], sum = 0;
    numbers(trial, 10, x);
    for (int i = 0; i < 9; i++) {
        const double a = x[i + 1] - x[i] * x[i], b = 1 - x[i];
        sum += 100 * a * a + b * b;
    }
    return sum;
}

static double ackley10(qn_trial *trial)
{
    double x[10], squares = 0, waves = 0;
    numbers(trial, 10, x);
    for (int i = 0; i < 10; i++) {
        squares += x[i] * x[i];
        waves += cos(6.283185307179586 * x[i]);
    }
    return -20 * exp(-0.2 * sqrt(squares / 10)) - exp(waves / 10) + 20 + 2.718281828459045;
}

/* Three kinds of model, each with parameters of its own; the best is a tuned "c". */
static double conditional(qn_trial *trial)
{
    const double kind = choice(trial, "kind");
    if (kind == 0) {
        const double x = number(trial, "a_x");
        return 1 + x * x;
    }
    if (kind == 1) {
        const double n = whole(trial, "b_n"), x = number(trial, "b_x");
        return 0.6 + fabs(log(n / 16)) + 4 * (x - 0.3) * (x - 0.3);
    }
    const double u = log10(number(trial, "c_rate")) + 2.5, v = (whole(trial, "c_depth") - 7) / 4;
    const double w = number(trial, "c_share") - 0.6;
    return u * u + v * v + 3 * w * w + u * v;
}

static double mixed10(qn_trial *trial)
{
    double sum = 0;
    bool flag;
    qn_error err = {0};
    for (int i = 0; i < 3; i++) {
        const double x = number(trial, (const char *[]){"f0", "f1", "f2"}[i]);
        sum += (x - 0.3) * (x - 0.3);
    }
    if (qn_trial_bool(trial, "flag", &flag, &err)) die(&err);
    sum += 0.1 * pow(log10(number(trial, "rate")) + 2, 2);
    sum += 0.1 * pow(log2(whole(trial, "leaves") / 64), 2);
    sum += 0.01 * pow(whole(trial, "depth") - 7, 2);
    sum += 1e-5 * pow(whole(trial, "batch") - 128, 2);
    sum += 0.2 * fabs(choice(trial, "three") - 1) + 0.1 * fabs(choice(trial, "five") - 3);
    return sum + 0.1 * flag;
}

#define FLOAT(name, low, high) name ": {type: float, low: " low ", high: " high "}, "

static const struct {
    const char *name;
    double (*value)(qn_trial *trial);
    const char *parameters;
} functions[] = {
    {"branin", branin, FLOAT("x0", "0", "15") FLOAT("x1", "0", "15")},
    {"hartmann6", hartmann6,
     FLOAT("x0", "0", "1") FLOAT("x1", "0", "1") FLOAT("x2", "0", "1") FLOAT("x3", "0", "1")
         FLOAT("x4", "0", "1") FLOAT("x5", "0", "1")},
    {"rosenbrock10", rosenbrock10,
     FLOAT("x0", "-5", "10") FLOAT("x1", "-5", "10") FLOAT("x2", "-5", "10") FLOAT("x3", "-5", "10")
         FLOAT("x4", "-5", "10") FLOAT("x5", "-5", "10") FLOAT("x6", "-5", "10")
             FLOAT("x7", "-5", "10") FLOAT("x8", "-5", "10") FLOAT("x9", "-5", "10")},
    {"ackley10", ackley10,
     FLOAT("x0", "-20", "40") FLOAT("x1", "-20", "40") FLOAT("x2", "-20", "40")
         FLOAT("x3", "-20", "40") FLOAT("x4", "-20", "40") FLOAT("x5", "-20", "40")
             FLOAT("x6", "-20", "40") FLOAT("x7", "-20", "40") FLOAT("x8", "-20", "40")
                 FLOAT("x9", "-20", "40")},
    {"conditional", conditional,
     "kind: {type: categorical, choices: [a, b, c]}, "
     "a_x: {type: float, low: -5, high: 5, when: {kind: a}}, "
     "b_n: {type: int, low: 1, high: 64, log: true, when: {kind: b}}, "
     "b_x: {type: float, low: 0, high: 1, when: {kind: b}}, "
     "c_rate: {type: float, low: 1e-5, high: 1, log: true, when: {kind: c}}, "
     "c_depth: {type: int, low: 1, high: 12, when: {kind: c}}, "
     "c_share: {type: float, low: 0.1, high: 1, when: {kind: c}}"},
    {"mixed10", mixed10,
     FLOAT("f0", "0", "1") FLOAT("f1", "0", "1") FLOAT(
         "f2", "0", "1") "flag: {type: bool}, rate: {type: float, low: 1e-5, high: 1, log: true}, "
                         "leaves: {type: int, low: 2, high: 1024, log: true}, depth: {type: int, "
                         "low: 1, high: 15}, "
                         "batch: {type: int, low: 16, high: 512, step: 16}, "
                         "three: {type: categorical, choices: [a, b, c]}, "
                         "five: {type: categorical, choices: [a, b, c, d, e]}"},
};

int main(int argc, char **argv)
{
    if (argc < 5) {
        fputs("usage: ask_tell SAMPLER FUNCTION TRIALS SEED [WINDOW [STOP_GAIN]]\n", stderr);
        return 2;
    }
    const long n_trials = atol(argv[3]), window = argc > 5 ? atol(argv[5]) : 100;
    size_t f = 0;
    while (f < sizeof functions / sizeof *functions && strcmp(functions[f].name, argv[2]) != 0) {
        f++;
    }
    if (f == sizeof functions / sizeof *functions) return 2;
    qn_error err = {0};
    qn_study *study;
    char space[1024];
    snprintf(space, sizeof space, "{parameters: {%s}}", functions[f].parameters);
    const qn_study_request request = {.space = space,
                                      .sampler = argv[1],
                                      .seed = atol(argv[4]),
                                      .n_trials = n_trials,
                                      .stop_gain = argc > 6 ? atof(argv[6]) : 0};
    if (qn_study_open(&request, &study, &err)) die(&err);
    double best = 1e300, begun_s = qn_clock_cpu_s();
    long i = 0;
    for (; i < n_trials; i++) {
        qn_trial *trial;
        if (i == n_trials - window) begun_s = qn_clock_cpu_s();
        if (qn_study_ask(study, &trial, &err)) die(&err);
        if (!trial) break;
        const double value = functions[f].value(trial);
        if (qn_trial_tell(trial, &value, 1, &err)) die(&err);
        best = fmin(best, value);
    }
    const double spent_s = qn_clock_cpu_s() - begun_s;
    printf("{\"sampler\": \"%s\", \"function\": \"%s\", \"trials\": %ld, \"ms_per_trial\": %.5f, "
           "\"best\": %.9g}\n",
           argv[1], argv[2], i, 1e3 * spent_s / (double)window, best);
    qn_study_close(study);
    return 0;
}
