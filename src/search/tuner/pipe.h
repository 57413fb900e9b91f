/* SPDX-License-Identifier: Apache-2.0 */
/* A study over a pipe: a program in any language writes requests, a line of JSON each, and reads
 * one line of JSON for each of them, in their order.
 *
 *     {"op": "ask"}                                  {"trial": 0, "params": {"x": 0.5}}
 *                                                    {"trial": null} when nothing is left to try
 *     {"op": "report", "trial": 0, "step": 1, "value": 0.7}            {"prune": false}
 *     {"op": "tell", "trial": 0, "value": 0.25}                        {"ok": true}
 *         of several objectives: "values": {"loss": 0.25, "size": 3};
 *         "violation": 0.1 beside them; null in place of a number: the trial failed
 *     {"op": "prune", "trial": 0}   also "fail", "retry"               {"ok": true}
 *     {"op": "annotate", "trial": 0, "name": "seconds", "value": 3}    {"ok": true}
 *     {"op": "enqueue", "params": {"x": 1}}                            {"ok": true}
 *     {"op": "best"}                                 {"best": {"number": 0, …}}, or null
 *
 * What cannot be done is answered {"error": "…"}, and the next request is heard. A member "id" of
 * any kind comes back with the answer.
 *
 * Threads: one thread at a time. */
#ifndef QN_SEARCH_TUNER_PIPE_H
#define QN_SEARCH_TUNER_PIPE_H

#include "search/study/study.h"

/* Longer lines are refused, so that none needs more memory. */
enum { QN_PIPE_LINE_MAX = 1 << 20 };

/* Appends the answer to a request, without an end of line. Fails with QN_ERR_NOMEM, and with
 * QN_ERR_IO when the store is lost. */
QN_MUST_CHECK
qn_status qn_pipe_answer(qn_study *study, const char *line, size_t bytes, qn_str *answer,
                         qn_error *err);

#endif
