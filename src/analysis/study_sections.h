/* SPDX-License-Identifier: Apache-2.0 */
/* The sections of a study's report, in the order of the page. Each leaves itself out when it has
 * nothing to show; out->failed tells of lack of memory. */
#ifndef QN_ANALYSIS_STUDY_SECTIONS_H
#define QN_ANALYSIS_STUDY_SECTIONS_H

#include "analysis/study_view.h"

void qn_study_headline(qn_study_view *view, qn_str *out);
void qn_study_best_trials(qn_study_view *view, qn_str *out);
void qn_study_fronts(qn_study_view *view, qn_str *out);
void qn_study_progress(qn_study_view *view, qn_str *out);
void qn_study_curves(qn_study_view *view, qn_str *out);
void qn_study_importance_bars(qn_study_view *view, qn_str *out);
void qn_study_slices(qn_study_view *view, qn_str *out);
void qn_study_pairs(qn_study_view *view, qn_str *out);
void qn_study_parallel(qn_study_view *view, qn_str *out);
void qn_study_failures(qn_study_view *view, qn_str *out);
void qn_study_space_table(qn_study_view *view, qn_str *out);

/* <figure> with its caption, before a chart; qn_figure_end() after it. */
void qn_figure_begin(qn_str *out, const char *caption);
void qn_figure_end(qn_str *out);

#endif
