/* SPDX-License-Identifier: Apache-2.0 */
/* Cost-frugal optimisation: FLOW2 with restarts (Wu, Wang & Huang 2021, "Frugal optimization for
 * cost-related hyperparameters", AAAI). A local search that begins where trials are cheap, at
 * `low_cost` of the parameters that have one, and goes to dearer places only as far as that pays.
 *
 * FLOW2 keeps one configuration, the incumbent. A trial lies a step away from it in a direction
 * drawn uniformly, on the unit intervals of all numbers; when that is no better, the opposite one
 * is next. What is better becomes the incumbent. After `patience` trials that were not, the step
 * shrinks by the root of the share of this descent that came before the incumbent, but not to less
 * than half: the more of it has been in vain, the more. When the step is less than `finest`, the
 * search begins anew: at low_cost again, and anywhere in what has none.
 *
 * A choice without an order keeps its value unless its coordinate leaves the middle of a cell for
 * another one, and then is any.
 *
 * Several trials at a time are as many directions. The opposite of trial t is for the next trial
 * that a worker will ask for, t + workers, and trials asked for before a restart are no part of the
 * descent that follows it. */
#include "base/alloc.h"
#include "search/samplers/sampler_table.h"

#include <math.h>
#include <string.h>

enum { DIRECTIONS_MAX = 12 }; /* drawn before the incumbent may be tried again */

struct cfo_settings {
    double step, finest, patience;
};

struct cfo_state {
    const qn_history *history;
    struct cfo_settings settings;
    uint64_t seed;
    int64_t n_workers;
    const qn_trial_record *incumbent; /* NULL: the descent has no trial yet */
    const qn_trial_record *failed;    /* the last one; its opposite is due. NULL: none */
    double step;                      /* length, per root of the number of parameters */
    int64_t first;                    /* number that the descent begins with */
    int64_t n_told, n_told_then;      /* of the descent; when it found its incumbent */
    int64_t n_in_vain;                /* since the incumbent or the last change of the step */
    int64_t n_descents;
};

static qn_status no_memory(qn_error *err)
{
    return qn_fail(err, QN_ERR_NOMEM, "no memory for the sampler cfo");
}

static qn_status init(void *state, const qn_sampler_setup *setup, qn_error *err)
{
    struct cfo_state *s = state;
    (void)err;
    s->history = setup->history;
    memcpy(&s->settings, setup->settings, sizeof s->settings);
    s->seed = setup->seed;
    s->n_workers = setup->n_workers;
    s->step = s->settings.step;
    return QN_OK;
}

/* The number that the worker of a trial asks for next, when all take turns. */
static int64_t next_after(const struct cfo_state *s, const qn_trial_record *trial)
{
    return trial->number + s->n_workers;
}

static void begin_descent(struct cfo_state *s, const qn_trial_record *last)
{
    s->incumbent = s->failed = NULL;
    s->step = s->settings.step;
    s->first = next_after(s, last);
    s->n_told = s->n_told_then = s->n_in_vain = 0;
    s->n_descents++;
}

static void shrink(struct cfo_state *s, const qn_trial_record *last)
{
    s->n_in_vain = 0;
    s->step *= fmax(0.5, sqrt((double)s->n_told_then / (double)s->n_told));
    if (s->step < s->settings.finest) begin_descent(s, last);
}

static qn_status tell(void *state, const qn_trial_record *trial, qn_error *err)
{
    struct cfo_state *s = state;
    (void)err;
    if (trial->number < s->first) return QN_OK;
    s->n_told++;
    if (!s->incumbent || qn_trial_compare(trial, s->incumbent) < 0) {
        s->incumbent = trial;
        s->failed = NULL;
        s->n_told_then = s->n_told;
        s->n_in_vain = 0;
        return QN_OK;
    }
    const bool was_opposite = s->failed && trial->number == next_after(s, s->failed);
    s->failed = was_opposite ? NULL : trial;
    if (++s->n_in_vain >= (int64_t)s->settings.patience) shrink(s, trial);
    return QN_OK;
}

/* Where a descent begins: low costs, and elsewhere the middle at first, then anywhere. */
static void begin_at(const struct cfo_state *s, double *values)
{
    const qn_space *space = s->history->space;
    qn_rng rng;
    qn_rng_init(&rng, s->seed, (uint64_t)s->n_descents);
    for (int64_t at = 0; at < space->n; at++) {
        const qn_parameter *p = &space->parameters[at];
        const double drawn = qn_parameter_draw(p, &rng);
        const bool anywhere = s->n_descents > 0 || qn_parameter_is_unordered(p);
        values[at] = p->has_low_cost ? p->low_cost
                     : anywhere      ? drawn
                                     : qn_parameter_from_unit(p, 0.5);
    }
}

static void center_of(const struct cfo_state *s, double *values)
{
    begin_at(s, values);
    if (!s->incumbent) return;
    for (int64_t at = 0; at < s->history->space->n; at++) {
        const double value = qn_trial_value(s->incumbent, at);
        if (!isnan(value)) values[at] = value;
    }
}

/* A direction on the unit sphere. */
static void draw_direction(int64_t n, qn_rng *rng, double *direction)
{
    double squares = 0;
    for (int64_t at = 0; at < n; at++) {
        direction[at] = qn_rng_normal(rng);
        squares += direction[at] * direction[at];
    }
    for (int64_t at = 0; at < n; at++) {
        direction[at] /= sqrt(squares);
    }
}

/* values = center + length × direction, on the unit intervals. */
static void move(const qn_space *space, const double *center, const double *direction,
                 double length, qn_rng *rng, double *values)
{
    for (int64_t at = 0; at < space->n; at++) {
        const qn_parameter *p = &space->parameters[at];
        const double by = length * direction[at];
        if (!qn_parameter_is_unordered(p)) {
            values[at] = qn_parameter_from_unit(p, qn_parameter_to_unit(p, center[at]) + by);
        } else {
            const bool leaves = fabs(by) > 0.5 / (double)p->n_values;
            values[at] = leaves ? qn_parameter_draw(p, rng) : center[at];
        }
    }
}

/* As far on the other side of the center; choices as in the center. */
static void reflect(const qn_space *space, const double *center, const qn_trial_record *from,
                    double *values)
{
    for (int64_t at = 0; at < space->n; at++) {
        const qn_parameter *p = &space->parameters[at];
        const double value = qn_trial_value(from, at);
        values[at] = center[at];
        if (isnan(value) || qn_parameter_is_unordered(p)) continue;
        const double x = qn_parameter_to_unit(p, center[at]);
        values[at] = qn_parameter_from_unit(p, 2 * x - qn_parameter_to_unit(p, value));
    }
}

/* Whether a proposal is another configuration than the center, once both are settled. */
static bool differs(const qn_space *space, const double *center, double *values)
{
    qn_space_settle(space, values);
    for (int64_t at = 0; at < space->n; at++) {
        if (!isnan(values[at]) && values[at] != center[at]) return true;
    }
    return false;
}

/* Steps that change nothing, since values are far apart, are drawn again and longer. */
static void step_from(const struct cfo_state *s, const double *center, double *direction,
                      qn_rng *rng, double *values)
{
    const qn_space *space = s->history->space;
    double length = s->step * sqrt((double)space->n);
    for (int draw = 0; draw < DIRECTIONS_MAX; draw++) {
        draw_direction(space->n, rng, direction);
        move(space, center, direction, length, rng, values);
        if (differs(space, center, values)) return;
        length *= 1.5;
    }
}

static qn_status ask(void *state, qn_sampler_ask *ask, qn_error *err)
{
    const struct cfo_state *s = state;
    const qn_space *space = s->history->space;
    double *center = qn_alloc_array(2 * space->n, sizeof *center);
    if (!center) return no_memory(err);
    center_of(s, center);
    const bool first_attempt = ask->attempt == 0;
    bool proposed = false;
    if (first_attempt && ask->number == s->first) {
        memcpy(ask->values, center, (size_t)space->n * sizeof *center);
        proposed = true;
    } else if (first_attempt && s->failed && ask->number == next_after(s, s->failed)) {
        reflect(space, center, s->failed, ask->values);
        proposed = differs(space, center, ask->values);
    }
    if (!proposed) step_from(s, center, center + space->n, ask->rng, ask->values);
    qn_free(center);
    return QN_OK;
}

#define AT(member) offsetof(struct cfo_settings, member)

static const qn_setting settings[] = {
    {"step", QN_SETTING_FLOAT, AT(step), 1e-6, 1, 0.2,
     "length of the first steps, per root of the number of parameters"},
    {"finest", QN_SETTING_FLOAT, AT(finest), 1e-12, 1, 1e-4, "a shorter step begins anew"},
    {"patience", QN_SETTING_WHOLE, AT(patience), 1, 1e6, 4,
     "trials without gain before the step shrinks"},
    {0}};

const qn_sampler qn_sampler_cfo = {
    .name = "cfo",
    .help = "local search from where trials are cheap, with restarts (Wu et al. 2021)",
    .capabilities = QN_SAMPLER_GROWING_SPACE,
    .settings = settings,
    .settings_bytes = sizeof(struct cfo_settings),
    .state_bytes = sizeof(struct cfo_state),
    .init = init,
    .tell = tell,
    .ask = ask};
