/* SPDX-License-Identifier: Apache-2.0 */
#include "learn/additive/shape_step.h"

#include "base/alloc.h"

#include <math.h>
#include <stdlib.h>

struct placed_cell {
    double value;
    int32_t cell;
};

struct qn_shape_workspace {
    struct placed_cell *order;
    qn_shape_sums *sums; /* in the order of cells, or over rectangles of a pair */
};

qn_shape_workspace *qn_shape_workspace_create(int32_t n_cells)
{
    qn_shape_workspace *workspace = qn_alloc_array(1, sizeof *workspace);
    if (!workspace) return NULL;
    workspace->order = qn_alloc_array(n_cells, sizeof *workspace->order);
    /* (a + 1)(b + 1) <= 4 a b rectangles from the corner. */
    workspace->sums = qn_alloc_array(4 * (int64_t)n_cells, sizeof *workspace->sums);
    if (workspace->order && workspace->sums) return workspace;
    qn_shape_workspace_free(workspace);
    return NULL;
}

void qn_shape_workspace_free(qn_shape_workspace *workspace)
{
    if (!workspace) return;
    qn_free(workspace->order);
    qn_free(workspace->sums);
    qn_free(workspace);
}

/* Leaves. */

static qn_shape_sums plus(qn_shape_sums a, qn_shape_sums b)
{
    return (qn_shape_sums){a.gradient + b.gradient, a.hessian + b.hessian, a.n_rows + b.n_rows};
}

static qn_shape_sums minus(qn_shape_sums a, qn_shape_sums b)
{
    return (qn_shape_sums){a.gradient - b.gradient, a.hessian - b.hessian, a.n_rows - b.n_rows};
}

static bool is_leaf(const qn_shape_params *params, qn_shape_sums s)
{
    return s.n_rows >= params->min_data_in_leaf && s.hessian >= params->min_sum_hessian &&
           s.hessian + params->reg_lambda > 0;
}

/* Twice the fall of the quadratic form at its least. */
static double score_of(const qn_shape_params *params, qn_shape_sums s)
{
    const double below = s.hessian + params->reg_lambda;
    return below > 0 ? s.gradient * s.gradient / below : 0;
}

static double value_of(const qn_shape_params *params, qn_shape_sums s)
{
    if (!is_leaf(params, s)) return 0;
    double value = -s.gradient / (s.hessian + params->reg_lambda);
    if (params->step_max > 0) value = fmin(fmax(value, -params->step_max), params->step_max);
    return params->learning_rate * value;
}

/* One feature. */

static int by_value(const void *left, const void *right)
{
    const struct placed_cell *a = left, *b = right;
    if (a->value != b->value) return a->value < b->value ? -1 : 1;
    return a->cell < b->cell ? -1 : a->cell > b->cell;
}

/* The cells to cut, in their order: how many. */
static int32_t put_in_order(const qn_term *term, const qn_shape_params *params,
                            const qn_shape_sums *sums, struct placed_cell *order)
{
    int32_t n = 0;
    for (int32_t cell = term->nominal ? 0 : 1; cell < term->n_cells; cell++) {
        if (term->nominal && sums[cell].n_rows == 0) continue;
        const double below = sums[cell].hessian + params->cat_smooth;
        order[n++] = (struct placed_cell){below > 0 ? sums[cell].gradient / below : 0, cell};
    }
    if (term->nominal) qsort(order, (size_t)n, sizeof *order, by_value);
    return n;
}

struct segment {
    int32_t begin, end, cut; /* places in the order */
    double gain;             /* of the cut; 0: there is none */
};

/* ends[i] are sums over the first i places. */
static struct segment cut_segment(const qn_shape_params *params, const qn_shape_sums *ends,
                                  int32_t begin, int32_t end)
{
    struct segment out = {begin, end, end, 0};
    const double whole = score_of(params, minus(ends[end], ends[begin]));
    for (int32_t i = begin + 1; i < end; i++) {
        const qn_shape_sums left = minus(ends[i], ends[begin]), right = minus(ends[end], ends[i]);
        if (!is_leaf(params, left) || !is_leaf(params, right)) continue;
        const double gain = score_of(params, left) + score_of(params, right) - whole;
        if (gain > out.gain) {
            out.gain = gain;
            out.cut = i;
        }
    }
    return out;
}

/* The most gain first. */
static int32_t cut_segments(const qn_shape_params *params, const qn_shape_sums *ends, int32_t n,
                            struct segment *segments, double *gain)
{
    int32_t count = 1;
    segments[0] = cut_segment(params, ends, 0, n);
    while (count < params->max_leaves && count < QN_SHAPE_LEAVES_MAX) {
        int32_t best = 0;
        for (int32_t i = 1; i < count; i++) {
            if (segments[i].gain > segments[best].gain) best = i;
        }
        const struct segment s = segments[best];
        if (!(s.gain > 0)) break;
        *gain += s.gain;
        segments[best] = cut_segment(params, ends, s.begin, s.cut);
        segments[count++] = cut_segment(params, ends, s.cut, s.end);
    }
    return count;
}

static double step_feature(const qn_term *term, const qn_shape_params *params,
                           const qn_shape_sums *sums, qn_shape_workspace *workspace, double *step,
                           int32_t stride)
{
    struct segment segments[QN_SHAPE_LEAVES_MAX];
    const struct placed_cell *order = workspace->order;
    qn_shape_sums *ends = workspace->sums;
    double gain = 0;
    const int32_t n = put_in_order(term, params, sums, workspace->order);
    ends[0] = (qn_shape_sums){0};
    for (int32_t i = 0; i < n; i++) {
        ends[i + 1] = plus(ends[i], sums[order[i].cell]);
    }
    const int32_t count = cut_segments(params, ends, n, segments, &gain);
    for (int32_t s = 0; gain > 0 && s < count; s++) {
        const double value =
            value_of(params, minus(ends[segments[s].end], ends[segments[s].begin]));
        for (int32_t i = segments[s].begin; i < segments[s].end; i++) {
            step[order[i].cell * stride] = value;
        }
    }
    if (!term->nominal) step[0] = value_of(params, sums[0]);
    return gain;
}

/* Two features. Sums over the first i bins of one and the first j of the other. */

struct plane {
    const qn_shape_params *params;
    const qn_shape_sums *sums;
    int32_t sizes[2];
    bool turned; /* the first cut is along the second feature */
};

static qn_shape_sums corner(const struct plane *p, int32_t i, int32_t j)
{
    return p->turned ? p->sums[j * (p->sizes[1] + 1) + i] : p->sums[i * (p->sizes[1] + 1) + j];
}

static qn_shape_sums rectangle(const struct plane *p, int32_t i0, int32_t i1, int32_t j0,
                               int32_t j1)
{
    return plus(minus(corner(p, i1, j1), corner(p, i0, j1)),
                minus(corner(p, i0, j0), corner(p, i1, j0)));
}

/* The best cut of a half, whose score `whole` is, along the other feature; returns its gain. */
static double cut_half(const struct plane *p, int32_t i0, int32_t i1, int32_t *cut)
{
    const int32_t n = p->sizes[!p->turned];
    const double whole = score_of(p->params, rectangle(p, i0, i1, 0, n));
    double best = 0;
    *cut = n;
    for (int32_t j = 1; j < n; j++) {
        const qn_shape_sums low = rectangle(p, i0, i1, 0, j), high = rectangle(p, i0, i1, j, n);
        if (!is_leaf(p->params, low) || !is_leaf(p->params, high)) continue;
        const double gain = score_of(p->params, low) + score_of(p->params, high) - whole;
        if (gain > best) {
            best = gain;
            *cut = j;
        }
    }
    return best;
}

struct quarters {
    double gain;
    bool turned;
    int32_t first, low, high; /* cuts: along one feature, and of its two halves */
};

static void cut_plane(const struct plane *p, struct quarters *best)
{
    const int32_t n = p->sizes[p->turned], m = p->sizes[!p->turned];
    const double whole = score_of(p->params, rectangle(p, 0, n, 0, m));
    for (int32_t i = 1; i < n; i++) {
        const qn_shape_sums low = rectangle(p, 0, i, 0, m), high = rectangle(p, i, n, 0, m);
        if (!is_leaf(p->params, low) || !is_leaf(p->params, high)) continue;
        struct quarters q = {.turned = p->turned, .first = i};
        q.gain = score_of(p->params, low) + score_of(p->params, high) - whole +
                 cut_half(p, 0, i, &q.low) + cut_half(p, i, n, &q.high);
        if (q.gain > best->gain) *best = q;
    }
}

static double step_pair(const qn_term *term, const qn_shape_params *params,
                        const qn_shape_sums *sums, qn_shape_workspace *workspace, double *step,
                        int32_t stride)
{
    struct plane plane = {params, workspace->sums, {term->sizes[0], term->sizes[1]}, false};
    const int32_t width = term->sizes[1] + 1;
    qn_shape_sums *corners = workspace->sums;
    for (int32_t i = 0; i <= term->sizes[0]; i++) {
        qn_shape_sums row = {0};
        corners[i * width] = row;
        for (int32_t j = 1; j < width; j++) {
            if (i > 0) row = plus(row, sums[(i - 1) * term->sizes[1] + j - 1]);
            corners[i * width + j] = i > 0 ? plus(corners[(i - 1) * width + j], row) : row;
        }
    }
    struct quarters best = {0};
    cut_plane(&plane, &best);
    plane.turned = true;
    cut_plane(&plane, &best);
    if (!(best.gain > 0)) return 0;
    plane.turned = best.turned;
    const int32_t n = plane.sizes[plane.turned], m = plane.sizes[!plane.turned];
    for (int half = 0; half < 2; half++) {
        const int32_t i0 = half ? best.first : 0, i1 = half ? n : best.first;
        const int32_t cut = half ? best.high : best.low;
        const double low = value_of(params, rectangle(&plane, i0, i1, 0, cut)),
                     high = value_of(params, rectangle(&plane, i0, i1, cut, m));
        for (int32_t i = i0; i < i1; i++) {
            for (int32_t j = 0; j < m; j++) {
                const int32_t a = plane.turned ? j : i, b = plane.turned ? i : j;
                step[(a * term->sizes[1] + b) * stride] = j < cut ? low : high;
            }
        }
    }
    return best.gain;
}

double qn_shape_step(const qn_term *term, const qn_shape_params *params, const qn_shape_sums *sums,
                     qn_shape_workspace *workspace, double *step, int32_t stride)
{
    for (int32_t cell = 0; cell < term->n_cells; cell++) {
        step[cell * stride] = 0;
    }
    return term->features[1] < 0 ? step_feature(term, params, sums, workspace, step, stride)
                                 : step_pair(term, params, sums, workspace, step, stride);
}
