/* SPDX-License-Identifier: Apache-2.0 */
/* Splits by wide registers are those of the portable code, bit for bit. The library chooses by the
 * processor; the portable code is compiled here once more, under a name of its own, as for a
 * processor that has nothing else. */
#include "datasets.h"

#include "learn/tree/best_split.h"

#include <stdlib.h>

void portable_split_apply(const qn_split_request *leaf, const qn_split *test, qn_split *out);
void portable_split_find_shared(const qn_split_request *leaves, int64_t n_leaves,
                                const int32_t *features, int64_t n, double *room, qn_split *out);
double portable_leaf_value(const qn_grow_params *params, const qn_leaf_bounds *bounds, double g,
                           double h, double n);
void portable_split_find(const qn_split_request *request, const int32_t *features, int64_t n,
                         qn_split *out);

#define qn_leaf_value portable_leaf_value
#define qn_split_apply portable_split_apply
#define qn_split_find portable_split_find
#define qn_split_find_shared portable_split_find_shared
#undef __x86_64__
#include "learn/tree/best_split.c" /* NOLINT(bugprone-suspicious-include) */
#undef qn_split_apply
#undef qn_split_find
#undef qn_split_find_shared

#ifdef WIDE
#error "the portable code is not"
#endif

enum { FEATURES = 12 };

static void make_bins(qn_bins *bins, qn_bin_feature *features, int32_t *group_codes)
{
    *bins = (qn_bins){.n_features = FEATURES,
                      .n_groups = FEATURES,
                      .n_narrow = FEATURES,
                      .n_cells = FEATURES * QN_GROUP_CODES,
                      .features = features,
                      .group_codes = group_codes};
    for (int32_t f = 0; f < FEATURES; f++) { /* every remainder of a register's width */
        features[f] = (qn_bin_feature){.alone = true, .n_bins = 255 - 21 * f, .group = f};
        features[f].categorical = f == 3;
        group_codes[f] = features[f].n_bins;
    }
}

/* Each feature spreads the same sums over its bins. */
static void draw_cells(qn_split_request *r, qn_cell_sum *cells, uint64_t number)
{
    qn_rng rng;
    qn_rng_init(&rng, 12, number);
    memset(cells, 0, FEATURES * QN_GROUP_CODES * sizeof *cells);
    r->g = r->h = r->n = 0;
    const int n = 20 + (int)qn_rng_below(&rng, 2000);
    for (int i = 0; i < n; i++) {
        const int64_t g = (int64_t)(3e5 * qn_rng_normal(&rng)), h = qn_rng_below(&rng, 1000000);
        r->g += g;
        r->h += h;
        r->n++;
        for (int32_t f = 0; f < FEATURES; f++) {
            const int64_t bin = qn_rng_below(&rng, r->bins->features[f].n_bins);
            cells[f * QN_GROUP_CODES + bin] += g * (INT64_C(1) << 32) + h;
        }
    }
    r->seed = number;
}

static void check_equal(const qn_split *a, const qn_split *b)
{
    assert_memory_equal(&a->gain, &b->gain, sizeof a->gain);
    CHECK_INT(a->feature, b->feature);
    CHECK_INT(a->bin, b->bin);
    CHECK_INT(a->missing_left, b->missing_left);
    assert_memory_equal(a->set, b->set, sizeof a->set);
    CHECK(a->left_g == b->left_g && a->left_h == b->left_h);
}

static void both_versions_give_the_same_bits(void **state)
{
    (void)state;
    static qn_cell_sum cells[FEATURES * QN_GROUP_CODES];
    qn_bins bins;
    qn_bin_feature described[FEATURES];
    int32_t group_codes[FEATURES], features[FEATURES];
    make_bins(&bins, described, group_codes);
    for (int32_t f = 0; f < FEATURES; f++) {
        features[f] = f;
    }
    int n_found = 0;
    for (uint64_t number = 0; number < 1500; number++) {
        qn_grow_params params = {.min_data_in_leaf = 1 + (int64_t)number % 20,
                                 .max_cat_threshold = 32,
                                 .feature_fraction_bynode = 1};
        params.reg_lambda = number % 3 ? 0 : 0.7;
        params.reg_alpha = number % 5 ? 0 : 2.5;
        params.extra_trees = number % 7 == 0;
        params.max_delta_step = number % 11 ? 0 : 0.2;
        qn_split_request request = {.bins = &bins,
                                    .params = &params,
                                    .cells = cells,
                                    .unit_g = 1.1e-6,
                                    .unit_h = 0.9e-6,
                                    .bounds = {-QN_INF, QN_INF, 0}};
        draw_cells(&request, cells, number);
        for (int32_t f = 0; f <= FEATURES; f++) { /* each alone, then all */
            const int32_t *which = f < FEATURES ? &features[f] : features;
            qn_split wide, portable;
            qn_split_find(&request, which, f < FEATURES ? 1 : FEATURES, &wide);
            portable_split_find(&request, which, f < FEATURES ? 1 : FEATURES, &portable);
            check_equal(&wide, &portable);
            n_found += wide.gain > 0;
        }
    }
    CHECK(n_found > 15000);
}

RUN_TESTS(TEST(both_versions_give_the_same_bits))
