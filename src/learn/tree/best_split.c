/* SPDX-License-Identifier: Apache-2.0 */
#include "learn/tree/best_split.h"

#include "base/rng.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#if defined __x86_64__ && defined __GNUC__
#define WIDE __attribute__((target("avx2")))
#endif

struct search {
    const qn_split_request *r;
    double count_per_h; /* rows are counted by their share of the hessian */
    double least_h;     /* what either side needs, in units */
    double parent_gain;
    double lambda;
    bool constrained; /* leaf values are bounded: gains come from the values */
    /* Of the cuts that are looked at: sums on the left, in units, and scores, as bits. */
    int32_t g[QN_GROUP_CODES], h[QN_GROUP_CODES], scores[QN_GROUP_CODES];
    float room[QN_GROUP_CODES];
};

static double shrink_l1(double g, double alpha)
{
    return g > alpha ? g - alpha : g < -alpha ? g + alpha : 0;
}

static double value_of(const qn_grow_params *p, const qn_leaf_bounds *bounds, double g, double h,
                       double n, double lambda)
{
    double value = h + lambda > 0 ? -shrink_l1(g, p->reg_alpha) / (h + lambda) : 0;
    if (p->max_delta_step > 0) value = fmin(fmax(value, -p->max_delta_step), p->max_delta_step);
    if (p->path_smooth > 0) {
        const double share = n / (n + p->path_smooth);
        value = value * share + bounds->parent * (1 - share);
    }
    return fmin(fmax(value, bounds->low), bounds->high);
}

double qn_leaf_value(const qn_grow_params *params, const qn_leaf_bounds *bounds, double g, double h,
                     double n)
{
    return value_of(params, bounds, g, h, n, params->reg_lambda);
}

/* Loss that a leaf of this value saves, times two. */
static double gain_of_value(const qn_grow_params *p, double g, double h, double lambda,
                            double value)
{
    return -(2 * shrink_l1(g, p->reg_alpha) * value + (h + lambda) * value * value);
}

/* What scores of cuts are made from, in units. */
struct scoring {
    int32_t add_g, add_h; /* go left as well */
    int32_t g, h;         /* of the leaf */
    float alpha, lambda;
};

/* Scores of n cuts: per cut the sum over both sides of g² / (h + λ), as floats, whose bits order
 * them since they are not below 0: they only find the cut, its gain is worked out in doubles.
 * Returns the largest. The loop is compiled twice; its operations are the same, so are its
 * results. */
static inline __attribute__((always_inline)) int32_t
score_cuts_with(const int32_t *restrict gs, const int32_t *restrict hs, int32_t n,
                const struct scoring *with, float *restrict room, int32_t *restrict scores)
{
    const struct scoring w = *with;
    for (int32_t i = 0; i < n; i++) {
        const int32_t left_g = gs[i] + w.add_g, left_h = hs[i] + w.add_h;
        const float lg = fabsf((float)left_g) - w.alpha,
                    rg = fabsf((float)(w.g - left_g)) - w.alpha;
        const float lh = (float)left_h + w.lambda, rh = (float)(w.h - left_h) + w.lambda;
        /* The larger of x and 0 is half of x + |x|, without a branch. */
        const float l = 0.5F * (lg + fabsf(lg)), r = 0.5F * (rg + fabsf(rg));
        room[i] = l * l / lh + r * r / rh;
    }
    memcpy(scores, room, (size_t)n * sizeof *scores);
    int32_t most = 0;
    for (int32_t i = 0; i < n; i++) {
        most = scores[i] > most ? scores[i] : most;
    }
    return most;
}

#ifdef WIDE
WIDE static int32_t score_cuts_wide(const int32_t *gs, const int32_t *hs, int32_t n,
                                    const struct scoring *with, float *room, int32_t *scores)
{
    return score_cuts_with(gs, hs, n, with, room, scores);
}
#endif

static int32_t score_cuts(const int32_t *gs, const int32_t *hs, int32_t n,
                          const struct scoring *with, float *room, int32_t *scores)
{
#ifdef WIDE
    if (__builtin_cpu_supports("avx2")) return score_cuts_wide(gs, hs, n, with, room, scores);
#endif
    return score_cuts_with(gs, hs, n, with, room, scores);
}

/* Gain of one cut, with everything that bounds leaf values; -1 when it is not allowed. */
static double constrained_gain(const struct search *s, int32_t feature, int64_t left)
{
    const qn_split_request *r = s->r;
    const qn_grow_params *p = r->params;
    const double lh_units = (double)qn_sum_hessian(left);
    const double lg = (double)qn_sum_gradient(left) * r->unit_g, lh = lh_units * r->unit_h;
    const double rg = (double)r->g * r->unit_g - lg, rh = (double)r->h * r->unit_h - lh;
    const double n_left = lh_units * s->count_per_h;
    const double lv = value_of(p, &r->bounds, lg, lh, n_left, s->lambda);
    const double rv = value_of(p, &r->bounds, rg, rh, (double)r->n - n_left, s->lambda);
    const int wanted = p->monotone_constraints ? p->monotone_constraints[feature] : 0;
    if ((wanted > 0 && lv > rv) || (wanted < 0 && lv < rv)) return -1;
    return gain_of_value(p, lg, lh, s->lambda, lv) + gain_of_value(p, rg, rh, s->lambda, rv) -
           s->parent_gain - p->min_split_gain;
}

/* Gain of sending these sums left; -1 when a side would be too small. */
static double gain_of(const struct search *s, int32_t feature, int64_t left)
{
    const qn_split_request *r = s->r;
    const double lh_units = (double)qn_sum_hessian(left);
    if (lh_units < s->least_h || (double)r->h - lh_units < s->least_h) return -1;
    if (s->constrained) return constrained_gain(s, feature, left);
    const double alpha = r->params->reg_alpha;
    const double lg = shrink_l1((double)qn_sum_gradient(left) * r->unit_g, alpha);
    const double rg = shrink_l1((double)(r->g - qn_sum_gradient(left)) * r->unit_g, alpha);
    const double lh = lh_units * r->unit_h + s->lambda;
    const double rh = ((double)r->h - lh_units) * r->unit_h + s->lambda;
    return lg * lg / lh + rg * rg / rh - s->parent_gain - r->params->min_split_gain;
}

static int64_t left_of(const struct search *s, int32_t i, int64_t add)
{
    return s->g[i] * (INT64_C(1) << 32) + s->h[i] + add;
}

/* The most that floats may understate a score by. */
static const double score_error = 1e-6;

/* Number of the best cut of first … last, or -1 when none gains more than `least`. */
static int32_t best_cut(struct search *s, int32_t first, int32_t last, int64_t add, double least)
{
    const qn_split_request *r = s->r;
    const struct scoring with = {.add_g = (int32_t)qn_sum_gradient(add),
                                 .add_h = (int32_t)qn_sum_hessian(add),
                                 .g = (int32_t)r->g,
                                 .h = (int32_t)r->h,
                                 .alpha = (float)fmin(r->params->reg_alpha / r->unit_g, 1e30),
                                 .lambda = (float)fmin(s->lambda / r->unit_h, 1e30)};
    const int32_t n = last - first + 1;
    const int32_t most = score_cuts(s->g + first, s->h + first, n, &with, s->room, s->scores);
    float score;
    memcpy(&score, &most, sizeof score);
    const double gain = (double)score * (1 + score_error) * r->unit_g * (r->unit_g / r->unit_h) -
                        s->parent_gain - r->params->min_split_gain;
    if (!(gain > least)) return -1;
    int32_t at = 0;
    while (s->scores[at] != most) {
        at++;
    }
    return first + at;
}

static int32_t best_constrained_cut(const struct search *s, int32_t feature, int32_t first,
                                    int32_t last, int64_t add, double least)
{
    int32_t at = -1;
    for (int32_t i = first; i <= last; i++) {
        const double gain = constrained_gain(s, feature, left_of(s, i, add));
        if (gain <= least) continue;
        least = gain;
        at = i;
    }
    return at;
}

/* The best of cuts behind bins first … last; g[bin - base] and h[bin - base] are what stands up to
 * and with each bin; `add` goes left as well. */
static void scan(struct search *s, int32_t feature, int32_t base, int32_t first, int32_t last,
                 int64_t add, bool missing_left, qn_split *best)
{
    const int64_t add_h = qn_sum_hessian(add);
    const double most = (double)s->r->h - s->least_h;
    first -= base;
    last -= base;
    while (first <= last && (double)(s->h[first] + add_h) < s->least_h) {
        first++;
    }
    while (first <= last && (double)(s->h[last] + add_h) > most) {
        last--;
    }
    if (first > last) return;
    const int32_t at = s->constrained
                           ? best_constrained_cut(s, feature, first, last, add, best->gain)
                           : best_cut(s, first, last, add, best->gain);
    if (at < 0) return;
    const int64_t left = left_of(s, at, add);
    const double gain = gain_of(s, feature, left);
    if (!(gain > best->gain)) return;
    *best = (qn_split){.gain = gain,
                       .feature = feature,
                       .bin = base + at,
                       .missing_left = missing_left,
                       .left_g = qn_sum_gradient(left),
                       .left_h = qn_sum_hessian(left)};
}

/* extra_trees: one random cut between the values that occur; 0: there is none. */
static int32_t draw_cut(const struct search *s, int32_t feature, const int64_t *cells)
{
    int32_t least = 1, most = s->r->bins->features[feature].n_bins - 1;
    while (least < most && cells[least] == 0) {
        least++;
    }
    while (most > least && cells[most] == 0) {
        most--;
    }
    if (least == most) return cells[0] ? most : 0;
    qn_rng rng;
    qn_rng_init(&rng, s->r->seed, (uint64_t)feature);
    return least + (int32_t)qn_rng_below(&rng, most - least);
}

static void search_numbers(struct search *s, int32_t feature, const int64_t *cells, qn_split *best)
{
    const int32_t n_bins = s->r->bins->features[feature].n_bins;
    /* With missing values, "everything known against the missing" is a cut too. */
    int32_t first = 1, last = cells[0] ? n_bins - 1 : n_bins - 2;
    if (s->r->params->extra_trees) {
        first = last = draw_cut(s, feature, cells);
        if (first == 0) return;
    }
    int64_t sum = 0;
    for (int32_t base = 1; base <= last; base += QN_GROUP_CODES) { /* one step but for wide ones */
        const int32_t end = base + QN_GROUP_CODES < n_bins ? base + QN_GROUP_CODES : n_bins;
        for (int32_t bin = base; bin < end; bin++) {
            sum += cells[bin];
            s->g[bin - base] = (int32_t)qn_sum_gradient(sum);
            s->h[bin - base] = (int32_t)qn_sum_hessian(sum);
        }
        const int32_t from = first > base ? first : base, to = last < end - 1 ? last : end - 1;
        scan(s, feature, base, from, to, 0, false, best);
        if (!cells[0]) continue;
        scan(s, feature, base, from, to < n_bins - 1 ? to : n_bins - 2, cells[0], true, best);
    }
}

struct level {
    double ratio;
    int32_t bin;
};

static int by_ratio(const void *left, const void *right)
{
    const struct level *a = left, *b = right;
    if (a->ratio != b->ratio) return a->ratio < b->ratio ? -1 : 1;
    return (a->bin > b->bin) - (a->bin < b->bin);
}

static void set_code(qn_split *split, int32_t bin)
{
    const int32_t code = bin - 1;
    split->set[code >> 6] |= UINT64_C(1) << (code & 63);
}

/* One level against the rest while there are few; otherwise levels sorted by their gradient over
 * hessian, cut once from either end (Fisher 1958, as LightGBM does it). Missing values go right,
 * and may be all that does. */
static void search_categories(struct search *s, int32_t feature, const int64_t *cells,
                              qn_split *best)
{
    const qn_split_request *r = s->r;
    const qn_grow_params *p = r->params;
    const int32_t n_bins = r->bins->features[feature].n_bins;
    const bool one_hot = n_bins - 1 <= p->max_cat_to_onehot;
    struct level levels[QN_GROUP_CODES];
    int32_t n = 0, n_taken = 0;
    for (int32_t bin = 1; bin < n_bins; bin++) {
        const double h = (double)qn_sum_hessian(cells[bin]);
        if (h == 0 || (!one_hot && h * s->count_per_h < p->cat_smooth)) continue;
        const double g = (double)qn_sum_gradient(cells[bin]) * r->unit_g;
        levels[n++] = (struct level){g / (h * r->unit_h + p->cat_smooth), bin};
    }
    qn_split found = {.gain = best->gain, .feature = feature};
    int64_t taken = 0, known = 0;
    int32_t first_taken = 0;
    if (one_hot) {
        for (int32_t i = 0; i <= n; i++) { /* last, all that are known against the missing */
            if (i == n && !cells[0]) break;
            const int64_t left = i < n ? cells[levels[i].bin] : known;
            known += left;
            const double gain = gain_of(s, feature, left);
            if (gain <= found.gain) continue;
            found.gain = gain;
            taken = left;
            first_taken = i < n ? i : 0;
            n_taken = i < n ? 1 : n;
        }
    } else {
        qsort(levels, (size_t)n, sizeof *levels, by_ratio);
        s->lambda += p->cat_l2;
        /* The missing stay on the right, so that sides are alike only without them. */
        const int64_t half = cells[0] ? n : (n + 1) / 2;
        const int64_t most = p->max_cat_threshold < half ? p->max_cat_threshold : half;
        qn_rng rng;
        if (p->extra_trees) qn_rng_init(&rng, r->seed, (uint64_t)feature);
        const int64_t only = p->extra_trees && most > 0 ? 1 + qn_rng_below(&rng, most) : 0;
        for (int side = 0; side < 2; side++) {
            int64_t left = 0;
            for (int32_t i = 0; i < most; i++) {
                left += cells[levels[side ? n - 1 - i : i].bin];
                if (only && i + 1 != only) continue;
                const double gain = gain_of(s, feature, left);
                if (gain <= found.gain) continue;
                found.gain = gain;
                taken = left;
                n_taken = i + 1;
                first_taken = side ? n - n_taken : 0;
            }
        }
        s->lambda -= p->cat_l2;
    }
    if (n_taken == 0) return;
    for (int32_t i = 0; i < n_taken; i++) {
        set_code(&found, levels[first_taken + i].bin);
    }
    found.left_g = qn_sum_gradient(taken);
    found.left_h = qn_sum_hessian(taken);
    *best = found;
}

/* The cells of one feature by bin: those of its group, taken apart if others share it. */
static const int64_t *cells_of(const qn_split_request *r, int32_t feature, int64_t *room)
{
    const qn_bin_feature *described = &r->bins->features[feature];
    const int64_t *cells = r->cells + qn_bins_first_cell(r->bins, described->group);
    if (described->alone) return cells;
    memset(room, 0, (size_t)described->n_bins * sizeof *room);
    for (int32_t code = 0; code < r->bins->group_codes[described->group]; code++) {
        room[described->decode[code]] += cells[code];
    }
    return room;
}

static bool is_constrained(const qn_split_request *r)
{
    return r->params->monotone_constraints || r->params->max_delta_step > 0 ||
           r->params->path_smooth > 0;
}

/* What no split of the leaf depends on. */
static void begin_search(const qn_split_request *request, struct search *s)
{
    const qn_grow_params *p = request->params;
    s->r = request;
    s->count_per_h = (double)request->n / (double)request->h;
    s->least_h = fmax(p->min_sum_hessian_in_leaf / request->unit_h,
                      ((double)p->min_data_in_leaf - 0.5) / s->count_per_h);
    s->lambda = p->reg_lambda;
    s->constrained = is_constrained(request);
    const double g = (double)request->g * request->unit_g;
    const double h = (double)request->h * request->unit_h;
    const double value = qn_leaf_value(p, &request->bounds, g, h, (double)request->n);
    s->parent_gain = gain_of_value(p, g, h, p->reg_lambda, value);
}

/* What rounding could feign is no gain: that of the sums, and that of n gradients to the fixed
 * point, each off by up to half a unit. In proportion to the gains, whatever the target's scale. */
static double least_gain(const struct search *s)
{
    const qn_split_request *r = s->r;
    const double noise = r->unit_g * r->unit_g * s->count_per_h / r->unit_h;
    return 1e-10 * s->parent_gain + 4 * noise;
}

void qn_split_find(const qn_split_request *request, const int32_t *features, int64_t n,
                   qn_split *out)
{
    const qn_grow_params *p = request->params;
    struct search s;
    begin_search(request, &s);
    *out = (qn_split){.gain = least_gain(&s)};
    int64_t left = 0;
    for (int64_t i = 0; i < n; i++) {
        left += qn_split_allows(p, &request->allowance, features[i]);
    }
    double wanted = fmax(ceil(p->feature_fraction_bynode * (double)left), 1);
    qn_rng rng;
    if (wanted < (double)left) qn_rng_init(&rng, request->seed, UINT64_MAX);
    for (int64_t i = 0; i < n && wanted > 0; i++) {
        if (!qn_split_allows(p, &request->allowance, features[i])) continue;
        /* Selection sampling (Knuth, volume 2, 3.4.2): in order, each set equally likely. */
        const bool drawn = wanted >= (double)left || qn_rng_uniform(&rng) * (double)left < wanted;
        left--;
        if (!drawn) continue;
        wanted--;
        int64_t room[QN_GROUP_CODES];
        const int64_t *cells = cells_of(request, features[i], room);
        if (request->bins->features[features[i]].categorical) {
            search_categories(&s, features[i], cells, out);
        } else {
            search_numbers(&s, features[i], cells, out);
        }
    }
    if (!(out->gain > least_gain(&s))) *out = (qn_split){0}; /* NaN as well */
}

/* One test for many leaves. */

static double gain_or_none(const struct search *s, int32_t feature, int64_t left)
{
    return fmax(gain_of(s, feature, left), 0);
}

/* totals[bin] and totals[n_bins + bin] get the gains of cutting behind the bin, with the missing
 * on the right and on the left. */
static void search_shared_numbers(const qn_split_request *leaves, int64_t n_leaves, int32_t feature,
                                  double *totals, qn_split *out)
{
    const int32_t n_bins = leaves->bins->features[feature].n_bins;
    int32_t first = 1, last = n_bins - 1;
    if (leaves->params->extra_trees) {
        qn_rng rng;
        qn_rng_init(&rng, leaves->seed, (uint64_t)feature);
        first = last = 1 + (int32_t)qn_rng_below(&rng, n_bins - 1);
    }
    memset(totals, 0, (size_t)n_bins * 2 * sizeof *totals);
    for (int64_t l = 0; l < n_leaves; l++) {
        struct search s;
        begin_search(&leaves[l], &s);
        int64_t room[QN_GROUP_CODES], sum = 0;
        const int64_t *cells = cells_of(&leaves[l], feature, room);
        for (int32_t bin = 1; bin <= last; bin++) {
            sum += cells[bin];
            if (bin < first) continue;
            const double gain = gain_or_none(&s, feature, sum);
            totals[bin] += gain;
            totals[n_bins + bin] += cells[0] ? gain_or_none(&s, feature, sum + cells[0]) : gain;
        }
    }
    for (int side = 0; side < 2; side++) {
        for (int32_t bin = first; bin <= last; bin++) {
            const double gain = totals[side * n_bins + bin];
            if (gain <= out->gain) continue;
            *out = (qn_split){.gain = gain, .feature = feature, .bin = bin, .missing_left = side};
        }
    }
}

/* Levels in the order of their gradients over hessians in all leaves together. */
static int32_t sort_shared_levels(const qn_split_request *leaves, int64_t n_leaves, int32_t feature,
                                  struct level *levels)
{
    const qn_grow_params *p = leaves->params;
    const int32_t n_bins = leaves->bins->features[feature].n_bins;
    double g[QN_GROUP_CODES] = {0}, h[QN_GROUP_CODES] = {0};
    for (int64_t l = 0; l < n_leaves; l++) {
        int64_t room[QN_GROUP_CODES];
        const int64_t *cells = cells_of(&leaves[l], feature, room);
        for (int32_t bin = 1; bin < n_bins; bin++) {
            g[bin] += (double)qn_sum_gradient(cells[bin]) * leaves->unit_g;
            h[bin] += (double)qn_sum_hessian(cells[bin]) * leaves->unit_h;
        }
    }
    int32_t n = 0;
    for (int32_t bin = 1; bin < n_bins; bin++) {
        if (h[bin] > 0) levels[n++] = (struct level){g[bin] / (h[bin] + p->cat_smooth), bin};
    }
    qsort(levels, (size_t)n, sizeof *levels, by_ratio);
    return n;
}

/* The first 1, 2 … levels of that order go left, or, where there are few, each by itself. */
static void search_shared_categories(const qn_split_request *leaves, int64_t n_leaves,
                                     int32_t feature, qn_split *out)
{
    const qn_grow_params *p = leaves->params;
    struct level levels[QN_GROUP_CODES];
    double totals[QN_GROUP_CODES] = {0};
    const int32_t n = sort_shared_levels(leaves, n_leaves, feature, levels);
    const bool one_hot = leaves->bins->features[feature].n_bins - 1 <= p->max_cat_to_onehot;
    for (int64_t l = 0; l < n_leaves; l++) {
        struct search s;
        begin_search(&leaves[l], &s);
        if (!one_hot) s.lambda += p->cat_l2;
        int64_t room[QN_GROUP_CODES], sum = 0;
        const int64_t *cells = cells_of(&leaves[l], feature, room);
        for (int32_t i = 0; i < n; i++) {
            sum += cells[levels[i].bin];
            totals[i] += gain_or_none(&s, feature, one_hot ? cells[levels[i].bin] : sum);
        }
    }
    for (int32_t i = 0; i < n; i++) {
        if (totals[i] <= out->gain || (!one_hot && i + 1 > p->max_cat_threshold)) continue;
        *out = (qn_split){.gain = totals[i], .feature = feature};
        for (int32_t level = one_hot ? i : 0; level <= i; level++) {
            set_code(out, levels[level].bin);
        }
    }
}

void qn_split_find_shared(const qn_split_request *leaves, int64_t n_leaves, const int32_t *features,
                          int64_t n, double *room, qn_split *out)
{
    *out = (qn_split){0};
    for (int64_t i = 0; i < n; i++) {
        if (!qn_split_allows(leaves->params, &leaves->allowance, features[i])) continue;
        if (leaves->bins->features[features[i]].categorical) {
            search_shared_categories(leaves, n_leaves, features[i], out);
        } else {
            search_shared_numbers(leaves, n_leaves, features[i], room, out);
        }
    }
}

void qn_split_apply(const qn_split_request *leaf, const qn_split *test, qn_split *out)
{
    const qn_bin_feature *feature = &leaf->bins->features[test->feature];
    struct search s;
    begin_search(leaf, &s);
    int64_t room[QN_GROUP_CODES], sum = 0;
    const int64_t *cells = cells_of(leaf, test->feature, room);
    for (int32_t bin = 0; bin < feature->n_bins; bin++) {
        if (qn_split_goes_left(test, feature->categorical, bin)) sum += cells[bin];
    }
    *out = *test;
    out->gain = gain_of(&s, test->feature, sum);
    out->left_g = qn_sum_gradient(sum);
    out->left_h = qn_sum_hessian(sum);
    if (!(out->gain > least_gain(&s))) *out = (qn_split){0}; /* NaN as well */
}
