/* SPDX-License-Identifier: Apache-2.0 */
/* Schema: what each column is and means, fixed at training time and kept in the bundle. The
 * guesses are made by validate/; this file only holds, compares, writes and reads them.
 *
 * Threads: immutable once built; share freely. */
#ifndef QN_FRAME_SCHEMA_H
#define QN_FRAME_SCHEMA_H

#include "base/json.h"
#include "frame/frame.h"

typedef enum qn_kind {
    QN_KIND_NUMERIC,
    QN_KIND_CATEGORICAL,
    QN_KIND_TEXT,
    QN_KIND_DATETIME,
    QN_KIND_BOOLEAN,
    QN_KIND_ID,
    QN_KIND_CONSTANT
} qn_kind;

typedef enum qn_role {
    QN_ROLE_FEATURE, /* given to the recipe, whatever its kind */
    QN_ROLE_TARGET,
    QN_ROLE_WEIGHT,
    QN_ROLE_GROUP,
    QN_ROLE_TIME, /* orders the rows of a time split; also a feature when its kind is usable */
    QN_ROLE_SPLIT,
    QN_ROLE_DROPPED /* by the user, or as id or constant */
} qn_role;

typedef enum qn_task {
    QN_TASK_BINARY,
    QN_TASK_MULTICLASS,
    QN_TASK_REGRESSION,
    QN_TASK_RANKING,
    /* Without a target: */
    QN_TASK_CLUSTERING, /* classes are the clusters, outputs the distances to their centres */
    QN_TASK_REDUCTION,  /* outputs are components */
    QN_TASK_OUTLIERS    /* classes are inlier and outlier, the output a score */
} qn_task;

/* More classes than this are refused: such a target is a regression or an id. */
enum { QN_CLASSES_MAX = 1000 };

typedef struct qn_schema_column {
    char *name;
    qn_type type;
    qn_kind kind;
    bool kind_given; /* by the user, not guessed */
    qn_role role;
    char *reason;  /* why this kind or role, one clause, or NULL */
    char *markers; /* missing markers seen in training, comma-separated, or NULL */
    double missing_fraction;
    double minimum, maximum; /* of numbers and timestamps in training; QN_NA otherwise */
    int64_t n_levels;        /* categorical: levels kept below */
    char **levels;           /* most frequent first (ties: by bytes); at most 1,000 */
} qn_schema_column;

typedef struct qn_schema {
    int64_t n_cols;
    qn_schema_column *columns;
    int64_t target; /* column index, -1 if none */
    qn_task task;
    int32_t n_classes;    /* 0 unless classification */
    char **classes;       /* canonical text, sorted: numbers by value, else by bytes */
    int32_t positive;     /* binary: index of the class that p means; always the second: 1 */
    int32_t n_components; /* reduction: 1 … QN_CLASSES_MAX; else 0 */
} qn_schema;              /* destroy with qn_schema_free() */

void qn_schema_free(qn_schema *schema); /* accepts NULL */

const char *qn_kind_name(qn_kind kind); /* "numeric", … */
const char *qn_role_name(qn_role role);
const char *qn_task_name(qn_task task);
const char *qn_type_name(qn_type type);
bool qn_kind_from_name(const char *name, qn_kind *out);
bool qn_role_from_name(const char *name, qn_role *out);
bool qn_task_from_name(const char *name, qn_task *out);
bool qn_type_from_name(const char *name, qn_type *out);

/* Whether the task has a target. */
bool qn_task_is_supervised(qn_task task);

int64_t qn_schema_find(const qn_schema *schema, const char *name); /* -1 if absent */
/* The features, in schema order: how many, and the column index of each. */
int64_t qn_schema_n_features(const qn_schema *schema);
int64_t qn_schema_feature(const qn_schema *schema, int64_t feature);
/* The next feature column after `col` (-1 to begin), -1 at the end: for loops over wide tables. */
int64_t qn_schema_next_feature(const qn_schema *schema, int64_t col);
/* Number of values a prediction has: classes for multiclass, clusters, components, else 1 (binary:
 * p of `positive`). */
int32_t qn_schema_n_outputs(const qn_schema *schema);

void qn_schema_write_json(const qn_schema *schema, qn_json_writer *json);
QN_MUST_CHECK
qn_status qn_schema_read_json(qn_json_value value, qn_schema **out, qn_error *err);

#endif
