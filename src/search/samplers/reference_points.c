/* SPDX-License-Identifier: Apache-2.0 */
#include "search/samplers/reference_points.h"

#include "base/alloc.h"
#include "search/study/pareto.h"

#include <math.h>
#include <string.h>

/* How many points there are; more than the limit as the limit and one. */
static int64_t count_points(int64_t n_objectives, int64_t n_divisions)
{
    int64_t n = 1;
    for (int64_t k = 1; k < n_objectives; k++) {
        n = n * (n_divisions + k) / k; /* a binomial coefficient at each step */
        if (n > QN_REFERENCE_POINTS_MAX) return QN_REFERENCE_POINTS_MAX + 1;
    }
    return n;
}

static int64_t divisions_for(int64_t n_objectives, int64_t n_wanted)
{
    int64_t n_divisions = 1;
    while (n_objectives > 1 && count_points(n_objectives, n_divisions + 1) <= n_wanted) {
        n_divisions++;
    }
    return n_divisions;
}

/* The next way to share out a sum: one from the last share that has some, before the end, goes
 * with all of the end to its neighbour. */
static bool next_shares(int64_t *shares, int64_t n)
{
    int64_t at = n - 2;
    while (at >= 0 && shares[at] == 0) {
        at--;
    }
    if (at < 0) return false;
    const int64_t end = shares[n - 1];
    shares[n - 1] = 0;
    shares[at]--;
    shares[at + 1] = end + 1;
    return true;
}

qn_status qn_reference_points(int64_t n_objectives, int64_t n_divisions, int64_t n_wanted,
                              double **points, int64_t *n, qn_error *err)
{
    *points = NULL;
    *n = 0;
    if (n_wanted > QN_REFERENCE_POINTS_MAX) n_wanted = QN_REFERENCE_POINTS_MAX;
    if (n_divisions == 0) n_divisions = divisions_for(n_objectives, n_wanted);
    const int64_t n_points = count_points(n_objectives, n_divisions);
    if (n_points > QN_REFERENCE_POINTS_MAX) {
        return qn_fail(err, QN_ERR_ARG,
                       "%" PRId64 " divisions of %" PRId64 " objectives make more than %d "
                       "reference points; take fewer",
                       n_divisions, n_objectives, QN_REFERENCE_POINTS_MAX);
    }
    double *made = qn_alloc_array(n_points * n_objectives, sizeof *made);
    if (!made) return qn_fail(err, QN_ERR_NOMEM, "no memory for the reference points");
    int64_t shares[QN_OBJECTIVES_MAX] = {n_divisions};
    double *point = made;
    do {
        for (int64_t m = 0; m < n_objectives; m++) {
            *point++ = (double)shares[m] / (double)n_divisions;
        }
    } while (next_shares(shares, n_objectives));
    *points = made;
    *n = n_points;
    return QN_OK;
}

/* Trials in the order of their fronts. The first n_whole are of fronts that are taken whole, those
 * up to n_considered of the one that is taken in part. */
struct niching {
    const qn_reference_request *request;
    int32_t *sorted, *fronts;
    int64_t n_whole, n_considered;
    double *places; /* [n_considered][n_objectives], normalised */
    int32_t *niche; /* the nearest direction of each */
    double *distance;
    int64_t *n_members; /* of each direction, among those that are taken */
    bool *taken;
};

static double *place_of(const struct niching *s, int64_t i)
{
    return s->places + i * s->request->n_objectives;
}

/* Losses less the best of each objective. */
static void translate(struct niching *s)
{
    const int64_t n_objectives = s->request->n_objectives;
    for (int64_t m = 0; m < n_objectives; m++) {
        double ideal = QN_INF;
        for (int64_t i = 0; i < s->n_considered; i++) {
            const double loss = s->request->trials[s->sorted[i]]->losses[m];
            place_of(s, i)[m] = fmin(fmax(loss, -1e150), 1e150);
            ideal = fmin(ideal, place_of(s, i)[m]);
        }
        for (int64_t i = 0; i < s->n_considered; i++) {
            place_of(s, i)[m] -= ideal;
        }
    }
}

/* The trial that lies most along an axis: its greatest other objective is least. */
static const double *extreme_along(const struct niching *s, int64_t axis)
{
    const double *extreme = NULL;
    double least = QN_INF;
    for (int64_t i = 0; i < s->n_considered; i++) {
        double greatest = 0;
        for (int64_t m = 0; m < s->request->n_objectives; m++) {
            greatest = fmax(greatest, place_of(s, i)[m] * (m == axis ? 1 : 1e6));
        }
        if (extreme && greatest >= least) continue;
        least = greatest;
        extreme = place_of(s, i);
    }
    return extreme;
}

/* Solves a[n][n] x = 1 by elimination with pivots; false when it has no clear solution. */
static bool solve_for_ones(double (*a)[QN_OBJECTIVES_MAX], int64_t n, double *x)
{
    for (int64_t m = 0; m < n; m++) {
        x[m] = 1;
    }
    for (int64_t column = 0; column < n; column++) {
        int64_t pivot = column;
        for (int64_t row = column + 1; row < n; row++) {
            if (fabs(a[row][column]) > fabs(a[pivot][column])) pivot = row;
        }
        if (!(fabs(a[pivot][column]) > 1e-100)) return false;
        for (int64_t m = 0; m < n; m++) {
            const double kept = a[column][m];
            a[column][m] = a[pivot][m];
            a[pivot][m] = kept;
        }
        const double kept = x[column];
        x[column] = x[pivot];
        x[pivot] = kept;
        for (int64_t row = 0; row < n; row++) {
            if (row == column) continue;
            const double factor = a[row][column] / a[column][column];
            for (int64_t m = column; m < n; m++) {
                a[row][m] -= factor * a[column][m];
            }
            x[row] -= factor * x[column];
        }
    }
    for (int64_t m = 0; m < n; m++) {
        x[m] /= a[m][m];
    }
    return true;
}

/* Where the plane through the extreme trials meets the axes; where it does not, the worst of the
 * objective. */
static void find_extents(const struct niching *s, double *extents)
{
    const int64_t n = s->request->n_objectives;
    double rows[QN_OBJECTIVES_MAX][QN_OBJECTIVES_MAX], inverse[QN_OBJECTIVES_MAX];
    double worst[QN_OBJECTIVES_MAX] = {0};
    for (int64_t m = 0; m < n; m++) {
        memcpy(rows[m], extreme_along(s, m), (size_t)n * sizeof **rows);
    }
    for (int64_t i = 0; i < s->n_considered; i++) {
        for (int64_t m = 0; m < n; m++) {
            worst[m] = fmax(worst[m], place_of(s, i)[m]);
        }
    }
    bool clear = solve_for_ones(rows, n, inverse);
    for (int64_t m = 0; clear && m < n; m++) {
        extents[m] = 1 / inverse[m];
        clear = inverse[m] > 0 && extents[m] > 1e-9 * worst[m] && extents[m] <= worst[m];
    }
    for (int64_t m = 0; m < n; m++) {
        if (!clear) extents[m] = worst[m];
        if (!(extents[m] > 0)) extents[m] = 1;
    }
}

/* The direction to which a place is nearest, and how near. */
static void associate(struct niching *s, int64_t i)
{
    const int64_t n = s->request->n_objectives;
    const double *place = place_of(s, i);
    s->distance[i] = QN_INF;
    for (int64_t k = 0; k < s->request->n_points; k++) {
        const double *point = s->request->points + k * n;
        double product = 0, length = 0, rest = 0;
        for (int64_t m = 0; m < n; m++) {
            product += place[m] * point[m];
            length += point[m] * point[m];
        }
        for (int64_t m = 0; m < n; m++) {
            const double off = place[m] - product / length * point[m];
            rest += off * off;
        }
        if (rest >= s->distance[i]) continue;
        s->distance[i] = rest;
        s->niche[i] = (int32_t)k;
    }
}

/* The next of the last front: of the direction with the fewest members that still has some there,
 * ties at random; the nearest one if it has none yet, else any. */
static int64_t take_next(struct niching *s)
{
    int64_t fewest = INT64_MAX, n_ties = 0, niche = -1, chosen = -1, n_seen = 0;
    for (int64_t i = s->n_whole; i < s->n_considered; i++) {
        const int64_t n_members = s->n_members[s->niche[i]];
        if (s->taken[i] || n_members > fewest || s->niche[i] == niche) continue;
        if (n_members < fewest) n_ties = 0;
        fewest = n_members;
        if (qn_rng_below(s->request->rng, ++n_ties) == 0) niche = s->niche[i];
    }
    for (int64_t i = s->n_whole; i < s->n_considered; i++) {
        if (s->taken[i] || s->niche[i] != niche) continue;
        n_seen++;
        const bool better =
            chosen < 0 || (fewest == 0 ? s->distance[i] < s->distance[chosen]
                                       : qn_rng_below(s->request->rng, n_seen) == 0);
        if (better) chosen = i;
    }
    s->taken[chosen] = true;
    s->n_members[niche]++;
    return chosen;
}

static void fill_from_last_front(struct niching *s, int64_t n_best, int32_t *best, int32_t *fronts)
{
    double extents[QN_OBJECTIVES_MAX];
    translate(s);
    find_extents(s, extents);
    for (int64_t i = 0; i < s->n_considered; i++) {
        for (int64_t m = 0; m < s->request->n_objectives; m++) {
            place_of(s, i)[m] /= extents[m];
        }
        associate(s, i);
        if (i < s->n_whole) s->n_members[s->niche[i]]++;
    }
    for (int64_t i = s->n_whole; i < n_best; i++) {
        const int64_t chosen = take_next(s);
        best[i] = s->sorted[chosen];
        fronts[i] = s->fronts[chosen];
    }
}

static qn_status select_sorted(struct niching *s, int64_t n_best, int32_t *best, int32_t *fronts,
                               qn_error *err)
{
    const qn_reference_request *r = s->request;
    QN_TRY(
        qn_pareto_select(r->trials, r->n, r->n_objectives, r->n, s->sorted, s->fronts, NULL, err));
    const int32_t last = s->fronts[n_best - 1];
    s->n_whole = s->n_considered = n_best;
    while (s->n_considered < r->n && s->fronts[s->n_considered] == last) {
        s->n_considered++;
    }
    while (s->n_considered > n_best && s->n_whole > 0 && s->fronts[s->n_whole - 1] == last) {
        s->n_whole--;
    }
    memcpy(best, s->sorted, (size_t)s->n_whole * sizeof *best);
    memcpy(fronts, s->fronts, (size_t)s->n_whole * sizeof *fronts);
    if (s->n_whole < n_best) fill_from_last_front(s, n_best, best, fronts);
    return QN_OK;
}

qn_status qn_reference_select(const qn_reference_request *request, int64_t n_best, int32_t *best,
                              int32_t *fronts, qn_error *err)
{
    const int64_t n = request->n;
    int32_t *whole = qn_alloc_array(3 * n, sizeof *whole);
    double *numbers = qn_alloc_array(n * (request->n_objectives + 1), sizeof *numbers);
    int64_t *n_members = qn_alloc_array(request->n_points, sizeof *n_members);
    bool *taken = qn_alloc_array(n, sizeof *taken);
    qn_status status = QN_OK;
    if (whole && numbers && n_members && taken) {
        struct niching s = {.request = request,
                            .sorted = whole,
                            .fronts = whole + n,
                            .niche = whole + 2 * n,
                            .distance = numbers,
                            .places = numbers + n,
                            .n_members = n_members,
                            .taken = taken};
        status = select_sorted(&s, n_best, best, fronts, err);
    } else {
        status = qn_fail(err, QN_ERR_NOMEM, "no memory to compare %" PRId64 " trials", n);
    }
    qn_free(whole);
    qn_free(numbers);
    qn_free(n_members);
    qn_free(taken);
    return status;
}
