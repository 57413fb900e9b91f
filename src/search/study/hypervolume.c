/* SPDX-License-Identifier: Apache-2.0 */
/* Hypervolume by slicing objectives (While, Hingston, Barone & Huband 2006, A faster algorithm for
 * calculating hypervolume): the points are met in the order of the last objective, and between one
 * and the next the volume is the distance times the hypervolume, in the other objectives, of those
 * met so far. Two objectives are a staircase. */
#include "search/study/pareto.h"

#include "base/alloc.h"
#include "base/sort.h"

struct slicing {
    const double *points, *reference;
    int64_t n, n_objectives;
    int32_t *lists; /* [n_objectives][n]: points met, ascending in the list's objective */
};

static double at(const struct slicing *s, int32_t point, int64_t objective)
{
    return s->points[point * s->n_objectives + objective];
}

/* What lies between the i-th point of a list and the next one, or the reference. */
static double thickness(const struct slicing *s, const int32_t *list, int64_t n, int64_t i,
                        int64_t objective)
{
    const double end = i + 1 < n ? at(s, list[i + 1], objective) : s->reference[objective];
    return end - at(s, list[i], objective);
}

/* Area under a staircase: `list` ascends in objective 1. */
static double staircase(const struct slicing *s, const int32_t *list, int64_t n)
{
    double sum = 0, widest = 0;
    for (int64_t i = 0; i < n; i++) {
        const double width = s->reference[0] - at(s, list[i], 0);
        if (width > widest) widest = width;
        sum += widest * thickness(s, list, n, i, 1);
    }
    return sum;
}

static void insert(const struct slicing *s, int32_t *list, int64_t n, int32_t point,
                   int64_t objective)
{
    for (; n > 0 && at(s, list[n - 1], objective) > at(s, point, objective); n--) {
        list[n] = list[n - 1];
    }
    list[n] = point;
}

/* Volume in objectives 0 … last of the first n points of that objective's list. */
static double volume(const struct slicing *s, int64_t last, int64_t n)
{
    const int32_t *list = s->lists + last * s->n;
    int32_t *below = s->lists + (last - 1) * s->n;
    double sum = 0;
    if (last == 0) return n > 0 ? s->reference[0] - at(s, list[0], 0) : 0;
    if (last == 1) return staircase(s, list, n);
    for (int64_t i = 0; i < n; i++) {
        insert(s, below, i, list[i], last - 1);
        const double thick = thickness(s, list, n, i, last);
        if (thick > 0) sum += thick * volume(s, last - 1, i + 1);
    }
    return sum;
}

/* The points within the reference, in the order of the last objective. */
static bool sort_points(const struct slicing *s, int64_t *n_within)
{
    const int64_t last = s->n_objectives - 1;
    int32_t *list = s->lists + last * s->n, *order = qn_alloc_array(s->n, sizeof *order);
    double *keys = qn_alloc_array(s->n, sizeof *keys);
    bool complete = keys && order;
    int64_t n = 0;
    for (int64_t i = 0; complete && i < s->n; i++) {
        keys[i] = at(s, (int32_t)i, last);
    }
    complete = complete && qn_sort_order(keys, s->n, order);
    for (int64_t i = 0; complete && i < s->n; i++) {
        bool is_within = true;
        for (int64_t m = 0; m <= last; m++) {
            is_within &= at(s, order[i], m) < s->reference[m];
        }
        if (is_within) list[n++] = order[i];
    }
    *n_within = n;
    qn_free(keys);
    qn_free(order);
    return complete;
}

qn_status qn_hypervolume(const double *points, int64_t n, int64_t n_objectives,
                         const double *reference, double *out, qn_error *err)
{
    int64_t n_within;
    struct slicing s = {points, reference, n, n_objectives, NULL};
    s.lists = qn_alloc_array(n * n_objectives, sizeof *s.lists);
    const bool complete = s.lists && sort_points(&s, &n_within);
    *out = complete ? volume(&s, n_objectives - 1, n_within) : QN_NA;
    qn_free(s.lists);
    return complete ? QN_OK
                    : qn_fail(err, QN_ERR_NOMEM,
                              "no memory for the hypervolume of %" PRId64 " points", n);
}
