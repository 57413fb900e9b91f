/* SPDX-License-Identifier: Apache-2.0 */
#include "learn/tree/bins.h"

#include "base/alloc.h"
#include "base/rng.h"
#include "base/sort.h"
#include "model/tree_model.h"

#include <math.h>
#include <string.h>

enum {
    SAMPLE_ROWS = 200000,
    BLOCK_ROWS = 512, /* coded at a time: their codes stay in cache while features pass */
    SHARED_BINS = 16, /* features of up to this many bins may share a byte */
    GROUP_WORK = 2048 /* codes × features of a group: what taking its histogram apart costs */
};

void qn_bins_free(qn_bins *bins)
{
    if (!bins) return;
    for (int64_t f = 0; bins->features && f < bins->n_features; f++) {
        qn_free(bins->features[f].edges);
        qn_free(bins->features[f].decode);
    }
    qn_free(bins->features);
    qn_free(bins->group_codes);
    qn_free(bins->codes);
    qn_free(bins->columns);
    qn_free(bins->wide_columns);
    qn_free(bins->wide_cells);
    qn_free(bins);
}

struct job {
    const qn_dataset *dataset;
    qn_bins *bins;
    int max_bin;
    const int32_t *sample; /* training rows that edges are cut from; NULL: all */
    int64_t n_sample;
    qn_status *statuses;
    uint8_t *plain;          /* codes before features share bytes: n_rows × n_features */
    int64_t *group_features; /* per group: its feature, if it has but one */
    int64_t n_wide;
    qn_pool *pool;
};

/* Edges between distinct values where few are; otherwise so that bins hold equal shares, and no
 * value is cut in two. */
static int32_t cut(const double *sorted, int64_t n, int32_t n_most, double *edges)
{
    int64_t n_distinct = n > 0;
    for (int64_t i = 1; i < n; i++) {
        n_distinct += sorted[i] != sorted[i - 1];
    }
    int32_t n_edges = 0;
    int64_t in_bin = 0, left = n;
    int32_t bins_left = n_most;
    for (int64_t i = 0; i + 1 < n; i++) {
        in_bin++;
        if (sorted[i] == sorted[i + 1]) continue;
        const bool full = n_distinct <= n_most || (double)in_bin * bins_left >= (double)left;
        if (!full || n_edges >= n_most - 1) continue;
        double edge = 0.5 * sorted[i] + 0.5 * sorted[i + 1];
        if (!(edge < sorted[i + 1])) edge = sorted[i];
        edges[n_edges++] = edge;
        left -= in_bin;
        in_bin = 0;
        bins_left--;
    }
    return n_edges;
}

static qn_status cut_feature(const struct job *job, int64_t f, qn_bin_feature *out)
{
    const qn_matrix *train = &job->dataset->train.views[QN_VIEW_TREE];
    const double *column = train->dense + f * train->stride;
    const int64_t n = job->sample ? job->n_sample : train->n_rows;
    double *values = qn_alloc_aligned(n, sizeof *values);
    out->edges = qn_alloc_array(job->max_bin, sizeof *out->edges);
    if (!values || !out->edges) {
        qn_free(values);
        return QN_ERR_NOMEM;
    }
    int64_t n_known = 0;
    for (int64_t i = 0; i < n; i++) {
        const double value = column[job->sample ? job->sample[i] : i];
        if (!isnan(value)) values[n_known++] = value;
    }
    const bool sorted = n_known == 0 || qn_sort_doubles(values, n_known);
    if (sorted) out->n_bins = cut(values, n_known, job->max_bin - 1, out->edges) + 2;
    qn_free(values);
    return sorted ? QN_OK : QN_ERR_NOMEM;
}

/* Bins of eight numbers at a time: every search takes the same steps, none of which is a branch,
 * and the processor overlaps them. */
enum { LANES = 8 };

static void code_numbers(const qn_bin_feature *feature, const double *values, int64_t n,
                         uint16_t *codes)
{
    for (int64_t i = 0; i < n; i += LANES) {
        double lane[LANES];
        int64_t at[LANES] = {0};
        const int64_t n_lanes = n - i < LANES ? n - i : LANES;
        memcpy(lane, values + i, sizeof lane[0] * (size_t)n_lanes);
        for (int64_t l = n_lanes; l < LANES; l++) {
            lane[l] = 0;
        }
        for (int64_t left = feature->n_bins - 2; left > 0;) {
            const int64_t half = (left + 1) / 2;
            const double *edges = feature->edges + half - 1;
            for (int l = 0; l < LANES; l++) {
                at[l] += half & -(int64_t)(lane[l] > edges[at[l]]);
            }
            left -= half;
        }
        for (int64_t l = 0; l < n_lanes; l++) {
            codes[i + l] = isnan(lane[l]) ? 0 : (uint16_t)(1 + at[l]);
        }
    }
}

static void code_categories(const qn_bin_feature *feature, const double *values, int64_t n,
                            uint16_t *codes)
{
    for (int64_t i = 0; i < n; i++) {
        const bool known = values[i] >= 0 && values[i] < feature->n_bins - 1;
        codes[i] = known ? (uint16_t)(1 + (int32_t)values[i]) : 0;
    }
}

/* Rows begin … end - 1 of a view, which are rows `first` and on of the bins. */
static void code_rows(const struct job *job, const qn_matrix *view, int64_t begin, int64_t end,
                      int64_t first)
{
    const int64_t n_features = job->bins->n_features, n = end - begin;
    uint16_t room[BLOCK_ROWS];
    for (int64_t f = 0; f < n_features; f++) {
        const qn_bin_feature *feature = &job->bins->features[f];
        const double *values = view->dense + f * view->stride + begin;
        const bool wide = feature->n_bins > QN_NARROW_BINS_MAX;
        uint16_t *codes =
            wide ? job->bins->wide_columns + feature->group * job->bins->n_rows + first : room;
        if (feature->categorical) {
            code_categories(feature, values, n, codes);
        } else {
            code_numbers(feature, values, n, codes);
        }
        uint8_t *plain = job->plain + first * n_features + f;
        for (int64_t i = 0; !wide && i < n; i++) {
            plain[i * n_features] = (uint8_t)codes[i];
        }
    }
}

static void code_block(void *context, int64_t i)
{
    struct job *job = context;
    const qn_dataset *dataset = job->dataset;
    const int64_t n_train = dataset->train.n_rows, n = job->bins->n_rows;
    const int64_t begin = i * BLOCK_ROWS, end = begin + BLOCK_ROWS < n ? begin + BLOCK_ROWS : n;
    const int64_t border = n_train < begin ? begin : n_train > end ? end : n_train;
    if (begin < border) {
        code_rows(job, &dataset->train.views[QN_VIEW_TREE], begin, border, begin);
    }
    if (border < end) {
        code_rows(job, &dataset->valid.views[QN_VIEW_TREE], border - n_train, end - n_train,
                  border);
    }
}

static void cut_one(void *context, int64_t f)
{
    struct job *job = context;
    qn_bin_feature *feature = &job->bins->features[f];
    const qn_feature *described = &job->dataset->features[QN_VIEW_TREE][f];
    feature->categorical = described->categorical;
    job->statuses[f] = QN_OK;
    if (feature->categorical) {
        const int32_t n = described->n_levels < QN_CODES_MAX ? described->n_levels : QN_CODES_MAX;
        feature->n_bins = 1 + n;
    } else {
        job->statuses[f] = cut_feature(job, f, feature);
    }
}

/* Edges of long columns come from a sample: the same rows for every feature. */
static bool draw_sample(struct job *job, int32_t **out)
{
    const int64_t n = job->dataset->train.n_rows;
    *out = NULL;
    if (n <= SAMPLE_ROWS) return true;
    int32_t *rows = qn_alloc_array(SAMPLE_ROWS, sizeof *rows);
    if (!rows) return false;
    qn_rng rng;
    qn_rng_init(&rng, 0x62696e73, (uint64_t)n);
    for (int64_t i = 0; i < SAMPLE_ROWS; i++) { /* one row of each of equal stretches */
        const int64_t begin = i * n / SAMPLE_ROWS, end = (i + 1) * n / SAMPLE_ROWS;
        rows[i] = (int32_t)(begin + qn_rng_below(&rng, end - begin));
    }
    job->sample = *out = rows;
    job->n_sample = SAMPLE_ROWS;
    return true;
}

/* Groups. */

struct group {
    uint8_t *codes; /* per row */
    int32_t n_codes;
    int32_t n_features;
    uint8_t bins[QN_GROUP_CODES]; /* scratch: the new feature's bin of each code */
};

/* Adds a feature to the group if the combinations that occur still fit. `room` has a byte a row. */
static bool join(const struct job *job, struct group *group, int32_t feature, uint8_t *room,
                 uint8_t *before)
{
    const int64_t n_features = job->bins->n_features, n = job->bins->n_rows;
    const int32_t most = GROUP_WORK / (group->n_features + 1) < QN_GROUP_CODES
                             ? GROUP_WORK / (group->n_features + 1)
                             : QN_GROUP_CODES;
    int16_t numbers[QN_GROUP_CODES * SHARED_BINS];
    memset(numbers, 0xff, sizeof numbers);
    int32_t n_codes = 0;
    for (int64_t i = 0; i < n; i++) {
        const uint8_t bin = job->plain[i * n_features + feature];
        int16_t *number = &numbers[group->codes[i] * SHARED_BINS + bin];
        if (*number < 0) {
            if (n_codes == most) return false;
            before[n_codes] = group->codes[i];
            group->bins[n_codes] = bin;
            *number = (int16_t)n_codes++;
        }
        room[i] = (uint8_t)*number;
    }
    group->n_codes = n_codes;
    group->n_features++;
    return true;
}

struct turning {
    const struct job *job;
    uint8_t *const *shared;
};

static void turn_block(void *context, int64_t i)
{
    const struct turning *turning = context;
    const struct job *job = turning->job;
    qn_bins *bins = job->bins;
    const int64_t begin = i * BLOCK_ROWS, n = bins->n_rows, n_features = bins->n_features;
    const int64_t end = begin + BLOCK_ROWS < n ? begin + BLOCK_ROWS : n;
    for (int64_t g = 0; g < bins->n_narrow; g++) {
        const uint8_t *shared = turning->shared[g];
        const uint8_t *plain = job->plain + job->group_features[g];
        uint8_t *column = bins->columns + g * n, *codes = bins->codes + g;
        for (int64_t row = begin; row < end; row++) {
            column[row] = codes[row * bins->stride] =
                shared ? shared[row] : plain[row * n_features];
        }
    }
    const size_t narrow = (size_t)bins->n_narrow, padded = (size_t)bins->stride - narrow;
    for (int64_t row = begin; row < end; row++) {
        uint8_t *codes = bins->codes + row * bins->stride;
        memset(codes + narrow, 0, padded);
        for (int64_t w = 0; w < bins->n_groups - bins->n_narrow; w++) {
            memcpy(codes + bins->wide_offset + 2 * w, bins->wide_columns + w * n + row, 2);
        }
    }
}

/* The codes of all groups, column after column and row after row. `shared` has, per group, the
 * codes of those that are made of several features. */
static bool write_groups(const struct job *job, uint8_t *const *shared)
{
    qn_bins *bins = job->bins;
    const int64_t n = bins->n_rows;
    bins->wide_offset = (bins->n_narrow + 1) / 2 * 2;
    bins->stride = (bins->wide_offset + 2 * (bins->n_groups - bins->n_narrow) + 7) / 8 * 8;
    bins->codes = qn_alloc_aligned(n * bins->stride, 1);
    bins->columns = qn_alloc_aligned(n * bins->n_narrow, 1);
    if (!bins->codes || !bins->columns) return false;
    for (int64_t f = 0; f < bins->n_features; f++) {
        const int32_t g = bins->features[f].group;
        if (bins->features[f].alone && !qn_bins_is_wide(bins, g)) job->group_features[g] = f;
    }
    struct turning turning = {job, shared};
    qn_pool_run(job->pool, (n + BLOCK_ROWS - 1) / BLOCK_ROWS, turn_block, &turning);
    return true;
}

/* Wide groups come after the others. */
static void number_wide(qn_bins *bins, int64_t n_wide)
{
    bins->n_narrow = bins->n_groups;
    bins->n_groups += n_wide;
    bins->n_cells = bins->n_narrow * QN_GROUP_CODES;
    for (int64_t f = 0; f < bins->n_features; f++) {
        qn_bin_feature *feature = &bins->features[f];
        if (feature->n_bins <= QN_NARROW_BINS_MAX) continue;
        bins->wide_cells[feature->group] = bins->n_cells;
        feature->alone = true;
        feature->group += (int32_t)bins->n_narrow;
        bins->group_codes[feature->group] = feature->n_bins;
        bins->n_cells += feature->n_bins;
    }
}

/* Numbers the groups: features of many bins stand alone, the others fill groups in their order. */
static bool make_groups(struct job *job)
{
    qn_bins *bins = job->bins;
    const int64_t n = bins->n_rows;
    struct group group = {.codes = qn_alloc_array(n, 1)};
    uint8_t *room = qn_alloc_array(n, 1), **shared = NULL, before[QN_GROUP_CODES];
    int32_t *members = qn_alloc_array(bins->n_features, sizeof *members);
    shared = qn_alloc_array(bins->n_features, sizeof *shared); /* per group: codes, if shared */
    bool complete = group.codes && room && members && shared;
    int32_t n_members = 0;
    bins->n_groups = 0;
    for (int64_t f = 0; complete && f <= bins->n_features; f++) {
        const bool end = f == bins->n_features;
        if (!end && bins->features[f].n_bins > QN_NARROW_BINS_MAX) continue;
        const bool few = !end && bins->features[f].n_bins <= SHARED_BINS;
        if (few && n_members > 0 && join(job, &group, (int32_t)f, room, before)) {
            for (int32_t m = 0; m < n_members; m++) {
                uint8_t *decode = bins->features[members[m]].decode, old[QN_GROUP_CODES];
                memcpy(old, decode, sizeof old);
                for (int32_t c = 0; c < group.n_codes; c++) {
                    decode[c] = old[before[c]];
                }
            }
            memcpy(bins->features[f].decode, group.bins, QN_GROUP_CODES);
            uint8_t *swap = group.codes;
            group.codes = room;
            room = swap;
            bins->features[f].group = bins->features[members[0]].group;
            members[n_members++] = (int32_t)f;
            continue;
        }
        if ((few || end) && n_members > 0) { /* close the open group */
            const int32_t number = bins->features[members[0]].group;
            bins->group_codes[number] = group.n_codes;
            if (n_members > 1) {
                for (int32_t m = 0; m < n_members; m++) {
                    bins->features[members[m]].alone = false;
                }
                shared[number] = group.codes;
                group.codes = qn_alloc_array(n, 1);
                complete = group.codes != NULL;
            }
            n_members = 0;
        }
        if (end || !complete) break;
        qn_bin_feature *feature = &bins->features[f];
        feature->alone = true;
        feature->group = (int32_t)bins->n_groups++;
        bins->group_codes[feature->group] = feature->n_bins;
        if (!few) continue;
        group.n_codes = feature->n_bins;
        group.n_features = 1;
        members[n_members++] = (int32_t)f;
        for (int64_t i = 0; i < n; i++) {
            group.codes[i] = job->plain[i * bins->n_features + f];
        }
    }
    number_wide(bins, job->n_wide);
    complete = complete && write_groups(job, shared);
    for (int64_t g = 0; shared && g < bins->n_narrow; g++) {
        qn_free(shared[g]);
    }
    qn_free(shared);
    qn_free(members);
    qn_free(room);
    qn_free(group.codes);
    return complete;
}

static bool allocate(struct job *job)
{
    qn_bins *bins = job->bins;
    bins->n_train = job->dataset->train.n_rows;
    bins->n_rows = job->dataset->train.n_rows + job->dataset->valid.n_rows;
    bins->n_features = job->dataset->n_dense[QN_VIEW_TREE];
    bins->features = qn_alloc_array(bins->n_features, sizeof *bins->features);
    bins->group_codes = qn_alloc_array(bins->n_features, sizeof *bins->group_codes);
    job->group_features = qn_alloc_array(bins->n_features, sizeof *job->group_features);
    job->plain = qn_alloc_aligned(bins->n_rows * bins->n_features + QN_GROUP_CODES, 1);
    bins->wide_cells = qn_alloc_array(bins->n_features, sizeof *bins->wide_cells);
    bool complete = bins->features && bins->group_codes && job->group_features && job->plain &&
                    bins->wide_cells;
    for (int64_t f = 0; complete && f < bins->n_features; f++) {
        bins->features[f].decode = qn_alloc_array(QN_GROUP_CODES, 1);
        complete = bins->features[f].decode != NULL;
        for (int c = 0; complete && c < QN_GROUP_CODES; c++) {
            bins->features[f].decode[c] = (uint8_t)c;
        }
    }
    return complete;
}

/* Numbers the wide features, for now by themselves, and makes room for their codes. */
static bool allocate_wide(struct job *job)
{
    qn_bins *bins = job->bins;
    for (int64_t f = 0; f < bins->n_features; f++) {
        if (bins->features[f].n_bins > QN_NARROW_BINS_MAX) {
            bins->features[f].group = (int32_t)job->n_wide++;
        }
    }
    bins->wide_columns = qn_alloc_aligned(bins->n_rows * job->n_wide, sizeof(uint16_t));
    return bins->wide_columns;
}

qn_status qn_bins_create(const qn_dataset *dataset, int max_bin, qn_pool *pool, qn_bins **out,
                         qn_error *err)
{
    *out = NULL;
    const int64_t n_features = dataset->n_dense[QN_VIEW_TREE];
    qn_bins *bins = qn_alloc_array(1, sizeof *bins);
    struct job job = {.dataset = dataset,
                      .bins = bins,
                      .pool = pool,
                      .max_bin = max_bin < 3             ? 3
                                 : max_bin > QN_BINS_MAX ? QN_BINS_MAX
                                                         : max_bin,
                      .statuses = qn_alloc_array(n_features, sizeof *job.statuses)};
    int32_t *sample = NULL;
    bool complete = bins && job.statuses && draw_sample(&job, &sample) && allocate(&job);
    if (complete) qn_pool_run(pool, n_features, cut_one, &job);
    for (int64_t f = 0; complete && f < n_features; f++) {
        complete = job.statuses[f] == QN_OK;
    }
    complete = complete && allocate_wide(&job);
    if (complete) {
        qn_pool_run(pool, (bins->n_rows + BLOCK_ROWS - 1) / BLOCK_ROWS, code_block, &job);
        complete = make_groups(&job);
    }
    qn_free(sample);
    qn_free(job.statuses);
    qn_free(job.plain);
    qn_free(job.group_features);
    if (!complete) {
        qn_bins_free(bins);
        return qn_fail(err, QN_ERR_NOMEM, "no memory for the bins");
    }
    *out = bins;
    return QN_OK;
}
