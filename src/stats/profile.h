/* SPDX-License-Identifier: Apache-2.0 */
/* Profile: what a column looks like in numbers, for guessing kinds, for the report, and as the
 * reference that drift is measured against. One pass per column over the chosen rows.
 *
 * Threads: immutable once built; share freely. */
#ifndef QN_STATS_PROFILE_H
#define QN_STATS_PROFILE_H

#include "base/json.h"
#include "base/pool.h"
#include "frame/frame.h"

enum { QN_PROFILE_BINS = 20, QN_PROFILE_TOP = 20, QN_PROFILE_QUANTILES = 7 };

typedef struct qn_level_count {
    char *text;
    int64_t count;
} qn_level_count;

typedef struct qn_column_profile {
    char *name;
    qn_type type;
    int64_t n_rows, n_missing;
    int64_t n_distinct; /* exact */
    /* Numbers and timestamps (as microseconds); QN_NA for strings. */
    double mean, std, minimum, maximum, skewness;
    double quantiles[QN_PROFILE_QUANTILES]; /* 1, 5, 25, 50, 75, 95, 99 % */
    int64_t n_zero, n_negative;
    bool all_integers;
    int32_t n_bins;
    double edges[QN_PROFILE_BINS + 1]; /* histogram between the 1 % and 99 % quantile; the outer */
    int64_t counts[QN_PROFILE_BINS];   /* bins take what lies beyond */
    /* Any type: the most frequent values as text (ties by bytes). */
    int32_t n_top;
    qn_level_count top[QN_PROFILE_TOP];
    /* Strings. */
    double length_mean, length_max, words_mean; /* bytes; words split at white space */
    double numeric_fraction;                    /* of present values that read as numbers */
    double target_association; /* 0 … 1: how well the column alone predicts the target; QN_NA */
} qn_column_profile;

typedef struct qn_profile {
    int64_t n_rows, n_cols;
    int64_t n_duplicate_rows; /* rows equal to an earlier one in every column */
    qn_column_profile *columns;
} qn_profile; /* destroy with qn_profile_free() */

/* `rows` NULL: every row. */
QN_MUST_CHECK
qn_status qn_profile_create(const qn_frame *frame, const int32_t *rows, int64_t n_rows,
                            qn_pool *pool, qn_profile **out, qn_error *err);
void qn_profile_free(qn_profile *profile);
void qn_profile_write_json(const qn_profile *profile, qn_json_writer *json);
QN_MUST_CHECK
qn_status qn_profile_read_json(qn_json_value value, qn_profile **out, qn_error *err);

#endif
