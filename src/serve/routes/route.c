/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/routes/route.h"

#include "base/alloc.h"
#include "base/hash.h"
#include "base/number.h"
#include "serve/routes/bandit.h"
#include "serve/routes/decision_table.h"
#include "serve/routes/loss_watch.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

/* More than this share of slow requests means that the 95th percentile is above the limit. */
static const double slow_share_max = 0.05;

enum { WAS_ERROR = 1, WAS_SLOW = 2, CANARY = 1 };

struct qn_route_state {
    _Atomic int64_t n_refs;
    char *identity;
    qn_route_kind kind;
    int n_arms;
    double up_to[QN_ARMS_MAX]; /* the end of each arm's part of the range from 0 to 1 */
    uint64_t seed;
    _Atomic uint64_t counts[QN_ARMS_MAX];
    _Atomic bool rolled_back;
    pthread_mutex_t lock;         /* of all that follows */
    qn_decision_table *decisions; /* NULL: nothing is learned from what becomes of requests */
    qn_bandit bandit;
    qn_loss_watch losses;
    /* The canary's last requests, as a ring. */
    qn_route_rollback limits;
    unsigned char *window;
    int64_t n_seen, n_errors, n_slow; /* the latter two within the window */
};

qn_route_state *qn_route_ref(qn_route_state *route)
{
    atomic_fetch_add_explicit(&route->n_refs, 1, memory_order_relaxed);
    return route;
}

void qn_route_unref(qn_route_state *route)
{
    if (!route || atomic_fetch_sub_explicit(&route->n_refs, 1, memory_order_acq_rel) != 1) return;
    pthread_mutex_destroy(&route->lock);
    qn_free(route->window);
    qn_decision_table_free(route->decisions);
    qn_free(route->identity);
    qn_free(route);
}

qn_route_state *qn_route_create(const qn_route_plan *plan, const char *model, const char *identity)
{
    const char *salt = plan->salt ? plan->salt : model;
    qn_route_state *route = qn_alloc_array(1, sizeof *route);
    if (!route) return NULL;
    atomic_init(&route->n_refs, 1);
    pthread_mutex_init(&route->lock, NULL);
    route->kind = plan->kind;
    route->n_arms = plan->n_arms;
    route->limits = plan->rollback;
    route->seed = qn_hash64(salt, strlen(salt));
    double sum = 0;
    for (int i = 0; i < plan->n_arms; i++) {
        sum += plan->arms[i].share;
        route->up_to[i] = sum;
    }
    route->identity = qn_strdup(identity);
    route->window = qn_alloc_array(plan->rollback.window, 1);
    const bool learns = plan->kind == QN_ROUTE_BANDIT || plan->rollback.outcomes > 0;
    if (learns) route->decisions = qn_decision_table_create();
    route->losses.n_min = plan->rollback.outcomes;
    route->bandit = (qn_bandit){.policy = plan->policy, .n_arms = plan->n_arms, .seed = plan->seed};
    if (route->identity && route->window && (!learns || route->decisions)) return route;
    qn_route_unref(route);
    return NULL;
}

const char *qn_route_identity(const qn_route_state *route)
{
    return route->identity;
}

/* The last arm with any share has what rounding leaves over. */
static int arm_at(const qn_route_state *route, double at)
{
    int last = 0;
    for (int i = 0; i < route->n_arms; i++) {
        const double begin = i > 0 ? route->up_to[i - 1] : 0;
        if (route->up_to[i] <= begin) continue;
        if (at < route->up_to[i]) return i;
        last = i;
    }
    return last;
}

static int choose_by_rewards(qn_route_state *route, const char *id, size_t bytes)
{
    pthread_mutex_lock(&route->lock);
    const int arm = qn_bandit_choose(&route->bandit);
    const qn_decision decision = {.key = qn_decision_key(id, bytes, 0), .arm = arm};
    qn_decision_table_put(route->decisions, &decision);
    pthread_mutex_unlock(&route->lock);
    return arm;
}

int qn_route_choose(qn_route_state *route, const char *key, size_t bytes)
{
    int arm = 0;
    if (key && route->kind == QN_ROUTE_BANDIT) {
        arm = choose_by_rewards(route, key, bytes);
    } else if (key && !qn_route_is_rolled_back(route)) {
        const uint64_t hash = qn_hash64_seeded(key, bytes, route->seed);
        arm = arm_at(route, (double)(hash >> 11) * 0x1p-53);
    }
    atomic_fetch_add_explicit(&route->counts[arm], 1, memory_order_relaxed);
    return arm;
}

/* Puts a request into the window, in the place of the oldest one. */
static void take_into_window(qn_route_state *route, unsigned char what)
{
    unsigned char *place = &route->window[route->n_seen++ % route->limits.window];
    route->n_errors += !!(what & WAS_ERROR) - !!(*place & WAS_ERROR);
    route->n_slow += !!(what & WAS_SLOW) - !!(*place & WAS_SLOW);
    *place = what;
}

/* What the window as a whole cannot be any more once it is exceeded is not waited for: the rest of
 * a window that is not full is taken to be good. */
static bool is_beyond(const qn_route_state *route, char *reason)
{
    const qn_route_rollback *limits = &route->limits;
    const double window = (double)limits->window;
    if ((double)route->n_errors > limits->errors * window) {
        snprintf(reason, QN_ROUTE_REASON_BYTES,
                 "%lld of the last %lld requests of the canary had errors",
                 (long long)route->n_errors,
                 (long long)(route->n_seen < limits->window ? route->n_seen : limits->window));
        return true;
    }
    if (limits->latency_s < QN_INF && (double)route->n_slow > slow_share_max * window) {
        snprintf(reason, QN_ROUTE_REASON_BYTES,
                 "%lld of the last %lld requests of the canary took longer than %g s",
                 (long long)route->n_slow,
                 (long long)(route->n_seen < limits->window ? route->n_seen : limits->window),
                 limits->latency_s);
        return true;
    }
    return false;
}

bool qn_route_note(qn_route_state *route, int arm, bool failed, double seconds, char *reason)
{
    if (route->kind != QN_ROUTE_CANARY || arm != CANARY || route->limits.window == 0) return false;
    const bool slow = seconds > route->limits.latency_s;
    bool rolls_back = false;
    pthread_mutex_lock(&route->lock);
    if (!qn_route_is_rolled_back(route)) {
        take_into_window(route, (unsigned char)((failed ? WAS_ERROR : 0) | (slow ? WAS_SLOW : 0)));
        rolls_back = is_beyond(route, reason);
        if (rolls_back) atomic_store_explicit(&route->rolled_back, true, memory_order_release);
    }
    pthread_mutex_unlock(&route->lock);
    return rolls_back;
}

/* Outcomes and rewards. */

bool qn_route_compares(const qn_route_state *route)
{
    return route->limits.outcomes > 0;
}

void qn_route_remember(qn_route_state *route, int arm, const char *id, int64_t row,
                       const char *label, double number)
{
    const qn_decision decision = {.key = qn_decision_key(id, strlen(id), row),
                                  .label = label ? qn_hash64(label, strlen(label)) : 0,
                                  .number = number,
                                  .arm = arm};
    pthread_mutex_lock(&route->lock);
    qn_decision_table_put(route->decisions, &decision);
    pthread_mutex_unlock(&route->lock);
}

/* With the lock held. */
static bool watch_loss(qn_route_state *route, int arm, double loss, char *reason)
{
    const qn_loss_watch *losses = &route->losses;
    if (qn_route_is_rolled_back(route) || !qn_loss_watch_add(&route->losses, arm, loss)) {
        return false;
    }
    atomic_store_explicit(&route->rolled_back, true, memory_order_release);
    snprintf(reason, QN_ROUTE_REASON_BYTES,
             "the canary's mean loss is %.4g over %lld outcomes, the other's %.4g over %lld",
             losses->arms[1].mean, (long long)losses->arms[1].n, losses->arms[0].mean,
             (long long)losses->arms[0].n);
    return true;
}

bool qn_route_outcome(qn_route_state *route, const char *id, int64_t row, const char *text,
                      double number, char *reason)
{
    qn_decision decision;
    bool rolls_back = false;
    if (!qn_route_compares(route)) return false;
    pthread_mutex_lock(&route->lock);
    if (qn_decision_table_take(route->decisions, qn_decision_key(id, strlen(id), row), &decision)) {
        const double loss = decision.label ? qn_hash64(text, strlen(text)) != decision.label
                                           : fabs(decision.number - number);
        if (isfinite(loss)) rolls_back = watch_loss(route, decision.arm, loss, reason);
    }
    pthread_mutex_unlock(&route->lock);
    return rolls_back;
}

bool qn_route_reward(qn_route_state *route, const char *id, double reward)
{
    qn_decision decision;
    if (route->kind != QN_ROUTE_BANDIT) return false;
    pthread_mutex_lock(&route->lock);
    const bool known =
        qn_decision_table_take(route->decisions, qn_decision_key(id, strlen(id), 0), &decision);
    if (known) qn_bandit_reward(&route->bandit, decision.arm, reward);
    pthread_mutex_unlock(&route->lock);
    return known;
}

uint64_t qn_route_rewards(qn_route_state *route, int arm, double *sum)
{
    pthread_mutex_lock(&route->lock);
    const uint64_t n = route->bandit.arms[arm].n_rewards;
    *sum = route->bandit.arms[arm].sum;
    pthread_mutex_unlock(&route->lock);
    return n;
}

/* With the lock held. */
static void get_figures(qn_route_state *route, qn_route_learned *out)
{
    *out = (qn_route_learned){.n_arms = route->n_arms};
    out->rolled_back = qn_route_is_rolled_back(route);
    for (int i = 0; i < route->n_arms; i++) {
        out->arms[i].n_requests = (int64_t)qn_route_count(route, i);
        out->arms[i].n_chosen = (int64_t)route->bandit.arms[i].n_chosen;
        out->arms[i].n_rewards = (int64_t)route->bandit.arms[i].n_rewards;
        out->arms[i].sum = route->bandit.arms[i].sum;
    }
    out->next_look = route->losses.next_look;
    for (int i = 0; i < 2; i++) {
        out->losses[i].n = route->losses.arms[i].n;
        out->losses[i].mean = route->losses.arms[i].mean;
        out->losses[i].squares = route->losses.arms[i].squares;
    }
}

/* Decisions are copied at the time of the figures, so that none is in both, or neither; they are
 * made text of once requests need not wait for it. */
void qn_route_get_learned(qn_route_state *route, qn_str *decisions, qn_route_learned *out)
{
    qn_decision_table *copy = route->decisions ? qn_decision_table_create() : NULL;
    pthread_mutex_lock(&route->lock);
    get_figures(route, out);
    if (copy) qn_decision_table_copy(route->decisions, copy);
    pthread_mutex_unlock(&route->lock);
    if (copy) qn_decision_table_write(copy, decisions);
    if (route->decisions && !copy) decisions->failed = true;
    qn_decision_table_free(copy);
    out->decisions = decisions->text;
}

void qn_route_take_learned(qn_route_state *route, const qn_route_learned *learned)
{
    if (learned->n_arms != route->n_arms) return;
    pthread_mutex_lock(&route->lock);
    atomic_store(&route->rolled_back, learned->rolled_back && route->kind == QN_ROUTE_CANARY);
    route->bandit.n_choices = 0;
    for (int i = 0; i < route->n_arms; i++) {
        atomic_store(&route->counts[i], (uint64_t)learned->arms[i].n_requests);
        route->bandit.arms[i].n_chosen = (uint64_t)learned->arms[i].n_chosen;
        route->bandit.arms[i].n_rewards = (uint64_t)learned->arms[i].n_rewards;
        route->bandit.arms[i].sum = learned->arms[i].sum;
        route->bandit.n_choices += route->bandit.arms[i].n_chosen;
    }
    route->losses.next_look = learned->next_look;
    for (int i = 0; i < 2; i++) {
        route->losses.arms[i].n = learned->losses[i].n;
        route->losses.arms[i].mean = learned->losses[i].mean;
        route->losses.arms[i].squares = learned->losses[i].squares;
    }
    if (route->decisions) {
        (void)qn_decision_table_read(learned->decisions, route->n_arms, route->decisions);
    }
    pthread_mutex_unlock(&route->lock);
}

bool qn_route_is_rolled_back(const qn_route_state *route)
{
    return atomic_load_explicit(&((qn_route_state *)(uintptr_t)route)->rolled_back,
                                memory_order_acquire);
}

uint64_t qn_route_count(const qn_route_state *route, int arm)
{
    return atomic_load_explicit(&((qn_route_state *)(uintptr_t)route)->counts[arm],
                                memory_order_relaxed);
}
