/* SPDX-License-Identifier: Apache-2.0 */
#include "learn/additive/terms.h"

#include "base/alloc.h"

#include <stdlib.h>
#include <string.h>

static qn_status no_memory(qn_error *err)
{
    return qn_fail(err, QN_ERR_NOMEM, "no memory for the terms of an additive model");
}

void qn_terms_release(qn_terms *terms)
{
    for (int64_t t = 0; terms->terms && t < terms->n_terms; t++) {
        qn_free(terms->terms[t].cells);
    }
    for (int64_t f = 0; terms->coarse && f < terms->n_features; f++) {
        qn_free(terms->coarse[f]);
    }
    qn_free(terms->terms);
    qn_free(terms->n_coarse);
    qn_free(terms->coarse);
    *terms = (qn_terms){0};
}

static void fill_bins(const qn_bins *bins, int64_t f, uint16_t *out)
{
    const qn_bin_feature *feature = &bins->features[f];
    const int64_t n = bins->n_rows;
    if (qn_bins_is_wide(bins, feature->group)) {
        memcpy(out, bins->wide_columns + (feature->group - bins->n_narrow) * n,
               (size_t)n * sizeof *out);
        return;
    }
    const uint8_t *column = bins->columns + feature->group * n;
    for (int64_t row = 0; row < n; row++) {
        out[row] = feature->decode[column[row]];
    }
}

/* Every feature has a bin beside that of missing values, as in the model. */
static int32_t n_bins_of(const qn_bin_feature *feature)
{
    return feature->n_bins > 2 ? feature->n_bins : 2;
}

static bool add_feature(qn_terms *terms, const qn_bins *bins, int64_t f)
{
    const int32_t n_bins = n_bins_of(&bins->features[f]);
    qn_term *term = &terms->terms[f];
    *term = (qn_term){.features = {(int32_t)f, -1},
                      .sizes = {n_bins, 1},
                      .n_cells = n_bins,
                      .nominal = bins->features[f].categorical,
                      .first = terms->n_cells,
                      .cells = qn_alloc_aligned(bins->n_rows, sizeof *term->cells)};
    terms->n_cells += n_bins;
    terms->n_terms = f + 1;
    if (!term->cells) return false;
    fill_bins(bins, f, term->cells);
    return true;
}

/* A bin of a feature and how many training rows it has. */
struct counted_bin {
    int64_t n_rows;
    int32_t bin;
};

static int by_rows(const void *left, const void *right)
{
    const struct counted_bin *a = left, *b = right;
    if (a->n_rows != b->n_rows) return a->n_rows > b->n_rows ? -1 : 1;
    return a->bin < b->bin ? -1 : a->bin > b->bin;
}

/* The most frequent levels stay, the others become one. */
static int32_t coarsen_levels(struct counted_bin *bins, int32_t n, int32_t most, int32_t *coarse)
{
    qsort(bins + 1, (size_t)n - 1, sizeof *bins, by_rows);
    for (int32_t rank = 1; rank < n; rank++) {
        coarse[bins[rank].bin] = rank < most ? rank : most;
    }
    return most;
}

/* Bins next to each other become one, so that each has about as many rows. */
static int32_t coarsen_numbers(const struct counted_bin *bins, int32_t n, int32_t most,
                               int32_t *coarse)
{
    int64_t left = 0, in_bin = 0;
    int32_t at = 1;
    for (int32_t b = 1; b < n; b++) {
        left += bins[b].n_rows;
    }
    for (int32_t b = 1; b < n; b++) {
        coarse[b] = at;
        in_bin += bins[b].n_rows;
        if (at == most || b + 1 == n || in_bin * (most + 1 - at) < left) continue;
        left -= in_bin;
        in_bin = 0;
        at++;
    }
    return at;
}

static bool add_coarse(qn_terms *terms, int64_t f, int64_t n_train, int32_t most)
{
    const qn_term *term = &terms->terms[f];
    const int32_t n = term->n_cells;
    struct counted_bin *bins = qn_alloc_array(n, sizeof *bins);
    int32_t *coarse = terms->coarse[f] = qn_alloc_array(n, sizeof *coarse);
    const bool complete = bins && coarse;
    for (int64_t row = 0; complete && row < n_train; row++) {
        bins[term->cells[row]].n_rows++;
    }
    for (int32_t b = 0; complete && b < n; b++) {
        bins[b].bin = coarse[b] = b;
    }
    terms->n_coarse[f] = n;
    if (complete && n - 1 > most) {
        terms->n_coarse[f] = 1 + (term->nominal ? coarsen_levels(bins, n, most, coarse)
                                                : coarsen_numbers(bins, n, most, coarse));
    }
    qn_free(bins);
    return complete;
}

qn_status qn_terms_create(const qn_bins *bins, int64_t pairs_max, int32_t coarse_max, qn_terms *out,
                          qn_error *err)
{
    const int64_t n = bins->n_features;
    *out = (qn_terms){.n_features = n, .n_rows = bins->n_rows, .room = n + pairs_max};
    out->terms = qn_alloc_array(out->room, sizeof *out->terms);
    out->n_coarse = qn_alloc_array(n, sizeof *out->n_coarse);
    out->coarse = qn_alloc_array(n, sizeof *out->coarse);
    bool complete = out->terms && out->n_coarse && out->coarse;
    for (int64_t f = 0; complete && f < n; f++) {
        complete = add_feature(out, bins, f) && add_coarse(out, f, bins->n_train, coarse_max);
    }
    if (complete) return QN_OK;
    qn_terms_release(out);
    return no_memory(err);
}

void qn_terms_pair(const qn_terms *terms, int32_t a, int32_t b, uint16_t *cells, qn_term *out)
{
    const int32_t *coarse_a = terms->coarse[a], *coarse_b = terms->coarse[b];
    const uint16_t *cells_a = terms->terms[a].cells, *cells_b = terms->terms[b].cells;
    const int32_t size_a = terms->n_coarse[a], size_b = terms->n_coarse[b];
    *out = (qn_term){
        .features = {a, b}, .sizes = {size_a, size_b}, .n_cells = size_a * size_b, .cells = cells};
    for (int64_t row = 0; row < terms->n_rows; row++) {
        cells[row] = (uint16_t)(coarse_a[cells_a[row]] * size_b + coarse_b[cells_b[row]]);
    }
}

qn_status qn_terms_add_pair(qn_terms *terms, int32_t a, int32_t b, qn_error *err)
{
    uint16_t *cells = qn_alloc_aligned(terms->n_rows, sizeof *cells);
    if (!cells) return no_memory(err);
    qn_term *term = &terms->terms[terms->n_terms++];
    qn_terms_pair(terms, a, b, cells, term);
    term->first = terms->n_cells;
    terms->n_cells += term->n_cells;
    return QN_OK;
}

void qn_term_add(const qn_term *term, const double *table, int32_t k, int64_t first, int64_t n,
                 double *scores)
{
    const uint16_t *cells = term->cells + first;
    for (int64_t i = 0; i < n; i++) {
        const double *cell = table + (int64_t)cells[i] * k;
        for (int32_t c = 0; c < k; c++) {
            scores[i * k + c] += cell[c];
        }
    }
}
