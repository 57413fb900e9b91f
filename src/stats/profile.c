/* SPDX-License-Identifier: Apache-2.0 */
#include "stats/profile.h"

#include "base/alloc.h"
#include "base/sort.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const double quantile_at[QN_PROFILE_QUANTILES] = {0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99};

void qn_profile_free(qn_profile *profile)
{
    if (!profile) return;
    for (int64_t col = 0; profile->columns && col < profile->n_cols; col++) {
        qn_column_profile *column = &profile->columns[col];
        qn_free(column->name);
        for (int32_t i = 0; i < column->n_top; i++) {
            qn_free(column->top[i].text);
        }
    }
    qn_free(profile->columns);
    qn_free(profile);
}

/* Numbers. */

static double quantile(const double *sorted, int64_t n, double q)
{
    const double at = q * (double)(n - 1);
    const int64_t low = (int64_t)at;
    const int64_t high = low + 1 < n ? low + 1 : low;
    return sorted[low] + (at - (double)low) * (sorted[high] - sorted[low]);
}

static bool set_top(qn_column_profile *out, int32_t i, const char *text, size_t bytes,
                    int64_t count)
{
    out->top[i] = (qn_level_count){qn_strndup(text, bytes), count};
    if (!out->top[i].text) return false;
    out->n_top = i + 1;
    return true;
}

struct run {
    double value;
    int64_t count;
};

/* The most frequent values of a sorted array, and how many distinct ones there are. */
static bool top_of_sorted(const qn_column *column, const double *sorted, int64_t n,
                          qn_column_profile *out)
{
    struct run top[QN_PROFILE_TOP];
    int32_t n_top = 0;
    for (int64_t i = 0; i < n;) {
        int64_t next = i + 1;
        while (next < n && sorted[next] == sorted[i]) {
            next++;
        }
        const struct run run = {sorted[i], next - i};
        out->n_distinct++;
        if (n_top < QN_PROFILE_TOP || run.count > top[n_top - 1].count) {
            int32_t at = n_top < QN_PROFILE_TOP ? n_top++ : n_top - 1;
            for (; at > 0 && run.count > top[at - 1].count; at--) {
                top[at] = top[at - 1];
            }
            top[at] = run;
        }
        i = next;
    }
    for (int32_t i = 0; i < n_top; i++) {
        char text[QN_VALUE_TEXT_BYTES];
        size_t bytes;
        if (column->type == QN_TYPE_BOOL) {
            bytes = (size_t)snprintf(text, sizeof text, "%s", top[i].value != 0 ? "true" : "false");
        } else if (column->type == QN_TYPE_TIMESTAMP) {
            bytes = qn_timestamp_format((int64_t)top[i].value, text);
        } else {
            bytes = qn_format_double(top[i].value, text);
        }
        if (!set_top(out, i, text, bytes, top[i].count)) return false;
    }
    return true;
}

static void fill_moments(const double *values, int64_t n, qn_column_profile *out)
{
    double mean = 0, m2 = 0, m3 = 0;
    out->all_integers = true;
    for (int64_t i = 0; i < n; i++) {
        mean += (values[i] - mean) / (double)(i + 1);
        out->n_zero += values[i] == 0;
        out->n_negative += values[i] < 0;
        out->all_integers &= values[i] == floor(values[i]);
    }
    for (int64_t i = 0; i < n; i++) {
        const double d = values[i] - mean;
        m2 += d * d;
        m3 += d * d * d;
    }
    out->mean = mean;
    out->std = sqrt(m2 / (double)n);
    out->skewness = m2 > 0 ? m3 / (double)n / (out->std * out->std * out->std) : 0;
}

static void fill_histogram(const double *sorted, int64_t n, qn_column_profile *out)
{
    double low = out->quantiles[0], high = out->quantiles[QN_PROFILE_QUANTILES - 1];
    if (!(low < high)) {
        low = sorted[0];
        high = sorted[n - 1];
    }
    if (!isfinite(high - low)) return; /* infinite values have no place on an axis */
    out->n_bins = low < high ? QN_PROFILE_BINS : 1;
    if (out->all_integers && high - low < QN_PROFILE_BINS && low < high) {
        low -= 0.5; /* one bar for each whole number */
        high += 0.5;
        out->n_bins = (int32_t)(high - low);
    }
    for (int32_t b = 0; b <= out->n_bins; b++) {
        out->edges[b] = low + (high - low) * b / out->n_bins;
    }
    for (int64_t i = 0; i < n; i++) {
        const double at = low < high ? (sorted[i] - low) / (high - low) * out->n_bins : 0;
        const int32_t bin = at < 0 ? 0 : at >= out->n_bins ? out->n_bins - 1 : (int32_t)at;
        out->counts[bin]++;
    }
}

static bool profile_numbers(const qn_column *column, const int32_t *rows, int64_t n_rows,
                            qn_column_profile *out)
{
    double *values = qn_alloc_aligned(n_rows, sizeof *values);
    int64_t n = 0;
    if (!values) return false;
    for (int64_t i = 0; i < n_rows; i++) {
        const double value = qn_column_number(column, rows ? rows[i] : i);
        if (!isnan(value)) values[n++] = value;
    }
    out->n_missing = n_rows - n;
    bool complete = true;
    if (n > 0) {
        fill_moments(values, n, out);
        complete = qn_sort_doubles(values, n);
        out->minimum = values[0];
        out->maximum = values[n - 1];
        for (int q = 0; q < QN_PROFILE_QUANTILES; q++) {
            out->quantiles[q] = quantile(values, n, quantile_at[q]);
        }
        fill_histogram(values, n, out);
        complete = complete && top_of_sorted(column, values, n, out);
    }
    qn_free(values);
    return complete;
}

/* Texts. */

struct level {
    const qn_dictionary *dictionary;
    int64_t code, count;
};

static int by_count(const void *left, const void *right)
{
    const struct level *a = left, *b = right;
    if (a->count != b->count) return a->count > b->count ? -1 : 1;
    size_t a_bytes, b_bytes;
    const char *a_text = qn_dictionary_text(a->dictionary, a->code, &a_bytes);
    const char *b_text = qn_dictionary_text(b->dictionary, b->code, &b_bytes);
    const int order = memcmp(a_text, b_text, a_bytes < b_bytes ? a_bytes : b_bytes);
    return order ? order : (a_bytes > b_bytes) - (a_bytes < b_bytes);
}

static void measure_text(const char *text, size_t bytes, int64_t count, qn_column_profile *out)
{
    int64_t n_words = 0;
    bool in_word = false;
    double number;
    for (size_t i = 0; i < bytes; i++) {
        const bool space = text[i] == ' ' || text[i] == '\t' || text[i] == '\n';
        n_words += !space && !in_word;
        in_word = !space;
    }
    out->length_mean += (double)bytes * (double)count;
    out->length_max = fmax(out->length_max, (double)bytes);
    out->words_mean += (double)n_words * (double)count;
    if (qn_parse_double(text, bytes, &number)) out->numeric_fraction += (double)count;
}

static bool profile_texts(const qn_column *column, const int32_t *rows, int64_t n_rows,
                          qn_column_profile *out)
{
    const qn_dictionary *dictionary = &column->dictionary;
    struct level *levels = qn_alloc_array(dictionary->n, sizeof *levels);
    if (!levels) return false;
    for (int64_t code = 0; code < dictionary->n; code++) {
        levels[code] = (struct level){dictionary, code, 0};
    }
    for (int64_t i = 0; i < n_rows; i++) {
        const int64_t row = rows ? rows[i] : i;
        if (qn_column_is_missing(column, row)) {
            out->n_missing++;
        } else {
            levels[column->data.codes[row]].count++;
        }
    }
    int64_t n = 0;
    out->length_max = out->length_mean = out->words_mean = out->numeric_fraction = 0;
    for (int64_t code = 0; code < dictionary->n; code++) {
        if (levels[code].count == 0) continue;
        size_t bytes;
        const char *text = qn_dictionary_text(dictionary, code, &bytes);
        measure_text(text, bytes, levels[code].count, out);
        levels[n++] = levels[code];
    }
    const double present = (double)(n_rows - out->n_missing);
    if (present > 0) {
        out->length_mean /= present;
        out->words_mean /= present;
        out->numeric_fraction /= present;
    }
    out->n_distinct = n;
    qsort(levels, (size_t)n, sizeof *levels, by_count);
    bool complete = true;
    for (int32_t i = 0; complete && i < QN_PROFILE_TOP && i < n; i++) {
        size_t bytes;
        const char *text = qn_dictionary_text(dictionary, levels[i].code, &bytes);
        complete = set_top(out, i, text, bytes, levels[i].count);
    }
    qn_free(levels);
    return complete;
}

/* Rows. */

static int by_hash(const void *left, const void *right)
{
    const uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;
    return (a > b) - (a < b);
}

struct job {
    const qn_frame *frame;
    const int32_t *rows;
    int64_t n_rows;
    qn_profile *profile;
    uint64_t *hashes; /* per row */
    qn_status *statuses;
};

static void profile_column(void *context, int64_t col)
{
    struct job *job = context;
    const qn_column *column = &job->frame->columns[col];
    qn_column_profile *out = &job->profile->columns[col];
    const double na = QN_NA;
    out->type = column->type;
    out->n_rows = job->n_rows;
    out->mean = out->std = out->minimum = out->maximum = out->skewness = na;
    out->target_association = na;
    for (int q = 0; q < QN_PROFILE_QUANTILES; q++) {
        out->quantiles[q] = na;
    }
    out->name = qn_strdup(column->name);
    const bool complete = out->name && (column->type == QN_TYPE_STRING
                                            ? profile_texts(column, job->rows, job->n_rows, out)
                                            : profile_numbers(column, job->rows, job->n_rows, out));
    job->statuses[col] = complete ? QN_OK : QN_ERR_NOMEM;
}

enum { HASH_BLOCK = 8192 };

static void hash_block(void *context, int64_t block)
{
    struct job *job = context;
    const int64_t first = block * HASH_BLOCK;
    const int64_t end = first + HASH_BLOCK < job->n_rows ? first + HASH_BLOCK : job->n_rows;
    for (int64_t col = 0; col < job->frame->n_cols; col++) {
        const qn_column *column = &job->frame->columns[col];
        for (int64_t i = first; i < end; i++) {
            const int64_t row = job->rows ? job->rows[i] : i;
            uint64_t bits = UINT64_MAX;
            if (column->type == QN_TYPE_STRING) {
                bits = (uint64_t)column->data.codes[row];
            } else {
                const double value = qn_column_number(column, row);
                memcpy(&bits, &value, sizeof bits);
            }
            /* Multiply and fold: quick, and good enough to count duplicates. */
            uint64_t mixed = (job->hashes[i] ^ bits) * UINT64_C(0x9e3779b97f4a7c15);
            job->hashes[i] = mixed ^ mixed >> 29;
        }
    }
}

static qn_status count_duplicates(struct job *job, qn_pool *pool, qn_error *err)
{
    const int64_t n = job->n_rows;
    job->hashes = qn_alloc_array(n, sizeof *job->hashes);
    if (!job->hashes) return qn_fail(err, QN_ERR_NOMEM, "no memory to look for duplicate rows");
    qn_pool_run(pool, (n + HASH_BLOCK - 1) / HASH_BLOCK, hash_block, job);
    qsort(job->hashes, (size_t)n, sizeof *job->hashes, by_hash);
    for (int64_t i = 1; i < n; i++) {
        job->profile->n_duplicate_rows += job->hashes[i] == job->hashes[i - 1];
    }
    qn_free(job->hashes);
    return QN_OK;
}

qn_status qn_profile_create(const qn_frame *frame, const int32_t *rows, int64_t n_rows,
                            qn_pool *pool, qn_profile **out, qn_error *err)
{
    *out = NULL;
    qn_profile *profile = qn_alloc_array(1, sizeof *profile);
    struct job job = {.frame = frame,
                      .rows = rows,
                      .n_rows = rows ? n_rows : frame->n_rows,
                      .profile = profile,
                      .statuses = qn_alloc_array(frame->n_cols, sizeof *job.statuses)};
    if (profile) profile->columns = qn_alloc_array(frame->n_cols, sizeof *profile->columns);
    qn_status status = QN_OK;
    if (!profile || !profile->columns || !job.statuses) {
        status = qn_fail(err, QN_ERR_NOMEM, "no memory for the profile");
    } else {
        profile->n_rows = job.n_rows;
        profile->n_cols = frame->n_cols;
        qn_pool_run(pool, frame->n_cols, profile_column, &job);
        for (int64_t col = 0; col < frame->n_cols && status == QN_OK; col++) {
            if (job.statuses[col] == QN_OK) continue;
            status = qn_fail(err, QN_ERR_NOMEM, "no memory for the profile");
        }
        if (status == QN_OK) status = count_duplicates(&job, pool, err);
    }
    qn_free(job.statuses);
    if (status != QN_OK) {
        qn_profile_free(profile);
        return status;
    }
    *out = profile;
    return QN_OK;
}

/* JSON. */

static void write_doubles(qn_json_writer *json, const char *key, const double *values, int32_t n)
{
    qn_json_key(json, key);
    qn_json_begin_array(json);
    for (int32_t i = 0; i < n; i++) {
        qn_json_double(json, values[i]);
    }
    qn_json_end_array(json);
}

static void write_column(const qn_column_profile *column, qn_json_writer *json)
{
    qn_json_begin_object(json);
    qn_json_put_text(json, "name", column->name);
    qn_json_put_int(json, "type", column->type);
    qn_json_put_int(json, "rows", column->n_rows);
    qn_json_put_int(json, "missing", column->n_missing);
    qn_json_put_int(json, "distinct", column->n_distinct);
    if (column->type == QN_TYPE_STRING) {
        qn_json_put_double(json, "length_mean", column->length_mean);
        qn_json_put_double(json, "length_max", column->length_max);
        qn_json_put_double(json, "words_mean", column->words_mean);
        qn_json_put_double(json, "numeric_fraction", column->numeric_fraction);
    } else {
        qn_json_put_double(json, "mean", column->mean);
        qn_json_put_double(json, "std", column->std);
        qn_json_put_double(json, "minimum", column->minimum);
        qn_json_put_double(json, "maximum", column->maximum);
        qn_json_put_double(json, "skewness", column->skewness);
        qn_json_put_int(json, "zero", column->n_zero);
        qn_json_put_int(json, "negative", column->n_negative);
        qn_json_put_bool(json, "all_integers", column->all_integers);
        write_doubles(json, "quantiles", column->quantiles, QN_PROFILE_QUANTILES);
        if (column->n_bins > 0) write_doubles(json, "edges", column->edges, column->n_bins + 1);
        qn_json_key(json, "counts");
        qn_json_begin_array(json);
        for (int32_t i = 0; i < column->n_bins; i++) {
            qn_json_int(json, column->counts[i]);
        }
        qn_json_end_array(json);
    }
    qn_json_put_double(json, "target_association", column->target_association);
    qn_json_key(json, "top");
    qn_json_begin_array(json);
    for (int32_t i = 0; i < column->n_top; i++) {
        qn_json_begin_array(json);
        qn_json_text(json, column->top[i].text);
        qn_json_int(json, column->top[i].count);
        qn_json_end_array(json);
    }
    qn_json_end_array(json);
    qn_json_end_object(json);
}

void qn_profile_write_json(const qn_profile *profile, qn_json_writer *json)
{
    qn_json_begin_object(json);
    qn_json_put_int(json, "rows", profile->n_rows);
    qn_json_put_int(json, "duplicate_rows", profile->n_duplicate_rows);
    qn_json_key(json, "columns");
    qn_json_begin_array(json);
    for (int64_t col = 0; col < profile->n_cols; col++) {
        write_column(&profile->columns[col], json);
    }
    qn_json_end_array(json);
    qn_json_end_object(json);
}

static void read_doubles(qn_json_value value, double *out, int32_t n)
{
    for (int32_t i = 0; i < n; i++) {
        out[i] = qn_json_as_double(qn_json_at(value, i), QN_NA);
    }
}

static double number(qn_json_value column, const char *key)
{
    return qn_json_as_double(qn_json_get(column, key), QN_NA);
}

static bool read_column(qn_json_value value, qn_column_profile *out)
{
    const int64_t type = qn_json_as_int(qn_json_get(value, "type"), QN_TYPE_STRING);
    out->type = type >= 0 && type <= QN_TYPE_TIMESTAMP ? (qn_type)type : QN_TYPE_STRING;
    out->n_rows = qn_json_as_int(qn_json_get(value, "rows"), 0);
    out->n_missing = qn_json_as_int(qn_json_get(value, "missing"), 0);
    out->n_distinct = qn_json_as_int(qn_json_get(value, "distinct"), 0);
    out->length_mean = number(value, "length_mean");
    out->length_max = number(value, "length_max");
    out->words_mean = number(value, "words_mean");
    out->numeric_fraction = number(value, "numeric_fraction");
    out->mean = number(value, "mean");
    out->std = number(value, "std");
    out->minimum = number(value, "minimum");
    out->maximum = number(value, "maximum");
    out->skewness = number(value, "skewness");
    out->target_association = number(value, "target_association");
    out->n_zero = qn_json_as_int(qn_json_get(value, "zero"), 0);
    out->n_negative = qn_json_as_int(qn_json_get(value, "negative"), 0);
    out->all_integers = qn_json_as_bool(qn_json_get(value, "all_integers"), false);
    read_doubles(qn_json_get(value, "quantiles"), out->quantiles, QN_PROFILE_QUANTILES);
    const int64_t n_bins = qn_json_size(qn_json_get(value, "counts"));
    out->n_bins = n_bins > QN_PROFILE_BINS ? QN_PROFILE_BINS : (int32_t)n_bins;
    read_doubles(qn_json_get(value, "edges"), out->edges, out->n_bins + 1);
    for (int32_t i = 0; i < out->n_bins; i++) {
        out->counts[i] = qn_json_as_int(qn_json_at(qn_json_get(value, "counts"), i), 0);
    }
    out->name = qn_strdup(qn_json_as_text(qn_json_get(value, "name"), ""));
    bool complete = out->name != NULL;
    const qn_json_value top = qn_json_get(value, "top");
    for (int32_t i = 0; complete && i < QN_PROFILE_TOP && i < qn_json_size(top); i++) {
        const qn_json_value pair = qn_json_at(top, i);
        const char *text = qn_json_as_text(qn_json_at(pair, 0), "");
        complete = set_top(out, i, text, strlen(text), qn_json_as_int(qn_json_at(pair, 1), 0));
    }
    return complete;
}

qn_status qn_profile_read_json(qn_json_value value, qn_profile **out, qn_error *err)
{
    *out = NULL;
    const qn_json_value columns = qn_json_get(value, "columns");
    if (!qn_json_is_array(columns)) {
        return qn_fail(err, QN_ERR_DATA, "profile: there is no list of columns");
    }
    qn_profile *profile = qn_alloc_array(1, sizeof *profile);
    const int64_t n_cols = qn_json_size(columns);
    if (profile) profile->columns = qn_alloc_array(n_cols, sizeof *profile->columns);
    bool complete = profile && profile->columns;
    if (complete) {
        profile->n_cols = n_cols;
        profile->n_rows = qn_json_as_int(qn_json_get(value, "rows"), 0);
        profile->n_duplicate_rows = qn_json_as_int(qn_json_get(value, "duplicate_rows"), 0);
    }
    for (int64_t col = 0; complete && col < n_cols; col++) {
        complete = read_column(qn_json_at(columns, col), &profile->columns[col]);
    }
    if (!complete) {
        qn_profile_free(profile);
        return qn_fail(err, QN_ERR_NOMEM, "no memory for the profile");
    }
    *out = profile;
    return QN_OK;
}
