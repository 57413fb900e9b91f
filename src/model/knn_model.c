/* SPDX-License-Identifier: Apache-2.0 */
#include "model/knn_model.h"

#include "base/alloc.h"
#include "linalg/gemm.h"

#include <math.h>
#include <string.h>

enum {
    TILE_ROWS = 512, /* training rows at a time: whole panels */
    SPARE = 8        /* neighbours kept beyond k, since preselection is in float */
};

struct knn {
    qn_estimator head;
    qn_task task;
    qn_knn_metric metric;
    int32_t n_neighbours;
    bool by_distance, borrowed;
    int64_t n_rows, n_dense;
    const float *panels;   /* of the transposed rows, n_dense × n_rows: see linalg/gemm.h */
    const float *squares;  /* n_rows: |x|^2; QN_KNN_EUCLIDEAN only */
    const float *scales;   /* n_dense: weights of absolute differences; the other metrics */
    const double *target;  /* n_rows */
    const double *weights; /* n_rows, or NULL */
};

static const char *const metric_names[] = {"euclidean", "manhattan", "gower"};

static float element(const struct knn *model, int64_t row, int64_t f)
{
    return model->panels[row / QN_PANEL_COLS * QN_PANEL_COLS * model->n_dense + f * QN_PANEL_COLS +
                         row % QN_PANEL_COLS];
}

/* A neighbour; nearer, or as near and of a smaller number, comes first. */
struct near {
    float distance;
    int32_t row;
};

static bool is_farther(struct near a, struct near b)
{
    return a.distance > b.distance || (a.distance == b.distance && a.row > b.row);
}

/* The farthest of n stands on top of the heap. */
static void sift_down(struct near *heap, int32_t n, int32_t at)
{
    for (;;) {
        int32_t child = 2 * at + 1;
        if (child >= n) return;
        if (child + 1 < n && is_farther(heap[child + 1], heap[child])) child++;
        if (!is_farther(heap[child], heap[at])) return;
        const struct near kept = heap[at];
        heap[at] = heap[child];
        heap[child] = kept;
        at = child;
    }
}

static void offer(struct near *heap, int32_t *n, int32_t room, struct near candidate)
{
    if (*n == room) {
        if (!is_farther(heap[0], candidate)) return;
        heap[0] = candidate;
        sift_down(heap, room, 0);
        return;
    }
    heap[(*n)++] = candidate;
    if (*n < room) return;
    for (int32_t at = room / 2; at-- > 0;) {
        sift_down(heap, room, at);
    }
}

/* |y|^2 - 2 x y for a tile of training rows: what orders them by distance to x. */
static void products_tile(const struct knn *model, const float *queries, int64_t n_queries,
                          int64_t first, int64_t n, float *out)
{
    const qn_gemm product = {.m = n_queries,
                             .n = n,
                             .k = model->n_dense,
                             .a = queries,
                             .a_row_step = model->n_dense,
                             .a_col_step = 1,
                             .panels = model->panels + first * model->n_dense,
                             .c = out,
                             .c_row_step = TILE_ROWS};
    qn_gemm_run(&product, NULL);
    for (int64_t q = 0; q < n_queries; q++) {
        float *row = out + q * TILE_ROWS;
        for (int64_t i = 0; i < n; i++) {
            row[i] = model->squares[first + i] - 2 * row[i];
        }
    }
}

static void differences_tile(const struct knn *model, const float *queries, int64_t n_queries,
                             int64_t first, int64_t n, float *out)
{
    for (int64_t q = 0; q < n_queries; q++) {
        const float *x = queries + q * model->n_dense;
        for (int64_t i = 0; i < n; i += QN_PANEL_COLS) {
            const float *panel = model->panels + (first + i) * model->n_dense;
            float sums[QN_PANEL_COLS] = {0};
            for (int64_t f = 0; f < model->n_dense; f++) {
                for (int lane = 0; lane < QN_PANEL_COLS; lane++) {
                    sums[lane] += model->scales[f] * fabsf(x[f] - panel[f * QN_PANEL_COLS + lane]);
                }
            }
            const int64_t width = n - i < QN_PANEL_COLS ? n - i : QN_PANEL_COLS;
            memcpy(out + q * TILE_ROWS + i, sums, (size_t)width * sizeof *sums);
        }
    }
}

/* The distance itself, in double. */
static double distance_of(const struct knn *model, const float *x, int64_t row)
{
    double sum = 0;
    for (int64_t f = 0; f < model->n_dense; f++) {
        const double d = (double)x[f] - (double)element(model, row, f);
        sum += model->metric == QN_KNN_EUCLIDEAN ? d * d : (double)model->scales[f] * fabs(d);
    }
    return model->metric == QN_KNN_EUCLIDEAN ? sqrt(sum) : sum;
}

/* Insertion sort by the exact distance, then number: few, and nearly in order. */
static void order_exactly(const struct knn *model, const float *x, struct near *found, int32_t n,
                          double *distances)
{
    for (int32_t i = 0; i < n; i++) {
        const struct near item = found[i];
        const double distance = distance_of(model, x, item.row);
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
}

static void vote(const struct knn *model, const struct near *found, const double *distances,
                 int32_t n, double *out)
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

static int32_t room_of(const struct knn *model)
{
    const int64_t room = model->n_neighbours + SPARE;
    return (int32_t)(room < model->n_rows ? room : model->n_rows);
}

static size_t padded(size_t bytes)
{
    return (bytes + 63) / 64 * 64;
}

struct work {
    float *queries;     /* n_queries × n_dense */
    float *tile;        /* n_queries × TILE_ROWS */
    struct near *heaps; /* n_queries × room */
    int32_t *counts;    /* n_queries */
    double *distances;  /* room */
};

/* Lays out the scratch; returns its size. `scratch` NULL: only that. */
static size_t lay_out(const struct knn *model, int64_t n_queries, void *scratch, struct work *work)
{
    const size_t n = (size_t)n_queries, room = (size_t)room_of(model);
    const size_t sizes[] = {n * (size_t)model->n_dense * sizeof(float),
                            n * TILE_ROWS * sizeof(float), n * room * sizeof(struct near),
                            n * sizeof(int32_t), room * sizeof(double)};
    void *parts[sizeof sizes / sizeof *sizes];
    size_t at = 0;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        parts[i] = scratch ? (char *)scratch + at : NULL;
        at += padded(sizes[i]);
    }
    *work = (struct work){parts[0], parts[1], parts[2], parts[3], parts[4]};
    return at;
}

static size_t scratch_bytes(const qn_estimator *estimator, int64_t n_rows)
{
    struct work work;
    return lay_out((const struct knn *)estimator, n_rows, NULL, &work);
}

static void predict(const qn_estimator *estimator, const qn_matrix *features, double *out,
                    void *scratch)
{
    const struct knn *model = (const struct knn *)estimator;
    const int64_t n_queries = features->n_rows;
    const int32_t room = room_of(model);
    const int32_t n_voting =
        model->n_neighbours < model->n_rows ? model->n_neighbours : (int32_t)model->n_rows;
    struct work work;
    lay_out(model, n_queries, scratch, &work);
    qn_matrix_gather(features, 0, n_queries, model->n_dense, work.queries);
    memset(work.counts, 0, (size_t)n_queries * sizeof *work.counts);
    for (int64_t first = 0; first < model->n_rows; first += TILE_ROWS) {
        const int64_t n = model->n_rows - first < TILE_ROWS ? model->n_rows - first : TILE_ROWS;
        if (model->metric == QN_KNN_EUCLIDEAN) {
            products_tile(model, work.queries, n_queries, first, n, work.tile);
        } else {
            differences_tile(model, work.queries, n_queries, first, n, work.tile);
        }
        for (int64_t q = 0; q < n_queries; q++) {
            for (int64_t i = 0; i < n; i++) {
                offer(work.heaps + q * room, &work.counts[q], room,
                      (struct near){work.tile[q * TILE_ROWS + i], (int32_t)(first + i)});
            }
        }
    }
    for (int64_t q = 0; q < n_queries; q++) {
        struct near *found = work.heaps + q * room;
        order_exactly(model, work.queries + q * model->n_dense, found, room, work.distances);
        vote(model, found, work.distances, n_voting, out + q * estimator->n_outputs);
    }
}

static void free_model(qn_estimator *estimator)
{
    struct knn *model = (struct knn *)estimator;
    if (!model->borrowed) {
        qn_free((void *)(uintptr_t)model->panels);
        qn_free((void *)(uintptr_t)model->squares);
        qn_free((void *)(uintptr_t)model->scales);
        qn_free((void *)(uintptr_t)model->target);
        qn_free((void *)(uintptr_t)model->weights);
    }
    qn_free(model);
}

struct parts {
    float *panels, *squares, *scales;
    double *target, *weights;
};

/* Absolute differences count once for a number's whole range, half for an indicator. */
static void find_scales(const qn_knn_request *request, float *scales)
{
    const qn_matrix *x = request->rows;
    for (int64_t f = 0; f < x->n_dense; f++) {
        double low = QN_INF, high = -QN_INF;
        bool is_indicator = true;
        for (int64_t i = 0; i < request->n_rows; i++) {
            const double value =
                x->dense[f * x->stride + (request->chosen ? request->chosen[i] : i)];
            low = fmin(low, value);
            high = fmax(high, value);
            is_indicator &= value == 0 || value == 1;
        }
        scales[f] = 1;
        if (request->metric != QN_KNN_GOWER) continue;
        scales[f] = is_indicator ? 0.5F : high > low ? (float)(1 / (high - low)) : 0;
    }
}

static void fill(const qn_knn_request *request, struct parts *parts)
{
    const qn_matrix *x = request->rows;
    memset(parts->panels, 0,
           (size_t)qn_panels_floats(x->n_dense, request->n_rows) * sizeof *parts->panels);
    for (int64_t i = 0; i < request->n_rows; i++) {
        const int64_t row = request->chosen ? request->chosen[i] : i;
        float *to =
            parts->panels + i / QN_PANEL_COLS * QN_PANEL_COLS * x->n_dense + i % QN_PANEL_COLS;
        float sum = 0;
        for (int64_t f = 0; f < x->n_dense; f++) {
            const float value = (float)x->dense[f * x->stride + row];
            to[f * QN_PANEL_COLS] = value;
            sum += value * value;
        }
        parts->squares[i] = sum;
        parts->target[i] = request->target[row];
        if (parts->weights) parts->weights[i] = request->weights[row];
    }
    find_scales(request, parts->scales);
}

qn_status qn_knn_create(const qn_knn_request *request, qn_estimator **out, qn_error *err)
{
    const int64_t n = request->n_rows, n_dense = request->rows->n_dense;
    *out = NULL;
    struct knn *model = qn_alloc_array(1, sizeof *model);
    struct parts parts = {.panels = qn_alloc_aligned(qn_panels_floats(n_dense, n), sizeof(float)),
                          .squares = qn_alloc_array(n, sizeof(float)),
                          .scales = qn_alloc_array(n_dense, sizeof(float)),
                          .target = qn_alloc_array(n, sizeof(double)),
                          .weights = request->weights ? qn_alloc_array(n, sizeof(double)) : NULL};
    if (!model || !parts.panels || !parts.squares || !parts.scales || !parts.target ||
        (request->weights && !parts.weights)) {
        qn_free(model);
        qn_free(parts.panels);
        qn_free(parts.squares);
        qn_free(parts.scales);
        qn_free(parts.target);
        qn_free(parts.weights);
        return qn_fail(err, QN_ERR_NOMEM, "no memory for %" PRId64 " neighbours", n);
    }
    fill(request, &parts);
    *model = (struct knn){
        .head = {.family = &qn_family_knn, .view = QN_VIEW_DENSE, .n_outputs = request->n_outputs},
        .task = request->task,
        .metric = request->metric,
        .n_neighbours = request->n_neighbours,
        .by_distance = request->by_distance,
        .n_rows = n,
        .n_dense = n_dense,
        .panels = parts.panels,
        .squares = parts.squares,
        .scales = parts.scales,
        .target = parts.target,
        .weights = parts.weights};
    *out = &model->head;
    return QN_OK;
}

void qn_knn_set_neighbours(qn_estimator *estimator, int32_t n_neighbours)
{
    ((struct knn *)estimator)->n_neighbours = n_neighbours;
}

static void write_model(const qn_estimator *estimator, qn_writer *writer)
{
    const struct knn *model = (const struct knn *)estimator;
    const int64_t n = model->n_rows;
    qn_write_i32(writer, (int32_t)model->task);
    qn_write_i32(writer, (int32_t)model->metric);
    qn_write_i32(writer, model->n_neighbours);
    qn_write_i32(writer, model->by_distance);
    qn_write_i32(writer, estimator->n_outputs);
    qn_write_i64(writer, model->n_dense);
    qn_write_array(writer, model->panels, qn_panels_floats(model->n_dense, n), sizeof(float));
    qn_write_array(writer, model->squares, n, sizeof(float));
    qn_write_array(writer, model->scales, model->n_dense, sizeof(float));
    qn_write_array(writer, model->target, n, sizeof(double));
    qn_write_array(writer, model->weights, model->weights ? n : 0, sizeof(double));
}

/* Classes within the outputs, numbers finite. */
static bool is_sound(const struct knn *model)
{
    const bool multiclass = model->task == QN_TASK_MULTICLASS;
    const double most = multiclass ? model->head.n_outputs - 1 : 1;
    const bool is_class = multiclass || model->task == QN_TASK_BINARY;
    if (model->head.n_outputs < 1 || (model->head.n_outputs > 1 && !multiclass)) return false;
    for (int64_t i = 0; i < model->n_rows; i++) {
        const double y = model->target[i];
        if (!isfinite(y) || (is_class && (y < 0 || y > most || y != floor(y)))) return false;
    }
    return true;
}

static qn_status read_model(qn_reader *reader, int64_t n_features, qn_estimator **out,
                            qn_error *err)
{
    struct knn *model = qn_alloc_array(1, sizeof *model);
    if (!model) return qn_fail(err, QN_ERR_NOMEM, "no memory for a model of neighbours");
    int64_t n_panels, n_squares, n_scales, n_weights;
    const int32_t task = qn_read_i32(reader), metric = qn_read_i32(reader);
    model->n_neighbours = qn_read_i32(reader);
    model->by_distance = qn_read_i32(reader) != 0;
    model->head.n_outputs = qn_read_i32(reader);
    model->n_dense = qn_read_i64(reader);
    model->panels = qn_read_array(reader, sizeof(float), &n_panels);
    model->squares = qn_read_array(reader, sizeof(float), &n_squares);
    model->scales = qn_read_array(reader, sizeof(float), &n_scales);
    model->target = qn_read_array(reader, sizeof(double), &model->n_rows);
    model->weights = qn_read_array(reader, sizeof(double), &n_weights);
    model->borrowed = true;
    if (n_weights == 0) model->weights = NULL;
    model->task = (qn_task)task;
    model->metric = (qn_knn_metric)metric;
    const int64_t n = model->n_rows;
    if (reader->failed || task < 0 || task > QN_TASK_RANKING || metric < 0 ||
        metric > QN_KNN_GOWER || model->n_neighbours < 1 ||
        model->n_neighbours > QN_NEIGHBOURS_MAX || model->n_dense < 1 ||
        model->n_dense > n_features || n < 1 || n > INT32_MAX || n_squares != n ||
        n_scales != model->n_dense || (n_weights != 0 && n_weights != n) ||
        n_panels != qn_panels_floats(model->n_dense, n) || !is_sound(model)) {
        qn_free(model);
        return qn_fail(err, QN_ERR_DATA, "model: a model of neighbours is damaged");
    }
    model->head.n_dense = model->n_dense;
    *out = &model->head;
    return QN_OK;
}

static void describe(const qn_estimator *estimator, qn_json_writer *json)
{
    const struct knn *model = (const struct knn *)estimator;
    qn_json_put_text(json, "metric", metric_names[model->metric]);
    qn_json_put_int(json, "neighbours", model->n_neighbours);
    qn_json_put_int(json, "rows", model->n_rows);
}

const qn_family qn_family_knn = {.name = "knn",
                                 .predict = predict,
                                 .scratch_bytes = scratch_bytes,
                                 .write = write_model,
                                 .read = read_model,
                                 .describe = describe,
                                 .free = free_model};
