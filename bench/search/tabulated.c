/* SPDX-License-Identifier: Apache-2.0 */
/* A search over a task of tables/:
 *
 *     tabulated SAMPLER PRUNER TABLE TRIALS SEED [BUDGET | trace]
 *
 * PRUNER may be "none". A trial is the setting of the table nearest to it on the unit cube, where
 * different choices are 1 apart; it reports every loss of its curve. The search ends after TRIALS,
 * or as soon as it has cost as much as BUDGET whole trials. Steps of rows begin anew each time, so
 * that a trial costs the sum of those at which it may be stopped; the last one alone when nothing
 * is pruned.
 *
 * Prints one JSON object: the best last loss of a whole trial, the number of trials, and their cost
 * in whole trials. With "trace", each trial's parameters and loss come before, a line of JSON. */
#include "base/alloc.h"
#include "base/file.h"
#include "base/json.h"
#include "base/str.h"
#include "search/study/study.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { STEPS_MAX = 64 };

struct table {
    char *space;
    bool begins_anew; /* at each step */
    int64_t steps[STEPS_MAX], n_steps;
    int64_t n_params, n_rows;
    double *numbers; /* [n_rows][n_params + n_steps] */
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

/* "x,y,rows 1,rows 27": parameters, then steps with their unit. */
static void read_names(char *line, struct table *table)
{
    for (char *name = strtok(line, ","); name; name = strtok(NULL, ",")) {
        const char *step = strchr(name, ' ');
        table->n_params += !step;
        if (!step) continue;
        if (table->n_steps == STEPS_MAX) die("too many steps");
        table->begins_anew = strncmp(name, "rows ", 5) == 0;
        table->steps[table->n_steps++] = atol(step);
    }
    if (table->n_params == 0 || table->n_steps == 0) die("no parameters or no steps");
}

/* `text` becomes the table's. */
static struct table read_table(char *text)
{
    char *line = next_line(&text), *names = line ? next_line(&text) : NULL;
    if (!names || strncmp(line, "# ", 2) != 0) die("a table begins with '# ', a space and names");
    struct table table = {.space = line + 2};
    read_names(names, &table);
    const int64_t n_columns = table.n_params + table.n_steps;
    table.n_rows = count(text, '\n');
    if (count(text, ',') != table.n_rows * (n_columns - 1)) die("lines differ in length");
    table.numbers = qn_alloc_array(table.n_rows * n_columns, sizeof *table.numbers);
    if (!table.numbers) die("no memory");
    char *at = text;
    for (int64_t i = 0; i < table.n_rows * n_columns; i++) {
        table.numbers[i] = strtod(at, &at);
        if (*at) at++;
    }
    return table;
}

static double difference(const qn_parameter *parameter, double value, double unit)
{
    if (!qn_parameter_is_unordered(parameter)) {
        return qn_parameter_to_unit(parameter, value) - unit;
    }
    return value != qn_parameter_from_unit(parameter, unit);
}

/* The curve of the setting nearest to a trial's. */
static const double *curve_of(const struct table *table, const qn_space *space,
                              const double *values)
{
    const double *nearest = NULL;
    double least = INFINITY;
    for (int64_t row = 0; row < table->n_rows; row++) {
        const double *units = table->numbers + row * (table->n_params + table->n_steps);
        double distance = 0;
        for (int64_t at = 0; at < table->n_params; at++) {
            const double d = difference(&space->parameters[at], values[at], units[at]);
            distance += d * d;
        }
        if (distance >= least) continue;
        least = distance;
        nearest = units + table->n_params;
    }
    return nearest;
}

/* Returns the cost; the last loss in *loss, INFINITY when the trial was stopped. */
static double evaluate(qn_study *study, qn_trial *trial, const struct table *table, bool prunes,
                       double *loss)
{
    qn_error err = {0};
    const double *curve =
        curve_of(table, qn_study_space(study), qn_trial_get_record(trial)->values);
    const int64_t last = table->n_steps - 1;
    const double whole = (double)table->steps[last];
    double done = 0;
    *loss = INFINITY;
    for (int64_t k = prunes ? 0 : last; k <= last; k++) {
        bool prune = false;
        if (table->begins_anew && k < last && table->steps[k] < qn_trial_next_look(trial)) continue;
        done = (double)table->steps[k] + (table->begins_anew ? done : 0);
        if (qn_trial_report(trial, table->steps[k], curve[k], &prune, &err)) die(err.message);
        if (!prune || k == last) continue;
        if (qn_trial_prune(trial, &err)) die(err.message);
        return done / whole;
    }
    *loss = curve[last];
    if (qn_trial_tell(trial, loss, 1, &err)) die(err.message);
    return done / whole;
}

static struct table open_table(const char *path)
{
    qn_error err = {0};
    qn_file_map map;
    if (qn_file_map_open(path, &map, &err)) die(err.message);
    char *text = qn_alloc_array(map.bytes + 1, 1);
    if (!text) die("no memory");
    memcpy(text, map.data, map.bytes);
    qn_file_unmap(&map);
    return read_table(text);
}

static void print_trial(qn_study *study, const qn_trial_record *record, double loss)
{
    qn_str text = {0};
    qn_json_writer json = {.out = &text};
    qn_space_write_values(qn_study_space(study), record->values, &json);
    char *params = qn_str_take_text(&text);
    if (!params) die("no memory");
    printf("{\"params\": %s, \"loss\": %.17g}\n", params, loss);
    qn_free(params);
}

int main(int argc, char **argv)
{
    if (argc != 6 && argc != 7) {
        fputs("usage: tabulated SAMPLER PRUNER TABLE TRIALS SEED [BUDGET | trace]\n", stderr);
        return 2;
    }
    qn_error err = {0};
    struct table table = open_table(argv[3]);
    const int64_t n_trials = atol(argv[4]);
    const bool prunes = strcmp(argv[2], "none") != 0;
    const bool traces = argc == 7 && strcmp(argv[6], "trace") == 0;
    const double budget = argc == 7 && !traces ? atof(argv[6]) : (double)INFINITY;
    qn_study *study;
    const qn_study_request request = {.space = table.space,
                                      .sampler = argv[1],
                                      .pruner = prunes ? argv[2] : NULL,
                                      .seed = atol(argv[5]),
                                      .n_trials = n_trials};
    if (qn_study_open(&request, &study, &err)) die(err.message);
    double best = INFINITY, cost = 0, loss;
    int64_t n = 0;
    for (; n < n_trials && cost < budget; n++) {
        qn_trial *trial;
        if (qn_study_ask(study, &trial, &err)) die(err.message);
        if (!trial) break;
        const qn_trial_record *record = qn_trial_get_record(trial);
        cost += evaluate(study, trial, &table, prunes, &loss);
        best = fmin(best, loss);
        if (traces) print_trial(study, record, loss);
    }
    printf("{\"sampler\": \"%s\", \"pruner\": \"%s\", \"best\": %.6g, \"trials\": %ld, "
           "\"cost\": %.2f}\n",
           argv[1], argv[2], best, (long)n, cost);
    qn_study_close(study);
    qn_free(table.numbers);
    qn_free(table.space - 2);
    return 0;
}
