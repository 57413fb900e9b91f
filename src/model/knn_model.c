/* SPDX-License-Identifier: Apache-2.0 */
#include "model/knn_model.h"

#include "base/alloc.h"
#include "linalg/gemm.h"

#include <math.h>
#include <string.h>

enum {
    SPARE = 8,   /* neighbours kept beyond k, since preselection is in float */
    AT_ONCE = 32 /* distances looked over */
};

struct knn {
    qn_estimator head;
    qn_task task;
    int32_t n_neighbours;
    bool by_distance, borrowed;
    qn_neighbours rows;
    const float *scales;   /* n_dense */
    const double *target;  /* rows.n */
    const double *weights; /* rows.n, or NULL */
    qn_neighbours centres; /* of the cells; n = 0: none */
    const int64_t *starts; /* centres.n + 1: rows of cell c are starts[c] … starts[c + 1] - 1 */
    int64_t probe_rows;
};

static const char *const metric_names[] = {"euclidean", "manhattan", "gower"};

static int32_t room_of(const struct knn *model)
{
    const int64_t room = model->n_neighbours + SPARE;
    return (int32_t)(room < model->rows.n ? room : model->rows.n);
}

static size_t padded(size_t bytes)
{
    return (bytes + 63) / 64 * 64;
}

struct work {
    float *points;     /* n_points × n_dense */
    float *tile;       /* n_points × QN_NEIGHBOURS_TILE */
    qn_near *heaps;    /* n_points × room */
    int32_t *counts;   /* n_points: in each heap */
    double *distances; /* room */
    qn_near *cells;    /* centres.n */
};

/* Lays out the scratch; returns its size. `scratch` NULL: only that. */
static size_t lay_out(const struct knn *model, int64_t n_points, void *scratch, struct work *work)
{
    const size_t n = (size_t)n_points, room = (size_t)room_of(model);
    const size_t sizes[] = {n * (size_t)model->rows.n_dense * sizeof(float),
                            n * QN_NEIGHBOURS_TILE * sizeof(float),
                            n * room * sizeof(qn_near),
                            n * sizeof(int32_t),
                            room * sizeof(double),
                            (size_t)model->centres.n * sizeof(qn_near)};
    void *parts[sizeof sizes / sizeof *sizes];
    size_t at = 0;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        parts[i] = scratch ? (char *)scratch + at : NULL;
        at += padded(sizes[i]);
    }
    *work = (struct work){parts[0], parts[1], parts[2], parts[3], parts[4], parts[5]};
    return at;
}

static size_t scratch_bytes(const qn_estimator *estimator, int64_t n_rows)
{
    struct work work;
    return lay_out((const struct knn *)estimator, n_rows, NULL, &work);
}

/* The first of values[from … n - 1] that is at most `bound`, or n. */
static int64_t next_within(const float *values, int64_t from, int64_t n, float bound)
{
    for (; from + AT_ONCE <= n; from += AT_ONCE) {
        int32_t any = 0;
        for (int64_t i = 0; i < AT_ONCE; i++) {
            any |= values[from + i] <= bound;
        }
        if (any) break;
    }
    while (from < n && !(values[from] <= bound)) {
        from++;
    }
    return from;
}

/* Offers values[from … n - 1], those of rows from `first` on, to a point's heap: few are nearer
 * than all that it holds. */
static void offer_all(const float *values, int64_t from, int64_t n, int64_t first, qn_near *heap,
                      int32_t *count, int32_t room)
{
    for (int64_t i = from; i < n; i++) {
        if (*count == room) i = next_within(values, i, n, heap[0].distance);
        if (i == n) break;
        qn_near_offer(heap, count, room, (qn_near){values[i], (int32_t)(first + i)});
    }
}

/* Offers rows begin … end - 1 to the heaps of n_points. */
static void look_at(const struct knn *model, const float *points, int64_t n_points, int64_t begin,
                    int64_t end, float *tile, qn_near *heaps, int32_t *counts)
{
    const int32_t room = room_of(model);
    for (int64_t first = begin / QN_PANEL_COLS * QN_PANEL_COLS; first < end;
         first += QN_NEIGHBOURS_TILE) {
        const int64_t n = end - first < QN_NEIGHBOURS_TILE ? end - first : QN_NEIGHBOURS_TILE;
        qn_neighbours_tile(&model->rows, points, n_points, first, n, tile);
        for (int64_t q = 0; q < n_points; q++) {
            offer_all(tile + q * QN_NEIGHBOURS_TILE, first < begin ? begin - first : 0, n, first,
                      heaps + q * room, &counts[q], room);
        }
    }
}

/* Cells from the nearest on, until they have held enough rows. */
static void look_in_cells(const struct knn *model, const float *point, const struct work *work,
                          qn_near *heap, int32_t *count)
{
    const qn_neighbours *centres = &model->centres;
    for (int64_t first = 0; first < centres->n; first += QN_NEIGHBOURS_TILE) {
        const int64_t left = centres->n - first;
        const int64_t n = left < QN_NEIGHBOURS_TILE ? left : QN_NEIGHBOURS_TILE;
        qn_neighbours_tile(centres, point, 1, first, n, work->tile);
        for (int64_t i = 0; i < n; i++) {
            work->cells[first + i] = (qn_near){work->tile[i], (int32_t)(first + i)};
        }
    }
    qn_near_heapify(work->cells, centres->n);
    int64_t n_seen = 0;
    for (int64_t left = centres->n; left > 0 && n_seen < model->probe_rows; left--) {
        const int32_t cell = qn_near_pop(work->cells, left).row;
        const int64_t begin = model->starts[cell], end = model->starts[cell + 1];
        look_at(model, point, 1, begin, end, work->tile, heap, count);
        n_seen += end - begin;
    }
}

/* Fills the heaps with the nearest rows of each point. */
static void find(const struct knn *model, const float *points, int64_t n_points,
                 const struct work *work)
{
    memset(work->counts, 0, (size_t)n_points * sizeof *work->counts);
    if (model->centres.n == 0 || model->probe_rows >= model->rows.n) {
        look_at(model, points, n_points, 0, model->rows.n, work->tile, work->heaps, work->counts);
        return;
    }
    for (int64_t q = 0; q < n_points; q++) {
        look_in_cells(model, points + q * model->rows.n_dense, work,
                      work->heaps + q * room_of(model), &work->counts[q]);
    }
}

/* Insertion sort by the exact distance, then number: few, and nearly in order. Returns how many of
 * them vote. */
static int32_t order_exactly(const struct knn *model, const float *x, qn_near *found, int32_t n,
                             double *distances)
{
    for (int32_t i = 0; i < n; i++) {
        const qn_near item = found[i];
        const double distance = qn_neighbours_distance(&model->rows, x, item.row);
        int32_t at = i;
        while (at > 0 && (distances[at - 1] > distance ||
                          (distances[at - 1] == distance && found[at - 1].row > item.row))) {
            found[at] = found[at - 1];
            distances[at] = distances[at - 1];
            at--;
        }
        found[at] = item;
        distances[at] = distance;
    }
    return n < model->n_neighbours ? n : model->n_neighbours;
}

void qn_knn_distances(const qn_estimator *estimator, const float *points, int64_t n_points,
                      double *distances, void *scratch)
{
    const struct knn *model = (const struct knn *)estimator;
    const int32_t k = model->n_neighbours;
    struct work work;
    lay_out(model, n_points, scratch, &work);
    find(model, points, n_points, &work);
    for (int64_t q = 0; q < n_points; q++) {
        const int32_t n =
            order_exactly(model, points + q * model->rows.n_dense, work.heaps + q * room_of(model),
                          work.counts[q], work.distances);
        for (int32_t i = 0; i < k; i++) {
            distances[q * k + i] = i < n ? work.distances[i] : QN_INF;
        }
    }
}

static void vote(const struct knn *model, const qn_near *found, const double *distances, int32_t n,
                 double *out)
{
    const int32_t k = model->head.n_outputs;
    double total = 0;
    memset(out, 0, (size_t)k * sizeof *out);
    for (int32_t i = 0; i < n; i++) {
        const int64_t row = found[i].row;
        double w = model->weights ? model->weights[row] : 1;
        if (model->by_distance) {
            if (distances[0] == 0 && distances[i] > 0) break;
            w = distances[0] == 0 ? w : w / distances[i];
        }
        if (model->task == QN_TASK_MULTICLASS) {
            out[(int32_t)model->target[row]] += w;
        } else {
            out[0] += w * model->target[row];
        }
        total += w;
    }
    for (int32_t c = 0; c < k; c++) {
        out[c] = total > 0 ? out[c] / total : 1.0 / k;
    }
}

static void predict(const qn_estimator *estimator, const qn_matrix *features, double *out,
                    void *scratch)
{
    const struct knn *model = (const struct knn *)estimator;
    const int64_t n_points = features->n_rows, n_dense = model->rows.n_dense;
    struct work work;
    lay_out(model, n_points, scratch, &work);
    qn_matrix_gather(features, 0, n_points, n_dense, work.points);
    find(model, work.points, n_points, &work);
    for (int64_t q = 0; q < n_points; q++) {
        qn_near *found = work.heaps + q * room_of(model);
        const int32_t n_voting =
            order_exactly(model, work.points + q * n_dense, found, work.counts[q], work.distances);
        vote(model, found, work.distances, n_voting, out + q * estimator->n_outputs);
    }
}

static void free_model(qn_estimator *estimator)
{
    struct knn *model = (struct knn *)estimator;
    if (!model->borrowed) {
        qn_neighbours_release(&model->rows);
        qn_neighbours_release(&model->centres);
        qn_free((void *)(uintptr_t)model->scales);
        qn_free((void *)(uintptr_t)model->target);
        qn_free((void *)(uintptr_t)model->weights);
        qn_free((void *)(uintptr_t)model->starts);
    }
    qn_free(model);
}

/* What create() fills before it becomes part of the model. */
struct parts {
    float *scales, *x; /* n_dense */
    double *target, *weights, *sums;
    int64_t *starts;
};

static void fill_rows(const qn_knn_request *request, struct knn *model, struct parts *parts)
{
    for (int64_t f = 0; f < model->rows.n_dense; f++) {
        parts->scales[f] = request->scales ? request->scales[f] : 1;
    }
    qn_neighbours_set_all(&model->rows, request->rows, request->chosen, request->pool);
    for (int64_t i = 0; i < request->n_rows; i++) {
        const int64_t row = request->chosen ? request->chosen[i] : i;
        parts->target[i] = request->target[row];
        if (parts->weights) parts->weights[i] = request->weights[row];
    }
}

/* Centres are the means of the rows of their cells. */
static void fill_cells(const qn_knn_request *request, struct knn *model, struct parts *parts)
{
    const int64_t n_dense = model->rows.n_dense;
    if (request->n_cells == 0) return;
    memcpy(parts->starts, request->cell_starts,
           (size_t)(request->n_cells + 1) * sizeof *parts->starts);
    for (int64_t cell = 0; cell < request->n_cells; cell++) {
        const int64_t begin = parts->starts[cell], end = parts->starts[cell + 1];
        memset(parts->sums, 0, (size_t)n_dense * sizeof *parts->sums);
        for (int64_t i = begin; i < end; i++) {
            const int64_t row = request->chosen ? request->chosen[i] : i;
            qn_matrix_gather(request->rows, row, 1, n_dense, parts->x);
            for (int64_t f = 0; f < n_dense; f++) {
                parts->sums[f] += (double)parts->x[f];
            }
        }
        for (int64_t f = 0; f < n_dense; f++) {
            parts->x[f] = (float)(parts->sums[f] / (double)(end - begin));
        }
        qn_neighbours_set(&model->centres, cell, parts->x);
    }
}

/* Both sets of rows are measured alike. */
static void set_metric(struct knn *model, qn_knn_metric metric, int64_t n_dense)
{
    model->rows.metric = model->centres.metric = metric;
    model->rows.n_dense = model->centres.n_dense = n_dense;
    model->rows.scales = model->centres.scales = (float *)(uintptr_t)model->scales;
}

static qn_status allocate(const qn_knn_request *request, struct knn *model, struct parts *parts,
                          qn_error *err)
{
    const int64_t n = request->n_rows, n_dense = request->rows->n_dense;
    model->scales = parts->scales = qn_alloc_array(n_dense, sizeof *parts->scales);
    set_metric(model, request->metric, n_dense);
    QN_TRY(qn_neighbours_init(&model->rows, n, err));
    QN_TRY(qn_neighbours_init(&model->centres, request->n_cells, err));
    model->target = parts->target = qn_alloc_array(n, sizeof *parts->target);
    if (request->weights) {
        model->weights = parts->weights = qn_alloc_array(n, sizeof *parts->weights);
    }
    model->starts = parts->starts = qn_alloc_array(request->n_cells + 1, sizeof *parts->starts);
    parts->x = qn_alloc_array(n_dense, sizeof *parts->x);
    parts->sums = qn_alloc_array(n_dense, sizeof *parts->sums);
    const bool complete = parts->scales && parts->target && parts->starts && parts->x &&
                          parts->sums && (parts->weights || !request->weights);
    return complete ? QN_OK : qn_fail(err, QN_ERR_NOMEM, "no memory for %" PRId64 " neighbours", n);
}

qn_status qn_knn_create(const qn_knn_request *request, qn_estimator **out, qn_error *err)
{
    *out = NULL;
    struct knn *model = qn_alloc_array(1, sizeof *model);
    if (!model) return qn_fail(err, QN_ERR_NOMEM, "no memory for a model of neighbours");
    struct parts parts = {0};
    model->head = (qn_estimator){
        .family = &qn_family_knn, .view = QN_VIEW_DENSE, .n_outputs = request->n_outputs};
    model->task = request->task;
    model->n_neighbours = request->n_neighbours;
    model->by_distance = request->by_distance;
    model->probe_rows = request->n_rows;
    const qn_status status = allocate(request, model, &parts, err);
    if (status == QN_OK) {
        fill_rows(request, model, &parts);
        fill_cells(request, model, &parts);
        *out = &model->head;
    } else {
        free_model(&model->head);
    }
    qn_free(parts.x);
    qn_free(parts.sums);
    return status;
}

void qn_knn_set_neighbours(qn_estimator *estimator, int32_t n_neighbours)
{
    ((struct knn *)estimator)->n_neighbours = n_neighbours;
}

void qn_knn_set_probe_rows(qn_estimator *estimator, int64_t n_rows)
{
    ((struct knn *)estimator)->probe_rows = n_rows;
}

static void write_rows(const qn_neighbours *rows, qn_writer *writer)
{
    qn_write_array(writer, rows->panels, qn_panels_floats(rows->n_dense, rows->n), sizeof(float));
    qn_write_array(writer, rows->squares, rows->n, sizeof(float));
}

static void write_model(const qn_estimator *estimator, qn_writer *writer)
{
    const struct knn *model = (const struct knn *)estimator;
    const int64_t n = model->rows.n, n_cells = model->centres.n;
    qn_write_i32(writer, (int32_t)model->task);
    qn_write_i32(writer, (int32_t)model->rows.metric);
    qn_write_i32(writer, model->n_neighbours);
    qn_write_i32(writer, model->by_distance);
    qn_write_i32(writer, estimator->n_outputs);
    qn_write_i64(writer, model->rows.n_dense);
    qn_write_array(writer, model->scales, model->rows.n_dense, sizeof(float));
    write_rows(&model->rows, writer);
    qn_write_array(writer, model->target, n, sizeof(double));
    qn_write_array(writer, model->weights, model->weights ? n : 0, sizeof(double));
    qn_write_i64(writer, model->probe_rows);
    write_rows(&model->centres, writer);
    qn_write_array(writer, model->starts, n_cells > 0 ? n_cells + 1 : 0, sizeof(int64_t));
}

/* Classes within the outputs, numbers finite. */
static bool is_sound(const struct knn *model)
{
    const bool multiclass = model->task == QN_TASK_MULTICLASS;
    const double most = multiclass ? model->head.n_outputs - 1 : 1;
    const bool is_class = multiclass || model->task == QN_TASK_BINARY;
    if (model->head.n_outputs < 1 || (model->head.n_outputs > 1 && !multiclass)) return false;
    for (int64_t i = 0; i < model->rows.n; i++) {
        const double y = model->target[i];
        if (!isfinite(y) || (is_class && (y < 0 || y > most || y != floor(y)))) return false;
    }
    return true;
}

/* No cell empty, and all rows in one. */
static bool cells_are_sound(const struct knn *model, int64_t n_starts)
{
    const int64_t n_cells = model->centres.n;
    if (model->probe_rows < 1 || model->probe_rows > model->rows.n) return false;
    if (n_cells == 0) return n_starts == 0;
    if (n_starts != n_cells + 1 || model->starts[0] != 0) return false;
    for (int64_t c = 0; c < n_cells; c++) {
        if (model->starts[c + 1] <= model->starts[c]) return false;
    }
    return model->starts[n_cells] == model->rows.n;
}

/* False when the two arrays do not belong together. */
static bool read_rows(qn_reader *reader, qn_neighbours *rows)
{
    int64_t n_panels;
    rows->panels = (float *)(uintptr_t)qn_read_array(reader, sizeof(float), &n_panels);
    rows->squares = (float *)(uintptr_t)qn_read_array(reader, sizeof(float), &rows->n);
    return rows->n <= INT32_MAX && n_panels == qn_panels_floats(rows->n_dense, rows->n);
}

/* `model` zeroed; its arrays are borrowed. False: damaged. */
static bool read_parts(qn_reader *reader, int64_t n_features, struct knn *model)
{
    int64_t n_scales, n_targets, n_weights, n_starts;
    const int32_t task = qn_read_i32(reader), metric = qn_read_i32(reader);
    model->borrowed = true;
    model->n_neighbours = qn_read_i32(reader);
    model->by_distance = qn_read_i32(reader) != 0;
    model->head.n_outputs = qn_read_i32(reader);
    model->head.n_dense = qn_read_i64(reader);
    if (reader->failed || task < 0 || task > QN_TASK_RANKING || metric < 0 ||
        metric > QN_KNN_GOWER || model->n_neighbours < 1 ||
        model->n_neighbours > QN_NEIGHBOURS_MAX || model->head.n_dense < 1 ||
        model->head.n_dense > n_features) {
        return false;
    }
    model->task = (qn_task)task;
    model->scales = qn_read_array(reader, sizeof(float), &n_scales);
    set_metric(model, (qn_knn_metric)metric, model->head.n_dense);
    if (!read_rows(reader, &model->rows) || model->rows.n < 1) return false;
    model->target = qn_read_array(reader, sizeof(double), &n_targets);
    model->weights = qn_read_array(reader, sizeof(double), &n_weights);
    model->probe_rows = qn_read_i64(reader);
    if (!read_rows(reader, &model->centres)) return false;
    model->starts = qn_read_array(reader, sizeof(int64_t), &n_starts);
    if (n_weights == 0) model->weights = NULL;
    const int64_t n = model->rows.n;
    return !reader->failed && n_scales == model->head.n_dense && n_targets == n &&
           (n_weights == 0 || n_weights == n) && cells_are_sound(model, n_starts) &&
           is_sound(model);
}

static qn_status read_model(qn_reader *reader, int64_t n_features, qn_estimator **out,
                            qn_error *err)
{
    struct knn *model = qn_alloc_array(1, sizeof *model);
    if (!model) return qn_fail(err, QN_ERR_NOMEM, "no memory for a model of neighbours");
    if (!read_parts(reader, n_features, model)) {
        qn_free(model);
        return qn_fail(err, QN_ERR_DATA, "model: a model of neighbours is damaged");
    }
    *out = &model->head;
    return QN_OK;
}

static void describe(const qn_estimator *estimator, qn_json_writer *json)
{
    const struct knn *model = (const struct knn *)estimator;
    qn_json_put_text(json, "metric", metric_names[model->rows.metric]);
    qn_json_put_int(json, "neighbours", model->n_neighbours);
    qn_json_put_int(json, "rows", model->rows.n);
    if (model->centres.n == 0) return;
    qn_json_put_int(json, "cells", model->centres.n);
    qn_json_put_int(json, "rows_looked_at", model->probe_rows);
}

const qn_family qn_family_knn = {.name = "knn",
                                 .predict = predict,
                                 .scratch_bytes = scratch_bytes,
                                 .write = write_model,
                                 .read = read_model,
                                 .describe = describe,
                                 .free = free_model};
