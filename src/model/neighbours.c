/* SPDX-License-Identifier: Apache-2.0 */
#include "model/neighbours.h"

#include "base/alloc.h"
#include "linalg/gemm.h"

#include <math.h>
#include <string.h>

enum { TASK_ROWS = 128 * QN_PANEL_COLS };

qn_status qn_neighbours_init(qn_neighbours *rows, int64_t n, qn_error *err)
{
    const int64_t n_floats = qn_panels_floats(rows->n_dense, n);
    rows->n = n;
    rows->panels = qn_alloc_aligned(n_floats, sizeof *rows->panels);
    rows->squares = qn_alloc_array(n, sizeof *rows->squares);
    if (!rows->panels || !rows->squares) {
        qn_neighbours_release(rows);
        return qn_fail(err, QN_ERR_NOMEM, "no memory for %" PRId64 " neighbours", n);
    }
    const int64_t last = QN_PANEL_COLS * rows->n_dense; /* its columns beyond n stay zero */
    if (n > 0) memset(rows->panels + n_floats - last, 0, (size_t)last * sizeof *rows->panels);
    return QN_OK;
}

void qn_neighbours_release(qn_neighbours *rows)
{
    qn_free(rows->panels);
    qn_free(rows->squares);
    rows->panels = rows->squares = NULL;
}

static float *element(const qn_neighbours *rows, int64_t row)
{
    return rows->panels + row / QN_PANEL_COLS * QN_PANEL_COLS * rows->n_dense + row % QN_PANEL_COLS;
}

void qn_neighbours_set(qn_neighbours *rows, int64_t row, const float *x)
{
    float *to = element(rows, row), sum = 0;
    for (int64_t f = 0; f < rows->n_dense; f++) {
        to[f * QN_PANEL_COLS] = x[f];
        sum += x[f] * x[f];
    }
    rows->squares[row] = sum;
}

struct setting {
    qn_neighbours *rows;
    const qn_matrix *matrix;
    const int32_t *chosen;
};

static void set_panel(const struct setting *s, int64_t first, int64_t n)
{
    float *to = element(s->rows, first), squares[QN_PANEL_COLS] = {0};
    int64_t from[QN_PANEL_COLS];
    for (int64_t i = 0; i < n; i++) {
        from[i] = s->chosen ? s->chosen[first + i] : first + i;
    }
    for (int64_t f = 0; f < s->rows->n_dense; f++, to += QN_PANEL_COLS) {
        const double *column = s->matrix->dense + f * s->matrix->stride;
        for (int64_t i = 0; i < n; i++) {
            to[i] = (float)column[from[i]];
            squares[i] += to[i] * to[i];
        }
    }
    memcpy(s->rows->squares + first, squares, (size_t)n * sizeof *squares);
}

static void set_task(void *context, int64_t task)
{
    const struct setting *s = context;
    const int64_t end = (task + 1) * TASK_ROWS < s->rows->n ? (task + 1) * TASK_ROWS : s->rows->n;
    for (int64_t first = task * TASK_ROWS; first < end; first += QN_PANEL_COLS) {
        set_panel(s, first, end - first < QN_PANEL_COLS ? end - first : QN_PANEL_COLS);
    }
}

void qn_neighbours_set_all(qn_neighbours *rows, const qn_matrix *matrix, const int32_t *chosen,
                           qn_pool *pool)
{
    struct setting s = {.rows = rows, .matrix = matrix, .chosen = chosen};
    qn_pool_run(pool, (rows->n + TASK_ROWS - 1) / TASK_ROWS, set_task, &s);
}

/* |y|² - 2 x y: the squared distance but for |x|², which all rows have in common. */
static void products_tile(const qn_neighbours *rows, const float *points, int64_t n_points,
                          int64_t first, int64_t n, float *out)
{
    const qn_gemm product = {.m = n_points,
                             .n = n,
                             .k = rows->n_dense,
                             .a = points,
                             .a_row_step = rows->n_dense,
                             .a_col_step = 1,
                             .panels = rows->panels + first * rows->n_dense,
                             .c = out,
                             .c_row_step = QN_NEIGHBOURS_TILE};
    qn_gemm_run(&product, NULL);
    for (int64_t q = 0; q < n_points; q++) {
        float *values = out + q * QN_NEIGHBOURS_TILE;
        for (int64_t i = 0; i < n; i++) {
            values[i] = rows->squares[first + i] - 2 * values[i];
        }
    }
}

static void differences_tile(const qn_neighbours *rows, const float *points, int64_t n_points,
                             int64_t first, int64_t n, float *out)
{
    for (int64_t q = 0; q < n_points; q++) {
        const float *x = points + q * rows->n_dense;
        for (int64_t i = 0; i < n; i += QN_PANEL_COLS) {
            const float *panel = rows->panels + (first + i) * rows->n_dense;
            float sums[QN_PANEL_COLS] = {0};
            for (int64_t f = 0; f < rows->n_dense; f++) {
                for (int lane = 0; lane < QN_PANEL_COLS; lane++) {
                    sums[lane] += rows->scales[f] * fabsf(x[f] - panel[f * QN_PANEL_COLS + lane]);
                }
            }
            const int64_t width = n - i < QN_PANEL_COLS ? n - i : QN_PANEL_COLS;
            memcpy(out + q * QN_NEIGHBOURS_TILE + i, sums, (size_t)width * sizeof *sums);
        }
    }
}

void qn_neighbours_tile(const qn_neighbours *rows, const float *points, int64_t n_points,
                        int64_t first, int64_t n, float *out)
{
    if (rows->metric == QN_KNN_EUCLIDEAN) {
        products_tile(rows, points, n_points, first, n, out);
    } else {
        differences_tile(rows, points, n_points, first, n, out);
    }
}

double qn_neighbours_distance(const qn_neighbours *rows, const float *point, int64_t row)
{
    const float *x = element(rows, row);
    double sum = 0;
    for (int64_t f = 0; f < rows->n_dense; f++) {
        const double d = (double)point[f] - (double)x[f * QN_PANEL_COLS];
        sum += rows->metric == QN_KNN_EUCLIDEAN ? d * d : (double)rows->scales[f] * fabs(d);
    }
    return rows->metric == QN_KNN_EUCLIDEAN ? sqrt(sum) : sum;
}

static bool is_farther(qn_near a, qn_near b)
{
    return a.distance > b.distance || (a.distance == b.distance && a.row > b.row);
}

static void swap(qn_near *a, qn_near *b)
{
    const qn_near kept = *a;
    *a = *b;
    *b = kept;
}

/* The farthest of n stands on top of the heap; or the nearest. */
static void sift_down(qn_near *heap, int64_t n, int64_t at, bool nearest_first)
{
    for (;;) {
        int64_t child = 2 * at + 1;
        if (child >= n) return;
        if (child + 1 < n && is_farther(heap[child + 1], heap[child]) != nearest_first) child++;
        if (is_farther(heap[child], heap[at]) == nearest_first) return;
        swap(&heap[child], &heap[at]);
        at = child;
    }
}

void qn_near_offer(qn_near *heap, int32_t *n, int32_t room, qn_near candidate)
{
    if (*n == room) {
        if (!is_farther(heap[0], candidate)) return;
        heap[0] = candidate;
        sift_down(heap, room, 0, false);
        return;
    }
    heap[(*n)++] = candidate;
    if (*n < room) return;
    for (int32_t at = room / 2; at-- > 0;) {
        sift_down(heap, room, at, false);
    }
}

void qn_near_heapify(qn_near *items, int64_t n)
{
    for (int64_t at = n / 2; at-- > 0;) {
        sift_down(items, n, at, true);
    }
}

qn_near qn_near_pop(qn_near *items, int64_t n)
{
    swap(&items[0], &items[n - 1]);
    sift_down(items, n - 1, 0, true);
    return items[n - 1];
}
