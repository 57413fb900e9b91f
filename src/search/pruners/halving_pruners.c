/* SPDX-License-Identifier: Apache-2.0 */
/* Asynchronous successive halving (Li et al. 2020, "A system for massively parallel hyperparameter
 * tuning") and Hyperband over it (Li et al. 2018). A trial that reaches a rung, step
 * min_step × factor^k, goes on when it is among the best 1/factor of those that have reached it.
 * Brackets share their rungs, as in asynchronous Hyperband (Klein et al. 2020, arXiv 2003.10865): a
 * trial that is looked at late is held against those that were looked at before.
 *
 * A report between two rungs counts at the lower one. So a trial may leave out the rungs before its
 * first look, and is no rival there. */
#include "base/rng.h"
#include "search/pruners/pruner_table.h"
#include "search/pruners/rung.h"

#include <math.h>

struct halving_settings {
    double min_step, factor, max_step;
};

/* The highest rung that the last report has just reached; 0 when it reached none. */
static double rung_reached(const qn_trial_record *trial, double first, double factor)
{
    const int64_t n = trial->n_reports;
    const double step = (double)trial->reports[n - 1].step;
    if (step < first) return 0;
    double rung = first;
    while (rung * factor <= step) {
        rung *= factor;
    }
    return n > 1 && (double)trial->reports[n - 2].step >= rung ? 0 : rung;
}

/* Hyperband gives every trial a bracket, at random with weights that spend about the same on each;
 * ASHA has one. */
static int64_t bracket_of(const struct halving_settings *s, int64_t n_brackets, int64_t number)
{
    double total = 0;
    for (int64_t b = 0; b < n_brackets; b++) {
        total += pow(s->factor, (double)b) * (double)n_brackets / (double)(b + 1);
    }
    qn_rng rng;
    qn_rng_init(&rng, 0x6879706572ull, (uint64_t)number);
    double at = qn_rng_uniform(&rng) * total;
    for (int64_t b = 0; b < n_brackets; b++) {
        at -= pow(s->factor, (double)b) * (double)n_brackets / (double)(b + 1);
        if (at < 0) return n_brackets - 1 - b;
    }
    return 0;
}

static double first_rung(const struct halving_settings *s, int64_t n_brackets,
                         const qn_trial_record *trial)
{
    return s->min_step * pow(s->factor, (double)bracket_of(s, n_brackets, trial->number));
}

/* Settings are rarely such that steps are not whole; the look is then at the next one. */
static double rung_after(const qn_trial_record *trial, double first, double factor)
{
    const int64_t n = trial->n_reports;
    double rung = first;
    while (n > 0 && rung <= (double)trial->reports[n - 1].step) {
        rung *= factor;
    }
    return ceil(rung);
}

static double loss_at_rung(const qn_trial_record *trial, double rung, double factor)
{
    const qn_curve_point *report = qn_trial_report_at(trial, rung);
    return report && (double)report->step < rung * factor ? report->loss : QN_NA;
}

static bool stop_in_bracket(const struct halving_settings *s, int64_t n_brackets,
                            const qn_history *history, const qn_trial_record *trial)
{
    const double rung = rung_reached(trial, first_rung(s, n_brackets, trial), s->factor);
    if (rung == 0) return false;
    const double loss = qn_trial_loss_at(trial, rung);
    int64_t n = 0, n_better = 0;
    for (int64_t i = 0; i < history->n_trials; i++) {
        const qn_trial_record *other = history->trials[i];
        const double rival = loss_at_rung(other, rung, s->factor);
        if (isnan(rival)) continue;
        n++;
        n_better += rival < loss;
    }
    const int64_t n_kept = (int64_t)floor((double)n / s->factor);
    return n_better >= (n_kept > 1 ? n_kept : 1);
}

static bool stop_asha(const void *settings, const qn_history *history, const qn_trial_record *trial)
{
    return stop_in_bracket(settings, 1, history, trial);
}

static double look_asha(const void *settings, const qn_trial_record *trial)
{
    const struct halving_settings *s = settings;
    return rung_after(trial, s->min_step, s->factor);
}

static int64_t n_brackets_of(const struct halving_settings *s)
{
    const double rungs = floor(log(s->max_step / s->min_step) / log(s->factor) + 1e-9);
    return rungs > 0 ? (int64_t)rungs + 1 : 1;
}

static bool stop_hyperband(const void *settings, const qn_history *history,
                           const qn_trial_record *trial)
{
    return stop_in_bracket(settings, n_brackets_of(settings), history, trial);
}

static double look_hyperband(const void *settings, const qn_trial_record *trial)
{
    const struct halving_settings *s = settings;
    return fmin(s->max_step, rung_after(trial, first_rung(s, n_brackets_of(s), trial), s->factor));
}

#define AT(member) offsetof(struct halving_settings, member)

static const qn_setting settings[] = {
    {"max_step", QN_SETTING_WHOLE, AT(max_step), 1, 1e15, 100, "last step of a whole trial"},
    {"min_step", QN_SETTING_WHOLE, AT(min_step), 1, 1e15, 1, "step of the first rung"},
    {"factor", QN_SETTING_FLOAT, AT(factor), 1.5, 100, 3, "one in so many goes on"},
    {0}};

const qn_pruner qn_pruner_asha = {.name = "asha",
                                  .help = "asynchronous successive halving (Li et al. 2020)",
                                  .settings = settings + 1,
                                  .settings_bytes = sizeof(struct halving_settings),
                                  .should_stop = stop_asha,
                                  .next_look = look_asha};

const qn_pruner qn_pruner_hyperband = {.name = "hyperband",
                                       .help = "brackets of successive halving (Li et al. 2018)",
                                       .settings = settings,
                                       .settings_bytes = sizeof(struct halving_settings),
                                       .should_stop = stop_hyperband,
                                       .next_look = look_hyperband};
