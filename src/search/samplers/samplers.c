/* SPDX-License-Identifier: Apache-2.0 */
/* The table of samplers, and what is common to all. */
#include "base/alloc.h"
#include "base/nearest.h"
#include "base/number.h"
#include "search/samplers/sampler.h"
#include "search/samplers/sampler_table.h"

#include <string.h>

const qn_sampler *const qn_samplers[] = {
    &qn_sampler_random, &qn_sampler_grid,      &qn_sampler_brute_force,
    &qn_sampler_sobol,  &qn_sampler_halton,    &qn_sampler_tpe,
    &qn_sampler_cmaes,  &qn_sampler_gp,        &qn_sampler_nsga2,
    &qn_sampler_nsga3,  &qn_sampler_evolution, &qn_sampler_anneal,
    &qn_sampler_cfo,    &qn_sampler_reinforce, NULL};

/* Proposals of the sampler itself, then draws at random, before constraints are said to leave
 * nothing. */
enum { ATTEMPTS_MAX = 32, DRAWS_MAX = 20000 };

/* Of 'auto'. */
enum { GP_TRIALS_MIN = 20, GP_TRIALS_MAX = 300, GP_COORDINATES_MAX = 64, GP_WORKERS_MAX = 16 };
enum { CMAES_TRIALS = 50 }; /* for each coordinate */

const qn_sampler *qn_sampler_find(const char *name, size_t bytes)
{
    for (int i = 0; qn_samplers[i]; i++) {
        const char *known = qn_samplers[i]->name;
        if (strlen(known) == bytes && memcmp(known, name, bytes) == 0) return qn_samplers[i];
    }
    return NULL;
}

static qn_status unknown(const char *name, size_t bytes, qn_error *err)
{
    char wanted[64];
    const char *names[64];
    int64_t n = 0;
    const size_t kept = bytes < sizeof wanted ? bytes : sizeof wanted - 1;
    memcpy(wanted, name, kept);
    wanted[kept] = '\0';
    while (qn_samplers[n]) {
        names[n] = qn_samplers[n]->name;
        n++;
    }
    const char *near = qn_nearest_name(wanted, names, n);
    return qn_fail(err, QN_ERR_ARG, "there is no sampler '%s'%s%s%s", wanted,
                   near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
}

/* What the choice depends on. */
struct traits {
    double n_points;       /* configurations; infinite where a parameter is any float */
    int64_t n_coordinates; /* numbers, and choices without an order */
    bool is_numeric;       /* all are numbers that always exist */
};

static struct traits traits_of(const qn_space *space)
{
    struct traits traits = {.n_points = 1, .is_numeric = true};
    for (int64_t at = 0; at < space->n; at++) {
        const qn_parameter *p = &space->parameters[at];
        const bool unordered = qn_parameter_is_unordered(p);
        traits.n_points *= p->n_values > 0 ? (double)p->n_values : QN_INF;
        traits.n_coordinates += unordered ? p->n_values : 1;
        traits.is_numeric &= !unordered && p->n_conditions == 0;
    }
    return traits;
}

/* The limits are where bench/search sees one overtake the other. */
const char *qn_sampler_choose(const qn_sampler_setup *setup, bool defines_by_run,
                              const char **reason)
{
    const struct traits traits = traits_of(setup->history->space);
    const int64_t n_trials = setup->n_trials;
    if (!defines_by_run && n_trials > 0 && traits.n_points <= (double)n_trials) {
        *reason = "the trials are enough for every configuration";
        return "brute_force";
    }
    if (setup->history->objectives->n > 1 && n_trials >= 500) {
        *reason = "several objectives and many trials";
        return "nsga2";
    }
    if (setup->prunes) {
        *reason = "it learns from trials that a pruner stops";
        return "tpe";
    }
    const bool single = setup->history->objectives->n == 1 && !defines_by_run;
    if (single && n_trials >= GP_TRIALS_MIN && n_trials <= GP_TRIALS_MAX &&
        traits.n_coordinates <= GP_COORDINATES_MAX && setup->n_workers <= GP_WORKERS_MAX) {
        *reason = "few trials, and parameters few enough to model how the result depends on them";
        return "gp:tpe_every=2";
    }
    if (single && traits.is_numeric && traits.n_coordinates > 1 &&
        n_trials >= CMAES_TRIALS * traits.n_coordinates) {
        *reason = "numbers alone, and trials enough to learn how they depend on each other";
        return "cmaes";
    }
    *reason = "it takes every kind of space, and parameters that depend on each other";
    return "tpe";
}

static qn_status create(qn_sampling *sampling, const char *settings, const qn_sampler_setup *setup,
                        qn_error *err)
{
    const qn_sampler *sampler = sampling->sampler;
    sampling->settings = qn_alloc_array(1, sampler->settings_bytes);
    sampling->state = qn_alloc_array(1, sampler->state_bytes);
    if (!sampling->settings || !sampling->state) {
        return qn_fail(err, QN_ERR_NOMEM, "no memory for the sampler");
    }
    QN_TRY(qn_settings_read(sampler->settings, settings, sampler->name, sampling->settings, err));
    qn_sampler_setup own = *setup;
    own.settings = sampling->settings;
    return sampler->init ? sampler->init(sampling->state, &own, err) : QN_OK;
}

qn_status qn_sampling_init(qn_sampling *sampling, const char *text, const qn_sampler_setup *setup,
                           qn_error *err)
{
    const size_t bytes = strcspn(text, ":");
    *sampling = (qn_sampling){.sampler = qn_sampler_find(text, bytes)};
    if (!sampling->sampler) return unknown(text, bytes, err);
    qn_status status = QN_OK;
    const int64_t n_objectives = setup->history->objectives->n;
    if (n_objectives > 1 && !(sampling->sampler->capabilities & QN_SAMPLER_OBJECTIVES)) {
        status = qn_fail(err, QN_ERR_ARG,
                         "the sampler '%s' takes one objective, not %" PRId64 "; try nsga2 or tpe",
                         sampling->sampler->name, n_objectives);
    } else {
        status = create(sampling, text[bytes] ? text + bytes + 1 : "", setup, err);
    }
    if (status != QN_OK) qn_sampling_release(sampling);
    return status;
}

void qn_sampling_release(qn_sampling *sampling)
{
    if (sampling->state && sampling->sampler->release) sampling->sampler->release(sampling->state);
    qn_free(sampling->state);
    qn_free(sampling->settings);
    *sampling = (qn_sampling){0};
}

qn_status qn_sampling_ask(const qn_sampling *sampling, const qn_space *space, qn_sampler_ask *ask,
                          qn_error *err)
{
    for (ask->attempt = 0; ask->attempt < ATTEMPTS_MAX; ask->attempt++) {
        QN_TRY(sampling->sampler->ask(sampling->state, ask, err));
        if (ask->exhausted) return QN_OK;
        qn_space_settle(space, ask->values);
        if (qn_space_satisfies(space, ask->values)) return QN_OK;
    }
    for (int draw = 0; draw < DRAWS_MAX; draw++) {
        qn_space_draw(space, ask->rng, ask->values);
        qn_space_settle(space, ask->values);
        if (qn_space_satisfies(space, ask->values)) return QN_OK;
    }
    return qn_fail(err, QN_ERR_ARG,
                   "the constraints allowed none of %d configurations drawn at random; narrow the "
                   "ranges to where they hold",
                   DRAWS_MAX);
}
