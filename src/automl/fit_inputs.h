/* SPDX-License-Identifier: Apache-2.0 */
/* Everything a fit knows before the first trial: the tables, what their columns mean, what looks
 * wrong, and which rows train and which test.
 *
 * Threads: immutable once loaded. */
#ifndef QN_AUTOML_FIT_INPUTS_H
#define QN_AUTOML_FIT_INPUTS_H

#include "base/clock.h"
#include "base/pool.h"
#include "evaluate/split.h"
#include "quern/fit.h"
#include "validate/understand.h"

typedef struct qn_fit_inputs {
    qn_frame *frame;
    qn_frame *test_frame; /* `--test TABLE`; NULL: test rows are rows of frame */
    qn_schema *schema;
    qn_profile *profile; /* of the training rows */
    qn_findings findings;
    qn_str warnings; /* of reading, one line each */
    qn_split_kind split_kind;
    char *split_reason;
    int64_t n_train, n_test;
    int32_t *train, *test; /* rows of frame, and of the frame that holds the test rows */
    double *target;        /* per row of frame */
    double *weights;       /* per row of frame, or NULL */
    int32_t *groups;       /* per row of frame: query number; NULL unless ranking */
    double *test_target;   /* per entry of test */
    double *test_weights;  /* likewise, or NULL */
    int32_t *test_groups;  /* likewise; NULL unless ranking */
    uint64_t data_hash;
    double read_s; /* reading the table, hashing included */
} qn_fit_inputs;   /* zero-initialise; release with qn_fit_inputs_release() */

QN_MUST_CHECK
qn_status qn_fit_inputs_load(const qn_fit_request *request, qn_pool *pool, const qn_stop *stop,
                             qn_fit_inputs *inputs, qn_error *err);
void qn_fit_inputs_release(qn_fit_inputs *inputs);

/* The column of sample weights, one per row of the frame; NULL without one. Fails with QN_ERR_DATA
 * when one is no number >= 0. */
QN_MUST_CHECK
qn_status qn_row_weights(const qn_schema *schema, const qn_frame *frame, double **out,
                         qn_error *err);

/* The frame that the test rows stand in. */
const qn_frame *qn_fit_inputs_test_frame(const qn_fit_inputs *inputs);

#endif
