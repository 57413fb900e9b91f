/* SPDX-License-Identifier: Apache-2.0 */
/* Grid and brute force: the points of a product of finite sets, each once. What was tried already,
 * by whomever and however it ended, is passed over; so are points that differ only in parameters
 * without their conditions. */
#include "base/alloc.h"
#include "search/samplers/sampler_table.h"

#include <math.h>
#include <string.h>

#define POINTS_MAX 1e9

struct grid_settings {
    double points;
};

struct grid_state {
    const qn_history *history;
    int64_t points;        /* of a float without steps */
    int64_t n_points;      /* of the grid */
    int64_t next;          /* all before it are tried */
    int64_t stride, start; /* point k stands at (start + k × stride) mod n_points */
    int64_t n_seen;        /* trials whose configurations are in `tried` */
    qn_map *tried;         /* hashes of configurations */
};

static int64_t n_values(const struct grid_state *grid, const qn_parameter *p)
{
    return p->n_values > 0 ? p->n_values : grid->points;
}

/* Evenly spaced on the parameter's scale, both ends among them. */
static double value_at(const struct grid_state *grid, const qn_parameter *p, int64_t k)
{
    if (p->n_values > 0) return qn_parameter_value_at(p, k);
    if (k == 0) return p->low;
    if (k == grid->points - 1) return p->high;
    return qn_parameter_from_unit(p, (double)k / (double)(grid->points - 1));
}

static qn_status count_points(struct grid_state *grid, const qn_space *space, qn_error *err)
{
    double product = 1;
    for (int64_t at = 0; at < space->n; at++) {
        product *= (double)n_values(grid, &space->parameters[at]);
        if (product <= POINTS_MAX) continue;
        return qn_fail(err, QN_ERR_ARG,
                       "the grid has more than a billion points; give steps, or another sampler");
    }
    grid->n_points = (int64_t)product;
    return QN_OK;
}

static qn_status init(struct grid_state *grid, const qn_sampler_setup *setup, qn_error *err)
{
    grid->history = setup->history;
    grid->stride = 1;
    grid->tried = qn_map_create(64);
    if (!grid->tried) return qn_fail(err, QN_ERR_NOMEM, "no memory for the grid");
    return count_points(grid, setup->history->space, err);
}

static qn_status init_grid(void *state, const qn_sampler_setup *setup, qn_error *err)
{
    struct grid_state *grid = state;
    const struct grid_settings *settings = setup->settings;
    grid->points = (int64_t)settings->points;
    return init(grid, setup, err);
}

static int64_t common_divisor(int64_t a, int64_t b)
{
    while (b > 0) {
        const int64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

/* Jumps about, so that stopping early has seen a bit of everything: a stride near the golden
 * section of the grid and prime to its size visits every point. */
static qn_status init_brute_force(void *state, const qn_sampler_setup *setup, qn_error *err)
{
    struct grid_state *grid = state;
    const qn_space *space = setup->history->space;
    for (int64_t at = 0; at < space->n; at++) {
        if (space->parameters[at].n_values > 0) continue;
        return qn_fail(err, QN_ERR_ARG,
                       "brute_force needs finite parameters; '%s' has no step (try grid)",
                       space->parameters[at].name);
    }
    QN_TRY(init(grid, setup, err));
    qn_rng rng;
    qn_rng_init(&rng, setup->seed, 0);
    grid->start = qn_rng_below(&rng, grid->n_points);
    grid->stride = (int64_t)(0.6180339887498949 * (double)grid->n_points) | 1;
    while (common_divisor(grid->stride, grid->n_points) != 1) {
        grid->stride++;
    }
    return QN_OK;
}

static void release(void *state)
{
    struct grid_state *grid = state;
    qn_map_free(grid->tried);
}

static bool was_tried(const struct grid_state *grid, const double *values)
{
    const uint64_t hash = qn_space_hash(grid->history->space, values);
    return qn_map_get(grid->tried, (const char *)&hash, sizeof hash, 0) != 0;
}

static bool remember_trials(struct grid_state *grid)
{
    for (; grid->n_seen < grid->history->n_trials; grid->n_seen++) {
        const qn_trial_record *trial = grid->history->trials[grid->n_seen];
        const uint64_t hash = qn_space_hash(grid->history->space, trial->values);
        if (!qn_map_set(grid->tried, (const char *)&hash, sizeof hash, 1)) return false;
    }
    return true;
}

/* The first parameter varies slowest. */
static void set_point(const struct grid_state *grid, int64_t k, double *values)
{
    const qn_space *space = grid->history->space;
    int64_t place = (grid->start + k * grid->stride) % grid->n_points; /* below 2e18 */
    for (int64_t at = space->n; at-- > 0;) {
        const qn_parameter *p = &space->parameters[at];
        const int64_t n = n_values(grid, p);
        values[at] = value_at(grid, p, place % n);
        place /= n;
    }
}

static qn_status ask(void *state, qn_sampler_ask *ask, qn_error *err)
{
    struct grid_state *grid = state;
    const qn_space *space = grid->history->space;
    if (!remember_trials(grid)) return qn_fail(err, QN_ERR_NOMEM, "no memory for the grid");
    for (; grid->next < grid->n_points; grid->next++) {
        set_point(grid, grid->next, ask->values);
        qn_space_settle(space, ask->values);
        if (!was_tried(grid, ask->values) && qn_space_satisfies(space, ask->values)) return QN_OK;
    }
    ask->exhausted = true;
    return QN_OK;
}

static const qn_setting grid_settings[] = {{"points", QN_SETTING_WHOLE,
                                            offsetof(struct grid_settings, points), 2, 1e6, 8,
                                            "values of a float without steps"},
                                           {0}};

static const qn_setting no_settings[] = {{0}};

const qn_sampler qn_sampler_grid = {.name = "grid",
                                    .help = "every point of a grid, in order",
                                    .capabilities = QN_SAMPLER_OBJECTIVES,
                                    .settings = grid_settings,
                                    .settings_bytes = sizeof(struct grid_settings),
                                    .state_bytes = sizeof(struct grid_state),
                                    .init = init_grid,
                                    .ask = ask,
                                    .release = release};

const qn_sampler qn_sampler_brute_force = {
    .name = "brute_force",
    .help = "every configuration of a finite space, in an order that jumps about",
    .capabilities = QN_SAMPLER_OBJECTIVES,
    .settings = no_settings,
    .state_bytes = sizeof(struct grid_state),
    .init = init_brute_force,
    .ask = ask,
    .release = release};
