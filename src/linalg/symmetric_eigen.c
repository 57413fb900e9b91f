/* SPDX-License-Identifier: Apache-2.0 */
/* The basis in which the matrix is tridiagonal, and then diagonal, is kept in slices of 32 columns,
 * each contiguous: reflections and rotations mix its rows, so slices need nothing of each other,
 * are worked on in parallel, and stay in the second cache while many rotations pass over them. */
#include "linalg/symmetric_eigen.h"

#include "base/alloc.h"
#include "base/sort.h"
#include "linalg/kernels.h"

#include <float.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>

enum {
    SLICE = 32,          /* columns of the basis that are worked on together */
    TASK_ROWS = 64,      /* of the matrix, in one task of the pool */
    PARALLEL_ROWS = 256, /* fewer are not worth waking threads for */
    KEPT_SWEEPS = 16,    /* rotations of so many are gathered before they are applied */
    SWEEPS_MAX = 60      /* per eigenvalue; two or three are usual */
};

struct rotation {
    double cosine, sine;
    int64_t row; /* mixes rows `row` and `row` + 1 */
};

struct eigen {
    int64_t n;
    double *matrix;    /* in the end the vectors; between: row k holds reflection k from k + 1 on */
    double *diagonal;  /* n */
    double *beside;    /* n: entry k joins k and k + 1 */
    double *factors;   /* n: reflection k is I - factor v v' */
    double *change[2]; /* n each: w of the last reflection and of this one */
    double *slices;    /* n_slices × n × SLICE: the basis, row after row */
    int64_t n_slices, n_rotations;
    struct rotation *rotations; /* KEPT_SWEEPS × n */
    int32_t *order;             /* n: of the values, from the greatest down */
    int64_t step;               /* of the tridiagonalisation */
    qn_pool *pool;
};

/* row -= v_i w + w_i v, the last reflection's work on a row, then its product with `next`. */
static inline __attribute__((always_inline)) double
update_and_dot(double *restrict row, double v_i, const double *restrict w, double w_i,
               const double *restrict v, const double *restrict next, int64_t n)
{
    double lanes[8] = {0};
    int64_t i = 0;
    for (; i + 8 <= n; i += 8) {
        for (int lane = 0; lane < 8; lane++) {
            row[i + lane] -= v_i * w[i + lane] + w_i * v[i + lane];
            lanes[lane] += row[i + lane] * next[i + lane];
        }
    }
    for (int lane = 0; i < n; i++, lane++) {
        row[i] -= v_i * w[i] + w_i * v[i];
        lanes[lane] += row[i] * next[i];
    }
    return ((lanes[0] + lanes[1]) + (lanes[2] + lanes[3])) +
           ((lanes[4] + lanes[5]) + (lanes[6] + lanes[7]));
}

/* Rows of one task: the update of reflection step - 1, and p = A v of reflection `step`. */
static inline __attribute__((always_inline)) void update_rows(struct eigen *e, int64_t task)
{
    const int64_t n = e->n, k = e->step, from = k + 1;
    const int64_t first = from + task * TASK_ROWS;
    const int64_t end = first + TASK_ROWS < n ? first + TASK_ROWS : n;
    const double *next = e->matrix + k * n;
    const double *v = k > 0 ? e->matrix + (k - 1) * n : next;
    const double *w = e->change[(k + 1) % 2];
    double *p = e->change[k % 2];
    for (int64_t i = first; i < end; i++) {
        p[i] = update_and_dot(e->matrix + i * n + from, k > 0 ? v[i] : 0, w + from,
                              k > 0 ? w[i] : 0, v + from, next + from, n - from);
    }
}

/* Reflects every row of one slice of the basis: B -= factor v (v' B), reflection after reflection,
 * from the identity. */
static inline __attribute__((always_inline)) void reflect_slice(struct eigen *e, int64_t slice)
{
    const int64_t n = e->n;
    double *rows = e->slices + slice * n * SLICE;
    memset(rows, 0, (size_t)(n * SLICE) * sizeof *rows);
    for (int64_t c = 0; c < SLICE && slice * SLICE + c < n; c++) {
        rows[(slice * SLICE + c) * SLICE + c] = 1;
    }
    for (int64_t k = 0; k + 2 < n; k++) {
        const double *v = e->matrix + k * n;
        double sums[SLICE] = {0};
        if (e->factors[k] == 0) continue;
        for (int64_t i = k + 1; i < n; i++) {
            for (int c = 0; c < SLICE; c++) {
                sums[c] += v[i] * rows[i * SLICE + c];
            }
        }
        for (int64_t i = k + 1; i < n; i++) {
            const double scale = e->factors[k] * v[i];
            for (int c = 0; c < SLICE; c++) {
                rows[i * SLICE + c] -= scale * sums[c];
            }
        }
    }
}

static inline __attribute__((always_inline)) void rotate_slice(const struct eigen *e, int64_t slice)
{
    double *rows = e->slices + slice * e->n * SLICE;
    for (int64_t r = 0; r < e->n_rotations; r++) {
        const double c = e->rotations[r].cosine, s = e->rotations[r].sine;
        double *restrict a = rows + e->rotations[r].row * SLICE;
        double *restrict b = a + SLICE;
        for (int i = 0; i < SLICE; i++) {
            const double upper = a[i], lower = b[i];
            a[i] = c * upper + s * lower;
            b[i] = c * lower - s * upper;
        }
    }
}

/* Each compiled twice: same operations, same results. */
#if defined __x86_64__ && defined __GNUC__
#define WIDE __attribute__((target("avx2")))
WIDE static void update_rows_wide(struct eigen *e, int64_t task)
{
    update_rows(e, task);
}
WIDE static void reflect_slice_wide(struct eigen *e, int64_t slice)
{
    reflect_slice(e, slice);
}
WIDE static void rotate_slice_wide(const struct eigen *e, int64_t slice)
{
    rotate_slice(e, slice);
}
static bool is_wide(void)
{
    return __builtin_cpu_supports("avx2");
}
#else
#define update_rows_wide update_rows
#define reflect_slice_wide reflect_slice
#define rotate_slice_wide rotate_slice
static bool is_wide(void)
{
    return false;
}
#endif

static void update_task(void *context, int64_t task)
{
    if (is_wide()) {
        update_rows_wide(context, task);
    } else {
        update_rows(context, task);
    }
}

static void reflect_task(void *context, int64_t slice)
{
    if (is_wide()) {
        reflect_slice_wide(context, slice);
    } else {
        reflect_slice(context, slice);
    }
}

static void rotate_task(void *context, int64_t slice)
{
    if (is_wide()) {
        rotate_slice_wide(context, slice);
    } else {
        rotate_slice(context, slice);
    }
}

/* Row k becomes v, with v' x = 0 but in its first place, which becomes beside[k]. v[k + 1] is 1. */
static void make_reflection(struct eigen *e, int64_t k)
{
    double *v = e->matrix + k * e->n;
    const int64_t from = k + 1, n = e->n - from;
    const double rest = qn_dot(v + from + 1, v + from + 1, n - 1), head = v[from];
    e->beside[k] = head;
    e->factors[k] = 0;
    if (rest == 0) return;
    const double norm = sqrt(head * head + rest), beta = head > 0 ? -norm : norm;
    e->beside[k] = beta;
    e->factors[k] = (beta - head) / beta;
    for (int64_t i = from + 1; i < e->n; i++) {
        v[i] /= head - beta;
    }
    v[from] = 1;
}

/* Row k as the reflection before leaves it. */
static void finish_row(struct eigen *e, int64_t k)
{
    if (k == 0) return;
    const double *v = e->matrix + (k - 1) * e->n, *w = e->change[(k + 1) % 2];
    double *row = e->matrix + k * e->n;
    for (int64_t i = k; i < e->n; i++) {
        row[i] -= v[k] * w[i] + w[k] * v[i];
    }
}

/* A - v w' - w v' = H A H where H = I - factor v v', p = factor A v, w = p - factor / 2 (p'v) v.
 * Each pass over the matrix brings one reflection's update and the next one's product. */
static void make_tridiagonal(struct eigen *e)
{
    const int64_t n = e->n;
    for (int64_t k = 0; k + 2 < n; k++) {
        const int64_t from = k + 1, n_rows = n - from;
        finish_row(e, k);
        e->diagonal[k] = e->matrix[k * n + k];
        make_reflection(e, k);
        e->step = k;
        qn_pool_run(n_rows < PARALLEL_ROWS ? NULL : e->pool, (n_rows + TASK_ROWS - 1) / TASK_ROWS,
                    update_task, e);
        const double *v = e->matrix + k * n;
        double *p = e->change[k % 2];
        const double factor = e->factors[k];
        const double half = factor * factor * qn_dot(p + from, v + from, n_rows) / 2;
        for (int64_t i = from; i < n; i++) {
            p[i] = factor * p[i] - half * v[i];
        }
    }
    for (int64_t k = n > 1 ? n - 2 : 0; k < n; k++) {
        if (n > 2) { /* both rows wait for the last reflection, n - 3 */
            const double *v = e->matrix + (n - 3) * n, *w = e->change[(n - 3) % 2];
            for (int64_t i = n - 2; i < n; i++) {
                e->matrix[k * n + i] -= v[k] * w[i] + w[k] * v[i];
            }
        }
        e->diagonal[k] = e->matrix[k * n + k];
        e->beside[k] = k + 1 < n ? e->matrix[k * n + k + 1] : 0;
    }
}

static void apply_rotations(struct eigen *e)
{
    qn_pool_run(e->n < PARALLEL_ROWS ? NULL : e->pool, e->n_slices, rotate_task, e);
    e->n_rotations = 0;
}

/* The eigenvalue of the last two rows' block that is nearer to its last entry. */
static double wilkinson_shift(const struct eigen *e, int64_t last)
{
    const double a = e->diagonal[last - 1], b = e->diagonal[last], f = e->beside[last - 1];
    const double half = (a - b) / 2;
    return b - f * (f / (half + copysign(hypot(half, f), half)));
}

/* One implicit sweep over rows first … last; chases the bulge downwards. */
static void sweep(struct eigen *e, int64_t first, int64_t last)
{
    double *d = e->diagonal, *f = e->beside;
    double x = d[first] - wilkinson_shift(e, last), bulge = f[first];
    if (e->n_rotations + last - first > KEPT_SWEEPS * e->n) apply_rotations(e);
    for (int64_t k = first; k < last; k++) {
        const double r = hypot(x, bulge);
        const double c = r > 0 ? x / r : 1, s = r > 0 ? bulge / r : 0;
        if (k > first) f[k - 1] = r;
        const double twist = s * (d[k + 1] - d[k]) + 2 * c * f[k];
        d[k] += s * twist;
        d[k + 1] -= s * twist;
        f[k] = c * twist - f[k];
        e->rotations[e->n_rotations++] = (struct rotation){c, s, k};
        if (k + 1 == last) break;
        x = f[k];
        bulge = s * f[k + 1];
        f[k + 1] *= c;
    }
}

static bool is_negligible(const struct eigen *e, int64_t k)
{
    return fabs(e->beside[k]) <=
           DBL_EPSILON / 2 * (fabs(e->diagonal[k]) + fabs(e->diagonal[k + 1]));
}

/* False when sweeps have not parted all values. */
static bool make_diagonal(struct eigen *e)
{
    int64_t n_sweeps = 0;
    for (int64_t last = e->n - 1; last > 0;) {
        int64_t first = last;
        while (first > 0 && !is_negligible(e, first - 1)) {
            first--;
        }
        if (first > 0) e->beside[first - 1] = 0;
        if (first == last) {
            last--;
            continue;
        }
        if (n_sweeps++ == SWEEPS_MAX * e->n) return false;
        sweep(e, first, last);
    }
    apply_rotations(e);
    return true;
}

/* Row i of the matrix: the i-th vector from the greatest value down, its sign set. */
static void gather_vector(void *context, int64_t i)
{
    const struct eigen *e = context;
    const int64_t from = e->order[i];
    double *out = e->matrix + i * e->n;
    for (int64_t c = 0; c < e->n; c++) {
        out[c] = e->slices[(c / SLICE * e->n + from) * SLICE + c % SLICE];
    }
    int64_t largest = 0;
    for (int64_t c = 1; c < e->n; c++) {
        if (fabs(out[c]) > fabs(out[largest])) largest = c;
    }
    if (out[largest] > 0) return;
    for (int64_t c = 0; c < e->n; c++) {
        out[c] = -out[c];
    }
}

/* The lower half onto the upper, divided by the largest entry, which is returned; NaN or infinity
 * when an entry is. */
static double mirror_scaled(double *matrix, int64_t n)
{
    double largest = 0;
    for (int64_t i = 0; i < n; i++) {
        for (int64_t j = 0; j <= i; j++) {
            if (!isfinite(matrix[i * n + j])) return matrix[i * n + j];
            largest = fmax(largest, fabs(matrix[i * n + j]));
        }
    }
    const double divisor = largest > 0 ? largest : 1;
    for (int64_t i = 0; i < n; i++) {
        for (int64_t j = 0; j <= i; j++) {
            matrix[i * n + j] /= divisor;
            matrix[j * n + i] = matrix[i * n + j];
        }
    }
    return divisor;
}

static qn_status decompose(struct eigen *e, double *values, qn_error *err)
{
    const int64_t n = e->n;
    const double scale = mirror_scaled(e->matrix, n);
    if (!isfinite(scale)) {
        return qn_fail(err, QN_ERR_DATA, "eigenvalues: the matrix has an entry that is no number");
    }
    make_tridiagonal(e);
    qn_pool_run(n < PARALLEL_ROWS ? NULL : e->pool, e->n_slices, reflect_task, e);
    if (!make_diagonal(e)) {
        return qn_fail(err, QN_ERR_DATA,
                       "eigenvalues: no convergence in %d sweeps for each of %" PRId64, SWEEPS_MAX,
                       n);
    }
    for (int64_t i = 0; i < n; i++) {
        e->diagonal[i] = -e->diagonal[i];
    }
    if (!qn_sort_order(e->diagonal, n, e->order)) {
        return qn_fail(err, QN_ERR_NOMEM, "no memory for eigenvalues");
    }
    for (int64_t i = 0; i < n; i++) {
        values[i] = -e->diagonal[e->order[i]] * scale;
    }
    qn_pool_run(n < PARALLEL_ROWS ? NULL : e->pool, n, gather_vector, e);
    return QN_OK;
}

qn_status qn_symmetric_eigen(double *matrix, int64_t n, qn_pool *pool, double *values,
                             qn_error *err)
{
    struct eigen e = {.n = n, .matrix = matrix, .n_slices = (n + SLICE - 1) / SLICE, .pool = pool};
    double *lines = qn_alloc_array(n * 5, sizeof *lines);
    e.slices = qn_alloc_aligned(e.n_slices * n * SLICE, sizeof *e.slices);
    e.rotations = qn_alloc_array(KEPT_SWEEPS * n, sizeof *e.rotations);
    e.order = qn_alloc_array(n, sizeof *e.order);
    qn_status status;
    if (lines && e.slices && e.rotations && e.order) {
        e.diagonal = lines;
        e.beside = lines + n;
        e.factors = lines + 2 * n;
        e.change[0] = lines + 3 * n;
        e.change[1] = lines + 4 * n;
        status = decompose(&e, values, err);
    } else {
        status =
            qn_fail(err, QN_ERR_NOMEM, "no memory for the eigenvalues of %" PRId64 " columns", n);
    }
    qn_free(e.order);
    qn_free(e.rotations);
    qn_free(e.slices);
    qn_free(lines);
    return status;
}
