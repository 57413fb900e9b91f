/* SPDX-License-Identifier: Apache-2.0 */
/* What a program that is being tuned prints: results are found in it line by line.
 *
 *     {"step": 3, "value": 0.5}      an intermediate value
 *
 *     {"value": 0.5}                 the result; also {"loss": 0.5, "size": 3} by objectives'
 * names, and "violation" beside either
 *
 *     {"cost": 2.5}                  what the trial has cost so far; also beside the others
 *
 *     anything 0.5                   the last number of the last line that ends in one; of several
 *                                    objectives the last numbers
 *
 * Result objects prevail over numbers, and what comes later over what came before; without either,
 * the last intermediate value is the result. Lines longer than QN_OUTPUT_LINE_MAX are passed over,
 * so that no output needs more memory.
 *
 * Threads: one thread at a time. */
#ifndef QN_SEARCH_TUNER_OUTPUT_H
#define QN_SEARCH_TUNER_OUTPUT_H

#include "search/study/history.h"

enum { QN_OUTPUT_LINE_MAX = 65536 };

typedef struct qn_output {
    const qn_objectives *objectives;
    char *line; /* what has come of the current one */
    size_t line_bytes;
    bool line_too_long;
    bool has_result, has_numbers, has_report;
    double result[QN_OBJECTIVES_MAX], numbers[QN_OBJECTIVES_MAX];
    double violation;
    double cost;   /* the last one; QN_NA: none */
    double report; /* the last one */
} qn_output;

/* An intermediate value was printed. */
typedef qn_status qn_output_reporter(void *context, int64_t step, double value, qn_error *err);

QN_MUST_CHECK
qn_status qn_output_init(qn_output *output, const qn_objectives *objectives, qn_error *err);
void qn_output_release(qn_output *output);
/* Takes the next bytes. Fails as `report` does. */
QN_MUST_CHECK
qn_status qn_output_add(qn_output *output, const char *data, size_t bytes,
                        qn_output_reporter *report, void *context, qn_error *err);
/* At the end: one value per objective; false when none was printed. */
QN_MUST_CHECK
qn_status qn_output_finish(qn_output *output, qn_output_reporter *report, void *context,
                           double *values, bool *found, qn_error *err);

#endif
