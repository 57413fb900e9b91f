/* SPDX-License-Identifier: Apache-2.0 */
/* For trials whose steps are folds or instances: stops a trial that is significantly worse than the
 * best one on the steps both have, by Wilcoxon's signed-rank test (Wilcoxon 1945). */
#include "search/pruners/wilcoxon.h"

#include "base/alloc.h"
#include "base/number.h"
#include "base/sort.h"
#include "search/pruners/pruner_table.h"

#include <math.h>

enum { EXACT_MAX = 40 };

/* P(T >= t) for the sum of positive ranks of n differences, counting the subsets of 1 … n. */
static double exact_tail(int64_t n, double t)
{
    enum { SUM_MAX = EXACT_MAX * (EXACT_MAX + 1) / 2 };
    double counts[SUM_MAX + 1] = {1};
    const int64_t top = n * (n + 1) / 2;
    for (int64_t rank = 1; rank <= n; rank++) {
        for (int64_t sum = top; sum >= rank; sum--) {
            counts[sum] += counts[sum - rank];
        }
    }
    double tail = 0;
    for (int64_t sum = (int64_t)ceil(t); sum <= top; sum++) {
        tail += counts[sum];
    }
    return tail * pow(0.5, (double)n);
}

/* Ranks of the sizes, from 1, ties sharing their mean; sum of those of positive differences, half
 * of those of zeros (Pratt's method with zeros split), and of t³ - t over ties. */
static void rank_sizes(const double *differences, const double *sizes, const int32_t *order,
                       int64_t n, double *positive, double *ties)
{
    *positive = *ties = 0;
    for (int64_t begin = 0, end; begin < n; begin = end) {
        for (end = begin + 1; end < n && sizes[order[end]] == sizes[order[begin]]; end++) {
        }
        const double rank = 0.5 * (double)(begin + end + 1), length = (double)(end - begin);
        *ties += length * length * length - length;
        for (int64_t i = begin; i < end; i++) {
            const double difference = differences[order[i]];
            *positive += difference > 0 ? rank : difference == 0 ? rank / 2 : 0;
        }
    }
}

double qn_wilcoxon_greater(const double *differences, int64_t n)
{
    double *sizes = qn_alloc_array(n, sizeof *sizes);
    int32_t *order = qn_alloc_array(n, sizeof *order);
    double p = QN_NA, positive, ties;
    bool zeros = false;
    for (int64_t i = 0; sizes && i < n; i++) {
        sizes[i] = fabs(differences[i]);
        zeros |= differences[i] == 0;
    }
    if (n > 0 && sizes && order && qn_sort_order(sizes, n, order)) {
        const double m = (double)n;
        rank_sizes(differences, sizes, order, n, &positive, &ties);
        if (n <= EXACT_MAX && ties == 0 && !zeros) {
            p = exact_tail(n, positive);
        } else {
            const double variance = (m * (m + 1) * (2 * m + 1) - ties / 2) / 24;
            const double z = (positive - m * (m + 1) / 4) / sqrt(variance);
            p = variance > 0 ? 0.5 * erfc(z * 0.70710678118654752440) : 1;
        }
    }
    qn_free(sizes);
    qn_free(order);
    return p;
}

struct wilcoxon_settings {
    double p, startup;
};

/* Differences on shared steps; returns how many there are. */
static int64_t pair_up(const qn_trial_record *trial, const qn_trial_record *best,
                       double *differences, double *total)
{
    int64_t n = 0;
    *total = 0;
    for (int64_t i = 0, j = 0; i < trial->n_reports && j < best->n_reports;) {
        if (trial->reports[i].step < best->reports[j].step) {
            i++;
        } else if (trial->reports[i].step > best->reports[j].step) {
            j++;
        } else {
            differences[n] = trial->reports[i++].loss - best->reports[j++].loss;
            *total += differences[n++];
        }
    }
    return n;
}

static bool stop_wilcoxon(const void *settings, const qn_history *history,
                          const qn_trial_record *trial)
{
    const struct wilcoxon_settings *s = settings;
    const qn_trial_record *best = qn_history_best(history);
    if (!best) return false;
    double *differences = qn_alloc_array(trial->n_reports, sizeof *differences), total;
    if (!differences) return false; /* going on is never wrong */
    const int64_t n = pair_up(trial, best, differences, &total);
    bool stop = false;
    if ((double)n >= s->startup && total > 0) {
        const double p = qn_wilcoxon_greater(differences, n);
        stop = p < s->p;
    }
    qn_free(differences);
    return stop;
}

#define AT(member) offsetof(struct wilcoxon_settings, member)

static const qn_setting settings[] = {
    {"p", QN_SETTING_FLOAT, AT(p), 0, 1, 0.1, "significance at which a trial is stopped"},
    {"startup", QN_SETTING_WHOLE, AT(startup), 1, 1e9, 2, "shared steps before one is stopped"},
    {0}};

const qn_pruner qn_pruner_wilcoxon = {.name = "wilcoxon",
                                      .help = "steps are folds: stops what is significantly worse "
                                              "than the best (Wilcoxon 1945)",
                                      .settings = settings,
                                      .settings_bytes = sizeof(struct wilcoxon_settings),
                                      .should_stop = stop_wilcoxon};
