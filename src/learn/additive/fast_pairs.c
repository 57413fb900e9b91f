/* SPDX-License-Identifier: Apache-2.0 */
#include "learn/additive/fast_pairs.h"

#include "base/alloc.h"

#include <stdlib.h>
#include <string.h>

/* What one task works with: every n_workers-th pair is its. */
struct worker {
    uint16_t *cells;
    qn_shape_sums *sums;
    double *step;
    qn_shape_workspace *workspace;
};

struct search {
    const qn_fast_request *request;
    qn_derivatives *derivatives; /* k × n */
    int64_t n_workers;
    struct worker *workers;
    int32_t features[QN_FAST_FEATURES_MAX]; /* increasing */
    int32_t n_features;
    int32_t *pairs;
    double *gains;
    int64_t n_pairs;
};

static void release(struct search *s)
{
    for (int64_t w = 0; s->workers && w < s->n_workers; w++) {
        qn_free(s->workers[w].cells);
        qn_free(s->workers[w].sums);
        qn_free(s->workers[w].step);
        qn_shape_workspace_free(s->workers[w].workspace);
    }
    qn_free(s->workers);
    qn_free(s->derivatives);
    qn_free(s->pairs);
    qn_free(s->gains);
}

static void choose_features(struct search *s)
{
    const double *importance = s->request->importance;
    const int32_t n = (int32_t)s->request->terms->n_features;
    for (int32_t f = 0; f < n; f++) {
        int32_t rank = 0;
        for (int32_t o = 0; o < n; o++) {
            rank += importance[o] > importance[f] || (importance[o] == importance[f] && o < f);
        }
        if (rank < QN_FAST_FEATURES_MAX) s->features[s->n_features++] = f;
    }
    s->n_pairs = (int64_t)s->n_features * (s->n_features - 1) / 2;
}

static bool allocate(struct search *s)
{
    const qn_terms *terms = s->request->terms;
    const int32_t k = s->request->rows->k;
    int32_t widest = 1;
    for (int64_t f = 0; f < terms->n_features; f++) {
        if (terms->n_coarse[f] > widest) widest = terms->n_coarse[f];
    }
    s->n_workers = qn_pool_n_threads(s->request->pool);
    s->derivatives = qn_alloc_aligned(s->request->rows->n * k, sizeof *s->derivatives);
    s->pairs = qn_alloc_array(2 * s->n_pairs, sizeof *s->pairs);
    s->gains = qn_alloc_array(s->n_pairs, sizeof *s->gains);
    s->workers = qn_alloc_array(s->n_workers, sizeof *s->workers);
    bool complete = s->derivatives && s->pairs && s->gains && s->workers;
    for (int64_t w = 0; complete && w < s->n_workers; w++) {
        struct worker *worker = &s->workers[w];
        worker->cells = qn_alloc_aligned(terms->n_rows, sizeof *worker->cells);
        worker->sums = qn_alloc_array((int64_t)widest * widest, sizeof *worker->sums);
        worker->step = qn_alloc_array((int64_t)widest * widest, sizeof *worker->step);
        worker->workspace = qn_shape_workspace_create(widest * widest);
        complete = worker->cells && worker->sums && worker->step && worker->workspace;
    }
    return complete;
}

static double strength(const struct search *s, const struct worker *worker, int32_t a, int32_t b)
{
    const qn_objective_rows *rows = s->request->rows;
    double gain = 0;
    qn_term term;
    qn_terms_pair(s->request->terms, a, b, worker->cells, &term);
    for (int32_t c = 0; c < rows->k; c++) {
        const qn_derivatives *derivatives = s->derivatives + c * rows->n;
        memset(worker->sums, 0, (size_t)term.n_cells * sizeof *worker->sums);
        for (int64_t row = 0; row < rows->n; row++) {
            qn_shape_sums *sums = &worker->sums[term.cells[row]];
            sums->gradient += derivatives[row].gradient;
            sums->hessian += derivatives[row].hessian;
            sums->n_rows++;
        }
        gain += qn_shape_step(&term, s->request->shape, worker->sums, worker->workspace,
                              worker->step, 1);
    }
    return gain;
}

static void try_pairs(void *context, int64_t w)
{
    struct search *s = context;
    for (int64_t i = w; i < s->n_pairs && !qn_stop_requested(s->request->stop); i += s->n_workers) {
        s->gains[i] = strength(s, &s->workers[w], s->pairs[2 * i], s->pairs[2 * i + 1]);
    }
}

static void list_pairs(struct search *s)
{
    int64_t n = 0;
    for (int32_t i = 0; i < s->n_features; i++) {
        for (int32_t j = i + 1; j < s->n_features; j++) {
            s->pairs[2 * n] = s->features[i];
            s->pairs[2 * n++ + 1] = s->features[j];
        }
    }
}

static int64_t take_strongest(struct search *s, int64_t n_most, int32_t *out)
{
    int64_t n = 0;
    for (; n < n_most; n++) {
        int64_t best = 0;
        for (int64_t i = 1; i < s->n_pairs; i++) {
            if (s->gains[i] > s->gains[best]) best = i;
        }
        if (s->n_pairs == 0 || !(s->gains[best] > 0)) break;
        memcpy(out + 2 * n, s->pairs + 2 * best, 2 * sizeof *out);
        s->gains[best] = 0;
    }
    return n;
}

qn_status qn_fast_pairs(const qn_fast_request *request, int64_t n_most, int32_t *pairs, int64_t *n,
                        qn_error *err)
{
    struct search s = {.request = request};
    *n = 0;
    choose_features(&s);
    const bool complete = allocate(&s);
    if (complete) {
        list_pairs(&s);
        (void)qn_objective_derive(request->rows, request->pool, request->scores, s.derivatives);
        qn_pool_run(request->pool, s.n_workers, try_pairs, &s);
        if (!qn_stop_requested(request->stop)) *n = take_strongest(&s, n_most, pairs);
    }
    release(&s);
    return complete ? QN_OK : qn_fail(err, QN_ERR_NOMEM, "no memory to find pairs of features");
}
