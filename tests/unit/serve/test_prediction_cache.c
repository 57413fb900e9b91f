/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/models/prediction_cache.h"

#include "check.h"

#include "base/rng.h"

static qn_served_model one = {.n_inputs = 2, .n_outputs = 2},
                       other = {.n_inputs = 2, .n_outputs = 2};

static qn_prediction_cache *cache_of(int64_t bytes)
{
    qn_prediction_cache *cache = qn_prediction_cache_create(bytes);
    CHECK(cache != NULL);
    return cache;
}

/* What was asked for last. */
static const qn_served_model *asked_model;
static qn_cell asked[2];

static bool knows(qn_prediction_cache *cache, const qn_served_model *model, qn_cell a, qn_cell b,
                  double *first)
{
    double outputs[2] = {-1, -1};
    asked_model = model;
    asked[0] = a;
    asked[1] = b;
    const bool known = qn_prediction_cache_find(cache, model, asked, outputs);
    CHECK(!known || outputs[1] == outputs[0] + 1);
    *first = outputs[0];
    return known;
}

/* Of the row that was asked for last. */
static void keep(qn_prediction_cache *cache, double first)
{
    qn_prediction_cache_put(cache, asked_model, asked, (const double[]){first, first + 1});
}

static qn_cell number(double value)
{
    return (qn_cell){.number = value};
}

static qn_cell text(const char *value)
{
    return (qn_cell){.number = QN_NA, .text = value, .text_bytes = value ? strlen(value) : 0};
}

static void a_row_is_found_by_its_exact_values(void **state)
{
    (void)state;
    qn_prediction_cache *cache = cache_of(QN_PREDICTION_CACHE_BYTES_MIN);
    const qn_cell rows[][2] = {
        {number(1), text("a")},    {number(1), text("b")},     {number(1), text("ab")},
        {number(1), text("")},     {number(1), text(NULL)},    {number(-0.0), text("a")},
        {number(0.0), text("a")},  {number(QN_NA), text("a")}, {text("1"), text("a")},
        {text("1a"), text("")},    {text("a"), number(1)},     {number(1 + 1e-15), text("a")},
        {text("1"), text("aa\0")}, {number(1), number(1)}};
    const int n = sizeof rows / sizeof *rows;
    double got;
    for (int i = 0; i < n; i++) {
        CHECK(!knows(cache, &one, rows[i][0], rows[i][1], &got));
        keep(cache, i);
    }
    for (int i = 0; i < n; i++) {
        CHECK(knows(cache, &one, rows[i][0], rows[i][1], &got) && got == i);
        CHECK(!knows(cache, &other, rows[i][0], rows[i][1], &got)); /* of another model */
    }
    CHECK(knows(cache, &one, number(-QN_NA), text("a"), &got) && got == 7); /* missing is missing */
    qn_prediction_cache_clear(cache);
    for (int i = 0; i < n; i++) {
        CHECK(!knows(cache, &one, rows[i][0], rows[i][1], &got));
    }
    keep(cache, 5);
    CHECK(knows(cache, &one, rows[n - 1][0], rows[n - 1][1], &got) && got == 5);
    qn_prediction_cache_free(cache);
}

/* Whatever is found is what was put, around the log's end many times, with texts of all lengths. */
static void what_is_found_is_what_was_put(void **state)
{
    (void)state;
    enum { N = 4000 };
    qn_prediction_cache *cache = cache_of(QN_PREDICTION_CACHE_BYTES_MIN);
    static char filler[40000];
    int n_found = 0;
    qn_rng rng;
    qn_rng_init(&rng, 1, 0);
    memset(filler, 'x', sizeof filler);
    for (int i = 0; i < 200000; i++) {
        const int64_t row = qn_rng_below(&rng, N);
        const qn_cell cell = {.number = QN_NA,
                              .text = filler,
                              .text_bytes = (size_t)(row % 97 == 0 ? row * 10 : row % 300)};
        double got;
        if (knows(cache, &one, number((double)row), cell, &got)) {
            CHECK(got == (double)row);
            n_found++;
        } else {
            keep(cache, (double)row);
        }
    }
    CHECK(n_found > 10000 && n_found < 190000);
    qn_prediction_cache_free(cache);
}

/* Rows that are asked for again and again stay, though many others come and go. */
static void rows_in_demand_stay(void **state)
{
    (void)state;
    qn_prediction_cache *cache = cache_of(QN_PREDICTION_CACHE_BYTES_MIN);
    int n_lost = 0;
    double got;
    for (int i = 0; i < 100000; i++) {
        if (!knows(cache, &one, number(i), text("other"), &got)) keep(cache, i);
        if (i % 100 == 0 && !knows(cache, &one, number(-1 - i / 100 % 10), text("hot"), &got)) {
            keep(cache, 1);
            n_lost++;
        }
    }
    CHECK(n_lost < 50); /* ten at first; some whose bucket was full */
    qn_prediction_cache_free(cache);
}

static void rows_that_are_too_large_are_not_kept(void **state)
{
    (void)state;
    static char large[QN_PREDICTION_CACHE_BYTES_MIN];
    qn_prediction_cache *cache = cache_of(QN_PREDICTION_CACHE_BYTES_MIN);
    const qn_cell cell = {.text = large, .text_bytes = sizeof large};
    double got;
    for (int i = 0; i < 3; i++) {
        CHECK(!knows(cache, &one, number(1), cell, &got));
        keep(cache, 1);
    }
    qn_prediction_cache_free(cache);
}

/* Without memory for a key nothing is found and nothing kept; without any there is no cache. */
static void shortage_of_memory_is_a_miss(void **state)
{
    (void)state;
    for (int64_t nth = 1; nth <= 3; nth++) {
        qn_alloc_fail_at(nth, false);
        CHECK(qn_prediction_cache_create(QN_PREDICTION_CACHE_BYTES_MIN) == NULL);
    }
    qn_alloc_fail_at(0, false);
    qn_prediction_cache *cache = cache_of(QN_PREDICTION_CACHE_BYTES_MIN);
    double got;
    qn_alloc_fail_at(1, true);
    CHECK(!knows(cache, &one, number(1), text("a"), &got));
    keep(cache, 1);
    qn_alloc_fail_at(0, false);
    CHECK(!knows(cache, &one, number(1), text("a"), &got));
    keep(cache, 1);
    CHECK(knows(cache, &one, number(1), text("a"), &got));
    qn_prediction_cache_free(cache);
}

RUN_TESTS(TEST(a_row_is_found_by_its_exact_values), TEST(what_is_found_is_what_was_put),
          TEST(rows_in_demand_stay), TEST(rows_that_are_too_large_are_not_kept),
          TEST(shortage_of_memory_is_a_miss))
