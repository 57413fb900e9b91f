/* SPDX-License-Identifier: Apache-2.0 */
/* Samplers that vary what was good: NSGA-II (Deb et al. 2002), NSGA-III (Deb & Jain 2014: other
 * survivors, by reference_points.h), regularised evolution (Real et al. 2019) and simulated
 * annealing (Kirkpatrick et al. 1983, over spaces as Bergstra's anneal).
 *
 * All work on the unit interval of each parameter; categorical ones are exchanged or drawn anew. */
#include "base/alloc.h"
#include "search/samplers/reference_points.h"
#include "search/samplers/sampler_table.h"
#include "search/study/pareto.h"

#include <math.h>
#include <string.h>

/* What they share: the trials that parents are chosen from. */
struct population_state {
    const qn_history *history;
    int64_t size; /* of a full population */
    int64_t n;
    const qn_trial_record **parents; /* [size], the best or newest first told */
    /* NSGA-II and III */
    int64_t n_children; /* told since the parents were chosen: the last of history->told */
    int32_t *fronts;    /* [size] */
    double *distances;  /* [size] */
    double crossover_p, mutation_p, crossover_eta, mutation_eta;
    double *reference_points; /* NSGA-III: [n_reference_points][objectives]; else NULL */
    int64_t n_reference_points;
    uint64_t seed;
    /* evolution */
    int64_t tournament;
    /* annealing */
    double average_best, shrink;
};

static qn_status no_memory(qn_error *err)
{
    return qn_fail(err, QN_ERR_NOMEM, "no memory for the population");
}

static void release(void *state)
{
    struct population_state *s = state;
    qn_free(s->parents);
    qn_free(s->fronts);
    qn_free(s->distances);
    qn_free(s->reference_points);
}

static bool allocate(struct population_state *s, const qn_sampler_setup *setup, double size)
{
    s->history = setup->history;
    s->size = (int64_t)size;
    s->parents = qn_alloc_array(s->size, sizeof *s->parents);
    s->fronts = qn_alloc_array(s->size, sizeof *s->fronts);
    s->distances = qn_alloc_array(s->size, sizeof *s->distances);
    return s->parents && s->fronts && s->distances;
}

/* A parent's place on the unit interval; where it was inactive, anywhere. */
static double unit_of(const qn_parameter *p, const qn_trial_record *trial, int64_t at, qn_rng *rng)
{
    const double value = qn_trial_value(trial, at);
    return isnan(value) ? qn_rng_uniform(rng) : qn_parameter_to_unit(p, value);
}

/* NSGA-II. */

struct nsga_settings {
    double divisions, population, crossover, mutation, crossover_eta, mutation_eta;
};

static qn_status init_nsga2(void *state, const qn_sampler_setup *setup, qn_error *err)
{
    struct population_state *s = state;
    const struct nsga_settings *settings = setup->settings;
    if (!allocate(s, setup, settings->population)) return no_memory(err);
    s->crossover_p = settings->crossover;
    s->mutation_p = settings->mutation;
    s->crossover_eta = settings->crossover_eta;
    s->mutation_eta = settings->mutation_eta;
    return QN_OK;
}

static qn_status init_nsga3(void *state, const qn_sampler_setup *setup, qn_error *err)
{
    struct population_state *s = state;
    const struct nsga_settings *settings = setup->settings;
    s->seed = setup->seed;
    QN_TRY(qn_reference_points(setup->history->objectives->n, (int64_t)settings->divisions,
                               (int64_t)settings->population, &s->reference_points,
                               &s->n_reference_points, err));
    return init_nsga2(state, setup, err);
}

/* `best` of the pool survive. With reference points every parent is as good as another of its
 * front: distances stay 0. */
static qn_status select_survivors(struct population_state *s, const qn_trial_record **pool,
                                  int64_t n, int32_t *best, qn_error *err)
{
    const int64_t n_objectives = s->history->objectives->n;
    if (!s->reference_points) {
        return qn_pareto_select(pool, n, n_objectives, s->size, best, s->fronts, s->distances, err);
    }
    qn_rng rng;
    qn_rng_init(&rng, s->seed, (uint64_t)s->history->n_told);
    return qn_reference_select(&(qn_reference_request){.trials = pool,
                                                       .n = n,
                                                       .n_objectives = n_objectives,
                                                       .points = s->reference_points,
                                                       .n_points = s->n_reference_points,
                                                       .rng = &rng},
                               s->size, best, s->fronts, err);
}

/* The parents of the next generation: the best of the last parents and their children. */
static qn_status choose_parents(struct population_state *s, qn_error *err)
{
    const int64_t n = s->n + s->n_children;
    const qn_trial_record **pool = qn_alloc_array(n, sizeof *pool);
    int32_t *best = qn_alloc_array(s->size, sizeof *best);
    qn_status status = pool && best ? QN_OK : no_memory(err);
    if (status == QN_OK) {
        if (s->n > 0) memcpy(pool, s->parents, (size_t)s->n * sizeof *pool);
        memcpy(pool + s->n, s->history->told + s->history->n_told - s->n_children,
               (size_t)s->n_children * sizeof *pool);
        status = select_survivors(s, pool, n, best, err);
    }
    for (int64_t i = 0; status == QN_OK && i < s->size; i++) {
        s->parents[i] = pool[best[i]];
    }
    if (status == QN_OK) {
        s->n = s->size;
        s->n_children = 0;
    }
    qn_free(pool);
    qn_free(best);
    return status;
}

static qn_status tell_nsga(void *state, const qn_trial_record *trial, qn_error *err)
{
    struct population_state *s = state;
    (void)trial;
    s->n_children++;
    return s->n_children == s->size ? choose_parents(s, err) : QN_OK;
}

/* The better of two drawn: the earlier front, then the less crowded. */
static const qn_trial_record *draw_parent(const struct population_state *s, qn_rng *rng)
{
    const int64_t a = qn_rng_below(rng, s->n), b = qn_rng_below(rng, s->n);
    const bool first = s->fronts[a] != s->fronts[b] ? s->fronts[a] < s->fronts[b]
                                                    : s->distances[a] >= s->distances[b];
    return s->parents[first ? a : b];
}

/* Simulated binary crossover (Deb & Agrawal 1995): the spread of the children is that which
 * one-point crossover of binary strings would give; the greater eta, the nearer to the parents. */
static double cross(double a, double b, double eta, qn_rng *rng)
{
    const double u = qn_rng_uniform(rng);
    const double spread = u < 0.5 ? pow(2 * u, 1 / (eta + 1)) : pow(2 - 2 * u, -1 / (eta + 1));
    const double side = qn_rng_uniform(rng) < 0.5 ? spread : -spread;
    return 0.5 * (a + b + side * (a - b));
}

/* Polynomial mutation (Deb & Goyal 1996). */
static double mutate(double x, double eta, qn_rng *rng)
{
    const double u = qn_rng_uniform(rng);
    return u < 0.5 ? x + (pow(2 * u, 1 / (eta + 1)) - 1) * x
                   : x + (1 - pow(2 - 2 * u, 1 / (eta + 1))) * (1 - x);
}

static double clamp_unit(double x)
{
    return fmin(fmax(x, 0), 1);
}

static qn_status ask_nsga(void *state, qn_sampler_ask *ask, qn_error *err)
{
    struct population_state *s = state;
    const qn_space *space = s->history->space;
    qn_rng *rng = ask->rng;
    (void)err;
    qn_space_draw(space, rng, ask->values);
    if (s->n == 0) return QN_OK;
    const qn_trial_record *a = draw_parent(s, rng), *b = draw_parent(s, rng);
    const bool crosses = qn_rng_uniform(rng) < s->crossover_p;
    const double mutation_p = s->mutation_p > 0 ? s->mutation_p : 1 / (double)space->n;
    for (int64_t at = 0; at < space->n; at++) {
        const qn_parameter *p = &space->parameters[at];
        const bool mutates = qn_rng_uniform(rng) < mutation_p;
        if (qn_parameter_is_unordered(p)) {
            const qn_trial_record *from = crosses && qn_rng_uniform(rng) < 0.5 ? b : a;
            const double value = qn_trial_value(from, at);
            if (!mutates && !isnan(value)) ask->values[at] = value;
            continue;
        }
        double x = unit_of(p, a, at, rng);
        if (crosses) {
            x = clamp_unit(cross(x, unit_of(p, b, at, rng), s->crossover_eta, rng));
        }
        if (mutates) x = clamp_unit(mutate(x, s->mutation_eta, rng));
        ask->values[at] = qn_parameter_from_unit(p, x);
    }
    return QN_OK;
}

#define AT(member) offsetof(struct nsga_settings, member)

/* The literature's 15 and 20 are for tens of thousands of evaluations; after 2,000, children spread
 * wider come nearer to the front of ZDT1. */
static const qn_setting nsga_settings[] = {
    {"divisions", QN_SETTING_WHOLE, AT(divisions), 0, 1e5, 0,
     "of each objective by reference points; 0: as many as the population has points for"},
    {"population", QN_SETTING_WHOLE, AT(population), 4, 1e5, 50, "trials of a generation"},
    {"crossover", QN_SETTING_FLOAT, AT(crossover), 0, 1, 0.9, "probability of two parents"},
    {"mutation", QN_SETTING_FLOAT, AT(mutation), 0, 1, 0,
     "probability that a parameter changes; 0: one in as many as there are"},
    {"crossover_eta", QN_SETTING_FLOAT, AT(crossover_eta), 0, 1000, 2,
     "the greater, the nearer children are to their parents"},
    {"mutation_eta", QN_SETTING_FLOAT, AT(mutation_eta), 0, 1000, 5,
     "the greater, the smaller changes are"},
    {0}};

const qn_sampler qn_sampler_nsga2 = {
    .name = "nsga2",
    .help = "genetic search for several objectives, NSGA-II (Deb et al. 2002)",
    .capabilities = QN_SAMPLER_OBJECTIVES | QN_SAMPLER_GROWING_SPACE,
    .settings = nsga_settings + 1,
    .settings_bytes = sizeof(struct nsga_settings),
    .state_bytes = sizeof(struct population_state),
    .init = init_nsga2,
    .tell = tell_nsga,
    .ask = ask_nsga,
    .release = release};

const qn_sampler qn_sampler_nsga3 = {
    .name = "nsga3",
    .help = "genetic search for three objectives and more, NSGA-III (Deb & Jain 2014)",
    .capabilities = QN_SAMPLER_OBJECTIVES | QN_SAMPLER_GROWING_SPACE,
    .settings = nsga_settings,
    .settings_bytes = sizeof(struct nsga_settings),
    .state_bytes = sizeof(struct population_state),
    .init = init_nsga3,
    .tell = tell_nsga,
    .ask = ask_nsga,
    .release = release};

#undef AT

/* Regularised evolution. */

struct evolution_settings {
    double population, tournament;
};

static qn_status init_evolution(void *state, const qn_sampler_setup *setup, qn_error *err)
{
    struct population_state *s = state;
    const struct evolution_settings *settings = setup->settings;
    s->tournament = (int64_t)settings->tournament;
    return allocate(s, setup, settings->population) ? QN_OK : no_memory(err);
}

/* The newest ones are the population: age, not failure, ends a life. */
static qn_status tell_evolution(void *state, const qn_trial_record *trial, qn_error *err)
{
    struct population_state *s = state;
    (void)err;
    s->parents[s->n_children++ % s->size] = trial;
    if (s->n < s->size) s->n++;
    return QN_OK;
}

/* The best of some drawn at random, with one of its active parameters changed. */
static qn_status ask_evolution(void *state, qn_sampler_ask *ask, qn_error *err)
{
    struct population_state *s = state;
    const qn_space *space = s->history->space;
    const qn_trial_record *best = NULL;
    (void)err;
    qn_space_draw(space, ask->rng, ask->values);
    if (s->n < s->size) return QN_OK;
    for (int64_t i = 0; i < s->tournament; i++) {
        const qn_trial_record *rival = s->parents[qn_rng_below(ask->rng, s->n)];
        if (!best || qn_trial_compare(rival, best) < 0) best = rival;
    }
    int64_t n_choices = 0, chosen = -1;
    for (int64_t at = 0; at < space->n; at++) {
        const bool varies = space->parameters[at].n_values != 1;
        if (isnan(qn_trial_value(best, at)) || !varies) continue;
        if (qn_rng_below(ask->rng, ++n_choices) == 0) chosen = at;
    }
    for (int64_t at = 0; at < space->n; at++) {
        const qn_parameter *p = &space->parameters[at];
        const double value = qn_trial_value(best, at);
        if (isnan(value)) continue;
        const double drawn = ask->values[at];
        ask->values[at] = value;
        if (at != chosen) continue;
        if (qn_parameter_is_unordered(p)) {
            ask->values[at] = drawn;
            continue;
        }
        /* Mostly a step nearby, sometimes anywhere. */
        const double x = qn_parameter_to_unit(p, value) + 0.1 * qn_rng_normal(ask->rng);
        const bool anywhere = qn_rng_uniform(ask->rng) < 0.2;
        ask->values[at] = anywhere ? drawn : qn_parameter_from_unit(p, clamp_unit(x));
    }
    return QN_OK;
}

#define AT(member) offsetof(struct evolution_settings, member)

static const qn_setting evolution_settings[] = {
    {"population", QN_SETTING_WHOLE, AT(population), 2, 1e5, 20,
     "newest trials that have children"},
    {"tournament", QN_SETTING_WHOLE, AT(tournament), 1, 1e5, 5, "of which the best is the parent"},
    {0}};

const qn_sampler qn_sampler_evolution = {.name = "evolution",
                                         .help = "regularised (aging) evolution (Real et al. 2019)",
                                         .capabilities = QN_SAMPLER_GROWING_SPACE,
                                         .settings = evolution_settings,
                                         .settings_bytes = sizeof(struct evolution_settings),
                                         .state_bytes = sizeof(struct population_state),
                                         .init = init_evolution,
                                         .tell = tell_evolution,
                                         .ask = ask_evolution,
                                         .release = release};

#undef AT

/* Annealing. */

struct anneal_settings {
    double average_best, shrink;
};

static qn_status init_anneal(void *state, const qn_sampler_setup *setup, qn_error *err)
{
    struct population_state *s = state;
    const struct anneal_settings *settings = setup->settings;
    s->average_best = settings->average_best;
    s->shrink = settings->shrink;
    return allocate(s, setup, 64) ? QN_OK : no_memory(err);
}

/* The parents are the best ones, in order. */
static qn_status tell_anneal(void *state, const qn_trial_record *trial, qn_error *err)
{
    struct population_state *s = state;
    int64_t at = s->n;
    (void)err;
    while (at > 0 && qn_trial_compare(trial, s->parents[at - 1]) < 0) {
        at--;
    }
    if (at == s->size) return QN_OK;
    const int64_t n_moved = (s->n < s->size ? s->n : s->size - 1) - at;
    memmove(s->parents + at + 1, s->parents + at, (size_t)n_moved * sizeof *s->parents);
    s->parents[at] = trial;
    if (s->n < s->size) s->n++;
    return QN_OK;
}

/* Draws near one of the best – their rank is geometric – within a window that shrinks with the
 * number of trials in which the parameter was active. */
static qn_status ask_anneal(void *state, qn_sampler_ask *ask, qn_error *err)
{
    struct population_state *s = state;
    const qn_space *space = s->history->space;
    (void)err;
    qn_space_draw(space, ask->rng, ask->values);
    if (s->n == 0) return QN_OK;
    int64_t rank = 0;
    while (rank + 1 < s->n && qn_rng_uniform(ask->rng) > 1 / s->average_best) {
        rank++;
    }
    const qn_trial_record *center = s->parents[rank];
    const double window = 1 / (1 + s->shrink * (double)s->history->n_told);
    for (int64_t at = 0; at < space->n; at++) {
        const qn_parameter *p = &space->parameters[at];
        const double value = qn_trial_value(center, at);
        if (isnan(value)) continue;
        if (qn_parameter_is_unordered(p)) {
            if (qn_rng_uniform(ask->rng) > window) ask->values[at] = value;
            continue;
        }
        const double x = qn_parameter_to_unit(p, value);
        const double low = fmax(0, x - window / 2), high = fmin(1, x + window / 2);
        ask->values[at] = qn_parameter_from_unit(p, low + (high - low) * qn_rng_uniform(ask->rng));
    }
    return QN_OK;
}

#define AT(member) offsetof(struct anneal_settings, member)

static const qn_setting anneal_settings[] = {
    {"average_best", QN_SETTING_FLOAT, AT(average_best), 1, 64, 2,
     "mean rank of the trial that one is drawn near to"},
    {"shrink", QN_SETTING_FLOAT, AT(shrink), 0, 10, 0.1, "how fast the window closes"},
    {0}};

const qn_sampler qn_sampler_anneal = {.name = "anneal",
                                      .help =
                                          "draws ever nearer to the best (Kirkpatrick et al. 1983)",
                                      .capabilities = QN_SAMPLER_GROWING_SPACE,
                                      .settings = anneal_settings,
                                      .settings_bytes = sizeof(struct anneal_settings),
                                      .state_bytes = sizeof(struct population_state),
                                      .init = init_anneal,
                                      .tell = tell_anneal,
                                      .ask = ask_anneal,
                                      .release = release};
