/* SPDX-License-Identifier: Apache-2.0 */
#include "model/intervals.h"

#include "base/alloc.h"
#include "base/number.h"

#include <math.h>
#include <string.h>

enum { ENDS = 2 * QN_INTERVAL_LEVELS };

const double qn_interval_levels[QN_INTERVAL_LEVELS] = {0.5, 0.8, 0.9, 0.95, 0.99};

void qn_intervals_release(qn_intervals *intervals)
{
    qn_free(intervals->centres);
    qn_free(intervals->offsets);
    *intervals = (qn_intervals){0};
}

bool qn_intervals_reserve(qn_intervals *intervals, int32_t n_groups)
{
    intervals->centres = qn_alloc_array(n_groups, sizeof *intervals->centres);
    intervals->offsets = qn_alloc_array(n_groups * ENDS, sizeof *intervals->offsets);
    if (!intervals->centres || !intervals->offsets) {
        qn_intervals_release(intervals);
        return false;
    }
    intervals->n_groups = n_groups;
    return true;
}

int qn_interval_level_find(double level)
{
    for (int i = 0; i < QN_INTERVAL_LEVELS; i++) {
        if (fabs(level - qn_interval_levels[i]) < 1e-9) return i;
    }
    return -1;
}

qn_status qn_interval_level_read(const char *text, size_t bytes, int *level, qn_error *err)
{
    double value;
    *level = QN_INTERVAL_LEVEL_DEFAULT;
    if (bytes == 0 || (bytes == 4 && memcmp(text, "true", 4) == 0)) return QN_OK;
    const bool percent = text[bytes - 1] == '%';
    if (qn_parse_double(text, bytes - percent, &value)) {
        *level = qn_interval_level_find(percent ? value / 100 : value);
        if (*level >= 0) return QN_OK;
    }
    return qn_fail(err, QN_ERR_ARG, "interval: '%.*s' is none of 0.5, 0.8, 0.9, 0.95, 0.99",
                   (int)(bytes > 40 ? 40 : bytes), text);
}

void qn_intervals_at(const qn_intervals *intervals, int level, double prediction, double *low,
                     double *high)
{
    const double *centres = intervals->centres;
    *low = *high = QN_NA;
    if (!isfinite(prediction)) return;
    int32_t above = 0; /* the first centre beyond the prediction */
    while (above < intervals->n_groups && centres[above] <= prediction) {
        above++;
    }
    const int32_t last = intervals->n_groups - 1;
    const int32_t a = above > 0 ? above - 1 : 0, b = above < last ? above : last;
    const double share =
        centres[b] > centres[a] ? (prediction - centres[a]) / (centres[b] - centres[a]) : 0;
    const double *from = intervals->offsets + (size_t)a * ENDS + 2 * (size_t)level;
    const double *to = intervals->offsets + (size_t)b * ENDS + 2 * (size_t)level;
    const double t = share > 0 ? fmin(share, 1) : 0;
    *low = prediction + fmin(0, from[0] + t * (to[0] - from[0]));
    *high = prediction + fmax(0, from[1] + t * (to[1] - from[1]));
}

void qn_intervals_write(const qn_intervals *intervals, qn_writer *writer)
{
    qn_write_array(writer, intervals->centres, intervals->n_groups, sizeof(double));
    qn_write_array(writer, intervals->offsets, intervals->n_groups * (int64_t)ENDS, sizeof(double));
}

static bool are_good(const double *centres, int64_t n_groups, const double *offsets)
{
    for (int64_t g = 0; g < n_groups; g++) {
        if (!isfinite(centres[g]) || (g > 0 && centres[g] < centres[g - 1])) return false;
        for (int64_t i = 0; i < ENDS; i++) {
            if (!isfinite(offsets[g * ENDS + i])) return false;
        }
    }
    return true;
}

qn_status qn_intervals_read(qn_reader *reader, qn_intervals *out, qn_error *err)
{
    int64_t n_groups, n_ends;
    const double *centres = qn_read_array(reader, sizeof *centres, &n_groups);
    const double *offsets = qn_read_array(reader, sizeof *offsets, &n_ends);
    if (reader->failed || n_groups > QN_INTERVAL_GROUPS_MAX || n_ends != n_groups * ENDS ||
        !are_good(centres, n_groups, offsets)) {
        return qn_fail(err, QN_ERR_DATA, "model: its intervals are damaged");
    }
    if (n_groups == 0) return QN_OK;
    if (!qn_intervals_reserve(out, (int32_t)n_groups)) {
        return qn_fail(err, QN_ERR_NOMEM, "no memory for the model");
    }
    memcpy(out->centres, centres, (size_t)n_groups * sizeof *centres);
    memcpy(out->offsets, offsets, (size_t)n_ends * sizeof *offsets);
    return QN_OK;
}
