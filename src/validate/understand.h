/* SPDX-License-Identifier: Apache-2.0 */
/* Understanding a table before training: what each column means, what the target and task are,
 * and what looks wrong. Guesses come from the training rows alone.
 *
 * Threads: calls are independent. */
#ifndef QN_VALIDATE_UNDERSTAND_H
#define QN_VALIDATE_UNDERSTAND_H

#include "frame/schema.h"
#include "stats/profile.h"

/* A schema lists so many levels of a column: the most frequent ones. */
enum { QN_LEVELS_LISTED_MAX = 1000 };

typedef struct qn_understand_request {
    const qn_frame *frame;
    const qn_profile *profile; /* of the whole frame, or of `rows` */
    const int32_t *rows;       /* training rows; NULL: all */
    int64_t n_rows;
    bool no_target;     /* nothing is to be predicted: `target` and `task` are not looked at, and
                           the schema's task is the caller's to set */
    const char *target; /* NULL: guessed (a column called target, label, class, y …, else last) */
    const char *task;   /* NULL: guessed */
    const char *positive;
    const char *drop, *id, *weight, *group, *time, *split; /* column lists, NULL: none */
    const char *const *kinds;                              /* "COL=KIND" …, ended by NULL */
} qn_understand_request;

/* Builds the schema. Unknown columns fail with QN_ERR_ARG and name the nearest; a target that
 * cannot be learned (missing values, one value, as many classes as rows …) with QN_ERR_DATA and
 * the reason. */
QN_MUST_CHECK
qn_status qn_understand(const qn_understand_request *request, qn_schema **out, qn_error *err);

typedef enum qn_finding_kind {
    QN_FINDING_ID_LIKE,
    QN_FINDING_CONSTANT,
    QN_FINDING_DUPLICATE_COLUMN,
    QN_FINDING_LEAK_SUSPECT,
    QN_FINDING_DUPLICATE_ROWS,
    QN_FINDING_IMBALANCE,
    QN_FINDING_RARE_CLASS,
    QN_FINDING_MOSTLY_MISSING,
    QN_FINDING_HIGH_CARDINALITY,
    QN_FINDING_GUESS,  /* what was guessed and how to override it */
    QN_FINDING_OUTLIER /* numbers are stored: new ones stand last */
} qn_finding_kind;
enum { QN_N_FINDING_KINDS = QN_FINDING_OUTLIER + 1 };

typedef struct qn_finding {
    qn_finding_kind kind;
    char *column;  /* NULL for the table as a whole */
    char *message; /* one line: what, by how much, what to do */
} qn_finding;

typedef struct qn_findings {
    int64_t n;
    qn_finding *items;
} qn_findings; /* release with qn_findings_release() */

/* Screens the training rows. Also sets profile->columns[].target_association. A near-perfect
 * predictor is found by the score of a small binned model on that column (and on sums of two
 * numeric columns that give the target exactly: casual + registered = cnt), cross-checked on
 * held-out rows. `target` has one value per frame row, as qn_schema_target() gives it. */
QN_MUST_CHECK
qn_status qn_screen(const qn_frame *frame, const qn_schema *schema, qn_profile *profile,
                    const int32_t *rows, int64_t n_rows, const double *target, qn_pool *pool,
                    qn_findings *out, qn_error *err);
/* Appends a copy of `column`, which may be NULL, and of the message. */
QN_MUST_CHECK
qn_status qn_findings_add(qn_findings *findings, qn_finding_kind kind, const char *column,
                          qn_error *err, const char *format, ...) QN_PRINTF(5, 6);
void qn_findings_release(qn_findings *findings);
const char *qn_finding_kind_name(qn_finding_kind kind);

#endif
