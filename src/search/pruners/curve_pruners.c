/* SPDX-License-Identifier: Apache-2.0 */
/* Pruners that compare a learning curve with those of finished trials, with limits, or with its own
 * past. */
#include "base/number.h"
#include "search/pruners/pruner_table.h"

#include <math.h>

/* Whether a rule applies at the last report: not in the first steps, and only every so often. */
static bool is_due(const qn_trial_record *trial, double warmup, double interval)
{
    const int64_t step = trial->reports[trial->n_reports - 1].step;
    return (double)step >= warmup && (step - (int64_t)warmup) % (int64_t)interval == 0;
}

static double best_so_far(const qn_trial_record *trial, int64_t n_reports)
{
    double best = QN_INF;
    for (int64_t i = 0; i < n_reports; i++) {
        best = fmin(best, trial->reports[i].loss);
    }
    return best;
}

/* The loss reported at a step; QN_NA when there is none. */
static double loss_at(const qn_trial_record *trial, int64_t step)
{
    int64_t low = 0, high = trial->n_reports;
    while (low < high) {
        const int64_t mid = (low + high) / 2;
        if (trial->reports[mid].step < step) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    return low < trial->n_reports && trial->reports[low].step == step ? trial->reports[low].loss
                                                                      : QN_NA;
}

struct percentile_settings {
    double percentile, startup, warmup, interval;
};

/* Stops when fewer than `percentile` per cent of the complete trials could have been as bad at this
 * step: counting those at least as good needs no sorting. */
static bool is_beyond(const struct percentile_settings *s, const qn_history *history,
                      const qn_trial_record *trial)
{
    if (!is_due(trial, s->warmup, s->interval)) return false;
    const int64_t step = trial->reports[trial->n_reports - 1].step;
    const double best = best_so_far(trial, trial->n_reports);
    int64_t n = 0, n_better = 0;
    for (int64_t i = 0; i < history->n_told; i++) {
        if (history->told[i]->state != QN_TRIAL_COMPLETE) continue;
        const double loss = loss_at(history->told[i], step);
        if (isnan(loss)) continue;
        n++;
        n_better += loss < best;
    }
    return (double)n >= s->startup && (double)n_better * 100 > (double)n * s->percentile;
}

static bool stop_percentile(const void *settings, const qn_history *history,
                            const qn_trial_record *trial)
{
    return is_beyond(settings, history, trial);
}

static bool stop_median(const void *settings, const qn_history *history,
                        const qn_trial_record *trial)
{
    struct percentile_settings s = *(const struct percentile_settings *)settings;
    s.percentile = 50;
    return is_beyond(&s, history, trial);
}

#define AT(member) offsetof(struct percentile_settings, member)

static const qn_setting percentile_settings[] = {
    {"percentile", QN_SETTING_FLOAT, AT(percentile), 0, 100, 25, "per cent of curves that go on"},
    {"startup", QN_SETTING_WHOLE, AT(startup), 1, 1e9, 5, "complete trials before any is stopped"},
    {"warmup", QN_SETTING_WHOLE, AT(warmup), 0, 1e15, 0, "first step at which one is stopped"},
    {"interval", QN_SETTING_WHOLE, AT(interval), 1, 1e15, 1, "steps from one look to the next"},
    {0}};

const qn_pruner qn_pruner_percentile = {.name = "percentile",
                                        .help = "stops what is not among the best at its step",
                                        .settings = percentile_settings,
                                        .settings_bytes = sizeof(struct percentile_settings),
                                        .should_stop = stop_percentile};

const qn_pruner qn_pruner_median = {.name = "median",
                                    .help = "stops what is worse than half of the curves at its "
                                            "step (Golovin et al. 2017)",
                                    .settings = percentile_settings + 1,
                                    .settings_bytes = sizeof(struct percentile_settings),
                                    .should_stop = stop_median};

#undef AT

struct threshold_settings {
    double lower, upper, warmup, interval;
};

static bool stop_threshold(const void *settings, const qn_history *history,
                           const qn_trial_record *trial)
{
    const struct threshold_settings *s = settings;
    if (!is_due(trial, s->warmup, s->interval)) return false;
    const double loss = trial->reports[trial->n_reports - 1].loss;
    const double value = history->objectives->items[0].maximise ? -loss : loss;
    return value < s->lower || value > s->upper;
}

#define AT(member) offsetof(struct threshold_settings, member)

static const qn_setting threshold_settings[] = {
    {"lower", QN_SETTING_FLOAT, AT(lower), -1e300, 1e300, -1e300, "stop below this value"},
    {"upper", QN_SETTING_FLOAT, AT(upper), -1e300, 1e300, 1e300, "stop above this value"},
    {"warmup", QN_SETTING_WHOLE, AT(warmup), 0, 1e15, 0, "first step at which one is stopped"},
    {"interval", QN_SETTING_WHOLE, AT(interval), 1, 1e15, 1, "steps from one look to the next"},
    {0}};

const qn_pruner qn_pruner_threshold = {.name = "threshold",
                                       .help = "stops what leaves fixed limits",
                                       .settings = threshold_settings,
                                       .settings_bytes = sizeof(struct threshold_settings),
                                       .should_stop = stop_threshold};

#undef AT

struct patience_settings {
    double patience, min_delta;
};

static bool stop_patience(const void *settings, const qn_history *history,
                          const qn_trial_record *trial)
{
    const struct patience_settings *s = settings;
    const int64_t n_before = trial->n_reports - (int64_t)s->patience;
    (void)history;
    if (n_before < 1) return false;
    return best_so_far(trial, trial->n_reports) > best_so_far(trial, n_before) - s->min_delta ||
           best_so_far(trial, trial->n_reports) >= best_so_far(trial, n_before);
}

#define AT(member) offsetof(struct patience_settings, member)

static const qn_setting patience_settings[] = {
    {"patience", QN_SETTING_WHOLE, AT(patience), 1, 1e9, 10, "reports without a gain"},
    {"min_delta", QN_SETTING_FLOAT, AT(min_delta), 0, 1e300, 0, "what counts as a gain"},
    {0}};

const qn_pruner qn_pruner_patience = {.name = "patience",
                                      .help = "stops a curve that no longer falls",
                                      .settings = patience_settings,
                                      .settings_bytes = sizeof(struct patience_settings),
                                      .should_stop = stop_patience};
