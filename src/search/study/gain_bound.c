/* SPDX-License-Identifier: Apache-2.0 */
#include "search/study/gain_bound.h"

#include "base/alloc.h"
#include "search/samplers/climb.h"
#include "search/samplers/surrogate.h"

#include <stdlib.h>
#include <string.h>

/* The rule waits for so many trials per parameter: in many dimensions a process takes a plateau, on
 * which nothing can be told apart, for the whole. */
enum { EACH = 5 };

enum { EVERY = 20, BEST_MAX = QN_GAIN_TRIALS_MAX / 3, NEAR_MAX = 8 };

/* Half the width of the interval. */
#define DEVIATIONS 1.96

int64_t qn_gain_scheduled(int64_t n)
{
    int64_t at = QN_GAIN_TRIALS_MIN;
    if (n < at) return 0;
    for (int64_t next = at; next <= n; next += next / EVERY) {
        at = next;
    }
    return at;
}

/* The trials that count, of those told. */
struct choice {
    const qn_trial_record **ranked; /* [n], the best first */
    const qn_trial_record **told;   /* those that count, in the order they were told */
    int64_t n;
};

static int by_rank(const void *a, const void *b)
{
    return qn_trial_compare(*(const qn_trial_record *const *)a, *(const qn_trial_record *const *)b);
}

static int by_told(const void *a, const void *b)
{
    const qn_trial_record *one = *(const qn_trial_record *const *)a;
    const qn_trial_record *other = *(const qn_trial_record *const *)b;
    return (one->told > other->told) - (one->told < other->told);
}

/* The best, and an even choice of the others by rank. */
static void choose(struct choice *choice, int64_t n)
{
    const int64_t n_others = n - BEST_MAX, n_even = QN_GAIN_TRIALS_MAX - BEST_MAX;
    const bool all = n <= QN_GAIN_TRIALS_MAX;
    choice->n = all ? n : QN_GAIN_TRIALS_MAX;
    for (int64_t i = 0; i < choice->n; i++) {
        const int64_t other = i - BEST_MAX;
        const int64_t rank = all || other < 0 ? i : BEST_MAX + other * n_others / n_even;
        choice->told[i] = choice->ranked[rank];
    }
    qsort(choice->told, (size_t)choice->n, sizeof(void *), by_told);
}

static qn_status measure(void *context, const double *configurations, int64_t n, double *promises,
                         qn_error *err)
{
    QN_TRY(qn_surrogate_lower_ends(context, configurations, n, DEVIATIONS, promises, err));
    for (int64_t i = 0; i < n; i++) {
        promises[i] = -promises[i];
    }
    return QN_OK;
}

/* The least loss that the process holds for possible. */
static qn_status find_least(qn_surrogate *surrogate, const struct choice *choice, uint64_t seed,
                            double *least, qn_error *err)
{
    const qn_space *space = surrogate->history->space;
    qn_rng rng;
    double promise;
    double *values = qn_alloc_array(space->n, sizeof *values);
    if (!values) return qn_fail(err, QN_ERR_NOMEM, "no memory to bound the gain");
    qn_rng_init(&rng, seed, (uint64_t)choice->n);
    qn_status status = qn_surrogate_update(surrogate, err);
    if (status == QN_OK) {
        status = qn_climb(&(qn_climb_request){.space = space,
                                              .near = choice->ranked,
                                              .n_near = choice->n < NEAR_MAX ? choice->n : NEAR_MAX,
                                              .measure = measure,
                                              .context = surrogate,
                                              .rng = &rng},
                          values, &promise, err);
    }
    /* Where constraints or limits leave no configuration to be found, nothing is said. */
    if (status == QN_OK)
        *least = promise > -QN_INF ? qn_surrogate_loss(surrogate, -promise) : -QN_INF;
    qn_free(values);
    return status;
}

static qn_status bound_of(const qn_history *history, const struct choice *choice, uint64_t seed,
                          double *least, qn_error *err)
{
    const qn_history chosen = {.space = history->space,
                               .objectives = history->objectives,
                               .n_told = choice->n,
                               .told = choice->told};
    qn_surrogate surrogate;
    qn_status status = qn_surrogate_init(&surrogate, &chosen, seed, err);
    if (status == QN_OK) status = find_least(&surrogate, choice, seed, least, err);
    qn_surrogate_release(&surrogate);
    return status;
}

qn_status qn_gain_bound(const qn_history *history, int64_t n, uint64_t seed, double *bound,
                        qn_error *err)
{
    struct choice choice = {.ranked = qn_alloc_array(n, sizeof(void *)),
                            .told = qn_alloc_array(n, sizeof(void *))};
    const qn_trial_record *best = NULL;
    double least = 0;
    qn_status status = QN_OK;
    *bound = QN_INF;
    if (history->space->n == 0) n = 0; /* nothing to model yet: define-by-run */
    if (!choice.ranked || !choice.told) {
        status = qn_fail(err, QN_ERR_NOMEM, "no memory to bound the gain");
    } else {
        memcpy(choice.ranked, history->told, (size_t)n * sizeof(void *));
        qsort(choice.ranked, (size_t)n, sizeof(void *), by_rank);
        for (int64_t i = 0; i < n && !best; i++) {
            const qn_trial_record *trial = choice.ranked[i];
            const bool counts = trial->number >= 0 && trial->violation == 0;
            if (counts && trial->state == QN_TRIAL_COMPLETE) best = trial;
        }
    }
    if (best) {
        choose(&choice, n);
        status = bound_of(history, &choice, seed, &least, err);
    }
    if (best && status == QN_OK) *bound = best->losses[0] > least ? best->losses[0] - least : 0;
    qn_free(choice.ranked);
    qn_free(choice.told);
    return status;
}

/* The best of this study among the first n trials told. */
static double best_of(const qn_history *history, int64_t n)
{
    double best = QN_INF;
    for (int64_t i = 0; i < n; i++) {
        const qn_trial_record *trial = history->told[i];
        const bool counts = trial->number >= 0 && trial->violation == 0;
        if (!counts || trial->state != QN_TRIAL_COMPLETE) continue;
        if (trial->losses[0] < best) best = trial->losses[0];
    }
    return best;
}

qn_status qn_gain_rule_look(qn_gain_rule *rule, const qn_history *history, bool *stop,
                            qn_error *err)
{
    *stop = false;
    if (rule->gain == 0) return QN_OK;
    const int64_t n_prior = history->n_prior;
    const int64_t n = qn_gain_scheduled(history->n_told - n_prior), half = qn_gain_scheduled(n / 2);
    if (n == 0) return QN_OK;
    int64_t look = rule->n > 0 ? rule->n + rule->n / EVERY : half;
    if (look < QN_GAIN_TRIALS_MIN) look = QN_GAIN_TRIALS_MIN;
    for (; look <= n; look += look / EVERY) {
        QN_TRY(qn_gain_bound(history, n_prior + look, rule->seed, &rule->bound, err));
        rule->n = look;
        if (!(rule->bound < rule->gain)) {
            rule->since = 0;
        } else if (rule->since == 0) {
            rule->since = look;
        }
    }
    if (half < EACH * history->space->n) return QN_OK;
    const double gained = best_of(history, n_prior + half) - best_of(history, n_prior + n);
    *stop = rule->since > 0 && rule->since <= half && gained < rule->gain;
    return QN_OK;
}
