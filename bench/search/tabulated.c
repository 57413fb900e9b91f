/* SPDX-License-Identifier: Apache-2.0 */
/* A search over a task of tables/: tabulated SAMPLER PRUNER TABLE TRIALS SEED; PRUNER may be
 * "none". A trial is the setting of the table nearest to it on the unit cube; it reports every loss
 * of its curve. Prints one JSON object: the best last loss of a whole trial, and the cost: steps
 * done, of those that whole trials would have taken. */
#include "base/alloc.h"
#include "base/file.h"
#include "search/study.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { N_STEPS = 27 };

struct table {
    char *space;
    int64_t n_params, n_rows;
    double *numbers; /* [n_rows][n_params + N_STEPS] */
};

static void die(const char *message)
{
    fprintf(stderr, "tabulated: %s\n", message);
    exit(1);
}

static char *next_line(char **at)
{
    char *line = *at, *end = strchr(line, '\n');
    if (!end) return NULL;
    *end = '\0';
    *at = end + 1;
    return line;
}

static int64_t count(const char *text, char what)
{
    int64_t n = 0;
    for (; *text; text++) {
        n += *text == what;
    }
    return n;
}

/* `text` becomes the table's. */
static struct table read_table(char *text)
{
    char *line = next_line(&text);
    if (!line || strncmp(line, "# ", 2) != 0) die("a table begins with '# ' and a space");
    struct table table = {.space = line + 2};
    const int64_t n_rows = count(text, '\n'), n_numbers = count(text, ',') + n_rows;
    if (n_rows == 0 || n_numbers % n_rows != 0) die("lines differ in length");
    table.n_rows = n_rows;
    table.n_params = n_numbers / n_rows - N_STEPS;
    table.numbers = qn_alloc_array(n_numbers, sizeof *table.numbers);
    if (!table.numbers || table.n_params < 1) die("no memory, or no parameters");
    char *at = text;
    for (int64_t i = 0; i < n_numbers; i++) {
        table.numbers[i] = strtod(at, &at);
        if (*at) at++;
    }
    return table;
}

/* The curve of the setting nearest to a trial's. */
static const double *curve_of(const struct table *table, const qn_space *space,
                              const double *values)
{
    const double *nearest = NULL;
    double least = INFINITY;
    for (int64_t row = 0; row < table->n_rows; row++) {
        const double *units = table->numbers + row * (table->n_params + N_STEPS);
        double distance = 0;
        for (int64_t at = 0; at < table->n_params; at++) {
            const double unit = qn_parameter_to_unit(&space->parameters[at], values[at]);
            distance += (unit - units[at]) * (unit - units[at]);
        }
        if (distance >= least) continue;
        least = distance;
        nearest = units + table->n_params;
    }
    return nearest;
}

/* Returns the steps done; the last loss in *loss, INFINITY when the trial was stopped. */
static int64_t evaluate(qn_study *study, qn_trial *trial, const struct table *table, double *loss)
{
    qn_error err = {0};
    const double *curve =
        curve_of(table, qn_study_space(study), qn_trial_get_record(trial)->values);
    *loss = INFINITY;
    for (int64_t step = 1; step <= N_STEPS; step++) {
        bool prune = false;
        if (qn_trial_report(trial, step, curve[step - 1], &prune, &err)) die(err.message);
        if (!prune || step == N_STEPS) continue;
        if (qn_trial_prune(trial, &err)) die(err.message);
        return step;
    }
    *loss = curve[N_STEPS - 1];
    if (qn_trial_tell(trial, loss, 1, &err)) die(err.message);
    return N_STEPS;
}

int main(int argc, char **argv)
{
    if (argc != 6) {
        fputs("usage: tabulated SAMPLER PRUNER TABLE TRIALS SEED\n", stderr);
        return 2;
    }
    qn_error err = {0};
    qn_file_map map;
    if (qn_file_map_open(argv[3], &map, &err)) die(err.message);
    char *text = qn_alloc_array(map.bytes + 1, 1);
    if (!text) die("no memory");
    memcpy(text, map.data, map.bytes);
    qn_file_unmap(&map);
    struct table table = read_table(text);
    const int64_t n_trials = atol(argv[4]);
    const bool prunes = strcmp(argv[2], "none") != 0;
    qn_study *study;
    const qn_study_request request = {.space = table.space,
                                      .sampler = argv[1],
                                      .pruner = prunes ? argv[2] : NULL,
                                      .seed = atol(argv[5]),
                                      .n_trials = n_trials};
    if (qn_study_open(&request, &study, &err)) die(err.message);
    double best = INFINITY, loss;
    int64_t n_steps = 0;
    for (int64_t i = 0; i < n_trials; i++) {
        qn_trial *trial;
        if (qn_study_ask(study, &trial, &err)) die(err.message);
        if (!trial) break;
        n_steps += evaluate(study, trial, &table, &loss);
        best = fmin(best, loss);
    }
    printf("{\"sampler\": \"%s\", \"pruner\": \"%s\", \"best\": %.4f, \"cost\": %.4f}\n", argv[1],
           argv[2], best, (double)n_steps / (double)(n_trials * N_STEPS));
    qn_study_close(study);
    qn_free(table.numbers);
    qn_free(text);
    return 0;
}
