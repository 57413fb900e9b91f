/* SPDX-License-Identifier: Apache-2.0 */
/* View: a study as its report looks at it. What several charts need – orders, importances, axes,
 * which trials to draw – is worked out once here; the sections (study_sections.h) only draw.
 *
 * Values are as the user sees them, not losses. Heights are the user's values on the axis of an
 * objective: 0 the best, 1 the worst that the axis shows.
 *
 * Threads: one thread at a time, with the study locked. */
#ifndef QN_ANALYSIS_STUDY_VIEW_H
#define QN_ANALYSIS_STUDY_VIEW_H

#include "analysis/parameter_importance.h"
#include "base/arena.h"
#include "report/chart.h"
#include "search/study/study.h"

enum {
    QN_VIEW_CLASSES = 5, /* of colours, q0 (the best, the latest) … q4 */
    QN_VIEW_METHODS = 2,
    QN_DRAWN_MAX = 1500 /* trials in charts of parameters */
};

/* What is seen of one objective. Trials are positions in analysed.trials. */
typedef struct qn_objective_view {
    qn_analysed analysed;
    const char *name;
    bool maximise;
    double *values;  /* [n], by trial */
    double *heights; /* [n] */
    int32_t *ranked; /* [n] trials from the best to the worst */
    int32_t *ranks;  /* [n] place of a trial in `ranked` */
    int64_t n_drawn;
    int32_t *drawn; /* the best and an even choice of the others, from the worst to the best */
    qn_axis axis;
    int64_t n_beyond;                     /* trials that the axis does not reach */
    double *importances[QN_VIEW_METHODS]; /* [space->n], by parameter */
    int64_t n_parameters;
    int32_t *parameters; /* those that vary, by the first measure of importance */
} qn_objective_view;

typedef struct qn_study_view {
    const qn_study *study;
    const qn_history *history;
    const char *title;
    int64_t counts[QN_TRIAL_FAILED + 1]; /* of trials, by state */
    int64_t n_objectives;
    qn_objective_view *objectives;
    int64_t n_front;
    const qn_trial_record **front; /* of several objectives: trials that none dominates */
    qn_arena arena;
} qn_study_view; /* release with qn_study_view_release(), also one all zero */

/* Fails with QN_ERR_NOMEM. */
QN_MUST_CHECK
qn_status qn_study_view_init(qn_study *study, const char *title, qn_study_view *out, qn_error *err);
void qn_study_view_release(qn_study_view *view);

/* Zeroed numbers that live as long as the view; NULL when out of memory, which `out` then tells. */
double *qn_view_numbers(qn_study_view *view, int64_t n, qn_str *out);

/* The axis of a parameter. */
qn_axis qn_view_parameter_axis(qn_study_view *view, int64_t parameter, qn_str *out);
/* Where a chart puts a value on it: choices of equal value are spread a little, by trial. */
double qn_view_spread(const qn_parameter *p, double value, int64_t trial);
/* An axis that shows `values` (finite ones, n of them, reordered) but not so far that a few bad
 * ones hide the rest: logarithmic where they are above 0 and reach over three decades, otherwise
 * cut beyond four times the distance of the best nine tenths. */
bool qn_view_axis_of(double *values, int64_t n, bool maximise, qn_axis *axis);
/* The class of the i-th of n from the best. */
static inline int32_t qn_view_class(int64_t i, int64_t n)
{
    return (int32_t)(i * QN_VIEW_CLASSES / n);
}

#endif
