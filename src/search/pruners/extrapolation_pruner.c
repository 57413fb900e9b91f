/* SPDX-License-Identifier: Apache-2.0 */
/* Stops a trial whose curve, extrapolated to the last step, is unlikely to end below the best
 * result (extrapolation.h; the rule is that of Domhan et al. 2015). A curve that has been below the
 * best once is never stopped: its user may keep the best step. */
#include "search/pruners/extrapolation.h"
#include "search/pruners/pruner_table.h"

#include <math.h>

struct curve_settings {
    double max_step, p, startup, warmup;
};

/* The last step of complete trials: how long a whole curve is. */
static int64_t longest(const qn_history *history)
{
    int64_t last = 0;
    for (int64_t i = 0; i < history->n_told; i++) {
        const qn_trial_record *trial = history->told[i];
        if (trial->state != QN_TRIAL_COMPLETE || trial->n_reports == 0) continue;
        const int64_t step = trial->reports[trial->n_reports - 1].step;
        if (step > last) last = step;
    }
    return last;
}

static int64_t count_complete(const qn_history *history)
{
    int64_t n = 0;
    for (int64_t i = 0; i < history->n_told; i++) {
        n += history->told[i]->state == QN_TRIAL_COMPLETE;
    }
    return n;
}

static bool has_been_below(const qn_trial_record *trial, double best)
{
    for (int64_t i = 0; i < trial->n_reports; i++) {
        if (trial->reports[i].loss < best) return true;
    }
    return false;
}

static bool stop_curve(const void *settings, const qn_history *history,
                       const qn_trial_record *trial)
{
    const struct curve_settings *s = settings;
    const int64_t step = trial->reports[trial->n_reports - 1].step;
    const qn_trial_record *best = qn_history_best(history);
    if (!best || (double)step < s->warmup) return false;
    if ((double)count_complete(history) < s->startup) return false;
    if (has_been_below(trial, best->losses[0])) return false;
    const int64_t last = s->max_step > 0 ? (int64_t)s->max_step : longest(history);
    if (step >= last) return false; /* the work is done, or nobody knows how long it takes */
    return qn_curve_beats(trial->reports, trial->n_reports, last, best->losses[0]) < s->p;
}

#define AT(member) offsetof(struct curve_settings, member)

static const qn_setting settings[] = {
    {"max_step", QN_SETTING_WHOLE, AT(max_step), 0, 1e15, 0,
     "last step of a whole trial; 0: that of the complete ones"},
    {"p", QN_SETTING_FLOAT, AT(p), 0, 1, 0.05,
     "stops when the probability of beating the best is below"},
    {"startup", QN_SETTING_WHOLE, AT(startup), 1, 1e9, 3, "complete trials before any is stopped"},
    {"warmup", QN_SETTING_WHOLE, AT(warmup), 0, 1e15, 0, "first step at which one is stopped"},
    {0}};

const qn_pruner qn_pruner_curve = {.name = "curve",
                                   .help = "extrapolates the curve: stops what will hardly beat "
                                           "the best (Domhan et al. 2015)",
                                   .settings = settings,
                                   .settings_bytes = sizeof(struct curve_settings),
                                   .should_stop = stop_curve};
