/* SPDX-License-Identifier: Apache-2.0 */
/* Splits against all there are: every cut of every number with missing values on either side, every
 * partition of up to eight levels, by sums over the rows themselves. */
#include "datasets.h"

#include "learn/tree/best_split.h"

enum { N = 400, NUMBERS = 6, LEVELS_MAX = 8 };

/* Rows of which a leaf holds some, with derivatives in units. */
struct world {
    qn_dataset data;
    qn_grow_params params;
    qn_leaf_bounds bounds;
    int64_t g[N], h[N];
    int32_t rows[N];
    int64_t n;
    qn_cell_sum *cells;
    qn_split_request request;
};

static qn_grow_params plain_params(void)
{
    return (qn_grow_params){.num_leaves = 2,
                            .min_data_in_leaf = 1,
                            .feature_fraction = 1,
                            .feature_fraction_bynode = 1,
                            .max_cat_threshold = 254,
                            .max_cat_to_onehot = 1,
                            .learning_rate = 1};
}

/* Numbers of many and of few values, two of them with missing ones; those of few share a byte. */
static void make_numbers(struct world *w)
{
    qn_rng rng;
    *w = (struct world){.data = dataset_create(QN_TASK_REGRESSION, 0, N, 0, NUMBERS)};
    qn_rng_init(&rng, 9, 0);
    for (int64_t row = 0; row < N; row++) {
        for (int64_t f = 0; f < NUMBERS; f++) {
            double value = f < 3 ? qn_rng_normal(&rng) : (double)qn_rng_below(&rng, 2 + f);
            if (f % 3 == 1 && qn_rng_below(&rng, 5) == 0) value = QN_NA;
            dataset_column(&w->data.train, f)[row] = value;
        }
    }
    dataset_bin(&w->data, 24);
    CHECK(!w->data.bins->features[4].alone);
}

/* One categorical feature of n_levels levels, with missing ones if so wished. */
static void make_levels(struct world *w, int32_t n_levels, bool missing)
{
    qn_rng rng;
    *w = (struct world){.data = dataset_create(QN_TASK_REGRESSION, 0, N, 0, 1)};
    qn_rng_init(&rng, 10, (uint64_t)n_levels);
    dataset_categorical(&w->data, 0, n_levels);
    for (int64_t row = 0; row < N; row++) {
        const bool none = missing && qn_rng_below(&rng, 6) == 0;
        dataset_column(&w->data.train, 0)[row] =
            none ? QN_NA : (double)qn_rng_below(&rng, n_levels);
    }
    dataset_bin(&w->data, 255);
}

static void release_world(struct world *w)
{
    qn_free(w->cells);
    dataset_release(&w->data);
}

/* A leaf of random rows and derivatives. */
static void draw_leaf(struct world *w, uint64_t number, bool even_hessians)
{
    qn_rng rng;
    qn_rng_init(&rng, 11, number);
    const int64_t share = 1 + qn_rng_below(&rng, 4);
    const qn_bins *bins = w->data.bins;
    const double tilt = qn_rng_normal(&rng);
    int64_t packed[N], sum = 0;
    w->n = 0;
    for (int32_t row = 0; row < N; row++) {
        const double x = dataset_column(&w->data.train, 0)[row];
        const double g = qn_rng_normal(&rng) + (isnan(x) ? 1 : tilt * (x > 0));
        w->g[row] = (int64_t)(100000 * g);
        w->h[row] = even_hessians ? 50000 : 1 + qn_rng_below(&rng, 100000);
        packed[row] = w->g[row] * (INT64_C(1) << 32) + w->h[row];
        if (qn_rng_below(&rng, 4) >= share) continue;
        w->rows[w->n++] = row;
        sum += packed[row];
    }
    qn_free(w->cells);
    w->cells = qn_alloc_array(bins->n_cells, sizeof *w->cells);
    qn_histogram_add(&(qn_row_block){bins->codes, bins->stride, packed}, w->rows, w->n, NULL,
                     bins->n_groups, w->cells);
    w->bounds = (qn_leaf_bounds){-QN_INF, QN_INF, 0};
    w->request = (qn_split_request){.bins = bins,
                                    .params = &w->params,
                                    .cells = w->cells,
                                    .n = w->n,
                                    .g = qn_sum_gradient(sum),
                                    .h = qn_sum_hessian(sum),
                                    .unit_g = 1e-5,
                                    .unit_h = 2e-5,
                                    .seed = number};
}

static int32_t bin_of(const struct world *w, int32_t row, int32_t f)
{
    const qn_bin_feature *feature = &w->data.bins->features[f];
    return feature->decode[w->data.bins->codes[row * w->data.bins->stride + feature->group]];
}

struct sums {
    double g, h, n; /* not in units; n as its share of the hessian tells */
};

static struct sums sums_of(const struct world *w, int64_t g, int64_t h)
{
    const qn_split_request *r = &w->request;
    return (struct sums){(double)g * r->unit_g, (double)h * r->unit_h,
                         (double)h * (double)r->n / (double)r->h};
}

/* Twice what a leaf of the best allowed value takes off the loss g v + (h + λ) v² / 2 + α |v|. */
static double gain_of_leaf(const struct world *w, struct sums s, double lambda, double *value)
{
    const qn_grow_params *p = &w->params;
    const double size = fmax(fabs(s.g) - p->reg_alpha, 0);
    double v = s.h + lambda > 0 ? -copysign(size, s.g) / (s.h + lambda) : 0;
    if (p->max_delta_step > 0 && fabs(v) > p->max_delta_step) v = copysign(p->max_delta_step, v);
    if (p->path_smooth > 0) {
        v = (s.n * v + p->path_smooth * w->bounds.parent) / (s.n + p->path_smooth);
    }
    v = v < w->bounds.low ? w->bounds.low : v > w->bounds.high ? w->bounds.high : v;
    if (value) *value = v;
    return -2 * (s.g * v + p->reg_alpha * fabs(v)) - (s.h + lambda) * v * v;
}

/* -1 for a split that is not allowed. */
static double gain_of_split(const struct world *w, int32_t f, int64_t left_g, int64_t left_h,
                            double more_lambda)
{
    const qn_grow_params *p = &w->params;
    const struct sums all = sums_of(w, w->request.g, w->request.h);
    const struct sums left = sums_of(w, left_g, left_h);
    const struct sums right = sums_of(w, w->request.g - left_g, w->request.h - left_h);
    const double least = (double)p->min_data_in_leaf - 0.5, lambda = p->reg_lambda + more_lambda;
    if (left.n < least || right.n < least) return -1;
    if (left.h < p->min_sum_hessian_in_leaf || right.h < p->min_sum_hessian_in_leaf) return -1;
    double lv, rv;
    const double gain = gain_of_leaf(w, left, lambda, &lv) + gain_of_leaf(w, right, lambda, &rv) -
                        gain_of_leaf(w, all, p->reg_lambda, NULL) - p->min_split_gain;
    const int wanted = p->monotone_constraints ? p->monotone_constraints[f] : 0;
    return wanted * (rv - lv) < 0 ? -1 : gain;
}

/* The sums of the rows that a split sends left. */
static void sum_left(const struct world *w, const qn_split *split, int64_t *g, int64_t *h)
{
    const bool categorical = w->data.bins->features[split->feature].categorical;
    *g = *h = 0;
    for (int64_t i = 0; i < w->n; i++) {
        const int32_t row = w->rows[i];
        if (!qn_split_goes_left(split, categorical, bin_of(w, row, split->feature))) continue;
        *g += w->g[row];
        *h += w->h[row];
    }
}

/* The best gain of all cuts of the features 0 … n-1. */
static double best_of_cuts(const struct world *w, int32_t n_features)
{
    double best = 0;
    for (int32_t f = 0; f < n_features; f++) {
        for (int32_t bin = 1; bin < w->data.bins->features[f].n_bins; bin++) {
            for (int missing_left = 0; missing_left < 2; missing_left++) {
                const qn_split split = {.feature = f, .bin = bin, .missing_left = missing_left};
                int64_t g, h;
                sum_left(w, &split, &g, &h);
                if (h == 0 || h == w->request.h) continue;
                best = fmax(best, gain_of_split(w, f, g, h, 0));
            }
        }
    }
    return best;
}

/* The split found says what it does: its sums are those of its rows, its gain is theirs. */
static void check_found(const struct world *w, const qn_split *split, double more_lambda)
{
    int64_t g, h;
    sum_left(w, split, &g, &h);
    CHECK_INT(split->left_g, g);
    CHECK_INT(split->left_h, h);
    CHECK_NEAR(split->gain, gain_of_split(w, split->feature, g, h, more_lambda),
               1e-9 * (1 + split->gain));
}

static const int32_t features[] = {0, 1, 2, 3, 4, 5};

static void check_cuts(struct world *w, bool even_hessians)
{
    int n_found = 0;
    for (uint64_t leaf = 0; leaf < 60; leaf++) {
        qn_split split;
        const qn_leaf_bounds bounds = w->bounds;
        draw_leaf(w, leaf, even_hessians);
        w->bounds = w->request.bounds = bounds;
        qn_split_find(&w->request, features, NUMBERS, &split);
        const double best = best_of_cuts(w, NUMBERS);
        CHECK_NEAR(split.gain, best, 1e-9 * (1 + best));
        if (split.gain <= 0) continue;
        check_found(w, &split, 0);
        n_found++;
    }
    CHECK(n_found > 5);
}

static const qn_leaf_bounds no_bounds = {-QN_INF, QN_INF, 0};

static void cuts_of_numbers_are_the_best_of_all(void **state)
{
    (void)state;
    struct world w;
    make_numbers(&w);
    for (int even = 0; even < 2; even++) {
        w.params = plain_params();
        w.bounds = no_bounds;
        check_cuts(&w, even);
        w.params.reg_lambda = 3;
        check_cuts(&w, even);
        w.params.reg_alpha = 20;
        check_cuts(&w, even);
        w.params.min_split_gain = 5;
        check_cuts(&w, even);
        w.params.min_sum_hessian_in_leaf = 40;
        check_cuts(&w, even);
        w.params = plain_params();
        w.params.min_data_in_leaf = 25;
        check_cuts(&w, even);
    }
    release_world(&w);
}

static void cuts_with_bounded_values_are_the_best_of_all(void **state)
{
    (void)state;
    struct world w;
    make_numbers(&w);
    const int8_t monotone[NUMBERS] = {1, -1, 0, 1, -1, 0};
    for (int even = 0; even < 2; even++) {
        w.params = plain_params();
        w.bounds = no_bounds;
        w.params.max_delta_step = 0.1;
        check_cuts(&w, even);
        w.params.reg_alpha = 10;
        check_cuts(&w, even);
        w.params = plain_params();
        w.params.path_smooth = 30;
        w.bounds.parent = 0.2;
        check_cuts(&w, even);
        w.params.reg_lambda = 2;
        w.params.min_data_in_leaf = 10;
        check_cuts(&w, even);
        w.params = plain_params();
        w.params.monotone_constraints = monotone;
        check_cuts(&w, even);
        w.bounds = (qn_leaf_bounds){-0.3, 0.1, 0};
        check_cuts(&w, even);
    }
    release_world(&w);
}

/* Counts of rows are exact where hessians are equal. */
static void no_side_has_fewer_rows_than_asked(void **state)
{
    (void)state;
    struct world w;
    make_numbers(&w);
    for (int64_t least = 1; least <= 120; least += 17) {
        for (uint64_t leaf = 0; leaf < 30; leaf++) {
            qn_split split;
            w.params = plain_params();
            w.params.min_data_in_leaf = least;
            draw_leaf(&w, leaf, true);
            w.request.bounds = no_bounds;
            qn_split_find(&w.request, features, NUMBERS, &split);
            int64_t n_left = 0;
            for (int64_t i = 0; i < w.n; i++) {
                n_left += qn_split_goes_left(&split, false, bin_of(&w, w.rows[i], split.feature));
            }
            if (split.gain > 0) CHECK(n_left >= least && w.n - n_left >= least);
            if (w.n < 2 * least) CHECK(split.gain == 0);
        }
    }
    release_world(&w);
}

/* One cut a feature, between the values that occur, each of them in its turn. */
static void extra_trees_try_any_cut(void **state)
{
    (void)state;
    struct world w;
    make_numbers(&w);
    w.params = plain_params();
    w.params.extra_trees = true;
    draw_leaf(&w, 1, false);
    const double best = best_of_cuts(&w, NUMBERS);
    bool seen[256][2] = {{false}};
    const int32_t one = 5; /* has no missing values */
    for (uint64_t seed = 0; seed < 400; seed++) {
        qn_split split;
        w.request.seed = seed;
        w.request.bounds = no_bounds;
        qn_split_find(&w.request, features, NUMBERS, &split);
        CHECK(split.gain <= best * (1 + 1e-9));
        if (split.gain > 0) check_found(&w, &split, 0);
        qn_split_find(&w.request, &one, 1, &split);
        if (split.gain > 0) seen[split.bin][split.missing_left] = true;
    }
    const int32_t n_bins = w.data.bins->features[one].n_bins;
    CHECK_INT(n_bins, 8);
    for (int32_t bin = 1; bin < 256; bin++) { /* six cuts between seven values */
        CHECK_INT(seen[bin][0], bin < n_bins - 1);
        CHECK(!seen[bin][1]);
    }
    release_world(&w);
}

static void a_share_of_the_features_is_drawn_for_a_node(void **state)
{
    (void)state;
    struct world w;
    make_numbers(&w);
    w.params = plain_params();
    w.params.feature_fraction_bynode = 0.5;
    draw_leaf(&w, 1, false);
    int counts[NUMBERS] = {0};
    for (uint64_t seed = 0; seed < 600; seed++) {
        qn_split split;
        w.request.seed = seed;
        w.request.bounds = no_bounds;
        qn_split_find(&w.request, features, NUMBERS, &split);
        CHECK(split.gain > 0);
        check_found(&w, &split, 0);
        counts[split.feature]++;
    }
    int most = 0, n_chosen = 0;
    for (int f = 0; f < NUMBERS; f++) {
        most = counts[f] > most ? counts[f] : most;
        n_chosen += counts[f] > 0;
    }
    CHECK(most > 230 && most < 370); /* the best of all is drawn every other time */
    CHECK_INT(n_chosen, 4);          /* one of the best four is always among three */
    release_world(&w);
}

/* Categories. */

/* The best gain over all sets of levels that may go left, of `largest` levels at most. */
static double best_of_sets(const struct world *w, int32_t n_levels, int largest)
{
    double best = 0;
    for (unsigned set = 1; set < 1u << n_levels; set++) {
        if (__builtin_popcount(set) > largest) continue;
        const qn_split split = {.set = {set}};
        int64_t g, h;
        sum_left(w, &split, &g, &h);
        if (h == 0 || h == w->request.h) continue;
        best = fmax(best, gain_of_split(w, 0, g, h, 0));
    }
    return best;
}

/* All levels against the missing values. */
static double gain_of_known(const struct world *w)
{
    int64_t g, h;
    sum_left(w, &(qn_split){.set = {UINT64_MAX}}, &g, &h);
    return gain_of_split(w, 0, g, h, 0);
}

/* Without smoothing, the order by gradient over hessian holds the best partition (Fisher 1958):
 * none of all 2^levels is better. */
static void sets_of_levels_are_the_best_of_all(void **state)
{
    (void)state;
    for (int32_t n_levels = 2; n_levels <= LEVELS_MAX; n_levels++) {
        for (int missing = 0; missing < 2; missing++) {
            struct world w;
            make_levels(&w, n_levels, missing);
            for (uint64_t leaf = 0; leaf < 40; leaf++) {
                qn_split split;
                w.params = plain_params();
                w.params.reg_lambda = leaf % 3 == 2 ? 1e-9 : 0;
                draw_leaf(&w, leaf, false);
                w.request.bounds = no_bounds;
                qn_split_find(&w.request, features, 1, &split);
                const double best = best_of_sets(&w, n_levels, n_levels);
                CHECK_NEAR(split.gain, best, 1e-9 * (1 + best));
                CHECK(split.gain > 0);
                check_found(&w, &split, 0);
            }
            release_world(&w);
        }
    }
}

/* With smoothing the order is another, and the best of its prefixes and suffixes is wanted. */
static double best_of_order(const struct world *w, int32_t n_levels)
{
    const qn_grow_params *p = &w->params;
    int64_t g[LEVELS_MAX], h[LEVELS_MAX];
    int order[LEVELS_MAX], n = 0;
    double ratios[LEVELS_MAX], best = 0;
    for (int level = 0; level < n_levels; level++) {
        sum_left(w, &(qn_split){.set = {1u << level}}, &g[level], &h[level]);
        const struct sums s = sums_of(w, g[level], h[level]);
        if (h[level] == 0 || s.n < p->cat_smooth) continue;
        ratios[level] = s.g / (s.h + p->cat_smooth);
        int at = n++;
        for (; at > 0 && ratios[order[at - 1]] > ratios[level]; at--) {
            order[at] = order[at - 1];
        }
        order[at] = level;
    }
    for (int from_end = 0; from_end < 2; from_end++) {
        unsigned set = 0;
        for (int i = 0; i < (n + 1) / 2 && i < p->max_cat_threshold; i++) {
            set |= 1u << order[from_end ? n - 1 - i : i];
            int64_t left_g, left_h;
            sum_left(w, &(qn_split){.set = {set}}, &left_g, &left_h);
            best = fmax(best, gain_of_split(w, 0, left_g, left_h, p->cat_l2));
        }
    }
    return best;
}

static void smoothed_levels_are_cut_in_their_order(void **state)
{
    (void)state;
    const int8_t monotone[] = {0};
    for (int variant = 0; variant < 6; variant++) {
        struct world w;
        int n_found = 0;
        make_levels(&w, LEVELS_MAX, false);
        for (uint64_t leaf = 0; leaf < 60; leaf++) {
            qn_split split;
            w.params = plain_params();
            w.params.cat_smooth = variant == 4 ? 30 : 10;
            w.params.cat_l2 = variant == 0 ? 0 : 10;
            if (variant == 2) w.params.max_cat_threshold = 2;
            if (variant == 3) w.params.reg_alpha = 3;
            if (variant == 5) w.params.monotone_constraints = monotone; /* the careful way */
            w.params.min_data_in_leaf = 5;
            draw_leaf(&w, leaf, false);
            w.request.bounds = no_bounds;
            qn_split_find(&w.request, features, 1, &split);
            const double best = best_of_order(&w, LEVELS_MAX);
            CHECK_NEAR(split.gain, best, 1e-9 * (1 + best));
            if (split.gain > 0) check_found(&w, &split, w.params.cat_l2);
            n_found += split.gain > 0;
        }
        CHECK(n_found > 20);
        release_world(&w);
    }
}

static void few_levels_are_split_one_from_the_rest(void **state)
{
    (void)state;
    for (int missing = 0; missing < 2; missing++) {
        struct world w;
        make_levels(&w, 4, missing);
        for (uint64_t leaf = 0; leaf < 60; leaf++) {
            qn_split split;
            w.params = plain_params();
            w.params.max_cat_to_onehot = 4;
            w.params.cat_smooth = 10; /* is of no account here, nor is cat_l2 */
            w.params.cat_l2 = 10;
            draw_leaf(&w, leaf, false);
            w.request.bounds = no_bounds;
            qn_split_find(&w.request, features, 1, &split);
            const double best = fmax(best_of_sets(&w, 4, 1), missing ? gain_of_known(&w) : 0);
            CHECK_NEAR(split.gain, best, 1e-9 * (1 + best));
            CHECK(split.gain > 0);
            check_found(&w, &split, 0);
        }
        release_world(&w);
    }
}

/* Rounding and overflow. */

static void sums_beyond_doubles_split_nothing(void **state)
{
    (void)state;
    struct world w;
    make_numbers(&w);
    const double units[] = {1e-305, 1e300};
    for (int u = 0; u < 2; u++) {
        qn_split split;
        w.params = plain_params();
        draw_leaf(&w, 1, false);
        w.request.bounds = no_bounds;
        w.request.unit_g = units[u];
        qn_split_find(&w.request, features, NUMBERS, &split);
        CHECK(split.gain == 0);
    }
    release_world(&w);
}

/* The same problem in another unit of the target has the same splits. */
static void the_scale_of_the_target_is_of_no_account(void **state)
{
    (void)state;
    struct world w;
    make_numbers(&w);
    for (int exponent = -120; exponent <= 120; exponent += 40) {
        for (uint64_t leaf = 0; leaf < 20; leaf++) {
            qn_split before, after;
            w.params = plain_params();
            draw_leaf(&w, leaf, false);
            w.request.bounds = no_bounds;
            qn_split_find(&w.request, features, NUMBERS, &before);
            w.request.unit_g = ldexp(w.request.unit_g, exponent);
            qn_split_find(&w.request, features, NUMBERS, &after);
            CHECK(before.gain > 0);
            CHECK(after.gain == ldexp(before.gain, 2 * exponent));
            CHECK_INT(after.feature, before.feature);
            CHECK_INT(after.bin, before.bin);
        }
    }
    release_world(&w);
}

/* Equal gradients everywhere leave nothing to gain, whatever their size. */
static void what_rounding_feigns_is_no_gain(void **state)
{
    (void)state;
    struct world w;
    make_numbers(&w);
    for (int exponent = -60; exponent <= 60; exponent += 20) {
        qn_split split;
        w.params = plain_params();
        draw_leaf(&w, 3, false);
        int64_t packed[N], sum = 0;
        for (int64_t i = 0; i < w.n; i++) { /* g / h is 7 in every row */
            packed[w.rows[i]] = 7 * w.h[w.rows[i]] * (INT64_C(1) << 32) + w.h[w.rows[i]];
            sum += packed[w.rows[i]];
        }
        memset(w.cells, 0, sizeof *w.cells * (size_t)w.data.bins->n_cells);
        qn_histogram_add(&(qn_row_block){w.data.bins->codes, w.data.bins->stride, packed}, w.rows,
                         w.n, NULL, w.data.bins->n_groups, w.cells);
        w.request.g = qn_sum_gradient(sum);
        w.request.bounds = no_bounds;
        w.request.unit_g = ldexp(1, exponent);
        qn_split_find(&w.request, features, NUMBERS, &split);
        CHECK(split.gain == 0);
    }
    release_world(&w);
}

RUN_TESTS(TEST(cuts_of_numbers_are_the_best_of_all),
          TEST(cuts_with_bounded_values_are_the_best_of_all),
          TEST(no_side_has_fewer_rows_than_asked), TEST(extra_trees_try_any_cut),
          TEST(a_share_of_the_features_is_drawn_for_a_node),
          TEST(sets_of_levels_are_the_best_of_all), TEST(smoothed_levels_are_cut_in_their_order),
          TEST(few_levels_are_split_one_from_the_rest), TEST(sums_beyond_doubles_split_nothing),
          TEST(the_scale_of_the_target_is_of_no_account), TEST(what_rounding_feigns_is_no_gain))
