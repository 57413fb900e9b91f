/* SPDX-License-Identifier: Apache-2.0 */
/* Prediction log: a JSON line for each predicted row – when, the request's id, the model, what was
 * given and what was predicted – of all requests or of a share of them. Outcomes that become known
 * later are lines of the same log, joined by the request's id.
 *
 *     {"time":…,"event":"prediction","id":…,"row":1,"model":…,"version":…,"hash":…,
 *      "inputs":{"age":42,"colour":null,…},"prediction":…,"p_…":…}     ("shadow":true, if so)
 *     {"time":…,"event":"outcome","who":…,"id":…,"row":1,"outcome":…}
 *
 * The lines of a request are written when its reply is: a request that fails leaves none. Inputs
 * are as the model takes them: dates as ISO 8601, null where missing.
 *
 * Threads: one thread, the loop's; the log is locked. */
#ifndef QN_SERVE_TELEMETRY_PREDICTION_LOG_H
#define QN_SERVE_TELEMETRY_PREDICTION_LOG_H

#include "serve/rows/rows.h"
#include "serve/telemetry/request_trace.h"

/* The lines of one request. */
typedef struct qn_prediction_lines {
    qn_str text;
    int64_t n;
    bool shadow;       /* of a version that did not answer */
    bool too_many;     /* the log would not take them: they are counted alone */
} qn_prediction_lines; /* zero-initialise; release with qn_prediction_lines_release() */

/* Whether the request of this id is one of the `share` (0 to 1) that is logged: by its hash, so
 * that the same request always is, or never. */
bool qn_prediction_log_takes(const char *id, double share);
/* The rows of a block, the first being row `first` of the request, from 0. */
void qn_prediction_lines_add(qn_prediction_lines *lines, const qn_request_trace *trace,
                             const qn_served_model *model, const qn_rows_block *block,
                             const double *outputs, int64_t first);
void qn_prediction_lines_release(qn_prediction_lines *lines);

#endif
