/* SPDX-License-Identifier: Apache-2.0 */
/* Extrapolation of learning curves: what will the loss be at a later step, and how sure is that?
 *
 * A curve is taken to be a + b g(t) plus noise, where g is one of a few shapes: t^-c, exp(-t/s) and
 * log t, with c and s on a grid (of the families of Domhan, Springenberg & Hutter 2015, "Speeding
 * up automatic hyperparameter optimization of deep neural networks by extrapolation of learning
 * curves", those that are linear but for one number). b may have either sign, so that a curve may
 * rise. Given g, a and b are fitted by least squares, each point weighted with its step: the end of
 * a curve says more about where it leads than its beginning. The prediction of a shape is normal
 * about its line, with the variance of the residuals and of a and b; the shapes are mixed by their
 * likelihoods (all have two coefficients, so that BIC does the same). No sampling: the same curve
 * gives the same probability.
 *
 * Threads: pure functions. */
#ifndef QN_SEARCH_PRUNERS_EXTRAPOLATION_H
#define QN_SEARCH_PRUNERS_EXTRAPOLATION_H

#include "search/study/history.h"

/* P(loss at step `last` < `best`), from n points by ascending step. Points that are not finite, and
 * steps below 1, are passed over; QN_NA when fewer than four are left or `best` is not finite. */
double qn_curve_beats(const qn_curve_point *points, int64_t n, int64_t last, double best);

#endif
