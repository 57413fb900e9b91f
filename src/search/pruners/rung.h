/* SPDX-License-Identifier: Apache-2.0 */
/* Rungs: trials that ended at different steps, compared at one that enough of them have reached.
 *
 * A trial that was stopped says little beside one that ran on: its last loss is that of an early
 * step. BOHB (Falkner, Klein & Hutter 2018, section 4) so builds its model from the highest rung
 * with enough observations. Pruners are free to stop at any step, so every step is a rung here: the
 * highest one that n_min trials have reached, or the end once n_min trials are complete.
 *
 * Threads: pure functions. */
#ifndef QN_SEARCH_PRUNERS_RUNG_H
#define QN_SEARCH_PRUNERS_RUNG_H

#include "search/study/history.h"

/* The first report at `step` or after it; NULL when the trial has none. */
const qn_curve_point *qn_trial_report_at(const qn_trial_record *trial, double step);
/* Its loss, or QN_NA. */
double qn_trial_loss_at(const qn_trial_record *trial, double step);

/* The trials told that have reached the rung, best first (the smaller violation, the smaller loss
 * there, the earlier): their positions in history->told, of which `ranked` has room for all. A
 * complete trial reaches every rung; without a report there, its result counts. n_min of at least 1
 * and at most n_told; one objective. Fails with QN_ERR_NOMEM. */
QN_MUST_CHECK
qn_status qn_rung_rank(const qn_history *history, int64_t n_min, int32_t *ranked, int64_t *n,
                       qn_error *err);

#endif
