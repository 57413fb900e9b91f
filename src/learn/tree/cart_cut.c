/* SPDX-License-Identifier: Apache-2.0 */
#include "learn/tree/cart_internal.h"

#include <math.h>
#include <string.h>

enum { FEW_ROWS = 24 }; /* up to here keys are sorted by insertion, beyond counted */

static const uint8_t *column_of(const qn_cart_plan *plan, int32_t feature)
{
    return plan->bins->columns + plan->bins->features[feature].group * plan->bins->n_rows;
}

/* Where a cut between two places stands that no row of the node has places between. */
static int32_t between(const qn_cart_plan *plan, int32_t feature, int32_t place, int32_t next)
{
    return plan->bins->features[feature].categorical ? place : (place + next) / 2;
}

static bool leaves_enough(const qn_cart_work *work, int64_t n_left, int64_t n)
{
    const int64_t least = work->plan->params.min_data_in_leaf;
    return n_left >= least && n - n_left >= least;
}

/* Positions of a node's samples in the order of their places: keys of place << 8 | position. */
static void sort_few(const qn_cart_sample *samples, int64_t n, const uint8_t *codes,
                     const uint8_t *places, uint32_t *keys)
{
    for (int64_t i = 0; i < n; i++) {
        const uint32_t key = (uint32_t)places[codes[samples[i].row]] << 8 | (uint32_t)i;
        int64_t at = i;
        for (; at > 0 && keys[at - 1] > key; at--) {
            keys[at] = keys[at - 1];
        }
        keys[at] = key;
    }
}

static int32_t cells_of_few(const qn_cart_sample *samples, int64_t n, const uint8_t *codes,
                            const uint8_t *places, struct qn_cart_cell *cells)
{
    uint32_t keys[FEW_ROWS];
    int32_t n_cells = 0;
    sort_few(samples, n, codes, places, keys);
    for (int64_t i = 0; i < n; i++) {
        const int32_t place = (int32_t)(keys[i] >> 8);
        const qn_cart_sample *sample = &samples[keys[i] & 0xff];
        const double w = (double)sample->weight;
        if (n_cells == 0 || cells[n_cells - 1].place != place) {
            cells[n_cells++] = (struct qn_cart_cell){.place = place};
        }
        struct qn_cart_cell *cell = &cells[n_cells - 1];
        cell->weight += w;
        cell->sum += w * sample->value;
        cell->n++;
    }
    return n_cells;
}

static int32_t cells_of_many(const qn_cart_sample *samples, int64_t n, const uint8_t *codes,
                             const uint8_t *places, int32_t n_places, struct qn_cart_cell *cells)
{
    memset(cells, 0, (size_t)n_places * sizeof *cells);
    for (int64_t i = 0; i < n; i++) {
        struct qn_cart_cell *cell = &cells[places[codes[samples[i].row]]];
        const double w = (double)samples[i].weight;
        cell->weight += w;
        cell->sum += w * samples[i].value;
        cell->n++;
    }
    int32_t n_cells = 0;
    for (int32_t place = 0; place < n_places; place++) {
        if (cells[place].n == 0) continue;
        cells[n_cells] = cells[place];
        cells[n_cells++].place = place;
    }
    return n_cells;
}

/* Every cut of one feature for a mean. */
static void try_mean_cuts(const qn_cart_work *work, const qn_cart_node *node, int32_t feature,
                          qn_cart_cut *best)
{
    const qn_cart_plan *plan = work->plan;
    const qn_cart_sample *samples = work->samples + node->begin;
    const uint8_t *codes = column_of(plan, feature),
                  *places = plan->places + feature * QN_CART_PLACES;
    struct qn_cart_cell cells[QN_CART_PLACES];
    const int32_t n_cells =
        node->n <= FEW_ROWS
            ? cells_of_few(samples, node->n, codes, places, cells)
            : cells_of_many(samples, node->n, codes, places, plan->n_places[feature], cells);
    double weight = 0, sum = 0;
    int64_t n_left = 0;
    for (int32_t i = 0; i + 1 < n_cells; i++) {
        weight += cells[i].weight;
        sum += cells[i].sum;
        n_left += cells[i].n;
        if (!leaves_enough(work, n_left, node->n)) continue;
        const double score =
            qn_cart_mean_side(plan->entropy, sum, weight) +
            qn_cart_mean_side(plan->entropy, work->sum - sum, work->weight - weight);
        if (score > best->score) {
            *best = (qn_cart_cut){score, weight, feature,
                                  between(plan, feature, cells[i].place, cells[i + 1].place)};
        }
    }
}

/* The samples of a node in the order of their places, in work->spare; ends[p] is where those of
 * place p end. */
static void order_samples(qn_cart_work *work, const qn_cart_node *node, int32_t feature,
                          int32_t *ends)
{
    const qn_cart_sample *samples = work->samples + node->begin;
    const uint8_t *codes = column_of(work->plan, feature),
                  *places = work->plan->places + feature * QN_CART_PLACES;
    const int32_t n_places = work->plan->n_places[feature];
    memset(ends, 0, (size_t)(n_places + 1) * sizeof *ends);
    for (int64_t i = 0; i < node->n; i++) {
        ends[places[codes[samples[i].row]] + 1]++;
    }
    for (int32_t p = 1; p <= n_places; p++) {
        ends[p] += ends[p - 1];
    }
    for (int64_t i = 0; i < node->n; i++) { /* moves each beginning to its end */
        work->spare[ends[places[codes[samples[i].row]]]++] = samples[i];
    }
}

/* The sums of a criterion's terms on both sides of a cut that moves through the samples. */
struct sides {
    double left, right, weight; /* weight: of the left side */
};

/* Weight of one class goes to the left side. */
static inline void move_left(qn_cart_work *work, int32_t class_of, double w, bool entropy,
                             struct sides *sides)
{
    const double l = work->left[class_of], r = work->all[class_of] - l;
    if (entropy) {
        sides->left += qn_cart_term(true, l + w) - qn_cart_term(true, l);
        sides->right += qn_cart_term(true, r - w) - qn_cart_term(true, r);
    } else {
        sides->left += w * (2 * l + w);
        sides->right += w * (w - 2 * r);
    }
    work->left[class_of] = l + w;
    sides->weight += w;
}

static double terms_of(const qn_cart_work *work, const double *weights)
{
    double terms = 0;
    for (int32_t c = 0; c < work->plan->k; c++) {
        terms += qn_cart_term(work->plan->entropy, weights[c]);
    }
    return terms;
}

static double score_of(const qn_cart_work *work, const struct sides *sides)
{
    const bool entropy = work->plan->entropy;
    return qn_cart_side(entropy, sides->left, sides->weight) +
           qn_cart_side(entropy, sides->right, work->weight - sides->weight);
}

/* Takes the cut between two places that sides were moved up to, if it is better. */
static void offer(const qn_cart_work *work, const struct sides *sides, int32_t feature,
                  int64_t place, int64_t next, qn_cart_cut *best)
{
    const double score = score_of(work, sides);
    if (score > best->score) {
        *best = (qn_cart_cut){score, sides->weight, feature,
                              between(work->plan, feature, (int32_t)place, (int32_t)next)};
    }
}

/* Every cut of one feature for classes: samples move from right to left one by one. */
static void try_sample_cuts(qn_cart_work *work, const qn_cart_node *node, int32_t feature,
                            struct sides *sides, qn_cart_cut *best)
{
    const qn_cart_plan *plan = work->plan;
    const uint8_t *codes = column_of(plan, feature),
                  *places = plan->places + feature * QN_CART_PLACES;
    const bool few = node->n <= FEW_ROWS;
    uint32_t keys[FEW_ROWS];
    int32_t ends[QN_CART_PLACES + 1];
    if (few) {
        sort_few(work->samples + node->begin, node->n, codes, places, keys);
    } else {
        order_samples(work, node, feature, ends);
    }
    for (int64_t i = 0, place = 0; i + 1 < node->n; i++) {
        const qn_cart_sample *sample =
            few ? &work->samples[node->begin + (keys[i] & 0xff)] : &work->spare[i];
        move_left(work, (int32_t)sample->value, (double)sample->weight, plan->entropy, sides);
        int64_t next;
        if (few) {
            place = keys[i] >> 8;
            next = keys[i + 1] >> 8;
            if (place == next) continue;
        } else {
            while (ends[place] <= i) {
                place++;
            }
            if (ends[place] != i + 1) continue;
            for (next = place + 1; ends[next] == i + 1; next++) {
            }
        }
        if (leaves_enough(work, i + 1, node->n)) offer(work, sides, feature, place, next, best);
    }
}

/* The same for many samples: what places have of each class moves at once. */
static void try_place_cuts(qn_cart_work *work, const qn_cart_node *node, int32_t feature,
                           struct sides *sides, qn_cart_cut *best)
{
    const qn_cart_plan *plan = work->plan;
    const qn_cart_sample *samples = work->samples + node->begin;
    const uint8_t *codes = column_of(plan, feature),
                  *places = plan->places + feature * QN_CART_PLACES;
    const int64_t n_places = plan->n_places[feature], k = plan->k;
    int32_t counts[QN_CART_PLACES] = {0};
    int64_t n_left = 0;
    memset(work->table, 0, (size_t)(n_places * k) * sizeof *work->table);
    for (int64_t i = 0; i < node->n; i++) {
        const int64_t place = places[codes[samples[i].row]];
        work->table[place * k + (int32_t)samples[i].value] += (double)samples[i].weight;
        counts[place]++;
    }
    for (int64_t place = 0, last = -1; place < n_places; place++) {
        if (counts[place] == 0) continue;
        if (last >= 0 && leaves_enough(work, n_left, node->n)) {
            offer(work, sides, feature, last, place, best);
        }
        for (int32_t c = 0; c < k; c++) {
            const double w = work->table[place * k + c];
            if (w != 0) move_left(work, c, w, plan->entropy, sides);
        }
        n_left += counts[place];
        last = place;
    }
}

static void try_class_cuts(qn_cart_work *work, const qn_cart_node *node, int32_t feature,
                           qn_cart_cut *best)
{
    const qn_cart_plan *plan = work->plan;
    struct sides sides = {.right = terms_of(work, work->all)};
    memset(work->left, 0, (size_t)plan->k * sizeof *work->left);
    if (node->n > plan->n_places[feature] * (int64_t)plan->k / 2) {
        try_place_cuts(work, node, feature, &sides, best);
    } else {
        try_sample_cuts(work, node, feature, &sides, best);
    }
}

/* A random place between the least and the greatest that occur, and what it would part. */
static void try_random_cut(qn_cart_work *work, const qn_cart_node *node, int32_t feature,
                           qn_cart_cut *best)
{
    const qn_cart_plan *plan = work->plan;
    const qn_cart_sample *samples = work->samples + node->begin;
    const uint8_t *codes = column_of(plan, feature),
                  *places = plan->places + feature * QN_CART_PLACES;
    uint8_t *found = work->codes, least = 255, most = 0;
    for (int64_t i = 0; i < node->n; i++) {
        const uint8_t place = places[codes[samples[i].row]];
        found[i] = place;
        least = place < least ? place : least;
        most = place > most ? place : most;
    }
    if (least == most) return;
    const uint8_t cut = (uint8_t)(least + qn_rng_below(&work->rng, most - least));
    struct sides sides = {0};
    double sum = 0, score;
    int64_t n_left = 0;
    if (plan->k == 0) {
        for (int64_t i = 0; i < node->n; i++) {
            const double w = found[i] <= cut ? (double)samples[i].weight : 0;
            sides.weight += w;
            sum += w * samples[i].value;
            n_left += found[i] <= cut;
        }
        score = qn_cart_mean_side(plan->entropy, sum, sides.weight) +
                qn_cart_mean_side(plan->entropy, work->sum - sum, work->weight - sides.weight);
    } else {
        memset(work->left, 0, (size_t)plan->k * sizeof *work->left);
        for (int64_t i = 0; i < node->n; i++) {
            const double w = found[i] <= cut ? (double)samples[i].weight : 0;
            work->left[(int32_t)samples[i].value] += w;
            sides.weight += w;
            n_left += found[i] <= cut;
        }
        for (int32_t c = 0; c < plan->k; c++) {
            sides.left += qn_cart_term(plan->entropy, work->left[c]);
            sides.right += qn_cart_term(plan->entropy, work->all[c] - work->left[c]);
        }
        score = score_of(work, &sides);
    }
    if (leaves_enough(work, n_left, node->n) && score > best->score) {
        *best = (qn_cart_cut){score, sides.weight, feature, cut};
    }
}

qn_cart_cut qn_cart_find_cut(qn_cart_work *work, const qn_cart_node *node)
{
    const qn_cart_plan *plan = work->plan;
    const double base = plan->k == 0
                            ? qn_cart_mean_side(plan->entropy, work->sum, work->weight)
                            : qn_cart_side(plan->entropy, terms_of(work, work->all), work->weight);
    /* Above what rounding makes of a cut that gains nothing. */
    qn_cart_cut best = {.score = base + 1e-12 * fabs(base) + 1e-300, .feature = -1};
    const int64_t n = plan->bins->n_features;
    for (int64_t i = 0, tried = 0; i < n && (tried < plan->params.n_tried || best.feature < 0);
         i++) {
        const int64_t j = i + qn_rng_below(&work->rng, n - i);
        const int32_t feature = work->features[j];
        work->features[j] = work->features[i];
        work->features[i] = feature;
        if (plan->n_places[feature] < 2) continue;
        if (plan->params.random_cuts) {
            try_random_cut(work, node, feature, &best);
        } else if (plan->k == 0) {
            try_mean_cuts(work, node, feature, &best);
        } else {
            try_class_cuts(work, node, feature, &best);
        }
        tried++;
    }
    best.score -= base;
    return best;
}
