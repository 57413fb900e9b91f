/* SPDX-License-Identifier: Apache-2.0 */
/* Tree-structured Parzen estimator (Bergstra et al. 2011; multivariate: Falkner et al. 2018;
 * constant liar: Ginsbourger et al. 2010; several objectives: Ozaki et al. 2022). The best tenth of
 * the trials, 25 at most, makes one density, the others a second one; of some draws from the first,
 * the one with the greatest ratio of the two is proposed.
 *
 * Stopped trials. The best ones are those at the highest rung that `startup` trials have reached
 * (rung.h), as many as a tenth of the trials there; all others are bad ones. BOHB leaves those that
 * were stopped below out; as bad ones they keep the model away from where trials are stopped.
 *
 * Contrast. The density of the others is the less certain the more floats it spans: far from the
 * kernels it says where nothing was tried, not where it is bad, and a full ratio rewards leaving
 * for there. So it enters with an exponent, `contrast` where all parameters of a group are floats,
 * rising to 1 with the share of those that have so many values and no more, choices and ints
 * (bench/search has what that gains).
 *
 * Groups. Parameters that have been active in exactly the same trials form a group, whose joint
 * density is estimated; groups are treated one after another. So conditional spaces of any form
 * need no description beyond what was observed, and each density has all trials that know of it.
 *
 * Speed. Columns of observations are kept as the estimator takes them. The density of the others
 * takes at most KERNELS_MAX of them, chosen by systematic resampling with their weights (Carpenter
 * et al. 1999), so that a proposal costs the same after 1,000 trials and after 100,000; bandwidths
 * change in small steps, so that the normalisations of kernels can be kept. */
#include "base/alloc.h"
#include "search/pruners/rung.h"
#include "search/samplers/parzen.h"
#include "search/samplers/sampler_table.h"
#include "search/study/pareto.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { BELOW_MAX = 25, KERNELS_MAX = 160, NEWEST = 25, INSERTED_MAX = 16 };

struct tpe_settings {
    double startup, candidates, multivariate, group, constant_liar, prior_weight, gamma, contrast;
};

/* The observations of a parameter, in the order they were told. */
struct column {
    double *points;     /* as the estimator takes them; QN_NA where inactive */
    double *log_masses; /* for `sigma`, of the first n_masses */
    double sigma;
    int64_t n_masses;
    int32_t group;
};

/* What asking works on: the parameters of one group, and the observations chosen for a density.
 * Kept from ask to ask. */
struct selection {
    int64_t n_params;
    const qn_parameter **parameters; /* [n_params] */
    int32_t *params;
    int64_t n, room, n_observed;
    int32_t *chosen;
    double *weights;
    int64_t n_running;             /* the last of `values`, from running trials */
    double **values, **log_masses; /* [n_params][n] */
    int64_t params_room;
    double *numbers; /* what values and log_masses point into */
};

struct tpe_state {
    const qn_history *history;
    struct tpe_settings settings;
    int64_t n_params, params_room; /* parameters with columns */
    struct column *columns;
    int64_t n, room; /* observations, in history->told */
    int64_t n_complete;
    int64_t n_ranked;
    int32_t *ranked; /* one objective: positions in told of the first n_ranked, best first */
    bool *is_below;  /* per observation, while asking */
    int32_t n_groups;
    qn_parzen below, above;
    struct selection selection;
    qn_arena scratch; /* while asking */
};

static qn_status no_memory(qn_error *err)
{
    return qn_fail(err, QN_ERR_NOMEM, "no memory for the trials of the sampler tpe");
}

static qn_status init(void *state, const qn_sampler_setup *setup, qn_error *err)
{
    struct tpe_state *tpe = state;
    (void)err;
    tpe->history = setup->history;
    memcpy(&tpe->settings, setup->settings, sizeof tpe->settings);
    return QN_OK;
}

static void release_selection(struct selection *s)
{
    qn_free(s->parameters);
    qn_free(s->params);
    qn_free(s->chosen);
    qn_free(s->weights);
    qn_free(s->values);
    qn_free(s->log_masses);
    qn_free(s->numbers);
    *s = (struct selection){0};
}

static void release(void *state)
{
    struct tpe_state *tpe = state;
    for (int64_t at = 0; at < tpe->n_params; at++) {
        qn_free(tpe->columns[at].points);
        qn_free(tpe->columns[at].log_masses);
    }
    qn_free(tpe->columns);
    qn_free(tpe->ranked);
    qn_free(tpe->is_below);
    release_selection(&tpe->selection);
    qn_parzen_release(&tpe->below);
    qn_parzen_release(&tpe->above);
    qn_arena_release(&tpe->scratch);
}

static bool grow_doubles(double **values, int64_t room)
{
    double *more = qn_realloc_array(*values, room, sizeof *more);
    if (more) *values = more;
    return more != NULL;
}

static bool reserve_observations(struct tpe_state *tpe)
{
    if (tpe->n < tpe->room) return true;
    const int64_t room = tpe->room ? 2 * tpe->room : 64;
    int32_t *ranked = qn_realloc_array(tpe->ranked, room, sizeof *ranked);
    if (ranked) tpe->ranked = ranked;
    bool *is_below = qn_realloc_array(tpe->is_below, room, sizeof *is_below);
    if (is_below) tpe->is_below = is_below;
    bool complete = ranked && is_below;
    for (int64_t at = 0; complete && at < tpe->n_params; at++) {
        complete = grow_doubles(&tpe->columns[at].points, room) &&
                   grow_doubles(&tpe->columns[at].log_masses, room);
    }
    if (complete) tpe->room = room;
    return complete;
}

/* Parameters that appeared since have been inactive so far: one group. */
static bool add_columns(struct tpe_state *tpe)
{
    const int64_t n = tpe->history->space->n;
    if (n == tpe->n_params) return true;
    struct column *more = qn_realloc_array(tpe->columns, n, sizeof *more);
    if (!more) return false;
    tpe->columns = more;
    for (; tpe->n_params < n; tpe->n_params++) {
        struct column column = {.points = qn_alloc_array(tpe->room, sizeof(double)),
                                .log_masses = qn_alloc_array(tpe->room, sizeof(double)),
                                .group = tpe->n_groups};
        if (!column.points || !column.log_masses) {
            qn_free(column.points);
            qn_free(column.log_masses);
            return false;
        }
        for (int64_t i = 0; i < tpe->n; i++) {
            column.points[i] = QN_NA;
        }
        tpe->columns[tpe->n_params] = column;
    }
    tpe->n_groups++;
    return true;
}

/* Splits each group into the parameters active in observation i and the others. */
static bool refine_groups(struct tpe_state *tpe, int64_t i)
{
    int32_t *first = qn_arena_array(&tpe->scratch, 2 * tpe->n_params, sizeof *first);
    if (!first) return false;
    int32_t *split = first + tpe->n_params; /* per old group: the new group of inactive ones */
    const int32_t n_old = tpe->n_groups;
    for (int32_t group = 0; group < n_old; group++) {
        first[group] = split[group] = -1;
    }
    for (int64_t at = 0; at < tpe->n_params; at++) {
        const int32_t group = tpe->columns[at].group;
        const bool active = !isnan(tpe->columns[at].points[i]);
        if (first[group] < 0) first[group] = active;
        if (first[group] == active) continue;
        if (split[group] < 0) split[group] = tpe->n_groups++;
        tpe->columns[at].group = split[group];
    }
    return true;
}

/* Inserts observation i where it ranks. */
static void rank(struct tpe_state *tpe, int64_t i)
{
    const qn_trial_record *const *told = tpe->history->told;
    int64_t low = 0, high = i;
    while (low < high) {
        const int64_t mid = (low + high) / 2;
        if (qn_trial_compare(told[tpe->ranked[mid]], told[i]) < 0) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    memmove(tpe->ranked + low + 1, tpe->ranked + low, (size_t)(i - low) * sizeof *tpe->ranked);
    tpe->ranked[low] = (int32_t)i;
}

static int by_rank(const void *a, const void *b)
{
    return qn_trial_compare(*(const qn_trial_record *const *)a, *(const qn_trial_record *const *)b);
}

/* Ranks all that was told: one after the other, or, when a study is taken up, at once. */
static qn_status rank_told(struct tpe_state *tpe, qn_error *err)
{
    const size_t bytes = (size_t)tpe->n * sizeof(void *);
    if (tpe->n - tpe->n_ranked > INSERTED_MAX) {
        const qn_trial_record **trials = qn_alloc_array(tpe->n, sizeof *trials);
        if (!trials) return no_memory(err);
        memcpy(trials, tpe->history->told, bytes);
        qsort(trials, (size_t)tpe->n, sizeof *trials, by_rank);
        for (int64_t k = 0; k < tpe->n; k++) {
            tpe->ranked[k] = (int32_t)trials[k]->told;
        }
        qn_free(trials);
        tpe->n_ranked = tpe->n;
    }
    while (tpe->n_ranked < tpe->n) {
        rank(tpe, tpe->n_ranked++);
    }
    return QN_OK;
}

static qn_status tell(void *state, const qn_trial_record *trial, qn_error *err)
{
    struct tpe_state *tpe = state;
    const qn_space *space = tpe->history->space;
    if (!add_columns(tpe) || !reserve_observations(tpe)) return no_memory(err);
    for (int64_t at = 0; at < space->n; at++) {
        const double value = qn_trial_value(trial, at);
        tpe->columns[at].points[tpe->n] =
            isnan(value) ? QN_NA : qn_parzen_value(&space->parameters[at], value);
    }
    const bool refined = refine_groups(tpe, tpe->n);
    qn_arena_reset(&tpe->scratch);
    if (!refined) return no_memory(err);
    tpe->n++;
    tpe->n_complete += trial->state == QN_TRIAL_COMPLETE;
    return QN_OK;
}

static int64_t n_good(const struct tpe_state *tpe, int64_t n)
{
    const int64_t wanted = (int64_t)ceil(tpe->settings.gamma * (double)n);
    return wanted < BELOW_MAX ? wanted : BELOW_MAX;
}

/* Of several objectives, the front and what is behind it. */
static qn_status split_by_fronts(struct tpe_state *tpe, int32_t *best, int64_t *n_best,
                                 qn_error *err)
{
    *n_best = n_good(tpe, tpe->n);
    return qn_pareto_select(tpe->history->told, tpe->n, tpe->history->objectives->n, *n_best, best,
                            NULL, NULL, err);
}

/* Where trials were stopped, the best at the highest rung that `startup` of them have reached. */
static qn_status split_by_rung(struct tpe_state *tpe, int32_t *best, int64_t *n_best, qn_error *err)
{
    const int64_t n_min = (int64_t)tpe->settings.startup;
    int64_t n = 0;
    if (tpe->n_complete < n_min) {
        QN_TRY(qn_rung_rank(tpe->history, n_min, best, &n, err));
    } else {
        for (int64_t k = 0; k < tpe->n; k++) {
            best[n] = tpe->ranked[k];
            n += tpe->history->told[best[n]]->state == QN_TRIAL_COMPLETE;
        }
    }
    *n_best = n_good(tpe, n);
    return QN_OK;
}

/* Marks the best ones. */
static qn_status split(struct tpe_state *tpe, qn_error *err)
{
    int32_t *best = tpe->ranked;
    int64_t n_best = n_good(tpe, tpe->n);
    const bool single = tpe->history->objectives->n == 1;
    if (single) QN_TRY(rank_told(tpe, err));
    if (!single || tpe->n_complete < tpe->n) {
        best = qn_arena_array(&tpe->scratch, tpe->n, sizeof *best);
        if (!best) return no_memory(err);
        QN_TRY(single ? split_by_rung(tpe, best, &n_best, err)
                      : split_by_fronts(tpe, best, &n_best, err));
    }
    memset(tpe->is_below, 0, (size_t)tpe->n * sizeof *tpe->is_below);
    for (int64_t k = 0; k < n_best; k++) {
        tpe->is_below[best[k]] = true;
    }
    return QN_OK;
}

/* The weight of observation k of n: falling linearly with age, the newest full. */
static double age_weight(int64_t k, int64_t n)
{
    const int64_t ramp = n - NEWEST;
    if (ramp <= 0 || k >= ramp) return 1;
    const double first = 1 / (double)n;
    return ramp == 1 ? first : first + (1 - first) * (double)k / (double)(ramp - 1);
}

/* The observations of a class that know the group, thinned where they are too many: then each
 * stands for an equal share of the weight. */
static void choose(const struct tpe_state *tpe, struct selection *s, bool below)
{
    const int64_t n_max = KERNELS_MAX;
    const double *points = tpe->columns[s->params[0]].points;
    int64_t n = 0, seen = 0;
    for (int64_t i = 0; i < tpe->n; i++) {
        n += tpe->is_below[i] == below && !isnan(points[i]);
    }
    double total = 0, passed = 0;
    for (int64_t k = 0; n > n_max && k < n; k++) {
        total += age_weight(k, n);
    }
    const double quantum = total / (double)n_max;
    s->n = 0;
    s->n_observed = n;
    for (int64_t i = 0; i < tpe->n; i++) {
        if (tpe->is_below[i] != below || isnan(points[i])) continue;
        const double weight = below ? 1 : age_weight(seen, n);
        seen++;
        passed += weight;
        if (n <= n_max) {
            s->weights[s->n] = weight;
            s->chosen[s->n++] = (int32_t)i;
        }
        while (n > n_max && s->n < n_max && passed >= ((double)s->n + 0.5) * quantum) {
            s->weights[s->n] = quantum;
            s->chosen[s->n++] = (int32_t)i;
        }
    }
}

/* Keeps the normalisations of a column's kernels up to date. */
static void update_masses(const struct tpe_state *tpe, struct column *column,
                          const qn_parameter *parameter, double sigma)
{
    if (column->sigma != sigma) column->n_masses = 0;
    column->sigma = sigma;
    for (; column->n_masses < tpe->n; column->n_masses++) {
        const double point = column->points[column->n_masses];
        column->log_masses[column->n_masses] =
            isnan(point) ? 0 : qn_parzen_log_mass(parameter, point, sigma);
    }
}

/* The running trials count as bad ones, so that others do not try the same. */
static void add_running(const struct tpe_state *tpe, struct selection *s)
{
    const qn_history *history = tpe->history;
    s->n_running = 0;
    for (int64_t r = 0; r < history->n_running && s->n < s->room; r++) {
        bool active = true;
        for (int64_t d = 0; d < s->n_params; d++) {
            const double value = qn_trial_value(history->running[r], s->params[d]);
            active &= !isnan(value);
            if (active) s->values[d][s->n] = qn_parzen_value(s->parameters[d], value);
        }
        if (!active) continue;
        s->weights[s->n++] = 1;
        s->n_running++;
    }
    s->n_observed += s->n_running;
}

static void gather(const struct tpe_state *tpe, struct selection *s, bool keep_masses)
{
    const int64_t n_told = s->n - s->n_running;
    for (int64_t d = 0; d < s->n_params; d++) {
        struct column *column = &tpe->columns[s->params[d]];
        for (int64_t k = 0; k < n_told; k++) {
            s->values[d][k] = column->points[s->chosen[k]];
        }
        if (!keep_masses || qn_parzen_is_table(s->parameters[d])) continue;
        const double sigma = qn_parzen_sigma(s->parameters[d], s->n_params, s->n_observed);
        update_masses(tpe, column, s->parameters[d], sigma);
        for (int64_t k = 0; k < n_told; k++) {
            s->log_masses[d][k] = column->log_masses[s->chosen[k]];
        }
        for (int64_t k = n_told; k < s->n; k++) {
            s->log_masses[d][k] = qn_parzen_log_mass(s->parameters[d], s->values[d][k], sigma);
        }
    }
}

static qn_status fit(struct tpe_state *tpe, struct selection *s, bool below, qn_parzen *parzen,
                     qn_error *err)
{
    choose(tpe, s, below);
    s->n_running = 0;
    if (!below && tpe->settings.constant_liar != 0) add_running(tpe, s);
    /* The few good ones draw together where they cluster; the many others are smoothed. */
    const bool neighbours = below || tpe->settings.multivariate == 0;
    const bool keep_masses = !below && !neighbours;
    gather(tpe, s, keep_masses);
    const qn_parzen_request request = {
        .n_dims = s->n_params,
        .parameters = s->parameters,
        .n_kernels = s->n,
        .values = (const double *const *)s->values,
        .weights = s->weights,
        .prior_weight = tpe->settings.prior_weight,
        .n_observed = s->n_observed,
        .neighbours = neighbours,
        .log_masses = keep_masses ? (const double *const *)s->log_masses : NULL};
    return qn_parzen_fit(parzen, &request, err);
}

/* The exponent of the density of the others. */
static double contrast_of(const struct tpe_state *tpe, const struct selection *s)
{
    int64_t n_dense = 0;
    for (int64_t d = 0; d < s->n_params; d++) {
        n_dense += s->parameters[d]->n_values == 0;
    }
    return 1 - (1 - tpe->settings.contrast) * (double)n_dense / (double)s->n_params;
}

/* Proposes for one group: the candidate most likely to be good rather than bad. */
static qn_status ask_group(struct tpe_state *tpe, struct selection *s, qn_sampler_ask *ask,
                           qn_error *err)
{
    double *values = qn_arena_array(&tpe->scratch, 2 * s->n_params, sizeof *values);
    if (!values) return no_memory(err);
    double *points = values + s->n_params;
    QN_TRY(fit(tpe, s, true, &tpe->below, err));
    QN_TRY(fit(tpe, s, false, &tpe->above, err));
    const double contrast = contrast_of(tpe, s);
    double best = -QN_INF;
    for (int64_t c = 0; c < (int64_t)tpe->settings.candidates; c++) {
        qn_parzen_draw(&tpe->below, ask->rng, values, points);
        const double gain = qn_parzen_log_density(&tpe->below, points) -
                            contrast * qn_parzen_log_density(&tpe->above, points);
        if (!(gain > best)) continue;
        best = gain;
        for (int64_t d = 0; d < s->n_params; d++) {
            ask->values[s->params[d]] = values[d];
        }
    }
    return QN_OK;
}

/* Collects the group whose first parameter is `first`: false when it belongs to an earlier one. */
static bool select_group(const struct tpe_state *tpe, int64_t first, struct selection *s)
{
    const int32_t group = tpe->columns[first].group;
    const qn_space *space = tpe->history->space;
    const bool alone = tpe->settings.multivariate == 0 ||
                       (tpe->settings.group == 0 && space->parameters[first].n_conditions > 0);
    s->n_params = 0;
    for (int64_t at = 0; at < tpe->n_params; at++) {
        const bool other_kind = tpe->settings.group == 0 && space->parameters[at].n_conditions > 0;
        const bool belongs = alone ? at == first : tpe->columns[at].group == group && !other_kind;
        if (!belongs) continue;
        if (at < first) return false;
        s->parameters[s->n_params] = &space->parameters[at];
        s->params[s->n_params++] = (int32_t)at;
    }
    return true;
}

static bool reserve_selection(const struct tpe_state *tpe, struct selection *s)
{
    const int64_t n = tpe->n_params;
    const int64_t kernels = (tpe->n < KERNELS_MAX ? tpe->n : KERNELS_MAX) + tpe->history->n_running;
    if (n <= s->params_room && kernels <= s->room) return true;
    release_selection(s);
    const int64_t room = kernels + kernels / 2;
    s->parameters = qn_alloc_array(n, sizeof *s->parameters);
    s->params = qn_alloc_array(n, sizeof *s->params);
    s->chosen = qn_alloc_array(room, sizeof *s->chosen);
    s->weights = qn_alloc_array(room, sizeof *s->weights);
    s->values = qn_alloc_array(n, sizeof *s->values);
    s->log_masses = qn_alloc_array(n, sizeof *s->log_masses);
    s->numbers = qn_alloc_array(2 * n * room, sizeof *s->numbers);
    if (!s->parameters || !s->params || !s->chosen || !s->weights || !s->values || !s->log_masses ||
        !s->numbers) {
        release_selection(s);
        return false;
    }
    for (int64_t d = 0; d < n; d++) {
        s->values[d] = s->numbers + 2 * d * room;
        s->log_masses[d] = s->values[d] + room;
    }
    s->params_room = n;
    s->room = room;
    return true;
}

static qn_status ask_groups(struct tpe_state *tpe, qn_sampler_ask *ask, qn_error *err)
{
    const qn_space *space = tpe->history->space;
    struct selection *s = &tpe->selection;
    QN_TRY(split(tpe, err));
    if (!reserve_selection(tpe, s)) return no_memory(err);
    for (int64_t at = 0; at < tpe->n_params; at++) {
        if (!qn_space_is_active(space, at, ask->values)) continue;
        if (!select_group(tpe, at, s)) continue;
        QN_TRY(ask_group(tpe, s, ask, err));
    }
    return QN_OK;
}

static qn_status ask(void *state, qn_sampler_ask *ask, qn_error *err)
{
    struct tpe_state *tpe = state;
    qn_space_draw(tpe->history->space, ask->rng, ask->values);
    if (tpe->n < (int64_t)tpe->settings.startup) return QN_OK;
    const qn_status status = ask_groups(tpe, ask, err);
    qn_arena_reset(&tpe->scratch);
    return status;
}

#define AT(member) offsetof(struct tpe_settings, member)

static const qn_setting settings[] = {
    {"startup", QN_SETTING_WHOLE, AT(startup), 1, 1e6, 10, "random trials before the first model"},
    {"candidates", QN_SETTING_WHOLE, AT(candidates), 1, 1e5, 40, "draws to choose among"},
    {"multivariate", QN_SETTING_FLAG, AT(multivariate), 0, 1, 1,
     "one joint density for parameters that go together"},
    {"group", QN_SETTING_FLAG, AT(group), 0, 1, 1,
     "joint densities of conditional parameters, too"},
    {"constant_liar", QN_SETTING_FLAG, AT(constant_liar), 0, 1, 1,
     "running trials count as bad ones"},
    {"prior_weight", QN_SETTING_FLOAT, AT(prior_weight), 1e-3, 1e3, 1, "weight of the prior"},
    {"gamma", QN_SETTING_FLOAT, AT(gamma), 1e-3, 0.5, 0.1, "share of trials that count as good"},
    {"contrast", QN_SETTING_FLOAT, AT(contrast), 0, 1, 0.4,
     "weight of the worse trials' density among floats"},
    {0}};

const qn_sampler qn_sampler_tpe = {
    .name = "tpe",
    .help = "tree-structured Parzen estimator, multivariate (Bergstra et al. 2011)",
    .capabilities = QN_SAMPLER_OBJECTIVES | QN_SAMPLER_GROWING_SPACE,
    .settings = settings,
    .settings_bytes = sizeof(struct tpe_settings),
    .state_bytes = sizeof(struct tpe_state),
    .init = init,
    .tell = tell,
    .ask = ask,
    .release = release};
