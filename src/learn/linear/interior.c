/* SPDX-License-Identifier: Apache-2.0 */
#include "learn/linear/interior.h"

#include "base/alloc.h"
#include "base/number.h"
#include "linalg/kernels.h"
#include "linalg/semidefinite.h"

#include <math.h>
#include <string.h>

/* Shares: of the way to the boundary that a step goes; of the diagonal added before factoring, lest
 * columns that depend on one another stop it; of the target's size that residuals may have. */
static const double step_share = 0.9995, ridge_share = 1e-12, residual_share = 1e-9;
/* A gap of this share of the objective is rounding: it cannot be made smaller. */
static const double rounding = 1e-13;

enum { N_PIECE_ARRAYS = 11 };

struct interior {
    const qn_glm *glm;
    const qn_design *design;
    int64_t n, n_cols, n_pieces;
    int32_t *owners; /* of pieces: a row, or -1 - column */
    double *at, *up, *down;
    double *positive, *negative, *alpha; /* s+, s- and the dual variable */
    double *d_positive, *d_negative, *d_alpha;
    double *theta, *rest;        /* of the elimination */
    double *margins, *moves;     /* n: of the point and of its step */
    double *row_sums;            /* n */
    double *point, *step, *dual; /* n_cols: dual = sum_i alpha_i a_i */
    double *gram;
};

/* ---- pieces ---- */

static void add_piece(struct interior *in, int64_t owner, double at, double up, double down)
{
    if (up + down <= 0) return;
    in->owners[in->n_pieces] = (int32_t)owner;
    in->at[in->n_pieces] = at;
    in->up[in->n_pieces] = up;
    in->down[in->n_pieces++] = down;
}

static void make_pieces(struct interior *in)
{
    const qn_glm *glm = in->glm;
    for (int64_t i = 0; i < in->n; i++) {
        const double w = qn_glm_weight(glm, i) / glm->total;
        add_piece(in, i, glm->target[i], w * glm->shape, w * (1 - glm->shape));
    }
    for (int64_t c = 0; c < in->n_cols; c++) {
        if (in->design->features[c] >= 0) add_piece(in, -1 - c, 0, glm->penalty, glm->penalty);
    }
}

/* a_i . point, from the margins of the rows. */
static double along(const struct interior *in, int64_t piece, const double *margins,
                    const double *point)
{
    const int32_t owner = in->owners[piece];
    return owner >= 0 ? margins[owner] : point[-1 - owner];
}

/* out = sum_i values_i a_i. */
static qn_status combine(struct interior *in, const double *values, double *out, qn_error *err)
{
    memset(in->row_sums, 0, (size_t)in->n * sizeof *in->row_sums);
    for (int64_t i = 0; i < in->n_pieces; i++) {
        if (in->owners[i] >= 0) in->row_sums[in->owners[i]] += values[i];
    }
    QN_TRY(qn_design_transposed(in->design, in->row_sums, in->glm->pool, out, err));
    for (int64_t i = 0; i < in->n_pieces; i++) {
        if (in->owners[i] < 0) out[-1 - in->owners[i]] += values[i];
    }
    return QN_OK;
}

/* ---- one iteration ---- */

static double residual_of(const struct interior *in, int64_t i)
{
    return in->at[i] - along(in, i, in->margins, in->point) - in->positive[i] + in->negative[i];
}

/* theta, and the factor of sum_i theta_i a_i a_i^T. */
static qn_status factor(struct interior *in, qn_error *err)
{
    const int64_t p = in->n_cols;
    memset(in->row_sums, 0, (size_t)in->n * sizeof *in->row_sums);
    for (int64_t i = 0; i < in->n_pieces; i++) {
        in->theta[i] = 1 / (in->positive[i] / (in->up[i] - in->alpha[i]) +
                            in->negative[i] / (in->down[i] + in->alpha[i]));
        if (in->owners[i] >= 0) in->row_sums[in->owners[i]] += in->theta[i];
    }
    QN_TRY(qn_design_gram(in->design, in->row_sums, in->glm->pool, in->gram, err));
    for (int64_t i = 0; i < in->n_pieces; i++) {
        const int64_t c = -1 - in->owners[i];
        if (c >= 0) in->gram[c * p + c] += in->theta[i];
    }
    for (int64_t c = 0; c < p; c++) {
        in->gram[c * p + c] += ridge_share * in->gram[c * p + c];
    }
    qn_semidefinite_factor(in->gram, p, 0.1 * ridge_share);
    return QN_OK;
}

/* The step towards complementarity products of `aim`; a corrector takes the last step's products
 * into account. */
static qn_status find_step(struct interior *in, double aim, bool corrects, qn_error *err)
{
    for (int64_t i = 0; i < in->n_pieces; i++) {
        const double above = in->up[i] - in->alpha[i], below = in->down[i] + in->alpha[i];
        const double more = corrects ? in->d_positive[i] * in->d_alpha[i] : 0;
        const double less = corrects ? -in->d_negative[i] * in->d_alpha[i] : 0;
        in->d_positive[i] = (aim + more) / above - in->positive[i];
        in->d_negative[i] = (aim + less) / below - in->negative[i];
        in->rest[i] = in->theta[i] * (residual_of(in, i) - in->d_positive[i] + in->d_negative[i]);
    }
    QN_TRY(combine(in, in->rest, in->step, err));
    for (int64_t c = 0; c < in->n_cols; c++) {
        in->step[c] += in->dual[c];
    }
    qn_semidefinite_solve(in->gram, in->n_cols, in->step);
    qn_design_multiply(in->design, in->step, in->glm->pool, in->moves);
    for (int64_t i = 0; i < in->n_pieces; i++) {
        const double above = in->up[i] - in->alpha[i], below = in->down[i] + in->alpha[i];
        in->d_alpha[i] = in->rest[i] - in->theta[i] * along(in, i, in->moves, in->step);
        in->d_positive[i] += in->positive[i] / above * in->d_alpha[i];
        in->d_negative[i] -= in->negative[i] / below * in->d_alpha[i];
    }
    return QN_OK;
}

static double shorten(double length, double value, double change)
{
    return -change * length > value ? -value / change : length;
}

/* How far the step may go before a variable reaches its bound; at most 1. */
static double room_of(const struct interior *in)
{
    double length = 1 / step_share;
    for (int64_t i = 0; i < in->n_pieces; i++) {
        length = shorten(length, in->positive[i], in->d_positive[i]);
        length = shorten(length, in->negative[i], in->d_negative[i]);
        length = shorten(length, in->up[i] - in->alpha[i], -in->d_alpha[i]);
        length = shorten(length, in->down[i] + in->alpha[i], in->d_alpha[i]);
    }
    return step_share * length;
}

/* Sum of the complementarity products after a step of the given length. */
static double gap_after(const struct interior *in, double length)
{
    double sum = 0;
    for (int64_t i = 0; i < in->n_pieces; i++) {
        const double alpha = in->alpha[i] + length * in->d_alpha[i];
        sum += (in->positive[i] + length * in->d_positive[i]) * (in->up[i] - alpha) +
               (in->negative[i] + length * in->d_negative[i]) * (in->down[i] + alpha);
    }
    return sum;
}

static void take_step(struct interior *in, double length)
{
    qn_add_scaled(length, in->step, in->point, in->n_cols);
    qn_add_scaled(length, in->moves, in->margins, in->n);
    qn_add_scaled(length, in->d_positive, in->positive, in->n_pieces);
    qn_add_scaled(length, in->d_negative, in->negative, in->n_pieces);
    qn_add_scaled(length, in->d_alpha, in->alpha, in->n_pieces);
}

/* What the dual constraints lack; returns its largest element. */
static qn_status set_dual(struct interior *in, double *largest, qn_error *err)
{
    QN_TRY(combine(in, in->alpha, in->dual, err));
    *largest = 0;
    for (int64_t c = 0; c < in->n_cols; c++) {
        *largest = fmax(*largest, fabs(in->dual[c]));
    }
    return QN_OK;
}

static double primal_of(const struct interior *in)
{
    double sum = 0;
    for (int64_t i = 0; i < in->n_pieces; i++) {
        sum += in->up[i] * in->positive[i] + in->down[i] * in->negative[i];
    }
    return sum;
}

static qn_status iterate(struct interior *in, int64_t *n_iterations, qn_error *err)
{
    double lack;
    memset(in->d_alpha, 0, (size_t)in->n_pieces * sizeof *in->d_alpha);
    QN_TRY(set_dual(in, &lack, err));
    while (*n_iterations < in->glm->max_iter && !qn_stop_requested(in->glm->stop)) {
        const double gap = gap_after(in, 0), mean = gap / (double)(2 * in->n_pieces);
        const double primal = primal_of(in);
        if (gap <= in->glm->tol * primal && lack <= residual_share) break;
        if (!(gap > rounding * primal)) break;
        QN_TRY(factor(in, err));
        QN_TRY(find_step(in, 0, false, err));
        const double share = gap_after(in, room_of(in)) / gap;
        QN_TRY(find_step(in, mean * share * share * share, true, err));
        const double length = room_of(in);
        if (!(length > 1e-10) || !isfinite(gap_after(in, length)))
            break; /* at the limit of arithmetic */
        take_step(in, length);
        ++*n_iterations;
        QN_TRY(set_dual(in, &lack, err));
    }
    return QN_OK;
}

/* ---- */

/* No coefficients, every dual variable in the middle, residuals split with room on both sides. */
static void begin(struct interior *in)
{
    double size = 0;
    for (int64_t i = 0; i < in->n_pieces; i++) {
        size += fabs(in->at[i]) / (double)in->n_pieces;
    }
    if (size == 0) size = 1;
    for (int64_t i = 0; i < in->n_pieces; i++) {
        in->positive[i] = fmax(in->at[i], 0) + size;
        in->negative[i] = fmax(-in->at[i], 0) + size;
        in->alpha[i] = 0.5 * (in->up[i] - in->down[i]);
    }
}

static bool allocate(struct interior *in, double **memory)
{
    const int64_t n = in->n, p = in->n_cols, pieces = n + p;
    in->owners = qn_alloc_array(pieces, sizeof *in->owners);
    in->gram = qn_alloc_array(p * p, sizeof *in->gram);
    *memory = qn_alloc_array(N_PIECE_ARRAYS * pieces + 3 * n + 2 * p, sizeof **memory);
    if (!in->owners || !in->gram || !*memory) return false;
    double **const arrays[N_PIECE_ARRAYS] = {
        &in->at,         &in->up,         &in->down,    &in->positive, &in->negative, &in->alpha,
        &in->d_positive, &in->d_negative, &in->d_alpha, &in->theta,    &in->rest};
    for (int64_t a = 0; a < N_PIECE_ARRAYS; a++) {
        *arrays[a] = *memory + a * pieces;
    }
    in->margins = *memory + N_PIECE_ARRAYS * pieces;
    in->moves = in->margins + n;
    in->row_sums = in->moves + n;
    in->step = in->row_sums + n;
    in->dual = in->step + p;
    return true;
}

qn_status qn_interior_minimise(const qn_glm *glm, double *point, int64_t *n_iterations,
                               qn_error *err)
{
    struct interior in = {.glm = glm,
                          .design = glm->design,
                          .n = glm->design->n_rows,
                          .n_cols = glm->design->n_cols,
                          .point = point};
    double *memory = NULL;
    qn_status status = QN_OK;
    memset(point, 0, (size_t)in.n_cols * sizeof *point);
    *n_iterations = 0;
    if (allocate(&in, &memory)) {
        make_pieces(&in);
        begin(&in);
        status = iterate(&in, n_iterations, err);
    } else {
        status = qn_fail(err, QN_ERR_NOMEM, "no memory for a linear model");
    }
    qn_free(in.owners);
    qn_free(in.gram);
    qn_free(memory);
    return status;
}
