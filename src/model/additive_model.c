/* SPDX-License-Identifier: Apache-2.0 */
#include "model/additive_model.h"

#include "base/alloc.h"

#include <math.h>
#include <string.h>

/* Files without shares begin with the link, others with this more. */
enum { WITH_SHARES = 256 };

struct additive {
    qn_estimator head;
    bool borrowed;
    qn_additive_parts parts;
};

void qn_additive_parts_release(qn_additive_parts *parts)
{
    qn_free(parts->n_levels);
    qn_free(parts->edge_starts);
    qn_free(parts->edges);
    qn_free(parts->bin_starts);
    qn_free(parts->n_coarse);
    qn_free(parts->coarse);
    qn_free(parts->term_features);
    qn_free(parts->term_starts);
    qn_free(parts->scores);
    qn_free(parts->shares);
    qn_free(parts->intercepts);
    *parts = (qn_additive_parts){0};
}

qn_status qn_additive_create(qn_additive_parts *parts, qn_estimator **out, qn_error *err)
{
    struct additive *model = qn_alloc_array(1, sizeof *model);
    *out = NULL;
    if (!model) {
        qn_additive_parts_release(parts);
        return qn_fail(err, QN_ERR_NOMEM, "no memory for an additive model");
    }
    *model = (struct additive){.head = {.family = &qn_family_additive,
                                        .view = QN_VIEW_TREE,
                                        .n_outputs = parts->n_outputs},
                               .parts = *parts};
    *parts = (qn_additive_parts){0};
    *out = &model->head;
    return QN_OK;
}

const qn_additive_parts *qn_additive_parts_of(const qn_estimator *estimator)
{
    return estimator->family == &qn_family_additive ? &((const struct additive *)estimator)->parts
                                                    : NULL;
}

/* Bins of a row, and the scores of a term's cell. */

int32_t qn_additive_bin(const qn_additive_parts *p, int64_t f, double value)
{
    if (isnan(value)) return 0;
    if (p->n_levels[f] > 0) {
        return value >= 0 && value < p->n_levels[f] ? 1 + (int32_t)value : 0;
    }
    const double *edges = p->edges + p->edge_starts[f];
    int64_t at = 0;
    for (int64_t left = p->edge_starts[f + 1] - p->edge_starts[f]; left > 0;) {
        const int64_t half = (left + 1) / 2;
        at += half & -(int64_t)(value > edges[at + half - 1]);
        left -= half;
    }
    return 1 + (int32_t)at;
}

static void fill_bins(const qn_additive_parts *p, const qn_matrix *features, int64_t row,
                      int32_t *bins)
{
    for (int64_t f = 0; f < p->n_features; f++) {
        bins[f] = qn_additive_bin(p, f, features->dense[f * features->stride + row]);
    }
}

int64_t qn_additive_cell(const qn_additive_parts *p, int64_t term, int32_t a, int32_t b)
{
    const int32_t first = p->term_features[2 * term], second = p->term_features[2 * term + 1];
    if (second < 0) return a;
    return (int64_t)p->coarse[p->bin_starts[first] + a] * p->n_coarse[second] +
           p->coarse[p->bin_starts[second] + b];
}

static const double *cell_of(const qn_additive_parts *p, int64_t term, const int32_t *bins)
{
    const int32_t b = p->term_features[2 * term + 1];
    const int64_t cell =
        qn_additive_cell(p, term, bins[p->term_features[2 * term]], b >= 0 ? bins[b] : 0);
    return p->scores + (p->term_starts[term] + cell) * p->n_outputs;
}

/* Predicting. */

static size_t scratch_bytes(const qn_estimator *estimator, int64_t n_rows)
{
    (void)n_rows;
    return (size_t)((const struct additive *)estimator)->parts.n_features * sizeof(int32_t);
}

static void scores(const qn_estimator *estimator, const qn_matrix *features, double *out,
                   void *scratch)
{
    const qn_additive_parts *p = &((const struct additive *)estimator)->parts;
    const int32_t k = p->n_outputs;
    for (int64_t row = 0; row < features->n_rows; row++) {
        double *sums = out + row * k;
        fill_bins(p, features, row, scratch);
        memcpy(sums, p->intercepts, (size_t)k * sizeof *sums);
        for (int64_t t = 0; t < p->n_terms; t++) {
            const double *cell = cell_of(p, t, scratch);
            for (int32_t c = 0; c < k; c++) {
                sums[c] += cell[c];
            }
        }
    }
}

static void link_row(const qn_estimator *estimator, double *row)
{
    qn_link_apply(((const struct additive *)estimator)->parts.link, 1, estimator->n_outputs, row);
}

static void predict(const qn_estimator *estimator, const qn_matrix *features, double *out,
                    void *scratch)
{
    scores(estimator, features, out, scratch);
    for (int64_t row = 0; row < features->n_rows; row++) {
        link_row(estimator, out + row * estimator->n_outputs);
    }
}

static void pull_back(const qn_estimator *estimator, const double *row_scores,
                      const double *predictions, double *gradient)
{
    const qn_link link = ((const struct additive *)estimator)->parts.link;
    const int32_t k = estimator->n_outputs;
    double mean = 0;
    (void)row_scores;
    if (link == QN_LINK_LOGISTIC) gradient[0] *= predictions[0] * (1 - predictions[0]);
    if (link != QN_LINK_SOFTMAX) return;
    for (int32_t c = 0; c < k; c++) {
        mean += gradient[c] * predictions[c];
    }
    for (int32_t c = 0; c < k; c++) {
        gradient[c] = predictions[c] * (gradient[c] - mean);
    }
}

void qn_additive_row_parts(const qn_estimator *estimator, const qn_matrix *features, int64_t row,
                           double *out, void *scratch)
{
    const qn_additive_parts *p = &((const struct additive *)estimator)->parts;
    const int64_t n = p->n_features;
    memset(out, 0, (size_t)(n * p->n_outputs) * sizeof *out);
    fill_bins(p, features, row, scratch);
    for (int64_t t = 0; t < p->n_terms; t++) {
        const int32_t a = p->term_features[2 * t], b = p->term_features[2 * t + 1];
        const double *cell = cell_of(p, t, scratch);
        for (int32_t c = 0; c < p->n_outputs; c++) {
            out[c * n + a] += b < 0 ? cell[c] : 0.5 * cell[c];
            if (b >= 0) out[c * n + b] += 0.5 * cell[c];
        }
    }
}

/* Writing and reading. */

static void write_model(const qn_estimator *estimator, qn_writer *writer)
{
    const qn_additive_parts *p = &((const struct additive *)estimator)->parts;
    const int64_t n = p->n_features;
    qn_write_i32(writer, (int32_t)p->link + (p->shares ? WITH_SHARES : 0));
    qn_write_array(writer, p->n_levels, n, sizeof *p->n_levels);
    qn_write_array(writer, p->edge_starts, n + 1, sizeof *p->edge_starts);
    qn_write_array(writer, p->edges, p->edge_starts[n], sizeof *p->edges);
    qn_write_array(writer, p->bin_starts, n + 1, sizeof *p->bin_starts);
    qn_write_array(writer, p->n_coarse, n, sizeof *p->n_coarse);
    qn_write_array(writer, p->coarse, p->bin_starts[n], sizeof *p->coarse);
    qn_write_array(writer, p->term_features, 2 * p->n_terms, sizeof *p->term_features);
    qn_write_array(writer, p->term_starts, p->n_terms + 1, sizeof *p->term_starts);
    qn_write_array(writer, p->scores, p->term_starts[p->n_terms] * p->n_outputs, sizeof *p->scores);
    qn_write_array(writer, p->intercepts, p->n_outputs, sizeof *p->intercepts);
    if (p->shares) {
        qn_write_array(writer, p->shares, p->term_starts[p->n_terms], sizeof *p->shares);
    }
}

static void *borrow(qn_reader *reader, size_t item_bytes, int64_t *n)
{
    return (void *)(uintptr_t)qn_read_array(reader, item_bytes, n);
}

static bool all_finite(const double *values, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        if (!isfinite(values[i])) return false;
    }
    return true;
}

static bool good_feature(const qn_additive_parts *p, int64_t f)
{
    const int64_t begin = p->edge_starts[f], n_edges = p->edge_starts[f + 1] - begin;
    const int32_t n_levels = p->n_levels[f];
    const int64_t n_bins = n_levels > 0 ? 1 + (int64_t)n_levels : n_edges + 2;
    if (n_levels < 0 || (n_levels > 0 && n_edges != 0) || n_bins > QN_ADDITIVE_BINS_MAX ||
        p->bin_starts[f + 1] - p->bin_starts[f] != n_bins || p->n_coarse[f] < 1 ||
        p->n_coarse[f] > n_bins) {
        return false;
    }
    for (int64_t i = 1; i < n_edges; i++) {
        if (!(p->edges[begin + i - 1] < p->edges[begin + i])) return false;
    }
    for (int64_t i = p->bin_starts[f]; i < p->bin_starts[f + 1]; i++) {
        if (p->coarse[i] < 0 || p->coarse[i] >= p->n_coarse[f]) return false;
    }
    return true;
}

static bool good_term(const qn_additive_parts *p, int64_t t)
{
    const int32_t a = p->term_features[2 * t], b = p->term_features[2 * t + 1];
    if (a < 0 || a >= p->n_features || b < -1 || b >= p->n_features) return false;
    const int64_t n_cells =
        b < 0 ? p->bin_starts[a + 1] - p->bin_starts[a] : (int64_t)p->n_coarse[a] * p->n_coarse[b];
    return n_cells <= QN_ADDITIVE_BINS_MAX && p->term_starts[t + 1] - p->term_starts[t] == n_cells;
}

/* Whether starts go from 0 to n without going back. */
static bool good_starts(const int64_t *starts, int64_t count, int64_t n)
{
    if (starts[0] != 0 || starts[count] != n) return false;
    for (int64_t i = 0; i < count; i++) {
        if (starts[i + 1] < starts[i]) return false;
    }
    return true;
}

static bool good_parts(const qn_additive_parts *p)
{
    for (int64_t f = 0; f < p->n_features; f++) {
        if (!good_feature(p, f)) return false;
    }
    for (int64_t t = 0; t < p->n_terms; t++) {
        if (!good_term(p, t)) return false;
    }
    return p->link == QN_LINK_SOFTMAX ? p->n_outputs > 1 : p->n_outputs == 1;
}

/* False when something is out of place. */
static bool read_parts(qn_reader *reader, int64_t n_features, qn_additive_parts *p)
{
    int64_t n_levels, n_edge_starts, n_edges, n_bin_starts, n_coarse, n_bins, n_features_of_terms,
        n_term_starts, n_scores, n_outputs, n_shares = 0;
    const int32_t kind = qn_read_i32(reader);
    const bool with_shares = kind >= WITH_SHARES;
    const int32_t link = with_shares ? kind - WITH_SHARES : kind;
    p->n_levels = borrow(reader, sizeof *p->n_levels, &n_levels);
    p->edge_starts = borrow(reader, sizeof *p->edge_starts, &n_edge_starts);
    p->edges = borrow(reader, sizeof *p->edges, &n_edges);
    p->bin_starts = borrow(reader, sizeof *p->bin_starts, &n_bin_starts);
    p->n_coarse = borrow(reader, sizeof *p->n_coarse, &n_coarse);
    p->coarse = borrow(reader, sizeof *p->coarse, &n_bins);
    p->term_features = borrow(reader, sizeof *p->term_features, &n_features_of_terms);
    p->term_starts = borrow(reader, sizeof *p->term_starts, &n_term_starts);
    p->scores = borrow(reader, sizeof *p->scores, &n_scores);
    p->intercepts = borrow(reader, sizeof *p->intercepts, &n_outputs);
    p->shares = with_shares ? borrow(reader, sizeof *p->shares, &n_shares) : NULL;
    if (reader->failed || n_outputs < 1 || n_outputs > QN_CLASSES_MAX || n_levels != n_features ||
        n_edge_starts != n_features + 1 || n_bin_starts != n_features + 1 ||
        n_coarse != n_features || n_features_of_terms != 2 * (n_term_starts - 1) ||
        n_term_starts < 1 || n_scores % n_outputs != 0 ||
        (with_shares && n_shares != n_scores / n_outputs) ||
        (link != QN_LINK_IDENTITY && link != QN_LINK_LOGISTIC && link != QN_LINK_SOFTMAX)) {
        return false;
    }
    p->link = (qn_link)link;
    p->n_outputs = (int32_t)n_outputs;
    p->n_features = n_features;
    p->n_terms = n_term_starts - 1;
    return good_starts(p->edge_starts, n_features, n_edges) &&
           good_starts(p->bin_starts, n_features, n_bins) &&
           good_starts(p->term_starts, p->n_terms, n_scores / n_outputs) &&
           all_finite(p->edges, n_edges) && all_finite(p->scores, n_scores) &&
           all_finite(p->shares, n_shares) && all_finite(p->intercepts, n_outputs) && good_parts(p);
}

static qn_status read_model(qn_reader *reader, int64_t n_features, qn_estimator **out,
                            qn_error *err)
{
    struct additive *model = qn_alloc_array(1, sizeof *model);
    if (!model) return qn_fail(err, QN_ERR_NOMEM, "no memory for an additive model");
    model->borrowed = true;
    if (!read_parts(reader, n_features, &model->parts)) {
        qn_free(model);
        return qn_fail(err, QN_ERR_DATA, "model: an additive model is damaged");
    }
    model->head.n_outputs = model->parts.n_outputs;
    model->head.n_dense = n_features;
    *out = &model->head;
    return QN_OK;
}

/* Describing. */

static void describe(const qn_estimator *estimator, qn_json_writer *json)
{
    const qn_additive_parts *p = &((const struct additive *)estimator)->parts;
    int64_t n_pairs = 0;
    for (int64_t t = 0; t < p->n_terms; t++) {
        n_pairs += p->term_features[2 * t + 1] >= 0;
    }
    qn_json_put_int(json, "terms", p->n_terms);
    qn_json_put_int(json, "pairs", n_pairs);
    qn_json_put_text(json, "link",
                     p->link == QN_LINK_LOGISTIC  ? "logistic"
                     : p->link == QN_LINK_SOFTMAX ? "softmax"
                                                  : "identity");
}

static void put_doubles(qn_json_writer *json, const char *key, const double *values, int64_t n)
{
    qn_json_key(json, key);
    qn_json_begin_array(json);
    for (int64_t i = 0; i < n; i++) {
        qn_json_double(json, values[i]);
    }
    qn_json_end_array(json);
}

/* The edges between the bins of a feature, or between its coarse bins. */
static void describe_bins(const qn_additive_parts *p, int32_t f, bool coarse,
                          const qn_feature *features, qn_json_writer *json)
{
    const int32_t *coarse_of = p->coarse + p->bin_starts[f];
    const int64_t n_edges = p->edge_starts[f + 1] - p->edge_starts[f];
    qn_json_begin_object(json);
    qn_json_put_text(json, "feature", features[f].name);
    if (p->n_levels[f] > 0) {
        qn_json_put_int(json, "levels", p->n_levels[f]);
    } else {
        qn_json_key(json, "edges");
        qn_json_begin_array(json);
        for (int64_t i = 0; i < n_edges; i++) {
            if (coarse && coarse_of[1 + i] == coarse_of[2 + i]) continue;
            qn_json_double(json, p->edges[p->edge_starts[f] + i]);
        }
        qn_json_end_array(json);
    }
    if (p->n_levels[f] > 0 && coarse) {
        qn_json_key(json, "bins");
        qn_json_begin_array(json);
        for (int64_t i = 0; i <= p->n_levels[f]; i++) {
            qn_json_int(json, coarse_of[i]);
        }
        qn_json_end_array(json);
    }
    qn_json_end_object(json);
}

/* The shape functions: cells as they are stored, "missing" first, the outputs of a cell together.
 */
static void describe_features(const qn_estimator *estimator, const qn_feature *features,
                              qn_json_writer *json)
{
    const qn_additive_parts *p = &((const struct additive *)estimator)->parts;
    put_doubles(json, "intercepts", p->intercepts, p->n_outputs);
    qn_json_key(json, "shapes");
    qn_json_begin_array(json);
    for (int64_t t = 0; t < p->n_terms; t++) {
        const int32_t *term = p->term_features + 2 * t;
        const bool pair = term[1] >= 0;
        qn_json_begin_object(json);
        qn_json_key(json, "bins");
        qn_json_begin_array(json);
        for (int i = 0; i < 1 + pair; i++) {
            describe_bins(p, term[i], pair, features, json);
        }
        qn_json_end_array(json);
        put_doubles(json, "scores", p->scores + p->term_starts[t] * p->n_outputs,
                    (p->term_starts[t + 1] - p->term_starts[t]) * p->n_outputs);
        if (p->shares) {
            put_doubles(json, "shares", p->shares + p->term_starts[t],
                        p->term_starts[t + 1] - p->term_starts[t]);
        }
        qn_json_end_object(json);
    }
    qn_json_end_array(json);
}

static void free_model(qn_estimator *estimator)
{
    struct additive *model = (struct additive *)estimator;
    if (!model->borrowed) qn_additive_parts_release(&model->parts);
    qn_free(model);
}

const qn_family qn_family_additive = {.name = "additive",
                                      .predict = predict,
                                      .scratch_bytes = scratch_bytes,
                                      .write = write_model,
                                      .read = read_model,
                                      .scores = scores,
                                      .link = link_row,
                                      .pull_back = pull_back,
                                      .describe = describe,
                                      .describe_features = describe_features,
                                      .free = free_model};
