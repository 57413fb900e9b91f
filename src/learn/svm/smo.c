/* SPDX-License-Identifier: Apache-2.0 */
#include "learn/svm/smo.h"

#include "base/alloc.h"
#include "base/number.h"

#include <math.h>
#include <string.h>

enum { STEPS_BETWEEN_STOPS = 256 };

/* Rows of K, the one used longest ago replaced first: a ring of slots in order of use. */
struct cache {
    qn_kernel_rows rows;
    float *slots; /* n_slots × n */
    int64_t n_slots, n_used;
    int32_t *slot_of;                 /* n: of a row, -1 none */
    int32_t *row_of, *before, *after; /* n_slots; before and after also of slot n_slots, the ends */
    float *dense, *sparse;
};

struct state {
    const qn_smo_request *request;
    int64_t n, n_variables;
    struct cache cache;
    double *beta, *gradient, *diagonal; /* gradient: linear - Kβ */
};

static void cache_release(struct cache *c)
{
    qn_kernel_rows_release(&c->rows);
    qn_free(c->slots);
    qn_free(c->slot_of);
    qn_free(c->row_of);
    qn_free(c->dense);
}

static qn_status cache_init(struct cache *c, const qn_smo_request *request, qn_error *err)
{
    const int64_t n = request->n;
    const double fit = request->cache_bytes / ((double)n * sizeof(float));
    *c = (struct cache){0};
    QN_TRY(qn_kernel_rows_fill(request->x, request->rows, n, &c->rows, err));
    c->n_slots = fit < (double)n ? (int64_t)fit : n;
    if (c->n_slots < 2) c->n_slots = 2;
    c->slots = qn_alloc_aligned(c->n_slots * n, sizeof *c->slots);
    c->slot_of = qn_alloc_array(n, sizeof *c->slot_of);
    c->row_of = qn_alloc_array(3 * (c->n_slots + 1), sizeof *c->row_of);
    c->dense = qn_alloc_array(c->rows.n_dense + c->rows.n_sparse, sizeof *c->dense);
    if (!c->slots || !c->slot_of || !c->row_of || !c->dense) {
        cache_release(c);
        return qn_fail(err, QN_ERR_NOMEM, "no memory for the cache of kernels; make cache_mb less");
    }
    c->sparse = c->dense + c->rows.n_dense;
    c->before = c->row_of + c->n_slots + 1;
    c->after = c->before + c->n_slots + 1;
    for (int64_t i = 0; i < n; i++) {
        c->slot_of[i] = -1;
    }
    c->before[c->n_slots] = c->after[c->n_slots] = (int32_t)c->n_slots;
    return QN_OK;
}

static void unlink_slot(struct cache *c, int32_t slot)
{
    c->after[c->before[slot]] = c->after[slot];
    c->before[c->after[slot]] = c->before[slot];
}

static void link_last(struct cache *c, int32_t slot)
{
    const int32_t ends = (int32_t)c->n_slots;
    c->before[slot] = c->before[ends];
    c->after[slot] = ends;
    c->after[c->before[ends]] = slot;
    c->before[ends] = slot;
}

/* Kernel of row i with all rows; stays until two other rows were asked for. */
static const float *cached_row(struct state *s, int64_t i)
{
    struct cache *c = &s->cache;
    const qn_smo_request *r = s->request;
    int32_t slot = c->slot_of[i];
    if (slot >= 0) {
        unlink_slot(c, slot);
        link_last(c, slot);
        return c->slots + slot * s->n;
    }
    if (c->n_used < c->n_slots) {
        slot = (int32_t)c->n_used++;
    } else {
        slot = c->after[c->n_slots];
        unlink_slot(c, slot);
        c->slot_of[c->row_of[slot]] = -1;
    }
    link_last(c, slot);
    c->slot_of[i] = slot;
    c->row_of[slot] = (int32_t)i;
    float *out = c->slots + slot * s->n;
    qn_kernel_point point = {.dense = c->dense, .sparse = c->sparse};
    point.square = qn_kernel_point_spread(r->x, r->rows[i], c->dense, c->sparse);
    qn_kernel_rows_apply(&c->rows, &r->kernel, &point, 0, s->n, out);
    qn_kernel_point_clear(r->x, r->rows[i], c->sparse);
    return out;
}

static void find_diagonal(struct state *s)
{
    for (int64_t i = 0; i < s->n; i++) {
        float value = s->cache.rows.squares[i];
        qn_kernel_apply(&s->request->kernel, value, &s->cache.rows.squares[i], 1, &value);
        s->diagonal[i] = (double)value;
    }
}

/* The variable that may grow with the greatest gradient; -1 when none may. */
static int64_t choose_up(const struct state *s)
{
    double most = -QN_INF;
    int64_t best = -1;
    for (int64_t t = 0; t < s->n_variables; t++) {
        if (s->gradient[t] > most && s->beta[t] < s->request->high[t]) {
            most = s->gradient[t];
            best = t;
        }
    }
    return best;
}

/* The variable that may shrink for which the objective falls most; *violation is by how much the
 * optimality conditions are missed. */
static int64_t choose_down(const struct state *s, int64_t up, const float *row, double *violation)
{
    const double from = s->gradient[up], own = s->diagonal[up % s->n];
    double best_gain = 0, least = QN_INF;
    int64_t best = -1;
    for (int32_t copy = 0; copy < s->request->copies; copy++) {
        const int64_t offset = copy * s->n;
        for (int64_t i = 0; i < s->n; i++) {
            const int64_t t = offset + i;
            if (!(s->beta[t] > s->request->low[t])) continue;
            const double g = s->gradient[t], d = from - g;
            if (g < least) least = g;
            if (d <= 0) continue;
            const double curve = fmax(own + s->diagonal[i] - 2 * (double)row[i], 1e-12);
            if (d * d > best_gain * curve) {
                best_gain = d * d / curve;
                best = t;
            }
        }
    }
    *violation = from - least;
    return best;
}

static void move(struct state *s, int64_t up, int64_t down, const float *row_up,
                 const float *row_down)
{
    const double curve = fmax(
        s->diagonal[up % s->n] + s->diagonal[down % s->n] - 2 * (double)row_up[down % s->n], 1e-12);
    const double room_up = s->request->high[up] - s->beta[up];
    const double room_down = s->beta[down] - s->request->low[down];
    const double wanted = (s->gradient[up] - s->gradient[down]) / curve;
    const double step = fmin(wanted, fmin(room_up, room_down));
    /* Bounds are met exactly. */
    s->beta[up] = step == room_up ? s->request->high[up] : s->beta[up] + step;
    s->beta[down] = step == room_down ? s->request->low[down] : s->beta[down] - step;
    for (int32_t copy = 0; copy < s->request->copies; copy++) {
        double *gradient = s->gradient + copy * s->n;
        for (int64_t i = 0; i < s->n; i++) {
            gradient[i] -= step * ((double)row_up[i] - (double)row_down[i]);
        }
    }
}

static void iterate(struct state *s, qn_smo_result *result)
{
    for (;; result->n_steps++) {
        double violation;
        const int64_t up = choose_up(s);
        if (up < 0) return;
        if (result->n_steps % STEPS_BETWEEN_STOPS == 0 && qn_stop_requested(s->request->stop)) {
            result->stopped = true;
            return;
        }
        const float *row_up = cached_row(s, up % s->n);
        const int64_t down = choose_down(s, up, row_up, &violation);
        if (down < 0 || violation <= s->request->tolerance) return;
        move(s, up, down, row_up, cached_row(s, down % s->n));
    }
}

/* The gradient of free variables; without any, the middle of what the others allow. */
static double bias_of(const struct state *s)
{
    double sum = 0, above = QN_INF, below = -QN_INF;
    int64_t n_free = 0;
    for (int64_t t = 0; t < s->n_variables; t++) {
        const bool may_grow = s->beta[t] < s->request->high[t];
        const bool may_shrink = s->beta[t] > s->request->low[t];
        if (may_grow && may_shrink) {
            sum += s->gradient[t];
            n_free++;
        } else if (may_grow) {
            below = fmax(below, s->gradient[t]);
        } else if (may_shrink) {
            above = fmin(above, s->gradient[t]);
        }
    }
    if (n_free > 0) return sum / (double)n_free;
    if (!isfinite(above) || !isfinite(below)) {
        return isfinite(above) ? above : isfinite(below) ? below : 0;
    }
    return 0.5 * (above + below);
}

qn_status qn_smo_solve(const qn_smo_request *request, qn_smo_result *result, qn_error *err)
{
    struct state s = {
        .request = request, .n = request->n, .n_variables = request->n * request->copies};
    result->n_steps = 0;
    result->stopped = false;
    QN_TRY(cache_init(&s.cache, request, err));
    s.beta = qn_alloc_array(2 * s.n_variables + s.n, sizeof *s.beta);
    if (!s.beta) {
        cache_release(&s.cache);
        return qn_fail(err, QN_ERR_NOMEM, "no memory for a support vector machine");
    }
    s.gradient = s.beta + s.n_variables;
    s.diagonal = s.gradient + s.n_variables;
    memcpy(s.gradient, request->linear, (size_t)s.n_variables * sizeof *s.gradient);
    find_diagonal(&s);
    iterate(&s, result);
    result->bias = bias_of(&s);
    result->objective = 0;
    memset(result->beta, 0, (size_t)s.n * sizeof *result->beta);
    for (int64_t t = 0; t < s.n_variables; t++) {
        result->beta[t % s.n] += s.beta[t];
        result->objective -= 0.5 * s.beta[t] * (s.gradient[t] + request->linear[t]);
    }
    cache_release(&s.cache);
    qn_free(s.beta);
    return QN_OK;
}
