/* SPDX-License-Identifier: Apache-2.0 */
/* Bayesian optimisation with a Gaussian process (surrogate.h; Jones, Schonlau & Welch 1998):
 * proposes the configuration whose expected improvement is greatest, as far as climbing from the
 * best trials and from anywhere finds it (climb.h).
 *
 * The first trials are normal about the middle, as those of CMA-ES are. Ranges are given about
 * where the best is expected, and in many dimensions uniform draws all lie near the edges (Oh,
 * Gavves & Welling 2018, arXiv 1806.01619, section 1); the model finds an optimum at the edge by
 * itself. */
#include "search/samplers/climb.h"
#include "search/samplers/sampler_table.h"
#include "search/samplers/surrogate.h"

#include <string.h>

enum { BEST_MAX = 8 };

struct gp_settings {
    double startup, spread, tpe_every;
};

struct gp_state {
    const qn_history *history;
    struct gp_settings settings;
    qn_surrogate surrogate;
    qn_sampling tpe;
    const qn_trial_record *best[BEST_MAX]; /* of what was told, the best first */
    int64_t n_best;
};

static qn_status init(void *state, const qn_sampler_setup *setup, qn_error *err)
{
    struct gp_state *gp = state;
    gp->history = setup->history;
    memcpy(&gp->settings, setup->settings, sizeof gp->settings);
    QN_TRY(qn_sampling_init(&gp->tpe, "tpe", setup, err));
    return qn_surrogate_init(&gp->surrogate, setup->history, setup->seed, err);
}

static void release(void *state)
{
    struct gp_state *gp = state;
    qn_sampling_release(&gp->tpe);
    qn_surrogate_release(&gp->surrogate);
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

static qn_status measure(void *context, const double *configurations, int64_t n, double *gains,
                         qn_error *err)
{
    return qn_surrogate_gains(context, configurations, n, gains, err);
}

/* Numbers about the middle of their ranges, choices at random. */
static void draw_first(const struct gp_state *gp, qn_sampler_ask *ask)
{
    const qn_space *space = gp->history->space;
    const double spread = gp->settings.spread;
    qn_space_draw(space, ask->rng, ask->values);
    for (int64_t at = 0; spread > 0 && at < space->n; at++) {
        const qn_parameter *p = &space->parameters[at];
        if (qn_parameter_is_unordered(p)) continue;
        double unit;
        do {
            unit = 0.5 + spread * qn_rng_normal(ask->rng);
        } while (!(unit >= 0 && unit <= 1));
        ask->values[at] = qn_parameter_from_unit(p, unit);
    }
}

static qn_status ask(void *state, qn_sampler_ask *ask, qn_error *err)
{
    struct gp_state *gp = state;
    const qn_space *space = gp->history->space;
    const int64_t every = (int64_t)gp->settings.tpe_every;
    if (gp->history->n_told < (int64_t)gp->settings.startup || space->n == 0) {
        draw_first(gp, ask);
        return QN_OK;
    }
    if (every > 0 && ask->number % every == every - 1) {
        return gp->tpe.sampler->ask(gp->tpe.state, ask, err);
    }
    QN_TRY(qn_surrogate_update(&gp->surrogate, err));
    return qn_climb(&(qn_climb_request){.space = space,
                                        .near = gp->best,
                                        .n_near = gp->n_best,
                                        .measure = measure,
                                        .context = &gp->surrogate,
                                        .rng = ask->rng},
                    ask->values, NULL, err);
}

#define AT(member) offsetof(struct gp_settings, member)

static const qn_setting settings[] = {
    {"startup", QN_SETTING_WHOLE, AT(startup), 2, 1e4, 10, "trials before the first model"},
    {"spread", QN_SETTING_FLOAT, AT(spread), 0, 1, 1.0 / 6,
     "deviation of those about the middle of the ranges, as a share of them; 0: uniform"},
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
