/* SPDX-License-Identifier: Apache-2.0 */
#include "search/study/pareto.h"

#include "base/alloc.h"
#include "base/sort.h"

#include <math.h>
#include <string.h>

struct selecting {
    const qn_trial_record *const *trials;
    int64_t n, n_objectives;
    int32_t *left; /* positions not in a front yet, ascending */
    int64_t n_left;
    int32_t *front;
    int64_t n_front;
    double *keys, *distances; /* [n] of the front's members */
    int32_t *order;
};

/* Moves those that none of the rest dominates from `left` to `front`. */
static void peel(struct selecting *s)
{
    s->n_front = 0;
    for (int64_t i = 0; i < s->n_left; i++) {
        const qn_trial_record *candidate = s->trials[s->left[i]];
        bool dominated = false;
        for (int64_t j = 0; j < s->n_front && !dominated; j++) {
            dominated = qn_trial_dominates(s->trials[s->front[j]], candidate, s->n_objectives);
        }
        if (dominated) continue;
        int64_t kept = 0;
        for (int64_t j = 0; j < s->n_front; j++) {
            if (!qn_trial_dominates(candidate, s->trials[s->front[j]], s->n_objectives)) {
                s->front[kept++] = s->front[j];
            }
        }
        s->n_front = kept;
        s->front[s->n_front++] = s->left[i];
    }
    int64_t kept = 0, at = 0;
    for (int64_t i = 0; i < s->n_left; i++) {
        if (at < s->n_front && s->front[at] == s->left[i]) {
            at++;
        } else {
            s->left[kept++] = s->left[i];
        }
    }
    s->n_left = kept;
}

/* Along each objective, how far apart the neighbours of a member are, as a share of the front's
 * extent; the ends are infinitely far. */
static bool crowd(struct selecting *s)
{
    const int64_t n = s->n_front;
    for (int64_t i = 0; i < n; i++) {
        s->distances[i] = 0;
    }
    for (int64_t m = 0; m < s->n_objectives; m++) {
        for (int64_t i = 0; i < n; i++) {
            const double loss = s->trials[s->front[i]]->losses[m];
            s->keys[i] = fmin(fmax(loss, -1e300), 1e300);
        }
        if (!qn_sort_order(s->keys, n, s->order)) return false;
        const double extent = s->keys[s->order[n - 1]] - s->keys[s->order[0]];
        s->distances[s->order[0]] = s->distances[s->order[n - 1]] = QN_INF;
        for (int64_t i = 1; i + 1 < n && extent > 0; i++) {
            const double gap = s->keys[s->order[i + 1]] - s->keys[s->order[i - 1]];
            s->distances[s->order[i]] += gap / extent;
        }
    }
    return true;
}

/* The less crowded first. */
static bool sort_front(struct selecting *s)
{
    if (!crowd(s)) return false;
    for (int64_t i = 0; i < s->n_front; i++) {
        s->keys[i] = -s->distances[i];
    }
    return qn_sort_order(s->keys, s->n_front, s->order);
}

static bool select_best(struct selecting *s, int64_t n_best, int32_t *best, int32_t *fronts,
                        double *distances)
{
    int64_t n = 0;
    for (int32_t front = 0; n < n_best; front++) {
        peel(s);
        if (!sort_front(s)) return false;
        for (int64_t i = 0; i < s->n_front && n < n_best; i++, n++) {
            best[n] = s->front[s->order[i]];
            if (fronts) fronts[n] = front;
            if (distances) distances[n] = s->distances[s->order[i]];
        }
    }
    return true;
}

qn_status qn_pareto_select(const qn_trial_record *const *trials, int64_t n, int64_t n_objectives,
                           int64_t n_best, int32_t *best, int32_t *fronts, double *distances,
                           qn_error *err)
{
    struct selecting s = {.trials = trials, .n = n, .n_objectives = n_objectives, .n_left = n};
    int32_t *places = qn_alloc_array(3 * n, sizeof *places);
    double *numbers = qn_alloc_array(2 * n, sizeof *numbers);
    bool complete = places && numbers;
    if (complete) {
        s.left = places;
        s.front = places + n;
        s.order = places + 2 * n;
        s.keys = numbers;
        s.distances = numbers + n;
        for (int64_t i = 0; i < n; i++) {
            s.left[i] = (int32_t)i;
        }
        complete = select_best(&s, n_best, best, fronts, distances);
    }
    qn_free(places);
    qn_free(numbers);
    return complete ? QN_OK
                    : qn_fail(err, QN_ERR_NOMEM, "no memory to compare %" PRId64 " trials", n);
}

bool qn_pareto_insert(const qn_trial_record **front, int64_t *n, const qn_trial_record *trial,
                      int64_t n_objectives)
{
    int64_t kept = 0;
    for (int64_t i = 0; i < *n; i++) {
        if (qn_trial_dominates(front[i], trial, n_objectives)) return false;
    }
    for (int64_t i = 0; i < *n; i++) {
        if (!qn_trial_dominates(trial, front[i], n_objectives)) front[kept++] = front[i];
    }
    front[kept++] = trial;
    *n = kept;
    return true;
}
