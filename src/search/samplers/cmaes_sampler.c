/* SPDX-License-Identifier: Apache-2.0 */
/* CMA-ES (cma.h) as a sampler. A generation is the next trials told, whoever proposed them.
 *
 * Coordinates. Floats, ints, ordinals and booleans are numbers of the distribution, on their unit
 * intervals. What a trial's value leaves open – where in its cell a stepped value lay, or the value
 * of an inactive parameter – is drawn again from the distribution, by a stream of the trial's own,
 * so that the state depends on nothing but what was told.
 *
 * Choices without an order are drawn from probabilities that move to the better half's with the
 * weights of their ranks and keep a margin, as in CatCMA (Hamano et al. 2024, arXiv 2405.09962),
 * with a fixed rate.
 *
 * Restarts when a distribution is spent: from a random place with twice the population (IPOP; Auger
 * & Hansen 2005), or, whichever has had fewer trials, with a small population and size (BIPOP;
 * Hansen 2009).
 *
 * Warm start: the first `startup` trials are random or given ones; the distribution then begins as
 * the normal nearest to a mixture of normals about the best tenth of them (Nomura et al. 2021,
 * arXiv 2012.06932). */
#include "base/alloc.h"
#include "linalg/cholesky.h"
#include "search/samplers/cma.h"
#include "search/samplers/sampler_table.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    NUMBERS_MAX = 512,
    REDRAWS_MAX = 100,
    CELL_DRAWS_MAX = 20,
    RECENT_MAX = 64,
    DOUBLINGS_MAX = 9
};
enum { RESTARTS_NONE, RESTARTS_IPOP, RESTARTS_BIPOP };

#define SIZE 0.1667        /* of the first distribution, of the unit interval */
#define WARM_SHARE 0.1     /* of the trials before, that the start is made of */
#define WARM_DEVIATION 0.1 /* of the normals about each */
#define FLAT 1e-12         /* losses that differ less have come to an end, relative to their size */

struct cmaes_settings {
    double population, restarts, startup;
};

/* A trial of the generation, as the distribution takes it. */
struct member {
    const qn_trial_record *trial;
    double *point; /* [n_numbers] */
};

struct cmaes_state {
    const qn_history *history;
    uint64_t seed;
    struct cmaes_settings settings;
    int64_t n_numbers, n_choices;
    int32_t *numbers, *choices; /* parameters */
    double **masses;            /* [n_choices] of the values */
    qn_cma cma;                 /* n = 0: not begun */
    struct member *members;     /* [population] */
    const double **order;       /* [population] points, best first */
    double *points;             /* what the members' points and `point` point into */
    double *point;
    int64_t n_members;
    int64_t n_restarts;
    bool is_small;             /* this distribution is one of BIPOP's small ones */
    int64_t n_large, spent[2]; /* large restarts; trials of the large and the small ones */
    double recent[RECENT_MAX]; /* best losses of the last generations, round */
    int64_t n_recent;
};

static qn_status no_memory(qn_error *err)
{
    return qn_fail(err, QN_ERR_NOMEM, "no memory for the sampler cmaes");
}

static void release(void *state)
{
    struct cmaes_state *s = state;
    for (int64_t c = 0; s->masses && c < s->n_choices; c++) {
        qn_free(s->masses[c]);
    }
    qn_free(s->masses);
    qn_free(s->numbers);
    qn_free(s->choices);
    qn_free(s->members);
    qn_free(s->order);
    qn_free(s->points);
    qn_cma_release(&s->cma);
}

static const qn_parameter *number_of(const struct cmaes_state *s, int64_t k)
{
    return &s->history->space->parameters[s->numbers[k]];
}

static const qn_parameter *choice_of(const struct cmaes_state *s, int64_t c)
{
    return &s->history->space->parameters[s->choices[c]];
}

static int64_t n_dims(const struct cmaes_state *s)
{
    return s->n_numbers > 0 ? s->n_numbers : 1; /* one that says nothing, beside choices alone */
}

static qn_status list_parameters(struct cmaes_state *s, qn_error *err)
{
    const qn_space *space = s->history->space;
    s->numbers = qn_alloc_array(space->n, sizeof *s->numbers);
    s->choices = qn_alloc_array(space->n, sizeof *s->choices);
    s->masses = qn_alloc_array(space->n, sizeof *s->masses);
    if (!s->numbers || !s->choices || !s->masses) return no_memory(err);
    for (int64_t at = 0; at < space->n; at++) {
        const qn_parameter *p = &space->parameters[at];
        if (p->n_values == 1 || p->low == p->high) continue;
        if (!qn_parameter_is_unordered(p)) {
            s->numbers[s->n_numbers++] = (int32_t)at;
            continue;
        }
        double *masses = qn_alloc_array(p->n_values, sizeof *masses);
        if (!masses) return no_memory(err);
        s->masses[s->n_choices] = masses;
        s->choices[s->n_choices++] = (int32_t)at;
    }
    if (s->n_numbers <= NUMBERS_MAX) return QN_OK;
    return qn_fail(err, QN_ERR_ARG,
                   "cmaes takes at most %d parameters that are numbers, not %" PRId64
                   "; try tpe or evolution",
                   NUMBERS_MAX, s->n_numbers);
}

/* Probabilities as at the beginning. */
static void level_masses(struct cmaes_state *s)
{
    for (int64_t c = 0; c < s->n_choices; c++) {
        const int64_t n = choice_of(s, c)->n_values;
        for (int64_t v = 0; v < n; v++) {
            s->masses[c][v] = 1 / (double)n;
        }
    }
}

static qn_status reserve(struct cmaes_state *s, int64_t population, qn_error *err)
{
    const int64_t n = n_dims(s);
    struct member *members = qn_realloc_array(s->members, population, sizeof *members);
    if (members) s->members = members;
    const double **order = qn_realloc_array(s->order, population, sizeof *order);
    if (order) s->order = order;
    double *points = qn_realloc_array(s->points, (population + 1) * n, sizeof *points);
    if (points) s->points = points;
    if (!members || !order || !points) return no_memory(err);
    s->point = points + population * n;
    s->n_members = s->n_recent = 0;
    return QN_OK;
}

static int64_t first_population(const struct cmaes_state *s)
{
    if (s->settings.population > 0) return (int64_t)s->settings.population;
    return qn_cma_population(n_dims(s));
}

/* The ends of a value's cell on the unit interval; the first and the last cell have one. */
static void cell_of(const qn_parameter *p, double value, double *low, double *high)
{
    const double width = p->scale_high - p->scale_low;
    const int64_t k = qn_parameter_index_of(p, value);
    *low = (qn_parameter_scaled(p, value - 0.5 * p->step) - p->scale_low) / width;
    *high = (qn_parameter_scaled(p, value + 0.5 * p->step) - p->scale_low) / width;
    if (k == 0) *low = -QN_INF;
    if (k == p->n_values - 1) *high = QN_INF;
}

/* Draws number k from the distribution, within a cell: its nearer end when the cell is too far off
 * for that to matter. */
static double draw_within(const struct cmaes_state *s, int64_t k, double low, double high,
                          qn_rng *rng)
{
    const double mean = s->cma.mean[k], deviation = qn_cma_deviation(&s->cma, k);
    for (int i = 0; i < CELL_DRAWS_MAX; i++) {
        const double x = mean + deviation * qn_rng_normal(rng);
        if (x >= low && x <= high) return x;
    }
    return fmin(fmax(mean, low), high);
}

/* A trial as a point of the distribution. */
static void take_point(const struct cmaes_state *s, const qn_trial_record *trial, double *point)
{
    qn_rng rng;
    qn_rng_init(&rng, s->seed, (uint64_t)trial->number);
    for (int64_t k = 0; k < n_dims(s); k++) {
        const qn_parameter *p = s->n_numbers > 0 ? number_of(s, k) : NULL;
        const double value = p ? qn_trial_value(trial, s->numbers[k]) : QN_NA;
        double low = -QN_INF, high = QN_INF;
        if (!isnan(value) && p->n_values == 0) {
            point[k] = qn_parameter_to_unit(p, value);
            continue;
        }
        if (!isnan(value)) cell_of(p, value, &low, &high);
        point[k] = draw_within(s, k, low, high, &rng);
    }
}

static void keep_margins(struct cmaes_state *s)
{
    for (int64_t k = 0; k < s->n_numbers; k++) {
        const qn_parameter *p = number_of(s, k);
        if (p->n_values == 0) continue;
        double low, high;
        cell_of(p, qn_parameter_from_unit(p, s->cma.mean[k]), &low, &high);
        qn_cma_keep_margin(&s->cma, k, low, high);
    }
}

static qn_status begin(struct cmaes_state *s, int64_t population, double sigma, const double *mean,
                       const double *covariance, qn_error *err)
{
    QN_TRY(reserve(s, population, err));
    const qn_cma_start start = {.n = n_dims(s),
                                .population = population,
                                .mean = mean,
                                .sigma = sigma,
                                .covariance = covariance};
    QN_TRY(qn_cma_begin(&s->cma, &start, err));
    keep_margins(s);
    return QN_OK;
}

/* From the middle, or from anywhere. */
static qn_status begin_at(struct cmaes_state *s, int64_t population, double sigma, qn_rng *rng,
                          qn_error *err)
{
    double *mean = qn_alloc_array(n_dims(s), sizeof *mean);
    if (!mean) return no_memory(err);
    for (int64_t k = 0; k < n_dims(s); k++) {
        mean[k] = rng ? qn_rng_uniform(rng) : 0.5;
    }
    level_masses(s);
    const qn_status status = begin(s, population, sigma, mean, NULL, err);
    qn_free(mean);
    return status;
}

static qn_status init(void *state, const qn_sampler_setup *setup, qn_error *err)
{
    struct cmaes_state *s = state;
    s->history = setup->history;
    s->seed = setup->seed;
    memcpy(&s->settings, setup->settings, sizeof s->settings);
    QN_TRY(list_parameters(s, err));
    return s->settings.startup > 0 ? QN_OK : begin_at(s, first_population(s), SIZE, NULL, err);
}

static int by_rank(const void *a, const void *b)
{
    const struct member *one = a, *other = b;
    return qn_trial_compare(one->trial, other->trial);
}

/* No mass below (1 - 0.73^(1/choices)) / (values - 1): section 3.3 of the paper. */
static void keep_masses(const struct cmaes_state *s, double *masses, int64_t n)
{
    const double least = (1 - pow(0.73, 1 / (double)s->n_choices)) / (double)(n - 1);
    double added = 0, above = 0;
    for (int64_t v = 0; v < n; v++) {
        added += fmax(0, least - masses[v]);
        above += fmax(0, masses[v] - least);
    }
    for (int64_t v = 0; v < n; v++) {
        const double excess = masses[v] - least;
        masses[v] = least + fmax(0, excess) * (above > 0 ? 1 - added / above : 0);
    }
}

/* Moves the masses to those of the better half, where the parameter was active. */
static void learn_choices(struct cmaes_state *s)
{
    const double rate = s->cma.mu_eff / (s->cma.mu_eff + 4 + (double)s->n_choices);
    for (int64_t c = 0; c < s->n_choices; c++) {
        const qn_parameter *p = choice_of(s, c);
        double kept = 1;
        for (int64_t i = 0; i < s->n_members && s->cma.weights[i] > 0; i++) {
            const bool active = !isnan(qn_trial_value(s->members[i].trial, s->choices[c]));
            kept -= active ? rate * s->cma.weights[i] : 0;
        }
        for (int64_t v = 0; v < p->n_values; v++) {
            s->masses[c][v] *= kept;
        }
        for (int64_t i = 0; i < s->n_members && s->cma.weights[i] > 0; i++) {
            const double value = qn_trial_value(s->members[i].trial, s->choices[c]);
            if (isnan(value)) continue;
            s->masses[c][qn_parameter_index_of(p, value)] += rate * s->cma.weights[i];
        }
        keep_masses(s, s->masses[c], p->n_values);
    }
}

/* Whether the losses have come to an end: hardly any difference within the last generations. */
static bool is_flat(struct cmaes_state *s)
{
    const int64_t wanted = 10 + (30 * n_dims(s) + s->cma.population - 1) / s->cma.population;
    const int64_t span = wanted < RECENT_MAX ? wanted : RECENT_MAX;
    double low = s->members[0].trial->losses[0];
    double high = s->members[s->n_members - 1].trial->losses[0];
    s->recent[s->n_recent++ % span] = low;
    if (s->n_recent < span) return false;
    for (int64_t i = 0; i < span; i++) {
        low = fmin(low, s->recent[i]);
        high = fmax(high, s->recent[i]);
    }
    return !(high - low > FLAT * fmax(1e-12, fmax(fabs(low), fabs(high))));
}

static qn_status restart(struct cmaes_state *s, qn_error *err)
{
    qn_rng rng;
    qn_rng_init(&rng, qn_seed_child(s->seed, 1), (uint64_t)s->n_restarts++);
    const int64_t first = first_population(s);
    const double u = qn_rng_uniform(&rng), v = qn_rng_uniform(&rng);
    s->is_small = s->settings.restarts == RESTARTS_BIPOP && s->spent[1] < s->spent[0];
    if (s->is_small) {
        const double ratio = 0.5 * ldexp(1, (int)s->n_large);
        const double population = (double)first * pow(fmax(ratio, 1), u * u);
        return begin_at(s, (int64_t)population, SIZE * pow(10, -2 * v), &rng, err);
    }
    if (s->n_large < DOUBLINGS_MAX) s->n_large++;
    return begin_at(s, first << s->n_large, SIZE, &rng, err);
}

/* A generation is complete. */
static qn_status advance(struct cmaes_state *s, qn_error *err)
{
    qsort(s->members, (size_t)s->n_members, sizeof *s->members, by_rank);
    for (int64_t i = 0; i < s->n_members; i++) {
        s->order[i] = s->members[i].point;
    }
    QN_TRY(qn_cma_update(&s->cma, s->order, err));
    learn_choices(s);
    keep_margins(s);
    const bool ends = is_flat(s) || (s->n_numbers > 0 && qn_cma_is_spent(&s->cma));
    s->n_members = 0;
    return ends && s->settings.restarts != RESTARTS_NONE ? restart(s, err) : QN_OK;
}

/* The choices of the best, and one of each. */
static void count_choices(struct cmaes_state *s, const struct member *best, int64_t n)
{
    for (int64_t c = 0; c < s->n_choices; c++) {
        const qn_parameter *p = choice_of(s, c);
        double total = 1;
        for (int64_t i = 0; i < n; i++) {
            const double value = qn_trial_value(best[i].trial, s->choices[c]);
            if (isnan(value)) continue;
            s->masses[c][qn_parameter_index_of(p, value)] += 1;
            total += 1;
        }
        for (int64_t v = 0; v < p->n_values; v++) {
            s->masses[c][v] /= total;
        }
    }
}

/* The normal nearest to the mixture about the n best: its mean, and its covariance, which is that
 * of their points and of each normal. */
static qn_status begin_from(struct cmaes_state *s, const struct member *best, int64_t n,
                            double *mean, double *covariance, qn_error *err)
{
    const int64_t d = n_dims(s);
    for (int64_t row = 0; row < d; row++) {
        for (int64_t i = 0; i < n; i++) {
            mean[row] += best[i].point[row] / (double)n;
        }
    }
    double *factor = covariance + d * d;
    for (int64_t row = 0; row < d; row++) {
        covariance[row * d + row] = WARM_DEVIATION * WARM_DEVIATION;
        for (int64_t i = 0; i < n; i++) {
            const double *x = best[i].point;
            for (int64_t col = 0; col < d; col++) {
                covariance[row * d + col] +=
                    (x[row] - mean[row]) * (x[col] - mean[col]) / (double)n;
            }
        }
    }
    memcpy(factor, covariance, (size_t)(d * d) * sizeof *factor);
    if (!qn_cholesky_factor(factor, d, d, NULL)) {
        return qn_fail(err, QN_ERR_DATA, "cmaes: the first trials have no covariance");
    }
    const double sigma = exp(qn_cholesky_log_det(factor, d, d) / (2 * (double)d));
    for (int64_t i = 0; i < d * d; i++) {
        covariance[i] /= sigma * sigma;
    }
    level_masses(s);
    count_choices(s, best, n);
    return begin(s, first_population(s), sigma, mean, covariance, err);
}

/* Begins from the trials told so far. */
static qn_status warm_start(struct cmaes_state *s, qn_error *err)
{
    const int64_t n = s->history->n_told, d = n_dims(s);
    const int64_t n_best = (int64_t)ceil(WARM_SHARE * (double)n);
    struct member *best = qn_alloc_array(n, sizeof *best);
    double *numbers = qn_alloc_array(d + 2 * d * d + n_best * d, sizeof *numbers);
    qn_status status =
        best && numbers ? begin_at(s, first_population(s), SIZE, NULL, err) : no_memory(err);
    for (int64_t i = 0; status == QN_OK && i < n; i++) {
        best[i].trial = s->history->told[i];
    }
    if (status == QN_OK) {
        double *points = numbers + d + 2 * d * d;
        qsort(best, (size_t)n, sizeof *best, by_rank);
        for (int64_t i = 0; i < n_best; i++) {
            best[i].point = points + i * d;
            take_point(s, best[i].trial, best[i].point);
        }
        status = begin_from(s, best, n_best, numbers, numbers + d, err);
    }
    qn_free(best);
    qn_free(numbers);
    return status;
}

static qn_status tell(void *state, const qn_trial_record *trial, qn_error *err)
{
    struct cmaes_state *s = state;
    if (s->cma.n == 0) {
        return s->history->n_told < (int64_t)s->settings.startup ? QN_OK : warm_start(s, err);
    }
    struct member *member = &s->members[s->n_members];
    member->trial = trial;
    member->point = s->points + s->n_members++ * n_dims(s);
    take_point(s, trial, member->point);
    s->spent[s->is_small]++;
    return s->n_members < s->cma.population ? QN_OK : advance(s, err);
}

static bool is_inside(const struct cmaes_state *s, const double *point)
{
    bool inside = true;
    for (int64_t k = 0; inside && k < s->n_numbers; k++) {
        inside = number_of(s, k)->n_values > 0 || (point[k] >= 0 && point[k] <= 1);
    }
    return inside;
}

static double draw_choice(const double *masses, int64_t n, qn_rng *rng)
{
    double u = qn_rng_uniform(rng);
    int64_t v = 0;
    while (v + 1 < n && u >= masses[v]) {
        u -= masses[v++];
    }
    return (double)v;
}

static qn_status ask(void *state, qn_sampler_ask *ask, qn_error *err)
{
    struct cmaes_state *s = state;
    (void)err;
    qn_space_draw(s->history->space, ask->rng, ask->values);
    if (s->cma.n == 0) return QN_OK;
    int redraws = 0;
    do {
        qn_cma_draw(&s->cma, ask->rng, s->point);
    } while (!is_inside(s, s->point) && ++redraws < REDRAWS_MAX);
    for (int64_t k = 0; k < s->n_numbers; k++) {
        ask->values[s->numbers[k]] = qn_parameter_from_unit(number_of(s, k), s->point[k]);
    }
    for (int64_t c = 0; c < s->n_choices; c++) {
        const qn_parameter *p = choice_of(s, c);
        const double v = draw_choice(s->masses[c], p->n_values, ask->rng);
        ask->values[s->choices[c]] = qn_parameter_value_at(p, (int64_t)v);
    }
    return QN_OK;
}

#define AT(member) offsetof(struct cmaes_settings, member)

static const qn_setting settings[] = {
    {"population", QN_SETTING_WHOLE, AT(population), 0, 1e4, 0,
     "trials of a generation; 0: 4 + 3 log(numbers)"},
    {"restarts", QN_SETTING_WHOLE, AT(restarts), 0, 2, 2,
     "0: none; 1: with twice the population (IPOP); 2: small ones between (BIPOP)"},
    {"startup", QN_SETTING_WHOLE, AT(startup), 0, 1e6, 0,
     "random or given trials first, whose best tenth it starts from"},
    {0}};

const qn_sampler qn_sampler_cmaes = {
    .name = "cmaes",
    .help = "evolution strategy with a learned covariance, CMA-ES with margin (Hansen 2016)",
    .settings = settings,
    .settings_bytes = sizeof(struct cmaes_settings),
    .state_bytes = sizeof(struct cmaes_state),
    .init = init,
    .tell = tell,
    .ask = ask,
    .release = release};
