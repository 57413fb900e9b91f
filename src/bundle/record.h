/* SPDX-License-Identifier: Apache-2.0 */
/* Record: everything about a fit that is not needed to predict – kept in the bundle's header, shown
 * by `quern inspect` and the report, printed by `quern fit --json`.
 *
 * Threads: immutable once built; share freely. */
#ifndef QN_BUNDLE_RECORD_H
#define QN_BUNDLE_RECORD_H

#include "base/arena.h"
#include "metric/evaluation.h"
#include "stats/profile.h"
#include "validate/understand.h"

typedef struct qn_leaderboard_entry {
    const char *name;    /* "gbdt_1", "ensemble", "baseline" */
    const char *learner; /* "gbdt", "extra_trees", "logistic", "constant", "ensemble" */
    const char *params;  /* JSON object */
    double cv_score;     /* of the metric, its own sign */
    double std_error;    /* over folds; QN_NA for one fold */
    double oob_score;    /* of the rows each tree left out, mean over folds; QN_NA: not asked for */
    double fit_seconds;  /* wall time of all folds; the one thing here that differs by run */
    double predict_us_per_row;
    double weight;    /* in the ensemble */
    int64_t n_rounds; /* mean over folds */
} qn_leaderboard_entry;

typedef struct qn_importance_entry {
    const char *column;
    double importance; /* loss of score when the column is permuted */
    double std_error;
} qn_importance_entry;

typedef struct qn_record {
    qn_arena arena;                /* owns every text below */
    const char *version, *created; /* program version; created "" unless asked for: same bytes */
    const char *table, *target, *metric, *command, *split_reason, *folds_reason;
    const char *data_hash; /* 16 hex digits */
    int64_t n_rows, n_rows_train, n_rows_test, n_folds, n_trials, seed;
    double cv_score, cv_std_error;
    double budget_s;  /* 0: trials were counted */
    double seconds;   /* kept out of the bundle when trials are counted: same bytes */
    bool interrupted; /* stopped by Ctrl-C with the best so far */
    int64_t n_leaderboard;
    qn_leaderboard_entry *leaderboard; /* best first, baseline always there */
    int64_t n_importance;
    qn_importance_entry *importance; /* largest first */
    int64_t n_warnings;
    const char **warnings;
    qn_findings findings;
    qn_profile *profile;          /* of the training rows */
    qn_evaluation *test;          /* NULL without test part */
    qn_evaluation *test_baseline; /* the constant model on the same rows */
    qn_evaluation *cv;            /* of out-of-fold predictions */
} qn_record;                      /* zero-initialise; release with qn_record_release() */

void qn_record_release(qn_record *record);
void qn_record_write_json(const qn_record *record, qn_json_writer *json);
QN_MUST_CHECK
qn_status qn_record_read_json(qn_json_value value, qn_record *out, qn_error *err);

#endif
