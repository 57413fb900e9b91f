/* SPDX-License-Identifier: Apache-2.0 */
/* Bayesian optimisation with a Gaussian process (surrogate.h; Jones, Schonlau & Welch 1998):
 * proposes the configuration whose expected improvement is greatest. That is looked for among
 * random draws and neighbours of the best trials, and then by steps from the best of these, which
 * double or halve with success (an evolution strategy with one parent). Steps are taken on
 * configurations: conditions, steps of values and constraints hold at each. */
#include "base/alloc.h"
#include "search/sampler_table.h"
#include "search/surrogate.h"

#include <math.h>
#include <string.h>

enum { DRAWS = 192, NEIGHBOURS = 128, BEST_MAX = 8, POOL = DRAWS + NEIGHBOURS };
enum { PARENTS = 4, CHILDREN = 12, ROUNDS = 16 };

struct gp_settings {
    double startup, tpe_every;
};

struct gp_state {
    const qn_history *history;
    struct gp_settings settings;
    qn_surrogate surrogate;
    qn_sampling tpe;
    const qn_trial_record *best[BEST_MAX]; /* of what was told, the best first */
    int64_t n_best;
    double *pool, *gains; /* [POOL] configurations, and what they promise */
};

/* A configuration that steps are taken from. */
struct parent {
    double *values, gain, step;
};

static qn_status no_memory(qn_error *err)
{
    return qn_fail(err, QN_ERR_NOMEM, "no memory for the sampler gp");
}

static qn_status init(void *state, const qn_sampler_setup *setup, qn_error *err)
{
    struct gp_state *gp = state;
    const int64_t n = setup->history->space->n;
    gp->history = setup->history;
    memcpy(&gp->settings, setup->settings, sizeof gp->settings);
    gp->pool = qn_alloc_array(POOL * n, sizeof *gp->pool);
    gp->gains = qn_alloc_array(POOL, sizeof *gp->gains);
    if (!gp->pool || !gp->gains) return no_memory(err);
    QN_TRY(qn_sampling_init(&gp->tpe, "tpe", setup, err));
    return qn_surrogate_init(&gp->surrogate, setup->history, setup->seed, err);
}

static void release(void *state)
{
    struct gp_state *gp = state;
    qn_sampling_release(&gp->tpe);
    qn_surrogate_release(&gp->surrogate);
    qn_free(gp->pool);
    qn_free(gp->gains);
}

static qn_status tell(void *state, const qn_trial_record *trial, qn_error *err)
{
    struct gp_state *gp = state;
    int64_t at = gp->n_best;
    QN_TRY(gp->tpe.sampler->tell(gp->tpe.state, trial, err));
    while (at > 0 && qn_trial_compare(trial, gp->best[at - 1]) < 0) {
        at--;
    }
    if (at == BEST_MAX) return QN_OK;
    const int64_t n_moved = (gp->n_best < BEST_MAX ? gp->n_best : BEST_MAX - 1) - at;
    memmove(gp->best + at + 1, gp->best + at, (size_t)n_moved * sizeof *gp->best);
    gp->best[at] = trial;
    if (gp->n_best < BEST_MAX) gp->n_best++;
    return QN_OK;
}

/* A step from a configuration: about two of its parameters, or all numbers, change. */
static void vary(const qn_space *space, const double *from, int64_t n_from, double step,
                 qn_rng *rng, double *values)
{
    const bool all = qn_rng_uniform(rng) < 0.5;
    const int64_t always = qn_rng_below(rng, space->n);
    for (int64_t at = 0; at < space->n; at++) {
        const qn_parameter *p = &space->parameters[at];
        const double value = at < n_from ? from[at] : QN_NA;
        const double u = qn_rng_uniform(rng), z = qn_rng_normal(rng);
        const bool changes = at == always || u * (double)space->n < 1;
        if (isnan(value) || (changes && qn_parameter_is_unordered(p))) {
            values[at] = qn_parameter_draw(p, rng);
        } else if (!qn_parameter_is_unordered(p) && (changes || all)) {
            double reach = p->n_values > 0 ? fmax(step, 1 / (double)p->n_values) : step;
            if (!changes && p->n_values > 0) reach = step;
            values[at] = qn_parameter_from_unit(p, qn_parameter_to_unit(p, value) + reach * z);
        } else {
            values[at] = value;
        }
    }
    qn_space_settle(space, values);
}

/* What constraints forbid promises nothing. */
static qn_status judge(struct gp_state *gp, int64_t n, qn_error *err)
{
    const qn_space *space = gp->history->space;
    QN_TRY(qn_surrogate_gains(&gp->surrogate, gp->pool, n, gp->gains, err));
    for (int64_t i = 0; i < n && space->n_constraints > 0; i++) {
        if (!qn_space_satisfies(space, gp->pool + i * space->n)) gp->gains[i] = -QN_INF;
    }
    return QN_OK;
}

static qn_status fill_pool(struct gp_state *gp, qn_rng *rng, qn_error *err)
{
    const qn_space *space = gp->history->space;
    for (int64_t i = 0; i < POOL; i++) {
        double *values = gp->pool + i * space->n;
        if (i < DRAWS) {
            qn_space_draw(space, rng, values);
            qn_space_settle(space, values);
            continue;
        }
        const qn_trial_record *near = gp->best[i % gp->n_best];
        const double step = 0.2 * pow(0.5, (double)qn_rng_below(rng, 8));
        vary(space, near->values, near->n_values, step, rng, values);
    }
    return judge(gp, POOL, err);
}

static void copy_values(const qn_space *space, const double *from, double *to)
{
    memcpy(to, from, (size_t)space->n * sizeof *to);
}

/* The best of the pool. `values`: room for so many configurations. */
static void choose_parents(struct gp_state *gp, struct parent *parents, double *values)
{
    const qn_space *space = gp->history->space;
    for (int64_t k = 0; k < PARENTS; k++) {
        int64_t best = 0;
        for (int64_t i = 1; i < POOL; i++) {
            if (gp->gains[i] > gp->gains[best]) best = i;
        }
        parents[k] = (struct parent){values + k * space->n, gp->gains[best], 0.1};
        copy_values(space, gp->pool + best * space->n, parents[k].values);
        gp->gains[best] = -QN_INF;
    }
}

/* Each parent has children and gives way to the best, if that is better. */
static qn_status climb(struct gp_state *gp, struct parent *parents, qn_rng *rng, qn_error *err)
{
    const qn_space *space = gp->history->space;
    for (int64_t i = 0; i < PARENTS * CHILDREN; i++) {
        const struct parent *from = &parents[i / CHILDREN];
        const double step = from->step * pow(4, qn_rng_uniform(rng) - 0.5);
        vary(space, from->values, space->n, step, rng, gp->pool + i * space->n);
    }
    QN_TRY(judge(gp, PARENTS * CHILDREN, err));
    for (int64_t k = 0; k < PARENTS; k++) {
        int64_t best = k * CHILDREN;
        for (int64_t i = best + 1; i < (k + 1) * CHILDREN; i++) {
            if (gp->gains[i] > gp->gains[best]) best = i;
        }
        const bool better = gp->gains[best] > parents[k].gain;
        parents[k].step *= better ? 1.5 : 0.6;
        if (!better) continue;
        parents[k].gain = gp->gains[best];
        copy_values(space, gp->pool + best * space->n, parents[k].values);
    }
    return QN_OK;
}

/* The configuration that promises most. `values`: room for PARENTS of them. */
static qn_status maximise(struct gp_state *gp, double *values, qn_sampler_ask *ask, qn_error *err)
{
    struct parent parents[PARENTS];
    QN_TRY(qn_surrogate_update(&gp->surrogate, err));
    QN_TRY(fill_pool(gp, ask->rng, err));
    choose_parents(gp, parents, values);
    for (int round = 0; round < ROUNDS; round++) {
        QN_TRY(climb(gp, parents, ask->rng, err));
    }
    const struct parent *best = parents;
    for (int64_t k = 1; k < PARENTS; k++) {
        if (parents[k].gain > best->gain) best = &parents[k];
    }
    copy_values(gp->history->space, best->values, ask->values);
    return QN_OK;
}

static qn_status ask(void *state, qn_sampler_ask *ask, qn_error *err)
{
    struct gp_state *gp = state;
    const qn_space *space = gp->history->space;
    const int64_t every = (int64_t)gp->settings.tpe_every;
    if (gp->history->n_told < (int64_t)gp->settings.startup || space->n == 0) {
        qn_space_draw(space, ask->rng, ask->values);
        return QN_OK;
    }
    if (every > 0 && ask->number % every == every - 1) {
        return gp->tpe.sampler->ask(gp->tpe.state, ask, err);
    }
    double *values = qn_alloc_array(PARENTS * space->n, sizeof *values);
    const qn_status status = values ? maximise(gp, values, ask, err) : no_memory(err);
    qn_free(values);
    return status;
}

#define AT(member) offsetof(struct gp_settings, member)

static const qn_setting settings[] = {
    {"startup", QN_SETTING_WHOLE, AT(startup), 2, 1e4, 10, "random trials before the first model"},
    {"tpe_every", QN_SETTING_WHOLE, AT(tpe_every), 0, 1e6, 3,
     "one trial in so many is TPE's; 0: none"},
    {0}};

const qn_sampler qn_sampler_gp = {
    .name = "gp",
    .help = "Gaussian process and log expected improvement (Ament et al. 2023)",
    .settings = settings,
    .settings_bytes = sizeof(struct gp_settings),
    .state_bytes = sizeof(struct gp_state),
    .init = init,
    .tell = tell,
    .ask = ask,
    .release = release};
