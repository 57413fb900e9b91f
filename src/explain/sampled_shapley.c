/* SPDX-License-Identifier: Apache-2.0 */
#include "explain/sampled_shapley.h"

#include "base/alloc.h"
#include "base/number.h"
#include "base/rng.h"

#include <string.h>

enum { N_PAIRS = 16, SEED = 1 };

qn_status qn_column_orders_init(int64_t n_inputs, qn_column_orders *out, qn_error *err)
{
    *out = (qn_column_orders){.n_inputs = n_inputs, .n_orders = 2 * N_PAIRS};
    out->columns = qn_alloc_array(out->n_orders * n_inputs, sizeof *out->columns);
    out->places = qn_alloc_array(out->n_orders * n_inputs, sizeof *out->places);
    if (!out->columns || !out->places) {
        qn_column_orders_release(out);
        return qn_fail(err, QN_ERR_NOMEM, "no memory to explain %lld columns", (long long)n_inputs);
    }
    qn_rng rng;
    qn_rng_init(&rng, SEED, 0);
    for (int64_t o = 0; o < out->n_orders; o++) {
        int32_t *order = out->columns + o * n_inputs;
        for (int64_t i = 0; i < n_inputs; i++) {
            order[i] = (int32_t)i;
        }
        for (int64_t i = n_inputs - 1; i > 0 && o % 2 == 0; i--) {
            const int64_t j = qn_rng_below(&rng, i + 1);
            const int32_t column = order[i];
            order[i] = order[j];
            order[j] = column;
        }
        for (int64_t i = 0; i < n_inputs; i++) {
            if (o % 2 == 1) order[i] = (order - n_inputs)[n_inputs - 1 - i];
            out->places[o * n_inputs + order[i]] = (int32_t)i;
        }
    }
    return QN_OK;
}

void qn_column_orders_release(qn_column_orders *orders)
{
    qn_free(orders->columns);
    qn_free(orders->places);
    *orders = (qn_column_orders){0};
}

void qn_estimator_scores(const qn_estimator *estimator, const qn_matrix *features, double *out,
                         void *scratch)
{
    const qn_family *family = estimator->family;
    (family->scores ? family->scores : family->predict)(estimator, features, out, scratch);
}

static size_t aligned(size_t bytes)
{
    return (bytes + 63) / 64 * 64;
}

struct room {
    qn_cell *cells; /* of a block of rows */
    double *scores;
    char *own, *view;
};

static size_t lay_out(const qn_sampled *sampled, char *memory, struct room *room)
{
    const size_t cells =
        aligned((size_t)(sampled->orders->n_inputs * QN_BLOCK_ROWS) * sizeof(qn_cell));
    const size_t scores =
        aligned((size_t)(QN_BLOCK_ROWS * sampled->estimator->n_outputs) * sizeof(double));
    const size_t own = aligned(qn_estimator_scratch_bytes(sampled->estimator, QN_BLOCK_ROWS));
    if (memory) {
        room->cells = (qn_cell *)(void *)memory;
        room->scores = (double *)(void *)(memory + cells);
        room->own = memory + cells + scores;
        room->view = room->own + own;
    }
    return cells + scores + own +
           qn_recipe_scratch_bytes(sampled->recipe, sampled->estimator->view, QN_BLOCK_ROWS);
}

size_t qn_sampled_scratch_bytes(const qn_sampled *sampled)
{
    struct room room;
    return lay_out(sampled, NULL, &room);
}

/* Scores of the n rows of room->cells. */
static void score_rows(const qn_sampled *sampled, const struct room *room, int64_t n)
{
    qn_matrix view;
    qn_recipe_apply(sampled->recipe, sampled->estimator->view, room->cells, n, room->view, &view);
    qn_estimator_scores(sampled->estimator, &view, room->scores, room->own);
}

static const qn_cell missing = {.number = (double)QN_NA};

void qn_sampled_expected(const qn_sampled *sampled, double *expected, void *scratch)
{
    struct room room;
    (void)lay_out(sampled, scratch, &room);
    for (int64_t i = 0; i < sampled->orders->n_inputs; i++) {
        room.cells[i] = missing;
    }
    score_rows(sampled, &room, 1);
    memcpy(expected, room.scores, (size_t)sampled->estimator->n_outputs * sizeof *expected);
}

/* Steps stand one after the other: of the first order with 1 … n - 1 columns known, then of the
 * next order. Puts the cells of n steps from `first` on. */
static void put_steps(const qn_sampled *sampled, const qn_cell *cells, int64_t stride,
                      int64_t first, int64_t n, qn_cell *out)
{
    const int64_t n_inputs = sampled->orders->n_inputs;
    for (int64_t i = 0; i < n_inputs; i++) {
        for (int64_t s = 0; s < n; s++) {
            const int64_t order = (first + s) / (n_inputs - 1);
            const int64_t n_known = (first + s) % (n_inputs - 1) + 1;
            const bool known = sampled->orders->places[order * n_inputs + i] < n_known;
            out[i * n + s] = known ? cells[i * stride] : missing;
        }
    }
}

/* Gives each step's change to the column whose turn it is. `before` has the scores of the step
 * before, and gets those of the last. */
static void add_steps(const qn_sampled *sampled, int64_t first, int64_t n, const double *steps,
                      const double *expected, const double *scores, double *before, double *values)
{
    const int64_t n_inputs = sampled->orders->n_inputs;
    const int32_t k = sampled->estimator->n_outputs;
    const double share = 1 / (double)sampled->orders->n_orders;
    for (int64_t s = 0; s < n; s++) {
        const int64_t order = (first + s) / (n_inputs - 1), at = (first + s) % (n_inputs - 1);
        const int32_t *columns = sampled->orders->columns + order * n_inputs;
        for (int32_t c = 0; c < k; c++) {
            double *own = values + c * n_inputs;
            const double now = steps[s * k + c];
            own[columns[at]] += share * (now - (at == 0 ? expected[c] : before[c]));
            if (at == n_inputs - 2) own[columns[at + 1]] += share * (scores[c] - now);
            before[c] = now;
        }
    }
}

void qn_sampled_row(const qn_sampled *sampled, const qn_cell *cells, int64_t stride,
                    const double *expected, const double *scores, double *values, void *scratch)
{
    const int64_t n_inputs = sampled->orders->n_inputs;
    const int64_t n_steps = sampled->orders->n_orders * (n_inputs - 1);
    const int32_t k = sampled->estimator->n_outputs;
    double before[QN_CLASSES_MAX];
    struct room room;
    (void)lay_out(sampled, scratch, &room);
    memset(values, 0, (size_t)(k * n_inputs) * sizeof *values);
    for (int32_t c = 0; n_inputs == 1 && c < k; c++) {
        values[c] = scores[c] - expected[c];
    }
    for (int64_t first = 0; first < n_steps; first += QN_BLOCK_ROWS) {
        const int64_t n = n_steps - first < QN_BLOCK_ROWS ? n_steps - first : QN_BLOCK_ROWS;
        put_steps(sampled, cells, stride, first, n, room.cells);
        score_rows(sampled, &room, n);
        add_steps(sampled, first, n, room.scores, expected, scores, before, values);
    }
}
